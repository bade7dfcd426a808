//! Hooks that ask programs and addresses, with everything that can go wrong there.

#![expect(clippy::expect_used, reason = "a helper of tests may panic")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use apflow_core::{
    hook::{Attempted, Hook, Verdict},
    id::{TaskId, TreeId},
    store::Ended,
    task::{Definition, Outcome},
    testing::ManualClock,
    time::Timestamp,
    webhook::{Signature, WebhookRequest},
};
use apflow_executors::{
    ExecutorsConfig,
    courier::SigningKey,
    hooks::{HookSpec, build, build_verify},
};
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::any,
};
use serde_json::{Map, Value, json};

use crate::{inputs, rest::serve};

const NOON: Timestamp = Timestamp(1_763_640_000_250_000);

fn config() -> ExecutorsConfig {
    ExecutorsConfig::new(Arc::new(ManualClock::new(NOON)))
}

fn spec(value: Value) -> HookSpec {
    serde_json::from_value(value).expect("a spec")
}

/// A hook that runs this script of a shell.
fn script(on: &str, text: &str, more: Value) -> Arc<dyn Hook> {
    let mut value = json!({
        "name": "probe", "on": on,
        "run": {"command": {"program": "/bin/sh", "args": ["-c", text]}},
    });
    let fields = value.as_object_mut().expect("an object");
    fields.extend(inputs(more));
    build(&spec(value), &config()).expect("a hook")
}

/// What the hook wants before a task, and the inputs afterwards.
async fn before(hook: &dyn Hook) -> (Verdict, Value) {
    let mut map = inputs(json!({"n": 1}));
    let verdict = of(hook, false, &mut map).await;
    (verdict, Value::Object(map))
}

async fn of(hook: &dyn Hook, demo: bool, map: &mut Map<String, Value>) -> Verdict {
    let mut definition = Definition { name: "fetch".to_owned(), ..Definition::default() };
    definition.params.insert("executor_id".to_owned(), "play".into());
    let (task, tree) = (TaskId::from("t"), TreeId::from("tree"));
    let task = Attempted { task: &task, tree: &tree, attempt: 1, demo, definition: &definition };
    match hook.before_task(task, map).await {
        Verdict::Run => hook.before_executor("play", task, map).await,
        other => other,
    }
}

fn why(verdict: Verdict) -> String {
    match verdict {
        Verdict::Refuse(why) => why,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn a_program_reads_the_task_and_changes_inputs_answers_or_refuses() {
    let same = json!({"n": 1});
    let hook = script("pre", r#"echo '{"inputs": {"n": 2}}'"#, json!({}));
    assert_eq!(before(hook.as_ref()).await, (Verdict::Run, json!({"n": 2})));
    let hook = script("pre", r#"echo '{"answer": [42]}'"#, json!({}));
    assert_eq!(before(hook.as_ref()).await, (Verdict::Answer(json!([42])), same.clone()));
    let hook = script("pre", r#"echo '{"refuse": "not today"}'"#, json!({}));
    assert_eq!(why(before(hook.as_ref()).await.0), "not today");
    for silent in ["true", "echo '{}'", "echo null"] {
        let hook = script("pre", silent, json!({"on_error": "closed"}));
        assert_eq!(before(hook.as_ref()).await, (Verdict::Run, same.clone()), "{silent}");
    }
    let hook = script("executor_pre:play", r#"printf '{"answer": %s}' "$(cat)""#, json!({}));
    let Verdict::Answer(told) = before(hook.as_ref()).await.0 else { panic!("an answer") };
    let task = json!({
        "id": "t", "tree_id": "tree", "name": "fetch", "user_id": null, "executor": "play",
        "attempt": 1,
    });
    let expected =
        json!({"hook": "probe", "on": "executor_pre:play", "inputs": same, "task": task});
    assert_eq!(told, expected);
    let hook = script("executor_pre:other", r#"echo '{"answer": 1}'"#, json!({}));
    assert_eq!(before(hook.as_ref()).await.0, Verdict::Run, "another executor");
}

#[tokio::test]
async fn a_failing_program_stops_the_task_only_if_it_is_closed() {
    for (text, reason) in [
        ("exit 3", "its program ended with exit status: 3"),
        ("echo no json", "its answer is not JSON"),
        ("echo '[1]'", "its answer is no object"),
        (r#"echo '{"inputs": 1}'"#, "the `inputs` of its answer are no object"),
        (r#"echo '{"refuse": 1}'"#, "the `refuse` of its answer is no text"),
        (r#"echo '{"other": 1}'"#, "another key"),
        (r#"echo '{"answer": 1, "refuse": "x"}'"#, "more than one"),
    ] {
        let open = script("pre", text, json!({}));
        assert_eq!(before(open.as_ref()).await, (Verdict::Run, json!({"n": 1})), "{text}");
        let closed = script("pre", text, json!({"on_error": "closed"}));
        let why = why(before(closed.as_ref()).await.0);
        assert!(why.starts_with("the hook `probe` failed: ") && why.contains(reason), "{why}");
    }
}

#[tokio::test]
async fn c5_c7_a_hook_that_is_slow_or_endless_is_ended() {
    let begun = Instant::now();
    let hook = script("pre", "sleep 60 & sleep 60", json!({"timeout": 0.2, "on_error": "closed"}));
    assert!(why(before(hook.as_ref()).await.0).contains("longer than 0.2 s"));
    assert!(begun.elapsed() < Duration::from_secs(20));
    let text = "head -c 3000000 /dev/zero | tr '\\0' x";
    let hook = script("pre", text, json!({"on_error": "closed"}));
    assert!(why(before(hook.as_ref()).await.0).contains("said more than 1048576 bytes"));
}

#[tokio::test]
async fn c1_c3_a_hook_has_no_shell_and_no_environment_of_ours() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("hook");
    fs::write(&file, "#!/bin/sh\nset -- \"$1\" \"$(env | cut -d= -f1 | sort | xargs)\"\nprintf '{\"answer\": [\"%s\", \"%s\"]}' \"$1\" \"$2\"\n")
        .expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("executable");
    let run = json!({"command": {"program": file, "args": ["$(id); `id` > x"]}});
    let hook = build(&spec(json!({"on": "pre", "run": run})), &config()).expect("a hook");
    let Verdict::Answer(answer) = before(hook.as_ref()).await.0 else { panic!("an answer") };
    assert_eq!(answer[0], "$(id); `id` > x", "word for word");
    let names = answer[1].as_str().expect("names");
    for name in names.split(' ') {
        assert!(["HOME", "LANG", "PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name), "{names}");
    }
}

#[tokio::test]
async fn a_hook_is_asked_only_about_its_tasks_and_never_about_a_demonstration() {
    let refuses = r#"echo '{"refuse": "no"}'"#;
    for (only, asked) in [
        (json!({"executors": ["play"]}), true),
        (json!({"executors": ["rest_executor"]}), false),
        (json!({"names": ["fetch"]}), true),
        (json!({"names": ["other"], "executors": ["play"]}), false),
    ] {
        let hook = script("pre", refuses, json!({"match": only}));
        assert_eq!(before(hook.as_ref()).await.0 != Verdict::Run, asked, "{only}");
    }
    let hook = script("pre", refuses, json!({}));
    assert_eq!(of(hook.as_ref(), true, &mut Map::new()).await, Verdict::Run);
}

#[tokio::test]
async fn trees_and_ends_are_told_to_who_asked_for_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    let write = format!("cat >> {}; echo >> {}", log.display(), log.display());
    let tree = TreeId::from("tree");
    for on in ["tree_created", "tree_started", "tree_completed", "tree_failed", "post"] {
        let hook = script(on, &write, json!({}));
        hook.tree_created(&tree).await;
        hook.tree_started(&tree).await;
        hook.tree_finished(&tree, Outcome::Completed).await;
        hook.tree_finished(&tree, Outcome::Cancelled).await;
        let (id, definition) = (TaskId::from("t"), Definition::default());
        let task =
            Attempted { task: &id, tree: &tree, attempt: 1, demo: false, definition: &definition };
        let ended = Ended::Completed { result: json!(7) };
        hook.after_task(task, &Map::new(), &ended).await;
        hook.after_task(task, &Map::new(), &Ended::HandedBack).await;
    }
    let text = fs::read_to_string(log).expect("written");
    let told: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let seen: Vec<(&str, &Value)> =
        told.iter().map(|told| (told["on"].as_str().expect("on"), &told["outcome"])).collect();
    assert_eq!(
        seen,
        [
            ("tree_created", &Value::Null),
            ("tree_started", &Value::Null),
            ("tree_completed", &json!("completed")),
            ("tree_failed", &json!("cancelled")),
            ("post", &Value::Null),
        ]
    );
    assert_eq!((&told[4]["result"], &told[4]["status"]), (&json!(7), &json!("completed")));
}

/// A receiver that answers like this, and what it was sent.
async fn receiver(
    answer: impl IntoResponse + Clone + Send + Sync + 'static,
) -> (u16, Arc<Mutex<Vec<(HeaderMap, String)>>>) {
    let inbox = Arc::<Mutex<Vec<(HeaderMap, String)>>>::default();
    let kept = Arc::clone(&inbox);
    let app = Router::new().fallback(any(move |headers: HeaderMap, body: Bytes| {
        let body = String::from_utf8_lossy(&body).into_owned();
        kept.lock().expect("no panic").push((headers, body));
        let answer = answer.clone();
        async move { answer }
    }));
    (serve(app).await, inbox)
}

const SECRET: &str = "CANARY-a secret of some length";

fn web(port: u16, on_error: &str) -> Result<Arc<dyn Hook>, String> {
    let mut config = config();
    config.rest.allow_hosts.push(format!("127.0.0.1:{port}").parse().expect("a rule"));
    let run = json!({"webhook": {
        "url": format!("http://127.0.0.1:{port}/hook"), "secret": SECRET,
        "headers": {"x-token": "CANARY-token"},
    }});
    let value = json!({"name": "web", "on": "pre", "run": run, "on_error": on_error, "timeout": 5});
    build(&spec(value), &config)
}

#[tokio::test]
async fn an_address_is_asked_with_a_signature_and_answers_like_a_program() {
    let (port, inbox) = receiver(r#"{"inputs": {"n": 3}}"#).await;
    let hook = web(port, "closed").expect("a hook");
    assert_eq!(before(hook.as_ref()).await, (Verdict::Run, json!({"n": 3})));
    let (headers, body) = inbox.lock().expect("no panic").remove(0);
    let text = |name: &str| headers[name].to_str().expect("text").to_owned();
    let key = SigningKey::new(SECRET).expect("long enough");
    let signed = key.standard(&text("webhook-id"), &text("webhook-timestamp"), &body);
    assert_eq!(text("webhook-signature"), signed);
    assert_eq!(text("webhook-timestamp"), "1763640000");
    assert_eq!(
        (text("x-token").as_str(), text("content-type").as_str()),
        ("CANARY-token", "application/json")
    );
    assert!(!body.contains("CANARY"));
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&body["on"], &body["inputs"]), (&json!("pre"), &json!({"n": 1})));
}

#[tokio::test]
async fn an_address_that_fails_redirects_or_talks_too_much_is_a_failed_hook() {
    let (target, reached) = receiver("{}").await;
    let away = format!("http://127.0.0.1:{target}/");
    let (redirecting, _) = receiver((StatusCode::FOUND, [(header::LOCATION, away)])).await;
    let (failing, _) = receiver((StatusCode::INTERNAL_SERVER_ERROR, "CANARY-body")).await;
    let (endless, _) = receiver("x".repeat(2 << 20)).await;
    for (port, reason) in
        [(redirecting, "HTTP status 302"), (failing, "HTTP status 500"), (endless, "more than")]
    {
        let why = why(before(web(port, "closed").expect("a hook").as_ref()).await.0);
        assert!(why.starts_with("the hook `web` failed: ") && why.contains(reason), "{why}");
        assert!(!why.contains("CANARY"), "{why}");
        let open = web(port, "open").expect("a hook");
        assert_eq!(before(open.as_ref()).await, (Verdict::Run, json!({"n": 1})));
    }
    assert!(reached.lock().expect("no panic").is_empty(), "a redirect is not followed");
}

#[test]
fn what_cannot_work_is_refused_at_the_start_without_its_secrets() {
    let refused = |value: Value| build(&spec(value), &config()).err().expect("refused");
    let run = |program: &str| json!({"command": {"program": program}});
    for (value, reason) in [
        (json!({"on": "pre", "run": run("/no/such/program")}), "is not there"),
        (json!({"on": "pre", "run": run("./hook")}), "absolute path"),
        (json!({"on": "pre", "run": run("/bin/sh"), "timeout": 0}), "timeout"),
        (json!({"on": "pre", "run": run("/bin/sh"), "timeout": 1e9}), "timeout"),
        (json!({"on": "webhook_verify", "run": run("/bin/sh")}), "inbound webhooks"),
        (json!({"on": "pre", "run": {"webhook": {"url": "http://169.254.169.254/"}}}), "169.254"),
        (
            json!({"on": "pre", "run": {"webhook": {"url": "https://a.example", "secret": "CANARY"}}}),
            "can be guessed",
        ),
        (
            json!({"on": "pre", "run": {"webhook": {"url": "https://a.example", "headers": {"x": "CANARY\n"}}}}),
            "header",
        ),
    ] {
        let why = refused(value);
        assert!(why.contains(reason) && !why.contains("CANARY"), "{why}");
    }
    for on in ["", "before", "executor_pre:", "executor_pre"] {
        let read = serde_json::from_value::<HookSpec>(json!({"on": on, "run": run("/bin/sh")}));
        assert!(read.is_err(), "{on}");
    }
    let shown = spec(json!({"on": "pre", "run": {"webhook": {
        "url": "https://a.example/?k=CANARY", "secret": "CANARY", "headers": {"a": "CANARY"},
    }}}));
    assert!(!format!("{shown:?}").contains("CANARY"));
}

#[tokio::test]
async fn w_a_verify_hook_that_fails_triggers_nothing_even_if_it_is_open() {
    let verify = async |text: &str| {
        let run = json!({"command": {"program": "/bin/sh", "args": ["-c", text]}});
        let value = json!({"on": "webhook_verify", "run": run, "on_error": "open"});
        let hook = build_verify(&spec(value), &config()).expect("a check");
        let (task, signature) = (TaskId::from("t"), Signature::None);
        let request =
            WebhookRequest { task: &task, signature: &signature, body: b"{}", client_ip: None };
        hook.verify(&request).await
    };
    let verdict = verify(r#"echo '{"valid": true, "user_id": "ann"}'"#).await;
    assert_eq!((verdict.valid, verdict.user_id.as_deref()), (true, Some("ann")));
    for broken in ["exit 1", "true", "echo '{}'", r#"echo '{"valid": "yes"}'"#] {
        let verdict = verify(broken).await;
        assert!(!verdict.valid && verdict.error.is_some(), "{broken}");
    }
}
