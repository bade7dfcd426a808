//! What makes things happen.

use serde_json::json;

use super::{
    Annotations, Category, DESTROYS, Operation, WRITES,
    shapes::flag_out,
    words::{
        callback, flag, id, ids, list_of, number, object, options, or_null, status, tasks_in, text,
    },
};
use crate::api::call::MAX_REASON;

pub(super) static OPERATIONS: &[Operation] = &[
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
                ("task_id", false, id("A stored task; a root runs with its whole submission.")),
                ("tasks", false, tasks_in("New tasks to store and run, instead of task_id.")),
                ("wait", false, or_null(flag("Answer when the run has ended.", true))),
                ("reexecute", false, or_null(flag("Run again although all completed.", false))),
                (
                    "use_streaming",
                    false,
                    or_null(flag("Answer with the events of the run.", false)),
                ),
                ("webhook_config", false, or_null(callback())),
                ("options", false, or_null(options())),
                (
                    "idempotency_key",
                    false,
                    or_null(id("Two requests with one key are one request.")),
                ),
            ])
        },
        output: || {
            object(&[
                ("success", true, flag_out("Whether a run was begun.")),
                ("protocol", true, json!({"const": "jsonrpc"})),
                ("root_task_id", true, text("The root of the tree.")),
                ("task_id", false, text("The task that was asked for.")),
                ("status", true, json!({"type": "string", "enum": ["started", "already_running"]})),
                ("message", true, text("What happened, in words.")),
                ("streaming", false, json!({"const": true})),
                ("webhook_url", false, text("Where the caller is told of the run.")),
                ("outcome", false, outcome()),
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
            let mut reason = text("What to store as the reason.");
            reason["maxLength"] = json!(MAX_REASON);
            object(&[
                ("task_id", false, id("The task to stop.")),
                ("task_ids", false, ids("The tasks to stop, if there are several.")),
                ("force", false, or_null(flag("Said back in the answer.", false))),
                ("error_message", false, or_null(reason)),
            ])
        },
        output: || {
            list_of(&object(&[
                ("task_id", true, text("The task.")),
                ("status", true, json!({"type": "string", "enum": ["cancelled", "failed"]})),
                ("message", true, text("What happened, in words.")),
                ("force", true, flag_out("As it was sent.")),
                ("others_cancelled", false, number("Tasks that went with it.")),
                ("current_status", false, status()),
                ("error", false, text("Why it was not cancelled.")),
            ]))
        },
    },
];

fn outcome() -> serde_json::Value {
    or_null(json!({ "type": "string", "enum": ["completed", "failed", "cancelled"],
        "description": "How the run ended, if it was waited for." }))
}
