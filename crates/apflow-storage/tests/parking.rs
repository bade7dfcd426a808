//! A task that asks people and waits for events, from an executor to the operations and back.

use std::sync::Arc;

use apflow_core::{
    api::{ApiError, Call, Caller, Gateway, GatewayConfig},
    code::Code,
    engine::Engine,
    executor::{Context, EventWait, ExecuteError, Executor, Manifest},
    id::{Ids, TreeId},
    question::Question,
    registry::Registry,
    store::{EventKind, Store},
    time::{Clock, Timestamp},
};
use apflow_storage::{OpenOptions, open};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};

struct Counting(std::sync::atomic::AtomicU64);

impl Ids for Counting {
    fn next(&self) -> String {
        format!("id-{}", self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

/// Asks two questions and waits for an event, and says what came.
struct Curious(Manifest);

#[async_trait]
impl Executor for Curious {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    async fn execute(
        &self,
        _: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError> {
        let which = context.ask(Question::selection("which?", ["blue", "green"]))?;
        let sure = context.ask(Question::approval("sure?"))?;
        let paid = context.wait_for_event(EventWait::on("paid").only("order", 7))?;
        Ok(json!({
            "which": which.text(), "sure": sure.is_approved(), "by": sure.by, "paid": paid,
            "attempt": context.attempt,
        }))
    }
}

fn engine(store: Arc<dyn Store>, prefix: u64) -> Engine {
    let mut registry = Registry::new();
    registry.register(Curious(Manifest::new("curious", "Asks.")));
    let ids = Arc::new(Counting((prefix * 1000).into()));
    Engine::builder(store, ids).registry(registry).build()
}

async fn call(gateway: &Gateway, method: &str, params: Value) -> Result<Value, ApiError> {
    let call = Call::read(method, params)?.call;
    Ok(gateway.call(&Caller::local(), call).await?.json())
}

/// Waits until something of this kind has happened so often.
async fn happened(engine: &Engine, tree: &str, kind: EventKind, times: usize) {
    let mut events = engine.watch(Some(TreeId::new(tree)), 0);
    let mut count = 0;
    while count < times {
        let event = events.next().await.expect("the journal goes on").expect("an event");
        count += usize::from(event.kind == kind);
    }
}

async fn question(gateway: &Gateway) -> Value {
    let list = call(gateway, "feedback.list", json!({})).await.expect("a list");
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    list[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_asks_twice_waits_for_an_event_and_survives_a_restart_in_between() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.db");
    let path = path.to_str().expect("a path in UTF-8");

    let store = open(path, OpenOptions::default()).await.expect("opens");
    let first = engine(Arc::clone(&store), 1);
    let gateway = Gateway::new(Arc::new(first.clone()), Arc::new(Epoch), GatewayConfig::default());
    let worker = first.work();
    let run = json!({
        "tasks": [{"id": "t", "name": "t", "schemas": {"method": "curious"}}], "wait": false,
    });
    let begun = call(&gateway, "tasks.execute", run).await.expect("it begins");
    let tree = call(&gateway, "tasks.get", json!({ "task_id": "t" })).await.expect("a task");
    let tree = tree["task_tree_id"].as_str().expect("a tree").to_owned();
    happened(&first, &tree, EventKind::Parked, 1).await;

    let asked = question(&gateway).await;
    assert_eq!(
        (&asked["detail"]["prompt"], &asked["task_id"]),
        (&json!("which?"), &json!("t")),
        "{begun}"
    );
    let task = call(&gateway, "tasks.get", json!({ "task_id": "t" })).await.expect("a task");
    assert_eq!((&task["status"], &task["state"]["id"]), (&json!("in_progress"), &asked["id"]));
    let id = asked["id"].clone();
    let unfit = json!({ "id": id, "answer": "red" });
    let unfit = call(&gateway, "feedback.respond", unfit).await.expect_err("not among them");
    assert_eq!((unfit.code, unfit.code.http()), (Code::UnfitAnswer, 422));
    assert_eq!(question(&gateway).await["state"], "pending", "it stays open");
    let fit = json!({ "id": id, "selected": "green", "responded_by": "ann" });
    call(&gateway, "feedback.respond", fit.clone()).await.expect("it fits");
    let second = call(&gateway, "feedback.respond", fit).await.expect_err("it is closed");
    assert_eq!(second.code, Code::WaitClosed);
    let nobody = call(&gateway, "feedback.get", json!({ "id": "nobody" })).await;
    assert_eq!(nobody.expect_err("there is none").code, Code::NoSuchWait);
    happened(&first, &tree, EventKind::Parked, 2).await;
    assert_eq!(question(&gateway).await["detail"]["prompt"], "sure?");
    worker.drain(std::time::Duration::ZERO).await;
    drop((gateway, first, store));

    let store = open(path, OpenOptions::default()).await.expect("opens again");
    let second = engine(store, 2);
    let gateway = Gateway::new(Arc::new(second.clone()), Arc::new(Epoch), GatewayConfig::default());
    let _worker = second.work();
    let sure =
        json!({ "id": question(&gateway).await["id"], "answer": true, "responded_by": "bob" });
    call(&gateway, "feedback.respond", sure).await.expect("it fits");
    happened(&second, &tree, EventKind::Parked, 3).await;
    let other = json!({ "topic": "paid", "payload": { "order": 8 } });
    let other = call(&gateway, "events.publish", other).await.expect("it is published");
    assert_eq!(other["woken"], 0);
    let paid = json!({ "topic": "paid", "payload": { "order": 7 } });
    let paid = call(&gateway, "events.publish", paid).await.expect("it is published");
    assert_eq!(paid["woken"], 1);
    second.wait(&TreeId::new(tree)).await.expect("it ends");
    let task = call(&gateway, "tasks.get", json!({ "task_id": "t" })).await.expect("a task");
    let result = json!({
        "which": "green", "sure": true, "by": "bob", "paid": { "order": 7 }, "attempt": 1,
    });
    assert_eq!(task["result"], result);
}
