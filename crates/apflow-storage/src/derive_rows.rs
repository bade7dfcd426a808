//! What an open transaction knows of links, archives and idempotency keys.

use apflow_core::{store::StoreError, time::Timestamp};
use async_trait::async_trait;

use crate::rows::NewKeyRow;

/// A task as its author wrote it, and what it is a link to.
#[derive(Debug)]
pub(crate) struct SourceRow {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) tree: i64,
    pub(crate) parent: Option<i64>,
    pub(crate) definition: String,
    /// Where it stands; a link, where its original stands.
    pub(crate) state: String,
    pub(crate) original: Option<OriginalRow>,
    /// What only some tasks have.
    pub(crate) facets: Option<String>,
}

/// What a link answers for.
#[derive(Debug)]
pub(crate) struct OriginalRow {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) forest: i64,
    pub(crate) definition: String,
}

/// One open transaction, as far as it is about links, archives and keys.
#[async_trait]
pub(crate) trait DeriveRows: Send {
    /// Locks submissions, all at once and in order, so that two who lock the same ones do not wait for
    /// each other.
    async fn hold(&mut self, forests: &[i64]) -> Result<(), StoreError>;

    /// Submissions that this one links to. It is settled when a submission is stored.
    async fn linked_forests(&mut self, forest: i64) -> Result<Vec<i64>, StoreError>;

    /// Every task of a submission, in order of submission.
    async fn sources(&mut self, forest: i64) -> Result<Vec<SourceRow>, StoreError>;

    /// Makes links of new tasks, as `(task, original)`; `originals` are the submissions of these.
    async fn save_links(
        &mut self,
        links: &[(i64, i64)],
        originals: &[i64],
        forest: i64,
    ) -> Result<(), StoreError>;

    /// Lets tasks stay as they are, as `(task, definition)`.
    async fn archive(&mut self, tasks: &[(i64, String)]) -> Result<(), StoreError>;

    /// Which of these tasks others link to.
    async fn linked(&mut self, seqs: &[i64]) -> Result<Vec<i64>, StoreError>;

    /// Whether others link to a task of this submission.
    async fn is_referenced(&mut self, forest: i64) -> Result<bool, StoreError>;

    /// A link of a submission whose original has not completed.
    async fn unfinished_original(&mut self, forest: i64) -> Result<Option<String>, StoreError>;

    /// The root of a running tree that links to one of these tasks of a submission.
    async fn running_reader(
        &mut self,
        forest: i64,
        seqs: &[i64],
    ) -> Result<Option<String>, StoreError>;

    /// Forgets the links of submissions that go.
    async fn forget_references(&mut self, forests: &[i64]) -> Result<(), StoreError>;

    /// Keeps a key and what it stands for.
    async fn save_key(&mut self, key: &NewKeyRow, now: Timestamp) -> Result<(), StoreError>;

    /// Forgets keys that were used before a moment; returns how many went.
    async fn forget_keys(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
