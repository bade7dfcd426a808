//! Looking at what goes on.

use serde_json::{Value, json};

use super::{
    Category, Operation, READS,
    shapes::{flag_out, moment},
    words::{id, ids, limit, list_of, number, object, or_null, owner, task, text},
};
use crate::store::Page;

pub(super) static OPERATIONS: &[Operation] = &[
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
                ("user_id", false, or_null(owner())),
                ("limit", false, or_null(limit(Page::default().limit))),
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
                ("task_id", false, id("The task.")),
                ("task_ids", false, ids("The tasks, if there are several.")),
            ])
        },
        output: || {
            list_of(&object(&[
                ("task_id", true, text("The task.")),
                ("context_id", true, text("The same.")),
                ("status", true, standing()),
                ("progress", true, json!({"type": "number", "minimum": 0, "maximum": 1})),
                ("error", true, or_null(text("Why there is no result."))),
                ("is_running", true, flag_out("Whether it, or its tree, is worked on.")),
                ("started_at", true, or_null(moment("When it began."))),
                ("updated_at", true, or_null(moment("When it last changed."))),
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
        input: || object(&[("user_id", false, or_null(owner()))]),
        output: || {
            object(&[
                ("count", true, number("So many.")),
                ("user_id", false, text("Whose, if that was asked.")),
            ])
        },
    },
];

/// One of the five statuses, or that there is no such task.
fn standing() -> Value {
    let words = ["pending", "in_progress", "completed", "failed", "cancelled", "not_found"];
    json!({ "type": "string", "enum": words })
}
