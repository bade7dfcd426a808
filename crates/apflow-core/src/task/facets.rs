//! What a task has besides its state, and most tasks do not have.

use serde::{Deserialize, Serialize};

use super::definition::is_default;
use crate::{budget::Spent, time::Timestamp};

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
/// A new run forgets it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facets {
    /// How often the task went round its loop in this run: 0 in the first pass.
    #[serde(skip_serializing_if = "is_default")]
    pub cycle: u32,
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

impl Facets {
    /// Nothing is said, so nothing needs to be stored.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
