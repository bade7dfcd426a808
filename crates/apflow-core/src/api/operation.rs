//! The catalogue: what each operation is called, what it takes and gives, and how careful to be with it.
//!
//! Every protocol, the command line and the generated reference are made from it (ruling 26).

use serde_json::{Map, Value, json};

use super::reply::PROTOCOL_VERSION;
use crate::store::Page;

/// One thing apflow can be asked to do.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// The JSON-RPC method.
    pub id: &'static str,
    /// The module id for MCP, A2A and apcore (ruling 29).
    pub module: &'static str,
    /// The MCP tool name of v1, if it had one.
    pub mcp: Option<&'static str>,
    /// A short title.
    pub name: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Which shelf it stands on.
    pub category: Category,
    /// Words to find it by.
    pub tags: &'static [&'static str],
    /// How careful to be with it.
    pub annotations: Annotations,
    /// Example parameters, as JSON text.
    pub examples: &'static [&'static str],
    input: fn() -> Value,
    output: fn() -> Value,
}

impl Operation {
    /// JSON Schema of the parameters.
    pub fn input_schema(&self) -> Value {
        (self.input)()
    }

    /// JSON Schema of the result.
    pub fn output_schema(&self) -> Value {
        (self.output)()
    }

    /// The operation with this method name, module id or MCP name.
    pub fn find(name: &str) -> Option<&'static Self> {
        OPERATIONS
            .iter()
            .find(|it| it.id == name || it.module == name || it.mcp.is_some_and(|mcp| mcp == name))
    }
}

/// The shelves of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Makes things happen.
    AgentAction,
    /// Writes and reads single tasks.
    Crud,
    /// Reads many.
    Query,
    /// Looks at what goes on.
    Monitoring,
    /// Asks about the process.
    System,
}

impl Category {
    /// Every shelf, in the order v1 lists them.
    pub const ALL: [Self; 5] =
        [Self::AgentAction, Self::Crud, Self::Query, Self::Monitoring, Self::System];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentAction => "agent_action",
            Self::Crud => "crud",
            Self::Query => "query",
            Self::Monitoring => "monitoring",
            Self::System => "system",
        }
    }
}

/// How careful to be with an operation, in apcore's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the vocabulary is apcore's")]
pub struct Annotations {
    /// It changes nothing.
    pub readonly: bool,
    /// What it does cannot be undone.
    pub destructive: bool,
    /// Doing it twice is doing it once.
    pub idempotent: bool,
    /// It may reach beyond apflow.
    pub open_world: bool,
    /// It can tell what happens while it happens.
    pub streaming: bool,
}

const READS: Annotations = Annotations {
    readonly: true,
    destructive: false,
    idempotent: true,
    open_world: false,
    streaming: false,
};
const WRITES: Annotations = Annotations { readonly: false, idempotent: false, ..READS };
const REPLACES: Annotations = Annotations { readonly: false, ..READS };
const DESTROYS: Annotations = Annotations { destructive: true, ..REPLACES };

/// Every operation; those of v1 first and in its order.
pub static OPERATIONS: &[Operation] = &[
    Operation {
        id: "tasks.execute",
        module: "apflow.task.execute",
        mcp: Some("execute_task"),
        name: "Execute tasks",
        description: "Runs a stored task with everything it depends on, or stores new tasks and \
                      runs them, and answers when the run has ended.",
        category: Category::AgentAction,
        tags: &["task", "orchestration", "workflow", "execution"],
        annotations: Annotations { open_world: true, ..WRITES },
        examples: &[
            r#"{"task_id":"report"}"#,
            r#"{"tasks":[{"name":"facts","schemas":{"method":"system_info_executor"}}],"wait":false}"#,
        ],
        input: || {
            object(&[
                ("task_id", false, text("A stored task; a root runs with its whole submission.")),
                ("tasks", false, tasks_in("New tasks to store and run, instead of task_id.")),
                ("wait", false, flag("Answer when the run has ended.", true)),
                ("reexecute", false, flag("Run again although everything completed.", false)),
                ("options", false, options()),
                ("idempotency_key", false, text("Two requests with one key are one request.")),
            ])
        },
        output: || {
            object(&[
                ("success", true, json!({"type": "boolean"})),
                ("root_task_id", true, text("The root of the tree.")),
                ("task_id", false, text("The task that was asked for.")),
                ("status", true, json!({"enum": ["started", "already_running"]})),
                ("message", true, text("What happened, in words.")),
                ("outcome", false, json!({"enum": ["completed", "failed", "cancelled"]})),
                ("failed_tasks", false, ids("Tasks that failed.")),
                ("blocked_tasks", false, ids("Tasks that a failure keeps from running.")),
            ])
        },
    },
    Operation {
        id: "tasks.cancel",
        module: "apflow.task.cancel",
        mcp: Some("cancel_task"),
        name: "Cancel tasks",
        description: "Stops tasks with everything below them and everything that requires them.",
        category: Category::AgentAction,
        tags: &["task", "cancel", "stop", "control"],
        annotations: DESTROYS,
        examples: &[r#"{"task_ids":["report"],"error_message":"no longer needed"}"#],
        input: || {
            object(&[
                ("task_id", false, text("The task to stop.")),
                ("task_ids", false, ids("The tasks to stop, if there are several.")),
                ("force", false, flag("Said back in the answer.", false)),
                ("error_message", false, text("What to store as the reason.")),
            ])
        },
        output: || {
            list_of(&object(&[
                ("task_id", true, text("The task.")),
                ("status", true, json!({"enum": ["cancelled", "failed"]})),
                ("message", true, text("What happened, in words.")),
                ("force", true, json!({"type": "boolean"})),
            ]))
        },
    },
    Operation {
        id: "tasks.create",
        module: "apflow.task.create",
        mcp: Some("create_task"),
        name: "Create tasks",
        description: "Stores tasks with their hierarchy and dependencies, and runs nothing.",
        category: Category::Crud,
        tags: &["task", "create", "crud"],
        annotations: WRITES,
        examples: &[
            r#"{"name":"facts","schemas":{"method":"system_info_executor"}}"#,
            r#"{"tasks":[{"id":"a","name":"a"},{"id":"b","name":"b","parent_id":"a"}]}"#,
        ],
        input: || {
            object(&[
                ("tasks", true, tasks_in("The tasks; one alone may be given without the array.")),
                ("options", false, options()),
                ("idempotency_key", false, text("Two requests with one key are one request.")),
            ])
        },
        output: || json!({"anyOf": [task(), list_of(&task())]}),
    },
    Operation {
        id: "tasks.get",
        module: "apflow.task.get",
        mcp: Some("get_task"),
        name: "Get a task",
        description: "Reads one task; the answer is null if there is none of that id.",
        category: Category::Crud,
        tags: &["task", "get", "crud", "read"],
        annotations: READS,
        examples: &[r#"{"task_id":"report"}"#],
        input: one_task,
        output: || json!({"anyOf": [task(), {"type": "null"}]}),
    },
    Operation {
        id: "tasks.update",
        module: "apflow.task.update",
        mcp: Some("update_task"),
        name: "Update a task",
        description: "Changes the fields that are given, all of them or none.",
        category: Category::Crud,
        tags: &["task", "update", "crud", "modify"],
        annotations: REPLACES,
        examples: &[
            r#"{"task_id":"report","name":"monthly report","priority":1}"#,
            r#"{"task_id":"report","updates":{"status":"pending"}}"#,
        ],
        input: || {
            object(&[
                ("task_id", true, text("The task.")),
                ("updates", false, map("The fields, if they do not stand beside task_id.")),
                ("name", false, text("Display name.")),
                ("status", false, status()),
                ("priority", false, priority()),
                ("inputs", false, map("What the executor is given.")),
                ("params", false, map("How the executor is built.")),
                ("schemas", false, map("`method` names the executor.")),
                ("dependencies", false, dependencies()),
                ("result", false, json!({"description": "The result."})),
                ("error", false, text("The error.")),
                ("progress", false, json!({"type": "number", "minimum": 0, "maximum": 1})),
                ("timeout_seconds", false, json!({"type": "number", "exclusiveMinimum": 0})),
                ("max_attempts", false, json!({"type": "integer", "minimum": 1, "maximum": 100})),
            ])
        },
        output: task,
    },
    Operation {
        id: "tasks.delete",
        module: "apflow.task.delete",
        mcp: Some("delete_task"),
        name: "Delete a task",
        description: "Deletes a task and everything below it, if all of it is pending and nothing \
                      else needs it.",
        category: Category::Crud,
        tags: &["task", "delete", "crud", "remove"],
        annotations: DESTROYS,
        examples: &[r#"{"task_id":"report"}"#],
        input: one_task,
        output: || {
            object(&[
                ("success", true, json!({"type": "boolean"})),
                ("task_id", true, text("The task.")),
                ("deleted_count", true, number("How many tasks went.")),
                ("children_deleted", true, number("How many of them were below it.")),
            ])
        },
    },
    Operation {
        id: "tasks.detail",
        module: "apflow.task.detail",
        mcp: Some("get_task_detail"),
        name: "Get a task in detail",
        description: "Reads one task; the same as tasks.get.",
        category: Category::Query,
        tags: &["task", "detail", "query", "read"],
        annotations: READS,
        examples: &[r#"{"task_id":"report"}"#],
        input: one_task,
        output: || json!({"anyOf": [task(), {"type": "null"}]}),
    },
    Operation {
        id: "tasks.tree",
        module: "apflow.task.tree",
        mcp: Some("get_task_tree"),
        name: "Get a tree",
        description: "Reads a task and everything below it as a tree.",
        category: Category::Query,
        tags: &["task", "tree", "query", "hierarchy"],
        annotations: READS,
        examples: &[r#"{"task_id":"report"}"#],
        input: one_task,
        output: || {
            object(&[
                ("task", true, task()),
                ("children", true, json!({"type": "array", "items": {"type": "object"}})),
            ])
        },
    },
    Operation {
        id: "tasks.list",
        module: "apflow.task.list",
        mcp: Some("list_tasks"),
        name: "List tasks",
        description: "Reads tasks, newest first, roots only unless told otherwise.",
        category: Category::Query,
        tags: &["task", "list", "query", "search"],
        annotations: READS,
        examples: &[r#"{"status":"failed","limit":20}"#, "{}"],
        input: || {
            object(&[
                ("status", false, status()),
                ("user_id", false, text("Only this owner's.")),
                ("root_only", false, flag("Only tasks without a parent.", true)),
                ("limit", false, limit(Page::default().limit)),
                ("offset", false, number("Skip so many.")),
                ("page", false, flag("Answer with {tasks, total, limit, offset}.", false)),
            ])
        },
        output: || list_of(&task()),
    },
    Operation {
        id: "tasks.children",
        module: "apflow.task.children",
        mcp: Some("get_task_children"),
        name: "Get children",
        description: "Reads the tasks directly under a task, the most urgent first.",
        category: Category::Query,
        tags: &["task", "children", "query", "hierarchy"],
        annotations: READS,
        examples: &[r#"{"parent_id":"report"}"#],
        input: || {
            object(&[
                ("parent_id", false, text("The parent.")),
                ("task_id", false, text("The same, by its other name.")),
                ("limit", false, limit(Page::MAX)),
                ("offset", false, number("Skip so many.")),
            ])
        },
        output: || list_of(&task()),
    },
    Operation {
        id: "tasks.running.list",
        module: "apflow.task.running",
        mcp: Some("list_running_tasks"),
        name: "List running tasks",
        description: "Reads the tasks that are in progress.",
        category: Category::Monitoring,
        tags: &["task", "running", "monitoring", "status"],
        annotations: READS,
        examples: &["{}"],
        input: || {
            object(&[
                ("user_id", false, text("Only this owner's.")),
                ("limit", false, limit(Page::default().limit)),
            ])
        },
        output: || list_of(&task()),
    },
    Operation {
        id: "tasks.running.status",
        module: "apflow.task.status",
        mcp: Some("get_task_status"),
        name: "Get the status of tasks",
        description: "Says of each task how it stands and whether it is being worked on.",
        category: Category::Monitoring,
        tags: &["task", "running", "status", "monitoring"],
        annotations: READS,
        examples: &[r#"{"task_ids":["report","facts"]}"#],
        input: || {
            object(&[
                ("task_id", false, text("The task.")),
                ("task_ids", false, ids("The tasks, if there are several.")),
            ])
        },
        output: || {
            list_of(&object(&[
                ("task_id", true, text("The task.")),
                ("status", true, text("One of the five statuses, or not_found.")),
                ("progress", true, json!({"type": "number"})),
                ("is_running", true, json!({"type": "boolean"})),
            ]))
        },
    },
    Operation {
        id: "tasks.running.count",
        module: "apflow.task.running_count",
        mcp: Some("count_running_tasks"),
        name: "Count running tasks",
        description: "Counts the tasks that are in progress.",
        category: Category::Monitoring,
        tags: &["task", "running", "count", "monitoring"],
        annotations: READS,
        examples: &["{}"],
        input: || object(&[("user_id", false, text("Only this owner's."))]),
        output: || object(&[("count", true, number("So many."))]),
    },
    Operation {
        id: "tasks.count",
        module: "apflow.task.count",
        mcp: None,
        name: "Count tasks",
        description: "Counts tasks by status.",
        category: Category::Query,
        tags: &["task", "count", "query"],
        annotations: READS,
        examples: &[r#"{"root_only":true}"#, r#"{"statuses":["failed"]}"#],
        input: || {
            object(&[
                ("user_id", false, text("Only this owner's.")),
                ("root_only", false, flag("Only tasks without a parent.", false)),
                ("statuses", false, json!({"type": "array", "items": status()})),
            ])
        },
        output: || object(&[("total", true, number("How many there are."))]),
    },
    Operation {
        id: "system.health",
        module: "apflow.system.health",
        mcp: None,
        name: "Health",
        description: "Says that the process is well, its version, and how much it runs.",
        category: Category::System,
        tags: &["system", "health"],
        annotations: READS,
        examples: &["{}"],
        input: || object(&[]),
        output: || {
            object(&[
                ("status", true, json!({"const": "healthy"})),
                ("version", true, text("Of apflow.")),
                ("running_tasks_count", true, number("Attempts that run in this process.")),
            ])
        },
    },
    Operation {
        id: "system.executors",
        module: "apflow.system.executors",
        mcp: None,
        name: "List executors",
        description: "Lists the executors that tasks may name, with what each takes and returns.",
        category: Category::System,
        tags: &["system", "executors", "discovery"],
        annotations: READS,
        examples: &["{}"],
        input: || object(&[]),
        output: || {
            object(&[
                ("executors", true, json!({"type": "array", "items": {"type": "object"}})),
                ("count", true, number("How many there are.")),
                ("restricted", true, json!({"type": "boolean"})),
            ])
        },
    },
];

/// The document of `GET /tasks/methods`; `protocols` says what this process serves.
pub fn methods(protocols: &Map<String, Value>) -> Value {
    let shown: Vec<_> = OPERATIONS.iter().filter(|it| it.category != Category::System).collect();
    let mut categories = Vec::new();
    let mut methods = Map::new();
    for category in Category::ALL {
        let list: Vec<Value> =
            shown.iter().filter(|it| it.category == category).map(|it| method(it)).collect();
        if !list.is_empty() {
            categories.push(category.as_str());
            methods.insert(category.as_str().to_owned(), Value::Array(list));
        }
    }
    json!({
        "total": shown.len(), "categories": categories, "methods": methods,
        "protocols": protocols, "protocol_version": PROTOCOL_VERSION,
    })
}

fn method(operation: &Operation) -> Value {
    let examples: Vec<Value> =
        operation.examples.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    let Annotations { readonly, destructive, idempotent, open_world, streaming } =
        operation.annotations;
    json!({
        "method": operation.id, "name": operation.name, "description": operation.description,
        "category": operation.category.as_str(), "tags": operation.tags,
        "input_schema": operation.input_schema(), "output_schema": operation.output_schema(),
        "supports_streaming": streaming, "examples": examples, "module": operation.module,
        "mcp_tool": operation.mcp,
        "annotations": {
            "readonly": readonly, "destructive": destructive, "idempotent": idempotent,
            "open_world": open_world, "streaming": streaming,
        },
    })
}

// ----- the words the schemas are written in

fn object(fields: &[(&str, bool, Value)]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|(name, _, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<_> =
        fields.iter().filter(|(_, required, _)| *required).map(|(name, ..)| *name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn one_task() -> Value {
    object(&[("task_id", true, text("The task."))])
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn flag(description: &str, default: bool) -> Value {
    json!({ "type": "boolean", "default": default, "description": description })
}

fn number(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": description })
}

fn limit(default: u32) -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": Page::MAX, "default": default,
        "description": "At most so many." })
}

fn map(description: &str) -> Value {
    json!({ "type": "object", "description": description })
}

fn list_of(item: &Value) -> Value {
    json!({ "type": "array", "items": item })
}

fn ids(description: &str) -> Value {
    json!({ "type": "array", "items": {"type": "string"}, "description": description })
}

fn status() -> Value {
    json!({ "enum": ["pending", "in_progress", "completed", "failed", "cancelled"] })
}

fn priority() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": 3, "default": 2,
        "description": "0 urgent, 1 high, 2 normal, 3 low." })
}

fn dependencies() -> Value {
    json!({ "type": "array", "description": "Tasks that come first, by id or name.", "items": {
        "anyOf": [{"type": "string"}, {"type": "object", "properties": {
            "id": {"type": "string"}, "name": {"type": "string"},
            "required": {"type": "boolean", "default": true},
        }}],
    } })
}

fn options() -> Value {
    json!({ "type": "object", "description": "What holds for each tree.", "properties": {
        "on_failure": {"enum": ["continue", "fail_fast", "skip_dependents"]},
        "structure_order": {"enum": ["soft", "none"]},
        "timeout_seconds": {"type": "number", "exclusiveMinimum": 0},
    } })
}

fn tasks_in(description: &str) -> Value {
    let mut item = object(&[
        ("name", true, text("Display name, 1 to 255 characters.")),
        ("id", false, text("Its id; made up if there is none.")),
        ("parent_id", false, text("The task it hangs under, by id or name.")),
        ("dependencies", false, dependencies()),
        ("priority", false, priority()),
        ("inputs", false, map("What the executor is given.")),
        ("params", false, map("How the executor is built; `executor_id` names it.")),
        ("schemas", false, map("`method` names the executor if `params` does not.")),
        ("user_id", false, text("Owner.")),
        ("timeout_seconds", false, json!({"type": "number", "exclusiveMinimum": 0})),
        ("max_attempts", false, json!({"type": "integer", "minimum": 1, "maximum": 100})),
    ]);
    item["additionalProperties"] = json!(true);
    json!({ "type": "array", "items": item, "description": description })
}

fn task() -> Value {
    object(&[
        ("id", true, text("Its id.")),
        ("name", true, text("Display name.")),
        ("status", true, status()),
        ("state", true, map("Where it stands in detail: `name`, and what goes with it.")),
        ("parent_id", true, json!({"type": ["string", "null"]})),
        ("task_tree_id", true, text("Its tree.")),
        ("priority", true, priority()),
        ("progress", true, json!({"type": "number", "minimum": 0, "maximum": 1})),
        ("inputs", true, map("What the executor is given.")),
        ("result", true, json!({"description": "What the executor returned."})),
        ("error", true, json!({"type": ["string", "null"]})),
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::Call;

    #[test]
    fn every_operation_has_its_own_names_and_can_be_found_by_each() {
        let mut names = BTreeSet::new();
        for operation in OPERATIONS {
            for name in [operation.id, operation.module].into_iter().chain(operation.mcp) {
                assert!(names.insert(name), "{name} twice");
                assert_eq!(Operation::find(name).map(|it| it.id), Some(operation.id));
            }
            assert!(operation.description.ends_with('.'), "{}", operation.id);
        }
        assert!(Operation::find("tasks.nope").is_none());
    }

    #[test]
    fn every_example_is_read_without_a_warning() {
        for operation in OPERATIONS {
            assert!(!operation.examples.is_empty(), "{}", operation.id);
            for example in operation.examples {
                let params = serde_json::from_str(example).expect(example);
                let read = Call::read(operation.id, params).expect(operation.id);
                assert_eq!(read.warnings, Vec::<String>::new(), "{}", operation.id);
            }
        }
    }

    #[test]
    fn every_parameter_a_schema_names_is_known_to_the_reader() {
        for operation in OPERATIONS {
            let schema = operation.input_schema();
            for name in schema["properties"].as_object().expect("an object").keys() {
                // `updates` stands in place of the flat fields, `tasks` of `task_id`.
                let mut params = json!({ "task_id": "a", "name": "n" });
                if ["tasks.create", "tasks.execute"].contains(&operation.id) {
                    params = json!({ "tasks": [] });
                }
                params[name] = params.get(name).cloned().unwrap_or(Value::Null);
                // A `null` may be refused; then the error names it, and that is knowing it too.
                match Call::read(operation.id, params) {
                    Ok(read) => {
                        let told = format!("`{name}`");
                        let ignored = read.warnings.iter().any(|it| it.contains(&told));
                        assert!(!ignored, "{}: {:?}", operation.id, read.warnings);
                    }
                    Err(error) => {
                        let field = error.problems[0].field.as_deref();
                        assert_eq!(field, Some(name.as_str()), "{}", operation.id);
                    }
                }
            }
        }
    }

    #[test]
    fn discovery_has_the_shape_v1_clients_read() {
        let document = methods(&Map::new());
        assert_eq!(document["categories"], json!(["agent_action", "crud", "query", "monitoring"]));
        assert_eq!(document["total"], 14);
        let first = &document["methods"]["agent_action"][0];
        assert_eq!(first["method"], "tasks.execute");
        for key in ["name", "description", "category", "tags", "input_schema", "examples"] {
            assert!(!first[key].is_null(), "{key}");
        }
        assert_eq!(first["supports_streaming"], false);
    }
}
