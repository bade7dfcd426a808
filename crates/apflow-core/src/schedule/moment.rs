//! Reading a moment of a schedule: strict where stored data is not.

use crate::time::Timestamp;

/// Reads a moment in ISO 8601 with an offset; without one the reason says why it is refused.
///
/// Stored moments and those of old clients are read by [`Timestamp`]'s own `FromStr`, which takes a text
/// without an offset as UTC. A schedule is written for people's clocks, where that guess is wrong for most.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    if text.len() > 64 {
        return Err("the text is too long for a moment".to_owned());
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(at.as_microsecond()));
    }
    if text.parse::<jiff::civil::DateTime>().is_ok() {
        return Err(format!(
            "`{text}` has no offset, so that it is another moment in each zone; add Z or an offset"
        ));
    }
    Err(format!("`{}` is no date and time", crate::problem::shortened(text)))
}

/// What a moment looks like.
pub const MOMENT: &str = "a moment in ISO 8601 with an offset, like 2027-01-01T09:00:00+01:00";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_needs_an_offset_and_the_refusal_says_so() {
        let at = moment("2027-01-01T09:00:00+01:00").expect("a moment");
        assert_eq!(at.to_string(), "2027-01-01T08:00:00.000000+00:00");
        assert_eq!(moment("2027-01-01T08:00:00Z"), Ok(at));
        for naive in ["2027-01-01T08:00:00", "2027-01-01 08:00", "2027-01-01"] {
            let why = moment(naive).expect_err(naive);
            assert!(why.contains("no offset"), "{why}");
        }
        for garbage in ["", "tomorrow", "09:00", &"1".repeat(1000)] {
            let why = moment(garbage).expect_err(garbage);
            assert!(!why.contains("offset") && why.len() < 300, "{why}");
        }
    }
}
