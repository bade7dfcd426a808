//! Which budgets there are: whose, of what, and for how long.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Money;
use crate::time::Timestamp;

/// Whose spending a budget bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One task.
    Task,
    /// All tasks of a tree.
    Tree,
    /// All tasks of an owner.
    User,
    /// Everything.
    Global,
}

impl Scope {
    /// Every scope, the narrowest first.
    pub const ALL: [Self; 4] = [Self::Task, Self::Tree, Self::User, Self::Global];

    /// The word as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Tree => "tree",
            Self::User => "user",
            Self::Global => "global",
        }
    }

    /// The scope a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Tokens of language models, input and output together.
    Tokens,
    /// Millionths of a US dollar.
    Usd,
}

impl Unit {
    /// Every unit.
    pub const ALL: [Self; 2] = [Self::Tokens, Self::Usd];

    /// The word as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Usd => "usd",
        }
    }

    /// The unit a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.as_str() == word)
    }

    /// A number of this unit for people.
    pub fn say(self, amount: i64) -> String {
        match self {
            Self::Tokens => format!("{amount} tokens"),
            Self::Usd => Money(amount).to_string(),
        }
    }

    /// A number of this unit for programs: tokens, or dollars.
    pub fn json(self, amount: i64) -> Value {
        match self {
            Self::Tokens => json!(amount),
            Self::Usd => json!(Money(amount).usd()),
        }
    }
}

/// How long a budget is good for before it begins anew; days and months are those of UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// It never begins anew.
    #[default]
    Total,
    /// Every day.
    Day,
    /// Every month.
    Month,
}

impl Period {
    /// Every period.
    pub const ALL: [Self; 3] = [Self::Total, Self::Day, Self::Month];

    /// The word as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The period a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == word)
    }

    /// When the period that `now` lies in began; the beginning of time for [`Period::Total`].
    pub fn began(self, now: Timestamp) -> Timestamp {
        self.bounds(now).map_or(Timestamp(0), |(began, _)| began)
    }

    /// When the period that `now` lies in ends, if it does.
    pub fn ends(self, now: Timestamp) -> Option<Timestamp> {
        self.bounds(now).map(|(_, ends)| ends)
    }

    fn bounds(self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let at = jiff::Timestamp::from_microsecond(now.0).ok()?;
        let today = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let (first, next) = match self {
            Self::Total => return None,
            Self::Day => (today, today.tomorrow().ok()?),
            Self::Month => {
                let first = today.first_of_month();
                (first, today.last_of_month().tomorrow().ok()?)
            }
        };
        let moment = |date: jiff::civil::Date| {
            let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            Some(Timestamp(zoned.timestamp().as_microsecond()))
        };
        Some((moment(first)?, moment(next)?))
    }
}

/// What tells one budget from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetKey {
    /// Whose spending.
    pub scope: Scope,
    /// The task, the tree or the owner; empty for [`Scope::Global`].
    pub scope_id: String,
    /// Of what.
    pub unit: Unit,
    /// For how long.
    pub period: Period,
}

impl BudgetKey {
    /// What holds a task that waits for this budget; the same for all budgets of one scope.
    pub fn holder(&self) -> String {
        holder(self.scope, &self.scope_id)
    }
}

/// The name under which tasks wait for what is reserved of a scope.
pub(crate) fn holder(scope: Scope, scope_id: &str) -> String {
    match scope {
        Scope::Global => scope.as_str().to_owned(),
        _ => format!("{}:{scope_id}", scope.as_str()),
    }
}

impl fmt::Display for BudgetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.period {
            Period::Total => "",
            Period::Day => "daily ",
            Period::Month => "monthly ",
        };
        let unit = self.unit.as_str();
        match self.scope {
            Scope::Global => write!(f, "the {per}{unit} budget of everything"),
            scope => write!(f, "the {per}{unit} budget of {} {}", scope.as_str(), self.scope_id),
        }
    }
}

/// A budget as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Whose, of what, for how long.
    pub key: BudgetKey,
    /// The most that may be spent: tokens, or millionths of a dollar.
    pub limit: i64,
    /// The policy that says what happens near the limit; none: the task's own, or the default.
    pub policy: Option<String>,
    /// What was spent in this period.
    pub used: i64,
    /// What attempts that run have put aside.
    pub reserved: i64,
    /// When this period began.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_begins_and_ends_at_midnight_utc() {
        let at: Timestamp = "2026-12-31T23:59:59.999999Z".parse().expect("a moment");
        let is = |text: &str| text.parse::<Timestamp>().expect("a moment");
        assert_eq!(Period::Day.began(at), is("2026-12-31T00:00:00Z"));
        assert_eq!(Period::Month.began(at), is("2026-12-01T00:00:00Z"));
        assert_eq!(Period::Day.ends(at), Some(is("2027-01-01T00:00:00Z")));
        assert_eq!(Period::Month.ends(at), Some(is("2027-01-01T00:00:00Z")));
        assert_eq!(Period::Month.began(is("2027-01-01T00:00:00Z")), is("2027-01-01T00:00:00Z"));
        assert_eq!((Period::Total.ends(at), Period::Total.began(at)), (None, Timestamp(0)));
    }

    #[test]
    fn every_word_stands_for_itself() {
        assert!(Scope::ALL.iter().all(|scope| Scope::parse(scope.as_str()) == Some(*scope)));
        assert!(Unit::ALL.iter().all(|unit| Unit::parse(unit.as_str()) == Some(*unit)));
        assert!(Period::ALL.iter().all(|period| Period::parse(period.as_str()) == Some(*period)));
        assert_eq!((Scope::parse("Task"), Unit::parse("eur")), (None, None));
    }
}
