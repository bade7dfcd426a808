//! Test doubles: clocks, ids that count, executors that follow a script, a store in memory; and the
//! sweep of schedules over all zones.
//!
//! For tests of programs that embed apflow, and for our own. [`MemoryStore`] is the reference model of
//! a store, not a product: it keeps nothing and scans everything.

mod calendar;
pub mod channels;
mod clock;
mod memory;
mod scripted;

use std::sync::atomic::{AtomicU64, Ordering};

pub use calendar::Sweep;
pub use clock::{ManualClock, RuntimeClock};
pub use memory::MemoryStore;
pub use scripted::{Call, Script, ScriptedExecutor};

use crate::id::Ids;

/// Ids that count: `<prefix>-1`, `<prefix>-2` and so on.
#[derive(Debug)]
pub struct SeededIds {
    prefix: String,
    last: AtomicU64,
}

impl SeededIds {
    /// Starts to count.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), last: AtomicU64::new(0) }
    }
}

impl Ids for SeededIds {
    fn next(&self) -> String {
        format!("{}-{}", self.prefix, self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
