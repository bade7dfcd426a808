//! What a task has besides its state, and most tasks do not have.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::definition::is_default;
use crate::time::Timestamp;

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
}

impl HeldBy {
    /// The word as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Rate => "rate",
            Self::Breaker => "breaker",
            Self::Pause => "pause",
        }
    }
}

/// What only some tasks have; stored as one JSON text beside the state, and absent for most.
///
/// A new run forgets it, but for what says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facets {
    /// How often the task went round its loop in this run: 0 in the first pass.
    #[serde(skip_serializing_if = "is_default")]
    pub cycle: u32,
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

    /// What is left when a run begins anew.
    #[must_use]
    pub fn after_a_run(self) -> Self {
        let Self { spawned, on_jump, has_spawned, .. } = self;
        Self { has_spawned, spawned, on_jump, ..Self::default() }
    }
}
