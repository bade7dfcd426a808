//! The words the schemas of the catalogue are written in.

use serde_json::{Map, Value, json};

use crate::store::Page;

pub(super) fn object(fields: &[(&str, bool, Value)]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|(name, _, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<_> =
        fields.iter().filter(|(_, required, _)| *required).map(|(name, ..)| *name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

pub(super) fn one_task() -> Value {
    object(&[("task_id", true, text("The task."))])
}

pub(super) fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

pub(super) fn flag(description: &str, default: bool) -> Value {
    json!({ "type": "boolean", "default": default, "description": description })
}

pub(super) fn number(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": description })
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
    json!({ "type": "array", "items": {"type": "string"}, "description": description })
}

pub(super) fn status() -> Value {
    json!({ "enum": ["pending", "in_progress", "completed", "failed", "cancelled"] })
}

pub(super) fn priority() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": 3, "default": 2,
        "description": "0 urgent, 1 high, 2 normal, 3 low." })
}

pub(super) fn dependencies() -> Value {
    json!({ "type": "array", "description": "Tasks that come first, by id or name.", "items": {
        "anyOf": [{"type": "string"}, {"type": "object", "properties": {
            "id": {"type": "string"}, "name": {"type": "string"},
            "required": {"type": "boolean", "default": true},
        }}],
    } })
}

pub(super) fn options() -> Value {
    json!({ "type": "object", "description": "What holds for each tree.", "properties": {
        "on_failure": {"enum": ["continue", "fail_fast", "skip_dependents"]},
        "structure_order": {"enum": ["soft", "none"]},
        "timeout_seconds": {"type": "number", "exclusiveMinimum": 0},
    } })
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

pub(super) fn tasks_in(description: &str) -> Value {
    let mut item = object(&[
        ("name", true, text("Display name, 1 to 255 characters.")),
        ("id", false, text("Its id; made up if there is none.")),
        ("parent_id", false, text("The task it hangs under, by id or name.")),
        ("dependencies", false, dependencies()),
        ("priority", false, priority()),
        ("inputs", false, map("What the executor is given.")),
        ("params", false, map("How the executor is built; `executor_id` names it.")),
        ("schemas", false, map("`method` names the executor if `params` does not.")),
        ("user_id", false, text("Owner.")),
        ("timeout_seconds", false, json!({"type": "number", "exclusiveMinimum": 0})),
        ("max_attempts", false, json!({"type": "integer", "minimum": 1, "maximum": 100})),
    ]);
    item["additionalProperties"] = json!(true);
    json!({ "type": "array", "items": item, "description": description })
}

pub(super) fn task() -> Value {
    object(&[
        ("id", true, text("Its id.")),
        ("name", true, text("Display name.")),
        ("status", true, status()),
        ("state", true, map("Where it stands in detail: `name`, and what goes with it.")),
        ("parent_id", true, json!({"type": ["string", "null"]})),
        ("task_tree_id", true, text("Its tree.")),
        ("priority", true, priority()),
        ("progress", true, json!({"type": "number", "minimum": 0, "maximum": 1})),
        ("inputs", true, map("What the executor is given.")),
        ("result", true, json!({"description": "What the executor returned."})),
        ("error", true, json!({"type": ["string", "null"]})),
    ])
}
