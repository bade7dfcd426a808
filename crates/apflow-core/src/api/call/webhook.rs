//! Reading the parameters of a webhook that comes as a call.

use serde_json::Value;

use super::{Call, ID, Read};
use crate::{
    api::{ApiError, params::Params},
    webhook::{Signature, Trigger},
};

pub(super) fn trigger(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("tasks.webhook.trigger", params)?;
    let Some(task) = params.id(ID)? else {
        return Err(ApiError::missing("task_id", "a task id", "Task ID is required"));
    };
    let timestamp = params.text_or_number("timestamp")?;
    let signature = match params.text("signature")? {
        Some(signature) => Signature::Own { signature, timestamp },
        None => Signature::None,
    };
    let wait = !params.flag("async_execution", true)?;
    // Whoever may send calls here is answered anyway; a server that knows better says so.
    let (client_ip, local) = (None, true);
    let trigger = Trigger { task, wait, signature, body: Vec::new(), client_ip, local };
    Ok(Read { call: Call::WebhookTrigger(Box::new(trigger)), warnings: params.warnings() })
}
