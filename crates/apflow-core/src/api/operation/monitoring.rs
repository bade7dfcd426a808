//! Looking at what goes on.

use serde_json::json;

use super::{
    Category, Operation, READS,
    words::{ids, limit, list_of, number, object, task, text},
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
];
