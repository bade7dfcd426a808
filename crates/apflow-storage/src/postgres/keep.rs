//! Checkpoints on PostgreSQL.

use apflow_core::{store::StoreError, time::Timestamp};
use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow};

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
}
