//! The working set of one transaction: rows that were read, the changes that the core decided, and the
//! counters that follow from them.

mod parked;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use apflow_core::{
    budget::Usage,
    condition,
    flow::{Flow, Line},
    group::{self, Member},
    id::{Seq, TaskId},
    plan::{self, Cause, Edge, Node},
    store::{EventKind, NeedKind, StoreError},
    task::{
        Definition, Facets, Held, LastProgress, OnFailure, Outcome, SkipCause, State, StateName,
        Task, TreeOptions,
    },
    time::Timestamp,
    transition::{Event, Refused},
};
use serde_json::{Value, json};

use super::{
    budget::Books,
    flow::{self, Desk},
    history::History,
};
use crate::{
    row::{ForestRow, HotRow, StateColumns, TreeRow},
    rows::{ForestTask, NewEvent, Opening, Rows, Save, WorkChange},
};

pub(crate) use parked::Closing;

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
    /// What is remembered of attempts that ended without a result.
    pub(crate) history: History,
    /// Lines that somebody has left and that are to be looked at.
    lines: BTreeSet<Line>,
    /// What is known of slots, paces and breakers.
    pub(super) desk: Desk,
    /// Submissions whose channels begin anew.
    pub(crate) emptied: Vec<i64>,
    parked: parked::Parked,
    books: Books,
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
            history: History::default(),
            lines: BTreeSet::new(),
            desk: Desk::default(),
            emptied: Vec::new(),
            parked: parked::Parked::default(),
            books: Books::default(),
        }
    }

    /// Every key that decisions about the tasks of this transaction look at.
    pub(super) fn flow_keys(&self) -> BTreeSet<String> {
        let flows = self.tasks.values().filter_map(|entry| entry.task.flow());
        flows.flat_map(Flow::keys).map(str::to_owned).collect()
    }

    /// Takes in rows that were read later.
    pub(super) fn take_more(&mut self, rows: &[HotRow]) {
        for row in rows {
            self.take_task(row);
        }
    }

    /// A line has to be looked at before the transaction ends.
    pub(super) fn look_at(&mut self, line: Line) {
        self.lines.insert(line);
    }

    /// The lines to look at, once.
    pub(super) fn take_lines(&mut self) -> BTreeSet<Line> {
        std::mem::take(&mut self.lines)
    }

    /// Changes the lines a task stands in.
    pub(super) fn set_flow(&mut self, seq: i64, change: impl FnOnce(&mut Flow)) {
        if let Some(entry) = self.tasks.get_mut(&seq) {
            entry.task.set_flow(change);
            entry.touched = true;
        }
    }

    /// A task stands in the lines that its definition names now, and no others.
    pub(super) fn follow(&mut self, seq: i64, definition: &Definition) {
        let Some(entry) = self.tasks.get_mut(&seq) else { return };
        self.lines.extend(lines(&entry.task));
        let new = Flow::of(&definition.flow, definition.user_id.as_deref()).unwrap_or_default();
        entry.task.set_flow(|flow| {
            flow.slots = new.slots;
            flow.paces = new.paces;
        });
        entry.touched = true;
        // It is looked at afresh when it is claimed.
        let _ = self.apply(seq, Event::Freed);
    }

    /// Writes what moved so far; the transaction goes on.
    pub(super) async fn flush<R: Rows + ?Sized>(&mut self, rows: &mut R) -> Result<(), StoreError> {
        let save = self.save();
        if save.is_empty() { Ok(()) } else { rows.save(&save).await }
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

    /// Takes in a task that comes into being in this transaction.
    pub(crate) fn join(&mut self, task: Task, dependents: Vec<(i64, i64)>) {
        let (seq, tree, forest) = (task.seq.0, task.tree, task.forest);
        let state = task.state.name();
        if let Some(row) = self.tree_mut(tree.0) {
            row.total += 1;
        }
        self.count(tree, forest, StateName::Created, state);
        if state == StateName::Ready {
            self.readied.push(seq);
            self.effects.readied = true;
        }
        self.edges.insert(seq, dependents);
        let entry = Entry {
            task,
            touched: false,
            wipe: false,
            resolved: None,
            output: None,
            output_parts: None,
        };
        self.tasks.insert(seq, entry);
    }

    /// Reads where these tasks stand unless that is known.
    pub(crate) async fn know<R: Rows + ?Sized>(
        &mut self,
        rows: &mut R,
        seqs: impl IntoIterator<Item = i64>,
    ) -> Result<(), StoreError> {
        let unknown: Vec<i64> =
            seqs.into_iter().filter(|seq| !self.tasks.contains_key(seq)).collect();
        if !unknown.is_empty() {
            for row in rows.work_of(&unknown).await? {
                self.take_task(&row);
            }
        }
        Ok(())
    }

    /// Who waits for a task, as `(task, kind)`.
    pub(crate) fn dependents(&self, seq: i64) -> &[(i64, i64)] {
        self.edges.get(&seq).map_or(&[], Vec::as_slice)
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

    /// Tasks were set free that this transaction does not take.
    pub(crate) fn something_is_free(&mut self) {
        self.effects.readied = true;
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
        let wipe = matches!(
            event,
            Event::Started { .. } | Event::GoesOn { .. } | Event::Reset | Event::Withdrawn
        );
        let held = matches!(entry.task.state, State::Running { .. });
        let reported = matches!(
            event,
            Event::Succeeded { .. }
                | Event::Stumbled { .. }
                | Event::Parked { .. }
                | Event::HandedBack { .. }
        );
        let before = entry.task.state.name();
        let was_free = entry.task.may_be_claimed();
        let stood = lines(&entry.task);
        let waited = parked::kept(&entry.task.state).cloned();
        let cause = parked::Cause::of(&event);
        let counted_before = plan::counted_as(&entry.task);
        let ended_at = entry.task.completed_at;
        let went_on = has_checkpoint(&entry.task);
        let remembered = History::look(&entry.task, &event, now);
        entry.task.on(event, now)?;
        if !stood.is_empty() {
            let stands = lines(&entry.task);
            self.lines.extend(stood.into_iter().filter(|line| !stands.contains(line)));
        }
        let tree_row = self.trees.get(&entry.task.tree.0).map(|(row, _)| row);
        if entry.task.may_be_claimed() && tree_row.is_some_and(|row| row.paused) {
            // What is ready can be held.
            let _ = entry.task.on(Event::Held { held: Held::paused_tree() }, now);
        }
        if waited.is_some() || parked::kept(&entry.task.state).is_some() {
            let run = tree_row.map_or(0, |row| row.run);
            self.parked.follow(&entry.task, waited, cause, run);
        }
        let is_free = entry.task.may_be_claimed();
        entry.touched = true;
        entry.wipe |= wipe;
        if went_on && !has_checkpoint(&entry.task) {
            self.past.push(seq);
        }
        let after = entry.task.state.name();
        let counted_after = plan::counted_as(&entry.task);
        let attempt = entry.task.attempts;
        let (tree, forest) = (entry.task.tree, entry.task.forest);
        let run = self.trees.get(&tree.0).map_or(0, |(row, _)| row.run);
        self.history.note(remembered, before.is_terminal(), &entry.task, run);
        if held && after != StateName::Running && has_reserved(&entry.task) {
            entry.task.set_facets(|facets| facets.reserved = false);
            self.books.release(seq);
        }
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
        if is_free && !was_free {
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

    /// What an attempt said of its progress goes to the next one, if there is one.
    pub(crate) fn remember_progress(&mut self, seq: i64, progress: &LastProgress) {
        if let Some(entry) = self.tasks.get_mut(&seq)
            && matches!(entry.task.state, State::Retrying { .. })
        {
            entry.task.set_facets(|facets| facets.progress = Some(progress.clone()));
        }
    }

    /// The author says something else about times.
    pub(crate) fn bind(&mut self, seq: i64, definition: &Definition) {
        if let Some(entry) = self.tasks.get_mut(&seq) {
            let before = entry.task.facets.clone();
            entry.task.bind(definition);
            entry.touched |= entry.task.facets != before;
        }
    }

    /// What has to be put right about spending.
    pub(crate) fn books(&mut self) -> &mut Books {
        &mut self.books
    }

    /// Notes what the attempt that has just ended spent.
    pub(crate) fn charge(&mut self, seq: i64, attempt: u32, usage: &[Usage]) {
        for each in usage {
            self.set_facets(seq, |facets| facets.spent.add(each));
            self.books.charge(seq, attempt, each);
        }
    }

    /// A pending task is about to be deleted: what was counted for it is counted no more.
    pub(crate) fn forget(&mut self, seq: i64) {
        if let Some(Entry { task, .. }) = self.tasks.remove(&seq) {
            self.lines.extend(lines(&task));
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
            let left = counter(row, before);
            // What failed in an earlier run and is reached in this one was not counted in this one.
            *left = if before.is_terminal() { (*left - 1).max(0) } else { *left - 1 };
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

    /// Ends a task without it having gone wrong: the run does not fail or count as cancelled for it.
    pub(super) fn set_aside_in_peace(&mut self, seq: i64, event: Event) -> bool {
        if self.apply(seq, event).is_err() {
            return false;
        }
        if let Some((state, tree)) = self.task(seq).map(|task| (plan::counted_as(task), task.tree))
        {
            let now = self.now;
            self.uncount(tree, state, Some(now));
            self.set_facets(seq, |facets| facets.passed_by = true);
        }
        true
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
            if !self.end_runs(rows).await? && !self.tell_who_waits(rows).await? {
                return Ok(());
            }
        }
    }

    /// Takes a task out of those whose dependents are still to be told.
    pub(super) fn tells_nobody(&mut self, seq: i64) {
        self.settled.retain(|settled| *settled != seq);
    }

    /// Tells dependents as far as they are known; the rest is told when everything is carried through.
    pub(super) fn tell_dependents(&mut self) {
        let unknown = self.settle_dependents();
        self.settled.extend(unknown.into_iter().map(|(seq, _)| seq));
    }

    /// Tells dependents; returns the tasks, with their submissions, whose dependents are not known here.
    fn settle_dependents(&mut self) -> Vec<(i64, i64)> {
        let mut unknown = Vec::new();
        while let Some(seq) = self.settled.pop() {
            let Some((state, tree)) = self.task(seq).map(|task| (task.state.clone(), task.tree.0))
            else {
                continue;
            };
            if !state.is_terminal() {
                // A jump has set it back meanwhile.
                continue;
            }
            let away = self
                .task(seq)
                .and_then(|task| task.facets.as_deref())
                .is_some_and(|facets| facets.jumped);
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
                if away && state == State::Completed && kind != NeedKind::Structure {
                    // It went on elsewhere; who needs it does not.
                    continue;
                }
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
            if super::jump::skip_unreached(self, &graph) {
                return Ok(true);
            }
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

    /// The event that says that a run ended.
    pub(crate) fn note_run_finished(&mut self, tree: i64, outcome: Outcome) {
        self.events.push(NewEvent {
            tree,
            task: None,
            kind: EventKind::RunFinished.code(),
            attempt: 0,
            detail: Some(json!({ "outcome": outcome.as_str() }).to_string()),
        });
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
        self.note_run_finished(tree, outcome);
        self.effects.finished.push(Seq(tree));
        self.effects.changed.push(Seq(tree));
        self.note_end_of_run(tree);
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

    /// Removes checkpoints that nobody goes on from any more.
    pub(crate) async fn forget_checkpoints<R: Rows + ?Sized>(
        &mut self,
        rows: &mut R,
    ) -> Result<(), StoreError> {
        let past = std::mem::take(&mut self.past);
        if past.is_empty() { Ok(()) } else { rows.delete_checkpoints(&past).await }
    }

    /// Takes in a task that is stored in this transaction and stands somewhere already.
    pub(crate) fn adopt(&mut self, task: Task, resolved: Option<String>, output: Option<String>) {
        let seq = task.seq.0;
        let entry = Entry {
            task,
            touched: true,
            wipe: false,
            resolved: None,
            output: None,
            output_parts: None,
        };
        self.tasks.insert(seq, entry);
        self.keep(seq, resolved, output);
    }

    /// The event that says how a task ended, if it has.
    pub(crate) fn note_end(&mut self, task: &Task) {
        let name = task.state.name();
        let Some(kind) =
            kind_of_change(None, StateName::Created, name).filter(|_| name.is_terminal())
        else {
            return;
        };
        self.events.push(NewEvent {
            tree: task.tree.0,
            task: Some(task.seq.0),
            kind: kind.code(),
            attempt: task.attempts,
            detail: detail_of(&task.state),
        });
    }

    /// Takes in a tree that is stored in this transaction, its counters as they are to be.
    pub(crate) fn adopt_tree(&mut self, row: TreeRow) {
        self.effects.changed.push(Seq(row.seq));
        self.trees.insert(row.seq, (row, true));
    }

    /// Takes in a submission that is stored in this transaction, its counters as they are to be.
    pub(crate) fn adopt_forest(&mut self, row: ForestRow) {
        self.forests.insert(row.seq, (row, true));
    }

    /// Every task stands where it is to stand: what ended has no further consequences, and what trees
    /// count is what their tasks say.
    pub(crate) fn nothing_follows(&mut self, trees: &[i64]) {
        self.settled.clear();
        self.failures.clear();
        for tree in trees {
            let Some((row, dirty)) = self.trees.get_mut(tree) else { continue };
            (row.open, row.completed, row.failed, row.cancelled) = (0, 0, 0, 0);
            for entry in self.tasks.values().filter(|entry| entry.task.tree.0 == *tree) {
                let name = entry.task.state.name();
                row.open += i64::from(is_open(name));
                *counter(row, name) += i64::from(name.is_terminal());
            }
            *dirty = true;
        }
    }

    /// Writes what moved, notes rows that could not be read, and says what others want to hear.
    pub(crate) async fn finish_with<R: Rows + ?Sized>(
        mut self,
        rows: &mut R,
    ) -> Result<Effects, StoreError> {
        let freed = super::budget::balance(rows, &mut self).await?;
        self.effects.readied |= freed;
        flow::look(rows, &mut self, false).await?;
        self.flush(rows).await?;
        self.forget_checkpoints(rows).await?;
        if !self.emptied.is_empty() {
            rows.empty_channels(&self.emptied).await?;
        }
        self.write_waits(rows).await?;
        for error in &self.corrupt {
            tracing::error!(%error, "a row was set aside");
            if let StoreError::Corrupt { table, row, what } = error {
                rows.set_aside(table, row, what).await?;
            }
        }
        self.history.write(rows, self.now).await?;
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

/// Whether something is put aside for the attempt of a task.
fn has_reserved(task: &Task) -> bool {
    task.facets.as_ref().is_some_and(|facets| facets.reserved)
}

/// The display name in a stored definition.
fn name_of(definition: &str) -> String {
    serde_json::from_str::<Definition>(definition)
        .map_or_else(|_| "a task".to_owned(), |definition| definition.name)
}

/// The lines a task counts in now.
fn lines(task: &Task) -> Vec<Line> {
    task.flow().map_or_else(Vec::new, |flow| flow.present(task.standing()))
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
        Event::Reset | Event::Withdrawn | Event::Reached { .. } | Event::SetBack { .. } => {
            EventKind::Reset
        }
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
        StateName::Ready if before == StateName::Waiting => Some(EventKind::Answered),
        StateName::Ready | StateName::Blocked
            if before == StateName::Running || before.is_terminal() =>
        {
            cause.filter(|kind| *kind == EventKind::Reset || before == StateName::Running)
        }
        StateName::Ready | StateName::Blocked => None,
    }
}

/// What a state says in place of a result.
pub(super) fn error_of(state: &State) -> Option<String> {
    match state {
        State::Failed { failure } => Some(failure.message.clone()),
        State::Cancelled { reason } => Some(reason.clone()),
        State::Skipped { why, .. } => Some(why.clone()),
        _ => None,
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
