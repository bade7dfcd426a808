//! What makes things happen.

use serde_json::json;

use super::{
    Annotations, Category, DESTROYS, Operation, WRITES,
    words::{callback, flag, ids, list_of, object, options, tasks_in, text},
};

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
                ("task_id", false, text("A stored task; a root runs with its whole submission.")),
                ("tasks", false, tasks_in("New tasks to store and run, instead of task_id.")),
                ("wait", false, flag("Answer when the run has ended.", true)),
                ("reexecute", false, flag("Run again although everything completed.", false)),
                ("use_streaming", false, flag("Answer with the events of the run.", false)),
                ("webhook_config", false, callback()),
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
                ("streaming", false, json!({"const": true})),
                ("webhook_url", false, text("Where the caller is told of the run.")),
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
];
