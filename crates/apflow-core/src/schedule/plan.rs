//! A schedule that can be followed: its first slot, the one after, and all of a stretch of time.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{wall::Wall, zone::Zone};
use crate::{
    task::{Misfire, Overlap},
    time::Timestamp,
};

/// The kinds of schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// At one moment.
    Once,
    /// Every so many seconds.
    Interval,
    /// At the times of a cron expression.
    Cron,
    /// Every day at one time.
    Daily,
    /// On days of the week at one time.
    Weekly,
    /// On days of the month at one time.
    Monthly,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Once, Self::Interval, Self::Cron, Self::Daily, Self::Weekly, Self::Monthly];

    /// The word of `schedule_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Interval => "interval",
            Self::Cron => "cron",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }

    /// The kind a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A schedule that was checked and can be followed.
///
/// [`Plan::read`] makes one of what is stored. It holds no moment of its own: ask it for the
/// [`first`](Self::first) slot once, store that, and go on with [`due`](Self::due).
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) kind: Kind,
    pub(super) rhythm: Rhythm,
    pub(super) zone: Zone,
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
    /// A slot that is known; an interval without a start is counted from there.
    pub(super) known: Option<Timestamp>,
    pub(super) runs_left: Option<u64>,
    pub(super) overlap: Overlap,
    pub(super) misfire: Misfire,
    pub(super) window: Option<Duration>,
    pub(super) catch_up: usize,
    pub(super) jitter: Duration,
}

/// What makes the slots.
#[derive(Debug, Clone)]
pub(super) enum Rhythm {
    Once(Timestamp),
    /// Microseconds from slot to slot.
    Interval(i64),
    Wall(Box<Wall>),
}

impl Plan {
    /// The first slot that is not before the start and is after `now`; none if there is none up to the end.
    ///
    /// An interval begins at its start, or one period from now if it has none.
    pub fn first(&self, now: Timestamp) -> Option<Timestamp> {
        let slot = match (&self.rhythm, self.start) {
            // Whole seconds, since nobody reads the rest and calendars cannot write it.
            (Rhythm::Interval(period), None) => {
                Timestamp(now.0.div_euclid(SECOND).checked_mul(SECOND)?.checked_add(*period)?)
            }
            _ => return self.after(now),
        };
        self.bounded(slot)
    }

    /// The slot after this one; later than it, not before the start, none beyond the end.
    pub fn after(&self, slot: Timestamp) -> Option<Timestamp> {
        let from = match self.start {
            Some(start) if slot < start => Timestamp(start.0.checked_sub(1)?),
            _ => slot,
        };
        let next = match &self.rhythm {
            Rhythm::Once(at) => *at,
            Rhythm::Interval(period) => match self.start {
                Some(start) => on_grid(start, *period, from)?,
                None => Timestamp(from.0.checked_add(*period)?),
            },
            Rhythm::Wall(wall) => {
                let from = jiff::Timestamp::from_microsecond(from.0).ok()?;
                Timestamp(wall.after(from)?.as_microsecond())
            }
        };
        // A slot that is not later than the one before would be followed for ever.
        self.bounded(next).filter(|next| *next > from && *next > slot)
    }

    /// The slots from `from` on and before `to`, at most `limit`.
    ///
    /// An interval without a start is counted from the slot that is stored, else from 1970, so that the
    /// same stretch always has the same slots.
    pub fn slots(&self, from: Timestamp, to: Timestamp, limit: usize) -> Vec<Timestamp> {
        let Some(before) = from.0.checked_sub(1).map(Timestamp) else { return Vec::new() };
        let first = match (&self.rhythm, self.start) {
            (Rhythm::Interval(period), None) => {
                let anchor = self.known.unwrap_or_default();
                on_grid(anchor, *period, before).and_then(|slot| self.bounded(slot))
            }
            _ => self.after(before),
        };
        std::iter::successors(first, |slot| self.after(*slot))
            .take_while(|slot| *slot < to)
            .take(limit)
            .collect()
    }

    fn bounded(&self, slot: Timestamp) -> Option<Timestamp> {
        Some(slot).filter(|slot| {
            self.start.is_none_or(|start| start <= *slot) && self.end.is_none_or(|end| *slot <= end)
        })
    }

    /// When the run of a slot may begin: the slot, put off by this task's share of the jitter.
    ///
    /// The share is made from the task's id and the slot, so that it is the same wherever it is computed.
    pub fn fires_at(&self, task: &str, slot: Timestamp) -> Timestamp {
        let most = u64::try_from(self.jitter.as_micros()).unwrap_or(u64::MAX);
        if most == 0 {
            return slot;
        }
        let mut hash = Sha256::new();
        hash.update(task.as_bytes());
        hash.update(slot.0.to_be_bytes());
        let digest = hash.finalize();
        let share = digest.iter().take(8).fold(0_u64, |share, byte| share << 8 | u64::from(*byte));
        slot.after(Duration::from_micros(share % most.saturating_add(1)))
    }

    /// What kind of schedule it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The zone whose clock it follows, as the list of the IANA writes it.
    pub fn zone(&self) -> &'static str {
        self.zone.name
    }

    /// What happens while the run before has not ended.
    pub fn overlap(&self) -> Overlap {
        self.overlap
    }

    /// How many runs are left; none if there is no limit.
    pub fn runs_left(&self) -> Option<u64> {
        self.runs_left
    }

    /// The moment after which there are no slots.
    pub fn end(&self) -> Option<Timestamp> {
        self.end
    }
}

/// Microseconds in a second.
pub(super) const SECOND: i64 = 1_000_000;

/// The first of `anchor + k * period` after `moment`, with k of either sign.
fn on_grid(anchor: Timestamp, period: i64, moment: Timestamp) -> Option<Timestamp> {
    let steps = moment.0.checked_sub(anchor.0)?.div_euclid(period).checked_add(1)?;
    Some(Timestamp(anchor.0.checked_add(steps.checked_mul(period)?)?))
}
