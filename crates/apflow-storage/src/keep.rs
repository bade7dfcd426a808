//! Checkpoints: the store's part.

use std::{collections::HashMap, time::Duration};

use apflow_core::{
    id::TaskId,
    store::{
        CareStore, Checkpoint, CheckpointStore, NewCheckpoint, StoreError, StoreStats,
        TreeStore as _,
    },
    task::Record,
    time::Timestamp,
};
use async_trait::async_trait;

use crate::{
    committer::{Answer, Job},
    read::Reads,
    rows::Rows,
    rows_keep::{self, CheckpointRow},
    snapshot::{self, SnapshotCame, SnapshotJob},
    steps::{self, Effects},
    store::Database,
};

/// What is to be put aside, and where the answer goes.
pub(crate) enum KeepJob {
    Checkpoint(Box<NewCheckpoint>, Answer<()>),
    Retire(Duration, u32, Answer<u64>),
    Snapshot(Box<SnapshotJob>, Answer<SnapshotCame>),
}

/// What came of it.
pub(crate) enum KeepCame {
    Checkpoint(Result<(), StoreError>),
    Retired(u64),
    Snapshot(SnapshotCame),
}

impl KeepJob {
    /// Answers with what came of it.
    pub(crate) fn answer(self, came: KeepCame) {
        // A caller that went away needs no answer.
        match (self, came) {
            (Self::Checkpoint(_, to), KeepCame::Checkpoint(came)) => drop(to.send(came)),
            (Self::Retire(_, _, to), KeepCame::Retired(came)) => drop(to.send(Ok(came))),
            (Self::Snapshot(_, to), KeepCame::Snapshot(came)) => drop(to.send(Ok(came))),
            (job, _) => job.fail(unfitting()),
        }
    }

    pub(crate) fn fail(self, error: StoreError) {
        match self {
            Self::Checkpoint(_, to) => drop(to.send(Err(error))),
            Self::Retire(_, _, to) => drop(to.send(Err(error))),
            Self::Snapshot(_, to) => drop(to.send(Err(error))),
        }
    }
}

/// Does one job in the open transaction; checkpoints are done together, before.
pub(crate) async fn carry_out<R: Rows + ?Sized>(
    rows: &mut R,
    job: &KeepJob,
) -> Result<(KeepCame, Effects), StoreError> {
    Ok(match job {
        KeepJob::Checkpoint(checkpoint, _) => {
            let (mut came, effects) = steps::keep(rows, &[checkpoint.as_ref()]).await?;
            (KeepCame::Checkpoint(came.pop().unwrap_or_else(|| Err(unfitting()))), effects)
        }
        KeepJob::Retire(older_than, limit, _) => {
            let gone = steps::retire(rows, *older_than, *limit).await?;
            (KeepCame::Retired(gone), Effects::default())
        }
        KeepJob::Snapshot(job, _) => {
            let (came, effects) = snapshot::carry_out(rows, job).await?;
            (KeepCame::Snapshot(came), effects)
        }
    })
}

/// An answer to another question.
pub(crate) fn unfitting() -> StoreError {
    StoreError::Unavailable { what: "an answer that does not fit".to_owned(), source: None }
}

fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn checkpoint(row: CheckpointRow) -> Result<Checkpoint, StoreError> {
    let value =
        serde_json::from_str(&row.value).map_err(|error| rows_keep::corrupt(row.task, &error))?;
    Ok(Checkpoint {
        number: count(row.number),
        attempt: count(row.attempt),
        step: row.step,
        value,
        at: Timestamp(row.at),
    })
}

#[async_trait]
impl<R: Reads> CheckpointStore for Database<R> {
    async fn keep_checkpoint(&self, checkpoint: NewCheckpoint) -> Result<(), StoreError> {
        self.ask(|to| Job::Keep(KeepJob::Checkpoint(Box::new(checkpoint), to))).await
    }

    async fn checkpoint(&self, task: &TaskId) -> Result<Option<Checkpoint>, StoreError> {
        let Some(record) = self.record(task).await? else {
            return Err(StoreError::NoSuchTask(task.clone()));
        };
        self.reads.checkpoint(record.task.seq.0).await?.map(checkpoint).transpose()
    }
}

#[async_trait]
impl<R: Reads> CareStore for Database<R> {
    async fn retire(&self, older_than: Duration, limit: u32) -> Result<u64, StoreError> {
        self.ask(|to| Job::Keep(KeepJob::Retire(older_than, limit, to))).await
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.reads.stats().await
    }

    async fn vacuum(&self) -> Result<(), StoreError> {
        self.may_write()?;
        self.reads.vacuum().await
    }

    async fn copy_into(&self, path: &str) -> Result<(), StoreError> {
        self.reads.copy_into(path).await
    }
}

impl<R: Reads> Database<R> {
    /// Says of records which checkpoint they go on from; one statement, and none if there is none.
    pub(crate) async fn with_checkpoints(
        &self,
        mut records: Vec<Record>,
    ) -> Result<Vec<Record>, StoreError> {
        let has_one =
            |record: &&Record| record.task.facets.as_ref().is_some_and(|facets| facets.checkpoint);
        let tasks: Vec<i64> =
            records.iter().filter(has_one).map(|record| record.task.seq.0).collect();
        if tasks.is_empty() {
            return Ok(records);
        }
        let found = self.reads.checkpoint_names(&tasks).await?;
        let mut found: HashMap<i64, CheckpointRow> =
            found.into_iter().map(|row| (row.task, row)).collect();
        for record in &mut records {
            let Some(row) = found.remove(&record.task.seq.0) else { continue };
            let durability = &mut record.definition.durability;
            durability.checkpoint_at = Some(Timestamp(row.at));
            let (attempt, number) = (count(row.attempt), count(row.number));
            durability.resume_from = Some(Checkpoint::name(attempt, number, row.step.as_deref()));
        }
        Ok(records)
    }
}
