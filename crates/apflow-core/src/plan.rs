//! Whom a run, a failure or a cancellation concerns, decided over the graph of one submission.
//!
//! Nothing here changes a task: the functions name tasks by index, and whoever calls them sends the
//! events to [`Task::on`](crate::task::Task::on). All of them take time proportional to the graph.

use crate::{
    store::NeedKind,
    task::{Join, OnFailure, Outcome, SkipCause, State, StateName, Task},
    transition::Event,
};

/// One task of a submission, as far as planning has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Where it stands.
    pub state: StateName,
    /// Required needs that ended without completing, if it is blocked; else 0.
    pub failed: u32,
    /// Its tree: any number that the tasks of one tree share.
    pub tree: usize,
    /// The task it hangs under.
    pub parent: Option<usize>,
    /// All needs, or any one.
    pub join: Join,
    /// A link or an archived task: no run takes it along.
    pub fixed: bool,
    /// A condition passed it over: it ended as it should.
    pub passed_over: bool,
}

/// One need: `to` waits for `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The task that comes first.
    pub from: usize,
    /// The task that waits for it.
    pub to: usize,
    /// What `from` must do.
    pub kind: NeedKind,
}

/// A task that a new run sets in motion, with the data of its [`Event::Started`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// The task.
    pub node: usize,
    /// Needs that run as well.
    pub waiting_for: u32,
    /// Required needs that do not run and have not completed.
    pub failed: u32,
}

impl Begin {
    /// The event that sets the task in motion.
    pub const fn event(&self) -> Event {
        Event::Started { waiting_for: self.waiting_for, failed: self.failed }
    }
}

/// A run is going on: this task still moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StillRunning {
    /// The first task that moves.
    pub node: usize,
}

/// What a new run sets in motion, in order of index (ruling 12).
///
/// Without a `target` it is the whole submission: what failed, was blocked, skipped or never ran, and
/// everything that waits for one of those, even if it completed before. With a target it is the same
/// within the target and what it depends on; structure alone brings nothing in. What was cancelled
/// never runs again, and what is fixed stays as it is. If nothing is left to do, `reexecute` runs what
/// completed.
pub fn start(
    nodes: &[Node],
    edges: &[Edge],
    target: Option<usize>,
    reexecute: bool,
) -> Result<Vec<Begin>, StillRunning> {
    if let Some(node) = nodes.iter().position(|node| node.state.is_live()) {
        return Err(StillRunning { node });
    }
    let wanted = match target {
        None => vec![true; nodes.len()],
        Some(target) => closure(nodes, edges, target),
    };
    let may_run = |node: usize| {
        wanted[node] && nodes[node].state != StateName::Cancelled && !nodes[node].fixed
    };
    let mut runs: Vec<bool> = (0..nodes.len())
        .map(|node| {
            may_run(node) && nodes[node].state != StateName::Completed && !nodes[node].passed_over
        })
        .collect();
    if !runs.contains(&true) {
        if !reexecute {
            return Ok(Vec::new());
        }
        runs = (0..nodes.len()).map(may_run).collect();
    }
    let dependents = Neighbours::dependents(nodes.len(), edges);
    let needs = Neighbours::needs(nodes.len(), edges);
    let mut open: Vec<usize> = (0..nodes.len()).filter(|node| runs[*node]).collect();
    while let Some(node) = open.pop() {
        // What runs again and requires a task that was passed over asks its condition again.
        for edge in needs.of(node) {
            let Edge { from, kind, .. } = edges[edge];
            let asked = kind == NeedKind::Required && nodes[from].passed_over;
            if asked && may_run(from) && !runs[from] {
                runs[from] = true;
                open.push(from);
            }
        }
        for edge in dependents.of(node) {
            let to = edges[edge].to;
            if may_run(to) && !runs[to] {
                runs[to] = true;
                open.push(to);
            }
        }
    }
    Ok(begin(nodes, edges, &runs))
}

/// A run that begins as if there had been none before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Afresh {
    /// What has to be reset before: what was cancelled, and what an earlier run left blocked and this
    /// one leaves alone.
    pub resets: Vec<usize>,
    /// What it sets in motion.
    pub begins: Vec<Begin>,
}

/// What a run sets in motion that begins afresh, whatever came of the runs before it: a schedule's.
///
/// Without a `target` it is the whole submission, with one the target and what it depends on. What
/// was cancelled runs, too: a run that somebody stopped does not stop the ones after it.
pub fn afresh(
    nodes: &[Node],
    edges: &[Edge],
    target: Option<usize>,
) -> Result<Afresh, StillRunning> {
    if let Some(node) = nodes.iter().position(|node| node.state.is_live()) {
        return Err(StillRunning { node });
    }
    let unlocked =
        |node: &Node| Node { state: StateName::Created, failed: 0, passed_over: false, ..*node };
    let fresh: Vec<Node> =
        nodes.iter().map(|node| if node.fixed { *node } else { unlocked(node) }).collect();
    let begins = start(&fresh, edges, target, false)?;
    let cancelled = |begin: &&Begin| nodes[begin.node].state == StateName::Cancelled;
    let mut resets: Vec<usize> = begins.iter().filter(cancelled).map(|begin| begin.node).collect();
    resets.extend(leftovers(nodes, &begins));
    resets.sort_unstable();
    Ok(Afresh { resets, begins })
}

/// What an earlier run left blocked and this one leaves alone, in order of index.
///
/// These tasks are to be reset before the run begins, or it would run them as soon as something they
/// wait for ends, although nobody asked for them.
pub fn leftovers(nodes: &[Node], begins: &[Begin]) -> Vec<usize> {
    let mut left: Vec<bool> = nodes.iter().map(|node| node.state == StateName::Blocked).collect();
    for begin in begins {
        left[begin.node] = false;
    }
    (0..nodes.len()).filter(|node| left[*node] && !begins.is_empty()).collect()
}

/// The target and everything it depends on, directly or not; what was cancelled needs nothing.
fn closure(nodes: &[Node], edges: &[Edge], target: usize) -> Vec<bool> {
    let needs = Neighbours::needs(nodes.len(), edges);
    let mut within = vec![false; nodes.len()];
    within[target] = true;
    let mut open = vec![target];
    while let Some(node) = open.pop() {
        if nodes[node].state == StateName::Cancelled {
            continue;
        }
        for edge in needs.of(node) {
            let Edge { from, kind, .. } = edges[edge];
            if kind != NeedKind::Structure && !within[from] {
                within[from] = true;
                open.push(from);
            }
        }
    }
    within
}

fn begin(nodes: &[Node], edges: &[Edge], runs: &[bool]) -> Vec<Begin> {
    let mut counts = vec![(0_u32, 0_u32); nodes.len()];
    let mut one_is_enough = vec![false; nodes.len()];
    for edge in edges {
        let (waiting_for, failed) = &mut counts[edge.to];
        if runs[edge.from] {
            *waiting_for += 1;
        } else if nodes[edge.from].state == StateName::Completed {
            one_is_enough[edge.to] |=
                nodes[edge.to].join == Join::Any && edge.kind != NeedKind::Structure;
        } else if edge.kind == NeedKind::Required {
            *failed += 1;
        }
    }
    (0..nodes.len())
        .filter(|node| runs[*node])
        .map(|node| {
            let (waiting_for, failed) = if one_is_enough[node] { (0, 0) } else { counts[node] };
            Begin { node, waiting_for, failed }
        })
        .collect()
}

/// What a dependent is told when one of its needs has ended in `state`.
///
/// A child that completes is never the "any one" a task with [`Join::Any`] waits for.
pub fn need_settled(kind: NeedKind, state: StateName) -> Event {
    Event::NeedSettled {
        completed: state == StateName::Completed && kind != NeedKind::Structure,
        required: kind == NeedKind::Required,
    }
}

/// What happens to a blocked task that waits for any or all of its needs when one of them has ended.
///
/// One that was passed over takes along whatever requires it, and nothing fails. Where any one need is
/// enough, it is one that did not come about.
pub fn consequence(kind: NeedKind, ended: &State, join: Join) -> Event {
    match ended {
        State::Skipped { why, cause: SkipCause::Condition } if kind == NeedKind::Required => {
            match join {
                Join::All => Event::PassedOver { lease: None, why: why_passed_over(why) },
                Join::Any => Event::NeedSettled { completed: false, required: false },
            }
        }
        _ => need_settled(kind, ended.name()),
    }
}

/// What a task says that is passed over because one it requires was, which said `why`.
fn why_passed_over(why: &str) -> String {
    const PREFIX: &str = "what it requires was skipped: ";
    if why.starts_with(PREFIX) { why.to_owned() } else { format!("{PREFIX}{why}") }
}

/// What takes other tasks along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The task failed, in a tree with this option.
    Failed(OnFailure),
    /// Somebody asked to stop the task.
    Cancelled,
}

/// Whom `origin` takes along, in order of index and without `origin` itself.
///
/// After a failure under `fail_fast` they are to be cancelled: all that the run asked for in that
/// tree and that has not ended. Under `skip_dependents` they are to be skipped: the blocked tasks that
/// can no longer run. After a cancellation they are to be cancelled: what hangs under the task, and
/// what can no longer run because one of these was required (ruling 17).
pub fn cascade(nodes: &[Node], edges: &[Edge], origin: usize, cause: Cause) -> Vec<usize> {
    let taken = match cause {
        Cause::Failed(OnFailure::Continue) => return Vec::new(),
        Cause::Failed(OnFailure::FailFast) => {
            let of_the_run = |node: &Node| {
                node.tree == nodes[origin].tree
                    && node.state != StateName::Created
                    && !node.state.is_terminal()
            };
            nodes.iter().map(of_the_run).collect()
        }
        Cause::Failed(OnFailure::SkipDependents) => {
            let mut taken = vec![false; nodes.len()];
            taken[origin] = true;
            let waits = |node: &Node| node.state == StateName::Blocked;
            take_dependents(nodes, edges, &mut taken, waits);
            taken
        }
        Cause::Cancelled => {
            let mut taken = descendants(nodes, origin);
            for (taken, node) in taken.iter_mut().zip(nodes) {
                *taken &= !node.state.is_terminal();
            }
            take_dependents(nodes, edges, &mut taken, |node| !node.state.is_terminal());
            taken
        }
    };
    (0..nodes.len()).filter(|node| taken[*node] && *node != origin).collect()
}

/// What a task says that `fail_fast` cancelled after the task `name` failed.
pub fn why_stopped(name: &str) -> String {
    format!("{name} failed and the tree is fail_fast")
}

/// What a task says that `skip_dependents` skipped after the task `name` failed.
pub fn why_skipped(name: &str) -> String {
    format!("{name} failed and the tree is skip_dependents")
}

/// A task and everything that hangs under it.
fn descendants(nodes: &[Node], origin: usize) -> Vec<bool> {
    let hangs: Vec<Edge> = nodes
        .iter()
        .enumerate()
        .filter_map(|(to, node)| {
            node.parent.map(|from| Edge { from, to, kind: NeedKind::Structure })
        })
        .collect();
    let children = Neighbours::dependents(nodes.len(), &hangs);
    let mut below = vec![false; nodes.len()];
    below[origin] = true;
    let mut open = vec![origin];
    while let Some(node) = open.pop() {
        for child in children.of(node) {
            let child = hangs[child].to;
            if !below[child] {
                below[child] = true;
                open.push(child);
            }
        }
    }
    below
}

/// Adds the tasks that can no longer run because a taken one will not complete.
fn take_dependents(
    nodes: &[Node],
    edges: &[Edge],
    taken: &mut [bool],
    may_take: impl Fn(&Node) -> bool,
) {
    // A task that needs any one of several is lost with the last of them.
    let mut hopes = vec![0_u32; nodes.len()];
    let mut lost_one: Vec<bool> = nodes.iter().map(|node| node.failed > 0).collect();
    for edge in edges {
        let state = nodes[edge.from].state;
        let gives_hope = state == StateName::Completed || !state.is_terminal();
        hopes[edge.to] += u32::from(gives_hope && edge.kind != NeedKind::Structure);
    }
    let dependents = Neighbours::dependents(nodes.len(), edges);
    let mut open: Vec<usize> = (0..nodes.len()).filter(|node| taken[*node]).collect();
    while let Some(node) = open.pop() {
        for edge in dependents.of(node) {
            let Edge { from, to, kind } = edges[edge];
            if kind == NeedKind::Structure {
                continue;
            }
            hopes[to] -= u32::from(!nodes[from].state.is_terminal());
            lost_one[to] |= kind == NeedKind::Required;
            let is_lost = match nodes[to].join {
                Join::All => kind == NeedKind::Required,
                Join::Any => hopes[to] == 0 && lost_one[to],
            };
            if is_lost && !taken[to] && may_take(&nodes[to]) {
                taken[to] = true;
                open.push(to);
            }
        }
    }
}

/// Which blocked tasks may go on although something below them never will, in order of index.
///
/// Empty while anything moves. Then it is the tasks that only the order of structure holds back, the
/// lowest of them; after those have ended, ask again for the ones above.
pub fn release(nodes: &[Node], edges: &[Edge]) -> Vec<usize> {
    let blocked = |node: usize| nodes[node].state == StateName::Blocked;
    if nodes.iter().any(|node| node.state.is_live())
        || !(0..nodes.len()).any(|node| blocked(node) && nodes[node].failed == 0)
    {
        return Vec::new();
    }
    let mut free: Vec<bool> =
        (0..nodes.len()).map(|node| blocked(node) && nodes[node].failed == 0).collect();
    let mut unsettled = vec![0_usize; nodes.len()];
    for edge in edges.iter().filter(|edge| !nodes[edge.from].state.is_terminal()) {
        unsettled[edge.to] += 1;
        free[edge.to] &= edge.kind == NeedKind::Structure;
    }
    // From the leaves up: a free task with a free one below it has to wait for that one.
    let dependents = Neighbours::dependents(nodes.len(), edges);
    let mut free_below = vec![false; nodes.len()];
    let mut open: Vec<usize> = (0..nodes.len())
        .filter(|node| !nodes[*node].state.is_terminal() && unsettled[*node] == 0)
        .collect();
    let mut lowest = Vec::new();
    while let Some(node) = open.pop() {
        if free[node] && !free_below[node] {
            lowest.push(node);
        }
        for edge in dependents.of(node) {
            let to = edges[edge].to;
            free_below[to] |= free[node] || free_below[node];
            unsettled[to] -= 1;
            if unsettled[to] == 0 && !nodes[to].state.is_terminal() {
                open.push(to);
            }
        }
    }
    lowest.sort_unstable();
    lowest
}

/// How the run of a tree ends, or none while it goes on.
///
/// `states` are those of its tasks, without the ones that ended before this run began.
/// `still` says that nothing in the whole submission moves and nothing was released, so that what is
/// blocked stays blocked. A task that was not asked to run does not count.
pub fn outcome(states: impl IntoIterator<Item = StateName>, still: bool) -> Option<Outcome> {
    let mut outcome = Outcome::Completed;
    for state in states {
        match state {
            StateName::Created | StateName::Completed => {}
            StateName::Blocked if still => outcome = Outcome::Failed,
            // What is skipped was kept from running by a failure.
            StateName::Failed | StateName::Skipped => outcome = Outcome::Failed,
            StateName::Cancelled if outcome == Outcome::Completed => outcome = Outcome::Cancelled,
            StateName::Cancelled => {}
            StateName::Blocked
            | StateName::Ready
            | StateName::Retrying
            | StateName::Running
            | StateName::Waiting => return None,
        }
    }
    Some(outcome)
}

/// The state a task is counted as when a run is judged.
///
/// What a condition passed over, and what ended inside a group without completing, is no failure of the
/// run: it counts like what was not asked to run.
pub fn counted_as(task: &Task) -> StateName {
    let name = task.state.name();
    let passed_over = matches!(task.state, State::Skipped { cause: SkipCause::Condition, .. });
    let excused = name.is_terminal() && name != StateName::Completed && task.is_member();
    if passed_over || excused { StateName::Created } else { name }
}

/// The edges of each task, by counting sort: two vectors whatever the size.
struct Neighbours {
    first: Vec<usize>,
    edges: Vec<usize>,
}

impl Neighbours {
    fn dependents(nodes: usize, edges: &[Edge]) -> Self {
        Self::by(nodes, edges, |edge| edge.from)
    }

    fn needs(nodes: usize, edges: &[Edge]) -> Self {
        Self::by(nodes, edges, |edge| edge.to)
    }

    fn by(nodes: usize, edges: &[Edge], end: impl Fn(&Edge) -> usize) -> Self {
        let mut first = vec![0; nodes + 1];
        for edge in edges {
            first[end(edge) + 1] += 1;
        }
        for node in 0..nodes {
            first[node + 1] += first[node];
        }
        let mut next = first.clone();
        let mut sorted = vec![0; edges.len()];
        for (index, edge) in edges.iter().enumerate() {
            let at = &mut next[end(edge)];
            sorted[*at] = index;
            *at += 1;
        }
        Self { first, edges: sorted }
    }

    fn of(&self, node: usize) -> impl Iterator<Item = usize> {
        self.edges[self.first[node]..self.first[node + 1]].iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NeedKind::{Optional, Required, Structure};
    use StateName as S;

    fn node(state: S) -> Node {
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

    fn nodes<const N: usize>(states: [S; N]) -> Vec<Node> {
        states.into_iter().map(node).collect()
    }

    fn needs(list: &[(usize, usize, NeedKind)]) -> Vec<Edge> {
        list.iter().map(|&(to, from, kind)| Edge { from, to, kind }).collect()
    }

    fn begins(list: &[(usize, u32, u32)]) -> Vec<Begin> {
        list.iter()
            .map(|&(node, waiting_for, failed)| Begin { node, waiting_for, failed })
            .collect()
    }

    #[test]
    fn a_first_run_takes_everything_and_counts_the_needs() {
        let nodes = nodes([S::Created; 3]);
        let edges = needs(&[(2, 0, Required), (2, 1, Optional)]);
        assert_eq!(
            start(&nodes, &edges, None, false),
            Ok(begins(&[(0, 0, 0), (1, 0, 0), (2, 2, 0)]))
        );
    }

    #[test]
    fn a_forest_that_moves_is_not_started_again() {
        let nodes = nodes([S::Completed, S::Waiting]);
        assert_eq!(start(&nodes, &[], None, true), Err(StillRunning { node: 1 }));
    }

    #[test]
    fn a_second_run_takes_the_failed_and_all_that_waits_for_them_even_if_it_completed() {
        // 0 ok <- 1 failed <- 2 blocked; 3 completed although 1 failed, since it only had to end
        let nodes = nodes([S::Completed, S::Failed, S::Blocked, S::Completed, S::Completed]);
        let edges = needs(&[(1, 0, Required), (2, 1, Required), (3, 1, Structure)]);
        assert_eq!(
            start(&nodes, &edges, None, false),
            Ok(begins(&[(1, 0, 0), (2, 1, 0), (3, 1, 0)]))
        );
    }

    #[test]
    fn a_completed_forest_runs_again_only_if_asked() {
        let nodes = nodes([S::Completed, S::Completed, S::Cancelled]);
        let edges = needs(&[(1, 0, Required)]);
        assert_eq!(start(&nodes, &edges, None, false), Ok(begins(&[])));
        assert_eq!(start(&nodes, &edges, None, true), Ok(begins(&[(0, 0, 0), (1, 1, 0)])));
    }

    #[test]
    fn a_run_afresh_takes_all_of_it_whatever_it_was() {
        let nodes = nodes([S::Completed, S::Failed, S::Cancelled, S::Skipped, S::Blocked]);
        let edges = needs(&[(1, 0, Required), (2, 1, Optional), (4, 2, Structure)]);
        let run = afresh(&nodes, &edges, None).expect("nothing moves");
        assert_eq!(run.resets, [2]);
        assert_eq!(run.begins, begins(&[(0, 0, 0), (1, 1, 0), (2, 1, 0), (3, 0, 0), (4, 1, 0)]));
    }

    #[test]
    fn a_childs_run_afresh_takes_what_it_depends_on_and_nothing_else() {
        // 2 requires 1, which was cancelled and requires 0; 3 hangs under 2, 4 was left blocked
        let mut nodes = nodes([S::Completed, S::Cancelled, S::Completed, S::Failed, S::Blocked]);
        nodes[3].parent = Some(2);
        let edges = needs(&[(1, 0, Required), (2, 1, Required), (2, 3, Structure)]);
        let run = afresh(&nodes, &edges, Some(2)).expect("nothing moves");
        assert_eq!(run.resets, [1, 4]);
        assert_eq!(run.begins, begins(&[(0, 0, 0), (1, 1, 0), (2, 1, 0)]));
    }

    #[test]
    fn nothing_begins_afresh_while_something_moves() {
        let nodes = nodes([S::Completed, S::Retrying]);
        assert_eq!(afresh(&nodes, &[], None), Err(StillRunning { node: 1 }));
    }

    #[test]
    fn what_is_fixed_is_never_run_again_and_counts_as_it_stands() {
        // 0 is a link; 1 needs it and failed, 2 needs 1 and was archived.
        let mut nodes = nodes([S::Completed, S::Failed, S::Completed]);
        nodes[0].fixed = true;
        nodes[2].fixed = true;
        let edges = needs(&[(1, 0, Required), (2, 1, Required)]);
        assert_eq!(start(&nodes, &edges, None, false), Ok(begins(&[(1, 0, 0)])));
        nodes[1].state = S::Completed;
        assert_eq!(start(&nodes, &edges, None, true), Ok(begins(&[(1, 0, 0)])));
        assert_eq!(start(&nodes, &edges, Some(0), true), Ok(begins(&[])));
    }

    #[test]
    fn a_childs_run_resets_what_an_earlier_one_left_blocked() {
        let nodes = nodes([S::Failed, S::Blocked, S::Blocked]);
        let edges = needs(&[(1, 0, Required), (2, 1, Optional)]);
        let begins = start(&nodes, &edges, Some(1), false).expect("nothing moves");
        assert_eq!(leftovers(&nodes, &begins), [2]);
        assert_eq!(leftovers(&nodes, &[]), [0_usize; 0], "no run, no change");
    }

    #[test]
    fn a_cancelled_need_counts_as_failed_where_it_is_required() {
        let nodes = nodes([S::Cancelled, S::Created, S::Created]);
        let edges = needs(&[(1, 0, Required), (2, 0, Optional)]);
        assert_eq!(start(&nodes, &edges, None, false), Ok(begins(&[(1, 0, 1), (2, 0, 0)])));
    }

    #[test]
    fn a_child_runs_with_what_it_depends_on_and_nothing_else() {
        // 3 <- 2 <- 0, 1 is a sibling, 4 hangs under 3
        let nodes = nodes([S::Created; 5]);
        let edges = needs(&[(2, 0, Required), (3, 2, Required), (3, 4, Structure)]);
        assert_eq!(
            start(&nodes, &edges, Some(3), false),
            Ok(begins(&[(0, 0, 0), (2, 1, 0), (3, 1, 0)]))
        );
    }

    #[test]
    fn a_childs_run_leaves_completed_dependencies_alone() {
        let nodes = nodes([S::Completed, S::Failed, S::Created]);
        let edges = needs(&[(1, 0, Required), (2, 1, Required)]);
        assert_eq!(start(&nodes, &edges, Some(1), false), Ok(begins(&[(1, 0, 0)])));
    }

    #[test]
    fn a_cancelled_child_does_not_even_run_its_dependencies() {
        let nodes = nodes([S::Created, S::Cancelled]);
        let edges = needs(&[(1, 0, Required)]);
        assert_eq!(start(&nodes, &edges, Some(1), true), Ok(begins(&[])));
    }

    #[test]
    fn any_one_completed_need_makes_the_rest_irrelevant_at_the_start() {
        let mut nodes = nodes([S::Completed, S::Created, S::Created]);
        nodes[2].join = Join::Any;
        let edges = needs(&[(2, 0, Required), (2, 1, Required)]);
        assert_eq!(start(&nodes, &edges, None, false), Ok(begins(&[(1, 0, 0), (2, 0, 0)])));
    }

    #[test]
    fn a_completed_child_is_not_the_one_a_join_any_waits_for() {
        assert_eq!(
            need_settled(Structure, S::Completed),
            Event::NeedSettled { completed: false, required: false }
        );
        assert_eq!(
            need_settled(Required, S::Completed),
            Event::NeedSettled { completed: true, required: true }
        );
        assert_eq!(
            need_settled(Optional, S::Skipped),
            Event::NeedSettled { completed: false, required: false }
        );
    }

    #[test]
    fn fail_fast_stops_what_the_run_asked_for_in_that_tree_only() {
        let mut nodes = nodes([S::Failed, S::Running, S::Created, S::Completed, S::Ready]);
        nodes[4].tree = 1;
        assert_eq!(cascade(&nodes, &[], 0, Cause::Failed(OnFailure::FailFast)), [1]);
        assert_eq!(cascade(&nodes, &[], 0, Cause::Failed(OnFailure::Continue)), [0_usize; 0]);
    }

    #[test]
    fn skipping_follows_required_needs_through_every_generation() {
        let nodes = nodes([S::Failed, S::Blocked, S::Blocked, S::Blocked, S::Blocked]);
        let edges =
            needs(&[(1, 0, Required), (2, 1, Required), (3, 2, Optional), (4, 0, Structure)]);
        assert_eq!(cascade(&nodes, &edges, 0, Cause::Failed(OnFailure::SkipDependents)), [1, 2]);
    }

    #[test]
    fn a_join_any_is_lost_only_with_its_last_need() {
        let mut nodes = nodes([S::Failed, S::Running, S::Blocked]);
        nodes[2].join = Join::Any;
        let edges = needs(&[(2, 0, Required), (2, 1, Required)]);
        let skip = Cause::Failed(OnFailure::SkipDependents);
        assert_eq!(cascade(&nodes, &edges, 0, skip), [0_usize; 0]);
        nodes[1].state = S::Failed;
        assert_eq!(cascade(&nodes, &edges, 1, skip), [2]);
    }

    #[test]
    fn a_join_any_that_has_gone_on_is_not_lost() {
        let mut nodes = nodes([S::Completed, S::Running, S::Running]);
        nodes[2].join = Join::Any;
        let edges = needs(&[(2, 0, Required), (2, 1, Required)]);
        assert_eq!(cascade(&nodes, &edges, 1, Cause::Cancelled), [0_usize; 0]);
    }

    #[test]
    fn a_cancellation_takes_what_hangs_below_and_what_requires_it() {
        // 1 and 2 hang under 0, 3 requires 1, 4 requires the completed 2, 5 only wants 0 to end
        let mut nodes =
            nodes([S::Blocked, S::Running, S::Completed, S::Blocked, S::Ready, S::Blocked]);
        nodes[1].parent = Some(0);
        nodes[2].parent = Some(0);
        let edges = needs(&[
            (0, 1, Structure),
            (0, 2, Structure),
            (3, 1, Required),
            (4, 2, Required),
            (5, 0, Optional),
        ]);
        assert_eq!(cascade(&nodes, &edges, 0, Cause::Cancelled), [1, 3]);
        assert_eq!(cascade(&nodes, &edges, 1, Cause::Cancelled), [3], "a parent goes on");
    }

    #[test]
    fn a_parent_over_a_blocked_child_is_released_once_nothing_moves() {
        // 0 failed <- 1 blocked; 1 hangs under 2, 2 under 3
        let mut nodes = nodes([S::Failed, S::Blocked, S::Blocked, S::Blocked, S::Running]);
        nodes[1].failed = 1;
        let edges = needs(&[(1, 0, Required), (2, 1, Structure), (3, 2, Structure)]);
        assert_eq!(release(&nodes, &edges), [0_usize; 0], "something moves");
        nodes[4].state = S::Completed;
        assert_eq!(release(&nodes, &edges), [2], "the lowest first");
        nodes[2].state = S::Completed;
        assert_eq!(release(&nodes, &edges), [3]);
        nodes[3].state = S::Failed;
        assert_eq!(release(&nodes, &edges), [0_usize; 0]);
    }

    #[test]
    fn a_real_need_that_never_settles_releases_nothing() {
        let mut nodes = nodes([S::Blocked, S::Blocked, S::Blocked]);
        nodes[0].failed = 1;
        let edges = needs(&[(1, 0, Optional), (2, 0, Structure), (2, 1, Required)]);
        assert_eq!(release(&nodes, &edges), [0_usize; 0]);
    }

    #[test]
    fn a_free_task_far_below_goes_before_one_far_above() {
        // 3 over 2 over 1 over 0; 2 cannot run itself, yet 3 must not overtake 1
        let mut nodes = nodes([S::Blocked; 4]);
        nodes[0].failed = 1;
        nodes[2].failed = 1;
        let edges = needs(&[(1, 0, Structure), (2, 1, Structure), (3, 2, Structure)]);
        assert_eq!(release(&nodes, &edges), [1]);
    }

    #[test]
    fn a_run_ends_failed_before_cancelled_before_completed() {
        assert_eq!(outcome([S::Completed, S::Created], false), Some(Outcome::Completed));
        assert_eq!(outcome([S::Cancelled, S::Completed], false), Some(Outcome::Cancelled));
        assert_eq!(outcome([S::Failed, S::Cancelled], false), Some(Outcome::Failed));
        assert_eq!(outcome([S::Cancelled, S::Skipped], false), Some(Outcome::Failed));
        assert_eq!(outcome([S::Failed, S::Blocked], false), None);
        assert_eq!(outcome([S::Completed, S::Blocked], true), Some(Outcome::Failed));
        assert_eq!(outcome([S::Completed, S::Running], true), None);
    }
}
