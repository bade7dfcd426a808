//! Runnable examples live beside this file; see each `*.rs` and `*.yaml`.
//!
//! Each `*.rs` ends in a test that runs its `main`, so `cargo test -p apflow-examples` runs them all; the
//! `*.yaml` are run by the tests of the CLI.
