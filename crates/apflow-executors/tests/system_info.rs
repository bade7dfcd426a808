//! `system_info_executor` from outside.

#![expect(clippy::expect_used, reason = "a helper of tests may panic")]

use apflow_core::{
    executor::{ExecuteError, Executor},
    task::FailureKind,
};
use apflow_executors::system_info::SystemInfo;
use serde_json::{Value, json};

use crate::{failed_as, run};

async fn look(inputs: Value) -> Value {
    run(&SystemInfo::new(), inputs).await.expect("looks")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn each_resource_has_its_facts() {
    let cpu = look(json!({"resource": "cpu"})).await;
    assert_eq!(cpu["system"], "Linux");
    assert!(cpu["cores"].as_u64().is_some_and(|cores| cores > 0), "{cpu}");
    let memory = look(json!({"resource": "memory", "timeout": 5})).await;
    assert!(memory["total_gb"].as_f64().is_some_and(|gb| gb > 0.0), "{memory}");
    assert!(memory["total_bytes"].as_u64() >= memory["available_bytes"].as_u64(), "{memory}");
    let disk = look(json!({"resource": "disk"})).await;
    for key in ["total", "used", "available", "used_percent"] {
        assert!(disk[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {disk}");
    }
}

#[tokio::test]
async fn all_is_the_default() {
    for inputs in
        [json!({}), json!({"resource": "all"}), json!({"resource": null, "dep": {"x": 1}})]
    {
        let all = look(inputs).await;
        let keys: Vec<&String> = all.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["cpu", "disk", "memory"]);
    }
}

#[tokio::test]
async fn an_unknown_resource_fails_and_keeps_the_object_old_clients_read() {
    let outcome = run(&SystemInfo::new(), json!({"resource": "gpu"})).await;
    let Err(ExecuteError::Permanent { result, failure }) = outcome else {
        panic!("{outcome:?} is no final failure")
    };
    assert_eq!(failure.kind, FailureKind::InvalidInput);
    assert_eq!(result["error"], failure.message);
    assert_eq!(
        result["validation_error"],
        "resource is \"gpu\", expected one of: cpu, memory, disk, all"
    );
}

#[tokio::test]
async fn odd_inputs_are_refused_without_being_repeated_at_length() {
    for bad in [json!({"timeout": 0}), json!({"timeout": 1.5}), json!({"resource": ["cpu"]})] {
        failed_as(run(&SystemInfo::new(), bad).await, FailureKind::InvalidInput);
    }
    let long = json!({"resource": "x".repeat(100_000)});
    let text = failed_as(run(&SystemInfo::new(), long).await, FailureKind::InvalidInput);
    assert!(text.len() < 300, "{} characters", text.len());
}

#[test]
fn it_belongs_to_stdio() {
    assert_eq!(SystemInfo::new().manifest().family, "stdio");
}
