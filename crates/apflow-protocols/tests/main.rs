//! What clients see on the wire: the shapes of v1, and what happens to whoever misbehaves.

#![expect(clippy::expect_used, reason = "a test whose setting fails has nothing to go on with")]

mod admission;
mod client;
mod codes;
mod drain;
mod envelopes;
mod fake;
mod feedback;
mod gate;
mod golden;
mod hardening;
mod inner_ids;
mod live;
mod many;
mod owners;
mod real;
mod rest;
mod schemathesis;
mod server;
mod specification;
mod streams;
mod webhook;
