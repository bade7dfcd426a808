//! What the built-in executors promise, tried from outside.

#![cfg(any(
    feature = "aggregate",
    feature = "command",
    feature = "report",
    feature = "rest",
    feature = "system-info"
))]

#[cfg(feature = "aggregate")]
mod aggregate;
#[cfg(all(
    feature = "aggregate",
    feature = "command",
    feature = "report",
    feature = "rest",
    feature = "system-info"
))]
mod all;
#[cfg(feature = "command")]
mod command;
#[cfg(feature = "rest")]
mod courier;
#[cfg(feature = "rest")]
mod guard;
#[cfg(feature = "report")]
mod report;
#[cfg(feature = "rest")]
mod rest;
#[cfg(feature = "system-info")]
mod system_info;

use std::time::Duration;

use apflow_core::{
    executor::{Context, ExecuteError, Executor},
    task::{Failure, FailureKind},
};
use serde_json::{Map, Value};

/// The object as the inputs of a task.
fn inputs(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("inputs are an object, not {other}"),
    }
}

/// One attempt outside an engine; it may take long on a busy machine, but not for ever.
async fn run(executor: &dyn Executor, value: Value) -> Result<Value, ExecuteError> {
    let context = Context::detached("t");
    let attempt = executor.execute(inputs(value), &context);
    let ended = tokio::time::timeout(Duration::from_secs(20), attempt).await;
    ended.unwrap_or_else(|_| panic!("the attempt does not end"))
}

/// The failure in it, whether final or not.
fn failure(outcome: Result<Value, ExecuteError>) -> Failure {
    match outcome {
        Err(ExecuteError::Transient { failure, .. } | ExecuteError::Permanent { failure, .. }) => {
            failure
        }
        other => panic!("expected a failure, got {other:?}"),
    }
}

/// The message of a failure of this kind.
fn failed_as(outcome: Result<Value, ExecuteError>, kind: FailureKind) -> String {
    let failure = failure(outcome);
    assert_eq!(failure.kind, kind, "{}", failure.message);
    failure.message
}
