//! The clock on the wall of one zone: which moment comes next, also where that clock is moved.
//!
//! croner finds the moments. Two things are added: a list of times is taken as so many single times, each
//! of which keeps its run when the clock is moved; and a single time that falls into a gap fires at the end
//! of the gap even if that is already another day.

use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};
use jiff::{SignedDuration, Timestamp, Zoned, civil, tz::TimeZone};

use super::{
    cron::{Fields, Wrong},
    zone::Zone,
};

/// A time of day left out for at least so long belongs to a day that the zone never had.
const WHOLE_DAY: SignedDuration = SignedDuration::from_hours(24);

/// croner gives up on gaps that are longer than this.
const LONG_GAP: SignedDuration = SignedDuration::from_hours(2);

/// The moments at which the clock on a wall shows what the fields admit.
#[derive(Debug, Clone)]
pub(super) struct Wall {
    pub(super) fields: Fields,
    pub(super) zone: Zone,
    hands: Vec<Hand>,
}

/// One pattern, and the time of day if it names exactly one.
#[derive(Debug, Clone)]
struct Hand {
    cron: Cron,
    time: Option<civil::Time>,
}

impl Wall {
    /// Refuses fields that name no day in eight years.
    pub(super) fn new(fields: Fields, zone: Zone) -> Result<Self, Wrong> {
        let parser =
            CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).build();
        let parse = |time: Option<(u8, u8, u8)>| {
            let text = fields.text(time);
            let cron = parser
                .parse(&text)
                .map_err(|error| Wrong::new(format!("`{text}` cannot be followed: {error}")))?;
            Ok(Hand { cron, time: time.map(civil_time) })
        };
        let times = match fields.named_times() {
            Some(times) => times.into_iter().map(Some).collect(),
            None => vec![None],
        };
        let hands = times.into_iter().map(parse).collect::<Result<Vec<Hand>, Wrong>>()?;
        let wall = Self { fields, zone, hands };
        if !wall.ever() {
            return Err(Wrong::new("names no day in the eight years 2024 to 2031"));
        }
        Ok(wall)
    }

    /// Whether any day of eight years fits; two of them have a 29th of February.
    fn ever(&self) -> bool {
        let Some(time) = self.fields.times().next().map(civil_time) else { return false };
        let days = civil::date(2024, 1, 1).series(jiff::ToSpan::days(1));
        self.hands.iter().take(1).any(|hand| {
            days.clone()
                .take_while(|day| day.year() < 2032)
                .any(|day| hand.cron.is_time_matching(&day.to_datetime(time)).unwrap_or(false))
        })
    }

    /// The first moment after this one.
    pub(super) fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        self.hands
            .iter()
            .filter_map(|hand| hand.after(moment, &self.zone.rules))
            .min()
            .filter(|next| *next > moment)
    }
}

impl Wall {
    /// Whether the clock shows at this moment what the fields admit.
    pub(super) fn shows(&self, moment: Timestamp) -> bool {
        let reading = self.zone.rules.to_datetime(moment);
        self.hands.iter().any(|hand| hand.cron.is_time_matching(&reading).unwrap_or(false))
    }

    /// Whether a change of the clock in this stretch of time moves a slot, or adds or takes one.
    pub(super) fn is_moved(&self, from: Timestamp, until: Timestamp) -> bool {
        let zone = &self.zone.rules;
        self.hands.iter().any(|hand| match hand.time {
            // What comes twice fires the first time, by our rules and by those of calendars.
            Some(time) => gaps(zone, from)
                .take_while(|gap| gap.end <= until)
                .any(|gap| gap.length() >= WHOLE_DAY || hand.falls_into(&gap, time)),
            None => zone.following(from).next().is_some_and(|change| change.timestamp() <= until),
        })
    }
}

fn civil_time((hour, minute, second): (u8, u8, u8)) -> civil::Time {
    civil::time(hour.cast_signed(), minute.cast_signed(), second.cast_signed(), 0)
}

impl Hand {
    fn after(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let next = self.shown(moment, zone);
        let Some(time) = self.time else { return next };
        self.left_out(time, moment, next?, zone).or(next)
    }

    /// What croner finds, beyond days that the zone left out as well.
    fn shown(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let find = |from: Timestamp, inclusive| {
            self.cron.find_next_occurrence(&from.to_zoned(zone.clone()), inclusive)
        };
        let mut from = moment;
        let mut found = find(from, false);
        // Such gaps come a few times in a century, and each round passes one.
        for _ in 0..16 {
            match found {
                Ok(next) if self.is_of_a_day_left_out(&next) => {
                    from = next.timestamp();
                    found = find(from, false);
                }
                Ok(next) => return Some(next.timestamp()),
                Err(CronError::TimeSearchLimitExceeded) => {
                    from = gaps(zone, from).find(|gap| gap.length() > LONG_GAP)?.end;
                    found = find(from, true);
                }
                Err(_) => return None,
            }
        }
        None
    }

    /// croner carries the last times of a day that is left out into the next one.
    fn is_of_a_day_left_out(&self, next: &Zoned) -> bool {
        if self.cron.is_time_matching(next).unwrap_or(true) {
            return false;
        }
        let before = next.timestamp().saturating_sub(SignedDuration::from_nanos(1));
        let gap = before.ok().and_then(|before| gaps(next.time_zone(), before).next());
        gap.is_some_and(|gap| gap.length() >= WHOLE_DAY)
    }

    /// The end of the first gap before `next` into which the time falls on a day that fits.
    fn left_out(
        &self,
        time: civil::Time,
        moment: Timestamp,
        next: Timestamp,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        gaps(zone, moment)
            .take_while(|gap| gap.end < next)
            .find(|gap| gap.length() < WHOLE_DAY && self.falls_into(gap, time))
            .map(|gap| gap.end)
    }

    /// Whether the time is left out on a day that fits.
    fn falls_into(&self, gap: &Gap, time: civil::Time) -> bool {
        [gap.from.date(), gap.to.date()].into_iter().any(|day| {
            let at = day.to_datetime(time);
            gap.from <= at && at < gap.to && self.cron.is_time_matching(&at).unwrap_or(false)
        })
    }
}

/// A stretch of time that the clock on the wall does not show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap {
    /// The moment at which the clock goes on.
    pub(super) end: Timestamp,
    /// The first reading that is left out.
    pub(super) from: civil::DateTime,
    /// The reading at which the clock goes on.
    pub(super) to: civil::DateTime,
}

impl Gap {
    fn length(&self) -> SignedDuration {
        self.to.duration_since(self.from)
    }
}

/// The gaps that end after a moment, in order.
pub(super) fn gaps(zone: &TimeZone, after: Timestamp) -> impl Iterator<Item = Gap> {
    zone.following(after).filter_map(|change| {
        let end = change.timestamp();
        let before = zone.to_offset(end.checked_sub(SignedDuration::from_nanos(1)).ok()?);
        let (from, to) = (before.to_datetime(end), change.offset().to_datetime(end));
        (from < to).then_some(Gap { end, from, to })
    })
}
