//! Links, archives and keys in a transaction on SQLite.

use apflow_core::{store::StoreError, time::Timestamp};
use async_trait::async_trait;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{decode, encode::json, rows::SqliteRows, sql};
use crate::{
    derive_rows::{DeriveRows, OriginalRow, SourceRow},
    rows::NewKeyRow,
};

fn source(row: &SqliteRow) -> Result<SourceRow, sqlx::Error> {
    let original: Option<i64> = row.try_get(6)?;
    Ok(SourceRow {
        seq: row.try_get(0)?,
        id: row.try_get(1)?,
        tree: row.try_get(2)?,
        parent: row.try_get(3)?,
        definition: row.try_get(4)?,
        state: row.try_get(5)?,
        original: match original {
            None => None,
            Some(seq) => Some(OriginalRow {
                seq,
                id: row.try_get(7)?,
                forest: row.try_get(8)?,
                definition: row.try_get(9)?,
            }),
        },
        facets: row.try_get(10)?,
    })
}

#[async_trait]
impl DeriveRows for SqliteRows<'_> {
    async fn hold(&mut self, _: &[i64]) -> Result<(), StoreError> {
        // There is one writer, and this is it.
        Ok(())
    }

    async fn linked_forests(&mut self, forest: i64) -> Result<Vec<i64>, StoreError> {
        let statement = sqlx::query(sql::LINKED_FORESTS).bind(forest);
        let rows = self.fetch("looking for links", statement).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn sources(&mut self, forest: i64) -> Result<Vec<SourceRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_SOURCES).bind(forest);
        decode::all(&self.fetch("reading a submission", statement).await?, source)
    }

    async fn save_links(
        &mut self,
        links: &[(i64, i64)],
        originals: &[i64],
        forest: i64,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::SAVE_LINKS).bind(json(links)?);
        self.execute("storing links", statement).await?;
        let statement = sqlx::query(sql::INSERT_REFERENCES).bind(json(originals)?).bind(forest);
        self.execute("storing links", statement).await
    }

    async fn archive(&mut self, tasks: &[(i64, String)]) -> Result<(), StoreError> {
        let seqs: Vec<i64> = tasks.iter().map(|(seq, _)| *seq).collect();
        self.hot.touch(&seqs);
        let statement = sqlx::query(sql::ARCHIVE_TASKS).bind(json(tasks)?);
        self.execute("archiving tasks", statement).await
    }

    async fn linked(&mut self, seqs: &[i64]) -> Result<Vec<i64>, StoreError> {
        let statement = sqlx::query(sql::LINKED_TASKS).bind(json(seqs)?);
        let rows = self.fetch("looking for links", statement).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn is_referenced(&mut self, forest: i64) -> Result<bool, StoreError> {
        let statement = sqlx::query(sql::IS_REFERENCED).bind(forest);
        Ok(!self.fetch("looking for links", statement).await?.is_empty())
    }

    async fn unfinished_original(&mut self, forest: i64) -> Result<Option<String>, StoreError> {
        let statement = sqlx::query(sql::UNFINISHED_ORIGINALS).bind(forest);
        let rows = self.fetch("looking for originals", statement).await?;
        Ok(decode::all(&rows, |row| row.try_get(0))?.into_iter().next())
    }

    async fn running_reader(
        &mut self,
        forest: i64,
        seqs: &[i64],
    ) -> Result<Option<String>, StoreError> {
        let statement = sqlx::query(sql::RUNNING_READERS).bind(forest).bind(json(seqs)?);
        let rows = self.fetch("looking for readers", statement).await?;
        Ok(decode::all(&rows, |row| row.try_get(0))?.into_iter().next())
    }

    async fn forget_references(&mut self, forests: &[i64]) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::DELETE_REFERENCES).bind(json(forests)?);
        self.execute("forgetting links", statement).await
    }

    async fn save_key(&mut self, key: &NewKeyRow, now: Timestamp) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::INSERT_KEY)
            .bind(key.owner.clone())
            .bind(key.key.clone())
            .bind(key.digest.clone())
            .bind(key.trees.clone())
            .bind(now.0);
        self.execute("storing an idempotency key", statement).await
    }

    async fn forget_keys(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let statement = sqlx::query(sql::FORGET_KEYS).bind(before.0).bind(i64::from(limit));
        Ok(self.fetch("forgetting idempotency keys", statement).await?.len() as u64)
    }
}
