//! Reads task JSON by hand, so that every wrong field is told at once and in the author's words.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Limits, Reading, Reference, TaskSpec, check::check, link::link};
use crate::{
    breaker::BreakerPolicy,
    code::Code,
    id::TaskId,
    problem::{Problem, Problems, nearest, shortened},
    task::{Join, LOOP_EXPECTED, OriginType, Priority, TreeOptions},
    time::Timestamp,
};

/// The fields an author may write, in the order they are shown.
pub const TASK_FIELDS: &[&str] = &[
    "id",
    "parent_id",
    "task_tree_id",
    "user_id",
    "name",
    "priority",
    "dependencies",
    "join",
    "when",
    "loop",
    "max_cycles",
    "start",
    "inputs",
    "params",
    "schemas",
    "timeout_seconds",
    "original_task_id",
    "origin_type",
    "schedule_type",
    "schedule_expression",
    "schedule_enabled",
    "schedule_start_at",
    "schedule_end_at",
    "max_runs",
    "schedule_timezone",
    "schedule_overlap",
    "schedule_misfire",
    "schedule_misfire_window_seconds",
    "schedule_catch_up",
    "schedule_jitter_seconds",
    "placement_constraints",
    "idempotency_key",
    "checkpoint_at",
    "resume_from",
    "max_attempts",
    "backoff_strategy",
    "backoff_base_seconds",
    "backoff_max_seconds",
    "backoff_factor",
    "jitter",
    "no_retry_on",
    "retry_deadline_seconds",
    "max_retries",
    "retry_policy",
    "queue_timeout_seconds",
    "heartbeat_timeout_seconds",
    "deadline_seconds",
    "token_usage",
    "token_budget",
    "estimated_cost_usd",
    "actual_cost_usd",
    "cost_policy",
    "limits",
    "rate",
    "breaker",
    "estimate_tokens",
];

/// Fields that a stored task has and nobody may dictate; a task that was fetched can be sent again.
const ENGINE_FIELDS: &[&str] = &[
    "created_at",
    "started_at",
    "updated_at",
    "completed_at",
    "has_children",
    "has_references",
    "lease_id",
    "lease_expires_at",
    "attempt_id",
    "attempt_count",
    "last_assigned_node",
    "state",
    "waiting_for",
    "failed_needs",
    "next_run_at",
    "last_run_at",
    "run_count",
];

/// Fields that say how far a task is; a new one is nowhere yet.
const PROGRESS_FIELDS: &[&str] = &["status", "result", "error", "progress"];

/// Reads one task or a list of them; warnings come beside, problems instead.
pub fn read_tasks(
    value: &Value,
    reading: &Reading,
) -> Result<(Vec<TaskSpec>, Vec<String>), Problems> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        Value::Object(_) => std::slice::from_ref(value),
        other => {
            return Err(Problems::one(
                Problem::new(Code::InvalidParams, "tasks come as an object or a list of objects")
                    .expecting("one task, or a list of tasks")
                    .found(described(other)),
            ));
        }
    };
    if items.is_empty() {
        return Err(Problems::one(no_tasks()));
    }
    let limits = Limits::default();
    if items.len() > limits.tasks {
        return Err(Problems::one(too_many(items.len(), limits.tasks)));
    }
    let mut problems = Vec::new();
    let mut warnings = Warnings::default();
    let mut all_named = true;
    let specs: Vec<TaskSpec> = items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let mut reader = Reader::new(item, index, &mut problems, &mut warnings);
            let spec = reader.task(reading);
            all_named &= reader.named;
            spec
        })
        .collect();
    for (index, spec) in specs.iter().enumerate() {
        check(spec, index, &limits, &mut problems);
    }
    // References can be judged only where every task has said what it is called.
    if !problems.is_empty()
        && all_named
        && let Err(unlinked) = link(&specs, &TreeOptions::default(), None, &limits)
    {
        problems.extend(unlinked);
    }
    Problems::refuse(problems)?;
    Ok((specs, warnings.told()))
}

/// The problem of a list without tasks.
pub(super) fn no_tasks() -> Problem {
    Problem::new(Code::InvalidTree, "there is no task in it")
        .expecting("at least one task")
        .known_as("Tasks array cannot be empty")
}

/// The problem of a list with too many.
pub(super) fn too_many(found: usize, most: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("{found} tasks come at once, where {most} are allowed"))
        .hinting("split the work into several submissions")
}

/// What a task is called in a message: its name, else its id, else its place.
pub(super) fn called(name: Option<&str>, id: Option<&str>, index: usize) -> String {
    name.or(id)
        .filter(|text| !text.is_empty())
        .map_or_else(|| format!("task at index {index}"), shortened)
}

/// A value in a few words.
pub(crate) fn described(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text \"{text}\""),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(entries) => {
            let keys: Vec<&str> = entries.keys().take(4).map(String::as_str).collect();
            let more = if entries.len() > 4 { ", …" } else { "" };
            format!("an object {{{}{more}}}", keys.join(", "))
        }
    }
}

/// Warnings, one per field whatever the number of tasks that have it.
#[derive(Default)]
struct Warnings(BTreeMap<(String, &'static str), (String, usize)>);

impl Warnings {
    /// So many different fields are told.
    const MOST: usize = 50;

    fn add(&mut self, field: &str, why: &'static str, task: &str) {
        let key = (shortened(field), why);
        if let Some((_, times)) = self.0.get_mut(&key) {
            *times += 1;
        } else if self.0.len() < Self::MOST {
            self.0.insert(key, (task.to_owned(), 1));
        }
    }

    fn told(self) -> Vec<String> {
        self.0
            .into_iter()
            .map(|((field, why), (task, times))| {
                let others = match times {
                    1 => String::new(),
                    2 => " and one other".to_owned(),
                    _ => format!(" and {} others", times - 1),
                };
                let meant = nearest(&field, TASK_FIELDS.iter().copied())
                    .filter(|_| why == UNKNOWN)
                    .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                format!("`{field}` {why} (task {task}{others}){meant}")
            })
            .collect()
    }
}

/// What `max_cycles` takes.
const CYCLES: &str = "a whole number from 1 to 1000000";

const UNKNOWN: &str = "is not a field of a task and was ignored";
const NOT_YET: &str = "was ignored: a new task has not run";
const NOT_YOURS: &str = "was ignored: only the scheduler sets it";

pub(super) struct Reader<'a> {
    item: &'a Value,
    index: usize,
    pub(super) called: String,
    named: bool,
    pub(super) problems: &'a mut Vec<Problem>,
    warnings: &'a mut Warnings,
}

impl<'a> Reader<'a> {
    fn new(
        item: &'a Value,
        index: usize,
        problems: &'a mut Vec<Problem>,
        warnings: &'a mut Warnings,
    ) -> Self {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        let called = called(text("name"), text("id"), index);
        Self { item, index, called, named: true, problems, warnings }
    }

    pub(super) fn refuse(&mut self, field: &str, expected: &str, found: &Value) {
        let reason = format!("{field} is {}", shortened(&described(found)));
        self.problems.push(
            Problem::new(Code::InvalidTask, reason)
                .of_task(&self.called)
                .in_field(field)
                .expecting(expected)
                .found(described(found)),
        );
    }

    /// The value of a field; `null` is the same as absent.
    pub(super) fn value(&self, field: &str) -> Option<&'a Value> {
        self.item.get(field).filter(|value| !value.is_null())
    }

    pub(super) fn read<T>(
        &mut self,
        field: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(field)?;
        let read = read(value);
        if read.is_none() {
            self.refuse(field, expected, value);
        }
        read
    }

    pub(super) fn text(&mut self, field: &str) -> Option<String> {
        self.read(field, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// A text that other tasks may refer to.
    fn handle(&mut self, field: &str) -> Option<String> {
        let before = self.problems.len();
        let text = self.text(field);
        self.named &= self.problems.len() == before;
        text
    }

    fn object(&mut self, field: &str) -> Map<String, Value> {
        self.read(field, "an object", |value| value.as_object().cloned()).unwrap_or_default()
    }

    pub(super) fn number(&mut self, field: &str) -> Option<f64> {
        self.read(field, "a number", Value::as_f64)
    }

    pub(super) fn whole(&mut self, field: &str) -> Option<i64> {
        self.read(field, "a whole number", whole)
    }

    pub(super) fn flag(&mut self, field: &str) -> bool {
        self.read(field, "true or false", Value::as_bool).unwrap_or(false)
    }

    fn moment(&mut self, field: &str) -> Option<Timestamp> {
        self.read(field, "a moment in ISO 8601, like 2026-11-20T15:26:11+00:00", |value| {
            value.as_str()?.parse().ok()
        })
    }

    fn task(&mut self, reading: &Reading) -> TaskSpec {
        let Some(fields) = self.item.as_object() else {
            self.named = false;
            let reason = format!("the element at index {} is no object", self.index);
            self.problems.push(
                Problem::new(Code::InvalidParams, reason)
                    .of_task(&self.called)
                    .expecting("an object with at least a `name`")
                    .found(described(self.item)),
            );
            // A name of its own keeps the checks of the rest from complaining about this one again.
            return TaskSpec::new(format!("task at index {}", self.index));
        };
        self.unknown_fields(fields, reading);
        self.progress_fields();
        let mut spec = TaskSpec {
            id: self.handle("id"),
            parent: self.text("parent_id"),
            tree_id: self.text("task_tree_id"),
            user_id: self.text("user_id"),
            priority: self.priority(),
            dependencies: self.dependencies(),
            join: self
                .read("join", "`all` or `any`", |value| match value.as_str()? {
                    "all" => Some(Join::All),
                    "any" => Some(Join::Any),
                    _ => None,
                })
                .unwrap_or_default(),
            when: self.text("when"),
            loop_edge: self
                .read("loop", LOOP_EXPECTED, |value| serde_json::from_value(value.clone()).ok()),
            max_cycles: self.read("max_cycles", CYCLES, |value| whole(value)?.try_into().ok()),
            start: self
                .read("start", "`when_ready` or `on_jump`", |value| {
                    serde_json::from_value(value.clone()).ok()
                })
                .unwrap_or_default(),
            inputs: self.object("inputs"),
            params: self.object("params"),
            schemas: self.object("schemas"),
            timeout_seconds: self.number("timeout_seconds"),
            placement_constraints: self.value("placement_constraints").cloned(),
            ..TaskSpec::default()
        };
        let before = self.problems.len();
        spec.name = self.handle("name").unwrap_or_default();
        if self.problems.len() > before {
            // The wrong type is told; that the name is missing would be a second word for it.
            spec.name = format!("task at index {}", self.index);
        }
        self.origin(&mut spec);
        spec.schedule = self.schedule();
        self.durability(&mut spec);
        self.governance(&mut spec);
        self.flow(&mut spec);
        if let Reading::Custom(custom) = reading {
            spec.extra = fields
                .iter()
                .filter(|(key, _)| custom.iter().any(|kept| kept == *key) && !is_known(key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
        }
        spec
    }

    fn unknown_fields(&mut self, fields: &Map<String, Value>, reading: &Reading) {
        for key in fields.keys().filter(|key| !is_known(key)) {
            match reading {
                Reading::Custom(custom) if custom.iter().any(|kept| kept == key) => {}
                Reading::Strict => {
                    let mut problem = Problem::new(
                        Code::InvalidTask,
                        format!("`{}` is not a field of a task", shortened(key)),
                    )
                    .of_task(&self.called)
                    .in_field(shortened(key))
                    .expecting(format!("one of {}", TASK_FIELDS.join(", ")));
                    if let Some(near) = nearest(key, TASK_FIELDS.iter().copied()) {
                        problem = problem.hinting(format!("did you mean `{near}`?"));
                    }
                    self.problems.push(problem);
                }
                _ => self.warnings.add(key, UNKNOWN, &self.called),
            }
        }
        for key in ["next_run_at", "last_run_at", "run_count"] {
            if self.value(key).is_some_and(|value| value.as_i64() != Some(0)) {
                self.warnings.add(key, NOT_YOURS, &self.called);
            }
        }
    }

    /// A new task is pending and has no result; one that was fetched and sent again may say so.
    fn progress_fields(&mut self) {
        if let Some(status) = self.value("status").filter(|status| *status != "pending") {
            let reason = "a new task is pending; only running it moves it on";
            self.problems.push(
                Problem::new(Code::InvalidTask, reason)
                    .of_task(&self.called)
                    .in_field("status")
                    .expecting("`pending`, or nothing")
                    .found(described(status))
                    .hinting("leave `status` out, and report the outcome with tasks.update"),
            );
        }
        let progress = self.read("progress", "a number from 0 to 1", |value| {
            value.as_f64().filter(|progress| (0.0..=1.0).contains(progress))
        });
        if progress.is_some_and(|progress| progress > 0.0) {
            self.warnings.add("progress", NOT_YET, &self.called);
        }
        for field in ["result", "error"] {
            if self.value(field).is_some() {
                self.warnings.add(field, NOT_YET, &self.called);
            }
        }
    }

    fn priority(&mut self) -> Priority {
        const EXPECTED: &str = "a whole number from 0 (urgent) to 3 (low)";
        let Some(value) = self.value("priority") else { return Priority::NORMAL };
        match whole(value).map(Priority::try_from) {
            Some(Ok(priority)) => return priority,
            Some(Err(reason)) => self.problems.push(
                Problem::new(Code::InvalidTask, reason)
                    .of_task(&self.called)
                    .in_field("priority")
                    .expecting(EXPECTED)
                    .found(described(value)),
            ),
            None => self.refuse("priority", EXPECTED, value),
        }
        Priority::NORMAL
    }

    fn dependencies(&mut self) -> Vec<Reference> {
        const EXPECTED: &str = "a list of ids, names or objects with an `id`";
        let Some(items) = self.read("dependencies", EXPECTED, Value::as_array) else {
            return Vec::new();
        };
        let most = Limits::default().dependencies;
        if items.len() > most {
            self.problems.push(check_count(items.len(), most).of_task(&self.called));
            return Vec::new();
        }
        items.iter().enumerate().filter_map(|(place, item)| self.dependency(place, item)).collect()
    }

    fn dependency(&mut self, place: usize, item: &Value) -> Option<Reference> {
        let field = format!("dependencies[{place}]");
        let entry = match item {
            Value::String(to) => {
                return Some(Reference { to: to.clone(), plain: true, ..Reference::default() });
            }
            Value::Object(entry) => entry,
            other => {
                self.refuse(&field, "an id, a name or an object with an `id`", other);
                return None;
            }
        };
        let named = |key: &str| entry.get(key).filter(|value| !value.is_null());
        let to = match named("id").or_else(|| named("name")) {
            Some(Value::String(to)) => to.clone(),
            other => {
                let index = self.index;
                let detail = format!(
                    "Task at index {index} has dependency reference 'None' which is not a valid id \
                     or name in the task array."
                );
                self.problems.push(
                    Problem::new(Code::UnknownReference, "the entry names no task")
                        .of_task(&self.called)
                        .in_field(field)
                        .expecting("an object with an `id` or a `name` that is a text")
                        .found(described(other.unwrap_or(item)))
                        .known_as(detail),
                );
                return None;
            }
        };
        let required = match named("required") {
            None => true,
            Some(Value::Bool(required)) => *required,
            Some(other) => {
                self.refuse(&format!("{field}.required"), "true or false", other);
                true
            }
        };
        let extra = entry
            .iter()
            .filter(|(key, _)| !["id", "name", "required"].contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        Some(Reference { to, optional: !required, plain: false, extra })
    }

    fn origin(&mut self, spec: &mut TaskSpec) {
        let kind =
            self.read("origin_type", "`create` or `copy`", |value| match value.as_str()? {
                "create" => Some(OriginType::Create),
                "copy" => Some(OriginType::Copy),
                _ => None,
            });
        spec.origin.kind = kind.unwrap_or_default();
        spec.origin.original_task_id = self.text("original_task_id").map(TaskId::new);
    }

    fn durability(&mut self, spec: &mut TaskSpec) {
        self.tried_again(spec);
        let durability = &mut spec.durability;
        durability.checkpoint_at = self.moment("checkpoint_at");
        durability.resume_from = self.text("resume_from");
        durability.idempotency_key = self.text("idempotency_key");
    }

    fn flow(&mut self, spec: &mut TaskSpec) {
        fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
            serde_json::from_value(value.clone()).ok()
        }
        let limits = "a list like [{\"key\": \"api\", \"max\": 4}]";
        spec.flow.limits = self.read("limits", limits, read).unwrap_or_default();
        let rates = "a list like [{\"key\": \"api\", \"limit\": 60, \"per\": \"1m\"}]";
        spec.flow.rate = self.read("rate", rates, read).unwrap_or_default();
        let breaker = "an object like {\"threshold\": 5, \"reset\": \"60s\"}, or true";
        spec.flow.breaker = self
            .read("breaker", breaker, |value| match value {
                Value::Bool(wanted) => Some(wanted.then(BreakerPolicy::default)),
                other => read(other).map(Some),
            })
            .flatten();
    }

    fn governance(&mut self, spec: &mut TaskSpec) {
        let governance = &mut spec.governance;
        governance.token_usage = self.value("token_usage").cloned();
        governance.token_budget = self.whole("token_budget");
        governance.estimated_cost_usd = self.number("estimated_cost_usd");
        governance.actual_cost_usd = self.number("actual_cost_usd");
        governance.cost_policy = self.text("cost_policy");
        governance.estimate_tokens = self.whole("estimate_tokens");
    }
}

/// The problem of too many dependencies.
pub(super) fn check_count(found: usize, most: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("it has {found} dependencies, where {most} are allowed"))
        .in_field("dependencies")
        .hinting("gather them in groups, each behind a task of its own")
}

/// Whether a task has a field of this name, whoever may set it.
pub(crate) fn is_known(field: &str) -> bool {
    [TASK_FIELDS, ENGINE_FIELDS, PROGRESS_FIELDS].iter().any(|fields| fields.contains(&field))
}

/// A whole number, also one that was written with a point: 2.0.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let float = value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e15)?;
        // The guard above leaves only whole numbers that fit.
        #[expect(clippy::cast_possible_truncation)]
        let whole = float as i64;
        Some(whole)
    })
}
