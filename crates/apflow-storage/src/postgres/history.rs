//! Attempts and dead letters in PostgreSQL.

use apflow_core::{
    id::TaskId,
    store::{LetterFilter, Page, StoreError},
    time::Timestamp,
};
use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow};

use super::{
    decode,
    encode::{Statement, columns},
    reads::PgReads,
    rows::PgRows,
    sql,
};
use crate::history_rows::{
    AttemptRow, HistoryReads, HistoryRows, LetterRow, NewAttemptRow, NewLetterRow, attempt, letter,
};

#[async_trait]
impl HistoryRows for PgRows<'_> {
    fn keeps_letters(&self) -> bool {
        self.writer.letters
    }

    async fn add_attempts(&mut self, rows: &[NewAttemptRow]) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::INSERT_ATTEMPTS);
        columns!(statement, rows, row =>
            i64: row.task,
            i64: row.token,
            i64: row.run,
            i64: row.attempt,
            i64: row.cycle,
            &str: row.worker.as_str(),
            Option<i64>: row.began,
            i64: row.ended,
            &'static str: row.outcome.as_str(),
            Option<&str>: row.kind.as_deref(),
            Option<&str>: row.cause.as_deref(),
            Option<i64>: row.retry_at,
        );
        self.execute("storing attempts", statement).await
    }

    async fn trim_attempts(
        &mut self,
        tasks: &[i64],
        first: u32,
        newest: u32,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::TRIM_ATTEMPTS)
            .bind(tasks)
            .bind(i64::from(first))
            .bind(i64::from(newest));
        self.execute("forgetting attempts", statement).await
    }

    async fn add_letters(
        &mut self,
        rows: &[NewLetterRow],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::INSERT_LETTERS);
        columns!(statement, rows, row =>
            i64: row.task,
            &'static str: row.reason.as_str(),
            &str: row.kind.as_str(),
            &str: row.error.as_str(),
            i64: row.attempts,
            i64: row.run,
        );
        let statement = statement.bind(now.0);
        self.execute("storing dead letters", statement).await
    }

    async fn delete_letters(&mut self, tasks: &[i64]) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::DELETE_LETTERS).bind(tasks);
        self.execute("removing dead letters", statement).await
    }

    async fn drop_letters(&mut self, ids: &[&str]) -> Result<u64, StoreError> {
        let statement = sqlx::query(sql::DROP_LETTERS).bind(ids);
        Ok(self.fetch("dropping dead letters", statement).await?.len() as u64)
    }

    async fn trim_letters(&mut self, most: u32, limit: u32) -> Result<u64, StoreError> {
        let statement = sqlx::query(sql::TRIM_LETTERS).bind(i64::from(most)).bind(i64::from(limit));
        Ok(self.fetch("dropping old dead letters", statement).await?.len() as u64)
    }
}

/// Binds `$1` to `$7`.
fn filtered<'q>(text: &'static str, filter: &'q LetterFilter) -> Statement<'q> {
    let ids: Vec<&str> = filter.ids.iter().map(TaskId::as_str).collect();
    sqlx::query(text)
        .bind(filter.user_id.as_deref())
        .bind(filter.executor.as_deref())
        .bind(filter.kind.as_deref())
        .bind(filter.reason.map(apflow_core::store::DeadReason::as_str))
        .bind(filter.since.map(|at| at.0))
        .bind(filter.before.map(|at| at.0))
        .bind((!ids.is_empty()).then_some(ids))
}

#[async_trait]
impl HistoryReads for PgReads {
    async fn attempts_of(&self, task: &str) -> Result<Vec<AttemptRow>, StoreError> {
        let statement = sqlx::query(sql::ATTEMPTS_OF).bind(task);
        let rows = self.fetch("reading attempts", statement).await?;
        decode::all(&rows, |row: &PgRow| attempt!(row))
    }

    async fn letters(
        &self,
        filter: &LetterFilter,
        page: Page,
    ) -> Result<Vec<LetterRow>, StoreError> {
        let statement = filtered(sql::LIST_LETTERS, filter)
            .bind(i64::from(page.limit))
            .bind(i64::from(page.offset));
        let rows = self.fetch("listing dead letters", statement).await?;
        decode::all(&rows, |row: &PgRow| letter!(row))
    }

    async fn count_letters(&self, filter: &LetterFilter) -> Result<i64, StoreError> {
        let statement = filtered(sql::COUNT_LETTERS, filter);
        let rows = self.fetch("counting dead letters", statement).await?;
        Ok(decode::all(&rows, |row| row.try_get(0))?.first().copied().unwrap_or(0))
    }
}
