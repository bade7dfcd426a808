//! Names of things: task, tree and node ids as people write them, and the numbers the engine works with.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest id and name that is accepted, in characters (ruling 5 and 32).
pub const MAX_ID_CHARS: usize = 255;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is; [`check_id`] says whether it may be stored.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id as an owned text.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id! {
    /// A task, named by its author or by a UUID v7.
    TaskId
}
text_id! {
    /// A tree: every task below one root shares it.
    TreeId
}
text_id! {
    /// A process that runs tasks.
    NodeId
}

/// The place of a task in the order of submission; storage uses it as the row number.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub i64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The fencing token of one lease.
///
/// It grows at every claim, lapse, cancel and reset, so a report that carries an older one is stale.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LeaseToken(pub i64);

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl LeaseToken {
    /// The token that follows this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Where new ids come from: UUID v7 in production, a counter in tests.
pub trait Ids: Send + Sync {
    /// An id that no other call has returned.
    fn next(&self) -> String;
}

/// The first text, byte by byte, that comes after every text that begins like `beginning`.
///
/// None if there is none: `beginning` is empty, or made of nothing but the last character there is.
pub fn after_all_like(beginning: &str) -> Option<String> {
    let mut letters: Vec<char> = beginning.chars().collect();
    while let Some(last) = letters.pop() {
        // Some numbers in between are no characters; UTF-8 sorts like the numbers.
        if let Some(next) = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32) {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

/// Why `text` cannot be an id or a name, or `None` if it can.
pub fn check_id(text: &str) -> Option<String> {
    let chars = text.chars().count();
    if chars == 0 || chars > MAX_ID_CHARS {
        return Some(format!("{chars} characters, where 1 to {MAX_ID_CHARS} are allowed"));
    }
    text.contains('\0').then(|| "it contains the character U+0000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_range_comes_after_everything_that_begins_alike_and_before_the_rest() {
        for beginning in ["a", "task-", "z\u{10ffff}", "\u{d7ff}", "é"] {
            let end = after_all_like(beginning).expect("there is one");
            assert!(end.as_str() > format!("{beginning}\u{10ffff}\u{10ffff}").as_str(), "{end}");
        }
        assert_eq!(after_all_like("ab").as_deref(), Some("ac"));
        assert_eq!(after_all_like("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(after_all_like(""), None);
        assert_eq!(after_all_like("\u{10ffff}"), None);
    }

    #[test]
    fn an_id_may_be_any_text_of_1_to_255_characters_without_nul() {
        assert_eq!(check_id("../../x'; DROP TABLE — 任务"), None);
        assert_eq!(check_id(&"é".repeat(255)), None);
        assert!(check_id("").is_some());
        assert!(check_id(&"a".repeat(256)).is_some());
        assert!(check_id("a\0b").is_some());
    }
}
