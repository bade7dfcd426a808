//! What the facade promises, tried from outside.
#![expect(clippy::expect_used, reason = "a test that cannot go on says what it missed")]

mod readme;
mod repeats;
