//! From PostgreSQL's columns to rows.

use apflow_core::store::StoreError;
use sqlx::{Row as _, postgres::PgRow};

use crate::{
    error::from_sqlx,
    row::{ForestRow, HotRow, RecordRow, RunRow, TreeRow},
    rows::ClaimedRow,
};

type Decoded<T> = Result<T, sqlx::Error>;

/// Reads every row of one kind.
pub(super) fn all<T>(
    rows: &[PgRow],
    decode: impl Fn(&PgRow) -> Decoded<T>,
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(decode).collect::<Result<_, _>>().map_err(|error| from_sqlx("reading", error))
}

/// A column that holds 0 or 1.
pub(super) fn flag(row: &PgRow, at: usize) -> Decoded<bool> {
    row.try_get::<i64, _>(at).map(|value| value != 0)
}

/// The columns of `af_work` from column `at` on.
pub(super) fn hot(row: &PgRow, at: usize) -> Decoded<HotRow> {
    Ok(HotRow {
        seq: row.try_get(at)?,
        tree: row.try_get(at + 1)?,
        forest: row.try_get(at + 2)?,
        state: row.try_get(at + 3)?,
        priority: row.try_get(at + 4)?,
        join_any: flag(row, at + 5)?,
        token: row.try_get(at + 6)?,
        attempts: row.try_get(at + 7)?,
        max_attempts: row.try_get(at + 8)?,
        waiting_for: row.try_get(at + 9)?,
        failed_needs: row.try_get(at + 10)?,
        wake_at: row.try_get(at + 11)?,
        worker: row.try_get(at + 12)?,
        detail: row.try_get(at + 13)?,
        error: row.try_get(at + 14)?,
        started_at: row.try_get(at + 15)?,
        completed_at: row.try_get(at + 16)?,
        held: row.try_get(at + 17)?,
        turn: row.try_get(at + 18)?,
        facets: row.try_get(at + 19)?,
    })
}

pub(super) fn forest(row: &PgRow) -> Decoded<ForestRow> {
    Ok(ForestRow { seq: row.try_get(0)?, live: row.try_get(1)?, open: row.try_get(2)? })
}

pub(super) fn tree(row: &PgRow) -> Decoded<TreeRow> {
    Ok(TreeRow {
        seq: row.try_get(0)?,
        forest: row.try_get(1)?,
        run: row.try_get(2)?,
        options: row.try_get(3)?,
        total: row.try_get(4)?,
        open: row.try_get(5)?,
        completed: row.try_get(6)?,
        failed: row.try_get(7)?,
        cancelled: row.try_get(8)?,
        uncounted: 0,
        outcome: row.try_get(9)?,
        deadline: row.try_get(10)?,
        started_at: row.try_get(11)?,
        finished_at: row.try_get(12)?,
        paused: row.try_get(13)?,
        awaited: row.try_get(14)?,
    })
}

pub(super) fn claimed(row: &PgRow) -> Decoded<ClaimedRow> {
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

/// A record and how many pieces its result lies in.
pub(super) fn record(row: &PgRow) -> Decoded<(RecordRow, i64)> {
    let parts = row.try_get(10)?;
    let record = RecordRow {
        id: row.try_get(1)?,
        tree_id: row.try_get(2)?,
        parent_id: row.try_get(3)?,
        has_children: flag(row, 4)?,
        definition: row.try_get(5)?,
        created_at: row.try_get(6)?,
        progress: row.try_get(7)?,
        resolved: row.try_get(8)?,
        output: row.try_get(9)?,
        updated_at: row.try_get(11)?,
        hot: hot(row, 12)?,
        original: row.try_get(32)?,
        output_of: row.try_get(33)?,
        linked: row.try_get(34)?,
    };
    Ok((record, parts))
}

pub(super) fn run(row: &PgRow) -> Decoded<RunRow> {
    Ok(RunRow {
        seq: row.try_get(0)?,
        id: row.try_get(1)?,
        root: row.try_get(2)?,
        user_id: row.try_get(3)?,
        options: row.try_get(4)?,
        run: row.try_get(5)?,
        outcome: row.try_get(6)?,
        total: row.try_get(7)?,
        completed: row.try_get(8)?,
        started_at: row.try_get(9)?,
        finished_at: row.try_get(10)?,
    })
}
