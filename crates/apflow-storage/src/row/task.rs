//! The changing part of a task, between its columns and [`State`]. The only place besides
//! `transition.rs` that makes a `State`.

use apflow_core::{
    derive::seen_through,
    id::{LeaseToken, NodeId, Seq, TaskId, TreeId},
    store::StoreError,
    task::{
        Definition, Failure, FailureKind, Join, Priority, Record, SkipCause, State, StateName,
        Task, Wait,
    },
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The columns of `af_work` that decisions need.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HotRow {
    pub(crate) seq: i64,
    pub(crate) tree: i64,
    pub(crate) forest: i64,
    pub(crate) state: String,
    pub(crate) priority: i64,
    pub(crate) join_any: bool,
    pub(crate) token: i64,
    pub(crate) attempts: i64,
    pub(crate) max_attempts: Option<i64>,
    pub(crate) waiting_for: i64,
    pub(crate) failed_needs: i64,
    pub(crate) wake_at: Option<i64>,
    pub(crate) worker: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) started_at: Option<i64>,
    pub(crate) completed_at: Option<i64>,
    /// What holds a ready task back, as JSON.
    pub(crate) held: Option<String>,
    pub(crate) turn: i64,
    /// What only some tasks have, as JSON.
    pub(crate) facets: Option<String>,
}

/// What a state adds to its word, in columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StateColumns {
    pub(crate) waiting_for: i64,
    pub(crate) failed_needs: i64,
    pub(crate) wake_at: Option<i64>,
    pub(crate) worker: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) error: Option<String>,
    /// What the state says about progress; none leaves it as it is.
    pub(crate) progress: Option<f64>,
    pub(crate) held: Option<String>,
    pub(crate) facets: Option<String>,
}

/// The part of a state that has no column of its own.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Detail {
    Wait(Wait),
    Failure(FailureKind),
    Skip(SkipCause),
}

impl Detail {
    fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

impl StateColumns {
    /// The columns that say where a task stands, besides the word of its state.
    pub(crate) fn of(task: &Task) -> Self {
        // Both are plain data and always have a JSON form.
        let text = |value: serde_json::Result<String>| value.ok();
        let mut columns = Self {
            wake_at: task.wake_at().map(|at| at.0),
            held: task.held.as_ref().and_then(|held| text(serde_json::to_string(held))),
            facets: task.facets.as_ref().and_then(|facets| text(serde_json::to_string(facets))),
            ..Self::default()
        };
        match &task.state {
            State::Created | State::Ready => columns.progress = Some(0.0),
            State::Blocked { waiting_for, failed } => {
                columns.waiting_for = i64::from(*waiting_for);
                columns.failed_needs = i64::from(*failed);
            }
            State::Retrying { .. } => columns.progress = Some(0.0),
            State::Running { worker, .. } => columns.worker = Some(worker.as_str().to_owned()),
            State::Waiting { wait, .. } => columns.detail = Detail::Wait(wait.clone()).to_text(),
            State::Completed => columns.progress = Some(1.0),
            State::Failed { failure } => {
                columns.progress = Some(0.0);
                columns.error = Some(failure.message.clone());
                columns.detail = Detail::Failure(failure.kind).to_text();
            }
            State::Skipped { why, cause } => {
                columns.error = Some(why.clone());
                columns.detail = match cause {
                    SkipCause::Failure => None,
                    SkipCause::Condition => Detail::Skip(*cause).to_text(),
                };
            }
            State::Cancelled { reason } => columns.error = Some(reason.clone()),
        }
        columns
    }
}

impl HotRow {
    fn corrupt(&self, what: impl Into<String>) -> StoreError {
        StoreError::Corrupt { table: "af_work", row: self.seq.to_string(), what: what.into() }
    }

    fn count(&self, column: &str, value: i64) -> Result<u32, StoreError> {
        u32::try_from(value).map_err(|_| self.corrupt(format!("{column} is {value}")))
    }

    fn moment(&self, column: &str, value: Option<i64>) -> Result<Timestamp, StoreError> {
        value.map(Timestamp).ok_or_else(|| self.corrupt(format!("{column} is null")))
    }

    fn detail(&self) -> Result<Detail, StoreError> {
        let text = self.detail.as_deref().unwrap_or("null");
        serde_json::from_str(text).map_err(|error| self.corrupt(format!("detail: {error}")))
    }

    fn json<T: serde::de::DeserializeOwned>(
        &self,
        column: &str,
        text: Option<&str>,
    ) -> Result<Option<T>, StoreError> {
        let read = |text| serde_json::from_str(text);
        text.map(read).transpose().map_err(|error| self.corrupt(format!("{column}: {error}")))
    }

    fn error(&self) -> Result<String, StoreError> {
        self.error.clone().ok_or_else(|| self.corrupt("error is null"))
    }

    fn state(&self) -> Result<State, StoreError> {
        let name = StateName::parse(&self.state)
            .ok_or_else(|| self.corrupt(format!("state is `{}`", self.state)))?;
        Ok(match name {
            StateName::Created => State::Created,
            StateName::Blocked => State::Blocked {
                waiting_for: self.count("waiting_for", self.waiting_for)?,
                failed: self.count("failed_needs", self.failed_needs)?,
            },
            StateName::Ready => State::Ready,
            StateName::Retrying => State::Retrying {
                at: self.moment("wake_at", self.wake_at)?,
                attempt: self.count("attempts", self.attempts)?,
            },
            StateName::Running => State::Running {
                lease: LeaseToken(self.token),
                until: self.moment("wake_at", self.wake_at)?,
                attempt: self.count("attempts", self.attempts)?,
                worker: NodeId::new(
                    self.worker.clone().ok_or_else(|| self.corrupt("worker is null"))?,
                ),
            },
            StateName::Waiting => match self.detail()? {
                Detail::Wait(wait) => State::Waiting { wait, until: self.wake_at.map(Timestamp) },
                _ => return Err(self.corrupt("detail is no wait")),
            },
            StateName::Completed => State::Completed,
            StateName::Failed => match self.detail()? {
                Detail::Failure(kind) => {
                    State::Failed { failure: Failure { kind, message: self.error()? } }
                }
                _ => return Err(self.corrupt("detail is no failure")),
            },
            StateName::Skipped => {
                let cause = match self.json("detail", self.detail.as_deref())? {
                    None => SkipCause::Failure,
                    Some(Detail::Skip(cause)) => cause,
                    Some(_) => return Err(self.corrupt("detail is no skip")),
                };
                State::Skipped { why: self.error()?, cause }
            }
            StateName::Cancelled => State::Cancelled { reason: self.error()? },
        })
    }

    /// The task this row stands for.
    pub(crate) fn task(&self) -> Result<Task, StoreError> {
        Ok(Task {
            seq: Seq(self.seq),
            tree: Seq(self.tree),
            forest: Seq(self.forest),
            state: self.state()?,
            token: LeaseToken(self.token),
            attempts: self.count("attempts", self.attempts)?,
            max_attempts: match self.max_attempts {
                Some(value) => Some(self.count("max_attempts", value)?),
                None => None,
            },
            priority: Priority::try_from(self.priority)
                .map_err(|what| self.corrupt(format!("priority: {what}")))?,
            join: if self.join_any { Join::Any } else { Join::All },
            started_at: self.started_at.map(Timestamp),
            completed_at: self.completed_at.map(Timestamp),
            held: self.json("held", self.held.as_deref())?,
            turn: self.turn,
            facets: self.json("facets", self.facets.as_deref())?,
        })
    }
}

/// A task with everything that readers see.
#[derive(Debug, Clone)]
pub(crate) struct RecordRow {
    pub(crate) id: String,
    pub(crate) tree_id: String,
    pub(crate) parent_id: Option<String>,
    pub(crate) has_children: bool,
    pub(crate) definition: String,
    pub(crate) created_at: i64,
    pub(crate) progress: f64,
    pub(crate) resolved: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) updated_at: i64,
    pub(crate) hot: HotRow,
    /// What the author of the original said, if it is a link; what moves is the original's then.
    pub(crate) original: Option<String>,
    /// The row whose result it is, for results that lie in pieces.
    pub(crate) output_of: i64,
    /// Others link to it.
    pub(crate) linked: bool,
}

/// The record a row stands for.
pub(crate) fn record(row: RecordRow) -> Result<Record, StoreError> {
    let task = row.hot.task()?;
    let corrupt =
        |column: &str, error: serde_json::Error| row.hot.corrupt(format!("{column}: {error}"));
    let result: Option<Value> = match &row.output {
        Some(text) => Some(serde_json::from_str(text).map_err(|e| corrupt("output", e))?),
        None => None,
    };
    let resolved_inputs = match &row.resolved {
        Some(text) => Some(serde_json::from_str(text).map_err(|e| corrupt("resolved", e))?),
        None => None,
    };
    let read = |text: &str| -> Result<Definition, StoreError> {
        serde_json::from_str(text).map_err(|e| corrupt("definition", e))
    };
    let mut definition = read(&row.definition)?;
    if let Some(original) = &row.original {
        definition = seen_through(definition, read(original)?);
    }
    definition.origin.has_references |= row.linked;
    Ok(Record {
        definition,
        id: TaskId::new(row.id),
        tree_id: TreeId::new(row.tree_id),
        parent_id: row.parent_id.map(TaskId::new),
        has_children: row.has_children,
        progress: row.progress,
        resolved_inputs,
        result,
        error: row.hot.error.clone(),
        created_at: Timestamp(row.created_at),
        updated_at: Timestamp(row.updated_at),
        worker: row.hot.worker.clone(),
        waiting_for: Vec::new(),
        failed_needs: Vec::new(),
        task,
    })
}
