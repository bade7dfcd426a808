//! Tasks that are made up, and the keys that pay for it, through the gateway.

use std::sync::{Arc, Mutex};

use apflow_core::{
    api::{ApiError, Call, Caller, Gateway, GatewayConfig, Reply},
    code::Code,
    generate::{Ask, Generator, NotGenerated},
    secret::Secret,
    testing::RuntimeClock,
};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::stage::{START, Stage};

/// Answers with what it was told to, and remembers what it was asked.
#[derive(Default)]
struct Made {
    answer: Value,
    asked: Mutex<Vec<Ask>>,
}

#[async_trait]
impl Generator for Made {
    async fn generate(&self, ask: Ask) -> Result<Value, NotGenerated> {
        let key = ask.key.clone();
        self.asked.lock().expect("no panic").push(ask);
        match (key, self.answer.as_str()) {
            (None, _) => Err(NotGenerated::NoKey),
            (Some(key), Some(says)) => {
                Err(NotGenerated::Failed(format!("{says} {}", key.reveal())))
            }
            (Some(_), None) => Ok(self.answer.clone()),
        }
    }
}

fn gateway(stage: &Stage, made: Option<&Arc<Made>>) -> Gateway {
    let clock = Arc::new(RuntimeClock::new(START));
    let gateway = Gateway::new(Arc::new(stage.engine.clone()), clock, GatewayConfig::default());
    match made {
        Some(made) => gateway.with_generator(made.clone()),
        None => gateway,
    }
}

async fn ask(
    gateway: &Gateway,
    caller: &Caller,
    method: &str,
    params: Value,
) -> Result<Value, ApiError> {
    let call = Call::read(method, params)?.call;
    gateway.call(caller, call).await.map(|reply: Reply| reply.json())
}

fn pair() -> Value {
    json!([
        {"id": "1", "name": "root", "schemas": {"method": "play"}},
        {"id": "2", "name": "leaf", "parent_id": "1", "user_id": "mallory",
         "schemas": {"method": "play"}},
    ])
}

#[tokio::test(start_paused = true)]
async fn without_a_generator_or_a_key_the_error_says_which() {
    let stage = Stage::new([]);
    let local = Caller::local();
    let wish = || json!({"requirement": "something"});
    let error = ask(&gateway(&stage, None), &local, "tasks.generate", wish()).await;
    let error = error.expect_err("nobody to ask");
    assert_eq!(
        (error.code, error.detail.as_str()),
        (Code::NoGenerator, "no generator is configured")
    );
    let made = Arc::new(Made { answer: pair(), ..Made::default() });
    let error = ask(&gateway(&stage, Some(&made)), &local, "tasks.generate", wish()).await;
    let error = error.expect_err("no key");
    assert_eq!(error.code, Code::NoLlmKey);
    assert!(error.detail.starts_with("LLM API key not found. Please provide X-LLM-API-KEY"));
    for empty in [json!({}), json!({"requirement": " "})] {
        let error = Call::read("tasks.generate", empty).expect_err("nothing is required");
        assert_eq!(error.detail, "Requirement is required");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_made_up_gets_new_ids_and_the_callers_owner_and_never_runs() {
    let stage = Stage::new([]);
    let made = Arc::new(Made { answer: pair(), ..Made::default() });
    let gateway = gateway(&stage, Some(&made));
    let ann = Caller::user("ann");
    let key = json!({"provider": "openai", "api_key": "CANARY4"});
    ask(&gateway, &ann, "config.llm_key.set", key).await.expect("kept");
    let worker = stage.engine.work();
    let wish = json!({"requirement": "something"});
    let answer = ask(&gateway, &ann, "tasks.generate", wish.clone()).await.expect("made up");
    assert_eq!((&answer["count"], &answer["root_task_id"]), (&json!(2), &Value::Null));
    assert!(stage.store.tasks().is_empty(), "it was not to be stored");
    let tasks = &answer["tasks"];
    assert_eq!(tasks[0]["id"], tasks[1]["parent_id"]);
    assert!(tasks[0]["id"] != "1" && tasks[1]["id"] != "2" && tasks[1]["user_id"] == "ann");
    let mut wish = wish;
    wish["save"] = json!(true);
    let saved = ask(&gateway, &ann, "tasks.generate", wish).await.expect("made up");
    assert_eq!(saved["root_task_id"], saved["tasks"][0]["id"]);
    assert_eq!(stage.store.tasks().len(), 2);
    worker.stop().await;
    assert!(stage.executor.calls().is_empty(), "it never runs");
    assert!(!format!("{:?} {saved}", stage.store.tasks()).contains("CANARY4"));
}

#[tokio::test(start_paused = true)]
async fn what_is_made_up_badly_is_refused_like_anybodys_tasks() {
    let stage = Stage::new([]);
    let answer = json!([{"name": "a", "dependencies": ["nobody"]}]);
    let made = Arc::new(Made { answer, ..Made::default() });
    let gateway = gateway(&stage, Some(&made));
    let local = Caller::local();
    let key = json!({"provider": "openai", "api_key": "k"});
    ask(&gateway, &local, "config.llm_key.set", key).await.expect("kept");
    let wish = json!({"requirement": "something", "save": true});
    assert!(ask(&gateway, &local, "tasks.generate", wish).await.is_err());
    assert!(stage.store.tasks().is_empty());
}

#[tokio::test(start_paused = true)]
async fn l1_a_key_is_never_shown_and_belongs_to_its_owner() {
    let stage = Stage::new([]);
    let made = Arc::new(Made { answer: json!("the provider said:"), ..Made::default() });
    let gateway = gateway(&stage, Some(&made));
    let (ann, bob) = (Caller::user("ann"), Caller::user("bob"));
    let key = json!({"provider": "openai", "api_key": "CANARY4"});
    let set = ask(&gateway, &ann, "config.llm_key.set", key.clone()).await.expect("kept");
    let get = ask(&gateway, &ann, "config.llm_key.get", json!({})).await.expect("an answer");
    assert_eq!((&get["has_key"], &get["providers"]["openai"]), (&json!(true), &json!(true)));
    let other = ask(&gateway, &bob, "config.llm_key.get", json!({})).await.expect("an answer");
    assert_eq!(other["has_key"], json!(false));
    for method in ["config.llm_key.get", "config.llm_key.delete"] {
        assert!(ask(&gateway, &bob, method, json!({"user_id": "ann"})).await.is_err(), "{method}");
    }
    let error = ask(&gateway, &ann, "tasks.generate", json!({"requirement": "x"})).await;
    let error = error.expect_err("the provider refuses");
    assert_eq!(error.detail, "the provider said: ***");
    let mut call = Call::read("tasks.generate", json!({"requirement": "x"})).expect("read").call;
    let Call::Generate(wish) = &mut call else { panic!("a wish") };
    wish.key = Some(Secret::new("CANARY5"));
    let shown = format!(
        "{call:?} {gateway_keys:?} {set} {get}",
        gateway_keys = Call::read("config.llm_key.set", key)
    );
    gateway.call(&bob, call).await.expect_err("the provider refuses");
    let last = made.asked.lock().expect("no panic").pop().and_then(|ask| ask.key);
    assert_eq!(last, Some(Secret::new("CANARY5")), "what came with the request counts first");
    let after = ask(&gateway, &bob, "config.llm_key.get", json!({})).await.expect("an answer");
    assert_eq!(after["has_key"], json!(false), "it is kept nowhere");
    for canary in ["CANARY4", "CANARY5"] {
        assert!(!shown.contains(canary) && !format!("{error:?}").contains(canary), "{shown}");
    }
    let gone = ask(&gateway, &ann, "config.llm_key.delete", json!({})).await.expect("an answer");
    assert_eq!((&gone["changed"], &gone["has_key"]), (&json!(1), &json!(false)));
}
