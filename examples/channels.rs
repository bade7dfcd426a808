//! Five branches that count together, and take turns where one must not disturb the other.
//!
//! `cargo run -p apflow-examples --example channels`

use std::time::Duration;

use apflow::{core::channel::Expect, prelude::*};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Counted {
    done: u64,
    turns: u64,
    seen: u64,
}

/// Counts ten times without a lock, and takes ten turns with one.
async fn branch(context: Context) -> Result<u64, ExecuteError> {
    let channel = context.channel();
    for _ in 0..10 {
        channel.add("done", 1).await?;
        let (held, patience) = (Duration::from_secs(10), Duration::from_secs(30));
        let lock = channel.lock("turns", held, patience).await?;
        let under = lock.channel();
        let turns = under.get("turns").await?.and_then(|turns| turns.as_u64()).unwrap_or(0);
        under.set("turns", turns + 1).await?;
        lock.release().await?;
    }
    Ok(channel.append("seen", context.name.as_str()).await?)
}

async fn report(context: Context) -> Result<Counted, ExecuteError> {
    let channel = context.channel();
    // Nobody wrote it, so the first to come does.
    channel.compare_and_set("reported", Expect::Absent, context.name.as_str()).await?;
    let number = async |key: &str| -> Result<u64, ExecuteError> {
        Ok(channel.get(key).await?.and_then(|value| value.as_u64()).unwrap_or(0))
    };
    let seen = channel.typed::<Vec<String>>().get("seen").await?;
    let seen = seen.map_or(0, |seen| seen.value.len() as u64);
    Ok(Counted { done: number("done").await?, turns: number("turns").await?, seen })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut app = App::builder()
        .register(|registry| {
            registry.function("branch", "Counts.", |_: Nothing, context| branch(context));
            registry.function("report", "Reports.", |_: Nothing, context| report(context));
        })
        .open()
        .await?;
    app.work();

    let branches = (0..5).map(|n| task(format!("branch-{n}")).executor("branch"));
    let flow = branches.collect::<Flow>() >> task("report").executor("report");
    let ran = app.run(flow.tasks()).await?;

    assert_eq!(ran.outcome, Outcome::Completed);
    let counted = ran.result("report").ok_or("it has no result")?;
    assert_eq!(*counted, serde_json::json!({ "done": 50, "turns": 50, "seen": 5 }));
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
