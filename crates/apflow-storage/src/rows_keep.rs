//! Checkpoints as sets of rows: what steps ask of an open transaction, and what readers ask.

use apflow_core::{
    store::{StoreError, StoreStats},
    time::Timestamp,
};
use async_trait::async_trait;

/// A row of `af_checkpoints` to write.
#[derive(Debug)]
pub(crate) struct KeepRow {
    pub(crate) task: i64,
    pub(crate) attempt: i64,
    pub(crate) step: Option<String>,
    pub(crate) value: String,
}

/// A row of `af_checkpoints`.
#[derive(Debug)]
pub(crate) struct CheckpointRow {
    pub(crate) task: i64,
    pub(crate) number: i64,
    pub(crate) attempt: i64,
    pub(crate) step: Option<String>,
    pub(crate) value: String,
    pub(crate) at: i64,
}

/// The part of a transaction that is about checkpoints.
#[async_trait]
pub(crate) trait KeepRows: Send {
    /// Writes checkpoints, at most one for each task, in the place of what was there.
    async fn keep_checkpoints(
        &mut self,
        rows: &[KeepRow],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// The checkpoints of these tasks; tasks without one are absent.
    async fn checkpoints(&mut self, tasks: &[i64]) -> Result<Vec<CheckpointRow>, StoreError>;

    /// Removes the checkpoints of these tasks.
    async fn delete_checkpoints(&mut self, tasks: &[i64]) -> Result<(), StoreError>;
}

/// What readers ask about checkpoints, outside any writing transaction.
#[async_trait]
pub(crate) trait KeepReads: Send + Sync {
    /// The checkpoint of one task.
    async fn checkpoint(&self, task: i64) -> Result<Option<CheckpointRow>, StoreError>;

    /// The checkpoints of these tasks, their values left empty.
    async fn checkpoint_names(&self, tasks: &[i64]) -> Result<Vec<CheckpointRow>, StoreError>;

    /// How large the database is.
    async fn stats(&self) -> Result<StoreStats, StoreError>;

    /// Gives unused room back.
    async fn vacuum(&self) -> Result<(), StoreError>;

    /// Writes a copy into a new file.
    async fn copy_into(&self, path: &str) -> Result<(), StoreError>;
}

/// Reads a checkpoint from the columns of `load_checkpoints.sql`.
macro_rules! checkpoint {
    ($row:expr) => {{
        let row = $row;
        Ok(CheckpointRow {
            task: row.try_get(0)?,
            number: row.try_get(1)?,
            attempt: row.try_get(2)?,
            step: row.try_get(3)?,
            value: row.try_get(4)?,
            at: row.try_get(5)?,
        })
    }};
}
pub(crate) use checkpoint;

/// Reads a checkpoint without its value from the columns of `name_checkpoints.sql`.
macro_rules! checkpoint_name {
    ($row:expr) => {{
        let row = $row;
        Ok(CheckpointRow {
            task: row.try_get(0)?,
            number: row.try_get(1)?,
            attempt: row.try_get(2)?,
            step: row.try_get(3)?,
            value: String::new(),
            at: row.try_get(4)?,
        })
    }};
}
pub(crate) use checkpoint_name;

/// A checkpoint that is no JSON.
pub(crate) fn corrupt(task: i64, error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt {
        table: "af_checkpoints",
        row: task.to_string(),
        what: format!("value: {error}"),
    }
}
