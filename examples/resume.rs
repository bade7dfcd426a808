//! A program that stops in the middle, and a second one that goes on where the first was.
//!
//! `cargo run -p apflow-examples --example resume`

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use apflow::prelude::*;
use serde_json::{Value, json};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

/// An application on this file; `stuck` says whether its second step gets anywhere.
async fn open(
    file: &str,
    first: Arc<AtomicUsize>,
    stuck: bool,
) -> Result<App, Box<dyn std::error::Error>> {
    let app = App::builder()
        .database(file)
        .register(move |registry| {
            registry.function("first", "Counts how often it runs.", move |_: Nothing, _| {
                let times = first.fetch_add(1, Ordering::Relaxed) + 1;
                async move { Ok::<Value, ExecuteError>(json!({ "times": times })) }
            });
            registry.function("second", "May be stuck.", move |_: Nothing, _| async move {
                if stuck {
                    std::future::pending::<()>().await;
                }
                Ok::<Value, ExecuteError>(json!({ "done": true }))
            });
        })
        .open()
        .await?;
    Ok(app)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("apflow-resume-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let file = format!("sqlite:{}", dir.join("flow.db").display());
    let times = Arc::new(AtomicUsize::new(0));

    // The first application gets as far as the second step, and is shut down there.
    let mut app = open(&file, Arc::clone(&times), true).await?;
    app.work();
    let flow = task("one").executor("first") >> task("two").executor("second");
    let run = app.submit(flow.tasks()).await?;
    while times.load(Ordering::Relaxed) == 0 || app.engine().running() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    app.shutdown(Duration::ZERO).await;

    // The second one finds what is left in the file; what was done stays done.
    let mut app = loop {
        match open(&file, Arc::clone(&times), false).await {
            Ok(app) => break app,
            // The file is let go of when the last task of the first application is dropped.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    app.work();
    let ran = app.finish(&run).await?;

    assert_eq!(ran.outcome, Outcome::Completed);
    assert_eq!(ran.result("two"), Some(&json!({ "done": true })));
    assert_eq!(ran.result("one"), Some(&json!({ "times": 1 })));
    drop(app);
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn std::error::Error>> {
    main()
}
