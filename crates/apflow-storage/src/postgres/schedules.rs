//! Schedules in PostgreSQL: the statements of a transaction, and those of readers.

use std::collections::HashSet;

use apflow_core::{
    firing::Standing,
    id::TaskId,
    store::{Page, ScheduleFilter, StoreError},
    time::Timestamp,
};
use async_trait::async_trait;
use sqlx::{Row as _, postgres::PgRow};

use super::{decode, reads::PgReads, rows::PgRows, sql};
use crate::{
    read::status_states,
    row::{DueRow, RecordRow, ScheduleRow, SlotRow},
    rows::definition,
    schedule_rows::{ScheduleReads, ScheduleRows, all_saved},
};

/// The changing columns from column `at` on.
fn standing(row: &PgRow, at: usize) -> Result<Standing, sqlx::Error> {
    let moment =
        |at: usize| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(at)?.map(Timestamp));
    Ok(Standing {
        enabled: row.try_get::<i64, _>(at)? != 0,
        slot: moment(at + 1)?,
        due_at: moment(at + 2)?,
        runs: row.try_get(at + 3)?,
        skipped: row.try_get(at + 4)?,
        waiting: row.try_get(at + 5)?,
        last_run_at: moment(at + 6)?,
    })
}

fn due(row: &PgRow) -> Result<DueRow, sqlx::Error> {
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
impl ScheduleRows for PgRows<'_> {
    async fn due_schedules(
        &mut self,
        now: Timestamp,
        limit: u32,
        user_id: Option<&str>,
    ) -> Result<Vec<DueRow>, StoreError> {
        let limit = i64::from(limit);
        let statement = sqlx::query(sql::DUE_SCHEDULES).bind(now.0).bind(limit).bind(user_id);
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
        let statement = sqlx::query(sql::LOAD_SCHEDULES).bind(tasks);
        let rows = self.fetch("reading schedules", statement).await?;
        decode::all(&rows, due)
    }

    async fn taken_slots(
        &mut self,
        slots: &[(i64, i64)],
    ) -> Result<Vec<(i64, i64, bool)>, StoreError> {
        let (tasks, slots): (Vec<i64>, Vec<i64>) = slots.iter().copied().unzip();
        let statement = sqlx::query(sql::TAKEN_SLOTS).bind(tasks).bind(slots);
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
        let moment = |of: fn(&Standing) -> Option<Timestamp>| -> Vec<Option<i64>> {
            rows.iter().map(|row| of(&row.standing).map(|at| at.0)).collect()
        };
        let number = |of: fn(&ScheduleRow) -> i64| -> Vec<i64> { rows.iter().map(of).collect() };
        let owners: Vec<Option<&str>> = rows.iter().map(|row| row.user_id.as_deref()).collect();
        let kinds: Vec<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
        let statement = sqlx::query(sql::SAVE_SCHEDULES)
            .bind(number(|row| row.task))
            .bind(number(|row| row.tree))
            .bind(number(|row| row.forest))
            .bind(owners)
            .bind(kinds)
            .bind(number(|row| i64::from(row.standing.enabled)))
            .bind(moment(|standing| standing.slot))
            .bind(moment(|standing| standing.due_at))
            .bind(number(|row| row.standing.runs))
            .bind(number(|row| row.standing.skipped))
            .bind(number(|row| row.standing.waiting))
            .bind(moment(|standing| standing.last_run_at));
        self.execute("storing schedules", statement).await
    }

    async fn save_slots(&mut self, slots: &[SlotRow]) -> Result<(), StoreError> {
        let tasks: Vec<i64> = slots.iter().map(|row| row.task).collect();
        let moments: Vec<i64> = slots.iter().map(|row| row.slot).collect();
        let fired: Vec<Option<i64>> = slots.iter().map(|row| row.fired_at).collect();
        let statement = sqlx::query(sql::SAVE_SLOTS).bind(tasks).bind(moments).bind(fired);
        let saved = self.fetch("storing slots", statement).await?;
        all_saved(slots.len(), saved.len())
    }

    async fn drop_waiting(&mut self, tasks: &[i64]) -> Result<(), StoreError> {
        self.execute("forgetting slots", sqlx::query(sql::DROP_WAITING).bind(tasks)).await
    }

    async fn forget_slots(&mut self, tasks: &[i64], keep: u32) -> Result<(), StoreError> {
        let statement = sqlx::query(sql::FORGET_SLOTS).bind(tasks).bind(i64::from(keep));
        self.execute("forgetting slots", statement).await
    }

    async fn delete_schedules(&mut self, tasks: &[i64]) -> Result<(), StoreError> {
        for statement in [sql::DELETE_SLOTS, sql::DELETE_SCHEDULES] {
            self.execute("deleting schedules", sqlx::query(statement).bind(tasks)).await?;
        }
        Ok(())
    }

    async fn next_schedule(
        &mut self,
        user_id: Option<&str>,
    ) -> Result<(Option<Timestamp>, bool), StoreError> {
        let statement = sqlx::query(sql::NEXT_SCHEDULE).bind(user_id);
        let rows = self.fetch("looking for the next schedule", statement).await?;
        let found = decode::all(&rows, |row| {
            Ok((row.try_get::<Option<i64>, _>(0)?.map(Timestamp), row.try_get(1)?))
        })?;
        Ok(found.into_iter().next().unwrap_or_default())
    }
}

#[async_trait]
impl ScheduleReads for PgReads {
    async fn standings(&self, tasks: &[i64]) -> Result<Vec<(i64, Standing)>, StoreError> {
        let rows =
            self.fetch("reading schedules", sqlx::query(sql::READ_SCHEDULES).bind(tasks)).await?;
        decode::all(&rows, |row| Ok((row.try_get(0)?, standing(row, 1)?)))
    }

    async fn scheduled(
        &self,
        filter: &ScheduleFilter,
        page: Page,
    ) -> Result<Vec<RecordRow>, StoreError> {
        let statement = sqlx::query(sql::LIST_SCHEDULES)
            .bind(filter.user_id.as_deref())
            .bind(filter.kind.as_deref())
            .bind(status_states(filter))
            .bind(filter.enabled_only)
            .bind(filter.due_before.map(|at| at.0))
            .bind(i64::from(page.limit))
            .bind(i64::from(page.offset));
        self.records(statement).await
    }
}
