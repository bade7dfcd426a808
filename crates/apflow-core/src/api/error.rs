//! Why a call was not answered, in words that may leave the process.

use std::{fmt, time::Duration};

use serde_json::{Map, Value, json};

use crate::{
    code::Code,
    derive::DeriveError,
    id::TaskId,
    problem::{Problem, Problems},
    registry::NoExecutor,
    store::StoreError,
};

/// Why a call was not answered.
///
/// Everything in it but `source` may be shown to a stranger; `source` is for the log and for the person
/// at the keyboard.
#[derive(Debug)]
pub struct ApiError {
    /// What sort of error.
    pub code: Code,
    /// What happened; the text of the Python API where there is one.
    pub detail: String,
    /// The faults one by one, if it was the caller's.
    pub problems: Vec<Problem>,
    /// What to do.
    pub hint: Option<String>,
    /// What the store said; never sent.
    pub source: Option<Box<StoreError>>,
    /// How long to wait before it is worth asking again, if that is known.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// An error that needs no more than a sentence.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            problems: Vec::new(),
            hint: None,
            source: None,
            retry_after: None,
        }
    }

    /// The same error with advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A task that does not exist, or that the caller may not know of: there is no difference.
    pub fn no_such_task(id: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("Task {id} not found"))
    }

    /// A parameter that is missing; `detail` is the text of the Python API.
    pub fn missing(field: &str, expected: &str, detail: &str) -> Self {
        let problem = Problem {
            reason: format!("`{field}` is missing"),
            expected: Some(expected.to_owned()),
            actual: Some("nothing".to_owned()),
            ..fault(Code::InvalidParams, field, detail)
        };
        Self { problems: vec![problem], ..Self::new(Code::InvalidParams, detail) }
    }

    /// A parameter with a value it cannot have.
    pub fn invalid(field: &str, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        let (expected, actual) = (expected.into(), actual.into());
        let reason = format!("`{field}` must be {expected}, and it is {actual}");
        let problem = Problem {
            expected: Some(expected),
            actual: Some(actual),
            ..fault(Code::InvalidParams, field, &reason)
        };
        Self { problems: vec![problem], ..Self::new(Code::InvalidParams, reason) }
    }

    /// A field that this operation cannot change or use.
    pub fn refused(code: Code, field: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { problems: vec![fault(code, field, &detail)], ..Self::new(code, detail) }
    }

    /// The short name of the error in JSON-RPC's `message`: the documented one where there is one.
    pub const fn message(&self) -> &'static str {
        match self.code.rpc() {
            -32700 => "Parse error",
            -32600 => "Invalid Request",
            -32601 => "Method not found",
            -32602 => "Invalid params",
            -32001 => "Task not found",
            -32002 => "Circular dependency",
            -32003 => "Executor not found",
            -32004 => "Unauthorized",
            -32005 => "Invalid task schema",
            -32006 => "Invalid state transition",
            -32008 => "Task already executing",
            -32009 => "Cannot delete task",
            -32010 => "Invalid parent reference",
            -32011 => "Invalid dependency reference",
            -32012 => "Task tree validation failed",
            _ if matches!(self.code, Code::Internal) => "Internal error",
            _ => self.code.title(),
        }
    }

    /// The object that goes with the error on every wire (ruling 28).
    pub fn data(&self) -> Value {
        let mut data = match self.problems.first() {
            Some(first) => problem_json(first),
            None => Map::new(),
        };
        data.insert("code".to_owned(), json!(self.code.as_str()));
        data.insert("detail".to_owned(), json!(self.detail));
        if let Some(hint) = &self.hint {
            data.insert("hint".to_owned(), json!(hint));
        }
        if let Some(seconds) = self.retry_seconds() {
            data.insert("retry_after".to_owned(), json!(seconds));
        }
        if self.problems.len() > 1 {
            let all = self.problems.iter().map(|one| Value::Object(problem_json(one))).collect();
            data.insert("errors".to_owned(), Value::Array(all));
        }
        Value::Object(data)
    }

    /// Whole seconds to wait before it is worth asking again.
    pub fn retry_seconds(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// An error whose cause is our side's affair: the caller learns the sort of it, the log the rest.
    fn infrastructure(code: Code, error: StoreError) -> Self {
        Self { source: Some(Box::new(error)), ..Self::new(code, code.title()) }
    }
}

fn fault(code: Code, field: &str, detail: &str) -> Problem {
    Problem {
        code,
        task: None,
        field: Some(field.to_owned()),
        reason: detail.to_owned(),
        expected: None,
        actual: None,
        path: Vec::new(),
        detail: detail.to_owned(),
        hint: None,
    }
}

fn problem_json(problem: &Problem) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("code".to_owned(), json!(problem.code.as_str()));
    object.insert("reason".to_owned(), json!(problem.reason));
    object.insert("detail".to_owned(), json!(problem.detail));
    let optional = [
        ("task", &problem.task),
        ("field", &problem.field),
        ("expected", &problem.expected),
        ("actual", &problem.actual),
        ("hint", &problem.hint),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            object.insert(name.to_owned(), json!(value));
        }
    }
    if !problem.path.is_empty() {
        object.insert("path".to_owned(), json!(problem.path));
    }
    object
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for ApiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Refused { .. } => Code::IllegalTransition,
            StoreError::NoSuchTask(_) => Code::NotFound,
            StoreError::DuplicateTask(_) | StoreError::DuplicateTree(_) => Code::InvalidTree,
            StoreError::KeyReused { .. } => Code::KeyReused,
            StoreError::AlreadyRunning { .. } => Code::AlreadyRunning,
            StoreError::Rejected(_) => Code::InvalidTree,
            StoreError::Overloaded { .. } => Code::Overloaded,
            StoreError::Fixed { .. } => Code::Fixed,
            StoreError::UnfinishedOriginal { .. } => Code::Unfinished,
            StoreError::Cycle { task, path } => {
                let problem = Problem {
                    task: Some(task.to_string()),
                    path: path.iter().map(ToString::to_string).collect(),
                    ..fault(Code::Cycle, "dependencies", &error.to_string())
                };
                return Self {
                    problems: vec![problem],
                    ..Self::new(Code::Cycle, error.to_string())
                };
            }
            StoreError::UnknownDependency { task, missing } => {
                let one = |id: &TaskId| Problem {
                    task: Some(task.to_string()),
                    actual: Some(id.to_string()),
                    ..fault(Code::UnknownReference, "dependencies", &error.to_string())
                };
                let problems = missing.iter().map(one).collect();
                return Self { problems, ..Self::new(Code::UnknownReference, error.to_string()) };
            }
            StoreError::Derive(error) => return Self::from(error.clone()),
            StoreError::NoSchedule(_) => Code::NoSchedule,
            StoreError::NotOffered { .. } => Code::NotOffered,
            StoreError::NoSuchWait { .. } => Code::NoSuchWait,
            StoreError::WaitClosed { .. } => Code::WaitClosed,
            StoreError::NoSnapshot { .. } => Code::NoSnapshot,
            StoreError::Unreadable(_) => Code::UnreadableExport,
            StoreError::SnapshotMismatch { .. } => Code::SnapshotMismatch,
            StoreError::SnapshotTooLarge { .. } => Code::SnapshotTooLarge,
            StoreError::InvalidSchedule(problems) => return Self::from(problems.clone()),
            StoreError::Corrupt { .. } | StoreError::Damaged { .. } => {
                return Self::infrastructure(Code::DatabaseDamaged, error);
            }
            StoreError::Locked { .. } => return Self::infrastructure(Code::DatabaseLocked, error),
            StoreError::Full { .. } => return Self::infrastructure(Code::DatabaseFull, error),
            StoreError::TooNew { .. } => return Self::infrastructure(Code::DatabaseTooNew, error),
            StoreError::Address { .. } => {
                return Self::infrastructure(Code::DatabaseAddress, error);
            }
            StoreError::Conflict | StoreError::Unavailable { .. } => {
                return Self::infrastructure(Code::DatabaseUnavailable, error);
            }
        };
        Self { hint: error.hint(), ..Self::new(code, error.to_string()) }
    }
}

impl From<DeriveError> for ApiError {
    fn from(error: DeriveError) -> Self {
        let (code, field) = match &error {
            DeriveError::Unfinished { .. } => (Code::Unfinished, "task_id"),
            DeriveError::ForeignOwner => (Code::InvalidParams, "user_id"),
            DeriveError::Outside(_) => (Code::InvalidTree, "task_id"),
            DeriveError::NotAmong(id) => return Self::no_such_task(id),
            DeriveError::Invalid(problems) => return Self::from(problems.clone()),
        };
        let hint = error.hint();
        Self { hint, ..Self::refused(code, field, error.to_string()) }
    }
}

impl From<Problems> for ApiError {
    /// Several faults of one sort keep their code; a mixture is a tree that cannot be stored.
    fn from(Problems(problems): Problems) -> Self {
        let mut codes = problems.iter().map(|problem| problem.code);
        let first = codes.next().unwrap_or(Code::InvalidTree);
        let code = if codes.all(|code| code == first) { first } else { Code::InvalidTree };
        let detail = problems.first().map_or_else(String::new, |problem| problem.detail.clone());
        let hint = problems.first().and_then(|problem| problem.hint.clone());
        Self { problems, hint, ..Self::new(code, detail) }
    }
}

impl From<NoExecutor> for ApiError {
    fn from(missing: NoExecutor) -> Self {
        let code = match &missing {
            NoExecutor::Unnamed { .. } | NoExecutor::Unknown { .. } => Code::UnknownExecutor,
            NoExecutor::NotAllowed { .. } => Code::ExecutorNotAllowed,
        };
        let hint = match &missing {
            NoExecutor::Unnamed { .. } => {
                "name one in `params.executor_id` or `schemas.method`".to_owned()
            }
            NoExecutor::Unknown { known: ids, .. } => format!("registered: {}", ids.join(", ")),
            NoExecutor::NotAllowed { allowed: ids, .. } => format!("allowed: {}", ids.join(", ")),
        };
        Self::new(code, missing.to_string()).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_parameter_is_named_with_what_was_expected_and_what_came() {
        let error = ApiError::invalid("limit", "a number from 0 to 1000", "\"x\"");
        assert_eq!(
            error.data(),
            json!({
                "code": "AF0012", "field": "limit", "expected": "a number from 0 to 1000",
                "actual": "\"x\"",
                "reason": "`limit` must be a number from 0 to 1000, and it is \"x\"",
                "detail": "`limit` must be a number from 0 to 1000, and it is \"x\"",
            })
        );
        assert_eq!((error.code.rpc(), error.message()), (-32602, "Invalid params"));
    }

    #[test]
    fn what_the_database_said_stays_behind_the_error() {
        let error = ApiError::from(StoreError::Unavailable {
            what: "connecting to postgres://me:CANARY@db/x".to_owned(),
            source: None,
        });
        assert_eq!(error.code, Code::DatabaseUnavailable);
        assert!(!error.data().to_string().contains("CANARY"), "{}", error.data());
        assert!(!error.to_string().contains("CANARY"), "{error}");
        let source = error.source.expect("kept for the log").to_string();
        assert!(source.contains("CANARY"), "{source}");
    }

    #[test]
    fn several_faults_are_listed_and_a_mixture_condemns_the_tree() {
        let one = fault(Code::InvalidTask, "name", "Task at index 0 must have a 'name' field");
        let other = fault(Code::Cycle, "dependencies", "a cycle");
        let same = ApiError::from(Problems(vec![one.clone(), one.clone()]));
        assert_eq!(same.code, Code::InvalidTask);
        let mixed = ApiError::from(Problems(vec![one, other]));
        assert_eq!(mixed.code, Code::InvalidTree);
        let data = mixed.data();
        assert_eq!(data["detail"], "Task at index 0 must have a 'name' field");
        assert_eq!(data["errors"].as_array().map(Vec::len), Some(2), "{data}");
        assert_eq!(data["errors"][1]["code"], "AF0002");
    }

    #[test]
    fn a_missing_task_carries_the_documented_code_and_the_old_text() {
        let error = ApiError::from(StoreError::NoSuchTask(TaskId::new("x")));
        assert_eq!((error.code.rpc(), error.code.http()), (-32001, 404));
        assert_eq!(error.to_string(), "Task x not found");
        assert_eq!(error.message(), "Task not found");
    }
}
