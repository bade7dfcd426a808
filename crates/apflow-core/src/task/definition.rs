//! What the author of a task said; stored as it was said, changed only by `tasks.update`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Jitter, LoopEdge, Schedule, Timeouts};
use crate::{flow::FlowControl, id::TaskId, time::Timestamp};

fn yes() -> bool {
    true
}

fn is_true(value: &bool) -> bool {
    *value
}

pub(super) fn is_false(value: &bool) -> bool {
    !*value
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The authored part of a task. Everything is optional but the name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Definition {
    /// Display name, 1–255 characters.
    pub name: String,
    /// Owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// 0 urgent … 3 low.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: Priority,
    /// Tasks that come first, ids resolved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// All dependencies, or any one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub join: Join,
    /// The condition under which it runs at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What the executor is given; the caller's own words.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub inputs: Map<String, Value>,
    /// How the executor is built; `executor_id` names it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// `method` names the executor if `params` does not; `input_schema` is checked before running.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub schemas: Map<String, Value>,
    /// Longest time one attempt may take, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<f64>,
    /// Longest times besides that of one attempt.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timeouts: Timeouts,
    /// How often it may go round in one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cycles: Option<u32>,
    /// The edge it goes back by after a success.
    #[serde(default, rename = "loop", skip_serializing_if = "Option::is_none")]
    pub loop_edge: Option<LoopEdge>,
    /// When in a run it begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub start: Begins,
    /// Where the task came from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub origin: Origin,
    /// When it runs by itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub schedule: Schedule,
    /// How it is tried again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub durability: Durability,
    /// What it may spend.
    #[serde(default, skip_serializing_if = "is_default")]
    pub governance: Governance,
    /// How many of its kind may run, and how often.
    #[serde(default, skip_serializing_if = "is_default")]
    pub flow: FlowControl,
    /// Where it may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement_constraints: Option<Value>,
    /// Custom top-level fields, kept as they came.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Definition {
    /// The executor that will run this task: `params.executor_id`, else `schemas.method` (ruling 10).
    pub fn executor(&self) -> Option<&str> {
        self.params
            .get("executor_id")
            .or_else(|| self.schemas.get("method"))
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty())
    }

    /// How many of its dependencies it waits for.
    ///
    /// With a condition on an edge, "any one" can be judged only when all have ended.
    pub fn waits_for(&self) -> Join {
        let judged = self.dependencies.iter().any(|entry| entry.extra.contains_key("when"));
        if judged { Join::All } else { self.join }
    }
}

/// How soon a task is taken among those that are ready: 0 urgent, 1 high, 2 normal, 3 low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Priority(u8);

impl Priority {
    /// Before everything else.
    pub const URGENT: Self = Self(0);
    /// Before normal.
    pub const HIGH: Self = Self(1);
    /// The default.
    pub const NORMAL: Self = Self(2);
    /// After everything else.
    pub const LOW: Self = Self(3);

    /// The number on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

impl TryFrom<i64> for Priority {
    type Error = String;

    fn try_from(value: i64) -> Result<Self, String> {
        u8::try_from(value)
            .ok()
            .filter(|value| *value <= 3)
            .map(Self)
            .ok_or_else(|| format!("{value} is outside 0 (urgent) to 3 (low)"))
    }
}

impl From<Priority> for i64 {
    fn from(priority: Priority) -> Self {
        i64::from(priority.0)
    }
}

/// One entry of `dependencies`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dependency {
    /// The task that comes first.
    pub id: TaskId,
    /// It must complete; otherwise it only has to end (ruling 3).
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub required: bool,
    /// The entry was a plain text and is shown as one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub plain: bool,
    /// Keys the engine has no use for, kept.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// When a task with several dependencies becomes ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// When every one is settled as it requires.
    #[default]
    All,
    /// When the first one completes.
    Any,
}

/// When in a run a task begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begins {
    /// When its needs are met.
    #[default]
    WhenReady,
    /// When another task jumps to it.
    OnJump,
}

impl Begins {
    /// The word as it is stored and written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WhenReady => "when_ready",
            Self::OnJump => "on_jump",
        }
    }
}

/// What the failure of one task does to the rest of its tree (ruling 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Dependents stay blocked, unrelated branches go on.
    #[default]
    Continue,
    /// Everything that has not ended is cancelled.
    FailFast,
    /// Dependents are skipped, unrelated branches go on.
    SkipDependents,
}

impl OnFailure {
    /// The word as it is stored and written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::FailFast => "fail_fast",
            Self::SkipDependents => "skip_dependents",
        }
    }
}

/// Whether a parent waits for its descendants (ruling 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StructureOrder {
    /// It does, unless one of them depends on it.
    #[default]
    Soft,
    /// Structure says nothing about order.
    None,
}

/// What holds for a whole tree.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeOptions {
    /// What one failure does to the rest.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_failure: OnFailure,
    /// Whether parents wait for their descendants.
    #[serde(default, skip_serializing_if = "is_default")]
    pub structure_order: StructureOrder,
    /// Longest time one run of the tree may take, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<f64>,
    /// Most iterations and jumps in one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u32>,
    /// Most tasks that one run may spawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_spawned: Option<u32>,
    /// Most spawners above a spawned task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<u32>,
}

/// Where a task came from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// How it was made.
    #[serde(default, rename = "type", skip_serializing_if = "is_default")]
    pub kind: OriginType,
    /// What it was copied from or links to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_task_id: Option<TaskId>,
    /// Other tasks link to this one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_references: bool,
}

/// How a task was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginType {
    /// Written by its author.
    #[default]
    Create,
    /// Points at another task and answers with its result.
    Link,
    /// A fresh copy of another task.
    Copy,
    /// Kept as it was.
    Archive,
}

impl OriginType {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Link => "link",
            Self::Copy => "copy",
            Self::Archive => "archive",
        }
    }
}

/// How a task is tried again.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Durability {
    /// Attempts in total; absent means one, and recovery of lost workers besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// fixed, linear, exponential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_strategy: Option<String>,
    /// Delay the strategy starts from, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_base_seconds: Option<f64>,
    /// The longest delay, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_max_seconds: Option<f64>,
    /// By how much an exponential delay grows each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_factor: Option<f64>,
    /// How delays are spread.
    #[serde(skip_serializing_if = "is_default")]
    pub jitter: Jitter,
    /// Kinds of failure and words of messages after which it is not tried again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_retry_on: Vec<String>,
    /// Longest time from the first attempt to the beginning of the last one, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_deadline_seconds: Option<f64>,
    /// When a checkpoint was last written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_at: Option<Timestamp>,
    /// The checkpoint to go on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_from: Option<String>,
    /// A caller's key for this task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// What a task may spend and has spent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Governance {
    /// `{input, output, total}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_usage: Option<Value>,
    /// Most tokens it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_budget: Option<i64>,
    /// What it is thought to cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_cost_usd: Option<f64>,
    /// What it cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual_cost_usd: Option<f64>,
    /// Name of a registered policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_policy: Option<String>,
    /// How many tokens one attempt is thought to need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate_tokens: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_outside_0_to_3_names_the_range() {
        assert_eq!(Priority::try_from(0), Ok(Priority::URGENT));
        let refused = Priority::try_from(4).expect_err("4 is no priority");
        assert!(refused.contains("0 (urgent) to 3 (low)"), "{refused}");
        assert!(Priority::try_from(-1).is_err());
    }

    #[test]
    fn a_definition_survives_storage_and_says_only_what_was_said() {
        let definition = Definition { name: "a".into(), ..Definition::default() };
        let text = serde_json::to_string(&definition).expect("plain data");
        assert_eq!(text, r#"{"name":"a"}"#);
        assert_eq!(serde_json::from_str::<Definition>(&text).expect("its own text"), definition);
    }

    #[test]
    fn params_name_the_executor_before_schemas_do() {
        let mut definition = Definition::default();
        definition.schemas.insert("method".into(), "b".into());
        assert_eq!(definition.executor(), Some("b"));
        definition.params.insert("executor_id".into(), "a".into());
        assert_eq!(definition.executor(), Some("a"));
    }
}
