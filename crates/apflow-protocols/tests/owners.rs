//! A caller bound to one owner: other people's tasks do not exist for it, whatever it asks.

use std::time::Duration;

use apflow_core::{
    api::{ApiError, Call, Caller, Reply},
    code::Code,
};
use serde_json::{Value, json};

use crate::server::gateway;

fn read(method: &str, params: Value) -> Call {
    Call::read(method, params).expect("a good call").call
}

async fn ask(
    gateway: &apflow_core::api::Gateway,
    who: &str,
    method: &str,
    params: Value,
) -> Result<Value, ApiError> {
    let caller = Caller::user(who);
    gateway.call(&caller, read(method, params)).await.map(|reply| reply.json())
}

#[tokio::test]
async fn a_foreign_task_is_answered_like_a_missing_one_by_every_operation() {
    let gateway = gateway(Duration::from_secs(1));
    ask(&gateway, "u1", "tasks.create", json!({"id": "mine", "name": "n"})).await.expect("made");
    for (method, key) in [
        ("tasks.get", "task_id"),
        ("tasks.detail", "task_id"),
        ("tasks.tree", "task_id"),
        ("tasks.children", "parent_id"),
        ("tasks.execute", "task_id"),
        ("tasks.update", "task_id"),
        ("tasks.clone", "task_id"),
        ("tasks.copy", "task_id"),
        ("tasks.delete", "task_id"),
        ("tasks.cancel", "task_id"),
        ("tasks.running.status", "task_id"),
    ] {
        let answer =
            |id: &'static str| ask(&gateway, "u2", method, json!({ key: id, "name": "x" }));
        let told = |answer: Result<Value, ApiError>| match answer {
            Ok(value) => value.to_string(),
            Err(error) => format!("{} {}", error.code, error.data()),
        };
        let foreign = told(answer("mine").await).replace("mine", "none");
        assert_eq!(foreign, told(answer("none").await), "{method}");
    }
    let still = ask(&gateway, "u1", "tasks.get", json!({"id": "mine"})).await.expect("there");
    assert_eq!((&still["status"], &still["name"]), (&json!("pending"), &json!("n")));
}

#[tokio::test]
async fn lists_and_counts_hold_only_the_callers_own() {
    let gateway = gateway(Duration::from_secs(1));
    ask(&gateway, "u1", "tasks.create", json!({"id": "a", "name": "a"})).await.expect("made");
    ask(&gateway, "u2", "tasks.create", json!({"id": "b", "name": "b"})).await.expect("made");
    let list = ask(&gateway, "u2", "tasks.list", json!({})).await.expect("a list");
    assert_eq!((list.as_array().map(Vec::len), &list[0]["id"]), (Some(1), &json!("b")));
    let count = ask(&gateway, "u2", "tasks.count", json!({})).await.expect("a count");
    assert_eq!(count["total"], 1);
    for method in ["tasks.list", "tasks.count", "tasks.running.list", "tasks.running.count"] {
        let error = ask(&gateway, "u2", method, json!({"user_id": "u1"})).await.expect_err(method);
        assert_eq!(error.code, Code::InvalidParams, "{method}");
        assert!(error.detail.starts_with("Permission denied: User u2 can only"), "{error}");
    }
    let everybody = gateway.call(&Caller::local(), read("tasks.list", json!({}))).await;
    assert!(matches!(everybody, Ok(Reply::Tasks(tasks)) if tasks.len() == 2));
    let admin = Caller { admin: true, ..Caller::user("u3") };
    let everybody = gateway.call(&admin, read("tasks.list", json!({}))).await;
    assert!(matches!(everybody, Ok(Reply::Tasks(tasks)) if tasks.len() == 2));
}

#[tokio::test]
async fn b1_the_beginning_of_an_id_leads_to_the_callers_own_tasks_alone() {
    let gateway = gateway(Duration::from_secs(1));
    for (who, id) in [("u1", "ab-1"), ("u2", "ab-2"), ("u2", "ab-3"), ("u2", "c")] {
        ask(&gateway, who, "tasks.create", json!({"id": id, "name": id})).await.expect("made");
    }
    let like = async |who, params| -> String {
        let list = ask(&gateway, who, "tasks.list", params).await.expect("a list");
        let ids = list.as_array().into_iter().flatten().filter_map(|it| it["id"].as_str());
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(like("u1", json!({"id_prefix": "ab"})).await, "ab-1");
    assert_eq!(like("u1", json!({"id_prefix": "ab-2"})).await, "");
    assert_eq!(like("u2", json!({"id_prefix": "ab"})).await, "ab-2 ab-3", "in their order");
    assert_eq!(like("u2", json!({"id_prefix": "ab", "limit": 1, "offset": 1})).await, "ab-3");
    assert_eq!(like("u2", json!({"id_prefix": "ab", "status": "failed"})).await, "");
    assert_eq!(like("u2", json!({"id_prefix": "ab", "status": "pending"})).await, "ab-2 ab-3");
    let paged = json!({"id_prefix": "ab", "page": true});
    let page = ask(&gateway, "u2", "tasks.list", paged).await.expect("a page");
    assert_eq!(page["total"], 2, "{page}");
    let empty = Call::read("tasks.list", json!({"id_prefix": ""})).expect_err("no beginning");
    assert_eq!(empty.code, Code::InvalidParams);
}

#[tokio::test]
async fn nobody_makes_tasks_for_somebody_else() {
    let gateway = gateway(Duration::from_secs(1));
    for (method, params) in [
        ("tasks.create", json!({"name": "a", "user_id": "u1"})),
        ("tasks.create", json!([{"name": "a"}, {"name": "b", "user_id": "u1"}])),
        ("tasks.execute", json!({"tasks": [{"name": "a", "user_id": "u1"}]})),
    ] {
        let error = ask(&gateway, "u2", method, params).await.expect_err("not theirs");
        assert_eq!(error.problems[0].field.as_deref(), Some("user_id"));
    }
    let count = ask(&gateway, "u1", "tasks.count", json!({})).await.expect("a count");
    assert_eq!(count["total"], 0);
}
