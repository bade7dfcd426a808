//! A task that brings others into being: it splits its work, gathers what comes of it, and goes round
//! until it is satisfied.
//!
//! `cargo run -p apflow-examples --example gather`

use apflow::prelude::*;
use serde_json::{Value, json};

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Numbers {
    numbers: Vec<i64>,
}

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Number {
    value: i64,
}

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

/// Squares every number in a task of its own, and adds up what they return.
async fn sum_of_squares(given: Numbers, context: Context) -> Result<Number, ExecuteError> {
    let tasks = given
        .numbers
        .iter()
        .map(|number| task(format!("square {number}")).executor("square").input("value", *number));
    let tasks = tasks.flat_map(|task| Flow::from(task).tasks()).collect();
    // The first time this ends the attempt; when all of them have ended it has their results.
    let squares = context.gather(tasks)?;
    let value = |result: &Value| result["value"].as_i64();
    let sum = squares.iter().filter_map(|each| value(each.result.as_deref()?)).sum();
    Ok(Number { value: sum })
}

/// Doubles until there is enough.
async fn double(_: Nothing, context: Context) -> Result<Number, ExecuteError> {
    let last = context.given.cycle_data.as_ref().and_then(|data| data.as_i64()).unwrap_or(1);
    let value = last * 2;
    if value < 100 {
        context.iterate(json!(value))?;
    }
    Ok(Number { value })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut app = App::builder()
        .register(|registry| {
            registry.function("square", "Squares.", |given: Number, _| async move {
                Ok(Number { value: given.value * given.value })
            });
            registry.function("sum_of_squares", "Adds up squares.", sum_of_squares);
            registry.function("double", "Doubles until there is enough.", double);
        })
        .open()
        .await?;
    app.work();

    let flow = task("sum").executor("sum_of_squares").input("numbers", json!([1, 2, 3]))
        | task("grow").executor("double");
    let ran = app.run(flow.tasks()).await?;

    assert_eq!(ran.outcome, Outcome::Completed);
    assert_eq!(ran.result("sum"), Some(&json!({ "value": 14 })));
    assert_eq!(ran.result("grow"), Some(&json!({ "value": 128 })));
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
