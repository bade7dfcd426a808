//! Writing tasks: create, update, delete.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::foreign;
use crate::{
    api::{
        ApiError, Caller, Gateway, Reply, Submit,
        call::{Create, Update},
        params::describe,
    },
    code::Code,
    id::TaskId,
    store::{Idempotency, Inserted, NewCallback, StoreError},
};

pub(crate) async fn create(
    gateway: &Gateway,
    caller: &Caller,
    create: Create,
) -> Result<Reply, ApiError> {
    let (inserted, warnings) = submit(gateway, caller, create, false, None, None).await?;
    let mut tasks = Vec::new();
    for root in &inserted.roots {
        tasks.extend(gateway.backend.trees().subtree(root).await?);
    }
    Ok(Reply::Created { tasks, warnings })
}

/// Stores new tasks, and starts them in the same transaction if `start`.
pub(super) async fn submit(
    gateway: &Gateway,
    caller: &Caller,
    create: Create,
    start: bool,
    callback: Option<NewCallback>,
    callback_url: Option<&str>,
) -> Result<(Inserted, Vec<String>), ApiError> {
    let Create { tasks, options, idempotency_key } = create;
    owned_by(caller, &tasks)?;
    let idempotency = idempotency_key.map(|key| {
        let mut request = json!({ "tasks": tasks, "options": options, "start": start });
        // Its headers may be secrets, and its id is made up each time.
        if let Some(url) = callback_url {
            request["callback"] = json!(url);
        }
        promise(caller, key, &request)
    });
    let user_id = caller.user_id.clone();
    gateway.backend.submit(Submit { tasks, options, start, idempotency, user_id, callback }).await
}

/// A caller's key for a request that says `body`.
pub(super) fn promise(caller: &Caller, key: String, body: &Value) -> Idempotency {
    let owner = caller.bound_to().unwrap_or_default().to_owned();
    Idempotency { owner, key, digest: digest(body) }
}

/// A caller bound to one owner cannot make tasks for another.
fn owned_by(caller: &Caller, tasks: &Value) -> Result<(), ApiError> {
    let Some(mine) = caller.bound_to() else { return Ok(()) };
    let items = match tasks {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    for owner in items.iter().filter_map(|task| task.get("user_id")) {
        match owner {
            Value::Null => {}
            Value::String(owner) if owner == mine => {}
            Value::String(other) => return Err(foreign(mine, other, "create")),
            other => return Err(ApiError::invalid("user_id", "a text", describe(other))),
        }
    }
    Ok(())
}

/// A digest that two requests share if they say the same; keys are sorted, so their order is no matter.
fn digest(request: &Value) -> String {
    use std::fmt::Write;
    let hash = Sha256::digest(canonical(request).to_string());
    hash.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let written = write!(hex, "{byte:02x}");
        debug_assert!(written.is_ok(), "a String takes everything");
        hex
    })
}

/// The same value with the keys of every object in order, however maps are built.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            Value::Object(entries.into_iter().map(|(k, v)| (k.clone(), canonical(v))).collect())
        }
        other => other.clone(),
    }
}

pub(crate) async fn update(
    gateway: &Gateway,
    caller: &Caller,
    update: Update,
) -> Result<Reply, ApiError> {
    let Update { task, patch } = update;
    let record = gateway.existing(caller, &task).await?;
    if patch == crate::store::Patch::default() {
        return Ok(Reply::Task(Some(Box::new(record))));
    }
    crate::api::patch_schedule::check(&record.definition.schedule, &patch)?;
    gateway.backend.update(&task, patch).await.map_err(|error| match error {
        StoreError::Rejected(reasons) => {
            let detail = format!("Update failed:\n- {}", reasons.join("\n- "));
            ApiError::new(Code::InvalidParams, detail)
        }
        error @ (StoreError::Cycle { .. } | StoreError::UnknownDependency { .. }) => {
            let error = ApiError::from(error);
            let detail = format!("Update failed:\n- {}", error.detail);
            ApiError { detail, ..error }
        }
        other => other.into(),
    })?;
    Ok(Reply::Task(Some(Box::new(gateway.existing(caller, &task).await?))))
}

pub(crate) async fn delete(
    gateway: &Gateway,
    caller: &Caller,
    task: TaskId,
) -> Result<Reply, ApiError> {
    gateway.existing(caller, &task).await?;
    let count = gateway.backend.delete(&task).await.map_err(|error| match error {
        // The store words the whole sentence, so that it is the same for those who call it directly.
        StoreError::Rejected(reasons) => ApiError::new(Code::CannotDelete, reasons.join("; ")),
        other => other.into(),
    })?;
    Ok(Reply::Deleted { task, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_does_not_depend_on_the_order_of_keys() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":{"c":2,"d":[1,2]}}"#).expect("json");
        let two: Value = serde_json::from_str(r#"{"b":{"d":[1,2],"c":2},"a":1}"#).expect("json");
        assert_eq!(digest(&one), digest(&two));
        assert_ne!(digest(&one), digest(&json!({"a": 1})));
        assert_eq!(digest(&one).len(), 64);
    }

    #[test]
    fn a_bound_caller_makes_only_its_own_tasks() {
        let me = Caller::user("u1");
        assert!(owned_by(&me, &json!([{"name": "a"}, {"name": "b", "user_id": "u1"}])).is_ok());
        let error = owned_by(&me, &json!({"user_id": "u2"})).expect_err("not mine");
        assert_eq!(
            error.detail,
            "Permission denied: User u1 can only create their own resources, not user u2's \
             resources"
        );
        assert!(owned_by(&Caller::local(), &json!({"user_id": "u2"})).is_ok());
    }
}
