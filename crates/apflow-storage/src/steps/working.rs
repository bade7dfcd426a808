//! The working set of one transaction: rows that were read, the changes that the core decided, and the
//! counters that follow from them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use apflow_core::{
    condition,
    group::{self, Member},
    id::{Seq, TaskId},
    plan::{self, Cause, Edge, Node},
    store::{EventKind, NeedKind, StoreError},
    task::{
        Definition, Facets, OnFailure, Outcome, SkipCause, State, StateName, Task, TreeOptions,
    },
    time::Timestamp,
    transition::{Event, Refused},
};
use serde_json::{Value, json};

use crate::{
    row::{ForestRow, HotRow, StateColumns, TreeRow},
    rows::{ForestTask, NewEvent, Opening, Rows, Save, WorkChange},
};

/// Results longer than this lie in pieces beside the row.
const INLINE_BYTES: usize = 1 << 20;
/// How long each of those pieces is.
const PART_BYTES: usize = 1 << 20;

/// What happened in a transaction that others want to hear of once it is durable.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Tasks became ready.
    pub(crate) readied: bool,
    /// Tasks that a worker held and holds no more.
    pub(crate) stopped: Vec<Seq>,
    /// Trees in which something happened.
    pub(crate) changed: Vec<Seq>,
    /// Trees whose run ended.
    pub(crate) finished: Vec<Seq>,
    /// A schedule may be due sooner than it was.
    pub(crate) scheduled: bool,
}

impl Effects {
    /// Takes in what another step of the same transaction did.
    pub(crate) fn add(&mut self, more: Self) {
        self.readied |= more.readied;
        self.stopped.extend(more.stopped);
        self.changed.extend(more.changed);
        self.finished.extend(more.finished);
        self.scheduled |= more.scheduled;
    }

    /// What other processes are told, or nothing if it does not concern them.
    pub(crate) fn payload(&self) -> Option<String> {
        let seqs = |list: &[Seq]| Value::from(list.iter().map(|seq| seq.0).collect::<Vec<_>>());
        let quiet = !self.readied
            && self.stopped.is_empty()
            && self.changed.is_empty()
            && self.finished.is_empty()
            && !self.scheduled;
        (!quiet).then(|| {
            json!({
                "r": self.readied,
                "s": seqs(&self.stopped),
                "c": seqs(&self.changed),
                "f": seqs(&self.finished),
                "d": self.scheduled,
            })
            .to_string()
        })
    }
}

struct Entry {
    task: Task,
    touched: bool,
    wipe: bool,
    resolved: Option<String>,
    output: Option<String>,
    output_parts: Option<i64>,
}

/// The rows a transaction works on.
pub(crate) struct Working {
    pub(crate) now: Timestamp,
    tasks: HashMap<i64, Entry>,
    trees: BTreeMap<i64, (TreeRow, bool)>,
    forests: BTreeMap<i64, (ForestRow, bool)>,
    /// Who waits for a task: `(task, kind)`.
    edges: HashMap<i64, Vec<(i64, i64)>>,
    settled: Vec<i64>,
    /// Submissions that are here with all their edges.
    loaded: BTreeSet<i64>,
    failures: Vec<i64>,
    events: Vec<NewEvent>,
    parts: Vec<(i64, i64, String)>,
    readied: Vec<i64>,
    effects: Effects,
    corrupt: Vec<StoreError>,
    /// Tasks that go on from no checkpoint any more.
    past: Vec<i64>,
}

impl Working {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            now,
            tasks: HashMap::new(),
            trees: BTreeMap::new(),
            forests: BTreeMap::new(),
            edges: HashMap::new(),
            settled: Vec::new(),
            loaded: BTreeSet::new(),
            failures: Vec::new(),
            events: Vec::new(),
            parts: Vec::new(),
            readied: Vec::new(),
            effects: Effects::default(),
            corrupt: Vec::new(),
            past: Vec::new(),
        }
    }

    /// Takes in what the start of a transaction read; returns the tasks that may be claimed.
    pub(crate) fn take_in(&mut self, opening: Opening) -> Vec<i64> {
        self.take_trees(opening.forests, opening.trees);
        for (need, dependents) in opening.edges {
            self.edges.insert(need, dependents);
        }
        for row in &opening.tasks {
            self.take_task(row);
        }
        opening.ready.iter().filter(|row| self.take_task(row)).map(|row| row.seq).collect()
    }

    /// Takes in whole submissions, edges and all.
    pub(crate) fn take_in_forests(
        &mut self,
        forests: Vec<ForestRow>,
        trees: Vec<TreeRow>,
        tasks: &[ForestTask],
    ) {
        self.take_trees(forests, trees);
        let mut edges: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
        for task in tasks {
            self.take_task(&task.hot);
            for (need, kind) in &task.needs {
                edges.entry(*need).or_default().push((task.hot.seq, *kind));
            }
        }
        self.edges.extend(edges);
    }

    fn take_trees(&mut self, forests: Vec<ForestRow>, trees: Vec<TreeRow>) {
        for row in forests {
            self.forests.entry(row.seq).or_insert((row, false));
        }
        for row in trees {
            self.trees.entry(row.seq).or_insert((row, false));
        }
    }

    /// Takes in one row unless it is here already; a row that cannot be read is set aside.
    fn take_task(&mut self, row: &HotRow) -> bool {
        if self.tasks.contains_key(&row.seq) {
            return true;
        }
        match row.task() {
            Ok(task) => {
                let entry = Entry {
                    task,
                    touched: false,
                    wipe: false,
                    resolved: None,
                    output: None,
                    output_parts: None,
                };
                self.tasks.insert(row.seq, entry);
                true
            }
            Err(error) => {
                self.set_aside(error);
                false
            }
        }
    }

    /// Notes a row that cannot be read; it is reported when the transaction is written.
    fn set_aside(&mut self, error: StoreError) {
        if !self.corrupt.iter().any(|known| known.to_string() == error.to_string()) {
            self.corrupt.push(error);
        }
    }

    pub(crate) fn task(&self, seq: i64) -> Option<&Task> {
        self.tasks.get(&seq).map(|entry| &entry.task)
    }

    /// When time alone will change one of the tasks that moved in this transaction.
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        let moved = self.tasks.values().filter(|entry| entry.touched);
        moved.filter_map(|entry| entry.task.wake_at()).min()
    }

    pub(crate) fn tree(&self, seq: i64) -> Option<&TreeRow> {
        self.trees.get(&seq).map(|(row, _)| row)
    }

    pub(crate) fn tree_mut(&mut self, seq: i64) -> Option<&mut TreeRow> {
        self.trees.get_mut(&seq).map(|(row, dirty)| {
            *dirty = true;
            row
        })
    }

    /// A new task stands where others may want to hear of it.
    pub(crate) fn note_ready(&mut self, task: &Task) {
        self.effects.readied |= task.state.name() == StateName::Ready;
    }

    /// Everything that became ready was taken in this very transaction.
    pub(crate) fn nothing_is_left(&mut self) {
        self.effects.readied = false;
    }

    /// Tasks that became ready in this transaction.
    pub(crate) fn readied(&self) -> impl Iterator<Item = i64> {
        self.readied.iter().copied()
    }

    /// Sends an event to a task and keeps the counters right.
    pub(crate) fn apply(&mut self, seq: i64, event: Event) -> Result<(), Refused> {
        let now = self.now;
        let entry = self.tasks.get_mut(&seq).ok_or(Refused::NoSuchTask)?;
        let kind = event_kind(&event);
        let wipe = matches!(event, Event::Started { .. } | Event::Reset);
        let held = matches!(entry.task.state, State::Running { .. });
        let reported = matches!(
            event,
            Event::Succeeded { .. }
                | Event::Stumbled { .. }
                | Event::Parked { .. }
                | Event::HandedBack { .. }
        );
        let before = entry.task.state.name();
        let counted_before = plan::counted_as(&entry.task);
        let ended_at = entry.task.completed_at;
        let went_on = has_checkpoint(&entry.task);
        entry.task.on(event, now)?;
        entry.touched = true;
        entry.wipe |= wipe;
        if went_on && !has_checkpoint(&entry.task) {
            self.past.push(seq);
        }
        let after = entry.task.state.name();
        let counted_after = plan::counted_as(&entry.task);
        let attempt = entry.task.attempts;
        let (tree, forest) = (entry.task.tree, entry.task.forest);
        if held && !reported && after != StateName::Running {
            self.effects.stopped.push(Seq(seq));
        }
        if let Some(kind) = kind_of_change(kind, before, after) {
            let detail = detail_of(&entry.task.state);
            let task = Some(seq);
            self.events.push(NewEvent { tree: tree.0, task, kind: kind.code(), attempt, detail });
            self.effects.changed.push(tree);
        }
        if before != after {
            self.count(tree, forest, counted_before, counted_after);
        }
        if before.is_terminal() && after == StateName::Created {
            self.uncount(tree, counted_before, ended_at);
        }
        if after == StateName::Ready && before != StateName::Ready {
            self.readied.push(seq);
            self.effects.readied = true;
        }
        if after.is_terminal() && !before.is_terminal() {
            self.settled.push(seq);
            if after == StateName::Failed {
                self.failures.push(seq);
            }
        }
        Ok(())
    }

    /// Changes what only some tasks have, apart from what becomes of the task.
    pub(crate) fn set_facets(&mut self, seq: i64, change: impl FnOnce(&mut Facets)) {
        if let Some(entry) = self.tasks.get_mut(&seq) {
            let before = entry.task.facets();
            entry.task.set_facets(change);
            entry.touched |= entry.task.facets() != before;
        }
    }

    /// A pending task is about to be deleted: what was counted for it is counted no more.
    pub(crate) fn forget(&mut self, seq: i64) {
        if let Some(Entry { task, .. }) = self.tasks.remove(&seq) {
            self.count(task.tree, task.forest, task.state.name(), StateName::Created);
        }
    }

    fn count(&mut self, tree: Seq, forest: Seq, before: StateName, after: StateName) {
        let (was_open, is_open) = (is_open(before), is_open(after));
        if (before.is_live() != after.is_live() || was_open != is_open)
            && let Some((row, dirty)) = self.forests.get_mut(&forest.0)
        {
            row.live += i64::from(after.is_live()) - i64::from(before.is_live());
            row.open += i64::from(is_open) - i64::from(was_open);
            *dirty = true;
        }
        if (was_open != is_open || after.is_terminal())
            && let Some((row, dirty)) = self.trees.get_mut(&tree.0)
        {
            row.open += i64::from(is_open) - i64::from(was_open);
            *counter(row, before) -= 1;
            *counter(row, after) += 1;
            *dirty = true;
        }
    }

    /// A task that was set back is not one of those that failed in this run, if it ever was.
    fn uncount(&mut self, tree: Seq, before: StateName, ended_at: Option<Timestamp>) {
        if let Some((row, dirty)) = self.trees.get_mut(&tree.0)
            && ended_at.map(|at| at.0) >= row.started_at
        {
            let count = counter(row, before);
            *count = (*count - 1).max(0);
            *dirty = true;
        }
    }

    /// Remembers what an attempt ran with and what it returned, as JSON text.
    pub(crate) fn keep(&mut self, seq: i64, resolved: Option<String>, output: Option<String>) {
        let Some(entry) = self.tasks.get_mut(&seq) else { return };
        entry.resolved = resolved;
        match output {
            Some(text) if text.len() > INLINE_BYTES => {
                let mut rest = text.as_str();
                let mut part = 0;
                while !rest.is_empty() {
                    let mut end = rest.len().min(PART_BYTES);
                    while !rest.is_char_boundary(end) {
                        end -= 1;
                    }
                    let (head, tail) = rest.split_at(end);
                    self.parts.push((seq, part, head.to_owned()));
                    rest = tail;
                    part += 1;
                }
                entry.output_parts = Some(part);
            }
            inline => {
                entry.output_parts = inline.is_some().then_some(0);
                entry.output = inline;
            }
        }
    }

    /// Lets everything that follows from the applied events happen: dependents, failures of trees,
    /// ends of runs.
    pub(crate) async fn carry_through<R: Rows + ?Sized>(
        &mut self,
        rows: &mut R,
    ) -> Result<(), StoreError> {
        loop {
            // One that was passed over takes others along, whose dependents nobody asked for.
            let unknown = self.settle_dependents();
            if !unknown.is_empty() {
                let forests: BTreeSet<i64> = unknown.iter().map(|(_, forest)| *forest).collect();
                self.whole(rows, &forests.into_iter().collect::<Vec<_>>()).await?;
                self.settled.extend(unknown.into_iter().map(|(seq, _)| seq));
                continue;
            }
            if self.take_failures_along(rows).await? {
                continue;
            }
            if !self.end_runs(rows).await? {
                return Ok(());
            }
        }
    }

    /// Tells dependents; returns the tasks, with their submissions, whose dependents are not known here.
    fn settle_dependents(&mut self) -> Vec<(i64, i64)> {
        let mut unknown = Vec::new();
        while let Some(seq) = self.settled.pop() {
            let Some((state, tree)) = self.task(seq).map(|task| (task.state.clone(), task.tree.0))
            else {
                continue;
            };
            // What an earlier run left blocked waits for nobody: a new run begins it afresh.
            if !self.tree(tree).is_some_and(TreeRow::is_running) {
                continue;
            }
            let forest = self.task(seq).map_or(0, |task| task.forest.0);
            if is_passed_over(&state)
                && !self.edges.contains_key(&seq)
                && !self.loaded.contains(&forest)
            {
                unknown.push((seq, forest));
                continue;
            }
            for (dependent, kind) in self.edges.get(&seq).cloned().unwrap_or_default() {
                let Some(kind) = NeedKind::from_code(kind) else { continue };
                let blocked =
                    self.task(dependent).filter(|task| task.state.name() == StateName::Blocked);
                if let Some(join) = blocked.map(|task| task.join) {
                    // A blocked task takes this event whatever its counts are.
                    let _ = self.apply(dependent, plan::consequence(kind, &state, join));
                }
            }
        }
        unknown
    }

    /// Does what the trees of failed tasks say should happen then. True if anything moved.
    async fn take_failures_along<R: Rows + ?Sized>(
        &mut self,
        rows: &mut R,
    ) -> Result<bool, StoreError> {
        let mut moved = false;
        for seq in std::mem::take(&mut self.failures) {
            let Some((tree, forest)) = self.task(seq).map(|task| (task.tree.0, task.forest.0))
            else {
                continue;
            };
            let Some(row) = self.tree(tree) else { continue };
            let options = row.options().unwrap_or_else(|error| {
                // The failure has to be stored all the same.
                self.set_aside(error);
                TreeOptions::default()
            });
            let member = self.task(seq).is_some_and(Task::is_member);
            // What a failure inside a group means, the group says.
            let on_failure = if member { OnFailure::SkipDependents } else { options.on_failure };
            if on_failure == OnFailure::Continue {
                continue;
            }
            let graph = self.whole(rows, &[forest]).await?;
            let Some(origin) = graph.index(seq) else { continue };
            let name = name_of(&rows.authored(seq).await?.definition);
            for node in plan::cascade(&graph.nodes, &graph.edges, origin, Cause::Failed(on_failure))
            {
                let event = match on_failure {
                    OnFailure::FailFast => {
                        Event::CancelRequested { reason: plan::why_stopped(&name) }
                    }
                    _ if member => Event::Skipped { why: group::why_skipped(&name) },
                    _ => Event::Skipped { why: plan::why_skipped(&name) },
                };
                // The plan names only tasks that can take the event.
                moved |= self.apply(graph.seq(node), event).is_ok();
            }
            if member {
                moved |= self.fail_group_fast(rows, forest, origin).await?;
            }
        }
        Ok(moved)
    }

    /// Stops the other members if the group of a failed one cannot succeed any more and asked for it.
    /// True if anything moved.
    async fn fail_group_fast<R: Rows + ?Sized>(
        &mut self,
        rows: &mut R,
        forest: i64,
        origin: usize,
    ) -> Result<bool, StoreError> {
        let graph = self.whole(rows, &[forest]).await?;
        let Some(parent) = graph.nodes[origin].parent else { return Ok(false) };
        let authored = rows.authored(graph.seq(parent)).await?;
        // A group that cannot be read fails when it is claimed.
        let Ok(definition) = serde_json::from_str::<Definition>(&authored.definition) else {
            return Ok(false);
        };
        let Ok(policy) = group::Policy::read(&definition.params) else { return Ok(false) };
        if !group::is_fail_fast(&definition) {
            return Ok(false);
        }
        let ids: Vec<&str> =
            definition.dependencies.iter().map(|entry| entry.id.as_str()).collect();
        let found = rows.find(&ids).await?;
        let mut members = Vec::with_capacity(found.len());
        let mut open = Vec::new();
        for row in found {
            let Some(node) = graph.index(row.seq) else { continue };
            let Node { state, parent: under, .. } = graph.nodes[node];
            if under != Some(parent) {
                continue;
            }
            let entry = definition.dependencies.iter().find(|entry| entry.id.as_str() == row.id);
            let name = entry.map_or(row.id.as_str(), condition::name_of).to_owned();
            members.push(Member { name, id: TaskId::new(row.id), state, result: None });
            if !state.is_terminal() {
                open.push(node);
            }
        }
        if policy.can_be_met(&members) {
            return Ok(false);
        }
        let reason = group::why_stopped(&definition.name);
        let mut moved = false;
        for node in open {
            let along = plan::cascade(&graph.nodes, &graph.edges, node, Cause::Cancelled);
            for node in std::iter::once(node).chain(along) {
                let event = Event::CancelRequested { reason: reason.clone() };
                // What was taken along by another member has ended already.
                moved |= self.apply(graph.seq(node), event).is_ok();
            }
        }
        Ok(moved)
    }

    /// Ends runs of which nothing can move any more. True if tasks were set free instead.
    async fn end_runs<R: Rows + ?Sized>(&mut self, rows: &mut R) -> Result<bool, StoreError> {
        let still: Vec<i64> = self
            .forests
            .values()
            .filter(|(row, dirty)| *dirty && row.live == 0 && row.open > 0)
            .map(|(row, _)| row.seq)
            .collect();
        let mut stuck: Vec<i64> = Vec::new();
        for forest in still {
            let graph = self.whole(rows, &[forest]).await?;
            let free = plan::release(&graph.nodes, &graph.edges);
            if free.is_empty() {
                stuck.push(forest);
            }
            let mut moved = false;
            for node in free {
                moved |= self.apply(graph.seq(node), Event::Released).is_ok();
            }
            if moved {
                return Ok(true);
            }
        }
        let done: Vec<i64> = self
            .trees
            .values()
            .filter(|(row, dirty)| {
                row.is_running() && ((*dirty && row.open == 0) || stuck.contains(&row.forest))
            })
            .map(|(row, _)| row.seq)
            .collect();
        for tree in done {
            self.finish(tree);
        }
        Ok(false)
    }

    fn finish(&mut self, tree: i64) {
        let now = self.now;
        let Some(row) = self.tree_mut(tree) else { return };
        let outcome = if row.failed > 0 || row.open > 0 {
            Outcome::Failed
        } else if row.cancelled > 0 {
            Outcome::Cancelled
        } else {
            Outcome::Completed
        };
        row.outcome = Some(outcome.as_str().to_owned());
        row.finished_at = Some(now.0);
        row.deadline = None;
        self.events.push(NewEvent {
            tree,
            task: None,
            kind: EventKind::RunFinished.code(),
            attempt: 0,
            detail: Some(json!({ "outcome": outcome.as_str() }).to_string()),
        });
        self.effects.finished.push(Seq(tree));
        self.effects.changed.push(Seq(tree));
    }

    /// Begins a run of a tree whose tasks have been started: what failed before counts no more.
    pub(crate) fn begin_run(&mut self, tree: i64, deadline: Option<Timestamp>) {
        let now = self.now;
        let Some(row) = self.tree_mut(tree) else { return };
        row.run += 1;
        row.failed = 0;
        row.cancelled = 0;
        row.outcome = None;
        row.started_at = Some(now.0);
        row.finished_at = None;
        row.deadline = deadline.map(|at| at.0);
        let run = row.run;
        self.note_run_started(tree, run);
    }

    /// The event that says that a run began.
    pub(crate) fn note_run_started(&mut self, tree: i64, run: i64) {
        self.events.push(NewEvent {
            tree,
            task: None,
            kind: EventKind::RunStarted.code(),
            attempt: 0,
            detail: Some(json!({ "run": run }).to_string()),
        });
        self.effects.changed.push(Seq(tree));
    }

    /// Something about a task that is no change of its state.
    pub(crate) fn note(&mut self, tree: i64, task: i64, kind: EventKind, detail: &Value) {
        let (task, detail) = (Some(task), Some(detail.to_string()));
        self.events.push(NewEvent { tree, task, kind: kind.code(), attempt: 0, detail });
        self.effects.changed.push(Seq(tree));
    }

    /// Everything of some submissions, as the core's plans want it.
    pub(crate) async fn whole<R: Rows + ?Sized>(
        &mut self,
        rows: &mut R,
        forests: &[i64],
    ) -> Result<Graph, StoreError> {
        let (forest_rows, trees, tasks) = rows.forests(forests).await?;
        self.take_in_forests(forest_rows, trees, &tasks);
        self.loaded.extend(forests);
        Ok(self.graph(&tasks))
    }

    /// Tasks that were taken in, as the core's plans want them.
    pub(crate) fn graph(&self, tasks: &[ForestTask]) -> Graph {
        let mut graph = Graph::default();
        let mut trees: HashMap<i64, usize> = HashMap::new();
        for task in tasks {
            let Some(entry) = self.tasks.get(&task.hot.seq) else { continue };
            let next = trees.len();
            let tree = *trees.entry(task.hot.tree).or_insert(next);
            graph.at.insert(task.hot.seq, graph.nodes.len());
            graph.seqs.push(task.hot.seq);
            graph.nodes.push(Node {
                state: entry.task.state.name(),
                failed: failed_needs(&entry.task.state),
                tree,
                parent: None,
                join: entry.task.join,
                fixed: task.fixed,
                passed_over: is_passed_over(&entry.task.state),
            });
        }
        for task in tasks {
            let Some(to) = graph.index(task.hot.seq) else { continue };
            graph.nodes[to].parent = task.parent.and_then(|parent| graph.index(parent));
            for (need, kind) in &task.needs {
                if let (Some(from), Some(kind)) = (graph.index(*need), NeedKind::from_code(*kind)) {
                    graph.edges.push(Edge { from, to, kind });
                }
            }
        }
        graph
    }

    /// Brings a graph up to date with what happened since it was made.
    pub(crate) fn look_again(&self, graph: &mut Graph) {
        for (node, seq) in graph.nodes.iter_mut().zip(&graph.seqs) {
            if let Some(entry) = self.tasks.get(seq) {
                node.state = entry.task.state.name();
                node.failed = failed_needs(&entry.task.state);
                node.passed_over = is_passed_over(&entry.task.state);
            }
        }
    }

    /// What has to be written.
    pub(crate) fn save(&mut self) -> Save {
        let mut work: Vec<WorkChange> = self
            .tasks
            .values_mut()
            .filter_map(|entry| {
                if !std::mem::take(&mut entry.touched) {
                    return None;
                }
                let columns = StateColumns::of(&entry.task);
                Some(WorkChange {
                    seq: entry.task.seq.0,
                    state: entry.task.state.name().as_str(),
                    token: entry.task.token.0,
                    attempts: i64::from(entry.task.attempts),
                    waiting_for: columns.waiting_for,
                    failed_needs: columns.failed_needs,
                    wake_at: columns.wake_at,
                    worker: columns.worker,
                    detail: columns.detail,
                    error: columns.error,
                    progress: columns.progress,
                    resolved: entry.resolved.take(),
                    output: entry.output.take(),
                    output_parts: entry.output_parts.take(),
                    started_at: entry.task.started_at.map(|at| at.0),
                    completed_at: entry.task.completed_at.map(|at| at.0),
                    held: columns.held,
                    turn: entry.task.turn,
                    facets: columns.facets,
                    wipe: std::mem::take(&mut entry.wipe),
                })
            })
            .collect();
        work.sort_unstable_by_key(|change| change.seq);
        let dirty_trees = self
            .trees
            .values_mut()
            .filter_map(|(row, dirty)| std::mem::take(dirty).then(|| row.clone()))
            .collect();
        let dirty_forests = self
            .forests
            .values_mut()
            .filter_map(|(row, dirty)| std::mem::take(dirty).then_some(*row))
            .collect();
        Save {
            now: self.now,
            work,
            trees: dirty_trees,
            forests: dirty_forests,
            events: std::mem::take(&mut self.events),
            parts: std::mem::take(&mut self.parts),
        }
    }

    /// Writes what moved, notes rows that could not be read, and says what others want to hear.
    pub(crate) async fn finish_with<R: Rows + ?Sized>(
        mut self,
        rows: &mut R,
    ) -> Result<Effects, StoreError> {
        let save = self.save();
        if !save.is_empty() {
            rows.save(&save).await?;
        }
        if !self.past.is_empty() {
            rows.delete_checkpoints(&self.past).await?;
        }
        for error in &self.corrupt {
            tracing::error!(%error, "a row was set aside");
            if let StoreError::Corrupt { table, row, what } = error {
                rows.set_aside(table, row, what).await?;
            }
        }
        let mut effects = self.effects;
        effects.changed.sort_unstable();
        effects.changed.dedup();
        Ok(effects)
    }
}

/// A submission as the core's plans want it, and the way back to the rows.
#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    /// Row of each node.
    pub(crate) seqs: Vec<i64>,
    at: HashMap<i64, usize>,
}

impl Graph {
    /// The node of a row.
    pub(crate) fn index(&self, seq: i64) -> Option<usize> {
        self.at.get(&seq).copied()
    }

    /// The row of a node.
    pub(crate) fn seq(&self, node: usize) -> i64 {
        self.seqs[node]
    }
}

/// An attempt put something aside for the next one.
fn has_checkpoint(task: &Task) -> bool {
    task.facets.as_ref().is_some_and(|facets| facets.checkpoint)
}

/// The display name in a stored definition.
fn name_of(definition: &str) -> String {
    serde_json::from_str::<Definition>(definition)
        .map_or_else(|_| "a task".to_owned(), |definition| definition.name)
}

/// Required needs that ended without completing, where the task is blocked.
const fn failed_needs(state: &State) -> u32 {
    match state {
        State::Blocked { failed, .. } => *failed,
        _ => 0,
    }
}

const fn is_passed_over(state: &State) -> bool {
    matches!(state, State::Skipped { cause: SkipCause::Condition, .. })
}

const fn is_open(name: StateName) -> bool {
    !name.is_terminal() && !matches!(name, StateName::Created)
}

/// The counter a state is counted in; states that have none share one that nobody reads.
fn counter(row: &mut TreeRow, name: StateName) -> &mut i64 {
    match name {
        StateName::Completed => &mut row.completed,
        // What is skipped was kept from running by a failure, perhaps one in another tree.
        StateName::Failed | StateName::Skipped => &mut row.failed,
        StateName::Cancelled => &mut row.cancelled,
        _ => &mut row.uncounted,
    }
}

/// What an event may be called in the journal.
fn event_kind(event: &Event) -> Option<EventKind> {
    Some(match event {
        Event::Claimed { .. } => EventKind::Started,
        Event::Abandoned | Event::HandedBack { .. } => EventKind::Requeued,
        Event::TimePassed => EventKind::Requeued,
        Event::Reset => EventKind::Reset,
        Event::Parked { .. } | Event::TakenOver => EventKind::Parked,
        _ => return None,
    })
}

/// What a change is called in the journal, if it is worth a line.
fn kind_of_change(
    cause: Option<EventKind>,
    before: StateName,
    after: StateName,
) -> Option<EventKind> {
    match after {
        _ if before == after => None,
        StateName::Completed => Some(EventKind::Completed),
        StateName::Failed => Some(EventKind::Failed),
        StateName::Cancelled => Some(EventKind::Cancelled),
        StateName::Skipped => Some(EventKind::Skipped),
        StateName::Retrying => Some(EventKind::Retrying),
        StateName::Waiting => Some(EventKind::Parked),
        StateName::Running => Some(EventKind::Started),
        StateName::Created => cause,
        StateName::Ready if before == StateName::Running => cause,
        StateName::Ready | StateName::Blocked => None,
    }
}

fn detail_of(state: &State) -> Option<String> {
    let detail = match state {
        State::Running { worker, .. } => json!({ "worker": worker.as_str() }),
        State::Failed { failure } => json!({ "kind": failure.kind, "error": failure.message }),
        State::Cancelled { reason } => json!({ "error": reason }),
        State::Skipped { why, cause: SkipCause::Failure } => json!({ "error": why }),
        State::Skipped { why, cause } => json!({ "error": why, "cause": cause }),
        State::Retrying { at, .. } => json!({ "at": at }),
        State::Waiting { wait, .. } => serde_json::to_value(wait).unwrap_or(Value::Null),
        _ => return None,
    };
    Some(detail.to_string())
}
