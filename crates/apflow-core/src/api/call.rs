//! What a client can ask for: one variant per operation, and the reading of its parameters.
//!
//! Both shapes are read: the one the Python server shipped and the one its documents wrote
//! (ruling 27). Parameters nobody knows are left out with a warning (ruling 34).

use serde_json::{Map, Value};

use super::{
    ApiError,
    params::{Params, describe},
    patch,
};
use crate::{
    code::Code,
    id::{TaskId, check_id},
    store::{Page, Patch},
    task::{Status, TreeOptions},
};

/// One request, ready to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Store tasks.
    Create(Create),
    /// Read one task.
    Get(TaskId),
    /// Read many tasks.
    List(List),
    /// Read a task and everything below it.
    Tree(TaskId),
    /// Read what hangs directly under a task.
    Children(Children),
    /// Count tasks by status.
    Count(Count),
    /// Run tasks.
    Execute(Execute),
    /// Stop tasks.
    Cancel(Cancel),
    /// Change a task.
    Update(Update),
    /// Delete a task and everything below it.
    Delete(TaskId),
    /// Read the tasks in progress.
    RunningList(RunningList),
    /// Ask how several tasks stand.
    RunningStatus(Vec<TaskId>),
    /// Count the tasks in progress.
    RunningCount {
        /// Only this owner's.
        user_id: Option<String>,
    },
    /// Ask whether the process is well.
    Health,
    /// List the executors.
    Executors,
}

/// A call, and what had to be ignored to understand it.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The call.
    pub call: Call,
    /// One sentence for each thing that was ignored.
    pub warnings: Vec<String>,
}

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

/// Which tasks to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Only this owner's.
    pub user_id: Option<String>,
    /// Only those that stand here.
    pub status: Option<Status>,
    /// Only those without a parent.
    pub root_only: bool,
    /// Which part.
    pub page: Page,
    /// Answer with an object that has the total, not with a bare array.
    pub paged: bool,
}

/// Whose children to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Children {
    /// The parent.
    pub parent: TaskId,
    /// Which part.
    pub page: Page,
}

/// Which tasks to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Only this owner's.
    pub user_id: Option<String>,
    /// Only those without a parent.
    pub root_only: bool,
    /// Only these statuses; empty: all five.
    pub statuses: Vec<Status>,
}

/// What to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Execute {
    /// A stored task, or new ones.
    pub what: ExecuteWhat,
    /// Answer when the run has ended, not when it has begun.
    pub wait: bool,
    /// Run again although everything completed.
    pub reexecute: bool,
}

/// A stored task, or new ones.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecuteWhat {
    /// A root with its whole submission, or another task with what it depends on.
    Stored(TaskId),
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

/// What to change.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The task.
    pub task: TaskId,
    /// The changes.
    pub patch: Patch,
}

/// Which tasks in progress to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningList {
    /// Only this owner's.
    pub user_id: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// The most characters a reason for a cancellation may have.
const MAX_REASON: usize = 10_000;

impl Call {
    /// Reads a call from its method name and parameters.
    pub fn read(method: &str, params: Value) -> Result<Read, ApiError> {
        match method {
            "tasks.create" => create(params),
            "tasks.get" => one_task("tasks.get", params, GET_NEEDS, Self::Get),
            "tasks.detail" => one_task("tasks.detail", params, GET_NEEDS, Self::Get),
            "tasks.list" => list(params),
            "tasks.tree" => {
                let needs = (&["task_id", "root_id", "id"][..], "Task ID or root_id is required");
                one_task("tasks.tree", params, needs, Self::Tree)
            }
            "tasks.children" => children(params),
            "tasks.count" => count(params),
            "tasks.execute" => execute(params),
            "tasks.cancel" => cancel("tasks.cancel", params),
            "tasks.running.cancel" => cancel("tasks.running.cancel", params),
            "tasks.update" => update(params),
            "tasks.delete" => {
                one_task("tasks.delete", params, (ID, "Task ID is required"), Self::Delete)
            }
            "tasks.running.list" => running_list(params),
            "tasks.running.status" => running_status(params),
            "tasks.running.count" => {
                let mut params = Params::new("tasks.running.count", params)?;
                let user_id = params.text("user_id")?;
                Ok(Read { call: Self::RunningCount { user_id }, warnings: params.warnings() })
            }
            "system.health" => nothing("system.health", params, Self::Health),
            "system.executors" => nothing("system.executors", params, Self::Executors),
            _ => Err(ApiError::new(Code::UnknownMethod, format!("Unknown method: {method}"))),
        }
    }
}

/// The names a task's own id goes by.
const ID: &[&str] = &["task_id", "id"];
/// What `tasks.get` says when there is none.
const GET_NEEDS: (&[&str], &str) =
    (ID, "Task ID is required. Please provide 'task_id' or 'id' parameter.");

fn one_task(
    method: &'static str,
    params: Value,
    (names, missing): (&[&'static str], &str),
    call: fn(TaskId) -> Call,
) -> Result<Read, ApiError> {
    let mut params = Params::new(method, params)?;
    let Some(task) = params.id(names)? else {
        return Err(ApiError::missing("task_id", "a task id", missing));
    };
    Ok(Read { call: call(task), warnings: params.warnings() })
}

fn nothing(method: &'static str, params: Value, call: Call) -> Result<Read, ApiError> {
    Ok(Read { call, warnings: Params::new(method, params)?.warnings() })
}

/// One task object, an array of tasks, or `{tasks: […]}` with options beside it.
fn create(params: Value) -> Result<Read, ApiError> {
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

fn new_tasks(params: &mut Params, tasks: Value) -> Result<Create, ApiError> {
    if !matches!(tasks, Value::Array(_) | Value::Object(_)) {
        return Err(ApiError::invalid("tasks", "an array of task objects", describe(&tasks)));
    }
    let options = match params.object("options")? {
        None => TreeOptions::default(),
        Some(options) => serde_json::from_value(Value::Object(options)).map_err(|error| {
            let expected = "an object with on_failure, structure_order, timeout_seconds";
            ApiError::invalid("options", expected, error.to_string())
        })?,
    };
    let idempotency_key = params.text("idempotency_key")?;
    if let Some(why) = idempotency_key.as_deref().and_then(check_id) {
        return Err(ApiError::invalid("idempotency_key", "a text of 1 to 255 characters", why));
    }
    Ok(Create { tasks, options, idempotency_key })
}

fn execute(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.execute", params)?;
    for name in ["use_streaming", "use_demo"] {
        if params.flag(name, false)? {
            return Err(unsupported(name));
        }
    }
    if let Some(callback) = params.object("webhook_config")?.filter(|object| !object.is_empty()) {
        return Err(match callback.get("url") {
            Some(Value::String(url)) if !url.is_empty() => unsupported("webhook_config"),
            _ => ApiError::missing(
                "webhook_config.url",
                "an address",
                "webhook_config.url is required",
            ),
        });
    }
    let wait = params.flag("wait", true)?;
    let reexecute = params.flag("reexecute", false)?;
    let what = match (params.take(&["tasks"]), params.id(ID)?) {
        (_, Some(task)) => ExecuteWhat::Stored(task),
        (Some((_, tasks)), None) => ExecuteWhat::New(new_tasks(&mut params, tasks)?),
        (None, None) => {
            let missing = "Either task_id or tasks array is required";
            return Err(ApiError::missing("task_id", "a task id, or `tasks`", missing));
        }
    };
    let execute = Execute { what, wait, reexecute };
    Ok(Read { call: Call::Execute(execute), warnings: params.warnings() })
}

/// A wish that would change what the caller sees cannot be ignored with a warning.
fn unsupported(name: &str) -> ApiError {
    let detail = format!("this server does not support `{name}`; nothing was run");
    ApiError::refused(Code::InvalidParams, name, detail)
        .hint("send `wait: false` and ask with tasks.get")
}

fn list(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.list", params)?;
    let user_id = params.text("user_id")?;
    let status = match params.take(&["status"]) {
        None => None,
        Some((name, value)) => Some(status_word(name, &value)?),
    };
    let root_only = params.flag("root_only", true)?;
    let page = page(&mut params, Page::default().limit)?;
    let paged = params.flag("page", false)?;
    let list = List { user_id, status, root_only, page, paged };
    Ok(Read { call: Call::List(list), warnings: params.warnings() })
}

fn page(params: &mut Params, limit: u32) -> Result<Page, ApiError> {
    Ok(Page {
        limit: params.number("limit", limit, Page::MAX)?,
        offset: params.number("offset", 0, u32::MAX)?,
    })
}

fn children(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.children", params)?;
    let Some(parent) = params.id(&["parent_id", "task_id"])? else {
        let missing =
            "Parent task ID is required. Please provide 'parent_id' or 'task_id' parameter.";
        return Err(ApiError::missing("parent_id", "a task id", missing));
    };
    let page = page(&mut params, Page::MAX)?;
    Ok(Read { call: Call::Children(Children { parent, page }), warnings: params.warnings() })
}

fn count(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.count", params)?;
    let user_id = params.text("user_id")?;
    let root_only = params.flag("root_only", false)?;
    let statuses = match params.take(&["statuses"]) {
        None => Vec::new(),
        Some((name, Value::Array(words))) => {
            let mut statuses = Vec::new();
            for word in &words {
                let status = status_word(name, word)?;
                if !statuses.contains(&status) {
                    statuses.push(status);
                }
            }
            statuses
        }
        Some((name, other)) => {
            return Err(ApiError::invalid(name, "an array of statuses", describe(&other)));
        }
    };
    let count = Count { user_id, root_only, statuses };
    Ok(Read { call: Call::Count(count), warnings: params.warnings() })
}

/// One of the five public words.
pub(super) fn status_word(name: &str, value: &Value) -> Result<Status, ApiError> {
    value.as_str().and_then(Status::parse).ok_or_else(|| {
        let words: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        ApiError::invalid(name, format!("one of {}", words.join(", ")), describe(value))
    })
}

fn cancel(method: &'static str, params: Value) -> Result<Read, ApiError> {
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

/// Flat fields beside `task_id`, as shipped, or `{task_id, updates: {…}}`, as documented.
fn update(params: Value) -> Result<Read, ApiError> {
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

fn running_list(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.running.list", params)?;
    let user_id = params.text("user_id")?;
    let limit = params.number("limit", Page::default().limit, Page::MAX)?;
    let list = RunningList { user_id, limit };
    Ok(Read { call: Call::RunningList(list), warnings: params.warnings() })
}

fn running_status(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.running.status", params)?;
    let mut tasks = params.ids(&["task_ids", "context_ids"])?;
    if let Some(task) = params.id(ID)?
        && tasks.is_empty()
    {
        tasks.push(task);
    }
    Ok(Read { call: Call::RunningStatus(tasks), warnings: params.warnings() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(method: &str, params: Value) -> Call {
        let read = Call::read(method, params).expect("a good call");
        assert!(read.warnings.is_empty(), "{:?}", read.warnings);
        read.call
    }

    #[test]
    fn both_shapes_of_an_update_say_the_same() {
        let flat = read("tasks.update", json!({"task_id": "a", "name": "n", "priority": 0}));
        let nested =
            read("tasks.update", json!({"id": "a", "updates": {"name": "n", "priority": 0}}));
        assert_eq!(flat, nested);
        assert!(matches!(flat, Call::Update(update) if update.patch.name.as_deref() == Some("n")));
    }

    #[test]
    fn a_cancel_takes_one_id_or_many_under_each_of_their_names() {
        for params in [
            json!({"task_id": "a"}),
            json!({"task_ids": ["a"]}),
            json!({"context_ids": "a"}),
            json!({"id": "a"}),
        ] {
            let call = read("tasks.cancel", params.clone());
            assert!(
                matches!(&call, Call::Cancel(cancel) if cancel.tasks == [TaskId::new("a")]),
                "{params}"
            );
            assert_eq!(call, read("tasks.running.cancel", params));
        }
    }

    #[test]
    fn created_tasks_come_alone_in_an_array_or_with_options() {
        let alone = read("tasks.create", json!({"name": "a", "tasks": "a custom field"}));
        assert!(matches!(alone, Call::Create(create) if create.tasks.is_object()));
        let array = read("tasks.create", json!([{"name": "a"}]));
        assert!(matches!(array, Call::Create(create) if create.tasks.is_array()));
        let params = json!({"tasks": [{"name": "a"}], "options": {"on_failure": "fail_fast"},
            "idempotency_key": "k"});
        let Call::Create(create) = read("tasks.create", params) else { panic!("a create") };
        assert_eq!(create.options.on_failure, crate::task::OnFailure::FailFast);
        assert_eq!(create.idempotency_key.as_deref(), Some("k"));
        let params = json!({"tasks": [], "options": {"on_failure": "shrug"}});
        let error = Call::read("tasks.create", params).expect_err("no such word");
        assert_eq!(error.problems[0].field.as_deref(), Some("options"));
    }

    #[test]
    fn a_missing_id_is_told_in_the_words_of_the_python_server() {
        for (method, text) in [
            ("tasks.get", "Task ID is required. Please provide 'task_id' or 'id' parameter."),
            ("tasks.update", "Task ID is required"),
            ("tasks.delete", "Task ID is required"),
            ("tasks.tree", "Task ID or root_id is required"),
            (
                "tasks.children",
                "Parent task ID is required. Please provide 'parent_id' or 'task_id' parameter.",
            ),
            ("tasks.execute", "Either task_id or tasks array is required"),
        ] {
            let error = Call::read(method, json!({"task_id": ""})).expect_err(method);
            assert_eq!((error.code, error.detail.as_str()), (Code::InvalidParams, text));
        }
    }

    #[test]
    fn an_execution_waits_unless_told_otherwise_and_refuses_what_it_cannot_do() {
        let call = read("tasks.execute", json!({"task_id": "a", "webhook_config": {}}));
        assert!(matches!(call, Call::Execute(Execute { wait: true, reexecute: false, .. })));
        for params in [
            json!({"task_id": "a", "use_streaming": true}),
            json!({"task_id": "a", "use_demo": true}),
            json!({"task_id": "a", "webhook_config": {"url": "http://x"}}),
        ] {
            let error = Call::read("tasks.execute", params).expect_err("not supported");
            assert!(error.detail.contains("does not support"), "{error}");
        }
        let error =
            Call::read("tasks.execute", json!({"task_id": "a", "webhook_config": {"a": 1}}))
                .expect_err("no url");
        assert_eq!(error.detail, "webhook_config.url is required");
    }

    #[test]
    fn a_list_has_limits_and_an_unknown_parameter_is_told() {
        let Call::List(list) = read("tasks.list", json!({"limit": 1_000_000_000})) else {
            panic!("a list")
        };
        assert_eq!(list.page, Page { limit: 1000, offset: 0 });
        assert!(list.root_only && !list.paged);
        let read = Call::read("tasks.list", json!({"colour": "red"})).expect("ignored");
        assert_eq!(read.warnings, ["`colour` is not a parameter of tasks.list and was ignored"]);
        let error = Call::read("tasks.list", json!({"status": "weird"})).expect_err("no status");
        assert!(error.detail.contains("pending, in_progress"), "{error}");
    }
}
