//! Writing and reading single tasks.

use serde_json::json;

use super::{
    Category, DESTROYS, Operation, READS, REPLACES, WRITES,
    shapes::changes,
    words::{
        flag, id, ids, list_of, map, number, object, one_task, options, or_null, task, tasks_in,
        text,
    },
};

pub(super) static OPERATIONS: &[Operation] = &[
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
                ("options", false, or_null(options())),
                (
                    "idempotency_key",
                    false,
                    or_null(id("Two requests with one key are one request.")),
                ),
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
            let changes: Vec<_> =
                changes().into_iter().map(|(name, schema)| (name, false, schema)).collect();
            let mut updates = object(&changes);
            updates["description"] = json!("The fields, if they do not stand beside task_id.");
            let mut fields = vec![("task_id", true, id("The task.")), ("updates", false, updates)];
            fields.extend(changes);
            object(&fields)
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
                ("success", true, json!({"const": true})),
                ("task_id", true, id("The task.")),
                ("deleted_count", true, number("How many tasks went.")),
                ("children_deleted", true, number("How many of them were below it.")),
            ])
        },
    },
    Operation {
        id: "tasks.clone",
        module: "apflow.task.clone",
        mcp: Some("clone_task"),
        name: "Copy, link or archive tasks",
        description: "Makes new tasks from a stored one and what hangs below it, as copies that begin \
                      anew, as links that answer with the original's result, or as a mixture; or \
                      archives the stored ones.",
        category: Category::Crud,
        tags: &["task", "clone", "copy", "duplicate"],
        annotations: WRITES,
        examples: &[
            r#"{"task_id":"report"}"#,
            r#"{"task_id":"report","origin_type":"mixed","link_task_ids":["facts"]}"#,
        ],
        input: || {
            let mode = json!({"enum": ["copy", "link", "archive", "mixed"], "default": "copy",
                "description": "What to make."});
            object(&[
                ("task_id", true, text("The task to begin with.")),
                ("origin_type", false, mode),
                ("recursive", false, flag("Take along what hangs below it.", true)),
                ("link_task_ids", false, ids("In a mixture, the tasks to link.")),
                ("reset_fields", false, map("Fields that copies get instead of the old ones.")),
                ("save", false, flag("Store it; else only say what would be stored.", true)),
                ("user_id", false, text("Who owns the new tasks, if not the old owner.")),
                (
                    "auto_include_deps",
                    false,
                    json!({"type": "boolean", "description": "Take along what the tasks depend on."}),
                ),
                ("include_dependents", false, flag("Take along what depends on them.", false)),
                ("idempotency_key", false, text("Two requests with one key are one request.")),
            ])
        },
        output: || json!({"anyOf": [task(), list_of(&task())]}),
    },
];
