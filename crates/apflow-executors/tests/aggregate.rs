//! `aggregate_results_executor` from outside.

#![expect(clippy::expect_used, reason = "a helper of tests may panic")]

use std::sync::Arc;

use apflow_core::{
    executor::Executor,
    task::FailureKind,
    time::{Clock, Timestamp},
};
use apflow_executors::aggregate::AggregateResults;
use serde_json::{Value, json};

use crate::{failed_as, run};

/// A clock that stands still.
pub(crate) struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        "2026-11-20T15:26:11.384408+00:00".parse().expect("a moment")
    }
}

async fn aggregate(inputs: Value) -> Value {
    run(&AggregateResults::new(Arc::new(Stopped)), inputs).await.expect("aggregates")
}

#[tokio::test]
async fn results_stand_under_the_ids_of_their_tasks() {
    let result = aggregate(json!({"s2": {"n": 1}, "s3": [2, null]})).await;
    assert_eq!(
        result,
        json!({
            "summary": "Aggregated 2 task results. from: s2, s3",
            "timestamp": "2026-11-20T15:26:11.384408",
            "results": {"s2": {"n": 1}, "s3": [2, null]},
            "result_count": 2
        })
    );
}

#[tokio::test]
async fn the_summary_counts_and_names_up_to_three() {
    assert_eq!(aggregate(json!({})).await["summary"], "No task results to aggregate");
    assert_eq!(aggregate(json!({"b": 1})).await["summary"], "Aggregated 1 task result. from: b");
    let three = aggregate(json!({"a": 1, "b": 2, "c": 3})).await;
    assert_eq!(three["summary"], "Aggregated 3 task results. from: a, b, c");
    let four = aggregate(json!({"a": 1, "b": 2, "c": 3, "d": 4})).await;
    assert_eq!(four["summary"], "Aggregated 4 task results");
}

#[tokio::test]
async fn marks_of_hooks_and_mapped_fields_are_no_results() {
    let result = aggregate(json!({
        "_pre_hook_executed": true, "_pre_hook_timestamp": "x", "a.b": 1, "a": 2
    }))
    .await;
    assert_eq!(result["results"], json!({"a": 2}));
}

#[tokio::test]
async fn a_list_of_dependencies_gathers_these_alone_and_misses_none_that_failed() {
    let result = aggregate(json!({
        "dependencies": ["b", {"id": "a.x", "required": false}, "gone"],
        "a.x": 1, "b": 2, "note": "mine"
    }))
    .await;
    assert_eq!(result["results"], json!({"a.x": 1, "b": 2}));
    assert_eq!(result["result_count"], 2);
}

#[tokio::test]
async fn a_list_that_is_none_is_refused() {
    let executor = AggregateResults::new(Arc::new(Stopped));
    for bad in [json!("b"), json!([1]), json!([{"name": "b"}])] {
        let text = failed_as(
            run(&executor, json!({"dependencies": bad})).await,
            FailureKind::InvalidInput,
        );
        assert!(text.starts_with("[aggregate_results_executor] dependencies"), "{text}");
    }
}

#[test]
fn it_says_that_it_aggregates() {
    let executor = AggregateResults::new(Arc::new(Stopped));
    let manifest = executor.manifest();
    assert!(manifest.aggregates);
    assert_eq!(
        (manifest.id.as_str(), manifest.family.as_str()),
        ("aggregate_results_executor", "core")
    );
}
