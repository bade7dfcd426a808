//! Putting trees in and reading them.

use async_trait::async_trait;

use super::{Counts, NewCallback, Page, StoreError, TaskFilter};
use crate::{
    id::{TaskId, TreeId},
    task::{Definition, Record, RunSummary, TreeOptions},
};

/// Several trees that are stored together, or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The trees, each with its root among `tasks`.
    pub trees: Vec<NewTree>,
    /// The tasks, in order of submission.
    pub tasks: Vec<NewTask>,
    /// Begin a run of every tree in the same transaction.
    pub start: bool,
    /// The caller's key, if the same request may come twice.
    pub idempotency: Option<Idempotency>,
    /// Who wants to be told of the run that begins.
    pub callback: Option<NewCallback>,
    /// The run that begins is a demonstration: executors are not called.
    pub demo: bool,
}

/// A tree to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTree {
    /// Its id.
    pub id: TreeId,
    /// Its root, as an index into [`Submission::tasks`].
    pub root: usize,
    /// Owner.
    pub user_id: Option<String>,
    /// What holds for the whole tree.
    pub options: TreeOptions,
}

/// A task to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// Its tree, as an index into [`Submission::trees`].
    pub tree: usize,
    /// Its parent, as an index into [`Submission::tasks`].
    pub parent: Option<usize>,
    /// Whether anything hangs under it.
    pub has_children: bool,
    /// What the author said.
    pub definition: Definition,
    /// What must settle before it, by declaration and by structure.
    pub needs: Vec<NewNeed>,
}

/// One edge of the execution graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewNeed {
    /// The task that comes first, as an index into [`Submission::tasks`].
    pub on: usize,
    /// What it must do.
    pub kind: NeedKind,
}

/// What a need must do before the task that has it may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NeedKind {
    /// Complete; its result becomes an input.
    Required,
    /// End somehow; its result becomes an input if there is one.
    Optional,
    /// End somehow; it is a child, and its result is no input.
    Structure,
}

impl NeedKind {
    /// The number it is stored as.
    pub const fn code(self) -> i64 {
        match self {
            Self::Required => 0,
            Self::Optional => 1,
            Self::Structure => 2,
        }
    }

    /// The kind a stored number stands for.
    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Required),
            1 => Some(Self::Optional),
            2 => Some(Self::Structure),
            _ => None,
        }
    }
}

/// A caller's promise that two requests with one key are one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Whose key it is; empty for nobody in particular.
    pub owner: String,
    /// The key, 1–255 characters.
    pub key: String,
    /// A digest of the canonical request.
    pub digest: String,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inserted {
    /// The trees, in order of submission; those of the first request if the key was used before.
    pub trees: Vec<TreeId>,
    /// Their roots, in the same order.
    pub roots: Vec<TaskId>,
    /// Nothing was stored: the same request came before.
    pub replayed: bool,
}

/// Putting trees in and reading them.
#[async_trait]
pub trait TreeStore: Send + Sync {
    /// Stores a submission; durable when it returns.
    async fn insert(&self, submission: Submission) -> Result<Inserted, StoreError>;

    /// One task in full detail.
    async fn record(&self, id: &TaskId) -> Result<Option<Record>, StoreError>;

    /// A task and everything below it, parents before children, siblings in order of submission.
    async fn subtree(&self, root: &TaskId) -> Result<Vec<Record>, StoreError>;

    /// Tasks that pass the filter, newest first; children of one parent by priority instead.
    async fn list(&self, filter: &TaskFilter, page: Page) -> Result<Vec<Record>, StoreError>;

    /// Ids that begin like this, in the order of their bytes, at most `limit`; of one owner if it is named.
    ///
    /// Reads a range of an index, so it costs what it returns; with an owner, what lies in the range.
    async fn ids_like(
        &self,
        beginning: &str,
        user_id: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TaskId>, StoreError>;

    /// How many tasks pass the filter, by status.
    async fn count(&self, filter: &TaskFilter) -> Result<Counts, StoreError>;

    /// How the newest run of a task's tree stands.
    async fn run(&self, task: &TaskId) -> Result<Option<RunSummary>, StoreError>;

    /// How the newest run of a tree stands.
    async fn run_of_tree(&self, tree: &TreeId) -> Result<Option<RunSummary>, StoreError>;

    /// Removes whole submissions that are not running: about `limit` tasks together, and at least one
    /// submission however large it is. Nobody ever sees half of one.
    ///
    /// What others link to stays as long as they do.
    /// Returns how many tasks went; call again until it is 0.
    async fn prune(
        &self,
        finished_before: crate::time::Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;

    /// Forgets idempotency keys that were used so long ago, by the database's clock; at most `limit`.
    ///
    /// Returns how many went; call again until it is 0.
    async fn forget_keys(
        &self,
        older_than: std::time::Duration,
        limit: u32,
    ) -> Result<u64, StoreError>;
}
