//! The store itself: writes go through the committer, reads go past it.

use std::{sync::Arc, time::Duration};

use apflow_core::{
    derive::{self, Derive, Derived},
    id::{Ids, TaskId, TreeId, after_all_like},
    store::{
        CallbackClaim, CallbackRecord, CallbackReport, CallbackState, CallbackStore, Callbacks,
        Cancel, CancelAnswer, Claim, ControlStore, Counts, EventKind, Idempotency, Inserted,
        JournalStore, NeedKind, NewTree, Page, Patch, Refusal, Renewal, Settled, Settlement,
        Signal, Start, Started, StoreError, Submission, TaskEvent, TaskFilter, Told, TreeStore,
        Wake, WorkStore,
    },
    task::{Record, RunSummary, StateName, Status},
    time::{Clock, Timestamp},
};
use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::{
    committer::{Job, Queue, Signals},
    read::{CallbackRow, EventRow, Reads, ToldRow},
    row::{RecordRow, RunRow, record},
    steps::{Derivation, Preview, archived},
};

/// At most so many failed and blocked tasks are named in a summary.
const MAX_TROUBLED: u32 = 100;

/// A database behind a committer.
pub(crate) struct Database<R> {
    pub(crate) reads: R,
    pub(crate) queue: Arc<Queue>,
    pub(crate) signals: Signals,
    /// Workers that claimed through this store: alive as long as this process is.
    pub(crate) workers: std::sync::Mutex<Vec<String>>,
    /// Why nothing may be written, if nothing may.
    pub(crate) read_only: bool,
    /// Who says what time it is; none where the database does.
    pub(crate) clock: Option<Arc<dyn Clock>>,
}

impl<R> Drop for Database<R> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl<R: Reads> Database<R> {
    pub(crate) async fn ask<T>(
        &self,
        job: impl FnOnce(crate::committer::Answer<T>) -> Job,
    ) -> Result<T, StoreError> {
        self.may_write()?;
        self.queue.ask(job).await
    }

    /// Refuses what would write where nothing may be written.
    pub(crate) fn may_write(&self) -> Result<(), StoreError> {
        if self.read_only {
            return Err(StoreError::Locked {
                what: "the database was opened for reading only".to_owned(),
                hint: "stop the process that has it, or send the command to that process"
                    .to_owned(),
            });
        }
        Ok(())
    }

    fn workers(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        // A panic while it is held leaves a list that is whole.
        self.workers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Lets it be known, before a worker claims for the first time, that it lives.
    async fn know(&self, worker: &str) -> Result<(), StoreError> {
        let is_known = |workers: &[String]| workers.iter().any(|known| known == worker);
        if is_known(&self.workers()) {
            return Ok(());
        }
        self.reads.alive(worker).await?;
        let mut workers = self.workers();
        if !is_known(&workers) {
            workers.push(worker.to_owned());
        }
        Ok(())
    }

    /// What readers would see if it were stored.
    async fn preview(&self, made: Preview, now: Timestamp) -> Result<Derived, StoreError> {
        match made {
            Preview::New(new) => {
                let mut originals = Vec::with_capacity(new.links.len());
                for link in &new.links {
                    originals.push(match link {
                        Some(original) => self.record(original).await?,
                        None => None,
                    });
                }
                let trees = &new.submission.trees;
                let root = |tree: &NewTree| new.submission.tasks[tree.root].id.clone();
                let inserted = Inserted {
                    trees: trees.iter().map(|tree| tree.id.clone()).collect(),
                    roots: trees.iter().map(root).collect(),
                    replayed: false,
                };
                let preview = Some(derive::preview(&new, originals, now));
                Ok(Derived { inserted, preview })
            }
            Preview::Archived { tree, root, tasks } => {
                let mut preview = Vec::with_capacity(tasks.len());
                for (id, definition) in tasks {
                    let record = self.record(&id).await?;
                    preview.extend(record.map(|record| archived(record, definition)));
                }
                let (trees, roots) = (vec![TreeId::new(tree)], vec![root]);
                let inserted = Inserted { trees, roots, replayed: false };
                Ok(Derived { inserted, preview: Some(preview) })
            }
        }
    }

    async fn summary(&self, row: Option<RunRow>) -> Result<Option<RunSummary>, StoreError> {
        let Some(row) = row else { return Ok(None) };
        // A run that went well has no troubled tasks, and most runs do.
        let well = row.outcome.as_deref() == Some("completed") || row.run == 0;
        let troubled = if well {
            Vec::new()
        } else {
            self.reads.troubled(row.seq, row.started_at.unwrap_or(0), MAX_TROUBLED).await?
        };
        let over = row.finished_at.is_some();
        let of = |state: StateName| -> Vec<TaskId> {
            troubled
                .iter()
                .filter(|(_, name)| name == state.as_str())
                .map(|(id, _)| TaskId::new(id.clone()))
                .collect()
        };
        // While a run goes on, a blocked task may still get its turn.
        let blocked = if over { of(StateName::Blocked) } else { Vec::new() };
        row.summary(of(StateName::Failed), blocked).map(Some)
    }
}

/// The records of a list. A row that cannot be read is left out and noted in the log; whoever asks for
/// it by name is told what is wrong with it.
pub(crate) fn records(rows: Vec<RecordRow>) -> Result<Vec<Record>, StoreError> {
    rows.into_iter()
        .filter_map(|row| match record(row) {
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "a row was left out of a list");
                None
            }
            other => Some(other),
        })
        .collect()
}

#[async_trait]
impl<R: Reads> TreeStore for Database<R> {
    async fn insert(&self, submission: Submission) -> Result<Inserted, StoreError> {
        self.ask(|to| Job::Insert(Box::new(submission), to)).await
    }

    async fn record(&self, id: &TaskId) -> Result<Option<Record>, StoreError> {
        let Some(row) = self.reads.record(id.as_str()).await? else { return Ok(None) };
        let mut record = record(row)?;
        if record.task.state.name() == StateName::Blocked {
            for (id, kind, state) in self.reads.needs_of(record.task.seq.0).await? {
                let state = StateName::parse(&state);
                let ended = state.is_some_and(StateName::is_terminal);
                if !ended {
                    record.waiting_for.push(TaskId::new(id));
                } else if kind == NeedKind::Required.code() && state != Some(StateName::Completed) {
                    record.failed_needs.push(TaskId::new(id));
                }
            }
        }
        let record = self.with_schedules(vec![record]).await?;
        Ok(self.with_checkpoints(record).await?.pop())
    }

    async fn subtree(&self, root: &TaskId) -> Result<Vec<Record>, StoreError> {
        let found = records(self.reads.subtree(root.as_str()).await?)?;
        let found = self.with_checkpoints(found).await?;
        Ok(parents_first(self.with_schedules(found).await?, root))
    }

    async fn list(&self, filter: &TaskFilter, page: Page) -> Result<Vec<Record>, StoreError> {
        let only_parent =
            TaskFilter { parent_id: filter.parent_id.clone(), ..TaskFilter::default() };
        let found = match &filter.parent_id {
            Some(parent) if *filter == only_parent => {
                records(self.reads.children(parent.as_str(), page).await?)
            }
            _ => records(self.reads.list(filter, page).await?),
        };
        self.with_schedules(self.with_checkpoints(found?).await?).await
    }

    async fn ids_like(
        &self,
        beginning: &str,
        user_id: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TaskId>, StoreError> {
        let Some(below) = after_all_like(beginning) else { return Ok(Vec::new()) };
        let found = self.reads.ids_in_range(beginning, &below, user_id, limit).await?;
        Ok(found.into_iter().map(TaskId::new).collect())
    }

    async fn count(&self, filter: &TaskFilter) -> Result<Counts, StoreError> {
        let mut counts = Counts::default();
        for (state, count) in self.reads.count(filter).await? {
            let Some(status) = StateName::parse(&state).map(StateName::status) else { continue };
            for (each, slot) in Status::ALL.iter().zip(&mut counts.by_status) {
                if *each == status {
                    *slot += u64::try_from(count).unwrap_or(0);
                }
            }
        }
        Ok(counts)
    }

    async fn run(&self, task: &TaskId) -> Result<Option<RunSummary>, StoreError> {
        let row = self.reads.run_of_task(task.as_str()).await?;
        self.summary(row).await
    }

    async fn run_of_tree(&self, tree: &TreeId) -> Result<Option<RunSummary>, StoreError> {
        let row = self.reads.run_of_tree(tree.as_str()).await?;
        self.summary(row).await
    }

    async fn prune(&self, finished_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.ask(|to| Job::Prune(finished_before, limit, to)).await
    }

    async fn forget_keys(&self, older_than: Duration, limit: u32) -> Result<u64, StoreError> {
        self.ask(|to| Job::ForgetKeys(older_than, limit, to)).await
    }
}

/// Parents before children, siblings in order of submission.
fn parents_first(found: Vec<Record>, root: &TaskId) -> Vec<Record> {
    use std::collections::HashMap;
    let mut children: HashMap<TaskId, Vec<usize>> = HashMap::new();
    let mut first = None;
    for (at, record) in found.iter().enumerate() {
        if record.id == *root {
            first = Some(at);
        } else if let Some(parent) = &record.parent_id {
            children.entry(parent.clone()).or_default().push(at);
        }
    }
    let mut order = Vec::with_capacity(found.len());
    let mut open: Vec<usize> = first.into_iter().collect();
    while let Some(at) = open.pop() {
        order.push(at);
        if let Some(below) = children.get(&found[at].id) {
            open.extend(below.iter().rev());
        }
    }
    let mut slots: Vec<Option<Record>> = found.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| slots[at].take()).collect()
}

#[async_trait]
impl<R: Reads> WorkStore for Database<R> {
    async fn settle(
        &self,
        batch: Vec<Settlement>,
        next: Option<Claim>,
    ) -> Result<Settled, StoreError> {
        if let Some(claim) = &next {
            self.know(claim.worker.as_str()).await?;
        }
        self.ask(|to| Job::Settle(batch, next, to)).await
    }

    async fn renew(
        &self,
        batch: Vec<Renewal>,
        lease: Duration,
    ) -> Result<Vec<Refusal>, StoreError> {
        self.ask(|to| Job::Renew(batch, lease, to)).await
    }

    async fn lapse(&self, limit: u32) -> Result<u32, StoreError> {
        self.ask(|to| Job::Lapse(limit, to)).await
    }

    async fn recover(&self) -> Result<u32, StoreError> {
        let known = self.workers().clone();
        let is_dead = self.reads.dead(&known).await?;
        self.ask(|to| Job::Recover(is_dead, to)).await
    }
}

#[async_trait]
impl<R: Reads> ControlStore for Database<R> {
    async fn start(&self, start: Start) -> Result<Started, StoreError> {
        self.ask(|to| Job::Start(start, None, to)).await
    }

    async fn start_once(&self, start: Start, promise: Idempotency) -> Result<Started, StoreError> {
        self.ask(|to| Job::Start(start, Some(promise), to)).await
    }

    async fn derive(&self, wish: Derive, ids: Arc<dyn Ids>) -> Result<Derived, StoreError> {
        match self.ask(|to| Job::Derive(Box::new(wish), ids, to)).await? {
            Derivation::Done(derived) => Ok(derived),
            Derivation::Preview { made, now } => self.preview(made, now).await,
        }
    }

    async fn cancel(&self, batch: Vec<Cancel>) -> Result<Vec<CancelAnswer>, StoreError> {
        self.ask(|to| Job::Cancel(batch, to)).await
    }

    async fn update(&self, task: &TaskId, patch: Patch) -> Result<(), StoreError> {
        self.ask(|to| Job::Update(task.clone(), Box::new(patch), to)).await
    }

    async fn delete(&self, task: &TaskId) -> Result<u32, StoreError> {
        self.ask(|to| Job::Delete(task.clone(), to)).await
    }
}

#[async_trait]
impl<R: Reads> JournalStore for Database<R> {
    async fn events(
        &self,
        tree: Option<&TreeId>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<TaskEvent>, StoreError> {
        let rows = self.reads.events(tree.map(TreeId::as_str), after, limit).await?;
        rows.into_iter().map(event).collect()
    }

    async fn told(
        &self,
        tree: Option<&TreeId>,
        after: i64,
        limit: u32,
        result_bytes: u32,
    ) -> Result<Vec<Told>, StoreError> {
        let tree = tree.map(TreeId::as_str);
        let rows = self.reads.told(tree, after, limit, result_bytes).await?;
        rows.into_iter().map(told).collect()
    }

    async fn set_aside(&self) -> Result<Vec<(String, String, String)>, StoreError> {
        self.reads.set_aside().await
    }
}

#[async_trait]
impl<R: Reads> CallbackStore for Database<R> {
    async fn callbacks(
        &self,
        reports: Vec<CallbackReport>,
        next: Option<CallbackClaim>,
    ) -> Result<Callbacks, StoreError> {
        if let Some(claim) = &next {
            self.know(claim.holder.as_str()).await?;
        }
        self.ask(|to| Job::Callbacks(reports, next, to)).await
    }

    async fn free_callbacks(&self) -> Result<u32, StoreError> {
        let known = self.workers().clone();
        let is_dead = self.reads.dead_holders(&known).await?;
        self.ask(|to| Job::FreeCallbacks(is_dead, to)).await
    }

    async fn callbacks_of(&self, tree: &TreeId) -> Result<Vec<CallbackRecord>, StoreError> {
        let rows = self.reads.callbacks_of(tree.as_str()).await?;
        rows.into_iter().map(callback).collect()
    }
}

fn callback(row: CallbackRow) -> Result<CallbackRecord, StoreError> {
    let Some(state) = CallbackState::parse(&row.state) else {
        let what = format!("state is {}", row.state);
        return Err(StoreError::Corrupt { table: "af_callbacks", row: row.id, what });
    };
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(CallbackRecord {
        id: row.id,
        state,
        position: row.position,
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        delivered: count(row.delivered),
        given_up: count(row.given_up),
        note: row.note,
    })
}

fn event(row: EventRow) -> Result<TaskEvent, StoreError> {
    let corrupt =
        |what: String| StoreError::Corrupt { table: "af_events", row: row.seq.to_string(), what };
    Ok(TaskEvent {
        seq: row.seq,
        kind: EventKind::from_code(row.kind)
            .ok_or_else(|| corrupt(format!("kind is {}", row.kind)))?,
        detail: match &row.detail {
            Some(text) => {
                serde_json::from_str(text).map_err(|error| corrupt(format!("detail: {error}")))?
            }
            None => serde_json::Value::Null,
        },
        tree: TreeId::new(row.tree),
        task: row.task.map(TaskId::new),
        attempt: u32::try_from(row.attempt).unwrap_or(0),
        at: Timestamp(row.at),
    })
}

fn told(row: ToldRow) -> Result<Told, StoreError> {
    let seq = row.event.seq;
    let result = match &row.result {
        Some(text) => Some(serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
            table: "af_work",
            row: format!("of event {seq}"),
            what: format!("output: {error}"),
        })?),
        None => None,
    };
    Ok(Told {
        event: event(row.event)?,
        root: TaskId::new(row.root),
        owner: row.owner,
        result,
        result_omitted: row.too_large,
    })
}

impl<R: Reads> Wake for Database<R> {
    fn signals(&self) -> broadcast::Receiver<Signal> {
        self.signals.all.subscribe()
    }

    fn ends(&self) -> broadcast::Receiver<Signal> {
        self.signals.ends.subscribe()
    }
}
