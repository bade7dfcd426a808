//! Trees and submissions as rows.

use apflow_core::{
    id::{Seq, TaskId, TreeId},
    store::StoreError,
    task::{Outcome, RunSummary, TreeOptions, TreeRecord},
    time::Timestamp,
};

/// A submission: what a change locks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ForestRow {
    pub(crate) seq: i64,
    pub(crate) live: i64,
    pub(crate) open: i64,
}

/// A tree and the counters of its newest run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TreeRow {
    pub(crate) seq: i64,
    pub(crate) forest: i64,
    pub(crate) run: i64,
    pub(crate) options: String,
    pub(crate) total: i64,
    pub(crate) open: i64,
    pub(crate) completed: i64,
    pub(crate) failed: i64,
    pub(crate) cancelled: i64,
    /// Where states without a counter are counted; not stored.
    pub(crate) uncounted: i64,
    pub(crate) outcome: Option<String>,
    pub(crate) deadline: Option<i64>,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
    /// Its tasks are held back when they are ready.
    pub(crate) paused: bool,
    /// Tasks of other trees may be parked until its run ends.
    pub(crate) awaited: bool,
}

impl TreeRow {
    /// What holds for the whole tree.
    pub(crate) fn options(&self) -> Result<TreeOptions, StoreError> {
        serde_json::from_str(&self.options).map_err(|error| StoreError::Corrupt {
            table: "af_trees",
            row: self.seq.to_string(),
            what: format!("options: {error}"),
        })
    }

    /// A run is going on.
    pub(crate) fn is_running(&self) -> bool {
        self.run > 0 && self.finished_at.is_none()
    }
}

/// A tree as readers see it.
#[derive(Debug, Clone)]
pub(crate) struct RunRow {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) root: String,
    pub(crate) user_id: Option<String>,
    pub(crate) options: String,
    pub(crate) run: i64,
    pub(crate) outcome: Option<String>,
    pub(crate) total: i64,
    pub(crate) completed: i64,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
}

impl RunRow {
    /// The summary, with the tasks that failed or are kept from running.
    pub(crate) fn summary(
        self,
        failed_tasks: Vec<TaskId>,
        blocked_tasks: Vec<TaskId>,
    ) -> Result<RunSummary, StoreError> {
        let options: TreeOptions =
            serde_json::from_str(&self.options).map_err(|error| StoreError::Corrupt {
                table: "af_trees",
                row: self.id.clone(),
                what: format!("options: {error}"),
            })?;
        Ok(RunSummary {
            tree: TreeRecord {
                seq: Seq(self.seq),
                id: TreeId::new(self.id),
                root: TaskId::new(self.root),
                user_id: self.user_id,
                options,
            },
            run: u32::try_from(self.run).unwrap_or(u32::MAX),
            outcome: self.outcome.as_deref().and_then(Outcome::parse),
            running: self.run > 0 && self.finished_at.is_none(),
            total: u64::try_from(self.total).unwrap_or(0),
            completed: u64::try_from(self.completed).unwrap_or(0),
            failed_tasks,
            blocked_tasks,
            started_at: self.started_at.map(Timestamp),
            finished_at: self.finished_at.map(Timestamp),
        })
    }
}
