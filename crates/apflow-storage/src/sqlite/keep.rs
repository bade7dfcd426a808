//! Checkpoints on SQLite.

use apflow_core::{store::StoreError, time::Timestamp};
use async_trait::async_trait;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{decode, encode::json, reads::SqliteReads, rows::SqliteRows, sql};
use crate::rows_keep::{CheckpointRow, KeepReads, KeepRow, KeepRows, checkpoint, checkpoint_name};

fn read(row: &SqliteRow) -> Result<CheckpointRow, sqlx::Error> {
    checkpoint!(row)
}

fn read_name(row: &SqliteRow) -> Result<CheckpointRow, sqlx::Error> {
    checkpoint_name!(row)
}

#[async_trait]
impl KeepRows for SqliteRows<'_> {
    async fn keep_checkpoints(
        &mut self,
        rows: &[KeepRow],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let each: Vec<_> =
            rows.iter().map(|row| (row.task, row.attempt, &row.step, &row.value)).collect();
        let statement = sqlx::query(sql::KEEP_CHECKPOINTS).bind(json(&each)?).bind(now.0);
        self.execute("storing checkpoints", statement).await
    }

    async fn checkpoints(&mut self, tasks: &[i64]) -> Result<Vec<CheckpointRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_CHECKPOINTS).bind(json(tasks)?);
        decode::all(&self.fetch("reading checkpoints", statement).await?, read)
    }

    async fn delete_checkpoints(&mut self, tasks: &[i64]) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::DELETE_CHECKPOINTS).bind(json(tasks)?);
        self.execute("forgetting checkpoints", statement).await
    }
}

#[async_trait]
impl KeepReads for SqliteReads {
    async fn checkpoint(&self, task: i64) -> Result<Option<CheckpointRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_CHECKPOINTS).bind(json(&[task])?);
        let rows = self.fetch("reading a checkpoint", statement).await?;
        Ok(decode::all(&rows, read)?.into_iter().next())
    }

    async fn checkpoint_names(&self, tasks: &[i64]) -> Result<Vec<CheckpointRow>, StoreError> {
        let statement = sqlx::query(sql::NAME_CHECKPOINTS).bind(json(tasks)?);
        decode::all(&self.fetch("looking for checkpoints", statement).await?, read_name)
    }
}
