//! Reading and changing what the process is configured with.

use serde_json::{Value, json};

use super::{
    Category, Operation, READS, REPLACES,
    words::{ids, list_of, object, text},
};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "config.list",
        module: "apflow.config.list",
        mcp: None,
        name: "List the configuration",
        description: "Lists every key of the configuration with its value and where that comes from.",
        category: Category::System,
        tags: &["config", "settings", "admin"],
        annotations: READS,
        examples: &["{}"],
        input: || object(&[]),
        output: || list_of(&setting()),
    },
    Operation {
        id: "config.get",
        module: "apflow.config.get",
        mcp: None,
        name: "Read a setting",
        description: "Reads one key of the configuration; secrets are only said to be there.",
        category: Category::System,
        tags: &["config", "settings", "admin"],
        annotations: READS,
        examples: &[r#"{"key": "log.level"}"#],
        input: || object(&[("key", true, text("The key."))]),
        output: setting,
    },
    Operation {
        id: "config.set",
        module: "apflow.config.set",
        mcp: None,
        name: "Change a setting",
        description: "Gives a key another value until the process ends; null takes that back.",
        category: Category::System,
        tags: &["config", "settings", "admin"],
        annotations: REPLACES,
        examples: &[r#"{"key": "log.level", "value": "debug"}"#],
        input: || {
            object(&[
                ("key", true, text("The key; one that a running process can change.")),
                ("value", true, json!({"description": "Its value, or null."})),
            ])
        },
        output: setting,
    },
    Operation {
        id: "config.reload",
        module: "apflow.config.reload",
        mcp: None,
        name: "Read the configuration again",
        description: "Reads files and environment again, and takes what a running process can take.",
        category: Category::System,
        tags: &["config", "settings", "admin"],
        annotations: REPLACES,
        examples: &["{}"],
        input: || object(&[]),
        output: || {
            object(&[
                ("changed", true, ids("Keys that have another value now.")),
                ("needs_restart", true, ids("Keys whose new value the next start takes.")),
                ("warnings", true, ids("What was ignored.")),
            ])
        },
    },
];

fn setting() -> Value {
    object(&[
        ("key", true, text("The key.")),
        ("value", true, json!({"description": "The value that counts, without secrets."})),
        ("origin", true, text("Whose word it is and where it stands.")),
        ("description", true, text("What the key does.")),
        ("secret", true, json!({"type": "boolean"})),
        ("reloadable", true, json!({"type": "boolean"})),
        ("needs_restart", true, json!({"type": "boolean"})),
    ])
}
