//! The `apflow` binary.
fn main() {}
