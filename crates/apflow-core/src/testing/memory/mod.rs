//! A store that keeps nothing: one lock, plain rows, the same rules. The model the databases follow.

mod access;
mod callbacks;
mod checkpoint;
mod control;
mod derive;
mod flow;
mod rows;
mod schedule;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::{broadcast, watch};

use crate::{
    derive::link_record,
    executor::Given,
    id::{NodeId, Seq, TaskId, TreeId},
    store::{
        Claim, Claimed, Counts, Ended, EventKind, Inserted, JournalStore, NeedKind, NeedResult,
        NewTask, Page, Refusal, Renewal, Settled, Settlement, Signal, StoreError, Submission,
        TaskEvent, TaskFilter, Told, TreeStore, Wake, WorkStore,
    },
    task::{Definition, Record, RunSummary, State, StateName, Status, Task, TreeRecord},
    time::{Clock, Timestamp},
    transition::{Event, Refused},
};
use rows::{Answer, Need, Rows, TaskRow, TreeRow, position, seq};

/// A [`Store`](crate::store::Store) in memory, for tests: the reference model of the real ones.
///
/// Every call takes one lock and looks at everything, so it is slow for large trees and easy to
/// believe. It can be told to fail.
pub struct MemoryStore {
    rows: Mutex<Rows>,
    clock: Arc<dyn Clock>,
    signals: broadcast::Sender<Signal>,
    ends: broadcast::Sender<Signal>,
    schedules: watch::Sender<u64>,
    failing: AtomicU32,
    forgetful: AtomicU32,
    poison: Mutex<Option<String>>,
    mute: AtomicBool,
}

impl MemoryStore {
    /// An empty store that goes by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            rows: Mutex::default(),
            clock,
            signals: broadcast::channel(1024).0,
            ends: broadcast::channel(1024).0,
            schedules: watch::Sender::new(0),
            failing: AtomicU32::new(0),
            forgetful: AtomicU32::new(0),
            poison: Mutex::default(),
            mute: AtomicBool::new(false),
        }
    }

    /// Lets the next so many calls that a worker makes fail without doing anything.
    pub fn fail_next(&self, calls: u32) {
        self.failing.store(calls, Ordering::SeqCst);
    }

    /// Lets the next so many settlements be done and their answer be lost.
    pub fn lose_next_answers(&self, calls: u32) {
        self.forgetful.store(calls, Ordering::SeqCst);
    }

    /// Loses all signals from now on, or no more.
    pub fn lose_signals(&self, lose: bool) {
        self.mute.store(lose, Ordering::SeqCst);
    }

    /// Rejects every batch with a result that is this text.
    pub fn choke_on(&self, text: &str) {
        *self.poison.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
    }

    /// Declares a worker dead, so that [`WorkStore::recover`] takes up what it held.
    pub fn declare_dead(&self, worker: &NodeId) {
        self.lock().dead.insert(worker.clone());
    }

    /// Every task in order of submission, for checking.
    pub fn tasks(&self) -> Vec<Record> {
        let rows = self.lock();
        rows.all().filter_map(|(at, _)| record(&rows, at)).collect()
    }

    /// The whole journal, for checking.
    pub fn journal(&self) -> Vec<TaskEvent> {
        self.lock().events.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.now = self.clock.now();
        rows
    }

    /// Does all of `change` or nothing, and tells the others what changed.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Rows) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut rows = self.lock();
        let before = rows.clone();
        match change(&mut rows) {
            Ok(done) => {
                self.publish(&mut rows);
                Ok(done)
            }
            Err(error) => {
                *rows = before;
                Err(error)
            }
        }
    }

    /// Sends the signals while the lock is held, so that they come in the order of the changes.
    fn publish(&self, rows: &mut Rows) {
        let stopped = std::mem::take(&mut rows.stopped);
        let changed: Vec<Seq> = std::mem::take(&mut rows.changed).into_iter().collect();
        let finished: Vec<Seq> = std::mem::take(&mut rows.finished).into_iter().collect();
        let readied = std::mem::take(&mut rows.readied);
        let rescheduled = std::mem::take(&mut rows.rescheduled);
        if self.mute.load(Ordering::SeqCst) {
            return;
        }
        if rescheduled {
            self.schedules.send_modify(|count| *count = count.wrapping_add(1));
        }
        // Nobody listening is no error.
        if !stopped.is_empty() {
            let _ = self.signals.send(Signal::Stopped(stopped.into()));
        }
        if readied && rows.all().any(|(_, row)| row.task.state == State::Ready) {
            let _ = self.signals.send(Signal::Ready);
        }
        if !changed.is_empty() {
            let _ = self.signals.send(Signal::Changed(changed.into()));
        }
        if !finished.is_empty() {
            let _ = self.ends.send(Signal::Finished(finished.into()));
        }
    }

    fn may_fail(&self) -> Result<(), StoreError> {
        let one_less = |left: u32| left.checked_sub(1);
        match self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(_) => Err(unavailable("told to fail")),
            Err(_) => Ok(()),
        }
    }
}

fn unavailable(what: &str) -> StoreError {
    StoreError::Unavailable { what: what.to_owned(), source: None }
}

fn record(rows: &Rows, at: usize) -> Option<Record> {
    let own = own_record(rows, at)?;
    match rows.row(at)?.original.and_then(|original| own_record(rows, original)) {
        Some(original) => Some(link_record(own, original)),
        None => Some(own),
    }
}

fn own_record(rows: &Rows, at: usize) -> Option<Record> {
    let row = rows.row(at)?;
    let mut definition = shown(rows, at, row);
    definition.origin.has_references |= rows.links_to(at).next().is_some();
    let needs = || rows.needs.iter().filter(move |need| need.of == at);
    let waits = matches!(row.task.state, State::Blocked { .. });
    let ids = |wanted: &dyn Fn(&Need, &TaskRow) -> bool| -> Vec<TaskId> {
        needs()
            .filter_map(|need| Some((need, rows.row(need.on)?)))
            .filter(|(need, on)| waits && wanted(need, on))
            .map(|(_, on)| on.id.clone())
            .collect()
    };
    Some(Record {
        id: row.id.clone(),
        tree_id: rows.trees[row.tree].record.id.clone(),
        parent_id: row.parent.and_then(|parent| Some(rows.row(parent)?.id.clone())),
        has_children: !rows.children(at).is_empty(),
        definition,
        task: row.task.clone(),
        progress: row.progress,
        resolved_inputs: row.resolved_inputs.clone(),
        result: row.result.as_deref().cloned(),
        error: row.error.clone(),
        created_at: row.created_at,
        updated_at: row.updated_at,
        worker: row.worker.as_ref().map(ToString::to_string),
        waiting_for: ids(&|_, on| !on.task.state.is_terminal()),
        failed_needs: ids(&|need, on| {
            need.kind == NeedKind::Required
                && on.task.state.is_terminal()
                && on.task.state != State::Completed
        }),
    })
}

/// What the author said, with where the schedule stands.
fn shown(rows: &Rows, at: usize, row: &TaskRow) -> Definition {
    let mut definition = row.definition.as_ref().clone();
    if let Some(scheduled) = rows.schedules.get(&at) {
        scheduled.standing.show(&mut definition.schedule);
    }
    definition
}

fn summary(rows: &Rows, tree: usize) -> RunSummary {
    let row = &rows.trees[tree];
    let of_tree = || rows.all().filter(|(_, task)| task.tree == tree).map(|(_, task)| task);
    let ids = |state: StateName| -> Vec<TaskId> {
        let those = of_tree().filter(|task| task.task.state.name() == state);
        those.map(|task| task.id.clone()).take(100).collect()
    };
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    RunSummary {
        tree: row.record.clone(),
        run: row.run,
        outcome: row.outcome,
        running: row.open,
        total: count(of_tree().count()),
        completed: count(of_tree().filter(|task| task.task.state == State::Completed).count()),
        failed_tasks: ids(StateName::Failed),
        // While a run goes on, a blocked task may still get its turn.
        blocked_tasks: if row.open { Vec::new() } else { ids(StateName::Blocked) },
        started_at: row.started_at,
        finished_at: row.finished_at,
    }
}

fn insert(rows: &mut Rows, submission: Submission) -> Result<Inserted, StoreError> {
    let Submission { trees, tasks, start, idempotency, callback, demo } = submission;
    if let Some(Answer::Stored(inserted)) = rows.replay(idempotency.as_ref())? {
        return Ok(Inserted { replayed: true, ..inserted });
    }
    let (first_tree, first_task, forest) = (rows.trees.len(), rows.tasks.len(), rows.forests);
    rows.forests += 1;
    let mut inserted = Inserted { trees: Vec::new(), roots: Vec::new(), replayed: false };
    for (index, tree) in trees.into_iter().enumerate() {
        if rows.tree_ids.insert(tree.id.clone(), first_tree + index).is_some() {
            return Err(StoreError::DuplicateTree(tree.id));
        }
        let root = tasks[tree.root].id.clone();
        inserted.trees.push(tree.id.clone());
        inserted.roots.push(root.clone());
        let (id, user_id, options) = (tree.id, tree.user_id, tree.options);
        rows.trees.push(TreeRow {
            record: TreeRecord { seq: rows::seq(first_tree + index), id, root, user_id, options },
            run: 0,
            demo: false,
            open: false,
            outcome: None,
            started_at: None,
            finished_at: None,
            deadline: None,
        });
    }
    let mut counts = Vec::with_capacity(tasks.len());
    for (index, task) in tasks.into_iter().enumerate() {
        let at = first_task + index;
        if rows.ids.insert(task.id.clone(), at).is_some() {
            return Err(StoreError::DuplicateTask(task.id));
        }
        counts.push(u32::try_from(task.needs.len()).unwrap_or(u32::MAX));
        for need in &task.needs {
            rows.needs.push(Need { on: first_task + need.on, of: at, kind: need.kind });
        }
        let row = new_row(rows.now, at, first_task, first_tree, forest, task);
        rows.tasks.push(Some(row));
        schedule::put(rows, at);
    }
    if start {
        let position = rows.position();
        for tree in first_tree..rows.trees.len() {
            rows.begin_run(tree);
            rows.trees[tree].demo = demo;
            rows.add_callback(callback.as_ref(), tree, position);
        }
        for (index, waiting_for) in counts.into_iter().enumerate() {
            // A new task can always be started.
            let _ = rows.send(first_task + index, Event::Started { waiting_for, failed: 0 });
        }
    }
    rows.remember(idempotency, Answer::Stored(inserted.clone()));
    Ok(inserted)
}

fn new_row(
    now: Timestamp,
    at: usize,
    first_task: usize,
    first_tree: usize,
    forest: usize,
    new: NewTask,
) -> TaskRow {
    let definition = new.definition;
    let mut task = Task::new(seq(at), seq(first_tree + new.tree), seq(forest));
    task.max_attempts = definition.durability.max_attempts;
    task.priority = definition.priority;
    task.join = definition.join;
    TaskRow {
        id: new.id,
        tree: first_tree + new.tree,
        forest,
        parent: new.parent.map(|parent| first_task + parent),
        task,
        definition: Arc::new(definition),
        progress: 0.0,
        resolved_inputs: None,
        result: None,
        error: None,
        created_at: now,
        updated_at: now,
        worker: None,
        original: None,
    }
}

fn settle_one(rows: &mut Rows, settlement: Settlement) -> Result<(), Refused> {
    let Settlement { seq, lease, outcome, resolved_inputs, notes: _ } = settlement;
    let at = position(seq);
    let forest = rows.row(at).ok_or(Refused::NoSuchTask)?.forest;
    let (event, result, error) = match outcome {
        Ended::Completed { result } => (Event::Succeeded { lease }, Some(result), None),
        Ended::Failed { failure, retry_after, result } => {
            let retry_at = retry_after.map(|delay| rows.now.after(delay));
            let message = failure.message.clone();
            let result = (!result.is_null()).then_some(result);
            (Event::Stumbled { lease, failure, retry_at }, result, Some(message))
        }
        Ended::Parked { wait, at_most } => {
            let until = at_most.map(|time| rows.now.after(time));
            (Event::Parked { lease, wait, until }, None, None)
        }
        // Nothing is held here.
        Ended::HandedBack | Ended::Held(_) => (Event::HandedBack { lease }, None, None),
        Ended::Skipped { why } => (Event::PassedOver { lease: Some(lease), why }, None, None),
    };
    let handed_back = matches!(event, Event::HandedBack { .. });
    rows.send(at, event)?;
    if let Some(row) = rows.row_mut(at)
        && !handed_back
    {
        row.result = result.map(Arc::new);
        row.error = error;
        row.resolved_inputs = resolved_inputs;
    }
    rows.spread(forest);
    Ok(())
}

fn claim(rows: &mut Rows, claim: &Claim) -> Vec<Claimed> {
    let mut ready: Vec<_> = rows
        .all()
        .filter(|(_, row)| row.task.state == State::Ready)
        .map(|(at, row)| (row.task.priority, at))
        .collect();
    ready.sort_unstable();
    let until = rows.now.after(claim.lease);
    let mut claimed = Vec::new();
    for (_, at) in ready.into_iter().take(usize::try_from(claim.limit).unwrap_or(usize::MAX)) {
        let event = Event::Claimed { worker: claim.worker.clone(), until };
        if rows.send(at, event).is_ok() {
            claimed.extend(claimed_row(rows, at));
        }
    }
    claimed
}

fn claimed_row(rows: &Rows, at: usize) -> Option<Claimed> {
    let row = rows.row(at)?;
    let tree = &rows.trees[row.tree];
    let need = |id: &TaskId| {
        let (at, _) = rows.find(id)?;
        let need = rows.seen(at)?;
        let completed = need.task.state == State::Completed;
        Some(NeedResult {
            id: id.clone(),
            executor: need.definition.executor().map(str::to_owned),
            result: need.result.clone().filter(|_| completed),
            completed,
            state: need.task.state.name(),
        })
    };
    Some(Claimed {
        seq: row.task.seq,
        id: row.id.clone(),
        tree_id: tree.record.id.clone(),
        tree: row.task.tree,
        lease: row.task.token,
        run: tree.run,
        attempt: row.task.attempts,
        demo: tree.demo,
        definition: Arc::clone(&row.definition),
        needs: row.definition.dependencies.iter().filter_map(|entry| need(&entry.id)).collect(),
        given: Given { cycle: row.task.facets().cycle, ..Given::default() },
        tree_deadline: tree.deadline,
        now: rows.now,
    })
}

fn lapse(rows: &mut Rows, limit: usize) -> usize {
    let now = rows.now;
    let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    let late: Vec<usize> =
        (0..rows.trees.len()).filter(|tree| due(rows.trees[*tree].deadline)).collect();
    let mut changed = 0;
    for tree in late.into_iter().take(limit) {
        rows.trees[tree].deadline = None;
        let reason = "the time of the whole tree is over".to_owned();
        let of_tree: Vec<(usize, usize)> = rows
            .all()
            .filter(|(_, row)| row.tree == tree && row.task.state != State::Created)
            .map(|(at, row)| (at, row.forest))
            .collect();
        for (at, _) in &of_tree {
            // What has ended already stays as it is.
            let _ = rows.send(*at, Event::CancelRequested { reason: reason.clone() });
        }
        if let Some((_, forest)) = of_tree.first() {
            rows.spread(*forest);
        }
        changed += 1;
    }
    let tasks: Vec<usize> =
        rows.all().filter(|(_, row)| due(row.task.wake_at())).map(|(at, _)| at).collect();
    for at in tasks.into_iter().take(limit - changed) {
        changed += usize::from(move_on(rows, at, Event::TimePassed));
    }
    changed
}

fn move_on(rows: &mut Rows, at: usize, event: Event) -> bool {
    let Some(forest) = rows.row(at).map(|row| row.forest) else { return false };
    let moved = rows.send(at, event).is_ok();
    rows.spread(forest);
    moved
}

fn passes(rows: &Rows, row: &TaskRow, filter: &TaskFilter) -> bool {
    let tree = &rows.trees[row.tree].record;
    let parent = row.parent.and_then(|parent| rows.row(parent));
    let seen = row.original.and_then(|original| rows.row(original)).unwrap_or(row);
    filter.user_id.as_ref().is_none_or(|user| row.definition.user_id.as_ref() == Some(user))
        && (filter.statuses.is_empty() || filter.statuses.contains(&seen.task.state.status()))
        && (!filter.root_only || row.parent.is_none())
        && filter.parent_id.as_ref().is_none_or(|id| parent.is_some_and(|parent| parent.id == *id))
        && filter.tree_id.as_ref().is_none_or(|id| tree.id == *id)
        && (filter.ids.is_empty() || filter.ids.contains(&row.id))
}

#[async_trait]
impl TreeStore for MemoryStore {
    async fn insert(&self, submission: Submission) -> Result<Inserted, StoreError> {
        self.change(|rows| insert(rows, submission))
    }

    async fn record(&self, id: &TaskId) -> Result<Option<Record>, StoreError> {
        let rows = self.lock();
        Ok(rows.find(id).and_then(|(at, _)| record(&rows, at)))
    }

    async fn subtree(&self, root: &TaskId) -> Result<Vec<Record>, StoreError> {
        let rows = self.lock();
        let mut records = Vec::new();
        let mut open: Vec<usize> = rows.find(root).map(|(at, _)| at).into_iter().collect();
        while let Some(at) = open.pop() {
            records.extend(record(&rows, at));
            open.extend(rows.children(at).into_iter().rev());
        }
        Ok(records)
    }

    async fn list(&self, filter: &TaskFilter, page: Page) -> Result<Vec<Record>, StoreError> {
        let rows = self.lock();
        let mut those: Vec<_> = rows.all().filter(|(_, row)| passes(&rows, row, filter)).collect();
        if filter.parent_id.is_some() {
            those.sort_by_key(|(at, row)| (rows.seen(*at).unwrap_or(row).task.priority, *at));
        } else {
            those.reverse();
        }
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let page = those.into_iter().skip(size(page.offset)).take(size(page.limit.min(Page::MAX)));
        Ok(page.filter_map(|(at, _)| record(&rows, at)).collect())
    }

    async fn ids_like(
        &self,
        beginning: &str,
        user_id: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TaskId>, StoreError> {
        let rows = self.lock();
        let owned = |owner: Option<&str>| user_id.is_none_or(|user_id| owner == Some(user_id));
        let mut ids: Vec<TaskId> = rows
            .all()
            .filter(|(_, row)| row.id.as_str().starts_with(beginning) && !beginning.is_empty())
            .filter(|(_, row)| owned(row.definition.user_id.as_deref()))
            .map(|(_, row)| row.id.clone())
            .collect();
        ids.sort();
        ids.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(ids)
    }

    async fn count(&self, filter: &TaskFilter) -> Result<Counts, StoreError> {
        let rows = self.lock();
        let mut counts = Counts::default();
        for (at, row) in rows.all().filter(|(_, row)| passes(&rows, row, filter)) {
            let status = rows.seen(at).unwrap_or(row).task.state.status();
            for (each, count) in Status::ALL.iter().zip(&mut counts.by_status) {
                *count += u64::from(*each == status);
            }
        }
        Ok(counts)
    }

    async fn run(&self, task: &TaskId) -> Result<Option<RunSummary>, StoreError> {
        let rows = self.lock();
        Ok(rows.find(task).map(|(_, row)| summary(&rows, row.tree)))
    }

    async fn run_of_tree(&self, tree: &TreeId) -> Result<Option<RunSummary>, StoreError> {
        let rows = self.lock();
        Ok(rows.tree_ids.get(tree).map(|tree| summary(&rows, *tree)))
    }

    async fn prune(&self, finished_before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.change(|rows| Ok(control::prune(rows, finished_before, limit)))
    }

    async fn forget_keys(&self, older_than: Duration, limit: u32) -> Result<u64, StoreError> {
        self.change(|rows| Ok(rows.forget_keys(older_than, limit)))
    }
}

#[async_trait]
impl WorkStore for MemoryStore {
    async fn settle(
        &self,
        batch: Vec<Settlement>,
        next: Option<Claim>,
    ) -> Result<Settled, StoreError> {
        self.may_fail()?;
        let poison = self.poison.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let settled = self.change(|rows| {
            let mut refused = Vec::new();
            for settlement in batch {
                if let (Some(poison), Ended::Completed { result }) = (&poison, &settlement.outcome)
                    && result.as_str() == Some(poison)
                {
                    return Err(StoreError::Rejected(vec!["told to choke on it".to_owned()]));
                }
                let seq = settlement.seq;
                if let Err(why) = settle_one(rows, settlement) {
                    refused.push(Refusal { seq, why });
                }
            }
            let claimed = next.map(|next| claim(rows, &next)).unwrap_or_default();
            let more = rows.all().any(|(_, row)| row.task.state == State::Ready);
            let (next_wake, now) = (rows.next_wake(), rows.now);
            Ok(Settled { refused, claimed, more, next_wake, now })
        })?;
        let one_less = |left: u32| left.checked_sub(1);
        match self.forgetful.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(_) => Err(unavailable("the answer was lost")),
            Err(_) => Ok(settled),
        }
    }

    async fn renew(
        &self,
        batch: Vec<Renewal>,
        lease: Duration,
    ) -> Result<Vec<Refusal>, StoreError> {
        self.may_fail()?;
        self.change(|rows| {
            let until = rows.now.after(lease);
            let mut refused = Vec::new();
            for Renewal { seq, lease, progress } in batch {
                match rows.send(position(seq), Event::Renewed { lease, until }) {
                    Err(why) => refused.push(Refusal { seq, why }),
                    Ok(()) => {
                        if let (Some(row), Some(progress)) = (rows.row_mut(position(seq)), progress)
                        {
                            row.progress = progress;
                        }
                    }
                }
            }
            Ok(refused)
        })
    }

    async fn lapse(&self, limit: u32) -> Result<u32, StoreError> {
        self.may_fail()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.change(|rows| Ok(u32::try_from(lapse(rows, limit)).unwrap_or(u32::MAX)))
    }

    async fn recover(&self) -> Result<u32, StoreError> {
        self.may_fail()?;
        self.change(|rows| {
            let of_the_dead = |row: &TaskRow| match &row.task.state {
                State::Running { worker, .. } => rows.dead.contains(worker),
                _ => false,
            };
            let left: Vec<usize> =
                rows.all().filter(|(_, row)| of_the_dead(row)).map(|(at, _)| at).collect();
            let mut count = 0;
            for at in left {
                count += u32::from(move_on(rows, at, Event::Abandoned));
            }
            Ok(count)
        })
    }
}

#[async_trait]
impl JournalStore for MemoryStore {
    async fn events(
        &self,
        tree: Option<&TreeId>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<TaskEvent>, StoreError> {
        let rows = self.lock();
        let wanted =
            |event: &&TaskEvent| event.seq > after && tree.is_none_or(|tree| event.tree == *tree);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(rows.events.iter().filter(wanted).take(limit).cloned().collect())
    }

    async fn told(
        &self,
        tree: Option<&TreeId>,
        after: i64,
        limit: u32,
        result_bytes: u32,
    ) -> Result<Vec<Told>, StoreError> {
        let events = self.events(tree, after, limit).await?;
        let rows = self.lock();
        let most = usize::try_from(result_bytes).unwrap_or(usize::MAX);
        Ok(events.into_iter().filter_map(|event| told(&rows, event, most)).collect())
    }

    async fn set_aside(&self) -> Result<Vec<(String, String, String)>, StoreError> {
        Ok(Vec::new())
    }
}

fn told(rows: &Rows, event: TaskEvent, most: usize) -> Option<Told> {
    let tree = &rows.trees[*rows.tree_ids.get(&event.tree)?].record;
    let task = event.task.as_ref().and_then(|task| rows.find(task)).map(|(_, row)| row);
    let still = |row: &&TaskRow| {
        event.kind == EventKind::Completed && row.task.completed_at == Some(event.at)
    };
    let result = task.filter(still).and_then(|row| row.result.as_deref());
    let small = result.filter(|result| result.to_string().len() <= most).cloned();
    Some(Told {
        root: tree.root.clone(),
        owner: tree.user_id.clone(),
        result_omitted: result.is_some() && small.is_none(),
        result: small,
        event,
    })
}

impl Wake for MemoryStore {
    fn signals(&self) -> broadcast::Receiver<Signal> {
        self.signals.subscribe()
    }

    fn ends(&self) -> broadcast::Receiver<Signal> {
        self.ends.subscribe()
    }
}
