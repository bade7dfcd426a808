//! Budgets, and reports of what was spent.

use std::time::Duration;

use async_trait::async_trait;

use super::{Page, StoreError};
use crate::{
    budget::{Budget, BudgetKey, Money, Scope},
    id::TaskId,
    time::Timestamp,
};

/// The most budgets a database keeps.
pub const MAX_BUDGETS: i64 = 100_000;

/// What a report sums up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UsageBy {
    /// Everything in one line.
    #[default]
    Nothing,
    /// Task by task.
    Task,
    /// Tree by tree.
    Tree,
    /// Owner by owner.
    User,
    /// Model by model.
    Model,
    /// Executor by executor.
    Executor,
    /// Day by day, in UTC.
    Day,
    /// Month by month, in UTC.
    Month,
}

impl UsageBy {
    /// Every way.
    pub const ALL: [Self; 8] = [
        Self::Nothing,
        Self::Task,
        Self::Tree,
        Self::User,
        Self::Model,
        Self::Executor,
        Self::Day,
        Self::Month,
    ];

    /// The word in requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "total",
            Self::Task => "task",
            Self::Tree => "tree",
            Self::User => "user",
            Self::Model => "model",
            Self::Executor => "executor",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The way a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == word)
    }
}

/// Which spending a report is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageFilter {
    /// What it sums up by.
    pub by: UsageBy,
    /// Of one task.
    pub task_id: Option<String>,
    /// Of one tree.
    pub tree_id: Option<String>,
    /// Of one owner.
    pub user_id: Option<String>,
    /// Of one model.
    pub model: Option<String>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// At most so many lines.
    pub limit: u32,
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageLine {
    /// The task, tree, owner, model, executor, day or month; none where nobody said.
    pub what: Option<String>,
    /// Tokens that went in.
    pub input_tokens: i64,
    /// Tokens that came out.
    pub output_tokens: i64,
    /// What it cost.
    pub cost: Money,
    /// How many calls were reported.
    pub calls: i64,
    /// By how many tasks.
    pub tasks: i64,
    /// When the first was reported.
    pub first: Timestamp,
    /// When the last was.
    pub last: Timestamp,
}

/// A budget as somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBudget {
    /// Whose, of what, for how long.
    pub key: BudgetKey,
    /// The most that may be spent.
    pub limit: i64,
    /// What happens near the limit.
    pub policy: Option<String>,
}

/// Which budgets are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BudgetFilter {
    /// Of one scope.
    pub scope: Option<Scope>,
    /// Of one task, tree or owner.
    pub scope_id: Option<String>,
}

/// What somebody decided about a task that asked before it spends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetDecision {
    /// It may go on, over the limit if need be.
    pub approve: bool,
    /// Who decided.
    pub by: Option<String>,
}

const OFFERED: StoreError = StoreError::NotOffered { what: "budgets" };

/// Budgets and what was spent.
#[async_trait]
pub trait BudgetStore: Send + Sync {
    /// Budgets with what was spent and is put aside, ordered by scope and owner.
    async fn budgets(
        &self,
        _filter: &BudgetFilter,
        _page: Page,
    ) -> Result<Vec<Budget>, StoreError> {
        Err(OFFERED)
    }

    /// Sets a budget. What was spent in its period before counts from the first moment on, and tasks
    /// that wait for it look again.
    async fn set_budget(&self, _budget: NewBudget) -> Result<Budget, StoreError> {
        Err(OFFERED)
    }

    /// Removes a budget; returns whether there was one.
    async fn delete_budget(&self, _key: &BudgetKey) -> Result<bool, StoreError> {
        Err(OFFERED)
    }

    /// Decides about a task that waits for a decision on its budget.
    async fn decide_budget(
        &self,
        _task: &TaskId,
        _decision: BudgetDecision,
    ) -> Result<(), StoreError> {
        Err(OFFERED)
    }

    /// What was spent.
    async fn usage(&self, _filter: &UsageFilter) -> Result<Vec<UsageLine>, StoreError> {
        Err(OFFERED)
    }

    /// Forgets at most `limit` reports that are older than this, and budgets of tasks and trees that
    /// are gone. Budgets keep their sums. Returns how many reports.
    async fn forget_usage(&self, _older_than: Duration, _limit: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}
