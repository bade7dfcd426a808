//! Beginning runs and cancelling.

use std::time::Duration;

use apflow_core::{
    id::{TaskId, TreeId},
    plan::{self, Cause},
    store::{Cancel, CancelAnswer, Start, Started, StoreError},
    transition::Event,
};

use super::{Effects, Working};
use crate::{
    rows::{Found, Rows},
    rows_callbacks::NewCallbackRow,
};

/// Begins a run of what is stored.
pub(crate) async fn start<R: Rows + ?Sized>(
    rows: &mut R,
    start: &Start,
) -> Result<(Started, Effects), StoreError> {
    let found = find(rows, &start.task).await?;
    let mut work = Working::new(rows.now().await?);
    let graph = work.whole(rows, &[found.forest]).await?;
    let target = if found.seq == found.tree { None } else { graph.index(found.seq) };
    let begins = plan::start(&graph.nodes, &graph.edges, target, start.reexecute)
        .map_err(|_| StoreError::AlreadyRunning { root: TaskId::new(found.root_id.clone()) })?;
    let after = rows.last_event().await?;
    // What an earlier run left blocked, and this one does not want, is set back.
    for node in plan::leftovers(&graph.nodes, &begins) {
        apply(&mut work, graph.seq(node), Event::Reset)?;
    }
    let mut trees: Vec<i64> = Vec::new();
    for begin in &begins {
        let seq = graph.seq(begin.node);
        apply(&mut work, seq, begin.event())?;
        trees.extend(work.task(seq).map(|task| task.tree.0));
    }
    trees.sort_unstable();
    trees.dedup();
    // The row of a tree is that of its root, so its id can be read like that of a task.
    let (ids, _) = rows.claimed(&trees).await?;
    if let Some(wish) = &start.callback
        && !trees.is_empty()
    {
        let wishes: Vec<NewCallbackRow> =
            trees.iter().map(|tree| NewCallbackRow::of(wish, *tree, after)).collect();
        rows.add_callbacks(&wishes, work.now).await?;
    }
    for tree in trees {
        let timeout = match work.tree(tree) {
            Some(row) => row.options()?.timeout_seconds,
            None => None,
        };
        let deadline = timeout.and_then(seconds).map(|time| work.now.after(time));
        work.begin_run(tree, deadline);
    }
    work.carry_through(rows).await?;
    let started = Started {
        tree: TreeId::new(found.tree_id),
        root: TaskId::new(found.root_id),
        trees: ids.into_iter().map(|row| TreeId::new(row.tree_id)).collect(),
        tasks: u32::try_from(begins.len()).unwrap_or(u32::MAX),
        after,
    };
    Ok((started, work.finish_with(rows).await?))
}

/// A timeout as a duration; nonsense means none.
pub(crate) fn seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok()
}

/// Cancels tasks with what hangs under them and what requires them.
pub(crate) async fn cancel<R: Rows + ?Sized>(
    rows: &mut R,
    batch: &[Cancel],
) -> Result<(Vec<CancelAnswer>, Effects), StoreError> {
    let ids: Vec<&str> = batch.iter().map(|item| item.task.as_str()).collect();
    let found = rows.find(&ids).await?;
    let mut forests: Vec<i64> = found.iter().map(|found| found.forest).collect();
    forests.sort_unstable();
    forests.dedup();
    let mut work = Working::new(rows.now().await?);
    let mut answers = Vec::with_capacity(batch.len());
    let mut graph = work.whole(rows, &forests).await?;
    for item in batch {
        let Some(found) = found.iter().find(|found| found.id == item.task.as_str()) else {
            answers.push(CancelAnswer::NoSuchTask);
            continue;
        };
        answers.push(cancel_one(&mut work, &graph, found, &item.reason)?);
        // The next one sees what this one took along.
        work.look_again(&mut graph);
    }
    work.carry_through(rows).await?;
    Ok((answers, work.finish_with(rows).await?))
}

/// Cancels one task and whom it takes along.
pub(crate) fn cancel_one(
    work: &mut Working,
    graph: &super::working::Graph,
    found: &Found,
    reason: &str,
) -> Result<CancelAnswer, StoreError> {
    let state = work.task(found.seq).map(|task| task.state.name());
    let (Some(state), Some(origin)) = (state, graph.index(found.seq)) else {
        return Ok(CancelAnswer::NoSuchTask);
    };
    if state.is_terminal() {
        return Ok(CancelAnswer::AlreadyEnded(state.status()));
    }
    apply(work, found.seq, Event::CancelRequested { reason: reason.to_owned() })?;
    let mut others = 0;
    for node in plan::cascade(&graph.nodes, &graph.edges, origin, Cause::Cancelled) {
        let event = Event::CancelRequested { reason: reason.to_owned() };
        // One that an earlier item of the batch took along has ended already.
        others += u32::from(work.apply(graph.seq(node), event).is_ok());
    }
    Ok(CancelAnswer::Cancelled { others })
}

/// Where the task of an id is.
pub(crate) async fn find<R: Rows + ?Sized>(rows: &mut R, id: &TaskId) -> Result<Found, StoreError> {
    rows.find(&[id.as_str()])
        .await?
        .into_iter()
        .next()
        .ok_or_else(|| StoreError::NoSuchTask(id.clone()))
}

/// Sends an event that the plan says the task can take.
pub(crate) fn apply(work: &mut Working, seq: i64, event: Event) -> Result<(), StoreError> {
    work.apply(seq, event)
        .map_err(|refused| StoreError::Refused { id: TaskId::new(seq.to_string()), refused })
}
