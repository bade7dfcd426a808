//! Attempts and dead letters as JSON.

use serde_json::{Value, json};

use crate::{
    code::Code,
    id::TaskId,
    store::{AttemptRecord, DeadLetter, Page},
};

/// What came of a wish about dead letters.
#[derive(Debug, Clone, PartialEq)]
pub enum LettersAnswer {
    /// Which there are.
    List {
        /// The letters, newest first.
        letters: Vec<DeadLetter>,
        /// How many there are in all.
        total: u64,
        /// Which part this is.
        page: Page,
    },
    /// One of them.
    One {
        /// The letter.
        letter: Box<DeadLetter>,
        /// The attempts of its task that are kept, oldest first.
        attempts: Vec<AttemptRecord>,
    },
    /// Their tasks began anew.
    Requeued {
        /// These did.
        requeued: Vec<TaskId>,
        /// These could not.
        refused: Vec<NotRequeued>,
    },
    /// So many were thrown away.
    Dropped(u64),
}

/// A task that could not begin anew; its letter stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRequeued {
    /// The task.
    pub task: TaskId,
    /// What sort of error it was.
    pub code: Code,
    /// What happened.
    pub detail: String,
}

impl LettersAnswer {
    pub(super) fn json(&self) -> Value {
        match self {
            Self::List { letters, total, page } => json!({
                "letters": letters.iter().map(letter_json).collect::<Vec<_>>(),
                "total": total, "limit": page.limit, "offset": page.offset,
            }),
            Self::One { letter, attempts } => {
                let mut object = letter_json(letter);
                object["history"] = attempts.iter().map(attempt_json).collect();
                object
            }
            Self::Requeued { requeued, refused } => json!({
                "requeued": requeued,
                "refused": refused.iter().map(|it| json!({
                    "task_id": it.task, "code": it.code.as_str(), "detail": it.detail,
                })).collect::<Vec<_>>(),
            }),
            Self::Dropped(count) => json!({ "dropped": count }),
        }
    }
}

/// The attempts of one task.
pub(super) fn attempts_json(task: &TaskId, attempts: &[AttemptRecord]) -> Value {
    json!({
        "task_id": task,
        "attempts": attempts.iter().map(attempt_json).collect::<Vec<_>>(),
    })
}

fn attempt_json(attempt: &AttemptRecord) -> Value {
    json!({
        "run": attempt.run, "attempt": attempt.attempt, "cycle": attempt.cycle,
        "worker": attempt.worker, "began_at": attempt.began, "ended_at": attempt.ended,
        "outcome": attempt.outcome, "kind": attempt.kind, "cause": attempt.cause,
        "retry_at": attempt.retry_at,
    })
}

fn letter_json(letter: &DeadLetter) -> Value {
    json!({
        "task_id": letter.task, "task_tree_id": letter.tree, "user_id": letter.user_id,
        "executor": letter.executor, "reason": letter.reason, "kind": letter.kind,
        "error": letter.error, "attempts": letter.attempts, "run": letter.run,
        "failed_at": letter.at,
    })
}
