//! What a jump sets back, and what nobody reached when nothing moves any more.
//!
//! A task that ends by jumping elsewhere has not settled anything for those who need it; a task that
//! begins only when somebody jumps to it waits for that. Like `plan`, nothing here changes a task.

use crate::{
    plan::{Begin, Edge, Node},
    store::NeedKind,
    task::{Join, StateName},
};

/// What jumps have to know of a task besides its node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// It completed by going on elsewhere.
    pub away: bool,
    /// It begins only when somebody jumps to it.
    pub on_jump: bool,
    /// It waits for what it spawned.
    pub gathering: bool,
}

/// What has to wait again because `target` runs once more, with the counts of its needs.
///
/// That is whatever comes after the target and has ended, or waits. What runs goes on, what was
/// cancelled or cannot change stays as it is, and so does what runs only when it is jumped to.
pub fn set_back(nodes: &[Node], edges: &[Edge], marks: &[Mark], target: usize) -> Vec<Begin> {
    let may = |node: usize| {
        let state = nodes[node].state;
        let stays = nodes[node].fixed
            || marks[node].on_jump
            || marks[node].gathering
            || state == StateName::Cancelled;
        !stays && (state.is_terminal() || state == StateName::Blocked)
    };
    let after = followers(nodes.len(), edges);
    let mut again = vec![false; nodes.len()];
    let mut open = vec![target];
    while let Some(node) = open.pop() {
        for &edge in &after[node] {
            let to = edges[edge].to;
            if to != target && !again[to] && may(to) {
                again[to] = true;
                open.push(to);
            }
        }
    }
    let mut counts = vec![(0_u32, 0_u32); nodes.len()];
    for edge in edges.iter().filter(|edge| again[edge.to]) {
        let Edge { from, to, kind } = *edge;
        let state = nodes[from].state;
        let is_away = marks[from].away && kind != NeedKind::Structure;
        let unsettled = again[from] || from == target || !state.is_terminal() || is_away;
        if unsettled && state != StateName::Created {
            counts[to].0 += 1;
        } else if kind == NeedKind::Required && state != StateName::Completed {
            counts[to].1 += 1;
        }
    }
    (0..nodes.len())
        .filter(|node| again[*node])
        .map(|node| Begin { node, waiting_for: counts[node].0, failed: counts[node].1 })
        .collect()
}

/// Blocked tasks that wait only because nobody came by: they begin on a jump, or need a task that
/// went on elsewhere, or need one of these. To be asked when nothing moves.
pub fn unreached(nodes: &[Node], edges: &[Edge], marks: &[Mark]) -> Vec<usize> {
    if !marks.iter().any(|mark| mark.away || mark.on_jump) {
        return Vec::new();
    }
    let blocked = |node: usize| nodes[node].state == StateName::Blocked;
    // What a task that needs any one of several may still hope for.
    let mut hopes = vec![0_u32; nodes.len()];
    for edge in edges.iter().filter(|edge| edge.kind != NeedKind::Structure) {
        hopes[edge.to] += u32::from(!marks[edge.from].away);
    }
    let after = followers(nodes.len(), edges);
    let mut lost: Vec<bool> =
        (0..nodes.len()).map(|node| blocked(node) && marks[node].on_jump).collect();
    let mut open: Vec<usize> =
        (0..nodes.len()).filter(|node| lost[*node] || marks[*node].away).collect();
    while let Some(node) = open.pop() {
        for &edge in &after[node] {
            let Edge { from, to, kind } = edges[edge];
            if kind == NeedKind::Structure || (kind == NeedKind::Optional && !marks[from].away) {
                // Whoever only waits for its end goes on once it is skipped.
                continue;
            }
            if nodes[to].join == Join::Any {
                hopes[to] -= u32::from(!marks[from].away);
                if hopes[to] > 0 {
                    continue;
                }
            }
            if !lost[to] && blocked(to) && nodes[to].failed == 0 {
                lost[to] = true;
                open.push(to);
            }
        }
    }
    (0..nodes.len()).filter(|node| lost[*node]).collect()
}

/// Needs that a run finds unsettled although it does not run them: of tasks that went on elsewhere in
/// an earlier run, and the jump that a task waits for.
pub fn missing(nodes: &[Node], edges: &[Edge], marks: &[Mark], begins: &[Begin]) -> Vec<Begin> {
    let mut runs = vec![false; nodes.len()];
    for begin in begins {
        runs[begin.node] = true;
    }
    let mut more = vec![0_u32; nodes.len()];
    for edge in edges.iter().filter(|edge| edge.kind != NeedKind::Structure) {
        more[edge.to] += u32::from(marks[edge.from].away && !runs[edge.from]);
    }
    begins
        .iter()
        .map(|begin| {
            // What failed had been reached.
            let waits = marks[begin.node].on_jump && nodes[begin.node].state != StateName::Failed;
            let waiting_for = begin.waiting_for + more[begin.node] + u32::from(waits);
            Begin { waiting_for, ..*begin }
        })
        .collect()
}

fn followers(count: usize, edges: &[Edge]) -> Vec<Vec<usize>> {
    let mut after = vec![Vec::new(); count];
    for (index, edge) in edges.iter().enumerate() {
        after[edge.from].push(index);
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(state: StateName) -> Node {
        Node {
            state,
            failed: 0,
            tree: 0,
            parent: None,
            join: Join::All,
            fixed: false,
            passed_over: false,
        }
    }

    fn need(from: usize, to: usize) -> Edge {
        Edge { from, to, kind: NeedKind::Required }
    }

    const AWAY: Mark = Mark { away: true, on_jump: false, gathering: false };
    const HERE: Mark = Mark { away: false, on_jump: false, gathering: false };
    const LANDING: Mark = Mark { away: false, on_jump: true, gathering: false };

    #[test]
    fn what_had_ended_after_the_target_waits_again_for_all_that_runs_again() {
        use StateName::{Blocked, Completed};
        // 0 → 1 → 2 → 3, and 2 goes back to 0; 3 needs 1 as well.
        let nodes = [node(Completed), node(Completed), node(Completed), node(Blocked)];
        let edges = [need(0, 1), need(1, 2), need(2, 3), need(1, 3)];
        let again = set_back(&nodes, &edges, &[HERE, HERE, AWAY, HERE], 0);
        let counts: Vec<_> = again.iter().map(|one| (one.node, one.waiting_for)).collect();
        assert_eq!(counts, [(1, 1), (2, 1), (3, 2)]);
    }

    #[test]
    fn what_does_not_come_after_the_target_is_left_alone() {
        use StateName::{Blocked, Cancelled, Completed};
        let nodes = [node(Completed), node(Cancelled), node(Blocked)];
        let edges = [need(0, 1), need(1, 2)];
        assert_eq!(set_back(&nodes, &edges, &[HERE; 3], 0), [], "nothing passes a cancelled task");
        assert_eq!(set_back(&nodes, &edges, &[HERE; 3], 2), []);
    }

    #[test]
    fn who_needs_a_task_that_went_elsewhere_is_not_reached() {
        use StateName::{Blocked, Completed};
        let nodes = [node(Completed), node(Blocked), node(Blocked), node(Blocked), node(Blocked)];
        let optional = Edge { from: 1, to: 4, kind: NeedKind::Optional };
        let edges = [need(0, 1), need(1, 2), optional];
        assert_eq!(unreached(&nodes, &edges, &[AWAY, HERE, HERE, LANDING, HERE]), [1, 2, 3]);
        assert_eq!(unreached(&nodes, &edges, &[HERE; 5]), Vec::<usize>::new());
    }

    #[test]
    fn any_one_is_enough_while_there_is_one_to_hope_for() {
        use StateName::{Blocked, Completed};
        let any = Node { join: Join::Any, ..node(Blocked) };
        let edges = [need(0, 2), need(1, 2)];
        let nodes = [node(Completed), node(Blocked), any];
        assert_eq!(unreached(&nodes, &edges, &[AWAY, HERE, HERE]), Vec::<usize>::new());
        let nodes = [node(Completed), node(Completed), any];
        assert_eq!(unreached(&nodes, &edges, &[AWAY, AWAY, HERE]), [2]);
    }

    #[test]
    fn a_run_that_goes_on_waits_for_whoever_went_elsewhere_before() {
        use StateName::{Completed, Failed, Skipped};
        let nodes = [node(Completed), node(Failed), node(Skipped)];
        let edges = [need(0, 2)];
        let begins = [
            Begin { node: 1, waiting_for: 0, failed: 0 },
            Begin { node: 2, waiting_for: 0, failed: 0 },
        ];
        let counts: Vec<u32> = missing(&nodes, &edges, &[AWAY, LANDING, HERE], &begins)
            .iter()
            .map(|begin| begin.waiting_for)
            .collect();
        assert_eq!(counts, [0, 1], "who failed had been reached, who was skipped was not");
    }
}
