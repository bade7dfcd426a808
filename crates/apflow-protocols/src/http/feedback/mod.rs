//! `/feedback/{id}?token=…`: a page on which a person answers a question of a task.
//!
//! Whoever holds the link may answer, once, and nothing else. There is no cookie and no script. A wrong
//! token and a question that does not exist are the same answer.

mod form;
mod page;

use std::sync::Arc;

use apflow_core::{api::ApiError, code::Code, question::Question, store::WaitRecord};
use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use tokio::time::{Instant, timeout_at};

use self::form::Fields;
use super::{App, body, guard::one, router::too_slow};

/// An id or a token that is longer is none.
const LONGEST: usize = 255;
/// Characters that are kept of the name somebody gives.
const LONGEST_NAME: usize = 80;

/// A request for a page: which question, and what opens it.
struct Asked {
    id: String,
    token: String,
}

impl Asked {
    fn of(id: Result<Path<String>, PathRejection>, query: Option<&str>) -> Option<Self> {
        let Ok(Path(id)) = id else { return None };
        let token = Fields::read(query.unwrap_or_default())?.only("token")?.to_owned();
        let fits = |text: &str| (1..=LONGEST).contains(&text.len());
        (fits(&id) && fits(&token)).then_some(Self { id, token })
    }
}

/// The form, or what became of the question.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let deadline = Instant::now() + app.config.total;
    let Some(asked) = Asked::of(id, request.uri().query()) else { return page::nowhere() };
    match find(&app, &asked, deadline).await {
        Ok(wait) => form_of(&app, &asked, &wait, None),
        Err(response) => *response,
    }
}

/// Takes an answer.
pub(super) async fn take(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let deadline = Instant::now() + app.config.total;
    let (parts, body) = request.into_parts();
    let bytes = match body::read(&app.config, &parts.headers, body, deadline).await {
        Ok(bytes) => bytes,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(asked) = Asked::of(id, parts.uri.query()) else { return page::nowhere() };
    let wait = match find(&app, &asked, deadline).await {
        Ok(wait) => wait,
        Err(response) => return *response,
    };
    let said = is_form(&parts.headers)
        .then_some(&bytes)
        .and_then(|bytes| std::str::from_utf8(bytes).ok().and_then(Fields::read));
    let Some(said) = said else { return page::unreadable() };
    let passes = app.gateway.passes();
    let proof = said.only("form").unwrap_or_default();
    if !passes.is_some_and(|passes| passes.is_form(&asked.id, &asked.token, proof)) {
        return page::stale();
    }
    let Ok(question) = Question::of(&wait.detail) else { return page::broken() };
    let answer = match form::answer(&question, &said) {
        Ok(answer) => answer,
        Err(why) => return form_of(&app, &asked, &wait, Some(&why)),
    };
    let by = match said.only("by").map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => format!("link: {}", name.chars().take(LONGEST_NAME).collect::<String>()),
        None => "link".to_owned(),
    };
    let answering = app.gateway.answer_behind(&asked.id, &asked.token, answer, by);
    match timeout_at(deadline, answering).await.unwrap_or_else(|_| Err(too_slow(&app))) {
        Ok(_) => page::done(),
        Err(error) if error.code == Code::UnfitAnswer => {
            form_of(&app, &asked, &wait, Some(&error.detail))
        }
        Err(error) if error.code == Code::WaitClosed => match find(&app, &asked, deadline).await {
            Ok(wait) => page::gone(&wait),
            Err(response) => *response,
        },
        Err(error) => failed(&error),
    }
}

/// The question, or the page to answer with in its place.
async fn find(app: &App, asked: &Asked, deadline: Instant) -> Result<WaitRecord, Box<Response>> {
    let finding = app.gateway.question_behind(&asked.id, &asked.token);
    match timeout_at(deadline, finding).await.unwrap_or_else(|_| Err(too_slow(app))) {
        Ok(Some(wait)) => Ok(wait),
        Ok(None) => Err(Box::new(page::nowhere())),
        Err(error) => Err(Box::new(failed(&error))),
    }
}

fn form_of(app: &App, asked: &Asked, wait: &WaitRecord, wrong: Option<&str>) -> Response {
    if !wait.is_open() {
        return page::gone(wait);
    }
    let Ok(question) = Question::of(&wait.detail) else { return page::broken() };
    let proof = app.gateway.passes().and_then(|passes| passes.form(&asked.id, &asked.token));
    match proof {
        Some(proof) => page::form(wait, &question, &proof, wrong),
        None => page::nowhere(),
    }
}

/// A browser sends a form in this kind; another page could send others without being asked.
fn is_form(headers: &HeaderMap) -> bool {
    let Ok(Some(kind)) = one(headers, &header::CONTENT_TYPE, "Content-Type") else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn failed(error: &ApiError) -> Response {
    if let Some(source) = &error.source {
        tracing::error!(code = %error.code, %source, "a question could not be shown or answered");
    }
    let status =
        StatusCode::from_u16(error.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    page::trouble(status, error.code.as_str())
}
