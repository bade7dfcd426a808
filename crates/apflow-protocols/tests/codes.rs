//! Every error code as a client meets it: the request that brings it about, or why no request does.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use apflow_core::code::Code;
use apflow_protocols::http::{HttpConfig, Rate};
use serde_json::{Value, json};

use crate::{
    client::{Response, call, connect, exchange, get, post},
    gate, real,
    server::{self, Server, short},
    webhook,
};

/// How a code is met; a new code does not compile without its line in [`case`].
enum Case {
    /// This JSON-RPC call is answered with it by the scripted engine, after these calls.
    Scripted(&'static [(&'static str, &'static str)], &'static str, &'static str),
    /// This JSON-RPC call is answered with it by a real engine.
    Real(&'static str, &'static str),
    /// The same after these calls.
    After(&'static [(&'static str, &'static str)], &'static str, &'static str),
    /// This body on `/tasks` is.
    Body(&'static str),
    /// A request of its own, below, is.
    Own,
    /// No request is.
    Never(&'static str),
}

use Case::{After, Body, Never, Own, Real, Scripted};

fn case(code: Code) -> Case {
    match code {
        Code::InvalidTask => Real("tasks.create", r#"{"name": "n", "priority": 9}"#),
        Code::Cycle => Real(
            "tasks.create",
            r#"[{"id": "a", "name": "a", "dependencies": ["b"]},
                {"id": "b", "name": "b", "parent_id": "a", "dependencies": ["a"]}]"#,
        ),
        Code::UnknownReference => {
            Real("tasks.create", r#"{"id": "a", "name": "a", "dependencies": ["nobody"]}"#)
        }
        Code::InvalidParent => Real(
            "tasks.create",
            r#"[{"id": "a", "name": "a"}, {"id": "b", "name": "b", "parent_id": "nobody"}]"#,
        ),
        Code::InvalidTree => Real("tasks.create", "[]"),
        Code::NotFound => Real("tasks.tree", r#"{"task_id": "nobody"}"#),
        Code::IllegalTransition => Scripted(
            &[("tasks.create", r#"{"id": "a", "name": "a"}"#)],
            "tasks.update",
            r#"{"task_id": "a", "status": "weird"}"#,
        ),
        Code::AlreadyRunning => Own,
        Code::CannotDelete => Scripted(
            &[("tasks.execute", r#"{"tasks": [{"id": "a", "name": "a"}]}"#)],
            "tasks.delete",
            r#"{"task_id": "a"}"#,
        ),
        Code::UnknownExecutor | Code::ExecutorNotAllowed => {
            Never("tasks may be stored before their executor is there; the task fails with it")
        }
        Code::InvalidParams => Real("tasks.get", "{}"),
        Code::UnknownMethod => Real("tasks.nope", "{}"),
        Code::NotJson => Body("{"),
        Code::InvalidRequest => Body("[]"),
        Code::KeyReused => Scripted(
            &[("tasks.create", r#"{"tasks": [{"name": "a"}], "idempotency_key": "k"}"#)],
            "tasks.create",
            r#"{"tasks": [{"name": "b"}], "idempotency_key": "k"}"#,
        ),
        Code::TooLarge => Own,
        Code::WorkflowFile => Never("workflow files are read where the command line runs"),
        Code::Internal => Scripted(&[], "tasks.get", r#"{"task_id": "panic"}"#),
        Code::DatabaseLocked => Scripted(&[], "tasks.get", r#"{"task_id": "locked"}"#),
        Code::DatabaseFull => Scripted(&[], "tasks.get", r#"{"task_id": "full"}"#),
        Code::DatabaseDamaged => Scripted(&[], "tasks.get", r#"{"task_id": "damaged"}"#),
        Code::DatabaseTooNew => Scripted(&[], "tasks.get", r#"{"task_id": "too-new"}"#),
        Code::DatabaseUnavailable => Scripted(&[], "tasks.get", r#"{"task_id": "down"}"#),
        Code::DatabaseAddress => Never("a server does not start on an address it does not know"),
        Code::EgressRefused | Code::CommandRefused | Code::InvalidInputs => {
            Never("the attempt is refused, so the task fails with it")
        }
        Code::Overloaded => Scripted(&[], "tasks.get", r#"{"task_id": "overloaded"}"#),
        Code::Timeout => Scripted(&[], "tasks.get", r#"{"task_id": "slow"}"#),
        Code::Draining => Own,
        Code::Config => Never("the configuration is read where the command line runs"),
        Code::NoSnapshot => After(
            &[("tasks.create", r#"{"id": "kept", "name": "kept"}"#)],
            "snapshots.restore",
            r#"{"task_id": "kept", "name": "nobody"}"#,
        ),
        Code::UnreadableExport => {
            Real("snapshots.import", r#"{"context": {}, "state": {}, "meta": {}}"#)
        }
        Code::SnapshotMismatch => {
            Never("tasks of a snapshot can be deleted only where nobody runs them")
        }
        Code::SnapshotTooLarge => Never("a submission of 64 MiB is beyond the size of a request"),
        Code::NoBudget => Real("budgets.delete", r#"{"scope": "global"}"#),
        Code::NotAsking => After(
            &[("tasks.create", r#"{"id": "asks-nothing", "name": "asks-nothing"}"#)],
            "budgets.decide",
            r#"{"task_id": "asks-nothing", "approve": true}"#,
        ),
        Code::NotOffered => Never("the stores that apflow ships offer everything"),
        Code::NoSuchWait | Code::WaitClosed | Code::UnfitAnswer => {
            Never("a task has to park first; the tests of questions meet them")
        }
        Code::InvalidExpression => {
            Real("tasks.create", r#"{"tasks": [{"name": "a", "when": "1 +"}]}"#)
        }
        Code::InvalidGroup => Real(
            "tasks.create",
            r#"{"tasks": [{"name": "a", "params": {"executor_id": "group"}}]}"#,
        ),
        Code::InvalidPattern => Real(
            "tasks.create",
            r#"{"tasks": [{"name": "a", "params": {"executor_id": "saga", "steps": []}}]}"#,
        ),
        Code::InvalidFlow => {
            Real("tasks.create", r#"{"name": "a", "limits": [{"key": "k", "max": 0}]}"#)
        }
        Code::NoLimit => Real("limits.delete", r#"{"key": "k"}"#),
        Code::NoBreaker => Real("breakers.reset", r#"{"key": "k"}"#),
        Code::NoDeadLetter => Never("the store of these tests keeps no dead letters"),
        Code::ChannelType => After(
            &[
                ("tasks.create", r#"{"id": "c", "name": "c"}"#),
                ("channels.set", r#"{"task_id": "c", "key": "k", "value": "text"}"#),
            ],
            "channels.add",
            r#"{"task_id": "c", "key": "k"}"#,
        ),
        Code::ChannelChanged => After(
            &[("tasks.create", r#"{"id": "d", "name": "d"}"#)],
            "channels.set",
            r#"{"task_id": "d", "key": "k", "value": 1, "if_version": 7}"#,
        ),
        Code::ChannelLock => Never("locks are taken by tasks; who is outside only sees them"),
        Code::ChannelFull => Never("it takes ten thousand keys; the rules of channels show it"),
        Code::ChannelGone => Never("each call from outside finds the channel of the newest run"),
        Code::NoGenerator => Real("tasks.generate", r#"{"requirement": "r"}"#),
        Code::NoLlmKey => Never("a generator says it, and this server has none"),
        Code::SettingRefused => Real("config.get", r#"{"key": "api.timeout"}"#),
        Code::ServerUnreachable | Code::AmbiguousId => {
            Never("it is met where the command line runs")
        }
        Code::Unauthorized | Code::Forbidden | Code::WebhookRefused | Code::TooManyStreams => Own,
        Code::Unfinished => After(
            &[("tasks.create", r#"{"id": "fresh", "name": "fresh"}"#)],
            "tasks.clone",
            r#"{"task_id": "fresh", "origin_type": "link"}"#,
        ),
        Code::Fixed => After(
            &[
                (
                    "tasks.execute",
                    r#"{"tasks": [{"id": "done", "name": "done", "schemas": {"method": "echo"}}]}"#,
                ),
                ("tasks.clone", r#"{"task_id": "done", "origin_type": "archive"}"#),
            ],
            "tasks.update",
            r#"{"task_id": "done", "name": "other"}"#,
        ),
        Code::InvalidSchedule => Real(
            "tasks.create",
            r#"{"name": "n", "schedule_type": "cron", "schedule_expression": "61 * * * *"}"#,
        ),
        Code::NoSchedule => After(
            &[("tasks.create", r#"{"id": "plain", "name": "plain"}"#)],
            "tasks.scheduled.init",
            r#"{"task_id": "plain"}"#,
        ),
        Code::OverlapUnavailable => Real(
            "tasks.create",
            r#"{"name": "n", "schedule_type": "interval", "schedule_expression": "60",
                "schedule_overlap": "allow"}"#,
        ),
        Code::NoCallbacks => Real(
            "tasks.execute",
            r#"{"tasks": [{"name": "n"}], "webhook_config": {"url": "https://example.com/"}}"#,
        ),
        Code::HttpRequest => Own,
        Code::RateLimited => Own,
    }
}

async fn scripted() -> Server {
    server::start(short()).await
}

fn params(text: &str) -> Value {
    serde_json::from_str(text).expect(text)
}

/// The request of its own that brings about a code, and its answer.
async fn own(code: Code) -> Response {
    match code {
        Code::AlreadyRunning => {
            let server = scripted().await;
            let hang = json!({"tasks": [{"id": "r", "name": "hang"}], "wait": false});
            call(server.at, "tasks.execute", hang).await;
            exchange(server.at, &post("/v1/tasks/r/execute", "", "")).await
        }
        Code::TooLarge => {
            let server = scripted().await;
            exchange(server.at, &post("/tasks", "", &" ".repeat((1 << 20) + 1))).await
        }
        Code::Draining => draining().await,
        Code::HttpRequest => {
            let server = scripted().await;
            exchange(server.at, &get("/nothing", "")).await
        }
        Code::RateLimited => {
            let rate = Some(Rate { per_second: 0.1, burst: 1 });
            let server = server::start(HttpConfig { rate, ..short() }).await;
            assert_eq!(ask(server.at).await.status, 200);
            ask(server.at).await
        }
        Code::Unauthorized => {
            let server = gate::shut().await;
            ask(server.at).await
        }
        Code::Forbidden => {
            let server = gate::shut().await;
            let token = gate::jwt_of("u1", &json!({"scope": "read"}));
            let delete = json!({"task_id": "a"});
            gate::call_as(&server, &gate::bearer(&token), "tasks.delete", &delete).await
        }
        Code::WebhookRefused => {
            let server = webhook::start(webhook::with_secret()).await;
            exchange(server.at, &post("/webhook/trigger/a", "", "")).await
        }
        Code::TooManyStreams => {
            let server = server::start(HttpConfig { streams: 0, ..short() }).await;
            exchange(server.at, &get("/v1/events", "")).await
        }
        other => panic!("{other} has no request of its own"),
    }
}

async fn ask(to: SocketAddr) -> Response {
    call(to, "tasks.list", json!({})).await
}

async fn draining() -> Response {
    let server = scripted().await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tasks.execute",
        "params": {"tasks": [{"name": "hang"}]}});
    let mut stream = connect(server.at).await;
    let request = post("/tasks", "", &body.to_string());
    tokio::io::AsyncWriteExt::write_all(&mut stream, &request).await.expect("sent");
    // The wait ends by itself after 500 ms; the server gives up 400 ms after it was told to stop.
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop.cancel();
    crate::client::response(&mut stream).await.expect("an answer")
}

#[tokio::test]
async fn every_error_code_is_met_or_cannot_be() {
    let (gateway, _worker) = real::gateway(Duration::from_secs(5)).await;
    let real = server::start_with(gateway, HttpConfig::default()).await;
    let mut never = BTreeSet::new();
    for code in Code::ALL {
        let answer = match case(*code) {
            Real(method, with) => call(real.at, method, params(with)).await,
            Scripted(before, method, with) => {
                let server = scripted().await;
                for (method, with) in before {
                    let done = call(server.at, method, params(with)).await;
                    assert_eq!(done.status, 200, "{code}: {}", done.body);
                }
                call(server.at, method, params(with)).await
            }
            After(before, method, with) => {
                for (method, with) in before {
                    let done = call(real.at, method, params(with)).await;
                    assert_eq!(done.status, 200, "{code}: {}", done.body);
                }
                call(real.at, method, params(with)).await
            }
            Body(body) => exchange(real.at, &post("/tasks", "", body)).await,
            Own => own(*code).await,
            Never(why) => {
                assert!(!why.is_empty());
                never.insert(code.as_str());
                continue;
            }
        };
        let body = answer.json();
        let told = body.get("code").or_else(|| body["error"]["data"].get("code"));
        assert_eq!(told, Some(&json!(code.as_str())), "{body}");
        // The layer below JSON-RPC has words of its own for what is wrong with a request.
        if *code != Code::HttpRequest {
            assert_eq!(answer.status, code.http(), "{code}: {body}");
        }
        if body["error"].is_object() {
            assert_eq!(body["error"]["code"], code.rpc(), "{body}");
        }
        let later = [429, 503].contains(&answer.status);
        assert_eq!(answer.header("retry-after").is_some(), later, "{code}: {answer:?}");
    }
    let known: BTreeSet<_> =
        ["AF0010", "AF0011", "AF0018", "AF0024", "AF0026", "AF0027", "AF0031", "AF0033"].into();
    assert!(never.is_superset(&known) && never.len() >= known.len(), "{never:?}");
}

#[tokio::test]
async fn the_old_wording_is_a_switch_for_tasks_and_system_and_leaves_v1_alone() {
    let config = HttpConfig { compat_errors_v1: true, ..short() };
    let server = server::start(config).await;
    let missing = call(server.at, "tasks.tree", json!({"task_id": "x"})).await;
    assert_eq!(missing.status, 500);
    let want = json!({"code": -32603, "message": "Internal error", "data": "Task x not found"});
    assert_eq!(missing.json()["error"], want);
    let broken = exchange(server.at, &post("/tasks", "", "{")).await;
    assert_eq!((broken.status, &broken.json()["error"]["code"]), (500, &json!(-32603)));
    assert!(broken.json()["error"]["data"].is_string(), "{}", broken.body);
    let large = exchange(server.at, &post("/tasks", "", &" ".repeat((1 << 20) + 1))).await;
    assert_eq!(large.status, 413, "what the layer below refuses keeps its status");
    assert!(large.json()["error"]["data"].is_string(), "{}", large.body);
    let rest = exchange(server.at, &get("/v1/tasks/x", "")).await;
    assert_eq!((rest.status, &rest.json()["code"]), (404, &json!("AF0006")));
}
