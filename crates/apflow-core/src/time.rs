//! Moments as microseconds since 1970, and who may say what time it is.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A moment: microseconds since 1970-01-01T00:00:00Z.
///
/// On the wire it is ISO 8601 with microseconds and an offset: `2026-11-20T15:26:11.384408+00:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment and then `by`; it stops at the end of time instead of overflowing.
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long it is from `earlier` to this moment; nothing if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(at) = jiff::Timestamp::from_microsecond(self.0) else {
            return write!(f, "{}us", self.0);
        };
        let utc = at.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}+00:00",
            utc.year(),
            utc.month(),
            utc.day(),
            utc.hour(),
            utc.minute(),
            utc.second(),
            utc.subsec_nanosecond() / 1000
        )
    }
}

impl FromStr for Timestamp {
    type Err = String;

    /// Reads ISO 8601; a text without an offset is taken as UTC, as the Python clients wrote it.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(at.as_microsecond()));
        }
        let civil = text
            .parse::<jiff::civil::DateTime>()
            .map_err(|_| format!("`{text}` is not a date and time like 2026-11-20T15:26:11Z"))?;
        let zoned = civil
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_err(|_| format!("`{text}` is outside the years that can be stored"))?;
        Ok(Self(zoned.timestamp().as_microsecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Who says what time it is.
///
/// Expiry of leases is decided by the database's clock alone; storage asks this one only where the
/// database has none of its own, or where a test moves time by hand.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_microseconds_and_an_offset() {
        let text = "2026-11-20T15:26:11.384408+00:00";
        let at: Timestamp = text.parse().expect("an ISO moment");
        assert_eq!(at.to_string(), text);
        assert_eq!("2026-11-20T15:26:11.384408".parse(), Ok(at));
        assert_eq!("2026-11-20T16:26:11.384408+01:00".parse(), Ok(at));
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
