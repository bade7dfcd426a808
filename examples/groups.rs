//! Three mirrors of which two must answer, and a way that is taken only if they did.
//!
//! `cargo run -p apflow-examples --example groups`

use apflow::prelude::*;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Mirror {
    answers: bool,
}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Answer {
    ok: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut app = App::builder()
        .register(|registry| {
            registry.function("ask", "Asks a mirror.", |mirror: Mirror, _| async move {
                if mirror.answers {
                    Ok(Answer { ok: true })
                } else {
                    Err(ExecuteError::permanent("no answer"))
                }
            });
        })
        .open()
        .await?;
    app.work();

    let mirror = |name: &str, answers: bool| {
        task(name).executor("ask").input("answers", answers).parent("mirrors").build()
    };
    let policy = serde_json::json!({"at_least": 2});
    let tasks = vec![
        task("mirrors").executor("group").param("policy", policy).parent("root").build(),
        mirror("berlin", true),
        mirror("lisbon", false),
        mirror("oslo", true),
        task("publish")
            .executor("ask")
            .input("answers", true)
            .depends_on_when("mirrors", "result.succeeded|length >= 2")
            .parent("root")
            .build(),
        task("apologise")
            .executor("ask")
            .input("answers", true)
            .depends_on_when("mirrors", "result.failed|length > 1")
            .parent("root")
            .build(),
        task("root").executor("ask").input("answers", true).build(),
    ];
    let ran = app.run(tasks).await?;

    assert_eq!(ran.outcome, Outcome::Completed);
    let group = ran.result("mirrors").ok_or("it has no result")?;
    assert_eq!(group["failed"], serde_json::json!(["lisbon"]));
    assert_eq!(ran.result("publish").ok_or("it has no result")?["ok"], true);
    assert_eq!(ran.result("apologise"), None);
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
