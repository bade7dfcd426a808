//! Callbacks on SQLite.

use apflow_core::store::StoreError;
use async_trait::async_trait;
use sqlx::Row as _;

use super::{decode, rows::SqliteRows, sql};
use crate::rows_callbacks::CallbackRows;

#[async_trait]
impl CallbackRows for SqliteRows<'_> {
    async fn last_event(&mut self) -> Result<i64, StoreError> {
        let rows = self.fetch("reading the last event", sqlx::query(sql::LAST_EVENT)).await?;
        let last = decode::all(&rows, |row| row.try_get(0))?;
        Ok(last.first().copied().unwrap_or(0))
    }
}
