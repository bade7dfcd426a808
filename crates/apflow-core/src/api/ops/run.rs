//! Starting and stopping runs: execute, cancel.

use serde_json::json;

use super::author;
use crate::{
    api::{
        ApiError, Caller, Gateway, Reply,
        call::{Cancel, Execute, ExecuteWhat},
        reply::{Cancelled, Executed, Linked},
    },
    code::Code,
    id::{TaskId, TreeId},
    problem::Problem,
    store::{self, CancelAnswer, NewCallback, Start, StartScope, StoreError},
    task::{OriginType, RunSummary},
};

pub(crate) async fn execute(
    gateway: &Gateway,
    caller: &Caller,
    execute: Execute,
) -> Result<Reply, ApiError> {
    let shown = execute.callback.as_ref().map(|wish| wish.target.url.clone());
    let callback = match &execute.callback {
        // Nothing runs of which the caller would never hear.
        Some(wish) => Some(gateway.backend.callback(wish)?),
        None => None,
    };
    let begun = match execute.what {
        ExecuteWhat::Stored { task, idempotency_key } => {
            let wish = Wish { reexecute: execute.reexecute, idempotency_key };
            stored(gateway, caller, task, wish, callback, shown.as_deref()).await
        }
        ExecuteWhat::New(create) => {
            let (inserted, warnings) =
                author::submit(gateway, caller, create, true, callback, shown.as_deref()).await?;
            let Some(root) = inserted.roots.first().cloned() else {
                return Err(ApiError::new(Code::Internal, "nothing was stored"));
            };
            Ok(Executed {
                task: root.clone(),
                root,
                idle: false,
                after: first_event(gateway, &inserted.trees, execute.streaming).await?,
                trees: inserted.trees,
                streaming: false,
                callback: None,
                runs: Vec::new(),
                warnings,
            })
        }
    };
    let mut executed = match begun {
        Ok(executed) => executed,
        Err(NotBegun::AlreadyRunning(root)) => return Ok(Reply::AlreadyRunning { root }),
        Err(NotBegun::Link(linked)) => return Ok(Reply::Linked(linked)),
        Err(NotBegun::Error(error)) => return Err(*error),
    };
    executed.streaming = execute.streaming;
    executed.callback = shown;
    if execute.wait {
        executed.runs = wait(gateway, &executed.root, &executed.trees).await?;
    }
    Ok(Reply::Executed(Box::new(executed)))
}

/// How a stored task is to be run.
struct Wish {
    reexecute: bool,
    idempotency_key: Option<String>,
}

enum NotBegun {
    AlreadyRunning(TaskId),
    /// A link runs nothing, and is done.
    Link(Box<Linked>),
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
    wish: Wish,
    callback: Option<NewCallback>,
    callback_url: Option<&str>,
) -> Result<Executed, NotBegun> {
    let Wish { reexecute, idempotency_key } = wish;
    let record = gateway.existing(caller, &task).await?;
    let start = Start { task: task.clone(), scope: StartScope::Auto, reexecute, callback };
    let started = match idempotency_key {
        None => gateway.backend.start(start).await,
        Some(key) => {
            // Whether somebody waits for it makes it no other request.
            let mut body = json!({ "execute": task, "reexecute": reexecute });
            if let Some(url) = callback_url {
                body["callback"] = json!(url);
            }
            gateway.backend.start_once(start, author::promise(caller, key, &body)).await
        }
    };
    let started = match started {
        Ok(started) => started,
        // For a client this is an answer, not an error.
        Err(StoreError::AlreadyRunning { root }) => return Err(NotBegun::AlreadyRunning(root)),
        Err(error) => return Err(error.into()),
    };
    if record.definition.origin.kind == OriginType::Link {
        let (root, status) = (started.root, record.task.state.status());
        let original = record.definition.origin.original_task_id.unwrap_or_else(|| task.clone());
        return Err(NotBegun::Link(Box::new(Linked { root, task, original, status })));
    }
    let mut trees = started.trees;
    if trees.is_empty() {
        trees.push(started.tree);
    }
    Ok(Executed {
        root: started.root,
        task,
        idle: started.tasks == 0,
        trees,
        after: started.after,
        streaming: false,
        callback: None,
        runs: Vec::new(),
        warnings: Vec::new(),
    })
}

/// Before which position nothing happened in trees that were just stored.
///
/// One tree is read by itself, so it needs none; several are read out of everything that happens.
async fn first_event(
    gateway: &Gateway,
    trees: &[TreeId],
    streaming: bool,
) -> Result<i64, ApiError> {
    match (trees, gateway.feed()) {
        ([first, _, ..], Some(feed)) if streaming => Ok(feed.begin_of(first).await?),
        _ => Ok(0),
    }
}

/// Waits for every tree, together no longer than the configured time.
pub(super) async fn wait(
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
