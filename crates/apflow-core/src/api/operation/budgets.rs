//! What work may spend and has spent.

use serde_json::{Value, json};

use super::{
    Annotations, Category, DESTROYS, Operation, READS, REPLACES,
    shapes::moment,
    words::{
        brief, flag, id, limit, list_of, number, object, one_task, or_null, owner, task, text,
    },
};
use crate::{
    budget::{Period, Scope, Unit},
    id::MAX_ID_CHARS,
    store::{Page, UsageBy},
};

fn word(words: &[&str], description: &str) -> Value {
    json!({ "type": "string", "enum": words, "description": description })
}

fn scope() -> Value {
    word(&Scope::ALL.map(Scope::as_str), "Whose spending.")
}

fn scope_id() -> Value {
    or_null(id("The task, the tree or the owner; nothing for `global`."))
}

fn unit() -> Value {
    let mut unit = word(&Unit::ALL.map(Unit::as_str), "Of what.");
    unit["default"] = json!("tokens");
    unit
}

fn period() -> Value {
    let mut period = word(&Period::ALL.map(Period::as_str), "For how long, in UTC.");
    period["default"] = json!("total");
    period
}

fn amount(description: &str) -> Value {
    json!({ "type": "number", "minimum": 0, "description": description })
}

fn tokens(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": description })
}

fn budget() -> Value {
    object(&[
        ("scope", true, scope()),
        ("scope_id", true, text("The task, the tree or the owner.")),
        ("unit", true, unit()),
        ("period", true, period()),
        ("limit", true, amount("The most that may be spent: tokens, or dollars.")),
        ("used", true, amount("What was spent in this period.")),
        ("reserved", true, amount("What attempts that run have put aside.")),
        ("left", true, amount("What is left.")),
        ("policy", true, or_null(text("What happens near the limit."))),
        ("since", true, or_null(moment("When this period began."))),
    ])
}

fn key() -> Vec<(&'static str, bool, Value)> {
    vec![
        ("scope", true, scope()),
        ("scope_id", false, scope_id()),
        ("unit", false, or_null(unit())),
        ("period", false, or_null(period())),
    ]
}

fn sums() -> Vec<(&'static str, bool, Value)> {
    vec![
        ("input_tokens", true, tokens("Tokens that went in.")),
        ("output_tokens", true, tokens("Tokens that came out.")),
        ("total_tokens", true, tokens("Both.")),
        ("cost_usd", true, amount("What it cost, in dollars.")),
        ("calls", true, tokens("How many calls were reported.")),
    ]
}

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "cost.report",
        module: "apflow.cost.report",
        mcp: None,
        name: "Report what was spent",
        description: "Sums up tokens and money by task, tree, owner, model, executor, day or month.",
        category: Category::System,
        tags: &["cost", "usage", "tokens", "report"],
        annotations: READS,
        examples: &["{}", r#"{"by":"model","since":"2026-11-01T00:00:00Z"}"#],
        input: || {
            let name = |says| or_null(brief(says, MAX_ID_CHARS));
            let mut by = word(&UsageBy::ALL.map(UsageBy::as_str), "What it sums up by.");
            by["default"] = json!("total");
            object(&[
                ("by", false, or_null(by)),
                ("task_id", false, name("Of one task.")),
                ("tree_id", false, name("Of one tree.")),
                ("user_id", false, or_null(owner())),
                ("model", false, name("Of one model.")),
                ("since", false, or_null(moment("From this moment on."))),
                ("until", false, or_null(moment("Before this moment."))),
                ("limit", false, or_null(limit(Page::default().limit))),
            ])
        },
        output: || {
            let mut line = vec![("key", true, or_null(text("Of what; null: nobody said.")))];
            line.extend(sums());
            line.extend([
                ("tasks", true, tokens("By how many tasks.")),
                ("first_at", true, moment("When the first was reported.")),
                ("last_at", true, moment("When the last was.")),
            ]);
            let mut report = vec![
                ("by", true, word(&UsageBy::ALL.map(UsageBy::as_str), "What it sums up by.")),
                ("lines", true, list_of(&object(&line))),
            ];
            report.extend(sums());
            object(&report)
        },
    },
    Operation {
        id: "budgets.list",
        module: "apflow.budget.list",
        mcp: None,
        name: "List budgets",
        description: "Reads budgets with what was spent, what is put aside and what is left.",
        category: Category::System,
        tags: &["budget", "cost", "list"],
        annotations: READS,
        examples: &["{}", r#"{"scope":"user","scope_id":"ann"}"#],
        input: || {
            object(&[
                ("scope", false, or_null(scope())),
                ("scope_id", false, scope_id()),
                ("limit", false, or_null(limit(Page::default().limit))),
                ("offset", false, or_null(number("After so many."))),
            ])
        },
        output: || list_of(&budget()),
    },
    Operation {
        id: "budgets.set",
        module: "apflow.budget.set",
        mcp: None,
        name: "Set a budget",
        description: "Sets the most that a task, a tree, an owner or everything may spend. What was \
                      spent in the period before counts.",
        category: Category::System,
        tags: &["budget", "cost", "set"],
        annotations: REPLACES,
        examples: &[
            r#"{"scope":"user","scope_id":"ann","limit":100000,"period":"day"}"#,
            r#"{"scope":"global","unit":"usd","limit":25.5,"period":"month"}"#,
        ],
        input: || {
            let mut fields = key();
            fields.push(("limit", true, amount("The most: tokens, or dollars.")));
            fields.push(("policy", false, or_null(brief("What happens near the limit.", 100))));
            object(&fields)
        },
        output: budget,
    },
    Operation {
        id: "budgets.delete",
        module: "apflow.budget.delete",
        mcp: None,
        name: "Remove a budget",
        description: "Removes a budget; reports of what was spent stay.",
        category: Category::System,
        tags: &["budget", "cost", "delete"],
        annotations: DESTROYS,
        examples: &[r#"{"scope":"user","scope_id":"ann","period":"day"}"#],
        input: || object(&key()),
        output: || {
            object(&[
                ("success", true, json!({"type": "boolean"})),
                ("scope", true, scope()),
                ("scope_id", true, text("The task, the tree or the owner.")),
                ("unit", true, unit()),
                ("period", true, period()),
            ])
        },
    },
    Operation {
        id: "budgets.decide",
        module: "apflow.budget.decide",
        mcp: None,
        name: "Decide about a budget",
        description: "Lets a task that waits for a decision about its budget go on, or ends it.",
        category: Category::System,
        tags: &["budget", "cost", "approve", "deny"],
        annotations: Annotations { idempotent: false, ..REPLACES },
        examples: &[r#"{"task_id":"report","approve":true}"#],
        input: || {
            let mut input = one_task();
            input["properties"]["approve"] =
                flag("It may go on, over the limit if need be; else it ends.", false);
            input["properties"]["approve"]
                .as_object_mut()
                .and_then(|schema| schema.remove("default"));
            input["required"] = json!(["task_id", "approve"]);
            input
        },
        output: task,
    },
];
