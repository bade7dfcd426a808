//! What one way in takes, kept ready, and what is wrong with a value that it does not take.

use jsonschema::Validator;
use serde_json::Value;

use super::cut;
use crate::problem::{nearest, shortened};

/// So many faults are told.
const MAX_TOLD: usize = 20;

/// An exact schema of our own.
pub struct Contract {
    schema: Value,
    validator: Validator,
}

/// One thing that is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The way to the place, with points: `tasks[0].name`; empty for the value itself.
    pub place: String,
    /// What is wrong there.
    pub what: String,
    /// It is a field that nobody knows.
    pub unknown: bool,
    /// The field that was probably meant.
    pub nearest: Option<String>,
}

impl Contract {
    /// Makes a schema ready; a text says why it is none.
    pub fn new(schema: Value) -> Result<Self, String> {
        let validator = jsonschema::draft202012::new(&schema).map_err(|error| error.to_string())?;
        Ok(Self { schema, validator })
    }

    /// The schema.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// Whether a value fits.
    pub fn takes(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// Everything that is wrong, fields that nobody knows first; nothing if it fits.
    pub fn faults(&self, value: &Value) -> Vec<Fault> {
        if self.takes(value) {
            return Vec::new();
        }
        let mut faults = Vec::new();
        unknown(&self.schema, value, "", &mut faults);
        if faults.is_empty() {
            let all = self.validator.iter_errors(value);
            faults.extend(all.take(MAX_TOLD).map(|error| Fault {
                place: place(&error.instance_path().to_string()),
                what: cut(&error.to_string()),
                unknown: false,
                nearest: None,
            }));
        }
        faults.truncate(MAX_TOLD);
        faults
    }
}

/// `/tasks/0/name` as `tasks[0].name`.
fn place(pointer: &str) -> String {
    let mut text = String::new();
    for part in pointer.split('/').skip(1) {
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            text = format!("{text}[{part}]");
        } else {
            text = inside(&text, &part.replace("~1", "/").replace("~0", "~"));
        }
    }
    shortened(&text)
}

fn inside(place: &str, name: &str) -> String {
    if place.is_empty() { shortened(name) } else { format!("{place}.{}", shortened(name)) }
}

/// Fields that an object may not have, by walking schema and value together.
fn unknown(schema: &Value, value: &Value, at: &str, faults: &mut Vec<Fault>) {
    if faults.len() >= MAX_TOLD {
        return;
    }
    match value {
        Value::Object(fields) => {
            let Some(schema) = alternative(schema, value) else { return };
            let known = schema["properties"].as_object();
            let closed = schema["additionalProperties"] == false;
            for (name, value) in fields {
                match known.and_then(|known| known.get(name)) {
                    Some(below) => unknown(below, value, &inside(at, name), faults),
                    None if closed => {
                        let names = known.into_iter().flat_map(|it| it.keys().map(String::as_str));
                        faults.push(Fault {
                            place: inside(at, name),
                            what: "there is no field of that name here".to_owned(),
                            unknown: true,
                            nearest: nearest(name, names).map(str::to_owned),
                        });
                    }
                    None => {}
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                unknown(&schema["items"], item, &format!("{at}[{index}]"), faults);
            }
        }
        _ => {}
    }
}

/// The schema that says what an object may have: itself, or the way of several that it comes nearest to.
fn alternative<'a>(schema: &'a Value, value: &Value) -> Option<&'a Value> {
    let ways = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    let Some(ways) = ways.filter(|_| schema.get("properties").is_none()) else {
        return Some(schema);
    };
    let shared = |way: &&Value| {
        let known = way["properties"].as_object();
        let has = |name: &&String| known.is_some_and(|known| known.contains_key(name.as_str()));
        value.as_object().map_or(0, |fields| fields.keys().filter(has).count())
    };
    // Of two that share as much the first is meant.
    ways.iter().rev().filter(|way| way.get("properties").is_some()).max_by_key(shared)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn contract() -> Contract {
        let task = json!({
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": {"name": {"type": "string", "maxLength": 5}, "priority": {"type": "integer"}},
        });
        let list = json!({
            "type": "object", "required": ["tasks"], "additionalProperties": false,
            "properties": {"tasks": {"type": "array", "items": task}, "options": {"type": "object"}},
        });
        Contract::new(json!({ "oneOf": [task, list] })).expect("a schema")
    }

    #[test]
    fn a_field_that_nobody_knows_is_told_with_the_one_that_was_meant() {
        let faults = contract().faults(&json!({"name": "a", "prioritty": 1}));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(
            (faults[0].place.as_str(), faults[0].nearest.as_deref()),
            ("prioritty", Some("priority"))
        );
        let faults = contract().faults(&json!({"tasks": [{"name": "a"}, {"nam": "b"}]}));
        assert_eq!(faults[0].place, "tasks[1].nam");
        assert_eq!(faults[0].nearest.as_deref(), Some("name"));
        assert!(contract().faults(&json!({"tasks": [{"name": "a"}]})).is_empty());
    }

    #[test]
    fn a_wrong_value_is_told_with_its_place_and_a_long_one_is_cut() {
        let contract = Contract::new(json!({
            "type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}},
        }))
        .expect("a schema");
        let faults = contract.faults(&json!({"a": [1, "x".repeat(10_000)]}));
        assert_eq!(faults[0].place, "a[1]");
        assert!(faults[0].what.chars().count() < 200, "{faults:?}");
    }

    #[test]
    fn many_faults_are_a_bounded_answer() {
        let fields: serde_json::Map<_, _> =
            (0..1000).map(|n| (format!("f{n}"), json!(1))).collect();
        assert_eq!(contract().faults(&Value::Object(fields)).len(), MAX_TOLD);
    }
}
