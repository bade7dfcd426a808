//! The suites of the storage crate.

mod conformance;
mod differential;
mod disaster;
mod migrations;
mod smoke;
