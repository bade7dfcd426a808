//! Reading many tasks.

use serde_json::json;

use super::{
    Category, Operation, READS,
    shapes::{page_of_tasks, tree},
    words::{
        flag, id, limit, list_of, number, object, one_task, or_null, owner, status, task, text,
    },
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
        output: tree,
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
                ("status", false, or_null(status())),
                ("user_id", false, or_null(owner())),
                ("root_only", false, or_null(flag("Only tasks without a parent.", true))),
                (
                    "id_prefix",
                    false,
                    or_null(text(
                        "Only tasks whose ids begin like this, in the order of their ids; of the first 1000.",
                    )),
                ),
                ("limit", false, or_null(limit(Page::default().limit))),
                ("offset", false, or_null(number("Skip so many."))),
                ("page", false, or_null(flag("Answer with {tasks, total, limit, offset}.", false))),
            ])
        },
        output: || json!({"anyOf": [list_of(&task()), page_of_tasks()]}),
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
                ("parent_id", false, id("The parent.")),
                ("task_id", false, id("The same, by its other name.")),
                ("limit", false, or_null(limit(Page::MAX))),
                ("offset", false, or_null(number("Skip so many."))),
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
                ("user_id", false, or_null(owner())),
                ("root_only", false, or_null(flag("Only tasks without a parent.", false))),
                (
                    "statuses",
                    false,
                    or_null(json!({"type": "array", "items": status(), "maxItems": 5})),
                ),
            ])
        },
        output: || {
            object(&[
                ("pending", false, number("So many are pending.")),
                ("in_progress", false, number("So many are in progress.")),
                ("completed", false, number("So many completed.")),
                ("failed", false, number("So many failed.")),
                ("cancelled", false, number("So many were cancelled.")),
                ("total", true, number("How many there are of these.")),
                ("user_id", false, text("Whose, if that was asked.")),
                ("root_only", false, json!({"const": true})),
            ])
        },
    },
];
