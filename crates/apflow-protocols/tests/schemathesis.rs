//! The OpenAPI document held against a running server by a suite that others wrote: every check it has,
//! on whatever it makes up.

use std::{path::Path, process::Command, time::Duration};

use apflow_protocols::http::HttpConfig;

use crate::{real, server};

/// So many requests have to have been made up and sent.
const LEAST: u64 = 2_000;

#[expect(clippy::disallowed_methods, reason = "the test command tells a test where Python is")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_does_what_its_document_says_of_two_thousand_requests() {
    let python = setting("APFLOW_TEST_PYTHON_SCHEMATHESIS").expect(
        "APFLOW_TEST_PYTHON_SCHEMATHESIS names no Python: run the tests with `cargo xtask test`",
    );
    // The same requests each time, unless somebody wants to see others.
    let seed = setting("APFLOW_TEST_SEED").unwrap_or_else(|| "20261120".to_owned());
    let (gateway, _worker) = real::gateway(Duration::from_millis(500)).await;
    let server = server::start_with(gateway, HttpConfig::default()).await;
    let document = format!("http://{}/openapi.json", server.at);
    let run = tokio::task::spawn_blocking(move || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
        std::fs::create_dir_all(&folder).expect("a folder");
        let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis.toml");
        // The interpreter finds the package beside it, without the shell having to be told.
        Command::new(python)
            .args(["-m", "schemathesis.cli", "--config-file", settings, "run", &document])
            .args(["--checks", "all", "--max-examples", "20", "--seed", &seed])
            .args(["--generation-database", "none", "--no-color", "--continue-on-failure"])
            .args(["--output-truncate", "true"])
            .current_dir(folder)
            .output()
            .expect("the suite runs")
    });
    let run = run.await.expect("no panic");
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let shown: String = text
        .lines()
        .map(|line| line.chars().take(300).collect::<String>() + "\n")
        .collect::<String>()
        + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{shown}");
    let made = text
        .lines()
        .find_map(|line| line.trim().split_once(" generated")?.0.parse::<u64>().ok())
        .unwrap_or_else(|| panic!("it does not say how much it did:\n{shown}"));
    assert!(made >= LEAST, "only {made} requests:\n{shown}");
    println!("{made} requests, all as the document says");
}
