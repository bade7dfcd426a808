//! Waits and events on SQLite.

use apflow_core::{
    store::{Page, Publish, StoreError, WaitFilter},
    time::Timestamp,
};
use async_trait::async_trait;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{decode, encode::json, reads::SqliteReads, rows::SqliteRows, sql};
use crate::rows_waits::{
    AnswerRow, FoundWait, LookBack, NewWaitRow, WaitChange, WaitReads, WaitRow, WaitRows,
    answer_row, found_wait, wait_row,
};

fn found(row: &SqliteRow) -> Result<FoundWait, sqlx::Error> {
    found_wait!(row)
}

fn read(row: &SqliteRow) -> Result<WaitRow, sqlx::Error> {
    wait_row!(row)
}

#[async_trait]
impl WaitRows for SqliteRows<'_> {
    async fn save_waits(
        &mut self,
        new: &[NewWaitRow],
        changes: &[WaitChange],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !new.is_empty() {
            let statement = sqlx::query(sql::INSERT_WAITS).bind(json(&new)?).bind(now.0);
            self.execute("storing what tasks wait for", statement).await?;
        }
        if !changes.is_empty() {
            let statement = sqlx::query(sql::CHANGE_WAITS).bind(json(&changes)?).bind(now.0);
            self.execute("storing how waits end", statement).await?;
        }
        Ok(())
    }

    async fn find_wait(&mut self, id: &str) -> Result<Option<FoundWait>, StoreError> {
        let statement = sqlx::query(sql::FIND_WAIT).bind(id.to_owned());
        let rows = self.fetch("looking for a wait", statement).await?;
        Ok(decode::all(&rows, found)?.into_iter().next())
    }

    async fn answers(&mut self, tasks: &[i64]) -> Result<Vec<AnswerRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_ANSWERS).bind(json(tasks)?);
        let rows = self.fetch("reading what came", statement).await?;
        decode::all(&rows, |row| answer_row!(row))
    }

    async fn hold_topics(&mut self, _: &[&str]) -> Result<(), StoreError> {
        // There is one writer, and this is it.
        Ok(())
    }

    async fn waits_on_topic(&mut self, topic: &str) -> Result<Vec<FoundWait>, StoreError> {
        let statement = sqlx::query(sql::WAITS_ON_TOPIC).bind(topic.to_owned());
        let rows = self.fetch("looking for who waits for an event", statement).await?;
        decode::all(&rows, found)
    }

    async fn waits_on_trees(&mut self, trees: &[i64]) -> Result<Vec<(i64, FoundWait)>, StoreError> {
        let statement = sqlx::query(sql::WAITS_ON_TREES).bind(json(trees)?);
        let rows = self.fetch("looking for who waits for a run", statement).await?;
        decode::all(&rows, |row| Ok((row.try_get(6)?, found(row)?)))
    }

    async fn find_published(
        &mut self,
        topic: &str,
        key: &str,
    ) -> Result<Option<String>, StoreError> {
        let statement =
            sqlx::query(sql::FIND_PUBLISHED).bind(topic.to_owned()).bind(key.to_owned());
        let rows = self.fetch("looking for an event", statement).await?;
        Ok(decode::all(&rows, |row| row.try_get(0))?.into_iter().next())
    }

    async fn publish(
        &mut self,
        event: &Publish,
        now: Timestamp,
        oldest: Timestamp,
        most: u32,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::INSERT_PUBLISHED)
            .bind(event.id.clone())
            .bind(event.topic.clone())
            .bind(event.key.clone())
            .bind(event.payload.to_string())
            .bind(event.user_id.clone())
            .bind(now.0);
        self.execute("keeping an event", statement).await?;
        let statement = sqlx::query(sql::TRIM_PUBLISHED).bind(oldest.0).bind(i64::from(most));
        self.execute("forgetting old events", statement).await
    }

    async fn look_back(&mut self, look: LookBack<'_>) -> Result<Vec<(String, String)>, StoreError> {
        let statement = sqlx::query(sql::LOOK_BACK)
            .bind(look.task)
            .bind(look.topic.to_owned())
            .bind(look.since.0)
            .bind(look.run);
        let rows = self.fetch("looking back for events", statement).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))
    }

    async fn find_trees(&mut self, ids: &[&str]) -> Result<Vec<(String, i64, i64)>, StoreError> {
        let statement = sqlx::query(sql::FIND_TREES).bind(json(ids)?);
        let rows = self.fetch("looking for trees", statement).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
    }

    async fn forests_of(&mut self, tasks: &[i64]) -> Result<Vec<i64>, StoreError> {
        let statement = sqlx::query(sql::FORESTS_OF).bind(json(tasks)?);
        let rows = self.fetch("looking for submissions", statement).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn mark_trees(&mut self, marks: &[(i64, bool, bool)]) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::MARK_TREES).bind(json(marks)?);
        self.execute("marking trees", statement).await
    }
}

#[async_trait]
impl WaitReads for SqliteReads {
    async fn wait(&self, id: &str) -> Result<Option<WaitRow>, StoreError> {
        let statement = sqlx::query(sql::READ_WAIT).bind(id.to_owned());
        let rows = self.fetch("reading a wait", statement).await?;
        Ok(decode::all(&rows, read)?.into_iter().next())
    }

    async fn waits(&self, filter: &WaitFilter, page: Page) -> Result<Vec<WaitRow>, StoreError> {
        let text = if filter.state.is_some() { sql::LIST_WAITS } else { sql::LIST_OPEN_WAITS };
        let mut statement = sqlx::query(text)
            .bind(filter.what.map(apflow_core::task::WaitFor::as_str))
            .bind(filter.task.as_ref().map(|task| task.as_str().to_owned()))
            .bind(filter.tree.as_ref().map(|tree| tree.as_str().to_owned()))
            .bind(filter.user_id.clone())
            .bind(i64::from(page.limit))
            .bind(i64::from(page.offset));
        if let Some(state) = filter.state {
            statement = statement.bind(state.as_str());
        }
        let rows = self.fetch("listing waits", statement).await?;
        decode::all(&rows, read)
    }
}
