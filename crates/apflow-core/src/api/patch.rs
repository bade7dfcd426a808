//! Reading the fields of `tasks.update`: what may change, what is refused, what is ignored.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{ApiError, call::status_word, params::describe};
use crate::{
    breaker::BreakerPolicy,
    code::Code,
    flow::FlowControl,
    id::check_id,
    problem::{nearest, shortened},
    store::Patch,
    submit::{TASK_FIELDS, is_known, whole},
    task::{
        Dependency, Durability, Governance, Join, LOOP_EXPECTED, LoopEdge, MOST_CYCLES, Priority,
        Schedule,
    },
};

/// Known fields that only the engine writes; a client that sends a whole task back may repeat them.
const READ_ONLY: &[&str] = &[
    "id",
    "task_id",
    "task_tree_id",
    "state",
    "has_children",
    "created_at",
    "started_at",
    "updated_at",
    "completed_at",
    "original_task_id",
    "origin_type",
    "has_references",
    "lease_id",
    "lease_expires_at",
    "attempt_id",
    "attempt_count",
    "idempotency_key",
    "last_assigned_node",
    "checkpoint_at",
    "resume_from",
    "token_usage",
    "estimated_cost_usd",
    "actual_cost_usd",
];

/// Reads every field, or says of every field that is wrong what is wrong with it.
pub(super) fn read(fields: Map<String, Value>) -> Result<(Patch, Vec<String>), ApiError> {
    read_as("Update failed", fields)
}

/// Reads the fields that copies get instead of those of their source: authored ones only, and a name
/// that no field has is an error.
///
/// What a copy begins without anyway may be said once more: Python clients send it.
pub(super) fn read_reset(fields: Map<String, Value>) -> Result<(Patch, Vec<String>), ApiError> {
    let mut kept = Map::new();
    let mut faults = Vec::new();
    for (name, value) in fields {
        let value = meant(&name, value);
        let said_anyway = match name.as_str() {
            "status" => value.is_null() || value == "pending",
            "progress" => value.is_null() || value.as_f64() == Some(0.0),
            "result" | "error" | "parent_id" => value.is_null(),
            _ if READ_ONLY.contains(&name.as_str()) => value.is_null(),
            _ => false,
        };
        if said_anyway {
            continue;
        }
        match name.as_str() {
            "status" | "progress" | "result" | "error" => {
                let detail = format!("Cannot reset '{name}': a copy begins anew");
                faults.push(ApiError::refused(Code::InvalidParams, &name, detail));
            }
            "dependencies" | "parent_id" => {
                let detail = format!("Cannot reset '{name}': a copy hangs together as its source");
                faults.push(ApiError::refused(Code::InvalidParams, &name, detail));
            }
            _ if !is_known(&name) => faults.push(no_such_field(&name)),
            _ => {
                kept.insert(name, value);
            }
        }
    }
    let read = read_as("Invalid reset_fields", kept);
    if faults.is_empty() {
        return read;
    }
    faults.extend(read.err());
    Err(all("Invalid reset_fields", faults))
}

/// What is written in a text where no text can be meant: the Python command line sends
/// `--reset-fields priority=1` as `"1"` and has no other way.
fn meant(name: &str, value: Value) -> Value {
    let never_a_text = matches!(
        name,
        "priority"
            | "progress"
            | "inputs"
            | "params"
            | "schemas"
            | "timeout_seconds"
            | "placement_constraints"
            | "max_runs"
            | "schedule_enabled"
            | "schedule_catch_up"
            | "schedule_jitter_seconds"
            | "schedule_misfire_window_seconds"
            | "max_attempts"
            | "max_cycles"
            | "loop"
            | "backoff_base_seconds"
            | "token_budget"
    ) || super::patch_retry::never_a_text(name);
    match &value {
        Value::String(text) if never_a_text => serde_json::from_str(text).unwrap_or(value),
        _ => value,
    }
}

fn no_such_field(name: &str) -> ApiError {
    let shown = describe(&json!(name));
    let detail = match nearest(name, TASK_FIELDS.iter().copied()) {
        Some(near) => format!("{shown} is not a field of a task; did you mean `{near}`?"),
        None => format!("{shown} is not a field of a task"),
    };
    ApiError::refused(Code::InvalidParams, &format!("reset_fields.{}", shortened(name)), detail)
}

fn read_as(what: &str, fields: Map<String, Value>) -> Result<(Patch, Vec<String>), ApiError> {
    let mut patch = Patch::default();
    let mut warnings = Vec::new();
    let mut faults = Vec::new();
    for (name, value) in fields {
        match field(&mut patch, &name, value) {
            Ok(None) => {}
            Ok(Some(warning)) => warnings.push(warning),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok((patch, warnings)) } else { Err(all(what, faults)) }
}

/// One error for all of them, worded as the Python server joined them.
fn all(what: &str, faults: Vec<ApiError>) -> ApiError {
    let first = faults[0].code;
    let code =
        if faults.iter().all(|fault| fault.code == first) { first } else { Code::InvalidParams };
    let begun = format!("{what}:\n- ");
    let texts: Vec<_> = faults
        .iter()
        .map(|fault| fault.detail.strip_prefix(&begun).unwrap_or(&fault.detail))
        .collect();
    let detail = format!("{begun}{}", texts.join("\n- "));
    let hint = faults.iter().find_map(|fault| fault.hint.clone());
    let problems = faults.into_iter().flat_map(|fault| fault.problems).collect();
    ApiError { problems, hint, ..ApiError::new(code, detail) }
}

fn field(patch: &mut Patch, name: &str, value: Value) -> Result<Option<String>, ApiError> {
    match name {
        "parent_id" => return Err(fixed(name, "task hierarchy is fixed")),
        "user_id" => return Err(fixed(name, "task ownership is fixed")),
        "name" => patch.name = Some(task_name(&value)?),
        "priority" => patch.priority = Some(priority(&value)?),
        "inputs" => patch.inputs = Some(object(name, value)?),
        "params" => patch.params = Some(object(name, value)?),
        "schemas" => patch.schemas = Some(object(name, value)?),
        "dependencies" => patch.dependencies = Some(dependencies(value)?),
        "status" => {
            let status = status_word(name, &value).map_err(|error| {
                // The written protocol counts an unknown word as a step that does not exist.
                ApiError { code: Code::IllegalTransition, ..error }
            })?;
            patch.status = Some(status);
        }
        "result" => patch.result = Some((!value.is_null()).then_some(value)),
        "error" => {
            patch.error = Some(match value {
                Value::Null => None,
                Value::String(text) => Some(text),
                other => return Err(ApiError::invalid(name, "a text or null", describe(&other))),
            });
        }
        "progress" => {
            let fraction = value.as_f64().filter(|fraction| (0.0..=1.0).contains(fraction));
            let Some(fraction) = fraction else {
                return Err(ApiError::invalid(name, "a number from 0 to 1", describe(&value)));
            };
            patch.progress = Some(fraction);
        }
        "timeout_seconds" => {
            let fits = value.is_null() || value.as_f64().is_some_and(|seconds| seconds > 0.0);
            let expected = "a number of seconds above 0, or null";
            plain(patch, name, value, fits, expected)?;
        }
        "join" => {
            let fits = serde_json::from_value::<Join>(value.clone()).is_ok();
            plain(patch, name, value, fits, "`all` or `any`")?;
        }
        "when" => {
            if let Some(text) = value.as_str()
                && let Err(problem) = crate::expression::Expression::compile(text)
            {
                return Err(crate::problem::Problems::one(problem.in_field("when")).into());
            }
            let fits = value.is_null() || value.is_string();
            plain(patch, name, value, fits, "an expression or null")?;
        }
        "loop" => {
            let read = serde_json::from_value::<Option<LoopEdge>>(value.clone());
            let fits = read.as_ref().is_ok_and(|edge| {
                let most = edge.as_ref().and_then(|edge| edge.max);
                most.is_none_or(|most| (1..=MOST_CYCLES).contains(&most))
            });
            if let Ok(Some(edge)) = read
                && let Err(problem) = crate::expression::Expression::compile(&edge.condition)
            {
                return Err(crate::problem::Problems::one(problem.in_field("loop.while")).into());
            }
            plain(patch, name, value, fits, LOOP_EXPECTED)?;
        }
        "max_cycles" => {
            let value = within(name, value, 1, i64::from(MOST_CYCLES))?;
            patch.definition.insert(name.to_owned(), value);
        }
        "start" => return Err(fixed(name, "it is said when the task is made")),
        "placement_constraints" => {
            let fits = value.is_null() || value.is_object();
            plain(patch, name, value, fits, "an object or null")?;
        }
        "next_run_at" | "last_run_at" | "run_count" => {
            return Err(fixed(name, "only the scheduler sets it"));
        }
        "max_runs" => {
            let value = within(name, value, 1, i64::MAX)?;
            grouped::<Schedule>(patch, "schedule", name, value)?;
        }
        _ if name.starts_with("schedule_") && TASK_FIELDS.contains(&name) => {
            let value = super::patch_schedule::field(name, value)?;
            grouped::<Schedule>(patch, "schedule", name, value)?;
        }
        "max_attempts" => {
            let value = within(name, value, 1, 100)?;
            grouped::<Durability>(patch, "durability", name, value)?;
        }
        "backoff_strategy" => {
            word(name, &value, &["fixed", "linear", "exponential"])?;
            grouped::<Durability>(patch, "durability", name, value)?;
        }
        "backoff_base_seconds" => {
            let fits = value.is_null()
                || value.as_f64().is_some_and(|seconds| (0.1..=3600.0).contains(&seconds));
            if !fits {
                let expected = "a number of seconds from 0.1 to 3600";
                return Err(ApiError::invalid(name, expected, describe(&value)));
            }
            grouped::<Durability>(patch, "durability", name, value)?;
        }
        _ if super::patch_retry::FIELDS.contains(&name) => {
            let (group, value) = super::patch_retry::field(name, value)?;
            grouped::<serde_json::Map<String, Value>>(patch, group, name, value)?;
        }
        "token_budget" => {
            let value = within(name, value, 1, i64::MAX)?;
            grouped::<Governance>(patch, "governance", name, value)?;
        }
        "cost_policy" => grouped::<Governance>(patch, "governance", name, value)?,
        "limits" | "rate" | "breaker" => flow(patch, name, value)?,
        _ if READ_ONLY.contains(&name) => {
            return Ok(Some(format!("`{name}` cannot be set by clients and was ignored")));
        }
        _ => {
            let name = describe(&json!(name));
            return Ok(Some(format!("{name} is not a field of a task and was ignored")));
        }
    }
    Ok(None)
}

fn fixed(name: &str, why: &str) -> ApiError {
    let detail = format!("Cannot update '{name}': field cannot be modified ({why})");
    ApiError::refused(Code::InvalidParams, name, detail)
}

fn task_name(value: &Value) -> Result<String, ApiError> {
    let wrong = |actual| ApiError::invalid("name", "a text of 1 to 255 characters", actual);
    let text = value.as_str().ok_or_else(|| wrong(describe(value)))?;
    match check_id(text) {
        None => Ok(text.to_owned()),
        Some(why) => Err(wrong(why)),
    }
}

fn priority(value: &Value) -> Result<Priority, ApiError> {
    whole(value).and_then(|number| Priority::try_from(number).ok()).ok_or_else(|| {
        ApiError::invalid("priority", "0 (urgent), 1, 2 (normal) or 3 (low)", describe(value))
    })
}

/// `null` empties the object, as it did in Python.
fn object(name: &str, value: Value) -> Result<Map<String, Value>, ApiError> {
    match value {
        Value::Object(object) => Ok(object),
        Value::Null => Ok(Map::new()),
        other => Err(ApiError::invalid(name, "an object", describe(&other))),
    }
}

fn dependencies(value: Value) -> Result<Vec<Dependency>, ApiError> {
    let items = match value {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        other => {
            let kind = python_type(&other);
            let detail = format!("Cannot update 'dependencies': must be a list, got {kind}");
            let error = ApiError::invalid("dependencies", "an array", describe(&other));
            return Err(ApiError { detail, ..error });
        }
    };
    items.into_iter().map(dependency).collect()
}

fn dependency(item: Value) -> Result<Dependency, ApiError> {
    const NO_ID: &str = "Dependency must have 'id' field or be a string task ID";
    let no_id = || ApiError::refused(Code::InvalidParams, "dependencies", NO_ID);
    let (id, required, plain, extra) = match item {
        Value::String(id) => (id, true, true, Map::new()),
        Value::Object(mut object) => {
            let Some(Value::String(id)) = object.remove("id") else { return Err(no_id()) };
            let required = match object.remove("required") {
                None | Some(Value::Null) => true,
                Some(Value::Bool(required)) => required,
                Some(other) => {
                    let field = "dependencies.required";
                    return Err(ApiError::invalid(field, "true or false", describe(&other)));
                }
            };
            (id, required, false, object)
        }
        _ => return Err(no_id()),
    };
    match check_id(&id) {
        None => Ok(Dependency { id: id.into(), required, plain, extra }),
        Some(why) => Err(ApiError::invalid("dependencies", "task ids of 1 to 255 characters", why)),
    }
}

fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// A field that lies at the top of the stored definition.
fn plain(
    patch: &mut Patch,
    name: &str,
    value: Value,
    fits: bool,
    expected: &str,
) -> Result<(), ApiError> {
    if !fits {
        return Err(ApiError::invalid(name, expected, describe(&value)));
    }
    patch.definition.insert(name.to_owned(), value);
    Ok(())
}

/// A field that lies in a group of the stored definition; `T` says whether the value fits.
fn grouped<T: DeserializeOwned>(
    patch: &mut Patch,
    group: &str,
    name: &str,
    value: Value,
) -> Result<(), ApiError> {
    if !value.is_null() {
        serde_json::from_value::<T>(json!({ name: value })).map_err(|error| {
            ApiError::invalid(name, "a value of its kind", format!("not: {error}"))
        })?;
    }
    let entry = patch.definition.entry(group).or_insert_with(|| json!({}));
    if let Some(entry) = entry.as_object_mut() {
        entry.insert(name.to_owned(), value);
    }
    Ok(())
}

/// A field that says how many of its kind may run; `null` says nothing any more.
fn flow(patch: &mut Patch, name: &str, value: Value) -> Result<(), ApiError> {
    let value = match (name, value) {
        ("limits" | "rate", Value::Null) => json!([]),
        ("breaker", Value::Bool(true)) => json!(BreakerPolicy::default()),
        ("breaker", Value::Bool(false)) => Value::Null,
        (_, value) => value,
    };
    let control: FlowControl = serde_json::from_value(json!({ name: value }))
        .map_err(|error| ApiError::invalid(name, "a value of its kind", format!("not: {error}")))?;
    if let Some((field, why)) = control.mistakes().into_iter().next() {
        return Err(ApiError::refused(Code::InvalidFlow, &field, why));
    }
    grouped::<FlowControl>(patch, "flow", name, value)
}

pub(super) fn word(name: &str, value: &Value, words: &[&str]) -> Result<(), ApiError> {
    if value.is_null() || value.as_str().is_some_and(|word| words.contains(&word)) {
        return Ok(());
    }
    Err(ApiError::invalid(name, format!("one of {}", words.join(", ")), describe(value)))
}

/// A whole number of this range as it is stored, also one that was written with a point; or `null`.
pub(super) fn within(name: &str, value: Value, least: i64, most: i64) -> Result<Value, ApiError> {
    if value.is_null() {
        return Ok(value);
    }
    if let Some(number) = whole(&value).filter(|number| (least..=most).contains(number)) {
        return Ok(json!(number));
    }
    let expected = if most == i64::MAX {
        format!("a whole number from {least}")
    } else {
        format!("a whole number from {least} to {most}")
    };
    Err(ApiError::invalid(name, expected, describe(&value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Status;

    fn patch(value: &Value) -> Result<(Patch, Vec<String>), ApiError> {
        read(value.as_object().cloned().expect("an object"))
    }

    #[test]
    fn ownership_and_hierarchy_are_fixed_and_both_are_told() {
        let error = patch(&json!({"parent_id": "p", "user_id": "u"})).expect_err("fixed");
        assert_eq!(
            error.detail,
            "Update failed:\n- Cannot update 'parent_id': field cannot be modified (task \
             hierarchy is fixed)\n- Cannot update 'user_id': field cannot be modified (task \
             ownership is fixed)"
        );
        assert_eq!(error.problems.len(), 2);
    }

    #[test]
    fn what_v1_stored_unchecked_is_refused_with_its_range() {
        for (field, value) in [
            ("priority", json!(9)),
            ("progress", json!(5)),
            ("name", json!("")),
            ("inputs", json!("str")),
            ("schedule_type", json!("bogus")),
            ("max_runs", json!(-1)),
            ("schedule_start_at", json!("yesterday")),
            ("schedule_start_at", json!("2027-01-01T09:00:00")),
            ("schedule_enabled", json!("yes")),
            ("schedule_timezone", json!("Europe/Nowhere")),
            ("schedule_overlap", json!("never")),
            ("schedule_misfire", json!(1)),
            ("schedule_misfire_window_seconds", json!(0)),
            ("schedule_catch_up", json!(1001)),
            ("schedule_jitter_seconds", json!(-1)),
            ("next_run_at", json!("2027-01-01T09:00:00Z")),
            ("last_run_at", json!(null)),
            ("run_count", json!(0)),
            ("max_attempts", json!(1000)),
            ("timeout_seconds", json!(0)),
            ("join", json!("some")),
        ] {
            let error = patch(&json!({ field: value })).expect_err(field);
            assert_eq!(error.problems[0].field.as_deref(), Some(field));
            assert_eq!(error.code, Code::InvalidParams, "{field}");
        }
        let error = patch(&json!({"status": "weird"})).expect_err("no such word");
        assert_eq!(error.code.rpc(), -32006);
    }

    #[test]
    fn a_whole_number_with_a_point_is_a_whole_number() {
        let (patch, _) = patch(&json!({"priority": 0.0, "max_attempts": 51.0, "max_runs": 3.0}))
            .expect("the same numbers in JSON");
        assert_eq!(patch.priority, Some(Priority::URGENT));
        assert_eq!(patch.definition["durability"], json!({"max_attempts": 51}));
        assert_eq!(patch.definition["schedule"], json!({"max_runs": 3}));
    }

    #[test]
    fn null_clears_and_absence_leaves_alone() {
        let (patch, warnings) =
            patch(&json!({"result": null, "error": null, "status": "pending", "max_runs": null}))
                .expect("a good patch");
        assert_eq!((patch.result, patch.error), (Some(None), Some(None)));
        assert_eq!((patch.status, patch.progress), (Some(Status::Pending), None));
        assert_eq!(patch.definition.get("schedule"), Some(&json!({"max_runs": null})));
        assert!(warnings.is_empty());
    }

    #[test]
    fn every_cleared_field_can_be_read_back_from_storage() {
        let (patch, _) = patch(&json!({
            "schedule_type": null, "schedule_expression": null, "schedule_enabled": null,
            "schedule_start_at": null, "schedule_end_at": null, "max_runs": null,
            "schedule_timezone": null, "schedule_overlap": null, "schedule_misfire": null,
            "schedule_misfire_window_seconds": null, "schedule_catch_up": null,
            "schedule_jitter_seconds": null,
            "max_attempts": null, "backoff_strategy": null, "backoff_base_seconds": null,
            "token_budget": null, "cost_policy": null, "timeout_seconds": null,
            "placement_constraints": null, "limits": null, "rate": null, "breaker": null,
        }))
        .expect("all may be cleared");
        let mut stored = Value::Object(patch.definition);
        stored["name"] = json!("n");
        let definition: crate::task::Definition =
            serde_json::from_value(stored).expect("what storage reads");
        assert_eq!(definition, crate::task::Definition { name: "n".into(), ..Default::default() });
    }

    #[test]
    fn fields_of_the_engine_and_of_nobody_are_ignored_with_a_word() {
        let (patch, warnings) =
            patch(&json!({"id": "b", "lease_id": "l", "colour": 1})).expect("nothing to do");
        assert_eq!(patch, Patch::default());
        assert_eq!(warnings.len(), 3, "{warnings:?}");
    }

    #[test]
    fn dependencies_keep_their_form() {
        let (patch, _) = patch(
            &json!({"dependencies": ["a", {"id": "b", "required": false, "type": "result"}]}),
        )
        .expect("two");
        let list = patch.dependencies.expect("given");
        assert!(list[0].plain && list[0].required);
        assert!(!list[1].plain && !list[1].required && list[1].extra.contains_key("type"));
        let error = super::read(Map::from_iter([("dependencies".to_owned(), json!("x"))]));
        let text = error.expect_err("no list").detail;
        assert!(text.ends_with("must be a list, got str"), "{text}");
    }
}
