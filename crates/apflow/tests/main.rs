//! What the facade promises, tried from outside.
#![expect(clippy::expect_used, reason = "a test that cannot go on says what it missed")]

#[cfg(feature = "rest")]
mod callbacks;
mod loops;
mod readme;
mod repeats;
mod scenarios;
