//! Reading the parameters of clone, under its own name and the one of the written protocol.

use serde_json::{Map, Value};

use super::{Call, ID, Read, author::idempotency_key};
use crate::{
    api::{
        ApiError,
        params::{Params, describe},
        patch,
    },
    code::Code,
    derive::{Derive, Mode},
    id::check_id,
};

/// Which new tasks to make of which stored ones.
#[derive(Debug, Clone, PartialEq)]
pub struct CloneTasks {
    /// What to make; its owner and key are settled when it is carried out.
    pub wish: Derive,
    /// Two requests with one key are one request.
    pub idempotency_key: Option<String>,
    /// The fields to reset as they came, by which two requests are told apart.
    pub reset_fields: Map<String, Value>,
}

/// `tasks.clone`, in the shape that was shipped.
pub(super) fn clone(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.clone", params)?;
    let task = needed(&mut params)?;
    let mode = match params.take(&["origin_type"]) {
        None => Mode::Copy,
        Some((_, value)) => value.as_str().and_then(Mode::parse).ok_or_else(|| origin(&value))?,
    };
    let recursive = params.flag("recursive", true)?;
    let links = params.ids(&["link_task_ids"])?;
    if mode == Mode::Mixed && links.is_empty() {
        return Err(ApiError::missing(
            "link_task_ids",
            "an array of task ids",
            "link_task_ids is required when origin_type='mixed'",
        ));
    }
    let mut warnings = Vec::new();
    if mode != Mode::Mixed && !links.is_empty() {
        warnings.push("`link_task_ids` counts in a mixed tree only and was ignored".to_owned());
    }
    let mut reset = params.object("reset_fields")?.unwrap_or_default();
    let reset_fields = reset.clone();
    // The shipped server takes the new owner from here.
    let among_them = match reset.remove("user_id") {
        None | Some(Value::Null) => None,
        Some(Value::String(user)) => Some(user),
        Some(other) => return Err(ApiError::invalid("user_id", "a text", describe(&other))),
    };
    let user_id = match (params.text("user_id")?, among_them) {
        (Some(one), Some(other)) if one != other => {
            let expected = format!("{other}, as `reset_fields` says");
            return Err(ApiError::invalid("user_id", expected, one));
        }
        (one, other) => one.or(other),
    };
    if let Some(why) = user_id.as_deref().and_then(check_id) {
        return Err(ApiError::invalid("user_id", "a text of 1 to 255 characters", why));
    }
    if matches!(mode, Mode::Link | Mode::Archive) && !reset.is_empty() {
        let detail =
            format!("reset_fields means nothing for a {}: it does not change", mode.as_str());
        return Err(ApiError::refused(Code::InvalidParams, "reset_fields", detail)
            .hint("leave it out, or make a copy"));
    }
    if mode == Mode::Archive && user_id.is_some() {
        let detail = "an archived task keeps its owner";
        return Err(ApiError::refused(Code::InvalidParams, "user_id", detail));
    }
    let (reset, ignored) = patch::read_reset(reset)?;
    warnings.extend(ignored);
    let auto_include_deps = match params.take(&["auto_include_deps"]) {
        None => None,
        Some((_, Value::Bool(flag))) => Some(flag),
        Some((name, other)) => {
            return Err(ApiError::invalid(name, "true or false", describe(&other)));
        }
    };
    let wish = Derive {
        mode,
        recursive,
        links: if mode == Mode::Mixed { links } else { Vec::new() },
        reset,
        user_id,
        auto_include_deps,
        include_dependents: params.flag("include_dependents", false)?,
        preview: !params.flag("save", true)?,
        ..Derive::copy(task)
    };
    read(params, wish, reset_fields, warnings)
}

/// `tasks.copy`, in the shape that was written: a copy, alone unless its children are asked for.
pub(super) fn copy(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.copy", params)?;
    let task = needed(&mut params)?;
    let recursive = params.flag("copy_children", false)?;
    let wish = Derive { recursive, ..Derive::copy(task) };
    read(params, wish, Map::new(), Vec::new())
}

fn needed(params: &mut Params) -> Result<crate::id::TaskId, ApiError> {
    params.id(ID)?.ok_or_else(|| ApiError::missing("task_id", "a task id", "Task ID is required"))
}

fn read(
    mut params: Params,
    wish: Derive,
    reset_fields: Map<String, Value>,
    mut warnings: Vec<String>,
) -> Result<Read, ApiError> {
    let idempotency_key = idempotency_key(&mut params)?;
    warnings.extend(params.warnings());
    let clone = CloneTasks { wish, idempotency_key, reset_fields };
    Ok(Read { call: Call::Derive(Box::new(clone)), warnings })
}

fn origin(value: &Value) -> ApiError {
    let said = value.as_str().map_or_else(|| describe(value), |word| describe(&word.into()));
    let said = said.trim_matches('"');
    let detail =
        format!("Invalid origin_type '{said}'. Must be 'copy', 'link', 'archive', or 'mixed'");
    let expected = "copy, link, archive or mixed";
    ApiError { detail, ..ApiError::invalid("origin_type", expected, describe(value)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wish(method: &str, params: Value) -> Derive {
        match Call::read(method, params).expect("a good call").call {
            Call::Derive(clone) => clone.wish,
            other => panic!("{other:?} is no clone"),
        }
    }

    #[test]
    fn a_clone_is_a_copy_of_everything_below_and_tasks_copy_is_one_of_the_task_alone() {
        assert_eq!(wish("tasks.clone", json!({"task_id": "a"})), Derive::copy("a"));
        let alone = Derive { recursive: false, ..Derive::copy("a") };
        assert_eq!(wish("tasks.copy", json!({"task_id": "a"})), alone);
        let with = wish("tasks.copy", json!({"task_id": "a", "copy_children": true}));
        assert_eq!(with, Derive::copy("a"));
    }

    #[test]
    fn what_is_wrong_is_told_in_the_words_of_the_python_server() {
        for (params, text) in [
            (json!({}), "Task ID is required"),
            (
                json!({"task_id": "a", "origin_type": "z"}),
                "Invalid origin_type 'z'. Must be 'copy', 'link', 'archive', or 'mixed'",
            ),
            (
                json!({"task_id": "a", "origin_type": "mixed"}),
                "link_task_ids is required when origin_type='mixed'",
            ),
        ] {
            let error = Call::read("tasks.clone", params).expect_err(text);
            assert_eq!((error.code, error.detail.as_str()), (Code::InvalidParams, text));
        }
    }

    #[test]
    fn the_owner_may_stand_among_the_fields_or_beside_them() {
        let beside = wish("tasks.clone", json!({"task_id": "a", "user_id": "u"}));
        let among = wish("tasks.clone", json!({"task_id": "a", "reset_fields": {"user_id": "u"}}));
        assert_eq!(beside, among);
        assert_eq!(beside.user_id.as_deref(), Some("u"));
        let both = json!({"task_id": "a", "user_id": "v", "reset_fields": {"user_id": "u"}});
        assert!(Call::read("tasks.clone", both).is_err());
    }

    #[test]
    fn a_field_nobody_has_is_refused_with_the_nearest_one_and_what_is_reset_anyway_is_not() {
        let reset = |fields: Value| {
            Call::read("tasks.clone", json!({"task_id": "a", "reset_fields": fields}))
        };
        let error = reset(json!({"nmae": "b"})).expect_err("no such field");
        assert!(error.detail.contains("did you mean `name`?"), "{error}");
        for field in ["status", "result", "dependencies", "priority"] {
            let error = reset(json!({ field: "completed" })).expect_err(field);
            assert!(error.detail.starts_with("Invalid reset_fields:\n- "), "{error}");
            assert_eq!(error.problems.len(), 1, "{field}");
        }
        let anew = json!({"status": "pending", "result": null, "error": null, "progress": 0,
            "started_at": null, "name": "b"});
        let read = reset(anew).expect("that is how a copy begins");
        assert_eq!(read.warnings, [""; 0]);
        for mode in ["link", "archive"] {
            let params =
                json!({"task_id": "a", "origin_type": mode, "reset_fields": {"name": "b"}});
            assert!(Call::read("tasks.clone", params).is_err(), "{mode}");
        }
    }

    #[test]
    fn a_text_counts_for_what_is_written_in_it_where_no_text_can_be_meant() {
        let reset = |fields: Value| {
            Call::read("tasks.clone", json!({"task_id": "a", "reset_fields": fields}))
        };
        let texts = json!({"priority": "3", "inputs": "{\"a\": 1}", "max_runs": "7", "name": "3"});
        let plain = json!({"priority": 3, "inputs": {"a": 1}, "max_runs": 7, "name": "3"});
        let (texts, plain) = (reset(texts).expect("texts"), reset(plain).expect("plain"));
        assert_eq!(texts.call, plain.call);
        assert!(reset(json!({"priority": "high"})).is_err());
        assert!(reset(json!({"priority": "9"})).is_err());
    }
}
