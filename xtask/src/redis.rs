//! A Redis server for the tests: found or installed; each test starts its own.

use std::{path::PathBuf, process::Command};

use crate::postgres;

/// Tells the tests where the program is; where there is none the tests that need it fail.
pub(crate) fn export(command: &mut Command) -> Result<(), String> {
    let missing: Vec<&str> = [("redis-server", "redis-server"), ("openssl", "openssl")]
        .into_iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| package)
        .collect();
    if !missing.is_empty() {
        postgres::install(&missing)?;
    }
    let program = find("redis-server").ok_or("redis-server is not where it is looked for")?;
    command.env("APFLOW_TEST_REDIS", program);
    Ok(())
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|place| place.join(program)).find(|place| place.is_file())
}
