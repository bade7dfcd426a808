//! The words the schemas of the catalogue are written in.
//!
//! They are exact: what they do not name is refused where a surface is strict (ruling 34).

use serde_json::{Map, Value, json};

pub(super) use super::shapes::{options, task, tasks_in};
use crate::{api::params::MAX_IDS, id::MAX_ID_CHARS, store::Page};

/// An object with these fields and no others.
pub(super) fn object(fields: &[(&str, bool, Value)]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|(name, _, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<_> =
        fields.iter().filter(|(_, required, _)| *required).map(|(name, ..)| *name).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema["additionalProperties"] = json!(false);
    schema
}

pub(super) fn one_task() -> Value {
    object(&[("task_id", true, id("The task."))])
}

/// The same values, or `null`, which says as much as leaving it out.
pub(super) fn or_null(mut schema: Value) -> Value {
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    if let Some(ways) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        ways.push(json!({ "type": "null" }));
    }
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    schema
}

/// An id or a name.
pub(super) fn id(description: &str) -> Value {
    brief(description, MAX_ID_CHARS)
}

/// A text of at least one and at most so many characters.
pub(super) fn brief(description: &str, most: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": most, "description": description })
}

/// Whose tasks are meant.
pub(super) fn owner() -> Value {
    json!({ "type": "string", "maxLength": MAX_ID_CHARS, "description": "Only this owner's." })
}

pub(super) fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

pub(super) fn flag(description: &str, default: bool) -> Value {
    json!({ "type": "boolean", "default": default, "description": description })
}

pub(super) fn number(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX, "description": description })
}

pub(super) fn limit(default: u32) -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": Page::MAX, "default": default,
        "description": "At most so many." })
}

pub(super) fn map(description: &str) -> Value {
    json!({ "type": "object", "description": description })
}

pub(super) fn list_of(item: &Value) -> Value {
    json!({ "type": "array", "items": item })
}

pub(super) fn ids(description: &str) -> Value {
    json!({ "type": "array", "items": id("A task."), "maxItems": MAX_IDS,
        "description": description })
}

pub(super) fn status() -> Value {
    json!({ "type": "string",
        "enum": ["pending", "in_progress", "completed", "failed", "cancelled"] })
}

pub(super) fn priority() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": 3, "default": 2,
        "description": "0 urgent, 1 high, 2 normal, 3 low." })
}

pub(super) fn callback() -> Value {
    json!({ "type": "object", "required": ["url"], "description": "Where to tell of the run.",
        "properties": {
            "url": {"type": "string", "format": "uri"},
            "method": {"enum": ["POST", "PUT"], "default": "POST"},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "timeout": {"type": "number", "exclusiveMinimum": 0, "default": 30},
            "max_retries": {"type": "integer", "minimum": 0, "default": 3},
        } })
}
