//! What people do to trees: start, cancel, change, remove.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{Idempotency, NewCallback, StoreError};
use crate::{
    derive::{Derive, Derived},
    id::{Ids, TaskId, TreeId},
    task::{Definition, Dependency, Priority, Status},
};

/// A wish to run what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// A root, or a task of which only the closure is wanted.
    pub task: TaskId,
    /// How much of it.
    pub scope: StartScope,
    /// Run again although everything completed.
    pub reexecute: bool,
    /// Who wants to be told of the run.
    pub callback: Option<NewCallback>,
}

/// How much of a tree to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartScope {
    /// The whole submission if the task is a root, else the task and what it depends on (ruling 12).
    Auto,
    /// The same tasks, all of them, whatever came of earlier runs: what a schedule does. It counts
    /// as a run of the task's schedule if it has one.
    Afresh,
}

/// A run that began, or one that had nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The tree of the task.
    pub tree: TreeId,
    /// Its root.
    pub root: TaskId,
    /// Every tree of which tasks were set in motion.
    pub trees: Vec<TreeId>,
    /// How many tasks were set in motion.
    pub tasks: u32,
    /// A position in the journal: whatever happens in this run comes after it.
    pub after: i64,
}

/// A wish to stop tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// The task; what hangs under it and what requires it goes too (ruling 17).
    pub task: TaskId,
    /// What to say.
    pub reason: String,
}

/// What became of one wish to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelAnswer {
    /// It and so many others are cancelled.
    Cancelled {
        /// How many tasks besides the one that was named.
        others: u32,
    },
    /// It had ended already.
    AlreadyEnded(Status),
    /// There is no such task.
    NoSuchTask,
}

/// Changes to one task; absent means unchanged, and `Some(None)` means cleared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    /// Display name.
    pub name: Option<String>,
    /// Priority.
    pub priority: Option<Priority>,
    /// The caller's inputs.
    pub inputs: Option<Map<String, Value>>,
    /// Executor parameters.
    pub params: Option<Map<String, Value>>,
    /// Schemas.
    pub schemas: Option<Map<String, Value>>,
    /// Dependencies; only while the task is pending and not running.
    pub dependencies: Option<Vec<Dependency>>,
    /// A new public status, by the rules of `transition.rs`.
    pub status: Option<Status>,
    /// The result.
    pub result: Option<Option<Value>>,
    /// The error.
    pub error: Option<Option<String>>,
    /// 0 to 1.
    pub progress: Option<f64>,
    /// Every other authored field, merged into the stored definition by its own name.
    pub definition: Map<String, Value>,
}

impl Patch {
    /// Puts the authored fields that are named here into a definition, all of them or none.
    ///
    /// Dependencies are left alone: what they mean depends on the tasks around.
    pub fn write_into(&self, definition: &mut Definition) -> Result<(), serde_json::Error> {
        let mut new = definition.clone();
        if let Some(name) = &self.name {
            new.name.clone_from(name);
        }
        if let Some(priority) = self.priority {
            new.priority = priority;
        }
        for (field, value) in [
            (&mut new.inputs, &self.inputs),
            (&mut new.params, &self.params),
            (&mut new.schemas, &self.schemas),
        ] {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        if !self.definition.is_empty() {
            let mut whole = serde_json::to_value(&new)?;
            if let Value::Object(map) = &mut whole {
                for (field, value) in &self.definition {
                    match (map.get_mut(field), value) {
                        // Groups such as `schedule` are merged field by field.
                        (Some(Value::Object(old)), Value::Object(new)) => {
                            old.extend(new.iter().map(|(key, value)| (key.clone(), value.clone())));
                        }
                        _ => {
                            map.insert(field.clone(), value.clone());
                        }
                    }
                }
            }
            new = serde_json::from_value(whole)?;
        }
        *definition = new;
        Ok(())
    }
}

/// What people do to trees.
#[async_trait]
pub trait ControlStore: Send + Sync {
    /// Begins a run.
    async fn start(&self, start: Start) -> Result<Started, StoreError>;

    /// Begins a run unless the same request came before under this key; then the first answer again.
    ///
    /// A request that is refused does not use up its key.
    async fn start_once(&self, start: Start, promise: Idempotency) -> Result<Started, StoreError>;

    /// Makes new tasks from stored ones, or archives them, in one transaction.
    async fn derive(&self, wish: Derive, ids: Arc<dyn Ids>) -> Result<Derived, StoreError>;

    /// Cancels each task with what hangs under it and what requires it; answers in the same order.
    async fn cancel(&self, batch: Vec<Cancel>) -> Result<Vec<CancelAnswer>, StoreError>;

    /// Changes one task, all of the patch or nothing.
    async fn update(&self, task: &TaskId, patch: Patch) -> Result<(), StoreError>;

    /// Deletes a task and its descendants, all of them pending and not needed by others.
    ///
    /// Returns how many went.
    async fn delete(&self, task: &TaskId) -> Result<u32, StoreError>;
}
