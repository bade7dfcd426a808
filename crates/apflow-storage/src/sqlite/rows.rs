//! One open transaction on SQLite's only writing connection.

use std::collections::{HashMap, HashSet};

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
    hot::{Hot, HotTask, Output, ReadForest, Unread},
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
    /// What is on the move.
    pub(super) hot: &'a mut Hot,
    /// What is to be written before anything is read, or with the commit.
    pub(super) pending: Pending,
    /// Tasks that fail for good get a letter.
    pub(super) letters: bool,
    /// Owners take turns.
    pub(super) fair: bool,
}

/// Writes that wait for the commit, so that they go with it in one round trip.
#[derive(Default)]
pub(super) struct Pending {
    insert: Option<[String; 4]>,
    save: Option<PendingSave>,
}

struct PendingSave {
    now: Timestamp,
    work: String,
    trees: String,
    forests: String,
    events: String,
    /// Only events are in it.
    only_events: bool,
    /// No tree and no submission is in it.
    only_work: bool,
}

/// An empty set.
const NOTHING: &str = "[]";

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

impl SqliteRows<'_> {
    /// Runs one statement for its rows.
    pub(super) async fn fetch(
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

    pub(super) async fn execute(
        &mut self,
        what: &str,
        statement: Statement<'_>,
    ) -> Result<(), StoreError> {
        self.begin().await?;
        self.run(what, statement).await
    }

    /// Opens the transaction and writes what waits.
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.begin_only().await?;
        if let Some([forests, trees, tasks, work]) = self.pending.insert.take() {
            let statement = insert(sql::INSERT, NOTHING.to_owned(), self.now)
                .bind(forests)
                .bind(trees)
                .bind(tasks)
                .bind(work);
            self.run("storing a submission", statement).await?;
        }
        if let Some(save) = self.pending.save.take() {
            let statement = bind_save(sql::SAVE, save);
            self.run("storing what changed", statement).await?;
        }
        Ok(())
    }

    async fn run(&mut self, what: &str, statement: Statement<'_>) -> Result<(), StoreError> {
        // Joined statements run one after another; the stream ends after the last.
        statement
            .execute(&mut *self.connection)
            .await
            .map(drop)
            .map_err(|error| from_sqlx(what, error))
    }

    /// Writes what waits and commits, in as few round trips as it takes.
    async fn write_and_commit(&mut self) -> Result<(), StoreError> {
        let now = self.now;
        let Pending { insert: submissions, save } = std::mem::take(&mut self.pending);
        let statement = match (submissions, save) {
            (None, None) if !self.begun => return Ok(()),
            (None, Some(save)) if !self.begun => {
                let text = if save.only_work {
                    sql::BEGIN_SAVE_WORK_COMMIT
                } else {
                    sql::BEGIN_SAVE_COMMIT
                };
                // If it fails half way, there is a transaction to undo.
                self.begun = true;
                bind_save(text, save)
            }
            (None, Some(save)) => bind_save(sql::SAVE_COMMIT, save),
            (Some([forests, trees, tasks, work]), Some(save)) if self.begun && save.only_events => {
                insert(sql::INSERT_COMMIT, save.events, now)
                    .bind(forests)
                    .bind(trees)
                    .bind(tasks)
                    .bind(work)
            }
            (submissions, save) => {
                self.pending = Pending { insert: submissions, save };
                self.begin().await?;
                sqlx::query("COMMIT") // tidy: sql because it frames every other statement
            }
        };
        self.run("committing", statement).await
    }

    /// Reads submissions that are on the move and not in memory.
    async fn warm_up(&mut self) -> Result<(), StoreError> {
        if self.hot.overflown || self.hot.is_whole() {
            return Ok(());
        }
        let seqs: Vec<i64> = match &self.hot.unread {
            Unread::Some(unread) => unread.iter().copied().collect(),
            Unread::Everything => {
                let rows =
                    self.fetch("looking for live submissions", sqlx::query(sql::LIVE_FORESTS));
                let rows = rows.await?;
                decode::all(&rows, |row| row.try_get(0))?
            }
        };
        let text = json(&seqs)?;
        let bind = |statement| sqlx::query(statement).bind(text.clone());
        let rows = self.fetch("reading submissions", bind(sql::LOCK_FORESTS_BY_SEQ)).await?;
        let mut forests = decode::all(&rows, decode::forest)?;
        forests.retain(|forest| forest.live > 0);
        let rows = self.fetch("reading trees", bind(sql::LOAD_FOREST_TREES)).await?;
        let trees = decode::all(&rows, decode::tree)?;
        let rows = self.fetch("reading tree ids", bind(sql::TREE_IDS)).await?;
        let read = |row: &SqliteRow| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)));
        let mut ids: HashMap<i64, (String, Option<i64>)> =
            decode::all(&rows, read)?.into_iter().collect();
        let rows = self.fetch("reading tasks", bind(sql::LOAD_HOT)).await?;
        let tasks = decode::all(&rows, hot_task)?;
        let trees = trees
            .into_iter()
            .map(|row| {
                let (id, demo_run) = ids.remove(&row.seq).unwrap_or_default();
                (row, id, demo_run)
            })
            .collect();
        self.hot.unread = Unread::Some(HashSet::new());
        self.hot.take_in(ReadForest { forests, trees, tasks });
        Ok(())
    }

    async fn begin_only(&mut self) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        sqlx::query("BEGIN IMMEDIATE") // tidy: sql because it frames every other statement
            .execute(&mut *self.connection)
            .await
            .map(drop)
            .map_err(|error| from_sqlx("beginning a transaction", error))
    }

    pub(super) async fn parts(&mut self, task: i64) -> Result<String, StoreError> {
        let rows =
            self.fetch("reading a large result", sqlx::query(sql::LOAD_PARTS).bind(task)).await?;
        let bodies = decode::all(&rows, |row| row.try_get::<String, _>(0))?;
        Ok(bodies.concat())
    }
}

fn bind_save(text: &'static str, save: PendingSave) -> Statement<'static> {
    let PendingSave { now, work, trees, forests, events, .. } = save;
    sqlx::query(text).bind(work).bind(trees).bind(forests).bind(events).bind(now.0)
}

/// The statement with what comes before the submissions themselves.
fn insert(text: &'static str, events: String, now: Timestamp) -> Statement<'static> {
    sqlx::query(text).bind(NOTHING).bind(NOTHING).bind(NOTHING).bind(events).bind(now.0)
}

fn hot_task(row: &SqliteRow) -> Result<HotTask, sqlx::Error> {
    let (needs, dependents): (Option<String>, Option<String>) = (row.try_get(2)?, row.try_get(3)?);
    Ok(HotTask {
        id: row.try_get::<String, _>(0)?.into(),
        executor: row.try_get::<Option<String>, _>(1)?.map(Into::into),
        needs: edges(needs.as_deref()),
        dependents: edges(dependents.as_deref()),
        definition: crate::rows::definition(&row.try_get::<String, _>(4)?),
        output: Output::of(row.try_get(5)?, row.try_get(6)?),
        row: decode::hot(row, 7)?,
    })
}

/// Edges as they are stored.
pub(super) fn edges(text: Option<&str>) -> Vec<(i64, i64)> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[async_trait]
impl Rows for SqliteRows<'_> {
    async fn open(&mut self, settling: &[i64], ready: u32) -> Result<Opening, StoreError> {
        self.warm_up().await?;
        if self.hot.knows(settling) {
            let mut opening = Opening { now: self.now, ..Opening::default() };
            self.hot.open(settling, ready, &mut opening);
            return Ok(opening);
        }
        if self.begun || self.pending.insert.is_some() || self.pending.save.is_some() {
            self.begin().await?;
        }
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
        if self.hot.is_whole()
            && let Some(known) = self.hot.claimed(seqs)
        {
            return Ok(known);
        }
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
                fixed: row.try_get(22)?,
            })
        })?;
        Ok((forest_rows, trees, tasks))
    }

    async fn trees(&mut self, forests: &[i64]) -> Result<Vec<TreeRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_FOREST_TREES).bind(json(forests)?);
        decode::all(&self.fetch("reading trees", statement).await?, decode::tree)
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
        if self.pending.save.is_some() {
            self.begin().await?;
        }
        self.hot.save(save);
        self.pending.save = Some(PendingSave {
            now: save.now,
            only_events: save.work.is_empty() && save.trees.is_empty() && save.forests.is_empty(),
            only_work: save.trees.is_empty() && save.forests.is_empty(),
            work: json(&Arrays(&save.work))?,
            trees: json(&Arrays(&save.trees))?,
            forests: json(&Arrays(&save.forests))?,
            events: json(&Arrays(&save.events))?,
        });
        Ok(())
    }

    async fn now(&mut self) -> Result<Timestamp, StoreError> {
        Ok(self.now)
    }

    async fn allocate(&mut self, count: usize) -> Result<Vec<i64>, StoreError> {
        let last = if let Some(last) = self.hot.last_seq {
            last
        } else {
            let rows = self.fetch("reading the last place", sqlx::query(sql::NEXT_SEQ)).await?;
            decode::all(&rows, |row| row.try_get(0))?.first().copied().unwrap_or(0)
        };
        let first = last + 1;
        self.hot.last_seq = Some(last + i64::try_from(count).unwrap_or(0));
        Ok((first..).take(count).collect())
    }

    async fn taken(
        &mut self,
        tasks: &[&str],
        trees: &[&str],
    ) -> Result<(Vec<String>, Vec<String>), StoreError> {
        self.begin().await?;
        let statement = sqlx::query(sql::TAKEN).bind(json(tasks)?).bind(json(trees)?);
        let read = self.fetch_each("looking for ids", statement, 2).await?;
        let taken = |rows: &[SqliteRow]| decode::all(rows, |row| row.try_get(0));
        Ok((taken(&read[0])?, taken(&read[1])?))
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
        if self.pending.insert.is_some() {
            self.begin().await?;
        }
        let tasks: Vec<TaskHalf<'_>> = insert.tasks.iter().map(TaskHalf).collect();
        let work: Vec<WorkHalf<'_>> = insert.tasks.iter().map(WorkHalf).collect();
        self.pending.insert = Some([
            json(&Arrays(&insert.forests))?,
            json(&Arrays(&insert.trees))?,
            json(&tasks)?,
            json(&work)?,
        ]);
        self.hot.insert(insert);
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
        let held = decode::all(&rows, |row| row.try_get(0))?;
        self.hot.renew(&held, until.0);
        Ok(held)
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
        self.hot.touch(&[seq]);
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
        self.hot.touch(&[seq]);
        let statement =
            sqlx::query(sql::SAVE_DEPENDENTS).bind(seq).bind(dependents.map(str::to_owned));
        self.execute("storing dependents", statement).await
    }

    async fn save_values(&mut self, values: &Values, now: Timestamp) -> Result<(), StoreError> {
        self.hot.touch(&[values.seq]);
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
        self.hot.touch(seqs);
        let text = json(seqs)?;
        for statement in [
            sql::DELETE_ATTEMPTS,
            sql::DELETE_LETTERS,
            sql::DELETE_PARTS,
            sql::DELETE_CHECKPOINTS,
            sql::DELETE_WAITS,
            sql::DELETE_WORK,
            sql::DELETE_TASKS,
        ] {
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
        self.hot.touch(tasks);
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
        let committed = self.write_and_commit().await;
        if committed.is_err() {
            // A commit that failed for lack of room may leave the transaction open.
            self.rollback().await;
        }
        committed
    }

    async fn rollback(mut self: Box<Self>) {
        self.hot.forget();
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
        definition: crate::rows::definition(&row.try_get::<String, _>(4)?),
        run: row.try_get(5)?,
        demo: row.try_get(6)?,
    })
}
