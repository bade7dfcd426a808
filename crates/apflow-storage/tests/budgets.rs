//! Spending through the whole engine: an executor that reports what it spends, budgets and reports
//! over the gateway.

use std::sync::Arc;

use apflow_core::{
    api::{Call, Caller, Gateway, GatewayConfig},
    budget::{Money, Policy, Price, Rules, Usage},
    code::Code,
    engine::{Engine, EngineConfig},
    executor::{Context, ExecuteError, Executor, Manifest},
    id::TreeId,
    registry::Registry,
    store::Submission,
    testing::{RuntimeClock, SeededIds},
    time::Timestamp,
};
use apflow_storage::{OpenOptions, conformance::forest, open};
use async_trait::async_trait;
use serde_json::{Map, Value, json};

/// A language model that uses all it is allowed and says which model it was.
struct Model(Manifest);

#[async_trait]
impl Executor for Model {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    async fn execute(
        &self,
        inputs: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError> {
        let tokens = context.allowance().tokens.unwrap_or(1_000);
        let tokens = u64::try_from(tokens).map_err(|_| ExecuteError::permanent("below nothing"))?;
        let model = inputs.get("model").and_then(Value::as_str).unwrap_or("large");
        context.report_usage(Usage::tokens(model, tokens, 0));
        if context.name == "cut" {
            let partial = json!({"text": "half a sen"});
            return Err(ExecuteError::budget_exhausted("no token is left", partial));
        }
        Ok(json!({ "model": model }))
    }
}

struct House {
    engine: Engine,
    gateway: Gateway,
}

impl House {
    async fn new() -> Self {
        let mut rules = Rules::default();
        rules.executors.insert("model".to_owned(), 40);
        let price = |each| Price { input: Money(each), output: Money(each) };
        rules.prices.set("large", price(10_000_000));
        rules.prices.set("small", price(1_000_000));
        let chain = vec!["large".to_owned(), "small".to_owned()];
        let cheaper = Policy::read("downgrade", 0.5, chain).expect("a policy");
        rules.policies.insert("cheaper".to_owned(), cheaper);
        rules.policies.insert("ask".to_owned(), Policy::read("ask", 1.0, vec![]).expect("one"));
        let store = open("sqlite::memory:", OpenOptions::default()).await.expect("opens");
        let mut registry = Registry::new();
        registry.register_shared(Arc::new(Model(Manifest::new("model", "Spends."))));
        let engine = Engine::builder(store, Arc::new(SeededIds::new("house")))
            .registry(registry)
            .config(EngineConfig { rules: Arc::new(rules), ..EngineConfig::default() })
            .build();
        let clock = Arc::new(RuntimeClock::new(Timestamp(1_800_000_000_000_000)));
        let gateway = Gateway::new(Arc::new(engine.clone()), clock, GatewayConfig::default());
        Self { engine, gateway }
    }

    async fn call_as(
        &self,
        caller: &Caller,
        method: &str,
        params: Value,
    ) -> Result<Value, apflow_core::api::ApiError> {
        let call = Call::read(method, params)?.call;
        Ok(self.gateway.call(caller, call).await?.json())
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        self.call_as(&Caller::local(), method, params).await.expect(method)
    }

    /// Stores tasks of one owner that all use the model, and runs them.
    async fn run(&self, text: &str, user: &str) {
        let mut submission = forest(text);
        for tree in &mut submission.trees {
            tree.user_id = Some(user.to_owned());
        }
        for task in &mut submission.tasks {
            task.definition.user_id = Some(user.to_owned());
            task.definition.params.insert("executor_id".to_owned(), json!("model"));
        }
        let trees: Vec<TreeId> = submission.trees.iter().map(|tree| tree.id.clone()).collect();
        self.engine.store().insert(Submission { ..submission }).await.expect("stored");
        let worker = self.engine.work();
        for tree in &trees {
            self.engine.wait(tree).await.expect("its run ends");
        }
        worker.stop().await;
    }
}

#[tokio::test]
async fn an_engine_keeps_a_budget_and_tells_what_was_spent() {
    let house = House::new().await;
    let budget = json!({"scope": "user", "scope_id": "ann", "limit": 100, "policy": "cheaper"});
    let set = house.call("budgets.set", budget).await;
    assert_eq!(
        (&set["limit"], &set["left"], &set["unit"]),
        (&json!(100), &json!(100), &json!("tokens"))
    );
    house.run("a; b ^a <a; c ^a <b; d ^a <c", "ann").await;
    let task = async |id: &str| house.call("tasks.get", json!({"task_id": id})).await;
    let a = task("a").await;
    assert_eq!(a["token_usage"], json!({"input": 40, "output": 0, "total": 40}));
    assert_eq!((&a["actual_cost_usd"], &a["result"]["model"]), (&json!(0.0004), &json!("large")));
    assert_eq!(task("c").await["result"]["model"], "small", "80 of 100 were used by then");
    assert_eq!(task("c").await["token_usage"]["total"], 20, "it had what was left");
    let d = task("d").await;
    assert_eq!((&d["status"], &d["state"]["kind"]), (&json!("failed"), &json!("budget_exhausted")));
    let listed = house.call("budgets.list", json!({})).await;
    assert_eq!((&listed[0]["used"], &listed[0]["reserved"]), (&json!(100), &json!(0)));
    let report = house.call("cost.report", json!({"by": "model"})).await;
    assert_eq!((&report["total_tokens"], &report["calls"]), (&json!(100), &json!(3)));
    assert_eq!(report["lines"][0]["key"], "large");
    assert_eq!(report["lines"][1]["total_tokens"], 20);
}

#[tokio::test]
async fn what_was_done_before_the_allowance_ended_is_kept() {
    let house = House::new().await;
    house.run("cut", "ann").await;
    let cut = house.call("tasks.get", json!({"task_id": "cut"})).await;
    assert_eq!(cut["state"]["kind"], "budget_exhausted");
    assert_eq!(cut["result"], json!({"text": "half a sen"}));
    assert_eq!(cut["token_usage"]["total"], 1_000, "a failed attempt spends, too");
}

#[tokio::test]
async fn b5_an_owner_sees_his_own_budgets_and_lifts_none() {
    let house = House::new().await;
    house.call("budgets.set", json!({"scope": "user", "scope_id": "ann", "limit": 0})).await;
    house.call("budgets.set", json!({"scope": "user", "scope_id": "bob", "limit": 5})).await;
    house.run("a", "ann").await;
    let ann = Caller::user("ann");
    let mine = house.call_as(&ann, "budgets.list", json!({})).await.expect("her own");
    assert_eq!((mine.as_array().map(Vec::len), &mine[0]["scope_id"]), (Some(1), &json!("ann")));
    let refused = async |method: &str, params: Value| {
        house.call_as(&ann, method, params).await.expect_err(method).code
    };
    let of = |who: &str| json!({"scope": "user", "scope_id": who, "limit": 1_000_000});
    assert_eq!(refused("budgets.set", of("ann")).await, Code::Forbidden);
    assert_eq!(
        refused("budgets.delete", json!({"scope": "user", "scope_id": "ann"})).await,
        Code::Forbidden
    );
    assert_eq!(
        refused("budgets.list", json!({"scope": "user", "scope_id": "bob"})).await,
        Code::Forbidden
    );
    assert_eq!(refused("budgets.list", json!({"scope": "global"})).await, Code::Forbidden);
    assert_eq!(refused("cost.report", json!({"user_id": "bob"})).await, Code::InvalidParams);
    assert_eq!(
        refused("budgets.decide", json!({"task_id": "a", "approve": true})).await,
        Code::NotAsking
    );
    let tree = json!({"scope": "tree", "scope_id": "tree-a", "limit": 10});
    house.call_as(&ann, "budgets.set", tree.clone()).await.expect("her own tree");
    let bob = Caller::user("bob");
    let error = house.call_as(&bob, "budgets.set", tree).await.expect_err("not his");
    assert_eq!(error.code, Code::NotFound);
    let unknown = json!({"scope": "global", "limit": 1, "policy": "nope"});
    let error =
        house.call_as(&Caller::local(), "budgets.set", unknown).await.expect_err("no policy");
    assert!(error.detail.contains("ask, cheaper"), "{}", error.detail);
    assert_eq!(
        house
            .call_as(&Caller::local(), "budgets.delete", json!({"scope": "global"}))
            .await
            .expect_err("none")
            .code,
        Code::NoBudget
    );
}
