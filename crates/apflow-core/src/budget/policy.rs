//! What happens when a budget comes to its limit, and before.

/// One in full, in the parts per million that shares are counted in.
pub(super) const WHOLE: u32 = 1_000_000;

/// What a policy does from its threshold on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Action {
    /// No further attempt begins.
    #[default]
    Block,
    /// Attempts get a cheaper model, the cheaper the nearer the limit is; at the limit none begins.
    Downgrade,
    /// Attempts begin, and somebody is told.
    Notify,
    /// Attempts begin.
    Continue,
    /// The task waits until somebody decides.
    Ask,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 5] =
        [Self::Block, Self::Downgrade, Self::Notify, Self::Continue, Self::Ask];

    /// The word in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Downgrade => "downgrade",
            Self::Notify => "notify",
            Self::Continue => "continue",
            Self::Ask => "ask",
        }
    }

    /// The action a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }

    /// Whether the limit holds: with the other actions it is a mark that may be passed.
    pub const fn is_hard(self) -> bool {
        matches!(self, Self::Block | Self::Downgrade | Self::Ask)
    }
}

/// What to do, and from which share of the limit on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What to do.
    pub action: Action,
    /// From which used share on, in parts per million: 800,000 is 80 %.
    pub threshold: u32,
    /// Models from the one a task begins with to the cheapest, for [`Action::Downgrade`].
    pub chain: Vec<String>,
}

impl Default for Policy {
    /// Blocks at the limit.
    fn default() -> Self {
        Self { action: Action::Block, threshold: WHOLE, chain: Vec::new() }
    }
}

impl Policy {
    /// A policy as a configuration says it, or what is wrong with it.
    pub fn read(action: &str, threshold: f64, chain: Vec<String>) -> Result<Self, String> {
        let Some(action) = Action::parse(action) else {
            let words: Vec<&str> = Action::ALL.into_iter().map(Action::as_str).collect();
            return Err(format!("`{action}` is no action; there are {}", words.join(", ")));
        };
        if !(threshold > 0.0 && threshold <= 1.0) {
            return Err(format!("the threshold {threshold} is not above 0 and at most 1"));
        }
        if action == Action::Downgrade && chain.len() < 2 {
            return Err("`downgrade` needs a `chain` of at least two models".to_owned());
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and a million"
        )]
        let threshold = ((threshold * f64::from(WHOLE)).round() as u32).max(1);
        Ok(Self { action, threshold, chain })
    }

    /// Whether the policy acts at this used share.
    pub const fn is_reached(&self, share: u32) -> bool {
        share >= self.threshold
    }

    /// Which model of the chain a used share calls for: 0 is the one to begin with.
    ///
    /// From the threshold to the limit the chain is gone through in equal steps, so that the place in
    /// it follows from what was used and need not be remembered.
    pub fn step(&self, share: u32) -> usize {
        if self.action != Action::Downgrade || !self.is_reached(share) || self.chain.len() < 2 {
            return 0;
        }
        let steps = self.chain.len() - 1;
        let room = WHOLE - self.threshold.min(WHOLE);
        if room == 0 {
            return 1;
        }
        let past = u64::from(share.min(WHOLE) - self.threshold);
        let step = 1 + usize::try_from(past * steps as u64 / u64::from(room)).unwrap_or(steps);
        step.min(steps)
    }
}

/// The used share of a limit, in parts per million; a limit of nothing is used up.
pub(super) fn share(used: i64, limit: i64) -> u32 {
    if limit <= 0 {
        return WHOLE;
    }
    let share = i128::from(used.max(0)) * i128::from(WHOLE) / i128::from(limit);
    u32::try_from(share).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(threshold: f64, models: &[&str]) -> Policy {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        Policy::read("downgrade", threshold, models).expect("a policy")
    }

    #[test]
    fn the_chain_is_gone_through_between_threshold_and_limit() {
        let policy = chain(0.8, &["a", "b", "c", "d"]);
        let step = |percent: u32| policy.step(percent * 10_000);
        assert_eq!([0, 50, 79].map(step), [0, 0, 0]);
        assert_eq!([80, 86, 87, 93, 94, 99, 100, 250].map(step), [1, 1, 2, 2, 3, 3, 3, 3]);
    }

    #[test]
    fn a_chain_of_two_changes_once() {
        let policy = chain(0.5, &["a", "b"]);
        assert_eq!([499_999, 500_000, 1_000_000].map(|share| policy.step(share)), [0, 1, 1]);
        assert_eq!(chain(1.0, &["a", "b"]).step(WHOLE), 1);
    }

    #[test]
    fn a_share_is_exact_where_floats_are_not() {
        assert_eq!(share(8, 10), 800_000);
        assert_eq!(share(i64::MAX - 1, i64::MAX), 999_999);
        assert_eq!((share(0, 0), share(5, 0), share(-3, 10)), (WHOLE, WHOLE, 0));
        assert_eq!(share(i64::MAX, 1), u32::MAX);
    }

    #[test]
    fn a_policy_that_makes_no_sense_is_refused() {
        assert!(Policy::read("stop", 0.5, Vec::new()).is_err_and(|why| why.contains("downgrade")));
        for threshold in [0.0, 1.01, f64::NAN] {
            assert!(Policy::read("block", threshold, Vec::new()).is_err(), "{threshold}");
        }
        assert!(Policy::read("downgrade", 0.5, vec!["a".into()]).is_err());
    }
}
