//! Whether a failed attempt is followed by another one, and how long after.
//!
//! Everything here is a plain function of what the author said: the random number that spreads the
//! delays comes from the caller, who makes it with [`lot`] from the attempt itself, so that the same
//! attempt is always given the same delay.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Durability, Failure, FailureKind};
use crate::id::TaskId;

/// How much of a delay bounded jitter may add or take away.
const BOUNDED: f64 = 0.25;

/// The delay of a strategy whose author names none.
const BASE: Duration = Duration::from_secs(1);

/// By how much an exponential delay grows where its author does not say.
const FACTOR: f64 = 2.0;

/// How the delay grows from one attempt to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backoff {
    /// Not at all.
    Fixed,
    /// By the base each time.
    Linear,
    /// By a factor each time.
    #[default]
    Exponential,
}

impl Backoff {
    /// The words, as authors write them.
    pub const WORDS: [&str; 3] = ["fixed", "linear", "exponential"];

    /// What a word stands for; any other word is exponential, as the Python API has it.
    pub fn of(word: Option<&str>) -> Self {
        match word {
            Some("fixed") => Self::Fixed,
            Some("linear") => Self::Linear,
            _ => Self::Exponential,
        }
    }
}

/// How delays are spread, so that what failed together does not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Not at all.
    #[default]
    None,
    /// Anything from nothing to the whole delay.
    Full,
    /// A quarter of the delay more or less, within the cap.
    Bounded,
}

impl Jitter {
    /// The words, as authors write them.
    pub const WORDS: [&str; 3] = ["none", "full", "bounded"];

    /// What a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "none" => Some(Self::None),
            "full" => Some(Self::Full),
            "bounded" => Some(Self::Bounded),
            _ => None,
        }
    }

    /// The word as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Full => "full",
            Self::Bounded => "bounded",
        }
    }
}

/// How a task is tried again: what its author said, with a value for everything he left out.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in total.
    pub max_attempts: u32,
    /// How the delay grows.
    pub backoff: Backoff,
    /// The delay it grows from.
    pub base: Duration,
    /// No delay is longer, jitter and what the other side asks for included.
    pub most: Duration,
    /// By how much an exponential delay grows.
    pub factor: f64,
    /// How delays are spread.
    pub jitter: Jitter,
    /// Kinds of failure and words of messages after which there is no other attempt.
    pub never: Vec<String>,
}

impl RetryPolicy {
    /// What an author said; `most` caps the delays where he does not.
    pub fn of(durability: &Durability, most: Duration) -> Self {
        let seconds =
            |value: Option<f64>| value.and_then(|value| Duration::try_from_secs_f64(value).ok());
        let sound = |factor: &f64| factor.is_finite() && *factor >= 1.0;
        Self {
            max_attempts: durability.max_attempts.unwrap_or(1),
            backoff: Backoff::of(durability.backoff_strategy.as_deref()),
            base: seconds(durability.backoff_base_seconds).unwrap_or(BASE),
            most: seconds(durability.backoff_max_seconds).unwrap_or(most),
            factor: durability.backoff_factor.filter(sound).unwrap_or(FACTOR),
            jitter: durability.jitter,
            never: durability.no_retry_on.clone(),
        }
    }

    /// How long after this failure of attempt `attempt`, counted from 1, another one may begin; none
    /// if there is to be none.
    pub fn after(
        &self,
        failure: &Failure,
        attempt: u32,
        asked: Option<Duration>,
        lot: impl FnOnce() -> u64,
    ) -> Option<Duration> {
        let another = attempt.max(1) < self.max_attempts && !self.never_after(failure);
        another.then(|| self.delay(attempt, asked, lot()))
    }

    /// One of the words in `never` is the kind of the failure, or stands in its message.
    pub fn never_after(&self, failure: &Failure) -> bool {
        self.never.iter().any(|word| {
            FailureKind::parse(word) == Some(failure.kind) || has_word(&failure.message, word)
        })
    }

    /// How long after attempt `attempt`, counted from 1, the next one may begin.
    ///
    /// It is not shorter than what the other side `asked` for, and never longer than the cap.
    pub fn delay(&self, attempt: u32, asked: Option<Duration>, lot: u64) -> Duration {
        let base = self.base.as_secs_f64();
        let failed = f64::from(attempt.saturating_sub(1));
        let grown = match self.backoff {
            Backoff::Fixed => base,
            Backoff::Linear => base * (failed + 1.0),
            Backoff::Exponential => base * self.factor.powf(failed),
        };
        // Capped as a number: a factor to the power of a large attempt is no Duration any more.
        let most = self.most.as_secs_f64();
        let grown = grown.min(most);
        let share = share(lot);
        let spread = match self.jitter {
            Jitter::None => grown,
            Jitter::Full => grown * share,
            Jitter::Bounded => grown * (1.0 - BOUNDED + 2.0 * BOUNDED * share),
        };
        let own = Duration::try_from_secs_f64(spread.min(most)).unwrap_or(self.most);
        own.max(asked.unwrap_or_default()).min(self.most)
    }
}

/// A number from 0 up to, but not including, 1.
fn share(lot: u64) -> f64 {
    // The upper 53 bits are as many as a float holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let upper = (lot >> 11) as f64;
    upper / 9_007_199_254_740_992.0
}

/// The number that spreads the delay after one attempt: by chance as far as anyone can tell, and the
/// same wherever it is made.
pub fn lot(task: &TaskId, run: u32, attempt: u32) -> u64 {
    let mut hash = Sha256::new();
    hash.update(task.as_str().as_bytes());
    hash.update([0]);
    hash.update(run.to_be_bytes());
    hash.update(attempt.to_be_bytes());
    hash.finalize().iter().take(8).fold(0_u64, |lot, byte| lot << 8 | u64::from(*byte))
}

/// `word` stands in `text`, and neither begins nor ends within another word.
fn has_word(text: &str, word: &str) -> bool {
    let is_inner = |c: char| c.is_alphanumeric() || c == '_';
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            !text[..at].ends_with(is_inner) && !text[at + word.len()..].starts_with(is_inner)
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: Duration = Duration::from_mins(5);

    fn policy(durability: Durability) -> RetryPolicy {
        RetryPolicy::of(&Durability { max_attempts: Some(3), ..durability }, MOST)
    }

    fn seconds(strategy: Option<&str>, attempts: std::ops::RangeInclusive<u32>) -> Vec<u64> {
        let durability =
            Durability { backoff_strategy: strategy.map(str::to_owned), ..Durability::default() };
        attempts
            .map(|attempt| policy(durability.clone()).delay(attempt, None, 0).as_secs())
            .collect()
    }

    fn said(message: &str) -> Failure {
        Failure::new(FailureKind::Executor, message)
    }

    #[test]
    fn the_three_strategies_grow_as_they_say_and_stop_at_the_cap() {
        assert_eq!(seconds(None, 1..=6), [1, 2, 4, 8, 16, 32]);
        assert_eq!(seconds(Some("exponential"), 1_000_000..=1_000_000), [300]);
        assert_eq!(seconds(Some("linear"), 1..=4), [1, 2, 3, 4]);
        assert_eq!(seconds(Some("fixed"), 1..=3), [1, 1, 1]);
        let own = policy(Durability {
            backoff_factor: Some(3.0),
            backoff_max_seconds: Some(5.0),
            ..Durability::default()
        });
        let delays: Vec<u64> = (1..=4).map(|n| own.delay(n, None, 0).as_secs()).collect();
        assert_eq!(delays, [1, 3, 5, 5]);
    }

    #[test]
    fn a_task_that_says_nothing_is_tried_once() {
        let once = RetryPolicy::of(&Durability::default(), MOST);
        assert_eq!(once.after(&said("no"), 1, None, || 0), None);
        let three = policy(Durability::default());
        assert!(three.after(&said("no"), 2, None, || 0).is_some());
        assert_eq!(three.after(&said("no"), 3, None, || 0), None, "the third was the last");
    }

    #[test]
    fn what_the_other_side_asks_for_counts_up_to_the_cap() {
        let asked = |seconds| {
            policy(Durability { jitter: Jitter::Full, ..Durability::default() }).delay(
                1,
                Some(Duration::from_secs(seconds)),
                7,
            )
        };
        assert_eq!(asked(20), Duration::from_secs(20));
        assert_eq!(asked(9_000), MOST);
    }

    #[test]
    fn a_kind_or_a_whole_word_of_the_message_ends_it_and_a_part_of_a_word_does_not() {
        let words = ["timeout", "ValueError", "404"].map(str::to_owned).to_vec();
        let policy = policy(Durability { no_retry_on: words, ..Durability::default() });
        let again = |failure: &Failure| policy.after(failure, 1, None, || 0).is_some();
        assert!(!again(&said("ValueError: no such thing")));
        assert!(!again(&said("builtins.ValueError")));
        assert!(!again(&said("the server answered 404")));
        assert!(again(&said("MyValueErrors are fine, and so is 4040")));
        assert!(!again(&Failure::new(FailureKind::Timeout, "too long")));
        assert!(again(&Failure::new(FailureKind::Panic, "boom")));
    }

    #[test]
    fn the_same_attempt_draws_the_same_lot_and_another_one_another() {
        let task = TaskId::new("t");
        assert_eq!(lot(&task, 1, 1), lot(&task, 1, 1));
        let all =
            [lot(&task, 1, 1), lot(&task, 1, 2), lot(&task, 2, 1), lot(&TaskId::new("u"), 1, 1)];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one));
        }
    }

    proptest! {
        #[test]
        fn no_delay_passes_the_cap_and_none_is_shorter_than_its_jitter_allows(
            strategy in prop::sample::select(vec!["fixed", "linear", "exponential"]),
            jitter in prop::sample::select(vec![Jitter::None, Jitter::Full, Jitter::Bounded]),
            base in 0.1_f64..3600.0,
            most in 0.1_f64..86_400.0,
            factor in 1.0_f64..10.0,
            attempt in 0_u32..200,
            asked in prop::option::of(0_u64..1_000_000),
            lot in any::<u64>(),
        ) {
            let durability = Durability {
                backoff_strategy: Some(strategy.to_owned()),
                backoff_base_seconds: Some(base),
                backoff_max_seconds: Some(most),
                backoff_factor: Some(factor),
                ..Durability::default()
            };
            let plain = policy(durability.clone());
            let policy = policy(Durability { jitter, ..durability });
            let asked = asked.map(Duration::from_millis);
            let delay = policy.delay(attempt, asked, lot);
            prop_assert!(delay <= policy.most);
            if let Some(asked) = asked {
                prop_assert!(delay >= asked.min(policy.most));
            }
            let without = plain.delay(attempt, None, lot);
            let own = policy.delay(attempt, None, lot);
            match jitter {
                Jitter::None => prop_assert_eq!(own, without),
                Jitter::Full => prop_assert!(own <= without),
                Jitter::Bounded => {
                    prop_assert!(own >= without.mul_f64(0.749) && own <= without.mul_f64(1.251));
                }
            }
            prop_assert!(plain.delay(attempt + 1, None, lot) >= without, "it never shrinks");
        }
    }
}
