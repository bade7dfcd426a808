//! Why an operation on a channel was not done.

use crate::{
    code::Code,
    executor::ExecuteError,
    store::StoreError,
    task::{Failure, FailureKind},
    time::Timestamp,
};

use super::rules::Expect;

/// Why an operation on a channel was not done; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The operation itself is no good.
    #[error("{what}")]
    Invalid {
        /// What is wrong with it.
        what: String,
    },
    /// The value is larger or deeper than may be kept.
    #[error("the value for `{key}` cannot be kept: {why}")]
    TooLarge {
        /// The key.
        key: String,
        /// Why.
        why: String,
    },
    /// What lies under the key is not what the operation works with.
    #[error("the value under `{key}` {why}")]
    Type {
        /// The key.
        key: String,
        /// What it is, and what was wanted.
        why: String,
    },
    /// The value is not the one that was expected.
    #[error("the value under `{key}` has changed: {expected} was expected, {}", what_is_there(*.found))]
    Changed {
        /// The key.
        key: String,
        /// What was expected.
        expected: Expect,
        /// The version that is there, if there is one.
        found: Option<u64>,
    },
    /// Somebody else holds the lock.
    #[error("the lock `{name}` is held by {holder} until {until}")]
    Busy {
        /// The lock.
        name: String,
        /// Who holds it.
        holder: String,
        /// Until when, unless it is renewed or given back.
        until: Timestamp,
    },
    /// The lock is no longer held under this token.
    #[error("the lock `{name}` is no longer held: its time ended, or somebody took it over")]
    Lost {
        /// The lock.
        name: String,
    },
    /// The channel holds as much as it may.
    #[error("the channel is full: {what}")]
    Full {
        /// What there is too much of.
        what: String,
    },
    /// The run that the channel belongs to is not there any more.
    #[error("the channel is gone: its run was begun again from nothing, or deleted")]
    Gone,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn what_is_there(version: Option<u64>) -> String {
    version.map_or("nothing is there".to_owned(), |version| format!("it is version {version}"))
}

impl ChannelError {
    /// The stable number of this error; none where the store says it.
    pub fn code(&self) -> Option<Code> {
        Some(match self {
            Self::Invalid { .. } => Code::InvalidParams,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::Type { .. } => Code::ChannelType,
            Self::Changed { .. } => Code::ChannelChanged,
            Self::Busy { .. } | Self::Lost { .. } => Code::ChannelLock,
            Self::Full { .. } => Code::ChannelFull,
            Self::Gone => Code::ChannelGone,
            Self::Store(_) => return None,
        })
    }

    /// What the person at the keyboard can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Type { .. } => "delete the key first, or use another one",
            Self::Changed { .. } => "read the value again and decide anew",
            Self::Busy { .. } => "try again when it is given back, or after its time",
            Self::Lost { .. } => "take the lock again, and look what happened in between",
            Self::Full { .. } => "delete keys that are not needed, or give them a time to live",
            Self::Gone => "read the run that is going on now",
            Self::Store(error) => return error.hint(),
            Self::Invalid { .. } | Self::TooLarge { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether trying the same a little later may succeed.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Changed { .. }
                | Self::Busy { .. }
                | Self::Lost { .. }
                | Self::Store(
                    StoreError::Unavailable { .. }
                        | StoreError::Conflict
                        | StoreError::Overloaded { .. }
                        | StoreError::Full { .. }
                )
        )
    }
}

impl From<ChannelError> for ExecuteError {
    /// An executor may hand it on: what may pass is tried again, the rest fails the task.
    fn from(error: ChannelError) -> Self {
        let code = error.code().map(|code| format!("[{code}] ")).unwrap_or_default();
        let failure = Failure::new(FailureKind::Executor, format!("{code}{error}"));
        if error.may_pass() {
            Self::Transient { failure, retry_after: None }
        } else {
            Self::Permanent { failure, result: serde_json::Value::Null }
        }
    }
}
