//! Rows as they lie in the tables, and the way from a row to the model.

mod schedule;
mod task;
mod tree;

pub(crate) use schedule::{DueRow, ScheduleRow, SlotRow};
pub(crate) use task::{HotRow, RecordRow, StateColumns, record};
pub(crate) use tree::{ForestRow, RunRow, TreeRow};
