//! The suites of the storage crate.

mod conformance;
mod migrations;
mod smoke;
