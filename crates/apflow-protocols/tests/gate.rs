//! The gate, attacked over a real connection. The ids are those of the list of attacks: A for who
//! calls, B for what is whose.

use std::{sync::Arc, time::Duration};

use apflow_core::{
    api::operation,
    secret::Secret,
    store::{ApiToken, Store},
    testing::{ManualClock, MemoryStore},
    time::{Clock, Timestamp},
};
use apflow_protocols::{
    auth::{ConfiguredToken, Gate, Jwt, JwtConfig, JwtKey, NewToken, jwt},
    http::HttpConfig,
};
use serde_json::{Value, json};

use crate::{
    client::{Response, exchange, get, post},
    fake::Noon,
    server::{self, Server, short},
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn hs256() -> Jwt {
    let config = JwtConfig {
        algorithm: "HS256".to_owned(),
        key: JwtKey::Secret(Secret::new(SECRET)),
        issuer: None,
        audience: None,
    };
    Jwt::new(&config).expect("a good key")
}

/// A JWT of this user, with what else it says.
pub(crate) fn jwt_of(user: &str, more: &Value) -> String {
    let now = Noon.now();
    let mut claims = jwt::claims(user, now, Duration::from_hours(1), &[], false);
    claims.extend(more.as_object().cloned().unwrap_or_default());
    let signed = jwt::sign(&Secret::new(SECRET), "HS256", &claims).expect("signed");
    signed.reveal().to_owned()
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub(crate) async fn shut() -> Server {
    let gate = Gate::new(Arc::new(Noon)).jwt(hs256());
    server::start(HttpConfig { auth: Some(Arc::new(gate)), ..short() }).await
}

pub(crate) async fn call_as(
    server: &Server,
    headers: &str,
    method: &str,
    params: &Value,
) -> Response {
    let path = if method.starts_with("tasks.") { "/tasks" } else { "/system" };
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    exchange(server.at, &post(path, headers, &body.to_string())).await
}

async fn result_as(server: &Server, token: &str, method: &str, params: Value) -> Value {
    let answer = call_as(server, &bearer(token), method, &params).await;
    assert_eq!(answer.status, 200, "{method}: {}", answer.body);
    answer.json()["result"].clone()
}

/// The one answer to everybody who is not let in; with what differs from request to request left out.
fn refused(answer: &Response, what: &str) -> String {
    assert_eq!(answer.status, 401, "{what}: {}", answer.body);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{what}");
    let mut body = answer.json();
    if let Some(problem) = body.as_object_mut().filter(|body| body.contains_key("instance")) {
        // On `/v1` the body has the number of the request, and each has its own.
        problem.remove("instance");
        assert_eq!(problem["code"], "AF0032", "{what}");
    } else {
        assert_eq!(body["error"]["code"], -32004, "{what}");
        assert_eq!(body["error"]["data"]["code"], "AF0032", "{what}");
    }
    body.to_string()
}

/// Every address the router knows, read from its source, so that a new one is in it by itself.
fn routes() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http");
    let mut routes = Vec::new();
    let mut open = vec![std::path::PathBuf::from(folder)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(
                std::fs::read_dir(path).expect("a folder").map(|it| it.expect("it").path()),
            );
            continue;
        }
        let text = std::fs::read_to_string(path).expect("a source");
        for part in text.split(".route(").skip(1) {
            match part.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) {
                Some(route) => routes.push(route.to_owned()),
                // The addresses of the catalogue, which are added below, and the webhook's.
                None => assert!(
                    part.starts_with("&path, methods(ways)")
                        || part.trim_start().starts_with("gate::WEBHOOK")
                        // The page of a question has a token of its own.
                        || part.trim_start().starts_with("gate::FEEDBACK"),
                    "{part:.60}"
                ),
            }
        }
    }
    routes.extend(operation::route::routes().iter().map(|(_, route)| route.path().into_owned()));
    assert!(routes.len() > 8, "{routes:?}");
    routes
}

#[tokio::test]
async fn a1_no_route_but_those_for_health_answers_without_a_credential() {
    let server = shut().await;
    let open = ["/health", "/healthz", "/livez", "/ready", "/readyz"];
    let mut answers = std::collections::BTreeSet::new();
    for route in routes() {
        let path = route.replace("{code}", "AF0001").replace(['{', '}'], "x");
        let (read, written) = (get(&path, ""), post(&path, "", "{}"));
        let (read, written) =
            (exchange(server.at, &read).await, exchange(server.at, &written).await);
        if open.contains(&route.as_str()) {
            assert_eq!((read.status, written.status), (200, 405), "{route}");
        } else {
            answers.insert(refused(&read, &route));
            answers.insert(refused(&written, &route));
        }
    }
    // What is like an open address, or is none at all, is shut as well.
    for path in [
        "/",
        "/nothing",
        "/health/",
        "/health/x",
        "//health",
        "/HEALTH",
        "/healthz/../tasks",
        "/health%2f..%2ftasks",
        "/tasks/health",
        "/tasks/health/",
        "/healthx",
        "/x/healthz",
        "/webhook",
        "/webhook/",
        "/webhook/trigger",
        "/webhook/trigger/",
        "/webhook/trigger/a/b",
        "/webhook/trigger/../../tasks",
        "/webhook/other/a",
        "/tasks;/health",
        "/tasks?/health",
        "/.well-known/agent-card.json",
        "/favicon.ico",
    ] {
        answers.insert(refused(&exchange(server.at, &get(path, "")).await, path));
        answers.insert(refused(&exchange(server.at, &post(path, "", "{}")).await, path));
    }
    assert_eq!(answers.len(), 2, "all are told the same, each on its wire: {answers:#?}");
    let hook = exchange(server.at, &post("/webhook/trigger/a", "", "")).await;
    assert_eq!(hook.status, 401, "a webhook has to prove itself, too");
}

#[tokio::test]
async fn a1_no_operation_is_carried_out_without_a_credential() {
    let server = shut().await;
    for operation in operation::operations() {
        for example in operation.examples {
            let params: Value = serde_json::from_str(example).expect("an example");
            refused(&call_as(&server, "", operation.id, &params).await, operation.id);
        }
    }
    let admin = jwt_of("u1", &json!({"role": "admin"}));
    let none = result_as(&server, &admin, "tasks.count", json!({})).await;
    assert_eq!(none["total"], 0, "nothing came of any of it");
}

#[tokio::test]
async fn a3_headers_that_name_another_address_or_method_are_ignored() {
    let server = shut().await;
    for header in [
        "X-Original-URL: /health",
        "X-Rewrite-URL: /health",
        "X-Forwarded-Prefix: /health",
        "X-Forwarded-Path: /health",
        "X-HTTP-Method-Override: GET",
        "X-Forwarded-User: admin",
        "X-Forwarded-For: 127.0.0.1",
        "X-Original-Method: OPTIONS",
        "X-User-Id: u1",
    ] {
        let answer = exchange(server.at, &post("/tasks", &format!("{header}\r\n"), "{}")).await;
        refused(&answer, header);
    }
    for method in ["OPTIONS", "HEAD", "PUT", "PATCH", "TRACE", "PROPFIND"] {
        let request =
            format!("{method} /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(exchange(server.at, request.as_bytes()).await.status, 401, "{method}");
    }
}

#[tokio::test]
async fn a7_a11_a_token_that_is_not_to_be_believed_opens_nothing() {
    let server = shut().await;
    let seconds = Noon.now().0 / 1_000_000;
    let good = jwt_of("u1", &json!({}));
    let mut wrong = vec![
        jwt_of("u1", &json!({"nbf": seconds + 3600})),
        jwt_of("u1", &json!({"exp": seconds - 90})),
        jwt_of("u1", &json!({"exp": null})),
        jwt_of("u1", &json!({"sub": null})),
        jwt_of("u1", &json!({"aud": "another server"})),
        jwt_of("", &json!({})),
        format!("{good}x"),
        good.rsplit_once('.').expect("three parts").0.to_owned(),
        format!("apf_{}", "0".repeat(64)),
        "x".to_owned(),
    ];
    wrong.push(jwt_of("u1", &json!({"x": "y".repeat(9_000)})));
    let mut answers = std::collections::BTreeSet::new();
    for token in wrong {
        let answer = call_as(&server, &bearer(&token), "tasks.list", &json!({})).await;
        answers.insert(refused(&answer, &token));
    }
    answers.insert(refused(&call_as(&server, "", "tasks.list", &json!({})).await, "nothing"));
    assert_eq!(answers.len(), 1, "nobody learns what was wrong: {answers:#?}");
    assert_eq!(result_as(&server, &good, "tasks.list", json!({})).await, json!([]));
}

#[tokio::test]
async fn a13_a_token_counts_in_the_one_place_for_it() {
    let server = shut().await;
    let token = jwt_of("u1", &json!({}));
    for headers in [
        format!("Cookie: authorization={token}; auth_token={token}\r\n"),
        format!("Cookie: authorization=Bearer {token}\r\n"),
        format!("Authorization: {token}\r\n"),
        format!("Authorization: Basic {token}\r\n"),
        format!("{}{}", bearer(&token), bearer(&token)),
        format!("{}Authorization: Basic x\r\n", bearer(&token)),
        format!("Proxy-Authorization: Bearer {token}\r\n"),
        format!("X-Authorization: Bearer {token}\r\n"),
        format!("X-API-Key: {token}\r\n"),
    ] {
        refused(&call_as(&server, &headers, "tasks.list", &json!({})).await, &headers);
    }
    for path in
        [format!("/tasks/methods?token={token}"), format!("/tasks/methods?access_token={token}")]
    {
        refused(&exchange(server.at, &get(&path, "")).await, &path);
    }
    assert_eq!(exchange(server.at, &get("/tasks/methods", &bearer(&token))).await.status, 200);
}

#[tokio::test]
async fn l1_a_refused_token_is_not_repeated_to_anybody() {
    let server = shut().await;
    let answer = call_as(&server, &bearer("CANARY"), "tasks.list", &json!({})).await;
    assert!(!answer.body.contains("CANARY") && !answer.head.contains("CANARY"), "{answer:?}");
}

fn token(clock: &dyn Clock, number: u8) -> (String, ApiToken) {
    let made = NewToken::of([number; 32]);
    let token = ApiToken {
        id: format!("t{number}"),
        name: format!("token {number}"),
        digest: made.digest,
        user_id: Some("u1".to_owned()),
        admin: false,
        read_only: false,
        created_at: clock.now(),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    (made.token.reveal().to_owned(), token)
}

async fn status(server: &Server, headers: &str) -> u16 {
    call_as(server, headers, "tasks.list", &json!({})).await.status
}

#[tokio::test]
async fn a2_a_token_in_the_database_shuts_the_door_also_one_that_was_made_meanwhile() {
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000_000)));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
    let gate = Arc::new(Gate::new(clock.clone()).store(store.clone()));
    assert!(!gate.is_shut().await.expect("an answer"));
    let server = server::start(HttpConfig { auth: Some(gate.clone()), ..short() }).await;
    assert_eq!(status(&server, "").await, 200, "nobody has to show anything yet");

    let (text, stored) = token(clock.as_ref(), 1);
    store.add_token(stored.clone()).await.expect("stored");
    clock.advance(Duration::from_secs(2));
    assert_eq!(status(&server, "").await, 401);
    assert_eq!(status(&server, &bearer(&text)).await, 200);
    assert_eq!(status(&server, &bearer(&token(clock.as_ref(), 2).0)).await, 401, "another one");
    assert_eq!(status(&server, &bearer(&text.to_uppercase())).await, 401);

    // Its use is noted once, not at every request.
    let noted = async || store.token(&stored.digest).await.expect("read").expect("it").last_used_at;
    while noted().await.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let first = noted().await;
    clock.advance(Duration::from_secs(3));
    assert_eq!(status(&server, &bearer(&text)).await, 200);
    assert_eq!(noted().await, first);

    // Taken back, it opens nothing, and neither does the door open by itself.
    assert!(store.revoke_token("t1", clock.now()).await.expect("done"));
    clock.advance(Duration::from_secs(3));
    assert_eq!(status(&server, &bearer(&text)).await, 401);
    assert_eq!(status(&server, "").await, 401);
    assert!(store.forget_token("t1", clock.now()).await.expect("done"));
    clock.advance(Duration::from_secs(3));
    assert_eq!(status(&server, "").await, 401, "a door that was shut stays shut");
    assert_eq!(gate.sources().await.expect("read"), [""; 0]);
}

#[tokio::test]
async fn a4_an_expired_token_opens_nothing() {
    let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000_000)));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
    let (text, stored) = token(clock.as_ref(), 1);
    let expires_at = Some(clock.now().after(Duration::from_secs(10)));
    store.add_token(ApiToken { expires_at, ..stored }).await.expect("stored");
    let gate = Gate::new(clock.clone()).store(store);
    let server = server::start(HttpConfig { auth: Some(Arc::new(gate)), ..short() }).await;
    assert_eq!(status(&server, &bearer(&text)).await, 200);
    clock.advance(Duration::from_secs(10));
    assert_eq!(status(&server, &bearer(&text)).await, 401);
}

#[tokio::test]
async fn a6_a_database_that_does_not_answer_opens_nothing() {
    let address = "sqlite::memory:";
    let store = apflow_storage::open(address, apflow_storage::OpenOptions::default()).await;
    let gate = Gate::new(Arc::new(Noon)).store(store.expect("opens"));
    let (text, _) = token(&Noon, 1);
    // With a token of another source the door is shut; what the database lacks is no error.
    let digest = NewToken::of([9; 32]).digest;
    let configured = ConfiguredToken::new(&digest, Some("u1".to_owned())).expect("good");
    let gate = gate.tokens([configured]);
    let server = server::start(HttpConfig { auth: Some(Arc::new(gate)), ..short() }).await;
    assert_eq!(status(&server, &bearer(&text)).await, 401);
    assert_eq!(status(&server, &bearer(NewToken::of([9; 32]).token.reveal())).await, 200);

    let gate = Gate::new(Arc::new(Noon)).store(Arc::new(Broken));
    let server = server::start(HttpConfig { auth: Some(Arc::new(gate)), ..short() }).await;
    for headers in ["", bearer(&text).as_str()] {
        let answer = call_as(&server, headers, "tasks.list", &json!({})).await;
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(!answer.body.contains("CANARY"), "{}", answer.body);
    }
    assert_eq!(exchange(server.at, &get("/health", "")).await.status, 200);
}

/// A database that is gone.
struct Broken;

#[async_trait::async_trait]
impl apflow_core::store::FlowStore for Broken {}

#[async_trait::async_trait]
impl apflow_core::store::AccessStore for Broken {
    async fn has_tokens(&self) -> Result<bool, apflow_core::store::StoreError> {
        let what = "connecting to postgres://u:CANARY@db".to_owned();
        Err(apflow_core::store::StoreError::Unavailable { what, source: None })
    }
    async fn token(&self, _: &str) -> Result<Option<ApiToken>, apflow_core::store::StoreError> {
        self.has_tokens().await.map(|_| None)
    }
    async fn tokens(&self) -> Result<Vec<ApiToken>, apflow_core::store::StoreError> {
        self.has_tokens().await.map(|_| Vec::new())
    }
    async fn add_token(&self, _: ApiToken) -> Result<(), apflow_core::store::StoreError> {
        self.has_tokens().await.map(drop)
    }
    async fn revoke_token(
        &self,
        _: &str,
        _: Timestamp,
    ) -> Result<bool, apflow_core::store::StoreError> {
        self.has_tokens().await
    }
    async fn forget_token(
        &self,
        _: &str,
        _: Timestamp,
    ) -> Result<bool, apflow_core::store::StoreError> {
        self.has_tokens().await
    }
    async fn use_token(&self, _: &str, _: Timestamp) -> Result<(), apflow_core::store::StoreError> {
        self.has_tokens().await.map(drop)
    }
    async fn see(
        &self,
        _: &str,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<apflow_core::store::Seen, apflow_core::store::StoreError> {
        self.has_tokens().await.map(|_| apflow_core::store::Seen::Full)
    }
}

#[tokio::test]
async fn b5_who_may_only_read_is_refused_by_every_operation_that_changes_something() {
    let server = shut().await;
    let owner = jwt_of("u1", &json!({}));
    result_as(&server, &owner, "tasks.create", json!({"id": "report", "name": "n"})).await;
    for claims in [json!({"scope": "read"}), json!({"scope": "read", "role": "admin"})] {
        let reader = bearer(&jwt_of("u1", &claims));
        for operation in operation::operations() {
            for example in operation.examples {
                let params: Value = serde_json::from_str(example).expect("an example");
                let answer = call_as(&server, &reader, operation.id, &params).await;
                // Some of what reads is for administrators, and says so with another code.
                let told = answer.json()["error"]["data"]["code"] == "AF0042";
                let forbidden = answer.status == 403 && told;
                // Limits and breakers are everybody's, and only administrators look after them.
                let is_admin = claims.get("role").is_some();
                let of_admins = ["limits.list", "breakers.list"].contains(&operation.id);
                let refused = !operation.annotations.readonly || (of_admins && !is_admin);
                // Whose budgets these are decides.
                if operation.id == "budgets.list" && !is_admin {
                    continue;
                }
                assert_eq!(forbidden, refused, "{}", operation.id);
                if forbidden {
                    let error = &answer.json()["error"];
                    assert_eq!(
                        (&error["code"], &error["data"]["code"]),
                        (&json!(-32004), &json!("AF0042"))
                    );
                }
            }
        }
        let hook = exchange(server.at, &post("/webhook/trigger/report", &reader, "")).await;
        assert_eq!(hook.status, 403, "{}", hook.body);
    }
    let still = result_as(&server, &owner, "tasks.get", json!({"task_id": "report"})).await;
    assert_eq!((&still["status"], &still["name"]), (&json!("pending"), &json!("n")));
}

/// How an operation is asked about one task: every parameter that could name it does.
fn about(operation: &operation::Operation, id: &str) -> Option<Value> {
    let schema = operation.input_schema();
    let names = schema["properties"].as_object().expect("an object");
    let mut params = serde_json::Map::new();
    for name in ["task_id", "parent_id", "root_id", "id"] {
        if names.contains_key(name) {
            params.insert(name.to_owned(), json!(id));
            // The first one is enough; a second one would be taken for a mistake.
            break;
        }
    }
    if params.is_empty() && names.contains_key("task_ids") {
        params.insert("task_ids".to_owned(), json!([id]));
    }
    if operation.id == "tasks.update" {
        params.insert("name".to_owned(), json!("stolen"));
    }
    (!params.is_empty()).then_some(Value::Object(params))
}

#[tokio::test]
async fn b1_b7_what_is_somebody_elses_is_answered_like_what_is_not_there() {
    let server = shut().await;
    let (mine, other) = (jwt_of("u1", &json!({})), jwt_of("u2", &json!({})));
    result_as(&server, &mine, "tasks.create", json!({"id": "mine", "name": "SECRET"})).await;
    let mut asked = 0;
    for operation in operation::operations() {
        let told = async |id: &str, token: &str| {
            let params = about(operation, id)?;
            let answer = call_as(&server, &bearer(token), operation.id, &params).await;
            assert!(!answer.body.contains("SECRET") || token == mine, "{}", operation.id);
            Some((answer.status, answer.body.replace(id, "ID")))
        };
        let foreign = told("mine", &other).await;
        asked += usize::from(foreign.is_some());
        assert_eq!(foreign, told("none", &other).await, "{}", operation.id);
    }
    assert!(asked >= 9, "only {asked} operations were asked about a task");
    // What lists, lists nothing of it; what counts, does not count it.
    for operation in operation::operations().filter(|it| it.annotations.readonly) {
        for example in operation.examples.iter().chain(&["{}"]) {
            let params: Value = serde_json::from_str(example).expect("an example");
            let answer = call_as(&server, &bearer(&other), operation.id, &params).await;
            assert!(!answer.body.contains("SECRET"), "{}: {}", operation.id, answer.body);
        }
    }
    let counted = result_as(&server, &other, "tasks.count", json!({})).await;
    assert_eq!(counted["total"], 0);
    let hook = async |id: &str| {
        let answer =
            exchange(server.at, &post(&format!("/webhook/trigger/{id}"), &bearer(&other), ""))
                .await;
        (answer.status, answer.body.replace(id, "ID"))
    };
    assert_eq!(hook("mine").await, hook("none").await);
    assert_eq!(hook("mine").await.0, 400);
    let still = result_as(&server, &mine, "tasks.get", json!({"task_id": "mine"})).await;
    assert_eq!((&still["status"], &still["name"]), (&json!("pending"), &json!("SECRET")));
}

#[tokio::test]
async fn b2_every_item_of_a_batch_is_looked_at_by_itself() {
    let server = shut().await;
    let (mine, other) = (jwt_of("u1", &json!({})), jwt_of("u2", &json!({})));
    result_as(&server, &mine, "tasks.create", json!({"id": "mine", "name": "n"})).await;
    result_as(&server, &other, "tasks.create", json!({"id": "theirs", "name": "n"})).await;
    let ids = json!({"task_ids": ["theirs", "mine", "none"]});
    let states = result_as(&server, &other, "tasks.running.status", ids.clone()).await;
    let words: Vec<_> = states.as_array().expect("three").iter().map(|it| &it["status"]).collect();
    assert_eq!(words, ["pending", "not_found", "not_found"]);
    let stopped = result_as(&server, &other, "tasks.cancel", ids).await;
    assert_eq!(stopped[0]["status"], "cancelled");
    assert_eq!(stopped[1]["error"], "Task not found");
    let one = |id: u8, task: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tasks.get", "params": {"id": task}});
    let batch = json!([one(1, "theirs"), one(2, "mine")]).to_string();
    let answers = exchange(server.at, &post("/tasks", &bearer(&other), &batch)).await.json();
    assert_eq!(
        (&answers[0]["result"]["id"], &answers[1]["result"]),
        (&json!("theirs"), &Value::Null)
    );
    let still = result_as(&server, &mine, "tasks.get", json!({"task_id": "mine"})).await;
    assert_eq!(still["status"], "pending");
}

#[tokio::test]
async fn a05_tasks_belong_to_who_made_them_and_an_admin_may_make_them_for_others() {
    let server = shut().await;
    let user = jwt_of("u1", &json!({}));
    let admin = jwt_of("boss", &json!({"roles": ["admin"]}));
    let owner = |task: &Value| task["user_id"].clone();
    let own = result_as(&server, &user, "tasks.create", json!({"name": "n"})).await;
    assert_eq!(owner(&own), "u1");
    let named =
        result_as(&server, &admin, "tasks.create", json!({"name": "n", "user_id": "u1"})).await;
    assert_eq!(owner(&named), "u1", "and not the admin's");
    let unnamed = result_as(&server, &admin, "tasks.create", json!({"name": "n"})).await;
    assert_eq!(owner(&unnamed), "boss");
    let all = result_as(&server, &admin, "tasks.list", json!({})).await;
    assert_eq!(all.as_array().map(Vec::len), Some(3));
    let theirs = result_as(&server, &admin, "tasks.list", json!({"user_id": "u1"})).await;
    assert_eq!(theirs.as_array().map(Vec::len), Some(2));
    let mine = result_as(&server, &user, "tasks.list", json!({})).await;
    assert_eq!(mine.as_array().map(Vec::len), Some(2));
}
