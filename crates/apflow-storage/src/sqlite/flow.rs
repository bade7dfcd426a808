//! Slots, paces, breakers and turns on SQLite.

use apflow_core::{breaker::Breaker, flow::SharedLimit, store::StoreError, time::Timestamp};
use async_trait::async_trait;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{decode, encode::json, reads::SqliteReads, rows::SqliteRows, sql};
use crate::{
    row::HotRow,
    rows_flow::{BreakerRow, FlowReads, FlowRows, LimitRow},
};

fn limit(row: &SqliteRow) -> Result<LimitRow, sqlx::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

fn breaker(row: &SqliteRow) -> Result<BreakerRow, sqlx::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
}

fn pair(row: &SqliteRow) -> Result<(String, i64), sqlx::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

#[async_trait]
impl FlowRows for SqliteRows<'_> {
    async fn lock_flow(&mut self, _: &[String]) -> Result<(), StoreError> {
        // There is one writer.
        Ok(())
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
        let statement = sqlx::query(sql::LOAD_LINE)
            .bind(by.to_owned())
            .bind(key.to_owned())
            .bind(i64::from(limit));
        let rows = self.fetch("reading a line", statement).await?;
        decode::all(&rows, |row| decode::hot(row, 0))
    }

    async fn load_limits(&mut self, keys: &[String]) -> Result<Vec<LimitRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_LIMITS).bind(json(keys)?);
        decode::all(&self.fetch("reading limits", statement).await?, limit)
    }

    async fn count_limits(&mut self) -> Result<i64, StoreError> {
        let rows = self.fetch("counting limits", sqlx::query(sql::COUNT_LIMITS)).await?;
        Ok(decode::all(&rows, |row| row.try_get(0))?.first().copied().unwrap_or(0))
    }

    async fn save_limit(&mut self, limit: &SharedLimit) -> Result<(), StoreError> {
        let rate = limit.rate.as_ref().map(json).transpose()?;
        let statement = sqlx::query(sql::SAVE_LIMIT)
            .bind(limit.key.clone())
            .bind(limit.max.map(i64::from))
            .bind(rate);
        self.execute("storing a limit", statement).await
    }

    async fn delete_limit(&mut self, key: &str) -> Result<bool, StoreError> {
        let statement = sqlx::query(sql::DELETE_LIMIT).bind(key.to_owned());
        Ok(!self.fetch("removing a limit", statement).await?.is_empty())
    }

    async fn load_paces(&mut self, keys: &[String]) -> Result<Vec<(String, i64)>, StoreError> {
        let statement = sqlx::query(sql::LOAD_PACES).bind(json(keys)?);
        decode::all(&self.fetch("reading paces", statement).await?, pair)
    }

    async fn save_paces(
        &mut self,
        paces: &[(String, i64)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::SAVE_PACES).bind(json(paces)?);
        self.execute("storing paces", statement).await?;
        self.execute("forgetting paces", sqlx::query(sql::FORGET_PACES).bind(now.0)).await
    }

    async fn load_breakers(&mut self, keys: &[String]) -> Result<Vec<BreakerRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_BREAKERS).bind(json(keys)?);
        decode::all(&self.fetch("reading breakers", statement).await?, breaker)
    }

    async fn save_breakers(
        &mut self,
        breakers: &[Breaker],
        gone: &[String],
        before: Timestamp,
    ) -> Result<(), StoreError> {
        if !breakers.is_empty() {
            let mut arrays = Vec::with_capacity(breakers.len());
            for breaker in breakers {
                let (circuit, policy) = (json(&breaker.circuit)?, json(&breaker.policy)?);
                arrays.push((&breaker.key, circuit, policy, breaker.touched_at.0));
            }
            let statement = sqlx::query(sql::SAVE_BREAKERS).bind(json(&arrays)?);
            self.execute("storing breakers", statement).await?;
        }
        if !gone.is_empty() {
            let statement = sqlx::query(sql::DELETE_BREAKERS).bind(json(gone)?);
            self.execute("forgetting breakers", statement).await?;
        }
        self.execute("forgetting breakers", sqlx::query(sql::FORGET_BREAKERS).bind(before.0)).await
    }

    async fn take_turns(
        &mut self,
        owners: &[(String, i64)],
    ) -> Result<Option<Vec<(String, i64)>>, StoreError> {
        if !self.fair {
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
        let statement = sqlx::query(sql::TAKE_TURNS).bind(json(owners)?).bind(common);
        decode::all(&self.fetch("taking turns", statement).await?, pair).map(Some)
    }
}

#[async_trait]
impl FlowReads for SqliteReads {
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
        let statement = sqlx::query(sql::FIND_BREAKER).bind(key.to_owned());
        let rows = self.fetch("reading a breaker", statement).await?;
        Ok(decode::all(&rows, breaker)?.into_iter().next())
    }
}
