//! Reading tasks: get, list, tree, children, count.

use std::collections::HashSet;

use super::owner;
use crate::{
    api::{
        ApiError, Caller, Gateway, Reply,
        call::{Children, Count, List},
        reply::Counted,
        wire,
    },
    code::Code,
    id::TaskId,
    store::{Page, StoreError, TaskFilter, TreeStore},
    task::Record,
};

/// A missing task is an answer, not an error (ruling 27).
pub(crate) async fn get(
    gateway: &Gateway,
    caller: &Caller,
    task: &TaskId,
) -> Result<Reply, ApiError> {
    Ok(Reply::Task(gateway.visible(caller, task).await?.map(Box::new)))
}

pub(crate) async fn list(
    gateway: &Gateway,
    caller: &Caller,
    list: List,
) -> Result<Reply, ApiError> {
    let mut filter = TaskFilter {
        user_id: owner(caller, list.user_id, "list")?,
        statuses: list.status.into_iter().collect(),
        root_only: list.root_only,
        ..TaskFilter::default()
    };
    let trees = gateway.backend.trees();
    if let Some(beginning) = &list.id_prefix {
        filter.ids = trees.ids_like(beginning, filter.user_id.as_deref(), Page::MAX).await?;
        if filter.ids.is_empty() {
            // No task has an empty id, and no ids at all would mean every task.
            filter.ids.push(TaskId::new(""));
        }
    }
    let tasks = match list.page {
        Page { limit: 0, .. } => Vec::new(),
        page if list.id_prefix.is_some() => in_order_of_ids(trees, &filter, page).await?,
        page => trees.list(&filter, page).await?,
    };
    if !list.paged {
        return Ok(Reply::Tasks(tasks));
    }
    let total = trees.count(&filter).await?.total();
    Ok(Reply::Page { tasks, total, page: list.page })
}

/// The part of the tasks in the filter that a page asks for, in the order of their ids.
async fn in_order_of_ids(
    trees: &dyn TreeStore,
    filter: &TaskFilter,
    page: Page,
) -> Result<Vec<Record>, StoreError> {
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let part = |ids: Vec<TaskId>| ids.into_iter().skip(size(page.offset)).take(size(page.limit));
    let mut ids = filter.ids.clone();
    if !filter.statuses.is_empty() || filter.root_only {
        // Which of them pass is known only when they are read.
        let found = trees.list(filter, Page { limit: Page::MAX, offset: 0 }).await?;
        ids = found.into_iter().map(|record| record.id).collect();
        ids.sort();
    }
    let some: Vec<TaskId> = part(ids).collect();
    if some.is_empty() {
        return Ok(Vec::new());
    }
    let filter = TaskFilter { ids: some, user_id: filter.user_id.clone(), ..TaskFilter::default() };
    let mut found = trees.list(&filter, Page { limit: page.limit, offset: 0 }).await?;
    found.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(found)
}

/// The tree below the task itself, not below its root.
pub(crate) async fn tree(
    gateway: &Gateway,
    caller: &Caller,
    task: &TaskId,
) -> Result<Reply, ApiError> {
    gateway.existing(caller, task).await?;
    let mut records = gateway.backend.trees().subtree(task).await?;
    hide_foreign(caller, &mut records);
    if records.is_empty() {
        // It was deleted between the two reads.
        return Err(ApiError::no_such_task(task));
    }
    let (depth, most) = (wire::depth(&records), wire::MAX_TREE_DEPTH);
    if depth > most {
        let detail =
            format!("the tree below {task} has {depth} levels; at most {most} fit in one answer");
        return Err(ApiError::new(Code::TooLarge, detail)
            .hint("ask for the tree of a task further down, or use tasks.children"));
    }
    Ok(Reply::Tree(records))
}

/// Leaves out what the caller may not know of, and what hangs under it.
pub(super) fn hide_foreign(caller: &Caller, records: &mut Vec<Record>) {
    if caller.bound_to().is_none() {
        return;
    }
    // Parents come first, so a hidden one is known before its children.
    let mut shown = HashSet::new();
    let mut first = true;
    records.retain(|record| {
        let hangs = record.parent_id.as_ref().is_some_and(|parent| shown.contains(parent));
        let keep = (std::mem::take(&mut first) || hangs)
            && caller.sees(record.definition.user_id.as_deref());
        if keep {
            shown.insert(record.id.clone());
        }
        keep
    });
}

pub(crate) async fn children(
    gateway: &Gateway,
    caller: &Caller,
    children: Children,
) -> Result<Reply, ApiError> {
    let parent = children.parent;
    if gateway.visible(caller, &parent).await?.is_none() {
        return Err(ApiError::new(Code::NotFound, format!("Parent task {parent} not found")));
    }
    if children.page.limit == 0 {
        return Ok(Reply::Tasks(Vec::new()));
    }
    let filter = TaskFilter {
        parent_id: Some(parent),
        user_id: caller.bound_to().map(str::to_owned),
        ..TaskFilter::default()
    };
    Ok(Reply::Tasks(gateway.backend.trees().list(&filter, children.page).await?))
}

pub(crate) async fn count(
    gateway: &Gateway,
    caller: &Caller,
    count: Count,
) -> Result<Reply, ApiError> {
    let filter = TaskFilter {
        user_id: owner(caller, count.user_id.clone(), "count")?,
        statuses: count.statuses.clone(),
        root_only: count.root_only,
        ..TaskFilter::default()
    };
    let counts = gateway.backend.trees().count(&filter).await?;
    Ok(Reply::Counted(Counted {
        counts,
        statuses: count.statuses,
        user_id: count.user_id,
        root_only: count.root_only,
    }))
}
