//! Reading the parameters of create and update.

use serde_json::{Map, Value};

use super::{Call, ID, Read};
use crate::{
    api::{
        ApiError,
        params::{Params, describe},
        patch,
    },
    id::{TaskId, check_id},
    store::Patch,
    task::TreeOptions,
};

/// Tasks to store.
#[derive(Debug, Clone, PartialEq)]
pub struct Create {
    /// One task object or an array of them, as they came.
    pub tasks: Value,
    /// What holds for each of their trees.
    pub options: TreeOptions,
    /// Two requests with one key are one request.
    pub idempotency_key: Option<String>,
}

/// What to change.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The task.
    pub task: TaskId,
    /// The changes.
    pub patch: Patch,
}

/// One task object, an array of tasks, or `{tasks: […]}` with options beside it.
pub(super) fn create(params: Value) -> Result<Read, ApiError> {
    let wrapped = matches!(&params, Value::Object(map) if map.contains_key("tasks") && !map.contains_key("name"));
    if !wrapped {
        if !matches!(params, Value::Object(_) | Value::Array(_)) {
            let expected = "a task object, or an array of them";
            return Err(ApiError::invalid("params", expected, describe(&params)));
        }
        let create =
            Create { tasks: params, options: TreeOptions::default(), idempotency_key: None };
        return Ok(Read { call: Call::Create(create), warnings: Vec::new() });
    }
    let mut params = Params::new("tasks.create", params)?;
    let Some((_, tasks)) = params.take(&["tasks"]) else {
        return Err(ApiError::missing("tasks", "an array of tasks", "Tasks array cannot be empty"));
    };
    let create = new_tasks(&mut params, tasks)?;
    Ok(Read { call: Call::Create(create), warnings: params.warnings() })
}

pub(super) fn new_tasks(params: &mut Params, tasks: Value) -> Result<Create, ApiError> {
    if !matches!(tasks, Value::Array(_) | Value::Object(_)) {
        return Err(ApiError::invalid("tasks", "an array of task objects", describe(&tasks)));
    }
    let options = match params.object("options")? {
        None => TreeOptions::default(),
        Some(options) => serde_json::from_value(Value::Object(options)).map_err(|error| {
            let expected = "an object with on_failure, structure_order, timeout_seconds, \
                max_steps, max_spawned, max_depth";
            ApiError::invalid("options", expected, error.to_string())
        })?,
    };
    let idempotency_key = idempotency_key(params)?;
    Ok(Create { tasks, options, idempotency_key })
}

/// The caller's key for the request.
pub(super) fn idempotency_key(params: &mut Params) -> Result<Option<String>, ApiError> {
    let key = params.text("idempotency_key")?;
    match key.as_deref().and_then(check_id) {
        Some(why) => {
            Err(ApiError::invalid("idempotency_key", "a text of 1 to 255 characters", why))
        }
        None => Ok(key),
    }
}

/// Flat fields beside `task_id`, as shipped, or `{task_id, updates: {…}}`, as documented.
pub(super) fn update(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.update", params)?;
    let Some(task) = params.id(ID)? else {
        return Err(ApiError::missing("task_id", "a task id", "Task ID is required"));
    };
    let (fields, mut warnings): (Map<String, Value>, _) = if params.has("updates") {
        let fields = params.object("updates")?.unwrap_or_default();
        (fields, params.warnings())
    } else {
        (params.rest(), Vec::new())
    };
    let (patch, ignored) = patch::read(fields)?;
    warnings.extend(ignored);
    Ok(Read { call: Call::Update(Update { task, patch }), warnings })
}
