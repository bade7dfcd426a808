//! The page on which a question is answered, used and attacked over a real connection.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use apflow_core::{
    api::{Action, Call, Caller, Gateway, GatewayConfig},
    engine::{Engine, Worker},
    executor::{Context, ExecuteError},
    id::{Ids, TreeId},
    question::{Passes, Question},
    registry::Registry,
    secret::Secret,
    store::EventKind,
};
use apflow_storage::{OpenOptions, open};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::{
    client::{Response, exchange, get, post},
    fake::Noon,
    server::{self, Server},
};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

#[derive(Default)]
struct Numbers(AtomicU64);

impl Ids for Numbers {
    fn next(&self) -> String {
        format!("id-{}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

struct Bed {
    engine: Engine,
    gateway: Gateway,
    passes: Passes,
    server: Server,
    _worker: Worker,
}

fn passes() -> Passes {
    Passes::new(&Secret::new("0123456789abcdef")).expect("a good secret")
}

impl Bed {
    async fn new() -> Self {
        let store = open("sqlite::memory:", OpenOptions::default()).await.expect("a database");
        let mut registry = Registry::new();
        registry.function(
            "ask",
            "Asks what it is given.",
            |input: Value, context: Context| async move {
                let question = Question::of(&input["question"]).map_err(ExecuteError::permanent)?;
                let answer = context.ask(question)?;
                Ok::<_, ExecuteError>(json!({ "said": answer.reply.bare(), "by": answer.by }))
            },
        );
        let engine =
            Engine::builder(store, Arc::new(Numbers::default())).registry(registry).build();
        let worker = engine.work();
        let gateway =
            Gateway::new(Arc::new(engine.clone()), Arc::new(Noon), GatewayConfig::default())
                .with_passes(Arc::new(passes()));
        let server = server::start_with(gateway.clone(), server::short()).await;
        Self { engine, gateway, passes: passes(), server, _worker: worker }
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        let call = Call::read(method, params).expect("a call").call;
        self.gateway.call(&Caller::local(), call).await.expect("an answer").json()
    }

    /// Waits until the task has done so.
    async fn happened(&self, task: &str, kind: EventKind) {
        let tree = self.call("tasks.get", json!({ "task_id": task })).await;
        let tree = tree["task_tree_id"].as_str().expect("a tree").to_owned();
        let mut events = self.engine.watch(Some(TreeId::new(tree)), 0);
        loop {
            let event = events.next().await.expect("the journal goes on").expect("an event");
            if event.kind == kind {
                return;
            }
        }
    }

    /// Lets a task ask, and returns the question as it is listed.
    async fn asked(&self, task: &str, question: &Question) -> Value {
        let run = json!({ "wait": false, "tasks": [{
            "id": task, "name": "<i>task</i>", "schemas": {"method": "ask"},
            "inputs": {"question": question.detail()},
        }]});
        self.call("tasks.execute", run).await;
        self.happened(task, EventKind::Parked).await;
        let list = self.call("feedback.list", json!({ "task_id": task })).await;
        list[0].clone()
    }

    async fn result(&self, task: &str) -> Value {
        self.happened(task, EventKind::RunFinished).await;
        self.call("tasks.get", json!({ "task_id": task })).await["result"].clone()
    }

    async fn get(&self, path: &str) -> Response {
        exchange(self.server.at, &get(path, "")).await
    }

    async fn post(&self, path: &str, headers: &str, body: &str) -> Response {
        exchange(self.server.at, &post(path, headers, body)).await
    }
}

/// What a browser sends back of the hidden field.
fn proof(page: &Response) -> String {
    let (_, rest) = page.body.split_once("name=\"form\" value=\"").expect("a form");
    rest.split_once('"').expect("its end").0.to_owned()
}

fn page_of(question: &Value) -> String {
    question["page"].as_str().expect("a page").to_owned()
}

#[tokio::test]
async fn a_question_is_answered_on_its_page_without_an_account() {
    let bed = Bed::new().await;
    let asked = bed.asked("t", &Question::selection("which?", ["blue", "green"])).await;
    let path = page_of(&asked);
    let form = bed.get(&path).await;
    assert_eq!(form.status, 200, "{}", form.body);
    for part in ["<form method=\"post\">", "which?", "value=\"1\" required", "<bdi>green</bdi>"] {
        assert!(form.body.contains(part), "{part}: {}", form.body);
    }
    let body = format!("form={}&option=7", proof(&form));
    let unfit = bed.post(&path, FORM, &body).await;
    assert_eq!(unfit.status, 422);
    assert!(unfit.body.contains("not one of the options") && unfit.body.contains("<form"));
    let body = format!("form={}&option=1&by=Ann", proof(&form));
    assert_eq!(bed.post(&path, FORM, &body).await.status, 200);
    assert_eq!(bed.result("t").await, json!({ "said": "green", "by": "link: Ann" }));
}

#[tokio::test]
async fn a_replayed_answer_is_told_that_there_is_one() {
    let bed = Bed::new().await;
    let path = page_of(&bed.asked("t", &Question::approval("sure?")).await);
    let proof = proof(&bed.get(&path).await);
    let (no, yes) = (format!("form={proof}&approved=no"), format!("form={proof}&approved=yes"));
    assert_eq!(bed.post(&path, FORM, &no).await.status, 200);
    let again = bed.post(&path, FORM, &yes).await;
    assert_eq!(again.status, 410);
    assert!(again.body.contains("was answered"), "{}", again.body);
    assert_eq!(bed.get(&path).await.status, 410);
    assert_eq!(bed.result("t").await["said"], false);
    let list = bed.call("feedback.list", json!({ "state": "answered" })).await;
    assert_eq!(list[0]["page"], Value::Null, "nobody needs the page any more");
}

#[tokio::test]
async fn a_withdrawn_question_is_gone() {
    let bed = Bed::new().await;
    let asked = bed.asked("t", &Question::text("why?")).await;
    bed.call("feedback.cancel", json!({ "id": asked["id"] })).await;
    let page = bed.get(&page_of(&asked)).await;
    assert_eq!(page.status, 410);
    assert!(page.body.contains("withdrawn"), "{}", page.body);
}

#[tokio::test]
async fn a_guessed_token_learns_nothing() {
    let bed = Bed::new().await;
    let asked = bed.asked("t", &Question::approval("sure?")).await;
    let id = asked["id"].as_str().expect("an id");
    let other = bed.passes.token("another").expect("made");
    let near = format!("{}A", &bed.passes.token(id).expect("made")[..42]);
    let right = bed.passes.token("none").expect("made");
    let mut pages = vec![bed.get(&format!("/feedback/none?token={right}")).await];
    for query in [
        String::new(),
        "?token=".to_owned(),
        format!("?token={other}"),
        format!("?token={near}1"),
        format!("?token={0}&token={0}", bed.passes.token(id).expect("made")),
        format!("?token={}", "A".repeat(300)),
        "?token=%ff".to_owned(),
    ] {
        pages.push(bed.get(&format!("/feedback/{id}{query}")).await);
        pages.push(bed.post(&format!("/feedback/{id}{query}"), FORM, "approved=yes").await);
    }
    pages.push(bed.get(&format!("/feedback/none?token={other}")).await);
    for page in &pages {
        assert_eq!((page.status, &page.body), (404, &pages[0].body));
    }
    let still = bed.call("feedback.get", json!({ "id": id })).await;
    assert_eq!(still["state"], "pending");
}

#[tokio::test]
async fn csrf_a_form_of_another_page_answers_nothing() {
    let bed = Bed::new().await;
    let (a, b) = (Question::approval("a?"), Question::approval("b?"));
    let path = page_of(&bed.asked("a", &a).await);
    let other = page_of(&bed.asked("b", &b).await);
    let foreign = proof(&bed.get(&other).await);
    let own = proof(&bed.get(&path).await);
    for form in ["", "form=", &format!("form={foreign}"), &format!("form={own}&form={own}")] {
        let body = format!("approved=yes&{form}");
        assert_eq!(bed.post(&path, FORM, &body).await.status, 403, "{form}");
    }
    let good = format!("form={own}&approved=yes");
    for origin in ["http://evil.example", "null"] {
        let headers = format!("{FORM}Origin: {origin}\r\n");
        assert_eq!(bed.post(&path, &headers, &good).await.status, 403, "{origin}");
    }
    for kind in ["text/plain", "multipart/form-data", "application/json"] {
        let headers = format!("Content-Type: {kind}\r\n");
        assert_eq!(bed.post(&path, &headers, &good).await.status, 400, "{kind}");
    }
    assert_eq!(bed.call("feedback.list", json!({})).await.as_array().map(Vec::len), Some(2));
    assert_eq!(bed.post(&path, FORM, &good).await.status, 200);
}

#[tokio::test]
async fn xss_what_a_task_asks_stays_text_and_nothing_runs() {
    let bed = Bed::new().await;
    let evil = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";
    let mut question = Question::multi_selection(evil, [evil]);
    question.metadata.insert(evil.to_owned(), json!({ evil: evil }));
    let page = bed.get(&page_of(&bed.asked("t", &question).await)).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for tag in ["<script", "<img", "<i>", "'>&lt;", "\"'>"] {
        assert!(!page.body.contains(tag), "{tag}: {}", page.body);
    }
    assert!(page.body.contains("&lt;script&gt;alert(1)"), "{}", page.body);
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    let mut custom = Question::custom("json?", json!({ "title": evil, "type": "string" }));
    custom.metadata.clear();
    let path = page_of(&bed.asked("u", &custom).await);
    let form = bed.get(&path).await;
    assert!(!form.body.contains("<script") && form.body.contains("What fits"), "{}", form.body);
    let body = format!("form={}&json=%3Cscript%3E", proof(&form));
    let unfit = bed.post(&path, FORM, &body).await;
    assert_eq!(unfit.status, 422);
    assert!(!unfit.body.contains("<script"), "{}", unfit.body);
}

#[tokio::test]
async fn only_those_who_may_answer_get_the_page() {
    let bed = Bed::new().await;
    let asked = bed.asked("t", &Question::approval("sure?")).await;
    let reader = Caller { read_only: true, ..Caller::local() };
    assert!(!reader.may(Action::Write));
    let call = Call::read("feedback.get", json!({ "id": asked["id"] })).expect("a call").call;
    let seen = bed.gateway.call(&reader, call).await.expect("it may look").json();
    assert_eq!((&seen["id"], &seen["page"]), (&asked["id"], &Value::Null));
}

#[tokio::test]
async fn without_a_secret_there_is_no_page() {
    let server = server::start(server::short()).await;
    let token = passes().token("a").expect("made");
    let page = exchange(server.at, &get(&format!("/feedback/a?token={token}"), "")).await;
    assert_eq!(page.status, 404);
}
