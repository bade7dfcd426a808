//! A directory, a database in it, and the program under test.

use std::path::PathBuf;

use apflow_bench::chaos::{check::Findings, log::RunDir, siege::Siege};
use tempfile::TempDir;

/// The program that plays the worker.
pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_chaos"))
}

/// A siege of a SQLite file; the directory goes when the first value does.
pub(crate) fn on_sqlite(seed: u64) -> (TempDir, Siege) {
    let place = tempfile::tempdir().unwrap();
    let dir = RunDir::at(place.path().join("run")).unwrap();
    let db = format!("sqlite:{}", place.path().join("a.db").display());
    (place, Siege::new(program(), db, dir, seed))
}

/// How many of so many faults there is time for.
pub(crate) fn of(faults: u64) -> u64 {
    if std::env::var_os("APFLOW_TEST_QUICK").is_some() { faults / 10 } else { faults }
}

/// Nothing was broken, and enough happened for that to mean something.
#[track_caller]
pub(crate) fn is_sound(what: &str, findings: &Findings) {
    println!("{what}\n{findings}");
    assert!(findings.violations.is_empty(), "{what}\n{findings}");
    assert_eq!(findings.too_quiet(), None, "{what}\n{findings}");
}
