//! What readers ask of a database: each method one statement, outside any writing transaction.

use apflow_core::{
    store::{Page, ScheduleFilter, StoreError, TaskFilter},
    task::{StateName, Status},
};
use async_trait::async_trait;

use crate::{
    access::AccessReads,
    channel::ChannelReads,
    history_rows::HistoryReads,
    row::{RecordRow, RunRow},
    rows_flow::FlowReads,
    rows_keep::KeepReads,
    rows_waits::WaitReads,
    schedule_rows::ScheduleReads,
};

/// One event with the ids it concerns.
#[derive(Debug)]
pub(crate) struct EventRow {
    pub(crate) seq: i64,
    pub(crate) tree: String,
    pub(crate) task: Option<String>,
    pub(crate) kind: i64,
    pub(crate) attempt: i64,
    pub(crate) at: i64,
    pub(crate) detail: Option<String>,
}

/// How one callback stands.
#[derive(Debug)]
pub(crate) struct CallbackRow {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) position: i64,
    pub(crate) attempts: i64,
    pub(crate) delivered: i64,
    pub(crate) given_up: i64,
    pub(crate) note: Option<String>,
}

/// One event with what a listener wants to know.
#[derive(Debug)]
pub(crate) struct ToldRow {
    pub(crate) event: EventRow,
    pub(crate) root: String,
    pub(crate) owner: Option<String>,
    pub(crate) result: Option<String>,
    pub(crate) too_large: bool,
}

/// What readers ask.
#[async_trait]
pub(crate) trait Reads:
    AccessReads
    + ChannelReads
    + FlowReads
    + HistoryReads
    + KeepReads
    + ScheduleReads
    + WaitReads
    + Send
    + Sync
{
    /// One task, its result whole.
    async fn record(&self, id: &str) -> Result<Option<RecordRow>, StoreError>;

    /// A task and everything below it, in order of submission.
    async fn subtree(&self, root: &str) -> Result<Vec<RecordRow>, StoreError>;

    /// The children of one task, most urgent first.
    async fn children(&self, parent: &str, page: Page) -> Result<Vec<RecordRow>, StoreError>;

    /// Tasks that pass a filter, newest first.
    async fn list(&self, filter: &TaskFilter, page: Page) -> Result<Vec<RecordRow>, StoreError>;

    /// Ids from `from` up to `below`, in the order of their bytes; of one owner if it is named.
    async fn ids_in_range(
        &self,
        from: &str,
        below: &str,
        user_id: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError>;

    /// How many tasks pass a filter, by state.
    async fn count(&self, filter: &TaskFilter) -> Result<Vec<(String, i64)>, StoreError>;

    /// What one task needs: id, kind, state.
    async fn needs_of(&self, seq: i64) -> Result<Vec<(String, i64, String)>, StoreError>;

    /// The tree of a task.
    async fn run_of_task(&self, task: &str) -> Result<Option<RunRow>, StoreError>;

    /// A tree.
    async fn run_of_tree(&self, tree: &str) -> Result<Option<RunRow>, StoreError>;

    /// Tasks of a tree that failed since a moment, or are blocked: id and state.
    async fn troubled(
        &self,
        tree: i64,
        since: i64,
        limit: u32,
    ) -> Result<Vec<(String, String)>, StoreError>;

    /// Events after a position, of one tree or of all.
    async fn events(
        &self,
        tree: Option<&str>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<EventRow>, StoreError>;

    /// Events after a position with what a listener wants to know, of one tree or of all.
    async fn told(
        &self,
        tree: Option<&str>,
        after: i64,
        limit: u32,
        result_bytes: u32,
    ) -> Result<Vec<ToldRow>, StoreError>;

    /// Rows that could not be read: table, key, what is wrong.
    async fn set_aside(&self) -> Result<Vec<(String, String, String)>, StoreError>;

    /// How the callbacks of a tree stand.
    async fn callbacks_of(&self, tree: &str) -> Result<Vec<CallbackRow>, StoreError>;

    /// A worker is about to claim for the first time: it lives as long as this process does.
    async fn alive(&self, _worker: &str) -> Result<(), StoreError> {
        Ok(())
    }

    /// Which workers are known to be dead; those of this process, `known`, are not.
    async fn dead(&self, known: &[String]) -> Result<crate::committer::IsDead, StoreError>;

    /// Which of those who hold callbacks are known to be dead.
    async fn dead_holders(&self, known: &[String]) -> Result<crate::committer::IsDead, StoreError>;
}

/// The states a filter lets through, as stored words.
pub(crate) fn states(filter: &TaskFilter) -> Option<Vec<&'static str>> {
    (!filter.statuses.is_empty()).then(|| {
        filter
            .statuses
            .iter()
            .flat_map(|status| status.states())
            .map(apflow_core::task::StateName::as_str)
            .collect()
    })
}

/// The states that a filter on schedules lets through, as stored words. What is due is not in progress.
pub(crate) fn status_states(filter: &ScheduleFilter) -> Option<Vec<&'static str>> {
    let is_due = filter.due_before.is_some();
    if filter.status.is_none() && !is_due {
        return None;
    }
    let wanted = |status: &Status| {
        filter.status.is_none_or(|only| only == *status)
            && !(is_due && *status == Status::InProgress)
    };
    let statuses = Status::ALL.into_iter().filter(wanted);
    Some(statuses.flat_map(Status::states).map(StateName::as_str).collect())
}
