//! The suites of the storage crate.
#![expect(clippy::expect_used, reason = "these are tests: what does not hold panics")]

mod budgets;
mod conformance;
mod differential;
mod disaster;
mod fairness;
mod growth;
mod migrations;
mod parking;
mod patterns;
#[cfg(feature = "postgres")]
mod pg;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_races;
mod smoke;
mod statements;
