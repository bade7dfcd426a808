//! The component VTIMEZONE: when the clock of a zone is moved, and by how much.

use std::collections::BTreeMap;

use jiff::{Timestamp as Moment, civil};

use super::{rule::HORIZON, text::Lines};
use crate::{schedule::zone::Zone, time::Timestamp};

/// Changes of the same sort: the offsets before and after, the name, and whether it is summer time.
type Sort = (i32, i32, String, bool);

/// A change has to come in so many years, always in the same way, to be written as a rule.
const YEARS: usize = 5;

/// Writes the rules of a zone from the moment of its first event on.
pub(super) fn write(lines: &mut Lines, zone: &Zone, from: Timestamp) {
    let from = Moment::from_microsecond(from.0).unwrap_or_default();
    let until = from.checked_add(HORIZON).unwrap_or(Moment::MAX);
    let mut sorts: BTreeMap<Sort, Vec<civil::DateTime>> = BTreeMap::new();
    let before = zone.rules.preceding(from).next();
    let changes = zone.rules.following(from).take_while(|change| change.timestamp() <= until);
    for change in before.into_iter().chain(changes) {
        let at = change.timestamp();
        let last = at.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(at);
        let old = zone.rules.to_offset(last);
        let sort = (
            old.seconds(),
            change.offset().seconds(),
            change.abbreviation().to_owned(),
            change.dst().is_dst(),
        );
        // The standard wants what the clock showed until then.
        sorts.entry(sort).or_default().push(old.to_datetime(at));
    }
    lines.add("BEGIN:VTIMEZONE");
    lines.add(format!("TZID:{}", zone.name));
    if zone.rules.preceding(from).next().is_none() {
        let info = zone.rules.to_offset_info(from);
        let offset = info.offset().seconds();
        let sort = (offset, offset, info.abbreviation().to_owned(), info.dst().is_dst());
        sorts.entry(sort).or_default().insert(0, civil::datetime(1970, 1, 1, 0, 0, 0, 0));
    }
    for ((old, new, name, summer), at) in sorts {
        let kind = if summer { "DAYLIGHT" } else { "STANDARD" };
        lines.add(format!("BEGIN:{kind}"));
        if let [first, others @ ..] = at.as_slice() {
            lines.add(format!("DTSTART:{}", civil(*first)));
            if let Some(rule) = yearly(&at) {
                lines.add(format!("RRULE:{rule}"));
            } else if !others.is_empty() {
                let others: Vec<String> = others.iter().map(|at| civil(*at)).collect();
                lines.add(format!("RDATE:{}", others.join(",")));
            }
        }
        lines.add(format!("TZOFFSETFROM:{}", offset(old)));
        lines.add(format!("TZOFFSETTO:{}", offset(new)));
        lines.add(format!("TZNAME:{}", super::escaped(&name)));
        lines.add(format!("END:{kind}"));
    }
    lines.add("END:VTIMEZONE");
}

/// The rule of changes that come every year on, say, the last Sunday of March at the same time.
fn yearly(at: &[civil::DateTime]) -> Option<String> {
    const NAMES: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
    let first = at.first().filter(|_| at.len() >= YEARS)?;
    let same = |other: &civil::DateTime| {
        (other.month(), other.time(), other.weekday())
            == (first.month(), first.time(), first.weekday())
    };
    let follow = at.windows(2).all(|pair| pair[1].year() == pair[0].year() + 1);
    if !follow || !at.iter().all(same) {
        return None;
    }
    let nth = |at: &civil::DateTime| (at.day() - 1) / 7 + 1;
    let place = if at.iter().all(|at| at.day() + 7 > at.date().days_in_month()) {
        -1
    } else if at.iter().all(|at| nth(at) == nth(first)) {
        nth(first)
    } else {
        return None;
    };
    let day = usize::from(first.weekday().to_monday_zero_offset().cast_unsigned());
    Some(format!("FREQ=YEARLY;BYMONTH={};BYDAY={place}{}", first.month(), NAMES[day % 7]))
}

/// What the clock of a zone shows: `20270101T090000`.
pub(super) fn reading(zone: &Zone, at: Timestamp) -> String {
    civil(zone.rules.to_datetime(Moment::from_microsecond(at.0).unwrap_or_default()))
}

/// A date and a time of day as they are written.
pub(super) fn civil(at: civil::DateTime) -> String {
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// `+0530`, with seconds if there are any.
fn offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let all = seconds.unsigned_abs();
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    let seconds = if seconds == 0 { String::new() } else { format!("{seconds:02}") };
    format!("{sign}{hours:02}{minutes:02}{seconds}")
}
