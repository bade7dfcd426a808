//! One open transaction on SQLite's only writing connection.

use apflow_core::{store::StoreError, time::Timestamp};
use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::{
    Either, Row as _, SqliteConnection,
    query::Query,
    sqlite::{Sqlite, SqliteArguments, SqliteRow},
};
use tokio::sync::MutexGuard;

use super::{
    decode,
    encode::{Arrays, TaskHalf, WorkHalf, json},
    sql,
};
use crate::{
    error::from_sqlx,
    row::{ForestRow, TreeRow},
    rows::{Authored, ClaimedRow, ForestTask, Found, Insert, NeedRow, Opening, Rows, Save, Values},
};

/// The open transaction.
pub(super) struct SqliteRows<'a> {
    pub(super) connection: MutexGuard<'a, SqliteConnection>,
    /// `BEGIN IMMEDIATE` was sent.
    pub(super) begun: bool,
    /// The moment, said by whoever is the database's clock.
    pub(super) now: Timestamp,
}

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

impl SqliteRows<'_> {
    /// Runs one statement for its rows.
    async fn fetch(
        &mut self,
        what: &str,
        statement: Statement<'_>,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        self.begin().await?;
        statement.fetch_all(&mut *self.connection).await.map_err(|error| from_sqlx(what, error))
    }

    /// Runs several statements that were joined, for the rows of each.
    async fn fetch_each(
        &mut self,
        what: &str,
        statement: Statement<'_>,
        count: usize,
    ) -> Result<Vec<Vec<SqliteRow>>, StoreError> {
        let mut sets: Vec<Vec<SqliteRow>> = (0..count).map(|_| Vec::new()).collect();
        let mut at = 0;
        #[expect(deprecated, reason = "the only way to the rows of joined statements")]
        let mut stream = statement.fetch_many(&mut *self.connection);
        while let Some(item) = stream.try_next().await.map_err(|error| from_sqlx(what, error))? {
            match item {
                Either::Left(_) => at += 1,
                Either::Right(row) => {
                    if let Some(set) = sets.get_mut(at) {
                        set.push(row);
                    }
                }
            }
        }
        Ok(sets)
    }

    async fn execute(&mut self, what: &str, statement: Statement<'_>) -> Result<(), StoreError> {
        self.begin().await?;
        // Joined statements run one after another; the stream ends after the last.
        statement
            .execute(&mut *self.connection)
            .await
            .map(drop)
            .map_err(|error| from_sqlx(what, error))
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        sqlx::query("BEGIN IMMEDIATE") // tidy: sql because it frames every other statement
            .execute(&mut *self.connection)
            .await
            .map(drop)
            .map_err(|error| from_sqlx("beginning a transaction", error))
    }

    async fn parts(&mut self, task: i64) -> Result<String, StoreError> {
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
impl Rows for SqliteRows<'_> {
    async fn open(&mut self, settling: &[i64], ready: u32) -> Result<Opening, StoreError> {
        let seqs = json(settling)?;
        let (text, skip) = if std::mem::replace(&mut self.begun, true) {
            (sql::OPEN_AGAIN, 0)
        } else {
            (sql::OPEN, 1)
        };
        let statement = sqlx::query(text).bind(seqs).bind(i64::from(ready));
        let read = self.fetch_each("reading what settles", statement, skip + 6).await?;
        let mut each = read.into_iter().skip(skip);
        let mut next = || each.next().unwrap_or_default();
        let forests = decode::all(&next(), decode::forest)?;
        let trees = decode::all(&next(), decode::tree)?;
        let edges = decode::all(&next(), |row| {
            let text: Option<String> = row.try_get(1)?;
            Ok((row.try_get(0)?, edges(text.as_deref())))
        })?;
        let tasks = decode::all(&next(), |row| decode::hot(row, 0))?;
        let ready = decode::all(&next(), |row| decode::hot(row, 0))?;
        let next_wake = decode::all(&next(), |row| row.try_get(0))?.into_iter().next().flatten();
        Ok(Opening { now: self.now, forests, trees, edges, tasks, ready, next_wake })
    }

    async fn claimed(
        &mut self,
        seqs: &[i64],
    ) -> Result<(Vec<ClaimedRow>, Vec<NeedRow>), StoreError> {
        self.begin().await?;
        let statement = sqlx::query(sql::CLAIMED).bind(json(seqs)?);
        let read = self.fetch_each("reading what claimed tasks need", statement, 2).await?;
        let needs = decode::all(&read[0], |row| {
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
        let claimed = decode::all(&read[1], claimed)?;
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
        let seqs = json(forests)?;
        let rows = self
            .fetch("reading submissions", sqlx::query(sql::LOCK_FORESTS_BY_SEQ).bind(seqs.clone()))
            .await?;
        let forest_rows = decode::all(&rows, decode::forest)?;
        let rows = self
            .fetch("reading trees", sqlx::query(sql::LOAD_FOREST_TREES).bind(seqs.clone()))
            .await?;
        let trees = decode::all(&rows, decode::tree)?;
        let rows = self.fetch("reading tasks", sqlx::query(sql::LOAD_FOREST).bind(seqs)).await?;
        let tasks = decode::all(&rows, |row| {
            let needs: Option<String> = row.try_get(1)?;
            Ok(ForestTask {
                parent: row.try_get(0)?,
                needs: edges(needs.as_deref()),
                hot: decode::hot(row, 2)?,
            })
        })?;
        Ok((forest_rows, trees, tasks))
    }

    async fn save(&mut self, save: &Save) -> Result<(), StoreError> {
        // The pieces of an earlier, longer result would be read as the end of this one.
        let superseded = save.superseded();
        if !superseded.is_empty() {
            let statement = sqlx::query(sql::DELETE_PARTS).bind(json(&superseded)?);
            self.execute("forgetting results", statement).await?;
        }
        if !save.parts.is_empty() {
            let statement = sqlx::query(sql::INSERT_PARTS).bind(json(&save.parts)?);
            self.execute("storing a large result", statement).await?;
        }
        let work = json(&Arrays(&save.work))?;
        let events = json(&Arrays(&save.events))?;
        let statement = if save.trees.is_empty() && save.forests.is_empty() {
            // `$2` and `$3` are not in these statements.
            sqlx::query(sql::SAVE_WORK_AND_EVENTS).bind(work).bind("").bind("")
        } else {
            sqlx::query(sql::SAVE)
                .bind(work)
                .bind(json(&Arrays(&save.trees))?)
                .bind(json(&Arrays(&save.forests))?)
        };
        self.execute("storing what changed", statement.bind(events).bind(save.now.0)).await
    }

    async fn now(&mut self) -> Result<Timestamp, StoreError> {
        Ok(self.now)
    }

    async fn allocate(&mut self, count: usize) -> Result<Vec<i64>, StoreError> {
        let rows = self.fetch("reading the last place", sqlx::query(sql::NEXT_SEQ)).await?;
        let last = decode::all(&rows, |row| row.try_get::<i64, _>(0))?;
        let first = last.first().copied().unwrap_or(0) + 1;
        Ok((first..).take(count).collect())
    }

    async fn taken(
        &mut self,
        tasks: &[&str],
        trees: &[&str],
    ) -> Result<(Vec<String>, Vec<String>), StoreError> {
        let rows =
            self.fetch("looking for ids", sqlx::query(sql::TAKEN_TASKS).bind(json(tasks)?)).await?;
        let taken_tasks = decode::all(&rows, |row| row.try_get(0))?;
        let rows = self
            .fetch("looking for tree ids", sqlx::query(sql::TAKEN_TREES).bind(json(trees)?))
            .await?;
        Ok((taken_tasks, decode::all(&rows, |row| row.try_get(0))?))
    }

    async fn key(
        &mut self,
        owner: &str,
        key: &str,
    ) -> Result<Option<(String, String)>, StoreError> {
        let statement = sqlx::query(sql::FIND_KEY).bind(owner.to_owned()).bind(key.to_owned());
        let rows = self.fetch("looking for an idempotency key", statement).await?;
        let found = decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))?;
        Ok(found.into_iter().next())
    }

    async fn insert(&mut self, insert: &Insert) -> Result<(), StoreError> {
        let tasks: Vec<TaskHalf<'_>> = insert.tasks.iter().map(TaskHalf).collect();
        let work: Vec<WorkHalf<'_>> = insert.tasks.iter().map(WorkHalf).collect();
        let statement = sqlx::query(sql::INSERT)
            .bind(json(&Arrays(&insert.forests))?)
            .bind(json(&Arrays(&insert.trees))?)
            .bind(json(&tasks)?)
            .bind(json(&work)?)
            .bind(insert.now.0);
        self.execute("storing a submission", statement).await?;
        for key in &insert.keys {
            let statement = sqlx::query(sql::INSERT_KEY)
                .bind(key.owner.clone())
                .bind(key.key.clone())
                .bind(key.digest.clone())
                .bind(key.trees.clone())
                .bind(insert.now.0);
            self.execute("storing an idempotency key", statement).await?;
        }
        Ok(())
    }

    async fn find(&mut self, ids: &[&str]) -> Result<Vec<Found>, StoreError> {
        let rows =
            self.fetch("looking for tasks", sqlx::query(sql::FIND_TASKS).bind(json(ids)?)).await?;
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
        let statement = sqlx::query(sql::RENEW).bind(json(items)?).bind(until.0);
        let rows = self.fetch("renewing leases", statement).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn tokens(&mut self, seqs: &[i64]) -> Result<Vec<(i64, i64)>, StoreError> {
        let rows = self.fetch("reading tokens", sqlx::query(sql::TOKENS).bind(json(seqs)?)).await?;
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
        found.into_iter().next().ok_or_else(|| StoreError::Corrupt {
            table: "af_tasks",
            row: seq.to_string(),
            what: "it is gone".to_owned(),
        })
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
            .bind(definition.to_owned())
            .bind(executor.map(str::to_owned))
            .bind(needs.map(str::to_owned))
            .bind(user_id.map(str::to_owned));
        self.execute("storing a task", statement).await
    }

    async fn save_dependents(
        &mut self,
        seq: i64,
        dependents: Option<&str>,
    ) -> Result<(), StoreError> {
        let statement =
            sqlx::query(sql::SAVE_DEPENDENTS).bind(seq).bind(dependents.map(str::to_owned));
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
            .bind(values.join_any)
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
        let text = json(seqs)?;
        for statement in [sql::DELETE_PARTS, sql::DELETE_WORK, sql::DELETE_TASKS] {
            self.execute("deleting tasks", sqlx::query(statement).bind(text.clone())).await?;
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
            (sql::DELETE_PARTS, tasks),
            (sql::DELETE_WORK, tasks),
            (sql::DELETE_TASKS, tasks),
            (sql::DELETE_EVENTS, trees),
            (sql::DELETE_TREES, trees),
            (sql::DELETE_FORESTS, forests),
        ] {
            if !seqs.is_empty() {
                self.execute("deleting trees", sqlx::query(statement).bind(json(seqs)?)).await?;
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
        let statement = sqlx::query(sql::INSERT_SET_ASIDE)
            .bind(table.to_owned())
            .bind(row.to_owned())
            .bind(what.to_owned())
            .bind(self.now.0);
        self.execute("setting a row aside", statement).await
    }

    async fn notify(&mut self, _: &str) -> Result<(), StoreError> {
        // The file belongs to this process alone; its signals reach everybody there is.
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        if !self.begun {
            return Ok(());
        }
        let commit = "COMMIT"; // tidy: sql because it frames every other statement
        let committed = sqlx::query(commit).execute(&mut *self.connection).await;
        if let Err(error) = committed {
            // A commit that failed for lack of room may leave the transaction open.
            self.rollback().await;
            return Err(from_sqlx("committing", error));
        }
        Ok(())
    }

    async fn rollback(mut self: Box<Self>) {
        if self.begun {
            let rollback = "ROLLBACK"; // tidy: sql because it frames every other statement
            // SQLite ends a transaction by itself after some errors; then there is nothing to undo.
            let _ = sqlx::query(rollback).execute(&mut *self.connection).await;
        }
    }
}

fn claimed(row: &SqliteRow) -> Result<ClaimedRow, sqlx::Error> {
    Ok(ClaimedRow {
        seq: row.try_get(0)?,
        id: row.try_get(1)?,
        tree_id: row.try_get(2)?,
        deadline: row.try_get(3)?,
        definition: row.try_get(4)?,
    })
}
