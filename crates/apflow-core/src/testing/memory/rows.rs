//! The rows of the store in memory, and what one change makes of the others.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use serde_json::{Map, Value, json};

use super::callbacks::CallbackRow;
use super::schedule::Scheduled;
use crate::{
    id::{NodeId, Seq, TaskId, TreeId},
    plan::{self, Cause, Node},
    store::{ApiToken, EventKind, Inserted, NeedKind, Started, TaskEvent},
    task::{Definition, OnFailure, OriginType, Outcome, State, StateName, Task, TreeRecord},
    time::Timestamp,
    transition::{Event, Refused},
};

#[derive(Debug, Clone)]
pub(super) struct TaskRow {
    pub(super) id: TaskId,
    pub(super) tree: usize,
    pub(super) forest: usize,
    pub(super) parent: Option<usize>,
    pub(super) definition: Arc<Definition>,
    pub(super) task: Task,
    pub(super) progress: f64,
    pub(super) resolved_inputs: Option<Map<String, Value>>,
    pub(super) result: Option<Arc<Value>>,
    pub(super) error: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) worker: Option<NodeId>,
    /// What a link answers for, by position.
    pub(super) original: Option<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct TreeRow {
    pub(super) record: TreeRecord,
    pub(super) run: u32,
    /// This run is a demonstration.
    pub(super) demo: bool,
    pub(super) open: bool,
    pub(super) outcome: Option<Outcome>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) finished_at: Option<Timestamp>,
    pub(super) deadline: Option<Timestamp>,
}

/// What an idempotency key stands for.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) digest: String,
    pub(super) answer: Answer,
    pub(super) used_at: Timestamp,
}

/// The first answer to a request with a key.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Stored(Inserted),
    Started(Started),
}

/// One edge, by position of the tasks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    pub(super) on: usize,
    pub(super) of: usize,
    pub(super) kind: NeedKind,
}

/// Everything there is. A task's row is its position plus one; positions are never used again.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    pub(super) now: Timestamp,
    pub(super) tasks: Vec<Option<TaskRow>>,
    pub(super) trees: Vec<TreeRow>,
    pub(super) forests: usize,
    pub(super) needs: Vec<Need>,
    pub(super) ids: HashMap<TaskId, usize>,
    pub(super) tree_ids: HashMap<TreeId, usize>,
    pub(super) keys: HashMap<(String, String), Key>,
    pub(super) tokens: Vec<ApiToken>,
    /// Marks and until when each counts.
    pub(super) seen: HashMap<String, Timestamp>,
    pub(super) events: Vec<TaskEvent>,
    pub(super) callbacks: Vec<CallbackRow>,
    pub(super) last_callback: i64,
    pub(super) dead: HashSet<NodeId>,
    /// Tasks that ended and whose dependents do not know yet.
    ended: Vec<usize>,
    pub(super) readied: bool,
    pub(super) stopped: Vec<Seq>,
    pub(super) changed: BTreeSet<Seq>,
    pub(super) finished: BTreeSet<Seq>,
    /// Schedules, by position of their task.
    pub(super) schedules: BTreeMap<usize, Scheduled>,
    pub(super) rescheduled: bool,
}

/// The tasks of one submission as planning sees them.
pub(super) struct View {
    at: Vec<usize>,
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<plan::Edge>,
}

impl View {
    /// Where planning's task lies among the rows.
    pub(super) fn row(&self, node: usize) -> usize {
        self.at[node]
    }

    /// Where a row lies for planning.
    pub(super) fn node(&self, at: usize) -> Option<usize> {
        self.at.iter().position(|each| *each == at)
    }
}

pub(super) fn seq(at: usize) -> Seq {
    Seq(i64::try_from(at).unwrap_or(i64::MAX - 1) + 1)
}

pub(super) fn position(seq: Seq) -> usize {
    usize::try_from(seq.0 - 1).unwrap_or(usize::MAX)
}

impl TaskRow {
    /// A link or an archived task.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.definition.origin.kind, OriginType::Link | OriginType::Archive)
    }
}

impl Rows {
    /// The links to a task.
    pub(super) fn links_to(&self, at: usize) -> impl Iterator<Item = &TaskRow> {
        self.all().map(|(_, row)| row).filter(move |row| row.original == Some(at))
    }

    pub(super) fn find(&self, id: &TaskId) -> Option<(usize, &TaskRow)> {
        let at = *self.ids.get(id)?;
        Some((at, self.tasks.get(at)?.as_ref()?))
    }

    pub(super) fn row(&self, at: usize) -> Option<&TaskRow> {
        self.tasks.get(at)?.as_ref()
    }

    pub(super) fn row_mut(&mut self, at: usize) -> Option<&mut TaskRow> {
        self.tasks.get_mut(at)?.as_mut()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (usize, &TaskRow)> {
        self.tasks.iter().enumerate().filter_map(|(at, row)| Some((at, row.as_ref()?)))
    }

    pub(super) fn children(&self, parent: usize) -> Vec<usize> {
        let hangs = self.all().filter(|(_, row)| row.parent == Some(parent));
        hangs.map(|(at, _)| at).collect()
    }

    pub(super) fn view(&self, forest: usize) -> View {
        let rows: Vec<_> = self.all().filter(|(_, row)| row.forest == forest).collect();
        let at: Vec<usize> = rows.iter().map(|(at, _)| *at).collect();
        let local: HashMap<usize, usize> =
            at.iter().enumerate().map(|(node, at)| (*at, node)).collect();
        let nodes = rows
            .iter()
            .map(|(_, row)| Node {
                state: row.task.state.name(),
                failed: match row.task.state {
                    State::Blocked { failed, .. } => failed,
                    _ => 0,
                },
                tree: row.tree,
                parent: row.parent.and_then(|parent| local.get(&parent).copied()),
                join: row.task.join,
                fixed: row.is_fixed(),
                passed_over: false,
            })
            .collect();
        let edge = |need: &Need| {
            let (from, to) = (*local.get(&need.on)?, *local.get(&need.of)?);
            Some(plan::Edge { from, to, kind: need.kind })
        };
        let edges = self.needs.iter().filter_map(edge).collect();
        View { at, nodes, edges }
    }

    /// The position of the last event.
    pub(super) fn position(&self) -> i64 {
        i64::try_from(self.events.len()).unwrap_or(i64::MAX - 1)
    }

    pub(super) fn append(
        &mut self,
        kind: EventKind,
        tree: usize,
        task: Option<usize>,
        detail: Value,
    ) {
        let row = task.and_then(|at| self.row(at));
        let event = TaskEvent {
            seq: self.position() + 1,
            tree: self.trees[tree].record.id.clone(),
            task: row.map(|row| row.id.clone()),
            kind,
            attempt: row.map_or(0, |row| row.task.attempts),
            at: self.now,
            detail,
        };
        self.events.push(event);
        self.changed.insert(seq(tree));
    }

    /// Sends one event to one task and writes down what came of it.
    pub(super) fn send(&mut self, at: usize, event: Event) -> Result<(), Refused> {
        let now = self.now;
        let from_outside = matches!(
            event,
            Event::CancelRequested { .. }
                | Event::Reported { .. }
                | Event::TimePassed
                | Event::Abandoned
        );
        let renews = matches!(event, Event::Renewed { .. });
        let row = self.row_mut(at).ok_or(Refused::NoSuchTask)?;
        let before = row.task.state.name();
        row.task.on(event, now)?;
        let after = row.task.state.name();
        row.updated_at = now;
        if renews || (before == after && after == StateName::Blocked) {
            return Ok(());
        }
        let begins_again = before != StateName::Running && before != StateName::Retrying;
        let (kind, detail) = match &row.task.state {
            State::Created => (Some(EventKind::Reset), Value::Null),
            State::Blocked { .. } => (None, Value::Null),
            State::Ready if before == StateName::Running => {
                (Some(EventKind::Requeued), Value::Null)
            }
            State::Ready => (None, Value::Null),
            State::Retrying { at, .. } => (Some(EventKind::Retrying), json!({ "at": at })),
            State::Running { worker, .. } => {
                row.worker = Some(worker.clone());
                (Some(EventKind::Started), Value::Null)
            }
            State::Waiting { wait, .. } => (Some(EventKind::Parked), json!({ "wait": wait })),
            State::Completed => {
                row.progress = 1.0;
                row.error = None;
                (Some(EventKind::Completed), Value::Null)
            }
            State::Failed { failure } => {
                row.error = Some(failure.message.clone());
                (Some(EventKind::Failed), json!({ "kind": failure.kind, "error": failure.message }))
            }
            State::Skipped { why, .. } => {
                row.error = Some(why.clone());
                (Some(EventKind::Skipped), json!({ "error": why }))
            }
            State::Cancelled { reason } => {
                row.error = Some(reason.clone());
                (Some(EventKind::Cancelled), json!({ "error": reason }))
            }
        };
        if matches!(after, StateName::Created | StateName::Blocked)
            || (after == StateName::Ready && begins_again && row.task.attempts == 0)
        {
            row.progress = 0.0;
            (row.result, row.error, row.resolved_inputs) = (None, None, None);
        }
        let tree = row.tree;
        self.readied |= after == StateName::Ready;
        if before == StateName::Running && after != StateName::Running && from_outside {
            self.stopped.push(seq(at));
        }
        if after.is_terminal() && !before.is_terminal() {
            self.ended.push(at);
        }
        if let Some(kind) = kind {
            self.append(kind, tree, Some(at), detail);
        }
        self.changed.insert(seq(tree));
        Ok(())
    }

    /// Lets what changed in a forest have its consequences, to the end.
    pub(super) fn spread(&mut self, forest: usize) {
        loop {
            while let Some(at) = self.ended.pop() {
                self.tell_dependents(at);
                self.take_along(at, forest);
            }
            let view = self.view(forest);
            let released = plan::release(&view.nodes, &view.edges);
            if released.is_empty() {
                break;
            }
            for node in released {
                // Released tasks are blocked, and nothing has moved since they were chosen.
                let _ = self.send(view.row(node), Event::Released);
            }
        }
        let view = self.view(forest);
        let still = !view.nodes.iter().any(|node| node.state.is_live());
        for tree in 0..self.trees.len() {
            if !self.trees[tree].open || !view.nodes.iter().any(|node| node.tree == tree) {
                continue;
            }
            let began = self.trees[tree].started_at;
            let of_this_run =
                |row: &&TaskRow| row.task.completed_at.is_none_or(|at| Some(at) >= began);
            let of_tree = self.all().map(|(_, row)| row).filter(|row| row.tree == tree);
            let states: Vec<StateName> =
                of_tree.filter(of_this_run).map(|row| row.task.state.name()).collect();
            if let Some(outcome) = plan::outcome(states, still) {
                let now = self.now;
                let row = &mut self.trees[tree];
                (row.open, row.outcome, row.finished_at) = (false, Some(outcome), Some(now));
                row.deadline = None;
                self.finished.insert(seq(tree));
                self.append(EventKind::RunFinished, tree, None, json!({ "outcome": outcome }));
            }
        }
    }

    fn tell_dependents(&mut self, at: usize) {
        let Some(state) = self.row(at).map(|row| row.task.state.name()) else { return };
        let needs: Vec<Need> = self.needs.iter().filter(|need| need.on == at).copied().collect();
        for need in needs {
            let Some(row) = self.row(need.of) else { continue };
            // What a run left blocked when it ended stays so: nobody asked for it any more.
            if row.task.state.name() == StateName::Blocked && self.trees[row.tree].open {
                // A blocked task takes every such event.
                let _ = self.send(need.of, plan::need_settled(need.kind, state));
            }
        }
    }

    fn take_along(&mut self, at: usize, forest: usize) {
        let Some(row) = self.row(at) else { return };
        if row.task.state.name() != StateName::Failed {
            return;
        }
        let option = self.trees[row.tree].record.options.on_failure;
        let name = row.definition.name.clone();
        let view = self.view(forest);
        let Some(origin) = view.node(at) else { return };
        for node in plan::cascade(&view.nodes, &view.edges, origin, Cause::Failed(option)) {
            let event = match option {
                OnFailure::SkipDependents => Event::Skipped { why: plan::why_skipped(&name) },
                _ => Event::CancelRequested { reason: plan::why_stopped(&name) },
            };
            // Planning names only tasks that can take the event.
            let _ = self.send(view.row(node), event);
        }
    }

    /// Marks that a run of a tree begins.
    pub(super) fn begin_run(&mut self, tree: usize) {
        let now = self.now;
        let row = &mut self.trees[tree];
        row.run += 1;
        row.open = true;
        row.demo = false;
        row.outcome = None;
        row.started_at = Some(now);
        row.finished_at = None;
        row.deadline = row
            .record
            .options
            .timeout_seconds
            .and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
            .map(|time| now.after(time));
        let run = row.run;
        self.append(EventKind::RunStarted, tree, None, json!({ "run": run }));
    }

    /// When time alone will change something.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let tasks = self.all().filter_map(|(_, row)| row.task.wake_at());
        tasks.chain(self.trees.iter().filter_map(|tree| tree.deadline)).min()
    }
}
