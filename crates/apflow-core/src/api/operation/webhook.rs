//! Letting a task run because somebody outside says so.

use serde_json::json;

use super::{
    Category, Operation, WRITES,
    words::{flag, object, text},
};

pub(super) static OPERATIONS: &[Operation] = &[Operation {
    id: "tasks.webhook.trigger",
    module: "apflow.task.webhook_trigger",
    mcp: None,
    name: "Trigger a task by webhook",
    description: "Runs a task because a system outside says so, whatever its schedule says.",
    category: Category::Scheduling,
    tags: &["task", "webhook", "trigger", "schedule"],
    annotations: WRITES,
    examples: &[r#"{"task_id":"report"}"#],
    input: || {
        object(&[
            ("task_id", true, text("The task.")),
            ("signature", false, text("Hex digits; needed where the server has a secret.")),
            ("timestamp", false, text("Seconds since 1970; signed, so needed with a signature.")),
            ("async_execution", false, flag("Answer at once, not when the run has ended.", true)),
        ])
    },
    output: || {
        object(&[
            ("success", true, json!({"type": "boolean"})),
            ("task_id", true, text("The task.")),
            ("status", false, text("`triggered`, or how the task ended.")),
            ("message", false, text("What was done.")),
            ("result", false, json!({"description": "What the executor returned."})),
            ("error", false, json!({"type": ["string", "null"]})),
            ("children", false, json!({"type": "array", "items": {"type": "object"}})),
        ])
    },
}];
