//! What came of a webhook, in the shapes of v1.

use serde_json::{Value, json};

use crate::{
    api::wire,
    id::TaskId,
    task::{Record, Status},
};

/// What came of a webhook that was allowed.
#[derive(Debug, Clone, PartialEq)]
pub enum Triggered {
    /// The run began, and nobody waits for it.
    Begun {
        /// The task.
        task: TaskId,
    },
    /// The run ended.
    Ended {
        /// The task.
        record: Box<Record>,
        /// What hangs under it.
        below: Vec<Record>,
    },
    /// Nothing was run.
    Refused {
        /// The task that was asked for.
        task: TaskId,
        /// Why.
        reason: Reason,
    },
}

/// Why a webhook that was allowed did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is no such task, or none for this caller.
    NotFound,
    /// It runs already, or cannot run.
    NotReady,
}

impl Triggered {
    /// Whether nothing was run.
    pub const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    pub(super) fn json(&self) -> Value {
        match self {
            Self::Begun { task } => json!({
                "success": true, "status": "triggered", "task_id": task,
                "message": "Task execution started in background",
            }),
            Self::Ended { record, below } => {
                let status = record.task.state.status();
                let children: Vec<Value> = below
                    .iter()
                    .map(|child| {
                        json!({
                            "task_id": child.id, "name": child.definition.name,
                            "status": child.task.state.status(), "error": wire::error(child),
                        })
                    })
                    .collect();
                json!({
                    "success": status == Status::Completed, "status": status,
                    "task_id": record.id, "result": record.result, "error": wire::error(record),
                    "children": children,
                })
            }
            Self::Refused { task, reason } => {
                let error = match reason {
                    Reason::NotFound => format!("Task {task} not found"),
                    Reason::NotReady => "Task not ready for execution".to_owned(),
                };
                json!({ "success": false, "error": error, "task_id": task })
            }
        }
    }
}
