//! Beginning runs and cancelling.

use std::time::Duration;

use apflow_core::{
    id::{TaskId, TreeId},
    plan::{self, Cause},
    store::{Cancel, CancelAnswer, Idempotency, Start, StartScope, Started, StoreError},
    task::{Definition, OriginType},
    transition::Event,
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Effects, Working,
    again::{self, Again},
    channels::begins_anew,
    schedule,
};
use crate::{
    rows::{Found, NewKeyRow, Rows},
    rows_callbacks::NewCallbackRow,
};

/// Begins a run of what is stored, or gives the first answer to the same request again.
pub(crate) async fn start<R: Rows + ?Sized>(
    rows: &mut R,
    start: &Start,
    promise: Option<&Idempotency>,
) -> Result<(Started, Effects), StoreError> {
    let found = find(rows, &start.task).await?;
    // What its links answer for may not begin anew at the same time.
    let originals = rows.linked_forests(found.forest).await?;
    if !originals.is_empty() {
        let all: Vec<i64> = originals.iter().copied().chain([found.forest]).collect();
        rows.hold(&all).await?;
    }
    let mut work = Working::new(rows.now().await?);
    // A schedule is locked before the submission, as schedulers do.
    let scheduled = match start.scope {
        StartScope::Afresh => schedule::of_task(rows, &found).await?,
        StartScope::Auto => None,
    };
    let mut graph = work.whole(rows, &[found.forest]).await?;
    // Whoever came before with this key has let go of the lock.
    if let Some(promise) = promise
        && let Some((digest, first)) = rows.key(&promise.owner, &promise.key).await?
    {
        return Ok((started_before(promise, &digest, &first)?, Effects::default()));
    }
    if graph.index(found.seq).is_some_and(|node| graph.nodes[node].fixed) {
        let kind = origin(rows, found.seq).await?;
        if kind != OriginType::Link || start.reexecute {
            return Err(StoreError::Fixed { id: start.task.clone(), kind });
        }
    }
    let target = (found.seq != found.tree).then_some(found.seq);
    let after = rows.last_event().await?;
    let begun = begin(rows, &mut work, &mut graph, target, start.scope, start.reexecute)
        .await?
        .ok_or_else(|| StoreError::AlreadyRunning { root: TaskId::new(found.root_id.clone()) })?;
    if !begun.tasks.is_empty() {
        may_begin(rows, found.forest, !originals.is_empty(), &begun.tasks).await?;
    }
    // The row of a tree is that of its root, so its id can be read like that of a task.
    let (ids, _) = rows.claimed(&begun.trees).await?;
    if let Some(wish) = &start.callback
        && !begun.trees.is_empty()
    {
        let wishes: Vec<NewCallbackRow> =
            begun.trees.iter().map(|tree| NewCallbackRow::of(wish, *tree, after)).collect();
        rows.add_callbacks(&wishes, work.now).await?;
    }
    work.carry_through(rows).await?;
    if let Some(due) = scheduled {
        schedule::count_run(rows, &mut work, due).await?;
    }
    let started = Started {
        tree: TreeId::new(found.tree_id),
        root: TaskId::new(found.root_id),
        trees: ids.into_iter().map(|row| TreeId::new(row.tree_id)).collect(),
        tasks: u32::try_from(begun.tasks.len()).unwrap_or(u32::MAX),
        after,
    };
    let now = work.now;
    let effects = work.finish_with(rows).await?;
    if start.demo && !begun.trees.is_empty() {
        rows.mark_demo(&begun.trees).await?;
    }
    if let Some(promise) = promise {
        let row = NewKeyRow {
            owner: promise.owner.clone(),
            key: promise.key.clone(),
            digest: promise.digest.clone(),
            trees: json!({
                "tree": started.tree, "root": started.root, "trees": started.trees,
                "tasks": started.tasks, "after": started.after,
            })
            .to_string(),
        };
        rows.save_key(&row, now).await?;
    }
    Ok((started, effects))
}

/// The answer that was given when the key was used first.
fn started_before(promise: &Idempotency, digest: &str, first: &str) -> Result<Started, StoreError> {
    if digest != promise.digest {
        return Err(StoreError::KeyReused { key: promise.key.clone() });
    }
    let corrupt = |error: serde_json::Error| StoreError::Corrupt {
        table: "af_idempotency",
        row: promise.key.clone(),
        what: format!("trees: {error}"),
    };
    let first: First = serde_json::from_str(first).map_err(corrupt)?;
    let First { tree, root, trees, tasks, after } = first;
    Ok(Started { tree, root, trees, tasks, after })
}

/// A [`Started`] as it is kept with its key.
#[derive(Deserialize)]
struct First {
    tree: TreeId,
    root: TaskId,
    trees: Vec<TreeId>,
    tasks: u32,
    #[serde(default)]
    after: i64,
}

/// Whether a run may begin with these tasks: the originals of the links it reads are there, and nobody
/// else is reading what it would do again.
pub(super) async fn may_begin<R: Rows + ?Sized>(
    rows: &mut R,
    forest: i64,
    has_links: bool,
    seqs: &[i64],
) -> Result<(), StoreError> {
    if has_links && let Some(link) = rows.unfinished_original(forest).await? {
        return Err(StoreError::UnfinishedOriginal { link: TaskId::new(link) });
    }
    match rows.running_reader(forest, seqs).await? {
        Some(root) => Err(StoreError::AlreadyRunning { root: TaskId::new(root) }),
        None => Ok(()),
    }
}

/// How a task was made.
pub(crate) async fn origin<R: Rows + ?Sized>(
    rows: &mut R,
    seq: i64,
) -> Result<OriginType, StoreError> {
    let authored = rows.authored(seq).await?;
    let definition = serde_json::from_str::<Definition>(&authored.definition);
    definition.map(|definition| definition.origin.kind).map_err(|error| StoreError::Corrupt {
        table: "af_tasks",
        row: seq.to_string(),
        what: format!("definition: {error}"),
    })
}

/// What a new run set in motion.
pub(crate) struct Begun {
    /// Trees of which it runs tasks.
    pub(crate) trees: Vec<i64>,
    /// The tasks.
    pub(crate) tasks: Vec<i64>,
}

/// Sets a new run of a submission in motion, or says by none that one is going on.
pub(crate) async fn begin<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    graph: &mut super::working::Graph,
    target: Option<i64>,
    scope: StartScope,
    reexecute: bool,
) -> Result<Option<Begun>, StoreError> {
    let again = again::prepare(rows, work, graph, target, scope, reexecute).await?;
    let target = target.and_then(|seq| graph.index(seq));
    let planned = match scope {
        StartScope::Auto => plan::start(&graph.nodes, &graph.edges, target, reexecute).map(|run| {
            // What an earlier run left blocked, and this one does not want, is set back.
            (plan::leftovers(&graph.nodes, &run), run)
        }),
        StartScope::Afresh => plan::afresh(&graph.nodes, &graph.edges, target)
            .map(|plan::Afresh { resets, begins }| (resets, begins)),
    };
    let Ok((resets, begins)) = planned else { return Ok(None) };
    let begins = Again::counted(work, graph, begins);
    let mut trees: Vec<i64> = begins
        .iter()
        .filter_map(|begin| work.task(graph.seq(begin.node)).map(|task| task.tree.0))
        .collect();
    trees.sort_unstable();
    trees.dedup();
    let mut deadlines = Vec::with_capacity(trees.len());
    for tree in &trees {
        let timeout = match work.tree(*tree) {
            Some(row) => row.options()?.timeout_seconds,
            None => None,
        };
        deadlines.push(timeout.and_then(seconds).map(|time| work.now.after(time)));
    }
    for node in resets {
        apply(work, graph.seq(node), Event::Reset)?;
    }
    for begin in &begins {
        let seq = graph.seq(begin.node);
        apply(work, seq, again.event(seq, begin))?;
    }
    if (scope == StartScope::Afresh || reexecute)
        && let Some(forest) = begins_anew(work, graph)
    {
        work.emptied.push(forest);
    }
    for (tree, deadline) in trees.iter().zip(deadlines) {
        work.begin_run(*tree, deadline);
    }
    let tasks = begins.iter().map(|begin| graph.seq(begin.node)).collect();
    Ok(Some(Begun { trees, tasks }))
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
