//! Code around tasks: one hook changes inputs, answers for a task, and refuses another.
//!
//! `cargo run -p apflow-examples --example hooks`

use std::sync::Arc;

use apflow::{
    core::hook::{Attempted, Hook, Verdict},
    prelude::*,
};
use serde_json::{Map, Value, json};

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Words {
    text: String,
}

/// Greets in every text, knows one answer by heart, and lets nobody delete anything.
struct House;

#[apflow::async_trait]
impl Hook for House {
    async fn before_task(&self, task: Attempted<'_>, inputs: &mut Map<String, Value>) -> Verdict {
        match task.definition.name.as_str() {
            "known" => Verdict::Answer(json!({ "text": "42" })),
            "delete" => Verdict::Refuse("nothing is deleted in this house".to_owned()),
            _ => {
                inputs.insert("text".to_owned(), json!("hello"));
                Verdict::Run
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut app = App::builder()
        .register(|registry| {
            registry.function("echo", "Says it back.", |words: Words, _| async move { Ok(words) });
        })
        .hook(Arc::new(House))
        .open()
        .await?;
    app.work();

    let flow = task("greet").executor("echo")
        | task("known").executor("echo")
        | task("delete").executor("echo");
    let ran = app.run(flow.tasks()).await?;

    assert_eq!(ran.outcome, Outcome::Failed, "one task was refused");
    assert_eq!(ran.result("greet"), Some(&json!({ "text": "hello" })));
    assert_eq!(ran.result("known"), Some(&json!({ "text": "42" })));
    let refused = ran.task("delete").ok_or("it is not there")?;
    assert_eq!(refused.error.as_deref(), Some("nothing is deleted in this house"));
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
