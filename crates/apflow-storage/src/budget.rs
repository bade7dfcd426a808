//! Budgets: what the committer is asked, and the store's part.

use std::time::Duration;

use apflow_core::{
    budget::{Budget, BudgetKey},
    id::TaskId,
    store::{
        BudgetDecision, BudgetFilter, BudgetStore, NewBudget, Page, StoreError, UsageFilter,
        UsageLine,
    },
    time::Timestamp,
};
use async_trait::async_trait;

use crate::{
    committer::Job,
    read::Reads,
    rows::Rows,
    steps::{Effects, budget},
    store::Database,
};

/// One question or change about budgets.
#[derive(Debug)]
pub(crate) enum BudgetJob {
    List(BudgetFilter, Page),
    Set(NewBudget),
    Delete(BudgetKey),
    Decide(TaskId, BudgetDecision),
    Forget(Duration, u32),
}

impl BudgetJob {
    /// What fails is told to the one who asked, and the rest of the transaction stands.
    pub(crate) async fn carry_out<R: Rows + ?Sized>(
        &self,
        rows: &mut R,
    ) -> Result<(BudgetCame, Effects), StoreError> {
        Ok(match self {
            Self::List(filter, page) => {
                let found = budget::list(rows, filter, *page).await?;
                (BudgetCame::Budgets(found), Effects::default())
            }
            Self::Set(wish) => {
                let (set, effects) = budget::set(rows, wish).await?;
                (BudgetCame::Budgets(vec![set]), effects)
            }
            Self::Delete(key) => {
                let (gone, effects) = budget::delete(rows, key).await?;
                (BudgetCame::Count(u64::from(gone)), effects)
            }
            Self::Decide(task, decision) => {
                let effects = budget::decide_about(rows, task, decision).await?;
                (BudgetCame::Count(1), effects)
            }
            Self::Forget(older_than, limit) => {
                let now = rows.now().await?;
                let age = i64::try_from(older_than.as_micros()).unwrap_or(i64::MAX);
                let before = Timestamp(now.0.saturating_sub(age));
                let gone = rows.forget_usage(before, *limit).await?;
                (BudgetCame::Count(gone), Effects::default())
            }
        })
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum BudgetCame {
    Budgets(Vec<Budget>),
    Count(u64),
}

impl<R: Reads> Database<R> {
    async fn ask_for_budgets(&self, job: BudgetJob) -> Result<Vec<Budget>, StoreError> {
        match self.ask(|to| Job::Budget(Box::new(job), to)).await? {
            BudgetCame::Budgets(budgets) => Ok(budgets),
            other @ BudgetCame::Count(_) => Err(unfitting(&other)),
        }
    }

    async fn ask_for_count(&self, job: BudgetJob) -> Result<u64, StoreError> {
        match self.ask(|to| Job::Budget(Box::new(job), to)).await? {
            BudgetCame::Count(count) => Ok(count),
            other @ BudgetCame::Budgets(_) => Err(unfitting(&other)),
        }
    }
}

fn unfitting(came: &BudgetCame) -> StoreError {
    StoreError::Unavailable { what: format!("an answer that does not fit: {came:?}"), source: None }
}

#[async_trait]
impl<R: Reads> BudgetStore for Database<R> {
    async fn budgets(&self, filter: &BudgetFilter, page: Page) -> Result<Vec<Budget>, StoreError> {
        self.ask_for_budgets(BudgetJob::List(filter.clone(), page)).await
    }

    async fn set_budget(&self, budget: NewBudget) -> Result<Budget, StoreError> {
        let set = self.ask_for_budgets(BudgetJob::Set(budget)).await?;
        set.into_iter().next().ok_or_else(|| unfitting(&BudgetCame::Count(0)))
    }

    async fn delete_budget(&self, key: &BudgetKey) -> Result<bool, StoreError> {
        Ok(self.ask_for_count(BudgetJob::Delete(key.clone())).await? > 0)
    }

    async fn decide_budget(
        &self,
        task: &TaskId,
        decision: BudgetDecision,
    ) -> Result<(), StoreError> {
        self.ask_for_count(BudgetJob::Decide(task.clone(), decision)).await.map(drop)
    }

    async fn usage(&self, filter: &UsageFilter) -> Result<Vec<UsageLine>, StoreError> {
        self.reads.usage(filter).await
    }

    async fn forget_usage(&self, older_than: Duration, limit: u32) -> Result<u64, StoreError> {
        self.ask_for_count(BudgetJob::Forget(older_than, limit)).await
    }
}
