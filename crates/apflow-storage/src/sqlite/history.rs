//! Attempts and dead letters in SQLite.

use apflow_core::{
    id::TaskId,
    store::{LetterFilter, Page, StoreError},
    time::Timestamp,
};
use async_trait::async_trait;
use sqlx::{
    Row as _,
    query::Query,
    sqlite::{Sqlite, SqliteArguments, SqliteRow},
};

use super::{decode, encode::json, reads::SqliteReads, rows::SqliteRows, sql};
use crate::history_rows::{
    AttemptRow, HistoryReads, HistoryRows, LetterRow, NewAttemptRow, NewLetterRow, attempt, letter,
};

#[async_trait]
impl HistoryRows for SqliteRows<'_> {
    fn keeps_letters(&self) -> bool {
        self.letters
    }

    async fn add_attempts(&mut self, rows: &[NewAttemptRow]) -> Result<(), StoreError> {
        let arrays: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.task,
                    row.token,
                    row.run,
                    row.attempt,
                    row.cycle,
                    &row.worker,
                    row.began,
                    row.ended,
                    row.outcome.as_str(),
                    &row.kind,
                    &row.cause,
                    row.retry_at,
                )
            })
            .collect();
        let statement = sqlx::query(sql::INSERT_ATTEMPTS).bind(json(&arrays)?);
        self.execute("storing attempts", statement).await
    }

    async fn trim_attempts(
        &mut self,
        tasks: &[i64],
        first: u32,
        newest: u32,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::TRIM_ATTEMPTS)
            .bind(json(tasks)?)
            .bind(i64::from(first))
            .bind(i64::from(newest));
        self.execute("forgetting attempts", statement).await
    }

    async fn add_letters(
        &mut self,
        rows: &[NewLetterRow],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let arrays: Vec<_> = rows
            .iter()
            .map(|row| {
                let reason = row.reason.as_str();
                (row.task, reason, &row.kind, &row.error, row.attempts, row.run)
            })
            .collect();
        let statement = sqlx::query(sql::INSERT_LETTERS).bind(json(&arrays)?).bind(now.0);
        self.execute("storing dead letters", statement).await
    }

    async fn delete_letters(&mut self, tasks: &[i64]) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::DELETE_LETTERS).bind(json(tasks)?);
        self.execute("removing dead letters", statement).await
    }

    async fn drop_letters(&mut self, ids: &[&str]) -> Result<u64, StoreError> {
        let statement = sqlx::query(sql::DROP_LETTERS).bind(json(ids)?);
        Ok(self.fetch("dropping dead letters", statement).await?.len() as u64)
    }

    async fn trim_letters(&mut self, most: u32, limit: u32) -> Result<u64, StoreError> {
        let statement = sqlx::query(sql::TRIM_LETTERS).bind(i64::from(most)).bind(i64::from(limit));
        Ok(self.fetch("dropping old dead letters", statement).await?.len() as u64)
    }
}

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Binds `$1` to `$7`.
fn filtered<'q>(text: &'static str, filter: &LetterFilter) -> Result<Statement<'q>, StoreError> {
    let ids: Vec<&str> = filter.ids.iter().map(TaskId::as_str).collect();
    let ids = if ids.is_empty() { None } else { Some(json(&ids)?) };
    Ok(sqlx::query(text)
        .bind(filter.user_id.clone())
        .bind(filter.executor.clone())
        .bind(filter.kind.clone())
        .bind(filter.reason.map(apflow_core::store::DeadReason::as_str))
        .bind(filter.since.map(|at| at.0))
        .bind(filter.before.map(|at| at.0))
        .bind(ids))
}

#[async_trait]
impl HistoryReads for SqliteReads {
    async fn attempts_of(&self, task: &str) -> Result<Vec<AttemptRow>, StoreError> {
        let statement = sqlx::query(sql::ATTEMPTS_OF).bind(task.to_owned());
        let rows = self.fetch("reading attempts", statement).await?;
        decode::all(&rows, |row: &SqliteRow| attempt!(row))
    }

    async fn letters(
        &self,
        filter: &LetterFilter,
        page: Page,
    ) -> Result<Vec<LetterRow>, StoreError> {
        let statement = filtered(sql::LIST_LETTERS, filter)?
            .bind(i64::from(page.limit))
            .bind(i64::from(page.offset));
        let rows = self.fetch("listing dead letters", statement).await?;
        decode::all(&rows, |row: &SqliteRow| letter!(row))
    }

    async fn count_letters(&self, filter: &LetterFilter) -> Result<i64, StoreError> {
        let statement = filtered(sql::COUNT_LETTERS, filter)?;
        let rows = self.fetch("counting dead letters", statement).await?;
        Ok(decode::all(&rows, |row| row.try_get(0))?.first().copied().unwrap_or(0))
    }
}
