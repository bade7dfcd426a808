//! Forgetting what ended long ago, a bounded number of tasks at a time (ruling 25).

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::store::StoreError;

/// About so many tasks go in one transaction.
const AT_ONCE: u32 = 500;
/// How long others have the database to themselves between two batches.
const BREATH: Duration = Duration::from_millis(50);
/// How often it is looked for what is old enough.
const LOOK: Duration = Duration::from_hours(1);

/// Deletes submissions that ended longer ago than they are kept, until told to stop.
///
/// Several workers may do this at once: each batch is a transaction of its own, and what is gone is
/// not found again.
pub(super) async fn retire(engine: Arc<Inner>, stop: CancellationToken) {
    let Some(keep) = engine.config.keep else { return };
    loop {
        let pause = match engine.store.retire(keep, AT_ONCE).await {
            Ok(0) => LOOK,
            Ok(tasks) => {
                tracing::info!(node = %engine.node, tasks, "deleted what ended long ago");
                BREATH
            }
            // A store for tests keeps everything.
            Err(StoreError::NotOffered { .. }) => return,
            Err(error) => {
                engine.store_failed("delete what ended long ago", &error);
                LOOK
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(pause) => {}
        }
    }
}
