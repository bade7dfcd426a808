//! Rows as they lie in the tables, and the way from a row to the model.

mod task;
mod tree;

pub(crate) use task::{HotRow, RecordRow, StateColumns, record};
pub(crate) use tree::{ForestRow, RunRow, TreeRow};
