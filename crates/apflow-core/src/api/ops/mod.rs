//! The operations, one file per family.

pub(super) mod author;
pub(super) mod config;
pub(super) mod derive;
pub(super) mod events;
pub(super) mod feedback;
pub(super) mod flow;
pub(super) mod generate;
pub(super) mod letters;
pub(super) mod monitor;
pub(super) mod read;
pub(super) mod run;
pub(super) mod schedule;
pub(super) mod snapshot;
pub(super) mod system;
pub(super) mod webhook;

use super::{ApiError, Caller};
use crate::code::Code;

/// The owner to filter by: the one that was asked for, or the one the caller is bound to.
fn owner(caller: &Caller, asked: Option<String>, verb: &str) -> Result<Option<String>, ApiError> {
    let Some(mine) = caller.bound_to() else { return Ok(asked) };
    match asked {
        Some(other) if other != mine => Err(foreign(mine, &other, verb)),
        _ => Ok(Some(mine.to_owned())),
    }
}

fn foreign(mine: &str, other: &str, verb: &str) -> ApiError {
    let detail = format!(
        "Permission denied: User {mine} can only {verb} their own resources, not user {other}'s \
         resources"
    );
    ApiError::refused(Code::InvalidParams, "user_id", detail)
        .hint("leave `user_id` out to mean your own tasks")
}
