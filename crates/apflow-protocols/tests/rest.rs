//! The resources under `/v1`: what each answers, what is refused and how it is told.

use std::time::Duration;

use apflow_core::api::operation::{operations, route::routes};
use apflow_protocols::http::HttpConfig;
use serde_json::{Value, json};

use crate::{
    client::{Response, exchange, get, post},
    real,
    server::{self, Server, short},
};

const JSON: &str = "Content-Type: application/json\r\n";

async fn send(server: &Server, method: &str, path: &str, headers: &str, body: &str) -> Response {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    exchange(server.at, request.as_bytes()).await
}

async fn read(server: &Server, path: &str) -> Response {
    exchange(server.at, &get(path, "")).await
}

async fn write(server: &Server, method: &str, path: &str, body: &Value) -> Response {
    send(server, method, path, JSON, &body.to_string()).await
}

/// A problem has the shape of the standard, whatever it is about.
#[track_caller]
fn problem(answer: &Response, status: u16, code: &str) -> Value {
    let body = answer.json();
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    assert_eq!((&body["status"], &body["code"]), (&json!(status), &json!(code)), "{body}");
    assert_eq!(body["type"], format!("/docs/errors/{code}"));
    assert_eq!(body["instance"].as_str(), answer.header("x-request-id"));
    assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
    body
}

#[tokio::test]
async fn a_task_lives_its_life_as_a_resource() {
    let server = server::start(short()).await;
    let made = write(&server, "POST", "/v1/tasks", &json!({"id": "a/b é", "name": "n"})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let place = made.header("location").expect("a place").to_owned();
    assert_eq!(place, "/v1/tasks/a%2Fb%20%C3%A9");
    assert_eq!(made.json()["id"], "a/b é");
    assert_eq!(made.header("x-content-type-options"), Some("nosniff"));

    let task = read(&server, &place).await;
    assert_eq!((task.status, &task.json()["name"]), (200, &json!("n")));
    let changed = write(&server, "PATCH", &place, &json!({"name": "m", "priority": 0})).await;
    assert_eq!((changed.status, &changed.json()["name"]), (200, &json!("m")), "{}", changed.body);
    assert_eq!(read(&server, &format!("{place}/detail")).await.json()["priority"], 0);
    assert_eq!(read(&server, &format!("{place}/tree")).await.json()["task"]["name"], "m");
    assert_eq!(read(&server, &format!("{place}/children")).await.json(), json!([]));

    let ran = send(&server, "POST", &format!("{place}/execute"), "", "").await;
    assert_eq!((ran.status, &ran.json()["outcome"]), (200, &json!("completed")), "{}", ran.body);
    let late = send(&server, "POST", &format!("{place}/cancel"), "", "").await;
    let told = problem(&late, 409, "AF0007");
    assert!(told["detail"].as_str().is_some_and(|text| text.contains("already completed")));
    problem(&send(&server, "DELETE", &place, "", "").await, 409, "AF0009");

    write(&server, "POST", "/v1/tasks", &json!({"id": "x", "name": "x"})).await;
    let gone = send(&server, "DELETE", "/v1/tasks/x", "", "").await;
    assert_eq!((gone.status, &gone.json()["deleted_count"]), (200, &json!(1)));
    for path in ["/v1/tasks/x", "/v1/tasks/x/detail", "/v1/tasks/x/tree", "/v1/tasks/x/children"] {
        problem(&read(&server, path).await, 404, "AF0006");
    }
    for path in ["/v1/tasks/x/execute", "/v1/tasks/x/cancel"] {
        problem(&send(&server, "POST", path, "", "").await, 404, "AF0006");
    }
    problem(&write(&server, "PATCH", "/v1/tasks/x", &json!({"name": "y"})).await, 404, "AF0006");
    problem(&send(&server, "DELETE", "/v1/tasks/x", "", "").await, 404, "AF0006");
}

#[tokio::test]
async fn lists_come_in_pages_and_counts_by_status() {
    let server = server::start(short()).await;
    let tasks =
        json!({"tasks": [{"id": "a", "name": "a"}, {"id": "b", "name": "b", "parent_id": "a"}]});
    let made = write(&server, "POST", "/v1/tasks", &tasks).await;
    assert_eq!((made.status, made.json().as_array().map(Vec::len)), (201, Some(2)));
    let page = read(&server, "/v1/tasks?root_only=false&limit=1&offset=1").await.json();
    assert_eq!(
        (&page["total"], &page["limit"], &page["offset"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(page["tasks"].as_array().map(Vec::len), Some(1));
    let count = read(&server, "/v1/tasks/count?statuses=pending&statuses=failed").await.json();
    assert_eq!(count, json!({"pending": 2, "failed": 0, "total": 2}));
    let asked = json!({"task_ids": ["a", "none"]});
    let status = write(&server, "POST", "/v1/running/status", &asked).await.json();
    assert_eq!(
        (&status[0]["status"], &status[1]["status"]),
        (&json!("pending"), &json!("not_found"))
    );
    assert_eq!(read(&server, "/v1/running").await.json(), json!([]));
    assert_eq!(read(&server, "/v1/running/count").await.json(), json!({"count": 0}));
    assert_eq!(read(&server, "/v1/system/health").await.json()["status"], "healthy");
    assert_eq!(read(&server, "/v1/system/executors").await.json()["count"], 1);
    // A task may be called like a place; its name is then written in another way.
    write(&server, "POST", "/v1/tasks", &json!({"id": "count", "name": "n"})).await;
    assert_eq!(read(&server, "/v1/tasks/%63ount").await.json()["id"], "count");
}

#[tokio::test]
async fn a_run_that_nobody_waits_for_is_accepted_and_a_second_one_refused() {
    let server = server::start(short()).await;
    let hang = json!({"tasks": [{"id": "h", "name": "hang"}], "wait": false});
    let begun = write(&server, "POST", "/v1/runs", &hang).await;
    assert_eq!((begun.status, begun.header("location")), (202, Some("/v1/tasks/h")));
    problem(&send(&server, "POST", "/v1/tasks/h/execute", "", "").await, 409, "AF0008");
    let waited = json!({"tasks": [{"id": "w", "name": "hang"}]});
    let waited = write(&server, "POST", "/v1/runs", &waited).await;
    assert_eq!((waited.status, waited.header("location")), (202, Some("/v1/tasks/w")));
    let stopped =
        write(&server, "POST", "/v1/tasks/h/cancel", &json!({"error_message": "enough"})).await;
    assert_eq!(stopped.status, 200);
    let body = stopped.json();
    assert_eq!((&body["status"], &body["message"]), (&json!("cancelled"), &json!("enough")));
    let many =
        write(&server, "POST", "/v1/cancellations", &json!({"task_ids": ["h", "none"]})).await;
    assert_eq!(many.json().as_array().map(Vec::len), Some(2), "{}", many.body);
    problem(&write(&server, "POST", "/v1/cancellations", &json!({})).await, 400, "AF0012");
    problem(&write(&server, "POST", "/v1/runs", &json!({"wait": false})).await, 400, "AF0012");
}

#[tokio::test]
async fn unknown_fields_and_parameters_are_refused_with_the_nearest_one() {
    let server = server::start(short()).await;
    for (method, path, body, field, hint) in [
        ("POST", "/v1/tasks", json!({"name": "n", "prioritty": 1}), "prioritty", "`priority`"),
        ("POST", "/v1/tasks", json!({"tasks": [{"nam": "n"}]}), "tasks[0].nam", "`name`"),
        ("POST", "/v1/tasks", json!({"tasks": [], "option": {}}), "option", "`options`"),
        ("POST", "/v1/runs", json!({"tasks": [{"name": "n"}], "wiat": 1}), "wiat", "`wait`"),
        ("PATCH", "/v1/tasks/a", json!({"nmae": "n"}), "nmae", "`name`"),
        ("POST", "/v1/tasks/a/cancel", json!({"forced": true}), "forced", "`force`"),
    ] {
        let told = problem(&write(&server, method, path, &body).await, 400, "AF0012");
        assert_eq!(told["field"], field, "{told}");
        assert!(told["hint"].as_str().is_some_and(|it| it.contains(hint)), "{told}");
    }
    let told = problem(&read(&server, "/v1/tasks?limt=1").await, 400, "AF0012");
    assert_eq!((&told["field"], &told["hint"]), (&json!("limt"), &json!("did you mean `limit`?")));
    problem(&read(&server, "/v1/tasks/a?limit=1").await, 400, "AF0012");
    problem(
        &send(&server, "POST", "/v1/tasks?name=n", JSON, r#"{"name":"n"}"#).await,
        400,
        "AF0012",
    );
    let count = read(&server, "/v1/tasks/count").await.json();
    assert_eq!(count["total"], 0, "nothing of it was done");
}

#[tokio::test]
async fn v1_filters_and_orders_that_do_not_exist_are_refused_and_change_nothing() {
    let server = server::start(short()).await;
    for query in [
        "sort=id;DROP",
        "x%27)%20OR%20%271%27=%271",
        "status=x%27",
        "cursor=forged",
        "limit=1000000000",
    ] {
        problem(&read(&server, &format!("/v1/tasks?{query}")).await, 400, "AF0012");
    }
    let percent = "%25".repeat(255);
    assert_eq!(read(&server, &format!("/v1/tasks?user_id={percent}")).await.status, 200);
}

#[tokio::test]
async fn nobody_sets_what_only_the_engine_sets() {
    let server = server::start(short()).await;
    for field in
        ["status", "result", "progress", "lease_id", "created_at", "run_count", "next_run_at"]
    {
        let told = write(&server, "POST", "/v1/tasks", &json!({"name": "n", field: 1})).await;
        assert_eq!(problem(&told, 400, "AF0012")["field"], field);
    }
}

#[tokio::test]
async fn a_wrong_value_is_told_in_the_words_of_the_reader() {
    let server = server::start(short()).await;
    let told = write(&server, "POST", "/v1/tasks", &json!({"name": "n", "priority": 9})).await;
    let told = problem(&told, 422, "AF0001");
    assert_eq!((&told["field"], &told["actual"]), (&json!("priority"), &json!("the number 9")));
    let stuck = json!({"tasks": [{"id": "d", "name": "d"}]});
    write(&server, "POST", "/v1/runs", &stuck).await;
    let told = write(&server, "PATCH", "/v1/tasks/d", &json!({"dependencies": []})).await;
    problem(&told, 422, "AF0012");
    let told = write(&server, "PATCH", "/v1/tasks/a", &json!({"progress": 5})).await;
    assert_eq!(problem(&told, 400, "AF0012")["expected"], "a number from 0 to 1");
    for body in ["[]", "1", "null", "\"x\""] {
        problem(&send(&server, "POST", "/v1/tasks", JSON, body).await, 400, "AF0012");
    }
}

#[tokio::test]
async fn an_idempotency_key_is_a_header() {
    let server = server::start(short()).await;
    let headers = format!("{JSON}Idempotency-Key: k 1\r\n");
    let body = r#"{"id":"a","name":"a"}"#;
    for _ in 0..2 {
        let made = send(&server, "POST", "/v1/tasks", &headers, body).await;
        assert_eq!((made.status, &made.json()["id"]), (201, &json!("a")), "{}", made.body);
    }
    let other = send(&server, "POST", "/v1/tasks", &headers, r#"{"name":"b"}"#).await;
    problem(&other, 409, "AF0016");
    assert_eq!(read(&server, "/v1/tasks/count").await.json()["total"], 1);
    let twice = format!("{headers}Idempotency-Key: k2\r\n");
    for headers in
        [format!("{JSON}Idempotency-Key: \r\n"), format!("{JSON}Idempotency-Key: é\r\n"), twice]
    {
        problem(&send(&server, "POST", "/v1/tasks", &headers, body).await, 400, "AF0012");
    }
    let inside = json!({"tasks": [{"name": "a"}], "idempotency_key": "k"});
    problem(&write(&server, "POST", "/v1/tasks", &inside).await, 400, "AF0012");
}

#[tokio::test]
async fn both_sides_speak_json_or_are_told_to() {
    let server = server::start(short()).await;
    let html = exchange(server.at, &get("/v1/tasks", "Accept: text/html\r\n")).await;
    problem(&html, 406, "AF0034");
    let any = exchange(server.at, &get("/v1/tasks", "Accept: text/html, */*;q=0.1\r\n")).await;
    assert_eq!(any.status, 200);
    for kind in
        ["", "Content-Type: text/plain\r\n", "Content-Type: application/json; charset=latin1\r\n"]
    {
        problem(&send(&server, "POST", "/v1/tasks", kind, r#"{"name":"n"}"#).await, 415, "AF0034");
    }
    problem(&send(&server, "POST", "/v1/tasks", JSON, "{").await, 400, "AF0014");
    problem(&send(&server, "POST", "/v1/tasks", JSON, "").await, 400, "AF0014");
    problem(&send(&server, "GET", "/v1/tasks", JSON, "{}").await, 400, "AF0034");
    problem(&send(&server, "DELETE", "/v1/tasks/a", JSON, "{}").await, 400, "AF0034");
    let zipped = format!("{JSON}Content-Encoding: gzip\r\n");
    problem(&send(&server, "POST", "/v1/tasks", &zipped, "{}").await, 415, "AF0034");
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(1 << 20));
    problem(&send(&server, "POST", "/v1/tasks", JSON, &large).await, 413, "AF0017");
}

#[tokio::test]
async fn j1_to_j7_what_cannot_be_kept_exactly_is_refused_on_resources_too() {
    let server = server::start(short()).await;
    let task = |value: &str| format!(r#"{{"name":"n","inputs":{{"x":{value}}}}}"#);
    for depth in [65, 128, 100_000] {
        let nested = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        problem(&send(&server, "POST", "/v1/tasks", JSON, &task(&nested)).await, 422, "AF0015");
    }
    for value in ["18446744073709551616", "\"a\\u0000\""] {
        problem(&send(&server, "POST", "/v1/tasks", JSON, &task(value)).await, 422, "AF0015");
    }
    for value in ["NaN", "1e400", "[1,]", "\"\\ud800\"", "1//"] {
        problem(&send(&server, "POST", "/v1/tasks", JSON, &task(value)).await, 400, "AF0014");
    }
    let made = send(&server, "POST", "/v1/tasks", JSON, &task("9007199254740993")).await;
    assert!(made.body.contains("9007199254740993"), "{}", made.body);
}

#[tokio::test]
async fn k3_an_id_of_any_text_is_stored_and_found_and_a_bad_one_refused() {
    let server = server::start(short()).await;
    for (id, path) in [
        ("../../x", "..%2F..%2Fx"),
        ("'; DROP TABLE tasks", "%27;%20DROP%20TABLE%20tasks"),
        ("🦀", "%F0%9F%A6%80"),
        ("A", "A"),
        ("a", "a"),
    ] {
        let made = write(&server, "POST", "/v1/tasks", &json!({"id": id, "name": "n"})).await;
        assert_eq!(made.status, 201, "{id}: {}", made.body);
        assert_eq!(read(&server, &format!("/v1/tasks/{path}")).await.json()["id"], id);
    }
    problem(&read(&server, &format!("/v1/tasks/{}", "a".repeat(256))).await, 422, "AF0012");
    problem(&read(&server, "/v1/tasks/a%00b").await, 422, "AF0012");
    problem(&read(&server, "/v1/tasks/%ff").await, 400, "AF0034");
}

#[tokio::test]
async fn k1_a_cycle_is_named_and_k5_a_number_out_of_range_is_refused() {
    let (gateway, _worker) = real::gateway(Duration::from_secs(1)).await;
    let server = server::start_with(gateway, HttpConfig::default()).await;
    let needs = |id: &str, on: &str| json!({"id": id, "name": id, "dependencies": [on]});
    for tasks in [
        json!([needs("a", "b"), {"id": "b", "name": "b", "parent_id": "a", "dependencies": ["a"]}]),
        json!([needs("a", "a")]),
        json!([{"id": "a", "name": "a"}, {"id": "c", "name": "c", "parent_id": "a", "dependencies": ["d"]},
            {"id": "d", "name": "d", "parent_id": "a", "dependencies": ["c"]}]),
    ] {
        let told = write(&server, "POST", "/v1/tasks", &json!({ "tasks": tasks })).await;
        let told = problem(&told, 422, "AF0002");
        assert!(told["path"].as_array().is_some_and(|path| path.len() >= 2), "{told}");
    }
    for (field, value) in [
        ("priority", json!(i64::MIN)),
        ("priority", json!(i64::MAX)),
        ("timeout_seconds", json!(0)),
        ("timeout_seconds", json!(-1)),
        ("timeout_seconds", json!(1e18)),
        ("max_attempts", json!(1_000_000_000)),
        ("backoff_base_seconds", json!(1e308)),
    ] {
        let told = write(&server, "POST", "/v1/tasks", &json!({"name": "n", field: value})).await;
        assert_eq!(problem(&told, 422, "AF0001")["field"], field);
    }
    assert_eq!(read(&server, "/v1/tasks/count").await.json()["total"], 0);
}

#[tokio::test]
async fn each_place_says_which_methods_it_takes() {
    let server = server::start(short()).await;
    for (_, route) in routes() {
        let path = route.path().replace("{task_id}", "a");
        let options = send(&server, "OPTIONS", &path, "", "").await;
        let allow = options.header("allow").expect("Allow").to_owned();
        assert_eq!(options.status, 204, "{path}");
        assert!(allow.split(',').any(|it| it == route.verb.as_str()), "{path}: {allow}");
        for method in ["PUT", "TRACE"] {
            let refused = send(&server, method, &path, "", "").await;
            problem(&refused, 405, "AF0034");
            let told = refused.header("allow").expect("Allow");
            assert!(told.split(',').any(|it| it.trim() == route.verb.as_str()), "{path}: {told}");
        }
    }
    let head = send(&server, "HEAD", "/v1/tasks", "Connection: close\r\n", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    problem(&read(&server, "/v1/nothing").await, 404, "AF0034");
    problem(&read(&server, "/v1").await, 404, "AF0034");
}

#[tokio::test]
async fn h7_a_foreign_page_or_name_is_told_as_a_problem() {
    let server = server::start(short()).await;
    let foreign = exchange(server.at, &get("/v1/tasks", "Origin: https://evil.com\r\n")).await;
    problem(&foreign, 403, "AF0034");
    let name = b"GET /v1/tasks HTTP/1.1\r\nHost: evil.com\r\n\r\n";
    problem(&exchange(server.at, name).await, 403, "AF0034");
}

#[tokio::test]
async fn a_panic_and_a_lost_database_are_problems_without_particulars() {
    let server = server::start(short()).await;
    let told = problem(&read(&server, "/v1/tasks/panic").await, 500, "AF0019");
    assert!(!told.to_string().contains("asked to"), "{told}");
    let lost = read(&server, "/v1/tasks/down").await;
    assert_eq!(lost.header("retry-after"), Some("1"));
    let told = problem(&lost, 503, "AF0025");
    assert!(!told.to_string().contains("CANARY"), "{told}");
    problem(&read(&server, "/v1/tasks/slow").await, 504, "AF0029");
}

#[tokio::test]
async fn the_document_is_sent_once_to_whoever_has_it() {
    let server = server::start(short()).await;
    let first = read(&server, "/openapi.json").await;
    assert_eq!((first.status, &first.json()["openapi"]), (200, &json!("3.1.0")));
    let paths = first.json()["paths"].as_object().map(serde_json::Map::len);
    let mut known: Vec<_> = routes().iter().map(|(_, route)| route.path()).collect();
    known.sort_unstable();
    known.dedup();
    assert_eq!(paths, Some(known.len()));
    let tag = first.header("etag").expect("a tag").to_owned();
    assert_eq!(read(&server, "/v1/openapi.json").await.header("etag"), Some(tag.as_str()));
    let asked = format!("If-None-Match: \"x\", {tag}\r\nConnection: close\r\n");
    let again = exchange(server.at, &get("/openapi.json", &asked)).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
}

#[tokio::test]
async fn the_page_lists_every_operation_and_loads_nothing_and_all_can_be_switched_off() {
    let server = server::start(short()).await;
    let page = read(&server, "/docs").await;
    assert_eq!(page.status, 200);
    for operation in operations() {
        assert!(page.body.contains(operation.id), "{}", operation.id);
    }
    assert!(
        !page.body.contains("<script")
            && !page.body.contains("http://")
            && !page.body.contains("https://")
    );
    assert!(
        page.header("content-security-policy").is_some_and(|it| it.contains("default-src 'none'"))
    );
    let config = HttpConfig { docs: false, openapi: false, system_routes: false, ..short() };
    let bare = server::start(config).await;
    for path in ["/docs", "/openapi.json", "/v1/openapi.json", "/v1/system/health"] {
        assert_eq!(read(&bare, path).await.status, 404, "{path}");
    }
    assert_eq!(exchange(bare.at, &post("/system", "", "{}")).await.status, 404);
    assert_eq!(read(&bare, "/health").await.status, 200);
}
