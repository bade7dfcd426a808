//! Looking at what goes on: running.list, running.status, running.count.

use super::owner;
use crate::{
    api::{ApiError, Caller, Gateway, Reply, call::RunningList, reply::Standing},
    id::TaskId,
    store::{Page, TaskFilter},
    task::{Record, Status},
};

pub(crate) async fn list(
    gateway: &Gateway,
    caller: &Caller,
    list: RunningList,
) -> Result<Reply, ApiError> {
    if list.limit == 0 {
        return Ok(Reply::Tasks(Vec::new()));
    }
    let filter = in_progress(owner(caller, list.user_id, "list")?);
    let page = Page { limit: list.limit, offset: 0 };
    Ok(Reply::Tasks(gateway.backend.trees().list(&filter, page).await?))
}

pub(crate) async fn count(
    gateway: &Gateway,
    caller: &Caller,
    user_id: Option<String>,
) -> Result<Reply, ApiError> {
    let filter = in_progress(owner(caller, user_id.clone(), "count")?);
    let counts = gateway.backend.trees().count(&filter).await?;
    Ok(Reply::RunningCount { count: counts.of(Status::InProgress), user_id })
}

pub(crate) async fn status(
    gateway: &Gateway,
    caller: &Caller,
    tasks: Vec<TaskId>,
) -> Result<Reply, ApiError> {
    let mut items = Vec::with_capacity(tasks.len());
    for id in tasks {
        let record = gateway.visible(caller, &id).await?;
        let running = match &record {
            Some(record) => is_running(gateway, record).await?,
            None => false,
        };
        items.push(Standing { id, record: record.map(Box::new), running });
    }
    Ok(Reply::RunningStatus(items))
}

/// A root runs while anything of its tree does; another task while somebody works on it.
async fn is_running(gateway: &Gateway, record: &Record) -> Result<bool, ApiError> {
    if record.parent_id.is_some() || !record.has_children {
        return Ok(record.task.state.status() == Status::InProgress);
    }
    let run = gateway.backend.trees().run(&record.id).await?;
    Ok(run.is_some_and(|run| run.running))
}

fn in_progress(user_id: Option<String>) -> TaskFilter {
    TaskFilter { user_id, statuses: vec![Status::InProgress], ..TaskFilter::default() }
}
