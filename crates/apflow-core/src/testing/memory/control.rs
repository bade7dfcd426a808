//! Starting, cancelling, changing and removing in the store in memory.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{
    MemoryStore,
    rows::{Need, Rows, View},
    schedule,
};
use crate::{
    firing::Standing,
    id::TaskId,
    plan::{self, Cause},
    store::{
        Cancel, CancelAnswer, ControlStore, NeedKind, Patch, Start, StartScope, Started, StoreError,
    },
    task::{Definition, Dependency, Failure, FailureKind, State, StateName, Status},
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
    let mut trees: Vec<usize> = begins.iter().map(|begin| view.nodes[begin.node].tree).collect();
    trees.sort_unstable();
    trees.dedup();
    let started = trees.iter().map(|tree| rows.trees[*tree].record.id.clone()).collect();
    for tree in trees {
        rows.begin_run(tree);
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
    Ok(Started { tree: tree.id, root: tree.root, trees: started, tasks })
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
    let now = rows.now;
    if let Some(entries) = &patch.dependencies {
        change_needs(rows, at, entries)?;
    }
    let reschedules = patch.definition.contains_key("schedule");
    let enabled = rows.schedules.get(&at).map(|scheduled| scheduled.standing.enabled);
    let Some(row) = rows.row_mut(at) else { return Err(StoreError::NoSuchTask(id.clone())) };
    let forest = row.forest;
    let mut old = row.definition.as_ref().clone();
    if reschedules {
        // It may have gone off by itself since its author switched it on.
        old.schedule.schedule_enabled = enabled.unwrap_or(old.schedule.schedule_enabled);
    }
    let mut definition = merged(&old, &patch.definition)?;
    definition.name = patch.name.unwrap_or(definition.name);
    definition.priority = patch.priority.unwrap_or(definition.priority);
    definition.inputs = patch.inputs.unwrap_or(definition.inputs);
    definition.params = patch.params.unwrap_or(definition.params);
    definition.schemas = patch.schemas.unwrap_or(definition.schemas);
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

fn merged(definition: &Definition, fields: &Map<String, Value>) -> Result<Definition, StoreError> {
    let rejected = |error: serde_json::Error| StoreError::Rejected(vec![error.to_string()]);
    let mut value = serde_json::to_value(definition).map_err(rejected)?;
    if let Value::Object(object) = &mut value {
        for (field, value) in fields {
            match (object.get_mut(field), value) {
                // Groups such as `schedule` are merged field by field.
                (Some(Value::Object(old)), Value::Object(new)) => old.extend(new.clone()),
                _ => drop(object.insert(field.clone(), value.clone())),
            }
        }
    }
    serde_json::from_value(value).map_err(rejected)
}

fn change_needs(rows: &mut Rows, of: usize, entries: &[Dependency]) -> Result<(), StoreError> {
    let Some(row) = rows.row(of) else { return Ok(()) };
    if row.task.state.name() != StateName::Created {
        let refused = Refused::OutOfOrder { state: row.task.state.name() };
        return Err(StoreError::Refused { id: row.id.clone(), refused });
    }
    let forest = row.forest;
    let mut needs = Vec::new();
    for entry in entries {
        let found = rows.find(&entry.id).filter(|(_, need)| need.forest == forest);
        let Some((on, _)) = found else { return Err(StoreError::NoSuchTask(entry.id.clone())) };
        let kind = if entry.required { NeedKind::Required } else { NeedKind::Optional };
        needs.push(Need { on, of, kind });
    }
    rows.needs.retain(|need| need.of != of || need.kind == NeedKind::Structure);
    rows.needs.extend(needs);
    Ok(())
}

fn delete(rows: &mut Rows, id: &TaskId) -> Result<u32, StoreError> {
    let mut going = vec![position(rows, id)?];
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
    for need in &rows.needs {
        let declared = need.kind != NeedKind::Structure;
        if declared && going.contains(&need.on) && !going.contains(&need.of) {
            let name = |at| rows.row(at).map(|row| row.id.to_string()).unwrap_or_default();
            reasons.push(format!("task {} depends on {}", name(need.of), name(need.on)));
        }
    }
    if !reasons.is_empty() {
        return Err(StoreError::Rejected(reasons));
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

/// Removes finished trees of at most `limit` tasks together.
pub(super) fn prune(rows: &mut Rows, finished_before: Timestamp, limit: u32) -> u64 {
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut gone = 0;
    for tree in 0..rows.trees.len() {
        let row = &rows.trees[tree];
        let is_kept = rows.schedules.iter().any(|(at, scheduled)| {
            let Standing { enabled, waiting, .. } = scheduled.standing;
            rows.row(*at).is_some_and(|row| row.tree == tree) && (enabled || waiting > 0)
        });
        if is_kept || row.open || row.finished_at.is_none_or(|at| at >= finished_before) {
            continue;
        }
        let of_tree = rows.all().filter(|(_, row)| row.tree == tree);
        let going: Vec<usize> = of_tree.map(|(at, _)| at).take(left).collect();
        left -= going.len();
        remove(rows, &going);
        gone += u64::try_from(going.len()).unwrap_or(u64::MAX);
        if !rows.all().any(|(_, row)| row.tree == tree) {
            let id = rows.trees[tree].record.id.clone();
            rows.tree_ids.remove(&id);
        }
    }
    gone
}

#[async_trait]
impl ControlStore for MemoryStore {
    async fn start(&self, wish: Start) -> Result<Started, StoreError> {
        self.change(|rows| start(rows, &wish))
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
