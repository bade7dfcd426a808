//! A task that fails half-way, goes on where it was, and one that fails for good and is found again.
//!
//! `cargo run -p apflow-examples --example retries`

use std::time::Duration;

use apflow::{
    core::api::{Call, Caller},
    prelude::*,
};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut app = App::builder()
        .register(|registry| {
            registry.function("copy", "Copies rows.", |_: Value, context: Context| async move {
                // What the attempt before said of its progress is where this one begins.
                let Some(before) = context.given.progress.as_ref() else {
                    context.progress.report(0.5, Some("row 500"));
                    return Err(ExecuteError::transient("the line went dead"));
                };
                Ok(json!({ "began_at": before.message }))
            });
            registry.function("reject", "Never works.", |_: Value, _| async move {
                Err::<Value, _>(ExecuteError::transient("ValueError: no such column"))
            });
        })
        .open()
        .await?;
    app.work();

    let copy = task("copy")
        .executor("copy")
        .max_attempts(3)
        .backoff("exponential", Duration::from_millis(100))
        .heartbeat_timeout(Duration::from_secs(5))
        .deadline(Duration::from_mins(1));
    let ran = app.run(vec![copy.build()]).await?;
    assert_eq!(ran.outcome, Outcome::Completed);
    assert_eq!(ran.result("copy"), Some(&json!({ "began_at": "row 500" })));

    let reject = task("reject").id("reject").executor("reject");
    let reject = reject.max_attempts(3).no_retry_on("ValueError");
    let ran = app.run(vec![reject.build()]).await?;
    assert_eq!(ran.outcome, Outcome::Failed);

    let list = Call::read("dlq.list", json!({}))?.call;
    let letters = app.gateway().call(&Caller::local(), list).await?.json();
    assert_eq!(letters["letters"][0]["task_id"], "reject");
    assert_eq!(letters["letters"][0]["attempts"], 1, "another attempt would not help");
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
