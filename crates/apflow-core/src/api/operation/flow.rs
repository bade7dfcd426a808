//! Looking after shared limits and breakers.

use serde_json::{Value, json};

use super::{
    Category, DESTROYS, Operation, READS, REPLACES,
    words::{id, list_of, object, or_null, text},
};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "limits.list",
        module: "apflow.limits.list",
        mcp: None,
        name: "List shared limits",
        description: "Lists the limits that hold for everybody, with how many tasks run under each.",
        category: Category::System,
        tags: &["limits", "concurrency", "rate", "admin"],
        annotations: READS,
        examples: &["{}"],
        input: || object(&[]),
        output: || {
            list_of(&object(&[
                ("key", true, text("The key.")),
                ("max", true, or_null(count("At most so many tasks with it run at once."))),
                ("rate", true, or_null(pace())),
                ("running", true, json!({"type": "integer", "minimum": 0})),
            ]))
        },
    },
    Operation {
        id: "limits.set",
        module: "apflow.limits.set",
        mcp: None,
        name: "Set a shared limit",
        description: "Limits how many tasks with a key run at once, or how often they begin, whoever owns them.",
        category: Category::System,
        tags: &["limits", "concurrency", "rate", "admin"],
        annotations: REPLACES,
        examples: &[
            r#"{"key": "billing-api", "max": 4}"#,
            r#"{"key": "billing-api", "rate": {"limit": 60, "per": "1m", "burst": 5}}"#,
        ],
        input: || {
            object(&[
                ("key", true, id("The key that tasks name in `limits` or `rate`.")),
                ("max", false, or_null(count("At most so many tasks with it run at once."))),
                ("rate", false, or_null(pace())),
            ])
        },
        output: || object(&[("key", true, text("The key.")), ("set", true, flag())]),
    },
    Operation {
        id: "limits.delete",
        module: "apflow.limits.delete",
        mcp: None,
        name: "Remove a shared limit",
        description: "Removes a limit that holds for everybody; tasks that wait for it go on.",
        category: Category::System,
        tags: &["limits", "concurrency", "rate", "admin"],
        annotations: DESTROYS,
        examples: &[r#"{"key": "billing-api"}"#],
        input: || object(&[("key", true, id("The key."))]),
        output: || object(&[("key", true, text("The key.")), ("deleted", true, flag())]),
    },
    Operation {
        id: "breakers.list",
        module: "apflow.breakers.list",
        mcp: None,
        name: "List circuit breakers",
        description: "Lists the breakers that are open, or have counted failures.",
        category: Category::System,
        tags: &["breaker", "circuit", "admin"],
        annotations: READS,
        examples: &["{}"],
        input: || object(&[]),
        output: || {
            list_of(&object(&[
                ("key", true, text("`executor:` and an id, or `host:` and a name.")),
                ("state", true, json!({"enum": ["closed", "open", "half_open"]})),
                ("failures", true, json!({"type": "integer", "minimum": 0})),
                ("until", true, json!({"type": ["string", "null"]})),
                ("threshold", true, json!({"type": "integer"})),
                ("reset", true, text("How long it stays open.")),
                ("half_open_max", true, json!({"type": "integer"})),
            ]))
        },
    },
    Operation {
        id: "breakers.reset",
        module: "apflow.breakers.reset",
        mcp: None,
        name: "Reset a circuit breaker",
        description: "Closes a breaker and lets the tasks that wait for it go on.",
        category: Category::System,
        tags: &["breaker", "circuit", "admin"],
        annotations: REPLACES,
        examples: &[r#"{"key": "host:api.example.org"}"#],
        input: || object(&[("key", true, id("The breaker."))]),
        output: || object(&[("key", true, text("The breaker.")), ("reset", true, flag())]),
    },
];

/// The fields of a task that say how many of its kind may run, and how often.
pub(super) fn fields() -> Vec<(&'static str, Value)> {
    let list = |item: &Value, description: &str| {
        or_null(json!({ "type": "array", "items": item, "maxItems": crate::flow::MAX_KEYS,
            "description": description }))
    };
    let limit = object(&[
        ("key", true, id("What tasks have in common.")),
        ("max", false, or_null(count("So many of the owner's tasks with it run at once."))),
    ]);
    let rate = object(&[
        ("key", true, id("What tasks have in common.")),
        ("limit", true, count("So many units in the span.")),
        ("per", true, span("The span.")),
        ("burst", false, or_null(count("So many units at once after a pause."))),
        ("units", false, or_null(count("How many units this task is."))),
    ]);
    let whole =
        |least: u32, most: u32| json!({"type": "integer", "minimum": least, "maximum": most});
    let breaker = object(&[
        ("threshold", false, whole(1, 1000)),
        ("reset", false, span("How long it stays open.")),
        ("half_open_max", false, whole(1, 10)),
    ]);
    vec![
        ("limits", list(&limit, "With whom it shares slots.")),
        ("rate", list(&rate, "With whom it shares a pace.")),
        (
            "breaker",
            json!({ "anyOf": [breaker, {"type": "boolean"}, {"type": "null"}],
                "description": "When its executor is given a rest." }),
        ),
    ]
}

/// A span of time.
fn span(description: &str) -> Value {
    json!({ "anyOf": [
        {"type": "string", "pattern": "^ *[0-9]+ *(ms|s|m|min|h|d)? *$"},
        {"type": "integer", "minimum": 0},
    ], "description": description })
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn count(description: &str) -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": crate::flow::MAX_COUNT,
        "description": description})
}

fn pace() -> Value {
    object(&[
        ("limit", true, count("So many units in the span.")),
        ("per", true, span("The span, like 30s, 1m, 2h or 1d.")),
        ("burst", false, count("So many at once after a pause.")),
    ])
}
