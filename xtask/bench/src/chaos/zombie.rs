//! A store for a worker that does not know it is dead: it never renews, and may report without a fence.

use std::{sync::Arc, time::Duration};

use apflow::core::{
    derive::{Derive, Derived},
    id::{Ids, TaskId, TreeId},
    store::{
        AccessStore, ApiToken, Backfill, Backfilled, CallbackClaim, CallbackRecord, CallbackReport,
        CallbackStore, Callbacks, Cancel, CancelAnswer, CareStore, CheckpointStore, Claim,
        ControlStore, Counts, DrivenRun, Fire, Fired, HistoryStore, Idempotency, Inserted,
        JournalStore, Page, Patch, Refusal, Renewal, ScheduleFilter, ScheduleStore, Seen, Settled,
        Settlement, Signal, SnapshotStore, Start, Started, Store, StoreError, Submission,
        TaskEvent, TaskFilter, Told, TreeStore, Wake, WorkStore,
    },
    task::{Record, RunSummary},
    time::Timestamp,
    transition::Refused,
};
use async_trait::async_trait;
use tokio::sync::{
    broadcast::{self, error::RecvError},
    watch,
};

/// A store that is honest but for what a zombie does.
pub(super) struct Zombie {
    /// The honest one.
    pub(super) inner: Arc<dyn Store>,
    /// Leases are said to be renewed and are not.
    pub(super) never_renews: bool,
    /// An outcome that is refused is reported again under whatever token is current.
    pub(super) unfenced: bool,
}

impl Zombie {
    /// What a store without a fence would do: whoever reports last is believed.
    async fn insist(&self, batch: &[Settlement], settled: &mut Settled) -> Result<(), StoreError> {
        let refused = std::mem::take(&mut settled.refused);
        for refusal in refused {
            let said = batch.iter().find(|settlement| settlement.seq == refusal.seq);
            let (Some(said), Refused::StaleLease { current, .. }) = (said, &refusal.why) else {
                settled.refused.push(refusal);
                continue;
            };
            let again = Settlement { lease: *current, ..said.clone() };
            let answer = self.inner.settle(vec![again], None).await?;
            settled.refused.extend(answer.refused);
            settled.more = true;
        }
        Ok(())
    }
}

#[async_trait]
impl WorkStore for Zombie {
    async fn settle(
        &self,
        batch: Vec<Settlement>,
        next: Option<Claim>,
    ) -> Result<Settled, StoreError> {
        let mut settled = self.inner.settle(batch.clone(), next).await?;
        if self.unfenced {
            self.insist(&batch, &mut settled).await?;
        }
        Ok(settled)
    }

    async fn renew(
        &self,
        batch: Vec<Renewal>,
        lease: Duration,
    ) -> Result<Vec<Refusal>, StoreError> {
        if self.never_renews { Ok(Vec::new()) } else { self.inner.renew(batch, lease).await }
    }

    async fn lapse(&self, limit: u32) -> Result<u32, StoreError> {
        self.inner.lapse(limit).await
    }

    async fn recover(&self) -> Result<u32, StoreError> {
        self.inner.recover().await
    }
}

#[async_trait]
impl TreeStore for Zombie {
    async fn insert(&self, submission: Submission) -> Result<Inserted, StoreError> {
        self.inner.insert(submission).await
    }

    async fn record(&self, id: &TaskId) -> Result<Option<Record>, StoreError> {
        self.inner.record(id).await
    }

    async fn subtree(&self, root: &TaskId) -> Result<Vec<Record>, StoreError> {
        self.inner.subtree(root).await
    }

    async fn list(&self, filter: &TaskFilter, page: Page) -> Result<Vec<Record>, StoreError> {
        self.inner.list(filter, page).await
    }

    async fn ids_like(
        &self,
        beginning: &str,
        user_id: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TaskId>, StoreError> {
        self.inner.ids_like(beginning, user_id, limit).await
    }

    async fn count(&self, filter: &TaskFilter) -> Result<Counts, StoreError> {
        self.inner.count(filter).await
    }

    async fn run(&self, task: &TaskId) -> Result<Option<RunSummary>, StoreError> {
        self.inner.run(task).await
    }

    async fn run_of_tree(&self, tree: &TreeId) -> Result<Option<RunSummary>, StoreError> {
        self.inner.run_of_tree(tree).await
    }

    async fn prune(&self, finished_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.inner.prune(finished_before, limit).await
    }

    async fn forget_keys(&self, older_than: Duration, limit: u32) -> Result<u64, StoreError> {
        self.inner.forget_keys(older_than, limit).await
    }
}

#[async_trait]
impl ControlStore for Zombie {
    async fn start(&self, start: Start) -> Result<Started, StoreError> {
        self.inner.start(start).await
    }

    async fn start_once(&self, start: Start, promise: Idempotency) -> Result<Started, StoreError> {
        self.inner.start_once(start, promise).await
    }

    async fn derive(&self, wish: Derive, ids: Arc<dyn Ids>) -> Result<Derived, StoreError> {
        self.inner.derive(wish, ids).await
    }

    async fn cancel(&self, batch: Vec<Cancel>) -> Result<Vec<CancelAnswer>, StoreError> {
        self.inner.cancel(batch).await
    }

    async fn update(&self, task: &TaskId, patch: Patch) -> Result<(), StoreError> {
        self.inner.update(task, patch).await
    }

    async fn delete(&self, task: &TaskId) -> Result<u32, StoreError> {
        self.inner.delete(task).await
    }
}

#[async_trait]
impl JournalStore for Zombie {
    async fn events(
        &self,
        tree: Option<&TreeId>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<TaskEvent>, StoreError> {
        self.inner.events(tree, after, limit).await
    }

    async fn told(
        &self,
        tree: Option<&TreeId>,
        after: i64,
        limit: u32,
        result_bytes: u32,
    ) -> Result<Vec<Told>, StoreError> {
        self.inner.told(tree, after, limit, result_bytes).await
    }

    async fn set_aside(&self) -> Result<Vec<(String, String, String)>, StoreError> {
        self.inner.set_aside().await
    }
}

/// It has none.
impl apflow::core::store::BudgetStore for Zombie {}

impl apflow::core::store::ChannelStore for Zombie {}

impl apflow::core::store::FlowStore for Zombie {}

impl apflow::core::store::WaitStore for Zombie {}

#[async_trait]
impl HistoryStore for Zombie {}

#[async_trait]
impl AccessStore for Zombie {
    async fn has_tokens(&self) -> Result<bool, StoreError> {
        self.inner.has_tokens().await
    }

    async fn token(&self, digest: &str) -> Result<Option<ApiToken>, StoreError> {
        self.inner.token(digest).await
    }

    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.inner.tokens().await
    }

    async fn add_token(&self, token: ApiToken) -> Result<(), StoreError> {
        self.inner.add_token(token).await
    }

    async fn revoke_token(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        self.inner.revoke_token(id, at).await
    }

    async fn forget_token(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.inner.forget_token(id, now).await
    }

    async fn use_token(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        self.inner.use_token(id, at).await
    }

    async fn see(&self, mark: &str, now: Timestamp, until: Timestamp) -> Result<Seen, StoreError> {
        self.inner.see(mark, now, until).await
    }
}

/// It keeps nothing aside and deletes nothing.
impl CheckpointStore for Zombie {}

impl CareStore for Zombie {}

impl SnapshotStore for Zombie {}

#[async_trait]
impl CallbackStore for Zombie {
    async fn callbacks(
        &self,
        reports: Vec<CallbackReport>,
        next: Option<CallbackClaim>,
    ) -> Result<Callbacks, StoreError> {
        self.inner.callbacks(reports, next).await
    }

    async fn free_callbacks(&self) -> Result<u32, StoreError> {
        self.inner.free_callbacks().await
    }

    async fn callbacks_of(&self, tree: &TreeId) -> Result<Vec<CallbackRecord>, StoreError> {
        self.inner.callbacks_of(tree).await
    }
}

impl Wake for Zombie {
    fn ends(&self) -> broadcast::Receiver<Signal> {
        self.inner.ends()
    }

    fn signals(&self) -> broadcast::Receiver<Signal> {
        let mut all = self.inner.signals();
        if !self.never_renews {
            return all;
        }
        // It hears that there is work, and not that it has lost what it works on.
        let (forward, heard) = broadcast::channel(64);
        tokio::spawn(async move {
            loop {
                match all.recv().await {
                    // Nobody listening any more is the end of it.
                    Ok(Signal::Ready) if forward.send(Signal::Ready).is_err() => return,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
        heard
    }
}

#[async_trait]
impl ScheduleStore for Zombie {
    async fn fire(&self, wish: Fire) -> Result<Fired, StoreError> {
        self.inner.fire(wish).await
    }

    async fn scheduled(
        &self,
        filter: &ScheduleFilter,
        page: Page,
    ) -> Result<Vec<Record>, StoreError> {
        self.inner.scheduled(filter, page).await
    }

    async fn init_schedule(
        &self,
        task: &TaskId,
        from: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.inner.init_schedule(task, from).await
    }

    async fn complete_run(&self, run: DrivenRun) -> Result<(), StoreError> {
        self.inner.complete_run(run).await
    }

    async fn backfill(&self, wish: Backfill) -> Result<Backfilled, StoreError> {
        self.inner.backfill(wish).await
    }

    fn schedule_changes(&self) -> watch::Receiver<u64> {
        self.inner.schedule_changes()
    }
}
