//! Cloning and idempotency keys through the gateway, over an engine that works.

use std::{sync::Arc, time::Duration};

use apflow_core::{
    api::{ApiError, Call, Caller, Gateway, GatewayConfig},
    code::Code,
    testing::{RuntimeClock, Script},
};
use serde_json::{Value, json};

use crate::stage::{START, Stage};

struct Desk {
    stage: Stage,
    gateway: Gateway,
}

impl Desk {
    fn new(script: impl IntoIterator<Item = (&'static str, Vec<Script>)>) -> Self {
        let stage = Stage::new(script);
        let clock = Arc::new(RuntimeClock::new(START));
        let config = GatewayConfig {
            execute_wait: Duration::from_mins(1),
            version: "0".into(),
            ..GatewayConfig::default()
        };
        let gateway = Gateway::new(Arc::new(stage.engine.clone()), clock, config);
        Self { stage, gateway }
    }

    async fn ask_as(&self, who: &Caller, method: &str, params: Value) -> Result<Value, ApiError> {
        let read = Call::read(method, params)?;
        self.gateway.call(who, read.call).await.map(|reply| reply.json())
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        let answer = self.ask_as(&Caller::local(), method, params.clone()).await;
        answer.unwrap_or_else(|error| panic!("{method} {params}: {error:?}"))
    }

    async fn refused(&self, method: &str, params: Value) -> ApiError {
        self.ask_as(&Caller::local(), method, params).await.expect_err(method)
    }

    /// Three tasks that have run.
    async fn ran(&self) {
        let play = json!({ "method": "play" });
        let tasks = json!([
            { "id": "root", "name": "root", "schemas": play },
            { "id": "a", "name": "a", "parent_id": "root", "schemas": play },
            { "id": "b", "name": "b", "parent_id": "root", "dependencies": ["a"], "schemas": play },
        ]);
        let ended = self.ask("tasks.execute", json!({ "tasks": tasks })).await;
        assert_eq!(ended["outcome"], "completed");
    }
}

fn bound(user: &str) -> Caller {
    Caller { user_id: Some(user.to_owned()), ..Caller::default() }
}

#[tokio::test(start_paused = true)]
async fn a_clone_is_answered_as_a_flat_list_or_as_one_object() {
    let desk = Desk::new([]);
    let worker = desk.stage.engine.work();
    desk.ran().await;
    let list = desk.ask("tasks.clone", json!({ "task_id": "root" })).await;
    let names: Vec<&Value> = (0..3).map(|at| &list[at]["name"]).collect();
    assert_eq!(names, ["root", "a", "b"]);
    assert_eq!(list[2]["dependencies"], json!([list[1]["id"]]));
    for (task, original) in list.as_array().expect("a list").iter().zip(["root", "a", "b"]) {
        assert_eq!(task["task_tree_id"], list[0]["id"]);
        assert_eq!((&task["status"], &task["result"]), (&json!("pending"), &Value::Null));
        assert_eq!((&task["progress"], &task["error"]), (&json!(0.0), &Value::Null));
        assert_eq!(
            (&task["origin_type"], &task["original_task_id"]),
            (&json!("copy"), &json!(original))
        );
    }
    let one = desk.ask("tasks.copy", json!({ "task_id": "b" })).await;
    assert_eq!((&one["name"], &one["dependencies"]), (&json!("b"), &json!([])));
    assert_eq!(one["parent_id"], Value::Null);
    let all = desk.ask("tasks.copy", json!({ "task_id": "root", "copy_children": true })).await;
    assert_eq!(all.as_array().map(Vec::len), Some(3));
    let ended = desk.ask("tasks.execute", json!({ "task_id": list[0]["id"] })).await;
    assert_eq!(ended["outcome"], "completed");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_link_is_read_run_and_left_alone() {
    let desk = Desk::new([]);
    let worker = desk.stage.engine.work();
    desk.ran().await;
    let link = json!({ "task_id": "root", "origin_type": "link" });
    let list = desk.ask("tasks.clone", link).await;
    let id = &list[1]["id"];
    let original = desk.ask("tasks.get", json!({ "task_id": "a" })).await;
    let read = desk.ask("tasks.get", json!({ "task_id": id })).await;
    for field in ["result", "status", "progress", "error", "started_at", "completed_at", "name"] {
        assert_eq!(read[field], original[field], "{field}");
    }
    assert_eq!(original["has_references"], true);
    let tree = desk.ask("tasks.tree", json!({ "task_id": list[0]["id"] })).await;
    assert_eq!(tree["children"][1]["task"]["dependencies"], json!([id]), "K27: not the original's");

    for which in [0, 1] {
        let ran = desk.ask("tasks.execute", json!({ "task_id": list[which]["id"] })).await;
        assert_eq!((&ran["success"], &ran["status"]), (&json!(true), &json!("started")));
        assert_eq!((&ran["outcome"], &ran["root_task_id"]), (&json!("completed"), &list[0]["id"]));
        assert_eq!((&ran["failed_tasks"], &ran["blocked_tasks"]), (&json!([]), &json!([])));
    }
    for (method, params) in [
        ("tasks.update", json!({ "task_id": id, "name": "x" })),
        ("tasks.update", json!({ "task_id": id, "status": "pending" })),
        ("tasks.delete", json!({ "task_id": id })),
        ("tasks.execute", json!({ "task_id": id, "reexecute": true })),
    ] {
        let error = desk.refused(method, params).await;
        assert_eq!((error.code, error.code.rpc()), (Code::Fixed, -32006), "{method}");
        assert!(error.hint.is_some(), "{method}");
    }
    let cancelled = desk.ask("tasks.cancel", json!({ "task_id": id })).await;
    assert_eq!(cancelled[0]["status"], "failed");
    assert_eq!(desk.ask("tasks.get", json!({ "task_id": id })).await, read);
    let error = desk.refused("tasks.clone", json!({ "task_id": "nobody" })).await;
    assert_eq!((error.code, error.detail.as_str()), (Code::NotFound, "Task nobody not found"));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_archive_answers_with_what_it_keeps_and_refuses_the_rest() {
    let desk = Desk::new([]);
    let worker = desk.stage.engine.work();
    desk.ran().await;
    let archive = json!({ "task_id": "root", "origin_type": "archive", "recursive": false });
    let one = desk.ask("tasks.clone", archive).await;
    assert_eq!((&one["id"], &one["origin_type"]), (&json!("root"), &json!("archive")));
    let all = desk.ask("tasks.clone", json!({ "task_id": "root", "origin_type": "archive" })).await;
    assert_eq!(all.as_array().map(Vec::len), Some(3));
    assert_eq!((&all[2]["id"], &all[2]["status"]), (&json!("b"), &json!("completed")));
    for (method, params) in [
        ("tasks.update", json!({ "task_id": "a", "priority": 0 })),
        ("tasks.delete", json!({ "task_id": "root" })),
        ("tasks.execute", json!({ "task_id": "root" })),
        ("tasks.execute", json!({ "task_id": "root", "reexecute": true })),
    ] {
        let error = desk.refused(method, params).await;
        assert_eq!((error.code, error.code.http()), (Code::Fixed, 409), "{method}");
    }
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_done_or_leads_outside_is_told_with_its_code() {
    let desk = Desk::new([]);
    let tasks = json!([{ "id": "r", "name": "r" }, { "id": "x", "name": "x", "parent_id": "r" },
        { "id": "y", "name": "y", "parent_id": "r", "dependencies": ["x"] }]);
    desk.ask("tasks.create", json!({ "tasks": tasks })).await;
    for mode in ["link", "archive"] {
        let error =
            desk.refused("tasks.clone", json!({ "task_id": "r", "origin_type": mode })).await;
        assert_eq!((error.code, error.code.rpc()), (Code::Unfinished, -32006), "{mode}");
        assert!(error.detail.starts_with("Only a fully completed task tree can be linked."));
    }
    let error = desk.refused("tasks.clone", json!({ "task_id": "y" })).await;
    assert_eq!(error.code, Code::InvalidTree);
    assert!(
        error.detail.starts_with("Task 'y' (id: y) has dependency on task 'x' which is outside")
    );
    let with = json!({ "task_id": "y", "auto_include_deps": true });
    assert_eq!(desk.ask("tasks.clone", with).await.as_array().map(Vec::len), Some(3));
    let preview = json!({ "task_id": "r", "save": false, "reset_fields": { "priority": 0 } });
    let said = desk.ask("tasks.clone", preview).await;
    assert_eq!((said.as_array().map(Vec::len), &said[0]["priority"]), (Some(3), &json!(0)));
    let count = desk.ask("tasks.count", json!({})).await;
    assert_eq!(count["total"], 6, "the preview is not among them");
}

#[tokio::test(start_paused = true)]
async fn b3_nobody_clones_or_links_what_is_not_theirs() {
    let desk = Desk::new([]);
    let worker = desk.stage.engine.work();
    let (me, you) = (bound("u1"), bound("u2"));
    let make = |id: &str| {
        json!([{ "id": id, "name": id, "schemas": { "method": "play" } },
            { "id": format!("{id}1"), "name": "x", "parent_id": id, "schemas": { "method": "play" } }])
    };
    for (who, id) in [(&me, "mine"), (&you, "yours")] {
        let tasks = json!({ "tasks": make(id) });
        desk.ask_as(who, "tasks.execute", tasks).await.expect("it runs");
    }
    for mode in ["copy", "link", "archive", "mixed"] {
        let told = async |id: &str| {
            let params = json!({ "task_id": id, "origin_type": mode, "link_task_ids": [id] });
            let error = desk.ask_as(&you, "tasks.clone", params).await.expect_err(mode);
            format!("{} {}", error.code, error.data()).replace(id, "ID")
        };
        assert_eq!(told("mine").await, told("none").await, "{mode}");
    }
    // An id inside the parameters is treated alike.
    let told = async |id: &str| {
        let params = json!({ "task_id": "yours", "origin_type": "mixed", "link_task_ids": [id] });
        let error = desk.ask_as(&you, "tasks.clone", params).await.expect_err("not among them");
        format!("{} {}", error.code, error.data()).replace(id, "ID")
    };
    assert_eq!(told("mine1").await, told("none1").await);
    let params = json!({ "task_id": "yours", "user_id": "u1" });
    let error = desk.ask_as(&you, "tasks.clone", params).await.expect_err("for somebody else");
    assert!(error.detail.starts_with("Permission denied: User u2 can only copy"), "{error}");
    let params = json!({ "task_id": "mine", "origin_type": "link", "user_id": "u2" });
    let error = desk.refused("tasks.clone", params).await;
    assert_eq!(error.detail, "Deny linking to a different user's task.");
    let params = json!({ "task_id": "mine", "reset_fields": { "user_id": "u2" } });
    let copies = desk.ask("tasks.clone", params).await;
    assert_eq!((&copies[0]["user_id"], &copies[1]["user_id"]), (&json!("u2"), &json!("u2")));
    let params = json!({ "task_id": "mine" });
    let own = desk.ask_as(&me, "tasks.clone", params).await.expect("my own");
    assert_eq!(own[0]["user_id"], "u1");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn k9_a_hundred_executions_with_one_key_are_one_run() {
    let desk = Desk::new([]);
    let worker = desk.stage.engine.work();
    let tasks = json!([{ "id": "r", "name": "r", "schemas": { "method": "play" } }]);
    desk.ask("tasks.create", json!({ "tasks": tasks })).await;
    let execute = json!({ "task_id": "r", "idempotency_key": "k" });
    let all = (0..100).map(|_| desk.ask("tasks.execute", execute.clone()));
    let answers = futures_util::future::join_all(all).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0]["outcome"], "completed");
    let later = desk.ask("tasks.execute", execute).await;
    assert_eq!(later, answers[0]);
    let other = json!({ "task_id": "r", "idempotency_key": "k", "reexecute": true });
    assert_eq!(desk.refused("tasks.execute", other).await.code, Code::KeyReused);

    let clone = json!({ "task_id": "r", "idempotency_key": "c", "reset_fields": { "name": "n" } });
    let all = (0..100).map(|_| desk.ask("tasks.clone", clone.clone()));
    let answers = futures_util::future::join_all(all).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let other = json!({ "task_id": "r", "idempotency_key": "c", "reset_fields": { "name": "m" } });
    assert_eq!(desk.refused("tasks.clone", other).await.code, Code::KeyReused);
    assert_eq!(desk.ask("tasks.count", json!({})).await["total"], 2);
    let started = desk.stage.store.journal();
    let runs = started.iter().filter(|event| event.kind.as_str() == "run_started").count();
    assert_eq!(runs, 1);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_worker_forgets_keys_whose_time_is_over() {
    let desk = Desk::new([]);
    let worker = desk.stage.engine.work();
    let make = |name: &str| json!({ "tasks": [{ "name": name }], "idempotency_key": "k" });
    desk.ask("tasks.create", make("a")).await;
    tokio::time::sleep(Duration::from_hours(6 * 24)).await;
    assert_eq!(desk.refused("tasks.create", make("b")).await.code, Code::KeyReused);
    tokio::time::sleep(Duration::from_hours(26)).await;
    desk.ask("tasks.create", make("b")).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_loop_made_by_an_update_has_its_own_code() {
    let desk = Desk::new([]);
    let tasks =
        json!([{ "id": "a", "name": "a" }, { "id": "b", "name": "b", "dependencies": ["a"] }]);
    desk.ask("tasks.create", json!({ "tasks": tasks })).await;
    let update = |on: &str| json!({ "task_id": "a", "dependencies": [on] });
    let error = desk.refused("tasks.update", update("b")).await;
    assert_eq!((error.code, error.code.rpc()), (Code::Cycle, -32002));
    assert!(
        error
            .detail
            .starts_with("Update failed:\n- Circular dependency detected involving task 'a'")
    );
    assert_eq!(error.data()["path"], json!(["a", "b", "a"]));
    let error = desk.refused("tasks.update", update("q")).await;
    assert_eq!((error.code, error.code.rpc()), (Code::UnknownReference, -32011));
    assert!(error.detail.contains("Dependency reference 'q' not found"), "{error}");
    let left = desk.ask("tasks.get", json!({ "task_id": "a" })).await;
    assert_eq!(left["dependencies"], json!([]));
}
