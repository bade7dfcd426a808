//! What an attempt puts aside so that the next one need not begin again.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Context, ExecuteError};
use crate::{id::TaskId, portable::bad_name, task::FailureKind};

/// Where checkpoints of a running attempt go.
#[async_trait]
pub trait Keeper: Send + Sync {
    /// Puts a value aside; it is durable when this returns.
    async fn keep(&self, step: Option<&str>, value: Value) -> Result<(), ExecuteError>;

    /// Takes a snapshot of the submission; it is durable when this returns.
    async fn snapshot(&self, name: &str, note: Map<String, Value>) -> Result<(), ExecuteError>;
}

/// A snapshot that is to be taken if the task completes.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotWish {
    /// The task that asked.
    pub task: TaskId,
    /// What to call it.
    pub name: String,
    /// What to remember with it.
    pub note: Map<String, Value>,
}

/// So many snapshots one attempt may ask for that are taken at its end.
const MAX_WISHES: usize = 8;

/// Keeps nothing, for attempts outside an engine.
struct Nowhere;

#[async_trait]
impl Keeper for Nowhere {
    async fn keep(&self, _: Option<&str>, _: Value) -> Result<(), ExecuteError> {
        Ok(())
    }

    async fn snapshot(&self, _: &str, _: Map<String, Value>) -> Result<(), ExecuteError> {
        Ok(())
    }
}

/// A keeper that keeps nothing.
pub(super) fn nowhere() -> Arc<dyn Keeper> {
    Arc::new(Nowhere)
}

impl Context {
    /// Puts a value aside for the attempt after this one, in the place of what was put aside before.
    ///
    /// When it returns, the value is in the database: whatever ends this attempt (an error, the end of
    /// its time, the death of the process), the next attempt of the same run is handed it as
    /// [`Given::checkpoint`](super::Given::checkpoint). It is forgotten when the task completes or a new
    /// run begins. An attempt whose lease is no longer current is refused, so an old worker never
    /// overwrites what a newer one has put aside; pass that error on with `?`.
    pub async fn checkpoint(&self, value: impl Into<Value> + Send) -> Result<(), ExecuteError> {
        self.keeper.keep(None, value.into()).await
    }

    /// The same, with a word for what has just been done; people see it in `resume_from`.
    pub async fn checkpoint_after(
        &self,
        step: &str,
        value: impl Into<Value> + Send,
    ) -> Result<(), ExecuteError> {
        self.keeper.keep(Some(step), value.into()).await
    }

    /// Remembers under a name how the whole submission stands, so that a run can begin from there.
    ///
    /// A `deferred` one is taken in the transaction that records this task as completed, after the
    /// tasks behind it became ready: a run from it goes on with those. If the attempt fails, it is not
    /// taken. Otherwise it is taken now, with this task in it as one that has yet to run: a run from it
    /// begins with this task, from its beginning, and this attempt goes on.
    pub async fn snapshot(
        &self,
        name: &str,
        note: Map<String, Value>,
        deferred: bool,
    ) -> Result<(), ExecuteError> {
        if let Some(why) = bad_name(name) {
            let why = format!("a snapshot cannot be called {name:?}: a name {why}");
            return Err(ExecuteError::of_kind(FailureKind::InvalidOutput, why));
        }
        let mut note = note;
        note.insert("task_id".to_owned(), json!(self.task));
        note.insert("cycle".to_owned(), json!(self.given.cycle));
        note.insert("deferred".to_owned(), json!(deferred));
        if !deferred {
            return self.keeper.snapshot(name, note).await;
        }
        // Whoever panicked while he held it has written whole notes or none.
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.snapshots.retain(|wish| wish.name != name);
        if notes.snapshots.len() >= MAX_WISHES {
            let why = format!("an attempt asks for at most {MAX_WISHES} snapshots at its end");
            return Err(ExecuteError::of_kind(FailureKind::InvalidOutput, why));
        }
        notes.snapshots.push(SnapshotWish { task: self.task.clone(), name: name.to_owned(), note });
        Ok(())
    }

    /// What the newest attempt before this one put aside, if it did and it fits the type.
    ///
    /// What does not fit, for example because the program is newer than the checkpoint, is an error
    /// that names the difference.
    pub fn resumed<T: DeserializeOwned>(&self) -> Result<Option<T>, ExecuteError> {
        let Some(value) = &self.given.checkpoint else { return Ok(None) };
        T::deserialize(value).map(Some).map_err(|error| {
            ExecuteError::permanent(format!(
                "the checkpoint of an earlier attempt does not fit this executor: {error}; run the \
                 task afresh to begin without it"
            ))
        })
    }
}
