//! Attempts and dead letters: look, begin anew, throw away.

use std::collections::BTreeMap;

use super::owner;
use crate::{
    api::{
        ApiError, Caller, Gateway, Reply,
        call::Letters,
        reply::{LettersAnswer, NotRequeued},
    },
    code::Code,
    id::{TaskId, TreeId},
    store::{DeadLetter, LetterFilter, Page, Start, StartScope, StoreError},
};

/// The attempts of one task.
pub(crate) async fn attempts(
    gateway: &Gateway,
    caller: &Caller,
    task: TaskId,
) -> Result<Reply, ApiError> {
    gateway.existing(caller, &task).await?;
    let found = gateway.backend.history().attempts(&task).await?;
    let attempts = found.ok_or_else(|| ApiError::no_such_task(&task))?;
    Ok(Reply::Attempts { task, attempts })
}

pub(crate) async fn letters(
    gateway: &Gateway,
    caller: &Caller,
    wish: Letters,
) -> Result<Reply, ApiError> {
    let answer = match wish {
        Letters::List { filter, page } => list(gateway, caller, filter, page).await?,
        Letters::Get(task) => get(gateway, caller, task).await?,
        Letters::Requeue { which, limit, whole_tree } => {
            let found = find(gateway, caller, which, limit, "requeue").await?;
            requeue(gateway, found, whole_tree).await?
        }
        Letters::Drop { which, limit } => {
            let found = find(gateway, caller, which, limit, "drop").await?;
            let ids: Vec<TaskId> = found.into_iter().map(|letter| letter.task).collect();
            let dropped = if ids.is_empty() {
                0
            } else {
                gateway.backend.history().drop_letters(&ids).await?
            };
            LettersAnswer::Dropped(dropped)
        }
    };
    Ok(Reply::Letters(Box::new(answer)))
}

async fn list(
    gateway: &Gateway,
    caller: &Caller,
    filter: LetterFilter,
    page: Page,
) -> Result<LettersAnswer, ApiError> {
    let filter = LetterFilter { user_id: owner(caller, filter.user_id, "list")?, ..filter };
    let history = gateway.backend.history();
    let letters = match page.limit {
        0 => Vec::new(),
        _ => history.letters(&filter, page).await?,
    };
    Ok(LettersAnswer::List { letters, total: history.count_letters(&filter).await?, page })
}

async fn get(gateway: &Gateway, caller: &Caller, task: TaskId) -> Result<LettersAnswer, ApiError> {
    gateway.existing(caller, &task).await?;
    let history = gateway.backend.history();
    let filter = LetterFilter { ids: vec![task.clone()], ..LetterFilter::default() };
    let found = history.letters(&filter, Page { limit: 1, offset: 0 }).await?;
    let Some(letter) = found.into_iter().next() else { return Err(none(&task)) };
    let attempts = history.attempts(&task).await?.unwrap_or_default();
    Ok(LettersAnswer::One { letter: Box::new(letter), attempts })
}

fn none(task: &TaskId) -> ApiError {
    ApiError::new(Code::NoDeadLetter, format!("Task {task} has no dead letter"))
        .hint("see `dlq.list` for those there are; a task that begins anew has none any more")
}

/// The letters that are chosen, oldest letters of the page last.
async fn find(
    gateway: &Gateway,
    caller: &Caller,
    which: LetterFilter,
    limit: u32,
    verb: &str,
) -> Result<Vec<DeadLetter>, ApiError> {
    let which = LetterFilter { user_id: owner(caller, which.user_id, verb)?, ..which };
    let found = match limit {
        0 => Vec::new(),
        _ => gateway.backend.history().letters(&which, Page { limit, offset: 0 }).await?,
    };
    match which.ids.as_slice() {
        [only] if found.is_empty() => Err(none(only)),
        _ => Ok(found),
    }
}

/// Whether none of these tasks has a letter any more.
async fn gone(gateway: &Gateway, tasks: &[TaskId]) -> Result<bool, ApiError> {
    let filter = LetterFilter { ids: tasks.to_vec(), ..LetterFilter::default() };
    Ok(gateway.backend.history().count_letters(&filter).await? == 0)
}

/// Begins each anew. A tree runs once at a time, so of a tree with several letters the whole is begun.
async fn requeue(
    gateway: &Gateway,
    found: Vec<DeadLetter>,
    whole_tree: bool,
) -> Result<LettersAnswer, ApiError> {
    let mut trees: BTreeMap<TreeId, Vec<TaskId>> = BTreeMap::new();
    for letter in found {
        trees.entry(letter.tree).or_default().push(letter.task);
    }
    let (mut requeued, mut refused) = (Vec::new(), Vec::new());
    for (tree, tasks) in trees {
        let start = match tasks.as_slice() {
            [only] if !whole_tree => only.clone(),
            _ => match gateway.backend.trees().run_of_tree(&tree).await? {
                Some(run) => run.tree.root,
                // It was pruned a moment ago.
                None => continue,
            },
        };
        let start = Start {
            task: start,
            scope: StartScope::Auto,
            reexecute: false,
            callback: None,
            demo: false,
        };
        match gateway.backend.start(start).await {
            Ok(_) => requeued.extend(tasks),
            // Another of these trees may have taken it along, for they came together.
            Err(StoreError::AlreadyRunning { .. })
                if !requeued.is_empty() && gone(gateway, &tasks).await? =>
            {
                requeued.extend(tasks);
            }
            Err(error) => {
                let error = ApiError::from(error);
                let (code, detail) = (error.code, error.detail);
                refused.extend(tasks.into_iter().map(|task| {
                    let detail = detail.clone();
                    NotRequeued { task, code, detail }
                }));
            }
        }
    }
    Ok(LettersAnswer::Requeued { requeued, refused })
}
