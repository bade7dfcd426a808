//! Ids inside of what is created, against a real engine: what belongs to somebody else cannot be hung
//! onto, waited for or taken over (B3).

use std::sync::Arc;

use apflow_core::{
    api::{Call, Caller, Gateway, GatewayConfig},
    engine::Engine,
    store::Store,
    testing::{MemoryStore, SeededIds},
};
use serde_json::{Value, json};

use crate::fake::Noon;

fn gateway() -> Gateway {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(Noon)));
    let engine = Engine::builder(store, Arc::new(SeededIds::new("id"))).build();
    Gateway::new(Arc::new(engine), Arc::new(Noon), GatewayConfig::default())
}

/// What a user is told, with the id that was asked for left out.
async fn told(gateway: &Gateway, who: &Caller, method: &str, params: &Value, id: &str) -> String {
    let text = params.to_string().replace("THEIRS", id);
    let call = Call::read(method, serde_json::from_str(&text).expect("JSON")).expect("a call").call;
    let answer = match gateway.call(who, call).await {
        Ok(reply) => format!("ok {}", reply.json()),
        Err(error) => format!("{} {}", error.code, error.data()),
    };
    answer.replace(id, "ID")
}

#[tokio::test]
async fn b3_an_id_of_somebody_else_inside_a_request_is_missing() {
    let gateway = gateway();
    let (mine, other) = (Caller::user("u1"), Caller::user("u2"));
    let create = json!({"id": "secret", "name": "n"});
    let made = told(&gateway, &mine, "tasks.create", &create, "secret").await;
    assert!(made.starts_with("ok"), "{made}");
    told(&gateway, &other, "tasks.create", &json!({"id": "own", "name": "n"}), "own").await;
    for (method, params) in [
        ("tasks.create", json!({"name": "n", "parent_id": "THEIRS"})),
        ("tasks.create", json!({"name": "n", "dependencies": ["THEIRS"]})),
        (
            "tasks.create",
            json!({"name": "n", "dependencies": [{"id": "THEIRS", "required": false}]}),
        ),
        ("tasks.create", json!([{"name": "a", "id": "a1"}, {"name": "n", "parent_id": "THEIRS"}])),
        ("tasks.execute", json!({"tasks": [{"name": "n", "parent_id": "THEIRS"}]})),
        ("tasks.execute", json!({"tasks": [{"name": "n", "dependencies": ["THEIRS"]}]})),
        ("tasks.execute", json!({"task_id": "THEIRS"})),
        ("tasks.update", json!({"task_id": "own", "dependencies": ["THEIRS"]})),
    ] {
        let foreign = told(&gateway, &other, method, &params, "secret").await;
        assert!(foreign.starts_with("AF"), "{method} {params}: {foreign}");
        let missing = told(&gateway, &other, method, &params, "nowhere").await;
        assert_eq!(foreign, missing, "{method} {params}");
    }
    // The tree of somebody else's task is not joined either.
    let joins = json!({"name": "n", "task_tree_id": "secret"});
    let joined = told(&gateway, &other, "tasks.create", &joins, "secret").await;
    let tree = told(&gateway, &mine, "tasks.tree", &json!({"task_id": "secret"}), "secret").await;
    assert!(tree.contains("\"children\":[]"), "{joined} {tree}");
    let count = told(&gateway, &mine, "tasks.count", &json!({}), "-").await;
    assert!(count.contains("\"total\":1"), "{count}");
}
