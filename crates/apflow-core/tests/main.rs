//! The engine on the reference store, and the lease protocol as a model.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "nobody depends on a test binary")]

mod clone;
mod forests;
mod generate;
mod hooks;
mod lease_model;
mod runs;
mod scheduler;
mod schedules;
mod stage;
mod trouble;
