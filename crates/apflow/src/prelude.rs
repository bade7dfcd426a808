//! What a program that embeds apflow usually needs.

pub use apflow_core::{
    build::{Flow, TaskBuilder, task},
    executor::{Context, ExecuteError, Executor, Manifest},
    id::{TaskId, TreeId},
    registry::Registry,
    task::{Outcome, Record, Status},
};
pub use apflow_storage::Durability;

pub use crate::{App, Error, Ran};
