//! Attempts and dead letters.

use serde_json::{Value, json};

use super::{
    Category, DESTROYS, Operation, READS, WRITES,
    shapes::moment,
    words::{brief, flag, id, ids, limit, list_of, number, object, one_task, or_null, owner, text},
};
use crate::store::{AttemptOutcome, DeadReason, Page};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "tasks.attempts",
        module: "apflow.task.attempts",
        mcp: None,
        name: "List the attempts of a task",
        description: "Reads what became of each attempt of a task, oldest first; of many, the first and the newest are kept.",
        category: Category::Monitoring,
        tags: &["task", "attempts", "retry", "history"],
        annotations: READS,
        examples: &[r#"{"task_id":"report"}"#],
        input: one_task,
        output: || {
            object(&[("task_id", true, text("The task.")), ("attempts", true, list_of(&attempt()))])
        },
    },
    Operation {
        id: "dlq.list",
        module: "apflow.dlq.list",
        mcp: None,
        name: "List dead letters",
        description: "Reads which tasks failed for good and wait for somebody to look, newest first.",
        category: Category::Monitoring,
        tags: &["dead letter", "dlq", "failure", "list"],
        annotations: READS,
        examples: &[r#"{"executor":"rest_executor","kind":"timeout"}"#, "{}"],
        input: || {
            let mut fields = filter();
            fields.push(("limit", false, or_null(limit(Page::default().limit))));
            fields.push(("offset", false, or_null(number("Skip so many."))));
            object(&fields)
        },
        output: || {
            object(&[
                ("letters", true, list_of(&letter())),
                ("total", true, number("How many there are in all.")),
                ("limit", true, number("At most so many were asked for.")),
                ("offset", true, number("So many were skipped.")),
            ])
        },
    },
    Operation {
        id: "dlq.get",
        module: "apflow.dlq.get",
        mcp: None,
        name: "Get a dead letter",
        description: "Reads why a task was given up, with its attempts.",
        category: Category::Monitoring,
        tags: &["dead letter", "dlq", "failure", "history"],
        annotations: READS,
        examples: &[r#"{"task_id":"report"}"#],
        input: one_task,
        output: || {
            let mut letter = letter();
            letter["properties"]["history"] = list_of(&attempt());
            letter
        },
    },
    Operation {
        id: "dlq.requeue",
        module: "apflow.dlq.requeue",
        mcp: None,
        name: "Requeue dead letters",
        description: "Lets tasks that failed for good begin anew, with what they need; their letters go in the same transaction.",
        category: Category::AgentAction,
        tags: &["dead letter", "dlq", "retry", "execution"],
        annotations: WRITES,
        examples: &[r#"{"task_id":"report"}"#, r#"{"kind":"timeout","limit":10}"#],
        input: || {
            let mut fields = chosen();
            fields.push((
                "whole_tree",
                false,
                or_null(flag("Begin everything of the tree that has not completed.", false)),
            ));
            object(&fields)
        },
        output: || {
            let refused = object(&[
                ("task_id", true, text("The task.")),
                ("code", true, text("The code of the error.")),
                ("detail", true, text("What happened.")),
            ]);
            object(&[
                ("requeued", true, list_of(&text("A task that began anew."))),
                ("refused", true, list_of(&refused)),
            ])
        },
    },
    Operation {
        id: "dlq.drop",
        module: "apflow.dlq.drop",
        mcp: None,
        name: "Drop dead letters",
        description: "Throws dead letters away; their tasks stay as they are.",
        category: Category::Crud,
        tags: &["dead letter", "dlq", "delete"],
        annotations: DESTROYS,
        examples: &[r#"{"task_id":"report"}"#, r#"{"before":"2026-11-01T00:00:00+00:00"}"#],
        input: || object(&chosen()),
        output: || object(&[("dropped", true, number("So many were thrown away."))]),
    },
];

type Field = (&'static str, bool, Value);

fn filter() -> Vec<Field> {
    let reasons = DeadReason::ALL.map(DeadReason::as_str);
    vec![
        ("user_id", false, or_null(owner())),
        ("executor", false, or_null(brief("Only of this executor.", 255))),
        ("kind", false, or_null(brief("Only of this kind of failure.", 100))),
        (
            "reason",
            false,
            or_null(json!({
                "type": "string",
                "enum": reasons,
                "description": "Only those that are here for this.",
            })),
        ),
        ("since", false, or_null(moment("Not older than this."))),
        ("before", false, or_null(moment("Older than this."))),
    ]
}

fn chosen() -> Vec<Field> {
    let mut fields = vec![
        ("task_id", false, or_null(id("The task."))),
        ("id", false, or_null(id("The same, by its other name."))),
        ("task_ids", false, or_null(ids("The tasks."))),
        ("all", false, or_null(flag("All of them; needed where nothing else is said.", false))),
        ("limit", false, or_null(limit(Page::default().limit))),
    ];
    fields.extend(filter());
    fields
}

fn attempt() -> Value {
    let outcomes = AttemptOutcome::ALL.map(AttemptOutcome::as_str);
    object(&[
        ("run", true, number("Which run of the tree, counted from 1.")),
        ("attempt", true, number("Which attempt of that run, counted from 1.")),
        ("cycle", true, number("How often the task had gone round its loop.")),
        ("worker", true, null_text("Who had it.")),
        ("began_at", true, null_moment("When it began.")),
        ("ended_at", true, null_moment("When it ended.")),
        ("outcome", true, json!({"enum": outcomes, "description": "How it stands."})),
        ("kind", true, null_text("What sort of failure it was.")),
        ("cause", true, null_text("What happened.")),
        ("retry_at", true, null_moment("When the next one was to begin.")),
    ])
}

fn letter() -> Value {
    let reasons = DeadReason::ALL.map(DeadReason::as_str);
    object(&[
        ("task_id", true, text("The task.")),
        ("task_tree_id", true, text("Its tree.")),
        ("user_id", true, null_text("Its owner.")),
        ("executor", true, null_text("Its executor.")),
        ("reason", true, json!({"enum": reasons, "description": "Why it is here."})),
        ("kind", true, text("What sort of failure it was.")),
        ("error", true, text("What happened.")),
        ("attempts", true, number("Attempts of the run that failed.")),
        ("run", true, number("Which run of the tree, counted from 1.")),
        ("failed_at", true, moment("Since when.")),
    ])
}

fn null_text(description: &str) -> Value {
    or_null(text(description))
}

fn null_moment(description: &str) -> Value {
    or_null(moment(description))
}
