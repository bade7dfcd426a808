//! What a rule stands on: a fresh store, a clock that is moved by hand, and the words for what people
//! and workers do with it.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use apflow_core::{
    id::{NodeId, TaskId, TreeId},
    store::{
        Cancel, CancelAnswer, Claim, Claimed, Ended, EventKind, Patch, Settled, Settlement, Start,
        StartScope, Started, Store, StoreError, Submission,
    },
    task::{Failure, FailureKind, OnFailure, Record, RunSummary, StateName, Status, Wait, WaitFor},
    time::{Clock, Timestamp},
};
use serde_json::{Value, json};

use super::forest;
use crate::OpenOptions;

/// A clock that stands still until it is moved.
pub struct HandClock(AtomicI64);

impl Default for HandClock {
    fn default() -> Self {
        Self(AtomicI64::new(1_700_000_000_000_000))
    }
}

impl HandClock {
    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).expect("a short time");
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A store that was just made, and whatever has to live as long as it does.
pub struct Fresh {
    store: Arc<dyn Store>,
    keep: Option<Box<dyn Any + Send + Sync>>,
}

impl From<Arc<dyn Store>> for Fresh {
    fn from(store: Arc<dyn Store>) -> Self {
        Self { store, keep: None }
    }
}

impl<K: Any + Send + Sync> From<(Arc<dyn Store>, K)> for Fresh {
    fn from((store, keep): (Arc<dyn Store>, K)) -> Self {
        Self { store, keep: Some(Box::new(keep)) }
    }
}

/// A fresh store with a clock of its own.
pub struct Bed {
    /// The store under test.
    pub store: Arc<dyn Store>,
    /// Its clock.
    pub clock: Arc<HandClock>,
    _keep: Option<Box<dyn Any + Send + Sync>>,
}

/// How long the leases last that a bed claims under.
pub(super) const LEASE: Duration = Duration::from_secs(10);

impl Bed {
    /// Opens a store.
    pub async fn open<T: Into<Fresh>>(open: impl AsyncFnOnce(OpenOptions) -> T) -> Self {
        let clock = Arc::new(HandClock::default());
        let options = OpenOptions { clock: Some(clock.clone()), ..OpenOptions::default() };
        let Fresh { store, keep } = open(options).await.into();
        Self { store, clock, _keep: keep }
    }

    /// Stores a forest and begins a run of it.
    pub async fn submit(&self, text: &str) {
        self.insert(forest(text)).await;
    }

    /// Stores a forest whose trees all have this option, and begins a run of it.
    pub async fn submit_where(&self, on_failure: OnFailure, text: &str) {
        let mut submission = forest(text);
        for tree in &mut submission.trees {
            tree.options.on_failure = on_failure;
        }
        self.insert(submission).await;
    }

    /// Stores a forest and leaves it alone.
    pub async fn put(&self, text: &str) {
        self.insert(Submission { start: false, ..forest(text) }).await;
    }

    /// Stores a submission.
    pub async fn insert(&self, submission: Submission) {
        self.store.insert(submission).await.expect("the submission is stored");
    }

    /// Takes at most `limit` tasks.
    pub async fn claim(&self, limit: u32) -> Vec<Claimed> {
        self.settle_and_claim(Vec::new(), limit).await.claimed
    }

    /// Takes the only task there is to take.
    pub async fn claim_one(&self) -> Claimed {
        let mut claimed = self.claim(2).await;
        assert_eq!(claimed.len(), 1, "one task is ready: {:?}", ids(&claimed));
        claimed.remove(0)
    }

    /// Reports a batch; every item must be taken.
    pub async fn settle(&self, batch: Vec<Settlement>) {
        let settled = self.store.settle(batch, None).await.expect("the batch is settled");
        assert_eq!(settled.refused, [], "the reports are taken");
    }

    /// Reports a batch and takes the next tasks.
    pub async fn settle_and_claim(&self, batch: Vec<Settlement>, limit: u32) -> Settled {
        let settled = self.store.settle(batch, Some(self.wish(limit))).await;
        let settled = settled.expect("the batch is settled");
        assert_eq!(settled.refused, [], "the reports are taken");
        settled
    }

    /// What this bed's worker asks for.
    pub fn wish(&self, limit: u32) -> Claim {
        Claim { worker: NodeId::new("worker"), limit, lease: LEASE }
    }

    /// Runs until nothing is ready any more; tasks named in `failing` fail. Returns their ids in the
    /// order in which they ran, those of one round apart from those of the next.
    pub async fn run_all(&self, failing: &[&str]) -> Vec<Vec<String>> {
        let mut rounds = Vec::new();
        let mut batch = Vec::new();
        loop {
            let claimed = self.settle_and_claim(batch, 100).await.claimed;
            if claimed.is_empty() {
                return rounds;
            }
            rounds.push(ids(&claimed));
            batch = claimed
                .iter()
                .map(|held| {
                    if failing.contains(&held.id.as_str()) {
                        failed(held)
                    } else {
                        done(held, json!({ "of": held.id.as_str() }))
                    }
                })
                .collect();
        }
    }

    /// Begins a run.
    pub async fn start(&self, task: &str) -> Result<Started, StoreError> {
        self.begin(task, false).await
    }

    /// Begins a run, of what completed if nothing else is left.
    pub async fn begin(&self, task: &str, reexecute: bool) -> Result<Started, StoreError> {
        let task = TaskId::new(task);
        self.store
            .start(Start { task, scope: StartScope::Auto, reexecute, callback: None, demo: false })
            .await
    }

    /// Cancels one task.
    pub async fn cancel(&self, task: &str) -> CancelAnswer {
        let wish = Cancel { task: TaskId::new(task), reason: "because".to_owned() };
        let mut answers = self.store.cancel(vec![wish]).await.expect("an answer");
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    /// Changes one task.
    pub async fn update(&self, task: &str, patch: Patch) -> Result<(), StoreError> {
        self.store.update(&TaskId::new(task), patch).await
    }

    /// Sets the public status of one task.
    pub async fn set_status(&self, task: &str, status: Status) -> Result<(), StoreError> {
        self.update(task, Patch { status: Some(status), ..Patch::default() }).await
    }

    /// Moves the clock and lets time act on everything. Returns how much changed.
    pub async fn pass(&self, time: Duration) -> u32 {
        self.clock.advance(time);
        self.store.lapse(1000).await.expect("time passes")
    }

    /// The moment so far ahead.
    pub fn clock_at(&self, ahead: Duration) -> Timestamp {
        self.clock.now().after(ahead)
    }

    /// One task as it stands.
    pub async fn record(&self, task: &str) -> Record {
        let found = self.store.record(&TaskId::new(task)).await.expect("the record is read");
        found.unwrap_or_else(|| panic!("there is no task {task}"))
    }

    /// Where one task stands.
    pub async fn state(&self, task: &str) -> StateName {
        self.record(task).await.task.state.name()
    }

    /// Where several tasks stand, as stored words.
    pub async fn states(&self, tasks: &str) -> String {
        let mut words = Vec::new();
        for task in tasks.split_whitespace() {
            words.push(self.state(task).await.as_str());
        }
        words.join(" ")
    }

    /// The newest run of the tree of a task.
    pub async fn run(&self, task: &str) -> RunSummary {
        let found = self.store.run(&TaskId::new(task)).await.expect("the run is read");
        found.unwrap_or_else(|| panic!("there is no tree of {task}"))
    }

    /// What happened in a tree, as `kind` or `kind:task`.
    pub async fn happened(&self, tree: &str) -> Vec<String> {
        let events = self.store.events(Some(&TreeId::new(tree)), 0, 10_000).await;
        events
            .expect("the events are read")
            .iter()
            .map(|event| match &event.task {
                Some(task) => format!("{}:{task}", event.kind.as_str()),
                None => event.kind.as_str().to_owned(),
            })
            .collect()
    }

    /// How often something happened in a tree.
    pub async fn count_of(&self, tree: &str, kind: EventKind) -> usize {
        let word = kind.as_str();
        self.happened(tree).await.iter().filter(|each| each.split(':').next() == Some(word)).count()
    }
}

/// The ids of claimed tasks.
pub(super) fn ids(claimed: &[Claimed]) -> Vec<String> {
    claimed.iter().map(|held| held.id.as_str().to_owned()).collect()
}

fn settlement(held: &Claimed, outcome: Ended) -> Settlement {
    Settlement::new(held.seq, held.lease, outcome)
}

/// The report that a task completed.
pub fn done(held: &Claimed, result: Value) -> Settlement {
    settlement(held, Ended::Completed { result })
}

/// The report that a task failed and is not to be tried again.
pub fn failed(held: &Claimed) -> Settlement {
    stumbled(held, None)
}

/// The report that an attempt failed, and when another one may begin.
pub(super) fn stumbled(held: &Claimed, retry_after: Option<Duration>) -> Settlement {
    let failure = Failure::new(FailureKind::Executor, "it broke");
    settlement(held, Ended::Failed { failure, retry_after, result: Value::Null })
}

/// The report that a task waits for a person, for so long at most.
pub fn parked(held: &Claimed, at_most: Option<Duration>) -> Settlement {
    let wait = Wait::new(WaitFor::Feedback, json!({ "question": "really?" }));
    settlement(held, Ended::Parked { wait, at_most })
}

/// The report that a task goes back untried.
pub fn handed_back(held: &Claimed) -> Settlement {
    settlement(held, Ended::HandedBack)
}
