//! What an open transaction knows of tasks that come into being while their run goes on.

use apflow_core::store::StoreError;
use async_trait::async_trait;

use crate::{row::HotRow, rows::Insert};

/// A task that another one spawned.
#[derive(Debug)]
pub(crate) struct GatheredRow {
    pub(crate) spawner: i64,
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) output: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) facets: Option<String>,
}

/// Tasks that join a submission that exists.
#[derive(Debug, Default)]
pub(crate) struct Joining {
    /// The tasks, and no submission and no tree.
    pub(crate) insert: Insert,
    /// What tasks that exist have to wait for besides: `(task, [(need, kind)])`, none of them empty.
    pub(crate) needs: Vec<(i64, Vec<(i64, i64)>)>,
    /// Tasks that something hangs under now.
    pub(crate) parents: Vec<i64>,
    /// How many tasks each tree has more.
    pub(crate) grown: Vec<(i64, i64)>,
}

/// What somebody calls a task.
#[derive(Debug)]
pub(crate) struct Meant<'a> {
    /// Its id, or its name.
    pub(crate) id: &'a str,
    /// Its id if what is said is a key of the same workflow file.
    pub(crate) key: String,
}

/// A task that may be meant.
#[derive(Debug)]
pub(crate) struct NamedRow {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) definition: String,
}

/// One open transaction, as far as it is about tasks that come into being.
#[async_trait]
pub(crate) trait EffectRows: Send {
    /// Adds tasks to submissions that exist.
    async fn join(&mut self, joining: &Joining) -> Result<(), StoreError>;

    /// What hangs under these tasks and was spawned, in order of submission.
    async fn gathered(&mut self, spawners: &[i64]) -> Result<Vec<GatheredRow>, StoreError>;

    /// Rewrites what tasks have to wait for.
    async fn save_needs(&mut self, needs: &[(i64, Vec<(i64, i64)>)]) -> Result<(), StoreError>;

    /// Tasks of a submission that somebody may mean.
    async fn named(&mut self, forest: i64, meant: &Meant<'_>) -> Result<Vec<NamedRow>, StoreError>;

    /// Where these tasks stand; the caller holds their submissions.
    async fn work_of(&mut self, seqs: &[i64]) -> Result<Vec<HotRow>, StoreError>;
}
