//! What happened, in order.

use async_trait::async_trait;
use serde_json::Value;

use super::StoreError;
use crate::{
    id::{TaskId, TreeId},
    time::Timestamp,
};

/// One thing that happened, durable from the transaction that did it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskEvent {
    /// Position in the journal of the whole database; a reader resumes after it.
    pub seq: i64,
    /// The tree.
    pub tree: TreeId,
    /// The task, unless the event is about the tree.
    pub task: Option<TaskId>,
    /// What happened.
    pub kind: EventKind,
    /// Which attempt, counted from 1; 0 where it does not apply.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// What goes with it: the failure, the reason, the outcome.
    pub detail: Value,
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal $word:literal,)*) => {
        /// The kinds of event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventKind {
            $($(#[$doc])* $name,)*
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The number it is stored as.
            pub const fn code(self) -> i64 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The kind a stored number stands for.
            pub const fn from_code(code: i64) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

event_kinds! {
    /// A run of the tree began.
    RunStarted = 1 "run_started",
    /// A run of the tree ended.
    RunFinished = 2 "final",
    /// An attempt began.
    Started = 10 "task_start",
    /// The task completed.
    Completed = 11 "task_completed",
    /// The task failed.
    Failed = 12 "task_failed",
    /// The task was cancelled.
    Cancelled = 13 "task_cancelled",
    /// The task was skipped.
    Skipped = 14 "task_skipped",
    /// An attempt failed and another will follow.
    Retrying = 15 "task_retrying",
    /// The task waits for somebody.
    Parked = 16 "task_waiting",
    /// The worker vanished or gave the task back.
    Requeued = 17 "task_reassigned",
    /// Somebody set the task back.
    Reset = 18 "task_reset",
    /// What the task waited for came, or was withdrawn.
    Answered = 19 "task_answered",
    /// Somebody paused the task, or its tree.
    Paused = 20 "task_paused",
    /// Somebody resumed the task, or its tree.
    Resumed = 21 "task_resumed",
    /// The task brought other tasks into being.
    Spawned = 23 "task_spawned",
    /// A pass of the task ended and another one follows.
    Iterated = 24 "task_iterated",
    /// The task ended by going on elsewhere.
    Jumped = 25 "task_jumped",
    /// A slot of the task's schedule began a run.
    SlotFired = 30 "schedule_fired",
    /// Slots of the task's schedule were left out.
    SlotSkipped = 31 "schedule_skipped",
    /// The task's schedule had its last slot, or cannot be followed any more.
    ScheduleEnded = 32 "schedule_ended",
}

/// An event with what a listener wants to know besides.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The event.
    pub event: TaskEvent,
    /// The root of its tree.
    pub root: TaskId,
    /// Whose tree it is.
    pub owner: Option<String>,
    /// What the task returned, if it completed, has not begun again since, and it is small enough.
    pub result: Option<Value>,
    /// There is a result, and it is too large to be told.
    pub result_omitted: bool,
}

/// Reading what happened.
#[async_trait]
pub trait JournalStore: Send + Sync {
    /// Events after position `after`, oldest first, at most `limit`; of one tree if it is named.
    async fn events(
        &self,
        tree: Option<&TreeId>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<TaskEvent>, StoreError>;

    /// The same events with what a listener wants to know; a result of more than `result_bytes` is
    /// not told.
    async fn told(
        &self,
        tree: Option<&TreeId>,
        after: i64,
        limit: u32,
        result_bytes: u32,
    ) -> Result<Vec<Told>, StoreError>;

    /// Whether rows were set aside because they could not be read: table, key and what is wrong.
    async fn set_aside(&self) -> Result<Vec<(String, String, String)>, StoreError>;
}
