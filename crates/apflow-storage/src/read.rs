//! What readers ask of a database: each method one statement, outside any writing transaction.

use apflow_core::store::{Page, StoreError, TaskFilter};
use async_trait::async_trait;

use crate::row::{RecordRow, RunRow};

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

/// What readers ask.
#[async_trait]
pub(crate) trait Reads: Send + Sync {
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

    /// Rows that could not be read: table, key, what is wrong.
    async fn set_aside(&self) -> Result<Vec<(String, String, String)>, StoreError>;

    /// A worker is about to claim for the first time: it lives as long as this process does.
    async fn alive(&self, _worker: &str) -> Result<(), StoreError> {
        Ok(())
    }

    /// Which workers are known to be dead; those of this process, `known`, are not.
    async fn dead(&self, known: &[String]) -> Result<crate::committer::IsDead, StoreError>;
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
