//! What a running attempt puts aside so that the next one need not begin again.

use async_trait::async_trait;
use serde_json::Value;

use super::StoreError;
use crate::{
    id::{LeaseToken, Seq, TaskId},
    time::Timestamp,
};

/// What an attempt puts aside, under its lease.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCheckpoint {
    /// The task's row.
    pub seq: Seq,
    /// The task, for saying which one it was.
    pub task: TaskId,
    /// The worker's token.
    pub lease: LeaseToken,
    /// Which attempt it is, counted from 1.
    pub attempt: u32,
    /// What the attempt had just done, if it said.
    pub step: Option<String>,
    /// What the next attempt is handed.
    pub value: Value,
}

/// The newest checkpoint of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// How many the task has written in this run, this one included.
    pub number: u32,
    /// The attempt that wrote it.
    pub attempt: u32,
    /// What the attempt had just done, if it said.
    pub step: Option<String>,
    /// What the next attempt is handed.
    pub value: Value,
    /// When it was written, by the database's clock.
    pub at: Timestamp,
}

impl Checkpoint {
    /// What it is called in `resume_from`: the attempt that wrote it and its number, with its step.
    pub fn name(attempt: u32, number: u32, step: Option<&str>) -> String {
        match step {
            Some(step) => format!("{attempt}.{number} {step}"),
            None => format!("{attempt}.{number}"),
        }
    }
}

/// What running attempts put aside.
#[async_trait]
pub trait CheckpointStore: Send + Sync {
    /// Puts a checkpoint in the place of the one before it; durable when it returns.
    ///
    /// Refused if the task is not held under this lease any more.
    async fn keep_checkpoint(&self, checkpoint: NewCheckpoint) -> Result<(), StoreError> {
        let _ = checkpoint;
        Err(StoreError::NotOffered { what: "checkpoints" })
    }

    /// The newest checkpoint of a task, if it has one.
    async fn checkpoint(&self, task: &TaskId) -> Result<Option<Checkpoint>, StoreError> {
        let _ = task;
        Err(StoreError::NotOffered { what: "checkpoints" })
    }
}
