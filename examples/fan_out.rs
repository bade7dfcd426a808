//! A hundred tasks beside one another, and one that gathers what they found.
//!
//! `cargo run -p apflow-examples --example fan_out`

use apflow::prelude::*;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Input {
    n: u64,
}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Output {
    square: u64,
    of: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut app = App::builder()
        .register(|registry| {
            registry.function("square", "Squares n.", |input: Input, _| async move {
                Ok(Output { square: input.n * input.n, of: input.n })
            });
        })
        .open()
        .await?;
    app.work();

    let squares = (1..=100).map(|n| task(format!("square-{n}")).executor("square").input("n", n));
    let flow = squares.collect::<Flow>() >> task("all").executor("aggregate_results_executor");
    let ran = app.run(flow.tasks()).await?;

    assert_eq!(ran.outcome, Outcome::Completed);
    let all = ran.result("all").ok_or("it has no result")?;
    let found = all["results"].as_object().ok_or("it gathered nothing")?;
    let sum: u64 = found.values().filter_map(|result| result["square"].as_u64()).sum();
    assert_eq!((found.len(), sum), (100, 338_350));
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
