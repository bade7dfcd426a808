//! What clients see on the wire: the shapes of v1, and what happens to whoever misbehaves.

#![expect(clippy::expect_used, reason = "a test whose setting fails has nothing to go on with")]

mod client;
mod drain;
mod fake;
mod golden;
mod hardening;
mod live;
mod many;
mod owners;
mod server;
mod streams;
