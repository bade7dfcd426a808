//! Who may begin now: slots that are taken, paces that are used up, breakers that are open.
//!
//! A [`Gate`] holds what was read of them in one transaction. It decides and keeps count; it reads and
//! writes nothing.

use std::collections::{BTreeSet, HashMap};

use super::{Flow, Line, OF, Pace, SharedLimit, Slot};
use crate::{
    breaker::{Breaker, Report, Says},
    task::{Held, HeldBy},
    time::Timestamp,
};

/// What a claim may do with a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It begins, and tries out these breakers.
    Begins(Vec<String>),
    /// It is held.
    Held(Held),
}

/// What becomes of the first ones of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heads {
    /// These are free now, by their place in what was given.
    pub freed: Vec<usize>,
    /// These are looked at again at a moment.
    pub timed: Vec<(usize, Timestamp)>,
    /// Those behind may be free as well.
    pub more: bool,
}

/// What was read of slots, paces and breakers.
#[derive(Debug, Default)]
pub struct Gate {
    /// Tasks that run, by key.
    pub running: HashMap<String, u32>,
    /// Tasks that try a breaker out, by its key.
    pub probing: HashMap<String, u32>,
    /// Limits of shared keys.
    pub shared: HashMap<String, SharedLimit>,
    /// When a pace is even again, by key.
    pub even: HashMap<String, Timestamp>,
    /// Breakers of which something is known.
    pub breakers: HashMap<String, Breaker>,
    /// Paces that were used.
    pub used: BTreeSet<String>,
    /// Breakers that changed.
    pub changed: BTreeSet<String>,
}

/// How many of a line's first ones are given a moment to be looked at again.
const TIMED: usize = 16;
/// How many of a line are freed at once where nothing holds them any more.
pub const MOST_FREED: u32 = 256;

impl Gate {
    /// Counts a task that runs.
    pub fn count(&mut self, flow: &Flow) {
        for slot in &flow.slots {
            *self.running.entry(slot.key.clone()).or_default() += 1;
        }
        for key in &flow.probes {
            *self.probing.entry(key.clone()).or_default() += 1;
        }
    }

    /// Whether a task may begin; if it does, it is counted.
    pub fn ask(&mut self, flow: &Flow, now: Timestamp) -> Verdict {
        if let Some(held) = self.holds(flow, now) {
            return Verdict::Held(held);
        }
        let mut probes = Vec::new();
        for key in &flow.breakers {
            let others = self.probing.get(key).copied().unwrap_or(0);
            let Some(breaker) = self.breakers.get_mut(key) else { continue };
            let before = breaker.circuit;
            if breaker.ask(others, now) == Says::Probe {
                probes.push(key.clone());
            }
            if breaker.circuit != before {
                self.changed.insert(key.clone());
            }
        }
        let paces: Vec<_> = self.paces(flow).collect();
        for (key, pace, units) in paces {
            let even = self.even.entry(key.clone()).or_insert(now);
            *even = pace.even_after(*even, units, now);
            self.used.insert(key);
        }
        let runs = Flow { probes, slots: flow.slots.clone(), ..Flow::default() };
        self.count(&runs);
        Verdict::Begins(runs.probes)
    }

    /// What holds a task, if something does; nothing is counted.
    fn holds(&self, flow: &Flow, now: Timestamp) -> Option<Held> {
        let full = flow.slots.iter().find(|slot| self.room(slot) == 0);
        if let Some(slot) = full {
            return Some(Held { by: HeldBy::Concurrency, key: slot.key.clone(), until: None });
        }
        for key in &flow.breakers {
            let Some(mut breaker) = self.breakers.get(key).cloned() else { continue };
            let others = self.probing.get(key).copied().unwrap_or(0);
            if let Says::Wait(until) = breaker.ask(others, now) {
                return Some(Held { by: HeldBy::Breaker, key: key.clone(), until });
            }
        }
        let late = self
            .paces(flow)
            .map(|(key, pace, units)| (self.opens_at(&key, pace, units, now), key))
            .max()
            .filter(|(at, _)| *at > now);
        late.map(|(at, key)| Held { by: HeldBy::Rate, key, until: Some(at) })
    }

    /// How many more tasks may take this slot.
    fn room(&self, slot: &Slot) -> u32 {
        let max = slot.max.or_else(|| self.shared.get(&slot.key)?.max);
        let taken = self.running.get(&slot.key).copied().unwrap_or(0);
        max.map_or(u32::MAX, |max| max.saturating_sub(taken))
    }

    /// The paces a task keeps: its own and those of its shared keys.
    fn paces<'a>(&'a self, flow: &'a Flow) -> impl Iterator<Item = (String, Pace, u32)> + 'a {
        let own = flow.paces.iter().map(|paced| (paced.key.clone(), paced.pace, paced.units));
        let shared = flow.slots.iter().filter(|slot| slot.max.is_none()).filter_map(|slot| {
            Some((slot.key.clone(), self.shared.get(&slot.key)?.rate?, slot.units))
        });
        own.chain(shared)
    }

    fn opens_at(&self, key: &str, pace: Pace, units: u32, now: Timestamp) -> Timestamp {
        pace.opens_at(self.even.get(key).copied().unwrap_or(now).max(now), units)
    }

    /// Takes in how an attempt went; `probe` says whether it tried the breaker out.
    pub fn hear(&mut self, report: &Report, probe: bool, now: Timestamp) {
        let breaker = self
            .breakers
            .entry(report.key.clone())
            .or_insert_with(|| Breaker::new(report.key.clone(), report.policy, now));
        let before = breaker.clone();
        breaker.hear(report.worked, probe, report.policy, now);
        if before.circuit != breaker.circuit {
            self.changed.insert(report.key.clone());
        }
    }

    /// What becomes of the first ones of a line, each with what it asks for and its own moment.
    ///
    /// Where a first one has to stay, those behind it stay too: a line moves in order.
    /// `before` of it were freed already in this look.
    pub fn heads(
        &self,
        line: &Line,
        heads: &[(Flow, Option<Timestamp>)],
        before: u32,
        now: Timestamp,
    ) -> Heads {
        let key = &line.key;
        match line.by {
            by if by == HeldBy::Concurrency.as_str() => self.heads_for_slots(key, heads, before),
            by if by == HeldBy::Rate.as_str() => self.heads_for_pace(key, heads, before, now),
            by if by == HeldBy::Breaker.as_str() => self.heads_for_breaker(key, heads, before, now),
            _ => Heads::default(),
        }
    }

    /// Whether nothing can be waiting in a line, as far as is known.
    pub fn is_open(&self, line: &Line) -> bool {
        let shared = !line.key.contains(OF);
        let limit = self.shared.get(&line.key);
        shared
            && match line.by {
                by if by == HeldBy::Concurrency.as_str() => limit.is_none_or(|l| l.max.is_none()),
                by if by == HeldBy::Rate.as_str() => limit.is_none_or(|l| l.rate.is_none()),
                _ => false,
            }
    }

    fn heads_for_slots(
        &self,
        key: &str,
        heads: &[(Flow, Option<Timestamp>)],
        before: u32,
    ) -> Heads {
        let mut answer = Heads::default();
        for (at, (flow, _)) in heads.iter().enumerate() {
            let slot = flow.slots.iter().find(|slot| slot.key == key);
            let room = slot.map_or(u32::MAX, |slot| self.room(slot).saturating_sub(before));
            if u32::try_from(answer.freed.len()).is_ok_and(|freed| freed >= room) {
                return answer;
            }
            answer.freed.push(at);
        }
        answer.more = !answer.freed.is_empty();
        answer
    }

    fn heads_for_pace(
        &self,
        key: &str,
        heads: &[(Flow, Option<Timestamp>)],
        before: u32,
        now: Timestamp,
    ) -> Heads {
        let mut answer = Heads::default();
        let mut even = self.even.get(key).copied().unwrap_or(now);
        let first = heads.first().and_then(|(flow, _)| self.paces(flow).find(|(it, ..)| it == key));
        if let Some((_, pace, units)) = first.filter(|_| before > 0) {
            even = pace.even_after(even, units.saturating_mul(before), now);
        }
        for (at, (flow, until)) in heads.iter().enumerate() {
            let Some((_, pace, units)) = self.paces(flow).find(|(name, ..)| name == key) else {
                answer.freed.push(at);
                continue;
            };
            let opens = pace.opens_at(even.max(now), units);
            even = pace.even_after(even, units, now);
            if opens <= now {
                answer.freed.push(at);
            } else if answer.timed.len() < TIMED {
                if until.is_none_or(|until| until > opens) {
                    answer.timed.push((at, opens));
                }
            } else {
                return answer;
            }
        }
        answer.more = answer.freed.len() == heads.len() && !heads.is_empty();
        answer
    }

    fn heads_for_breaker(
        &self,
        key: &str,
        heads: &[(Flow, Option<Timestamp>)],
        before: u32,
        now: Timestamp,
    ) -> Heads {
        let mut answer = Heads::default();
        let mut breaker = self.breakers.get(key).cloned();
        let mut probes = self.probing.get(key).copied().unwrap_or(0).saturating_add(before);
        for (at, (_, until)) in heads.iter().enumerate() {
            let says = breaker.as_mut().map_or(Says::Pass, |breaker| breaker.ask(probes, now));
            match says {
                Says::Pass => answer.freed.push(at),
                Says::Probe => {
                    probes += 1;
                    answer.freed.push(at);
                }
                Says::Wait(None) => return answer,
                Says::Wait(Some(opens)) => {
                    let few = breaker.as_ref().map_or(1, |known| known.policy.half_open_max);
                    if u32::try_from(at).is_ok_and(|at| at >= few) {
                        return answer;
                    }
                    if until.is_none_or(|until| until > opens) {
                        answer.timed.push((at, opens));
                    }
                }
            }
        }
        answer.more = answer.freed.len() == heads.len() && !heads.is_empty();
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        breaker::BreakerPolicy,
        flow::{FlowControl, Limit, Rate, Span},
    };

    fn at(millis: i64) -> Timestamp {
        Timestamp(millis * 1000)
    }

    fn limited(max: u32) -> Flow {
        let limits = vec![Limit { key: "k".to_owned(), max: Some(max) }];
        let control = FlowControl { limits, ..FlowControl::default() };
        Flow::of(&control, None).expect("it says something")
    }

    fn paced(limit: u32, burst: Option<u32>, units: Option<u32>) -> Flow {
        let per = Span(Duration::from_secs(1));
        let rate = vec![Rate { key: "k".to_owned(), limit, per, burst, units }];
        let control = FlowControl { rate, ..FlowControl::default() };
        Flow::of(&control, None).expect("it says something")
    }

    #[test]
    fn slots_are_given_out_and_the_next_one_is_held_by_the_key() {
        let (mut gate, flow) = (Gate::default(), limited(2));
        assert_eq!(gate.ask(&flow, at(0)), Verdict::Begins(Vec::new()));
        assert_eq!(gate.ask(&flow, at(0)), Verdict::Begins(Vec::new()));
        let Verdict::Held(held) = gate.ask(&flow, at(0)) else { panic!("there are two slots") };
        assert_eq!((held.by, held.until), (HeldBy::Concurrency, None));
        assert_eq!(held.key, flow.slots[0].key);
    }

    #[test]
    fn a_shared_limit_holds_for_owners_that_said_nothing() {
        let mut gate = Gate::default();
        let shared = SharedLimit { key: "k".to_owned(), max: Some(1), rate: None };
        gate.shared.insert("k".to_owned(), shared);
        assert!(matches!(gate.ask(&limited(9), at(0)), Verdict::Begins(_)));
        let Verdict::Held(held) = gate.ask(&limited(9), at(0)) else { panic!("one slot for all") };
        assert_eq!(held.key, "k");
    }

    #[test]
    fn a_pace_spreads_beginnings_and_says_when_the_next_one_is() {
        let (mut gate, flow) = (Gate::default(), paced(10, None, None));
        assert!(matches!(gate.ask(&flow, at(0)), Verdict::Begins(_)));
        let Verdict::Held(held) = gate.ask(&flow, at(0)) else { panic!("10 a second") };
        assert_eq!((held.by, held.until), (HeldBy::Rate, Some(at(100))));
        assert!(matches!(gate.ask(&flow, at(100)), Verdict::Begins(_)));
    }

    #[test]
    fn units_count_and_a_burst_may_be_used_at_once() {
        let (mut gate, flow) = (Gate::default(), paced(10, Some(6), Some(2)));
        for _ in 0..3 {
            assert!(matches!(gate.ask(&flow, at(0)), Verdict::Begins(_)));
        }
        let Verdict::Held(held) = gate.ask(&flow, at(0)) else { panic!("six units at once") };
        assert_eq!(held.until, Some(at(200)), "two units at ten a second");
    }

    #[test]
    fn a_task_that_is_held_uses_nothing_up() {
        let mut gate = Gate::default();
        let both = Flow { slots: limited(1).slots, ..paced(1, None, None) };
        assert!(matches!(gate.ask(&limited(1), at(0)), Verdict::Begins(_)));
        assert!(matches!(gate.ask(&both, at(0)), Verdict::Held(_)));
        assert!(gate.used.is_empty(), "the pace was not touched");
        assert!(matches!(gate.ask(&paced(1, None, None), at(0)), Verdict::Begins(_)));
    }

    #[test]
    fn a_line_moves_in_order_as_far_as_there_is_room() {
        let mut gate = Gate::default();
        gate.running.insert(limited(1).slots[0].key.clone(), 1);
        let line = Line::of(HeldBy::Concurrency, &limited(1).slots[0].key);
        let of =
            |maxima: &[u32]| -> Vec<_> { maxima.iter().map(|max| (limited(*max), None)).collect() };
        assert_eq!(gate.heads(&line, &of(&[3, 3, 3]), 0, at(0)).freed, [0, 1]);
        let stays = gate.heads(&line, &of(&[1, 3]), 0, at(0));
        assert!(stays.freed.is_empty() && !stays.more, "the first one has to stay");
        assert!(gate.heads(&line, &of(&[3, 3]), 0, at(0)).more, "there may be more");
    }

    #[test]
    fn the_first_ones_of_a_pace_get_their_moments_one_after_another() {
        let mut gate = Gate::default();
        let flow = paced(10, None, None);
        let line = Line::of(HeldBy::Rate, &flow.paces[0].key);
        gate.ask(&flow, at(0));
        let heads: Vec<_> = (0..40).map(|_| (flow.clone(), None)).collect();
        let answer = gate.heads(&line, &heads, 0, at(0));
        assert!(answer.freed.is_empty());
        assert_eq!(answer.timed.len(), TIMED);
        assert_eq!(answer.timed[..2], [(0, at(100)), (1, at(200))]);
        let again: Vec<_> = (0..40).map(|_| (flow.clone(), Some(at(100)))).collect();
        assert!(gate.heads(&line, &again, 0, at(0)).timed.is_empty(), "they know already");
    }

    #[test]
    fn when_a_breaker_closes_its_line_goes_and_while_it_tries_only_a_few() {
        let policy = BreakerPolicy { threshold: 1, ..BreakerPolicy::default() };
        let mut gate = Gate::default();
        let report = |worked| Report { key: "b".to_owned(), worked, policy };
        gate.hear(&report(false), false, at(0));
        let flow = Flow { breakers: vec!["b".to_owned()], ..Flow::default() };
        let line = Line::of(HeldBy::Breaker, "b");
        let heads = vec![(flow.clone(), None); 3];
        let answer = gate.heads(&line, &heads, 0, at(0));
        assert_eq!(answer.timed, [(0, at(60_000))], "only as many as may try then");
        assert_eq!(gate.heads(&line, &heads, 0, at(60_000)).freed, [0]);
        assert_eq!(gate.ask(&flow, at(60_000)), Verdict::Begins(vec!["b".to_owned()]));
        assert!(gate.heads(&line, &heads, 0, at(60_000)).freed.is_empty(), "one tries");
        gate.hear(&report(true), true, at(60_001));
        assert_eq!(gate.heads(&line, &heads, 0, at(60_001)).freed, [0, 1, 2]);
    }

    proptest! {
        /// In any window, not more begin than the burst and what the window's length lets through.
        #[test]
        fn a_pace_is_kept_in_every_window(
            limit in 1u32..50, burst in 1u32..10, steps in prop::collection::vec(0i64..200, 1..200),
        ) {
            let mut gate = Gate::default();
            let flow = paced(limit, Some(burst), None);
            let mut now = 0;
            let mut begun: Vec<i64> = Vec::new();
            for step in steps {
                now += step;
                match gate.ask(&flow, at(now)) {
                    Verdict::Begins(_) => begun.push(now),
                    Verdict::Held(held) => {
                        let until = held.until.expect("a pace always says when");
                        prop_assert!(until > at(now));
                    }
                }
            }
            for (first, from) in begun.iter().enumerate() {
                for (last, to) in begun.iter().enumerate().skip(first) {
                    let count = i64::try_from(last - first + 1).expect("few");
                    // The gap is cut to whole microseconds, in favour of the tasks.
                    let most = i64::from(burst) + (to - from) * i64::from(limit) / 1000 + 1;
                    prop_assert!(count <= most, "{count} in {} ms", to - from);
                }
            }
        }
    }
}
