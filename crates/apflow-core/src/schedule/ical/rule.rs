//! The recurrence rule of a schedule, where one says exactly what the schedule says.

use jiff::SignedDuration;

use super::super::{
    cron::{Fields, Values},
    plan::{Plan, Rhythm, SECOND},
    wall::Wall,
};
use crate::time::Timestamp;

/// How far ahead a rule has to be right about the changes of a clock: ten years.
pub(super) const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 3653);

/// Calendar programs keep the interval in 16 bits.
const MOST_INTERVAL: i64 = 32_767;

/// So many slots are looked at to tell whether the end or the number of runs comes first.
const MOST_COUNTED: u64 = 10_000;

/// The value of RRULE, and whether it is meant in the zone of the schedule; else in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) text: String,
    pub(super) zoned: bool,
}

/// The rule that gives the slots from `slot` on, if one does.
pub(super) fn of(plan: &Plan, slot: Timestamp) -> Option<Rule> {
    let (mut text, zoned) = match &plan.rhythm {
        Rhythm::Once(_) => return None,
        Rhythm::Interval(period) => (interval(period / SECOND)?, false),
        Rhythm::Wall(wall) => {
            let at = jiff::Timestamp::from_microsecond(slot.0).ok()?;
            if !wall.shows(at) || is_moved(wall, plan, at)? {
                return None;
            }
            (fields(&wall.fields)?, !is_utc(plan))
        }
    };
    text += &limit(plan, slot);
    Some(Rule { text, zoned })
}

fn is_utc(plan: &Plan) -> bool {
    matches!(plan.zone.name, "UTC" | "Etc/UTC")
}

/// Whether a change of the clock gives the schedule other slots than a rule would have.
fn is_moved(wall: &Wall, plan: &Plan, from: jiff::Timestamp) -> Option<bool> {
    let mut until = from.checked_add(HORIZON).ok()?;
    if let Some(end) = plan.end {
        until = until.min(jiff::Timestamp::from_microsecond(end.0).ok()?);
    }
    Some(wall.is_moved(from, until))
}

fn interval(seconds: i64) -> Option<String> {
    const UNITS: [(&str, i64); 4] =
        [("DAILY", 86_400), ("HOURLY", 3600), ("MINUTELY", 60), ("SECONDLY", 1)];
    let (unit, length) = UNITS.into_iter().find(|(_, length)| seconds % length == 0)?;
    match seconds / length {
        1 => Some(format!("FREQ={unit}")),
        count if count <= MOST_INTERVAL => Some(format!("FREQ={unit};INTERVAL={count}")),
        _ => None,
    }
}

fn fields(fields: &Fields) -> Option<String> {
    let Fields { second, minute, hour, day, month, weekday } = fields;
    let mut text = match (day.any, weekday.any) {
        (false, false) => return None,
        (true, true) => every_day(fields),
        (true, false) => {
            const NAMES: [&str; 7] = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"];
            let names = |place: &str, days: Values| -> Vec<String> {
                days.list().map(|day| format!("{place}{}", NAMES[usize::from(day) % 7])).collect()
            };
            let mut days = names("", weekday.values);
            let plain = days.len();
            for (place, of_month) in weekday.nth.iter().enumerate() {
                days.extend(names(&(place + 1).to_string(), *of_month));
            }
            days.extend(names("-1", weekday.last));
            // Places count within a month only if the rule goes by months.
            let freq = if days.len() == plain { "WEEKLY" } else { "MONTHLY" };
            format!("FREQ={freq};BYDAY={}", days.join(","))
        }
        (false, true) => {
            if day.last_weekday || !day.nearest.is_empty() {
                return None;
            }
            let mut days: Vec<String> = day.values.list().map(|day| day.to_string()).collect();
            days.extend(day.last.then(|| "-1".to_owned()));
            format!("FREQ=MONTHLY;BYMONTHDAY={}", days.join(","))
        }
    };
    if month.len() < 12 {
        text += &part("BYMONTH", *month);
    }
    // One value is that of DTSTART; a frequency that runs through all values needs none.
    let runs_through = |freqs: &[&str]| freqs.iter().any(|freq| text.starts_with(freq));
    let hours = !runs_through(&["FREQ=HOURLY", "FREQ=MINUTELY", "FREQ=SECONDLY"]);
    let minutes = !runs_through(&["FREQ=MINUTELY", "FREQ=SECONDLY"]);
    let seconds = !runs_through(&["FREQ=SECONDLY"]);
    for (name, values, wanted) in
        [("BYHOUR", hour, hours), ("BYMINUTE", minute, minutes), ("BYSECOND", second, seconds)]
    {
        if wanted && values.len() > 1 {
            text += &part(name, *values);
        }
    }
    Some(text)
}

/// The slowest frequency that the times of every day allow.
fn every_day(fields: &Fields) -> String {
    let all_months = fields.month.len() == 12;
    let freq = match (fields.hour.len(), fields.minute.len(), fields.second.len()) {
        (24, 60, 60) if all_months => "SECONDLY",
        (24, 60, _) if all_months => "MINUTELY",
        (24, _, _) if all_months => "HOURLY",
        _ => "DAILY",
    };
    format!("FREQ={freq}")
}

fn part(name: &str, values: Values) -> String {
    let list: Vec<String> = values.list().map(|value| value.to_string()).collect();
    format!(";{name}={}", list.join(","))
}

/// Where the rule ends: at a moment or after so many, whichever comes first; a rule cannot say both.
fn limit(plan: &Plan, slot: Timestamp) -> String {
    let until = |end: Timestamp| format!(";UNTIL={}", super::utc(end));
    let count = |runs: u64| format!(";COUNT={runs}");
    match (plan.end, plan.runs_left) {
        (None, None) => String::new(),
        (Some(end), None) => until(end),
        (None, Some(runs)) => count(runs),
        (Some(end), Some(runs)) if runs > MOST_COUNTED => until(end),
        (Some(end), Some(runs)) => {
            let most = usize::try_from(runs).unwrap_or(usize::MAX);
            let slots = std::iter::successors(Some(slot), |slot| plan.after(*slot));
            if slots.take(most.saturating_add(1)).count() <= most {
                until(end)
            } else {
                count(runs)
            }
        }
    }
}
