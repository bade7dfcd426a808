//! Attempts that ended without a result and tasks that failed for good: what a transaction and a
//! reader are asked for them, and the store's part.

use apflow_core::{
    id::{TaskId, TreeId},
    store::{
        AttemptOutcome, AttemptRecord, DeadLetter, DeadReason, HistoryStore, LetterFilter, Page,
        StoreError, TreeStore as _,
    },
    task::{FailureKind, Record, State},
    time::Timestamp,
};
use async_trait::async_trait;

use crate::{committer::Job, read::Reads, rows::Rows, store::Database};

/// A row of `af_attempts` to add.
#[derive(Debug)]
pub(crate) struct NewAttemptRow {
    pub(crate) task: i64,
    pub(crate) token: i64,
    pub(crate) run: i64,
    pub(crate) attempt: i64,
    pub(crate) cycle: i64,
    pub(crate) worker: String,
    pub(crate) began: Option<i64>,
    pub(crate) ended: i64,
    pub(crate) outcome: AttemptOutcome,
    pub(crate) kind: Option<String>,
    pub(crate) cause: Option<String>,
    pub(crate) retry_at: Option<i64>,
}

/// A row of `af_dead_letters` to add.
#[derive(Debug)]
pub(crate) struct NewLetterRow {
    pub(crate) task: i64,
    pub(crate) reason: DeadReason,
    pub(crate) kind: String,
    pub(crate) error: String,
    pub(crate) attempts: i64,
    pub(crate) run: i64,
}

/// A row of `af_attempts` that was read.
#[derive(Debug)]
pub(crate) struct AttemptRow {
    pub(crate) run: i64,
    pub(crate) attempt: i64,
    pub(crate) cycle: i64,
    pub(crate) worker: String,
    pub(crate) began: Option<i64>,
    pub(crate) ended: i64,
    pub(crate) outcome: String,
    pub(crate) kind: Option<String>,
    pub(crate) cause: Option<String>,
    pub(crate) retry_at: Option<i64>,
}

/// A row of `af_dead_letters` that was read.
#[derive(Debug)]
pub(crate) struct LetterRow {
    pub(crate) task: String,
    pub(crate) tree: String,
    pub(crate) user_id: Option<String>,
    pub(crate) executor: Option<String>,
    pub(crate) reason: String,
    pub(crate) kind: String,
    pub(crate) error: String,
    pub(crate) attempts: i64,
    pub(crate) run: i64,
    pub(crate) at: i64,
}

/// Reads an attempt from the columns of `attempts_of.sql`.
macro_rules! attempt {
    ($row:expr) => {{
        let row = $row;
        Ok(AttemptRow {
            run: row.try_get(0)?,
            attempt: row.try_get(1)?,
            cycle: row.try_get(2)?,
            worker: row.try_get(3)?,
            began: row.try_get(4)?,
            ended: row.try_get(5)?,
            outcome: row.try_get(6)?,
            kind: row.try_get(7)?,
            cause: row.try_get(8)?,
            retry_at: row.try_get(9)?,
        })
    }};
}
pub(crate) use attempt;

/// Reads a letter from the columns of `list_letters.sql`.
macro_rules! letter {
    ($row:expr) => {{
        let row = $row;
        Ok(LetterRow {
            task: row.try_get(0)?,
            tree: row.try_get(1)?,
            user_id: row.try_get(2)?,
            executor: row.try_get(3)?,
            reason: row.try_get(4)?,
            kind: row.try_get(5)?,
            error: row.try_get(6)?,
            attempts: row.try_get(7)?,
            run: row.try_get(8)?,
            at: row.try_get(9)?,
        })
    }};
}
pub(crate) use letter;

/// What an open transaction is asked.
#[async_trait]
pub(crate) trait HistoryRows: Send {
    /// Tasks that fail for good get a letter here.
    fn keeps_letters(&self) -> bool;

    /// Adds attempts.
    async fn add_attempts(&mut self, rows: &[NewAttemptRow]) -> Result<(), StoreError>;

    /// Of each of these tasks, keeps the `first` and the `newest`.
    async fn trim_attempts(
        &mut self,
        tasks: &[i64],
        first: u32,
        newest: u32,
    ) -> Result<(), StoreError>;

    /// Adds letters.
    async fn add_letters(
        &mut self,
        rows: &[NewLetterRow],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Removes the letters of these tasks.
    async fn delete_letters(&mut self, tasks: &[i64]) -> Result<(), StoreError>;

    /// Removes the letters of the tasks with these ids; returns how many there were.
    async fn drop_letters(&mut self, ids: &[&str]) -> Result<u64, StoreError>;

    /// Removes the oldest letters of owners who have more than `most`, at most `limit`.
    async fn trim_letters(&mut self, most: u32, limit: u32) -> Result<u64, StoreError>;
}

/// What a reader is asked.
#[async_trait]
pub(crate) trait HistoryReads: Send + Sync {
    /// The attempts of a task that are kept, oldest first.
    async fn attempts_of(&self, task: &str) -> Result<Vec<AttemptRow>, StoreError>;

    /// Letters that pass a filter, newest first.
    async fn letters(
        &self,
        filter: &LetterFilter,
        page: Page,
    ) -> Result<Vec<LetterRow>, StoreError>;

    /// How many letters pass a filter.
    async fn count_letters(&self, filter: &LetterFilter) -> Result<i64, StoreError>;
}

/// One change of letters that somebody asks for.
#[derive(Debug)]
pub(crate) enum HistoryJob {
    Drop(Vec<TaskId>),
    Trim { most: u32, limit: u32 },
}

/// Does one job in the open transaction; returns how many letters went.
pub(crate) async fn carry_out<R: Rows + ?Sized>(
    rows: &mut R,
    job: &HistoryJob,
) -> Result<u64, StoreError> {
    match job {
        HistoryJob::Drop(ids) => {
            let ids: Vec<&str> = ids.iter().map(TaskId::as_str).collect();
            rows.drop_letters(&ids).await
        }
        HistoryJob::Trim { most, limit } => rows.trim_letters(*most, *limit).await,
    }
}

fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn kept(row: AttemptRow) -> Result<AttemptRecord, StoreError> {
    let Some(outcome) = AttemptOutcome::parse(&row.outcome) else {
        let what = format!("outcome is {}", row.outcome);
        return Err(StoreError::Corrupt { table: "af_attempts", row: row.run.to_string(), what });
    };
    Ok(AttemptRecord {
        run: count(row.run),
        attempt: count(row.attempt),
        cycle: count(row.cycle),
        worker: Some(row.worker),
        began: row.began.map(Timestamp),
        ended: Some(Timestamp(row.ended)),
        outcome,
        kind: row.kind,
        cause: row.cause,
        retry_at: row.retry_at.map(Timestamp),
    })
}

fn lying(row: LetterRow) -> Result<DeadLetter, StoreError> {
    let Some(reason) = DeadReason::parse(&row.reason) else {
        let what = format!("reason is {}", row.reason);
        return Err(StoreError::Corrupt { table: "af_dead_letters", row: row.task, what });
    };
    Ok(DeadLetter {
        task: TaskId::new(row.task),
        tree: TreeId::new(row.tree),
        user_id: row.user_id,
        executor: row.executor,
        reason,
        kind: row.kind,
        error: row.error,
        attempts: count(row.attempts),
        run: count(row.run),
        at: Timestamp(row.at),
    })
}

/// The present or last attempt, which has no row of its own unless it ended without a result.
fn present(record: &Record, run: u32, kept: &[AttemptRecord]) -> Option<AttemptRecord> {
    let task = &record.task;
    // Each pass counts its attempts anew.
    let present = (run, task.facets().cycle, task.attempts);
    let is_present = |it: &&AttemptRecord| (it.run, it.cycle, it.attempt) == present;
    let is_kept = kept
        .iter()
        .rev()
        .find(is_present)
        .is_some_and(|it| it.outcome != AttemptOutcome::HandedBack);
    if task.attempts == 0 || is_kept {
        return None;
    }
    let outcome = match &task.state {
        State::Running { .. } => AttemptOutcome::Running,
        State::Completed => AttemptOutcome::Completed,
        State::Waiting { .. } => AttemptOutcome::Parked,
        State::Cancelled { .. } => AttemptOutcome::Cancelled,
        State::Failed { failure } if failure.kind == FailureKind::Reported => {
            AttemptOutcome::Reported
        }
        _ => return None,
    };
    Some(AttemptRecord {
        run,
        attempt: task.attempts,
        cycle: task.facets().cycle,
        worker: record.worker.clone(),
        began: task.attempt_began(),
        ended: task.completed_at,
        outcome,
        kind: None,
        cause: record.error.clone(),
        retry_at: None,
    })
}

#[async_trait]
impl<R: Reads> HistoryStore for Database<R> {
    async fn attempts(&self, task: &TaskId) -> Result<Option<Vec<AttemptRecord>>, StoreError> {
        let Some(record) = self.record(task).await? else { return Ok(None) };
        let rows = self.reads.attempts_of(task.as_str()).await?;
        let mut kept = rows.into_iter().map(kept).collect::<Result<Vec<_>, _>>()?;
        let run = self.reads.run_of_task(task.as_str()).await?.map_or(0, |row| count(row.run));
        kept.extend(present(&record, run, &kept));
        Ok(Some(kept))
    }

    async fn letters(
        &self,
        filter: &LetterFilter,
        page: Page,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.reads.letters(filter, page).await?.into_iter().map(lying).collect()
    }

    async fn count_letters(&self, filter: &LetterFilter) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.reads.count_letters(filter).await?).unwrap_or(0))
    }

    async fn drop_letters(&self, tasks: &[TaskId]) -> Result<u64, StoreError> {
        let job = HistoryJob::Drop(tasks.to_vec());
        self.ask(|to| Job::History(job, to)).await
    }

    async fn trim_letters(&self, most: u32, limit: u32) -> Result<u64, StoreError> {
        self.ask(|to| Job::History(HistoryJob::Trim { most, limit }, to)).await
    }
}
