//! Every operation of the catalogue as a resource under `/v1`, as its ways in say.

mod negotiate;
mod query;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use apflow_core::{
    api::{
        ApiError, Call, Caller, Operation, Reply,
        call::{Execute, ExecuteWhat},
        operation::route::{Answer, KEY, Route, Verb, routes},
        reply::Executed,
    },
    code::Code,
    id::TaskId,
    problem::Problem,
    schema::{Contract, Fault},
    store::CancelAnswer,
    submit::{Reading, read_tasks},
};
use axum::{
    RequestPartsExt as _, Router,
    extract::{RawPathParams, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
    routing::{MethodFilter, MethodRouter},
};
use serde_json::{Map, Value};
use tokio::time::Instant;

pub(super) use self::query::{decoded, kind};
use super::{
    App,
    admission::Place,
    body,
    guard::{Refusal, json_response},
    peer, problem, router,
};
use crate::json;

/// The header that makes two requests one.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// One way in, with what its query or body may hold.
struct Way {
    operation: &'static Operation,
    route: Route,
    /// The header `Idempotency-Key` means something here.
    takes_key: bool,
    rest: OnceLock<Contract>,
}

/// Whether errors at this path are problems rather than JSON-RPC envelopes.
pub(super) fn is_under(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/") || path == "/openapi.json" || path == "/docs"
}

/// Where the first Python version's client library asks for a run; its own server never had that address.
const RUN: (&str, &str) = ("/v1/tasks/{task_id}/execute", "/tasks/{task_id}/execute");

/// The routes of every operation.
pub(super) fn router(system: bool) -> Router<Arc<App>> {
    let mut paths: BTreeMap<Cow<'static, str>, Vec<Arc<Way>>> = BTreeMap::new();
    for (operation, route) in routes() {
        if !system && operation.id.starts_with("system.") {
            continue;
        }
        let way = Arc::new(Way::new(operation, route));
        if route.path() == RUN.0 {
            paths.entry(Cow::Borrowed(RUN.1)).or_default().push(Arc::clone(&way));
        }
        paths.entry(route.path()).or_default().push(way);
    }
    paths.into_iter().fold(Router::new(), |router, (path, ways)| router.route(&path, methods(ways)))
}

fn methods(ways: Vec<Arc<Way>>) -> MethodRouter<Arc<App>> {
    let mut allow = vec!["OPTIONS"];
    let mut methods = MethodRouter::new();
    for way in ways {
        let filter = match way.route.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Patch => MethodFilter::PATCH,
            Verb::Delete => MethodFilter::DELETE,
        };
        allow.push(way.route.verb.as_str());
        if way.route.verb == Verb::Get {
            allow.push("HEAD");
        }
        methods = methods.on(
            filter,
            async move |axum::extract::State(app): axum::extract::State<Arc<App>>,
                        request: Request| {
                handle(&app, &way, request).await.unwrap_or_else(Refusal::into_response)
            },
        );
    }
    let allow = allow.join(",");
    methods.options(async move || (StatusCode::NO_CONTENT, [(header::ALLOW, allow)]))
}

async fn handle(app: &App, way: &Way, request: Request) -> Result<Response, Refusal> {
    let deadline = Instant::now() + app.config.total;
    let (parts, body) = request.into_parts();
    let bytes = body::read(&app.config, &parts.headers, body, deadline).await?;
    carry_out(app, way, parts, &bytes, deadline).await.map_err(Refusal::keeps_open)
}

async fn carry_out(
    app: &App,
    way: &Way,
    mut parts: Parts,
    bytes: &[u8],
    deadline: Instant,
) -> Result<Response, Refusal> {
    negotiate::accepts(&parts.headers)?;
    let params = way.params(&mut parts, bytes).await?;
    let call = way.call(params).map_err(impossible)?;
    if router::awaits(&call)
        && let Some(place) = parts.extensions.get::<Place>()
    {
        app.admission.wait(place).map_err(refusal)?;
    }
    // The gate has noted who it is; without its note it is nobody.
    let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
    let client = peer::client(&app.config.proxies, &parts.extensions, &parts.headers);
    let task = task_of(&call);
    let reply = match router::carry_out(app, &caller, Some(client), call, deadline).await {
        Err(error) => way.still_running(task, error).map_err(impossible)?,
        Ok(reply) => reply,
    };
    way.answer(reply).map_err(refusal)
}

fn refusal(error: ApiError) -> Refusal {
    let status = problem::status(error.code);
    Refusal::of(error).with_status(status)
}

/// The request fits its description, so what is wrong is what it says.
fn impossible(error: ApiError) -> Refusal {
    let status = match error.code {
        Code::InvalidParams => StatusCode::UNPROCESSABLE_ENTITY,
        code => problem::status(code),
    };
    Refusal::of(error).with_status(status)
}

/// The stored task that a call wants to run.
fn task_of(call: &Call) -> Option<TaskId> {
    match call {
        Call::Execute(Execute { what: ExecuteWhat::Stored { task, .. }, .. }) => Some(task.clone()),
        _ => None,
    }
}

impl Way {
    fn new(operation: &'static Operation, route: Route) -> Self {
        Self { operation, route, takes_key: route.takes_key(operation), rest: OnceLock::new() }
    }

    /// The parameters from wherever they come, each checked against what the catalogue says of it.
    async fn params(&self, parts: &mut Parts, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
        let query = parts.uri.query().unwrap_or_default();
        let mut rest = if self.route.verb.has_body() {
            query::read(query, &Value::Null).map_err(refusal)?;
            read_body(&parts.headers, body)?
        } else if body.is_empty() {
            let schema = self.contract().schema();
            Value::Object(query::read(query, schema).map_err(refusal)?)
        } else {
            let detail = "this address takes no body; parameters go behind the `?`";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, detail));
        };
        let named = path_values(parts).await?;
        let faults = self.contract().faults(&rest);
        if !faults.is_empty() {
            return Err(refusal(self.explain(rest, named, faults)));
        }
        let mut params = match rest.take() {
            Value::Object(rest) => self.unwrapped(rest),
            _ => Map::new(),
        };
        params.extend(named);
        params.extend(self.route.fixed_values());
        if self.takes_key
            && let Some(key) = key(&parts.headers)?
        {
            params.insert(KEY.to_owned(), Value::String(key));
        }
        Ok(params)
    }

    /// One task by itself stands for a list of one.
    fn unwrapped(&self, rest: Map<String, Value>) -> Map<String, Value> {
        if self.route.one_task && !rest.contains_key("tasks") {
            return Map::from_iter([("tasks".to_owned(), Value::Object(rest))]);
        }
        rest
    }

    #[expect(clippy::expect_used, reason = "the schemas are our own, and a test makes each ready")]
    fn contract(&self) -> &Contract {
        self.rest.get_or_init(|| {
            Contract::new(self.route.rest_schema(self.operation)).expect("a sound schema")
        })
    }

    fn call(&self, params: Map<String, Value>) -> Result<Call, ApiError> {
        let read = Call::read(self.operation.id, Value::Object(params))?;
        match read.warnings.as_slice() {
            [] => Ok(read.call),
            told => Err(ApiError::new(Code::InvalidParams, told.join("; "))),
        }
    }

    /// The best words for what is wrong: the reader's, where it has them, since it knows what is meant.
    fn explain(&self, rest: Value, named: Map<String, Value>, faults: Vec<Fault>) -> ApiError {
        if !faults.iter().any(|fault| fault.unknown)
            && let Value::Object(rest) = rest
        {
            let mut params = self.unwrapped(rest);
            params.extend(named);
            let told = match Call::read(self.operation.id, Value::Object(params)) {
                Err(error) => Some(error),
                Ok(read) => new_tasks(&read.call)
                    .and_then(|tasks| read_tasks(tasks, &Reading::Strict).err())
                    .map(ApiError::from),
            };
            if let Some(error) = told {
                return error;
            }
        }
        let problems: Vec<Problem> = faults.into_iter().map(said).collect();
        let detail = problems.first().map_or_else(String::new, |first| {
            let field = first.field.as_deref().unwrap_or("the body");
            format!("`{field}`: {}", first.reason)
        });
        let hint = problems.first().and_then(|first| first.hint.clone());
        ApiError { problems, hint, ..ApiError::new(Code::InvalidParams, detail) }
    }

    /// A run that takes longer than anybody waits has been accepted all the same.
    fn still_running(&self, task: Option<TaskId>, error: ApiError) -> Result<Reply, ApiError> {
        let root = error.problems.first().and_then(|problem| problem.task.clone());
        match root.map(TaskId::new) {
            Some(root) if error.code == Code::Timeout && self.route.answer == Answer::Run => {
                let task = task.unwrap_or_else(|| root.clone());
                Ok(Reply::Executed(Box::new(Executed {
                    root,
                    task,
                    idle: false,
                    trees: Vec::new(),
                    after: 0,
                    streaming: false,
                    callback: None,
                    runs: Vec::new(),
                    warnings: Vec::new(),
                })))
            }
            _ => Err(error),
        }
    }

    fn answer(&self, reply: Reply) -> Result<Response, ApiError> {
        match (self.route.answer, reply) {
            (Answer::Found, Reply::Task(None)) => {
                Err(ApiError::new(Code::NotFound, "there is no such task, or it is not yours"))
            }
            (Answer::Created, reply) => {
                let location = match &reply {
                    Reply::Created { tasks, .. } => tasks.first().map(|task| task.id.to_string()),
                    _ => None,
                };
                Ok(located(StatusCode::CREATED, &reply.json(), location.as_deref()))
            }
            (Answer::Run, Reply::AlreadyRunning { root }) => {
                let detail = format!("Task {root} is already running");
                let error = ApiError::new(Code::AlreadyRunning, detail);
                Err(error.hint("wait for it, or cancel it first"))
            }
            (Answer::Run, reply) => {
                let Reply::Executed(executed) = &reply else { return Ok(plain(&reply)) };
                let over = executed.idle || !executed.runs.is_empty();
                let status = if over { StatusCode::OK } else { StatusCode::ACCEPTED };
                Ok(located(status, &reply.json(), Some(executed.root.as_str())))
            }
            (Answer::Only, Reply::Cancelled(items)) => match items.as_slice() {
                [only] => match &only.answer {
                    CancelAnswer::NoSuchTask => Err(ApiError::no_such_task(&only.task)),
                    CancelAnswer::AlreadyEnded(status) => {
                        let detail =
                            format!("Task {} is already {status}, cannot cancel", only.task);
                        Err(ApiError::new(Code::IllegalTransition, detail))
                    }
                    CancelAnswer::Cancelled { .. } => {
                        let list = reply_list(&items);
                        Ok(json_response(StatusCode::OK, &list[0]))
                    }
                },
                _ => Ok(json_response(StatusCode::OK, &reply_list(&items))),
            },
            (_, reply) => Ok(plain(&reply)),
        }
    }
}

fn reply_list(items: &[apflow_core::api::reply::Cancelled]) -> Value {
    Reply::Cancelled(items.to_vec()).json()
}

fn plain(reply: &Reply) -> Response {
    json_response(StatusCode::OK, &reply.json())
}

/// An answer that says where the task is found.
fn located(status: StatusCode, body: &Value, task: Option<&str>) -> Response {
    let mut response = json_response(status, body);
    let place = task.map(|task| format!("/v1/tasks/{}", encoded(task)));
    if let Some(Ok(place)) = place.as_deref().map(HeaderValue::from_str) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

fn read_body(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, Refusal> {
    if bytes.is_empty() && headers.get(header::CONTENT_TYPE).is_none() {
        return Ok(Value::Object(Map::new()));
    }
    negotiate::is_json(headers)?;
    json::read(bytes).map_err(refusal)
}

/// The tasks that a call wants to store.
fn new_tasks(call: &Call) -> Option<&Value> {
    match call {
        Call::Create(create) => Some(&create.tasks),
        Call::Execute(Execute { what: ExecuteWhat::New(create), .. }) => Some(&create.tasks),
        _ => None,
    }
}

fn said(fault: Fault) -> Problem {
    let mut problem = Problem::new(Code::InvalidParams, fault.what);
    if !fault.place.is_empty() {
        problem = problem.in_field(fault.place);
    }
    if let Some(near) = fault.nearest {
        problem = problem.hinting(format!("did you mean `{near}`?"));
    }
    problem
}

async fn path_values(parts: &mut Parts) -> Result<Map<String, Value>, Refusal> {
    let broken = |_| Refusal::new(StatusCode::BAD_REQUEST, "the path is not UTF-8 text");
    let params = parts.extract::<RawPathParams>().await.map_err(broken)?;
    Ok(params.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect())
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let plain = value.to_str().ok().filter(|text| (1..=255).contains(&text.len()));
    if let (Some(text), None) = (plain, values.next()) {
        return Ok(Some(text.to_owned()));
    }
    let expected = "one text of 1 to 255 plain characters";
    Err(refusal(ApiError::invalid("Idempotency-Key", expected, "something else")))
}

/// A text as one part of a path.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let written = write!(path, "%{byte:02X}");
            debug_assert!(written.is_ok(), "a String takes everything");
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_in_has_a_sound_contract_and_a_path_of_its_own() {
        for (operation, route) in routes() {
            let way = Way::new(operation, route);
            assert!(way.contract().schema().is_object(), "{}", route.path());
        }
        // Two ways that meet would panic here.
        let _router = router(true);
    }

    #[test]
    fn an_id_of_any_text_is_one_part_of_a_path() {
        assert_eq!(encoded("a-b_c.d~1"), "a-b_c.d~1");
        assert_eq!(encoded("../x y?#é%"), "..%2Fx%20y%3F%23%C3%A9%25");
    }
}
