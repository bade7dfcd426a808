//! Demonstrations on SQLite.

use apflow_core::store::StoreError;
use async_trait::async_trait;

use super::{encode::json, rows::SqliteRows, sql};
use crate::rows_demo::DemoRows;

#[async_trait]
impl DemoRows for SqliteRows<'_> {
    async fn mark_demo(&mut self, trees: &[i64]) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::MARK_DEMO).bind(json(trees)?);
        self.execute("marking a demonstration", statement).await?;
        self.hot.mark_demo(trees);
        Ok(())
    }
}
