//! Tokens and used signatures in SQLite.

use apflow_core::{
    store::{ApiToken, StoreError},
    time::Timestamp,
};
use async_trait::async_trait;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{decode, reads::SqliteReads, rows::SqliteRows, sql};
use crate::access::{AccessReads, AccessRows, token};

fn read(row: &SqliteRow) -> Result<ApiToken, sqlx::Error> {
    token!(row)
}

#[async_trait]
impl AccessRows for SqliteRows<'_> {
    async fn count_tokens(&mut self) -> Result<i64, StoreError> {
        let rows = self.fetch("counting tokens", sqlx::query(sql::COUNT_TOKENS)).await?;
        let read = decode::all(&rows, |row| row.try_get(0))?;
        Ok(read.first().copied().unwrap_or(0))
    }

    async fn insert_token(&mut self, token: &ApiToken) -> Result<bool, StoreError> {
        let statement = sqlx::query(sql::INSERT_TOKEN)
            .bind(token.id.clone())
            .bind(token.name.clone())
            .bind(token.digest.clone())
            .bind(token.user_id.clone())
            .bind(token.admin)
            .bind(token.read_only)
            .bind(token.created_at.0)
            .bind(token.expires_at.map(|at| at.0));
        Ok(!self.fetch("storing a token", statement).await?.is_empty())
    }

    async fn revoke_token(&mut self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        let statement = sqlx::query(sql::REVOKE_TOKEN).bind(id.to_owned()).bind(at.0);
        Ok(!self.fetch("taking a token back", statement).await?.is_empty())
    }

    async fn forget_token(&mut self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let statement = sqlx::query(sql::FORGET_TOKEN).bind(id.to_owned()).bind(now.0);
        Ok(!self.fetch("forgetting a token", statement).await?.is_empty())
    }

    async fn use_token(&mut self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::USE_TOKEN).bind(id.to_owned()).bind(at.0);
        self.execute("noting the use of a token", statement).await
    }

    async fn forget_seen(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::FORGET_SEEN).bind(now.0);
        self.execute("forgetting old signatures", statement).await
    }

    async fn span_of_seen(&mut self) -> Result<i64, StoreError> {
        let rows = self.fetch("counting signatures", sqlx::query(sql::SPAN_OF_SEEN)).await?;
        let read = decode::all(&rows, |row| row.try_get::<Option<i64>, _>(0))?;
        Ok(read.first().copied().flatten().unwrap_or(0))
    }

    async fn insert_seen(&mut self, mark: &str, until: Timestamp) -> Result<bool, StoreError> {
        let statement = sqlx::query(sql::INSERT_SEEN).bind(mark.to_owned()).bind(until.0);
        Ok(!self.fetch("remembering a signature", statement).await?.is_empty())
    }
}

#[async_trait]
impl AccessReads for SqliteReads {
    async fn has_tokens(&self) -> Result<bool, StoreError> {
        let rows = self.fetch("looking for tokens", sqlx::query(sql::HAS_TOKENS)).await?;
        let first = decode::all(&rows, |row| row.try_get::<Option<String>, _>(0))?;
        Ok(first.into_iter().flatten().next().is_some())
    }

    async fn token(&self, digest: &str) -> Result<Option<ApiToken>, StoreError> {
        let statement = sqlx::query(sql::FIND_TOKEN).bind(digest.to_owned());
        let rows = self.fetch("looking for a token", statement).await?;
        Ok(decode::all(&rows, read)?.into_iter().next())
    }

    async fn tokens(&self, limit: u32) -> Result<Vec<ApiToken>, StoreError> {
        let statement = sqlx::query(sql::LIST_TOKENS).bind(i64::from(limit));
        let rows = self.fetch("listing tokens", statement).await?;
        decode::all(&rows, read)
    }
}
