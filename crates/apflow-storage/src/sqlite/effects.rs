//! Tasks that come into being while their run goes on, on SQLite.

use apflow_core::store::StoreError;
use async_trait::async_trait;
use sqlx::Row as _;

use super::{decode, encode::json, rows::SqliteRows, sql};
use crate::{
    row::HotRow,
    rows::Rows as _,
    rows_effects::{EffectRows, GatheredRow, Joining, Meant, NamedRow},
    steps::edges_text,
};

#[async_trait]
impl EffectRows for SqliteRows<'_> {
    async fn join(&mut self, joining: &Joining) -> Result<(), StoreError> {
        self.insert(&joining.insert).await?;
        self.hot.join(joining);
        let needs: Vec<(i64, Option<String>)> =
            joining.needs.iter().map(|(seq, needs)| (*seq, edges_text(needs))).collect();
        if !needs.is_empty() {
            let statement = sqlx::query(sql::ADD_NEEDS).bind(json(&needs)?);
            self.execute("storing what tasks wait for", statement).await?;
        }
        let statement = sqlx::query(sql::BECOME_PARENTS).bind(json(&joining.parents)?);
        self.execute("storing spawned tasks", statement).await?;
        let statement = sqlx::query(sql::GROW_TREES).bind(json(&joining.grown)?);
        self.execute("storing spawned tasks", statement).await
    }

    async fn gathered(&mut self, spawners: &[i64]) -> Result<Vec<GatheredRow>, StoreError> {
        let statement = sqlx::query(sql::GATHERED).bind(json(spawners)?);
        let rows = self.fetch("reading spawned tasks", statement).await?;
        let read = decode::all(&rows, |row| {
            let row_of = GatheredRow {
                spawner: row.try_get(0)?,
                seq: row.try_get(1)?,
                id: row.try_get(2)?,
                state: row.try_get(3)?,
                output: row.try_get(4)?,
                error: row.try_get(6)?,
                facets: row.try_get(7)?,
            };
            Ok((row_of, row.try_get::<i64, _>(5)?))
        })?;
        let mut whole = Vec::with_capacity(read.len());
        for (mut row, parts) in read {
            if parts > 0 {
                row.output = Some(self.parts(row.seq).await?);
            }
            whole.push(row);
        }
        Ok(whole)
    }

    async fn work_of(&mut self, seqs: &[i64]) -> Result<Vec<HotRow>, StoreError> {
        if let Some(rows) = self.hot.rows_of(seqs) {
            return Ok(rows);
        }
        let statement = sqlx::query(sql::WORK_OF).bind(json(seqs)?);
        let rows = self.fetch("reading where tasks stand", statement).await?;
        decode::all(&rows, |row| decode::hot(row, 0))
    }

    async fn named(&mut self, forest: i64, meant: &Meant<'_>) -> Result<Vec<NamedRow>, StoreError> {
        let statement = sqlx::query(sql::NAMED)
            .bind(forest)
            .bind(meant.id.to_owned())
            .bind(meant.key.clone())
            .bind(meant.id.to_owned());
        let rows = self.fetch("looking for a task", statement).await?;
        decode::all(&rows, |row| {
            Ok(NamedRow { seq: row.try_get(0)?, id: row.try_get(1)?, definition: row.try_get(2)? })
        })
    }

    async fn save_needs(&mut self, needs: &[(i64, Vec<(i64, i64)>)]) -> Result<(), StoreError> {
        let seqs: Vec<i64> = needs.iter().map(|(seq, _)| *seq).collect();
        self.hot.touch(&seqs);
        let needs: Vec<(i64, Option<String>)> =
            needs.iter().map(|(seq, needs)| (*seq, edges_text(needs))).collect();
        let statement = sqlx::query(sql::SAVE_NEEDS).bind(json(&needs)?);
        self.execute("storing what tasks wait for", statement).await
    }
}
