//! What runs a task: the trait, what it is given, and what it may answer.

mod asking;

pub use asking::{EventWait, MAX_TOPIC_CHARS, RunEnd, check_topic, matches_filter};
mod checkpoint;
mod effects;

pub use effects::{Asked, Gathered, by_key};
mod spending;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

mod circuits;

use async_trait::async_trait;
pub use circuits::{Circuits, Guard};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

pub use checkpoint::{Keeper, SnapshotWish};

use crate::{
    breaker::Report,
    budget::{Allowance, Notice, Usage},
    channel::Channels,
    id::{LeaseToken, TaskId, TreeId},
    store::Answered,
    task::{Failure, FailureKind, Held, LastProgress, Wait},
    time::Timestamp,
};

/// Something that turns inputs into a result.
#[async_trait]
pub trait Executor: Send + Sync {
    /// What it is called and what it takes; must not change while the process runs.
    fn manifest(&self) -> &Manifest;

    /// Runs one attempt.
    ///
    /// `inputs` are the resolved inputs. The future is dropped when the attempt's time is over or the
    /// task was cancelled and `context.cancelled` was ignored for the grace period, so whatever must be
    /// cleaned up belongs in a `Drop`.
    async fn execute(
        &self,
        inputs: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError>;

    /// What it might answer, for a run that is a demonstration; nothing may be done for it.
    ///
    /// A number `_demo_sleep` in it is taken out, and so many seconds pass first.
    fn demo(&self, inputs: &Map<String, Value>) -> Option<Value> {
        let _ = inputs;
        None
    }
}

/// What an executor says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The id tasks name it by.
    pub id: String,
    /// A short title.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The Python extension directory it came from (`stdio`, `http`, `core`), for `APFLOW_EXTENSIONS`.
    pub family: String,
    /// JSON Schema of its inputs, or `null` if it takes anything.
    pub input_schema: Value,
    /// JSON Schema of its result, or `null` if it returns anything.
    pub output_schema: Value,
    /// Attempts one worker runs at the same time; none: as many as the worker has slots.
    pub max_parallel: Option<usize>,
    /// It gathers the results of its dependencies under their ids instead of merging them.
    pub aggregates: bool,
    /// It puts checkpoints aside and goes on from them.
    pub supports_checkpoint: bool,
    /// Why it cannot run here although it is compiled in, if it cannot.
    pub unavailable: Option<String>,
}

impl Manifest {
    /// A manifest that takes and returns anything.
    pub fn new(id: impl Into<String>, description: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            name: id.clone(),
            id,
            description: description.into(),
            tags: Vec::new(),
            family: "core".to_owned(),
            input_schema: Value::Null,
            output_schema: Value::Null,
            max_parallel: None,
            aggregates: false,
            supports_checkpoint: false,
            unavailable: None,
        }
    }
}

/// What an attempt knows of itself and may say while it runs.
#[derive(Clone)]
pub struct Context {
    /// The task.
    pub task: TaskId,
    /// Its tree.
    pub tree: TreeId,
    /// Display name.
    pub name: String,
    /// Owner.
    pub user_id: Option<String>,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// Same for every attempt of one run of the task, also after a crash: `<task>:<run>`.
    pub idempotency_key: String,
    /// The fencing token of this attempt, larger than that of any attempt before it.
    pub fence: LeaseToken,
    /// The `params` of the task.
    pub params: Map<String, Value>,
    /// How long the attempt may take.
    pub timeout: Option<Duration>,
    /// Is cancelled when the task is.
    pub cancelled: CancellationToken,
    /// Where progress goes.
    pub progress: Arc<dyn Progress>,
    /// What came with the task: what is left of earlier attempts and passes.
    pub given: Arc<Given>,
    /// What the attempt says on its way; it counts when the attempt has ended.
    pub notes: Arc<Mutex<Notes>>,
    /// Where checkpoints go; see [`Context::checkpoint`].
    pub keeper: Arc<dyn Keeper>,
    /// Where breakers are asked.
    pub circuits: Circuits,
    /// Where channels are kept; see [`Context::channel`].
    pub channels: Option<Channels>,
}

impl Context {
    /// A context for calling an executor outside an engine, in tests for example.
    pub fn detached(task: impl Into<TaskId>) -> Self {
        struct Nowhere;
        impl Progress for Nowhere {
            fn report(&self, _: f64, _: Option<&str>) {}
        }
        let task = task.into();
        Self {
            tree: TreeId::new(task.as_str()),
            name: task.as_str().to_owned(),
            idempotency_key: format!("{task}:0"),
            fence: LeaseToken(0),
            task,
            user_id: None,
            attempt: 1,
            params: Map::new(),
            timeout: None,
            cancelled: CancellationToken::new(),
            progress: Arc::new(Nowhere),
            given: Arc::default(),
            notes: Arc::default(),
            keeper: checkpoint::nowhere(),
            circuits: Circuits::default(),
            channels: None,
        }
    }
}

/// What is left of earlier attempts and passes of the same run; empty for most tasks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// How far an earlier attempt was that failed, if it said so.
    pub progress: Option<LastProgress>,
    /// When the task must be done, over all its attempts, if ever.
    pub deadline: Option<Timestamp>,
    /// The members of a group, if the task is one.
    pub members: Vec<crate::group::Member>,
    /// How often the task went round its loop before: 0 in the first pass.
    pub cycle: u32,
    /// What came for the waits of earlier attempts, by key.
    pub answers: BTreeMap<String, Answered>,
    /// What the newest attempt before this one put aside; see [`Context::checkpoint`].
    pub checkpoint: Option<Value>,
    /// The part of the channel that the task has; none: that of the run.
    pub space: Option<String>,
    /// What the names in the expressions of a pattern mean; null for all other tasks.
    pub names: Value,
    /// Breakers that the attempt may try out.
    pub probes: Vec<String>,
    /// What the last pass, or whoever jumped here, left for this one.
    pub cycle_data: Option<Arc<Value>>,
    /// Gatherings of this pass that are done.
    pub rounds: u32,
    /// The tasks it gathered in this pass; none if it gathers for the first time or not at all.
    pub gathered: Option<Vec<Gathered>>,
    /// The model to use instead of the one the task names: a budget comes to its limit.
    pub model: Option<String>,
    /// What was put aside for this attempt; by default nothing bounds it.
    pub allowance: Allowance,
    /// Budgets of which somebody should be told.
    pub notices: Vec<Notice>,
}

/// What an attempt says on its way.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Notes {
    /// How many waits without a key of their own it came by.
    pub asked: u32,
    /// How far it said it was; handed to the next attempt if this one fails.
    pub progress: Option<LastProgress>,
    /// How what breakers guard has worked.
    pub breakers: Vec<Report>,
    /// Snapshots to take if the task completes; see [`Context::snapshot`].
    pub snapshots: Vec<SnapshotWish>,
    /// What it asks to be done at its end.
    pub wishes: Asked,
    /// What it spent.
    pub usage: Vec<Usage>,
}

/// Where an attempt says how far it is.
pub trait Progress: Send + Sync {
    /// `fraction` from 0 to 1, and what it is doing.
    fn report(&self, fraction: f64, message: Option<&str>);
}

/// What a parked attempt waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Park {
    /// For whom.
    pub wait: Wait,
    /// How long at most.
    pub at_most: Option<Duration>,
}

/// Why an attempt did not return a result. The variant is the decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// Another attempt may do better.
    #[error("{}", .failure.message)]
    Transient {
        /// What happened.
        failure: Failure,
        /// The other side asked to wait this long.
        retry_after: Option<Duration>,
    },
    /// Another attempt would end the same way.
    #[error("{}", .failure.message)]
    Permanent {
        /// What happened.
        failure: Failure,
        /// A result that legacy clients look for beside the error (ruling 8), or `null`.
        result: Value,
    },
    /// It stopped because the task was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// It waits for somebody else; the task is parked and holds no worker until then.
    #[error("the task is parked")]
    Parked(Box<Park>),
    /// Something holds it back; the task is ready again once that is over, and no attempt is counted.
    #[error("the task is held back by {}", .0.key)]
    Held(Box<Held>),
}

impl ExecuteError {
    /// A failure that another attempt may cure.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient { failure: Failure::new(FailureKind::Executor, message), retry_after: None }
    }

    /// A failure that is final.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::of_kind(FailureKind::Executor, message)
    }

    /// The inputs are no good.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::of_kind(FailureKind::InvalidInput, message)
    }

    /// A final failure of another kind.
    pub fn of_kind(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::Permanent { failure: Failure::new(kind, message), result: Value::Null }
    }
}
