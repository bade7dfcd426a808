//! Moments as people want them: how long ago, in UTC, on the wall clock, or as a number.

use apflow::core::time::Timestamp;

use crate::args::TimeFormat;

/// The moment of a field, in words; what is no moment stays as it is.
pub(crate) fn moment(text: &str, format: TimeFormat, now: Timestamp) -> String {
    let Ok(at) = text.parse::<Timestamp>() else { return text.to_owned() };
    match format {
        TimeFormat::Relative => relative(at, now),
        // Without microseconds, which nobody reads.
        TimeFormat::Iso => format!("{}Z", text_of(at).get(..19).unwrap_or(text)),
        TimeFormat::Unix => at.0.div_euclid(1_000_000).to_string(),
        TimeFormat::Local => local(at).unwrap_or_else(|| text.to_owned()),
    }
}

fn text_of(at: Timestamp) -> String {
    at.to_string()
}

fn local(at: Timestamp) -> Option<String> {
    let at = jiff::Timestamp::from_microsecond(at.0).ok()?;
    let there =
        at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z").to_string();
    Some(there)
}

/// `3 min ago`, `in 2 h`; the nearest unit is enough.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> String {
    let micros = now.0.saturating_sub(at.0);
    let seconds = micros.unsigned_abs() / 1_000_000;
    let amount = match seconds {
        0 => return "now".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        86_400..172_800 => "1 day".to_owned(),
        _ => format!("{} days", seconds / 86_400),
    };
    if micros > 0 { format!("{amount} ago") } else { format!("in {amount}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "2026-11-20T15:26:11.384408+00:00";

    #[test]
    fn a_moment_is_told_as_it_was_asked_for() {
        let now = TEXT.parse::<Timestamp>().expect("a moment");
        assert_eq!(moment(TEXT, TimeFormat::Iso, now), "2026-11-20T15:26:11Z");
        assert_eq!(moment(TEXT, TimeFormat::Unix, now), "1795188371");
        assert_eq!(moment(TEXT, TimeFormat::Relative, now), "now");
        let local = moment(TEXT, TimeFormat::Local, now);
        assert!(local.starts_with("2026-11-2") && local.len() == 25, "{local}");
        assert_eq!(moment("soon", TimeFormat::Unix, now), "soon");
    }

    #[test]
    fn how_long_ago_is_one_number_and_one_unit() {
        let now = Timestamp(1_000_000_000_000_000);
        let ago = |seconds: i64| relative(Timestamp(now.0 - seconds * 1_000_000), now);
        let told = [0, 59, 60, 3599, 7200, 86_400, 864_000].map(ago);
        assert_eq!(
            told,
            ["now", "59 s ago", "1 min ago", "59 min ago", "2 h ago", "1 day ago", "10 days ago"]
        );
        assert_eq!(ago(-90), "in 1 min");
    }
}
