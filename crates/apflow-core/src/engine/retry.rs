//! How long until a failed attempt is followed by another.

use std::time::Duration;

use crate::task::Durability;

/// The delay after attempt `attempt`, or none if there is to be no other one.
///
/// `asked` is what the other side asked for; the delay is never shorter than that, unless it is
/// longer than `most`.
pub(super) fn delay(
    durability: &Durability,
    attempt: u32,
    asked: Option<Duration>,
    most: Duration,
) -> Option<Duration> {
    if durability.max_attempts.unwrap_or(1) <= attempt.max(1) {
        return None;
    }
    let base = durability.backoff_base_seconds.filter(|base| base.is_finite() && *base >= 0.0);
    let base = base.unwrap_or(1.0);
    let failed = f64::from(attempt.saturating_sub(1));
    let seconds = match durability.backoff_strategy.as_deref() {
        Some("fixed") => base,
        Some("linear") => base * (failed + 1.0),
        _ => base * failed.exp2(),
    };
    let cap = most.as_secs_f64();
    // Capped as a number: 2 to the power of a large attempt is no Duration any more.
    let own = Duration::from_secs_f64(seconds.min(cap));
    Some(own.max(asked.unwrap_or_default()).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_mins(5);

    fn seconds(strategy: Option<&str>, attempts: std::ops::RangeInclusive<u32>) -> Vec<u64> {
        let durability = Durability {
            max_attempts: Some(u32::MAX),
            backoff_strategy: strategy.map(str::to_owned),
            ..Durability::default()
        };
        attempts
            .map(|attempt| delay(&durability, attempt, None, MOST).expect("more to come").as_secs())
            .collect()
    }

    #[test]
    fn the_three_strategies_grow_as_they_say_and_stop_at_the_cap() {
        assert_eq!(seconds(None, 1..=6), [1, 2, 4, 8, 16, 32]);
        assert_eq!(seconds(Some("exponential"), 1_000_000..=1_000_000), [300]);
        assert_eq!(seconds(Some("linear"), 1..=4), [1, 2, 3, 4]);
        assert_eq!(seconds(Some("fixed"), 1..=3), [1, 1, 1]);
    }

    #[test]
    fn a_task_that_says_nothing_is_tried_once() {
        assert_eq!(delay(&Durability::default(), 1, None, MOST), None);
        let three = Durability { max_attempts: Some(3), ..Durability::default() };
        assert!(delay(&three, 2, None, MOST).is_some());
        assert_eq!(delay(&three, 3, None, MOST), None, "the third was the last");
    }

    #[test]
    fn what_the_other_side_asks_for_counts_up_to_the_cap() {
        let three = Durability { max_attempts: Some(3), ..Durability::default() };
        let asked = |seconds| delay(&three, 1, Some(Duration::from_secs(seconds)), MOST);
        assert_eq!(asked(20), Some(Duration::from_secs(20)));
        assert_eq!(asked(9_000), Some(MOST));
    }
}
