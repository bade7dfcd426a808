//! Every limit of the engine, each with a default.

use std::{collections::BTreeSet, time::Duration};

use crate::breaker::BreakerPolicy;

/// How an engine works.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineConfig {
    /// Attempts that run at the same time.
    pub slots: u32,
    /// How long a lease lasts unless it is renewed; renewed after a third of it.
    pub lease: Duration,
    /// How often a worker with nothing to do looks by itself, should every signal be lost.
    pub back_stop: Duration,
    /// How long an attempt may go on after it was told to stop.
    pub grace: Duration,
    /// Longest time an attempt may take where its task does not say.
    pub attempt_timeout: Option<Duration>,
    /// The largest result, in bytes, roughly counted.
    pub max_result_bytes: usize,
    /// How deeply a result may nest.
    pub max_result_depth: usize,
    /// The largest checkpoint, in bytes, roughly counted.
    pub max_checkpoint_bytes: usize,
    /// The longest delay before another attempt.
    pub max_retry_delay: Duration,
    /// How soon progress is stored after it was reported, with everything else that was by then.
    pub progress_delay: Duration,
    /// Tasks and trees that time may act on in one transaction.
    pub lapse_batch: u32,
    /// First and longest pause after the store has failed; it doubles in between.
    pub store_pause: (Duration, Duration),
    /// How long an idempotency key stands for its first answer.
    pub key_retention: Duration,
    /// Submissions that ended so long ago are deleted, whole ones in bounded batches; none keeps all.
    pub keep: Option<Duration>,
    /// How much of a demonstration's pauses is kept: 1 all of it, 0 nothing.
    pub sleep_scale: f64,
    /// What gets a rest when it fails again and again.
    pub breakers: Breakers,
}

/// Which executors and hosts have circuit breakers, besides those of tasks that ask for one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Breakers {
    /// When they open and close.
    pub policy: BreakerPolicy,
    /// Executors that have one.
    pub executors: BTreeSet<String>,
    /// Every host has one.
    pub hosts: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            slots: 256,
            lease: Duration::from_secs(30),
            back_stop: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            attempt_timeout: None,
            max_result_bytes: 64 << 20,
            max_result_depth: 64,
            max_checkpoint_bytes: 1 << 20,
            max_retry_delay: Duration::from_mins(5),
            progress_delay: Duration::from_secs(1),
            lapse_batch: 500,
            store_pause: (Duration::from_millis(100), Duration::from_secs(5)),
            key_retention: Duration::from_hours(7 * 24),
            keep: Some(Duration::from_hours(30 * 24)),
            sleep_scale: 1.0,
            breakers: Breakers::default(),
        }
    }
}

impl EngineConfig {
    /// After how much of a lease it is renewed.
    pub fn renew_after(&self) -> Duration {
        self.lease / 3
    }

    /// How long after a claim or renewal was *sent* the worker still trusts its lease.
    ///
    /// A fifth of the lease is kept back for the way to the database and for slow clocks.
    pub fn trusted(&self) -> Duration {
        self.lease.mul_f64(0.8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_renewed_before_it_is_distrusted_and_distrusted_before_it_ends() {
        let config = EngineConfig::default();
        assert!(config.renew_after() * 2 < config.trusted());
        assert!(config.trusted() < config.lease);
    }
}
