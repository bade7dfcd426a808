//! The suites of this crate.
#![expect(clippy::expect_used, reason = "these are tests: what does not hold panics")]

#[cfg(feature = "redis")]
mod redis;
