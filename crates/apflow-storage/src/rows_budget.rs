//! What an open transaction and a reader are asked about budgets.

use apflow_core::{
    budget::{Amount, Budget, BudgetKey, Money, Period, Scope, Unit},
    store::{BudgetFilter, Page, StoreError, UsageFilter, UsageLine},
    time::Timestamp,
};
use async_trait::async_trait;

/// A scope and who in it.
pub(crate) type Whose = (Scope, String);

/// A row of `af_budgets`, and what is put aside where that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct BudgetRow {
    pub(crate) scope: String,
    pub(crate) scope_id: String,
    pub(crate) unit: String,
    pub(crate) period: String,
    pub(crate) most: i64,
    pub(crate) policy: Option<String>,
    pub(crate) used: i64,
    pub(crate) since: i64,
    pub(crate) reserved: i64,
}

impl BudgetRow {
    /// The budget as it stands at a moment: what was spent in an earlier period counts no more.
    pub(crate) fn budget(self, now: Timestamp) -> Result<Budget, StoreError> {
        let words =
            (Scope::parse(&self.scope), Unit::parse(&self.unit), Period::parse(&self.period));
        let (Some(scope), Some(unit), Some(period)) = words else {
            let row = format!("{} {}", self.scope, self.scope_id);
            let what = format!("unit {}, period {}", self.unit, self.period);
            return Err(StoreError::Corrupt { table: "af_budgets", row, what });
        };
        let began = period.began(now);
        let used = if self.since < began.0 { 0 } else { self.used };
        Ok(Budget {
            key: BudgetKey { scope, scope_id: self.scope_id, unit, period },
            limit: self.most,
            policy: self.policy,
            used,
            reserved: self.reserved,
            since: began.max(Timestamp(self.since)),
        })
    }
}

/// A row of `af_reservations`.
#[derive(Debug, Clone)]
pub(crate) struct ReservationRow {
    pub(crate) task: i64,
    pub(crate) task_id: String,
    pub(crate) tree_id: String,
    pub(crate) user_id: Option<String>,
    pub(crate) amount: Amount,
}

impl ReservationRow {
    /// Whether it is a part of what is put aside of a scope.
    pub(crate) fn concerns(&self, scope: Scope, scope_id: &str) -> bool {
        match scope {
            Scope::Task => self.task_id == scope_id,
            Scope::Tree => self.tree_id == scope_id,
            Scope::User => self.user_id.as_deref() == Some(scope_id),
            Scope::Global => true,
        }
    }
}

/// Whose spending the spending of a task is.
#[derive(Debug, Clone)]
pub(crate) struct SpenderRow {
    pub(crate) task: i64,
    pub(crate) task_id: String,
    pub(crate) tree_id: String,
    pub(crate) user_id: Option<String>,
    pub(crate) executor: Option<String>,
}

impl SpenderRow {
    /// The scopes it belongs to.
    pub(crate) fn scopes(&self) -> Vec<Whose> {
        scopes(&self.task_id, &self.tree_id, self.user_id.as_deref())
    }
}

/// The scopes that a task belongs to.
pub(crate) fn scopes(task: &str, tree: &str, user: Option<&str>) -> Vec<Whose> {
    let mut scopes = vec![
        (Scope::Task, task.to_owned()),
        (Scope::Tree, tree.to_owned()),
        (Scope::Global, String::new()),
    ];
    scopes.extend(user.map(|user| (Scope::User, user.to_owned())));
    scopes
}

/// A row of `af_usage` to add.
#[derive(Debug)]
pub(crate) struct NewUsageRow {
    pub(crate) spender: SpenderRow,
    pub(crate) model: Option<String>,
    pub(crate) attempt: i64,
    pub(crate) input: i64,
    pub(crate) output: i64,
    pub(crate) cost: Money,
}

/// The part of a transaction that is about budgets.
#[async_trait]
pub(crate) trait BudgetRows: Send {
    /// From here on no other transaction decides about spending until this one ends.
    async fn lock_budgets(&mut self) -> Result<(), StoreError>;

    /// The budgets of some scopes.
    async fn budgets(&mut self, whose: &[Whose]) -> Result<Vec<BudgetRow>, StoreError>;

    /// Budgets, and what is put aside of each.
    async fn list_budgets(
        &mut self,
        filter: &BudgetFilter,
        page: Page,
    ) -> Result<Vec<BudgetRow>, StoreError>;

    /// How many budgets there are.
    async fn count_budgets(&mut self) -> Result<i64, StoreError>;

    /// What is put aside for attempts that run.
    async fn reserved(&mut self) -> Result<Vec<ReservationRow>, StoreError>;

    /// Puts something aside.
    async fn reserve(&mut self, rows: &[ReservationRow]) -> Result<(), StoreError>;

    /// These attempts ended.
    async fn release(&mut self, tasks: &[i64]) -> Result<(), StoreError>;

    /// Whose spending the spending of some tasks is.
    async fn spenders(&mut self, tasks: &[i64]) -> Result<Vec<SpenderRow>, StoreError>;

    /// Writes budgets as they are to be.
    async fn save_budgets(&mut self, budgets: &[Budget], now: Timestamp) -> Result<(), StoreError>;

    /// Removes a budget; says whether there was one.
    async fn delete_budget(&mut self, key: &BudgetKey) -> Result<bool, StoreError>;

    /// Adds what attempts reported.
    async fn add_usage(&mut self, rows: &[NewUsageRow], now: Timestamp) -> Result<(), StoreError>;

    /// What a scope has spent since a moment.
    async fn used_since(&mut self, whose: &Whose, since: Timestamp) -> Result<Amount, StoreError>;

    /// Sets tasks free that wait for what is put aside, by the names they wait under.
    async fn free_held(
        &mut self,
        holders: &[String],
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<i64>, StoreError>;

    /// Forgets old reports, and budgets of what is gone; says how many reports.
    async fn forget_usage(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

/// What a reader is asked about budgets.
#[async_trait]
pub(crate) trait BudgetReads: Send + Sync {
    /// What was spent.
    async fn usage(&self, filter: &UsageFilter) -> Result<Vec<UsageLine>, StoreError>;
}

/// Reads the columns that `load_budgets.sql` and `list_budgets.sql` share.
macro_rules! budget_row {
    ($row:expr, $reserved:expr) => {{
        let row = $row;
        Ok(BudgetRow {
            scope: row.try_get(0)?,
            scope_id: row.try_get(1)?,
            unit: row.try_get(2)?,
            period: row.try_get(3)?,
            most: row.try_get(4)?,
            policy: row.try_get(5)?,
            used: row.try_get(6)?,
            since: row.try_get(7)?,
            reserved: $reserved,
        })
    }};
}
/// Reads a row of `usage.sql`.
macro_rules! usage_line {
    ($row:expr) => {{
        let row = $row;
        Ok(UsageLine {
            what: row.try_get(0)?,
            input_tokens: row.try_get(1)?,
            output_tokens: row.try_get(2)?,
            cost: Money(row.try_get(3)?),
            calls: row.try_get(4)?,
            tasks: row.try_get(5)?,
            first: Timestamp(row.try_get(6)?),
            last: Timestamp(row.try_get(7)?),
        })
    }};
}
/// Reads a row of `load_reserved.sql`.
macro_rules! reservation {
    ($row:expr) => {{
        let row = $row;
        Ok(ReservationRow {
            task: row.try_get(5)?,
            task_id: row.try_get(0)?,
            tree_id: row.try_get(1)?,
            user_id: row.try_get(2)?,
            amount: Amount { tokens: row.try_get(3)?, money: Money(row.try_get(4)?) },
        })
    }};
}
/// Reads a row of `spenders.sql`.
macro_rules! spender {
    ($row:expr) => {{
        let row = $row;
        Ok(SpenderRow {
            task: row.try_get(0)?,
            task_id: row.try_get(1)?,
            tree_id: row.try_get(2)?,
            user_id: row.try_get(3)?,
            executor: row.try_get(4)?,
        })
    }};
}
pub(crate) use {budget_row, reservation, spender, usage_line};
