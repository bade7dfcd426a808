//! The keeper of PostgreSQL against a real server.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test needs may panic as it may"
)]

use std::{
    io::{BufRead as _, BufReader},
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The programs the test command found, else those on PATH or where Debian has them.
fn programs() -> PathBuf {
    let told = std::env::var_os("APFLOW_TEST_PG_BIN").map(PathBuf::from);
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let guesses = told.into_iter().chain(debian.map(|entry| entry.path().join("bin")));
    let complete = |bin: &PathBuf| bin.join("initdb").is_file();
    guesses.into_iter().find(complete).expect("PostgreSQL is missing; run `cargo xtask test`")
}

fn keeper() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("keep-postgres").stdin(Stdio::piped()).stdout(Stdio::piped());
    command.process_group(0);
    command
}

fn directory_of(keeper: &mut Child) -> PathBuf {
    let mut line = String::new();
    BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
    PathBuf::from(line.trim_end().strip_prefix("ready ").expect(&line))
}

fn pid_of_the_server(directory: &Path) -> String {
    let status = std::fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
    status.lines().next().unwrap().to_owned()
}

fn is_running(pid: &str) -> bool {
    Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().unwrap().success()
}

#[test]
fn a_server_takes_connections_until_its_owner_is_gone_and_leaves_nothing() {
    let mut keeper = keeper().arg(programs()).spawn().unwrap();
    let directory = directory_of(&mut keeper);
    let pid = pid_of_the_server(&directory);
    UnixStream::connect(directory.join(".s.PGSQL.5432")).unwrap();
    assert!(is_running(&pid));

    // What happens to the pipe when the owner is killed, too.
    drop(keeper.stdin.take());
    assert!(keeper.wait().unwrap().success());
    assert!(!directory.exists(), "{} is left over", directory.display());
    assert!(!is_running(&pid));
}

#[test]
fn a_server_that_died_early_is_reported() {
    let mut keeper = keeper().arg(programs()).stderr(Stdio::null()).spawn().unwrap();
    let directory = directory_of(&mut keeper);
    let pid = pid_of_the_server(&directory);
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    let begun = Instant::now();
    // The keeper has not waited for its child yet, so the dead server still has its number.
    while UnixStream::connect(directory.join(".s.PGSQL.5432")).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the server does not die");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(keeper.stdin.take());
    assert!(!keeper.wait().unwrap().success(), "the loss went unnoticed");
    assert!(!directory.exists(), "{} is left over", directory.display());
}

#[test]
fn programs_that_are_not_there_are_an_error_and_no_directory_stays() {
    let empty = tempfile::tempdir().unwrap();
    let output = keeper().arg(empty.path()).env("TMPDIR", empty.path()).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("initdb did not start"), "{said}");
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}
