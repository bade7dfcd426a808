//! Going on elsewhere, ending a run before its time, and what nobody reached.

use std::collections::HashSet;

use apflow_core::{
    jump::{self, Mark},
    plan::{self, Cause},
    store::{NeedKind, Settlement, StoreError},
    task::{Begins, Definition, Failure, FailureKind, State, StateName},
    transition::Event,
};
use serde_json::Value;

use super::{Working, control::seconds, working::Graph};
use crate::{
    row::TreeRow,
    rows::Rows,
    rows_effects::{Meant, NamedRow},
};

/// Where a jump goes.
pub(super) struct Target {
    pub(super) seq: i64,
    pub(super) id: String,
    pub(super) definition: Definition,
}

/// The task that is meant, or why there is none to go on with.
pub(super) async fn find<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    item: &Settlement,
    to: &str,
) -> Result<Result<Target, Failure>, StoreError> {
    let Some(forest) = work.task(item.seq.0).map(|task| task.forest.0) else {
        return Ok(Err(cannot(to, "the task that asks for it is gone")));
    };
    // Tasks of one workflow file are called `<run>/<key>`.
    let run = item.notes.wishes.id.rsplit_once('/').map_or("", |(run, _)| run);
    let meant = Meant { id: to, key: format!("{run}/{to}") };
    let mut found = rows.named(forest, &meant).await?;
    let by_id = |row: &NamedRow| row.id == to || row.id == meant.key;
    if found.iter().any(by_id) {
        found.retain(by_id);
        found.sort_by_key(|row| row.id != to);
        found.truncate(1);
    }
    let row = match found.len() {
        0 => return Ok(Err(cannot(to, "this submission has no task of that id or name"))),
        1 => found.remove(0),
        _ => return Ok(Err(cannot(to, "several tasks have that name; jump to an id"))),
    };
    let definition =
        serde_json::from_str::<Definition>(&row.definition).map_err(|error| StoreError::Corrupt {
            table: "af_tasks",
            row: row.id.clone(),
            what: format!("definition: {error}"),
        });
    let definition = match definition {
        Ok(definition) => definition,
        Err(error) => return Ok(Err(cannot(to, &error.to_string()))),
    };
    let graph = work.whole(rows, &[forest]).await?;
    let stands = work.task(row.seq).map(|task| (task.state.name(), task.tree.0));
    let Some((state, tree)) = stands else {
        return Ok(Err(cannot(to, "its row cannot be read")));
    };
    let is_fixed = graph.index(row.seq).is_some_and(|node| graph.nodes[node].fixed);
    let why = match state {
        _ if is_fixed => "it is a link or was archived",
        _ if work.tree(tree).is_none_or(|row| row.run <= 0) => "its tree was never asked to run",
        StateName::Cancelled => "it was cancelled",
        StateName::Running | StateName::Retrying | StateName::Waiting if row.seq != item.seq.0 => {
            "it is at work now"
        }
        _ => return Ok(Ok(Target { seq: row.seq, id: row.id, definition })),
    };
    Ok(Err(cannot(to, why)))
}

fn cannot(to: &str, why: &str) -> Failure {
    Failure::new(FailureKind::Effect, format!("cannot jump to `{to}`: {why}"))
}

/// Goes on with the target, after its jumper has ended: what comes after the target waits again.
pub(super) async fn reach<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    item: &Settlement,
    target: &Target,
    data: &Value,
) -> Result<(), StoreError> {
    let jumper = item.seq.0;
    let Some(forest) = work.task(jumper).map(|task| task.forest.0) else { return Ok(()) };
    let graph = work.whole(rows, &[forest]).await?;
    let Some(node) = graph.index(target.seq) else { return Ok(()) };
    let marks = marks(work, &graph);
    let again = jump::set_back(&graph.nodes, &graph.edges, &marks, node);
    // It was found fit to be reached before its jumper ended, and nothing happened since.
    let _ = work.apply(target.seq, Event::Reached { data: data.clone() });
    let counted: HashSet<i64> = again.iter().map(|begin| graph.seq(begin.node)).collect();
    for begin in again {
        let (waiting_for, failed) = (begin.waiting_for, begin.failed);
        // The plan names only tasks that can take the event.
        let _ = work.apply(graph.seq(begin.node), Event::SetBack { waiting_for, failed });
    }
    // A tree whose run had ended runs once more.
    let mut trees: Vec<i64> = std::iter::once(&target.seq)
        .chain(&counted)
        .filter_map(|seq| work.task(*seq).map(|task| task.tree.0))
        .filter(|tree| work.tree(*tree).is_some_and(|row| !row.is_running()))
        .collect();
    trees.sort_unstable();
    trees.dedup();
    for tree in trees {
        let options = work.tree(tree).map(TreeRow::options).transpose()?.unwrap_or_default();
        let timeout = options.timeout_seconds.and_then(seconds);
        work.begin_run(tree, timeout.map(|time| work.now.after(time)));
    }
    // Who waits again has been counted anew; the others by structure hear of the jumper's end.
    work.tells_nobody(jumper);
    if work.task(jumper).is_some_and(|task| task.state.is_terminal()) {
        let structure = NeedKind::Structure;
        let others: Vec<i64> = work
            .dependents(jumper)
            .iter()
            .filter(|(seq, kind)| *kind == structure.code() && !counted.contains(seq))
            .map(|(seq, _)| *seq)
            .collect();
        for seq in others {
            // Who does not wait is not told.
            let _ = work.apply(seq, plan::need_settled(structure, StateName::Completed));
        }
    }
    Ok(())
}

/// What jumps have to know of the tasks of a graph.
pub(super) fn marks(work: &Working, graph: &Graph) -> Vec<Mark> {
    let mark = |seq: &i64| {
        let task = work.task(*seq)?;
        let facets = task.facets.as_deref()?;
        Some(Mark {
            away: facets.jumped && task.state == State::Completed,
            on_jump: facets.on_jump,
            gathering: facets.gathering,
        })
    };
    graph.seqs.iter().map(|seq| mark(seq).unwrap_or_default()).collect()
}

/// Skips what waits only because nobody came by. True if there was any.
pub(super) fn skip_unreached(work: &mut Working, graph: &Graph) -> bool {
    let marks = marks(work, graph);
    let mut moved = false;
    for node in jump::unreached(&graph.nodes, &graph.edges, &marks) {
        let why = if marks[node].on_jump {
            "the run ended and nothing jumped to it"
        } else {
            "the run ended elsewhere: what it waits for went on with another task"
        };
        moved |= work.set_aside_in_peace(graph.seq(node), Event::Skipped { why: why.to_owned() });
    }
    moved
}

/// Ends the run of a tree after one of its tasks has completed and said that this is all.
pub(super) async fn finish<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    item: &Settlement,
) -> Result<(), StoreError> {
    work.tell_dependents();
    let Some((tree, forest)) = work.task(item.seq.0).map(|task| (task.tree.0, task.forest.0))
    else {
        return Ok(());
    };
    let graph = work.whole(rows, &[forest]).await?;
    let why = format!("{} finished the run", item.notes.wishes.name);
    for seq in of_the_run(work, &graph, tree) {
        let event = match work.task(seq).map(|task| task.state.name()) {
            Some(StateName::Blocked | StateName::Ready) => Event::Skipped { why: why.clone() },
            _ => Event::CancelRequested { reason: why.clone() },
        };
        work.set_aside_in_peace(seq, event);
    }
    Ok(())
}

/// Cancels the run of a tree because one of its tasks asks for it; that task is cancelled already.
pub(super) async fn cancel<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    item: &Settlement,
    reason: &str,
) -> Result<(), StoreError> {
    let Some((tree, forest)) = work.task(item.seq.0).map(|task| (task.tree.0, task.forest.0))
    else {
        return Ok(());
    };
    let mut graph = work.whole(rows, &[forest]).await?;
    if let Some(node) = graph.index(item.seq.0) {
        // What requires it goes too, as with any cancellation.
        graph.nodes[node].state = StateName::Running;
    }
    let Some(root) = graph.index(tree) else { return Ok(()) };
    let event = || Event::CancelRequested { reason: reason.to_owned() };
    // The root may have ended already, and so has the task that asks.
    let _ = work.apply(tree, event());
    for node in plan::cascade(&graph.nodes, &graph.edges, root, Cause::Cancelled) {
        let _ = work.apply(graph.seq(node), event());
    }
    Ok(())
}

/// Tasks of a tree that take part in its run and have not ended.
fn of_the_run(work: &Working, graph: &Graph, tree: i64) -> Vec<i64> {
    let takes_part = |seq: &&i64| {
        work.task(**seq).is_some_and(|task| {
            task.tree.0 == tree
                && !task.state.is_terminal()
                && task.state.name() != StateName::Created
        })
    };
    graph.seqs.iter().filter(takes_part).copied().collect()
}

/// Whether a new task waits for a jump.
pub(super) fn begins_on_jump(definition: &Definition) -> bool {
    definition.start == Begins::OnJump
}
