//! What an open transaction knows of callbacks.

use apflow_core::store::StoreError;
use async_trait::async_trait;

/// The part of a transaction that is about callbacks.
#[async_trait]
pub(crate) trait CallbackRows: Send {
    /// A position in the journal that every event of the submissions that are locked is at or before,
    /// and every event that this transaction adds to them after.
    async fn last_event(&mut self) -> Result<i64, StoreError>;
}
