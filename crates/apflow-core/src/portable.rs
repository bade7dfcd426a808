//! A submission as a document: for snapshots, and for the way from one database to another.
//!
//! Nothing in it names a row, a worker or a lease, so it can be read anywhere. What was on the move
//! when it was written is ready again where it is read: an attempt begins from its beginning, or from
//! its checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    id::{TaskId, TreeId},
    store::NeedKind,
    task::{
        Definition, Facets, Failure, Outcome, SkipCause, State, StateName, Task, TreeOptions,
        WaitFor,
    },
    time::Timestamp,
};

/// The version of these documents; another one is refused.
pub const SCHEMA_VERSION: &str = "1.0";

/// The longest id.
const MAX_ID_CHARS: usize = 255;

/// A whole submission.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portable {
    /// Its trees.
    pub trees: Vec<PortableTree>,
    /// Its tasks, in order of submission.
    pub tasks: Vec<PortableTask>,
    /// What else belongs to it, by name; who does not know a name leaves it alone.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parts: Map<String, Value>,
}

/// A tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortableTree {
    /// Its id.
    pub id: TreeId,
    /// Its root.
    pub root: TaskId,
    /// Owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// What holds for the whole tree.
    #[serde(default)]
    pub options: TreeOptions,
    /// Which run of the tree its tasks stand in; 0 if it never ran.
    #[serde(default)]
    pub run: u32,
    /// How that run ended; none while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When it was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

impl PortableTree {
    /// A run of it goes on.
    pub fn is_running(&self) -> bool {
        self.run > 0 && self.finished_at.is_none()
    }
}

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortableTask {
    /// Its id.
    pub id: TaskId,
    /// Its tree.
    pub tree: TreeId,
    /// The task it hangs under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// What its author said.
    pub definition: Definition,
    /// What comes before it, in the author's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<PortableNeed>,
    /// Where it stood.
    #[serde(default)]
    pub stood: Stood,
    /// Attempts that had begun and ended.
    #[serde(default)]
    pub attempts: u32,
    /// The inputs it ran with, where they differ from the caller's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Value>,
    /// What it returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// What only some tasks have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facets: Option<Facets>,
    /// What its last attempt put aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<PortableCheckpoint>,
    /// It answers with the result of this other task, and does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<TaskId>,
    /// When it was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When the first attempt of its run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
}

/// What comes before a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortableNeed {
    /// The task that comes first.
    pub on: TaskId,
    /// What it must do.
    pub kind: NeedWord,
}

/// What a need must do, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeedWord {
    /// See [`NeedKind::Required`].
    Required,
    /// See [`NeedKind::Optional`].
    Optional,
    /// See [`NeedKind::Structure`].
    Structure,
}

impl From<NeedKind> for NeedWord {
    fn from(kind: NeedKind) -> Self {
        match kind {
            NeedKind::Required => Self::Required,
            NeedKind::Optional => Self::Optional,
            NeedKind::Structure => Self::Structure,
        }
    }
}

impl From<NeedWord> for NeedKind {
    fn from(word: NeedWord) -> Self {
        match word {
            NeedWord::Required => Self::Required,
            NeedWord::Optional => Self::Optional,
            NeedWord::Structure => Self::Structure,
        }
    }
}

/// What an attempt put aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortableCheckpoint {
    /// The attempt that wrote it.
    pub attempt: u32,
    /// What it had just done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What the next attempt is handed.
    pub value: Value,
}

/// Where a task stood, without whoever held it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Stood {
    /// Not asked to run.
    #[default]
    Created,
    /// Waiting for other tasks.
    Blocked,
    /// It could begin, or had begun and had not ended.
    Ready,
    /// Ended with a result.
    Completed,
    /// Ended without one.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Ended without having been tried.
    Skipped {
        /// Why.
        why: String,
        /// What sort of reason it was.
        #[serde(default)]
        cause: SkipCause,
    },
    /// Ended because somebody asked.
    Cancelled {
        /// What they said.
        reason: String,
    },
}

impl Stood {
    /// Where a task stands, and how many of its attempts have ended.
    pub fn of(task: &Task) -> (Self, u32) {
        let begun = task.attempts;
        match &task.state {
            State::Created => (Self::Created, begun),
            State::Blocked { .. } => (Self::Blocked, begun),
            State::Ready | State::Retrying { .. } => (Self::Ready, begun),
            // The attempt begins again; it is not charged twice.
            State::Running { .. } => (Self::Ready, begun.saturating_sub(1)),
            State::Waiting { wait, .. } if wait.what == WaitFor::Report => (Self::Created, begun),
            State::Waiting { .. } => (Self::Ready, begun.saturating_sub(1)),
            State::Completed => (Self::Completed, begun),
            State::Failed { failure } => (Self::Failed { failure: failure.clone() }, begun),
            State::Skipped { why, cause } => {
                (Self::Skipped { why: why.clone(), cause: *cause }, begun)
            }
            State::Cancelled { reason } => (Self::Cancelled { reason: reason.clone() }, begun),
        }
    }

    /// The word for it.
    pub const fn name(&self) -> StateName {
        match self {
            Self::Created => StateName::Created,
            Self::Blocked => StateName::Blocked,
            Self::Ready => StateName::Ready,
            Self::Completed => StateName::Completed,
            Self::Failed { .. } => StateName::Failed,
            Self::Skipped { .. } => StateName::Skipped,
            Self::Cancelled { .. } => StateName::Cancelled,
        }
    }
}

impl Portable {
    /// How many needs of each task have not settled, and how many ended in vain, in the order of tasks.
    ///
    /// A task that is not part of the run counts as settled, as it does when a run begins.
    pub fn counts(&self) -> Vec<(u32, u32)> {
        let names: BTreeMap<&TaskId, StateName> =
            self.tasks.iter().map(|task| (&task.id, task.stood.name())).collect();
        let count = |task: &PortableTask| {
            let mut counts = (0, 0);
            for need in &task.needs {
                let Some(name) = names.get(&need.on) else { continue };
                if name.is_terminal() {
                    let in_vain = need.kind == NeedWord::Required && *name != StateName::Completed;
                    counts.1 += u32::from(in_vain);
                } else if *name != StateName::Created {
                    counts.0 += 1;
                }
            }
            counts
        };
        self.tasks.iter().map(count).collect()
    }

    /// Why this is no submission, if it is none: the first thing that does not fit.
    pub fn problem(&self) -> Option<String> {
        if self.trees.is_empty() || self.tasks.is_empty() {
            return Some("it has no trees or no tasks".to_owned());
        }
        let mut trees: BTreeMap<&TreeId, &TaskId> = BTreeMap::new();
        for tree in &self.trees {
            if let Some(why) = bad_id(tree.id.as_str()) {
                return Some(format!("the id of a tree {why}"));
            }
            if trees.insert(&tree.id, &tree.root).is_some() {
                return Some(format!("the tree `{}` is there twice", tree.id));
            }
        }
        let mut tasks: BTreeMap<&TaskId, &TreeId> = BTreeMap::new();
        for task in &self.tasks {
            if let Some(why) = bad_id(task.id.as_str()) {
                return Some(format!("the id of a task {why}"));
            }
            if !trees.contains_key(&task.tree) {
                return Some(format!(
                    "task `{}` is of the tree `{}`, which is not there",
                    task.id, task.tree
                ));
            }
            if tasks.insert(&task.id, &task.tree).is_some() {
                return Some(format!("the task `{}` is there twice", task.id));
            }
        }
        for tree in &self.trees {
            if tasks.get(&tree.root).copied() != Some(&tree.id) {
                return Some(format!(
                    "the root `{}` of tree `{}` is not in it",
                    tree.root, tree.id
                ));
            }
        }
        let mut before: BTreeSet<&TaskId> = BTreeSet::new();
        for task in &self.tasks {
            if let Some(why) = self.problem_of(task, &trees, &tasks, &before) {
                return Some(format!("task `{}`: {why}", task.id));
            }
            before.insert(&task.id);
        }
        None
    }

    fn problem_of(
        &self,
        task: &PortableTask,
        trees: &BTreeMap<&TreeId, &TaskId>,
        tasks: &BTreeMap<&TaskId, &TreeId>,
        before: &BTreeSet<&TaskId>,
    ) -> Option<String> {
        let is_root = trees.get(&task.tree).copied() == Some(&task.id);
        match &task.parent {
            None if !is_root => return Some("it has no parent and is no root".to_owned()),
            Some(parent) if is_root => {
                return Some(format!("it is a root and hangs under `{parent}`"));
            }
            Some(parent) if tasks.get(parent).copied() != Some(&task.tree) => {
                return Some(format!("its parent `{parent}` is not in its tree"));
            }
            // The row of a tree is that of its root, so parents come first.
            Some(parent) if !before.contains(parent) => {
                return Some(format!("its parent `{parent}` comes after it"));
            }
            _ => {}
        }
        let unknown = task.needs.iter().find(|need| !tasks.contains_key(&need.on));
        if let Some(need) = unknown {
            return Some(format!("it needs `{}`, which is not there", need.on));
        }
        let runs = self.trees.iter().any(|tree| tree.id == task.tree && tree.run > 0);
        if !runs && matches!(task.stood, Stood::Blocked | Stood::Ready) {
            return Some("it waits to run in a tree that never ran".to_owned());
        }
        if let Stood::Failed { failure } = &task.stood
            && failure.message.trim().is_empty()
        {
            return Some("it failed and does not say why".to_owned());
        }
        None
    }
}

fn bad_id(id: &str) -> Option<&'static str> {
    if id.is_empty() {
        return Some("is empty");
    }
    (id.chars().count() > MAX_ID_CHARS).then_some("is longer than 255 characters")
}

/// A document that is no submission of this version, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// A named document as three: what there is, where it stood, and what is known of the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Files {
    /// Trees, tasks, results: `.context.json`.
    pub context: Value,
    /// Where each task stood: `.state.json`.
    pub state: Value,
    /// What the document is: `.meta.json`.
    pub meta: Value,
}

/// What belongs to where a task stood, and not to what it is.
const OF_STATE: [&str; 4] = ["stood", "attempts", "facets", "checkpoint"];

impl Files {
    /// Takes a document apart; `id` ties the three together.
    pub fn of(
        portable: &Portable,
        id: &str,
        meta: Map<String, Value>,
    ) -> Result<Self, serde_json::Error> {
        let mut whole = serde_json::to_value(portable)?;
        let mut states = Vec::with_capacity(portable.tasks.len());
        for task in whole["tasks"].as_array_mut().into_iter().flatten() {
            let Some(fields) = task.as_object_mut() else { continue };
            let mut state = Map::new();
            state.insert("task".to_owned(), fields["id"].clone());
            for field in OF_STATE {
                if let Some(value) = fields.remove(field) {
                    state.insert(field.to_owned(), value);
                }
            }
            states.push(Value::Object(state));
        }
        let headed = |mut fields: Map<String, Value>| {
            fields.insert("schema_version".to_owned(), SCHEMA_VERSION.into());
            fields.insert("snapshot_id".to_owned(), id.into());
            Value::Object(fields)
        };
        let mut context = Map::new();
        context.insert("submission".to_owned(), whole);
        let mut state = Map::new();
        state.insert("tasks".to_owned(), Value::Array(states));
        Ok(Self { context: headed(context), state: headed(state), meta: headed(meta) })
    }

    /// Puts a document together again, or says why the three are none.
    pub fn join(&self) -> Result<Portable, Unreadable> {
        let mut ids = BTreeSet::new();
        for (name, file) in
            [("context", &self.context), ("state", &self.state), ("meta", &self.meta)]
        {
            ids.insert(heading(name, file)?);
        }
        if ids.len() != 1 {
            return Err(Unreadable(format!(
                "the three documents are not of one snapshot: {}",
                ids.into_iter().collect::<Vec<_>>().join(", ")
            )));
        }
        let mut whole = self.context["submission"].clone();
        let states = self.state["tasks"].as_array();
        let states = states.ok_or_else(|| Unreadable("the state has no `tasks`".to_owned()))?;
        let mut by_task: BTreeMap<&str, &Map<String, Value>> = BTreeMap::new();
        for state in states {
            let task = state["task"].as_str().zip(state.as_object());
            let (task, fields) =
                task.ok_or_else(|| Unreadable("the state has an entry without `task`".to_owned()))?;
            by_task.insert(task, fields);
        }
        for task in whole["tasks"].as_array_mut().into_iter().flatten() {
            let id = task["id"].as_str().unwrap_or_default().to_owned();
            let Some(fields) = by_task.remove(id.as_str()) else {
                return Err(Unreadable(format!("the state does not say where `{id}` stood")));
            };
            if let Some(task) = task.as_object_mut() {
                let own = fields.iter().filter(|(name, _)| OF_STATE.contains(&name.as_str()));
                task.extend(own.map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        if let Some(task) = by_task.keys().next() {
            return Err(Unreadable(format!("the state speaks of `{task}`, which is not there")));
        }
        let portable: Portable = serde_json::from_value(whole)
            .map_err(|error| Unreadable(format!("the context cannot be read: {error}")))?;
        match portable.problem() {
            Some(why) => Err(Unreadable(why)),
            None => Ok(portable),
        }
    }
}

/// The id in a document whose version is known.
fn heading<'a>(name: &str, file: &'a Value) -> Result<&'a str, Unreadable> {
    match file.get("schema_version").and_then(Value::as_str) {
        Some(SCHEMA_VERSION) => {}
        Some(other) => {
            return Err(Unreadable(format!(
                "the {name} is of version {other:?}, and this apflow reads {SCHEMA_VERSION:?}"
            )));
        }
        None => return Err(Unreadable(format!("the {name} does not say its `schema_version`"))),
    }
    let id = file.get("snapshot_id").and_then(Value::as_str);
    id.ok_or_else(|| Unreadable(format!("the {name} does not say its `snapshot_id`")))
}

/// Why a snapshot cannot be called that, if it cannot.
///
/// A name is also the beginning of file names, so it holds nothing a path could be made of.
pub fn bad_name(name: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 100 {
        return Some("has 1 to 100 characters");
    }
    if name.starts_with('.') || !name.chars().all(plain) {
        return Some("has only letters, digits, `.`, `_` and `-`, and does not begin with a dot");
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn small() -> Portable {
        serde_json::from_value(json!({
            "trees": [{"id": "t", "root": "a", "run": 1}],
            "tasks": [
                {"id": "a", "tree": "t", "definition": {"name": "a"},
                 "needs": [{"on": "b", "kind": "structure"}], "stood": {"state": "blocked"}},
                {"id": "b", "tree": "t", "parent": "a", "definition": {"name": "b"},
                 "stood": {"state": "completed"}, "attempts": 1, "result": {"n": 1}},
            ],
        }))
        .expect("a document")
    }

    #[test]
    fn three_documents_are_one_again() {
        let files = Files::of(&small(), "s-1", Map::new()).expect("they are JSON");
        assert_eq!(files.join(), Ok(small()));
        assert!(files.context.to_string().contains("\"n\":1"));
        assert!(!files.context.to_string().contains("stood"), "{}", files.context);
    }

    #[test]
    fn documents_that_do_not_belong_together_are_refused() {
        let files = Files::of(&small(), "s-1", Map::new()).expect("they are JSON");
        let other = Files::of(&small(), "s-2", Map::new()).expect("they are JSON");
        let mixed = Files { state: other.state, ..files.clone() };
        assert!(mixed.join().expect_err("two snapshots").0.contains("s-1, s-2"));
        let mut newer = files.clone();
        newer.meta["schema_version"] = json!("2.0");
        assert!(newer.join().expect_err("unknown").0.contains("version \"2.0\""));
        let mut cut = files.clone();
        cut.state["tasks"] = json!([{"task": "a"}]);
        assert!(cut.join().expect_err("half").0.contains("does not say where `b` stood"));
        let mut empty = files;
        empty.context = json!({});
        assert!(empty.join().expect_err("no document").0.contains("schema_version"));
    }

    #[test]
    fn what_is_no_submission_says_why() {
        let mut portable = small();
        portable.tasks[1].id = TaskId::new("a");
        assert_eq!(portable.problem().as_deref(), Some("the task `a` is there twice"));
        let mut portable = small();
        portable.tasks[0].needs[0].on = TaskId::new("x");
        assert_eq!(
            portable.problem().as_deref(),
            Some("task `a`: it needs `x`, which is not there")
        );
        let mut portable = small();
        portable.tasks[1].parent = None;
        assert!(portable.problem().is_some_and(|why| why.contains("no parent")));
        let mut portable = small();
        portable.trees[0].run = 0;
        assert!(portable.problem().is_some_and(|why| why.contains("never ran")));
        assert_eq!(small().problem(), None);
    }

    #[test]
    fn a_blocked_task_counts_what_its_needs_say() {
        let mut portable = small();
        assert_eq!(portable.counts(), [(0, 0), (0, 0)]);
        portable.tasks[1].stood = Stood::Ready;
        assert_eq!(portable.counts(), [(1, 0), (0, 0)]);
        portable.tasks[0].needs[0].kind = NeedWord::Required;
        portable.tasks[1].stood = Stood::Cancelled { reason: "x".to_owned() };
        assert_eq!(portable.counts(), [(0, 1), (0, 0)]);
    }

    #[test]
    fn p1_a_name_holds_no_path() {
        for bad in ["", ".", "..", ".hidden", "a/b", "a\\b", "../x", "a b", "ü", &"x".repeat(101)]
        {
            assert!(bad_name(bad).is_some(), "{bad:?}");
        }
        for good in ["cp1", "before-deploy_2.1", "x"] {
            assert_eq!(bad_name(good), None, "{good:?}");
        }
    }
}
