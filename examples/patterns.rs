//! Tasks that run other tasks: a map with its reduction, a saga that turns back, a workflow inside.
//!
//! `cargo run -p apflow-examples --example patterns`

use apflow::{
    patterns::{map_reduce, saga, step, sub_workflow},
    prelude::*,
};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut app = App::builder()
        .register(|registry| {
            registry.function("echo", "Answers its inputs.", |inputs: Value, _| async move {
                Ok(inputs)
            });
            registry.function("sum", "Adds up.", |inputs: Value, _| async move {
                let items = inputs["items"].as_array().cloned().unwrap_or_default();
                Ok(json!(items.iter().filter_map(|item| item["n"].as_i64()).sum::<i64>()))
            });
            registry.function("ship", "Has nothing to send.", |_: Value, _| async move {
                Err::<Value, _>(ExecuteError::permanent("nothing in stock"))
            });
        })
        .open()
        .await?;
    app.work();

    // Three squares, two at a time, added up.
    let square = step("square", "echo").input("n", "{{ times(item, item) }}");
    let squares = map_reduce("squares", json!([1, 2, 3]), square, step("add", "sum"));
    let ran = app.run(vec![squares.max_parallel(2).build()]).await?;
    assert_eq!(ran.result("squares"), Some(&json!(14)));

    // A workflow as one task: inputs in, outputs out.
    let greeting = sub_workflow(
        "greeting",
        json!({
            "inputs": {"name": "nobody"},
            "tasks": {"text": {"executor": "echo", "inputs": {"said": "Hello ${inputs.name}"}}},
        }),
    );
    let greeting = greeting.with("name", "Ada").output("text", "{{ results.text.said }}");
    let ran = app.run(vec![greeting.build()]).await?;
    assert_eq!(ran.result("greeting"), Some(&json!({ "text": "Hello Ada" })));

    // What was done is undone, the last step first.
    let steps = [
        step("reserve", "echo").input("seat", 7).compensate(step("release", "echo")),
        step("charge", "echo").compensate(step("refund", "echo")),
        step("ship", "ship"),
    ];
    let ran = app.run(vec![saga("order", steps).build()]).await?;
    assert_eq!(ran.outcome, Outcome::Failed);
    let order = ran.result("order").ok_or("it says what it undid")?;
    assert_eq!(order["compensated"], json!(["charge", "reserve"]));
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
