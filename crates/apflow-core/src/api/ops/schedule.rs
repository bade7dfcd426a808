//! Looking after schedules: scheduled.list, due, init, complete, export-ical, backfill.

use super::owner;
use crate::{
    api::{
        ApiError, Caller, Gateway, Reply,
        call::{
            ExportIcal, Scheduled, ScheduledBackfill, ScheduledComplete, ScheduledDue,
            ScheduledInit,
        },
        reply::Backfilled,
    },
    code::Code,
    id::TaskId,
    schedule::ical,
    store::{Backfill, DrivenRun, Page, ScheduleFilter, StoreError},
    task::Record,
};

pub(crate) async fn list(
    gateway: &Gateway,
    caller: &Caller,
    list: Scheduled,
) -> Result<Reply, ApiError> {
    Ok(Reply::Tasks(read(gateway, caller, list, "list").await?))
}

async fn read(
    gateway: &Gateway,
    caller: &Caller,
    list: Scheduled,
    verb: &str,
) -> Result<Vec<Record>, ApiError> {
    let filter = ScheduleFilter {
        user_id: owner(caller, list.user_id, verb)?,
        kind: list.kind.map(|kind| kind.as_str().to_owned()),
        status: list.status,
        enabled_only: list.enabled_only,
        due_before: None,
    };
    if list.page.limit == 0 {
        return Ok(Vec::new());
    }
    Ok(gateway.backend.schedules().scheduled(&filter, list.page).await?)
}

pub(crate) async fn due(
    gateway: &Gateway,
    caller: &Caller,
    due: ScheduledDue,
) -> Result<Reply, ApiError> {
    let filter = ScheduleFilter {
        user_id: owner(caller, due.user_id, "list")?,
        enabled_only: true,
        due_before: Some(due.before.unwrap_or_else(|| gateway.clock.now())),
        ..ScheduleFilter::default()
    };
    if due.limit == 0 {
        return Ok(Reply::Tasks(Vec::new()));
    }
    let page = Page { limit: due.limit, offset: 0 };
    Ok(Reply::Tasks(gateway.backend.schedules().scheduled(&filter, page).await?))
}

pub(crate) async fn init(
    gateway: &Gateway,
    caller: &Caller,
    init: ScheduledInit,
) -> Result<Reply, ApiError> {
    let ScheduledInit { task, from } = init;
    gateway.existing(caller, &task).await?;
    gateway.backend.schedules().init_schedule(&task, from).await.map_err(|error| {
        let detail = format!("Failed to initialize schedule for task {task}");
        match error {
            StoreError::NoSchedule(_) => ApiError { detail, ..ApiError::from(error) },
            StoreError::InvalidSchedule(problems) => {
                let error = ApiError::from(problems);
                ApiError { detail: format!("{detail}: {}", error.detail), ..error }
            }
            other => other.into(),
        }
    })?;
    task_as_it_is(gateway, caller, &task).await
}

pub(crate) async fn complete(
    gateway: &Gateway,
    caller: &Caller,
    complete: ScheduledComplete,
) -> Result<Reply, ApiError> {
    let ScheduledComplete { task, success, error, advance } = complete;
    gateway.existing(caller, &task).await?;
    // What failed always says why (ruling 8).
    let failure = (!success).then(|| error.unwrap_or_else(|| "the run failed".to_owned()));
    let run = DrivenRun { task: task.clone(), failure, advance };
    gateway.backend.schedules().complete_run(run).await?;
    task_as_it_is(gateway, caller, &task).await
}

async fn task_as_it_is(
    gateway: &Gateway,
    caller: &Caller,
    task: &TaskId,
) -> Result<Reply, ApiError> {
    Ok(Reply::Task(Some(Box::new(gateway.existing(caller, task).await?))))
}

pub(crate) async fn export_ical(
    gateway: &Gateway,
    caller: &Caller,
    export: ExportIcal,
) -> Result<Reply, ApiError> {
    let ExportIcal { tasks, name, base_url } = export;
    let mut records = read(gateway, caller, tasks, "export").await?;
    // Only what is to come can stand in a calendar.
    records.retain(|record| record.definition.schedule.next_run_at.is_some());
    let content = ical::calendar(&name, base_url.as_deref(), &records, gateway.clock.now());
    Ok(Reply::Calendar { content, tasks: records.len() })
}

pub(crate) async fn backfill(
    gateway: &Gateway,
    caller: &Caller,
    backfill: ScheduledBackfill,
) -> Result<Reply, ApiError> {
    let ScheduledBackfill { task, range, limit, dry_run } = backfill;
    gateway.existing(caller, &task).await?;
    if limit == 0 {
        let detail = "`limit` must be a whole number from 1, and it is 0";
        return Err(ApiError::refused(Code::InvalidParams, "limit", detail));
    }
    let wish = Backfill { task: task.clone(), range, limit, dry_run };
    let slots = gateway.backend.schedules().backfill(wish).await?;
    Ok(Reply::Backfilled(Backfilled { task, dry_run, slots }))
}
