//! Soft structure order (ruling 2): which descendants a parent waits for without having said so.
//!
//! A parent waits for each child, unless the child waits for the parent already; then it waits for the
//! child's children by the same rule. It also waits for those below a child that the child itself could
//! not wait for. Such an edge is added only where no way leads back, and one edge into a parent opens no
//! way out of it, so no order of adding them can close a loop.

use crate::{graph::TaskGraph, store::NeedKind};

/// How many edges may be looked at; ordinary submissions look at none.
const MAX_STEPS: usize = 20_000_000;

/// Finding out would take too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entangled;

/// For each task the descendants it waits for.
///
/// `order` has parents before children, `hard` what each task depends on, and `waits` whether a task
/// waits for its descendants at all.
pub(super) fn structure_needs(
    parents: &[Option<usize>],
    children: &[Vec<usize>],
    order: &[usize],
    hard: &[Vec<usize>],
    waits: &[bool],
) -> Result<Vec<Vec<usize>>, Entangled> {
    let knots = Knots::find(parents, hard);
    // Only tasks of one knot can ever lead back to one another, so nothing outside it is looked at.
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); parents.len()];
    for (task, needs) in hard.iter().enumerate() {
        for on in needs.iter().filter(|on| knots.together(task, **on)) {
            dependents[*on].push(task);
        }
    }
    let mut soft: Vec<Vec<usize>> = vec![Vec::new(); parents.len()];
    // Below each task, those it does not wait for; whoever stands above it has to do so itself.
    let mut loose: Vec<Vec<usize>> = vec![Vec::new(); parents.len()];
    let mut steps = 0;
    // `mark[task] == parent + 1` means: the task comes after the parent.
    let mut mark = vec![0_usize; parents.len()];
    for &parent in order.iter().rev() {
        if children[parent].is_empty() || !waits[parent] {
            continue;
        }
        let mut after = vec![parent];
        while let Some(task) = after.pop() {
            for &dependent in &dependents[task] {
                steps += 1;
                if mark[dependent] != parent + 1 {
                    mark[dependent] = parent + 1;
                    after.push(dependent);
                }
            }
        }
        // Each with whether what lies below it is looked at from here as well.
        let mut below: Vec<(usize, bool)> =
            children[parent].iter().rev().map(|child| (*child, true)).collect();
        while let Some((task, further)) = below.pop() {
            steps += 1;
            let comes_after = mark[task] == parent + 1;
            if further && (comes_after || !waits[task]) {
                below.extend(children[task].iter().rev().map(|child| (*child, true)));
            } else if further {
                below.extend(loose[task].iter().rev().map(|task| (*task, false)));
            }
            if comes_after {
                loose[parent].push(task);
                continue;
            }
            // Where the author said the same, saying it again would only cost a row.
            if !hard[parent].contains(&task) {
                soft[parent].push(task);
            }
            if knots.together(parent, task) {
                dependents[task].push(parent);
            }
        }
        if steps > MAX_STEPS {
            return Err(Entangled);
        }
    }
    Ok(soft)
}

/// The sets of tasks that would wait for one another if every parent waited for every child.
struct Knots(Vec<usize>);

impl Knots {
    fn find(parents: &[Option<usize>], hard: &[Vec<usize>]) -> Self {
        let mut graph = TaskGraph::new(parents.len());
        for (task, needs) in hard.iter().enumerate() {
            for on in needs {
                graph.add_need(task, *on, NeedKind::Required);
            }
        }
        for (task, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                graph.add_need(*parent, task, NeedKind::Structure);
            }
        }
        let mut knot = vec![0; parents.len()];
        for (number, tasks) in graph.knots().into_iter().enumerate() {
            for task in tasks {
                knot[task] = number + 1;
            }
        }
        Self(knot)
    }

    fn together(&self, one: usize, other: usize) -> bool {
        self.0[one] != 0 && self.0[one] == self.0[other]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn soft_if(parents: &[Option<usize>], hard: &[Vec<usize>], waits: &[bool]) -> Vec<Vec<usize>> {
        let mut children = vec![Vec::new(); parents.len()];
        for (task, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(task);
            }
        }
        let mut order: Vec<usize> =
            (0..parents.len()).filter(|task| parents[*task].is_none()).collect();
        let mut next = 0;
        while let Some(&task) = order.get(next) {
            next += 1;
            order.extend(&children[task]);
        }
        structure_needs(parents, &children, &order, hard, waits).expect("a small forest")
    }

    fn soft(parents: &[Option<usize>], hard: &[Vec<usize>]) -> Vec<Vec<usize>> {
        soft_if(parents, hard, &vec![true; parents.len()])
    }

    #[test]
    fn a_parent_waits_for_its_children_and_so_for_everything_below() {
        let parents = [None, Some(0), Some(0), Some(1)];
        assert_eq!(soft(&parents, &vec![vec![]; 4]), [vec![1, 2], vec![3], vec![], vec![]]);
    }

    #[test]
    fn the_readme_forest_has_no_soft_edge_that_would_close_a_loop() {
        // a, b are roots; merge hangs under a and depends on both.
        let parents = [None, None, Some(0)];
        let hard = [vec![], vec![], vec![0, 1]];
        assert_eq!(soft(&parents, &hard), vec![Vec::<usize>::new(); 3]);
    }

    #[test]
    fn a_parent_waits_for_the_children_of_a_child_that_waits_for_it() {
        // 0 has child 1, which depends on 0; 2 hangs under 1.
        let parents = [None, Some(0), Some(1)];
        let hard = [vec![], vec![0], vec![]];
        assert_eq!(soft(&parents, &hard), [vec![2], vec![2], vec![]]);
    }

    #[test]
    fn a_grandparent_waits_for_those_its_child_could_not_wait_for() {
        // 2 hangs under 1 and depends on it; 1 hangs under 0.
        let parents = [None, Some(0), Some(1)];
        let hard = [vec![], vec![], vec![1]];
        assert_eq!(soft(&parents, &hard), [vec![1, 2], vec![], vec![]]);
        let unhurried = soft_if(&parents, &vec![vec![]; 3], &[true, false, true]);
        assert_eq!(unhurried, [vec![1, 2], vec![], vec![]]);
    }

    #[test]
    fn what_the_author_said_is_not_said_again() {
        let parents = [None, Some(0)];
        let hard = [vec![1], vec![]];
        assert_eq!(soft(&parents, &hard), vec![Vec::<usize>::new(); 2]);
    }

    #[test]
    fn a_child_that_waits_for_its_parent_through_another_parent_is_seen() {
        // Roots 0 and 1; 2 under 0 depends on 1; 3 under 1 depends on 0. Root 1 is looked at first or
        // last; either way one of them must give way.
        let parents = [None, None, Some(0), Some(1)];
        let hard = [vec![], vec![], vec![1], vec![0]];
        let soft = soft(&parents, &hard);
        assert_eq!(soft.iter().flatten().count(), 1, "{soft:?}");
    }

    type Forest = (Vec<Option<usize>>, Vec<Vec<usize>>, Vec<bool>);

    fn forests() -> impl Strategy<Value = Forest> {
        (1_usize..=200).prop_flat_map(|tasks| {
            // A random order decides who may depend on whom, so that the hard edges have no loop.
            let parents: Vec<_> =
                (0..tasks).map(|task| proptest::option::weighted(0.8, 0..task.max(1))).collect();
            let ranks = Just((0..tasks).collect::<Vec<usize>>()).prop_shuffle();
            let edges = proptest::collection::vec((0..tasks, 0..tasks), 0..=tasks * 2);
            let waits = proptest::collection::vec(proptest::bool::weighted(0.95), tasks);
            (parents, ranks, edges, waits).prop_map(move |(parents, ranks, edges, waits)| {
                let parents = parents
                    .into_iter()
                    .enumerate()
                    .map(|(task, parent)| parent.filter(|parent| *parent < task))
                    .collect::<Vec<_>>();
                let mut hard = vec![Vec::new(); tasks];
                for (one, other) in edges {
                    match ranks[one].cmp(&ranks[other]) {
                        std::cmp::Ordering::Less => hard[other].push(one),
                        std::cmp::Ordering::Greater => hard[one].push(other),
                        std::cmp::Ordering::Equal => {}
                    }
                }
                for needs in &mut hard {
                    needs.sort_unstable();
                    needs.dedup();
                }
                (parents, hard, waits)
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn soft_edges_close_no_loop_and_leave_out_only_what_would((parents, hard, waits) in forests()) {
            let soft = soft_if(&parents, &hard, &waits);
            let mut graph = TaskGraph::new(parents.len());
            for task in 0..parents.len() {
                for on in hard[task].iter().chain(&soft[task]) {
                    graph.add_need(task, *on, NeedKind::Required);
                }
            }
            prop_assert!(graph.order().is_ok(), "a loop: {:?}", graph.cycles());

            // Every pair of parent and descendant is ordered one way or the other.
            let mut after = vec![vec![false; parents.len()]; parents.len()];
            for task in graph.order().expect("checked above") {
                let needs: Vec<usize> = graph.needs(task).map(|(on, _)| on).collect();
                for on in needs {
                    let before = after[on].clone();
                    for (mine, theirs) in after[task].iter_mut().zip(before) {
                        *mine |= theirs;
                    }
                    after[task][on] = true;
                }
            }
            for task in 0..parents.len() {
                let mut above = parents[task];
                while let Some(ancestor) = above {
                    prop_assert!(
                        !waits[ancestor] || after[ancestor][task] || after[task][ancestor],
                        "{ancestor} and its descendant {task} are in no order"
                    );
                    above = parents[ancestor];
                }
            }
        }
    }
}
