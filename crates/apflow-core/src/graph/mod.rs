//! The execution graph: who waits for whom, in which order that works out, and where it does not.
//!
//! Structure (`parent_id`) is in it only as the soft edges that [`submit`](crate::submit) derived.

mod draw;
mod error;

pub use draw::{Drawing, draw};
pub use error::Cycle;

use std::collections::VecDeque;

use petgraph::{
    Direction,
    algo::kosaraju_scc,
    stable_graph::{NodeIndex, StableDiGraph},
    visit::EdgeRef,
};

use crate::store::{NeedKind, Submission};

/// Tasks as numbers from 0, with an edge from each task to those that wait for it.
#[derive(Debug, Clone)]
pub struct TaskGraph {
    edges: StableDiGraph<(), NeedKind, u32>,
}

impl TaskGraph {
    /// So many tasks, none waiting for another.
    pub fn new(tasks: usize) -> Self {
        let mut edges = StableDiGraph::with_capacity(tasks, tasks);
        for _ in 0..tasks {
            edges.add_node(());
        }
        Self { edges }
    }

    /// The graph of a submission, soft edges included.
    pub fn of(submission: &Submission) -> Self {
        let mut graph = Self::new(submission.tasks.len());
        for (task, new) in submission.tasks.iter().enumerate() {
            for need in &new.needs {
                graph.add_need(task, need.on, need.kind);
            }
        }
        graph
    }

    /// Makes `task` wait for `on`. Both must be tasks of the graph.
    pub fn add_need(&mut self, task: usize, on: usize, kind: NeedKind) {
        self.edges.add_edge(NodeIndex::new(on), NodeIndex::new(task), kind);
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.edges.node_count()
    }

    /// Whether there is no task.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What `task` waits for.
    pub fn needs(&self, task: usize) -> impl Iterator<Item = (usize, NeedKind)> + '_ {
        self.edges
            .edges_directed(NodeIndex::new(task), Direction::Incoming)
            .map(|edge| (edge.source().index(), *edge.weight()))
    }

    /// What waits for `task`.
    pub fn dependents(&self, task: usize) -> impl Iterator<Item = (usize, NeedKind)> + '_ {
        self.edges
            .edges_directed(NodeIndex::new(task), Direction::Outgoing)
            .map(|edge| (edge.target().index(), *edge.weight()))
    }

    /// The tasks that may begin when those with `ended[task]` have ended.
    pub fn ready(&self, ended: &[bool]) -> Vec<usize> {
        let over = |task: usize| ended.get(task).copied().unwrap_or(false);
        (0..self.len())
            .filter(|task| !over(*task) && self.needs(*task).all(|(need, _)| over(need)))
            .collect()
    }

    /// An order in which every task comes after what it waits for, or every loop there is.
    pub fn order(&self) -> Result<Vec<usize>, Vec<Cycle>> {
        let mut waiting: Vec<usize> =
            (0..self.len()).map(|task| self.needs(task).count()).collect();
        let mut free: VecDeque<usize> =
            (0..self.len()).filter(|task| waiting[*task] == 0).collect();
        let mut order = Vec::with_capacity(self.len());
        while let Some(task) = free.pop_front() {
            order.push(task);
            let mut dependents: Vec<usize> = self.dependents(task).map(|(task, _)| task).collect();
            dependents.sort_unstable();
            for dependent in dependents {
                waiting[dependent] -= 1;
                if waiting[dependent] == 0 {
                    free.push_back(dependent);
                }
            }
        }
        if order.len() == self.len() { Ok(order) } else { Err(self.cycles()) }
    }

    /// For each set of tasks that all wait for one another, a shortest loop through its first task.
    pub fn cycles(&self) -> Vec<Cycle> {
        let groups = self.knots();
        let mut found: Vec<Cycle> =
            groups.iter().map(|knot| Cycle { tasks: self.loop_through(knot) }).collect();
        found.sort_by_key(|cycle| cycle.tasks.first().copied());
        found
    }

    /// The sets of tasks that all wait for one another; a task that waits for itself is one alone.
    pub fn knots(&self) -> Vec<Vec<usize>> {
        kosaraju_scc(&self.edges)
            .into_iter()
            .filter(|group| {
                group.len() > 1 || group.iter().any(|task| self.edges.contains_edge(*task, *task))
            })
            .map(|group| {
                let mut tasks: Vec<usize> = group.into_iter().map(NodeIndex::index).collect();
                tasks.sort_unstable();
                tasks
            })
            .collect()
    }

    /// Walks from the first task of a knot along what it waits for, until it is met again.
    fn loop_through(&self, knot: &[usize]) -> Vec<usize> {
        let Some(&start) = knot.first() else { return Vec::new() };
        // The place of a task in the knot is found by bisection, since the knot is sorted.
        let mut came_from: Vec<Option<usize>> = vec![None; knot.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(task) = queue.pop_front() {
            let mut needs: Vec<usize> = self.needs(task).map(|(need, _)| need).collect();
            needs.sort_unstable();
            for need in needs {
                let Ok(place) = knot.binary_search(&need) else { continue };
                if need == start {
                    let mut back = vec![start, task];
                    let mut at = task;
                    while at != start {
                        let before = knot.binary_search(&at).ok().and_then(|at| came_from[at]);
                        let Some(before) = before else { break };
                        back.push(before);
                        at = before;
                    }
                    back.reverse();
                    return back;
                }
                if came_from[place].is_none() {
                    came_from[place] = Some(task);
                    queue.push_back(need);
                }
            }
        }
        vec![start]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(tasks: usize, needs: &[(usize, usize)]) -> TaskGraph {
        let mut graph = TaskGraph::new(tasks);
        for (task, on) in needs {
            graph.add_need(*task, *on, NeedKind::Required);
        }
        graph
    }

    #[test]
    fn every_task_comes_after_what_it_waits_for() {
        let diamond = graph(4, &[(1, 0), (2, 0), (3, 1), (3, 2)]);
        assert_eq!(diamond.order(), Ok(vec![0, 1, 2, 3]));
        assert_eq!(diamond.ready(&[false; 4]), vec![0]);
        assert_eq!(diamond.ready(&[true, false, false, false]), vec![1, 2]);
        let mut after: Vec<usize> = diamond.dependents(0).map(|(task, _)| task).collect();
        after.sort_unstable();
        assert_eq!(after, [1, 2]);
    }

    #[test]
    fn a_loop_is_told_as_a_path_that_ends_where_it_began() {
        let looped = graph(4, &[(0, 1), (1, 2), (2, 0), (3, 0)]);
        assert_eq!(looped.order(), Err(vec![Cycle { tasks: vec![0, 1, 2, 0] }]));
        let own = graph(1, &[(0, 0)]);
        assert_eq!(own.order(), Err(vec![Cycle { tasks: vec![0, 0] }]));
    }

    #[test]
    fn two_loops_are_both_told_and_the_short_way_round() {
        let two = graph(6, &[(0, 1), (1, 0), (2, 3), (3, 4), (4, 2), (3, 2), (5, 0)]);
        let told: Vec<Vec<usize>> =
            two.order().expect_err("loops").into_iter().map(|cycle| cycle.tasks).collect();
        assert_eq!(told, [vec![0, 1, 0], vec![2, 3, 2]]);
    }

    #[test]
    fn a_chain_of_100_000_tasks_overflows_no_stack() {
        let length = 100_000;
        let mut chain = TaskGraph::new(length);
        for task in 1..length {
            chain.add_need(task, task - 1, NeedKind::Required);
        }
        assert_eq!(chain.order().map(|order| order.len()), Ok(length));
        chain.add_need(0, length - 1, NeedKind::Required);
        let loops = chain.order().expect_err("one long loop");
        assert_eq!(loops.len(), 1);
        assert_eq!(loops[0].tasks.len(), length + 1);
    }
}
