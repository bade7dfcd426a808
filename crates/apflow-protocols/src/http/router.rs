//! The routes, and the way of a JSON-RPC body through the gateway.

use std::{
    hash::{BuildHasher, RandomState},
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
};

use apflow_core::{
    api::{ApiError, Call, Caller, Reply, operation},
    code::Code,
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::FutureExt as _;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use super::{
    App,
    admission::Place,
    body, docs, feedback, gate,
    guard::{self, Refusal, Told, json_response},
    health,
    peer::{self, Client},
    problem, rest, sse, webhook,
};
use crate::{
    adapter::ProtocolAdapter as _,
    jsonrpc::{Answer, Errors, JsonRpc, Message, Surface},
};

pub(super) fn router(app: Arc<App>) -> Router {
    let (alive, ready) = (get(health::alive), get(health::ready));
    let mut router = rest::router(app.config.system_routes).merge(docs::router(&app.config));
    if app.config.system_routes {
        router = router.route("/system", post(system));
    }
    router
        .route("/", post(root))
        .route("/tasks", post(tasks))
        .route("/tasks/methods", get(methods))
        .route(gate::WEBHOOK, post(webhook::trigger))
        .route(gate::FEEDBACK, get(feedback::show).post(feedback::take))
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

/// Paths that are answered however much there is to do, since others decide by them what to do.
const ALWAYS: [&str; 5] = ["/health", "/healthz", "/livez", "/ready", "/readyz"];

/// What a request needs before anything is read of it: a sound head, a place, a credential, its share.
async fn admit(app: &App, parts: &mut Parts) -> Result<(), Refusal> {
    guard::check(app, parts)?;
    if ALWAYS.contains(&parts.uri.path()) {
        return Ok(());
    }
    // Hyper drops the connection by itself if the body that nobody reads has not come whole.
    let place = app.admission.enter().map_err(|error| Refusal::of(error).keeps_open())?;
    let admitted = gate::admit(app, parts).await;
    // Whoever shows no good credential has a share too, or guessing would be free.
    let caller = parts.extensions.get::<Caller>().and_then(|caller| caller.user_id.as_deref());
    let from = peer::client(&app.config.proxies, &parts.extensions, &parts.headers).ip;
    app.admission
        .share(caller, from)
        .map_err(|(wait, error)| Refusal::of(error).retry_after(wait).keeps_open())?;
    admitted?;
    parts.extensions.insert(place);
    Ok(())
}

/// Every request passes here: it gets a number, is checked, and cannot take the server down.
async fn guarded(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let id = request_id(&app, &request);
    let (mut parts, body) = request.into_parts();
    let rest = rest::is_under(parts.uri.path());
    let answer = async {
        match admit(&app, &mut parts).await {
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
    if let Some(Told(error)) = response.extensions_mut().remove::<Told>() {
        if error.code == Code::Overloaded {
            app.admission.refused();
        }
        response = reworded(&app, rest, &id, &error, response);
    }
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        // What is behind it was noted where it happened; a line for each refusal would be work, too.
        tracing::debug!(request = %id, "a request was told to come later");
    } else if response.status().is_server_error() {
        tracing::warn!(request = %id, status = response.status().as_u16(), "a request failed");
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

/// The same refusal in the words of its wire.
fn reworded(app: &App, rest: bool, id: &str, error: &ApiError, mut response: Response) -> Response {
    let status = response.status();
    let (kind, body) = if rest {
        (problem::KIND, problem::body(status, error, id))
    } else if app.config.compat_errors_v1 {
        ("application/json", Errors::V1.body(&Value::Null, error))
    } else {
        return response;
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.remove(header::CONTENT_LENGTH);
    *response.body_mut() = Body::from(body.to_string());
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

async fn root(State(app): State<Arc<App>>, request: Request) -> Response {
    rpc(&app, Surface::Root, request).await
}

async fn tasks(State(app): State<Arc<App>>, request: Request) -> Response {
    rpc(&app, Surface::Tasks, request).await
}

async fn system(State(app): State<Arc<App>>, request: Request) -> Response {
    rpc(&app, Surface::System, request).await
}

/// Who asks with a JSON-RPC body, and how.
pub(super) struct Asker<'a> {
    pub(super) app: &'a App,
    pub(super) adapter: JsonRpc,
    pub(super) caller: Caller,
    client: Client,
    place: Option<Place>,
}

async fn rpc(app: &App, surface: Surface, request: Request) -> Response {
    let errors = if app.config.compat_errors_v1 { Errors::V1 } else { Errors::Documented };
    let deadline = Instant::now() + app.config.total;
    let (parts, body) = request.into_parts();
    let bytes = match body::read(&app.config, &parts.headers, body, deadline).await {
        Ok(bytes) => bytes,
        Err(refusal) => return refusal.into_response(),
    };
    let asker = Asker {
        app,
        adapter: JsonRpc { surface, errors },
        // The gate has noted who it is; without its note it is nobody.
        caller: parts.extensions.get::<Caller>().cloned().unwrap_or_default(),
        client: peer::client(&app.config.proxies, &parts.extensions, &parts.headers),
        place: parts.extensions.get::<Place>().cloned(),
    };
    match Message::read(&bytes) {
        Err(error) => respond(errors.refusal(&Value::Null, &error)),
        // The first Python version's command line looks for a server by sending this to its root. Unless
        // the answer is 200 it works on a local database of its own, and says so to nobody.
        Ok(Message::One(Value::Object(knock))) if surface == Surface::Root && knock.is_empty() => {
            let answer = asker.answer(Value::Object(knock), deadline).await;
            respond(Answer { status: 200, ..answer })
        }
        Ok(Message::One(request)) if sse::is_asked_for(&request) => {
            sse::execute(&asker, &parts, request, deadline).await
        }
        Ok(Message::One(request)) => respond(asker.answer(request, deadline).await),
        Ok(Message::Batch(requests)) => {
            // One after the other, so that a batch may create a task and then run it.
            let mut bodies = Vec::with_capacity(requests.len());
            let mut deadline = deadline;
            for request in requests {
                if sse::is_asked_for(&request) {
                    bodies.extend(sse::not_in_a_batch(errors, &request).body);
                    continue;
                }
                let (began, waits) = (Instant::now(), waits(&request));
                bodies.extend(asker.answer(request, deadline).await.body);
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
    request
        .get("method")
        .is_some_and(|method| method == "tasks.execute" || method == "tasks.webhook.trigger")
}

pub(super) fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match answer.body {
        Some(body) => json_response(status, &body),
        None => status.into_response(),
    }
}

impl Asker<'_> {
    async fn answer(&self, request: Value, deadline: Instant) -> Answer {
        let (envelope, call) = match self.adapter.decode(request) {
            Ok(decoded) => decoded,
            Err(answer) => return answer,
        };
        let outcome = match (&self.place, awaits(&call)) {
            (Some(place), true) => self.app.admission.wait(place),
            _ => Ok(()),
        };
        let outcome = match outcome {
            Ok(()) => {
                carry_out(self.app, &self.caller, Some(self.client.clone()), call, deadline).await
            }
            Err(error) => Err(error),
        };
        if outcome.as_ref().is_err_and(|error| error.code == Code::Overloaded) {
            self.app.admission.refused();
        }
        self.adapter.encode(envelope, outcome)
    }
}

/// Whether the answer comes only when a run has ended.
pub(super) fn awaits(call: &Call) -> bool {
    match call {
        Call::Execute(execute) => execute.wait,
        Call::WebhookTrigger(trigger) => trigger.wait,
        _ => false,
    }
}

/// Hands a call to the gateway, for no longer than it may take, and notes what went wrong inside.
///
/// `client` is where the request came from, for calls that ask.
pub(super) async fn carry_out(
    app: &App,
    caller: &Caller,
    client: Option<Client>,
    mut call: Call,
    deadline: Instant,
) -> Result<Reply, ApiError> {
    match (&mut call, client) {
        (Call::WebhookTrigger(trigger), Some(client)) => {
            (trigger.client_ip, trigger.local) = (client.ip, client.local);
        }
        (Call::Generate(wish), Some(client)) => wish.key = client.llm_key,
        _ => {}
    }
    let waits = awaits(&call);
    // The gateway ends that wait itself and can say which run goes on; this is only the outer bound.
    let deadline = if waits { deadline + app.gateway.config().execute_wait } else { deadline };
    let outcome = tokio::select! {
        outcome = timeout_at(deadline, app.gateway.call(caller, call)) => {
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
    outcome
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
