//! SQLite and PostgreSQL behind the traits of `apflow_core::store`. The only crate that names sqlx.
//!
//! Inner crate: not covered by semver, depend on `apflow`.
//!
//! * [`open`] takes an address and returns a store.
//! * `committer.rs` gathers what waits into one transaction; `steps/` says what a transaction does,
//!   once for both databases; `sqlite/` and `postgres/` each bring their own statements.
//!
//! To add a statement, write `sql/sqlite/NAME.sql` and `sql/postgres/NAME.sql`, name it in both
//! `sql.rs`, give the `Rows` trait a method that says what it means, and a rule to the
//! conformance suite. A test prepares every statement on its database.

#![cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(
        dead_code,
        unused_imports,
        unused_macros,
        unused_variables,
        reason = "nobody to use it"
    )
)]

mod access;
mod channel;
mod committer;
#[cfg(feature = "conformance")]
pub mod conformance;
mod derive_rows;
mod error;
mod flow;
mod history_rows;
mod keep;
mod migration;
mod open;
mod read;
mod row;
mod rows;
mod rows_callbacks;
mod rows_demo;
mod rows_effects;
mod rows_flow;
mod rows_keep;
mod rows_snapshot;
mod rows_waits;
mod schedule;
mod schedule_rows;
mod snapshot;
mod steps;
mod store;
mod waits;

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use open::{Durability, OpenOptions, open, writer_of};
