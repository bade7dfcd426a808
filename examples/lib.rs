//! Runnable examples live beside this file; see each `*.rs` and `*.yaml`.
