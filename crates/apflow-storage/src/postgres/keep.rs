//! Checkpoints on PostgreSQL.

use apflow_core::{
    store::{StoreError, StoreStats, TableStats},
    time::Timestamp,
};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row as _, postgres::PgRow};

use super::{decode, encode::columns, reads::PgReads, rows::PgRows, sql};
use crate::rows_keep::{CheckpointRow, KeepReads, KeepRow, KeepRows, checkpoint, checkpoint_name};

fn read(row: &PgRow) -> Result<CheckpointRow, sqlx::Error> {
    checkpoint!(row)
}

fn read_name(row: &PgRow) -> Result<CheckpointRow, sqlx::Error> {
    checkpoint_name!(row)
}

#[async_trait]
impl KeepRows for PgRows<'_> {
    async fn keep_checkpoints(
        &mut self,
        rows: &[KeepRow],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::KEEP_CHECKPOINTS);
        columns!(statement, rows, row =>
            i64: row.task,
            i64: row.attempt,
            Option<&str>: row.step.as_deref(),
            &str: row.value.as_str(),
        );
        self.execute("storing checkpoints", statement.bind(now.0)).await
    }

    async fn checkpoints(&mut self, tasks: &[i64]) -> Result<Vec<CheckpointRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_CHECKPOINTS).bind(tasks);
        decode::all(&self.fetch("reading checkpoints", statement).await?, read)
    }

    async fn delete_checkpoints(&mut self, tasks: &[i64]) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::DELETE_CHECKPOINTS).bind(tasks);
        self.execute("forgetting checkpoints", statement).await
    }
}

#[async_trait]
impl KeepReads for PgReads {
    async fn checkpoint(&self, task: i64) -> Result<Option<CheckpointRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_CHECKPOINTS).bind(vec![task]);
        let rows = self.fetch("reading a checkpoint", statement).await?;
        Ok(decode::all(&rows, read)?.into_iter().next())
    }

    async fn checkpoint_names(&self, tasks: &[i64]) -> Result<Vec<CheckpointRow>, StoreError> {
        let statement = sqlx::query(sql::NAME_CHECKPOINTS).bind(tasks);
        decode::all(&self.fetch("looking for checkpoints", statement).await?, read_name)
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        let rows = self.fetch("measuring the database", sqlx::query(sql::FILE_SIZE)).await?;
        let (bytes, free) = decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))?
            .pop()
            .unwrap_or_default();
        let mut tables = Vec::new();
        for name in self.table_names().await? {
            let text = format!("SELECT count(*) FROM {name}"); // tidy: sql because the tables are found, not known
            let rows = self.fetch("counting rows", sqlx::query(AssertSqlSafe(text))).await?;
            let rows: i64 = decode::all(&rows, |row| row.try_get(0))?.pop().unwrap_or(0);
            tables.push(TableStats { name, rows: u64::try_from(rows).unwrap_or(0) });
        }
        let whole = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(StoreStats { bytes: whole(bytes), free_bytes: whole(free), tables })
    }

    async fn vacuum(&self) -> Result<(), StoreError> {
        let tables = self.table_names().await?.join(", ");
        let text = format!("VACUUM (ANALYZE) {tables}"); // tidy: sql because the tables are found, not known
        self.fetch("giving room back", sqlx::query(AssertSqlSafe(text))).await?;
        Ok(())
    }

    async fn copy_into(&self, _: &str) -> Result<(), StoreError> {
        Err(StoreError::NotOffered { what: "copies of a file: take one with `pg_dump`" })
    }
}

impl PgReads {
    /// The tables there are; their names are apflow's own, so they can stand in a statement.
    async fn table_names(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.fetch("looking for tables", sqlx::query(sql::TABLE_NAMES)).await?;
        decode::all(&rows, |row| row.try_get(0))
    }
}
