//! What the tasks of one run share: named values with versions, sums, lists and locks.
//!
//! A channel belongs to one run of a submission. All of its tasks see the same values, whichever
//! worker runs them; nothing is copied for a branch and merged afterwards.
//!
//! * [`rules`] says what every operation does, in one plain function; each back end applies it.
//! * [`Channel`] is what an executor holds, [`Typed`] the same for one type, [`Lock`] a lease on a name.

mod error;
mod handle;
mod lock;
pub mod rules;

pub use error::ChannelError;
pub use handle::{Channel, Channels, Typed, Versioned};
pub use lock::Lock;
pub use rules::{Answer, Expect, Guard, Held, Holder, Op};

use std::time::Duration;

use serde_json::Value;

use crate::{
    id::{Seq, TreeId},
    submit::json::{Unfit, UnfitKind, measure},
    time::Timestamp,
};

/// The most values and locks that one channel holds.
pub const MAX_KEYS: u64 = 10_000;
/// The longest key and name of a lock, in bytes.
pub const MAX_KEY_BYTES: usize = 255;
/// The largest value, in bytes of its JSON.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// As much as all values of one channel may take, in bytes of their keys and JSON.
pub const MAX_CHANNEL_BYTES: u64 = 64 << 20;
/// The longest time until a value expires.
pub const MAX_TTL: Duration = Duration::from_hours(366 * 24);
/// The longest time a lock is held without being renewed.
pub const MAX_LOCK: Duration = Duration::from_hours(24);
/// The most entries that are listed at once.
pub const MAX_LISTED: u32 = 1_000;

/// Which channel: a run of a submission, and a space in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId {
    /// The row of the submission.
    pub forest: Seq,
    /// The first tree of the submission: its name where rows have none.
    pub tree: TreeId,
    /// How often the submission was begun again from nothing; each time begins with an empty channel.
    pub pass: u64,
    /// Empty for the run itself; the name of a part of it that has values of its own.
    pub space: String,
}

/// A value as it lies in a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// The value; of a lock, who holds it.
    pub value: Value,
    /// Grows with every change in the channel and never comes twice, not even after a deletion.
    pub version: u64,
    /// When it is gone, if ever.
    pub expires_at: Option<Timestamp>,
}

/// Which entries to list, in the order of their keys' bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRange {
    /// Locks instead of values.
    pub locks: bool,
    /// Only keys that begin like this.
    pub prefix: String,
    /// Only keys behind this one.
    pub after: Option<String>,
    /// At most so many; [`MAX_LISTED`] at the most.
    pub limit: u32,
}

/// Refuses a key or the name of a lock or space that cannot be kept.
pub fn check_key(what: &'static str, key: &str) -> Result<(), ChannelError> {
    let wrong = if key.is_empty() {
        "is empty".to_owned()
    } else if key.len() > MAX_KEY_BYTES {
        format!("is {} bytes long, where {MAX_KEY_BYTES} are allowed", key.len())
    } else if key.chars().any(char::is_control) {
        "contains a control character".to_owned()
    } else {
        return Ok(());
    };
    Err(ChannelError::Invalid { what: format!("the {what} {wrong}") })
}

/// How many bytes the JSON of a value takes, or why it cannot be kept.
pub fn check_value(key: &str, value: &Value) -> Result<u64, ChannelError> {
    measure(value, MAX_VALUE_BYTES).map(|bytes| bytes as u64).map_err(|unfit| match unfit {
        Unfit { what: UnfitKind::TooLong { bytes, most }, .. } => ChannelError::TooLarge {
            key: key.to_owned(),
            why: format!("its JSON is {bytes} bytes long, where {most} are allowed"),
        },
        unfit => ChannelError::TooLarge { key: key.to_owned(), why: unfit.to_string() },
    })
}
