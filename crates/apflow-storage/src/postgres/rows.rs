//! One open transaction on one of PostgreSQL's writing connections.

use std::fmt::Write as _;

use apflow_core::{store::StoreError, time::Timestamp};
use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow};

use super::{
    decode,
    encode::{self, Statement, numbers},
    sql,
    writer::Writer,
};
use crate::{
    row::{ForestRow, TreeRow},
    rows::{Authored, ClaimedRow, ForestTask, Found, Insert, NeedRow, Opening, Rows, Save, Values},
};

/// The open transaction.
pub(super) struct PgRows<'a> {
    pub(super) writer: &'a mut Writer,
    /// `BEGIN` was sent.
    begun: bool,
    /// The server's clock when it was last read in this transaction.
    now: Option<Timestamp>,
    /// What to tell others once it is durable.
    tell: Option<String>,
}

impl<'a> PgRows<'a> {
    pub(super) fn new(writer: &'a mut Writer) -> Self {
        Self { writer, begun: false, now: None, tell: None }
    }

    /// Owners take turns.
    pub(super) fn is_fair(&self) -> bool {
        self.writer.fair
    }

    /// Runs one statement for its rows.
    pub(super) async fn fetch(
        &mut self,
        what: &str,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>, StoreError> {
        if !self.begun {
            self.script("beginning a transaction", String::new()).await?;
        }
        self.writer.fetch(what, statement).await
    }

    pub(super) async fn execute(
        &mut self,
        what: &str,
        statement: Statement<'_>,
    ) -> Result<(), StoreError> {
        self.fetch(what, statement).await.map(drop)
    }

    /// Runs a script for the rows of each of its statements; the first one begins the transaction.
    pub(super) async fn script(
        &mut self,
        what: &str,
        text: String,
    ) -> Result<Vec<Vec<PgRow>>, StoreError> {
        if self.begun {
            return self.writer.script(what, text).await;
        }
        // Whatever comes of the rest, a transaction is open from here on.
        self.begun = true;
        let text = format!("BEGIN;{text}");
        let mut sets = match self.writer.script(what, text.clone()).await {
            // The connection broke while it was idle. Nothing was done on it yet, so another one
            // can do it.
            Err(_) if self.writer.is_broken() => {
                self.writer.connect().await?;
                self.writer.script(what, text).await?
            }
            other => other?,
        };
        sets.remove(0);
        Ok(sets)
    }

    /// What a script has to ask for to know the moment, or nothing where somebody else says it.
    pub(super) fn clock(&self) -> &'static str {
        if self.writer.clock.is_some() { "" } else { "EXECUTE af_clock;" }
    }

    /// The moment as the last statement of a script, or somebody else, says it.
    pub(super) fn set_now(&mut self, last: Option<Vec<PgRow>>) -> Result<Timestamp, StoreError> {
        let now = if let Some(clock) = &self.writer.clock {
            clock.now()
        } else {
            let read = decode::all(&last.unwrap_or_default(), |row| row.try_get(0))?;
            Timestamp(read.first().copied().unwrap_or_default())
        };
        self.now = Some(now);
        Ok(now)
    }

    pub(super) async fn parts(&mut self, task: i64) -> Result<String, StoreError> {
        let rows =
            self.fetch("reading a large result", sqlx::query(sql::LOAD_PARTS).bind(task)).await?;
        let bodies = decode::all(&rows, |row| row.try_get::<String, _>(0))?;
        Ok(bodies.concat())
    }
}

fn edges(text: Option<&str>) -> Vec<(i64, i64)> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[async_trait]
impl Rows for PgRows<'_> {
    async fn open(&mut self, settling: &[i64], ready: u32) -> Result<Opening, StoreError> {
        let mut text = String::new();
        if !settling.is_empty() {
            let seqs = numbers(settling);
            for name in ["lock_forests", "load_trees", "load_edges", "load_settling"] {
                // Writing into a text does not fail.
                let _ = write!(text, "EXECUTE af_{name}({seqs});");
            }
        }
        if ready > 0 {
            let _ = write!(text, "EXECUTE af_ready({ready});");
        }
        text.push_str("EXECUTE af_next_wake;");
        text.push_str(self.clock());
        let mut sets = self.script("reading what settles", text).await?.into_iter();
        let mut next = || sets.next().unwrap_or_default();
        let mut opening = Opening::default();
        if !settling.is_empty() {
            opening.forests = decode::all(&next(), decode::forest)?;
            opening.trees = decode::all(&next(), decode::tree)?;
            opening.edges = decode::all(&next(), |row| {
                let text: Option<String> = row.try_get(1)?;
                Ok((row.try_get(0)?, edges(text.as_deref())))
            })?;
            opening.tasks = decode::all(&next(), |row| decode::hot(row, 0))?;
        }
        if ready > 0 {
            opening.ready = decode::all(&next(), |row| decode::hot(row, 0))?;
        }
        opening.next_wake =
            decode::all(&next(), |row| row.try_get(0))?.into_iter().next().flatten();
        opening.now = self.set_now(Some(next()))?;
        Ok(opening)
    }

    async fn claimed(
        &mut self,
        seqs: &[i64],
    ) -> Result<(Vec<ClaimedRow>, Vec<NeedRow>), StoreError> {
        let list = numbers(seqs);
        let text = format!("EXECUTE af_load_needs({list});EXECUTE af_load_claimed({list});");
        let mut read = self.script("reading what claimed tasks need", text).await?.into_iter();
        let needs = decode::all(&read.next().unwrap_or_default(), |row| {
            let need = NeedRow {
                task: row.try_get(0)?,
                need: row.try_get(1)?,
                id: row.try_get(2)?,
                executor: row.try_get(3)?,
                state: row.try_get(4)?,
                output: row.try_get(5)?,
            };
            Ok((need, row.try_get::<i64, _>(6)?))
        })?;
        let claimed = decode::all(&read.next().unwrap_or_default(), decode::claimed)?;
        let mut whole = Vec::with_capacity(needs.len());
        for (mut need, parts) in needs {
            if parts > 0 {
                need.output = Some(self.parts(need.need).await?);
            }
            whole.push(need);
        }
        Ok((claimed, whole))
    }

    async fn forests(
        &mut self,
        forests: &[i64],
    ) -> Result<(Vec<ForestRow>, Vec<TreeRow>, Vec<ForestTask>), StoreError> {
        let list = numbers(forests);
        let mut text = String::new();
        for name in ["lock_forests_by_seq", "load_forest_trees", "load_forest"] {
            // Writing into a text does not fail.
            let _ = write!(text, "EXECUTE af_{name}({list});");
        }
        let mut sets = self.script("reading submissions", text).await?.into_iter();
        let mut next = || sets.next().unwrap_or_default();
        let forest_rows = decode::all(&next(), decode::forest)?;
        let trees = decode::all(&next(), decode::tree)?;
        let tasks = decode::all(&next(), |row| {
            let needs: Option<String> = row.try_get(1)?;
            Ok(ForestTask {
                parent: row.try_get(0)?,
                needs: edges(needs.as_deref()),
                hot: decode::hot(row, 2)?,
                fixed: decode::flag(row, 22)?,
            })
        })?;
        Ok((forest_rows, trees, tasks))
    }

    async fn trees(&mut self, forests: &[i64]) -> Result<Vec<TreeRow>, StoreError> {
        let text = format!("EXECUTE af_load_forest_trees({});", numbers(forests));
        let read = self.script("reading trees", text).await?.into_iter().next();
        decode::all(&read.unwrap_or_default(), decode::tree)
    }

    async fn save(&mut self, save: &Save) -> Result<(), StoreError> {
        // The pieces of an earlier, longer result would be read as the end of this one.
        let wiped = save.superseded();
        if !wiped.is_empty() {
            let statement = sqlx::query(sql::DELETE_PARTS).bind(wiped);
            self.execute("forgetting results", statement).await?;
        }
        if !save.parts.is_empty() {
            let (mut tasks, mut places, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
            for (task, part, body) in &save.parts {
                tasks.push(*task);
                places.push(*part);
                bodies.push(body.as_str());
            }
            let statement = sqlx::query(sql::INSERT_PARTS).bind(tasks).bind(places).bind(bodies);
            self.execute("storing a large result", statement).await?;
        }
        let statement = if save.trees.is_empty() && save.forests.is_empty() {
            encode::work_and_events(sql::SAVE_WORK_AND_EVENTS, save)
        } else {
            encode::save(sql::SAVE, save)
        };
        self.execute("storing what changed", statement).await
    }

    async fn now(&mut self) -> Result<Timestamp, StoreError> {
        if let Some(now) = self.now {
            return Ok(now);
        }
        let clock = self.clock();
        let read = if clock.is_empty() {
            None
        } else {
            self.script("reading the clock", clock.to_owned()).await?.into_iter().next()
        };
        self.set_now(read)
    }

    async fn allocate(&mut self, count: usize) -> Result<Vec<i64>, StoreError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = self.fetch("taking places", sqlx::query(sql::NEXT_SEQ).bind(count)).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn taken(
        &mut self,
        tasks: &[&str],
        trees: &[&str],
    ) -> Result<(Vec<String>, Vec<String>), StoreError> {
        let rows = self.fetch("looking for ids", sqlx::query(sql::TAKEN_TASKS).bind(tasks)).await?;
        let taken_tasks = decode::all(&rows, |row| row.try_get(0))?;
        let rows =
            self.fetch("looking for tree ids", sqlx::query(sql::TAKEN_TREES).bind(trees)).await?;
        Ok((taken_tasks, decode::all(&rows, |row| row.try_get(0))?))
    }

    async fn key(
        &mut self,
        owner: &str,
        key: &str,
    ) -> Result<Option<(String, String)>, StoreError> {
        let statement = sqlx::query(sql::FIND_KEY).bind(owner).bind(key);
        let rows = self.fetch("looking for an idempotency key", statement).await?;
        let found = decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))?;
        Ok(found.into_iter().next())
    }

    async fn insert(&mut self, insert: &Insert) -> Result<(), StoreError> {
        self.execute("storing a submission", encode::insert(sql::INSERT, insert)).await?;
        for key in &insert.keys {
            let statement = sqlx::query(sql::INSERT_KEY)
                .bind(&key.owner)
                .bind(&key.key)
                .bind(&key.digest)
                .bind(&key.trees)
                .bind(insert.now.0);
            self.execute("storing an idempotency key", statement).await?;
        }
        Ok(())
    }

    async fn find(&mut self, ids: &[&str]) -> Result<Vec<Found>, StoreError> {
        let rows = self.fetch("looking for tasks", sqlx::query(sql::FIND_TASKS).bind(ids)).await?;
        decode::all(&rows, |row| {
            Ok(Found {
                seq: row.try_get(0)?,
                id: row.try_get(1)?,
                tree: row.try_get(2)?,
                forest: row.try_get(3)?,
                tree_id: row.try_get(4)?,
                root_id: row.try_get(5)?,
            })
        })
    }

    async fn renew(
        &mut self,
        items: &[(i64, i64, Option<f64>)],
        until: Timestamp,
    ) -> Result<Vec<i64>, StoreError> {
        let seqs: Vec<i64> = items.iter().map(|item| item.0).collect();
        let tokens: Vec<i64> = items.iter().map(|item| item.1).collect();
        let progress: Vec<Option<f64>> = items.iter().map(|item| item.2).collect();
        let statement =
            sqlx::query(sql::RENEW).bind(seqs).bind(tokens).bind(progress).bind(until.0);
        let rows = self.fetch("renewing leases", statement).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn tokens(&mut self, seqs: &[i64]) -> Result<Vec<(i64, i64)>, StoreError> {
        let rows = self.fetch("reading tokens", sqlx::query(sql::TOKENS).bind(seqs)).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))
    }

    async fn due(
        &mut self,
        now: Timestamp,
        limit: u32,
    ) -> Result<(Vec<i64>, Vec<i64>), StoreError> {
        let bind = |text| sqlx::query(text).bind(now.0).bind(i64::from(limit));
        let rows = self.fetch("looking for lapsed tasks", bind(sql::LAPSE_TASKS)).await?;
        let tasks = decode::all(&rows, |row| row.try_get(0))?;
        let rows = self.fetch("looking for lapsed trees", bind(sql::LAPSE_TREES)).await?;
        Ok((tasks, decode::all(&rows, |row| row.try_get(0))?))
    }

    async fn running(&mut self) -> Result<Vec<(i64, String)>, StoreError> {
        let rows = self.fetch("looking for running tasks", sqlx::query(sql::RUNNING)).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))
    }

    async fn authored(&mut self, seq: i64) -> Result<Authored, StoreError> {
        let rows =
            self.fetch("reading a task", sqlx::query(sql::LOAD_DEFINITION).bind(seq)).await?;
        let found = decode::all(&rows, |row| {
            Ok(Authored {
                definition: row.try_get(0)?,
                needs: row.try_get(1)?,
                parent: row.try_get(3)?,
            })
        })?;
        // It was deleted between finding and locking it; tried again, it is not found.
        found.into_iter().next().ok_or(StoreError::Conflict)
    }

    async fn save_authored(
        &mut self,
        seq: i64,
        definition: &str,
        executor: Option<&str>,
        needs: Option<&str>,
        user_id: Option<&str>,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::SAVE_DEFINITION)
            .bind(seq)
            .bind(definition)
            .bind(executor)
            .bind(needs)
            .bind(user_id);
        self.execute("storing a task", statement).await
    }

    async fn save_dependents(
        &mut self,
        seq: i64,
        dependents: Option<&str>,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::SAVE_DEPENDENTS).bind(seq).bind(dependents);
        self.execute("storing dependents", statement).await
    }

    async fn save_values(&mut self, values: &Values, now: Timestamp) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::SAVE_VALUES)
            .bind(values.seq)
            .bind(values.output.is_some())
            .bind(values.output.clone().flatten())
            .bind(values.error.is_some())
            .bind(values.error.clone().flatten())
            .bind(values.progress)
            .bind(values.priority)
            .bind(i64::from(values.join_any))
            .bind(values.max_attempts)
            .bind(now.0);
        self.execute("storing values", statement).await
    }

    async fn delete_tasks(
        &mut self,
        seqs: &[i64],
        parent: Option<i64>,
        tree: i64,
    ) -> Result<(), StoreError> {
        for statement in [
            sql::DELETE_ATTEMPTS,
            sql::DELETE_LETTERS,
            sql::DELETE_PARTS,
            sql::DELETE_CHECKPOINTS,
            sql::DELETE_WAITS,
            sql::DELETE_WORK,
            sql::DELETE_TASKS,
        ] {
            self.execute("deleting tasks", sqlx::query(statement).bind(seqs)).await?;
        }
        let count = i64::try_from(seqs.len()).unwrap_or(i64::MAX);
        let statement = sqlx::query(sql::SHRINK_TREE).bind(tree).bind(count);
        self.execute("deleting tasks", statement).await?;
        if let Some(parent) = parent {
            self.execute("deleting tasks", sqlx::query(sql::CHILDLESS).bind(parent)).await?;
        }
        Ok(())
    }

    async fn delete_trees(
        &mut self,
        trees: &[i64],
        tasks: &[i64],
        forests: &[i64],
    ) -> Result<(), StoreError> {
        for (statement, seqs) in [
            (sql::DELETE_ATTEMPTS, tasks),
            (sql::DELETE_LETTERS, tasks),
            (sql::DELETE_PARTS, tasks),
            (sql::DELETE_CHECKPOINTS, tasks),
            (sql::DELETE_WAITS, tasks),
            (sql::DELETE_WORK, tasks),
            (sql::DELETE_TASKS, tasks),
            (sql::DELETE_EVENTS, trees),
            (sql::DELETE_CALLBACKS, trees),
            (sql::DELETE_TREES, trees),
            (sql::DELETE_SNAPSHOTS, forests),
            (sql::DELETE_FORESTS, forests),
        ] {
            if !seqs.is_empty() {
                self.execute("deleting trees", sqlx::query(statement).bind(seqs)).await?;
            }
        }
        Ok(())
    }

    async fn prunable(
        &mut self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        let statement = sqlx::query(sql::PRUNE_TREES).bind(before.0).bind(i64::from(limit));
        let rows = self.fetch("looking for old trees", statement).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(2)?)))
    }

    async fn set_aside(&mut self, table: &str, row: &str, what: &str) -> Result<(), StoreError> {
        let now = self.now().await?;
        let statement =
            sqlx::query(sql::INSERT_SET_ASIDE).bind(table).bind(row).bind(what).bind(now.0);
        self.execute("setting a row aside", statement).await
    }

    async fn notify(&mut self, payload: &str) -> Result<(), StoreError> {
        // Inside the transaction the server would let only one process commit at a time, the write to
        // disk included. It is a hint: it follows the commit.
        self.tell = Some(payload.to_owned());
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        if !self.begun {
            return Ok(());
        }
        let commit = "COMMIT"; // tidy: sql because it frames every other statement
        if let Err(error) = self.writer.script("committing", commit.to_owned()).await {
            self.rollback().await;
            return Err(error);
        }
        if let Some(payload) = self.tell.take() {
            self.writer.session.tell(payload);
        }
        Ok(())
    }

    async fn rollback(mut self: Box<Self>) {
        if !self.begun || self.writer.is_broken() {
            return;
        }
        let rollback = "ROLLBACK"; // tidy: sql because it frames every other statement
        if self.writer.script("undoing a transaction", rollback.to_owned()).await.is_err() {
            self.writer.drop_connection();
        }
    }
}
