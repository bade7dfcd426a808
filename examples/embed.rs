//! The smallest program with apflow inside: a function, two tasks, a run.
//!
//! `cargo run -p apflow-examples --example embed`

use apflow::prelude::*;

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Words {
    text: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut app = App::builder()
        .register(|registry| {
            registry.function("shout", "Says it louder.", |words: Words, _| async move {
                Ok(Words { text: format!("{}!", words.text.to_uppercase()) })
            });
        })
        .open()
        .await?;
    app.work();

    let flow =
        task("hello").executor("shout").input("text", "hello") >> task("again").executor("shout");
    let ran = app.run(flow.tasks()).await?;

    assert_eq!(ran.outcome, Outcome::Completed);
    assert_eq!(ran.result("again").ok_or("it has no result")?["text"], "HELLO!!");
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
