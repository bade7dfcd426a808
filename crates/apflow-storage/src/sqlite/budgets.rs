//! Budgets on SQLite.

use apflow_core::{
    budget::{Amount, Budget, BudgetKey, Money, Scope},
    store::{BudgetFilter, Page, StoreError, UsageFilter, UsageLine},
    time::Timestamp,
};
use async_trait::async_trait;
use sqlx::Row as _;

use super::{decode, encode::json, reads::SqliteReads, rows::SqliteRows, sql};
use crate::rows_budget::{
    BudgetReads, BudgetRow, BudgetRows, NewUsageRow, ReservationRow, SpenderRow, Whose, budget_row,
    reservation, spender, usage_line,
};

#[async_trait]
impl BudgetRows for SqliteRows<'_> {
    async fn lock_budgets(&mut self) -> Result<(), StoreError> {
        self.execute("locking budgets", sqlx::query(sql::LOCK_BUDGETS)).await
    }

    async fn budgets(&mut self, whose: &[Whose]) -> Result<Vec<BudgetRow>, StoreError> {
        let pairs: Vec<_> = whose.iter().map(|(scope, id)| (scope.as_str(), id)).collect();
        let statement = sqlx::query(sql::LOAD_BUDGETS).bind(json(&pairs)?);
        let rows = self.fetch("reading budgets", statement).await?;
        decode::all(&rows, |row| budget_row!(row, 0))
    }

    async fn list_budgets(
        &mut self,
        filter: &BudgetFilter,
        page: Page,
    ) -> Result<Vec<BudgetRow>, StoreError> {
        let statement = sqlx::query(sql::LIST_BUDGETS)
            .bind(filter.scope.map(Scope::as_str))
            .bind(filter.scope_id.clone())
            .bind(i64::from(page.limit))
            .bind(i64::from(page.offset));
        let rows = self.fetch("listing budgets", statement).await?;
        decode::all(&rows, |row| budget_row!(row, row.try_get(8)?))
    }

    async fn count_budgets(&mut self) -> Result<i64, StoreError> {
        let rows = self.fetch("counting budgets", sqlx::query(sql::COUNT_BUDGETS)).await?;
        Ok(decode::all(&rows, |row| row.try_get(0))?.first().copied().unwrap_or(0))
    }

    async fn reserved(&mut self) -> Result<Vec<ReservationRow>, StoreError> {
        let rows = self.fetch("reading reservations", sqlx::query(sql::LOAD_RESERVED)).await?;
        decode::all(&rows, |row| reservation!(row))
    }

    async fn reserve(&mut self, rows: &[ReservationRow]) -> Result<(), StoreError> {
        let arrays: Vec<_> = rows
            .iter()
            .map(|row| {
                let Amount { tokens, money } = row.amount;
                (row.task, &row.task_id, &row.tree_id, &row.user_id, tokens, money.0)
            })
            .collect();
        let statement = sqlx::query(sql::INSERT_RESERVATIONS).bind(json(&arrays)?);
        self.execute("reserving", statement).await
    }

    async fn release(&mut self, tasks: &[i64]) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::DELETE_RESERVATIONS).bind(json(tasks)?);
        self.execute("releasing reservations", statement).await
    }

    async fn spenders(&mut self, tasks: &[i64]) -> Result<Vec<SpenderRow>, StoreError> {
        let statement = sqlx::query(sql::SPENDERS).bind(json(tasks)?);
        let rows = self.fetch("reading who spends", statement).await?;
        decode::all(&rows, |row| spender!(row))
    }

    async fn save_budgets(&mut self, budgets: &[Budget], now: Timestamp) -> Result<(), StoreError> {
        let arrays: Vec<_> = budgets
            .iter()
            .map(|budget| {
                let BudgetKey { scope, scope_id, unit, period } = &budget.key;
                let (scope, unit, period) = (scope.as_str(), unit.as_str(), period.as_str());
                let Budget { limit, policy, used, since, .. } = budget;
                (scope, scope_id, unit, period, limit, policy, used, since.0)
            })
            .collect();
        let statement = sqlx::query(sql::SAVE_BUDGETS).bind(json(&arrays)?).bind(now.0);
        self.execute("storing budgets", statement).await
    }

    async fn delete_budget(&mut self, key: &BudgetKey) -> Result<bool, StoreError> {
        let statement = sqlx::query(sql::DELETE_BUDGET)
            .bind(key.scope.as_str())
            .bind(key.scope_id.clone())
            .bind(key.unit.as_str())
            .bind(key.period.as_str());
        Ok(!self.fetch("removing a budget", statement).await?.is_empty())
    }

    async fn add_usage(&mut self, rows: &[NewUsageRow], now: Timestamp) -> Result<(), StoreError> {
        let arrays: Vec<_> = rows
            .iter()
            .map(|row| {
                let SpenderRow { task_id, tree_id, user_id, executor, .. } = &row.spender;
                let counts = (row.attempt, row.input, row.output, row.cost.0);
                let (attempt, input, output, micros) = counts;
                let model = &row.model;
                (task_id, tree_id, user_id, executor, model, attempt, input, output, micros)
            })
            .collect();
        let statement = sqlx::query(sql::INSERT_USAGE).bind(json(&arrays)?).bind(now.0);
        self.execute("storing usage", statement).await
    }

    async fn used_since(&mut self, whose: &Whose, since: Timestamp) -> Result<Amount, StoreError> {
        let (scope, id) = whose;
        let statement =
            sqlx::query(sql::USED_SINCE).bind(scope.as_str()).bind(id.clone()).bind(since.0);
        let rows = self.fetch("summing up usage", statement).await?;
        let read = decode::all(&rows, |row| {
            Ok(Amount { tokens: row.try_get(0)?, money: Money(row.try_get(1)?) })
        })?;
        Ok(read.first().copied().unwrap_or_default())
    }

    async fn free_held(
        &mut self,
        holders: &[String],
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<i64>, StoreError> {
        let statement =
            sqlx::query(sql::FREE_HELD).bind(json(holders)?).bind(i64::from(limit)).bind(now.0);
        let rows = self.fetch("setting tasks free", statement).await?;
        let freed = decode::all(&rows, |row| row.try_get(0))?;
        self.hot.free(&freed);
        Ok(freed)
    }

    async fn forget_usage(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let statement = sqlx::query(sql::FORGET_USAGE).bind(before.0).bind(i64::from(limit));
        let gone = self.fetch("forgetting old usage", statement).await?.len();
        self.execute("forgetting old budgets", sqlx::query(sql::FORGET_BUDGETS)).await?;
        Ok(u64::try_from(gone).unwrap_or(0))
    }
}

#[async_trait]
impl BudgetReads for SqliteReads {
    async fn usage(&self, filter: &UsageFilter) -> Result<Vec<UsageLine>, StoreError> {
        let statement = sqlx::query(sql::USAGE)
            .bind(filter.by.as_str())
            .bind(filter.since.map_or(i64::MIN, |at| at.0))
            .bind(filter.until.map_or(i64::MAX, |at| at.0))
            .bind(filter.task_id.clone())
            .bind(filter.tree_id.clone())
            .bind(filter.user_id.clone())
            .bind(filter.model.clone())
            .bind(i64::from(filter.limit));
        let rows = self.fetch("summing up usage", statement).await?;
        decode::all(&rows, |row| usage_line!(row))
    }
}
