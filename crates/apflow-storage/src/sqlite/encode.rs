//! From rows to the JSON arrays that SQLite's statements take, one array a row.

use apflow_core::store::StoreError;
use serde::{Serialize, Serializer, ser::SerializeSeq as _};

use crate::{
    row::{ForestRow, TreeRow},
    rows::{NewEvent, NewTaskRow, NewTreeRow, WorkChange},
};

/// A set as one JSON text.
pub(super) fn json<T: Serialize + ?Sized>(rows: &T) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| StoreError::Unavailable {
        what: "writing rows as JSON".to_owned(),
        source: Some(Box::new(error)),
    })
}

macro_rules! as_array {
    ($row:ident => $type:ty: $($value:expr),* $(,)?) => {
        impl Serialize for Array<'_, $type> {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let $row = self.0;
                let mut array = to.serialize_seq(None)?;
                $(array.serialize_element(&$value)?;)*
                array.end()
            }
        }
    };
}

/// A row as an array.
pub(super) struct Array<'a, T>(pub(super) &'a T);

/// Rows as an array of arrays.
pub(super) struct Arrays<'a, T>(pub(super) &'a [T]);

impl<T> Serialize for Arrays<'_, T>
where
    for<'a> Array<'a, T>: Serialize,
{
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(Array))
    }
}

as_array! { row => WorkChange:
    row.seq, row.state, row.token, row.attempts, row.waiting_for, row.failed_needs, row.wake_at,
    row.worker, row.detail, row.error, row.progress, row.resolved, row.output, row.output_parts,
    row.started_at, row.completed_at, row.wipe, row.held, row.turn, row.facets,
}
as_array! { row => TreeRow:
    row.seq, row.run, row.open, row.completed, row.failed, row.cancelled, row.outcome, row.deadline,
    row.started_at, row.finished_at,
}
as_array! { row => ForestRow: row.seq, row.live, row.open }
as_array! { row => NewEvent: row.tree, row.task, row.kind, row.attempt, row.detail }
as_array! { row => NewTreeRow:
    row.seq, row.id, row.forest, row.user_id, row.options, row.run, row.total, row.open, row.deadline,
    row.started_at,
}

/// The authored half of a new task.
pub(super) struct TaskHalf<'a>(pub(super) &'a NewTaskRow);

impl Serialize for TaskHalf<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let row = self.0;
        (
            row.seq,
            &row.id,
            row.tree,
            row.forest,
            row.parent,
            row.has_children,
            &row.user_id,
            &row.executor,
            &row.needs,
            &row.dependents,
            &row.definition,
        )
            .serialize(to)
    }
}

/// The changing half of a new task.
pub(super) struct WorkHalf<'a>(pub(super) &'a NewTaskRow);

impl Serialize for WorkHalf<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let row = self.0;
        (
            row.seq,
            row.tree,
            row.forest,
            row.state,
            row.priority,
            row.join_any,
            row.token,
            row.max_attempts,
            row.waiting_for,
            row.turn,
            row.facets.as_deref(),
            row.wake_at,
        )
            .serialize(to)
    }
}
