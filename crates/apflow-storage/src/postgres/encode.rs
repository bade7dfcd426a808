//! From rows to the arrays that PostgreSQL's statements unnest, one array a column.

use sqlx::{Postgres, postgres::PgArguments, query::Query};

use crate::rows::{Insert, Save};

pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// Binds one array for each column, in the order of the parameters.
macro_rules! columns {
    ($statement:ident, $rows:expr, $row:ident => $($type:ty: $value:expr),* $(,)?) => {
        $(let column: Vec<$type> = $rows.iter().map(|$row| $value).collect();
        let $statement = $statement.bind(column);)*
    };
}

pub(super) use columns;

/// `$1` to `$20` tasks, `$21` the moment, `$22` to `$26` events.
pub(super) fn work_and_events<'q>(text: &'static str, save: &'q Save) -> Statement<'q> {
    let statement = sqlx::query(text);
    columns!(statement, save.work, row =>
        i64: row.seq,
        &'static str: row.state,
        i64: row.token,
        i64: row.attempts,
        i64: row.waiting_for,
        i64: row.failed_needs,
        Option<i64>: row.wake_at,
        Option<&str>: row.worker.as_deref(),
        Option<&str>: row.detail.as_deref(),
        Option<&str>: row.error.as_deref(),
        Option<f64>: row.progress,
        Option<&str>: row.resolved.as_deref(),
        Option<&str>: row.output.as_deref(),
        Option<i64>: row.output_parts,
        Option<i64>: row.started_at,
        Option<i64>: row.completed_at,
        bool: row.wipe,
        Option<&str>: row.held.as_deref(),
        i64: row.turn,
        Option<&str>: row.facets.as_deref(),
    );
    let statement = statement.bind(save.now.0);
    columns!(statement, save.events, row =>
        i64: row.tree,
        Option<i64>: row.task,
        i64: row.kind,
        i64: i64::from(row.attempt),
        Option<&str>: row.detail.as_deref(),
    );
    statement
}

/// The same, then `$27` to `$36` trees and `$37` to `$39` submissions.
pub(super) fn save<'q>(text: &'static str, save: &'q Save) -> Statement<'q> {
    let statement = work_and_events(text, save);
    columns!(statement, save.trees, row =>
        i64: row.seq,
        i64: row.run,
        i64: row.open,
        i64: row.completed,
        i64: row.failed,
        i64: row.cancelled,
        Option<&str>: row.outcome.as_deref(),
        Option<i64>: row.deadline,
        Option<i64>: row.started_at,
        Option<i64>: row.finished_at,
    );
    columns!(statement, save.forests, row => i64: row.seq, i64: row.live, i64: row.open);
    statement
}

/// `$1` to `$3` submissions, `$4` to `$13` trees, `$14` to `$32` tasks, `$33` the moment.
pub(super) fn insert<'q>(text: &'static str, insert: &'q Insert) -> Statement<'q> {
    let statement = sqlx::query(text);
    columns!(statement, insert.forests, row => i64: row.seq, i64: row.live, i64: row.open);
    columns!(statement, insert.trees, row =>
        i64: row.seq,
        &str: row.id.as_str(),
        i64: row.forest,
        Option<&str>: row.user_id.as_deref(),
        &str: row.options.as_str(),
        i64: row.run,
        i64: row.total,
        i64: row.open,
        Option<i64>: row.deadline,
        Option<i64>: row.started_at,
    );
    columns!(statement, insert.tasks, row =>
        i64: row.seq,
        &str: row.id.as_str(),
        i64: row.tree,
        i64: row.forest,
        Option<i64>: row.parent,
        i64: i64::from(row.has_children),
        Option<&str>: row.user_id.as_deref(),
        Option<&str>: row.executor.as_deref(),
        Option<&str>: row.needs.as_deref(),
        Option<&str>: row.dependents.as_deref(),
        &str: row.definition.as_str(),
        &'static str: row.state,
        i64: row.priority,
        i64: i64::from(row.join_any),
        i64: row.token,
        Option<i64>: row.max_attempts,
        i64: row.waiting_for,
        i64: row.turn,
        Option<&str>: row.facets.as_deref(),
        Option<i64>: row.wake_at,
    );
    statement.bind(insert.now.0)
}

/// Whole numbers as the text of an array, for statements that are sent as one script. Nothing but
/// digits can be in it.
pub(super) fn numbers(seqs: &[i64]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(seqs.len() * 8 + 4);
    text.push_str("'{");
    for (index, seq) in seqs.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        // Writing into a text does not fail.
        let _ = write!(text, "{seq}");
    }
    text.push_str("}'");
    text
}
