//! What a task asks for with its result: more tasks, another pass, a jump, the end of the run.
//!
//! Effects are collected while an attempt runs and applied in the transaction that stores its end, or
//! not at all: an attempt that fails leaves none behind. How far they may go is bounded, and a bound
//! that is reached fails the task that asked for more.

use serde_json::Value;

use crate::{
    group::key_of,
    id::{Ids, TaskId},
    store::NewTask,
    task::{Failure, FailureKind, TreeOptions},
};

/// Passes of one task in one run, unless it says otherwise (`max_cycles`).
pub const MAX_CYCLES: u32 = 10;
/// Iterations and jumps in one run of a tree, unless the tree says otherwise (`max_steps`).
pub const MAX_STEPS: u32 = 10_000;
/// Tasks spawned in one run of a tree, unless the tree says otherwise (`max_spawned`).
pub const MAX_SPAWNED: u32 = 100_000;
/// Spawners above a spawned task, unless the tree says otherwise (`max_depth`).
pub const MAX_DEPTH: u32 = 100;
/// What one pass may leave for the next, in bytes of JSON.
pub const MAX_CYCLE_DATA: usize = 256 << 10;

/// One thing a task asks for when it ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Run these tasks too.
    Spawn(Spawn),
    /// Run the task again; whoever waits for it goes on waiting.
    Iterate {
        /// What the next pass is given.
        data: Value,
    },
    /// Go on with another task of the submission.
    Jump {
        /// Its id, or its name.
        to: String,
        /// What its next pass is given.
        data: Value,
    },
    /// The run is over, and it is a success.
    Finish,
    /// The run is over, and it was stopped.
    CancelRun {
        /// Why.
        reason: String,
    },
}

/// Tasks that a task brings into being.
#[derive(Debug, Clone, PartialEq)]
pub struct Spawn {
    /// The tasks; parents and needs are places in this list, and those without parent hang under the
    /// spawner.
    pub tasks: Vec<NewTask>,
    /// What the spawner calls each of them.
    pub keys: Vec<String>,
    /// The spawner goes on when all of them have ended.
    pub gather: bool,
    /// The spawner says what it means if one of them fails; by itself that is no failure of the run.
    pub members: bool,
    /// They and what they spawn have a part of the channel of their own, under this name.
    pub space: Option<String>,
}

impl Spawn {
    /// Gives every task an id of its own in place of what its author called it.
    pub fn name(&mut self, ids: &dyn Ids) {
        let mut names: std::collections::HashMap<TaskId, TaskId> =
            std::collections::HashMap::with_capacity(self.tasks.len());
        for task in &mut self.tasks {
            let id = TaskId::new(ids.next());
            names.insert(std::mem::replace(&mut task.id, id.clone()), id);
        }
        for task in &mut self.tasks {
            for dependency in &mut task.definition.dependencies {
                if let Some(id) = names.get(&dependency.id) {
                    dependency.id = id.clone();
                }
            }
            for limit in &mut task.definition.flow.limits {
                // The limit of a group is that of this very group.
                let group = limit.key.strip_prefix("group:").map(TaskId::new);
                if let Some(id) = group.and_then(|group| names.get(&group)) {
                    limit.key = key_of(id.as_str());
                }
            }
            if let Some(to) = task.definition.loop_edge.as_mut().and_then(|edge| edge.to.as_mut())
                && let Some(id) = names.get(&TaskId::new(to.as_str()))
            {
                id.as_str().clone_into(to);
            }
        }
    }
}

/// How far effects may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Passes of one task in one run.
    pub cycles: u32,
    /// Iterations and jumps in one run of a tree.
    pub steps: u32,
    /// Tasks spawned in one run of a tree.
    pub spawned: u32,
    /// Spawners above a spawned task.
    pub depth: u32,
}

impl Bounds {
    /// The bounds of a task that allows so many passes, in a tree with these options.
    pub fn of(max_cycles: Option<u32>, options: &TreeOptions) -> Self {
        Self {
            cycles: max_cycles.unwrap_or(MAX_CYCLES),
            steps: options.max_steps.unwrap_or(MAX_STEPS),
            spawned: options.max_spawned.unwrap_or(MAX_SPAWNED),
            depth: options.max_depth.unwrap_or(MAX_DEPTH),
        }
    }

    /// The same for a task that allows so many passes.
    #[must_use]
    pub fn with_cycles(self, max_cycles: Option<u32>) -> Self {
        Self { cycles: max_cycles.unwrap_or(MAX_CYCLES), ..self }
    }

    /// Whether a task that went round `cycle` times may do so once more.
    pub fn another_pass(&self, task: &str, cycle: u32) -> Result<(), Failure> {
        let passes = cycle.saturating_add(1);
        if passes < self.cycles {
            return Ok(());
        }
        let most = self.cycles;
        Err(Failure::new(
            FailureKind::CycleLimit,
            format!(
                "task {task} ran {passes} times in this run and may do so {most} times; raise \
                 `max_cycles` if it is meant to go on"
            ),
        ))
    }

    /// Whether a run that took so many extra steps may take one more.
    pub fn another_step(&self, steps: u32) -> Result<(), Failure> {
        if steps < self.steps {
            return Ok(());
        }
        Err(Failure::new(
            FailureKind::StepLimit,
            format!(
                "the run took {steps} iterations and jumps, which is as many as it may; raise \
                 `max_steps` of the tree if it is meant to go on"
            ),
        ))
    }

    /// Whether a run that spawned so many tasks may spawn these as well.
    pub fn more_tasks(&self, spawned: u32, more: usize) -> Result<(), Failure> {
        let whole = usize::try_from(spawned).unwrap_or(usize::MAX).saturating_add(more);
        if whole <= usize::try_from(self.spawned).unwrap_or(usize::MAX) {
            return Ok(());
        }
        let most = self.spawned;
        Err(Failure::new(
            FailureKind::SpawnLimit,
            format!(
                "with these {more} the run would have spawned {whole} tasks, and it may spawn {most}; \
                 raise `max_spawned` of the tree if it is meant to go on"
            ),
        ))
    }

    /// Whether a task with so many spawners above it may spawn.
    pub fn deeper(&self, depth: u32) -> Result<(), Failure> {
        if depth < self.depth {
            return Ok(());
        }
        Err(Failure::new(
            FailureKind::DepthLimit,
            format!(
                "there are {depth} spawners above this task, which is as many as there may be; raise \
                 `max_depth` of the tree if it is meant to go on"
            ),
        ))
    }
}

/// Why data cannot be handed to another pass, if it cannot.
pub fn refuse_data(data: &Value) -> Option<Failure> {
    let size = data.to_string().len();
    (size > MAX_CYCLE_DATA).then(|| {
        Failure::new(
            FailureKind::Effect,
            format!(
                "{size} bytes are too many to hand to another pass, which takes {MAX_CYCLE_DATA}; \
                 keep them elsewhere and hand over where they are"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { cycles: 2, steps: 3, spawned: 5, depth: 1 };

    #[test]
    fn a_task_runs_as_often_as_it_may_and_not_once_more() {
        assert_eq!(BOUNDS.another_pass("a", 0), Ok(()));
        let failure = BOUNDS.another_pass("a", 1).expect_err("two passes are all");
        assert_eq!(failure.kind, FailureKind::CycleLimit);
        assert!(failure.message.contains("task a ran 2 times"), "{}", failure.message);
    }

    #[test]
    fn every_bound_that_is_reached_is_a_failure_of_its_own_kind() {
        let kind = |refused: Result<(), Failure>| refused.map_err(|failure| failure.kind);
        assert_eq!(BOUNDS.another_step(2), Ok(()));
        assert_eq!(kind(BOUNDS.another_step(3)), Err(FailureKind::StepLimit));
        assert_eq!(BOUNDS.more_tasks(2, 3), Ok(()));
        assert_eq!(kind(BOUNDS.more_tasks(3, 3)), Err(FailureKind::SpawnLimit));
        assert_eq!(BOUNDS.deeper(0), Ok(()));
        assert_eq!(kind(BOUNDS.deeper(1)), Err(FailureKind::DepthLimit));
    }

    #[test]
    fn what_is_handed_over_is_bounded() {
        assert_eq!(refuse_data(&Value::from("x")), None);
        let refused = refuse_data(&Value::from("x".repeat(MAX_CYCLE_DATA)));
        assert_eq!(refused.map(|failure| failure.kind), Some(FailureKind::Effect));
    }
}
