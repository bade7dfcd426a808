//! What the worker does next, given where things stand. No awaits, no clock.

use std::time::Duration;

/// Where a worker stands.
#[expect(clippy::struct_excessive_bools, reason = "each is one fact that the decision looks at")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Attempts it may run at the same time.
    pub(super) slots: u32,
    /// Attempts that run.
    pub(super) busy: usize,
    /// Outcomes that are not settled yet.
    pub(super) outcomes: usize,
    /// There may be ready tasks.
    pub(super) hungry: bool,
    /// It does not know when time will change something.
    pub(super) timeless: bool,
    /// The store is still answering the last batch, or pauses after a failure.
    pub(super) waiting: bool,
    /// It shuts down.
    pub(super) draining: bool,
}

/// One call of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exchange {
    /// Most tasks to claim in the same transaction.
    pub(super) claim: u32,
}

impl Standing {
    fn free(&self) -> u32 {
        if self.draining {
            return 0;
        }
        self.slots.saturating_sub(u32::try_from(self.busy).unwrap_or(u32::MAX))
    }

    /// The call to make now, if any.
    ///
    /// One at a time: what finishes in the meantime goes into the next one. Outcomes always bring a
    /// claim with them, because they may make their dependents ready.
    pub(super) fn next(&self) -> Option<Exchange> {
        let claim = self.free();
        let wants =
            self.outcomes > 0 || (self.hungry && claim > 0) || (self.timeless && !self.draining);
        (wants && !self.waiting).then_some(Exchange { claim })
    }
}

/// How long to leave a store alone that has failed so many times in a row.
pub(super) fn pause(failures: u32, (first, most): (Duration, Duration)) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    first.saturating_mul(1 << doublings).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Standing = Standing {
        slots: 10,
        busy: 0,
        outcomes: 0,
        hungry: false,
        timeless: false,
        waiting: false,
        draining: false,
    };

    fn claim(standing: Standing) -> Option<u32> {
        standing.next().map(|exchange| exchange.claim)
    }

    #[test]
    fn an_idle_worker_asks_for_nothing() {
        assert_eq!(claim(IDLE), None);
    }

    #[test]
    fn a_hungry_worker_asks_for_its_free_slots_and_not_for_one_more() {
        assert_eq!(claim(Standing { hungry: true, busy: 3, ..IDLE }), Some(7));
        assert_eq!(claim(Standing { hungry: true, busy: 10, ..IDLE }), None);
        assert_eq!(claim(Standing { hungry: true, busy: 11, ..IDLE }), None);
    }

    #[test]
    fn a_full_worker_still_settles_what_is_done() {
        assert_eq!(claim(Standing { outcomes: 1, busy: 10, ..IDLE }), Some(0));
        assert_eq!(claim(Standing { outcomes: 2, busy: 8, ..IDLE }), Some(2));
    }

    #[test]
    fn a_full_worker_that_lost_track_of_time_asks_without_claiming() {
        assert_eq!(claim(Standing { timeless: true, busy: 10, ..IDLE }), Some(0));
    }

    #[test]
    fn nothing_is_asked_while_the_store_still_answers() {
        let eager = Standing { outcomes: 5, hungry: true, timeless: true, ..IDLE };
        assert_eq!(claim(Standing { waiting: true, ..eager }), None);
    }

    #[test]
    fn a_draining_worker_settles_and_claims_nothing() {
        let eager = Standing { draining: true, hungry: true, timeless: true, ..IDLE };
        assert_eq!(claim(eager), None);
        assert_eq!(claim(Standing { outcomes: 1, ..eager }), Some(0));
    }

    #[test]
    fn the_pause_doubles_up_to_its_limit() {
        let limits = (Duration::from_millis(100), Duration::from_secs(5));
        let pauses: Vec<u128> = (1..=8).map(|n| pause(n, limits).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pause(u32::MAX, limits), limits.1);
    }
}
