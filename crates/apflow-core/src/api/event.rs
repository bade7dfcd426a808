//! How an event is worded: for streams of events, and for callbacks, as the Python API worded them.
//!
//! Other than there, a moment has an offset, a cancellation is told, and only the end of a run is
//! `final`.

use serde_json::{Map, Value, json};

use super::reply::PROTOCOL;
use crate::{
    id::TaskId,
    store::{EventKind, Told},
    task::{Outcome, Status},
    time::Timestamp,
};

/// What the first event of a run says.
const STARTED: &str = "Task tree execution started";

/// The word for the end of one of several trees that run together.
pub const RUN_FINISHED: &str = "run_finished";
/// The word for the end of a stream.
pub const STREAM_END: &str = "stream_end";

/// The word that names the event on a stream.
pub const fn kind(event: EventKind) -> &'static str {
    match event {
        EventKind::RunStarted => "progress",
        // To the public a skipped task is cancelled (ruling 6).
        EventKind::Skipped => EventKind::Cancelled.as_str(),
        other => other.as_str(),
    }
}

/// How the run ended, if the event says so.
pub fn outcome(told: &Told) -> Option<Outcome> {
    if told.event.kind != EventKind::RunFinished {
        return None;
    }
    told.event.detail.get("outcome").and_then(Value::as_str).and_then(Outcome::parse)
}

/// The data of an event on a stream.
pub fn data(told: &Told) -> Value {
    Value::Object(words(told))
}

/// The end of one of several trees, which is not yet the end of everything.
pub fn part_finished(told: &Told) -> Value {
    let mut data = words(told);
    data.insert("type".to_owned(), json!(RUN_FINISHED));
    data.remove("final");
    Value::Object(data)
}

/// The end of a run of `root`, and of whatever else began with it.
pub fn last(root: &TaskId, outcome: Outcome, at: Timestamp) -> Value {
    let mut data = Map::new();
    data.insert("type".to_owned(), json!(kind(EventKind::RunFinished)));
    data.insert("task_id".to_owned(), json!(root));
    data.insert("root_task_id".to_owned(), json!(root));
    finish(&mut data, outcome);
    data.insert("timestamp".to_owned(), json!(at));
    Value::Object(data)
}

/// The end of a stream.
pub fn stream_end(root: &TaskId) -> Value {
    json!({ "type": STREAM_END, "task_id": root })
}

/// The body of a callback.
pub fn callback(told: &Told) -> Value {
    let mut body = words(told);
    body.insert("protocol".to_owned(), json!(PROTOCOL));
    let progress = match told.event.kind {
        EventKind::Completed => 1.0,
        EventKind::RunFinished if outcome(told) == Some(Outcome::Completed) => 1.0,
        _ => 0.0,
    };
    body.insert("progress".to_owned(), json!(progress));
    body.insert("message".to_owned(), json!(message(told)));
    body.entry("final").or_insert(Value::Bool(false));
    Value::Object(body)
}

fn words(told: &Told) -> Map<String, Value> {
    let event = &told.event;
    let mut data = Map::new();
    let mut put = |key: &str, value: Value| drop(data.insert(key.to_owned(), value));
    put("type", json!(kind(event.kind)));
    put("task_id", json!(event.task.as_ref().unwrap_or(&told.root)));
    put("root_task_id", json!(told.root));
    put("tree_id", json!(event.tree));
    put("timestamp", json!(event.at));
    if event.attempt > 0 {
        put("attempt", json!(event.attempt));
    }
    put("status", json!(status(event.kind)));
    match event.kind {
        EventKind::RunStarted => {
            put("progress", json!(0.0));
            put("message", json!(STARTED));
        }
        EventKind::RunFinished => finish(&mut data, outcome(told).unwrap_or(Outcome::Failed)),
        EventKind::Completed => {
            put("result", told.result.clone().unwrap_or(Value::Null));
            if told.result_omitted {
                put("result_omitted", Value::Bool(true));
            }
        }
        EventKind::Failed | EventKind::Cancelled | EventKind::Skipped => {
            put("error", event.detail.get("error").cloned().unwrap_or(Value::Null));
        }
        EventKind::Retrying => {
            put("retry_at", event.detail.get("at").cloned().unwrap_or(Value::Null));
        }
        EventKind::SlotFired | EventKind::SlotSkipped | EventKind::ScheduleEnded => {
            put("detail", event.detail.clone());
        }
        EventKind::Spawned | EventKind::Iterated | EventKind::Jumped => {
            put("detail", event.detail.clone());
        }
        EventKind::Paused | EventKind::Resumed => {
            // Pausing leaves the task where it is.
            if let Some(status) = event.detail.get("status") {
                put("status", status.clone());
            }
        }
        EventKind::Started
        | EventKind::Parked
        | EventKind::Answered
        | EventKind::Requeued
        | EventKind::Reset => {}
    }
    data
}

fn finish(data: &mut Map<String, Value>, outcome: Outcome) {
    let (result, error) = match outcome {
        Outcome::Completed => (json!({ "progress": 1.0 }), Value::Null),
        Outcome::Failed => (Value::Null, json!("Task tree execution failed")),
        Outcome::Cancelled => (Value::Null, json!("Task tree execution cancelled")),
    };
    data.insert("status".to_owned(), json!(outcome.as_str()));
    data.insert("result".to_owned(), result);
    data.insert("error".to_owned(), error);
    data.insert("final".to_owned(), Value::Bool(true));
}

/// Where the event leaves the task, in the words of the public.
const fn status(event: EventKind) -> Status {
    match event {
        EventKind::RunStarted
        | EventKind::Started
        | EventKind::Retrying
        | EventKind::Parked
        | EventKind::Spawned
        | EventKind::Iterated
        | EventKind::Jumped => Status::InProgress,
        EventKind::Requeued
        | EventKind::Reset
        | EventKind::Answered
        | EventKind::Paused
        | EventKind::Resumed
        | EventKind::SlotFired
        | EventKind::SlotSkipped
        | EventKind::ScheduleEnded => Status::Pending,
        EventKind::Completed | EventKind::RunFinished => Status::Completed,
        EventKind::Failed => Status::Failed,
        EventKind::Cancelled | EventKind::Skipped => Status::Cancelled,
    }
}

fn message(told: &Told) -> &'static str {
    match told.event.kind {
        EventKind::RunStarted => STARTED,
        EventKind::RunFinished => match outcome(told) {
            Some(Outcome::Completed) => "Task tree execution completed",
            Some(Outcome::Cancelled) => "Task tree execution cancelled",
            Some(Outcome::Failed) | None => "Task tree execution failed",
        },
        EventKind::Started => "Task started",
        EventKind::Completed => "Task completed",
        EventKind::Failed => "Task failed",
        EventKind::Cancelled | EventKind::Skipped => "Task cancelled",
        EventKind::Retrying => "Task failed and will be tried again",
        EventKind::Parked => "Task waits",
        EventKind::Requeued => "Task was given back and will be tried again",
        EventKind::Reset => "Task was set back",
        EventKind::Spawned => "Task brought more tasks into being",
        EventKind::Iterated => "Task goes round once more",
        EventKind::Jumped => "Task went on with another one",
        EventKind::Answered => "Task goes on",
        EventKind::Paused => "Task was paused",
        EventKind::Resumed => "Task was resumed",
        EventKind::SlotFired => "Task is due",
        EventKind::SlotSkipped => "Task was due and left out",
        EventKind::ScheduleEnded => "Task has no more times at which it is due",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::TreeId, store::TaskEvent};

    fn told(kind: EventKind, detail: Value) -> Told {
        let task = !matches!(kind, EventKind::RunStarted | EventKind::RunFinished);
        Told {
            event: TaskEvent {
                seq: 7,
                tree: TreeId::new("t"),
                task: task.then(|| TaskId::new("a")),
                kind,
                attempt: u32::from(task),
                at: "2026-11-20T15:54:50.074885+00:00".parse().expect("a moment"),
                detail,
            },
            root: TaskId::new("r"),
            owner: None,
            result: None,
            result_omitted: false,
        }
    }

    #[test]
    fn the_first_event_says_what_clients_look_for() {
        assert_eq!(
            data(&told(EventKind::RunStarted, json!({"run": 1}))),
            json!({"type": "progress", "task_id": "r", "root_task_id": "r", "tree_id": "t",
                "status": "in_progress", "progress": 0.0,
                "message": "Task tree execution started",
                "timestamp": "2026-11-20T15:54:50.074885+00:00"})
        );
    }

    #[test]
    fn k19_only_the_end_of_a_run_is_final() {
        for kind in EventKind::ALL {
            let told = told(*kind, json!({"outcome": "completed"}));
            let is_end = *kind == EventKind::RunFinished;
            assert_eq!(data(&told).get("final"), is_end.then_some(&Value::Bool(true)), "{kind:?}");
            assert_eq!(callback(&told)["final"], Value::Bool(is_end), "{kind:?}");
        }
    }

    #[test]
    fn an_end_says_how_it_went() {
        let end = |outcome: &str| data(&told(EventKind::RunFinished, json!({"outcome": outcome})));
        let (well, badly) = (end("completed"), end("failed"));
        assert_eq!((&well["result"], &well["error"]), (&json!({"progress": 1.0}), &Value::Null));
        assert_eq!(badly["status"], "failed");
        assert_eq!(
            (&badly["result"], &badly["error"]),
            (&Value::Null, &json!("Task tree execution failed"))
        );
        let at = "2026-11-20T15:54:50.074885+00:00".parse().expect("a moment");
        let last = last(&TaskId::new("r"), Outcome::Cancelled, at);
        assert_eq!((&last["status"], &last["final"]), (&json!("cancelled"), &json!(true)));
    }

    #[test]
    fn a_task_that_ended_says_what_came_of_it() {
        let mut done = told(EventKind::Completed, Value::Null);
        done.result = Some(json!({"sum": 3}));
        assert_eq!(data(&done)["result"], json!({"sum": 3}));
        (done.result, done.result_omitted) = (None, true);
        assert_eq!(data(&done)["result_omitted"], true);
        let failed = data(&told(EventKind::Failed, json!({"kind": "x", "error": "it broke"})));
        assert_eq!(
            (&failed["type"], &failed["status"], &failed["error"]),
            (&json!("task_failed"), &json!("failed"), &json!("it broke"))
        );
        let skipped = data(&told(EventKind::Skipped, json!({"error": "why"})));
        assert_eq!(
            (&skipped["type"], &skipped["status"], &skipped["error"]),
            (&json!("task_cancelled"), &json!("cancelled"), &json!("why"))
        );
    }

    #[test]
    fn a_callback_has_every_key_of_the_python_api() {
        let mut done = told(EventKind::Completed, Value::Null);
        done.result = Some(json!(1));
        let body = callback(&done);
        for key in [
            "protocol",
            "root_task_id",
            "task_id",
            "status",
            "progress",
            "message",
            "type",
            "timestamp",
            "final",
            "result",
        ] {
            assert!(body.get(key).is_some(), "{key}");
        }
        assert_eq!((&body["protocol"], &body["progress"]), (&json!("jsonrpc"), &json!(1.0)));
        let started = callback(&told(EventKind::RunStarted, Value::Null));
        assert_eq!(started["message"], "Task tree execution started");
    }
}
