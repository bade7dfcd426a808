//! What an attempt puts aside so that the next one need not begin again.

use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Context, ExecuteError};

/// Where checkpoints of a running attempt go.
#[async_trait]
pub trait Keeper: Send + Sync {
    /// Puts a value aside; it is durable when this returns.
    async fn keep(&self, step: Option<&str>, value: Value) -> Result<(), ExecuteError>;
}

/// Keeps nothing, for attempts outside an engine.
struct Nowhere;

#[async_trait]
impl Keeper for Nowhere {
    async fn keep(&self, _: Option<&str>, _: Value) -> Result<(), ExecuteError> {
        Ok(())
    }
}

/// A keeper that keeps nothing.
pub(super) fn nowhere() -> Arc<dyn Keeper> {
    Arc::new(Nowhere)
}

impl Context {
    /// Puts a value aside for the attempt after this one, in the place of what was put aside before.
    ///
    /// When it returns, the value is in the database: whatever ends this attempt (an error, the end of
    /// its time, the death of the process), the next attempt of the same run is handed it as
    /// [`Given::checkpoint`](super::Given::checkpoint). It is forgotten when the task completes or a new
    /// run begins. An attempt whose lease is no longer current is refused, so an old worker never
    /// overwrites what a newer one has put aside; pass that error on with `?`.
    pub async fn checkpoint(&self, value: impl Into<Value> + Send) -> Result<(), ExecuteError> {
        self.keeper.keep(None, value.into()).await
    }

    /// The same, with a word for what has just been done; people see it in `resume_from`.
    pub async fn checkpoint_after(
        &self,
        step: &str,
        value: impl Into<Value> + Send,
    ) -> Result<(), ExecuteError> {
        self.keeper.keep(Some(step), value.into()).await
    }

    /// What the newest attempt before this one put aside, if it did and it fits the type.
    ///
    /// What does not fit, for example because the program is newer than the checkpoint, is an error
    /// that names the difference.
    pub fn resumed<T: DeserializeOwned>(&self) -> Result<Option<T>, ExecuteError> {
        let Some(value) = &self.given.checkpoint else { return Ok(None) };
        T::deserialize(value).map(Some).map_err(|error| {
            ExecuteError::permanent(format!(
                "the checkpoint of an earlier attempt does not fit this executor: {error}; run the \
                 task afresh to begin without it"
            ))
        })
    }
}
