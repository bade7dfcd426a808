//! Starting and stopping runs: execute, cancel.

use super::author;
use crate::{
    api::{
        ApiError, Caller, Gateway, Reply,
        call::{Cancel, Execute, ExecuteWhat},
        reply::{Cancelled, Executed},
    },
    code::Code,
    id::{TaskId, TreeId},
    problem::Problem,
    store::{self, CancelAnswer, Start, StartScope, StoreError},
    task::RunSummary,
};

/// What was set in motion, and whether the caller wants to know how it ends.
struct Begun {
    executed: Executed,
    trees: Vec<TreeId>,
}

pub(crate) async fn execute(
    gateway: &Gateway,
    caller: &Caller,
    execute: Execute,
) -> Result<Reply, ApiError> {
    let begun = match execute.what {
        ExecuteWhat::Stored(task) => stored(gateway, caller, task, execute.reexecute).await,
        ExecuteWhat::New(create) => {
            let (inserted, warnings) = author::submit(gateway, caller, create, true).await?;
            let Some(root) = inserted.roots.first().cloned() else {
                return Err(ApiError::new(Code::Internal, "nothing was stored"));
            };
            let task = root.clone();
            let executed = Executed { root, task, idle: false, runs: Vec::new(), warnings };
            Ok(Begun { executed, trees: inserted.trees })
        }
    };
    let Begun { mut executed, trees } = match begun {
        Ok(begun) => begun,
        Err(NotBegun::AlreadyRunning(root)) => return Ok(Reply::AlreadyRunning { root }),
        Err(NotBegun::Error(error)) => return Err(*error),
    };
    if execute.wait {
        executed.runs = wait(gateway, &executed.root, &trees).await?;
    }
    Ok(Reply::Executed(Box::new(executed)))
}

enum NotBegun {
    AlreadyRunning(TaskId),
    Error(Box<ApiError>),
}

impl<E: Into<ApiError>> From<E> for NotBegun {
    fn from(error: E) -> Self {
        Self::Error(Box::new(error.into()))
    }
}

async fn stored(
    gateway: &Gateway,
    caller: &Caller,
    task: TaskId,
    reexecute: bool,
) -> Result<Begun, NotBegun> {
    gateway.existing(caller, &task).await?;
    let start = Start { task: task.clone(), scope: StartScope::Auto, reexecute };
    let started = match gateway.backend.start(start).await {
        Ok(started) => started,
        // For a client this is an answer, not an error.
        Err(StoreError::AlreadyRunning { root }) => return Err(NotBegun::AlreadyRunning(root)),
        Err(error) => return Err(error.into()),
    };
    let executed = Executed {
        root: started.root,
        task,
        idle: started.tasks == 0,
        runs: Vec::new(),
        warnings: Vec::new(),
    };
    let mut trees = started.trees;
    if trees.is_empty() {
        trees.push(started.tree);
    }
    Ok(Begun { executed, trees })
}

/// Waits for every tree, together no longer than the configured time.
async fn wait(
    gateway: &Gateway,
    root: &TaskId,
    trees: &[TreeId],
) -> Result<Vec<RunSummary>, ApiError> {
    let all = async {
        let mut runs = Vec::with_capacity(trees.len());
        for tree in trees {
            runs.push(gateway.backend.wait(tree).await?);
        }
        Ok::<_, ApiError>(runs)
    };
    let most = gateway.config.execute_wait;
    tokio::time::timeout(most, all).await.unwrap_or_else(|_| {
        let detail =
            format!("the run of {root} has not ended after {} s; it goes on", most.as_secs_f64());
        let which = Problem::new(Code::Timeout, "the run goes on").of_task(root.as_str());
        Err(ApiError { problems: vec![which], ..ApiError::new(Code::Timeout, detail) }
            .hint("ask with tasks.get, or send `wait: false` next time"))
    })
}

pub(crate) async fn cancel(
    gateway: &Gateway,
    caller: &Caller,
    cancel: Cancel,
) -> Result<Reply, ApiError> {
    let Cancel { tasks, force, message } = cancel;
    let message = message.unwrap_or_else(|| {
        let text = if force { "Force cancelled by user" } else { "Cancelled by user" };
        text.to_owned()
    });
    // Somebody else's task is treated like one that does not exist.
    let mut hidden = vec![false; tasks.len()];
    if caller.bound_to().is_some() {
        for (hidden, task) in hidden.iter_mut().zip(&tasks) {
            *hidden = gateway.visible(caller, task).await?.is_none();
        }
    }
    let batch: Vec<store::Cancel> = tasks
        .iter()
        .zip(&hidden)
        .filter(|(_, hidden)| !**hidden)
        .map(|(task, _)| store::Cancel { task: task.clone(), reason: message.clone() })
        .collect();
    let mut answers =
        if batch.is_empty() { Vec::new() } else { gateway.backend.cancel(batch).await? }
            .into_iter();
    let items = tasks
        .into_iter()
        .zip(hidden)
        .map(|(task, hidden)| {
            let answer = if hidden { None } else { answers.next() };
            let answer = answer.unwrap_or(CancelAnswer::NoSuchTask);
            Cancelled { task, answer, message: message.clone(), force }
        })
        .collect();
    Ok(Reply::Cancelled(items))
}
