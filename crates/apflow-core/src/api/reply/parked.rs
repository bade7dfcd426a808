//! What is known of waits and pauses, as JSON.

use serde_json::{Value, json};

use crate::{
    id::TaskId,
    store::{PauseAnswer, Published, WaitRecord},
};

pub(super) fn wait(record: &WaitRecord) -> Value {
    json!({
        "id": record.id, "task_id": record.task, "tree_id": record.tree, "name": record.name,
        "user_id": record.user_id, "run": record.run, "key": record.key, "for": record.what,
        "state": record.state, "detail": record.detail, "on_timeout": record.on_timeout,
        "escalated_to": record.escalated_to, "answer": record.answer,
        "answered_by": record.answered_by, "asked_at": record.asked_at, "until": record.until,
        "answered_at": record.answered_at, "page": record.page,
    })
}

pub(super) fn published(published: &Published) -> Value {
    let Published { id, woken, replayed } = published;
    json!({ "id": id, "woken": woken, "replayed": replayed })
}

pub(super) fn paused(task: &TaskId, paused: bool, answer: &PauseAnswer) -> Value {
    let PauseAnswer { tree, tasks, changed } = answer;
    json!({
        "task_id": task, "tree_id": tree, "paused": paused, "tasks": tasks, "changed": changed,
    })
}
