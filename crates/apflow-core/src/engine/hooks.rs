//! Calls hooks in such a way that none of them can bring down what it is hooked to.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, PoisonError, RwLock},
};

use futures_util::FutureExt as _;
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::{
    hook::{Attempted, Hook, OnError, Verdict},
    id::TreeId,
    store::Ended,
    task::Outcome,
};

/// The hooks of an engine; what is added later counts from the next attempt on.
#[derive(Default)]
pub(super) struct Hooks {
    list: RwLock<Arc<[Arc<dyn Hook>]>>,
    added: Notify,
}

impl Hooks {
    pub(super) fn add(&self, hook: Arc<dyn Hook>) {
        {
            let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
            *list = list.iter().cloned().chain([hook]).collect();
        }
        self.added.notify_one();
    }

    /// Those there are now, in order.
    pub(super) fn now(&self) -> Arc<[Arc<dyn Hook>]> {
        Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there is one.
    pub(super) async fn any(&self) {
        while self.now().is_empty() {
            self.added.notified().await;
        }
    }
}

/// Where in an attempt hooks are called.
#[derive(Clone, Copy)]
pub(super) enum Around<'a> {
    Task,
    Executor(&'a str),
}

/// Asks one hook after the other, until one of them wants something else than to go on.
pub(super) async fn before(
    hooks: &[Arc<dyn Hook>],
    around: Around<'_>,
    task: Attempted<'_>,
    inputs: &mut Map<String, Value>,
) -> Verdict {
    for hook in hooks {
        let kept = inputs.clone();
        let asked = async {
            match around {
                Around::Task => hook.before_task(task, inputs).await,
                Around::Executor(id) => hook.before_executor(id, task, inputs).await,
            }
        };
        let verdict = if let Ok(verdict) = AssertUnwindSafe(asked).catch_unwind().await {
            verdict
        } else {
            tracing::error!(task = %task.task, hook = hook.name(), "a hook panicked before the task");
            // Half of a change is none.
            *inputs = kept;
            match hook.on_error() {
                OnError::Open => Verdict::Run,
                OnError::Closed => Verdict::Refuse(format!("the hook `{}` panicked", hook.name())),
            }
        };
        if verdict != Verdict::Run {
            return verdict;
        }
    }
    Verdict::Run
}

/// Tells every hook how it ended.
pub(super) async fn after(
    hooks: &[Arc<dyn Hook>],
    around: Around<'_>,
    task: Attempted<'_>,
    inputs: &Map<String, Value>,
    ended: &Ended,
) {
    for hook in hooks {
        contained(hook.as_ref(), task.task.as_str(), async {
            match around {
                Around::Task => hook.after_task(task, inputs, ended).await,
                Around::Executor(id) => hook.after_executor(id, task, inputs, ended).await,
            }
        })
        .await;
    }
}

/// What becomes of a tree.
#[derive(Clone, Copy)]
pub(super) enum Tree {
    Created,
    Started,
    Finished(Outcome),
}

/// Tells every hook what became of a tree.
pub(super) async fn tell(hooks: &[Arc<dyn Hook>], tree: &TreeId, what: Tree) {
    for hook in hooks {
        contained(hook.as_ref(), tree.as_str(), async {
            match what {
                Tree::Created => hook.tree_created(tree).await,
                Tree::Started => hook.tree_started(tree).await,
                Tree::Finished(outcome) => hook.tree_finished(tree, outcome).await,
            }
        })
        .await;
    }
}

async fn contained(hook: &dyn Hook, of: &str, call: impl Future<Output = ()>) {
    if AssertUnwindSafe(call).catch_unwind().await.is_err() {
        tracing::error!(hook = hook.name(), of, "a hook panicked");
    }
}
