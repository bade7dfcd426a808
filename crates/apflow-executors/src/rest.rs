//! `rest_executor`: calls an HTTP address that the guard lets through.

pub(crate) mod client;
pub(crate) mod request;
pub(crate) mod secret;

use std::{sync::Arc, time::Duration};

use apflow_core::{
    executor::{Context, ExecuteError, Executor, Manifest},
    task::{Failure, FailureKind},
};
use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::guard::{Guard, HostRule, Lookup, Refusal, SystemLookup};
use client::{Answer, Clients, Trouble};
use request::Request;

/// The id tasks name it by.
pub const ID: &str = "rest_executor";

/// What the operator allows of HTTP calls. By default only public addresses.
#[derive(Debug, Clone)]
pub struct RestConfig {
    /// Private hosts, addresses, networks and unusual ports that tasks may call all the same.
    pub allow_hosts: Vec<HostRule>,
    /// Ports that may be called without being named in a rule.
    pub ports: Vec<u16>,
    /// Calls without encryption are allowed.
    pub allow_http: bool,
    /// A task may switch off the check of certificates.
    pub allow_unverified: bool,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// The longest timeout a task may ask for.
    pub max_timeout: Duration,
    /// Bytes kept of an answer; the rest is not read.
    pub max_body: usize,
    /// Redirects followed, each judged like a first call.
    pub max_redirects: usize,
}

impl Default for RestConfig {
    fn default() -> Self {
        let guard = Guard::default();
        Self {
            allow_hosts: guard.rules,
            ports: guard.ports,
            allow_http: guard.plain,
            allow_unverified: false,
            connect_timeout: Duration::from_secs(10),
            max_timeout: Duration::from_hours(1),
            max_body: 1 << 20,
            max_redirects: 5,
        }
    }
}

/// Calls HTTP addresses; what it may reach is decided by the guard, not by the task.
pub struct RestExecutor {
    manifest: Manifest,
    config: RestConfig,
    guard: Arc<Guard>,
    clients: Clients,
}

impl RestExecutor {
    /// The executor with the resolver of the system.
    pub fn new(config: &RestConfig) -> Self {
        Self::with_lookup(config, Arc::new(SystemLookup))
    }

    /// The executor with another resolver; what it finds is judged just the same.
    pub fn with_lookup(config: &RestConfig, lookup: Arc<dyn Lookup>) -> Self {
        let guard = Arc::new(Guard {
            rules: config.allow_hosts.clone(),
            ports: config.ports.clone(),
            plain: config.allow_http,
        });
        Self {
            manifest: manifest(config),
            config: config.clone(),
            clients: Clients::new(Arc::clone(&guard), lookup, config.connect_timeout),
            guard,
        }
    }
}

#[async_trait]
impl Executor for RestExecutor {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        inputs: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError> {
        let request = Request::read(&inputs, &self.config, &self.guard)?;
        if context.cancelled.is_cancelled() {
            return Err(ExecuteError::Cancelled);
        }
        let host = context.host_breaker(&host(&request));
        host.pass().await?;
        let calling = client::call(&self.clients, &self.guard, &self.config, &request);
        tokio::select! {
            () = context.cancelled.cancelled() => Err(ExecuteError::Cancelled),
            called = tokio::time::timeout(request.timeout, calling) => match called {
                Ok(Ok(answer)) => {
                    // What the host refuses it has understood; what it cannot do now is its trouble.
                    host.report(!overtaxed(answer.status));
                    Ok(result(&request, answer))
                }
                Ok(Err(trouble)) => {
                    let error = failed(&request, trouble);
                    if matches!(error, ExecuteError::Transient { .. }) {
                        host.failed();
                    }
                    Err(error)
                }
                Err(_) => {
                    host.failed();
                    Err(late(&request))
                }
            }
        }
    }

    fn demo(&self, inputs: &Map<String, Value>) -> Option<Value> {
        let method = inputs.get("method").and_then(Value::as_str).unwrap_or("GET");
        Some(json!({
            "success": true,
            "status_code": 200,
            // Not that of the task, which may hold a key.
            "url": "https://demo.example/",
            "headers": {"content-type": "application/json"},
            "method": method.to_ascii_uppercase(),
            "json": {"message": "Demo execution result"},
        }))
    }
}

/// The name of the host that is called, with its port if that is not the usual one.
fn host(request: &Request) -> String {
    let url = request.sent_url();
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

fn overtaxed(status: reqwest::StatusCode) -> bool {
    status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS
}

/// The result, without anything the request proved itself with.
fn result(request: &Request, answer: Answer) -> Value {
    let secrets = &request.secrets;
    let success = answer.status.is_success();
    let headers: Map<String, Value> = answer
        .headers
        .into_iter()
        .map(|(name, value)| (name, Value::String(secrets.hidden(&value))))
        .collect();
    let mut result = json!({
        "success": success,
        "status_code": answer.status.as_u16(),
        "url": secrets.hidden(&secret::shown(&answer.url)),
        "headers": headers,
        "method": request.method.as_str(),
    });
    let text = String::from_utf8_lossy(&answer.body);
    match serde_json::from_str::<Value>(&text) {
        // Legacy clients look for the text of a refusal, whatever its form.
        Ok(mut body) if success && !answer.truncated => {
            secrets.hide_within(&mut body);
            result["json"] = body;
        }
        _ => {
            let text = secrets.hidden_in_body(&text);
            result["text"] = Value::String(text.replace('\0', "\u{fffd}"));
        }
    }
    if answer.truncated {
        result["truncated"] = json!(true);
    }
    result
}

fn failed(request: &Request, trouble: Trouble) -> ExecuteError {
    let message = |what: &str| {
        let what = request.secrets.hidden(what);
        format!("[{ID}] {what}")
    };
    match trouble {
        Trouble::Refused(refusal) => refused(&refusal),
        Trouble::Blocked(what) => ExecuteError::of_kind(FailureKind::NotAllowed, message(&what)),
        Trouble::Final(what) => ExecuteError::permanent(message(&what)),
        Trouble::Passing(what) => ExecuteError::transient(message(&format!(
            "{} {}: {what}",
            request.method,
            secret::shown(&request.url)
        ))),
    }
}

fn late(request: &Request) -> ExecuteError {
    let url = request.secrets.hidden(&secret::shown(&request.url));
    ExecuteError::Transient {
        failure: Failure::new(
            FailureKind::Timeout,
            format!(
                "[{ID}] {} {url}: no complete answer after {} seconds",
                request.method,
                request.timeout.as_secs_f64()
            ),
        ),
        retry_after: None,
    }
}

fn refused(refusal: &Refusal) -> ExecuteError {
    let kind =
        if refusal.is_malformed() { FailureKind::InvalidInput } else { FailureKind::NotAllowed };
    ExecuteError::of_kind(kind, format!("[{ID}] {refusal}"))
}

/// The methods a task may use.
const METHODS: [Method; 6] =
    [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD];

fn manifest(config: &RestConfig) -> Manifest {
    let mut manifest = Manifest::new(ID, "Calls an HTTP or REST address and returns its answer.");
    "REST API Executor".clone_into(&mut manifest.name);
    manifest.tags = ["http", "rest", "api", "webhook"].map(str::to_owned).to_vec();
    "http".clone_into(&mut manifest.family);
    let methods: Vec<&str> = METHODS.iter().map(Method::as_str).collect();
    let values = json!({"type": ["string", "number", "boolean", "null"]});
    manifest.input_schema = json!({
        "type": "object",
        "properties": {
            "url": {"type": "string", "minLength": 1, "description": "Where to; http or https."},
            "method": {"enum": methods, "default": "GET"},
            "headers": {
                "type": ["object", "null"], "additionalProperties": values,
                "description": "Headers of the request."
            },
            "params": {
                "type": ["object", "null"],
                "additionalProperties": {"anyOf": [values, {"type": "array", "items": values}]},
                "description": "Added to the query of the URL."
            },
            "json": {"description": "The body, sent as JSON."},
            "data": {
                "type": ["object", "string", "null"], "additionalProperties": values,
                "description": "The body as a form, or a text as it is; `json` goes before it."
            },
            "auth": {
                "type": ["object", "null"],
                "properties": {
                    "type": {"enum": ["bearer", "basic", "apikey"]},
                    "token": {"type": "string", "description": "bearer"},
                    "username": {"type": "string", "description": "basic"},
                    "password": {"type": "string", "description": "basic"},
                    "key": {"type": "string", "description": "apikey: its name"},
                    "value": {"type": "string", "description": "apikey: the key itself"},
                    "location": {"enum": ["header", "query"], "default": "header"}
                },
                "required": ["type"],
                "description": "How the request proves itself; never part of a result or an error."
            },
            "timeout": {
                "type": ["number", "null"], "exclusiveMinimum": 0, "default": request::TIMEOUT,
                "maximum": config.max_timeout.as_secs_f64(),
                "description": "Seconds for everything, redirects and body included."
            },
            "verify": {
                "type": ["boolean", "null"], "default": true,
                "description": "Check certificates; false only if the operator allows it."
            }
        },
        "required": ["url"],
        "additionalProperties": true
    });
    manifest.output_schema = json!({
        "type": "object",
        "properties": {
            "success": {"type": "boolean", "description": "The status is 2xx."},
            "status_code": {"type": "integer"},
            "url": {"type": "string", "description": "The last one, after redirects."},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "method": {"type": "string"},
            "json": {"description": "The body, if it is JSON and the status is 2xx."},
            "text": {"type": "string", "description": "The body otherwise."},
            "truncated": {"type": "boolean", "description": "There was more body than is kept."}
        },
        "required": ["success", "status_code", "url", "headers", "method"]
    });
    manifest
}
