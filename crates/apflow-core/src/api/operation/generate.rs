//! Making up tasks, and the keys that pay for it.

use serde_json::{Value, json};

use super::{
    Annotations, Category, DESTROYS, Operation, READS, REPLACES, WRITES,
    shapes::flag_out,
    words::{brief, flag, list_of, map, number, object, or_null, owner, text},
};
use crate::api::call::MAX_REQUIREMENT;

pub(super) static TASKS: &[Operation] = &[Operation {
    id: "tasks.generate",
    module: "apflow.task.generate",
    mcp: Some("generate_task_tree"),
    name: "Generate a task tree",
    description: "Makes up tasks from a requirement in plain words; they are checked, stored if \
                  wished, and never run.",
    category: Category::AgentAction,
    tags: &["task", "generate", "llm", "ai", "automation"],
    annotations: Annotations { open_world: true, ..WRITES },
    examples: &[r#"{"requirement":"Say what this machine has."}"#],
    input: || {
        object(&[
            ("requirement", true, brief("What the tasks are to do.", MAX_REQUIREMENT)),
            ("user_id", false, or_null(owner())),
            ("llm_provider", false, or_null(brief("Which provider to ask.", 100))),
            ("model", false, or_null(brief("Which of its models.", 100))),
            (
                "temperature",
                false,
                json!({
                    "type": ["number", "null"], "minimum": 0, "maximum": 2,
                    "description": "How freely it may answer.",
                }),
            ),
            ("max_tokens", false, or_null(number("How much it may say."))),
            ("save", false, or_null(flag("Store the tasks.", false))),
        ])
    },
    output: || {
        object(&[
            ("tasks", true, list_of(&map("A task, as tasks.create takes it."))),
            ("count", true, number("How many there are.")),
            ("message", true, text("What happened, in words.")),
            ("root_task_id", false, text("The root, if they were stored.")),
        ])
    },
}];

fn answer() -> Value {
    object(&[
        ("has_key", true, flag_out("Whether there is a key.")),
        ("user_id", true, or_null(text("Whose."))),
        ("provider", true, or_null(text("Of which provider."))),
        ("providers", true, map("Each provider of which there is a key.")),
        ("success", false, json!({"const": true})),
        ("changed", false, number("How many keys were kept or forgotten.")),
    ])
}

pub(super) static KEYS: &[Operation] = &[
    Operation {
        id: "config.llm_key.get",
        module: "apflow.config.llm_key_get",
        mcp: None,
        name: "Ask for a key",
        description: "Says whether there is a key of a language model; the key is never shown.",
        category: Category::System,
        tags: &["config", "llm", "key"],
        annotations: READS,
        examples: &["{}", r#"{"provider":"openai"}"#],
        input: || {
            object(&[
                ("user_id", false, or_null(owner())),
                ("provider", false, or_null(brief("Of which provider.", 100))),
            ])
        },
        output: answer,
    },
    Operation {
        id: "config.llm_key.set",
        module: "apflow.config.llm_key_set",
        mcp: None,
        name: "Keep a key",
        description: "Keeps a key of a language model in memory until the process ends.",
        category: Category::System,
        tags: &["config", "llm", "key"],
        annotations: REPLACES,
        examples: &[r#"{"provider":"openai","api_key":"sk-example"}"#],
        input: || {
            object(&[
                ("user_id", false, or_null(owner())),
                ("provider", true, brief("Of which provider.", 100)),
                ("api_key", true, brief("The key.", 1000)),
            ])
        },
        output: answer,
    },
    Operation {
        id: "config.llm_key.delete",
        module: "apflow.config.llm_key_delete",
        mcp: None,
        name: "Forget a key",
        description: "Forgets a key of a language model, or all of somebody's.",
        category: Category::System,
        tags: &["config", "llm", "key"],
        annotations: DESTROYS,
        examples: &[r#"{"provider":"openai"}"#],
        input: || {
            object(&[
                ("user_id", false, or_null(owner())),
                ("provider", false, or_null(brief("Of which provider.", 100))),
            ])
        },
        output: answer,
    },
];
