//! Which stored tasks are taken: a task with what hangs below it, what that depends on, what depends on
//! it, and what connects them.

use std::collections::HashMap;

use super::{Derive, DeriveError, Mode, Outside, Source};
use crate::id::TaskId;

/// The tasks to take, by index: those of the first task's tree first, each tree in order of submission.
///
/// `links` says which tasks become links; what those depend on is of no account.
pub(super) fn choose(
    tasks: &[Source],
    start: usize,
    wish: &Derive,
    links: &[bool],
) -> Result<Vec<usize>, DeriveError> {
    if !wish.recursive {
        return Ok(vec![start]);
    }
    let mut taken = below(tasks, start);
    if matches!(wish.mode, Mode::Copy | Mode::Mixed) {
        // A copy spawns its own. Those that are to be linked are there for good.
        let depth = tasks[start].spawned;
        for (at, source) in tasks.iter().enumerate() {
            taken[at] &= source.spawned <= depth || links[at];
        }
    }
    let needs = Needs::of(tasks);
    if wish.include_dependents {
        needs.take_dependents(&mut taken, |at| wish.mode == Mode::Mixed && links[at]);
    }
    // A link among copies stands for what is there already, and needs nothing to be so. Where
    // everything is linked, the links show how the originals hang together.
    let counts = |at: usize| !(wish.mode == Mode::Mixed && links[at]);
    let is_root = tasks[start].parent.is_none();
    let include = match (wish.mode, wish.auto_include_deps) {
        // Nothing is made, so nothing can be missing in it.
        (Mode::Archive, _) if is_root => false,
        (Mode::Archive, _) | (_, Some(false)) => {
            needs.must_stay_inside(tasks, start, &taken, counts)?;
            false
        }
        (Mode::Copy | Mode::Link, None) if !is_root => {
            needs.must_stay_inside(tasks, start, &taken, counts)?;
            false
        }
        (_, None | Some(true)) => true,
    };
    if include {
        needs.take_needs(&mut taken, counts);
    }
    connect(tasks, &mut taken);
    let home = tasks[start].tree;
    let mut chosen: Vec<usize> = (0..tasks.len()).filter(|at| taken[*at]).collect();
    // A stable sort: within a tree the order of submission stays.
    chosen.sort_by_key(|at| (tasks[*at].tree != home, tasks[*at].tree));
    Ok(chosen)
}

/// A task and everything that hangs under it.
pub(super) fn below(tasks: &[Source], start: usize) -> Vec<bool> {
    let children = children(tasks);
    let mut taken = vec![false; tasks.len()];
    taken[start] = true;
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        for child in &children[at] {
            if !taken[*child] {
                taken[*child] = true;
                open.push(*child);
            }
        }
    }
    taken
}

fn children(tasks: &[Source]) -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); tasks.len()];
    for (at, source) in tasks.iter().enumerate() {
        if let Some(parent) = source.parent {
            children[parent].push(at);
        }
    }
    children
}

/// What each task depends on, by index; what is gone is left out.
struct Needs<'a> {
    on: Vec<Vec<(usize, &'a TaskId)>>,
}

impl<'a> Needs<'a> {
    fn of(tasks: &'a [Source]) -> Self {
        let index: HashMap<&TaskId, usize> =
            tasks.iter().enumerate().map(|(at, source)| (&source.id, at)).collect();
        let of = |source: &'a Source| {
            let entries = source.definition.dependencies.iter();
            entries.filter_map(|entry| Some((*index.get(&entry.id)?, &entry.id))).collect()
        };
        Self { on: tasks.iter().map(of).collect() }
    }

    /// Adds everything that the taken tasks depend on, directly or not.
    fn take_needs(&self, taken: &mut [bool], counts: impl Fn(usize) -> bool) {
        let mut open: Vec<usize> = (0..taken.len()).filter(|at| taken[*at]).collect();
        while let Some(at) = open.pop() {
            if !counts(at) {
                continue;
            }
            for (need, _) in &self.on[at] {
                if !taken[*need] {
                    taken[*need] = true;
                    open.push(*need);
                }
            }
        }
    }

    /// Adds everything that depends on the taken tasks, directly or not, except on those left out.
    fn take_dependents(&self, taken: &mut [bool], left_out: impl Fn(usize) -> bool) {
        let mut dependents = vec![Vec::new(); taken.len()];
        for (at, needs) in self.on.iter().enumerate() {
            for (need, _) in needs {
                dependents[*need].push(at);
            }
        }
        let mut open: Vec<usize> =
            (0..taken.len()).filter(|at| taken[*at] && !left_out(*at)).collect();
        while let Some(at) = open.pop() {
            for dependent in &dependents[at] {
                if !taken[*dependent] {
                    taken[*dependent] = true;
                    open.push(*dependent);
                }
            }
        }
    }

    fn must_stay_inside(
        &self,
        tasks: &[Source],
        start: usize,
        taken: &[bool],
        counts: impl Fn(usize) -> bool,
    ) -> Result<(), DeriveError> {
        let leads_out = (0..tasks.len()).filter(|at| taken[*at] && counts(*at)).find_map(|at| {
            let out = self.on[at].iter().find(|(need, _)| !taken[*need]);
            out.map(|(_, on)| (at, *on))
        });
        let Some((at, on)) = leads_out else { return Ok(()) };
        Err(DeriveError::Outside(Box::new(Outside {
            name: tasks[at].definition.name.clone(),
            task: tasks[at].id.clone(),
            on: on.clone(),
            root_name: tasks[start].definition.name.clone(),
            root: tasks[start].id.clone(),
        })))
    }
}

/// Adds what connects the taken tasks of each tree, and no more: the way up to where they meet.
fn connect(tasks: &[Source], taken: &mut [bool]) {
    // How many taken tasks lie at or below each one, parents after children.
    let children = children(tasks);
    let mut order: Vec<usize> = (0..tasks.len()).filter(|at| tasks[*at].parent.is_none()).collect();
    let mut next = 0;
    while let Some(at) = order.get(next).copied() {
        order.extend(&children[at]);
        next += 1;
    }
    let mut weight: Vec<usize> = taken.iter().map(|taken| usize::from(*taken)).collect();
    for at in order.iter().rev() {
        if let Some(parent) = tasks[*at].parent {
            weight[parent] += weight[*at];
        }
    }
    for root in order.iter().copied().filter(|at| tasks[*at].parent.is_none()) {
        if weight[root] == 0 {
            continue;
        }
        let mut top = root;
        while !taken[top] {
            // All of them lie below one child, or they meet here.
            match children[top].iter().find(|child| weight[**child] == weight[top]) {
                Some(child) => top = *child,
                None => break,
            }
        }
        let mut open = vec![top];
        while let Some(at) = open.pop() {
            taken[at] = true;
            open.extend(children[at].iter().filter(|child| weight[**child] > 0));
        }
    }
}
