//! Reading from PostgreSQL, past the transactions.

use std::{collections::HashSet, sync::Arc, time::Duration};

use apflow_core::store::{Page, StoreError, TaskFilter};
use async_trait::async_trait;
use sqlx::{PgPool, Row as _, postgres::PgRow};

use super::{decode, encode::Statement, session::Session, sql};
use crate::{
    committer::IsDead,
    error::from_sqlx,
    read::{CallbackRow, EventRow, Reads, ToldRow, states},
    row::{RecordRow, RunRow},
};

/// How often, and how many times, events are looked for again that an open transaction may still
/// precede. It commits within milliseconds; after the last time they are left for later.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const LOOKS: u32 = 250;

/// Where reads go.
pub(crate) struct PgReads {
    pool: PgPool,
    session: Session,
}

impl PgReads {
    pub(super) fn new(pool: PgPool, session: Session) -> Self {
        Self { pool, session }
    }

    pub(super) async fn fetch(
        &self,
        what: &str,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>, StoreError> {
        statement.fetch_all(&self.pool).await.map_err(|error| from_sqlx(what, error))
    }

    pub(super) async fn records(
        &self,
        statement: Statement<'_>,
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

    async fn run(&self, statement: Statement<'_>) -> Result<Option<RunRow>, StoreError> {
        let rows = self.fetch("reading a tree", statement).await?;
        Ok(decode::all(&rows, decode::run)?.into_iter().next())
    }

    /// Reads events, none of which another one may still precede.
    async fn journal<'q, T>(
        &self,
        ask: impl Fn() -> Statement<'q>,
        decode: fn(&PgRow) -> Result<T, sqlx::Error>,
        seq: fn(&T) -> i64,
    ) -> Result<Vec<T>, StoreError> {
        // What is there at the first look is waited for, what comes meanwhile is not.
        let mut last_wanted = None;
        for look in 0.. {
            // First the bound, then the events: all below it were committed by then.
            let bound = self.bound().await?;
            let rows = self.fetch("reading events", ask()).await?;
            let mut events = decode::all(&rows, decode)?;
            let last = *last_wanted.get_or_insert(events.last().map_or(0, seq));
            if last < bound || look == LOOKS {
                events.retain(|event| seq(event) < bound);
                return Ok(events);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(Vec::new())
    }

    /// The number that no event that is still to come can be below.
    async fn bound(&self) -> Result<i64, StoreError> {
        let rows = self.fetch("reading events", sqlx::query(sql::EVENTS_BOUND)).await?;
        let read = decode::all(&rows, |row| {
            let (next, low): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
            Ok(low.map_or(next, |low| low.min(next)))
        })?;
        Ok(read.first().copied().unwrap_or(0))
    }
}

fn filtered<'q>(text: &'static str, filter: &'q TaskFilter) -> Statement<'q> {
    let ids: Option<Vec<&str>> = (!filter.ids.is_empty())
        .then(|| filter.ids.iter().map(apflow_core::id::TaskId::as_str).collect());
    sqlx::query(text)
        .bind(filter.user_id.as_deref())
        .bind(states(filter))
        .bind(filter.root_only)
        .bind(filter.parent_id.as_ref().map(apflow_core::id::TaskId::as_str))
        .bind(filter.tree_id.as_ref().map(apflow_core::id::TreeId::as_str))
        .bind(ids)
}

fn event(row: &PgRow) -> Result<EventRow, sqlx::Error> {
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

fn told(row: &PgRow) -> Result<ToldRow, sqlx::Error> {
    Ok(ToldRow {
        event: event(row)?,
        root: row.try_get(7)?,
        owner: row.try_get(8)?,
        result: row.try_get(9)?,
        too_large: row.try_get::<Option<bool>, _>(10)?.unwrap_or(false),
    })
}

#[async_trait]
impl Reads for PgReads {
    async fn record(&self, id: &str) -> Result<Option<RecordRow>, StoreError> {
        Ok(self.records(sqlx::query(sql::RECORD).bind(id)).await?.into_iter().next())
    }

    async fn subtree(&self, root: &str) -> Result<Vec<RecordRow>, StoreError> {
        self.records(sqlx::query(sql::SUBTREE).bind(root)).await
    }

    async fn children(&self, parent: &str, page: Page) -> Result<Vec<RecordRow>, StoreError> {
        let statement = sqlx::query(sql::CHILDREN)
            .bind(parent)
            .bind(i64::from(page.limit))
            .bind(i64::from(page.offset));
        self.records(statement).await
    }

    async fn list(&self, filter: &TaskFilter, page: Page) -> Result<Vec<RecordRow>, StoreError> {
        let text = if filter.user_id.is_some() { sql::LIST_TASKS_OF_USER } else { sql::LIST_TASKS };
        let statement =
            filtered(text, filter).bind(i64::from(page.limit)).bind(i64::from(page.offset));
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
            .bind(from)
            .bind(below)
            .bind(user_id)
            .bind(i64::from(limit));
        let rows = self.fetch("looking for ids", statement).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn count(&self, filter: &TaskFilter) -> Result<Vec<(String, i64)>, StoreError> {
        let of_user = filter.user_id.is_some();
        let text = if of_user { sql::COUNT_TASKS_OF_USER } else { sql::COUNT_TASKS };
        let rows = self.fetch("counting tasks", filtered(text, filter)).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))
    }

    async fn needs_of(&self, seq: i64) -> Result<Vec<(String, i64, String)>, StoreError> {
        let rows = self.fetch("reading needs", sqlx::query(sql::NEEDS_OF).bind(seq)).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
    }

    async fn run_of_task(&self, task: &str) -> Result<Option<RunRow>, StoreError> {
        self.run(sqlx::query(sql::RUN_OF_TASK).bind(task)).await
    }

    async fn run_of_tree(&self, tree: &str) -> Result<Option<RunRow>, StoreError> {
        self.run(sqlx::query(sql::RUN_OF_TREE).bind(tree)).await
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
        let ask = || {
            let statement = sqlx::query(text).bind(after).bind(i64::from(limit));
            if let Some(tree) = tree { statement.bind(tree) } else { statement }
        };
        self.journal(ask, event, |row| row.seq).await
    }

    async fn told(
        &self,
        tree: Option<&str>,
        after: i64,
        limit: u32,
        result_bytes: u32,
    ) -> Result<Vec<ToldRow>, StoreError> {
        let text = if tree.is_some() { sql::TOLD_OF_TREE } else { sql::TOLD };
        let ask = || {
            let most = i64::from(result_bytes);
            let statement = sqlx::query(text).bind(after).bind(i64::from(limit)).bind(most);
            if let Some(tree) = tree { statement.bind(tree) } else { statement }
        };
        self.journal(ask, told, |row| row.event.seq).await
    }

    async fn set_aside(&self) -> Result<Vec<(String, String, String)>, StoreError> {
        let rows =
            self.fetch("reading rows that were set aside", sqlx::query(sql::SET_ASIDE)).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
    }

    async fn dead(&self, known: &[String]) -> Result<IsDead, StoreError> {
        let statement = sqlx::query(sql::DEAD_WORKERS).bind(known);
        let rows = self.fetch("looking for dead workers", statement).await?;
        let dead: HashSet<String> = decode::all(&rows, |row| row.try_get(0))?.into_iter().collect();
        Ok(Arc::new(move |worker| dead.contains(worker)))
    }

    async fn callbacks_of(&self, tree: &str) -> Result<Vec<CallbackRow>, StoreError> {
        let statement = sqlx::query(sql::CALLBACKS_OF).bind(tree);
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
        let statement = sqlx::query(sql::DEAD_HOLDERS).bind(known);
        let rows = self.fetch("looking for dead processes", statement).await?;
        let dead: HashSet<String> = decode::all(&rows, |row| row.try_get(0))?.into_iter().collect();
        Ok(Arc::new(move |holder| dead.contains(holder)))
    }

    async fn alive(&self, worker: &str) -> Result<(), StoreError> {
        self.session.lives(worker).await
    }
}
