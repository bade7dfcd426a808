//! What happens to clients that are silent, slow, huge, foreign or mad. The ids are those of the list of
//! attacks: H for HTTP, J for JSON.

use std::time::{Duration, Instant};

use apflow_protocols::http::HttpConfig;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    client::{call, closes, connect, exchange, get, post, response},
    server::{self, Server, short},
};

/// After every attack: the server answers at once.
async fn still_well(server: &Server) {
    let began = Instant::now();
    assert_eq!(exchange(server.at, &get("/healthz", "")).await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

/// Sends one byte now and then until the server has had enough.
async fn drip(stream: &mut TcpStream, every: Duration) {
    while stream.write_all(b"x").await.is_ok() {
        tokio::time::sleep(every).await;
    }
}

#[tokio::test]
async fn h1_a_connection_that_says_nothing_is_closed() {
    let server = server::start(short()).await;
    let mut stream = connect(server.at).await;
    let began = Instant::now();
    assert!(closes(&mut stream).await);
    assert!(began.elapsed() < Duration::from_millis(600), "{:?}", began.elapsed());
    still_well(&server).await;
}

#[tokio::test]
async fn h1_half_a_header_is_not_waited_for() {
    let server = server::start(short()).await;
    let mut stream = connect(server.at).await;
    stream.write_all(b"GET /health HT").await.expect("sent");
    let began = Instant::now();
    assert!(closes(&mut stream).await);
    assert!(began.elapsed() < Duration::from_millis(650), "{:?}", began.elapsed());
    still_well(&server).await;
}

#[tokio::test]
async fn h1_a_header_that_drips_has_a_last_moment() {
    let server = server::start(short()).await;
    let mut stream = connect(server.at).await;
    stream.write_all(b"GET /health HTTP/1.1\r\nX: ").await.expect("sent");
    let began = Instant::now();
    drip(&mut stream, Duration::from_millis(40)).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    still_well(&server).await;
}

#[tokio::test]
async fn h1_a_body_that_stops_or_drips_is_answered_408() {
    let server = server::start(short()).await;
    let head = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{";
    let mut stream = connect(server.at).await;
    stream.write_all(head).await.expect("sent");
    assert_eq!(response(&mut stream).await.expect("an answer").status, 408);

    let mut stream = connect(server.at).await;
    stream.write_all(head).await.expect("sent");
    let began = Instant::now();
    let (mut reader, mut writer) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut text = String::new();
    let _ = tokio::io::AsyncReadExt::read_to_string(&mut reader, &mut text).await;
    dripping.abort();
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    still_well(&server).await;
}

#[tokio::test]
async fn h1_silent_connections_make_room_for_one_that_speaks() {
    let config = HttpConfig { connections: 8, first_byte: Duration::from_secs(20), ..short() };
    let server = server::start(config).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(connect(server.at).await);
    }
    still_well(&server).await;
    drop(silent);
}

#[tokio::test]
async fn h1_an_idle_connection_is_kept_longer_than_a_fresh_one_and_then_closed() {
    let server = server::start(short()).await;
    let mut stream = connect(server.at).await;
    stream.write_all(&get("/health", "")).await.expect("sent");
    assert_eq!(response(&mut stream).await.expect("an answer").status, 200);
    // Longer than a fresh connection may be silent, shorter than an idle one may.
    tokio::time::sleep(Duration::from_millis(400)).await;
    stream.write_all(&get("/health", "")).await.expect("still open");
    assert_eq!(response(&mut stream).await.expect("an answer").status, 200);
    let began = Instant::now();
    assert!(closes(&mut stream).await);
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn h3_headers_and_addresses_have_a_size() {
    let server = server::start(short()).await;
    let many = "X: 1\r\n".repeat(200);
    assert_eq!(exchange(server.at, &get("/health", &many)).await.status, 431);
    let large = format!("X: {}\r\n", "a".repeat(100 << 10));
    assert_eq!(exchange(server.at, &get("/health", &large)).await.status, 431);
    let long = format!("/health?{}", "a".repeat(9 << 10));
    assert_eq!(exchange(server.at, &get(&long, "")).await.status, 414);
    let longest = format!("/{}", "a".repeat(60 << 10));
    assert_eq!(exchange(server.at, &get(&longest, "")).await.status, 414);
    still_well(&server).await;
}

#[tokio::test]
async fn h5_bodies_have_a_size_whether_they_announce_it_or_not() {
    let server = server::start(short()).await;
    let two = "x".repeat(2 << 20);
    let refused = exchange(server.at, &post("/tasks", "", &two)).await;
    assert_eq!(refused.status, 413);
    assert_eq!(refused.json()["error"]["data"]["code"], "AF0017");

    let one_over = " ".repeat((1 << 20) + 1);
    assert_eq!(exchange(server.at, &post("/tasks", "", &one_over)).await.status, 413);

    let mut stream = connect(server.at).await;
    let head = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head).await.expect("sent");
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let (mut reader, mut writer) = stream.into_split();
    let endless =
        tokio::spawn(async move { while writer.write_all(chunk.as_bytes()).await.is_ok() {} });
    let mut text = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut text).await;
    endless.abort();
    assert!(text.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&text));
    still_well(&server).await;
}

#[tokio::test]
async fn h5_a_promise_that_is_not_kept_and_a_compressed_body_are_refused() {
    let server = server::start(short()).await;
    let promise = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\
        Expect: 100-continue\r\n\r\n";
    assert_eq!(exchange(server.at, promise).await.status, 408);
    let gzip = post("/tasks", "Content-Encoding: gzip\r\n", "{}");
    assert_eq!(exchange(server.at, &gzip).await.status, 415);
    let identity = post("/tasks", "Content-Encoding: identity\r\n", "{}");
    assert_eq!(exchange(server.at, &identity).await.status, 400, "read, and no request");
}

#[tokio::test]
async fn h7_foreign_pages_and_foreign_names_are_refused_and_never_reflected() {
    let server = server::start(short()).await;
    for origin in ["https://evil.com", "null", "https://localhost.evil.com"] {
        let answer =
            exchange(server.at, &post("/tasks", &format!("Origin: {origin}\r\n"), "{}")).await;
        assert_eq!(answer.status, 403, "{origin}");
        assert!(answer.header("access-control-allow-origin").is_none());
        assert!(!answer.body.contains("evil"), "{}", answer.body);
    }
    let own = post("/tasks", "Origin: http://localhost\r\n", r#"{"id":1,"method":"tasks.list"}"#);
    assert_eq!(exchange(server.at, &own).await.status, 200);
    for (head, status) in [
        ("Host: evil.com\r\n", 403),
        ("Host: localhost.evil.com\r\n", 403),
        ("Host: localhost@evil.com\r\n", 400),
        ("", 400),
        ("Host: localhost\r\nHost: localhost\r\n", 400),
        ("Host: \r\n", 400),
        ("Host: LOCALHOST:1\r\n", 200),
        ("Host: [::1]:8000\r\n", 200),
    ] {
        let request = format!("GET /health HTTP/1.1\r\n{head}\r\n");
        assert_eq!(exchange(server.at, request.as_bytes()).await.status, status, "{head:?}");
    }
    let absolute = b"GET http://evil.com/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(exchange(server.at, absolute).await.status, 403);
}

#[tokio::test]
async fn h9_conditions_and_ranges_mean_nothing_here() {
    let server = server::start(short()).await;
    let ranges = "0-,".repeat(2000);
    let bomb = get("/health", &format!("Range: bytes={ranges}0-\r\n"));
    assert_eq!(exchange(server.at, &bomb).await.status, 200);
    let tags = "If-None-Match: *\r\n".repeat(50);
    assert_eq!(exchange(server.at, &get("/health", &tags)).await.status, 200);
}

#[tokio::test]
async fn j1_to_j7_json_that_is_deep_or_broken_or_inexact_is_refused() {
    let server = server::start(short()).await;
    let nested = |open: &str, close: &str, depth: usize| {
        let value = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        format!(r#"{{"id":1,"method":"tasks.get","params":{{"id":"a","x":{value}}}}}"#)
    };
    let mut bodies = Vec::new();
    for depth in [65, 128, 100_000] {
        bodies.push(nested("[", "]", depth));
        bodies.push(nested("{\"a\":", "}", depth));
    }
    let request =
        |value: &str| format!(r#"{{"id":1,"method":"tasks.create","params":{{"name":{value}}}}}"#);
    for value in ["NaN", "1e400", "\"\\ud800\"", "\"a\\u0000b\"", "1//", "[1,]", "1e"] {
        bodies.push(request(value));
    }
    bodies.push(request(&"9".repeat(10_000)));
    bodies.push(format!("\u{feff}{}", request("1")));
    bodies.push(format!("{0}{0}", request("1")));
    for body in bodies {
        let answer = exchange(server.at, &post("/tasks", "", &body)).await;
        let shown: String = body.chars().take(100).collect();
        assert_eq!(answer.status, 400, "{shown}: {}", answer.body);
        assert!(answer.body.len() < 1000, "{}", answer.body);
        let code = answer.json()["error"]["code"].as_i64();
        assert!(matches!(code, Some(-32700 | -32600)), "{shown}: {code:?}");
    }
    still_well(&server).await;
}

#[tokio::test]
async fn j9_to_j11_strange_keys_are_data_and_pages_are_capped() {
    let server = server::start(short()).await;
    let inputs = json!({"__proto__": {"x": 1}, "$ref": "file:///etc/passwd", "constructor": 1});
    let made = call(server.at, "tasks.create", json!({"name": "n", "inputs": inputs})).await;
    assert_eq!(made.json()["result"]["inputs"], inputs);
    let page = json!({"limit": 1_000_000_000_u64, "page": true});
    let listed = call(server.at, "tasks.list", page).await.json();
    assert_eq!(listed["result"]["limit"], 1000);
    for wrong in [json!({"limit": -1}), json!({"offset": -1}), json!({"offset": 1.5})] {
        assert_eq!(call(server.at, "tasks.list", wrong).await.status, 400);
    }
}

#[tokio::test]
async fn a_panic_is_answered_and_harms_nobody_else() {
    let server = server::start(short()).await;
    let answer = call(server.at, "tasks.get", json!({"task_id": "panic"})).await;
    assert_eq!(answer.status, 500);
    let id = answer.header("x-request-id").expect("a number").to_owned();
    let error = &answer.json()["error"];
    assert_eq!(error["data"]["code"], "AF0019");
    assert!(error["data"]["detail"].as_str().is_some_and(|text| text.contains(&id)), "{error}");
    assert!(!answer.body.contains("asked to"), "the panic's own text stays inside");
    still_well(&server).await;
}

#[tokio::test]
async fn a_request_keeps_its_number_if_it_is_a_plain_one() {
    let server = server::start(short()).await;
    let given = exchange(server.at, &get("/health", "X-Request-Id: my-1.x\r\n")).await;
    assert_eq!(given.header("x-request-id"), Some("my-1.x"));
    let strange = exchange(server.at, &get("/health", "X-Request-Id: a b<script>\r\n")).await;
    assert!(strange.header("x-request-id").is_some_and(|id| !id.contains("script")));
}

#[tokio::test]
async fn each_route_takes_its_method_and_no_other() {
    let server = server::start(short()).await;
    for path in ["/health", "/healthz", "/livez", "/ready", "/readyz", "/tasks/methods"] {
        assert_eq!(exchange(server.at, &get(path, "")).await.status, 200, "{path}");
        assert_eq!(exchange(server.at, &post(path, "", "{}")).await.status, 405, "{path}");
    }
    for path in ["/tasks", "/system"] {
        let refused = exchange(server.at, &get(path, "")).await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")), "{path}");
        let trace = format!("TRACE {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(exchange(server.at, trace.as_bytes()).await.status, 405);
    }
    assert_eq!(exchange(server.at, &get("/nothing", "")).await.status, 404);
    let page = exchange(server.at, &get("/docs/errors/af0006", "")).await;
    assert!(page.status == 200 && page.body.contains("AF0006"), "{page:?}");
    assert_eq!(exchange(server.at, &get("/docs/errors/..%2f..%2fx", "")).await.status, 404);
}

#[tokio::test]
async fn discovery_lists_the_methods_and_where_they_are() {
    let server = server::start(short()).await;
    let document = exchange(server.at, &get("/tasks/methods", "")).await.json();
    let shelves = document["methods"].as_object().expect("shelves");
    let count: usize = shelves.values().map(|it| it.as_array().map_or(0, Vec::len)).sum();
    assert_eq!(document["total"], count);
    assert_eq!(document["protocols"]["jsonrpc"]["status"], "active");
    assert_eq!(document["protocol_version"], "1.0");
}
