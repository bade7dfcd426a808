//! A task: what its author said, what the engine knows of it now, and both together.

mod bounds;
mod definition;
mod facets;
mod loop_edge;
mod record;
mod retry;
mod schedule;
mod state;
mod wait;

pub use bounds::{Bounds, Over, Timeouts};
pub use definition::{
    Begins, Definition, Dependency, Durability, Governance, Join, OnFailure, Origin, OriginType,
    Priority, StructureOrder, TreeOptions,
};
pub use facets::{Facets, Held, HeldBy, LastProgress, RunCounts, Spawned};
pub(crate) use loop_edge::EXPECTED as LOOP_EXPECTED;
pub use loop_edge::{LoopEdge, MOST_CYCLES};
pub use record::{Outcome, Record, RunSummary, TreeRecord};
pub use retry::{Backoff, Jitter, RetryPolicy, lot};
pub use schedule::{Misfire, Overlap, Schedule};
pub use state::{Failure, FailureKind, SkipCause, State, StateName, Status};
pub use wait::{OnTimeout, Wait, WaitFor};

use crate::{
    flow::{Flow, Standing},
    id::{LeaseToken, Seq},
    time::Timestamp,
};

/// What the engine decides about: the small, changing part of a task.
///
/// [`Task::on`](crate::transition) is the only way from one state to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Order of submission, and the row number in storage.
    pub seq: Seq,
    /// The tree, by its own row number.
    pub tree: Seq,
    /// The submission the tree came with; dependencies never leave it.
    pub forest: Seq,
    /// Where the task stands.
    pub state: State,
    /// The newest fencing token handed out for this task.
    pub token: LeaseToken,
    /// Attempts begun, crashes included.
    pub attempts: u32,
    /// Attempts allowed in total, if the author said.
    pub max_attempts: Option<u32>,
    /// 0 runs first.
    pub priority: Priority,
    /// Whether all needs must be met or one is enough.
    pub join: Join,
    /// When the first attempt of this run began.
    pub started_at: Option<Timestamp>,
    /// When it became terminal.
    pub completed_at: Option<Timestamp>,
    /// What keeps it from being claimed although it is ready.
    pub held: Option<Held>,
    /// Its turn among ready tasks of the same priority: the lower the sooner.
    pub turn: i64,
    /// What only some tasks have.
    pub facets: Option<Box<Facets>>,
}

impl Task {
    /// A worker may take it now.
    pub fn may_be_claimed(&self) -> bool {
        self.state == State::Ready && self.held.is_none()
    }

    /// When time alone changes something about it: lease, retry delay, wait, what holds it, or a bound
    /// of time on a task that no worker holds.
    pub fn wake_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Ready => {
                let held = self.held.as_ref().and_then(|held| held.until);
                let bound = self
                    .facets
                    .as_ref()
                    .and_then(|_| self.queue_until().into_iter().chain(self.deadline()).min());
                held.into_iter().chain(bound).min()
            }
            _ => self.state.wake_at(),
        }
    }

    /// What only some tasks have; the default for most.
    pub fn facets(&self) -> Facets {
        self.facets.as_deref().cloned().unwrap_or_default()
    }

    /// Where it stands, as far as slots, paces and breakers are concerned.
    pub fn standing(&self) -> Standing<'_> {
        match (&self.state, &self.held) {
            (State::Ready, None) => Standing::Claimable,
            (State::Ready, Some(held)) => Standing::Held(held),
            (State::Running { .. }, _) => Standing::Running,
            _ => Standing::Elsewhere,
        }
    }

    /// The lines it stands in, if it stands in any.
    pub fn flow(&self) -> Option<&Flow> {
        self.facets.as_ref()?.flow.as_ref()
    }

    /// Changes the lines it stands in.
    pub fn set_flow(&mut self, change: impl FnOnce(&mut Flow)) {
        self.set_facets(|facets| {
            let mut flow = facets.flow.take().unwrap_or_default();
            change(&mut flow);
            facets.flow = (!flow.is_empty()).then_some(flow);
        });
    }

    /// Changes what only some tasks have.
    pub fn set_facets(&mut self, change: impl FnOnce(&mut Facets)) {
        let mut facets = self.facets.take().unwrap_or_default();
        change(&mut facets);
        self.facets = (!facets.is_empty()).then_some(facets);
    }
}
