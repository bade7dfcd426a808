//! What a scheduler asks of a database: fire what is due, and look after schedules.

use std::ops::Range;

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Page, StoreError};
use crate::{
    id::{TaskId, TreeId},
    task::{Record, Status},
    time::Timestamp,
};

/// A scheduler's wish to fire what is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fire {
    /// At most so many schedules in one transaction.
    pub limit: u32,
    /// Only schedules of this owner's tasks.
    pub user_id: Option<String>,
}

/// What came of looking at schedules that were due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fired {
    /// Runs that began, each for one slot.
    pub runs: Vec<FiredSlot>,
    /// Slots that began no run: the one before was still going on, or they were too late.
    pub skipped: u64,
    /// Schedules that were looked at.
    pub looked_at: u32,
    /// When the next schedule is due, if any is; not later than now if more are due already.
    pub next: Option<Timestamp>,
    /// Slots wait for a run to end.
    pub waiting: bool,
    /// The database's clock.
    pub now: Timestamp,
}

/// One slot of one schedule, and the run it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiredSlot {
    /// The task with the schedule.
    pub task: TaskId,
    /// Its tree.
    pub tree: TreeId,
    /// The slot: the moment the schedule names, whenever the run began.
    pub slot: Timestamp,
}

/// Conditions on scheduled tasks that all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleFilter {
    /// Owner.
    pub user_id: Option<String>,
    /// The type of schedule: `cron` and so on.
    pub kind: Option<String>,
    /// Where the task stands.
    pub status: Option<Status>,
    /// Only schedules that are on.
    pub enabled_only: bool,
    /// Only those whose next slot is not later than this, and whose task is not in progress.
    pub due_before: Option<Timestamp>,
}

/// A run that somebody else drove, as schedulers outside apflow do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrivenRun {
    /// The task.
    pub task: TaskId,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// Move on to the next slot.
    pub advance: bool,
}

/// A wish to make up for slots that never fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// The task.
    pub task: TaskId,
    /// The first moment, and the first one after.
    pub range: Range<Timestamp>,
    /// At most so many slots.
    pub limit: u32,
    /// Only say which.
    pub dry_run: bool,
}

/// Which slots a backfill takes up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// Those that never fired, oldest first; their runs begin one after another.
    pub slots: Vec<Timestamp>,
    /// Slots of the range that fired before, or wait already.
    pub fired_before: u32,
    /// Slots so old that nobody knows any more whether they fired; they are left alone.
    pub forgotten: u32,
    /// The limit or `max_runs` left some out.
    pub cut_short: bool,
}

/// Schedules and the slots they fired.
///
/// Whoever stores or changes a task stores its schedule in the same transaction: its next slot is
/// known at once. A slot fires at most once, however many schedulers there are.
#[async_trait]
pub trait ScheduleStore: Send + Sync {
    /// Looks at schedules that are due and at slots that wait for a run which has ended. In one
    /// transaction their runs begin, or are left out as the schedule says, and the schedules move on.
    async fn fire(&self, wish: Fire) -> Result<Fired, StoreError>;

    /// Tasks with a schedule that pass the filter, by next slot; those without one last.
    async fn scheduled(
        &self,
        filter: &ScheduleFilter,
        page: Page,
    ) -> Result<Vec<Record>, StoreError>;

    /// Finds the next slot anew, after `from` or after now.
    ///
    /// A task without a schedule is refused with [`StoreError::NoSchedule`].
    async fn init_schedule(&self, task: &TaskId, from: Option<Timestamp>)
    -> Result<(), StoreError>;

    /// Counts a run that somebody else drove, and moves on to the next slot.
    async fn complete_run(&self, run: DrivenRun) -> Result<(), StoreError>;

    /// Takes up slots of a range that never fired. Each begins a run as soon as the one before has
    /// ended.
    async fn backfill(&self, wish: Backfill) -> Result<Backfilled, StoreError>;

    /// Changes whenever a schedule may be due sooner than it was. A hint, never a promise.
    fn schedule_changes(&self) -> watch::Receiver<u64>;
}
