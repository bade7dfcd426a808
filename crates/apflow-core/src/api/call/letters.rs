//! Reading the parameters of the operations on attempts and dead letters.

use serde_json::Value;

use super::{Call, ID, Read, query};
use crate::{
    api::{
        ApiError,
        params::{Params, describe},
    },
    id::TaskId,
    store::{DeadReason, LetterFilter, Page},
    task::FailureKind,
    time::Timestamp,
};

/// What somebody wants of dead letters.
#[derive(Debug, Clone, PartialEq)]
pub enum Letters {
    /// To see which there are.
    List {
        /// Which.
        filter: LetterFilter,
        /// Which part.
        page: Page,
    },
    /// To see one, with its attempts.
    Get(TaskId),
    /// To have their tasks begin anew.
    Requeue {
        /// Which.
        which: LetterFilter,
        /// At most so many.
        limit: u32,
        /// The whole tree of each, not the task and what it needs alone.
        whole_tree: bool,
    },
    /// To throw them away.
    Drop {
        /// Which.
        which: LetterFilter,
        /// At most so many.
        limit: u32,
    },
}

pub(super) fn letters(method: &'static str, params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new(method, params)?;
    let letters = match method {
        "dlq.list" => {
            let filter = filter(&mut params)?;
            Letters::List { filter, page: query::page(&mut params, Page::default().limit)? }
        }
        "dlq.get" => match params.id(ID)? {
            Some(task) => Letters::Get(task),
            None => return Err(ApiError::missing("task_id", "a task id", "Task ID is required")),
        },
        _ => {
            let which = chosen(&mut params)?;
            let limit = params.number("limit", Page::default().limit, Page::MAX)?;
            if method == "dlq.requeue" {
                Letters::Requeue { which, limit, whole_tree: params.flag("whole_tree", false)? }
            } else {
                Letters::Drop { which, limit }
            }
        }
    };
    Ok(Read { call: Call::Letters(Box::new(letters)), warnings: params.warnings() })
}

fn filter(params: &mut Params) -> Result<LetterFilter, ApiError> {
    let kind = match params.text("kind")? {
        Some(word) if FailureKind::parse(&word).is_none() => {
            let expected = "a kind of failure, such as executor, timeout, panic or lost_lease";
            return Err(ApiError::invalid("kind", expected, describe(&Value::String(word))));
        }
        kind => kind,
    };
    let reason = match params.text("reason")? {
        None => None,
        Some(word) => Some(DeadReason::parse(&word).ok_or_else(|| {
            let words = DeadReason::ALL.map(DeadReason::as_str).join(", ");
            let found = describe(&Value::String(word));
            ApiError::invalid("reason", format!("one of {words}"), found)
        })?),
    };
    Ok(LetterFilter {
        user_id: params.text("user_id")?,
        executor: params.text("executor")?,
        kind,
        reason,
        since: moment(params, "since")?,
        before: moment(params, "before")?,
        ids: Vec::new(),
    })
}

fn moment(params: &mut Params, name: &'static str) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = params.text(name)? else { return Ok(None) };
    let read = text.parse().map(Some);
    read.map_err(|_| {
        let expected = "a moment in ISO 8601, like 2026-11-20T15:26:11+00:00";
        ApiError::invalid(name, expected, describe(&Value::String(text)))
    })
}

/// What is to be changed has to be named, for nobody means everything by saying nothing.
fn chosen(params: &mut Params) -> Result<LetterFilter, ApiError> {
    let mut ids = params.ids(&["task_ids"])?;
    ids.extend(params.id(ID)?);
    let all = params.flag("all", false)?;
    let which = LetterFilter { ids, ..filter(params)? };
    if which == LetterFilter::default() && !all {
        let missing = "Say which: task_id, task_ids, a filter, or all: true";
        return Err(ApiError::missing("task_id", "a task id, a filter or `all`", missing));
    }
    Ok(which)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(method: &'static str, params: Value) -> Letters {
        let Call::Letters(letters) = letters(method, params).expect("a good call").call else {
            panic!("a call about letters")
        };
        *letters
    }

    #[test]
    fn nothing_is_no_choice_and_all_is_one() {
        for method in ["dlq.requeue", "dlq.drop"] {
            let error = letters(method, json!({"limit": 5})).expect_err("nothing is chosen");
            assert_eq!(error.problems[0].field.as_deref(), Some("task_id"));
        }
        let which = LetterFilter::default();
        let all = read("dlq.drop", json!({"all": true, "limit": 5}));
        assert_eq!(all, Letters::Drop { which, limit: 5 });
    }

    #[test]
    fn a_filter_names_what_it_does_not_know() {
        for (field, value) in [("kind", "sorrow"), ("reason", "rain"), ("since", "yesterday")] {
            let error = letters("dlq.list", json!({ field: value })).expect_err(field);
            assert_eq!(error.problems[0].field.as_deref(), Some(field));
        }
        let since = "2026-11-20T15:26:11Z";
        let Letters::List { filter, .. } =
            read("dlq.list", json!({"kind": "timeout", "reason": "attempts", "since": since}))
        else {
            panic!("a list")
        };
        assert_eq!(filter.kind.as_deref(), Some("timeout"));
        assert_eq!(filter.reason, Some(DeadReason::Attempts));
        assert_eq!(filter.since, since.parse().ok());
    }
}
