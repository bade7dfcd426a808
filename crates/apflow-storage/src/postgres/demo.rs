//! Demonstrations on PostgreSQL.

use apflow_core::store::StoreError;
use async_trait::async_trait;

use super::{rows::PgRows, sql};
use crate::rows_demo::DemoRows;

#[async_trait]
impl DemoRows for PgRows<'_> {
    async fn mark_demo(&mut self, trees: &[i64]) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::MARK_DEMO).bind(trees);
        self.execute("marking a demonstration", statement).await
    }
}
