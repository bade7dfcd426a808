//! Reading the parameters of the operations on parked tasks.

use serde_json::{Map, Value};

use super::{Call, ID, Read};
use crate::{
    api::{
        ApiError,
        params::{Params, describe},
    },
    executor::check_topic,
    id::{TaskId, TreeId, check_id},
    store::{Page, WaitFilter, WaitState},
    task::WaitFor,
};

/// Which waits to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackList {
    /// Which.
    pub filter: WaitFilter,
    /// Which part.
    pub page: Page,
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedbackRespond {
    /// The question.
    pub id: String,
    /// The answer, as it was written.
    pub answer: Value,
    /// Who says so, where the caller may speak for others.
    pub by: Option<String>,
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventsPublish {
    /// What it is about.
    pub topic: String,
    /// What goes with it.
    pub payload: Value,
    /// The same key on a topic is the same event.
    pub key: Option<String>,
}

/// A task to hold back or to let go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TasksPause {
    /// The task.
    pub task: TaskId,
    /// Its whole tree.
    pub tree: bool,
    /// Hold back, or let go on.
    pub paused: bool,
}

/// Fields that say an answer without the word `answer`, as some clients write it.
const ANSWERS: [&str; 5] = ["approved", "text", "selected", "selected_multiple", "custom_data"];

fn word<T>(
    params: &mut Params,
    name: &'static str,
    words: &[&str],
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    let Some(word) = params.text(name)? else { return Ok(None) };
    parse(&word).map(Some).ok_or_else(|| {
        ApiError::invalid(name, format!("one of {}", words.join(", ")), describe(&word.into()))
    })
}

pub(super) fn list(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("feedback.list", params)?;
    let kinds = WaitFor::ALL.map(WaitFor::as_str);
    let states = WaitState::ALL.map(WaitState::as_str);
    let filter = WaitFilter {
        what: word(&mut params, "for", &kinds, WaitFor::parse)?.or(Some(WaitFor::Feedback)),
        state: word(&mut params, "state", &states, WaitState::parse)?,
        task: params.id(&["task_id"])?,
        tree: params.text("tree_id")?.map(TreeId::new),
        user_id: params.text("user_id")?,
    };
    let page = super::query::page(&mut params, Page::default().limit)?;
    let list = FeedbackList { filter, page };
    Ok(Read { call: Call::FeedbackList(Box::new(list)), warnings: params.warnings() })
}

fn id(params: &mut Params) -> Result<String, ApiError> {
    params
        .text("id")?
        .filter(|id| !id.is_empty())
        .ok_or_else(|| ApiError::missing("id", "the id of a question", "id is required"))
}

pub(super) fn get(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("feedback.get", params)?;
    let call = Call::FeedbackGet(id(&mut params)?);
    Ok(Read { call, warnings: params.warnings() })
}

pub(super) fn respond(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("feedback.respond", params)?;
    let id = id(&mut params)?;
    let mut fields = Map::new();
    for name in ANSWERS {
        if let Some((name, value)) = params.take(&[name]).filter(|(_, value)| !value.is_null()) {
            fields.insert(name.to_owned(), value);
        }
    }
    if let Some(reason) = params.text("reason")? {
        fields.insert("reason".to_owned(), Value::String(reason));
    }
    let said = params.take(&["answer"]).map(|(_, value)| value).filter(|value| !value.is_null());
    let answer = match said {
        // Where a reason stands beside a bare answer, both count.
        Some(Value::Bool(approved)) if fields.contains_key("reason") => {
            fields.insert("approved".to_owned(), Value::Bool(approved));
            Value::Object(fields)
        }
        Some(value) => value,
        None if fields.keys().all(|field| field == "reason") => {
            let expected = format!("the answer, or one of {}", ANSWERS.join(", "));
            return Err(ApiError::missing("answer", &expected, "answer is required"));
        }
        None => Value::Object(fields),
    };
    let by = params.text("responded_by")?;
    let respond = FeedbackRespond { id, answer, by };
    Ok(Read { call: Call::FeedbackRespond(Box::new(respond)), warnings: params.warnings() })
}

/// So many characters of a reason; it stands in an address on `/v1`.
pub(crate) const MAX_WHY: usize = 500;

pub(super) fn cancel(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("feedback.cancel", params)?;
    let id = id(&mut params)?;
    let reason = params.text("reason")?.filter(|reason| !reason.trim().is_empty());
    let reason = reason.unwrap_or_else(|| "the question was withdrawn".to_owned());
    if reason.chars().count() > MAX_WHY {
        let expected = format!("at most {MAX_WHY} characters");
        return Err(ApiError::invalid("reason", expected, "a longer text"));
    }
    Ok(Read { call: Call::FeedbackCancel { id, reason }, warnings: params.warnings() })
}

pub(super) fn publish(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("events.publish", params)?;
    let Some(topic) = params.text("topic")? else {
        return Err(ApiError::missing("topic", "what the event is about", "topic is required"));
    };
    if let Some(fault) = check_topic(&topic) {
        return Err(ApiError::invalid("topic", fault, describe(&Value::String(topic))));
    }
    let payload = params.take(&["payload"]).map_or(Value::Null, |(_, payload)| payload);
    let key = params.text("key")?;
    if let Some(fault) = key.as_deref().and_then(check_id) {
        return Err(ApiError::invalid("key", "1 to 255 characters", fault));
    }
    let publish = EventsPublish { topic, payload, key };
    Ok(Read { call: Call::EventsPublish(Box::new(publish)), warnings: params.warnings() })
}

pub(super) fn pause(method: &'static str, params: Value, paused: bool) -> Result<Read, ApiError> {
    let mut params = Params::new(method, params)?;
    let Some(task) = params.id(ID)? else {
        return Err(ApiError::missing("task_id", "a task id", "Task ID is required"));
    };
    let tree = params.flag("tree", false)?;
    let pause = TasksPause { task, tree, paused };
    Ok(Read { call: Call::TasksPause(pause), warnings: params.warnings() })
}
