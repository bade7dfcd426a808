//! The edge that leads from the end of a task back to itself, or to a task before it.

use serde::{Deserialize, Serialize};

/// Goes round once more after a success, as long as a condition holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoopEdge {
    /// The task it leads to, by id or name; none is the task itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The condition, asked after each pass with its `result`.
    #[serde(rename = "while")]
    pub condition: String,
    /// Passes in one run, the first one included; `max_cycles` of the task if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

/// The most passes that an author may allow in one run.
pub const MOST_CYCLES: u32 = 1_000_000;

/// What a loop looks like, for messages.
pub(crate) const EXPECTED: &str =
    "an object like {\"to\": \"draft\", \"while\": \"not result.good\", \"max\": 5}";
