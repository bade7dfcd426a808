//! Schedules as sets of rows: what steps ask of an open transaction, and what readers ask.

use apflow_core::{
    firing::Standing,
    store::{Page, ScheduleFilter, StoreError},
    time::Timestamp,
};
use async_trait::async_trait;

use crate::row::{DueRow, RecordRow, ScheduleRow, SlotRow};

/// The part of a transaction that is about schedules.
#[async_trait]
pub(crate) trait ScheduleRows: Send {
    /// Schedules that are due, and those of which a slot waits for a run that has ended; locked, and
    /// without those that another scheduler has in hand.
    async fn due_schedules(
        &mut self,
        now: Timestamp,
        limit: u32,
        user_id: Option<&str>,
    ) -> Result<Vec<DueRow>, StoreError>;

    /// The schedules of these tasks, locked; tasks without one are absent.
    async fn schedules(&mut self, tasks: &[i64]) -> Result<Vec<DueRow>, StoreError>;

    /// Which of these slots fired before, or wait: task, slot, whether it waits.
    async fn taken_slots(
        &mut self,
        slots: &[(i64, i64)],
    ) -> Result<Vec<(i64, i64, bool)>, StoreError>;

    /// Slots of one task in a range that fired before, or wait.
    async fn slots_between(
        &mut self,
        task: i64,
        from: i64,
        to: i64,
    ) -> Result<Vec<i64>, StoreError>;

    /// The oldest slot of a task that is known to have fired, and how many are known.
    async fn oldest_slot(&mut self, task: i64) -> Result<(Option<i64>, i64), StoreError>;

    /// Writes where schedules stand; those that are new are added.
    async fn save_schedules(&mut self, rows: &[ScheduleRow]) -> Result<(), StoreError>;

    /// Writes slots that fired or wait. A slot that fired before is a fault and undoes everything.
    async fn save_slots(&mut self, slots: &[SlotRow]) -> Result<(), StoreError>;

    /// Forgets slots that wait.
    async fn drop_waiting(&mut self, tasks: &[i64]) -> Result<(), StoreError>;

    /// Forgets slots that fired, but for the newest `keep` of each task.
    async fn forget_slots(&mut self, tasks: &[i64], keep: u32) -> Result<(), StoreError>;

    /// Removes the schedules of these tasks, slots and all.
    async fn delete_schedules(&mut self, tasks: &[i64]) -> Result<(), StoreError>;

    /// When the next schedule is due, and whether any slot waits for a run to end.
    async fn next_schedule(
        &mut self,
        user_id: Option<&str>,
    ) -> Result<(Option<Timestamp>, bool), StoreError>;
}

/// What readers ask about schedules, outside any writing transaction.
#[async_trait]
pub(crate) trait ScheduleReads: Send + Sync {
    /// Where the schedules of these tasks stand; tasks without one are absent.
    async fn standings(&self, tasks: &[i64]) -> Result<Vec<(i64, Standing)>, StoreError>;

    /// Tasks with a schedule that pass a filter.
    async fn scheduled(
        &self,
        filter: &ScheduleFilter,
        page: Page,
    ) -> Result<Vec<RecordRow>, StoreError>;
}

/// Refuses to fire a slot twice: whoever asks holds the lock of its schedule and looked before.
pub(crate) fn all_saved(asked: usize, saved: usize) -> Result<(), StoreError> {
    // Another transaction was in the way after all; tried again it sees what that one did.
    if asked == saved { Ok(()) } else { Err(StoreError::Conflict) }
}
