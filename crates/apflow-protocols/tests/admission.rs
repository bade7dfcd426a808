//! More requests than the server answers at once: each is answered or told to come later, none is lost.

use std::time::Duration;

use apflow_protocols::http::{HttpConfig, Rate};
use serde_json::json;
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{
    client::{call, connect, exchange, get, post, response},
    real,
    server::{self, short},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o1_of_many_submits_at_once_each_is_stored_or_told_to_come_later() {
    let (gateway, _worker) = real::gateway(Duration::from_secs(5)).await;
    let config = HttpConfig { requests: 8, ..HttpConfig::default() };
    let server = server::start_with(gateway, config).await;
    let many = (0..400).map(|n| {
        let at = server.at;
        tokio::spawn(async move {
            let task = json!({"id": format!("t{n}"), "name": "n"});
            (
                n,
                exchange(
                    at,
                    &post("/v1/tasks", "Content-Type: application/json\r\n", &task.to_string()),
                )
                .await,
            )
        })
    });
    let mut stored = 0;
    for one in many.collect::<Vec<_>>() {
        let (n, answer) = one.await.expect("no panic");
        let there = call_until_answered(server.at, &format!("t{n}")).await;
        match answer.status {
            201 => {
                stored += 1;
                assert_eq!(there, 200, "t{n} was acknowledged");
            }
            503 => {
                assert_eq!(answer.json()["code"], "AF0028");
                let wait = answer.header("retry-after").and_then(|it| it.parse::<u32>().ok());
                assert!(wait.is_some_and(|seconds| seconds >= 1), "{answer:?}");
                assert_eq!(there, 404, "t{n} was refused");
            }
            other => panic!("{other}: {}", answer.body),
        }
    }
    assert!(stored > 0);
}

async fn call_until_answered(at: std::net::SocketAddr, id: &str) -> u16 {
    loop {
        let status = exchange(at, &get(&format!("/v1/tasks/{id}"), "")).await.status;
        if status != 503 {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn o1_a_full_server_says_so_lives_on_and_gets_well_again() {
    let config = HttpConfig { requests: 2, total: Duration::from_secs(3), ..short() };
    let server = server::start(config).await;
    let slow = json!({"jsonrpc": "2.0", "id": 1, "method": "tasks.get", "params": {"id": "slow"}});
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(server.at).await;
        stream.write_all(&post("/tasks", "", &slow.to_string())).await.expect("sent");
        held.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    for (path, method) in [("/tasks", "POST"), ("/v1/tasks", "GET"), ("/openapi.json", "GET")] {
        let request = if method == "GET" { get(path, "") } else { post(path, "", "{}") };
        let answer = exchange(server.at, &request).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{path}");
    }
    assert_eq!(exchange(server.at, &get("/healthz", "")).await.status, 200);
    let ready = exchange(server.at, &get("/readyz", "")).await;
    assert_eq!((ready.status, &ready.json()["reason"]), (503, &json!("the server is overloaded")));
    drop(held);
    let well = async {
        while exchange(server.at, &get("/readyz", "")).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(5), well).await.expect("ready again");
    assert_eq!(call(server.at, "tasks.list", json!({})).await.status, 200);
}

#[tokio::test]
async fn a_run_that_is_waited_for_leaves_its_place_to_others_and_has_a_bound_of_its_own() {
    let config = HttpConfig { requests: 1, waits: 1, ..short() };
    let server = server::start(config).await;
    let run = |id: &str| {
        let params = json!({"tasks": [{"id": id, "name": "hang"}]});
        json!({"jsonrpc": "2.0", "id": 1, "method": "tasks.execute", "params": params}).to_string()
    };
    let mut waiting = connect(server.at).await;
    waiting.write_all(&post("/tasks", "", &run("a"))).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(call(server.at, "tasks.get", json!({"id": "a"})).await.status, 200);
    let second = exchange(server.at, &post("/tasks", "", &run("b"))).await;
    assert_eq!((second.status, second.header("retry-after")), (503, Some("1")));
    let hint = second.json()["error"]["data"]["hint"].clone();
    assert!(hint.as_str().is_some_and(|hint| hint.contains("wait: false")), "{hint}");
    let b = call(server.at, "tasks.get", json!({"id": "b"})).await.json();
    assert_eq!(b["result"], json!(null), "nothing of a refused request is done");
    assert_eq!(response(&mut waiting).await.expect("an answer").status, 504);
}

#[tokio::test]
async fn a_caller_beyond_its_share_is_told_how_long_to_wait() {
    let rate = Some(Rate { per_second: 0.5, burst: 3 });
    let server = server::start(HttpConfig { rate, ..short() }).await;
    for _ in 0..3 {
        assert_eq!(exchange(server.at, &get("/v1/tasks", "")).await.status, 200);
    }
    let refused = exchange(server.at, &get("/v1/tasks", "")).await;
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!("AF0045")));
    assert_eq!(refused.header("retry-after"), Some("2"));
    let refused = call(server.at, "tasks.list", json!({})).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("2")));
    assert_eq!(exchange(server.at, &get("/readyz", "")).await.status, 200, "others may come");
}
