//! The suites of the storage crate.

mod conformance;
#[cfg(feature = "postgres")]
mod pg;
#[cfg(feature = "postgres")]
mod postgres;
mod smoke;
