//! Reading the parameters of the operations on schedules.

use std::ops::Range;

use serde_json::Value;

use super::{Call, ID, Read, query::status_word};
use crate::{
    api::{
        ApiError,
        params::{Params, describe},
    },
    firing::MOST_WAITING,
    id::TaskId,
    schedule::Kind,
    store::Page,
    task::Status,
    time::Timestamp,
};

/// Which scheduled tasks to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// Only this owner's.
    pub user_id: Option<String>,
    /// Only schedules of this type.
    pub kind: Option<Kind>,
    /// Only tasks that stand here.
    pub status: Option<Status>,
    /// Only schedules that are on.
    pub enabled_only: bool,
    /// Which part.
    pub page: Page,
}

/// Which due tasks to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledDue {
    /// Due at this moment; now if nothing is said.
    pub before: Option<Timestamp>,
    /// Only this owner's.
    pub user_id: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// Whose next slot to find anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledInit {
    /// The task.
    pub task: TaskId,
    /// The slot is after this moment; now if nothing is said.
    pub from: Option<Timestamp>,
}

/// A run that somebody else drove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledComplete {
    /// The task.
    pub task: TaskId,
    /// It went well.
    pub success: bool,
    /// Why it did not.
    pub error: Option<String>,
    /// Move on to the next slot.
    pub advance: bool,
}

/// Which schedules to write as a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportIcal {
    /// Which tasks.
    pub tasks: Scheduled,
    /// The name of the calendar.
    pub name: String,
    /// What links to tasks begin with.
    pub base_url: Option<String>,
}

/// Which slots to make up for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledBackfill {
    /// The task.
    pub task: TaskId,
    /// The first moment, and the first one after.
    pub range: Range<Timestamp>,
    /// At most so many slots.
    pub limit: u32,
    /// Only say which.
    pub dry_run: bool,
}

const NEEDS_TASK: &str = "task_id is required";
/// Names and addresses of calendars are no longer than this.
const MAX_TEXT: usize = 2_000;

pub(super) fn list(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.scheduled.list", params)?;
    let list = scheduled(&mut params, Page::default().limit)?;
    Ok(Read { call: Call::Scheduled(list), warnings: params.warnings() })
}

fn scheduled(params: &mut Params, limit: u32) -> Result<Scheduled, ApiError> {
    let kind = match params.text("schedule_type")? {
        None => None,
        Some(word) => Some(Kind::parse(&word).ok_or_else(|| {
            let words = Kind::ALL.map(Kind::as_str).join(", ");
            ApiError::invalid("schedule_type", format!("one of {words}"), describe(&word.into()))
        })?),
    };
    let status = match params.take(&["status"]) {
        None => None,
        Some((name, value)) => Some(status_word(name, &value)?),
    };
    Ok(Scheduled {
        user_id: params.text("user_id")?,
        kind,
        status,
        enabled_only: params.flag("enabled_only", true)?,
        page: super::query::page(params, limit)?,
    })
}

pub(super) fn due(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.scheduled.due", params)?;
    let due = ScheduledDue {
        before: moment(&mut params, "before")?,
        user_id: params.text("user_id")?,
        limit: params.number("limit", Page::default().limit, Page::MAX)?,
    };
    Ok(Read { call: Call::ScheduledDue(due), warnings: params.warnings() })
}

pub(super) fn init(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.scheduled.init", params)?;
    let task = task(&mut params)?;
    let from = moment(&mut params, "from_time")?;
    let init = ScheduledInit { task, from };
    Ok(Read { call: Call::ScheduledInit(init), warnings: params.warnings() })
}

pub(super) fn complete(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.scheduled.complete", params)?;
    let task = task(&mut params)?;
    // v1 takes it and does nothing with it.
    params.take(&["result"]);
    let complete = ScheduledComplete {
        task,
        success: params.flag("success", true)?,
        error: params.text("error")?,
        advance: params.flag("calculate_next_run", true)?,
    };
    Ok(Read { call: Call::ScheduledComplete(complete), warnings: params.warnings() })
}

pub(super) fn export_ical(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.scheduled.export-ical", params)?;
    let tasks = scheduled(&mut params, Page::MAX)?;
    let name = short(&mut params, "calendar_name")?;
    let name = name.unwrap_or_else(|| "APFlow Tasks".to_owned());
    let base_url = short(&mut params, "base_url")?;
    let export = ExportIcal { tasks, name, base_url };
    Ok(Read { call: Call::ExportIcal(export), warnings: params.warnings() })
}

pub(super) fn backfill(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.scheduled.backfill", params)?;
    let task = task(&mut params)?;
    let missing = |name: &str| {
        ApiError::missing(name, MOMENT, "from and to are required: the range to make up for")
    };
    let from = moment(&mut params, "from")?.ok_or_else(|| missing("from"))?;
    let to = moment(&mut params, "to")?.ok_or_else(|| missing("to"))?;
    if to <= from {
        return Err(ApiError::invalid("to", format!("a moment after {from}"), to.to_string()));
    }
    let most = u32::try_from(MOST_WAITING).unwrap_or(u32::MAX);
    let limit = params.number("limit", Page::default().limit, most)?;
    let dry_run = params.flag("dry_run", false)?;
    let backfill = ScheduledBackfill { task, range: from..to, limit, dry_run };
    Ok(Read { call: Call::ScheduledBackfill(backfill), warnings: params.warnings() })
}

fn task(params: &mut Params) -> Result<TaskId, ApiError> {
    params.id(ID)?.ok_or_else(|| ApiError::missing("task_id", "a task id", NEEDS_TASK))
}

const MOMENT: &str = "a date and time like 2026-11-20T15:26:11Z";

fn moment(params: &mut Params, name: &'static str) -> Result<Option<Timestamp>, ApiError> {
    let Some((_, value)) = params.take(&[name]) else { return Ok(None) };
    let read = value.as_str().filter(|text| text.len() <= 64).and_then(|text| text.parse().ok());
    read.map(Some).ok_or_else(|| ApiError::invalid(name, MOMENT, describe(&value)))
}

fn short(params: &mut Params, name: &'static str) -> Result<Option<String>, ApiError> {
    let text = params.text(name)?;
    if text.as_ref().is_some_and(|text| text.len() > MAX_TEXT) {
        let expected = format!("at most {MAX_TEXT} bytes");
        return Err(ApiError::invalid(name, expected, "a longer text"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_hold_what_is_on_unless_told_otherwise() {
        let read = Call::read("tasks.scheduled.list", json!({})).expect("a call").call;
        let Call::Scheduled(list) = read else { panic!("a list") };
        assert!(list.enabled_only);
        assert_eq!(list.page, Page { limit: 100, offset: 0 });
        let wrong = Call::read("tasks.scheduled.list", json!({"schedule_type": "hourly"}));
        assert!(wrong.expect_err("no type").detail.contains("once, interval, cron"));
    }

    #[test]
    fn a_missing_task_is_told_in_the_words_of_the_python_server() {
        for method in ["init", "complete", "backfill"] {
            let method = format!("tasks.scheduled.{method}");
            let error = Call::read(&method, json!({})).expect_err("no task");
            assert_eq!(error.detail, "task_id is required", "{method}");
        }
    }

    #[test]
    fn a_completed_run_takes_a_result_and_forgets_it() {
        let params = json!({"task_id": "a", "result": {"x": 1}, "success": false, "error": "no"});
        let read = Call::read("tasks.scheduled.complete", params).expect("a call");
        assert_eq!(read.warnings, [""; 0]);
        let Call::ScheduledComplete(complete) = read.call else { panic!("a completion") };
        assert!(complete.advance && !complete.success);
    }

    #[test]
    fn a_backfill_needs_a_range_that_is_one() {
        let read = |params| Call::read("tasks.scheduled.backfill", params);
        let error = read(json!({"task_id": "a", "from": "2026-11-20T00:00:00Z"}));
        assert_eq!(error.expect_err("no end").problems[0].field.as_deref(), Some("to"));
        let (early, late) = ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z");
        assert!(read(json!({"task_id": "a", "from": late, "to": early})).is_err());
        assert!(read(json!({"task_id": "a", "from": early, "to": "soon"})).is_err());
        let read = read(json!({"task_id": "a", "from": early, "to": late, "limit": 1_000_000}));
        let Call::ScheduledBackfill(backfill) = read.expect("a call").call else { panic!("one") };
        assert_eq!((backfill.limit, backfill.dry_run), (1_000, false));
    }
}
