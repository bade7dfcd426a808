//! Slots, paces, breakers and turns on PostgreSQL.

use apflow_core::{breaker::Breaker, flow::SharedLimit, store::StoreError, time::Timestamp};
use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow};

use super::{decode, encode::columns, reads::PgReads, rows::PgRows, sql};
use crate::{
    row::HotRow,
    rows_flow::{BreakerRow, FlowReads, FlowRows, LimitRow},
};

fn limit(row: &PgRow) -> Result<LimitRow, sqlx::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

fn breaker(row: &PgRow) -> Result<BreakerRow, sqlx::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
}

/// Plain data always has a JSON form.
fn text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn pair(row: &PgRow) -> Result<(String, i64), sqlx::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

#[async_trait]
impl FlowRows for PgRows<'_> {
    async fn lock_flow(&mut self, keys: &[String]) -> Result<(), StoreError> {
        self.execute("locking keys", sqlx::query(sql::LOCK_FLOW).bind(keys)).await
    }

    async fn running_facets(&mut self) -> Result<Vec<String>, StoreError> {
        let rows = self.fetch("counting slots", sqlx::query(sql::RUNNING_FACETS)).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn load_line(
        &mut self,
        by: &str,
        key: &str,
        limit: u32,
    ) -> Result<Vec<HotRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_LINE).bind(by).bind(key).bind(i64::from(limit));
        let rows = self.fetch("reading a line", statement).await?;
        decode::all(&rows, |row| decode::hot(row, 0))
    }

    async fn load_limits(&mut self, keys: &[String]) -> Result<Vec<LimitRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_LIMITS).bind(keys);
        decode::all(&self.fetch("reading limits", statement).await?, limit)
    }

    async fn count_limits(&mut self) -> Result<i64, StoreError> {
        let rows = self.fetch("counting limits", sqlx::query(sql::COUNT_LIMITS)).await?;
        Ok(decode::all(&rows, |row| row.try_get(0))?.first().copied().unwrap_or(0))
    }

    async fn save_limit(&mut self, limit: &SharedLimit) -> Result<(), StoreError> {
        let rate = limit.rate.as_ref().map(text);
        let statement =
            sqlx::query(sql::SAVE_LIMIT).bind(&limit.key).bind(limit.max.map(i64::from)).bind(rate);
        self.execute("storing a limit", statement).await
    }

    async fn delete_limit(&mut self, key: &str) -> Result<bool, StoreError> {
        let statement = sqlx::query(sql::DELETE_LIMIT).bind(key);
        Ok(!self.fetch("removing a limit", statement).await?.is_empty())
    }

    async fn load_paces(&mut self, keys: &[String]) -> Result<Vec<(String, i64)>, StoreError> {
        let statement = sqlx::query(sql::LOAD_PACES).bind(keys);
        decode::all(&self.fetch("reading paces", statement).await?, pair)
    }

    async fn save_paces(
        &mut self,
        paces: &[(String, i64)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::SAVE_PACES);
        columns!(statement, paces, row => &str: row.0.as_str(), i64: row.1);
        self.execute("storing paces", statement).await?;
        self.execute("forgetting paces", sqlx::query(sql::FORGET_PACES).bind(now.0)).await
    }

    async fn load_breakers(&mut self, keys: &[String]) -> Result<Vec<BreakerRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_BREAKERS).bind(keys);
        decode::all(&self.fetch("reading breakers", statement).await?, breaker)
    }

    async fn save_breakers(
        &mut self,
        breakers: &[Breaker],
        gone: &[String],
        before: Timestamp,
    ) -> Result<(), StoreError> {
        if !breakers.is_empty() {
            let statement = sqlx::query(sql::SAVE_BREAKERS);
            columns!(statement, breakers, row =>
                &str: row.key.as_str(),
                String: text(&row.circuit),
                String: text(&row.policy),
                i64: row.touched_at.0,
            );
            self.execute("storing breakers", statement).await?;
        }
        if !gone.is_empty() {
            let statement = sqlx::query(sql::DELETE_BREAKERS).bind(gone);
            self.execute("forgetting breakers", statement).await?;
        }
        self.execute("forgetting breakers", sqlx::query(sql::FORGET_BREAKERS).bind(before.0)).await
    }

    async fn take_turns(
        &mut self,
        owners: &[(String, i64)],
    ) -> Result<Option<Vec<(String, i64)>>, StoreError> {
        if !self.is_fair() {
            return Ok(None);
        }
        let mut common = None;
        for statement in [sql::LOWEST_TURN, sql::NEWEST_TURN] {
            if common.is_none() {
                let rows = self.fetch("reading turns", sqlx::query(statement)).await?;
                common = decode::all(&rows, |row| row.try_get::<Option<i64>, _>(0))?[0];
            }
        }
        let common = common.unwrap_or(0);
        self.execute("forgetting turns", sqlx::query(sql::FORGET_TURNS).bind(common)).await?;
        let statement = sqlx::query(sql::TAKE_TURNS);
        columns!(statement, owners, row => &str: row.0.as_str(), i64: row.1);
        let statement = statement.bind(common);
        decode::all(&self.fetch("taking turns", statement).await?, pair).map(Some)
    }
}

#[async_trait]
impl FlowReads for PgReads {
    async fn limits(&self, most: u32) -> Result<Vec<LimitRow>, StoreError> {
        let statement = sqlx::query(sql::LIST_LIMITS).bind(i64::from(most));
        decode::all(&self.fetch("listing limits", statement).await?, limit)
    }

    async fn running_facets(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.fetch("counting slots", sqlx::query(sql::RUNNING_FACETS)).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn breakers(&self, most: u32) -> Result<Vec<BreakerRow>, StoreError> {
        let statement = sqlx::query(sql::LIST_BREAKERS).bind(i64::from(most));
        decode::all(&self.fetch("listing breakers", statement).await?, breaker)
    }

    async fn breaker(&self, key: &str) -> Result<Option<BreakerRow>, StoreError> {
        let statement = sqlx::query(sql::FIND_BREAKER).bind(key);
        let rows = self.fetch("reading a breaker", statement).await?;
        Ok(decode::all(&rows, breaker)?.into_iter().next())
    }
}
