//! A sweep of schedules over the zones of the world, against a clock that is read minute by minute.
//!
//! The oracle shares nothing with [`schedule`](crate::schedule) but the zone data: it walks through UTC, asks
//! each minute what the clock on the wall shows, and applies the promises of the guide word by word.

use std::collections::HashSet;

use jiff::{Timestamp as Moment, civil, tz::TimeZone};

use crate::{
    schedule::{Plan, Zone, zones},
    task::Schedule,
    time::Timestamp,
};

/// Minutes that are walked before and after each change of a clock.
const AROUND: i64 = 26 * 60;

/// So many mismatches are described.
const MOST_TOLD: usize = 20;

/// What a sweep went through and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Zones.
    pub zones: u64,
    /// Changes of a zone's offset.
    pub changes: u64,
    /// Changes at which the clock skips a time.
    pub gaps: u64,
    /// Changes at which the clock shows a time twice.
    pub overlaps: u64,
    /// Expressions, each followed through the hours around one change.
    pub expressions: u64,
    /// Slots the oracle expected.
    pub slots: u64,
    /// Expressions whose slots were not those of the oracle.
    pub mismatches: u64,
    /// The first of the mismatches in words.
    pub told: Vec<String>,
}

impl Sweep {
    /// Follows schedules around every change of each zone's clock in the years `from` to `to`, both included.
    ///
    /// Only every `step`th zone of the list is taken, and those of `always`.
    pub fn run(step: usize, always: &[&str], from: i16, to: i16) -> Self {
        let mut sweep = Self::default();
        for (place, name) in zones().into_iter().enumerate() {
            if place % step.max(1) == 0 || always.contains(&name) {
                sweep.zone(name, from, to);
            }
        }
        sweep
    }

    fn zone(&mut self, name: &str, from: i16, to: i16) {
        let Some(zone) = Zone::find(name) else { return };
        self.zones += 1;
        let begin = |year| civil::date(year, 1, 1).to_zoned(TimeZone::UTC).map(|at| at.timestamp());
        let (Ok(begin), Ok(end)) = (begin(from), begin(to + 1)) else { return };
        let changes: Vec<Moment> = zone
            .rules
            .following(begin)
            .map(|change| change.timestamp())
            .take_while(|at| *at < end)
            .collect();
        for at in changes {
            let walk = Walk::around(&zone.rules, at);
            let (before, after) = walk.change();
            // A zone may change its name or its flag and leave the clock alone.
            if before == after {
                continue;
            }
            self.changes += 1;
            self.gaps += u64::from(after > before);
            self.overlaps += u64::from(after < before);
            for pattern in patterns(before.min(after), before.max(after)) {
                self.check(name, &pattern, &walk);
            }
        }
    }

    fn check(&mut self, zone: &str, pattern: &Pattern, walk: &Walk) {
        let expected = walk.slots(pattern);
        let schedule = Schedule {
            schedule_type: Some(pattern.kind.to_owned()),
            schedule_expression: Some(pattern.expression.clone()),
            schedule_timezone: Some(zone.to_owned()),
            ..Schedule::default()
        };
        self.expressions += 1;
        self.slots += expected.len() as u64;
        let (from, to) = walk.ends();
        let found = match Plan::read(&schedule) {
            Ok(Some(plan)) => plan.slots(from, to, expected.len() + 10),
            Ok(None) | Err(_) => Vec::new(),
        };
        if found == expected {
            return;
        }
        self.mismatches += 1;
        if self.told.len() < MOST_TOLD {
            let only = |these: &[Timestamp], others: &[Timestamp]| -> Vec<String> {
                let missing = these.iter().filter(|slot| !others.contains(slot));
                missing.take(3).map(Timestamp::to_string).collect()
            };
            self.told.push(format!(
                "{zone}: {} `{}`: missing {:?}, too many {:?}",
                pattern.kind,
                pattern.expression,
                only(&expected, &found),
                only(&found, &expected)
            ));
        }
    }
}

/// A schedule in the oracle's own words.
struct Pattern {
    kind: &'static str,
    expression: String,
    times: Times,
    days: Days,
}

enum Times {
    /// These times of day, each once a day.
    Named(Vec<civil::Time>),
    /// Every minute and hour that these divide.
    Steps { minute: i8, hour: i8 },
}

impl Times {
    fn hold(&self, time: civil::Time) -> bool {
        match self {
            Self::Named(times) => times.contains(&time),
            Self::Steps { minute, hour } => time.minute() % minute == 0 && time.hour() % hour == 0,
        }
    }
}

enum Days {
    All,
    Weekday(i8),
    MonthDay(i8),
}

impl Days {
    fn hold(&self, day: civil::Date) -> bool {
        match self {
            Self::All => true,
            Self::Weekday(number) => day.weekday().to_monday_one_offset() == *number,
            Self::MonthDay(number) => day.day() == *number,
        }
    }
}

/// Patterns with wildcards, and times from `low` on and before `high`, where the clock is moved.
fn patterns(low: civil::DateTime, high: civil::DateTime) -> Vec<Pattern> {
    let steps = |expression: &str, minute, hour| Pattern {
        kind: "cron",
        expression: expression.to_owned(),
        times: Times::Steps { minute, hour },
        days: Days::All,
    };
    let mut patterns = vec![
        steps("0 * * * *", 60, 1),
        steps("*/15 * * * *", 15, 1),
        steps("*/20 */2 * * *", 20, 2),
    ];
    let length = high.duration_since(low).as_mins();
    let middle = low.saturating_add(jiff::SignedDuration::from_mins(length / 2));
    let last = high.saturating_sub(jiff::SignedDuration::from_mins(1));
    for at in [low, middle, last] {
        let time = civil::time(at.hour(), at.minute(), 0, 0);
        let (hour, minute) = (time.hour(), time.minute());
        let weekday = at.weekday().to_monday_one_offset();
        let named = |kind, expression: String, days| Pattern {
            kind,
            expression,
            times: Times::Named(vec![time]),
            days,
        };
        patterns.push(named("daily", format!("{hour}:{minute:02}"), Days::All));
        patterns.push(named("cron", format!("{minute} {hour} * * *"), Days::All));
        patterns.push(named(
            "weekly",
            format!("{weekday} {hour:02}:{minute:02}"),
            Days::Weekday(weekday),
        ));
        patterns.push(named(
            "monthly",
            format!("{}@{hour:02}:{minute:02}", at.day()),
            Days::MonthDay(at.day()),
        ));
        let other = (hour + 7) % 24;
        patterns.push(Pattern {
            kind: "cron",
            expression: format!("{minute} {hour},{other} * * *"),
            times: Times::Named(vec![time, civil::time(other, minute, 0, 0)]),
            days: Days::All,
        });
    }
    patterns
}

/// What the clock on the wall shows, minute by minute.
struct Walk(Vec<(Moment, civil::DateTime)>);

impl Walk {
    fn around(zone: &TimeZone, change: Moment) -> Self {
        let first = change.as_second().div_euclid(60) - AROUND;
        let minutes = (first..=first + 2 * AROUND).filter_map(|minute| {
            let at = Moment::from_second(minute * 60).ok()?;
            Some((at, zone.to_datetime(at)))
        });
        Self(minutes.collect())
    }

    /// The reading a minute after the last one before the change, and the reading that came instead.
    fn change(&self) -> (civil::DateTime, civil::DateTime) {
        let middle = self.0.len() / 2;
        (self.0[middle - 1].1.saturating_add(MINUTE), self.0[middle].1)
    }

    /// The stretch in which slots are compared; the minutes before show what has been.
    fn ends(&self) -> (Timestamp, Timestamp) {
        let at = |place: usize| Timestamp(self.0[place].0.as_microsecond());
        (at(1), at(self.0.len() - 1))
    }

    fn slots(&self, pattern: &Pattern) -> Vec<Timestamp> {
        let holds =
            |at: civil::DateTime| pattern.times.hold(at.time()) && pattern.days.hold(at.date());
        let named = matches!(pattern.times, Times::Named(_));
        let mut shown = HashSet::new();
        let mut slots = Vec::new();
        for (place, &(at, reading)) in self.0.iter().enumerate() {
            let again = !shown.insert(reading);
            let mut fires = holds(reading) && !(named && again);
            if named && place > 0 {
                fires |= skipped(self.0[place - 1].1, reading).any(holds);
            }
            if fires && (1..self.0.len() - 1).contains(&place) {
                slots.push(Timestamp(at.as_microsecond()));
            }
        }
        slots
    }
}

const MINUTE: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);

/// The readings that a clock left out between two minutes, unless it left out a whole day.
fn skipped(
    last: civil::DateTime,
    reading: civil::DateTime,
) -> impl Iterator<Item = civil::DateTime> {
    let whole_day = reading.duration_since(last) > jiff::SignedDuration::from_hours(24);
    std::iter::successors(Some(last.saturating_add(MINUTE)), |at| Some(at.saturating_add(MINUTE)))
        .take_while(move |at| !whole_day && *at < reading)
}
