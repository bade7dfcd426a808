//! Schedules in SQLite: the statements of a transaction, and those of readers.

use std::collections::HashSet;

use apflow_core::{
    firing::Standing,
    id::TaskId,
    store::{Page, ScheduleFilter, StoreError},
    time::Timestamp,
};
use async_trait::async_trait;
use serde::{Serialize, Serializer};
use sqlx::{Row as _, sqlite::SqliteRow};

use super::{decode, encode::json, reads::SqliteReads, rows::SqliteRows, sql};
use crate::{
    read::status_states,
    row::{DueRow, RecordRow, ScheduleRow, SlotRow},
    rows::definition,
    schedule_rows::{ScheduleReads, ScheduleRows, all_saved},
};

/// A schedule as the array that its statement takes.
struct Saved<'a>(&'a ScheduleRow);

impl Serialize for Saved<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let ScheduleRow { task, tree, forest, user_id, kind, standing } = self.0;
        (
            task,
            tree,
            forest,
            user_id,
            kind,
            i64::from(standing.enabled),
            standing.slot.map(|at| at.0),
            standing.due_at.map(|at| at.0),
            standing.runs,
            standing.skipped,
            standing.waiting,
            standing.last_run_at.map(|at| at.0),
        )
            .serialize(to)
    }
}

/// The changing columns from column `at` on.
fn standing(row: &SqliteRow, at: usize) -> Result<Standing, sqlx::Error> {
    let moment =
        |at: usize| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(at)?.map(Timestamp));
    Ok(Standing {
        enabled: row.try_get(at)?,
        slot: moment(at + 1)?,
        due_at: moment(at + 2)?,
        runs: row.try_get(at + 3)?,
        skipped: row.try_get(at + 4)?,
        waiting: row.try_get(at + 5)?,
        last_run_at: moment(at + 6)?,
    })
}

fn due(row: &SqliteRow) -> Result<DueRow, sqlx::Error> {
    Ok(DueRow {
        row: ScheduleRow {
            task: row.try_get(0)?,
            tree: row.try_get(1)?,
            forest: row.try_get(2)?,
            user_id: row.try_get(3)?,
            kind: row.try_get(4)?,
            standing: standing(row, 5)?,
        },
        id: TaskId::new(row.try_get::<String, _>(12)?),
        tree_id: row.try_get(13)?,
        definition: definition(&row.try_get::<String, _>(14)?),
        oldest: row.try_get::<Option<i64>, _>(15)?.map(Timestamp),
    })
}

#[async_trait]
impl ScheduleRows for SqliteRows<'_> {
    async fn due_schedules(
        &mut self,
        now: Timestamp,
        limit: u32,
        user_id: Option<&str>,
    ) -> Result<Vec<DueRow>, StoreError> {
        let (limit, user_id) = (i64::from(limit), user_id.map(str::to_owned));
        let statement =
            sqlx::query(sql::DUE_SCHEDULES).bind(now.0).bind(limit).bind(user_id.clone());
        let rows = self.fetch("looking for due schedules", statement).await?;
        let mut found = decode::all(&rows, due)?;
        let known: HashSet<i64> = found.iter().map(|due| due.row.task).collect();
        let statement = sqlx::query(sql::WAITING_SCHEDULES).bind(limit).bind(user_id);
        let rows = self.fetch("looking for slots that wait", statement).await?;
        found.extend(
            decode::all(&rows, due)?.into_iter().filter(|due| !known.contains(&due.row.task)),
        );
        Ok(found)
    }

    async fn schedules(&mut self, tasks: &[i64]) -> Result<Vec<DueRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_SCHEDULES).bind(json(tasks)?);
        let rows = self.fetch("reading schedules", statement).await?;
        decode::all(&rows, due)
    }

    async fn taken_slots(
        &mut self,
        slots: &[(i64, i64)],
    ) -> Result<Vec<(i64, i64, bool)>, StoreError> {
        let statement = sqlx::query(sql::TAKEN_SLOTS).bind(json(slots)?);
        let rows = self.fetch("looking for fired slots", statement).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
    }

    async fn slots_between(
        &mut self,
        task: i64,
        from: i64,
        to: i64,
    ) -> Result<Vec<i64>, StoreError> {
        let statement = sqlx::query(sql::SLOTS_BETWEEN).bind(task).bind(from).bind(to);
        let rows = self.fetch("looking for fired slots", statement).await?;
        decode::all(&rows, |row| row.try_get(0))
    }

    async fn oldest_slot(&mut self, task: i64) -> Result<(Option<i64>, i64), StoreError> {
        let statement = sqlx::query(sql::OLDEST_SLOT).bind(task);
        let rows = self.fetch("looking for the oldest slot", statement).await?;
        let found = decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?)))?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    async fn save_schedules(&mut self, rows: &[ScheduleRow]) -> Result<(), StoreError> {
        let rows: Vec<Saved<'_>> = rows.iter().map(Saved).collect();
        let statement = sqlx::query(sql::SAVE_SCHEDULES).bind(json(&rows)?);
        self.execute("storing schedules", statement).await
    }

    async fn save_slots(&mut self, slots: &[SlotRow]) -> Result<(), StoreError> {
        let rows: Vec<_> = slots.iter().map(|row| (row.task, row.slot, row.fired_at)).collect();
        let statement = sqlx::query(sql::SAVE_SLOTS).bind(json(&rows)?);
        let saved = self.fetch("storing slots", statement).await?;
        all_saved(slots.len(), saved.len())
    }

    async fn drop_waiting(&mut self, tasks: &[i64]) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::DROP_WAITING).bind(json(tasks)?);
        self.execute("forgetting slots", statement).await
    }

    async fn forget_slots(&mut self, tasks: &[i64], keep: u32) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::FORGET_SLOTS).bind(json(tasks)?).bind(i64::from(keep));
        self.execute("forgetting slots", statement).await
    }

    async fn delete_schedules(&mut self, tasks: &[i64]) -> Result<(), StoreError> {
        for statement in [sql::DELETE_SLOTS, sql::DELETE_SCHEDULES] {
            let statement = sqlx::query(statement).bind(json(tasks)?);
            self.execute("deleting schedules", statement).await?;
        }
        Ok(())
    }

    async fn next_schedule(
        &mut self,
        user_id: Option<&str>,
    ) -> Result<(Option<Timestamp>, bool), StoreError> {
        let statement = sqlx::query(sql::NEXT_SCHEDULE).bind(user_id.map(str::to_owned));
        let rows = self.fetch("looking for the next schedule", statement).await?;
        let found = decode::all(&rows, |row| {
            Ok((row.try_get::<Option<i64>, _>(0)?.map(Timestamp), row.try_get(1)?))
        })?;
        Ok(found.into_iter().next().unwrap_or_default())
    }
}

#[async_trait]
impl ScheduleReads for SqliteReads {
    async fn standings(&self, tasks: &[i64]) -> Result<Vec<(i64, Standing)>, StoreError> {
        let statement = sqlx::query(sql::READ_SCHEDULES).bind(json(tasks)?);
        let rows = self.fetch("reading schedules", statement).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, standing(row, 1)?)))
    }

    async fn scheduled(
        &self,
        filter: &ScheduleFilter,
        page: Page,
    ) -> Result<Vec<RecordRow>, StoreError> {
        let states = status_states(filter).map(|states| json(&states)).transpose()?;
        let statement = sqlx::query(sql::LIST_SCHEDULES)
            .bind(filter.user_id.clone())
            .bind(filter.kind.clone())
            .bind(states)
            .bind(filter.enabled_only)
            .bind(filter.due_before.map(|at| at.0))
            .bind(i64::from(page.limit))
            .bind(i64::from(page.offset));
        self.records(statement).await
    }
}
