//! One open transaction, as sets of rows: the seam between the steps, which are written once, and the
//! two databases, which each have their own statements.

use std::sync::Arc;

use apflow_core::{store::StoreError, task::Definition, time::Timestamp};
use async_trait::async_trait;

use crate::{
    access::AccessRows,
    channel::ChannelRows,
    derive_rows::DeriveRows,
    history_rows::HistoryRows,
    row::{ForestRow, HotRow, ScheduleRow, TreeRow},
    rows_callbacks::CallbackRows,
    rows_demo::DemoRows,
    rows_effects::EffectRows,
    rows_flow::FlowRows,
    rows_keep::KeepRows,
    rows_snapshot::SnapshotRows,
    rows_waits::WaitRows,
    schedule_rows::ScheduleRows,
};

/// What the start of a transaction reads.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// The database's clock.
    pub(crate) now: Timestamp,
    pub(crate) forests: Vec<ForestRow>,
    pub(crate) trees: Vec<TreeRow>,
    /// A task that settles, and who waits for it: `(task, kind)`.
    pub(crate) edges: Vec<(i64, Vec<(i64, i64)>)>,
    pub(crate) tasks: Vec<HotRow>,
    pub(crate) ready: Vec<HotRow>,
    pub(crate) next_wake: Option<i64>,
}

/// What a worker has to know of a task it takes.
#[derive(Debug)]
pub(crate) struct ClaimedRow {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) tree_id: String,
    pub(crate) deadline: Option<i64>,
    pub(crate) run: i64,
    pub(crate) demo: bool,
    /// As it was written, or what is wrong with the text.
    pub(crate) definition: Result<Arc<Definition>, String>,
}

/// A stored definition, or what is wrong with it.
pub(crate) fn definition(text: &str) -> Result<Arc<Definition>, String> {
    serde_json::from_str(text).map(Arc::new).map_err(|error| error.to_string())
}

/// What a task it takes needs.
#[derive(Debug)]
pub(crate) struct NeedRow {
    pub(crate) task: i64,
    pub(crate) need: i64,
    pub(crate) id: String,
    pub(crate) executor: Option<String>,
    pub(crate) state: String,
    pub(crate) output: Option<String>,
}

/// A task of a whole submission, with its edges.
#[derive(Debug)]
pub(crate) struct ForestTask {
    pub(crate) hot: HotRow,
    pub(crate) parent: Option<i64>,
    /// `(task, kind)` in the author's order.
    pub(crate) needs: Vec<(i64, i64)>,
    /// A link or an archived task.
    pub(crate) fixed: bool,
}

/// One row of `af_work` as it is to be.
#[derive(Debug, Default)]
pub(crate) struct WorkChange {
    pub(crate) seq: i64,
    pub(crate) state: &'static str,
    pub(crate) token: i64,
    pub(crate) attempts: i64,
    pub(crate) waiting_for: i64,
    pub(crate) failed_needs: i64,
    pub(crate) wake_at: Option<i64>,
    pub(crate) worker: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) progress: Option<f64>,
    pub(crate) resolved: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) output_parts: Option<i64>,
    pub(crate) started_at: Option<i64>,
    pub(crate) completed_at: Option<i64>,
    pub(crate) held: Option<String>,
    pub(crate) turn: i64,
    pub(crate) facets: Option<String>,
    /// Forget result, resolved inputs and progress of the last run.
    pub(crate) wipe: bool,
}

/// One row of `af_events` to add.
#[derive(Debug)]
pub(crate) struct NewEvent {
    pub(crate) tree: i64,
    pub(crate) task: Option<i64>,
    pub(crate) kind: i64,
    pub(crate) attempt: u32,
    pub(crate) detail: Option<String>,
}

/// Everything a transaction writes about tasks that moved.
#[derive(Debug, Default)]
pub(crate) struct Save {
    pub(crate) now: Timestamp,
    pub(crate) work: Vec<WorkChange>,
    pub(crate) trees: Vec<TreeRow>,
    pub(crate) forests: Vec<ForestRow>,
    pub(crate) events: Vec<NewEvent>,
    /// `(task, part, body)`
    pub(crate) parts: Vec<(i64, i64, String)>,
}

impl Save {
    /// Tasks whose earlier result is not to be found any more.
    pub(crate) fn superseded(&self) -> Vec<i64> {
        let wiped = self.work.iter().filter(|change| change.wipe).map(|change| change.seq);
        let mut seqs: Vec<i64> = wiped.chain(self.parts.iter().map(|(seq, ..)| *seq)).collect();
        seqs.sort_unstable();
        seqs.dedup();
        seqs
    }

    /// Nothing would be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.work.is_empty()
            && self.trees.is_empty()
            && self.forests.is_empty()
            && self.events.is_empty()
            && self.parts.is_empty()
    }
}

/// Rows of a new submission.
#[derive(Debug, Default)]
pub(crate) struct Insert {
    pub(crate) now: Timestamp,
    pub(crate) forests: Vec<ForestRow>,
    pub(crate) trees: Vec<NewTreeRow>,
    pub(crate) tasks: Vec<NewTaskRow>,
    pub(crate) keys: Vec<NewKeyRow>,
    /// Written by the steps, not by [`Rows::insert`].
    pub(crate) schedules: Vec<ScheduleRow>,
}

/// A row of `af_trees` to add.
#[derive(Debug)]
pub(crate) struct NewTreeRow {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) forest: i64,
    pub(crate) user_id: Option<String>,
    pub(crate) options: String,
    pub(crate) run: i64,
    pub(crate) total: i64,
    pub(crate) open: i64,
    pub(crate) deadline: Option<i64>,
    pub(crate) started_at: Option<i64>,
}

/// A row of `af_tasks` and one of `af_work` to add.
#[derive(Debug)]
pub(crate) struct NewTaskRow {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) tree: i64,
    pub(crate) forest: i64,
    pub(crate) parent: Option<i64>,
    pub(crate) has_children: bool,
    pub(crate) user_id: Option<String>,
    pub(crate) executor: Option<String>,
    pub(crate) needs: Option<String>,
    pub(crate) dependents: Option<String>,
    pub(crate) definition: String,
    pub(crate) state: &'static str,
    pub(crate) priority: i64,
    pub(crate) join_any: bool,
    pub(crate) token: i64,
    pub(crate) max_attempts: Option<i64>,
    pub(crate) waiting_for: i64,
    pub(crate) turn: i64,
    pub(crate) facets: Option<String>,
    pub(crate) wake_at: Option<i64>,
}

/// A row of `af_idempotency` to add.
#[derive(Debug)]
pub(crate) struct NewKeyRow {
    pub(crate) owner: String,
    pub(crate) key: String,
    pub(crate) digest: String,
    pub(crate) trees: String,
}

/// Where the task of an id is.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) tree: i64,
    pub(crate) forest: i64,
    pub(crate) tree_id: String,
    pub(crate) root_id: String,
}

/// A task as its author wrote it, with its edges as text.
#[derive(Debug, Clone)]
pub(crate) struct Authored {
    pub(crate) definition: String,
    pub(crate) needs: Option<String>,
    pub(crate) parent: Option<i64>,
}

/// Values that an update sets by hand.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) seq: i64,
    pub(crate) output: Option<Option<String>>,
    pub(crate) error: Option<Option<String>>,
    pub(crate) progress: Option<f64>,
    pub(crate) priority: i64,
    pub(crate) join_any: bool,
    pub(crate) max_attempts: Option<i64>,
}

/// One open transaction. Everything is a set; the order of calls is the steps' business.
#[async_trait]
pub(crate) trait Rows:
    AccessRows
    + CallbackRows
    + ChannelRows
    + DemoRows
    + DeriveRows
    + EffectRows
    + FlowRows
    + HistoryRows
    + KeepRows
    + ScheduleRows
    + SnapshotRows
    + WaitRows
    + Send
{
    /// Reads what settling `settling` and claiming up to `ready` tasks needs, and locks it.
    async fn open(&mut self, settling: &[i64], ready: u32) -> Result<Opening, StoreError>;

    /// What a worker has to know of tasks it takes, and the results of what they need, in the order of
    /// their dependencies.
    async fn claimed(
        &mut self,
        seqs: &[i64],
    ) -> Result<(Vec<ClaimedRow>, Vec<NeedRow>), StoreError>;

    /// Whole submissions, locked: submissions, trees, tasks.
    async fn forests(
        &mut self,
        forests: &[i64],
    ) -> Result<(Vec<ForestRow>, Vec<TreeRow>, Vec<ForestTask>), StoreError>;

    /// The trees of whole submissions.
    async fn trees(&mut self, forests: &[i64]) -> Result<Vec<TreeRow>, StoreError>;

    /// Writes what moved.
    async fn save(&mut self, save: &Save) -> Result<(), StoreError>;

    /// The database's clock.
    async fn now(&mut self) -> Result<Timestamp, StoreError>;

    /// `count` places in the order of submission.
    async fn allocate(&mut self, count: usize) -> Result<Vec<i64>, StoreError>;

    /// Which of these task ids and tree ids are taken.
    async fn taken(
        &mut self,
        tasks: &[&str],
        trees: &[&str],
    ) -> Result<(Vec<String>, Vec<String>), StoreError>;

    /// What an idempotency key stands for: digest and trees.
    async fn key(&mut self, owner: &str, key: &str)
    -> Result<Option<(String, String)>, StoreError>;

    /// Adds submissions.
    async fn insert(&mut self, insert: &Insert) -> Result<(), StoreError>;

    /// Where the tasks of these ids are; unknown ids are absent.
    async fn find(&mut self, ids: &[&str]) -> Result<Vec<Found>, StoreError>;

    /// Extends leases; returns the tasks whose lease is still held.
    async fn renew(
        &mut self,
        items: &[(i64, i64, Option<f64>)],
        until: Timestamp,
    ) -> Result<Vec<i64>, StoreError>;

    /// The newest tokens of these tasks.
    async fn tokens(&mut self, seqs: &[i64]) -> Result<Vec<(i64, i64)>, StoreError>;

    /// Tasks, then trees, on which time has to act at `now`.
    async fn due(&mut self, now: Timestamp, limit: u32)
    -> Result<(Vec<i64>, Vec<i64>), StoreError>;

    /// Who holds which task.
    async fn running(&mut self) -> Result<Vec<(i64, String)>, StoreError>;

    /// One task as its author wrote it.
    async fn authored(&mut self, seq: i64) -> Result<Authored, StoreError>;

    /// Rewrites the authored part: definition, executor, needs, owner.
    async fn save_authored(
        &mut self,
        seq: i64,
        definition: &str,
        executor: Option<&str>,
        needs: Option<&str>,
        user_id: Option<&str>,
    ) -> Result<(), StoreError>;

    /// Rewrites who waits for a task.
    async fn save_dependents(
        &mut self,
        seq: i64,
        dependents: Option<&str>,
    ) -> Result<(), StoreError>;

    /// Sets values by hand.
    async fn save_values(&mut self, values: &Values, now: Timestamp) -> Result<(), StoreError>;

    /// Removes tasks and their results; `parent` may lose its last child.
    async fn delete_tasks(
        &mut self,
        seqs: &[i64],
        parent: Option<i64>,
        tree: i64,
    ) -> Result<(), StoreError>;

    /// Removes whole trees with their events, and submissions of which nothing is left.
    async fn delete_trees(
        &mut self,
        trees: &[i64],
        tasks: &[i64],
        forests: &[i64],
    ) -> Result<(), StoreError>;

    /// Submissions that ended before a moment, with how many tasks each has.
    async fn prunable(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(i64, i64)>, StoreError>;

    /// Notes a row that could not be read.
    async fn set_aside(&mut self, table: &str, row: &str, what: &str) -> Result<(), StoreError>;

    /// Tells other processes, once the transaction is committed.
    async fn notify(&mut self, payload: &str) -> Result<(), StoreError>;

    /// Makes everything durable.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;

    /// Undoes everything.
    async fn rollback(self: Box<Self>);
}
