//! Checkpoints on SQLite.

use apflow_core::{
    store::{StoreError, StoreStats, TableStats},
    time::Timestamp,
};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{decode, encode::json, reads::SqliteReads, rows::SqliteRows, sql};
use crate::{
    error::from_sqlx,
    rows_keep::{CheckpointRow, KeepReads, KeepRow, KeepRows, checkpoint, checkpoint_name},
};

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

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        let rows = self.fetch("measuring the file", sqlx::query(sql::FILE_SIZE)).await?;
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
        let text = "VACUUM"; // tidy: sql because it is one word about the file
        self.look_after("giving room back", text, None).await
    }

    async fn copy_into(&self, path: &str) -> Result<(), StoreError> {
        let text = "VACUUM INTO ?1"; // tidy: sql because it is one word about the file
        self.look_after("copying the file", text, Some(path)).await
    }
}

impl SqliteReads {
    /// The tables there are; their names are apflow's own, so they can stand in a statement.
    async fn table_names(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.fetch("looking for tables", sqlx::query(sql::TABLE_NAMES)).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    /// Runs a statement about the whole file on a connection of its own that may write.
    async fn look_after(
        &self,
        what: &str,
        text: &'static str,
        path: Option<&str>,
    ) -> Result<(), StoreError> {
        let statement = || match path {
            Some(path) => sqlx::query(text).bind(path.to_owned()),
            None => sqlx::query(text),
        };
        let done = match self {
            Self::Shared(connection) => {
                let mut connection = connection.lock().await;
                statement().execute(&mut *connection).await
            }
            Self::Pool(pool) => {
                let options = pool.connect_options().as_ref().clone().read_only(false);
                match SqliteConnection::connect_with(&options).await {
                    Ok(mut connection) => {
                        let done = statement().execute(&mut connection).await;
                        // What was asked for is done or not; closing changes neither.
                        let _ = connection.close().await;
                        done
                    }
                    Err(error) => Err(error),
                }
            }
        };
        done.map(drop).map_err(|error| from_sqlx(what, error))
    }
}
