//! What the tasks of a run share, as somebody outside sees it.

use serde_json::{Value, json};

use super::{
    Category, DESTROYS, Operation, READS, WRITES,
    shapes::moment,
    words::{brief, flag, id, list_of, object, or_null, text},
};
use crate::channel::{MAX_KEY_BYTES, MAX_LISTED, MAX_TTL};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "channels.get",
        module: "apflow.channel.get",
        mcp: None,
        name: "Read a shared value",
        description: "Reads a value that the tasks of a run share, or null if there is none.",
        category: Category::System,
        tags: &["channel", "state", "read"],
        annotations: READS,
        examples: &[r#"{"task_id":"report","key":"progress/total"}"#],
        input: || object(&[of_run(), in_space(), key()]),
        output: || or_null(entry()),
    },
    Operation {
        id: "channels.keys",
        module: "apflow.channel.keys",
        mcp: None,
        name: "List shared values",
        description: "Lists what the tasks of a run share, in the order of the keys.",
        category: Category::System,
        tags: &["channel", "state", "list"],
        annotations: READS,
        examples: &[r#"{"task_id":"report","prefix":"progress/"}"#],
        input: || {
            object(&[
                of_run(),
                in_space(),
                ("prefix", false, or_null(text("Only keys that begin like this."))),
                ("after", false, or_null(text("Only keys behind this one."))),
                (
                    "limit",
                    false,
                    or_null(json!({"type": "integer", "minimum": 0, "maximum": MAX_LISTED,
                        "default": 100, "description": "At most so many."})),
                ),
                ("locks", false, or_null(flag("Locks and their holders instead.", false))),
            ])
        },
        output: || list_of(&entry()),
    },
    Operation {
        id: "channels.set",
        module: "apflow.channel.set",
        mcp: None,
        name: "Write a shared value",
        description: "Writes a value that the tasks of a run share, if it is what was expected.",
        category: Category::System,
        tags: &["channel", "state", "write"],
        annotations: WRITES,
        examples: &[
            r#"{"task_id":"report","key":"mode","value":"fast","ttl_seconds":60}"#,
            r#"{"task_id":"report","key":"mode","value":"slow","if_version":7}"#,
        ],
        input: || {
            object(&[
                of_run(),
                in_space(),
                key(),
                ("value", true, json!({"description": "Any JSON."})),
                (
                    "ttl_seconds",
                    false,
                    or_null(json!({"type": "number", "exclusiveMinimum": 0,
                        "maximum": MAX_TTL.as_secs(), "description": "How long it lives."})),
                ),
                if_version(),
            ])
        },
        output: || {
            object(&[
                ("key", true, text("The key.")),
                ("version", true, version()),
                ("expires_at", true, or_null(moment("When it is gone."))),
            ])
        },
    },
    Operation {
        id: "channels.add",
        module: "apflow.channel.add",
        mcp: None,
        name: "Add to a shared number",
        description: "Adds to a number that the tasks of a run share; where nothing is, to 0.",
        category: Category::System,
        tags: &["channel", "state", "counter"],
        annotations: WRITES,
        examples: &[r#"{"task_id":"report","key":"done","amount":1}"#],
        input: || {
            object(&[
                of_run(),
                in_space(),
                key(),
                (
                    "amount",
                    false,
                    or_null(json!({"type": "number", "default": 1, "description": "How much."})),
                ),
            ])
        },
        output: || {
            object(&[
                ("key", true, text("The key.")),
                ("value", true, json!({"type": "number", "description": "The sum."})),
                ("version", true, version()),
            ])
        },
    },
    Operation {
        id: "channels.append",
        module: "apflow.channel.append",
        mcp: None,
        name: "Put into a shared list",
        description: "Puts a value at an end of a list that the tasks of a run share.",
        category: Category::System,
        tags: &["channel", "state", "list"],
        annotations: WRITES,
        examples: &[r#"{"task_id":"report","key":"found","value":{"url":"https://a.example"}}"#],
        input: || {
            object(&[
                of_run(),
                in_space(),
                key(),
                ("value", true, json!({"description": "Any JSON."})),
                ("front", false, or_null(flag("Before the others.", false))),
            ])
        },
        output: || {
            object(&[
                ("key", true, text("The key.")),
                ("length", true, version()),
                ("version", true, version()),
            ])
        },
    },
    Operation {
        id: "channels.delete",
        module: "apflow.channel.delete",
        mcp: None,
        name: "Remove a shared value",
        description: "Removes a value that the tasks of a run share, if it is what was expected.",
        category: Category::System,
        tags: &["channel", "state", "delete"],
        annotations: DESTROYS,
        examples: &[r#"{"task_id":"report","key":"mode"}"#],
        input: || object(&[of_run(), in_space(), key(), if_version()]),
        output: || {
            object(&[
                ("key", true, text("The key.")),
                (
                    "deleted",
                    true,
                    json!({"type": "boolean", "description": "Whether there was one."}),
                ),
            ])
        },
    },
];

type Field = (&'static str, bool, Value);

fn of_run() -> Field {
    ("task_id", true, id("Any task of the run."))
}

fn in_space() -> Field {
    ("space", false, or_null(text("A part of the run with keys of its own.")))
}

fn key() -> Field {
    ("key", true, brief("The key.", MAX_KEY_BYTES))
}

fn if_version() -> Field {
    ("if_version", false, or_null(with_description("Only this version; 0 for nothing there.")))
}

fn version() -> Value {
    with_description("Grows with every change.")
}

fn with_description(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": description })
}

fn entry() -> Value {
    object(&[
        ("key", true, text("The key.")),
        ("value", true, json!({"description": "The value; of a lock, who holds it."})),
        ("version", true, version()),
        ("expires_at", true, or_null(moment("When it is gone."))),
    ])
}
