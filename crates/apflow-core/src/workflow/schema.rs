//! The JSON Schema of workflow files, for editors and for `apflow schema workflow`.

use serde_json::{Value, json};

use crate::task::MOST_CYCLES;

/// The schema; strict, so that an editor marks a field that is not there.
pub fn json_schema() -> Value {
    let need = json!({
        "oneOf": [
            {"type": "string", "description": "The key of a task that has to complete first."},
            {
                "type": "object",
                "required": ["task"],
                "additionalProperties": false,
                "properties": {
                    "task": {"type": "string", "description": "The key of the task."},
                    "optional": {
                        "type": "boolean",
                        "description": "It only has to end, however it ends.",
                    },
                    "when": {
                        "type": "string", "minLength": 1, "maxLength": 4096,
                        "description": "The edge is taken only if this expression holds.",
                    },
                    "as": {
                        "type": "string", "minLength": 1, "maxLength": 255,
                        "description": "How expressions call it; its key if nothing is said.",
                    },
                },
            },
        ],
    });
    let time = json!({
        "oneOf": [
            {"type": "number", "description": "Seconds."},
            {
                "type": "string",
                "pattern": r"^\s*([0-9.]+(ms|s|m|h|d)\s*)+$",
                "description": "A time like 500ms, 30s, 10m or 1h30m.",
            },
        ],
    });
    let mut fields = json!({
        "name": {
            "type": "string", "minLength": 1, "maxLength": 255,
            "description": "What it is called; its key if nothing is said.",
        },
        "executor": {"type": "string", "description": "The executor that runs it."},
        "needs": {
            "description": "The tasks that come first; their results become inputs.",
            "oneOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/need"}}],
        },
        "join": {
            "enum": ["all", "any"],
            "description": "Whether it waits for all needs or for the first that completes.",
        },
        "when": {
            "type": "string", "minLength": 1, "maxLength": 4096,
            "description": "It runs only if this expression holds.",
        },
        "loop": {
            "type": "object", "required": ["while"], "additionalProperties": false,
            "description": "Goes round once more after a success, as long as an expression holds.",
            "properties": {
                "to": {
                    "type": "string",
                    "description": "The key of the task it goes back to; itself if nothing is said.",
                },
                "while": {
                    "type": "string", "minLength": 1, "maxLength": 4096,
                    "description": "Asked after each pass, with its `result`.",
                },
                "max": {
                    "type": "integer", "minimum": 1, "maximum": MOST_CYCLES,
                    "description": "Passes in one run, the first one included.",
                },
            },
        },
        "max_cycles": {
            "type": "integer", "minimum": 1, "maximum": MOST_CYCLES,
            "description": "How often it may run in one run, by going round or by jumps; 10 if nothing is said.",
        },
        "start": {
            "enum": ["when_ready", "on_jump"],
            "description": "Whether it begins when its needs are met, or only when another task jumps to it.",
        },
        "inputs": {"type": "object", "description": "What the executor is given."},
        "params": {"type": "object", "description": "How the executor is built."},
        "schemas": {
            "type": "object",
            "description": "`input_schema` is checked before the task runs.",
        },
        "parent": {"type": "string", "description": "The key of the task it hangs under."},
        "priority": {
            "description": "How soon it is taken among those that are ready.",
            "oneOf": [
                {"type": "integer", "minimum": 0, "maximum": 3},
                {"enum": ["urgent", "high", "normal", "low"]},
            ],
        },
        "timeout": {
            "$ref": "#/$defs/time",
            "description": "The longest time one attempt may take.",
        },
        "queue_timeout": {
            "$ref": "#/$defs/time",
            "description": "The longest time from being ready to being taken by a worker.",
        },
        "heartbeat_timeout": {
            "$ref": "#/$defs/time",
            "description": "The longest time an attempt may go without reporting progress.",
        },
        "deadline": {
            "$ref": "#/$defs/time",
            "description": "The longest time from the first attempt to the end, over all attempts.",
        },
        "retry": {
            "type": "object",
            "additionalProperties": false,
            "description": "How it is tried again.",
            "properties": {
                "max_attempts": {
                    "type": "integer", "minimum": 1, "maximum": 100,
                    "description": "Attempts in total.",
                },
                "backoff": {
                    "enum": ["fixed", "linear", "exponential"],
                    "description": "How the delay between attempts grows.",
                },
                "max_retries": {
                    "type": "integer", "minimum": 0, "maximum": 99,
                    "description": "Attempts after the first one, instead of `max_attempts`.",
                },
                "base": {"$ref": "#/$defs/time", "description": "The delay it grows from."},
                "max": {"$ref": "#/$defs/time", "description": "The longest delay."},
                "factor": {
                    "type": "number", "minimum": 1, "maximum": 100,
                    "description": "By how much an exponential delay grows.",
                },
                "jitter": {
                    "enum": ["none", "full", "bounded", true, false],
                    "description": "How delays are spread; true means bounded.",
                },
                "not_on": {
                    "type": "array", "maxItems": 50,
                    "items": {"type": "string", "minLength": 1, "maxLength": 100},
                    "description": "Kinds of failure and words of messages that end it.",
                },
                "deadline": {
                    "$ref": "#/$defs/time",
                    "description": "The longest time from the first attempt to the last one's beginning.",
                },
            },
        },
        "schedule": {
            "type": "object",
            "additionalProperties": false,
            "description": "When it runs by itself.",
            "properties": {
                "type": {
                    "enum": ["once", "interval", "cron", "daily", "weekly", "monthly"],
                    "description": "What kind of schedule it is.",
                },
                "expression": {
                    "type": ["string", "integer"], "maxLength": crate::schedule::MAX_EXPRESSION_BYTES,
                    "description": "When, in the form the type has.",
                },
                "timezone": {
                    "type": "string",
                    "description": "The IANA zone whose clock it follows; UTC if nothing is said.",
                },
                "overlap": {
                    "enum": ["skip", "queue", "cancel_running", "allow"],
                    "description": "What happens while the run before has not ended.",
                },
                "misfire": {
                    "enum": ["fire_once", "skip", "catch_up"],
                    "description": "What happens to times that were missed.",
                },
                "misfire_window": {
                    "$ref": "#/$defs/time", "description": "How late a run may still begin.",
                },
                "catch_up": {
                    "type": "integer", "minimum": 1, "maximum": crate::schedule::MAX_CATCH_UP,
                    "description": "How many missed times are made up for at most.",
                },
                "jitter": {
                    "$ref": "#/$defs/time", "description": "The most that a run is put off.",
                },
                "start_at": {"type": "string", "description": "Not before; with an offset."},
                "end_at": {"type": "string", "description": "Not after; with an offset."},
                "max_runs": {
                    "type": "integer", "minimum": 1, "description": "How often at most.",
                },
                "enabled": {
                    "type": "boolean", "description": "Whether it is on; it is if nothing is said.",
                },
            },
        },
        "user_id": {"type": "string", "description": "Its owner."},
        "placement": {"description": "Where it may run."},
        "token_budget": {
            "type": "integer", "minimum": 0, "description": "The most tokens it may use.",
        },
        "cost_policy": {"type": "string", "description": "The policy that watches its cost."},
        "limits": {
            "type": "array", "maxItems": crate::flow::MAX_KEYS,
            "description": "With whom it shares slots: at most `max` tasks with a key run at once.",
            "items": {
                "type": "object", "required": ["key"], "additionalProperties": false,
                "properties": {
                    "key": {"type": "string", "minLength": 1, "maxLength": 255},
                    "max": {"type": "integer", "minimum": 1},
                },
            },
        },
        "rate": {
            "type": "array", "maxItems": crate::flow::MAX_KEYS,
            "description": "With whom it shares a pace: `limit` units with a key begin per span.",
            "items": {
                "type": "object", "required": ["key", "limit", "per"],
                "additionalProperties": false,
                "properties": {
                    "key": {"type": "string", "minLength": 1, "maxLength": 255},
                    "limit": {"type": "integer", "minimum": 1},
                    "per": {"type": ["string", "integer"]},
                    "burst": {"type": "integer", "minimum": 1},
                    "units": {"type": "integer", "minimum": 1},
                },
            },
        },
        "breaker": {
            "type": ["object", "boolean"], "additionalProperties": false,
            "description": "Its executor is given a rest when it fails again and again.",
            "properties": {
                "threshold": {"type": "integer", "minimum": 1, "maximum": 1000},
                "reset": {"type": ["string", "integer"]},
                "half_open_max": {"type": "integer", "minimum": 1, "maximum": 10},
            },
        },
        "extra": {"type": "object", "description": "Custom fields, kept as they are."},
    });
    if let (Some(fields), Value::Object(patterns)) = (fields.as_object_mut(), patterns()) {
        fields.extend(patterns);
    }
    let task = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": fields,
    });
    let mut listed = task.clone();
    listed["required"] = json!(["key"]);
    listed["properties"]["key"] = json!({
        "type": "string", "minLength": 1, "maxLength": super::MAX_KEY_CHARS,
        "description": "What other tasks of the file call it by.",
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "apflow workflow file",
        "type": "object",
        "required": ["tasks"],
        "additionalProperties": false,
        "properties": {
            "name": {"type": "string", "description": "What the workflow is called."},
            "description": {"type": "string", "description": "What it does."},
            "inputs": {
                "type": "object",
                "description": "Inputs with the values they have unless the caller says otherwise.",
            },
            "on_failure": {
                "enum": ["continue", "fail_fast", "skip_dependents"],
                "description": "What the failure of one task does to the rest.",
            },
            "structure_order": {
                "enum": ["soft", "none"],
                "description": "Whether a parent waits for what hangs under it.",
            },
            "timeout": {
                "$ref": "#/$defs/time",
                "description": "The longest time one run may take.",
            },
            "max_steps": {
                "type": "integer", "minimum": 0, "maximum": u32::MAX,
                "description": "Most iterations and jumps in one run.",
            },
            "max_spawned": {
                "type": "integer", "minimum": 0, "maximum": u32::MAX,
                "description": "Most tasks that one run may spawn.",
            },
            "max_depth": {
                "type": "integer", "minimum": 0, "maximum": u32::MAX,
                "description": "Most spawners above a spawned task.",
            },
            "user_id": {"type": "string", "description": "The owner of all tasks."},
            "tasks": {
                "description": "The tasks, under their keys or as a list with keys.",
                "oneOf": [
                    {
                        "type": "object", "minProperties": 1,
                        "propertyNames": {"minLength": 1, "maxLength": super::MAX_KEY_CHARS},
                        "additionalProperties": {"$ref": "#/$defs/task"},
                    },
                    {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/listed_task"}},
                ],
            },
        },
        "$defs": {"task": task, "listed_task": listed, "need": need, "time": time},
    })
}

/// The fields of tasks that run other tasks.
fn patterns() -> Value {
    json!({
        "workflow": {
            "description": "A whole workflow that runs as this task, or the path of its file.",
            "oneOf": [{"type": "string", "minLength": 1}, {"$ref": "#"}],
        },
        "with": {
            "type": "object",
            "description": "The inputs of the workflow inside, with expressions like {{ results.a }}.",
        },
        "outputs": {
            "type": "object",
            "description": "The result, with expressions over the results of the workflow inside.",
        },
        "map": {
            "type": "object",
            "required": ["each"],
            "description": "A task for each element of a list.",
            "additionalProperties": false,
            "properties": {
                "over": {"description": "The list, or an expression; `inputs.items` by default."},
                "each": {"type": "object", "description": "The task, with `item` and `index`."},
                "max_parallel": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
                "policy": {"description": "How many have to complete; all by default."},
                "reduce": {
                    "description": "An expression over `items`, or a task that is given them.",
                    "type": ["string", "object"],
                },
            },
        },
        "saga": {
            "description": "Steps in turn, each undone if a later one fails.",
            "type": ["array", "object"],
        },
    })
}
