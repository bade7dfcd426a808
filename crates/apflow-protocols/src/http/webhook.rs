//! `POST /webhook/trigger/{task_id}`: the address that systems outside call.

use std::sync::Arc;

use apflow_core::{
    api::{ApiError, Call, Reply},
    code::Code,
    id::{TaskId, check_id},
    webhook::{Signature, Trigger},
};
use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    App, body,
    gate::webhook_caller,
    guard::{Refusal, json_response, one},
    peer::client,
    router::carry_out,
};

/// The most bytes of a header that proves something.
const MAX_PROOF: usize = 4 << 10;

pub(super) async fn trigger(
    State(app): State<Arc<App>>,
    task: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let deadline = Instant::now() + app.config.total;
    let (parts, body) = request.into_parts();
    let bytes = match body::read(&app.config, &parts.headers, body, deadline).await {
        Ok(bytes) => bytes,
        Err(refusal) => return refusal.into_response(),
    };
    let task = match task {
        Ok(Path(task)) if check_id(&task).is_none() => TaskId::new(task),
        _ => {
            let detail = "the address has no task id of 1 to 255 characters";
            return Refusal::new(StatusCode::BAD_REQUEST, detail).into_response();
        }
    };
    let wait = match waits(parts.uri.query()) {
        Ok(wait) => wait,
        Err(error) => return failed(&task, &error),
    };
    let signature = match signature(&parts.headers) {
        Ok(signature) => signature,
        Err(refusal) => return refusal.into_response(),
    };
    let from = client(&app.config.proxies, &parts.extensions, &parts.headers);
    let (caller, open) = match webhook_caller(app.config.auth.as_deref(), &parts.headers).await {
        Ok(known) => known,
        Err(error) => return failed(&task, &error),
    };
    let trigger = Trigger {
        task: task.clone(),
        wait,
        signature,
        body: bytes.to_vec(),
        client_ip: from.ip,
        local: open && from.local,
    };
    let call = Call::WebhookTrigger(Box::new(trigger));
    match carry_out(&app, &caller, None, call, deadline).await {
        Ok(reply) => {
            let refused = matches!(&reply, Reply::Triggered(it) if it.is_refused());
            let status = if refused { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            json_response(status, &reply.json())
        }
        Err(error) => failed(&task, &error),
    }
}

/// The error in the shape v1 senders read, with what else there is to say.
fn failed(task: &TaskId, error: &ApiError) -> Response {
    let mut body = error.data();
    body["success"] = json!(false);
    body["error"] = Value::from(error.detail.as_str());
    body["task_id"] = json!(task);
    let status =
        StatusCode::from_u16(error.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json_response(status, &body)
}

/// Whether the sender wants to hear how it ended; it has to say so.
fn waits(query: Option<&str>) -> Result<bool, ApiError> {
    for pair in query.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name == "async" {
            return match value {
                "true" | "1" => Ok(false),
                "false" | "0" => Ok(true),
                other => {
                    let short: String = other.chars().take(20).collect();
                    Err(ApiError::invalid("async", "true or false", short))
                }
            };
        }
    }
    Ok(false)
}

/// What the headers prove; one that comes twice, or is no text, is no header.
fn signature(headers: &HeaderMap) -> Result<Signature, Refusal> {
    let text = |name: &'static str| -> Result<Option<String>, Refusal> {
        let value = one(headers, &HeaderName::from_static(name), name)?;
        if value.is_some_and(|value| value.len() > MAX_PROOF) {
            let error = ApiError::new(Code::WebhookRefused, "Invalid signature");
            return Err(Refusal::of(error));
        }
        Ok(value.map(str::to_owned))
    };
    let own = (text("x-webhook-signature")?, text("x-webhook-timestamp")?);
    let standard = (text("webhook-id")?, text("webhook-timestamp")?, text("webhook-signature")?);
    Ok(match (own, standard) {
        ((Some(signature), timestamp), _) => Signature::Own { signature, timestamp },
        (_, (Some(id), timestamp, Some(signatures))) => {
            Signature::Standard { id, timestamp, signatures }
        }
        _ => Signature::None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_unless_it_is_said() {
        for (query, wait) in [
            (None, false),
            (Some(""), false),
            (Some("async=true"), false),
            (Some("a=1&async=false"), true),
            (Some("asynchronous=false"), false),
        ] {
            assert_eq!(waits(query).ok(), Some(wait), "{query:?}");
        }
        assert!(waits(Some("async=perhaps")).is_err());
    }
}
