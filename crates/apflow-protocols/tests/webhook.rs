//! Inbound webhooks, attacked over a real connection. The ids are those of the list of attacks: W.

use std::{sync::Arc, time::Duration};

use apflow_core::{
    api::{Gateway, operation},
    secret::Secret,
    store::{AccessStore, Store},
    testing::{ManualClock, MemoryStore},
    time::{Clock, Timestamp},
    webhook::{
        Network, Verdict, WebhookConfig, WebhookRequest, WebhookVerify, Webhooks, sign,
        standard_secret,
    },
};
use apflow_protocols::{
    auth::{ConfiguredToken, Gate, NewToken},
    http::HttpConfig,
};
use serde_json::{Value, json};

use crate::{
    client::{Response, call, exchange, get, post},
    fake::{Fake, Noon},
    server::{self, Server, short},
};

const SECRET: &str = "0123456789abcdef";

fn secret() -> Secret {
    Secret::new(SECRET)
}

fn seconds() -> i64 {
    Noon.now().0 / 1_000_000
}

pub(crate) fn with_secret() -> WebhookConfig {
    WebhookConfig { secrets: vec![secret()], ..WebhookConfig::default() }
}

/// One database that several servers have in common.
fn seen() -> Arc<dyn AccessStore> {
    let store: Arc<dyn Store> =
        Arc::new(MemoryStore::new(Arc::new(ManualClock::new(Timestamp(0)))));
    store
}

fn gateway(webhooks: Webhooks) -> Gateway {
    server::gateway(Duration::from_millis(500)).with_webhooks(Arc::new(webhooks))
}

pub(crate) async fn start(config: WebhookConfig) -> Server {
    let webhooks = Webhooks::new(config, seen()).expect("a good configuration");
    server::start_with(gateway(webhooks), short()).await
}

fn headers(at: i64, task: &str, body: &str) -> String {
    let signature = sign(&secret(), at, &task.into(), body.as_bytes());
    format!("X-Webhook-Timestamp: {at}\r\nX-Webhook-Signature: {signature}\r\n")
}

async fn send(server: &Server, task: &str, headers: &str, body: &str) -> Response {
    exchange(server.at, &post(&format!("/webhook/trigger/{task}"), headers, body)).await
}

async fn made(server: &Server, id: &str, name: &str) {
    let made = call(server.at, "tasks.create", json!({"id": id, "name": name})).await;
    assert_eq!(made.status, 200, "{}", made.body);
}

async fn ran(server: &Server, id: &str) -> bool {
    let task = call(server.at, "tasks.get", json!({"task_id": id})).await.json();
    task["result"]["status"] != "pending"
}

/// The error and the status of a refusal.
fn refusal(answer: &Response) -> (u16, String, String) {
    let body = answer.json();
    assert_eq!(body["success"], false, "{body}");
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    (answer.status, text("code"), text("error"))
}

#[tokio::test]
async fn w1_an_empty_body_without_signature_is_refused() {
    let server = start(with_secret()).await;
    made(&server, "a", "n").await;
    for body in ["", "{}"] {
        for more in ["", "X-Webhook-Timestamp: 1\r\n", "X-Webhook-Signature:\r\n"] {
            let answer = send(&server, "a", more, body).await;
            let (status, code, _) = refusal(&answer);
            assert_eq!((status, code.as_str()), (401, "AF0043"), "{more:?} {body:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert_eq!(refusal(&send(&server, "a", "", "").await).2, "Missing signature");
    let as_call = call(server.at, "tasks.webhook.trigger", json!({"task_id": "a"})).await;
    assert_eq!((as_call.status, &as_call.json()["error"]["data"]["code"]), (401, &json!("AF0043")));
    assert!(!ran(&server, "a").await);
    let answer = send(&server, "a", &headers(seconds(), "a", ""), "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(ran(&server, "a").await);
}

#[tokio::test]
async fn w2_a_wrong_signature_says_nothing_of_the_task() {
    let server = start(with_secret()).await;
    made(&server, "a", "n").await;
    let told = async |id: &str| {
        let wrong = format!(
            "X-Webhook-Timestamp: {}\r\nX-Webhook-Signature: {}\r\n",
            seconds(),
            "0".repeat(64)
        );
        let answer = send(&server, id, &wrong, "").await;
        (answer.status, answer.body.replace(&format!("\"{id}\""), "ID"))
    };
    assert_eq!(told("a").await, told("none").await);
    assert_eq!(told("a").await.0, 401);
    assert!(!ran(&server, "a").await);
}

#[tokio::test]
async fn w3_a_signature_without_a_fresh_time_is_refused() {
    let server = start(with_secret()).await;
    made(&server, "a", "n").await;
    let now = seconds();
    for at in [now - 600, now + 600, now - 301, now + 301, 1, 978_307_200] {
        let answer = send(&server, "a", &headers(at, "a", "x"), "x").await;
        assert_eq!(refusal(&answer).0, 401, "{at}");
    }
    let signature = sign(&secret(), now, &"a".into(), b"x");
    for time in ["", "X-Webhook-Timestamp: now\r\n", "X-Webhook-Timestamp: 1e9\r\n"] {
        let more = format!("{time}X-Webhook-Signature: {signature}\r\n");
        assert_eq!(refusal(&send(&server, "a", &more, "x").await).0, 401, "{time:?}");
    }
    let huge =
        format!("X-Webhook-Timestamp: 1{}\r\nX-Webhook-Signature: {signature}\r\n", "0".repeat(30));
    assert_eq!(refusal(&send(&server, "a", &huge, "x").await).0, 401);
    assert!(!ran(&server, "a").await);
}

#[tokio::test]
async fn w4_a_signature_counts_once_on_all_nodes() {
    let shared = seen();
    let fake = Arc::new(Fake::default());
    let node = async || {
        let webhooks = Webhooks::new(with_secret(), Arc::clone(&shared)).expect("good");
        let gateway = Gateway::new(
            fake.clone(),
            Arc::new(Noon),
            server::gateway(Duration::from_millis(500)).config().clone(),
        );
        server::start_with(gateway.with_webhooks(Arc::new(webhooks)), short()).await
    };
    let (one, two) = (node().await, node().await);
    made(&one, "a", "n").await;
    let signed = headers(seconds(), "a", "x");
    assert_eq!(send(&one, "a", &signed, "x").await.status, 200);
    for server in [&one, &two] {
        let (status, code, error) = refusal(&send(server, "a", &signed, "x").await);
        assert_eq!((status, code.as_str()), (401, "AF0043"));
        assert_eq!(error, "Signature was used before");
        let loud = signed.to_uppercase();
        assert_eq!(send(server, "a", &loud, "x").await.status, 401);
    }
    assert_eq!(send(&two, "a", &headers(seconds() + 1, "a", "x"), "x").await.status, 200);
}

#[tokio::test]
async fn w5_a_signature_for_one_task_does_not_trigger_another() {
    let server = start(with_secret()).await;
    for id in ["a", "b", "a.b"] {
        made(&server, id, "n").await;
    }
    let signed = headers(seconds(), "a", "b.x");
    assert_eq!(refusal(&send(&server, "b", &signed, "b.x").await).0, 401);
    assert_eq!(refusal(&send(&server, "a.b", &signed, "x").await).0, 401);
    assert_eq!(refusal(&send(&server, "a", &signed, "b.y").await).0, 401, "another body");
    assert!(!ran(&server, "b").await && !ran(&server, "a.b").await && !ran(&server, "a").await);
    let as_call = json!({
        "task_id": "a", "timestamp": seconds(),
        "signature": sign(&secret(), seconds(), &"a".into(), b""),
    });
    let answer = call(server.at, "tasks.webhook.trigger", as_call.clone()).await.json();
    assert_eq!(answer["result"]["status"], "triggered", "{answer}");
    let again = call(server.at, "tasks.webhook.trigger", as_call).await;
    assert_eq!(again.status, 401, "the same once more");
}

#[tokio::test]
async fn w5_a_legacy_signature_names_no_task_so_it_counts_once_for_all_and_only_where_wished_for() {
    // What v1's clients send: hex(HMAC(secret, "{timestamp}.{body}")), which is ours over an id and
    // body that together say the same.
    let body = "id\0rest";
    let signature = sign(&secret(), seconds(), &"id".into(), b"rest");
    let signed =
        format!("X-Webhook-Timestamp: {}\r\nX-Webhook-Signature: {signature}\r\n", seconds());
    let strict = start(with_secret()).await;
    made(&strict, "a", "n").await;
    assert_eq!(send(&strict, "a", &signed, body).await.status, 401);
    let server = start(WebhookConfig { legacy_signature: true, ..with_secret() }).await;
    made(&server, "a", "n").await;
    made(&server, "b", "n").await;
    assert_eq!(send(&server, "a", &signed, body).await.status, 200);
    assert_eq!(send(&server, "b", &signed, body).await.status, 401);
    assert!(!ran(&server, "b").await);
}

#[tokio::test]
async fn a_standard_webhook_is_taken_with_the_secret_of_its_task() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let server = start(with_secret()).await;
    made(&server, "a", "n").await;
    made(&server, "b", "n").await;
    let own = standard_secret(&secret(), &"a".into());
    let key =
        STANDARD.decode(own.reveal().strip_prefix("whsec_").expect("whsec_")).expect("base64");
    let headers = |id: &str, body: &str| {
        let mut sum = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("any length");
        sum.update(format!("{id}.{}.{body}", seconds()).as_bytes());
        let signature = STANDARD.encode(sum.finalize().into_bytes());
        format!(
            "webhook-id: {id}\r\nwebhook-timestamp: {}\r\nwebhook-signature: v1,{signature}\r\n",
            seconds()
        )
    };
    assert_eq!(send(&server, "b", &headers("m1", "{}"), "{}").await.status, 401, "w5");
    assert_eq!(send(&server, "a", &headers("m1", "{}"), "{ }").await.status, 401);
    let taken = send(&server, "a", &headers("m1", "{}"), "{}").await;
    assert_eq!(taken.status, 200, "{}", taken.body);
    assert_eq!(send(&server, "a", &headers("m1", "{}"), "{}").await.status, 401, "w4");
    assert_eq!(send(&server, "a", &headers("m2", "{}"), "{}").await.status, 200);
}

#[tokio::test]
async fn w6_addresses_that_are_not_allowed_are_refused_also_with_a_good_signature() {
    let allowed: Vec<Network> = vec!["10.0.0.0/8".parse().expect("a network")];
    let config = WebhookConfig { allowed: allowed.clone(), ..with_secret() };
    let webhooks = Webhooks::new(config.clone(), seen()).expect("good");
    let server = server::start_with(gateway(webhooks), short()).await;
    made(&server, "a", "n").await;
    let signed = headers(seconds(), "a", "");
    // Nobody asked us to believe the header.
    let lie = format!("{signed}X-Forwarded-For: 10.1.1.1\r\n");
    let (status, code, error) = refusal(&send(&server, "a", &lie, "").await);
    assert_eq!((status, code.as_str(), error.as_str()), (403, "AF0042", "IP not allowed"));
    let unsigned = send(&server, "a", "X-Forwarded-For: 10.1.1.1\r\n", "").await;
    assert_eq!(unsigned.status, 401, "who proves nothing learns nothing of addresses");
    assert!(!ran(&server, "a").await);

    let webhooks = Webhooks::new(config, seen()).expect("good");
    let proxies = vec!["127.0.0.1".parse().expect("a network")];
    let config = HttpConfig { proxies, ..short() };
    let server = server::start_with(gateway(webhooks), config).await;
    made(&server, "a", "n").await;
    let outside = format!("{signed}X-Forwarded-For: 10.1.1.1, 8.8.8.8\r\n");
    assert_eq!(refusal(&send(&server, "a", &outside, "").await).0, 403);
    let inside = format!("{signed}X-Forwarded-For: 8.8.8.8, 10.1.1.1\r\n");
    assert_eq!(send(&server, "a", &inside, "").await.status, 200);
}

#[tokio::test]
async fn d05_a_rate_that_is_exceeded_is_told_with_the_time_to_wait() {
    let server = start(WebhookConfig { per_minute: 2, ..with_secret() }).await;
    made(&server, "a", "n").await;
    made(&server, "b", "n").await;
    for n in 0..2 {
        let signed = headers(seconds() + n, "a", "");
        assert_eq!(send(&server, "a", &signed, "").await.status, 200);
    }
    let third = headers(seconds() + 2, "a", "");
    for _ in 0..2 {
        // It was not used up, so it is not a replay.
        let answer = send(&server, "a", &third, "").await;
        let (status, code, error) = refusal(&answer);
        assert_eq!((status, code.as_str(), error.as_str()), (429, "AF0045", "Rate limit exceeded"));
        assert_eq!(answer.header("retry-after"), Some("30"));
    }
    let params = json!({"task_id": "a", "timestamp": seconds() + 3,
        "signature": sign(&secret(), seconds() + 3, &"a".into(), b"")});
    let as_call = call(server.at, "tasks.webhook.trigger", params).await;
    assert_eq!((as_call.status, as_call.header("retry-after")), (429, Some("30")));
    let other = headers(seconds(), "b", "");
    assert_eq!(send(&server, "b", &other, "").await.status, 200, "each task for itself");
}

/// Lets `yes` in for u1, and says no to everybody else.
struct Hook;

#[async_trait::async_trait]
impl WebhookVerify for Hook {
    async fn verify(&self, request: &WebhookRequest<'_>) -> Verdict {
        let valid = request.body == b"yes" && request.client_ip.is_some();
        Verdict { valid, user_id: Some("u1".to_owned()), error: Some("CANARY".to_owned()) }
    }
}

#[tokio::test]
async fn d05_a_verify_hook_decides_alike_for_both_ways_in() {
    let webhooks =
        Webhooks::new(WebhookConfig::default(), seen()).expect("good").verify(Arc::new(Hook));
    let server = server::start_with(gateway(webhooks), short()).await;
    made(&server, "nobodys", "n").await;
    let u1 = json!({"id": "mine", "name": "n", "user_id": "u1"});
    assert_eq!(call(server.at, "tasks.create", u1).await.status, 200);
    let (status, code, error) = refusal(&send(&server, "mine", "", "no").await);
    assert_eq!((status, code.as_str()), (401, "AF0043"));
    let as_call = call(server.at, "tasks.webhook.trigger", json!({"task_id": "mine"})).await;
    assert_eq!(
        (as_call.status, as_call.json()["error"]["data"]["detail"].as_str()),
        (401, Some(error.as_str()))
    );
    assert!(!as_call.body.contains("CANARY"), "what the hook says is for the log");
    assert!(!ran(&server, "mine").await);
    assert_eq!(send(&server, "mine", "", "yes").await.status, 200);
    let foreign = send(&server, "nobodys", "", "yes").await;
    assert_eq!(foreign.status, 400, "{}", foreign.body);
    assert_eq!(foreign.json()["error"], "Task nobodys not found");

    // With a secret beside it, both have to agree.
    let webhooks = Webhooks::new(with_secret(), seen()).expect("good").verify(Arc::new(Hook));
    let server = server::start_with(gateway(webhooks), short()).await;
    let u1 = json!({"id": "mine", "name": "n", "user_id": "u1"});
    assert_eq!(call(server.at, "tasks.create", u1).await.status, 200);
    assert_eq!(send(&server, "mine", "", "yes").await.status, 401);
    assert_eq!(send(&server, "mine", &headers(seconds(), "mine", "no"), "no").await.status, 401);
    assert_eq!(send(&server, "mine", &headers(seconds(), "mine", "yes"), "yes").await.status, 200);
}

#[tokio::test]
async fn w8_without_a_secret_only_this_machine_may_trigger_and_no_proxy_speaks_for_it() {
    let server = server::start(short()).await;
    made(&server, "a", "n").await;
    assert_eq!(send(&server, "a", "", "").await.status, 200, "this machine itself");
    for header in
        ["X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Real-IP: ::1", "Via: 1.1 x"]
    {
        let answer = send(&server, "a", &format!("{header}\r\n"), "").await;
        let (status, code, _) = refusal(&answer);
        assert_eq!((status, code.as_str()), (401, "AF0032"), "{header}");
    }
}

#[tokio::test]
async fn w9_with_authentication_a_webhook_needs_a_credential_or_a_signature() {
    let made_token = NewToken::of([1; 32]);
    let configured = ConfiguredToken::new(&made_token.digest, Some("u1".to_owned())).expect("good");
    let auth = Some(Arc::new(Gate::new(Arc::new(Noon)).tokens([configured])));
    let bearer = format!("Authorization: Bearer {}\r\n", made_token.token.reveal());
    let create = |id: &str| {
        let params = json!({"id": id, "name": "n"});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tasks.create", "params": params});
        post("/tasks", &bearer, &body.to_string())
    };

    let server = server::start(HttpConfig { auth: auth.clone(), ..short() }).await;
    assert_eq!(exchange(server.at, &create("a")).await.status, 200);
    assert_eq!(refusal(&send(&server, "a", "", "").await).0, 401, "this machine or not");
    assert_eq!(refusal(&send(&server, "a", "Authorization: Bearer x\r\n", "").await).0, 401);
    assert_eq!(send(&server, "a", &bearer, "").await.status, 200);

    let webhooks = Webhooks::new(with_secret(), seen()).expect("good");
    let server = server::start_with(gateway(webhooks), HttpConfig { auth, ..short() }).await;
    assert_eq!(exchange(server.at, &create("a")).await.status, 200);
    assert_eq!(refusal(&send(&server, "a", "", "").await).0, 401);
    assert_eq!(send(&server, "a", &headers(seconds(), "a", ""), "").await.status, 200);
    assert_eq!(send(&server, "a", &bearer, "").await.status, 200);
    let both = format!("{bearer}{}", headers(seconds() + 1, "b", ""));
    assert_eq!(
        refusal(&send(&server, "a", &both, "").await).0,
        401,
        "a wrong signature never helps"
    );
    let wrong = format!("Authorization: Bearer x\r\n{}", headers(seconds() + 2, "a", ""));
    assert_eq!(refusal(&send(&server, "a", &wrong, "").await).0, 401, "nor does a wrong token");
}

#[tokio::test]
async fn a_webhook_is_answered_at_once_or_when_the_run_has_ended() {
    let server = server::start(short()).await;
    for (id, name) in [("good", "n"), ("bad", "fail"), ("long", "hang")] {
        made(&server, id, name).await;
    }
    let child = json!({"id": "child", "name": "n", "parent_id": "good"});
    assert_eq!(call(server.at, "tasks.create", child).await.status, 200);
    let at_once = send(&server, "good?async=true", "", "").await;
    assert_eq!(
        (at_once.status, at_once.json()),
        (
            200,
            json!({"success": true, "status": "triggered", "task_id": "good",
            "message": "Task execution started in background"})
        )
    );
    let waited = send(&server, "good?async=false", "", "").await;
    assert_eq!(
        (waited.status, waited.json()),
        (
            200,
            json!({"success": true, "status": "completed", "task_id": "good",
            "result": {"ok": true}, "error": null,
            "children": [{"task_id": "child", "name": "n", "status": "completed", "error": null}]})
        )
    );
    let failed = send(&server, "bad?async=false", "", "").await;
    let body = failed.json();
    assert_eq!(
        (failed.status, &body["success"], &body["status"]),
        (200, &json!(false), &json!("failed"))
    );
    assert_eq!(body["error"], "it failed");

    assert_eq!(send(&server, "long", "", "").await.status, 200);
    let again = send(&server, "long", "", "").await;
    assert_eq!(
        (again.status, again.json()),
        (
            400,
            json!({"success": false, "error": "Task not ready for execution", "task_id": "long"})
        )
    );
    let missing = send(&server, "none", "", "").await;
    assert_eq!(
        (missing.status, missing.json()),
        (400, json!({"success": false, "error": "Task none not found", "task_id": "none"}))
    );
    let as_call = call(server.at, "tasks.webhook.trigger", json!({"task_id": "none"})).await;
    assert_eq!((as_call.status, &as_call.json()["result"]), (200, &missing.json()));
    let waited = json!({"task_id": "good", "async_execution": false});
    let waited = call(server.at, "tasks.webhook.trigger", waited).await.json();
    assert_eq!(waited["result"]["status"], "completed", "{waited}");

    assert_eq!(send(&server, "good?async=maybe", "", "").await.status, 400);
    assert_eq!(exchange(server.at, &get("/webhook/trigger/good", "")).await.status, 405);
}

#[tokio::test]
async fn w7_an_id_may_be_any_text_and_is_never_more_than_a_text() {
    let server = start(with_secret()).await;
    let id = "a\n* * * * * id; $(id) ../../x%'\"";
    made(&server, id, "n").await;
    let path = id.bytes().fold(String::new(), |path, byte| format!("{path}%{byte:02X}"));
    let signed = headers(seconds(), id, "");
    let answer = send(&server, &path, &signed, "").await;
    assert_eq!((answer.status, &answer.json()["task_id"]), (200, &json!(id)), "{}", answer.body);
    for wrong in ["%00", "%ff", &"a".repeat(256)] {
        assert_eq!(send(&server, wrong, &signed, "").await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn l3_neither_a_short_secret_nor_one_that_is_shown() {
    for secret in ["", "tiny", "fifteen-letters"] {
        let config =
            WebhookConfig { secrets: vec![Secret::new(secret)], ..WebhookConfig::default() };
        let error = Webhooks::new(config, seen()).expect_err("it can be guessed");
        assert!(error.contains("16") && (secret.is_empty() || !error.contains(secret)), "{error}");
    }
    let webhooks = Webhooks::new(with_secret(), seen()).expect("good");
    assert!(!format!("{webhooks:?}").contains(SECRET));
    let in_catalogue = operation::Operation::find("tasks.webhook.trigger").expect("there");
    assert_eq!(in_catalogue.module, "apflow.task.webhook_trigger");
}

/// A store with no room left for signatures.
struct Crowded;

#[async_trait::async_trait]
impl apflow_core::store::FlowStore for Crowded {}

#[async_trait::async_trait]
impl AccessStore for Crowded {
    async fn has_tokens(&self) -> Result<bool, apflow_core::store::StoreError> {
        Ok(false)
    }
    async fn token(
        &self,
        _: &str,
    ) -> Result<Option<apflow_core::store::ApiToken>, apflow_core::store::StoreError> {
        Ok(None)
    }
    async fn tokens(
        &self,
    ) -> Result<Vec<apflow_core::store::ApiToken>, apflow_core::store::StoreError> {
        Ok(Vec::new())
    }
    async fn add_token(
        &self,
        _: apflow_core::store::ApiToken,
    ) -> Result<(), apflow_core::store::StoreError> {
        Ok(())
    }
    async fn revoke_token(
        &self,
        _: &str,
        _: Timestamp,
    ) -> Result<bool, apflow_core::store::StoreError> {
        Ok(false)
    }
    async fn forget_token(
        &self,
        _: &str,
        _: Timestamp,
    ) -> Result<bool, apflow_core::store::StoreError> {
        Ok(false)
    }
    async fn use_token(&self, _: &str, _: Timestamp) -> Result<(), apflow_core::store::StoreError> {
        Ok(())
    }
    async fn see(
        &self,
        _: &str,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<apflow_core::store::Seen, apflow_core::store::StoreError> {
        Ok(apflow_core::store::Seen::Full)
    }
}

#[tokio::test]
async fn w4_what_cannot_be_remembered_is_not_let_in() {
    let webhooks = Webhooks::new(with_secret(), Arc::new(Crowded)).expect("good");
    let server = server::start_with(gateway(webhooks), short()).await;
    made(&server, "a", "n").await;
    let answer = send(&server, "a", &headers(seconds(), "a", ""), "").await;
    assert_eq!((refusal(&answer).0, answer.header("retry-after")), (503, Some("1")));
    assert!(!ran(&server, "a").await);
    let _: Value = answer.json();
}
