//! Starting, cancelling, changing and removing in the store in memory.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    MemoryStore,
    rows::{Answer, Need, Rows, View},
    schedule,
};
use crate::{
    derive::{Derive, Derived},
    firing::Standing,
    id::{Ids, TaskId},
    plan::{self, Cause},
    store::{
        Cancel, CancelAnswer, ControlStore, Idempotency, NeedKind, Patch, Start, StartScope,
        Started, StoreError,
    },
    task::{Dependency, Failure, FailureKind, OriginType, State, StateName, Status},
    time::Timestamp,
    transition::{Event, Refused},
};

fn position(rows: &Rows, id: &TaskId) -> Result<usize, StoreError> {
    rows.find(id).map(|(at, _)| at).ok_or_else(|| StoreError::NoSuchTask(id.clone()))
}

fn start(rows: &mut Rows, wish: &Start) -> Result<Started, StoreError> {
    let started = begin(rows, wish)?;
    if wish.scope == StartScope::Afresh {
        let at = position(rows, &wish.task)?;
        schedule::count_run(rows, at)?;
    }
    Ok(started)
}

/// Begins a run, and counts it for nobody.
pub(super) fn begin(rows: &mut Rows, start: &Start) -> Result<Started, StoreError> {
    let (at, row) =
        rows.find(&start.task).ok_or_else(|| StoreError::NoSuchTask(start.task.clone()))?;
    let tree = rows.trees[row.tree].record.clone();
    let (forest, is_root) = (row.forest, row.parent.is_none());
    if row.is_fixed() {
        if row.definition.origin.kind == OriginType::Link && !start.reexecute {
            return Ok(Started {
                tree: tree.id,
                root: tree.root,
                trees: Vec::new(),
                tasks: 0,
                after: rows.position(),
            });
        }
        return Err(fixed(row));
    }
    let view = rows.view(forest);
    let target = if is_root { None } else { view.node(at) };
    let running = |_| StoreError::AlreadyRunning { root: tree.root.clone() };
    let (resets, begins) = match start.scope {
        StartScope::Auto => {
            let begins =
                plan::start(&view.nodes, &view.edges, target, start.reexecute).map_err(running)?;
            (plan::leftovers(&view.nodes, &begins), begins)
        }
        StartScope::Afresh => {
            let run = plan::afresh(&view.nodes, &view.edges, target).map_err(running)?;
            (run.resets, run.begins)
        }
    };
    if !begins.is_empty() {
        let begun: Vec<usize> = begins.iter().map(|begin| view.row(begin.node)).collect();
        rows.may_begin(forest, &begun)?;
    }
    let after = rows.position();
    let mut trees: Vec<usize> = begins.iter().map(|begin| view.nodes[begin.node].tree).collect();
    trees.sort_unstable();
    trees.dedup();
    let started = trees.iter().map(|tree| rows.trees[*tree].record.id.clone()).collect();
    for tree in trees {
        rows.begin_run(tree);
        rows.trees[tree].demo = start.demo;
        rows.add_callback(start.callback.as_ref(), tree, after);
    }
    for node in resets {
        // What is blocked or cancelled can always be reset.
        let _ = rows.send(view.row(node), Event::Reset);
    }
    for begin in &begins {
        let at = view.row(begin.node);
        rows.send(at, begin.event())
            .map_err(|refused| StoreError::Refused { id: start.task.clone(), refused })?;
    }
    rows.spread(forest);
    let tasks = u32::try_from(begins.len()).unwrap_or(u32::MAX);
    Ok(Started { tree: tree.id, root: tree.root, trees: started, tasks, after })
}

pub(super) fn cancel(rows: &mut Rows, cancel: &Cancel) -> CancelAnswer {
    let Some((at, row)) = rows.find(&cancel.task) else { return CancelAnswer::NoSuchTask };
    if row.task.state.is_terminal() {
        return CancelAnswer::AlreadyEnded(row.task.state.status());
    }
    let forest = row.forest;
    let view: View = rows.view(forest);
    let taken = match view.node(at) {
        Some(origin) => plan::cascade(&view.nodes, &view.edges, origin, Cause::Cancelled),
        None => Vec::new(),
    };
    for at in std::iter::once(at).chain(taken.iter().map(|node| view.row(*node))) {
        // Planning names only tasks that have not ended.
        let _ = rows.send(at, Event::CancelRequested { reason: cancel.reason.clone() });
    }
    rows.spread(forest);
    CancelAnswer::Cancelled { others: u32::try_from(taken.len()).unwrap_or(u32::MAX) }
}

fn update(rows: &mut Rows, id: &TaskId, patch: Patch) -> Result<(), StoreError> {
    let at = position(rows, id)?;
    if let Some(row) = rows.row(at).filter(|row| row.is_fixed()) {
        return Err(fixed(row));
    }
    let now = rows.now;
    if let Some(entries) = &patch.dependencies {
        change_needs(rows, at, entries)?;
    }
    let reschedules = patch.definition.contains_key("schedule");
    let enabled = rows.schedules.get(&at).map(|scheduled| scheduled.standing.enabled);
    let Some(row) = rows.row_mut(at) else { return Err(StoreError::NoSuchTask(id.clone())) };
    let forest = row.forest;
    let mut definition = row.definition.as_ref().clone();
    if reschedules {
        // It may have gone off by itself since its author switched it on.
        definition.schedule.schedule_enabled =
            enabled.unwrap_or(definition.schedule.schedule_enabled);
    }
    let old = definition.clone();
    let unreadable = |error: serde_json::Error| StoreError::Rejected(vec![error.to_string()]);
    patch.write_into(&mut definition).map_err(unreadable)?;
    definition.dependencies = patch.dependencies.unwrap_or(definition.dependencies);
    row.task.priority = definition.priority;
    row.task.join = definition.join;
    row.task.max_attempts = definition.durability.max_attempts;
    row.definition = Arc::new(definition);
    row.updated_at = now;
    if reschedules {
        schedule::follow_update(rows, at, &old.schedule)?;
    }
    let error = patch.error.clone().flatten();
    let Some(row) = rows.row_mut(at) else { return Err(StoreError::NoSuchTask(id.clone())) };
    if let Some(status) = patch.status
        && status != row.task.state.status()
    {
        let event = match status {
            Status::Pending => Event::Reset,
            Status::InProgress => Event::TakenOver,
            Status::Completed => Event::Reported { failure: None },
            Status::Failed => {
                let why = error.clone().unwrap_or_default();
                Event::Reported { failure: Some(Failure::new(FailureKind::Reported, why)) }
            }
            Status::Cancelled => {
                let reason = error.clone().unwrap_or_else(|| "cancelled by an update".to_owned());
                Event::CancelRequested { reason }
            }
        };
        rows.send(at, event).map_err(|refused| StoreError::Refused { id: id.clone(), refused })?;
    }
    if let Some(row) = rows.row_mut(at) {
        row.result = patch.result.map_or_else(|| row.result.clone(), |new| new.map(Arc::new));
        row.error = patch.error.unwrap_or_else(|| row.error.clone());
        row.progress = patch.progress.unwrap_or(row.progress);
    }
    rows.spread(forest);
    Ok(())
}

fn fixed(row: &super::TaskRow) -> StoreError {
    StoreError::Fixed { id: row.id.clone(), kind: row.definition.origin.kind }
}

fn change_needs(rows: &mut Rows, of: usize, entries: &[Dependency]) -> Result<(), StoreError> {
    let Some(row) = rows.row(of) else { return Ok(()) };
    if row.task.state.name() != StateName::Created {
        let refused = Refused::OutOfOrder { state: row.task.state.name() };
        return Err(StoreError::Refused { id: row.id.clone(), refused });
    }
    let (forest, task) = (row.forest, row.id.clone());
    let mut needs = Vec::new();
    let mut missing = Vec::new();
    for entry in entries {
        let kind = if entry.required { NeedKind::Required } else { NeedKind::Optional };
        match rows.find(&entry.id).filter(|(_, need)| need.forest == forest) {
            Some((on, _)) => needs.push(Need { on, of, kind }),
            None => missing.push(entry.id.clone()),
        }
    }
    if !missing.is_empty() {
        return Err(StoreError::UnknownDependency { task, missing });
    }
    rows.needs.retain(|need| need.of != of || need.kind == NeedKind::Structure);
    rows.needs.extend(needs);
    match rows.loop_through(of) {
        Some(path) => Err(StoreError::Cycle { task, path }),
        None => Ok(()),
    }
}

fn delete(rows: &mut Rows, id: &TaskId) -> Result<u32, StoreError> {
    let mut going = vec![position(rows, id)?];
    if let Some(row) = rows.row(going[0]).filter(|row| row.is_fixed()) {
        return Err(fixed(row));
    }
    let mut next = 0;
    while let Some(at) = going.get(next).copied() {
        going.extend(rows.children(at));
        next += 1;
    }
    let mut reasons = Vec::new();
    for row in going.iter().filter_map(|at| rows.row(*at)) {
        if row.task.state != State::Created {
            reasons.push(format!("task {} is {}", row.id, row.task.state.name()));
        }
    }
    if going.iter().any(|at| rows.links_to(*at).next().is_some()) {
        reasons.push("task has dependent tasks and cannot be deleted".to_owned());
    }
    for need in &rows.needs {
        let declared = need.kind != NeedKind::Structure;
        if declared && going.contains(&need.on) && !going.contains(&need.of) {
            let name = |at| rows.row(at).map(|row| row.id.to_string()).unwrap_or_default();
            reasons.push(format!("task {} depends on {}", name(need.of), name(need.on)));
        }
    }
    if !reasons.is_empty() {
        let text = format!("Cannot delete task: {}", reasons.join("; "));
        return Err(StoreError::Rejected(vec![text]));
    }
    remove(rows, &going);
    Ok(u32::try_from(going.len()).unwrap_or(u32::MAX))
}

fn remove(rows: &mut Rows, going: &[usize]) {
    rows.needs.retain(|need| !going.contains(&need.on) && !going.contains(&need.of));
    for at in going {
        rows.schedules.remove(at);
        if let Some(row) = rows.tasks.get_mut(*at).and_then(Option::take) {
            rows.ids.remove(&row.id);
        }
    }
}

/// Removes finished trees of about `limit` tasks together, and at least one.
pub(super) fn prune(rows: &mut Rows, finished_before: Timestamp, limit: u32) -> u64 {
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut gone = 0;
    for tree in 0..rows.trees.len() {
        let row = &rows.trees[tree];
        let is_kept = rows.schedules.iter().any(|(at, scheduled)| {
            let Standing { enabled, waiting, .. } = scheduled.standing;
            rows.row(*at).is_some_and(|row| row.tree == tree) && (enabled || waiting > 0)
        });
        if is_kept
            || row.open
            || rows.is_linked_from_elsewhere(tree)
            || row.finished_at.is_none_or(|at| at >= finished_before)
        {
            continue;
        }
        let of_tree = rows.all().filter(|(_, row)| row.tree == tree);
        let going: Vec<usize> = of_tree.map(|(at, _)| at).collect();
        if left == 0 || (gone > 0 && going.len() > left) {
            break;
        }
        left = left.saturating_sub(going.len());
        remove(rows, &going);
        gone += u64::try_from(going.len()).unwrap_or(u64::MAX);
        if !rows.all().any(|(_, row)| row.tree == tree) {
            let id = rows.trees[tree].record.id.clone();
            rows.tree_ids.remove(&id);
            rows.callbacks.retain(|row| row.tree != tree);
        }
    }
    gone
}

#[async_trait]
impl ControlStore for MemoryStore {
    async fn start(&self, wish: Start) -> Result<Started, StoreError> {
        self.change(|rows| start(rows, &wish))
    }

    async fn start_once(&self, wish: Start, promise: Idempotency) -> Result<Started, StoreError> {
        self.change(|rows| {
            if let Some(Answer::Started(first)) = rows.replay(Some(&promise))? {
                return Ok(first);
            }
            let started = start(rows, &wish)?;
            rows.remember(Some(promise), Answer::Started(started.clone()));
            Ok(started)
        })
    }

    async fn derive(&self, wish: Derive, ids: Arc<dyn Ids>) -> Result<Derived, StoreError> {
        self.change(|rows| super::derive::derive(rows, &wish, ids.as_ref()))
    }

    async fn cancel(&self, batch: Vec<Cancel>) -> Result<Vec<CancelAnswer>, StoreError> {
        self.change(|rows| Ok(batch.iter().map(|wish| cancel(rows, wish)).collect()))
    }

    async fn update(&self, task: &TaskId, patch: Patch) -> Result<(), StoreError> {
        self.change(|rows| update(rows, task, patch))
    }

    async fn delete(&self, task: &TaskId) -> Result<u32, StoreError> {
        self.change(|rows| delete(rows, task))
    }
}
