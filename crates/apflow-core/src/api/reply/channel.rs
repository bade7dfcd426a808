//! What is said of what the tasks of a run share.

use serde_json::{Value, json};

use crate::channel::{Answer, Entry};

/// What came of an operation on a channel.
#[derive(Debug, Clone, PartialEq)]
pub enum ChannelReply {
    /// One operation was done.
    Done {
        /// The key.
        key: String,
        /// What came of it.
        answer: Answer,
    },
    /// What the channel holds.
    Entries(Vec<Entry>),
}

impl ChannelReply {
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Entries(entries) => entries.iter().map(entry_json).collect(),
            Self::Done { key, answer } => match answer {
                Answer::Found(entry) => entry.as_ref().map_or(Value::Null, entry_json),
                Answer::Written { version, expires_at } => {
                    json!({ "key": key, "version": version, "expires_at": expires_at })
                }
                Answer::Removed(deleted) => json!({ "key": key, "deleted": deleted }),
                Answer::Sum { value, version } => {
                    json!({ "key": key, "value": value, "version": version })
                }
                Answer::Pushed { length, version } => {
                    json!({ "key": key, "length": length, "version": version })
                }
                Answer::Locked(held) => {
                    json!({ "key": key, "token": held.token, "until": held.until })
                }
                Answer::Unlocked => json!({ "key": key }),
            },
        }
    }
}

fn entry_json(entry: &Entry) -> Value {
    json!({
        "key": entry.key, "value": entry.value, "version": entry.version,
        "expires_at": entry.expires_at,
    })
}
