//! What a worker does: claim, renew, settle; and what tells it that there is something to do.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::sync::broadcast;

use super::StoreError;
use crate::{
    executor::{Given, Notes},
    id::{LeaseToken, NodeId, Seq, TaskId, TreeId},
    task::{Definition, Failure, Held, StateName, Wait},
    time::Timestamp,
    transition::Refused,
};

/// A worker's wish for tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The worker.
    pub worker: NodeId,
    /// At most so many.
    pub limit: u32,
    /// How long the lease lasts unless it is renewed.
    pub lease: Duration,
}

/// A task that a worker now holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// Its row.
    pub seq: Seq,
    /// Its id.
    pub id: TaskId,
    /// Its tree.
    pub tree_id: TreeId,
    /// The tree's row.
    pub tree: Seq,
    /// The worker's token.
    pub lease: LeaseToken,
    /// Which run of its tree this is, counted from 1.
    pub run: u32,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// The run is a demonstration.
    pub demo: bool,
    /// What the author said.
    pub definition: Arc<Definition>,
    /// Results of what it needs, in the order of its dependencies.
    pub needs: Vec<NeedResult>,
    /// What is left of earlier attempts and passes.
    pub given: Given,
    /// When its whole tree must be done, if ever.
    pub tree_deadline: Option<Timestamp>,
    /// The database's clock at the claim.
    pub now: Timestamp,
}

/// The result of a task that another one needs.
#[derive(Debug, Clone, PartialEq)]
pub struct NeedResult {
    /// The task.
    pub id: TaskId,
    /// Its executor, for mapping by schema.
    pub executor: Option<String>,
    /// Its result, if it completed.
    pub result: Option<Arc<Value>>,
    /// It completed.
    pub completed: bool,
    /// Where it stands.
    pub state: StateName,
}

/// How an attempt ended, reported under its lease.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// The task's row.
    pub seq: Seq,
    /// The worker's token.
    pub lease: LeaseToken,
    /// How it ended.
    pub outcome: Ended,
    /// The inputs it ran with, if they differ from the caller's.
    pub resolved_inputs: Option<Map<String, Value>>,
    /// What it said on its way.
    pub notes: Notes,
}

impl Settlement {
    /// An end with nothing beside it.
    pub fn new(seq: Seq, lease: LeaseToken, outcome: Ended) -> Self {
        Self { seq, lease, outcome, resolved_inputs: None, notes: Notes::default() }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// With a result.
    Completed {
        /// The result.
        result: Value,
    },
    /// Without one.
    Failed {
        /// Why.
        failure: Failure,
        /// How long until another attempt may begin; none if it is never tried again.
        retry_after: Option<Duration>,
        /// What legacy clients look for in `result` beside the error, or `null`.
        result: Value,
    },
    /// It waits for somebody else and holds nothing.
    Parked {
        /// For whom.
        wait: Wait,
        /// How long.
        at_most: Option<Duration>,
    },
    /// A condition says that it is not to be tried.
    Skipped {
        /// Which one.
        why: String,
    },
    /// The worker gives it back untried.
    HandedBack,
    /// The worker gives it back untried, for something holds it.
    Held(Held),
}

/// One item of a batch that was not done; the rest of the batch stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The task's row.
    pub seq: Seq,
    /// Why.
    pub why: Refused,
}

/// What came of a batch of settlements.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settled {
    /// Items that were refused; all others are durable.
    pub refused: Vec<Refusal>,
    /// Tasks taken in the same transaction.
    pub claimed: Vec<Claimed>,
    /// Tasks that are ready and were not taken remain, so asking again is worth while.
    pub more: bool,
    /// When time alone will change something, if ever: a lease, a retry, a wait.
    pub next_wake: Option<Timestamp>,
    /// The database's clock.
    pub now: Timestamp,
}

/// A worker's wish to keep a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Renewal {
    /// The task's row.
    pub seq: Seq,
    /// The worker's token.
    pub lease: LeaseToken,
    /// How far it is, 0 to 1, if it said.
    pub progress: Option<f64>,
}

/// What a worker does.
#[async_trait]
pub trait WorkStore: Send + Sync {
    /// Settles a batch and claims what `next` asks for, in one transaction.
    ///
    /// A batch without settlements is a plain claim.
    async fn settle(
        &self,
        batch: Vec<Settlement>,
        next: Option<Claim>,
    ) -> Result<Settled, StoreError>;

    /// Extends leases and stores progress; refusals name the tasks that are no longer held.
    async fn renew(&self, batch: Vec<Renewal>, lease: Duration)
    -> Result<Vec<Refusal>, StoreError>;

    /// Lets time act on at most `limit` tasks and trees: lapsed leases, due retries, expired waits,
    /// tree deadlines. Returns how many it changed.
    async fn lapse(&self, limit: u32) -> Result<u32, StoreError>;

    /// Takes up what processes that are known to be dead left running. Returns how many tasks.
    async fn recover(&self) -> Result<u32, StoreError>;
}

/// Something changed. A hint, never a promise: whoever listens also looks by itself now and then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Tasks may be claimed.
    Ready,
    /// These tasks are no longer held by their worker and should stop.
    Stopped(Arc<[Seq]>),
    /// Something happened in these trees.
    Changed(Arc<[Seq]>),
    /// The runs of these trees ended.
    Finished(Arc<[Seq]>),
}

/// Who tells the others.
pub trait Wake: Send + Sync {
    /// Signals from now on, but for ends of runs; a receiver that lags has to look for itself.
    fn signals(&self) -> broadcast::Receiver<Signal>;

    /// [`Signal::Finished`] from now on, apart from the others: who waits for an end is not woken by
    /// every step on the way.
    fn ends(&self) -> broadcast::Receiver<Signal>;
}
