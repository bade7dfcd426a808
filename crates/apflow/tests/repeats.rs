//! What the attempts of one run share, and what tells them apart.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use apflow::prelude::*;
use serde_json::Value;

#[tokio::test]
async fn attempts_of_one_run_share_a_key_and_each_has_a_larger_fence() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let mut app = App::builder()
        .register(move |registry| {
            registry.function("flaky", "Fails once.", move |_: Value, context: Context| {
                let log = Arc::clone(&log);
                async move {
                    log.lock().expect("whole").push((context.idempotency_key, context.fence));
                    if context.attempt == 1 {
                        return Err(ExecuteError::transient("the first time"));
                    }
                    Ok(Value::Null)
                }
            });
        })
        .open()
        .await
        .expect("opens");
    app.work();
    let ran = app.run(vec![task("a").executor("flaky").max_attempts(2).build()]).await;
    assert_eq!(ran.expect("it runs").outcome, Outcome::Completed);
    let seen = seen.lock().expect("whole").clone();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].0, seen[1].0, "one key");
    assert!(seen[0].1 < seen[1].1, "a larger fence: {seen:?}");
}

#[tokio::test]
async fn an_attempt_is_told_how_far_the_one_before_it_said_it_was() {
    let mut app = App::builder()
        .register(|registry| {
            registry.function(
                "rows",
                "Fails half-way once.",
                |_: Value, context: Context| async move {
                    let Some(before) = context.given.progress.as_ref() else {
                        context.progress.report(0.25, Some("row 250"));
                        context.progress.report(0.5, Some("row 500"));
                        return Err(ExecuteError::transient("the line went dead"));
                    };
                    Ok(serde_json::json!({ "from": before.message, "done": before.fraction }))
                },
            );
        })
        .open()
        .await
        .expect("opens");
    app.work();
    let rows = task("a").executor("rows").max_attempts(2);
    let ran = app.run(vec![rows.backoff("fixed", Duration::from_millis(100)).build()]).await;
    let ran = ran.expect("it runs");
    assert_eq!(ran.outcome, Outcome::Completed);
    let expected = serde_json::json!({ "from": "row 500", "done": 0.5 });
    assert_eq!(ran.result("a"), Some(&expected));
}
