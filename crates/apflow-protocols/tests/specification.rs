//! The situations that the JSON-RPC 2.0 specification shows by example, each with methods of ours, on
//! every address that speaks it.

use serde_json::{Value, json};

use crate::{
    client::{exchange, post},
    server::{self, short},
};

/// What is sent, and what comes back; `None`: nothing.
fn situations() -> Vec<(&'static str, String, Option<Value>)> {
    let error = |id: Value, code: i64| json!({"jsonrpc": "2.0", "id": id, "error": {"code": code}});
    let bad = || error(Value::Null, -32600);
    let get = |id: Value, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","method":"tasks.get","params":{params},"id":{id}}}"#)
    };
    let null = |id: i64| json!({"jsonrpc": "2.0", "id": id, "result": null});
    vec![
        ("positions are not taken", get(json!(1), r#"["a"]"#), Some(error(json!(1), -32602))),
        ("names are", get(json!(3), r#"{"task_id":"a"}"#), Some(null(3))),
        (
            "in any order",
            r#"{"id":4,"params":{"task_id":"a"},"method":"tasks.get","jsonrpc":"2.0"}"#.into(),
            Some(null(4)),
        ),
        (
            "a notification",
            r#"{"jsonrpc":"2.0","method":"tasks.list","params":{"limit":1}}"#.into(),
            None,
        ),
        ("one of an unknown method", r#"{"jsonrpc":"2.0","method":"tasks.nope"}"#.into(), None),
        (
            "an unknown method",
            r#"{"jsonrpc":"2.0","method":"tasks.nope","id":"1"}"#.into(),
            Some(error(json!("1"), -32601)),
        ),
        (
            "broken JSON",
            r#"{"jsonrpc":"2.0","method":"tasks.list,"params":"x","y]"#.into(),
            Some(error(Value::Null, -32700)),
        ),
        ("no request object", r#"{"jsonrpc":"2.0","method":1,"params":"x"}"#.into(), Some(bad())),
        (
            "a broken batch",
            r#"[{"jsonrpc":"2.0","method":"tasks.list","id":"1"},{"jsonrpc":"2.0","method""#.into(),
            Some(error(Value::Null, -32700)),
        ),
        ("an empty batch", "[]".into(), Some(bad())),
        ("a batch that is none, but not empty", "[1]".into(), Some(json!([bad()]))),
        ("three of those", "[1,2,3]".into(), Some(json!([bad(), bad(), bad()]))),
        (
            "a mixed batch",
            format!(
                r#"[{},{{"jsonrpc":"2.0","method":"tasks.list"}},{},{{"x":"y"}},{{"jsonrpc":"2.0","method":"tasks.nope","id":"5"}},{}]"#,
                get(json!("1"), r#"{"task_id":"a"}"#),
                get(json!("2"), r#"["a"]"#),
                r#"{"jsonrpc":"2.0","method":"tasks.count","id":"9"}"#,
            ),
            Some(json!([
                {"jsonrpc": "2.0", "id": "1", "result": null}, error(json!("2"), -32602), bad(),
                error(json!("5"), -32601), {"jsonrpc": "2.0", "id": "9", "result": {"total": 0}},
            ])),
        ),
        (
            "a batch of notifications",
            r#"[{"jsonrpc":"2.0","method":"tasks.list"},{"jsonrpc":"2.0","method":"tasks.count"}]"#
                .into(),
            None,
        ),
    ]
}

/// Whether everything that is wanted is there; an answer may say more.
fn holds(got: &Value, want: &Value) -> bool {
    match (got, want) {
        (Value::Object(got), Value::Object(want)) => {
            want.iter().all(|(key, want)| got.get(key).is_some_and(|got| holds(got, want)))
        }
        (Value::Array(got), Value::Array(want)) => {
            got.len() == want.len() && got.iter().zip(want).all(|(got, want)| holds(got, want))
        }
        _ => got == want,
    }
}

#[tokio::test]
async fn each_situation_of_the_specification_is_answered_as_it_says() {
    let server = server::start(short()).await;
    for path in ["/tasks", "/"] {
        for (says, sent, want) in situations() {
            let answer = exchange(server.at, &post(path, "", &sent)).await;
            match want {
                None => {
                    assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{path}: {says}");
                }
                Some(want) => {
                    assert!(
                        holds(&answer.json(), &want),
                        "{path}: {says}\nwant {want}\ngot {}",
                        answer.body
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_knock_of_the_first_python_client_finds_the_server_alive() {
    let server = server::start(short()).await;
    let root = exchange(server.at, &post("/", "", "{}")).await;
    assert_eq!(
        (root.status, &root.json()["error"]["code"]),
        (200, &json!(-32600)),
        "{}",
        root.body
    );
    for (path, body) in [("/tasks", "{}"), ("/", "[]"), ("/", "{\"jsonrpc\":\"2.0\"}")] {
        assert_eq!(exchange(server.at, &post(path, "", body)).await.status, 400, "{path} {body}");
    }
}

#[tokio::test]
async fn a_run_is_asked_for_where_the_first_python_client_asks() {
    let server = server::start(short()).await;
    let missing = exchange(server.at, &post("/tasks/nobody/execute", "", "")).await;
    assert_eq!((missing.status, &missing.json()["error"]["code"]), (404, &json!(-32001)));
}

#[tokio::test]
async fn p21_the_root_takes_the_methods_of_both_addresses() {
    let server = server::start(short()).await;
    for method in ["tasks.list", "system.health", "system.executors"] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method});
        let answer = exchange(server.at, &post("/", "", &body.to_string())).await;
        assert_eq!(answer.status, 200, "{method}: {}", answer.body);
    }
    let unknown = json!({"jsonrpc": "2.0", "id": 1, "method": "message/send"});
    let answer = exchange(server.at, &post("/", "", &unknown.to_string())).await.json();
    assert_eq!(answer["error"]["code"], -32601);
    assert_eq!(answer["error"]["data"]["detail"], "Unknown method: message/send");
    let crossed = json!({"jsonrpc": "2.0", "id": 1, "method": "system.health"});
    let answer = exchange(server.at, &post("/tasks", "", &crossed.to_string())).await.json();
    assert_eq!(answer["error"]["code"], -32601);
}
