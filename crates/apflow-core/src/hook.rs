//! Code of the embedding program that runs around tasks and trees.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
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
    /// The run is a demonstration: the executor is not called, and neither are hooks around it.
    pub demo: bool,
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

/// What becomes of a task when a hook before it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// It goes on as if there were no such hook.
    #[default]
    Open,
    /// It fails too.
    Closed,
}

/// Code that runs around tasks and trees; whatever it does not define does nothing.
///
/// Hooks run in the order they were added, in the process that runs the attempt. Like an executor, a
/// hook may run more than once for one task: an attempt whose worker vanished is repeated. A hook that
/// panics is logged and has changed nothing; [`Hook::on_error`] says whether the task goes on.
#[async_trait]
pub trait Hook: Send + Sync {
    /// What it is called in logs and in failures.
    #[expect(clippy::unnecessary_literal_bound, reason = "hooks may make up their names")]
    fn name(&self) -> &str {
        "hook"
    }

    /// What becomes of a task when this hook panics before it.
    fn on_error(&self) -> OnError {
        OnError::Open
    }

    /// Before the executor; may change the inputs, which are checked and stored afterwards.
    async fn before_task(&self, _task: Attempted<'_>, _inputs: &mut Map<String, Value>) -> Verdict {
        Verdict::Run
    }

    /// After the attempt, before its outcome is stored.
    async fn after_task(&self, _task: Attempted<'_>, _inputs: &Map<String, Value>, _ended: &Ended) {
    }

    /// Just before an executor that exists and is allowed; after all the [`Hook::before_task`].
    ///
    /// An answer stands in for the executor, also for one that cannot run here.
    async fn before_executor(
        &self,
        _executor: &str,
        _task: Attempted<'_>,
        _inputs: &mut Map<String, Value>,
    ) -> Verdict {
        Verdict::Run
    }

    /// Just after the executor, or after what stood in for it.
    async fn after_executor(
        &self,
        _executor: &str,
        _task: Attempted<'_>,
        _inputs: &Map<String, Value>,
        _ended: &Ended,
    ) {
    }

    /// A tree was stored by this process; its caller waits for this.
    async fn tree_created(&self, _tree: &TreeId) {}

    /// A run of a tree began; called once in each process that works.
    async fn tree_started(&self, _tree: &TreeId) {}

    /// A run of a tree ended; called once in each process that works.
    async fn tree_finished(&self, _tree: &TreeId, _outcome: Outcome) {}
}

/// The same hook, but only around this executor: nothing else of it is called.
pub fn around_executor(executor: impl Into<String>, hook: Arc<dyn Hook>) -> Arc<dyn Hook> {
    Arc::new(Around { executor: executor.into(), hook })
}

struct Around {
    executor: String,
    hook: Arc<dyn Hook>,
}

#[async_trait]
impl Hook for Around {
    fn name(&self) -> &str {
        self.hook.name()
    }

    fn on_error(&self) -> OnError {
        self.hook.on_error()
    }

    async fn before_executor(
        &self,
        executor: &str,
        task: Attempted<'_>,
        inputs: &mut Map<String, Value>,
    ) -> Verdict {
        if executor != self.executor {
            return Verdict::Run;
        }
        self.hook.before_executor(executor, task, inputs).await
    }

    async fn after_executor(
        &self,
        executor: &str,
        task: Attempted<'_>,
        inputs: &Map<String, Value>,
        ended: &Ended,
    ) {
        if executor == self.executor {
            self.hook.after_executor(executor, task, inputs, ended).await;
        }
    }
}
