//! The suites of the storage crate.

mod conformance;
mod disaster;
mod migrations;
mod smoke;
