//! Where a schedule stands, as a row.

use std::sync::Arc;

use apflow_core::{firing::Standing, id::TaskId, task::Definition, time::Timestamp};

/// One row of `af_schedules`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScheduleRow {
    pub(crate) task: i64,
    pub(crate) tree: i64,
    pub(crate) forest: i64,
    pub(crate) user_id: Option<String>,
    pub(crate) kind: String,
    pub(crate) standing: Standing,
}

/// A schedule that a transaction is about to change, with what decides about it.
#[derive(Debug)]
pub(crate) struct DueRow {
    pub(crate) row: ScheduleRow,
    pub(crate) id: TaskId,
    pub(crate) tree_id: String,
    /// As it was written, or what is wrong with the text.
    pub(crate) definition: Result<Arc<Definition>, String>,
    /// The oldest slot that waits.
    pub(crate) oldest: Option<Timestamp>,
}

/// One row of `af_slots` to add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotRow {
    pub(crate) task: i64,
    pub(crate) slot: i64,
    /// None while it waits.
    pub(crate) fired_at: Option<i64>,
}
