//! Where a task can stand. A value that goes with only some states lives inside those states.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::wait::Wait;
use crate::{
    id::{LeaseToken, NodeId},
    time::Timestamp,
};

/// Where a task stands, with what goes with it.
///
/// Values are made in `transition.rs` and read back in storage, nowhere else.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Stored, and not asked to run.
    Created,
    /// Asked to run, waiting for other tasks.
    Blocked {
        /// Needs that are not settled yet.
        waiting_for: u32,
        /// Required needs that ended without completing; above 0 the task cannot run.
        failed: u32,
    },
    /// May be claimed now.
    Ready,
    /// Will be ready again after a failed attempt.
    Retrying {
        /// When the next attempt may begin.
        at: Timestamp,
        /// The attempt that failed, counted from 1.
        attempt: u32,
    },
    /// Held by a worker under a lease.
    Running {
        /// The worker's fencing token.
        lease: LeaseToken,
        /// When the lease ends unless it is renewed.
        until: Timestamp,
        /// Which attempt this is, counted from 1.
        attempt: u32,
        /// The worker.
        worker: NodeId,
    },
    /// Parked: holds no worker and no lease.
    Waiting {
        /// What would wake it.
        wait: Wait,
        /// When it stops waiting, if ever.
        until: Option<Timestamp>,
    },
    /// Ended with a result.
    Completed,
    /// Ended without one.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Ended without having been tried.
    Skipped {
        /// Why.
        why: String,
        /// What sort of reason it is.
        cause: SkipCause,
    },
    /// Ended because somebody asked.
    Cancelled {
        /// What they said.
        reason: String,
    },
}

/// What sort of reason kept a task from being tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipCause {
    /// Something it needs failed; the run has failed, too.
    #[default]
    Failure,
    /// A condition said so; that is no failure.
    Condition,
}

/// The word for a state, without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// See [`State::Created`].
    Created,
    /// See [`State::Blocked`].
    Blocked,
    /// See [`State::Ready`].
    Ready,
    /// See [`State::Retrying`].
    Retrying,
    /// See [`State::Running`].
    Running,
    /// See [`State::Waiting`].
    Waiting,
    /// See [`State::Completed`].
    Completed,
    /// See [`State::Failed`].
    Failed,
    /// See [`State::Skipped`].
    Skipped,
    /// See [`State::Cancelled`].
    Cancelled,
}

impl StateName {
    /// Every state, in the order a task may pass through them.
    pub const ALL: [Self; 10] = [
        Self::Created,
        Self::Blocked,
        Self::Ready,
        Self::Retrying,
        Self::Running,
        Self::Waiting,
        Self::Completed,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// The word as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Blocked => "blocked",
            Self::Ready => "ready",
            Self::Retrying => "retrying",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state a stored word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == word)
    }

    /// The public word that clients see (ruling 6).
    pub const fn status(self) -> Status {
        match self {
            Self::Created | Self::Blocked | Self::Ready => Status::Pending,
            Self::Retrying | Self::Running | Self::Waiting => Status::InProgress,
            Self::Completed => Status::Completed,
            Self::Failed => Status::Failed,
            Self::Skipped | Self::Cancelled => Status::Cancelled,
        }
    }

    /// Nothing happens to it any more unless somebody asks.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped | Self::Cancelled)
    }

    /// It will move by itself: a run with a live task is not over.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Ready | Self::Retrying | Self::Running | Self::Waiting)
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl State {
    /// The word for this state.
    pub const fn name(&self) -> StateName {
        match self {
            Self::Created => StateName::Created,
            Self::Blocked { .. } => StateName::Blocked,
            Self::Ready => StateName::Ready,
            Self::Retrying { .. } => StateName::Retrying,
            Self::Running { .. } => StateName::Running,
            Self::Waiting { .. } => StateName::Waiting,
            Self::Completed => StateName::Completed,
            Self::Failed { .. } => StateName::Failed,
            Self::Skipped { .. } => StateName::Skipped,
            Self::Cancelled { .. } => StateName::Cancelled,
        }
    }

    /// The public word.
    pub const fn status(&self) -> Status {
        self.name().status()
    }

    /// Nothing happens to it any more unless somebody asks.
    pub const fn is_terminal(&self) -> bool {
        self.name().is_terminal()
    }

    /// It will move by itself.
    pub const fn is_live(&self) -> bool {
        self.name().is_live()
    }

    /// When this state ends by itself: lease, retry delay or wait.
    pub const fn wake_at(&self) -> Option<Timestamp> {
        match self {
            Self::Retrying { at, .. } => Some(*at),
            Self::Running { until, .. } => Some(*until),
            Self::Waiting { until, .. } => *until,
            _ => None,
        }
    }
}

/// The five public words for where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not begun.
    Pending,
    /// Begun and not ended; a parked task counts as begun.
    InProgress,
    /// Ended with a result.
    Completed,
    /// Ended with an error.
    Failed,
    /// Ended because somebody asked, or skipped.
    Cancelled,
}

impl Status {
    /// The five, in the order the Python API counts them.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::InProgress, Self::Completed, Self::Failed, Self::Cancelled];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status a word on the wire stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// The states a client means when it asks for this status.
    pub fn states(self) -> impl Iterator<Item = StateName> {
        StateName::ALL.into_iter().filter(move |name| name.status() == self)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a task failed: a kind for programs, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What sort of failure it was.
    pub kind: FailureKind,
    /// What happened, never empty.
    pub message: String,
}

impl Failure {
    /// A failure of `kind`; an empty message is replaced by the kind's own words.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        let message = message.into();
        let message = if message.trim().is_empty() { kind.in_words().to_owned() } else { message };
        Self { kind, message }
    }
}

/// What sort of failure ended a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The executor reported an error.
    Executor,
    /// The attempt took longer than it may.
    Timeout,
    /// The executor panicked.
    Panic,
    /// The worker vanished as often as is allowed.
    LostLease,
    /// No executor was named, or none of that name exists here.
    UnknownExecutor,
    /// The executor exists and is not allowed here.
    NotAllowed,
    /// The inputs do not fit what the executor declares.
    InvalidInput,
    /// The result cannot be stored: too large, too deep, or not JSON.
    InvalidOutput,
    /// It was parked and nobody answered in time.
    WaitExpired,
    /// It was parked and somebody withdrew what it waited for.
    WaitCancelled,
    /// Somebody set the status by hand.
    Reported,
    /// A hook refused the task.
    Hook,
    /// It went round as often as it may.
    CycleLimit,
    /// The run took as many extra steps as it may.
    StepLimit,
    /// The run spawned as many tasks as it may.
    SpawnLimit,
    /// Spawned tasks spawned tasks as deep as they may.
    DepthLimit,
    /// What it asked for when it ended cannot be done.
    Effect,
    /// A condition, a key or a mapping had no value.
    Expression,
    /// Too few members of a group completed.
    Group,
}

impl FailureKind {
    /// The word as it is stored and shown.
    pub fn word(self) -> String {
        // A variant without data is a text in JSON.
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(word)) => word,
            _ => String::new(),
        }
    }

    /// The kind a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
    }

    /// The sentence used where nothing better is known.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Executor => "the executor failed without saying why",
            Self::Timeout => "the attempt took longer than its timeout",
            Self::Panic => "the executor panicked",
            Self::LostLease => "the worker that held the task vanished",
            Self::UnknownExecutor => "no such executor",
            Self::NotAllowed => "the executor is not allowed here",
            Self::InvalidInput => "the inputs do not fit the executor",
            Self::InvalidOutput => "the result cannot be stored",
            Self::WaitExpired => "nobody answered in time",
            Self::WaitCancelled => "what the task waited for was withdrawn",
            Self::Reported => "reported as failed",
            Self::Hook => "a hook refused the task",
            Self::CycleLimit => "the task went round as often as it may",
            Self::StepLimit => "the run took as many extra steps as it may",
            Self::SpawnLimit => "the run spawned as many tasks as it may",
            Self::DepthLimit => "spawned tasks are nested as deep as they may be",
            Self::Effect => "what the task asked for at its end cannot be done",
            Self::Expression => "an expression had no value",
            Self::Group => "too few members of the group completed",
        }
    }
}
