//! From what an author wrote to what a database stores, or every reason why that cannot be.
//!
//! Task JSON, workflow files and the builder all end in [`TaskSpec`]; [`compile`] is the only way on.

mod check;
mod compile;
mod durability;
pub mod json;
mod link;
mod read;
mod schedule;
mod spawn;
mod structure;
#[cfg(test)]
mod tests;

pub use compile::compile;
pub(crate) use durability::{JITTER, NO_RETRY_ON, jitter, no_retry_on};
pub use durability::{MAX_NO_RETRY, RETRY_POLICY_FIELDS};
pub use read::{TASK_FIELDS, read_tasks};
pub(crate) use read::{described, is_known, whole};
pub use spawn::spawned;

use serde_json::{Map, Value};

use crate::{
    flow::FlowControl,
    store::{Idempotency, NewCallback},
    task::{
        Begins, Durability, Governance, Join, LoopEdge, Origin, Priority, Schedule, Timeouts,
        TreeOptions,
    },
};

/// One task as its author wrote it; references are still ids or names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskSpec {
    /// Its id; without one it gets a new one.
    pub id: Option<String>,
    /// Display name, and a reference as long as no other task has it.
    pub name: String,
    /// The id or name of the task it hangs under.
    pub parent: Option<String>,
    /// The id of its tree, if the author chose one; only the root needs to say it.
    pub tree_id: Option<String>,
    /// Owner.
    pub user_id: Option<String>,
    /// How soon it is taken.
    pub priority: Priority,
    /// Tasks that come first.
    pub dependencies: Vec<Reference>,
    /// All of them, or any one.
    pub join: Join,
    /// The condition under which it runs at all.
    pub when: Option<String>,
    /// What the executor is given.
    pub inputs: Map<String, Value>,
    /// How the executor is built; `executor_id` names it.
    pub params: Map<String, Value>,
    /// `method` names the executor if `params` does not.
    pub schemas: Map<String, Value>,
    /// Longest time one attempt may take, in seconds.
    pub timeout_seconds: Option<f64>,
    /// Longest times besides.
    pub timeouts: Timeouts,
    /// How often it may go round in one run.
    pub max_cycles: Option<u32>,
    /// The edge it goes back by after a success.
    pub loop_edge: Option<LoopEdge>,
    /// When in a run it begins.
    pub start: Begins,
    /// Where it came from.
    pub origin: Origin,
    /// When it runs by itself.
    pub schedule: Schedule,
    /// How it is tried again.
    pub durability: Durability,
    /// What it may spend.
    pub governance: Governance,
    /// How many of its kind may run, and how often.
    pub flow: FlowControl,
    /// Where it may run.
    pub placement_constraints: Option<Value>,
    /// Custom fields.
    pub extra: Map<String, Value>,
}

impl TaskSpec {
    /// A task of which only the name is known.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// A task that comes first, as its author named it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reference {
    /// Its id or its name.
    pub to: String,
    /// It only has to end, however it ends.
    pub optional: bool,
    /// It was written as a plain text and is shown as one.
    pub plain: bool,
    /// Keys the engine has no use for.
    pub extra: Map<String, Value>,
}

impl Reference {
    /// A task that has to complete first.
    pub fn required(to: impl Into<String>) -> Self {
        Self { to: to.into(), ..Self::default() }
    }

    /// A task that has to end first.
    pub fn optional(to: impl Into<String>) -> Self {
        Self { to: to.into(), optional: true, ..Self::default() }
    }
}

/// What to do with fields that no task has (ruling 34).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Reading {
    /// They are left out, with a warning.
    #[default]
    Lenient,
    /// These are kept; others are left out, with a warning.
    Custom(Vec<String>),
    /// They are an error that names the nearest field.
    Strict,
}

/// A whole request to store tasks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Order {
    /// The tasks, in the author's order.
    pub tasks: Vec<TaskSpec>,
    /// What holds for every tree of it.
    pub options: TreeOptions,
    /// Begin a run at once.
    pub start: bool,
    /// The caller's key, if the same request may come twice.
    pub idempotency: Option<Idempotency>,
    /// Who asks; owns the tasks unless they name an owner themselves.
    pub user_id: Option<String>,
    /// Who wants to be told of the run that begins.
    pub callback: Option<NewCallback>,
    /// The run that begins is a demonstration: executors are not called.
    pub demo: bool,
}

/// How large a request may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tasks in one request.
    pub tasks: usize,
    /// Levels of tasks under a root, the root included.
    pub depth: usize,
    /// Dependencies of one task.
    pub dependencies: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tasks: 100_000, depth: 100, dependencies: 10_000 }
    }
}

/// The longest time that can be set as a timeout: a year, in seconds.
pub const MAX_TIMEOUT_SECONDS: f64 = 31_536_000.0;
