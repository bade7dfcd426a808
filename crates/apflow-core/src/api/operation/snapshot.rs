//! Remembering how a submission stands, and beginning a run from there.

use serde_json::{Value, json};

use super::{
    Annotations, Category, DESTROYS, Operation, READS, REPLACES, WRITES,
    shapes::flag_out,
    words::{brief, id, ids, list_of, map, number, object, one_task, or_null, text},
};

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        id: "snapshots.create",
        module: "apflow.snapshot.create",
        mcp: None,
        name: "Take a snapshot",
        description: "Remembers under a name how the submission of a task stands now.",
        category: Category::System,
        tags: &["snapshot", "checkpoint", "backup"],
        annotations: REPLACES,
        examples: &[r#"{"task_id":"report","name":"before-deploy"}"#],
        input: || {
            object(&[
                ("task_id", true, id("A task of the submission.")),
                ("name", true, name()),
                ("note", false, or_null(map("What to remember with it."))),
            ])
        },
        output: shape,
    },
    Operation {
        id: "snapshots.list",
        module: "apflow.snapshot.list",
        mcp: None,
        name: "List snapshots",
        description: "Lists the snapshots of the submission of a task, newest first.",
        category: Category::System,
        tags: &["snapshot", "checkpoint", "list"],
        annotations: READS,
        examples: &[r#"{"task_id":"report"}"#],
        input: one_task,
        output: || list_of(&shape()),
    },
    Operation {
        id: "snapshots.restore",
        module: "apflow.snapshot.restore",
        mcp: None,
        name: "Restore a snapshot",
        description: "Begins a new run in which every task of the submission stands where the \
                      snapshot has it.",
        category: Category::System,
        tags: &["snapshot", "checkpoint", "resume", "restore"],
        annotations: Annotations { open_world: true, destructive: true, ..WRITES },
        examples: &[r#"{"task_id":"report","name":"before-deploy"}"#],
        input: || {
            object(&[("task_id", true, id("A task of the submission.")), ("name", true, name())])
        },
        output: || {
            object(&[
                ("success", true, flag_out("Whether a run was begun.")),
                ("root_task_id", true, text("The root of the tree.")),
                ("tree_ids", true, ids("The trees that run.")),
                ("snapshot", true, text("The snapshot.")),
            ])
        },
    },
    Operation {
        id: "snapshots.delete",
        module: "apflow.snapshot.delete",
        mcp: None,
        name: "Delete a snapshot",
        description: "Forgets a snapshot.",
        category: Category::System,
        tags: &["snapshot", "checkpoint", "delete"],
        annotations: DESTROYS,
        examples: &[r#"{"task_id":"report","name":"before-deploy"}"#],
        input: || {
            object(&[("task_id", true, id("A task of the submission.")), ("name", true, name())])
        },
        output: || object(&[("deleted", true, flag_out("Whether there was one."))]),
    },
    Operation {
        id: "snapshots.export",
        module: "apflow.snapshot.export",
        mcp: None,
        name: "Export a snapshot",
        description: "Reads a snapshot as three documents that another database can import.",
        category: Category::System,
        tags: &["snapshot", "checkpoint", "export"],
        annotations: READS,
        examples: &[r#"{"task_id":"report","name":"before-deploy"}"#],
        input: || {
            object(&[("task_id", true, id("A task of the submission.")), ("name", true, name())])
        },
        output: || {
            object(&[
                ("context", true, map("Trees, tasks and results.")),
                ("state", true, map("Where each task stood.")),
                ("meta", true, map("What the documents are.")),
            ])
        },
    },
    Operation {
        id: "snapshots.import",
        module: "apflow.snapshot.import",
        mcp: None,
        name: "Import a snapshot",
        description: "Keeps a snapshot that was exported, and stores its submission if it is not here.",
        category: Category::System,
        tags: &["snapshot", "checkpoint", "import"],
        annotations: Annotations { open_world: true, ..WRITES },
        examples: &[r#"{"context":{},"state":{},"meta":{}}"#],
        input: || {
            object(&[
                ("context", true, map("Trees, tasks and results, as they were exported.")),
                ("state", true, map("Where each task stood.")),
                ("meta", true, map("What the documents are.")),
                ("name", false, or_null(name())),
            ])
        },
        output: shape,
    },
    Operation {
        id: "checkpoints.get",
        module: "apflow.checkpoint.get",
        mcp: None,
        name: "Read a checkpoint",
        description: "Reads what the newest attempt of a task put aside for the next one.",
        category: Category::System,
        tags: &["checkpoint", "resume"],
        annotations: READS,
        examples: &[r#"{"task_id":"report"}"#],
        input: one_task,
        output: || {
            or_null(object(&[
                ("name", true, text("What `resume_from` calls it.")),
                ("attempt", true, number("The attempt that wrote it.")),
                ("number", true, number("How many the task has written in this run.")),
                ("step", true, json!({"type": ["string", "null"]})),
                ("value", true, json!({"description": "What the next attempt is handed."})),
                ("created_at", true, text("When it was written.")),
            ]))
        },
    },
];

fn name() -> Value {
    let mut schema = brief("Letters, digits, `.`, `_` and `-`.", 100);
    schema["pattern"] = json!("^[A-Za-z0-9_-][A-Za-z0-9._-]*$");
    schema
}

fn shape() -> Value {
    object(&[
        ("name", true, text("What it is called.")),
        ("tree_id", true, text("The tree it was asked for.")),
        ("tasks", true, number("How many tasks it holds.")),
        ("bytes", true, number("How large it is.")),
        ("created_at", true, text("When it was taken.")),
        ("note", true, map("What was to be remembered with it.")),
    ])
}
