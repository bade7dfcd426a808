//! What the engine lets others see of itself, for metrics and traces.

use std::time::Duration;

use crate::{
    budget::Notice,
    id::{Seq, TaskId, TreeId},
    store::{Ended, StoreError},
    transition::Refused,
};

/// Something that watches the engine work.
///
/// It is called in the middle of the work, so it must be quick and must not block.
pub trait Observer: Send + Sync {
    /// Takes note.
    fn observe(&self, seen: &Seen<'_>);
}

/// What there is to see.
#[derive(Debug)]
#[non_exhaustive]
pub enum Seen<'a> {
    /// An attempt begins.
    Attempt {
        /// The task.
        task: &'a TaskId,
        /// Its tree.
        tree: &'a TreeId,
        /// The executor it names, if any.
        executor: Option<&'a str>,
        /// Which attempt, counted from 1.
        attempt: u32,
    },
    /// An attempt begins although a budget of its task comes to its limit.
    Budget {
        /// The task.
        task: &'a TaskId,
        /// Its tree.
        tree: &'a TreeId,
        /// The budget, what was spent, and the limit.
        notice: &'a Notice,
    },
    /// An attempt says how far it is.
    Progress {
        /// The task.
        task: &'a TaskId,
        /// 0 to 1.
        fraction: f64,
        /// What it is doing.
        message: Option<&'a str>,
    },
    /// An attempt ended; whether its outcome counts is decided when it is settled.
    Ended {
        /// The task.
        task: &'a TaskId,
        /// Its tree.
        tree: &'a TreeId,
        /// The executor it names, if any.
        executor: Option<&'a str>,
        /// How it ended.
        outcome: &'a Ended,
        /// How long it took.
        took: Duration,
    },
    /// A batch of outcomes is durable.
    Settled {
        /// How many outcomes.
        outcomes: usize,
        /// How many tasks were taken in exchange.
        claimed: usize,
        /// How long the store took.
        took: Duration,
    },
    /// An outcome did not count, most often because the lease had passed to somebody else.
    Refused {
        /// The task's row.
        seq: Seq,
        /// Why.
        why: &'a Refused,
    },
    /// An attempt is being stopped before its end.
    Stopping {
        /// The task.
        task: &'a TaskId,
        /// Why.
        why: StopReason,
    },
    /// Time acted on so many tasks and trees.
    Lapsed {
        /// How many.
        changed: u32,
    },
    /// The store could not do what it was asked; the worker tries again.
    StoreFailed {
        /// What was asked.
        doing: &'static str,
        /// What it said.
        error: &'a StoreError,
    },
}

/// Why an attempt is stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The task was cancelled, or belongs to somebody else by now.
    NotHeld,
    /// The lease could not be renewed in time, so somebody else may take the task.
    LeaseAtRisk,
    /// The worker shuts down.
    Draining,
}
