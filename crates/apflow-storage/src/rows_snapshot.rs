//! Snapshots and whole submissions as sets of rows: what steps ask of an open transaction.

use apflow_core::store::StoreError;
use async_trait::async_trait;

use crate::row::HotRow;

/// All that is known of a task.
#[derive(Debug)]
pub(crate) struct PortableRow {
    pub(crate) hot: HotRow,
    pub(crate) id: String,
    pub(crate) parent: Option<i64>,
    pub(crate) needs: Option<String>,
    pub(crate) definition: String,
    pub(crate) created_at: i64,
    /// The id of the task it answers for.
    pub(crate) original: Option<String>,
    pub(crate) resolved: Option<String>,
    pub(crate) output: Option<String>,
}

/// All that is known of a tree.
#[derive(Debug)]
pub(crate) struct PortableTreeRow {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) user_id: Option<String>,
    pub(crate) options: String,
    pub(crate) run: i64,
    pub(crate) outcome: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
}

/// A row of `af_snapshots` to write.
#[derive(Debug)]
pub(crate) struct NewSnapshotRow {
    pub(crate) forest: i64,
    pub(crate) name: String,
    pub(crate) tree: i64,
    pub(crate) note: String,
    pub(crate) tasks: i64,
    pub(crate) bytes: i64,
    pub(crate) body: String,
    pub(crate) at: i64,
}

/// A row of `af_snapshots`, its body only where one is read.
#[derive(Debug)]
pub(crate) struct SnapshotRow {
    pub(crate) name: String,
    pub(crate) tree: String,
    pub(crate) tasks: i64,
    pub(crate) bytes: i64,
    pub(crate) at: i64,
    pub(crate) note: String,
    pub(crate) body: Option<String>,
}

/// The part of a transaction that is about snapshots and whole submissions.
#[async_trait]
pub(crate) trait SnapshotRows: Send {
    /// All trees of a submission.
    async fn portable_trees(&mut self, forest: i64) -> Result<Vec<PortableTreeRow>, StoreError>;

    /// All tasks of a submission, in order of submission, their results whole.
    async fn portable_tasks(&mut self, forest: i64) -> Result<Vec<PortableRow>, StoreError>;

    /// Submissions after one, in order.
    async fn next_forests(&mut self, after: i64, limit: u32) -> Result<Vec<i64>, StoreError>;

    /// Says when tasks that came from elsewhere were stored there, as `(task, moment)`.
    async fn adopt_times(&mut self, times: &[(i64, i64)]) -> Result<(), StoreError>;

    /// Writes a snapshot, and leaves only the newest `keep` of its submission.
    async fn save_snapshot(&mut self, row: &NewSnapshotRow, keep: u32) -> Result<(), StoreError>;

    /// The snapshots of a submission, newest first.
    async fn snapshots(&mut self, forest: i64) -> Result<Vec<SnapshotRow>, StoreError>;

    /// One snapshot with its body.
    async fn snapshot(
        &mut self,
        forest: i64,
        name: &str,
    ) -> Result<Option<SnapshotRow>, StoreError>;

    /// Removes a snapshot; says whether there was one.
    async fn delete_snapshot(&mut self, forest: i64, name: &str) -> Result<bool, StoreError>;
}

/// Reads a task from the columns of `load_portable.sql`, and how many parts its result has.
macro_rules! portable_task {
    ($row:expr, $hot:expr) => {{
        let row = $row;
        let task = PortableRow {
            hot: $hot,
            id: row.try_get(20)?,
            parent: row.try_get(21)?,
            needs: row.try_get(22)?,
            definition: row.try_get(23)?,
            created_at: row.try_get(24)?,
            original: row.try_get(25)?,
            resolved: row.try_get(26)?,
            output: row.try_get(27)?,
        };
        Ok((task, row.try_get::<i64, _>(28)?))
    }};
}
pub(crate) use portable_task;

/// Reads a tree from the columns of `load_portable_trees.sql`.
macro_rules! portable_tree {
    ($row:expr) => {{
        let row = $row;
        Ok(PortableTreeRow {
            seq: row.try_get(0)?,
            id: row.try_get(1)?,
            user_id: row.try_get(2)?,
            options: row.try_get(3)?,
            run: row.try_get(4)?,
            outcome: row.try_get(5)?,
            created_at: row.try_get(6)?,
            started_at: row.try_get(7)?,
            finished_at: row.try_get(8)?,
        })
    }};
}
pub(crate) use portable_tree;

/// Reads a snapshot from the columns of `list_snapshots.sql`, or with its body `load_snapshot.sql`.
macro_rules! snapshot {
    ($row:expr, $body:expr) => {{
        let row = $row;
        Ok(SnapshotRow {
            name: row.try_get(0)?,
            tree: row.try_get(1)?,
            tasks: row.try_get(2)?,
            bytes: row.try_get(3)?,
            at: row.try_get(4)?,
            note: row.try_get(5)?,
            body: if $body { row.try_get(6)? } else { None },
        })
    }};
}
pub(crate) use snapshot;
