//! What a task has besides its state, and most tasks do not have.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{bounds::Bounds, definition::is_default};
use crate::{budget::Spent, flow::Flow, time::Timestamp};

/// What keeps a ready task from being claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The sort of thing that holds it.
    pub by: HeldBy,
    /// Which one of that sort: the key of a limit, the name of a breaker.
    pub key: String,
    /// When time alone frees it, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The sorts of things that hold a ready task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// As many tasks with its key run as may.
    Concurrency,
    /// As many tasks with its key began lately as may.
    Rate,
    /// The circuit of its executor, or of the host it talks to, is open.
    Breaker,
    /// Somebody paused the task or its tree.
    Pause,
    /// What is left of a budget is put aside for attempts that run.
    Budget,
}

impl Held {
    /// Somebody paused the task itself.
    pub fn paused_task() -> Self {
        Self { by: HeldBy::Pause, key: "task".to_owned(), until: None }
    }

    /// Somebody paused its whole tree.
    pub fn paused_tree() -> Self {
        Self { by: HeldBy::Pause, key: "tree".to_owned(), until: None }
    }

    /// It is held by a pause of its whole tree.
    pub fn is_of_tree(&self) -> bool {
        self.by == HeldBy::Pause && self.key == "tree"
    }
}

impl HeldBy {
    /// The word as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Rate => "rate",
            Self::Breaker => "breaker",
            Self::Pause => "pause",
            Self::Budget => "budget",
        }
    }
}

/// What only some tasks have; stored as one JSON text beside the state, and absent for most.
///
/// A new run forgets all but what the author said.
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that few tasks have")]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facets {
    /// How long the task may take, if its author said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// Since when it is ready; kept where the time in the queue is bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_since: Option<Timestamp>,
    /// When the newest attempt began; absent for the first one, whose beginning is that of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// How far an attempt was that failed and is followed by another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<LastProgress>,
    /// How often the task went round its loop in this run: 0 in the first pass.
    #[serde(skip_serializing_if = "is_default")]
    pub cycle: u32,
    /// It belongs to a group: the group says what its failure means. A new run does not forget this.
    #[serde(skip_serializing_if = "is_default")]
    pub member: bool,
    /// It parked in this run, so there may be answers for it.
    #[serde(skip_serializing_if = "is_default")]
    pub answers: bool,
    /// Somebody paused it: it is held whenever it is ready. A new run does not forget this.
    #[serde(skip_serializing_if = "is_default")]
    pub paused: bool,
    /// An attempt of this run put something aside for the next one.
    #[serde(skip_serializing_if = "is_default")]
    pub checkpoint: bool,
    /// The lines it stands in for slots, paces and breakers; a new run keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    /// What the last pass, or whoever jumped here, left for this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycle_data: Option<Value>,
    /// It gathers: it goes on when everything it waits for has ended.
    #[serde(skip_serializing_if = "is_default")]
    pub gathering: bool,
    /// How often it gathered in this pass.
    #[serde(skip_serializing_if = "is_default")]
    pub rounds: u32,
    /// It has spawned tasks that are still stored; survives a new run, which drops them.
    #[serde(skip_serializing_if = "is_default")]
    pub has_spawned: bool,
    /// It was spawned by another task; survives everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spawned: Option<Box<Spawned>>,
    /// It ended by jumping elsewhere, so those who need it do not go on.
    #[serde(skip_serializing_if = "is_default")]
    pub jumped: bool,
    /// It ended without having gone wrong: the run passed it by.
    #[serde(skip_serializing_if = "is_default")]
    pub passed_by: bool,
    /// It runs only when somebody jumps to it; survives everything.
    #[serde(skip_serializing_if = "is_default")]
    pub on_jump: bool,
    /// What effects did in this run of the tree; only a root has it.
    #[serde(skip_serializing_if = "is_default")]
    pub run: RunCounts,
    /// What it spent in this run.
    #[serde(skip_serializing_if = "is_default")]
    pub spent: Spent,
    /// Something is put aside for the attempt that runs.
    #[serde(skip_serializing_if = "is_default")]
    pub reserved: bool,
    /// Somebody decided that it may pass the limits it had to ask about.
    #[serde(skip_serializing_if = "is_default")]
    pub budget_waived: bool,
}

/// Who spawned a task, as far as the engine has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawned {
    /// What its spawner calls it.
    pub key: String,
    /// How many spawners there are above it.
    pub depth: u32,
    /// The pass of its spawner in which it was spawned.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cycle: u32,
    /// Which gathering of that pass waits for it; none if its spawner does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// The part of the channel it has; none if it has that of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
}

/// What effects did in one run of a tree, for the bounds of that run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunCounts {
    /// Iterations and jumps.
    #[serde(skip_serializing_if = "is_default")]
    pub steps: u32,
    /// Spawned tasks.
    #[serde(skip_serializing_if = "is_default")]
    pub spawned: u32,
}

impl Facets {
    /// Nothing is said, so nothing needs to be stored.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How far an attempt said it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastProgress {
    /// From 0 to 1.
    pub fraction: f64,
    /// What it was doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl super::Task {
    /// It belongs to a group, which says what its failure means.
    pub fn is_member(&self) -> bool {
        self.facets.as_ref().is_some_and(|facets| facets.member)
    }
}
