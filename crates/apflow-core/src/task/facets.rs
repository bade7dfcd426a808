//! What a task has besides its state, and most tasks do not have.

use serde::{Deserialize, Serialize};

use super::definition::is_default;
use crate::{flow::Flow, time::Timestamp};

/// What keeps a ready task from being claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The sort of thing that holds it.
    pub by: HeldBy,
    /// Which one of that sort: the key of a limit, the name of a breaker.
    pub key: String,
    /// When time alone frees it, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The sorts of things that hold a ready task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// As many tasks with its key run as may.
    Concurrency,
    /// As many tasks with its key began lately as may.
    Rate,
    /// The circuit of its executor, or of the host it talks to, is open.
    Breaker,
    /// Somebody paused the task or its tree.
    Pause,
}

impl HeldBy {
    /// The word as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Rate => "rate",
            Self::Breaker => "breaker",
            Self::Pause => "pause",
        }
    }
}

/// What only some tasks have; stored as one JSON text beside the state, and absent for most.
///
/// A new run forgets it, but for what the author of the task said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facets {
    /// How often the task went round its loop in this run: 0 in the first pass.
    #[serde(skip_serializing_if = "is_default")]
    pub cycle: u32,
    /// The lines it stands in for slots, paces and breakers; a new run keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
}

impl Facets {
    /// Nothing is said, so nothing needs to be stored.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
