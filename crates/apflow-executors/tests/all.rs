//! All executors together, as a process registers them.

use std::sync::Arc;

use apflow_core::registry::Registry;
use apflow_executors::{ExecutorsConfig, register_all};
use serde_json::json;

use crate::aggregate::Stopped;

fn registry() -> Registry {
    let mut registry = Registry::new();
    register_all(&mut registry, &ExecutorsConfig::new(Arc::new(Stopped)));
    registry
}

#[test]
fn every_executor_says_who_it_is_and_what_it_takes() {
    let registry = registry();
    let seen: Vec<(&str, &str, bool)> = registry
        .manifests()
        .map(|(manifest, _)| {
            assert!(manifest.description.ends_with('.'), "{}", manifest.description);
            assert!(!manifest.tags.is_empty());
            for schema in [&manifest.input_schema, &manifest.output_schema] {
                // What it waited for may be anything.
                if manifest.id == "wait" && schema.is_null() {
                    continue;
                }
                assert_eq!(schema["type"], "object", "{}", manifest.id);
                assert!(schema["properties"].is_object(), "{}", manifest.id);
            }
            assert_ne!(manifest.input_schema["additionalProperties"], json!(false));
            (manifest.id.as_str(), manifest.family.as_str(), manifest.unavailable.is_none())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("aggregate_results_executor", "core", true),
            ("command_executor", "stdio", false),
            ("report_executor", "core", true),
            ("rest_executor", "http", true),
            ("system_info_executor", "stdio", true),
            ("wait", "core", true),
        ]
    );
}

#[test]
fn the_families_are_those_of_the_python_extensions() {
    let mut registry = registry();
    registry.allow_only(&["stdio".to_owned()], &[]);
    assert_eq!(registry.allowed_ids(), ["command_executor", "system_info_executor"]);
}
