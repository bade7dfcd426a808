//! Reading from SQLite: past the writer for a file, between its transactions for a database in memory.

use std::{collections::HashSet, sync::Arc};

use apflow_core::store::{Page, StoreError, TaskFilter};
use async_trait::async_trait;
use sqlx::{
    Row as _, SqliteConnection, SqlitePool,
    query::Query,
    sqlite::{Sqlite, SqliteArguments, SqliteRow},
};
use tokio::sync::Mutex;

use super::{decode, encode::json, sql};
use crate::{
    committer::IsDead,
    error::from_sqlx,
    read::{CallbackRow, EventRow, Reads, ToldRow, states},
    row::{RecordRow, RunRow},
};

/// Where reads go.
pub(crate) enum SqliteReads {
    /// Connections of their own.
    Pool(SqlitePool),
    /// The writer's: a database in memory has no other.
    Shared(Arc<Mutex<SqliteConnection>>),
}

impl SqliteReads {
    pub(super) fn pool(pool: SqlitePool) -> Self {
        Self::Pool(pool)
    }

    pub(super) fn shared(connection: Arc<Mutex<SqliteConnection>>) -> Self {
        Self::Shared(connection)
    }

    pub(super) async fn fetch(
        &self,
        what: &str,
        statement: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let rows = match self {
            Self::Pool(pool) => statement.fetch_all(pool).await,
            Self::Shared(connection) => {
                let mut connection = connection.lock().await;
                statement.fetch_all(&mut *connection).await
            }
        };
        rows.map_err(|error| from_sqlx(what, error))
    }

    pub(super) async fn records(
        &self,
        statement: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<Vec<RecordRow>, StoreError> {
        let rows = self.fetch("reading tasks", statement).await?;
        let mut records = Vec::with_capacity(rows.len());
        for (mut record, parts) in decode::all(&rows, decode::record)? {
            if parts > 0 {
                let statement = sqlx::query(sql::LOAD_PARTS).bind(record.output_of);
                let rows = self.fetch("reading a large result", statement).await?;
                let bodies = decode::all(&rows, |row| row.try_get::<String, _>(0))?;
                record.output = Some(bodies.concat());
            }
            records.push(record);
        }
        Ok(records)
    }

    async fn run(
        &self,
        statement: Query<'_, Sqlite, SqliteArguments>,
    ) -> Result<Option<RunRow>, StoreError> {
        let rows = self.fetch("reading a tree", statement).await?;
        Ok(decode::all(&rows, decode::run)?.into_iter().next())
    }
}

fn filtered<'q>(
    text: &'static str,
    filter: &TaskFilter,
) -> Result<Query<'q, Sqlite, SqliteArguments>, StoreError> {
    let states = states(filter).map(|states| json(&states)).transpose()?;
    let ids = if filter.ids.is_empty() { None } else { Some(json(&filter.ids)?) };
    Ok(sqlx::query(text)
        .bind(filter.user_id.clone())
        .bind(states)
        .bind(filter.root_only)
        .bind(filter.parent_id.as_ref().map(|id| id.as_str().to_owned()))
        .bind(filter.tree_id.as_ref().map(|id| id.as_str().to_owned()))
        .bind(ids))
}

fn event(row: &SqliteRow) -> Result<EventRow, sqlx::Error> {
    Ok(EventRow {
        seq: row.try_get(0)?,
        tree: row.try_get(1)?,
        task: row.try_get(2)?,
        kind: row.try_get(3)?,
        attempt: row.try_get(4)?,
        at: row.try_get(5)?,
        detail: row.try_get(6)?,
    })
}

#[async_trait]
impl Reads for SqliteReads {
    async fn record(&self, id: &str) -> Result<Option<RecordRow>, StoreError> {
        let statement = sqlx::query(sql::RECORD).bind(id.to_owned());
        Ok(self.records(statement).await?.into_iter().next())
    }

    async fn subtree(&self, root: &str) -> Result<Vec<RecordRow>, StoreError> {
        self.records(sqlx::query(sql::SUBTREE).bind(root.to_owned())).await
    }

    async fn children(&self, parent: &str, page: Page) -> Result<Vec<RecordRow>, StoreError> {
        let statement = sqlx::query(sql::CHILDREN)
            .bind(parent.to_owned())
            .bind(i64::from(page.limit))
            .bind(i64::from(page.offset));
        self.records(statement).await
    }

    async fn list(&self, filter: &TaskFilter, page: Page) -> Result<Vec<RecordRow>, StoreError> {
        let text = if filter.user_id.is_some() { sql::LIST_TASKS_OF_USER } else { sql::LIST_TASKS };
        let statement =
            filtered(text, filter)?.bind(i64::from(page.limit)).bind(i64::from(page.offset));
        self.records(statement).await
    }

    async fn ids_in_range(
        &self,
        from: &str,
        below: &str,
        user_id: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let statement = sqlx::query(sql::IDS_IN_RANGE)
            .bind(from.to_owned())
            .bind(below.to_owned())
            .bind(user_id.map(str::to_owned))
            .bind(i64::from(limit));
        let rows = self.fetch("looking for ids", statement).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn count(&self, filter: &TaskFilter) -> Result<Vec<(String, i64)>, StoreError> {
        let of_user = filter.user_id.is_some();
        let text = if of_user { sql::COUNT_TASKS_OF_USER } else { sql::COUNT_TASKS };
        let rows = self.fetch("counting tasks", filtered(text, filter)?).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))
    }

    async fn needs_of(&self, seq: i64) -> Result<Vec<(String, i64, String)>, StoreError> {
        let rows = self.fetch("reading needs", sqlx::query(sql::NEEDS_OF).bind(seq)).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
    }

    async fn run_of_task(&self, task: &str) -> Result<Option<RunRow>, StoreError> {
        self.run(sqlx::query(sql::RUN_OF_TASK).bind(task.to_owned())).await
    }

    async fn run_of_tree(&self, tree: &str) -> Result<Option<RunRow>, StoreError> {
        self.run(sqlx::query(sql::RUN_OF_TREE).bind(tree.to_owned())).await
    }

    async fn troubled(
        &self,
        tree: i64,
        since: i64,
        limit: u32,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let statement = sqlx::query(sql::TROUBLED).bind(tree).bind(since).bind(i64::from(limit));
        let rows = self.fetch("reading failed tasks", statement).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))
    }

    async fn events(
        &self,
        tree: Option<&str>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<EventRow>, StoreError> {
        let text = if tree.is_some() { sql::EVENTS_OF_TREE } else { sql::EVENTS };
        let mut statement = sqlx::query(text).bind(after).bind(i64::from(limit));
        if let Some(tree) = tree {
            statement = statement.bind(tree.to_owned());
        }
        let rows = self.fetch("reading events", statement).await?;
        decode::all(&rows, event)
    }

    async fn told(
        &self,
        tree: Option<&str>,
        after: i64,
        limit: u32,
        result_bytes: u32,
    ) -> Result<Vec<ToldRow>, StoreError> {
        let text = if tree.is_some() { sql::TOLD_OF_TREE } else { sql::TOLD };
        let mut statement =
            sqlx::query(text).bind(after).bind(i64::from(limit)).bind(i64::from(result_bytes));
        if let Some(tree) = tree {
            statement = statement.bind(tree.to_owned());
        }
        let rows = self.fetch("reading events", statement).await?;
        decode::all(&rows, |row| {
            Ok(ToldRow {
                event: event(row)?,
                root: row.try_get(7)?,
                owner: row.try_get(8)?,
                result: row.try_get(9)?,
                too_large: row.try_get::<Option<bool>, _>(10)?.unwrap_or(false),
            })
        })
    }

    async fn set_aside(&self) -> Result<Vec<(String, String, String)>, StoreError> {
        let rows =
            self.fetch("reading rows that were set aside", sqlx::query(sql::SET_ASIDE)).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
    }

    async fn callbacks_of(&self, tree: &str) -> Result<Vec<CallbackRow>, StoreError> {
        let statement = sqlx::query(sql::CALLBACKS_OF).bind(tree.to_owned());
        let rows = self.fetch("reading callbacks", statement).await?;
        decode::all(&rows, |row| {
            Ok(CallbackRow {
                id: row.try_get(0)?,
                state: row.try_get(1)?,
                position: row.try_get(2)?,
                attempts: row.try_get(3)?,
                delivered: row.try_get(4)?,
                given_up: row.try_get(5)?,
                note: row.try_get(6)?,
            })
        })
    }

    async fn dead_holders(&self, known: &[String]) -> Result<IsDead, StoreError> {
        self.dead(known).await
    }

    async fn dead(&self, known: &[String]) -> Result<IsDead, StoreError> {
        // The file belongs to this process; whoever else held a task in it is gone.
        let alive: HashSet<String> = known.iter().cloned().collect();
        Ok(Arc::new(move |worker| !alive.contains(worker)))
    }
}
