//! Code of the embedding program that runs around tasks and trees.

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::{
    id::{TaskId, TreeId},
    store::Ended,
    task::{Definition, Outcome},
};

/// The attempt a hook is called for.
#[derive(Debug, Clone, Copy)]
pub struct Attempted<'a> {
    /// The task.
    pub task: &'a TaskId,
    /// Its tree.
    pub tree: &'a TreeId,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// What the author said.
    pub definition: &'a Definition,
}

/// What a hook wants to happen with an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Let the executor run.
    Run,
    /// Do not run the executor; this is the result.
    Answer(Value),
    /// Do not run the executor; the task fails with this sentence and is not tried again.
    Refuse(String),
}

/// Code that runs around tasks and trees; whatever it does not define does nothing.
///
/// Hooks run in the order they were added, in the process that runs the attempt. Like an executor, a
/// hook may run more than once for one task: an attempt whose worker vanished is repeated.
#[async_trait]
pub trait Hook: Send + Sync {
    /// Before the executor; may change the inputs, which are checked and stored afterwards.
    async fn before_task(&self, _task: Attempted<'_>, _inputs: &mut Map<String, Value>) -> Verdict {
        Verdict::Run
    }

    /// After the attempt, before its outcome is stored. A panic is logged and changes nothing.
    async fn after_task(&self, _task: Attempted<'_>, _inputs: &Map<String, Value>, _ended: &Ended) {
    }

    /// A run of a tree began; called once in each process that works.
    async fn tree_started(&self, _tree: &TreeId) {}

    /// A run of a tree ended; called once in each process that works.
    async fn tree_finished(&self, _tree: &TreeId, _outcome: Outcome) {}
}
