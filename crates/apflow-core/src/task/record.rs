//! A whole task and a whole run as readers see them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Definition, Task, TreeOptions};
use crate::{
    id::{Seq, TaskId, TreeId},
    time::Timestamp,
};

/// Everything that is known of one task.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: TaskId,
    /// Its tree.
    pub tree_id: TreeId,
    /// The task it hangs under.
    pub parent_id: Option<TaskId>,
    /// Whether anything hangs under it.
    pub has_children: bool,
    /// What the author said.
    pub definition: Definition,
    /// What the engine knows.
    pub task: Task,
    /// 0 to 1.
    pub progress: f64,
    /// Inputs the last attempt ran with: the caller's and those from dependencies (ruling 9).
    pub resolved_inputs: Option<Map<String, Value>>,
    /// What the executor returned.
    pub result: Option<Value>,
    /// Why it ended without a result.
    pub error: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The worker of the last attempt.
    pub worker: Option<String>,
    /// Ids of the tasks it still waits for; filled where one task is read in detail.
    pub waiting_for: Vec<TaskId>,
    /// Ids of the required tasks that ended without completing.
    pub failed_needs: Vec<TaskId>,
}

impl Record {
    /// The inputs a client sees: the resolved ones once there are any.
    pub fn visible_inputs(&self) -> &Map<String, Value> {
        self.resolved_inputs.as_ref().unwrap_or(&self.definition.inputs)
    }
}

/// A tree as such, apart from its tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeRecord {
    /// Its row, which is also its root's; signals name it.
    pub seq: Seq,
    /// Its id.
    pub id: TreeId,
    /// Its root task.
    pub root: TaskId,
    /// Owner.
    pub user_id: Option<String>,
    /// What holds for the whole tree.
    pub options: TreeOptions,
}

/// How one run of a tree stands, or how it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSummary {
    /// The tree.
    pub tree: TreeRecord,
    /// Which run of the tree this is, counted from 1; 0 if it never ran.
    pub run: u32,
    /// How it ended; none while it goes on.
    pub outcome: Option<Outcome>,
    /// Whether anything of it can still move.
    pub running: bool,
    /// All tasks of the tree.
    pub total: u64,
    /// Those that completed.
    pub completed: u64,
    /// Those that failed: at most a hundred, in order of submission.
    pub failed_tasks: Vec<TaskId>,
    /// Those that a failure keeps from running: at most a hundred.
    pub blocked_tasks: Vec<TaskId>,
    /// When the run began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything that was asked for completed.
    Completed,
    /// Something failed, or a failure kept it from running.
    Failed,
    /// Nothing failed and something was cancelled.
    Cancelled,
}

impl Outcome {
    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The outcome a stored word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Completed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
