//! How results of dependencies become inputs; what the caller wrote himself always stays.

use serde_json::{Map, Value};

use crate::{executor::Manifest, store::NeedResult, task::Definition};

/// The executor whose tasks gather results even where its manifest is not known.
const AGGREGATE: &str = "aggregate_results_executor";

/// The inputs a task runs with: results of its dependencies, then the caller's own inputs over them.
///
/// Dependencies are taken in the order of `needs`, so of two that bring the same key the later one
/// stays; the result is the same each time. It is at most one level deeper than the deepest result.
pub fn resolve(
    definition: &Definition,
    needs: &[NeedResult],
    manifests: &dyn Fn(&str) -> Option<Manifest>,
) -> Map<String, Value> {
    if needs.is_empty() {
        return definition.inputs.clone();
    }
    let executor = definition.executor();
    let manifest = executor.and_then(manifests);
    let aggregates =
        manifest.as_ref().map_or(executor == Some(AGGREGATE), |manifest| manifest.aggregates);
    let takes =
        manifest.as_ref().map(|manifest| &manifest.input_schema).filter(|it| it.is_object());
    let mut inputs = Map::new();
    for need in needs.iter().filter(|need| need.completed) {
        let result = need.result.as_deref().unwrap_or(&Value::Null);
        // Executors that wrap what they return in `result` mean what is inside.
        let actual = result.get("result").unwrap_or(result);
        if aggregates {
            inputs.insert(need.id.as_str().to_owned(), actual.clone());
            continue;
        }
        let gives = need.executor.as_deref().and_then(manifests).map(|of| of.output_schema);
        let gives = gives.as_ref().filter(|it| it.is_object());
        match (takes, gives, actual) {
            (Some(takes), Some(gives), Value::Object(entries)) if is_simple(gives) => {
                by_name(takes, entries, &mut inputs);
            }
            (None, _, Value::Object(entries)) | (_, None, Value::Object(entries)) => {
                inputs.extend(entries.clone());
            }
            (Some(takes), Some(_), Value::Object(entries)) => {
                fill_required(takes, entries, &definition.inputs, &mut inputs);
                inputs.insert(need.id.as_str().to_owned(), actual.clone());
            }
            _ => {
                inputs.insert(need.id.as_str().to_owned(), actual.clone());
            }
        }
    }
    inputs.extend(definition.inputs.clone());
    inputs
}

/// A required input that the caller left out is taken from a result that has one of that name.
///
/// Optional inputs are not: the response headers of one HTTP call are no request headers of the next.
fn fill_required(
    takes: &Value,
    entries: &Map<String, Value>,
    given: &Map<String, Value>,
    inputs: &mut Map<String, Value>,
) {
    let required = takes.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str).filter(|name| !given.contains_key(*name)) {
        if let Some(value) = entries.get(name) {
            inputs.insert(name.to_owned(), value.clone());
        }
    }
}

/// Whether the only thing an executor declares to return is `result`.
fn is_simple(output: &Value) -> bool {
    output
        .get("properties")
        .and_then(Value::as_object)
        .is_some_and(|properties| properties.len() == 1 && properties.contains_key("result"))
}

/// Gives each declared input the part of the result that has its name.
fn by_name(takes: &Value, result: &Map<String, Value>, inputs: &mut Map<String, Value>) {
    let declared = takes.get("properties").and_then(Value::as_object);
    let mut matched = false;
    for name in declared.into_iter().flat_map(Map::keys) {
        if let Some(value) = result.get(name) {
            inputs.insert(name.clone(), value.clone());
            matched = true;
            continue;
        }
        match (name.as_str(), result.get("result")) {
            ("content", Some(content)) => {
                inputs.insert(name.clone(), content.clone());
            }
            ("messages", Some(messages @ Value::Array(_))) => {
                inputs.insert(name.clone(), messages.clone());
            }
            _ => {}
        }
    }
    if !matched {
        inputs.extend(result.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::StateName;
    use serde_json::json;
    use std::sync::Arc;

    fn need(id: &str, executor: &str, result: Value) -> NeedResult {
        NeedResult {
            id: id.into(),
            executor: Some(executor.to_owned()),
            result: Some(Arc::new(result)),
            completed: true,
            state: StateName::Completed,
        }
    }

    /// `typed` takes a, content and messages; `simple` returns result; `rich` returns two fields;
    /// `gather` aggregates; nothing is known of the rest.
    fn manifests(id: &str) -> Option<Manifest> {
        let mut manifest = Manifest::new(id, "");
        match id {
            "typed" => {
                manifest.input_schema =
                    json!({"properties": {"a": {}, "content": {}, "messages": {}}});
            }
            "other" => manifest.input_schema = json!({"properties": {"z": {}}}),
            "simple" => manifest.output_schema = json!({"properties": {"result": {}}}),
            "rich" => manifest.output_schema = json!({"properties": {"x": {}, "y": {}}}),
            "gather" => {
                manifest.aggregates = true;
                manifest.input_schema = json!({"properties": {"a": {}}});
            }
            _ => return None,
        }
        Some(manifest)
    }

    fn resolved(executor: &str, inputs: &Value, needs: &[NeedResult]) -> Value {
        let mut definition = Definition::default();
        definition.params.insert("executor_id".into(), executor.into());
        definition.inputs = inputs.as_object().cloned().unwrap_or_default();
        Value::Object(resolve(&definition, needs, &manifests))
    }

    #[test]
    fn explicit_inputs_win_over_injected_ones() {
        let needs = [need("d", "unknown", json!({"a": 1, "b": 2}))];
        assert_eq!(resolved("unknown", &json!({"a": 9}), &needs), json!({"a": 9, "b": 2}));
    }

    #[test]
    fn without_both_schemas_an_object_is_merged_and_the_rest_is_named() {
        let needs = [
            need("d", "rich", json!({"a": 1})),
            need("e", "rich", json!([1])),
            need("f", "rich", json!({"result": {"a": 2, "b": 3}})),
        ];
        assert_eq!(resolved("unknown", &json!({}), &needs), json!({"a": 2, "e": [1], "b": 3}));
        let untyped = [need("d", "unknown", json!({"a": 1}))];
        assert_eq!(resolved("typed", &json!({}), &untyped), json!({"a": 1}));
    }

    #[test]
    fn a_rich_result_stands_under_the_id_of_its_task() {
        let needs = [need("d", "rich", json!({"x": 1, "y": 2}))];
        assert_eq!(resolved("typed", &json!({}), &needs), json!({"d": {"x": 1, "y": 2}}));
        let text = [need("d", "simple", json!({"result": "text"}))];
        assert_eq!(resolved("typed", &json!({}), &text), json!({"d": "text"}));
    }

    #[test]
    fn a_simple_result_goes_to_the_inputs_of_its_names() {
        let named = [need("d", "simple", json!({"result": {"a": 1, "b": 2}}))];
        assert_eq!(resolved("typed", &json!({}), &named), json!({"a": 1}));
        let content = [need("d", "simple", json!({"result": {"a": 1, "result": [7]}}))];
        assert_eq!(
            resolved("typed", &json!({}), &content),
            json!({"a": 1, "content": [7], "messages": [7]})
        );
        let foreign = [need("d", "simple", json!({"result": {"b": 2}}))];
        assert_eq!(resolved("other", &json!({}), &foreign), json!({"b": 2}));
    }

    #[test]
    fn an_aggregate_gets_every_result_under_its_id() {
        let needs =
            [need("d", "simple", json!({"result": {"a": 1}})), need("e", "unknown", json!(null))];
        let expected = json!({"d": {"a": 1}, "e": null});
        assert_eq!(resolved("gather", &json!({}), &needs), expected);
        assert_eq!(resolved(AGGREGATE, &json!({}), &needs), expected, "also without its manifest");
    }

    #[test]
    fn an_optional_dependency_that_failed_brings_nothing() {
        let failed = NeedResult {
            completed: false,
            state: StateName::Failed,
            ..need("d", "rich", json!({"error": "x"}))
        };
        assert_eq!(resolved("typed", &json!({"k": 1}), &[failed]), json!({"k": 1}));
    }

    #[test]
    fn what_is_injected_does_not_depend_on_chance() {
        let needs = [need("d", "?", json!({"a": 1})), need("e", "?", json!({"a": 2}))];
        for _ in 0..10 {
            assert_eq!(resolved("?", &json!({}), &needs), json!({"a": 2}));
        }
    }
}
