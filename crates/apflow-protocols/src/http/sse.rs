//! Streams of events: everything that happens, or the run that was just begun.
//!
//! The id of an event is its position in the journal, so a client that lost its connection comes back
//! with `Last-Event-ID` and misses nothing. What a stream holds is bounded whatever the client does:
//! a batch of events, a page of them while it catches up, and what hyper has not yet sent.

use std::{collections::HashMap, sync::Arc};

use apflow_core::{
    api::{
        ApiError, Caller, Follow, Listen, Reply, Said,
        call::{Call, Execute},
        feed::Subscription,
    },
    code::Code,
    id::{TaskId, TreeId, check_id},
    store::StoreError,
};
use axum::{
    body::Body,
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    App,
    connection::{Activity, Busy},
    guard::Refusal,
    router::{Asker, respond, too_slow},
    seats::Seat,
};
use crate::{
    adapter::ProtocolAdapter as _,
    jsonrpc::{Answer, Errors},
};

/// What the address takes.
const PARAMETERS: [&str; 3] = ["tree_id", "task_id", "after"];

/// `GET /v1/events`.
pub(super) async fn events(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let caller = caller(&parts);
    let opened = async {
        let wish = wish(&parts)?;
        let seat = app.seats.take(&app.config, &caller)?;
        Ok((app.gateway.listen(&caller, wish).await?, seat))
    };
    match opened.await {
        Ok((subscription, seat)) => {
            open(&app, &parts, None, Source::Listen(Box::new(subscription)), seat)
        }
        Err(error) => refuse(&app, error),
    }
}

/// Whether a request is to be answered with a stream. One that wants no answer gets none.
pub(super) fn is_asked_for(request: &Value) -> bool {
    let answered = request.get("id").is_some() || request.get("jsonrpc").is_none();
    answered
        && request.get("method").is_some_and(|method| method == "tasks.execute")
        && request.pointer("/params/use_streaming") == Some(&Value::Bool(true))
}

/// The answer to a stream that is asked for among other requests.
pub(super) fn not_in_a_batch(errors: Errors, request: &Value) -> Answer {
    let id = match request.get("id") {
        Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
        _ => Value::Null,
    };
    let detail = "`use_streaming` cannot be part of a batch; nothing was run";
    let error = ApiError::refused(Code::InvalidParams, "use_streaming", detail);
    errors.refusal(&id, &error.hint("send the request alone, or follow the run at /v1/events"))
}

/// Begins a run and tells what happens in it; what cannot begin is answered like any other call.
pub(super) async fn execute(
    asker: &Asker<'_>,
    parts: &Parts,
    request: Value,
    deadline: Instant,
) -> Response {
    let Asker { app, adapter, caller, .. } = asker;
    let (envelope, call) = match adapter.decode(request) {
        Ok(decoded) => decoded,
        Err(answer) => return respond(answer),
    };
    if !matches!(call, Call::Execute(Execute { streaming: true, .. })) {
        let answer = adapter.encode(envelope, app.gateway.call(caller, call).await);
        return respond(answer);
    }
    let begun = async {
        // Before anything runs: a run that nobody can follow is not what was asked for.
        let seat = app.seats.take(&app.config, caller)?;
        let reply = timeout_at(deadline, app.gateway.call(caller, call))
            .await
            .unwrap_or_else(|_| Err(too_slow(app)))?;
        let source = match &reply {
            Reply::Executed(executed) => {
                let follow = app.gateway.follow(caller, executed).await?;
                Some((Source::Follow(Box::new(follow)), seat))
            }
            _ => None,
        };
        Ok((reply, source))
    };
    match begun.await {
        Ok((reply, source)) => {
            let answer = adapter.encode(envelope, Ok(reply));
            match (source, &answer.body) {
                (Some((source, seat)), Some(body)) => {
                    let first = format!("data: {body}\n\n");
                    open(app, parts, Some(first), source, seat)
                }
                _ => respond(answer),
            }
        }
        Err(error) => {
            let mut response = respond(adapter.encode(envelope, Err(error)));
            hint_when(app, &mut response);
            response
        }
    }
}

/// Who asks, as far as it is known.
fn caller(parts: &Parts) -> Caller {
    // The gate has noted it; without its note it is nobody.
    parts.extensions.get::<Caller>().cloned().unwrap_or_default()
}

fn wish(parts: &Parts) -> Result<Listen, ApiError> {
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .map_err(|_| ApiError::invalid("query", "pairs of names and values", "something else"))?;
    let mut given: HashMap<&'static str, String> = HashMap::new();
    for (name, value) in query.0 {
        let Some(known) = PARAMETERS.into_iter().find(|known| *known == name) else {
            let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
            let detail = format!("`{name}` is not a parameter of /v1/events");
            return Err(ApiError::refused(Code::InvalidParams, &name, detail)
                .hint(format!("it takes {}", PARAMETERS.join(", "))));
        };
        if given.insert(known, value).is_some() {
            return Err(ApiError::invalid(known, "given once", "given twice"));
        }
    }
    let id = |name: &'static str, text: &String| match check_id(text) {
        None => Ok(text.clone()),
        Some(why) => Err(ApiError::invalid(name, "an id of 1 to 255 characters", why)),
    };
    let position = |name: &'static str, text: &str| {
        text.parse::<i64>().ok().filter(|after| *after >= 0).ok_or_else(|| {
            let shown: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
            ApiError::invalid(name, "the id of an event, a whole number", format!("\"{shown}\""))
        })
    };
    // A browser that reconnects repeats the address and adds the header, so the header is newer.
    let after = match last_event_id(&parts.headers) {
        Some(text) => Some(position("Last-Event-ID", text)?),
        None => given.get("after").map(|text| position("after", text)).transpose()?,
    };
    Ok(Listen {
        tree: given.get("tree_id").map(|text| id("tree_id", text)).transpose()?.map(TreeId::new),
        task: given.get("task_id").map(|text| id("task_id", text)).transpose()?.map(TaskId::new),
        after,
    })
}

/// The header, if it says anything; what is not plain text is wrong and said to be so.
fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("last-event-id")?;
    let text = value.to_str().unwrap_or("?").trim();
    (!text.is_empty()).then_some(text)
}

fn refuse(app: &App, error: ApiError) -> Response {
    let mut response = Refusal::of(error).into_response();
    hint_when(app, &mut response);
    response
}

/// Says when a stream may be asked for again.
fn hint_when(app: &App, response: &mut Response) {
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        let seconds = app.config.stream_retry.as_secs().max(1);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// Where the events of a stream come from.
enum Source {
    /// Everything that somebody wants to hear; it has no end.
    Listen(Box<Subscription>),
    /// One run.
    Follow(Box<Follow>),
}

impl Source {
    /// What comes next; nothing once all was said.
    async fn next(&mut self) -> Result<Vec<Said>, StoreError> {
        match self {
            Self::Listen(subscription) => {
                Ok(subscription.next().await?.into_iter().map(Said::Item).collect())
            }
            Self::Follow(follow) => follow.next().await,
        }
    }
}

/// A stream that is being told.
struct Telling {
    first: Option<String>,
    source: Source,
    /// When the server wants the stream to end.
    stop: CancellationToken,
    heartbeat: std::time::Duration,
    retry: std::time::Duration,
    over: bool,
    _seat: Seat,
    /// The connection is not idle while it lasts.
    _busy: Option<Busy>,
}

fn open(app: &App, parts: &Parts, first: Option<String>, source: Source, seat: Seat) -> Response {
    let stop = match source {
        // It can be taken up elsewhere at once.
        Source::Listen(_) => app.draining.clone(),
        // The run has the grace to end.
        Source::Follow(_) => app.cut.clone(),
    };
    let telling = Telling {
        first: Some(first.unwrap_or_else(|| ": listening\n\n".to_owned())),
        source,
        stop,
        heartbeat: app.config.heartbeat,
        retry: app.config.stream_retry,
        over: false,
        _seat: seat,
        _busy: parts.extensions.get::<Arc<Activity>>().map(Activity::begin),
    };
    let chunks = stream::unfold(telling, |mut telling| async move {
        let chunk = telling.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(chunk)), telling))
    });
    let mut response = Body::from_stream(chunks).into_response();
    let fixed: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A proxy that gathers answers would keep events back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Telling {
    /// The next piece of the stream, or none at its end.
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if self.over {
            return None;
        }
        let told = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Some(self.farewell("the server is stopping")),
            told = self.source.next() => told,
            () = sleep(self.heartbeat) => return Some(": keepalive\n\n".to_owned()),
        };
        match told {
            Ok(said) if said.is_empty() => None,
            Ok(said) => Some(frames(&said)),
            Err(error) => {
                tracing::warn!(%error, "a stream of events was ended");
                Some(self.farewell("the journal cannot be read now"))
            }
        }
    }

    /// The last words of a stream that the server ends: when to come back.
    fn farewell(&mut self, why: &str) -> String {
        self.over = true;
        format!("retry: {}\n: {why}\n\n", self.retry.as_millis())
    }
}

fn frames(said: &[Said]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(said.iter().map(|one| one.data().len() + 64).sum());
    for one in said {
        if let Some(seq) = one.seq() {
            // Writing into a text does not fail.
            let _ = writeln!(text, "id: {seq}");
        }
        for part in ["event: ", one.kind(), "\ndata: ", one.data(), "\n\n"] {
            text.push_str(part);
        }
    }
    text
}
