//! What can go wrong below, sorted by what the caller can do about it.

use crate::{
    derive::DeriveError,
    id::{TaskId, TreeId},
    problem::Problems,
    task::OriginType,
    transition::Refused,
};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The state of the task forbids it.
    #[error("task {id}: {refused}")]
    Refused {
        /// The task.
        id: TaskId,
        /// Why.
        refused: Refused,
    },
    /// There is no such task.
    #[error("Task {0} not found")]
    NoSuchTask(TaskId),
    /// The id is taken.
    #[error("Task id already exists in database (id: {0}).")]
    DuplicateTask(TaskId),
    /// The tree id is taken.
    #[error("Task tree id already exists in database (tree_id: {0}).")]
    DuplicateTree(TreeId),
    /// The idempotency key was used for something else.
    #[error("the idempotency key `{key}` was used before with another request")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// A run of the tree is going on.
    #[error(
        "Task tree {root} is already running. Concurrent execution of the same task tree is not allowed."
    )]
    AlreadyRunning {
        /// The root of the tree.
        root: TaskId,
    },
    /// The request breaks a rule; each text is one reason.
    #[error("{}", .0.join("; "))]
    Rejected(Vec<String>),
    /// The dependencies of a task would make tasks wait for one another.
    #[error(
        "Circular dependency detected involving task '{task}'. Tasks cannot have circular \
         dependencies as this would cause infinite loops."
    )]
    Cycle {
        /// The task that was to get them.
        task: TaskId,
        /// The tasks of the loop, the first one again at the end.
        path: Vec<TaskId>,
    },
    /// The dependencies of a task name tasks that its submission does not have.
    #[error("{}", unknown(task, missing))]
    UnknownDependency {
        /// The task that was to get them.
        task: TaskId,
        /// What is not there, or not in the same submission.
        missing: Vec<TaskId>,
    },
    /// The task is a link or was archived, and does not change any more.
    #[error("task {id} {}", fixed(*kind))]
    Fixed {
        /// The task.
        id: TaskId,
        /// What it is.
        kind: OriginType,
    },
    /// A run needs what a link answers with, and there is no result yet, or no more.
    #[error("task {link} is a link to a task that has not completed")]
    UnfinishedOriginal {
        /// The link.
        link: TaskId,
    },
    /// New tasks cannot be made from these.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// The schedule says something that cannot be followed.
    #[error("{}", .0.0.first().map_or("the schedule cannot be followed", |first| first.detail.as_str()))]
    InvalidSchedule(Problems),
    /// The task has no schedule.
    #[error("task {0} has no schedule")]
    NoSchedule(TaskId),
    /// No task waits, or waited, under this id.
    #[error("there is no question or other wait `{id}`")]
    NoSuchWait {
        /// The id.
        id: String,
    },
    /// Whoever came first has answered or withdrawn it.
    #[error("`{id}` is {} already and takes no answer any more", .state.as_str())]
    WaitClosed {
        /// The wait.
        id: String,
        /// How it stands.
        state: super::WaitState,
    },
    /// There is no snapshot of that name.
    #[error("the submission of task {task} has no snapshot `{name}`")]
    NoSnapshot {
        /// The task that was named.
        task: TaskId,
        /// The name.
        name: String,
    },
    /// The document is no submission that can be stored here.
    #[error("the document cannot be imported: {0}")]
    Unreadable(String),
    /// The snapshot is not of what is stored here now.
    #[error("the snapshot `{name}` does not fit: {why}")]
    SnapshotMismatch {
        /// Its name.
        name: String,
        /// What is different.
        why: String,
    },
    /// The snapshot is larger than may be kept.
    #[error("the snapshot `{name}` takes {bytes} bytes, and at most {most} are kept")]
    SnapshotTooLarge {
        /// Its name.
        name: String,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        most: usize,
    },
    /// This store does not have what is asked for: a store for tests, for example.
    #[error("this store offers no {what}")]
    NotOffered {
        /// What was asked for, in the plural.
        what: &'static str,
    },
    /// A row cannot be read; it was set aside.
    #[error("row {row} of {table} cannot be read: {what}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// Its key.
        row: String,
        /// What is wrong with it.
        what: String,
    },
    /// Another process has the database.
    #[error("{what}")]
    Locked {
        /// Who, as far as is known.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// There is no room left to write.
    #[error("the database is full: {what}")]
    Full {
        /// What the database said.
        what: String,
    },
    /// The file is not, or no longer, a sound database.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// What the database said.
        what: String,
    },
    /// The database was made by a newer apflow.
    #[error("the database has migration {found}, and this apflow knows only up to {known}")]
    TooNew {
        /// The newest migration in the database.
        found: i64,
        /// The newest this binary has.
        known: i64,
    },
    /// The address names no database we have.
    #[error("{what}")]
    Address {
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// As much waits for the database as may wait; nothing was done.
    #[error("{waiting} requests wait for the database already, and no more are taken")]
    Overloaded {
        /// So many wait.
        waiting: usize,
    },
    /// Another transaction was in the way; the same one may succeed now.
    #[error("another transaction was in the way")]
    Conflict,
    /// The database does not answer; trying again later may help.
    #[error("the database is not available: {what}")]
    Unavailable {
        /// What was being done.
        what: String,
        /// What the database said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

fn unknown(task: &TaskId, missing: &[TaskId]) -> String {
    let one = |id: &TaskId| {
        format!("Dependency reference '{id}' not found in the submission of task '{task}'")
    };
    missing.iter().map(one).collect::<Vec<_>>().join("; ")
}

const fn fixed(kind: OriginType) -> &'static str {
    match kind {
        OriginType::Archive => "is archived and cannot be changed or run",
        _ => "is a link and cannot be changed or run",
    }
}

impl StoreError {
    /// What the person at the keyboard can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Locked { hint, .. } | Self::Address { hint, .. } => Some(hint.clone()),
            Self::Full { .. } => {
                Some("make room on the disk; nothing that was acknowledged is lost".to_owned())
            }
            Self::Damaged { .. } => Some(
                "stop apflow, copy the file, and restore a backup or try `sqlite3 FILE .recover`"
                    .to_owned(),
            ),
            Self::TooNew { .. } => {
                Some("use the apflow that migrated it, or a newer one".to_owned())
            }
            Self::Unavailable { .. } => {
                Some("see that the database runs and can be reached; apflow tries again".to_owned())
            }
            Self::KeyReused { .. } => {
                Some("use a new key for a new request, or send the first request again".to_owned())
            }
            Self::NoSuchWait { .. } => {
                Some("list what can be answered with `apflow feedback ls`".to_owned())
            }
            Self::WaitClosed { .. } => {
                Some("the first answer counts; see it with `apflow feedback show`".to_owned())
            }
            Self::NoSchedule(_) => Some(
                "give it one: `schedule_type`, `schedule_expression`, `schedule_enabled: true`"
                    .to_owned(),
            ),
            Self::NoSnapshot { .. } => {
                Some("`apflow snapshot ls TASK` lists those there are".to_owned())
            }
            Self::Unreadable(_) => Some(
                "nothing was changed; export it again with an apflow of this version".to_owned(),
            ),
            Self::SnapshotMismatch { .. } => {
                Some("nothing was changed; take a new snapshot of what is there".to_owned())
            }
            Self::SnapshotTooLarge { .. } => {
                Some("copy the whole database instead: `apflow db backup`".to_owned())
            }
            Self::AlreadyRunning { .. } => Some("wait for it, or cancel it first".to_owned()),
            Self::Overloaded { .. } => {
                Some("send the request again a little later; nothing of it was done".to_owned())
            }
            Self::Fixed { .. } => Some("copy it with tasks.clone and change the copy".to_owned()),
            Self::UnfinishedOriginal { .. } => {
                Some("wait until the task it links to has completed".to_owned())
            }
            Self::Derive(error) => error.hint(),
            _ => None,
        }
    }
}
