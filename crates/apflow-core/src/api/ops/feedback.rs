//! Parked tasks: listing what they wait for, answering, withdrawing, events, and pauses.

use serde_json::Value;

use super::owner;
use crate::{
    api::{
        Action, ApiError, Caller, Gateway, Reply,
        call::{EventsPublish, FeedbackList, FeedbackRespond, TasksPause},
    },
    code::Code,
    question::{MAX_ANSWER_BYTES, Question},
    store::{Answering, Pause, Publish, StoreError, WaitRecord, WaitStore},
    task::WaitFor,
};

fn waits(gateway: &Gateway) -> Result<&dyn WaitStore, ApiError> {
    let none = || ApiError::from(StoreError::NotOffered { what: "parked tasks" });
    gateway.backend.waits().ok_or_else(none)
}

pub(crate) async fn list(
    gateway: &Gateway,
    caller: &Caller,
    list: FeedbackList,
) -> Result<Reply, ApiError> {
    let FeedbackList { mut filter, page } = list;
    filter.user_id = owner(caller, filter.user_id, "list")?;
    if page.limit == 0 {
        return Ok(Reply::Waits(Vec::new()));
    }
    let mut found = waits(gateway)?.waits(&filter, page).await?;
    for wait in &mut found {
        wait.page = page_of(gateway, caller, wait);
    }
    Ok(Reply::Waits(found))
}

/// Where a question is answered without an account, for those who may answer it.
fn page_of(gateway: &Gateway, caller: &Caller, wait: &WaitRecord) -> Option<String> {
    let is_asked = wait.what == WaitFor::Feedback && wait.is_open();
    let may = is_asked && caller.may(Action::Write) && caller.sees(wait.user_id.as_deref());
    gateway.passes().filter(|_| may)?.link(&wait.id)
}

/// The question behind a link; whether the token or the id is wrong is not told.
pub(crate) async fn behind(
    gateway: &Gateway,
    id: &str,
    token: &str,
) -> Result<Option<WaitRecord>, ApiError> {
    if !gateway.passes().is_some_and(|passes| passes.opens(id, token)) {
        return Ok(None);
    }
    let found = waits(gateway)?.wait(id).await?;
    Ok(found.filter(|wait| wait.what == WaitFor::Feedback))
}

/// Answers the question behind a link.
pub(crate) async fn answer_behind(
    gateway: &Gateway,
    id: &str,
    token: &str,
    answer: Value,
    by: String,
) -> Result<WaitRecord, ApiError> {
    let none = || ApiError::from(StoreError::NoSuchWait { id: id.to_owned() });
    let wait = behind(gateway, id, token).await?.ok_or_else(none)?;
    answered(gateway, wait, answer, Some(by)).await
}

pub(crate) async fn get(gateway: &Gateway, caller: &Caller, id: &str) -> Result<Reply, ApiError> {
    let mut wait = existing(gateway, caller, id).await?;
    wait.page = page_of(gateway, caller, &wait);
    Ok(Reply::Wait(Box::new(wait)))
}

/// The wait, if there is one and the caller may know of it.
async fn existing(gateway: &Gateway, caller: &Caller, id: &str) -> Result<WaitRecord, ApiError> {
    let found = waits(gateway)?.wait(id).await?;
    found
        .filter(|wait| caller.sees(wait.user_id.as_deref()))
        .ok_or_else(|| StoreError::NoSuchWait { id: id.to_owned() }.into())
}

pub(crate) async fn respond(
    gateway: &Gateway,
    caller: &Caller,
    respond: FeedbackRespond,
) -> Result<Reply, ApiError> {
    let FeedbackRespond { id, answer, by } = respond;
    let wait = existing(gateway, caller, &id).await?;
    // Who is bound to a name cannot speak for another one.
    let by = caller.bound_to().map(str::to_owned).or(by);
    Ok(Reply::Wait(Box::new(answered(gateway, wait, answer, by).await?)))
}

async fn answered(
    gateway: &Gateway,
    wait: WaitRecord,
    answer: Value,
    by: Option<String>,
) -> Result<WaitRecord, ApiError> {
    if !wait.is_open() {
        return Err(StoreError::WaitClosed { id: wait.id, state: wait.state }.into());
    }
    let value = fitting(&wait, answer)?;
    let answering = Answering { id: wait.id, value, by, withdraw: false };
    Ok(waits(gateway)?.answer(answering).await?)
}

/// The answer as it is stored, if it fits what was asked.
fn fitting(wait: &WaitRecord, answer: Value) -> Result<Value, ApiError> {
    let unfit = |reason: &str, expected: &str| {
        let detail = format!("the answer does not fit the question: {reason}");
        ApiError::refused(Code::UnfitAnswer, "answer", detail).hint(format!("answer {expected}"))
    };
    match wait.what {
        WaitFor::Feedback => {
            let question = Question::of(&wait.detail)
                .map_err(|fault| unfit(&format!("the question cannot be read: {fault}"), "it"))?;
            let reply = question.read(&answer);
            reply.map(|reply| reply.to_value()).map_err(|no| unfit(&no.reason, &no.expected))
        }
        WaitFor::Budget if answer.to_string().len() <= MAX_ANSWER_BYTES => Ok(answer),
        WaitFor::Budget => Err(unfit("it is too long", "shorter")),
        WaitFor::Event => Err(unfit("the task waits for an event", "with `events.publish`")),
        WaitFor::Timer | WaitFor::Child | WaitFor::Report => {
            Err(unfit("nobody was asked", "questions only"))
        }
    }
}

pub(crate) async fn cancel(
    gateway: &Gateway,
    caller: &Caller,
    id: String,
    reason: String,
) -> Result<Reply, ApiError> {
    existing(gateway, caller, &id).await?;
    let by = caller.bound_to().map(str::to_owned);
    let answering = Answering { id, value: Value::String(reason), by, withdraw: true };
    Ok(Reply::Wait(Box::new(waits(gateway)?.answer(answering).await?)))
}

pub(crate) async fn publish(
    gateway: &Gateway,
    caller: &Caller,
    publish: EventsPublish,
) -> Result<Reply, ApiError> {
    let EventsPublish { topic, payload, key } = publish;
    let bytes = payload.to_string().len();
    if bytes > MAX_ANSWER_BYTES {
        let detail = format!("the payload is {bytes} bytes long, where {MAX_ANSWER_BYTES} go");
        return Err(ApiError::refused(Code::TooLarge, "payload", detail));
    }
    let user_id = caller.bound_to().map(str::to_owned);
    let id = gateway.backend.next_id();
    let event = Publish { id, topic, payload, key, user_id };
    Ok(Reply::Published(waits(gateway)?.publish(event).await?))
}

pub(crate) async fn pause(
    gateway: &Gateway,
    caller: &Caller,
    wish: TasksPause,
) -> Result<Reply, ApiError> {
    let TasksPause { task, tree, paused } = wish;
    gateway.existing(caller, &task).await?;
    let answer = waits(gateway)?.pause(Pause { task: task.clone(), tree, paused }).await?;
    Ok(Reply::Paused { task, paused, answer })
}
