//! Which tasks a reader wants, and how many at once.

use crate::{
    id::{TaskId, TreeId},
    task::Status,
};

/// Conditions that all must hold; an empty filter means every task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskFilter {
    /// Owner.
    pub user_id: Option<String>,
    /// Any of these statuses; empty: all.
    pub statuses: Vec<Status>,
    /// Only tasks without a parent.
    pub root_only: bool,
    /// Only children of this task.
    pub parent_id: Option<TaskId>,
    /// Only tasks of this tree.
    pub tree_id: Option<TreeId>,
    /// Only these tasks; empty: all.
    pub ids: Vec<TaskId>,
}

/// Which part of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// At most so many.
    pub limit: u32,
    /// After so many.
    pub offset: u32,
}

impl Page {
    /// The most a page can hold.
    pub const MAX: u32 = 1000;
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: 100, offset: 0 }
    }
}

/// How many tasks have each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the order of [`Status::ALL`].
    pub by_status: [u64; 5],
}

impl Counts {
    /// How many have this status.
    pub fn of(&self, status: Status) -> u64 {
        Status::ALL
            .iter()
            .zip(self.by_status)
            .find_map(|(each, count)| (*each == status).then_some(count))
            .unwrap_or(0)
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.by_status.iter().sum()
    }
}
