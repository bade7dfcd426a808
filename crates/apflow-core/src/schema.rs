//! Whether a value fits a JSON Schema; the only place that knows which library decides it.
//!
//! References to other documents are refused and patterns run in linear time, since both the schema
//! and the value may come from a stranger.

mod contract;

pub use contract::{Contract, Fault};

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::submit::json::{UnfitKind, measure};

/// The longest schema that is looked at, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// So many faults are told.
const MAX_TOLD: usize = 3;

/// Schemas that were made ready, so that a thousand tasks of one executor do it once.
#[derive(Default)]
pub struct Schemas {
    ready: Mutex<HashMap<String, Arc<Ready>>>,
}

/// A schema that was made ready.
struct Ready {
    validator: Validator,
    /// Values of so many levels are known to take bounded effort.
    levels: AtomicUsize,
}

/// So many schemas are kept ready; beyond that all are forgotten and made ready again as they come.
const MAX_READY: usize = 256;

impl Schemas {
    /// The same as [`check`], with a schema that stays ready for the next value.
    pub fn check(&self, schema: &Value, instance: &Value) -> Result<(), String> {
        let text = schema.to_string();
        // A panic while it is held leaves a map that is whole.
        let known = self.ready.lock().unwrap_or_else(PoisonError::into_inner).get(&text).cloned();
        if let Some(known) = known {
            return known.check(schema, instance);
        }
        let made = Arc::new(Ready::of(schema, instance)?);
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.len() >= MAX_READY {
            ready.clear();
        }
        ready.insert(text, Arc::clone(&made));
        drop(ready);
        made.check(schema, instance)
    }
}

/// Says whether `instance` fits `schema`, and if not, where and what was expected.
///
/// `instance` comes from what was stored, so it is at most 65 levels deep. A schema that
/// names no draft is read as draft 7, as the written protocol has it.
pub fn check(schema: &Value, instance: &Value) -> Result<(), String> {
    Ready::of(schema, instance)?.check(schema, instance)
}

impl Ready {
    fn of(schema: &Value, instance: &Value) -> Result<Self, String> {
        measure(schema, MAX_SCHEMA_BYTES).map_err(|unfit| match unfit.what {
            UnfitKind::TooLong { bytes, most } => {
                format!("the schema is {bytes} bytes long, where {most} are allowed")
            }
            _ => format!("the schema cannot be used: {unfit}"),
        })?;
        bounded(schema, instance)?;
        let mut options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        if schema.get("$schema").is_none() {
            options = options.with_draft(Draft::Draft7);
        }
        let validator = options
            .build(schema)
            .map_err(|error| format!("the schema cannot be used: {}", cut(&error.to_string())))?;
        Ok(Self { validator, levels: AtomicUsize::new(levels(instance)) })
    }

    fn check(&self, schema: &Value, instance: &Value) -> Result<(), String> {
        let deep = levels(instance);
        if deep > self.levels.load(Ordering::Relaxed) {
            bounded(schema, instance)?;
            self.levels.fetch_max(deep, Ordering::Relaxed);
        }
        let mut faults = self.validator.iter_errors(instance);
        let told: Vec<String> = faults
            .by_ref()
            .take(MAX_TOLD)
            .map(|fault| {
                let way = fault.instance_path().to_string();
                let place =
                    if way.is_empty() { "the value".to_owned() } else { format!("`{way}`") };
                format!("{place}: {}", cut(&fault.to_string()))
            })
            .collect();
        if told.is_empty() {
            return Ok(());
        }
        let more = if faults.next().is_some() { "; and more" } else { "" };
        Err(format!("{}{more}", told.join("; ")))
    }
}

fn bounded(schema: &Value, instance: &Value) -> Result<(), String> {
    if Effort::is_bounded(schema, instance) {
        return Ok(());
    }
    Err("the schema cannot be used: a reference in it is no `#/…` of its own, or its alternatives \
         multiply"
        .to_owned())
}

/// An error text holds the value it complains about, which may be large.
fn cut(text: &str) -> String {
    crate::problem::shortened(text)
}

/// How often one part of a value would be looked at.
///
/// A few hundred bytes of alternatives that refer to alternatives would keep a worker busy for years,
/// so a schema is not begun with when the count goes too far.
struct Effort<'a> {
    schema: &'a Value,
    /// By place in the schema and levels left in the value; none while it is being counted.
    known: HashMap<(*const Value, usize), Option<u64>>,
}

impl<'a> Effort<'a> {
    /// So often may one part of a value be looked at.
    const MOST: u64 = 10_000;
    /// So many steps may lead from the top of the schema to a place.
    const MAX_STEPS: usize = 1000;
    /// Keywords that look at the same value again.
    const SAME: [&'static str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];

    fn is_bounded(schema: &Value, instance: &Value) -> bool {
        let mut effort = Effort { schema, known: HashMap::new() };
        effort.of(schema, levels(instance), 0).is_some_and(|count| count <= Self::MOST)
    }

    fn of(&mut self, place: &'a Value, level: usize, steps: usize) -> Option<u64> {
        let Value::Object(entries) = place else { return Some(1) };
        if steps > Self::MAX_STEPS {
            return None;
        }
        let key = (std::ptr::from_ref(place), level);
        if let Some(known) = self.known.get(&key) {
            // A reference that leads back without going down ends there.
            return Some(known.unwrap_or(0));
        }
        self.known.insert(key, None);
        let mut count: u64 = 1;
        for (keyword, below) in entries {
            let same = Self::SAME.contains(&keyword.as_str());
            let more = match (keyword.as_str(), below) {
                ("$ref", Value::String(to)) => {
                    let way = to.strip_prefix('#')?;
                    self.of(self.schema.pointer(way)?, level, steps + 1)?
                }
                // Where these lead is known only while a value is looked at.
                ("$dynamicRef" | "$recursiveRef", _) => return None,
                ("definitions" | "$defs", _) => 0,
                // Each part of an object is looked at through its own name.
                ("properties", Value::Object(named)) if level > 0 => {
                    let mut most = 0;
                    for place in named.values() {
                        most = most.max(self.of(place, level - 1, steps + 1)?);
                    }
                    most
                }
                ("dependencies" | "dependentSchemas", Value::Object(named)) => {
                    self.sum(named.values(), level, steps)?
                }
                (_, Value::Array(items)) if same => self.sum(items, level, steps)?,
                (_, Value::Object(_)) if same => self.of(below, level, steps + 1)?,
                ("patternProperties", Value::Object(named)) if level > 0 => {
                    self.sum(named.values(), level - 1, steps)?
                }
                (_, Value::Array(items)) if level > 0 => self.sum(items, level - 1, steps)?,
                (_, Value::Object(_)) if level > 0 => self.of(below, level - 1, steps + 1)?,
                _ => 0,
            };
            count = count.saturating_add(more);
            if count > Self::MOST {
                return None;
            }
        }
        self.known.insert(key, Some(count));
        Some(count)
    }

    fn sum(
        &mut self,
        places: impl IntoIterator<Item = &'a Value>,
        level: usize,
        steps: usize,
    ) -> Option<u64> {
        places.into_iter().try_fold(0_u64, |sum, place| {
            Some(sum.saturating_add(self.of(place, level, steps + 1)?))
        })
    }
}

/// How many levels of lists and objects a value has.
fn levels(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        Value::Object(entries) => 1 + entries.values().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fault_names_the_place_and_what_was_expected() {
        let schema = json!({
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["url"],
        });
        assert_eq!(check(&schema, &json!({"url": "x", "n": 1})), Ok(()));
        let told = check(&schema, &json!({"n": "x"})).expect_err("two faults");
        assert!(
            told.contains("`/n`") && told.contains("integer") && told.contains("url"),
            "{told}"
        );
    }

    #[test]
    fn a_schema_kept_ready_answers_as_one_made_for_the_value() {
        let schemas = Schemas::default();
        for most in 0..MAX_READY + 2 {
            let schema = json!({"type": "object", "properties": {"n": {"maximum": most}}});
            for value in [json!({"n": most}), json!({"n": most + 1}), json!({"n": [[[1]]]})] {
                assert_eq!(schemas.check(&schema, &value), check(&schema, &value));
            }
            assert!(schemas.ready.lock().expect("whole").len() <= MAX_READY);
        }
    }

    #[test]
    fn at_most_three_faults_are_told() {
        let schema = json!({"items": {"type": "string"}});
        let told = check(&schema, &json!([1, 2, 3, 4, 5])).expect_err("five faults");
        assert_eq!(told.matches("is not of type").count(), 3, "{told}");
        assert!(told.ends_with("and more"), "{told}");
    }

    #[test]
    fn a_schema_that_is_too_long_broken_or_points_elsewhere_is_refused() {
        let long = json!({"description": "x".repeat(70_000)});
        let deep = (0..70).fold(json!({}), |inner, _| json!({"not": inner}));
        assert!(check(&deep, &json!(1)).expect_err("too deep").contains("64 levels"));
        assert!(check(&long, &json!(1)).expect_err("too long").contains("65536"));
        assert!(check(&json!({"type": "nothing"}), &json!(1)).is_err());
        let elsewhere = json!({"$ref": "http://127.0.0.1:9/x.json"});
        assert!(check(&elsewhere, &json!(1)).is_err());
        let file = json!({"$ref": "file:///etc/hostname"});
        assert!(check(&file, &json!(1)).is_err());
    }

    #[test]
    fn a_recursive_schema_works_and_a_circle_ends() {
        assert!(check(&json!({"$ref": "#"}), &json!(1)).is_ok());
        let tree = json!({
            "type": "object",
            "properties": {
                "left": {"anyOf": [{"type": "null"}, {"$ref": "#"}]},
                "right": {"$ref": "#"},
            },
        });
        let deep = (0..60).fold(json!({}), |tree, _| json!({"left": tree, "right": {}}));
        assert_eq!(check(&tree, &deep), Ok(()));
        assert!(check(&tree, &json!({"left": {"right": 1}})).is_err());
    }

    #[test]
    fn a_schema_whose_alternatives_multiply_is_not_begun_with() {
        let mut definitions = serde_json::Map::new();
        for place in 0..40 {
            let next = json!({"$ref": format!("#/definitions/d{}", place + 1)});
            definitions.insert(format!("d{place}"), json!({"anyOf": [next, next]}));
        }
        definitions.insert("d40".to_owned(), json!({"type": "string"}));
        let chain = json!({"definitions": definitions, "$ref": "#/definitions/d0"});
        assert!(check(&chain, &json!(1)).expect_err("2^40 ways").contains("multiply"));
        let down = json!({"properties": {"c": {"$ref": "#"}}});
        let doubled = json!({"anyOf": [down, down], "type": "object"});
        let deep = (0..60).fold(json!(1), |inner, _| json!({"c": inner}));
        assert!(check(&doubled, &deep).expect_err("2^60 ways").contains("multiply"));
    }

    #[test]
    fn a_pattern_built_to_run_for_ever_does_not() {
        let schema = json!({"pattern": "^(a+)+$"});
        assert!(check(&schema, &json!(format!("{}!", "a".repeat(5000)))).is_err());
    }
}
