//! What is answered about snapshots and checkpoints.

use serde_json::{Value, json};

use crate::{
    id::{TaskId, TreeId},
    portable::Files,
    store::{Checkpoint, Snapshot},
};

/// What came of an operation on snapshots or checkpoints.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// What is remembered now.
    Snapshot(Snapshot),
    /// What is remembered of a submission.
    Snapshots(Vec<Snapshot>),
    /// A run that began from one.
    Restored(RestoredRun),
    /// Whether there was one to forget.
    Deleted(bool),
    /// One as three documents.
    Files(Box<Files>),
    /// What an attempt put aside.
    Checkpoint(Option<Checkpoint>),
}

/// A run that began from a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredRun {
    /// The root of the tree that was named.
    pub root: TaskId,
    /// The trees that run.
    pub trees: Vec<TreeId>,
    /// The snapshot.
    pub name: String,
}

impl Kept {
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Snapshot(snapshot) => snapshot_json(snapshot),
            Self::Snapshots(snapshots) => snapshots.iter().map(snapshot_json).collect(),
            Self::Restored(run) => json!({
                "success": true, "root_task_id": run.root, "tree_ids": run.trees,
                "snapshot": run.name,
            }),
            Self::Deleted(deleted) => json!({ "deleted": deleted }),
            Self::Files(files) => json!({
                "context": files.context, "state": files.state, "meta": files.meta,
            }),
            Self::Checkpoint(None) => Value::Null,
            Self::Checkpoint(Some(checkpoint)) => json!({
                "name": Checkpoint::name(
                    checkpoint.attempt, checkpoint.number, checkpoint.step.as_deref(),
                ),
                "attempt": checkpoint.attempt, "number": checkpoint.number,
                "step": checkpoint.step, "value": checkpoint.value,
                "created_at": checkpoint.at,
            }),
        }
    }
}

fn snapshot_json(snapshot: &Snapshot) -> Value {
    json!({
        "name": snapshot.name, "tree_id": snapshot.tree, "tasks": snapshot.tasks,
        "bytes": snapshot.bytes, "created_at": snapshot.at, "note": snapshot.note,
    })
}
