//! `>>` is one after the other, `|` is side by side.
//!
//! `cargo run -p apflow-examples --example operators`

use apflow::prelude::*;
use serde_json::{Value, json};

fn step(name: &str) -> TaskBuilder {
    task(name).executor("note").input("name", name)
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Step {
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut app = App::builder()
        .register(|registry| {
            registry.function("note", "Says its name.", |step: Step, _| async move {
                Ok::<Value, ExecuteError>(json!({ "did": step.name }))
            });
        })
        .open()
        .await?;
    app.work();

    // A diamond whose left side has two steps.
    let flow = step("start") >> (step("left") >> step("more") | step("right")) >> step("end");
    let ran = app.run(flow.tasks()).await?;

    assert_eq!(ran.outcome, Outcome::Completed);
    let began = |name| ran.task(name).and_then(|record| record.task.started_at);
    let ended = |name| ran.task(name).and_then(|record| record.task.completed_at);
    for (before, after) in [("start", "left"), ("left", "more"), ("more", "end"), ("right", "end")]
    {
        assert!(ended(before) <= began(after), "{before} comes before {after}");
    }
    assert_eq!(ran.result("end"), Some(&json!({ "did": "end" })));
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
