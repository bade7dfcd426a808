//! Reading the parameters of the operations that look at what goes on.

use serde_json::Value;

use super::{Call, ID, Read};
use crate::{
    api::{ApiError, params::Params},
    store::Page,
};

/// Which tasks in progress to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningList {
    /// Only this owner's.
    pub user_id: Option<String>,
    /// At most so many.
    pub limit: u32,
}

pub(super) fn running_list(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.running.list", params)?;
    let user_id = params.text("user_id")?;
    let limit = params.number("limit", Page::default().limit, Page::MAX)?;
    let list = RunningList { user_id, limit };
    Ok(Read { call: Call::RunningList(list), warnings: params.warnings() })
}

pub(super) fn running_status(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.running.status", params)?;
    let mut tasks = params.ids(&["task_ids", "context_ids"])?;
    if let Some(task) = params.id(ID)?
        && tasks.is_empty()
    {
        tasks.push(task);
    }
    Ok(Read { call: Call::RunningStatus(tasks), warnings: params.warnings() })
}
