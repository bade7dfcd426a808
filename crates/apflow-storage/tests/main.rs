//! The suites of the storage crate.

#![expect(clippy::expect_used, reason = "these are tests: what does not hold panics")]

mod conformance;
mod differential;
mod disaster;
mod migrations;
mod smoke;
mod statements;
