//! When a task runs by itself, as its author said it and as it is stored.
//!
//! What the words mean is decided in [`schedule`](crate::schedule).

use serde::{Deserialize, Serialize};

use super::definition::{is_default, is_false};
use crate::time::Timestamp;

/// When a task runs by itself; stored and returned, acted on by the scheduler.
///
/// Every field may be missing, so that rows of older versions are read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// once, interval, cron, daily, weekly, monthly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_type: Option<String>,
    /// What the type needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_expression: Option<String>,
    /// Whether it is on.
    #[serde(skip_serializing_if = "is_false")]
    pub schedule_enabled: bool,
    /// Not before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_start_at: Option<Timestamp>,
    /// Not after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_end_at: Option<Timestamp>,
    /// The next slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<Timestamp>,
    /// The last slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_at: Option<Timestamp>,
    /// How often at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_runs: Option<i64>,
    /// How often so far.
    #[serde(skip_serializing_if = "is_default")]
    pub run_count: i64,
    /// The IANA zone whose clock on the wall it follows; UTC if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_timezone: Option<String>,
    /// What happens if the run before has not ended; [`Overlap::Skip`] if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_overlap: Option<Overlap>,
    /// What happens to slots that were missed; [`Misfire::FireOnce`] if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_misfire: Option<Misfire>,
    /// How late a slot may still fire, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_misfire_window_seconds: Option<f64>,
    /// How many missed slots are made up for at most, where the policy is to catch up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_catch_up: Option<u32>,
    /// The most that a run is put off, in seconds, so that not everything begins at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_jitter_seconds: Option<f64>,
}

/// What happens to a slot while the run before has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The slot is left out.
    #[default]
    Skip,
    /// One slot is kept and fires when the run ends.
    Queue,
    /// The run is cancelled and the slot fires.
    CancelRunning,
    /// Both run.
    Allow,
}

impl Overlap {
    /// Every policy.
    pub const ALL: [Self; 4] = [Self::Skip, Self::Queue, Self::CancelRunning, Self::Allow];

    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::CancelRunning => "cancel_running",
            Self::Allow => "allow",
        }
    }

    /// The policy a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == word)
    }
}

/// What happens to slots that nobody could fire in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// The latest of them fires, the others are left out.
    #[default]
    FireOnce,
    /// All of them are left out.
    Skip,
    /// The latest few of them fire, in order.
    CatchUp,
}

impl Misfire {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::FireOnce, Self::Skip, Self::CatchUp];

    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FireOnce => "fire_once",
            Self::Skip => "skip",
            Self::CatchUp => "catch_up",
        }
    }

    /// The policy a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_an_older_version_is_read_and_written_as_it_was() {
        let old = r#"{"schedule_type":"daily","schedule_expression":"09:00","run_count":3}"#;
        let schedule: Schedule = serde_json::from_str(old).expect("an old row");
        assert_eq!((schedule.run_count, schedule.schedule_timezone.as_deref()), (3, None));
        assert_eq!(serde_json::to_string(&schedule).expect("plain data"), old);
    }

    #[test]
    fn words_are_stored_as_they_are_written() {
        for policy in Overlap::ALL {
            let stored = serde_json::to_string(&policy).expect("a word");
            assert_eq!(stored, format!("\"{}\"", policy.as_str()));
            assert_eq!(Overlap::parse(policy.as_str()), Some(policy));
        }
        for policy in Misfire::ALL {
            let stored = serde_json::to_string(&policy).expect("a word");
            assert_eq!(stored, format!("\"{}\"", policy.as_str()));
            assert_eq!(Misfire::parse(policy.as_str()), Some(policy));
        }
    }
}
