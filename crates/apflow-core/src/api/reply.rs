//! What a call is answered with: one variant per shape, and its v1 JSON.

use serde_json::{Map, Value, json};

mod generated;
mod kept;
mod letters;
mod parked;
mod triggered;

use super::{
    configuration::{Reloaded, Setting},
    wire,
};
use crate::{
    executor::Manifest,
    id::{TaskId, TreeId},
    store::{self, AttemptRecord, CancelAnswer, Counts, Page},
    task::{Outcome, Record, RunSummary, Status},
    time::Timestamp,
};

pub use generated::{Generated, LlmKeyAnswer};
pub use kept::{Kept, RestoredRun};
pub use letters::{LettersAnswer, NotRequeued};
pub use triggered::{Reason, Triggered};

/// The answer to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// One task, or `null` where there is none.
    Task(Option<Box<Record>>),
    /// Tasks as an array.
    Tasks(Vec<Record>),
    /// Tasks as an array with the total beside it.
    Page {
        /// The tasks.
        tasks: Vec<Record>,
        /// How many there are in all.
        total: u64,
        /// Which part this is.
        page: Page,
    },
    /// What was stored: one object if it was one task, else all of them, parents first.
    Created {
        /// The tasks.
        tasks: Vec<Record>,
        /// What was ignored.
        warnings: Vec<String>,
    },
    /// A task and everything below it, parents first; the first one is the root.
    Tree(Vec<Record>),
    /// How many tasks have each status.
    Counted(Counted),
    /// How a run began, and how it ended if it was waited for.
    Executed(Box<Executed>),
    /// A link was to be run: its original has done so, and nothing runs.
    Linked(Box<Linked>),
    /// A run of the tree was going on.
    AlreadyRunning {
        /// The root of the tree.
        root: TaskId,
    },
    /// What became of each wish to stop.
    Cancelled(Vec<Cancelled>),
    /// A task went, and what was below it.
    Deleted {
        /// The task.
        task: TaskId,
        /// How many went in all.
        count: u32,
    },
    /// What became of the attempts of a task.
    Attempts {
        /// The task.
        task: TaskId,
        /// Those that are kept, oldest first.
        attempts: Vec<AttemptRecord>,
    },
    /// What came of a wish about dead letters.
    Letters(Box<LettersAnswer>),
    /// How several tasks stand.
    RunningStatus(Vec<Standing>),
    /// How many tasks are in progress.
    RunningCount {
        /// So many.
        count: u64,
        /// Whose.
        user_id: Option<String>,
    },
    /// What tasks wait for.
    Waits(Vec<store::WaitRecord>),
    /// One wait.
    Wait(Box<store::WaitRecord>),
    /// What came of an event.
    Published(store::Published),
    /// What came of a pause, or of its end.
    Paused {
        /// The task.
        task: TaskId,
        /// It is paused.
        paused: bool,
        /// What came of it.
        answer: store::PauseAnswer,
    },
    /// Tasks that were made up.
    Generated(Box<Generated>),
    /// What is known of keys.
    LlmKey(Box<LlmKeyAnswer>),
    /// What came of a webhook.
    Triggered(Box<Triggered>),
    /// Schedules as a calendar.
    Calendar {
        /// The file, as RFC 5545 wants it.
        content: String,
        /// How many tasks are in it.
        tasks: usize,
    },
    /// Which slots are made up for.
    Backfilled(Backfilled),
    /// The process is well.
    Health {
        /// Of apflow.
        version: String,
        /// Now.
        at: Timestamp,
        /// Attempts that run in this process.
        running: usize,
    },
    /// The executors.
    Executors {
        /// Each, with whether it may run here.
        executors: Vec<(Manifest, bool)>,
        /// There is an allow-list.
        restricted: bool,
    },
    /// What came of an operation on snapshots or checkpoints.
    Kept(Box<Kept>),
    /// One key of the configuration.
    Setting(Box<Setting>),
    /// Every key of the configuration.
    Settings(Vec<Setting>),
    /// What came of reading the configuration again.
    Reloaded(Reloaded),
    /// Shared limits and breakers, or what became of one.
    Flow(Value),
}

/// The numbers, and the question they answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The numbers.
    pub counts: Counts,
    /// Only these were asked for; empty: all five.
    pub statuses: Vec<Status>,
    /// Only this owner's.
    pub user_id: Option<String>,
    /// Only those without a parent.
    pub root_only: bool,
}

/// A run that began.
#[derive(Debug, Clone, PartialEq)]
pub struct Executed {
    /// The root of the tree; of the first one, if there are several.
    pub root: TaskId,
    /// The task that was asked for.
    pub task: TaskId,
    /// There was nothing to run.
    pub idle: bool,
    /// The trees that run.
    pub trees: Vec<TreeId>,
    /// A position in the journal: whatever happens in the run comes after it.
    pub after: i64,
    /// The caller follows the run.
    pub streaming: bool,
    /// Where the caller is told of the run.
    pub callback: Option<String>,
    /// How the run of each tree ended; empty if nobody waited.
    pub runs: Vec<RunSummary>,
    /// What was ignored.
    pub warnings: Vec<String>,
}

/// A link that was to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// The root of its tree.
    pub root: TaskId,
    /// The link.
    pub task: TaskId,
    /// What it answers for.
    pub original: TaskId,
    /// Where that stands.
    pub status: Status,
}

/// What became of one wish to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// The task.
    pub task: TaskId,
    /// What became of it.
    pub answer: CancelAnswer,
    /// The reason that was stored.
    pub message: String,
    /// The caller's word.
    pub force: bool,
}

/// Which slots of a schedule are made up for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfilled {
    /// The task.
    pub task: TaskId,
    /// Nothing was stored.
    pub dry_run: bool,
    /// The slots.
    pub slots: store::Backfilled,
}

/// How one task stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The id that was asked for.
    pub id: TaskId,
    /// The task, if there is one.
    pub record: Option<Box<Record>>,
    /// It, or its tree if it is the root, is being worked on.
    pub running: bool,
}

impl Executed {
    /// The worst of the outcomes: failed before cancelled before completed; none if nobody waited.
    pub fn outcome(&self) -> Option<Outcome> {
        let has = |outcome| self.runs.iter().any(|run| run.outcome == Some(outcome));
        [Outcome::Failed, Outcome::Cancelled, Outcome::Completed].into_iter().find(|it| has(*it))
    }
}

impl Reply {
    /// What was ignored while it was carried out.
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Created { warnings, .. } => warnings,
            Self::Executed(executed) => &executed.warnings,
            _ => &[],
        }
    }

    /// The v1 JSON of the answer.
    pub fn json(&self) -> Value {
        match self {
            Self::Task(None) => Value::Null,
            Self::Task(Some(record)) => wire::task(record),
            Self::Tasks(records) => wire::tasks(records),
            Self::Page { tasks, total, page } => json!({
                "tasks": wire::tasks(tasks), "total": total,
                "limit": page.limit, "offset": page.offset,
            }),
            Self::Created { tasks, .. } => match tasks.as_slice() {
                [only] => wire::task(only),
                all => wire::flat(all),
            },
            Self::Tree(records) => wire::tree(records),
            Self::Counted(counted) => counted_json(counted),
            Self::Executed(executed) => executed_json(executed),
            Self::Linked(linked) => linked_json(linked),
            Self::AlreadyRunning { root } => json!({
                "success": false, "protocol": PROTOCOL, "root_task_id": root,
                "status": "already_running",
                "message": format!("Task {root} is already running"),
            }),
            Self::Cancelled(items) => items.iter().map(cancelled_json).collect(),
            Self::Deleted { task, count } => json!({
                "success": true, "task_id": task, "deleted_count": count,
                "children_deleted": count.saturating_sub(1),
            }),
            Self::Attempts { task, attempts } => letters::attempts_json(task, attempts),
            Self::Letters(answer) => answer.json(),
            Self::RunningStatus(items) => items.iter().map(standing_json).collect(),
            Self::RunningCount { count, user_id } => {
                let mut object = json!({ "count": count });
                if let Some(user_id) = user_id {
                    object["user_id"] = json!(user_id);
                }
                object
            }
            Self::Waits(waits) => waits.iter().map(parked::wait).collect(),
            Self::Wait(wait) => parked::wait(wait),
            Self::Published(published) => parked::published(published),
            Self::Paused { task, paused, answer } => parked::paused(task, *paused, answer),
            Self::Generated(generated) => generated.json(),
            Self::LlmKey(answer) => answer.json(),
            Self::Triggered(triggered) => triggered.json(),
            Self::Calendar { content, tasks } => {
                json!({ "ical_content": content, "task_count": tasks })
            }
            Self::Backfilled(backfilled) => backfilled_json(backfilled),
            Self::Health { version, at, running } => json!({
                "status": "healthy", "message": "apflow is healthy", "version": version,
                "protocol_version": PROTOCOL_VERSION, "timestamp": at,
                "running_tasks_count": running,
            }),
            Self::Executors { executors, restricted } => executors_json(executors, *restricted),
            Self::Kept(kept) => kept.json(),
            Self::Setting(setting) => setting.json(),
            Self::Settings(settings) => settings.iter().map(Setting::json).collect(),
            Self::Reloaded(reloaded) => reloaded.json(),
            Self::Flow(answer) => answer.clone(),
        }
    }
}

/// What v1 answers say in `protocol`.
pub(super) const PROTOCOL: &str = "jsonrpc";
/// The version of the written protocol that is spoken.
pub const PROTOCOL_VERSION: &str = "1.0";

fn counted_json(counted: &Counted) -> Value {
    let mut object = Map::new();
    let mut total = 0;
    for status in Status::ALL {
        if counted.statuses.is_empty() || counted.statuses.contains(&status) {
            let count = counted.counts.of(status);
            total += count;
            object.insert(status.to_string(), json!(count));
        }
    }
    object.insert("total".to_owned(), json!(total));
    if let Some(user_id) = &counted.user_id {
        object.insert("user_id".to_owned(), json!(user_id));
    }
    if counted.root_only {
        object.insert("root_only".to_owned(), json!(true));
    }
    Value::Object(object)
}

fn executed_json(executed: &Executed) -> Value {
    let message = if executed.idle {
        "Nothing to run: every task has completed; send `reexecute: true` to run it again"
            .to_owned()
    } else if executed.streaming {
        "Task execution started with streaming".to_owned()
    } else if let Some(url) = &executed.callback {
        format!("Task execution started with webhook callbacks. Updates will be sent to {url}")
    } else {
        "Task execution started".to_owned()
    };
    let mut object = json!({
        "success": true, "protocol": PROTOCOL, "root_task_id": executed.root,
        "task_id": executed.task, "status": "started", "message": message,
    });
    let told = executed.callback.as_ref().filter(|_| !executed.idle);
    if executed.streaming || told.is_some() {
        object["streaming"] = json!(true);
    }
    if let Some(url) = told {
        object["webhook_url"] = json!(url);
    }
    if !executed.runs.is_empty() {
        let all = |of: fn(&RunSummary) -> &Vec<TaskId>| -> Vec<&TaskId> {
            executed.runs.iter().flat_map(of).collect()
        };
        object["outcome"] = json!(executed.outcome());
        object["failed_tasks"] = json!(all(|run| &run.failed_tasks));
        object["blocked_tasks"] = json!(all(|run| &run.blocked_tasks));
    }
    object
}

fn linked_json(linked: &Linked) -> Value {
    let Linked { root, task, original, status } = linked;
    let outcome = match status {
        Status::Completed => Some(Outcome::Completed),
        Status::Failed => Some(Outcome::Failed),
        Status::Cancelled => Some(Outcome::Cancelled),
        Status::Pending | Status::InProgress => None,
    };
    json!({
        "success": true, "protocol": PROTOCOL, "root_task_id": root, "task_id": task,
        "status": "started",
        "message": format!("Nothing to run: task {task} is a link and answers for {original}"),
        "outcome": outcome, "failed_tasks": [], "blocked_tasks": [],
    })
}

fn cancelled_json(item: &Cancelled) -> Value {
    let (task, force) = (&item.task, item.force);
    match &item.answer {
        CancelAnswer::Cancelled { others } => json!({
            "status": "cancelled", "message": item.message, "task_id": task, "force": force,
            "others_cancelled": others,
        }),
        CancelAnswer::AlreadyEnded(status) => json!({
            "status": "failed",
            "message": format!("Task {task} is already {status}, cannot cancel"),
            "current_status": status, "task_id": task, "force": force,
        }),
        CancelAnswer::NoSuchTask => json!({
            "status": "failed", "message": format!("Task {task} not found"),
            "error": "Task not found", "task_id": task, "force": force,
        }),
    }
}

fn backfilled_json(backfilled: &Backfilled) -> Value {
    let store::Backfilled { slots, fired_before, forgotten, cut_short } = &backfilled.slots;
    json!({
        "success": true, "task_id": backfilled.task, "dry_run": backfilled.dry_run,
        "slots": slots, "count": slots.len(), "fired_before": fired_before,
        "forgotten": forgotten, "cut_short": cut_short,
    })
}

fn standing_json(standing: &Standing) -> Value {
    let id = &standing.id;
    let Some(record) = &standing.record else {
        return json!({
            "task_id": id, "context_id": id, "status": "not_found", "progress": 0.0,
            "error": null, "is_running": false, "started_at": null, "updated_at": null,
        });
    };
    json!({
        "task_id": id, "context_id": id, "status": record.task.state.status(),
        "progress": record.progress, "error": wire::error(record),
        "is_running": standing.running, "started_at": record.task.started_at,
        "updated_at": record.updated_at,
    })
}

fn executors_json(executors: &[(Manifest, bool)], restricted: bool) -> Value {
    let list: Vec<Value> = executors
        .iter()
        .filter(|(_, allowed)| *allowed)
        .map(|(manifest, _)| {
            json!({
                "id": manifest.id, "name": manifest.name, "description": manifest.description,
                "tags": manifest.tags, "dependencies": [],
                "available": manifest.unavailable.is_none(),
                "unavailable_because": manifest.unavailable,
                "input_schema": manifest.input_schema, "output_schema": manifest.output_schema,
            })
        })
        .collect();
    let mut object = json!({ "count": list.len(), "executors": list, "restricted": restricted });
    if restricted {
        let ids: Vec<_> =
            executors.iter().filter(|(_, allowed)| *allowed).map(|(it, _)| &it.id).collect();
        object["allowed_ids"] = json!(ids);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_some_statuses_total_only_those() {
        let counts = Counts { by_status: [1, 2, 3, 4, 5] };
        let counted = |statuses| {
            let counted = Counted { counts, statuses, user_id: None, root_only: false };
            Reply::Counted(counted).json()
        };
        assert_eq!(
            counted(vec![]),
            json!({"pending": 1, "in_progress": 2, "completed": 3, "failed": 4,
                "cancelled": 5, "total": 15})
        );
        assert_eq!(counted(vec![Status::Failed]), json!({"failed": 4, "total": 4}));
    }

    #[test]
    fn cancellations_are_told_in_the_words_of_the_python_server() {
        let item = |answer| {
            let message = "Cancelled by user".to_owned();
            let task = TaskId::new("c10");
            Reply::Cancelled(vec![Cancelled { task, answer, message, force: false }]).json()
        };
        assert_eq!(
            item(CancelAnswer::NoSuchTask),
            json!([{"status": "failed", "message": "Task c10 not found",
                "error": "Task not found", "task_id": "c10", "force": false}])
        );
        assert_eq!(
            item(CancelAnswer::AlreadyEnded(Status::Completed)),
            json!([{"status": "failed",
                "message": "Task c10 is already completed, cannot cancel",
                "current_status": "completed", "task_id": "c10", "force": false}])
        );
        let done = item(CancelAnswer::Cancelled { others: 2 });
        assert_eq!(done[0]["message"], "Cancelled by user");
        assert_eq!(done[0]["others_cancelled"], 2);
    }

    #[test]
    fn a_second_run_is_refused_with_the_shape_clients_look_for() {
        assert_eq!(
            Reply::AlreadyRunning { root: TaskId::new("c10") }.json(),
            json!({"success": false, "protocol": "jsonrpc", "root_task_id": "c10",
                "status": "already_running", "message": "Task c10 is already running"})
        );
    }
}
