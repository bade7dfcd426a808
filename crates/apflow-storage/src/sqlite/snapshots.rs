//! Snapshots and whole submissions on SQLite.

use apflow_core::store::StoreError;
use async_trait::async_trait;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{decode, encode::json, rows::SqliteRows, sql};
use crate::rows_snapshot::{
    NewSnapshotRow, PortableRow, PortableTreeRow, SnapshotRow, SnapshotRows, portable_task,
    portable_tree, snapshot,
};

fn task(row: &SqliteRow) -> Result<(PortableRow, i64), sqlx::Error> {
    portable_task!(row, decode::hot(row, 0)?)
}

fn tree(row: &SqliteRow) -> Result<PortableTreeRow, sqlx::Error> {
    portable_tree!(row)
}

fn listed(row: &SqliteRow) -> Result<SnapshotRow, sqlx::Error> {
    snapshot!(row, false)
}

fn whole(row: &SqliteRow) -> Result<SnapshotRow, sqlx::Error> {
    snapshot!(row, true)
}

#[async_trait]
impl SnapshotRows for SqliteRows<'_> {
    async fn portable_trees(&mut self, forest: i64) -> Result<Vec<PortableTreeRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_PORTABLE_TREES).bind(forest);
        decode::all(&self.fetch("reading trees", statement).await?, tree)
    }

    async fn portable_tasks(&mut self, forest: i64) -> Result<Vec<PortableRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_PORTABLE).bind(forest);
        let rows = self.fetch("reading a submission", statement).await?;
        let mut tasks = Vec::with_capacity(rows.len());
        for (mut task, parts) in decode::all(&rows, task)? {
            if parts > 0 {
                let statement = sqlx::query(sql::LOAD_PARTS).bind(task.hot.seq);
                let rows = self.fetch("reading a large result", statement).await?;
                let bodies = decode::all(&rows, |row| row.try_get::<String, _>(0))?;
                task.output = Some(bodies.concat());
            }
            tasks.push(task);
        }
        Ok(tasks)
    }

    async fn next_forests(&mut self, after: i64, limit: u32) -> Result<Vec<i64>, StoreError> {
        let statement = sqlx::query(sql::NEXT_FORESTS).bind(after).bind(i64::from(limit));
        let rows = self.fetch("looking for submissions", statement).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn adopt_times(&mut self, times: &[(i64, i64)]) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::ADOPT_TIMES).bind(json(times)?);
        self.execute("storing times", statement).await
    }

    async fn save_snapshot(&mut self, row: &NewSnapshotRow, keep: u32) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::SAVE_SNAPSHOT)
            .bind(row.forest)
            .bind(row.name.clone())
            .bind(row.tree)
            .bind(row.note.clone())
            .bind(row.tasks)
            .bind(row.bytes)
            .bind(row.body.clone())
            .bind(row.at);
        self.execute("storing a snapshot", statement).await?;
        let statement = sqlx::query(sql::TRIM_SNAPSHOTS).bind(row.forest).bind(i64::from(keep));
        self.execute("forgetting old snapshots", statement).await
    }

    async fn snapshots(&mut self, forest: i64) -> Result<Vec<SnapshotRow>, StoreError> {
        let statement = sqlx::query(sql::LIST_SNAPSHOTS).bind(forest);
        decode::all(&self.fetch("listing snapshots", statement).await?, listed)
    }

    async fn snapshot(
        &mut self,
        forest: i64,
        name: &str,
    ) -> Result<Option<SnapshotRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_SNAPSHOT).bind(forest).bind(name.to_owned());
        let rows = self.fetch("reading a snapshot", statement).await?;
        Ok(decode::all(&rows, whole)?.into_iter().next())
    }

    async fn delete_snapshot(&mut self, forest: i64, name: &str) -> Result<bool, StoreError> {
        let statement = sqlx::query(sql::DELETE_SNAPSHOT).bind(forest).bind(name.to_owned());
        Ok(!self.fetch("forgetting a snapshot", statement).await?.is_empty())
    }
}
