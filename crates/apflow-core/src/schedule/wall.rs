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
use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};

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
        let mut from = moment;
        let mut found = self.cron.find_next_occurrence(&from.to_zoned(zone.clone()), false);
        // Such gaps come a few times in a century, and each round passes one.
        for _ in 0..16 {
            match found {
                Ok(next) => return Some(next.timestamp()),
                Err(CronError::TimeSearchLimitExceeded) => {}
                Err(_) => return None,
            }
            from = gaps(zone, from).find(|gap| gap.length() > LONG_GAP)?.end;
            found = self.cron.find_next_occurrence(&from.to_zoned(zone.clone()), true);
        }
        None
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
            .find(|gap| {
                gap.length() < WHOLE_DAY
                    && [gap.from.date(), gap.to.date()].into_iter().any(|day| {
                        let at = day.to_datetime(time);
                        gap.from <= at
                            && at < gap.to
                            && self.cron.is_time_matching(&at).unwrap_or(false)
                    })
            })
            .map(|gap| gap.end)
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
