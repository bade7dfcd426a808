//! What an open transaction and a reader know of waits, events and trees that are paused or waited for.

use apflow_core::{
    store::{Page, Publish, StoreError, WaitFilter},
    time::Timestamp,
};
use async_trait::async_trait;
use serde::Serialize;

/// A row of `af_waits` to add.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NewWaitRow {
    pub(crate) id: String,
    pub(crate) task: i64,
    pub(crate) tree: i64,
    pub(crate) forest: i64,
    pub(crate) run: i64,
    pub(crate) key: String,
    pub(crate) kind: &'static str,
    pub(crate) topic: Option<String>,
    pub(crate) detail: String,
    pub(crate) on_timeout: String,
    pub(crate) until: Option<i64>,
}

/// How a row of `af_waits` goes on or ends.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WaitChange {
    pub(crate) id: String,
    pub(crate) state: &'static str,
    /// Its task is still parked for it.
    pub(crate) open: bool,
    pub(crate) on_timeout: Option<String>,
    pub(crate) escalated_to: Option<String>,
    pub(crate) until: Option<i64>,
    pub(crate) answer: Option<String>,
    pub(crate) answered_by: Option<String>,
}

/// A wait, as far as waking its task goes.
#[derive(Debug, Clone)]
pub(crate) struct FoundWait {
    pub(crate) id: String,
    pub(crate) task: i64,
    pub(crate) forest: i64,
    pub(crate) state: String,
    pub(crate) detail: String,
    /// Whose task it is, where that was asked for.
    pub(crate) user_id: Option<String>,
}

/// What came for a wait.
#[derive(Debug)]
pub(crate) struct AnswerRow {
    pub(crate) task: i64,
    pub(crate) key: String,
    pub(crate) state: String,
    pub(crate) answer: Option<String>,
    pub(crate) by: Option<String>,
    pub(crate) at: Option<i64>,
}

/// Events a task may find when it looks back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LookBack<'a> {
    pub(crate) task: i64,
    pub(crate) run: i64,
    pub(crate) topic: &'a str,
    pub(crate) since: Timestamp,
}

/// A wait as readers see it.
#[derive(Debug)]
pub(crate) struct WaitRow {
    pub(crate) id: String,
    pub(crate) task: String,
    pub(crate) tree: String,
    pub(crate) definition: String,
    pub(crate) user_id: Option<String>,
    pub(crate) run: i64,
    pub(crate) key: String,
    pub(crate) kind: String,
    pub(crate) detail: String,
    pub(crate) on_timeout: String,
    pub(crate) escalated_to: Option<String>,
    pub(crate) state: String,
    pub(crate) answer: Option<String>,
    pub(crate) answered_by: Option<String>,
    pub(crate) asked_at: i64,
    pub(crate) until: Option<i64>,
    pub(crate) answered_at: Option<i64>,
}

/// The part of a transaction that is about parked tasks.
#[async_trait]
pub(crate) trait WaitRows: Send {
    /// Adds waits and writes how others go on, in this order.
    async fn save_waits(
        &mut self,
        new: &[NewWaitRow],
        changes: &[WaitChange],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Where the task of a wait is.
    async fn find_wait(&mut self, id: &str) -> Result<Option<FoundWait>, StoreError>;

    /// What came for the waits of these tasks in the run of their tree.
    async fn answers(&mut self, tasks: &[i64]) -> Result<Vec<AnswerRow>, StoreError>;

    /// Keeps others from parking for these topics or publishing on them until this transaction ends.
    async fn hold_topics(&mut self, topics: &[&str]) -> Result<(), StoreError>;

    /// Parked tasks that an event on this topic may wake, oldest first.
    async fn waits_on_topic(&mut self, topic: &str) -> Result<Vec<FoundWait>, StoreError>;

    /// Parked tasks that wait for a run of these trees, each with the row of the tree.
    async fn waits_on_trees(&mut self, trees: &[i64]) -> Result<Vec<(i64, FoundWait)>, StoreError>;

    /// The event of a key on a topic, if it came before.
    async fn find_published(
        &mut self,
        topic: &str,
        key: &str,
    ) -> Result<Option<String>, StoreError>;

    /// Keeps an event, and forgets some that came before `oldest` or lie more than `most` back.
    async fn publish(
        &mut self,
        event: &Publish,
        now: Timestamp,
        oldest: Timestamp,
        most: u32,
    ) -> Result<(), StoreError>;

    /// Events a task may take: id and payload, oldest first.
    async fn look_back(&mut self, look: LookBack<'_>) -> Result<Vec<(String, String)>, StoreError>;

    /// Where the trees of these ids are: id, row, submission.
    async fn find_trees(&mut self, ids: &[&str]) -> Result<Vec<(String, i64, i64)>, StoreError>;

    /// The submissions of these tasks.
    async fn forests_of(&mut self, tasks: &[i64]) -> Result<Vec<i64>, StoreError>;

    /// Marks trees as paused and as waited for: `(tree, paused, awaited)`.
    async fn mark_trees(&mut self, marks: &[(i64, bool, bool)]) -> Result<(), StoreError>;
}

/// What a reader is asked about waits.
#[async_trait]
pub(crate) trait WaitReads: Send + Sync {
    /// One wait.
    async fn wait(&self, id: &str) -> Result<Option<WaitRow>, StoreError>;

    /// Waits that pass a filter.
    async fn waits(&self, filter: &WaitFilter, page: Page) -> Result<Vec<WaitRow>, StoreError>;
}

/// Reads a [`FoundWait`] from the columns of `find_wait.sql`.
macro_rules! found_wait {
    ($row:expr) => {{
        let row = $row;
        Ok(FoundWait {
            id: row.try_get(0)?,
            task: row.try_get(1)?,
            forest: row.try_get(2)?,
            state: row.try_get(3)?,
            detail: row.try_get(4)?,
            user_id: row.try_get(5)?,
        })
    }};
}
pub(crate) use found_wait;

/// Reads an [`AnswerRow`] from the columns of `load_answers.sql`.
macro_rules! answer_row {
    ($row:expr) => {{
        let row = $row;
        Ok(AnswerRow {
            task: row.try_get(0)?,
            key: row.try_get(1)?,
            state: row.try_get(2)?,
            answer: row.try_get(3)?,
            by: row.try_get(4)?,
            at: row.try_get(5)?,
        })
    }};
}
pub(crate) use answer_row;

/// Reads a [`WaitRow`] from the columns of `read_wait.sql`.
macro_rules! wait_row {
    ($row:expr) => {{
        let row = $row;
        Ok(WaitRow {
            id: row.try_get(0)?,
            task: row.try_get(1)?,
            tree: row.try_get(2)?,
            definition: row.try_get(3)?,
            user_id: row.try_get(4)?,
            run: row.try_get(5)?,
            key: row.try_get(6)?,
            kind: row.try_get(7)?,
            detail: row.try_get(8)?,
            on_timeout: row.try_get(9)?,
            escalated_to: row.try_get(10)?,
            state: row.try_get(11)?,
            answer: row.try_get(12)?,
            answered_by: row.try_get(13)?,
            asked_at: row.try_get(14)?,
            until: row.try_get(15)?,
            answered_at: row.try_get(16)?,
        })
    }};
}
pub(crate) use wait_row;
