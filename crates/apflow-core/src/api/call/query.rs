//! Reading the parameters of the operations that read many tasks.

use serde_json::Value;

use super::{Call, Read};
use crate::{
    api::{
        ApiError,
        params::{Params, describe},
    },
    id::{TaskId, check_id},
    store::Page,
    task::Status,
};

/// Which tasks to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Only this owner's.
    pub user_id: Option<String>,
    /// Only those that stand here.
    pub status: Option<Status>,
    /// Only those without a parent.
    pub root_only: bool,
    /// Only those whose ids begin like this.
    pub id_prefix: Option<String>,
    /// Which part.
    pub page: Page,
    /// Answer with an object that has the total, not with a bare array.
    pub paged: bool,
}

/// Whose children to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Children {
    /// The parent.
    pub parent: TaskId,
    /// Which part.
    pub page: Page,
}

/// Which tasks to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Only this owner's.
    pub user_id: Option<String>,
    /// Only those without a parent.
    pub root_only: bool,
    /// Only these statuses; empty: all five.
    pub statuses: Vec<Status>,
}

pub(super) fn list(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.list", params)?;
    let user_id = params.text("user_id")?;
    let status = match params.take(&["status"]) {
        None => None,
        Some((name, value)) => Some(status_word(name, &value)?),
    };
    let root_only = params.flag("root_only", true)?;
    let id_prefix = params.text("id_prefix")?;
    if let Some(why) = id_prefix.as_deref().and_then(check_id) {
        return Err(ApiError::invalid("id_prefix", "a text of 1 to 255 characters", why));
    }
    let page = page(&mut params, Page::default().limit)?;
    let paged = params.flag("page", false)?;
    let list = List { user_id, status, root_only, id_prefix, page, paged };
    Ok(Read { call: Call::List(list), warnings: params.warnings() })
}

pub(super) fn page(params: &mut Params, limit: u32) -> Result<Page, ApiError> {
    Ok(Page {
        limit: params.number("limit", limit, Page::MAX)?,
        offset: params.number("offset", 0, u32::MAX)?,
    })
}

pub(super) fn children(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.children", params)?;
    let Some(parent) = params.id(&["parent_id", "task_id"])? else {
        let missing =
            "Parent task ID is required. Please provide 'parent_id' or 'task_id' parameter.";
        return Err(ApiError::missing("parent_id", "a task id", missing));
    };
    let page = page(&mut params, Page::MAX)?;
    Ok(Read { call: Call::Children(Children { parent, page }), warnings: params.warnings() })
}

pub(super) fn count(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.count", params)?;
    let user_id = params.text("user_id")?;
    let root_only = params.flag("root_only", false)?;
    let statuses = match params.take(&["statuses"]) {
        None => Vec::new(),
        Some((name, Value::Array(words))) => {
            let mut statuses = Vec::new();
            for word in &words {
                let status = status_word(name, word)?;
                if !statuses.contains(&status) {
                    statuses.push(status);
                }
            }
            statuses
        }
        Some((name, other)) => {
            return Err(ApiError::invalid(name, "an array of statuses", describe(&other)));
        }
    };
    let count = Count { user_id, root_only, statuses };
    Ok(Read { call: Call::Count(count), warnings: params.warnings() })
}

/// One of the five public words.
pub(in crate::api) fn status_word(name: &str, value: &Value) -> Result<Status, ApiError> {
    value.as_str().and_then(Status::parse).ok_or_else(|| {
        let words: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        ApiError::invalid(name, format!("one of {}", words.join(", ")), describe(value))
    })
}
