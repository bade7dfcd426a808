//! Making tasks from stored ones: clone.

use serde_json::{Map, Value, json};

use super::{author::promise, owner};
use crate::{
    api::{ApiError, Caller, Gateway, Reply, call::CloneTasks},
    derive::Derive,
};

pub(crate) async fn derive(
    gateway: &Gateway,
    caller: &Caller,
    clone: CloneTasks,
) -> Result<Reply, ApiError> {
    let CloneTasks { mut wish, idempotency_key, reset_fields } = clone;
    gateway.existing(caller, &wish.task).await?;
    if wish.user_id.is_some() {
        // Whoever is bound to one owner makes tasks for that one only.
        wish.user_id = owner(caller, wish.user_id, "copy")?;
    }
    wish.idempotency = idempotency_key.map(|key| promise(caller, key, &body(&wish, &reset_fields)));
    let recursive = wish.recursive;
    let derived = gateway.backend.derive(wish).await?;
    if let Some(tasks) = derived.preview {
        return Ok(Reply::Created { tasks, warnings: Vec::new() });
    }
    let mut tasks = Vec::new();
    for root in &derived.inserted.roots {
        if recursive {
            tasks.extend(gateway.backend.trees().subtree(root).await?);
        } else {
            // An archived task may have others below it, which are not.
            tasks.extend(gateway.backend.trees().record(root).await?);
        }
    }
    Ok(Reply::Created { tasks, warnings: Vec::new() })
}

/// What makes two requests one: everything that was asked for.
fn body(wish: &Derive, reset_fields: &Map<String, Value>) -> Value {
    json!({
        "clone": wish.task, "mode": wish.mode, "recursive": wish.recursive, "links": wish.links,
        "reset": reset_fields, "user_id": wish.user_id,
        "auto_include_deps": wish.auto_include_deps,
        "include_dependents": wish.include_dependents, "preview": wish.preview,
    })
}
