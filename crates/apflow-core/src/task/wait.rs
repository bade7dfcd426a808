//! What a parked task waits for, and what happens if it does not come.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::definition::is_default;

/// What a parked task waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// The kind of answer that wakes it.
    #[serde(rename = "for")]
    pub what: WaitFor,
    /// What the one who answers has to know.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
    /// The name it is answered under; the worker gives it one before it is stored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Which of the waits of its task it is; the same whenever the executor runs again.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// What happens if nothing came in time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_timeout: OnTimeout,
    /// Its time is over; an answer is still taken.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overdue: bool,
    /// Who is asked instead since nobody answered in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated_to: Option<String>,
}

impl Wait {
    /// A wait that fails if nothing comes in time; whoever parks gives it id and key.
    pub const fn new(what: WaitFor, detail: Value) -> Self {
        Self {
            what,
            detail,
            id: String::new(),
            key: String::new(),
            on_timeout: OnTimeout::Fail,
            overdue: false,
            escalated_to: None,
        }
    }

    /// What is matched when something happens: the topic of an event, the tree of a run.
    pub fn topic(&self) -> Option<&str> {
        let field = match self.what {
            WaitFor::Event => "topic",
            WaitFor::Child => "tree",
            _ => return None,
        };
        self.detail.get(field).and_then(Value::as_str)
    }

    /// It has a row of its own, so that it can be listed, answered and found again.
    pub fn is_kept(&self) -> bool {
        !self.id.is_empty()
    }
}

/// The kinds of wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// A person's answer.
    Feedback,
    /// An event from outside.
    Event,
    /// A moment.
    Timer,
    /// A decision about money or tokens.
    Budget,
    /// Another run.
    Child,
    /// A report from whoever took the task over by setting its status.
    Report,
}

impl WaitFor {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Feedback, Self::Event, Self::Timer, Self::Budget, Self::Child, Self::Report];

    /// The word as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Feedback => "feedback",
            Self::Event => "event",
            Self::Timer => "timer",
            Self::Budget => "budget",
            Self::Child => "child",
            Self::Report => "report",
        }
    }

    /// The kind a stored word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What happens to a parked task if nothing came in time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// It fails.
    #[default]
    Fail,
    /// It stays parked; an answer still wakes it.
    Park,
    /// It goes on as if this had been the answer.
    Default(Value),
    /// Somebody else is asked and gets more time; after that it fails.
    Escalate {
        /// Whom to ask then.
        to: String,
        /// How much longer it waits.
        #[serde(rename = "after_seconds", with = "seconds")]
        after: Duration,
    },
}

/// Durations as seconds with a fraction.
mod seconds {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    use super::Duration;

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)
    }
}
