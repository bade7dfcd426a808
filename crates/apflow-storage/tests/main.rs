//! The suites of the storage crate.

mod smoke;
