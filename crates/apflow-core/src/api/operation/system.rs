//! Asking about the process.

use serde_json::{Value, json};

use super::{
    Category, Operation, READS,
    shapes::{flag_out, moment},
    words::{list_of, number, object, or_null, text},
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
                ("message", true, text("The same in words.")),
                ("version", true, text("Of apflow.")),
                ("protocol_version", true, text("Of the written protocol.")),
                ("timestamp", true, moment("Now.")),
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
                ("executors", true, list_of(&executor())),
                ("count", true, number("How many there are.")),
                ("restricted", true, flag_out("Whether there is an allow-list.")),
                ("allowed_ids", false, list_of(&text("An executor that is allowed."))),
            ])
        },
    },
];

/// One executor, as it describes itself.
fn executor() -> Value {
    let schema = |says: &str| json!({ "description": says });
    let mut executor = object(&[
        ("id", true, text("The name that tasks use.")),
        ("name", true, text("A short title.")),
        ("description", true, text("One sentence.")),
        ("tags", true, list_of(&text("A word to find it by."))),
        ("dependencies", true, list_of(&text("What has to be installed."))),
        ("available", true, flag_out("Whether it can run here.")),
        ("unavailable_because", true, or_null(text("Why not."))),
        ("input_schema", true, schema("JSON Schema of its inputs.")),
        ("output_schema", true, schema("JSON Schema of its results.")),
    ]);
    executor["title"] = json!("Executor");
    executor
}
