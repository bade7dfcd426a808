//! Submissions that are on the move, kept in memory so that settling reads nothing.
//!
//! The file stays the truth: what is here was read from it or written to it, a transaction that fails
//! forgets all of it, and a restart begins with nothing. Only one process has the file, so nothing
//! here can grow old. Beyond [`MAX_TASKS`] tasks on the move it steps aside and everything is read
//! from the file.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use apflow_core::{
    store::NeedKind,
    task::{Definition, StateName},
};

use crate::{
    row::{ForestRow, HotRow, TreeRow},
    rows::{ClaimedRow, Insert, NeedRow, NewTaskRow, Opening, Save, WorkChange, definition},
    rows_effects::Joining,
};

/// At most so many tasks are kept: about 1 KiB each beside their definitions and results.
const MAX_TASKS: usize = 200_000;
/// Results longer than this are read from the file when they are needed.
const MAX_OUTPUT: usize = 64 << 10;

/// A task on the move.
pub(super) struct HotTask {
    pub(super) row: HotRow,
    pub(super) id: Arc<str>,
    pub(super) executor: Option<Arc<str>>,
    pub(super) needs: Vec<(i64, i64)>,
    pub(super) dependents: Vec<(i64, i64)>,
    pub(super) definition: Result<Arc<Definition>, String>,
    pub(super) output: Output,
}

/// The result of a task on the move.
pub(super) enum Output {
    None,
    Text(Arc<str>),
    /// Too large to be kept.
    InFile,
}

impl Output {
    pub(super) fn of(text: Option<String>, parts: i64) -> Self {
        match text {
            _ if parts > 0 => Self::InFile,
            Some(text) if text.len() > MAX_OUTPUT => Self::InFile,
            Some(text) => Self::Text(text.into()),
            None => Self::None,
        }
    }
}

struct HotForest {
    row: ForestRow,
    trees: Vec<i64>,
    tasks: Vec<i64>,
}

struct HotTree {
    row: TreeRow,
    id: Arc<str>,
    /// Which of its runs was a demonstration, if one was.
    demo_run: Option<i64>,
}

/// Where a task stands among those that may be claimed, if it does.
fn place(row: &HotRow) -> Option<(i64, i64, i64)> {
    let free = row.state == StateName::Ready.as_str() && row.held.is_none();
    free.then_some((row.priority, row.turn, row.seq))
}

/// What has to be read from the file before what is here is whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Nothing was read yet, or a transaction failed.
    Everything,
    /// These submissions were changed in the file behind what is here.
    Some(HashSet<i64>),
}

/// Submissions on the move.
pub(super) struct Hot {
    forests: HashMap<i64, HotForest>,
    trees: HashMap<i64, HotTree>,
    tasks: HashMap<i64, HotTask>,
    /// By urgency, turn and order of submission; without those that something holds back.
    ready: BTreeSet<(i64, i64, i64)>,
    wakes: BTreeSet<(i64, i64)>,
    deadlines: BTreeSet<(i64, i64)>,
    pub(super) unread: Unread,
    /// More was on the move than is kept; from now on the file is read.
    pub(super) overflown: bool,
    /// The last place in the order of submission, once it is known.
    pub(super) last_seq: Option<i64>,
}

/// The rows of a submission as they were read.
pub(super) struct ReadForest {
    pub(super) forests: Vec<ForestRow>,
    pub(super) trees: Vec<(TreeRow, String, Option<i64>)>,
    pub(super) tasks: Vec<HotTask>,
}

impl Default for Hot {
    fn default() -> Self {
        Self {
            forests: HashMap::new(),
            trees: HashMap::new(),
            tasks: HashMap::new(),
            ready: BTreeSet::new(),
            wakes: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            unread: Unread::Everything,
            overflown: false,
            last_seq: None,
        }
    }
}

impl Hot {
    /// Forgets everything: the transaction that changed it was undone.
    pub(super) fn forget(&mut self) {
        *self = Self { overflown: self.overflown, ..Self::default() };
    }

    /// Forgets one submission and has it read again, for it is changed in the file.
    pub(super) fn forget_forest(&mut self, forest: i64) {
        self.drop_forest(forest);
        if let Unread::Some(unread) = &mut self.unread {
            unread.insert(forest);
        }
    }

    /// Forgets the submissions of these tasks, for they are changed in the file.
    pub(super) fn touch(&mut self, seqs: &[i64]) {
        for seq in seqs {
            if let Some(forest) = self.tasks.get(seq).map(|task| task.row.forest) {
                self.forget_forest(forest);
            }
        }
    }

    /// What is here is whole: every task that can be claimed or settled is among it.
    pub(super) fn is_whole(&self) -> bool {
        !self.overflown && matches!(&self.unread, Unread::Some(unread) if unread.is_empty())
    }

    /// Everything about `settling` is here.
    pub(super) fn knows(&self, settling: &[i64]) -> bool {
        self.is_whole() && settling.iter().all(|seq| self.tasks.contains_key(seq))
    }

    /// Takes in submissions as they lie in the file.
    pub(super) fn take_in(&mut self, read: ReadForest) {
        for row in read.forests {
            let (trees, tasks) = (Vec::new(), Vec::new());
            self.forests.insert(row.seq, HotForest { row, trees, tasks });
        }
        for (row, id, demo_run) in read.trees {
            self.add_tree(row, id.into(), demo_run);
        }
        for task in read.tasks {
            self.add_task(task);
        }
        self.check_size();
    }

    fn check_size(&mut self) {
        if self.tasks.len() > MAX_TASKS {
            self.forget();
            self.overflown = true;
        }
    }

    fn add_tree(&mut self, row: TreeRow, id: Arc<str>, demo_run: Option<i64>) {
        let Some(forest) = self.forests.get_mut(&row.forest) else { return };
        forest.trees.push(row.seq);
        self.deadlines.extend(row.deadline.map(|at| (at, row.seq)));
        self.trees.insert(row.seq, HotTree { row, id, demo_run });
    }

    /// The runs these trees have begun are demonstrations.
    pub(super) fn mark_demo(&mut self, trees: &[i64]) {
        for seq in trees {
            if let Some(tree) = self.trees.get_mut(seq) {
                tree.demo_run = Some(tree.row.run);
            }
        }
    }

    fn add_task(&mut self, task: HotTask) {
        let Some(forest) = self.forests.get_mut(&task.row.forest) else { return };
        forest.tasks.push(task.row.seq);
        self.ready.extend(place(&task.row));
        self.wakes.extend(task.row.wake_at.map(|at| (at, task.row.seq)));
        self.tasks.insert(task.row.seq, task);
    }

    fn drop_forest(&mut self, forest: i64) {
        let Some(gone) = self.forests.remove(&forest) else { return };
        for seq in gone.tasks {
            if let Some(task) = self.tasks.remove(&seq) {
                if let Some(place) = place(&task.row) {
                    self.ready.remove(&place);
                }
                if let Some(at) = task.row.wake_at {
                    self.wakes.remove(&(at, seq));
                }
            }
        }
        for seq in gone.trees {
            if let Some(tree) = self.trees.remove(&seq)
                && let Some(at) = tree.row.deadline
            {
                self.deadlines.remove(&(at, seq));
            }
        }
    }

    /// What the start of a transaction reads, if all of it is here.
    pub(super) fn open(&self, settling: &[i64], ready: u32, opening: &mut Opening) {
        let mut seen: HashSet<i64> = HashSet::with_capacity(settling.len() * 2);
        for seq in settling {
            let Some(task) = self.tasks.get(seq) else { continue };
            if !task.dependents.is_empty() {
                opening.edges.push((*seq, task.dependents.clone()));
            }
            let dependents = task.dependents.iter().map(|(dependent, _)| dependent);
            for each in std::iter::once(seq).chain(dependents) {
                if seen.insert(*each)
                    && let Some(task) = self.tasks.get(each)
                {
                    opening.tasks.push(task.row.clone());
                }
            }
            let (tree, forest) = (task.row.tree, task.row.forest);
            if !opening.trees.iter().any(|row| row.seq == tree) {
                opening.trees.extend(self.trees.get(&tree).map(|tree| tree.row.clone()));
            }
            if !opening.forests.iter().any(|row| row.seq == forest) {
                opening.forests.extend(self.forests.get(&forest).map(|forest| forest.row));
            }
        }
        let wanted = usize::try_from(ready).unwrap_or(usize::MAX);
        opening.ready = self
            .ready
            .iter()
            .take(wanted)
            .filter_map(|(.., seq)| self.tasks.get(seq).map(|task| task.row.clone()))
            .collect();
        let first = |set: &BTreeSet<(i64, i64)>| set.first().map(|(at, _)| *at);
        opening.next_wake = first(&self.wakes).into_iter().chain(first(&self.deadlines)).min();
    }

    /// What a worker has to know of these tasks, unless a result must be read from the file.
    pub(super) fn claimed(&self, seqs: &[i64]) -> Option<(Vec<ClaimedRow>, Vec<NeedRow>)> {
        let mut claimed = Vec::with_capacity(seqs.len());
        let mut needs = Vec::new();
        for seq in seqs {
            let task = self.tasks.get(seq)?;
            let tree = self.trees.get(&task.row.tree)?;
            claimed.push(ClaimedRow {
                seq: *seq,
                id: task.id.as_ref().to_owned(),
                tree_id: tree.id.as_ref().to_owned(),
                deadline: tree.row.deadline,
                run: tree.row.run,
                demo: tree.demo_run == Some(tree.row.run),
                definition: task.definition.clone(),
            });
            for (need, kind) in &task.needs {
                if *kind == NeedKind::Structure.code() {
                    continue;
                }
                let need = self.tasks.get(need)?;
                needs.push(NeedRow {
                    task: *seq,
                    need: need.row.seq,
                    id: need.id.as_ref().to_owned(),
                    executor: need.executor.as_deref().map(str::to_owned),
                    state: need.row.state.clone(),
                    output: match &need.output {
                        Output::None => None,
                        Output::Text(text) => Some(text.as_ref().to_owned()),
                        Output::InFile => return None,
                    },
                });
            }
        }
        Some((claimed, needs))
    }

    /// Follows what is written to the file.
    pub(super) fn save(&mut self, save: &Save) {
        for change in &save.work {
            self.change(change);
        }
        for row in &save.trees {
            if let Some(tree) = self.trees.get_mut(&row.seq) {
                if let Some(at) = tree.row.deadline {
                    self.deadlines.remove(&(at, row.seq));
                }
                self.deadlines.extend(row.deadline.map(|at| (at, row.seq)));
                tree.row = row.clone();
            }
        }
        for row in &save.forests {
            if let Some(forest) = self.forests.get_mut(&row.seq) {
                forest.row = *row;
                if row.live == 0 {
                    self.drop_forest(row.seq);
                }
            } else if row.live > 0 {
                // It begins to move again; all of it is read before the next transaction.
                self.forget_forest(row.seq);
            }
        }
    }

    fn change(&mut self, change: &WorkChange) {
        let Some(task) = self.tasks.get_mut(&change.seq) else { return };
        let row = &mut task.row;
        let was = place(row);
        if row.wake_at != change.wake_at {
            if let Some(at) = row.wake_at {
                self.wakes.remove(&(at, row.seq));
            }
            self.wakes.extend(change.wake_at.map(|at| (at, row.seq)));
        }
        change.state.clone_into(&mut row.state);
        row.token = change.token;
        row.attempts = change.attempts;
        row.waiting_for = change.waiting_for;
        row.failed_needs = change.failed_needs;
        row.wake_at = change.wake_at;
        if change.worker.is_some() {
            row.worker.clone_from(&change.worker);
        }
        row.detail.clone_from(&change.detail);
        row.error.clone_from(&change.error);
        row.started_at = change.started_at;
        row.completed_at = change.completed_at;
        row.held.clone_from(&change.held);
        row.turn = change.turn;
        row.facets.clone_from(&change.facets);
        let is = place(row);
        if was != is {
            if let Some(was) = was {
                self.ready.remove(&was);
            }
            self.ready.extend(is);
        }
        if change.wipe {
            task.output = Output::None;
        }
        if let Some(parts) = change.output_parts {
            task.output = Output::of(change.output.clone(), parts);
        }
    }

    /// Follows a renewal.
    pub(super) fn renew(&mut self, held: &[i64], until: i64) {
        for seq in held {
            if let Some(task) = self.tasks.get_mut(seq) {
                if let Some(at) = task.row.wake_at.replace(until) {
                    self.wakes.remove(&(at, *seq));
                }
                self.wakes.insert((until, *seq));
            }
        }
    }

    /// Where these tasks stand, if all of them are here.
    pub(super) fn rows_of(&self, seqs: &[i64]) -> Option<Vec<HotRow>> {
        seqs.iter().map(|seq| self.tasks.get(seq).map(|task| task.row.clone())).collect()
    }

    /// Follows tasks that join submissions on the move.
    pub(super) fn join(&mut self, joining: &Joining) {
        for row in &joining.insert.tasks {
            self.add_new(row);
        }
        for (seq, needs) in &joining.needs {
            if let Some(task) = self.tasks.get_mut(seq) {
                task.needs.extend(needs);
            }
        }
        for (tree, more) in &joining.grown {
            if let Some(tree) = self.trees.get_mut(tree) {
                tree.row.total += more;
            }
        }
        self.check_size();
    }

    /// Follows new submissions: those that start at once are on the move.
    pub(super) fn insert(&mut self, insert: &Insert) {
        if self.overflown || self.unread == Unread::Everything {
            return;
        }
        let moving: HashSet<i64> =
            insert.forests.iter().filter(|row| row.live > 0).map(|row| row.seq).collect();
        for row in insert.forests.iter().filter(|row| moving.contains(&row.seq)) {
            let (trees, tasks) = (Vec::new(), Vec::new());
            self.forests.insert(row.seq, HotForest { row: *row, trees, tasks });
        }
        for row in insert.trees.iter().filter(|row| moving.contains(&row.forest)) {
            let tree = TreeRow {
                seq: row.seq,
                forest: row.forest,
                run: row.run,
                options: row.options.clone(),
                total: row.total,
                open: row.open,
                completed: 0,
                failed: 0,
                cancelled: 0,
                uncounted: 0,
                outcome: None,
                deadline: row.deadline,
                started_at: row.started_at,
                finished_at: None,
                paused: false,
                awaited: false,
            };
            self.add_tree(tree, row.id.as_str().into(), None);
        }
        for row in insert.tasks.iter().filter(|row| moving.contains(&row.forest)) {
            self.add_new(row);
        }
        self.check_size();
    }

    fn add_new(&mut self, row: &NewTaskRow) {
        self.add_task(HotTask {
            row: HotRow {
                seq: row.seq,
                tree: row.tree,
                forest: row.forest,
                state: row.state.to_owned(),
                priority: row.priority,
                join_any: row.join_any,
                token: row.token,
                attempts: 0,
                max_attempts: row.max_attempts,
                waiting_for: row.waiting_for,
                failed_needs: 0,
                wake_at: None,
                worker: None,
                detail: None,
                error: None,
                started_at: None,
                completed_at: None,
                held: None,
                turn: row.turn,
                facets: row.facets.clone(),
            },
            id: row.id.as_str().into(),
            executor: row.executor.as_deref().map(Into::into),
            needs: super::rows::edges(row.needs.as_deref()),
            dependents: super::rows::edges(row.dependents.as_deref()),
            definition: definition(&row.definition),
            output: Output::None,
        });
    }
}
