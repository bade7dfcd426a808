//! What an open transaction and a reader know of slots, paces, breakers and turns.

use apflow_core::{breaker::Breaker, flow::SharedLimit, store::StoreError, time::Timestamp};
use async_trait::async_trait;

use crate::row::HotRow;

/// A row of `af_limits` as it was read: key, number, pace as JSON.
pub(crate) type LimitRow = (String, Option<i64>, Option<String>);

/// The limit a row stands for.
pub(crate) fn limit((key, max, rate): LimitRow) -> Result<SharedLimit, StoreError> {
    let corrupt = |what: String| StoreError::Corrupt { table: "af_limits", row: key.clone(), what };
    let max = max.map(|max| u32::try_from(max).map_err(|_| corrupt(format!("max is {max}"))));
    let rate = rate
        .map(|text| serde_json::from_str(&text).map_err(|error| corrupt(format!("rate: {error}"))));
    Ok(SharedLimit { max: max.transpose()?, rate: rate.transpose()?, key })
}

/// A row of `af_breakers` as it was read: key, circuit and policy as JSON, the moment.
pub(crate) type BreakerRow = (String, String, String, i64);

/// The breaker a row stands for.
pub(crate) fn breaker((key, circuit, policy, at): BreakerRow) -> Result<Breaker, StoreError> {
    let corrupt = |column: &str, error: serde_json::Error| StoreError::Corrupt {
        table: "af_breakers",
        row: key.clone(),
        what: format!("{column}: {error}"),
    };
    Ok(Breaker {
        circuit: serde_json::from_str(&circuit).map_err(|error| corrupt("circuit", error))?,
        policy: serde_json::from_str(&policy).map_err(|error| corrupt("policy", error))?,
        touched_at: Timestamp(at),
        key,
    })
}

/// The part of a transaction that is about who may begin.
#[async_trait]
pub(crate) trait FlowRows: Send {
    /// Nobody else decides about these keys until the transaction ends; they come sorted.
    async fn lock_flow(&mut self, keys: &[String]) -> Result<(), StoreError>;

    /// The facets of tasks that run.
    async fn running_facets(&mut self) -> Result<Vec<String>, StoreError>;

    /// The first ones of those that one thing holds, locked.
    async fn load_line(
        &mut self,
        by: &str,
        key: &str,
        limit: u32,
    ) -> Result<Vec<HotRow>, StoreError>;

    /// The shared limits of some keys.
    async fn load_limits(&mut self, keys: &[String]) -> Result<Vec<LimitRow>, StoreError>;

    /// How many shared limits there are.
    async fn count_limits(&mut self) -> Result<i64, StoreError>;

    /// Sets a shared limit.
    async fn save_limit(&mut self, limit: &SharedLimit) -> Result<(), StoreError>;

    /// Removes a shared limit; says whether there was one.
    async fn delete_limit(&mut self, key: &str) -> Result<bool, StoreError>;

    /// When the paces of some keys are even again.
    async fn load_paces(&mut self, keys: &[String]) -> Result<Vec<(String, i64)>, StoreError>;

    /// Writes when paces are even again, and forgets those that are.
    async fn save_paces(
        &mut self,
        paces: &[(String, i64)],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// The breakers of some keys.
    async fn load_breakers(&mut self, keys: &[String]) -> Result<Vec<BreakerRow>, StoreError>;

    /// Writes how breakers stand, removes those that are `gone`, and those untouched since `before`.
    async fn save_breakers(
        &mut self,
        breakers: &[Breaker],
        gone: &[String],
        before: Timestamp,
    ) -> Result<(), StoreError>;

    /// Gives each owner so many turns; the last one of each, or nothing if turns are not kept.
    async fn take_turns(
        &mut self,
        owners: &[(String, i64)],
    ) -> Result<Option<Vec<(String, i64)>>, StoreError>;
}

/// What a reader is asked about limits and breakers.
#[async_trait]
pub(crate) trait FlowReads: Send + Sync {
    /// The shared limits.
    async fn limits(&self, limit: u32) -> Result<Vec<LimitRow>, StoreError>;

    /// The facets of tasks that run.
    async fn running_facets(&self) -> Result<Vec<String>, StoreError>;

    /// The breakers of which something is known.
    async fn breakers(&self, limit: u32) -> Result<Vec<BreakerRow>, StoreError>;

    /// One breaker.
    async fn breaker(&self, key: &str) -> Result<Option<BreakerRow>, StoreError>;
}
