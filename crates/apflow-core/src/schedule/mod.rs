//! When a task runs by itself: from what its author said to the moments at which it does.
//!
//! Pure: the present moment is an argument, the zones come with the program, and the same words give the
//! same moments on every machine. A *slot* is a moment at which a task is meant to run. The next slot is
//! computed from the slot before, never from the present, so that slots do not drift with the runs.
//!
//! Zones and their changes of the clock: a time of day that is left out fires once, at the end of the gap;
//! a time that comes twice fires once, the first time; a pattern with wildcards fires at every moment that
//! fits, also in the hour that comes twice. [`Plan`] is the way in.

mod cron;
mod due;
mod expression;
pub mod ical;
mod moment;
mod plan;
mod read;
mod wall;
mod zone;

pub use due::Due;
pub use moment::{MOMENT, moment};
pub use plan::{Kind, Plan};
pub(crate) use zone::Zone;
pub use zone::{tzdata_version, zones};

/// The longest expression, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 256;

/// The longest interval: ten years of 365 days, in seconds.
pub const MAX_INTERVAL_SECONDS: i64 = 315_360_000;

/// The longest time a run may be put off by jitter: a day, in seconds.
pub const MAX_JITTER_SECONDS: f64 = 86_400.0;

/// The longest time after which a missed slot may still fire: a year, in seconds.
pub const MAX_MISFIRE_WINDOW_SECONDS: f64 = 31_536_000.0;

/// The most slots that are made up for at once.
pub const MAX_CATCH_UP: u32 = 1000;
