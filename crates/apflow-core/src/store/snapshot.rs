//! How a submission stood, kept under a name; and submissions on their way between databases.

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{Started, StoreError};
use crate::{
    id::{LeaseToken, Seq, TaskId, TreeId},
    portable::Portable,
    time::Timestamp,
};

/// So many snapshots of one submission are kept; the oldest go.
pub const MAX_SNAPSHOTS: u32 = 20;

/// The largest snapshot, in bytes of JSON.
pub const MAX_SNAPSHOT_BYTES: usize = 64 << 20;

/// A wish to remember how a submission stands.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSnapshot {
    /// A task of the submission.
    pub task: TaskId,
    /// What to call it; a snapshot of that name is replaced.
    pub name: String,
    /// What to remember with it.
    pub note: Map<String, Value>,
    /// The task's row and lease, if a running attempt asks: refused if it is not current.
    pub lease: Option<(Seq, LeaseToken)>,
}

/// What is known of a snapshot without reading it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// What it is called.
    pub name: String,
    /// The tree it was asked for.
    pub tree: TreeId,
    /// How many tasks it holds.
    pub tasks: u32,
    /// How large it is.
    pub bytes: u64,
    /// When it was taken, by the database's clock.
    pub at: Timestamp,
    /// What was to be remembered with it.
    pub note: Map<String, Value>,
}

/// Snapshots, and submissions as documents.
#[async_trait]
pub trait SnapshotStore: Send + Sync {
    /// Remembers how the submission of a task stands now; durable when it returns.
    async fn take_snapshot(&self, wish: NewSnapshot) -> Result<Snapshot, StoreError> {
        let _ = wish;
        Err(StoreError::NotOffered { what: "snapshots" })
    }

    /// The snapshots of the submission of a task, newest first.
    async fn snapshots(&self, task: &TaskId) -> Result<Vec<Snapshot>, StoreError> {
        let _ = task;
        Err(StoreError::NotOffered { what: "snapshots" })
    }

    /// One snapshot with what it holds.
    async fn snapshot(
        &self,
        task: &TaskId,
        name: &str,
    ) -> Result<(Snapshot, Portable), StoreError> {
        let _ = (task, name);
        Err(StoreError::NotOffered { what: "snapshots" })
    }

    /// Begins a new run in which every task stands where the snapshot has it.
    ///
    /// Refused while a run goes on. Tasks that came later than the snapshot go.
    async fn restore_snapshot(&self, task: &TaskId, name: &str) -> Result<Started, StoreError> {
        let _ = (task, name);
        Err(StoreError::NotOffered { what: "snapshots" })
    }

    /// Forgets a snapshot; returns whether there was one.
    async fn drop_snapshot(&self, task: &TaskId, name: &str) -> Result<bool, StoreError> {
        let _ = (task, name);
        Err(StoreError::NotOffered { what: "snapshots" })
    }

    /// Keeps a snapshot that was taken elsewhere; stores its submission if it is not here.
    async fn put_snapshot(
        &self,
        name: &str,
        note: Map<String, Value>,
        portable: Portable,
    ) -> Result<Snapshot, StoreError> {
        let _ = (name, note, portable);
        Err(StoreError::NotOffered { what: "snapshots" })
    }

    /// At most `limit` submissions after a row, in order, each as a document with its row.
    async fn export(&self, after: Seq, limit: u32) -> Result<Vec<(Seq, Portable)>, StoreError> {
        let _ = (after, limit);
        Err(StoreError::NotOffered { what: "exports" })
    }

    /// Stores submissions as their documents say, all of them or none.
    async fn adopt(&self, batch: Vec<Portable>) -> Result<(), StoreError> {
        let _ = batch;
        Err(StoreError::NotOffered { what: "imports" })
    }
}
