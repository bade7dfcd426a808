//! Reading the fields of `tasks.update` that say how a task is tried again and how long it may take.

use serde_json::{Value, json};

use super::{ApiError, params::describe};
use crate::submit::{JITTER, MAX_TIMEOUT_SECONDS, NO_RETRY_ON, jitter, no_retry_on};

/// The fields; `retry_policy` and `max_retries` are words for new tasks only.
pub(super) const FIELDS: [&str; 8] = [
    "backoff_max_seconds",
    "backoff_factor",
    "jitter",
    "no_retry_on",
    "retry_deadline_seconds",
    "queue_timeout_seconds",
    "heartbeat_timeout_seconds",
    "deadline_seconds",
];

/// A value that is written in a text cannot be meant as one.
pub(super) fn never_a_text(name: &str) -> bool {
    FIELDS.contains(&name) && name != "jitter"
}

/// The group the field is stored in, and the value as it is stored.
pub(super) fn field(name: &str, value: Value) -> Result<(&'static str, Value), ApiError> {
    let invalid = |expected: &str| ApiError::invalid(name, expected, describe(&value));
    let group = match name {
        "queue_timeout_seconds" | "heartbeat_timeout_seconds" | "deadline_seconds" => "timeouts",
        _ => "durability",
    };
    let stored = match name {
        "jitter" if value.is_null() => json!("none"),
        "jitter" => json!(jitter(&value).ok_or_else(|| invalid(JITTER))?),
        "no_retry_on" if value.is_null() => json!([]),
        "no_retry_on" => json!(no_retry_on(&value).ok_or_else(|| invalid(NO_RETRY_ON))?),
        _ => {
            let (least, most) = match name {
                "backoff_max_seconds" => (0.1, 86_400.0),
                "backoff_factor" => (1.0, 100.0),
                _ => (f64::MIN_POSITIVE, MAX_TIMEOUT_SECONDS),
            };
            let fits = |number: f64| (least..=most).contains(&number);
            if !value.is_null() && !value.as_f64().is_some_and(fits) {
                let expected = match name {
                    "backoff_max_seconds" => "a number of seconds from 0.1 to 86400, or null",
                    "backoff_factor" => "a number from 1 to 100, or null",
                    _ => "a number of seconds above 0, or null",
                };
                return Err(invalid(expected));
            }
            value
        }
    };
    Ok((group, stored))
}
