//! Checkpoints: the store's part.

use std::collections::HashMap;

use apflow_core::{
    id::TaskId,
    store::{Checkpoint, CheckpointStore, NewCheckpoint, StoreError, TreeStore as _},
    task::Record,
    time::Timestamp,
};
use async_trait::async_trait;

use crate::{
    committer::{Answer, Job},
    read::Reads,
    rows_keep::{self, CheckpointRow},
    store::Database,
};

/// What is to be put aside, and where the answer goes.
pub(crate) enum KeepJob {
    Checkpoint(Box<NewCheckpoint>, Answer<()>),
}

/// What came of it.
pub(crate) enum KeepCame {
    Checkpoint(Result<(), StoreError>),
}

impl KeepJob {
    /// Answers with what came of it; an answer that does not fit comes back.
    pub(crate) fn answer(self, came: KeepCame) {
        // A caller that went away needs no answer.
        match (self, came) {
            (Self::Checkpoint(_, to), KeepCame::Checkpoint(came)) => drop(to.send(came)),
        }
    }

    pub(crate) fn fail(self, error: StoreError) {
        match self {
            Self::Checkpoint(_, to) => drop(to.send(Err(error))),
        }
    }
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
