//! Checkpoints of a running attempt, on their way into the store.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{Inner, output};
use crate::{
    executor::{ExecuteError, Keeper},
    id::{LeaseToken, Seq, TaskId},
    store::{Claimed, NewCheckpoint, NewSnapshot, StoreError},
    task::FailureKind,
};

/// The longest word for a step.
const MAX_STEP_CHARS: usize = 100;

struct OfAttempt {
    engine: Arc<Inner>,
    seq: Seq,
    task: TaskId,
    lease: LeaseToken,
    attempt: u32,
}

/// The keeper of one attempt.
pub(super) fn of(engine: &Arc<Inner>, claimed: &Claimed) -> Arc<dyn Keeper> {
    Arc::new(OfAttempt {
        engine: Arc::clone(engine),
        seq: claimed.seq,
        task: claimed.id.clone(),
        lease: claimed.lease,
        attempt: claimed.attempt,
    })
}

#[async_trait]
impl Keeper for OfAttempt {
    async fn keep(&self, step: Option<&str>, value: Value) -> Result<(), ExecuteError> {
        let config = &self.engine.config;
        if let Some(why) =
            output::refuse(&value, config.max_result_depth, config.max_checkpoint_bytes)
        {
            output::dismantle(value);
            return Err(spoilt(format!("the checkpoint cannot be stored: {why}")));
        }
        if step.is_some_and(|step| step.contains('\0') || step.chars().count() > MAX_STEP_CHARS) {
            let why = format!(
                "the step of a checkpoint is at most {MAX_STEP_CHARS} characters without U+0000"
            );
            return Err(spoilt(why));
        }
        let checkpoint = NewCheckpoint {
            seq: self.seq,
            task: self.task.clone(),
            lease: self.lease,
            attempt: self.attempt,
            step: step.map(str::to_owned),
            value,
        };
        self.engine.store.keep_checkpoint(checkpoint).await.map_err(meant_for_executors)
    }

    async fn snapshot(&self, name: &str, note: Map<String, Value>) -> Result<(), ExecuteError> {
        let note = Value::Object(note);
        let depth = self.engine.config.max_result_depth;
        if let Some(why) = output::refuse(&note, depth, MAX_NOTE_BYTES) {
            output::dismantle(note);
            return Err(spoilt(format!("the note of a snapshot cannot be stored: {why}")));
        }
        let Value::Object(note) = note else { return Err(spoilt("it is no object".to_owned())) };
        let wish = NewSnapshot {
            task: self.task.clone(),
            name: name.to_owned(),
            note,
            lease: Some((self.seq, self.lease)),
        };
        self.engine.store.take_snapshot(wish).await.map(drop).map_err(meant_for_executors)
    }
}

/// The largest note that is kept with a snapshot, in bytes, roughly counted.
const MAX_NOTE_BYTES: usize = 64 << 10;

fn spoilt(why: String) -> ExecuteError {
    ExecuteError::of_kind(FailureKind::InvalidOutput, why)
}

/// What an error of the store means to the attempt that asked.
fn meant_for_executors(error: StoreError) -> ExecuteError {
    match error {
        StoreError::Refused { .. } | StoreError::NoSuchTask(_) => ExecuteError::of_kind(
            FailureKind::LostLease,
            format!("nothing was put aside, for the task is not this attempt's any more: {error}"),
        ),
        StoreError::NotOffered { .. } => ExecuteError::permanent(error.to_string()),
        error => ExecuteError::transient(format!("the checkpoint was not stored: {error}")),
    }
}
