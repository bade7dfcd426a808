//! The routes, and the way of a JSON-RPC body through the gateway.

use std::{
    hash::{BuildHasher, RandomState},
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
};

use apflow_core::{
    api::{ApiError, Call, Caller, call::Execute, operation},
    code::Code,
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::FutureExt as _;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use super::{
    App, body,
    guard::{self, Refusal, json_response},
    health, sse,
};
use crate::{
    adapter::ProtocolAdapter as _,
    jsonrpc::{Answer, JsonRpc, Message, Surface},
};

pub(super) fn router(app: Arc<App>) -> Router {
    let (alive, ready) = (get(health::alive), get(health::ready));
    Router::new()
        .route("/tasks", post(tasks))
        .route("/system", post(system))
        .route("/tasks/methods", get(methods))
        .route("/v1/events", get(sse::events))
        .route("/docs/errors/{code}", get(error_page))
        .route("/health", alive.clone())
        .route("/healthz", alive.clone())
        .route("/livez", alive)
        .route("/ready", ready.clone())
        .route("/readyz", ready)
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this address"))
        .method_not_allowed_fallback(async || {
            let detail = "this address does not take that method; `Allow` says which it takes";
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, detail)
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guarded))
        .with_state(app)
}

/// A number that another process is not likely to have.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// Every request passes here: it gets a number, is checked, and cannot take the server down.
async fn guarded(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let id = request_id(&app, &request);
    let (parts, body) = request.into_parts();
    let answer = async {
        match guard::check(&app, &parts) {
            Ok(()) => next.run(Request::from_parts(parts, body)).await,
            Err(refusal) => refusal.into_response(),
        }
    };
    let mut response = AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(request = %id, "a request panicked");
        let detail = format!("something went wrong inside apflow (request {id})");
        let error = ApiError::new(Code::Internal, detail);
        Refusal::of(error.hint("the log has more under that request")).into_response()
    });
    if response.status().is_server_error() {
        tracing::warn!(request = %id, status = response.status().as_u16(), "a request failed");
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

/// The client's own id if it is short and plain, else a fresh one.
fn request_id(app: &App, request: &Request) -> String {
    let plain = |text: &&str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let given = request.headers().get("x-request-id").and_then(|value| value.to_str().ok());
    given.filter(plain).map_or_else(
        || format!("{:016x}-{}", app.prefix, app.requests.fetch_add(1, Ordering::Relaxed)),
        str::to_owned,
    )
}

async fn tasks(State(app): State<Arc<App>>, request: Request) -> Response {
    rpc(&app, JsonRpc { surface: Surface::Tasks }, request).await
}

async fn system(State(app): State<Arc<App>>, request: Request) -> Response {
    rpc(&app, JsonRpc { surface: Surface::System }, request).await
}

async fn rpc(app: &App, adapter: JsonRpc, request: Request) -> Response {
    let deadline = Instant::now() + app.config.total;
    let (parts, body) = request.into_parts();
    let bytes = match body::read(&app.config, &parts.headers, body, deadline).await {
        Ok(bytes) => bytes,
        Err(refusal) => return refusal.into_response(),
    };
    match Message::read(&bytes) {
        Err(answer) => respond(answer),
        Ok(Message::One(request)) if sse::is_asked_for(&request) => {
            sse::execute(app, adapter, &parts, request, deadline).await
        }
        Ok(Message::One(request)) => respond(answer(app, adapter, request, deadline).await),
        Ok(Message::Batch(requests)) => {
            // One after the other, so that a batch may create a task and then run it.
            let mut bodies = Vec::with_capacity(requests.len());
            let mut deadline = deadline;
            for request in requests {
                if sse::is_asked_for(&request) {
                    bodies.extend(sse::not_in_a_batch(&request).body);
                    continue;
                }
                let (began, waits) = (Instant::now(), waits(&request));
                bodies.extend(answer(app, adapter, request, deadline).await.body);
                if waits {
                    // Waiting for a run has its own limit and leaves the others their time.
                    deadline += began.elapsed();
                }
            }
            let body = (!bodies.is_empty()).then_some(Value::Array(bodies));
            respond(Answer { status: if body.is_some() { 200 } else { 204 }, body })
        }
    }
}

fn waits(request: &Value) -> bool {
    request.get("method").is_some_and(|method| method == "tasks.execute")
}

pub(super) fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match answer.body {
        Some(body) => json_response(status, &body),
        None => status.into_response(),
    }
}

async fn answer(app: &App, adapter: JsonRpc, request: Value, deadline: Instant) -> Answer {
    let (envelope, call) = match adapter.decode(request) {
        Ok(decoded) => decoded,
        Err(answer) => return answer,
    };
    let waits = matches!(call, Call::Execute(Execute { wait: true, .. }));
    // The gateway ends that wait itself and can say which run goes on; this is only the outer bound.
    let deadline = if waits { deadline + app.gateway.config().execute_wait } else { deadline };
    let caller = Caller::local();
    let outcome = tokio::select! {
        outcome = timeout_at(deadline, app.gateway.call(&caller, call)) => {
            outcome.unwrap_or_else(|_| Err(too_slow(app)))
        }
        () = app.cut.cancelled() => Err(ApiError::new(
            Code::Draining,
            "the server stopped before there was an answer; whatever was accepted goes on",
        )),
    };
    if let Err(error) = &outcome
        && let Some(source) = &error.source
    {
        tracing::error!(code = %error.code, %source, "a call failed");
    }
    adapter.encode(envelope, outcome)
}

pub(super) fn too_slow(app: &App) -> ApiError {
    let seconds = app.config.total.as_secs_f64();
    let detail = format!("there was no answer within {seconds} s; it may still be carried out");
    ApiError::new(Code::Timeout, detail).hint("read the tasks before you send the request again")
}

async fn methods() -> Response {
    let jsonrpc = json!({
        "protocol": "jsonrpc", "status": "active", "description": "JSON-RPC 2.0 over HTTP",
        "endpoints": ["/tasks", "/system"],
        "operations": operation::operations().map(|it| it.id).collect::<Vec<_>>(),
    });
    let protocols = Map::from_iter([("jsonrpc".to_owned(), jsonrpc)]);
    json_response(StatusCode::OK, &operation::methods(&protocols))
}

async fn error_page(Path(code): Path<String>) -> Response {
    match Code::parse(&code) {
        Some(code) => {
            let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
            (kind, Body::from(code.page())).into_response()
        }
        None => Refusal::new(StatusCode::NOT_FOUND, "there is no such error code").into_response(),
    }
}
