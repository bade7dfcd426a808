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

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

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

fn pid_of_the_server(directory: &Path) -> Pid {
    let status = std::fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
    Pid::from_raw(status.lines().next().unwrap().parse().unwrap()).unwrap()
}

/// Whether the server is dead and its parent, the keeper, has yet to hear of it.
fn is_dead(pid: Pid, socket: &Path) -> bool {
    // A process that is being killed closes its sockets a moment before its parent can see it;
    // where there is no /proc, the sockets have to do.
    let listed = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    UnixStream::connect(socket).is_err() && listed.map_or(true, |line| line.contains(") Z "))
}

#[test]
fn a_server_takes_connections_until_its_owner_is_gone_and_leaves_nothing() {
    let mut keeper = keeper().arg(programs()).spawn().unwrap();
    let directory = directory_of(&mut keeper);
    let pid = pid_of_the_server(&directory);
    UnixStream::connect(directory.join(".s.PGSQL.5432")).unwrap();
    assert_eq!(test_kill_process(pid), Ok(()), "the server runs");

    // What happens to the pipe when the owner is killed, too.
    drop(keeper.stdin.take());
    assert!(keeper.wait().unwrap().success());
    assert!(!directory.exists(), "{} is left over", directory.display());
    assert!(test_kill_process(pid).is_err(), "the server is gone");
}

#[test]
fn a_server_that_died_early_is_reported() {
    let mut keeper = keeper().arg(programs()).stderr(Stdio::null()).spawn().unwrap();
    let directory = directory_of(&mut keeper);
    let pid = pid_of_the_server(&directory);
    kill_process(pid, Signal::KILL).unwrap();
    let begun = Instant::now();
    while !is_dead(pid, &directory.join(".s.PGSQL.5432")) {
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
