//! Clocks for tests: one that is moved by hand, one that follows the runtime's own time.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::time::{Clock, Timestamp};

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `at`.
    pub fn new(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.0))
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let now = self.now().after(by);
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A clock that goes as the timers of tokio go, so that `tokio::time::pause` moves both.
#[derive(Debug)]
pub struct RuntimeClock {
    start: Timestamp,
    since: Instant,
}

impl RuntimeClock {
    /// A clock that stands at `start` now. Must be made within a tokio runtime.
    pub fn new(start: Timestamp) -> Self {
        Self { start, since: Instant::now() }
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        self.start.after(self.since.elapsed())
    }
}
