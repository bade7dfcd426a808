//! Asking about the process.

use serde_json::json;

use super::{
    Category, Operation, READS,
    words::{number, object, text},
};

pub(super) static OPERATIONS: &[Operation] = &[
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
