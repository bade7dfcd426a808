//! Callbacks on PostgreSQL.

use apflow_core::{store::StoreError, time::Timestamp};
use async_trait::async_trait;
use sqlx::Row as _;

use super::{decode, encode::columns, rows::PgRows, sql};
use crate::rows_callbacks::{CallbackRows, ClaimedCallback, NewCallbackRow, ReportRow, Taking};

#[async_trait]
impl CallbackRows for PgRows<'_> {
    async fn last_event(&mut self) -> Result<i64, StoreError> {
        let rows = self.fetch("reading the last event", sqlx::query(sql::LAST_EVENT)).await?;
        let last = decode::all(&rows, |row| row.try_get(0))?;
        Ok(last.first().copied().unwrap_or(0))
    }

    async fn add_callbacks(
        &mut self,
        rows: &[NewCallbackRow],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::INSERT_CALLBACKS);
        columns!(statement, rows, row =>
            &str: row.id.as_str(),
            i64: row.tree,
            &str: row.target.as_str(),
            i64: row.timeout,
            i64: row.max_retries,
            i64: row.position,
        );
        let statement = statement.bind(now.0);
        self.execute("storing callbacks", statement).await
    }

    async fn report_callbacks(
        &mut self,
        rows: &[ReportRow],
        now: Timestamp,
    ) -> Result<Vec<i64>, StoreError> {
        let statement = sqlx::query(sql::REPORT_CALLBACKS);
        columns!(statement, rows, row =>
            i64: row.seq,
            i64: row.token,
            i64: row.position,
            i64: row.attempts,
            i64: row.delivered,
            i64: row.given_up,
            Option<&str>: row.note.as_deref(),
            &'static str: row.state,
            bool: row.held,
            Option<i64>: row.free_at,
        );
        let statement = statement.bind(now.0);
        let rows = self.fetch("reporting callbacks", statement).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn claim_callbacks(
        &mut self,
        taking: Taking<'_>,
    ) -> Result<Vec<ClaimedCallback>, StoreError> {
        let statement = sqlx::query(sql::CLAIM_CALLBACKS)
            .bind(taking.holder)
            .bind(taking.until.0)
            .bind(taking.now.0)
            .bind(i64::from(taking.limit));
        let rows = self.fetch("taking callbacks", statement).await?;
        decode::all(&rows, |row| {
            Ok(ClaimedCallback {
                seq: row.try_get(0)?,
                id: row.try_get(1)?,
                target: row.try_get(2)?,
                timeout: row.try_get(3)?,
                max_retries: row.try_get(4)?,
                tree: row.try_get(5)?,
                token: row.try_get(6)?,
                position: row.try_get(7)?,
                attempts: row.try_get(8)?,
                tree_id: row.try_get(9)?,
            })
        })
    }

    async fn active_callbacks(&mut self, limit: u32) -> Result<Vec<i64>, StoreError> {
        let statement = sqlx::query(sql::ACTIVE_CALLBACKS).bind(i64::from(limit));
        let rows = self.fetch("looking for callbacks", statement).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn next_callback(&mut self) -> Result<Option<i64>, StoreError> {
        let rows = self.fetch("looking for callbacks", sqlx::query(sql::NEXT_CALLBACK)).await?;
        Ok(decode::all(&rows, |row| row.try_get(0))?.into_iter().next().flatten())
    }

    async fn held_callbacks(&mut self) -> Result<Vec<(i64, String)>, StoreError> {
        let rows = self.fetch("looking for callbacks", sqlx::query(sql::HELD_CALLBACKS)).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))
    }

    async fn free_callbacks(&mut self, seqs: &[i64]) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::FREE_CALLBACKS).bind(seqs);
        self.execute("setting callbacks free", statement).await
    }
}
