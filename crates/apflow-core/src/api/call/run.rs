//! Reading the parameters of execute and cancel.

use serde_json::Value;

use super::{
    Call, ID, Read,
    author::{Create, idempotency_key, new_tasks},
    callback::{self, CallbackWish},
};
use crate::{
    api::{ApiError, params::Params},
    id::TaskId,
};

/// The most characters a reason for a cancellation may have.
pub(in crate::api) const MAX_REASON: usize = 10_000;

/// What to run.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the wire")]
pub struct Execute {
    /// A stored task, or new ones.
    pub what: ExecuteWhat,
    /// Answer when the run has ended, not when it has begun.
    pub wait: bool,
    /// Run again although everything completed.
    pub reexecute: bool,
    /// Answer with the events of the run as they happen, where the wire can.
    pub streaming: bool,
    /// Where to tell of the run.
    pub callback: Option<CallbackWish>,
    /// Call no executor; every result is a demonstration.
    pub demo: bool,
}

/// A stored task, or new ones.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecuteWhat {
    /// A root with its whole submission, or another task with what it depends on.
    Stored {
        /// The task.
        task: TaskId,
        /// Two requests with one key are one request.
        idempotency_key: Option<String>,
    },
    /// Store these and run them.
    New(Create),
}

/// What to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// The tasks.
    pub tasks: Vec<TaskId>,
    /// The caller's word, echoed; a cancellation is never refused for a running task anyway.
    pub force: bool,
    /// What to store as the reason.
    pub message: Option<String>,
}

pub(super) fn execute(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.execute", params)?;
    let streaming = params.flag("use_streaming", false)?;
    let demo = params.flag("use_demo", false)?;
    let callback = match params.object("webhook_config")? {
        // An empty one means none, as it did in Python.
        Some(config) if !config.is_empty() => Some(callback::read(config)?),
        _ => None,
    };
    // Whoever follows the run has its answer at once.
    let wait = params.flag("wait", true)? && !streaming && callback.is_none();
    let reexecute = params.flag("reexecute", false)?;
    let what = match (params.take(&["tasks"]), params.id(ID)?) {
        (_, Some(task)) => {
            ExecuteWhat::Stored { task, idempotency_key: idempotency_key(&mut params)? }
        }
        (Some((_, tasks)), None) => ExecuteWhat::New(new_tasks(&mut params, tasks)?),
        (None, None) => {
            let missing = "Either task_id or tasks array is required";
            return Err(ApiError::missing("task_id", "a task id, or `tasks`", missing));
        }
    };
    let execute = Execute { what, wait, reexecute, streaming, callback, demo };
    Ok(Read { call: Call::Execute(execute), warnings: params.warnings() })
}

pub(super) fn cancel(method: &'static str, params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new(method, params)?;
    let mut tasks = params.ids(&["task_ids", "context_ids"])?;
    // The documents and the MCP tool of v1 say `task_id`.
    if let Some(task) = params.id(ID)?
        && tasks.is_empty()
    {
        tasks.push(task);
    }
    let force = params.flag("force", false)?;
    let message = params.text("error_message")?.filter(|text| !text.trim().is_empty());
    if message.as_deref().is_some_and(|text| text.chars().count() > MAX_REASON) {
        let expected = format!("at most {MAX_REASON} characters");
        return Err(ApiError::invalid("error_message", expected, "longer"));
    }
    let cancel = Cancel { tasks, force, message };
    Ok(Read { call: Call::Cancel(cancel), warnings: params.warnings() })
}
