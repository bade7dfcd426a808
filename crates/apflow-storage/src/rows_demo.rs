//! What an open transaction knows of demonstrations.

use apflow_core::store::StoreError;
use async_trait::async_trait;

/// Marking runs.
#[async_trait]
pub(crate) trait DemoRows: Send {
    /// The runs these trees have begun are demonstrations; their counters must have been saved.
    async fn mark_demo(&mut self, trees: &[i64]) -> Result<(), StoreError>;
}
