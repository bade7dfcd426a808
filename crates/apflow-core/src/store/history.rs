//! What became of attempts: those that ended without a result, and the tasks that are left lying.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Page, StoreError};
use crate::{
    id::{TaskId, TreeId},
    time::Timestamp,
};

/// So many attempts of one task are kept: the first [`FIRST_ATTEMPTS`] and the newest of the rest.
pub const MAX_ATTEMPTS_KEPT: u32 = 100;

/// So many attempts at the beginning of a task's history stay whatever comes after them.
pub const FIRST_ATTEMPTS: u32 = 10;

/// So many dead letters one owner may have; the oldest go first.
pub const MAX_LETTERS: u32 = 10_000;

/// One attempt, as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    /// Which run of the tree, counted from 1.
    pub run: u32,
    /// Which attempt of that run, counted from 1; an attempt that was handed back is not counted, so
    /// the next one has the same number.
    pub attempt: u32,
    /// How often the task had gone round its loop.
    pub cycle: u32,
    /// Who had it.
    pub worker: Option<String>,
    /// When it began.
    pub began: Option<Timestamp>,
    /// When it ended, if it has.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What sort of failure it was.
    pub kind: Option<String>,
    /// What happened.
    pub cause: Option<String>,
    /// When the next attempt was to begin, if there was to be one.
    pub retry_at: Option<Timestamp>,
}

/// How an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// It goes on.
    Running,
    /// It ended with a result.
    Completed,
    /// It ended without one.
    Failed,
    /// Its worker vanished.
    Lost,
    /// Its worker gave it back untried.
    HandedBack,
    /// It waits for somebody else.
    Parked,
    /// Somebody cancelled it.
    Cancelled,
    /// Somebody else reported how the task ended.
    Reported,
}

impl AttemptOutcome {
    /// Every way.
    pub const ALL: [Self; 8] = [
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Lost,
        Self::HandedBack,
        Self::Parked,
        Self::Cancelled,
        Self::Reported,
    ];

    /// The word as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::HandedBack => "handed_back",
            Self::Parked => "parked",
            Self::Cancelled => "cancelled",
            Self::Reported => "reported",
        }
    }

    /// The way a stored word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// Why a task is left lying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// No attempt is left, or another one would not help.
    Attempts,
    /// What is stored of it cannot be read.
    Undecodable,
    /// Its signature is missing or does not fit.
    Signature,
}

impl DeadReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Attempts, Self::Undecodable, Self::Signature];

    /// The word as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Undecodable => "undecodable",
            Self::Signature => "signature",
        }
    }

    /// The reason a stored word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// A task that failed for good and waits for somebody to look at it; a task has at most one.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// The task.
    pub task: TaskId,
    /// Its tree.
    pub tree: TreeId,
    /// Its owner.
    pub user_id: Option<String>,
    /// Its executor.
    pub executor: Option<String>,
    /// Why it is here.
    pub reason: DeadReason,
    /// What sort of failure it was.
    pub kind: String,
    /// What happened.
    pub error: String,
    /// Attempts of the run that failed.
    pub attempts: u32,
    /// Which run of its tree, counted from 1.
    pub run: u32,
    /// Since when.
    pub at: Timestamp,
}

/// Conditions that all must hold; an empty filter means every letter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LetterFilter {
    /// Owner.
    pub user_id: Option<String>,
    /// The executor.
    pub executor: Option<String>,
    /// The sort of failure.
    pub kind: Option<String>,
    /// Why it is here.
    pub reason: Option<DeadReason>,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Older than this.
    pub before: Option<Timestamp>,
    /// Only these tasks; empty: all.
    pub ids: Vec<TaskId>,
}

/// What became of attempts.
#[async_trait]
pub trait HistoryStore: Send + Sync {
    /// The attempts of a task that are kept, oldest first, and the present or last one; none if there
    /// is no such task.
    async fn attempts(&self, task: &TaskId) -> Result<Option<Vec<AttemptRecord>>, StoreError> {
        let _ = task;
        Err(StoreError::NotOffered { what: "history of attempts" })
    }

    /// Dead letters that pass a filter, newest first.
    async fn letters(
        &self,
        filter: &LetterFilter,
        page: Page,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let _ = (filter, page);
        Err(StoreError::NotOffered { what: "dead letters" })
    }

    /// How many dead letters pass a filter.
    async fn count_letters(&self, filter: &LetterFilter) -> Result<u64, StoreError> {
        let _ = filter;
        Err(StoreError::NotOffered { what: "dead letters" })
    }

    /// Throws the letters of these tasks away; the tasks stay as they are. Returns how many there were.
    async fn drop_letters(&self, tasks: &[TaskId]) -> Result<u64, StoreError> {
        let _ = tasks;
        Err(StoreError::NotOffered { what: "dead letters" })
    }

    /// Throws the oldest letters of owners away who have more than `most`, at most `limit` of them.
    async fn trim_letters(&self, most: u32, limit: u32) -> Result<u64, StoreError> {
        let _ = (most, limit);
        Ok(0)
    }
}
