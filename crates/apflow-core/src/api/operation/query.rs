//! Reading many tasks.

use serde_json::json;

use super::{
    Category, Operation, READS,
    words::{flag, limit, list_of, number, object, one_task, status, task, text},
};
use crate::store::Page;

pub(super) static OPERATIONS: &[Operation] = &[
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
                (
                    "id_prefix",
                    false,
                    text(
                        "Only tasks whose ids begin like this, in the order of their ids; of the first 1000.",
                    ),
                ),
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
];
