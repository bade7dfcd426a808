//! Parked tasks: what they wait for, who may answer, and pausing by hand.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Page, StoreError};
use crate::{
    id::{TaskId, TreeId},
    task::{OnTimeout, WaitFor},
    time::Timestamp,
};

/// How a wait stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitState {
    /// Nothing came yet.
    Pending,
    /// What it waits for came.
    Answered,
    /// Nothing came in time; if its task is still parked, an answer is taken.
    Expired,
    /// It was withdrawn, or its task ended otherwise.
    Cancelled,
}

impl WaitState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Answered, Self::Expired, Self::Cancelled];

    /// The word as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state a stored word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

/// A wait with everything that readers see.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitRecord {
    /// The name it is answered under.
    pub id: String,
    /// The task that is parked.
    pub task: TaskId,
    /// Its tree.
    pub tree: TreeId,
    /// The display name of the task.
    pub name: String,
    /// Whose task it is.
    pub user_id: Option<String>,
    /// Which run of the tree.
    pub run: u32,
    /// Which of the waits of its task.
    pub key: String,
    /// What it waits for.
    pub what: WaitFor,
    /// What the one who answers has to know: the question, the topic, the run.
    pub detail: Value,
    /// What happens if nothing comes in time.
    pub on_timeout: OnTimeout,
    /// Who is asked instead, since nobody answered in time.
    pub escalated_to: Option<String>,
    /// How it stands.
    pub state: WaitState,
    /// What came, or why it was withdrawn.
    pub answer: Value,
    /// Who answered or withdrew it, as far as is known.
    pub answered_by: Option<String>,
    /// When the task parked.
    pub asked_at: Timestamp,
    /// Until when it waits, if not for ever.
    pub until: Option<Timestamp>,
    /// When it was answered, withdrawn or over.
    pub answered_at: Option<Timestamp>,
    /// Where it is answered without an account; stored nowhere, and filled in for those who may answer.
    pub page: Option<String>,
}

impl WaitRecord {
    /// An answer is still taken.
    pub fn is_open(&self) -> bool {
        match self.state {
            WaitState::Pending => true,
            WaitState::Expired => self.on_timeout == OnTimeout::Park,
            WaitState::Answered | WaitState::Cancelled => false,
        }
    }
}

/// Which waits are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitFilter {
    /// Of this kind.
    pub what: Option<WaitFor>,
    /// Standing so; none means all that can be answered.
    pub state: Option<WaitState>,
    /// Of this task.
    pub task: Option<TaskId>,
    /// Of this tree.
    pub tree: Option<TreeId>,
    /// Of this owner.
    pub user_id: Option<String>,
}

/// Something that ends a wait.
#[derive(Debug, Clone, PartialEq)]
pub struct Answering {
    /// The wait.
    pub id: String,
    /// What came, already checked; or why it is withdrawn, as a text.
    pub value: Value,
    /// Who says so.
    pub by: Option<String>,
    /// It is withdrawn instead of answered.
    pub withdraw: bool,
}

/// How a wait ended, as its executor finds it when it runs again.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// Answered, expired or cancelled.
    pub state: WaitState,
    /// What came, or why it was withdrawn.
    pub value: Value,
    /// Who answered.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// An event from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// Its id, made up by whoever publishes.
    pub id: String,
    /// What it is about.
    pub topic: String,
    /// What goes with it.
    pub payload: Value,
    /// The same key on the same topic is the same event, and is taken once.
    pub key: Option<String>,
    /// Whose tasks it may wake; none means everybody's.
    pub user_id: Option<String>,
}

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its id, or that of the same event before.
    pub id: String,
    /// How many tasks it woke.
    pub woken: u32,
    /// It had been published before.
    pub replayed: bool,
}

/// A wish to hold tasks back, or to let them go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The task.
    pub task: TaskId,
    /// Its whole tree.
    pub tree: bool,
    /// Hold back, or let go on.
    pub paused: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseAnswer {
    /// The tree of the task.
    pub tree: TreeId,
    /// How many ready tasks are held back now, or were let go.
    pub tasks: u32,
    /// Something changed.
    pub changed: bool,
}

/// At most so many events are kept for those who look back.
pub const MAX_PUBLISHED: u32 = 10_000;
/// An event is kept so long for those who look back.
pub const LOOK_BACK: std::time::Duration = std::time::Duration::from_hours(24);
/// A task may park so often in one run.
pub const MAX_WAITS: usize = 1_000;

const WAITS: &str = "parked tasks";
const PAUSES: &str = "pauses";

/// Parked tasks.
#[async_trait]
pub trait WaitStore: Send + Sync {
    /// Waits, oldest first.
    async fn waits(&self, filter: &WaitFilter, page: Page) -> Result<Vec<WaitRecord>, StoreError> {
        let _ = (filter, page);
        Err(StoreError::NotOffered { what: WAITS })
    }

    /// One wait.
    async fn wait(&self, id: &str) -> Result<Option<WaitRecord>, StoreError> {
        let _ = id;
        Err(StoreError::NotOffered { what: WAITS })
    }

    /// Answers or withdraws a wait and wakes its task, in one transaction. The first one wins; who
    /// comes later is told how it stands.
    async fn answer(&self, answering: Answering) -> Result<WaitRecord, StoreError> {
        let _ = answering;
        Err(StoreError::NotOffered { what: WAITS })
    }

    /// Keeps an event for those who look back, and wakes every task that waits for it, in one
    /// transaction.
    async fn publish(&self, event: Publish) -> Result<Published, StoreError> {
        let _ = event;
        Err(StoreError::NotOffered { what: WAITS })
    }

    /// Holds a task or a tree back, or lets it go on. What runs is not stopped.
    async fn pause(&self, pause: Pause) -> Result<PauseAnswer, StoreError> {
        let _ = pause;
        Err(StoreError::NotOffered { what: PAUSES })
    }
}
