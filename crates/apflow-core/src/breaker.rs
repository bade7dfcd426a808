//! Circuit breakers: what fails again and again gets a rest, and is then tried with care.
//!
//! ```text
//! closed --(threshold failures in a row)--> open --(reset)--> half open --(a probe succeeds)--> closed
//!                                             ^                   |
//!                                             +--(a probe fails)--+
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{flow::Span, time::Timestamp};

/// When a breaker opens, and how it closes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerPolicy {
    /// So many failures in a row open it.
    pub threshold: u32,
    /// How long it stays open before something is tried.
    pub reset: Span,
    /// How many attempts may try at the same time.
    pub half_open_max: u32,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { threshold: 5, reset: Span(Duration::from_mins(1)), half_open_max: 1 }
    }
}

impl BreakerPolicy {
    /// Why it cannot be followed, if it cannot.
    pub fn mistake(&self) -> Option<String> {
        if !(1..=1000).contains(&self.threshold) {
            return Some(format!("threshold {} is outside 1 to 1000", self.threshold));
        }
        if !(1..=10).contains(&self.half_open_max) {
            return Some(format!("half_open_max {} is outside 1 to 10", self.half_open_max));
        }
        let fits = (Duration::from_secs(1)..=Duration::from_hours(24)).contains(&self.reset.0);
        (!fits).then(|| format!("reset {} is outside 1s to 1d", self.reset))
    }
}

/// Failures that lie further apart than this are not in a row.
pub const MEMORY: Duration = Duration::from_hours(1);

/// Whether a breaker lets attempts through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Circuit {
    /// It does.
    Closed {
        /// Failures in a row so far.
        failures: u32,
    },
    /// It does not.
    Open {
        /// When something may be tried.
        until: Timestamp,
    },
    /// It lets a few through, to see.
    HalfOpen,
}

impl Circuit {
    /// The word as it is shown.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// One breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// What it guards: `executor:<id>` or `host:<name>`.
    pub key: String,
    /// Whether it lets attempts through.
    pub circuit: Circuit,
    /// By which rules.
    pub policy: BreakerPolicy,
    /// When something was last said about it.
    pub touched_at: Timestamp,
}

/// How one attempt went, as far as a breaker is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The breaker.
    pub key: String,
    /// What it guards did what was asked of it.
    pub worked: bool,
    /// The rules the reporter goes by.
    pub policy: BreakerPolicy,
}

/// What a breaker says to an attempt that wants to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Go ahead.
    Pass,
    /// Go ahead and tell how it went; everybody else waits for that.
    Probe,
    /// Wait, until a moment if it is known.
    Wait(Option<Timestamp>),
}

impl Breaker {
    /// A breaker of which nothing is known.
    pub fn new(key: impl Into<String>, policy: BreakerPolicy, now: Timestamp) -> Self {
        Self { key: key.into(), circuit: Circuit::Closed { failures: 0 }, policy, touched_at: now }
    }

    /// Takes in how an attempt went. `probe` says that it was one of those let through to see.
    pub fn hear(&mut self, worked: bool, probe: bool, policy: BreakerPolicy, now: Timestamp) {
        self.policy = policy;
        let old = now.since(self.touched_at) > MEMORY;
        self.touched_at = now;
        self.circuit = match self.circuit {
            Circuit::Closed { .. } if worked => Circuit::Closed { failures: 0 },
            Circuit::Closed { failures } => {
                let failures = if old { 1 } else { failures.saturating_add(1) };
                if failures >= policy.threshold {
                    Circuit::Open { until: now.after(policy.reset.0) }
                } else {
                    Circuit::Closed { failures }
                }
            }
            // What began before it opened tells nothing of how things are now.
            open_or_half if !probe => open_or_half,
            _ if worked => Circuit::Closed { failures: 0 },
            _ => Circuit::Open { until: now.after(policy.reset.0) },
        };
    }

    /// Whether an attempt may begin while `probes` others try.
    pub fn ask(&mut self, probes: u32, now: Timestamp) -> Says {
        match self.circuit {
            Circuit::Closed { .. } => Says::Pass,
            Circuit::Open { until } if now < until => Says::Wait(Some(until)),
            Circuit::Open { .. } | Circuit::HalfOpen => {
                if probes < self.policy.half_open_max {
                    self.circuit = Circuit::HalfOpen;
                    Says::Probe
                } else {
                    Says::Wait(None)
                }
            }
        }
    }

    /// There is nothing to remember: as good as a breaker that was never heard of.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        match self.circuit {
            Circuit::Closed { failures } => failures == 0 || now.since(self.touched_at) > MEMORY,
            Circuit::Open { .. } | Circuit::HalfOpen => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: BreakerPolicy =
        BreakerPolicy { threshold: 3, reset: Span(Duration::from_mins(1)), half_open_max: 2 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    fn failing(times: u32) -> Breaker {
        let mut breaker = Breaker::new("k", POLICY, at(0));
        for _ in 0..times {
            breaker.hear(false, false, POLICY, at(0));
        }
        breaker
    }

    #[test]
    fn it_opens_at_the_threshold_and_not_before() {
        assert_eq!(failing(2).ask(0, at(0)), Says::Pass);
        assert_eq!(failing(3).ask(0, at(59)), Says::Wait(Some(at(60))));
    }

    #[test]
    fn a_success_between_makes_the_count_begin_again() {
        let mut breaker = failing(2);
        breaker.hear(true, false, POLICY, at(1));
        breaker.hear(false, false, POLICY, at(2));
        breaker.hear(false, false, POLICY, at(3));
        assert_eq!(breaker.circuit, Circuit::Closed { failures: 2 });
    }

    #[test]
    fn failures_that_lie_far_apart_are_not_in_a_row() {
        let mut breaker = failing(2);
        breaker.hear(false, false, POLICY, at(3601 + 60));
        assert_eq!(breaker.circuit, Circuit::Closed { failures: 1 });
    }

    #[test]
    fn after_its_rest_a_few_may_try_and_the_others_wait_for_them() {
        let mut breaker = failing(3);
        assert_eq!(breaker.ask(0, at(60)), Says::Probe);
        assert_eq!(breaker.ask(1, at(60)), Says::Probe);
        assert_eq!(breaker.ask(2, at(60)), Says::Wait(None));
        let mut closed = breaker.clone();
        closed.hear(true, true, POLICY, at(61));
        assert_eq!(closed.ask(1, at(61)), Says::Pass);
        breaker.hear(false, true, POLICY, at(61));
        assert_eq!(breaker.ask(0, at(61)), Says::Wait(Some(at(121))));
    }

    #[test]
    fn what_began_before_it_opened_neither_closes_it_nor_keeps_it_open() {
        let mut breaker = failing(3);
        breaker.hear(true, false, POLICY, at(30));
        breaker.hear(false, false, POLICY, at(59));
        assert_eq!(breaker.circuit, Circuit::Open { until: at(60) });
    }

    #[test]
    fn a_policy_out_of_range_says_so() {
        assert_eq!(BreakerPolicy::default().mistake(), None);
        let wrong = |change: fn(&mut BreakerPolicy)| {
            let mut policy = BreakerPolicy::default();
            change(&mut policy);
            policy.mistake().is_some()
        };
        assert!(wrong(|policy| policy.threshold = 0));
        assert!(wrong(|policy| policy.half_open_max = 11));
        assert!(wrong(|policy| policy.reset = Span(Duration::ZERO)));
    }

    proptest! {
        /// Whatever happens: attempts pass a breaker only when it is closed or as one of a few probes,
        /// and it always gets a chance to close again.
        #[test]
        fn never_more_than_the_allowed_probes_and_never_shut_for_ever(
            steps in prop::collection::vec((0u8..4, 0i64..40), 1..200),
        ) {
            let mut breaker = Breaker::new("k", POLICY, at(0));
            let (mut now, mut probes, mut in_a_row) = (0, 0u32, 0u32);
            for (what, passes) in steps {
                now += passes;
                let moment = at(now);
                match what {
                    0 => match breaker.ask(probes, moment) {
                        Says::Pass => {
                            let closed = matches!(breaker.circuit, Circuit::Closed { .. });
                            prop_assert!(closed);
                        }
                        Says::Probe => {
                            probes += 1;
                            prop_assert!(probes <= POLICY.half_open_max);
                        }
                        Says::Wait(until) => {
                            prop_assert!(until.is_some_and(|at| at > moment) || probes > 0);
                            prop_assert!(until.is_none_or(|at| at <= moment.after(POLICY.reset.0)));
                        }
                    },
                    1 | 2 if probes > 0 => {
                        probes -= 1;
                        let closed = matches!(breaker.circuit, Circuit::Closed { .. });
                        breaker.hear(what == 1, true, POLICY, moment);
                        // One that tried may end after another one has closed it.
                        in_a_row = if closed && what == 2 { in_a_row + 1 } else { 0 };
                    }
                    _ => {
                        let before = breaker.circuit;
                        breaker.hear(false, false, POLICY, moment);
                        in_a_row += 1;
                        if let (Circuit::Closed { .. }, Circuit::Open { .. }) =
                            (before, breaker.circuit)
                        {
                            prop_assert!(in_a_row >= POLICY.threshold);
                            in_a_row = 0;
                        }
                    }
                }
            }
            // Whoever is still at it ends; then, after a rest, somebody may try.
            prop_assert!(!matches!(breaker.ask(0, at(now + 60)), Says::Wait(_)));
        }
    }
}
