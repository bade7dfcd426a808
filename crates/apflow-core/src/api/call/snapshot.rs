//! Reading the parameters of the operations on snapshots and checkpoints.

use serde_json::{Map, Value};

use super::{Call, ID, Read};
use crate::{
    api::{ApiError, params::Params},
    id::TaskId,
    portable::{Files, bad_name},
};

/// What is to be done about snapshots.
#[derive(Debug, Clone, PartialEq)]
pub enum SnapshotCall {
    /// Remember how a submission stands.
    Create {
        /// A task of it.
        task: TaskId,
        /// What to call it.
        name: String,
        /// What to remember with it.
        note: Map<String, Value>,
    },
    /// List what is remembered.
    List(TaskId),
    /// Begin a run from there.
    Restore(TaskId, String),
    /// Forget one.
    Delete(TaskId, String),
    /// Read one as three documents.
    Export(TaskId, String),
    /// Keep one that was exported.
    Import {
        /// The documents.
        files: Box<Files>,
        /// What to call it here; the name in the documents if it is not said.
        name: Option<String>,
    },
    /// Read what an attempt put aside.
    Checkpoint(TaskId),
}

impl SnapshotCall {
    /// The id of its operation.
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::Create { .. } => "snapshots.create",
            Self::List(_) => "snapshots.list",
            Self::Restore(..) => "snapshots.restore",
            Self::Delete(..) => "snapshots.delete",
            Self::Export(..) => "snapshots.export",
            Self::Import { .. } => "snapshots.import",
            Self::Checkpoint(_) => "checkpoints.get",
        }
    }
}

fn done(call: SnapshotCall, params: Params) -> Read {
    Read { call: Call::Snapshot(Box::new(call)), warnings: params.warnings() }
}

fn task(params: &mut Params) -> Result<TaskId, ApiError> {
    let task = params.id(ID)?;
    task.ok_or_else(|| ApiError::missing("task_id", "a task id", "Task ID is required"))
}

/// A name that was said, if it can be one.
fn checked(name: String) -> Result<String, ApiError> {
    match bad_name(&name) {
        None => Ok(name),
        Some(why) => {
            let expected = format!("the name of a snapshot, which {why}");
            Err(ApiError::invalid("name", expected, format!("{name:?}")))
        }
    }
}

fn name(params: &mut Params) -> Result<String, ApiError> {
    let missing = || ApiError::missing("name", "a name", "name is required");
    checked(params.text("name")?.ok_or_else(missing)?)
}

pub(super) fn create(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("snapshots.create", params)?;
    let (task, name) = (task(&mut params)?, name(&mut params)?);
    let note = params.object("note")?.unwrap_or_default();
    Ok(done(SnapshotCall::Create { task, name, note }, params))
}

pub(super) fn of_task(
    method: &'static str,
    params: Value,
    call: fn(TaskId) -> SnapshotCall,
) -> Result<Read, ApiError> {
    let mut params = Params::new(method, params)?;
    let task = task(&mut params)?;
    Ok(done(call(task), params))
}

pub(super) fn one(
    method: &'static str,
    params: Value,
    call: fn(TaskId, String) -> SnapshotCall,
) -> Result<Read, ApiError> {
    let mut params = Params::new(method, params)?;
    let (task, name) = (task(&mut params)?, name(&mut params)?);
    Ok(done(call(task, name), params))
}

pub(super) fn import(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("snapshots.import", params)?;
    let mut document = |name: &'static str| {
        let missing =
            || ApiError::missing(name, "a document of the export", &format!("{name} is required"));
        params.object(name)?.map(Value::Object).ok_or_else(missing)
    };
    let files =
        Files { context: document("context")?, state: document("state")?, meta: document("meta")? };
    let name = params.text("name")?.map(checked).transpose()?;
    Ok(done(SnapshotCall::Import { files: Box::new(files), name }, params))
}
