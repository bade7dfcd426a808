//! New tasks from stored ones: copies, links, archives, and trees that mix copies and links (ruling 11).
//!
//! [`derive()`] decides, [`TaskSpec`] and [`compile`] say what a new submission is; the store loads what
//! is there, under the lock of its submission, and writes what came of it in the same transaction.
//!
//! * A **copy** begins anew, with what its author said.
//! * A **link** has nothing of its own: readers see what its original says ([`seen_through`]).
//! * An **archive** is no new task; the stored one stays for good as it is.

mod select;

use serde::{Deserialize, Serialize};

use crate::{
    group,
    id::{Ids, Seq, TaskId, TreeId},
    problem::Problems,
    store::{Idempotency, Inserted, Patch, Submission},
    submit::{Limits, Order, Reference, TaskSpec, compile},
    task::{Definition, Origin, OriginType, Record, Schedule, Task, TreeOptions},
    time::Timestamp,
};

/// What is made of stored tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// New tasks that begin anew.
    Copy,
    /// New tasks that answer with what the old ones say.
    Link,
    /// The old tasks, which do not change any more.
    Archive,
    /// Links for the tasks that are named, copies for the others.
    Mixed,
}

impl Mode {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Link => "link",
            Self::Archive => "archive",
            Self::Mixed => "mixed",
        }
    }

    /// The mode a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Copy, Self::Link, Self::Archive, Self::Mixed]
            .into_iter()
            .find(|mode| mode.as_str() == word)
    }
}

/// A wish for new tasks from stored ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Derive {
    /// The task to begin with.
    pub task: TaskId,
    /// What to make.
    pub mode: Mode,
    /// Everything below it too; else the task alone, without parent and dependencies.
    pub recursive: bool,
    /// In a mixed tree, what is linked.
    pub links: Vec<TaskId>,
    /// Authored fields that copies get instead of those of their source.
    pub reset: Patch,
    /// Who owns what is made, if not who owns the source.
    pub user_id: Option<String>,
    /// Take along what the tasks depend on. Where nobody says so, mixed trees and roots do, and a copy
    /// or link of a task further down is refused if it depends on something beside it.
    pub auto_include_deps: Option<bool>,
    /// Take along what depends on the tasks.
    pub include_dependents: bool,
    /// Store nothing and say what would be stored.
    pub preview: bool,
    /// The caller's promise that two requests with one key are one request.
    pub idempotency: Option<Idempotency>,
    /// How large what is made may be.
    pub limits: Limits,
}

impl Derive {
    /// A copy of a task with everything below it.
    pub fn copy(task: impl Into<TaskId>) -> Self {
        Self {
            task: task.into(),
            mode: Mode::Copy,
            recursive: true,
            links: Vec::new(),
            reset: Patch::default(),
            user_id: None,
            auto_include_deps: None,
            include_dependents: false,
            preview: false,
            idempotency: None,
            limits: Limits::default(),
        }
    }
}

/// What came of a wish.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// The new trees, the one with the first task's successor first; the old one of an archive.
    pub inserted: Inserted,
    /// What would have been stored, where nothing was to be.
    pub preview: Option<Vec<Record>>,
}

/// Why nothing was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// Something that was to be linked or archived has not completed.
    #[error(
        "Only a fully completed task tree can be linked. There are unfinished tasks in the tree."
    )]
    Unfinished {
        /// The first one that has not.
        task: TaskId,
    },
    /// A link would belong to somebody else than its original.
    #[error("Deny linking to a different user's task.")]
    ForeignOwner,
    /// A task depends on something that is not taken along.
    #[error("{}", outside(.0))]
    Outside(Box<Outside>),
    /// A task that was to be linked is not among those that are taken.
    #[error("Task {0} not found")]
    NotAmong(TaskId),
    /// What would be stored cannot be.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

/// A dependency that leads out of what is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// The name of the task that has it.
    pub name: String,
    /// The task that has it.
    pub task: TaskId,
    /// What it depends on.
    pub on: TaskId,
    /// The name of the task it began with.
    pub root_name: String,
    /// The task it began with.
    pub root: TaskId,
}

fn outside(of: &Outside) -> String {
    let Outside { name, task, on, root_name, root } = of;
    format!(
        "Task '{name}' (id: {task}) has dependency on task '{on}' which is outside the subtree \
         rooted at '{root_name}' (id: {root}). Cannot copy/archive a subtree with external \
         dependencies."
    )
}

impl DeriveError {
    /// What the person at the keyboard can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unfinished { task } => {
                Some(format!("{task} has not completed; wait for it, or copy instead"))
            }
            Self::ForeignOwner => Some("copy it, or leave `user_id` out".to_owned()),
            Self::Outside(_) => Some(
                "send `auto_include_deps: true` to take along what it depends on, or name the root"
                    .to_owned(),
            ),
            Self::NotAmong(_) | Self::Invalid(_) => None,
        }
    }
}

/// A stored task, as far as deriving has to know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its id.
    pub id: TaskId,
    /// Its tree: any number that the tasks of one tree share.
    pub tree: usize,
    /// The task it hangs under, by index.
    pub parent: Option<usize>,
    /// What its author said, as readers see it.
    pub definition: Definition,
    /// It completed, as readers see it.
    pub completed: bool,
    /// How many spawners there are above it: 0 if its author wrote it.
    pub spawned: u32,
}

impl Source {
    /// What a link to this task points at: a link is followed to what it points at itself.
    fn original(&self) -> &TaskId {
        let origin = &self.definition.origin;
        let followed = origin.original_task_id.as_ref().filter(|_| origin.kind == OriginType::Link);
        followed.unwrap_or(&self.id)
    }
}

/// One whole submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Sources {
    /// Its tasks, in order of submission.
    pub tasks: Vec<Source>,
    /// What holds for the tree of the task that was named.
    pub options: TreeOptions,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// New tasks.
    New(New),
    /// Stored tasks, by index, with what is to be stored as their definition.
    Archived(Vec<(usize, Definition)>),
}

/// New tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct New {
    /// The tasks; links among them need nothing and count as completed.
    pub submission: Submission,
    /// For each of them the original if it is a link.
    pub links: Vec<Option<TaskId>>,
}

/// Decides what is made of stored tasks, or says why nothing can be.
///
/// Pure: ids come from `ids`, and `sources` has every task of the submission.
pub fn derive(sources: &Sources, wish: &Derive, ids: &dyn Ids) -> Result<Made, DeriveError> {
    let tasks = &sources.tasks;
    let start = tasks
        .iter()
        .position(|source| source.id == wish.task)
        .ok_or_else(|| DeriveError::NotAmong(wish.task.clone()))?;
    let wanted: Vec<bool> = match wish.mode {
        Mode::Copy | Mode::Archive => vec![false; tasks.len()],
        Mode::Link => vec![true; tasks.len()],
        Mode::Mixed => tasks.iter().map(|source| wish.links.contains(&source.id)).collect(),
    };
    let chosen = select::choose(tasks, start, wish, &wanted)?;
    if wish.mode == Mode::Mixed {
        let among = |id: &&TaskId| chosen.iter().any(|at| tasks[*at].id == **id);
        if let Some(stray) = wish.links.iter().find(|id| !among(id)) {
            return Err(DeriveError::NotAmong(stray.clone()));
        }
    }
    must_have_completed(tasks, start, wish, &chosen, &wanted)?;
    if wish.mode == Mode::Archive {
        return Ok(Made::Archived(archived(tasks, &chosen)));
    }
    let links = chosen.iter().any(|at| wanted[*at]);
    let owner = tasks[start].definition.user_id.clone();
    if links && wish.user_id.is_some() && wish.user_id != owner {
        return Err(DeriveError::ForeignOwner);
    }
    let owner = wish.user_id.clone().or(owner);
    build(sources, wish, ids, &chosen, &wanted, owner).map(Made::New)
}

/// A link or an archive is of something that is there for good.
fn must_have_completed(
    tasks: &[Source],
    start: usize,
    wish: &Derive,
    chosen: &[usize],
    wanted: &[bool],
) -> Result<(), DeriveError> {
    let whole = matches!(wish.mode, Mode::Link | Mode::Archive);
    // Also where the task is taken alone, everything below it has to be done.
    let below = if whole { select::below(tasks, start) } else { vec![false; tasks.len()] };
    let taken = chosen.iter().copied().filter(|at| whole || wanted[*at]);
    let unfinished =
        (0..tasks.len()).filter(|at| below[*at]).chain(taken).find(|at| !tasks[*at].completed);
    match unfinished {
        Some(at) => Err(DeriveError::Unfinished { task: tasks[at].id.clone() }),
        None => Ok(()),
    }
}

/// What is not archived yet; a link does not change anyway and stays one.
fn archived(tasks: &[Source], chosen: &[usize]) -> Vec<(usize, Definition)> {
    let fixed = |at: &usize| {
        matches!(tasks[*at].definition.origin.kind, OriginType::Link | OriginType::Archive)
    };
    chosen
        .iter()
        .copied()
        .filter(|at| !fixed(at))
        .map(|at| {
            let mut definition = tasks[at].definition.clone();
            definition.origin.kind = OriginType::Archive;
            // What never runs again has no next time.
            definition.schedule.schedule_enabled = false;
            definition.schedule.next_run_at = None;
            (at, definition)
        })
        .collect()
}

fn build(
    sources: &Sources,
    wish: &Derive,
    ids: &dyn Ids,
    chosen: &[usize],
    wanted: &[bool],
    owner: Option<String>,
) -> Result<New, DeriveError> {
    let tasks = &sources.tasks;
    let mut new_ids: Vec<Option<String>> = vec![None; tasks.len()];
    for at in chosen {
        new_ids[*at] = Some(ids.next());
    }
    let mut index = std::collections::HashMap::with_capacity(tasks.len());
    for (at, source) in tasks.iter().enumerate() {
        index.insert(&source.id, at);
    }
    let new_id = |id: &TaskId| new_ids[*index.get(id)?].clone();
    let mut specs = Vec::with_capacity(chosen.len());
    let mut links = Vec::with_capacity(chosen.len());
    for at in chosen.iter().copied() {
        let source = &tasks[at];
        let mut spec = if wanted[at] {
            links.push(Some(source.original().clone()));
            link_of(source)
        } else {
            links.push(None);
            copy_of(source, &wish.reset)?
        };
        spec.id.clone_from(&new_ids[at]);
        if let Some(parent) = source.parent {
            // Its own group, if it has one, has a limit of its own.
            let key = group::key_of(tasks[parent].id.as_str());
            spec.flow.limits.retain(|limit| limit.key != key);
        }
        spec.user_id.clone_from(&owner);
        if wish.recursive {
            spec.parent = source.parent.and_then(|parent| new_ids[parent].clone());
            // What is not taken along is not waited for.
            spec.dependencies = source
                .definition
                .dependencies
                .iter()
                .filter_map(|entry| {
                    Some(Reference {
                        to: new_id(&entry.id)?,
                        optional: !entry.required,
                        plain: entry.plain,
                        extra: entry.extra.clone(),
                    })
                })
                .collect();
        }
        if let Some(edge) = &mut spec.loop_edge {
            let to = edge.to.take();
            // Where the task it leads to is not taken along, there is nothing to go back to.
            edge.to = to.as_deref().and_then(|to| new_id(&TaskId::new(to)));
            if to.is_some() && edge.to.is_none() {
                spec.loop_edge = None;
            }
        }
        specs.push(spec);
    }
    let order = Order {
        tasks: specs,
        options: sources.options,
        start: false,
        idempotency: wish.idempotency.clone(),
        user_id: owner,
        callback: None,
        demo: false,
    };
    let mut submission = compile(order, ids, &wish.limits)?;
    for (task, link) in submission.tasks.iter_mut().zip(&links) {
        if link.is_some() {
            task.needs.clear();
        }
    }
    Ok(New { submission, links })
}

/// A link says who it is and nothing of what its original says.
fn link_of(source: &Source) -> TaskSpec {
    TaskSpec {
        priority: source.definition.priority,
        origin: Origin {
            kind: OriginType::Link,
            original_task_id: Some(source.original().clone()),
            has_references: false,
        },
        ..TaskSpec::new(&source.definition.name)
    }
}

/// A copy says what its source says, but for what a run left there.
fn copy_of(source: &Source, reset: &Patch) -> Result<TaskSpec, Problems> {
    let mut definition = source.definition.clone();
    let unfit = |error: serde_json::Error| {
        use crate::{code::Code, problem::Problem};
        Problems::one(Problem::new(Code::InvalidParams, error.to_string()).in_field("reset_fields"))
    };
    reset.write_into(&mut definition).map_err(unfit)?;
    let Definition {
        name,
        priority,
        join,
        when,
        inputs,
        params,
        schemas,
        timeout_seconds,
        timeouts,
        max_cycles,
        loop_edge,
        start,
        flow,
        schedule,
        ..
    } = definition;
    let mut durability = definition.durability;
    durability.checkpoint_at = None;
    durability.resume_from = None;
    // The key stood for the work of the source.
    durability.idempotency_key = None;
    let mut governance = definition.governance;
    governance.token_usage = None;
    governance.actual_cost_usd = None;
    Ok(TaskSpec {
        priority,
        join,
        when,
        inputs,
        params,
        schemas,
        timeout_seconds,
        timeouts,
        max_cycles,
        loop_edge,
        start,
        flow,
        origin: Origin {
            kind: OriginType::Copy,
            original_task_id: Some(source.original().clone()),
            has_references: false,
        },
        schedule: Schedule { next_run_at: None, last_run_at: None, run_count: 0, ..schedule },
        durability,
        governance,
        placement_constraints: definition.placement_constraints,
        extra: definition.extra,
        ..TaskSpec::new(name)
    })
}

/// What readers see of a link: the words of its original, but whose it is, where it came from and what
/// it depends on, which are its own.
pub fn seen_through(own: Definition, original: Definition) -> Definition {
    Definition {
        user_id: own.user_id,
        dependencies: own.dependencies,
        origin: own.origin,
        // It never runs by itself.
        schedule: Schedule::default(),
        ..original
    }
}

/// What new tasks would look like to readers, parents before children.
///
/// `originals` has the record of the original of each link, in order of the tasks.
pub fn preview(new: &New, originals: Vec<Option<Record>>, now: Timestamp) -> Vec<Record> {
    let Submission { trees, tasks, .. } = &new.submission;
    let record = |(task, original): (&crate::store::NewTask, Option<Record>)| {
        let own = Record {
            id: task.id.clone(),
            tree_id: trees.get(task.tree).map_or_else(|| TreeId::new(""), |tree| tree.id.clone()),
            parent_id: task.parent.map(|parent| tasks[parent].id.clone()),
            has_children: task.has_children,
            task: Task {
                max_attempts: task.definition.durability.max_attempts,
                priority: task.definition.priority,
                join: task.definition.join,
                ..Task::new(Seq(0), Seq(0), Seq(0))
            },
            definition: task.definition.clone(),
            progress: 0.0,
            resolved_inputs: None,
            result: None,
            error: None,
            created_at: now,
            updated_at: now,
            worker: None,
            waiting_for: Vec::new(),
            failed_needs: Vec::new(),
        };
        match original {
            None => own,
            Some(original) => link_record(own, original),
        }
    };
    tasks.iter().zip(originals).map(record).collect()
}

/// What readers see of a link, given its own row and what they see of its original.
pub fn link_record(own: Record, original: Record) -> Record {
    let mut task = original.task;
    (task.seq, task.tree, task.forest) = (own.task.seq, own.task.tree, own.task.forest);
    Record {
        id: own.id,
        tree_id: own.tree_id,
        parent_id: own.parent_id,
        has_children: own.has_children,
        definition: seen_through(own.definition, original.definition),
        task,
        created_at: own.created_at,
        updated_at: own.updated_at,
        waiting_for: Vec::new(),
        failed_needs: Vec::new(),
        progress: original.progress,
        resolved_inputs: original.resolved_inputs,
        result: original.result,
        error: original.error,
        worker: original.worker,
    }
}

#[cfg(test)]
mod tests;
