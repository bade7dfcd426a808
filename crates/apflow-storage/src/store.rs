//! The store itself: writes go through the committer, reads go past it.

use std::{sync::Arc, time::Duration};

use apflow_core::{
    id::{TaskId, TreeId, after_all_like},
    store::{
        Cancel, CancelAnswer, Claim, ControlStore, Counts, EventKind, Inserted, JournalStore,
        NeedKind, Page, Patch, Refusal, Renewal, Settled, Settlement, Signal, Start, Started,
        StoreError, Submission, TaskEvent, TaskFilter, TreeStore, Wake, WorkStore,
    },
    task::{Record, RunSummary, StateName, Status},
    time::Timestamp,
};
use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::{
    committer::{Job, Queue, Signals},
    read::{EventRow, Reads},
    row::{RecordRow, RunRow, record},
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
}

impl<R> Drop for Database<R> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl<R: Reads> Database<R> {
    async fn ask<T>(
        &self,
        job: impl FnOnce(crate::committer::Answer<T>) -> Job,
    ) -> Result<T, StoreError> {
        if self.read_only {
            return Err(StoreError::Locked {
                what: "the database was opened for reading only".to_owned(),
                hint: "stop the process that has it, or send the command to that process"
                    .to_owned(),
            });
        }
        self.queue.ask(job).await
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
fn records(rows: Vec<RecordRow>) -> Result<Vec<Record>, StoreError> {
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
        Ok(Some(record))
    }

    async fn subtree(&self, root: &TaskId) -> Result<Vec<Record>, StoreError> {
        let found = records(self.reads.subtree(root.as_str()).await?)?;
        Ok(parents_first(found, root))
    }

    async fn list(&self, filter: &TaskFilter, page: Page) -> Result<Vec<Record>, StoreError> {
        let only_parent =
            TaskFilter { parent_id: filter.parent_id.clone(), ..TaskFilter::default() };
        match &filter.parent_id {
            Some(parent) if *filter == only_parent => {
                records(self.reads.children(parent.as_str(), page).await?)
            }
            _ => records(self.reads.list(filter, page).await?),
        }
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
        self.ask(|to| Job::Start(start, to)).await
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

    async fn set_aside(&self) -> Result<Vec<(String, String, String)>, StoreError> {
        self.reads.set_aside().await
    }
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

impl<R: Reads> Wake for Database<R> {
    fn signals(&self) -> broadcast::Receiver<Signal> {
        self.signals.all.subscribe()
    }

    fn ends(&self) -> broadcast::Receiver<Signal> {
        self.signals.ends.subscribe()
    }
}
