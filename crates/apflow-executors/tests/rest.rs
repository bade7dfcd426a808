//! `rest_executor` from outside, against servers on this machine.

#![expect(clippy::expect_used, reason = "a helper of tests may panic")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use apflow_core::{
    executor::{Context, ExecuteError, Executor},
    task::FailureKind,
};
use apflow_executors::rest::{ID, RestConfig, RestExecutor};
use axum::{
    Json, Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::IntoResponse,
    routing::{any, get},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{failed_as, failure, inputs, run};

const SOON: Duration = Duration::from_secs(5);

/// Serves on a free port until the test ends.
pub(crate) async fn serve(app: Router) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

/// Answers every connection with `head`, and then with `endless` for ever.
async fn serve_raw(head: &'static str, endless: Option<&'static [u8]>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(head.as_bytes()).await;
                if endless.is_some_and(<[u8]>::is_empty) {
                    // Silent, but there: the connection stays open.
                    std::future::pending::<()>().await;
                }
                while let Some(chunk) = endless {
                    if stream.write_all(chunk).await.is_err() {
                        return;
                    }
                }
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

fn config(port: u16) -> RestConfig {
    let rule = format!("127.0.0.1:{port}").parse().expect("a rule");
    RestConfig { allow_hosts: vec![rule], ..RestConfig::default() }
}

fn allowed(port: u16) -> RestExecutor {
    RestExecutor::new(&config(port))
}

fn at(port: u16, path: &str) -> String {
    format!("http://127.0.0.1:{port}{path}")
}

/// Says what it was asked.
async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Json<Value> {
    let headers: serde_json::Map<String, Value> = headers
        .iter()
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned().into())
        })
        .collect();
    Json(json!({
        "method": method.as_str(),
        "uri": uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    }))
}

async fn echo_port() -> u16 {
    serve(Router::new().fallback(echo)).await
}

#[tokio::test]
async fn an_answer_in_json_has_the_shape_clients_know() {
    let app = Router::new().route(
        "/users",
        get(|| async { ([("set-cookie", "sid=1"), ("x-request-id", "r1")], Json(json!([1, 2]))) }),
    );
    let port = serve(app).await;
    let mut result = run(&allowed(port), json!({"url": at(port, "/users")})).await.expect("called");
    let headers = result["headers"].take();
    assert_eq!(
        result,
        json!({
            "success": true, "status_code": 200, "url": at(port, "/users"), "headers": null,
            "method": "GET", "json": [1, 2]
        })
    );
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-request-id"], "r1");
    assert_eq!(headers.get("set-cookie"), None, "only listed headers are kept");
}

#[tokio::test]
async fn a_refusal_of_the_server_is_a_completed_result() {
    let app = Router::new()
        .route("/gone", any(|| async { (StatusCode::GONE, Json(json!({"error": "gone"}))) }))
        .route("/plain", any(|| async { "a\u{0}b" }))
        .route("/moved", any(|| async { StatusCode::FOUND }));
    let port = serve(app).await;
    let executor = allowed(port);
    let gone = run(&executor, json!({"url": at(port, "/gone"), "method": "delete"})).await;
    let gone = gone.expect("the call itself went well");
    assert_eq!((&gone["success"], &gone["status_code"]), (&json!(false), &json!(410)));
    assert_eq!(gone["text"], "{\"error\":\"gone\"}");
    assert_eq!(gone["method"], "DELETE");
    let plain = run(&executor, json!({"url": at(port, "/plain")})).await.expect("called");
    assert_eq!(plain["text"], "a\u{fffd}b", "no database keeps U+0000");
    let moved = run(&executor, json!({"url": at(port, "/moved")})).await.expect("called");
    assert_eq!(moved["status_code"], 302, "a redirect that leads nowhere is an answer");
}

#[tokio::test]
async fn every_part_of_a_request_arrives() {
    let port = echo_port().await;
    let executor = allowed(port);
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
        let inputs = json!({
            "url": at(port, "/a?x=1"), "method": method, "headers": {"X-Mine": 7},
            "params": {"q": "a b&c", "n": 2, "list": [1, true], "none": null},
            "json": {"k": [1]}, "data": {"ignored": 1}, "some_task": {"result": 1}
        });
        let seen = run(&executor, inputs).await.expect("called")["json"].take();
        assert_eq!(seen["method"], method);
        assert_eq!(seen["uri"], "/a?x=1&list=1&list=true&n=2&q=a+b%26c");
        assert_eq!(seen["headers"]["x-mine"], "7");
        assert_eq!(seen["headers"]["content-type"], "application/json");
        assert_eq!(seen["body"], "{\"k\":[1]}");
    }
    let form = json!({"url": at(port, "/"), "method": "POST", "data": {"a": "x y", "b": 1}});
    let seen = run(&executor, form).await.expect("called")["json"].take();
    assert_eq!(seen["headers"]["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(seen["body"], "a=x+y&b=1");
    let text = json!({
        "url": at(port, "/"), "method": "POST", "data": "<a/>",
        "headers": {"Content-Type": "text/xml"}
    });
    let seen = run(&executor, text).await.expect("called")["json"].take();
    assert_eq!(
        (&seen["headers"]["content-type"], &seen["body"]),
        (&json!("text/xml"), &json!("<a/>"))
    );
    let head = json!({"url": at(port, "/"), "method": "HEAD"});
    let head = run(&executor, head).await.expect("called");
    assert_eq!((&head["success"], &head["text"]), (&json!(true), &json!("")));
}

/// Remembers what it was asked and answers nothing that was in it.
async fn witness() -> (u16, Arc<Mutex<Vec<(Uri, HeaderMap)>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let app = Router::new().fallback(move |uri: Uri, headers: HeaderMap| {
        let notes = Arc::clone(&notes);
        async move {
            notes.lock().expect("not poisoned").push((uri, headers));
            StatusCode::NO_CONTENT
        }
    });
    (serve(app).await, seen)
}

#[tokio::test]
async fn each_kind_of_auth_arrives() {
    let (port, seen) = witness().await;
    let executor = allowed(port);
    for (auth, name, value) in [
        (json!({"type": "bearer", "token": "t0k"}), "authorization", "Bearer t0k"),
        (
            json!({"type": "basic", "username": "me", "password": "pa:ss"}),
            "authorization",
            "Basic bWU6cGE6c3M=",
        ),
        (json!({"type": "apikey", "key": "X-Key", "value": "k1"}), "x-key", "k1"),
    ] {
        run(&executor, json!({"url": at(port, "/"), "auth": auth})).await.expect("called");
        let (_, headers) = seen.lock().expect("not poisoned").pop().expect("it came");
        assert_eq!(headers.get(name).expect(name), value);
    }
    let inputs = json!({
        "url": at(port, "/?a=1"),
        "auth": {"type": "apikey", "key": "k", "value": "a b", "location": "query"}
    });
    run(&executor, inputs).await.expect("called");
    let (uri, _) = seen.lock().expect("not poisoned").pop().expect("it came");
    assert_eq!(uri.to_string(), "/?a=1&k=a+b");
    let own = json!({
        "url": at(port, "/"), "headers": {"Authorization": "mine"},
        "auth": {"type": "bearer", "token": "other"}
    });
    run(&executor, own).await.expect("called");
    let (_, headers) = seen.lock().expect("not poisoned").pop().expect("it came");
    assert_eq!(headers["authorization"], "mine", "the header of the task goes first");
}

#[tokio::test]
async fn l1_no_secret_is_in_a_result_even_if_the_server_repeats_it() {
    let port = echo_port().await;
    let executor = allowed(port);
    let url = at(port, "/");
    for inputs in [
        json!({"url": url, "auth": {"type": "bearer", "token": "CANARY-0001"}}),
        json!({"url": url, "auth": {"type": "basic", "username": "me", "password": "CANARY-0001"}}),
        json!({"url": url, "auth": {"type": "apikey", "key": "X-K", "value": "CANARY-0001"}}),
        json!({"url": url, "auth": {
            "type": "apikey", "key": "k", "value": "CANARY-0001 ü/", "location": "query"
        }}),
        json!({"url": url, "headers": {"Authorization": "Bearer CANARY-0001"}}),
        json!({"url": url, "headers": {"Cookie": "a=1; sid=CANARY-0001"}}),
        json!({"url": url, "headers": {"X-Api-Key": "CANARY-0001"}}),
    ] {
        let result = run(&executor, inputs.clone()).await.expect("called").to_string();
        assert!(result.contains("\"uri\""), "the server did answer: {result}");
        assert!(!result.contains("CANARY"), "{inputs} -> {result}");
        assert!(!result.contains("Q0FOQVJZ"), "nor in base64: {result}");
    }
    let in_query = json!({"url": at(port, "/?api_key=CANARY-0001&q=1")});
    let result = run(&executor, in_query).await.expect("called");
    assert_eq!(result["url"], at(port, "/?api_key=***&q=1"));
}

#[tokio::test]
async fn l1_no_secret_is_in_an_error() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        listener.local_addr().expect("bound").port()
    };
    let silent = serve_raw("", Some(b"")).await;
    let broken = serve_raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", None).await;
    let garbled = serve_raw("CANARY this is not HTTP\r\n\r\n", None).await;
    for port in [closed, silent, broken, garbled] {
        for auth in [
            json!({"type": "bearer", "token": "CANARY1"}),
            json!({"type": "basic", "username": "me", "password": "CANARY1"}),
            json!({"type": "apikey", "key": "k", "value": "CANARY1", "location": "query"}),
            json!({"type": "bearer", "token": "CANARY1\r\n"}),
            json!({"type": "apikey", "key": "k\r\nCANARY1", "value": "CANARY1"}),
        ] {
            let inputs = json!({"url": at(port, "/?token=CANARY1"), "auth": auth, "timeout": 0.2});
            let outcome = run(&allowed(port), inputs).await;
            assert!(outcome.is_err(), "{outcome:?}");
            let whole = format!("{outcome:?}");
            // The name of a key is no secret; its value is.
            assert!(!whole.replace("auth.key", "").contains("CANARY"), "{whole}");
        }
    }
}

#[tokio::test]
async fn bad_inputs_are_told_before_anything_is_opened() {
    let (port, seen) = witness().await;
    let executor = allowed(port);
    let url = at(port, "/");
    for (inputs, what) in [
        (json!({}), "url is required in inputs"),
        (json!({"url": " "}), "url is required in inputs"),
        (json!({"url": 1}), "url must be a text"),
        (json!({"url": "http://"}), "URL has no hostname: http://"),
        (json!({"url": url, "method": "TRACE"}), "method must be one of GET, POST"),
        (json!({"url": url, "method": "GET /x HTTP/1.1\r\n"}), "method must be one of"),
        (json!({"url": url, "headers": {"a": "x\r\nHost: y"}}), "headers.a holds a sign"),
        (json!({"url": url, "headers": {"a": "x\ny"}}), "headers.a holds a sign"),
        (json!({"url": url, "headers": {"a": "x\u{0}y"}}), "headers.a holds a sign"),
        (json!({"url": url, "headers": {"a\r\nb": "x"}}), "headers.ab is no name"),
        (json!({"url": url, "headers": {"": "x"}}), "headers. is no name"),
        (json!({"url": url, "headers": {"a": [1]}}), "headers.a must be a plain value"),
        (
            json!({"url": url, "headers": {"Host": "evil"}}),
            "headers.Host belongs to the connection",
        ),
        (json!({"url": url, "headers": {"Transfer-Encoding": "x"}}), "belongs to the connection"),
        (json!({"url": url, "headers": "a: b"}), "headers must be an object"),
        (json!({"url": url, "params": {"a": {"b": 1}}}), "params.a must be a plain value"),
        (json!({"url": url, "params": "a=b"}), "params must be an object"),
        (json!({"url": url, "data": [1]}), "data must be an object or a text"),
        (json!({"url": url, "data": {"a": {}}}), "data.a must be a plain value"),
        (json!({"url": url, "auth": "x"}), "auth must be an object"),
        (json!({"url": url, "auth": {}}), "auth.type must be bearer, basic or apikey"),
        (json!({"url": url, "auth": {"type": "digest"}}), "auth.type must be"),
        (json!({"url": url, "auth": {"type": "bearer"}}), "auth.token is required"),
        (json!({"url": url, "auth": {"type": "bearer", "token": 1}}), "auth.token must be a text"),
        (
            json!({"url": url, "auth": {"type": "apikey", "key": "Host", "value": "x"}}),
            "belongs to",
        ),
        (
            json!({"url": url, "auth": {"type": "apikey", "key": "k", "value": "x", "location": "body"}}),
            "auth.location must be header or query",
        ),
        (json!({"url": url, "timeout": 0}), "timeout must be a number of seconds"),
        (json!({"url": url, "timeout": -1}), "timeout must be"),
        (json!({"url": url, "timeout": 1e18}), "timeout must be"),
        (json!({"url": url, "verify": "/etc/ssl/own.pem"}), "files of certificates are not read"),
    ] {
        let text = failed_as(run(&executor, inputs.clone()).await, FailureKind::InvalidInput);
        assert!(text.starts_with(&format!("[{ID}] ")) && text.contains(what), "{inputs}: {text}");
        assert!(!text.contains(['\r', '\n']), "{text:?}");
    }
    assert!(seen.lock().expect("not poisoned").is_empty(), "nobody was called");
}

#[tokio::test]
async fn s15_certificates_are_checked_unless_the_operator_allows_otherwise() {
    let port = echo_port().await;
    let inputs = json!({"url": at(port, "/"), "verify": false});
    let text = failed_as(run(&allowed(port), inputs.clone()).await, FailureKind::NotAllowed);
    assert!(text.contains("verify: false is refused"), "{text}");
    let lenient = RestConfig { allow_unverified: true, ..config(port) };
    assert!(run(&RestExecutor::new(&lenient), inputs).await.is_ok());
}

#[tokio::test]
async fn an_encrypted_call_to_a_plain_server_fails_and_may_be_tried_again() {
    let port = echo_port().await;
    let inputs = json!({"url": format!("https://127.0.0.1:{port}/")});
    let failure = failure(run(&allowed(port), inputs).await);
    // On a machine without any certificates the client itself cannot be made.
    let known = ["no connection", "no encrypted call can be made here"];
    assert!(known.iter().any(|text| failure.message.contains(text)), "{}", failure.message);
}

#[tokio::test]
async fn a_closed_port_is_a_failure_that_may_pass() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let outcome = run(&allowed(port), json!({"url": at(port, "/x")})).await;
    let Err(ExecuteError::Transient { failure, .. }) = outcome else {
        panic!("{outcome:?} is final")
    };
    assert!(
        failure.message.starts_with(&format!("[{ID}] GET {}: no connection", at(port, "/x"))),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_or_drips_ends_with_the_timeout() {
    let silent = serve_raw("", Some(b"")).await;
    let app = Router::new().route(
        "/",
        any(|| async {
            let drops = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b".")), ()))
            });
            axum::body::Body::from_stream(drops)
        }),
    );
    let dripping = serve(app).await;
    for port in [silent, dripping] {
        let began = Instant::now();
        let inputs = json!({"url": at(port, "/"), "timeout": 0.3});
        let outcome = run(&allowed(port), inputs).await;
        assert!(matches!(outcome, Err(ExecuteError::Transient { .. })), "{outcome:?}");
        let text = failed_as(outcome, FailureKind::Timeout);
        assert!(text.ends_with("no complete answer after 0.3 seconds"), "{text}");
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_cancel_ends_the_call_at_once() {
    let port = serve_raw("", Some(b"")).await;
    let context = Context::detached("t");
    let token = context.cancelled.clone();
    let executor = allowed(port);
    let calling = tokio::spawn(async move {
        executor.execute(inputs(json!({"url": at(port, "/")})), &context).await
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    token.cancel();
    assert_eq!(calling.await.expect("no panic"), Err(ExecuteError::Cancelled));
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn s11_an_endless_body_is_cut_at_the_cap() {
    const CHUNK: &[u8] = &[b'x'; 16 * 1024];
    let chunked: &[u8] = b"10\r\nxxxxxxxxxxxxxxxx\r\n";
    for (head, chunk) in [
        ("HTTP/1.1 200 OK\r\n\r\n", CHUNK),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", CHUNK),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunked),
    ] {
        let port = serve_raw(head, Some(chunk)).await;
        let config = RestConfig { max_body: 100_000, ..config(port) };
        let result = run(&RestExecutor::new(&config), json!({"url": at(port, "/")})).await;
        let result = result.expect("what fits is a result");
        assert_eq!(result["truncated"], true);
        assert_eq!(result["text"].as_str().map(str::len), Some(100_000));
    }
}

#[tokio::test]
async fn s11_a_compressed_body_is_never_inflated() {
    // A gzip of a gigabyte is a megabyte; what is not inflated cannot burst.
    let app = Router::new().route(
        "/",
        any(|headers: HeaderMap| async move {
            assert!(
                !headers.contains_key(header::ACCEPT_ENCODING),
                "nothing of the sort was asked for"
            );
            ([(header::CONTENT_ENCODING, "gzip")], vec![0x1f_u8; 2 << 20])
        }),
    );
    let port = serve(app).await;
    let result = run(&allowed(port), json!({"url": at(port, "/")})).await.expect("called");
    assert_eq!(result["text"].as_str().map(str::len), Some(1 << 20));
    assert_eq!(result["truncated"], true);
    assert_eq!(result["headers"]["content-encoding"], "gzip");
}

#[tokio::test]
async fn a_body_of_exactly_the_cap_is_whole() {
    let port = serve(Router::new().route("/", any(|| async { "x".repeat(1000) }))).await;
    let config = RestConfig { max_body: 1000, ..config(port) };
    let result = run(&RestExecutor::new(&config), json!({"url": at(port, "/")})).await;
    let result = result.expect("called");
    assert_eq!(result.get("truncated"), None);
    assert_eq!(result["text"].as_str().map(str::len), Some(1000));
}

#[tokio::test]
async fn s5_redirects_are_followed_up_to_five() {
    let app = Router::new()
        .route("/loop", any(|| async { (StatusCode::FOUND, [(header::LOCATION, "/loop")]) }))
        .route(
            "/{left}",
            any(|uri: Uri| async move {
                let left: u32 = uri.path()[1..].parse().expect("a number");
                match left {
                    0 => "there".into_response(),
                    _ => (StatusCode::FOUND, [(header::LOCATION, format!("{}", left - 1))])
                        .into_response(),
                }
            }),
        );
    let port = serve(app).await;
    let executor = allowed(port);
    let there = run(&executor, json!({"url": at(port, "/5")})).await.expect("five are followed");
    assert_eq!((&there["text"], &there["url"]), (&json!("there"), &json!(at(port, "/0"))));
    for path in ["/6", "/20", "/loop"] {
        let text =
            failed_as(run(&executor, json!({"url": at(port, path)})).await, FailureKind::Executor);
        assert_eq!(text, format!("[{ID}] more than 5 redirects"));
    }
}

#[tokio::test]
async fn a_redirect_keeps_or_changes_the_method_as_the_status_says() {
    let app = Router::new().route("/echo", any(echo)).route(
        "/{status}",
        any(|uri: Uri| async move {
            let status = uri.path()[1..].parse().expect("a number");
            (StatusCode::from_u16(status).expect("a status"), [(header::LOCATION, "/echo")])
        }),
    );
    let port = serve(app).await;
    let executor = allowed(port);
    for (status, asked, becomes, body) in [
        (301, "POST", "GET", ""),
        (302, "POST", "GET", ""),
        (303, "PUT", "GET", ""),
        (302, "PUT", "PUT", "\"b\""),
        (307, "POST", "POST", "\"b\""),
        (308, "PATCH", "PATCH", "\"b\""),
    ] {
        let inputs = json!({
            "url": at(port, &format!("/{status}")), "method": asked, "json": "b",
            "headers": {"X-Mine": "1"}
        });
        let seen = run(&executor, inputs).await.expect("called")["json"].take();
        assert_eq!((&seen["method"], &seen["body"]), (&json!(becomes), &json!(body)), "{status}");
        assert_eq!(seen["headers"]["x-mine"], "1", "still the same origin");
    }
}

#[tokio::test]
async fn another_origin_gets_nothing_the_task_proves_itself_with() {
    let (other, seen) = witness().await;
    let there = format!("http://127.0.0.1:{other}/there");
    let app = Router::new().fallback(move || {
        let there = there.clone();
        async move { (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, there)]) }
    });
    let port = serve(app).await;
    let mut config = config(port);
    config.allow_hosts.push(format!("127.0.0.1:{other}").parse().expect("a rule"));
    let executor = RestExecutor::new(&config);
    for auth in [
        json!({"type": "bearer", "token": "CANARY"}),
        json!({"type": "basic", "username": "me", "password": "CANARY"}),
        json!({"type": "apikey", "key": "X-Key", "value": "CANARY"}),
        json!({"type": "apikey", "key": "k", "value": "CANARY", "location": "query"}),
    ] {
        let inputs = json!({
            "url": at(port, "/"), "method": "POST", "json": 1, "auth": auth,
            "headers": {"Cookie": "CANARY", "X-Mine": "CANARY"}
        });
        let result = run(&executor, inputs).await.expect("called");
        assert_eq!(result["status_code"], 204);
        let (uri, headers) = seen.lock().expect("not poisoned").pop().expect("it came");
        assert_eq!(uri.to_string(), "/there");
        assert!(!format!("{headers:?}").contains("CANARY"), "{headers:?}");
        assert_eq!(headers["content-type"], "application/json", "what the body is goes along");
    }
}

#[test]
fn it_belongs_to_http() {
    let executor = RestExecutor::new(&RestConfig::default());
    assert_eq!(
        (executor.manifest().id.as_str(), executor.manifest().family.as_str()),
        (ID, "http")
    );
}
