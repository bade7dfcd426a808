//! A new run of tasks that spawned, iterated or jumped: what stays done, and what has to go first.

use std::collections::{HashMap, HashSet};

use apflow_core::{
    plan::{self, Begin},
    store::{StartScope, StoreError},
    task::{StateName, Task},
    transition::Event,
};

use super::{Working, jump, working::Graph};
use crate::rows::Rows;

/// How a new run treats the tasks it sets in motion.
#[derive(Default)]
pub(super) struct Again {
    /// Tasks that go on with what they gathered and with the pass they were in.
    resumed: HashSet<i64>,
}

impl Again {
    /// The event with which a task begins.
    pub(super) fn event(&self, seq: i64, begin: &Begin) -> Event {
        let Begin { waiting_for, failed, .. } = *begin;
        if self.resumed.contains(&seq) {
            Event::GoesOn { waiting_for, failed }
        } else {
            begin.event()
        }
    }

    /// The same begins, with what jumps of earlier runs left unsettled.
    pub(super) fn counted(work: &Working, graph: &Graph, begins: Vec<Begin>) -> Vec<Begin> {
        let marks = jump::marks(work, graph);
        if marks.iter().all(|mark| !mark.away && !mark.on_jump) {
            return begins;
        }
        apflow_core::jump::missing(&graph.nodes, &graph.edges, &marks, &begins)
    }
}

/// Says who of the next run goes on where it was, and drops what others spawned in earlier runs.
///
/// A task goes on if it or what it gathered is tried again; if anything before it runs again, it begins
/// afresh, and so it does when everything is asked to run again. Whoever begins afresh spawns afresh.
/// Brings `graph` up to date.
pub(super) async fn prepare<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    graph: &mut Graph,
    target: Option<i64>,
    scope: StartScope,
    reexecute: bool,
) -> Result<Again, StoreError> {
    let grown = |task: &Task| {
        let facets = task.facets.as_deref();
        facets.is_some_and(|facets| {
            facets.has_spawned
                || facets.cycle > 0
                || facets.cycle_data.is_some()
                || facets.rounds > 0
                || facets.gathering
        })
    };
    if !graph.seqs.iter().any(|seq| work.task(*seq).is_some_and(grown)) {
        return Ok(Again::default());
    }
    let node = target.and_then(|seq| graph.index(seq));
    let begins = match scope {
        StartScope::Auto => plan::start(&graph.nodes, &graph.edges, node, reexecute),
        StartScope::Afresh => {
            plan::afresh(&graph.nodes, &graph.edges, node).map(|afresh| afresh.begins)
        }
    };
    // A run is going on; whoever asked is told so when the run is to begin.
    let Ok(begins) = begins else { return Ok(Again::default()) };
    let runs: HashSet<usize> = begins.iter().map(|begin| begin.node).collect();
    let everything = scope == StartScope::Afresh
        || runs.iter().all(|node| graph.nodes[*node].state == StateName::Completed);

    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    for (node, each) in graph.nodes.iter().enumerate() {
        if let Some(parent) = each.parent {
            children.entry(parent).or_default().push(node);
        }
    }
    let mut again = Again::default();
    let mut gone: HashSet<usize> = HashSet::new();
    let mut spawners: Vec<(i64, i64, bool)> = Vec::new();
    for &node in &runs {
        let seq = graph.seq(node);
        let Some(task) = work.task(seq).filter(|task| grown(task)) else { continue };
        let (facets, tree) = (task.facets(), task.tree.0);
        let spawned: Vec<usize> = children
            .get(&node)
            .into_iter()
            .flatten()
            .copied()
            .filter(|child| spawned_of(work, graph, *child).is_some())
            .collect();
        let below = below(&children, &spawned);
        let needs =
            || graph.edges.iter().filter(|edge| edge.to == node && runs.contains(&edge.from));
        let inputs_change = needs().any(|edge| !below.contains(&edge.from));
        let gathered_runs = needs().any(|edge| below.contains(&edge.from));
        let resumes = !everything
            && !inputs_change
            && match graph.nodes[node].state {
                StateName::Completed => gathered_runs,
                StateName::Created | StateName::Cancelled => false,
                _ => true,
            };
        let drops = |child: &usize| {
            let of = spawned_of(work, graph, *child);
            // What its last result spawned comes again with its next result.
            !resumes || of.is_some_and(|(cycle, round)| round.is_none() && cycle == facets.cycle)
        };
        let dropped: Vec<usize> = spawned.into_iter().filter(|child| drops(child)).collect();
        if resumes {
            again.resumed.insert(seq);
        }
        if !dropped.is_empty() || (facets.has_spawned && !resumes) {
            spawners.push((seq, tree, resumes));
        }
        gone.extend(self::below(&children, &dropped));
    }
    if gone.is_empty() {
        return Ok(again);
    }
    drop_tasks(rows, work, graph, &gone, &spawners).await?;
    let forests: HashSet<i64> =
        spawners.iter().filter_map(|(seq, ..)| work.task(*seq).map(|task| task.forest.0)).collect();
    let forests: Vec<i64> = forests.into_iter().collect();
    if !forests.is_empty() {
        *graph = work.whole(rows, &forests).await?;
    }
    Ok(again)
}

/// The pass and the gathering in which a task was spawned, if it was.
fn spawned_of(work: &Working, graph: &Graph, node: usize) -> Option<(u32, Option<u32>)> {
    let facets = work.task(graph.seq(node))?.facets.as_deref()?;
    facets.spawned.as_ref().map(|spawned| (spawned.cycle, spawned.round))
}

/// These tasks and everything that hangs under them.
fn below(children: &HashMap<usize, Vec<usize>>, tops: &[usize]) -> HashSet<usize> {
    let mut all: HashSet<usize> = HashSet::new();
    let mut open: Vec<usize> = tops.to_vec();
    while let Some(node) = open.pop() {
        if all.insert(node) {
            open.extend(children.get(&node).into_iter().flatten());
        }
    }
    all
}

/// Removes spawned tasks, and takes them out of what others wait for.
async fn drop_tasks<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    graph: &Graph,
    gone: &HashSet<usize>,
    spawners: &[(i64, i64, bool)],
) -> Result<(), StoreError> {
    let mut left: HashMap<usize, Vec<(i64, i64)>> = HashMap::new();
    for edge in graph.edges.iter().filter(|edge| gone.contains(&edge.from)) {
        if !gone.contains(&edge.to) {
            left.insert(edge.to, Vec::new());
        }
    }
    for edge in graph.edges.iter().filter(|edge| !gone.contains(&edge.from)) {
        if let Some(needs) = left.get_mut(&edge.to) {
            needs.push((graph.seq(edge.from), edge.kind.code()));
        }
    }
    let needs: Vec<(i64, Vec<(i64, i64)>)> =
        left.into_iter().map(|(node, needs)| (graph.seq(node), needs)).collect();
    rows.save_needs(&needs).await?;
    let mut by_tree: HashMap<i64, Vec<i64>> = HashMap::new();
    for node in gone {
        let seq = graph.seq(*node);
        let Some((tree, completed)) =
            work.task(seq).map(|task| (task.tree.0, task.state.name() == StateName::Completed))
        else {
            continue;
        };
        work.forget(seq);
        if let Some(row) = work.tree_mut(tree) {
            row.total -= 1;
            row.completed -= i64::from(completed);
        }
        by_tree.entry(tree).or_default().push(seq);
    }
    let linked: Vec<i64> = by_tree.values().flatten().copied().collect();
    if !rows.linked(&linked).await?.is_empty() {
        return Err(StoreError::Rejected(vec![
            "a task that another run would spawn again is linked to; copy the tree and run the copy"
                .to_owned(),
        ]));
    }
    for (tree, mut seqs) in by_tree {
        seqs.sort_unstable();
        rows.delete_tasks(&seqs, None, tree).await?;
    }
    for (seq, tree, resumes) in spawners {
        if work.task(*seq).is_none() {
            continue;
        }
        rows.delete_tasks(&[], Some(*seq), *tree).await?;
        if !resumes {
            work.set_facets(*seq, |facets| facets.has_spawned = false);
        }
    }
    Ok(())
}
