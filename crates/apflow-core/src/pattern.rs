//! Patterns: tasks that run other tasks and say what came of them all.
//!
//! * [`workflow`]: a whole workflow as one task.
//! * [`map`]: one task for each element of a list, and one that brings the results together.
//! * [`saga`]: steps one after the other, each undone if a later one fails.
//!
//! Their executors keep nothing: each time one is called it reads from the tasks it spawned how far it
//! is, so a crash in between costs nothing. The spawned tasks are members: what it means that one fails,
//! the pattern says.

pub mod map;
pub mod saga;
pub mod workflow;

use serde_json::{Map, Value, json};

use crate::{
    code::Code,
    executor::{Context, ExecuteError, Gathered},
    expression::Template,
    problem::{Problem, Problems, shortened},
    registry::Registry,
    submit::{TaskSpec, spawned},
    task::{Failure, FailureKind, StateName},
    workflow::{Format, Workflow},
};

/// What expressions of every pattern may refer to.
const NAMES: [&str; 6] = ["inputs", "results", "states", "task", "run", "cycle"];
/// The fields of an inner task that its pattern decides.
const NOT_INSIDE: [&str; 5] = ["needs", "parent", "schedule", "user_id", "key"];
/// So many characters of an inner error are told by those around it.
const ERROR_CHARS: usize = 2_000;

/// Whether a task of this executor is a pattern.
pub fn is_one(executor: Option<&str>) -> bool {
    matches!(executor, Some(workflow::EXECUTOR | map::EXECUTOR | saga::EXECUTOR))
}

/// Whether a task is a pattern, so that its expressions name what it depends on.
pub(crate) fn is_in(spec: &TaskSpec) -> bool {
    is_one(executor(spec))
}

fn executor(spec: &TaskSpec) -> Option<&str> {
    spec.params.get("executor_id").or_else(|| spec.schemas.get("method")).and_then(Value::as_str)
}

/// Adds the executors of the patterns, unless there are others of their names.
pub(crate) fn register(registry: &mut Registry) {
    if registry.manifest(workflow::EXECUTOR).is_none() {
        registry.register(workflow::SubWorkflow::default());
    }
    if registry.manifest(map::EXECUTOR).is_none() {
        registry.register(map::MapOver::default());
    }
    if registry.manifest(saga::EXECUTOR).is_none() {
        registry.register(saga::Saga::default());
    }
}

/// Adds what is wrong with the patterns among these tasks.
///
/// A task that has none of the parameters of a pattern belongs to another executor of the same name.
pub(crate) fn check(specs: &[TaskSpec], problems: &mut Vec<Problem>) {
    for spec in specs {
        let has = |param: &str| spec.params.contains_key(param);
        let checked = match executor(spec) {
            Some(workflow::EXECUTOR) if has("workflow") => {
                workflow::Plan::read(&spec.params).and_then(|plan| plan.check())
            }
            Some(map::EXECUTOR) if has("each") => {
                map::Plan::read(&spec.params).and_then(|plan| plan.check())
            }
            Some(saga::EXECUTOR) if has("steps") => {
                saga::Plan::read(&spec.params).and_then(|plan| plan.check())
            }
            _ => continue,
        };
        let Err(Problems(found)) = checked else { continue };
        problems.extend(found.into_iter().map(|mut problem| {
            let inner = problem.task.take();
            let task = inner.map_or(spec.name.clone(), |inner| format!("{}/{inner}", spec.name));
            problem.of_task(shortened(&task))
        }));
    }
}

/// Writes what a workflow file says under `workflow`, `map` or `saga` as parameters; answers the
/// executor.
pub(crate) fn write(field: &str, value: Value, params: &mut Map<String, Value>) -> &'static str {
    let executor = match field {
        "map" => map::EXECUTOR,
        "saga" => saga::EXECUTOR,
        _ => workflow::EXECUTOR,
    };
    match (executor, value) {
        (workflow::EXECUTOR, value) => {
            params.insert("workflow".to_owned(), value);
        }
        (_, Value::Object(fields)) => params.extend(fields),
        (saga::EXECUTOR, steps) => {
            params.insert("steps".to_owned(), steps);
        }
        (_, other) => {
            params.insert("each".to_owned(), other);
        }
    }
    executor
}

fn refused(field: &str, why: impl Into<String>, expected: &str) -> Problems {
    let problem = Problem::new(Code::InvalidPattern, why).in_field(format!("params.{field}"));
    Problems::one(problem.expecting(expected))
}

/// A task inside a pattern, written like one in a workflow file.
fn read_task(field: &str, key: &str, value: &Value) -> Result<TaskSpec, Problems> {
    const EXPECTED: &str = "a task as in a workflow file, with `executor`, `inputs` and so on";
    let Some(fields) = value.as_object() else {
        return Err(refused(field, "it is no task", EXPECTED));
    };
    if let Some(not) = NOT_INSIDE.iter().find(|not| fields.contains_key(**not)) {
        let why = format!("a task inside a pattern has no `{not}`");
        return Err(refused(field, why, EXPECTED));
    }
    let file = json!({ "tasks": { key: value } }).to_string();
    let mut spec = Workflow::parse(&file, Format::Json)?
        .into_single()
        .ok_or_else(|| refused(field, "it is no task", EXPECTED))?;
    spec.id = Some(key.to_owned());
    Ok(spec)
}

/// Whether these tasks could be spawned.
fn try_out(tasks: Vec<TaskSpec>) -> Result<(), Problems> {
    spawned(tasks, None, true).map(|_| ())
}

/// Values with expressions in their texts.
#[derive(Debug, Clone)]
enum Shape {
    Plain(Value),
    Text(Template),
    List(Vec<Shape>),
    Object(Vec<(String, Shape)>),
}

impl Shape {
    /// Reads a value whose texts may hold expressions that refer to `names`.
    fn read(field: &str, value: &Value, names: &[&str]) -> Result<Self, Problems> {
        Ok(match value {
            Value::String(text) if text.contains("{{") => {
                let template = Template::compile_with(text, names).map_err(|problem| {
                    Problems::one(problem.in_field(format!("params.{field}")))
                })?;
                Self::Text(template)
            }
            Value::Array(items) => Self::List(
                items
                    .iter()
                    .map(|item| Self::read(field, item, names))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(entries) => Self::Object(
                entries
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), Self::read(field, value, names)?)))
                    .collect::<Result<_, Problems>>()?,
            ),
            plain => Self::Plain(plain.clone()),
        })
    }

    /// The same for a map.
    fn read_map(field: &str, map: &Map<String, Value>, names: &[&str]) -> Result<Self, Problems> {
        Self::read(field, &Value::Object(map.clone()), names)
    }

    /// The value where the names mean what `context` says.
    fn fill(&self, context: &Value) -> Result<Value, ExecuteError> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => template.eval(context).map_err(|error| {
                ExecuteError::Permanent { failure: Failure::from(error), result: Value::Null }
            })?,
            Self::List(items) => {
                items.iter().map(|item| item.fill(context)).collect::<Result<Value, _>>()?
            }
            Self::Object(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, shape)| Ok((key.clone(), shape.fill(context)?)))
                    .collect::<Result<_, ExecuteError>>()?,
            ),
        })
    }

    fn fill_map(&self, context: &Value) -> Result<Map<String, Value>, ExecuteError> {
        match self.fill(context)? {
            Value::Object(map) => Ok(map),
            _ => Ok(Map::new()),
        }
    }
}

/// A map among the parameters; none if it is absent.
fn map_in<'a>(
    params: &'a Map<String, Value>,
    field: &str,
) -> Result<Option<&'a Map<String, Value>>, Problems> {
    match params.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(refused(field, "it is no map", "a map")),
    }
}

/// What the names mean: what the engine says, and the inputs as they are now.
fn names(context: &Context, inputs: Map<String, Value>) -> Value {
    let mut names = context.given.names.clone();
    if !names.is_object() {
        let task = json!({"id": context.task, "name": context.name, "user_id": context.user_id});
        names = json!({"results": {}, "states": {}, "task": task, "cycle": context.given.cycle});
    }
    names["inputs"] = Value::Object(inputs);
    names
}

/// A plan that cannot be read any more, although it was read when the task was submitted.
fn unreadable(problems: Problems) -> ExecuteError {
    let all: Vec<String> = problems.0.into_iter().map(|problem| problem.reason).collect();
    ExecuteError::invalid_input(all.join("; "))
}

/// What was gathered so far, in the order in which it was spawned.
fn so_far(context: &Context) -> &[Gathered] {
    context.given.gathered.as_deref().unwrap_or_default()
}

/// Whether a member ended in a way that its pattern has to answer for.
fn went_wrong(member: &Gathered) -> bool {
    matches!(member.state, StateName::Failed | StateName::Cancelled)
}

/// What a pattern says of a member that went wrong: where, and why.
///
/// The error of a pattern inside begins with its own way, which is made part of this one.
fn inside(key: &str, spec: Option<&TaskSpec>, member: &Gathered) -> String {
    let why = match (&member.error, member.state) {
        (Some(why), _) => why.as_str(),
        (None, StateName::Cancelled) => "it was cancelled",
        (None, _) => "it failed without saying why",
    };
    let why: String = why.chars().take(ERROR_CHARS).collect();
    match why.strip_prefix("in ") {
        Some(deeper) if spec.is_some_and(is_in) => format!("in {key}/{deeper}"),
        _ => format!("in {key}: {why}"),
    }
}

/// The failure of a pattern, with what it has to say beside.
fn failed(told: &str, others: usize, result: Value) -> ExecuteError {
    let more = if others == 0 { String::new() } else { format!(" (and {others} more failed)") };
    let failure = Failure::new(FailureKind::Group, format!("{told}{more}"));
    ExecuteError::Permanent { failure, result }
}
