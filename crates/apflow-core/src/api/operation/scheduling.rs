//! Running tasks by the clock.

use serde_json::{Value, json};

use super::{
    Annotations, Category, Operation, READS, REPLACES, WRITES,
    words::{flag, limit, list_of, number, object, status, task, text},
};
use crate::{schedule::Kind, store::Page};

fn moment(description: &str) -> Value {
    json!({ "type": "string", "format": "date-time", "description": description })
}

fn kind() -> Value {
    json!({ "enum": Kind::ALL.map(Kind::as_str), "description": "Only schedules of this type." })
}

fn offset() -> Value {
    number("After so many.")
}

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "tasks.scheduled.list",
        module: "apflow.task.scheduled",
        mcp: None,
        name: "List scheduled tasks",
        description: "Reads tasks with a schedule, by their next run.",
        category: Category::Scheduling,
        tags: &["task", "schedule", "list", "query"],
        annotations: READS,
        examples: &["{}", r#"{"enabled_only":false,"schedule_type":"cron"}"#],
        input: || {
            object(&[
                ("enabled_only", false, flag("Only schedules that are on.", true)),
                ("user_id", false, text("Only this owner's.")),
                ("schedule_type", false, kind()),
                ("status", false, status()),
                ("limit", false, limit(Page::default().limit)),
                ("offset", false, offset()),
            ])
        },
        output: || list_of(&task()),
    },
    Operation {
        id: "tasks.scheduled.due",
        module: "apflow.task.scheduled_due",
        mcp: None,
        name: "List due tasks",
        description: "Reads tasks whose next run is due and that are not in progress, for schedulers \
                      outside apflow; apflow's own fires them by itself.",
        category: Category::Scheduling,
        tags: &["task", "schedule", "due", "query"],
        annotations: READS,
        examples: &["{}", r#"{"before":"2026-11-20T15:00:00Z","limit":10}"#],
        input: || {
            object(&[
                ("before", false, moment("Due at this moment; now if nothing is said.")),
                ("user_id", false, text("Only this owner's.")),
                ("limit", false, limit(Page::default().limit)),
            ])
        },
        output: || list_of(&task()),
    },
    Operation {
        id: "tasks.scheduled.init",
        module: "apflow.task.scheduled_init",
        mcp: None,
        name: "Find the next run",
        description: "Finds the next run of a schedule anew; when a task is stored or changed that \
                      happens by itself.",
        category: Category::Scheduling,
        tags: &["task", "schedule", "init"],
        annotations: REPLACES,
        examples: &[r#"{"task_id":"report"}"#],
        input: || {
            object(&[
                ("task_id", true, text("The task.")),
                ("from_time", false, moment("The next run is after this; now if nothing is said.")),
            ])
        },
        output: task,
    },
    Operation {
        id: "tasks.scheduled.complete",
        module: "apflow.task.scheduled_complete",
        mcp: None,
        name: "Complete a scheduled run",
        description: "Counts a run that a scheduler outside apflow drove, and moves on to the next.",
        category: Category::Scheduling,
        tags: &["task", "schedule", "complete"],
        annotations: WRITES,
        examples: &[
            r#"{"task_id":"report","success":false,"error":"the printer is out of paper"}"#,
        ],
        input: || {
            object(&[
                ("task_id", true, text("The task.")),
                ("success", false, flag("It went well.", true)),
                ("error", false, text("Why it did not.")),
                ("calculate_next_run", false, flag("Move on to the next run.", true)),
                ("result", false, json!({"description": "Taken for old clients, and ignored."})),
            ])
        },
        output: task,
    },
    Operation {
        id: "tasks.scheduled.export-ical",
        module: "apflow.task.scheduled_export_ical",
        mcp: None,
        name: "Export schedules as a calendar",
        description: "Writes schedules as an iCalendar file that calendar programs read.",
        category: Category::Scheduling,
        tags: &["task", "schedule", "ical", "export"],
        annotations: READS,
        examples: &["{}", r#"{"calendar_name":"Night shift","base_url":"https://example.org"}"#],
        input: || {
            object(&[
                ("user_id", false, text("Only this owner's.")),
                ("schedule_type", false, kind()),
                ("status", false, status()),
                ("enabled_only", false, flag("Only schedules that are on.", true)),
                ("limit", false, limit(Page::MAX)),
                ("offset", false, offset()),
                ("calendar_name", false, text("The name of the calendar.")),
                ("base_url", false, text("What links to tasks begin with.")),
            ])
        },
        output: || {
            object(&[
                ("ical_content", true, text("The file.")),
                ("task_count", true, number("How many tasks are in it.")),
            ])
        },
    },
    Operation {
        id: "tasks.scheduled.backfill",
        module: "apflow.task.scheduled_backfill",
        mcp: None,
        name: "Make up for missed runs",
        description: "Starts the runs of a range of time that never began, each once and one after \
                      another.",
        category: Category::Scheduling,
        tags: &["task", "schedule", "backfill"],
        annotations: Annotations { open_world: true, ..WRITES },
        examples: &[
            r#"{"task_id":"report","from":"2026-11-01T00:00:00Z","to":"2026-11-08T00:00:00Z","dry_run":true}"#,
        ],
        input: || {
            object(&[
                ("task_id", true, text("The task.")),
                ("from", true, moment("The first moment of the range.")),
                ("to", true, moment("The first moment after the range.")),
                ("limit", false, limit(Page::default().limit)),
                ("dry_run", false, flag("Only say which runs would begin.", false)),
            ])
        },
        output: || {
            object(&[
                ("success", true, json!({"type": "boolean"})),
                ("task_id", true, text("The task.")),
                ("slots", true, json!({"type": "array", "items": {"type": "string"}})),
                ("count", true, number("How many runs begin.")),
                ("fired_before", true, number("How many of the range ran before.")),
                ("forgotten", true, number("How many are too old to be known.")),
                ("cut_short", true, json!({"type": "boolean"})),
                ("dry_run", true, json!({"type": "boolean"})),
            ])
        },
    },
];
