//! Changing and deleting single tasks.

use std::collections::{HashMap, HashSet};

use apflow_core::{
    id::TaskId,
    store::{NeedKind, Patch, StoreError},
    task::{Definition, Dependency, Failure, FailureKind, Join, OriginType, StateName, Status},
    transition::{Event, Refused},
};
use serde_json::Value;

use super::{
    Effects, Working,
    control::{cancel_one, find, origin},
    insert::edges_text,
    schedule,
};
use crate::rows::{ForestTask, Found, Rows, Values};

/// Changes one task, all of the patch or nothing.
pub(crate) async fn update<R: Rows + ?Sized>(
    rows: &mut R,
    id: &TaskId,
    patch: &Patch,
) -> Result<Effects, StoreError> {
    let found = find(rows, id).await?;
    // A schedule is locked before the submission, as schedulers do.
    let reschedules = patch.definition.contains_key("schedule");
    let scheduled = if reschedules { schedule::of_task(rows, &found).await? } else { None };
    let opening = rows.open(&[found.seq], 0).await?;
    let mut work = Working::new(opening.now);
    work.take_in(opening);

    let authored = rows.authored(found.seq).await?;
    let mut definition: Definition =
        serde_json::from_str(&authored.definition).map_err(|error| StoreError::Corrupt {
            table: "af_tasks",
            row: found.id.clone(),
            what: format!("definition: {error}"),
        })?;
    let kind = definition.origin.kind;
    if matches!(kind, OriginType::Link | OriginType::Archive) {
        return Err(StoreError::Fixed { id: id.clone(), kind });
    }
    let mut needs = authored.needs.clone();
    if let Some(dependencies) = &patch.dependencies {
        needs = rewire(rows, &mut work, &found, dependencies).await?;
        definition.dependencies.clone_from(dependencies);
    }
    if let Some(due) = scheduled.as_ref().filter(|due| !due.row.kind.is_empty()) {
        // It may have gone off by itself since its author switched it on.
        definition.schedule.schedule_enabled = due.row.standing.enabled;
    }
    let old_schedule = definition.schedule.clone();
    patch
        .write_into(&mut definition)
        .map_err(|error| StoreError::Rejected(vec![format!("task {}: {error}", found.id)]))?;
    let mut looks_anew = false;
    if reschedules {
        let now = work.now;
        looks_anew =
            schedule::follow_update(rows, &found, scheduled, &old_schedule, &definition, now)
                .await?;
    }
    if let Some(status) = patch.status {
        change_status(rows, &mut work, &found, status, patch).await?;
    }
    if patch.definition.contains_key("flow") {
        work.follow(found.seq, &definition);
    }
    let error = new_error(&work, &found, patch)?;
    work.carry_through(rows).await?;
    let text = serde_json::to_string(&definition).unwrap_or_default();
    rows.save_authored(
        found.seq,
        &text,
        definition.executor(),
        needs.as_deref(),
        definition.user_id.as_deref(),
    )
    .await?;
    let values = Values {
        seq: found.seq,
        output: patch.result.as_ref().map(|value| value.as_ref().map(Value::to_string)),
        error,
        progress: patch.progress,
        priority: i64::from(definition.priority.get()),
        join_any: definition.waits_for() == Join::Any,
        max_attempts: definition.durability.max_attempts.map(i64::from),
    };
    let now = work.now;
    work.bind(found.seq, &definition);
    let mut effects = work.finish_with(rows).await?;
    rows.save_values(&values, now).await?;
    effects.scheduled = looks_anew;
    Ok(effects)
}

async fn change_status<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    found: &Found,
    status: Status,
    patch: &Patch,
) -> Result<(), StoreError> {
    let Some(state) = work.task(found.seq).map(|task| task.state.name()) else {
        return Err(StoreError::NoSuchTask(TaskId::new(found.id.clone())));
    };
    if state.status() == status {
        return Ok(());
    }
    let said = patch.error.clone().flatten().filter(|error| !error.trim().is_empty());
    let event = match (state.status(), status) {
        (Status::Failed | Status::Cancelled, Status::Pending) => Event::Reset,
        (Status::Pending, Status::InProgress) => Event::TakenOver,
        (Status::InProgress, Status::Completed) => Event::Reported { failure: None },
        (Status::InProgress, Status::Failed) => {
            let message = said.unwrap_or_default();
            Event::Reported { failure: Some(Failure::new(FailureKind::Reported, message)) }
        }
        (Status::Pending | Status::InProgress, Status::Cancelled) => {
            let reason = said.unwrap_or_else(|| "Cancelled by user".to_owned());
            let graph = work.whole(rows, &[found.forest]).await?;
            return cancel_one(work, &graph, found, &reason).map(drop);
        }
        _ => return Err(refused(found, state)),
    };
    work.apply(found.seq, event)
        .map_err(|refused| StoreError::Refused { id: TaskId::new(found.id.clone()), refused })
}

/// The error to store, if the patch names one; what ended without a result always says why (ruling 8).
fn new_error(
    work: &Working,
    found: &Found,
    patch: &Patch,
) -> Result<Option<Option<String>>, StoreError> {
    let status = work.task(found.seq).map(|task| task.state.status());
    let says_why = matches!(status, Some(Status::Failed | Status::Cancelled));
    match (&patch.error, status) {
        (Some(error), Some(status))
            if says_why && error.as_ref().is_none_or(|error| error.trim().is_empty()) =>
        {
            if patch.status == Some(status) {
                // The change of status has found words.
                return Ok(None);
            }
            Err(StoreError::Rejected(vec![format!(
                "Cannot update 'error' of task '{}': its status is '{status}', which needs a \
                 reason; write another one, or set the status",
                found.id
            )]))
        }
        (error, _) => Ok(error.clone()),
    }
}

fn refused(found: &Found, state: StateName) -> StoreError {
    StoreError::Refused {
        id: TaskId::new(found.id.clone()),
        refused: Refused::OutOfOrder { state },
    }
}

/// Gives a task other dependencies. Order by structure yields where it would close a loop.
async fn rewire<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    found: &Found,
    dependencies: &[Dependency],
) -> Result<Option<String>, StoreError> {
    let (forests, trees, tasks) = rows.forests(&[found.forest]).await?;
    let running = trees.iter().any(|tree| tree.seq == found.tree && tree.is_running());
    work.take_in_forests(forests, trees, &tasks);
    let status = work.task(found.seq).map_or(Status::Pending, |task| task.state.status());
    if status != Status::Pending || running {
        let state = if running { "running" } else { status.as_str() };
        return Err(StoreError::Rejected(vec![format!(
            "Cannot update 'dependencies': task status is '{state}' (must be 'pending')"
        )]));
    }
    let ids: Vec<&str> = dependencies.iter().map(|each| each.id.as_str()).collect();
    let known: HashMap<String, i64> = rows
        .find(&ids)
        .await?
        .into_iter()
        .filter(|each| each.forest == found.forest)
        .map(|each| (each.id, each.seq))
        .collect();
    let mut wanted: Vec<(i64, i64)> = Vec::with_capacity(dependencies.len());
    let mut missing = Vec::new();
    for each in dependencies {
        let kind = if each.required { NeedKind::Required } else { NeedKind::Optional };
        match known.get(each.id.as_str()) {
            Some(seq) => wanted.push((*seq, kind.code())),
            None => missing.push(each.id.clone()),
        }
    }
    if !missing.is_empty() {
        let task = TaskId::new(found.id.clone());
        return Err(StoreError::UnknownDependency { task, missing });
    }
    let mut edges: HashMap<i64, Vec<(i64, i64)>> =
        tasks.iter().map(|task| (task.hot.seq, task.needs.clone())).collect();
    let before = edges.clone();
    let own = edges.entry(found.seq).or_default();
    own.retain(|(_, kind)| *kind == NeedKind::Structure.code());
    let by_structure = std::mem::take(own);
    own.extend(wanted);
    own.extend(by_structure);
    while let Some(path) = loop_through(&edges, found.seq) {
        let yields = path
            .windows(2)
            .find(|pair| edges[&pair[0]].contains(&(pair[1], NeedKind::Structure.code())));
        let Some(&[task, need]) = yields else {
            let names: HashMap<i64, String> =
                names(rows, path.clone()).await?.into_iter().collect();
            let path =
                path.iter().filter_map(|seq| names.get(seq).cloned().map(TaskId::new)).collect();
            return Err(StoreError::Cycle { task: TaskId::new(found.id.clone()), path });
        };
        if let Some(needs) = edges.get_mut(&task) {
            needs.retain(|edge| *edge != (need, NeedKind::Structure.code()));
        }
    }
    save_edges(rows, found.seq, &before, &edges).await?;
    Ok(edges_text(&edges[&found.seq]))
}

/// A way from `start` over needs back to `start`, if there is one.
fn loop_through(edges: &HashMap<i64, Vec<(i64, i64)>>, start: i64) -> Option<Vec<i64>> {
    let mut seen: HashSet<i64> = HashSet::new();
    let mut path = vec![(start, 0_usize)];
    while let Some((task, next)) = path.last_mut() {
        let Some((need, _)) = edges.get(task).and_then(|needs| needs.get(*next)).copied() else {
            path.pop();
            continue;
        };
        *next += 1;
        if need == start {
            return Some(path.iter().map(|(task, _)| *task).chain([start]).collect());
        }
        if seen.insert(need) {
            path.push((need, 0));
        }
    }
    None
}

/// Writes the edges that differ, both ways.
async fn save_edges<R: Rows + ?Sized>(
    rows: &mut R,
    own: i64,
    before: &HashMap<i64, Vec<(i64, i64)>>,
    after: &HashMap<i64, Vec<(i64, i64)>>,
) -> Result<(), StoreError> {
    let mut touched: HashSet<i64> = HashSet::new();
    for (task, needs) in after {
        let old = before.get(task).map_or(&[][..], Vec::as_slice);
        if old == needs.as_slice() {
            continue;
        }
        touched.extend(old.iter().chain(needs).map(|(need, _)| *need));
        if *task != own {
            let authored = rows.authored(*task).await?;
            let definition: Definition =
                serde_json::from_str(&authored.definition).unwrap_or_default();
            rows.save_authored(
                *task,
                &authored.definition,
                definition.executor(),
                edges_text(needs).as_deref(),
                definition.user_id.as_deref(),
            )
            .await?;
        }
    }
    for need in touched {
        let mut dependents: Vec<(i64, i64)> = after
            .iter()
            .flat_map(|(task, needs)| {
                needs.iter().filter(|(each, _)| *each == need).map(|(_, kind)| (*task, *kind))
            })
            .collect();
        dependents.sort_unstable();
        rows.save_dependents(need, edges_text(&dependents).as_deref()).await?;
    }
    Ok(())
}

/// Deletes a task and its descendants, all of them pending and not needed by others.
pub(crate) async fn delete<R: Rows + ?Sized>(rows: &mut R, id: &TaskId) -> Result<u32, StoreError> {
    let found = find(rows, id).await?;
    let mut work = Working::new(rows.now().await?);
    let (forests, trees, tasks) = rows.forests(&[found.forest]).await?;
    let running = trees.iter().any(|tree| tree.seq == found.tree && tree.is_running());
    work.take_in_forests(forests, trees, &tasks);
    let goes = below(&tasks, found.seq);
    let authored = rows.authored(found.seq).await?;
    if tasks.iter().any(|task| task.hot.seq == found.seq && task.fixed) {
        let kind = origin(rows, found.seq).await?;
        return Err(StoreError::Fixed { id: id.clone(), kind });
    }
    let mut reasons = objections(&work, &goes, &found, running);
    reasons.extend(not_pending(rows, &work, &goes, &found).await?);
    reasons.extend(still_needed(rows, &tasks, &goes).await?);
    if !reasons.is_empty() {
        return Err(StoreError::Rejected(vec![format!(
            "Cannot delete task: {}",
            reasons.join("; ")
        )]));
    }
    let mut seqs: Vec<i64> = goes.iter().copied().collect();
    seqs.sort_unstable();
    for seq in &seqs {
        work.forget(*seq);
    }
    work.finish_with(rows).await?;
    rows.delete_schedules(&seqs).await?;
    rows.delete_tasks(&seqs, authored.parent, found.tree).await?;
    if found.seq == found.tree {
        rows.delete_trees(&[found.tree], &[], &[found.forest]).await?;
    }
    Ok(u32::try_from(seqs.len()).unwrap_or(u32::MAX))
}

/// A task and everything below it.
fn below(tasks: &[ForestTask], root: i64) -> HashSet<i64> {
    let mut children: HashMap<i64, Vec<i64>> = HashMap::new();
    for task in tasks {
        if let Some(parent) = task.parent {
            children.entry(parent).or_default().push(task.hot.seq);
        }
    }
    let mut goes = HashSet::from([root]);
    let mut open = vec![root];
    while let Some(task) = open.pop() {
        for child in children.get(&task).into_iter().flatten() {
            if goes.insert(*child) {
                open.push(*child);
            }
        }
    }
    goes
}

/// Why a task cannot go, as far as it is about the task itself and its run.
fn objections(work: &Working, goes: &HashSet<i64>, found: &Found, running: bool) -> Vec<String> {
    let state = |seq: i64| work.task(seq).map(|task| task.state.name());
    let status = state(found.seq).map_or(Status::Pending, StateName::status);
    if status != Status::Pending {
        return vec![format!("task status is '{status}' (must be 'pending')")];
    }
    // Others of the tree may run; what the run has asked for may not go.
    let asked_for = |seq: &i64| state(*seq) != Some(StateName::Created);
    if running && goes.iter().any(asked_for) {
        return vec!["its tree is running".to_owned()];
    }
    Vec::new()
}

/// The tasks below that have begun or ended, by name.
async fn not_pending<R: Rows + ?Sized>(
    rows: &mut R,
    work: &Working,
    goes: &HashSet<i64>,
    found: &Found,
) -> Result<Option<String>, StoreError> {
    let status = |seq: i64| work.task(seq).map_or(Status::Pending, |task| task.state.status());
    let children: Vec<i64> = goes
        .iter()
        .copied()
        .filter(|seq| *seq != found.seq && status(*seq) != Status::Pending)
        .collect();
    let named = names(rows, children).await?;
    let list: Vec<String> =
        named.iter().map(|(seq, id)| format!("{id}: {}", status(*seq))).collect();
    Ok((!list.is_empty())
        .then(|| format!("task has {} non-pending children: [{}]", list.len(), list.join(", "))))
}

/// Those that depend on what is to go and stay behind, by name; links to it stay behind too.
async fn still_needed<R: Rows + ?Sized>(
    rows: &mut R,
    tasks: &[ForestTask],
    goes: &HashSet<i64>,
) -> Result<Option<String>, StoreError> {
    let needs_one = |task: &&ForestTask| {
        let is_real = |kind: i64| kind != NeedKind::Structure.code();
        task.needs.iter().any(|(need, kind)| goes.contains(need) && is_real(*kind))
    };
    let dependents = tasks.iter().filter(|task| !goes.contains(&task.hot.seq)).filter(needs_one);
    let named = names(rows, dependents.map(|task| task.hot.seq).collect()).await?;
    let seqs: Vec<i64> = goes.iter().copied().collect();
    if named.is_empty() && rows.linked(&seqs).await?.is_empty() {
        return Ok(None);
    }
    let ids: Vec<&str> = named.iter().map(|(_, id)| id.as_str()).collect();
    let who = if ids.is_empty() { String::new() } else { format!(": [{}]", ids.join(", ")) };
    Ok(Some(format!("task has dependent tasks and cannot be deleted{who}")))
}

/// The ids of some rows, in order of submission.
async fn names<R: Rows + ?Sized>(
    rows: &mut R,
    seqs: Vec<i64>,
) -> Result<Vec<(i64, String)>, StoreError> {
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    // What a worker is told of a task has its id; it is asked here only to explain a refusal.
    let (found, _) = rows.claimed(&seqs).await?;
    let mut named: Vec<(i64, String)> = found.into_iter().map(|row| (row.seq, row.id)).collect();
    named.sort_unstable();
    Ok(named)
}
