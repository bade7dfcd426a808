//! What to do with a slot whose time has come, perhaps long ago.

use std::{collections::VecDeque, time::Duration};

use super::plan::{Plan, Rhythm};
use crate::{task::Misfire, time::Timestamp};

/// So many missed slots are looked at one by one; what lies beyond is passed over.
const MOST_COUNTED: u64 = 10_000;

/// How late a slot may be and still be in time, where missed slots are left out and nothing else is said.
const IN_TIME: Duration = Duration::from_mins(1);

/// Which slots fire now, and which comes next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// The slots that fire, in order; the later ones of them when the earlier ones allow it.
    pub fire: Vec<Timestamp>,
    /// How many slots are left out; after ten thousand at least so many.
    pub skipped: u64,
    /// The slot after all of these.
    pub next: Option<Timestamp>,
}

impl Plan {
    /// What to do at `now` with the stored slot and all that passed since.
    ///
    /// A slot counts as passed once the longest jitter is over as well; the stored one, which the caller
    /// found to be due, as soon as its time has come. Before that nothing fires and it stays the next.
    /// No more slots fire than there are runs left.
    pub fn due(&self, slot: Timestamp, now: Timestamp) -> Due {
        if slot > now {
            return Due { next: Some(slot), ..Due::default() };
        }
        let (passed, older, next) = self.passed(slot, now);
        let most = match self.misfire {
            Misfire::FireOnce | Misfire::Skip => 1,
            Misfire::CatchUp => self.catch_up,
        };
        let most = self
            .runs_left
            .map_or(most, |left| most.min(usize::try_from(left).unwrap_or(usize::MAX)));
        let window = match self.misfire {
            Misfire::Skip => Some(self.window.unwrap_or(IN_TIME)),
            Misfire::FireOnce | Misfire::CatchUp => self.window,
        };
        let in_time = |slot: &Timestamp| {
            window.is_none_or(|window| now.since(*slot) <= window.saturating_add(self.jitter))
        };
        let total = older + passed.len() as u64;
        let from = passed.len().saturating_sub(most);
        let fire: Vec<Timestamp> = passed.into_iter().skip(from).filter(in_time).collect();
        Due { skipped: total - fire.len() as u64, fire, next }
    }

    /// The last slots up to `now` in order, how many there were before them, and the one after.
    fn passed(
        &self,
        slot: Timestamp,
        now: Timestamp,
    ) -> (VecDeque<Timestamp>, u64, Option<Timestamp>) {
        let until = Timestamp(now.0.saturating_sub(self.jitter_micros()));
        let keep = self.catch_up.max(1);
        let mut passed = VecDeque::from([slot]);
        let mut older = 0;
        let mut patience = MOST_COUNTED;
        let mut next = self.after(slot);
        while let Some(at) = next.filter(|at| *at <= until) {
            if older >= patience {
                // Far too many: go on from where the last ones are.
                patience = u64::MAX;
                if let Some((near, between)) = self.close_to(at, until, keep) {
                    older += passed.len() as u64 + between;
                    passed.clear();
                    passed.push_back(near);
                    next = self.after(near);
                    continue;
                }
            }
            if passed.len() == keep {
                passed.pop_front();
                older += 1;
            }
            passed.push_back(at);
            next = self.after(at);
        }
        (passed, older, next)
    }

    /// A slot after `from` with at least `count` others up to `moment`, but not many more; and how many
    /// slots lie between, or at least 1.
    fn close_to(
        &self,
        from: Timestamp,
        moment: Timestamp,
        count: usize,
    ) -> Option<(Timestamp, u64)> {
        if let Rhythm::Interval(period) = &self.rhythm {
            let count = i64::try_from(count).ok()?;
            let steps = ((moment.0 - from.0) / period - count).max(1);
            return Some((Timestamp(from.0 + steps * period), u64::try_from(steps).unwrap_or(1)));
        }
        // Twice as far back each time, so that not many more are looked at than are wanted.
        let mut back = Duration::from_secs(1);
        for _ in 0..32 {
            let micros = i64::try_from(back.as_micros()).ok()?;
            let near = self.after(Timestamp(moment.0.checked_sub(micros)?))?;
            let found = std::iter::successors(Some(near), |slot| self.after(*slot))
                .take_while(|slot| *slot <= moment)
                .take(count.saturating_add(1))
                .count();
            if found > count {
                return Some((near, 1)).filter(|_| near > from);
            }
            back = back.saturating_mul(2);
        }
        None
    }

    fn jitter_micros(&self) -> i64 {
        i64::try_from(self.jitter.as_micros()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Schedule;

    fn at(text: &str) -> Timestamp {
        super::super::moment(text).expect("a moment")
    }

    fn plan(kind: &str, expression: &str, more: impl FnOnce(&mut Schedule)) -> Plan {
        let mut schedule = Schedule {
            schedule_type: Some(kind.to_owned()),
            schedule_expression: Some(expression.to_owned()),
            schedule_enabled: true,
            ..Schedule::default()
        };
        more(&mut schedule);
        Plan::read(&schedule).expect("a sound schedule").expect("a schedule")
    }

    #[test]
    fn a_slot_that_has_not_come_fires_nothing_and_stays_the_next() {
        let plan = plan("daily", "09:00", |_| {});
        let slot = at("2026-11-21T09:00:00Z");
        let due = plan.due(slot, at("2026-11-21T08:59:59.999999Z"));
        assert_eq!(due, Due { next: Some(slot), ..Due::default() });
        let due = plan.due(slot, slot);
        assert_eq!((due.fire, due.skipped), (vec![slot], 0));
        assert_eq!(due.next, Some(at("2026-11-22T09:00:00Z")));
    }

    #[test]
    fn after_three_days_away_the_latest_fires_once_unless_something_else_was_said() {
        let (slot, now) = (at("2026-11-21T09:00:00Z"), at("2026-11-24T08:00:00Z"));
        let next = Some(at("2026-11-24T09:00:00Z"));
        let latest = at("2026-11-23T09:00:00Z");
        let due = plan("daily", "09:00", |_| {}).due(slot, now);
        assert_eq!(due, Due { fire: vec![latest], skipped: 2, next });
        let due = plan("daily", "09:00", |s| s.schedule_misfire = Some(Misfire::Skip));
        assert_eq!(due.due(slot, now), Due { fire: vec![], skipped: 3, next });
        let due = plan("daily", "09:00", |s| s.schedule_misfire = Some(Misfire::CatchUp));
        let middle = at("2026-11-22T09:00:00Z");
        assert_eq!(due.due(slot, now), Due { fire: vec![slot, middle, latest], skipped: 0, next });
        let due = plan("daily", "09:00", |s| {
            s.schedule_misfire = Some(Misfire::CatchUp);
            s.schedule_catch_up = Some(2);
        });
        assert_eq!(due.due(slot, now), Due { fire: vec![middle, latest], skipped: 1, next });
    }

    #[test]
    fn the_window_says_how_late_a_slot_may_still_fire() {
        let slot = at("2026-11-21T09:00:00Z");
        let late = |seconds| slot.after(Duration::from_secs(seconds));
        let skip = plan("daily", "09:00", |s| s.schedule_misfire = Some(Misfire::Skip));
        assert_eq!(skip.due(slot, late(60)).fire, [slot]);
        assert_eq!((skip.due(slot, late(61)).fire.len(), skip.due(slot, late(61)).skipped), (0, 1));
        let once = plan("daily", "09:00", |s| s.schedule_misfire_window_seconds = Some(600.0));
        assert_eq!(once.due(slot, late(600)).fire, [slot]);
        assert_eq!(once.due(slot, late(601)).fire, []);
    }

    #[test]
    fn no_more_fire_than_runs_are_left() {
        let plan = plan("interval", "60", |s| {
            s.schedule_misfire = Some(Misfire::CatchUp);
            (s.max_runs, s.run_count) = (Some(5), 3);
        });
        let slot = at("2026-11-21T09:00:00Z");
        let due = plan.due(slot, slot.after(Duration::from_mins(9)));
        assert_eq!((due.fire.len(), due.skipped), (2, 8));
    }

    #[test]
    fn years_of_missed_seconds_are_passed_over_without_counting_each() {
        let (slot, now) = (at("2016-11-21T09:00:00Z"), at("2026-11-21T09:00:00.5Z"));
        for (kind, expression) in [("interval", "1"), ("cron", "* * * * * *")] {
            let plan = plan(kind, expression, |s| {
                s.schedule_misfire = Some(Misfire::CatchUp);
                s.schedule_catch_up = Some(3);
            });
            let due = plan.due(slot, now);
            let last: Vec<String> =
                due.fire.iter().map(|at| at.to_string()[17..19].to_owned()).collect();
            assert_eq!(last, ["58", "59", "00"], "{kind}");
            assert_eq!(due.next, Some(at("2026-11-21T09:00:01Z")), "{kind}");
            assert!(due.skipped >= MOST_COUNTED, "{kind}");
        }
        // An interval is counted exactly: ten years of seconds with three leap days, and both ends.
        let due = plan("interval", "1", |_| {}).due(slot, now);
        assert_eq!(due.skipped + 1, 3652 * 86_400 + 1);
    }

    #[test]
    fn jitter_puts_off_by_the_same_time_wherever_it_is_computed() {
        let plan = plan("cron", "* * * * *", |s| s.schedule_jitter_seconds = Some(30.0));
        let slot = at("2026-11-21T09:00:00Z");
        let spread: std::collections::BTreeSet<Timestamp> =
            (0..100).map(|task| plan.fires_at(&format!("task-{task}"), slot)).collect();
        assert!(spread.len() > 90, "{} different moments", spread.len());
        assert!(spread.iter().all(|at| *at >= slot && at.since(slot) <= Duration::from_secs(30)));
        assert_eq!(plan.fires_at("a", slot), plan.fires_at("a", slot));
        assert_eq!(
            plan.fires_at("a", slot).to_string(),
            "2026-11-21T09:00:06.026022+00:00",
            "rows of an older program keep their moment"
        );
        // The next slot is not taken for passed before its own jitter can be over.
        let due = plan.due(slot, at("2026-11-21T09:01:10Z"));
        assert_eq!((due.fire, due.next), (vec![slot], Some(at("2026-11-21T09:01:00Z"))));
        let due = plan.due(slot, at("2026-11-21T09:01:30Z"));
        assert_eq!((due.fire, due.skipped), (vec![at("2026-11-21T09:01:00Z")], 1));
    }
}
