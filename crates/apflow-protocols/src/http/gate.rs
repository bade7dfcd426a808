//! The gate of the server: every request but those to the open addresses shows who it is.

use apflow_core::api::{ApiError, Caller};
use axum::{
    extract::MatchedPath,
    http::{HeaderMap, header, request::Parts},
};

use super::{App, guard::Refusal};
use crate::auth::{Gate, Presented, presented};

/// The address of inbound webhooks, which have a check of their own.
pub(super) const WEBHOOK: &str = "/webhook/trigger/{task_id}";

/// The address of the page on which a question is answered, which has a token of its own.
pub(super) const FEEDBACK: &str = "/feedback/{id}";

/// Routes that answer everybody, each by its whole name. The name is the one the router chose the
/// handler by, so no other spelling of an address can be taken for it.
const OPEN: [&str; 7] = ["/health", "/healthz", "/livez", "/ready", "/readyz", WEBHOOK, FEEDBACK];

/// Lets a request in and notes who it is from, or says why not.
pub(super) async fn admit(app: &App, request: &mut Parts) -> Result<(), Refusal> {
    let route = request.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    if route.is_some_and(|route| OPEN.contains(&route)) {
        return Ok(());
    }
    let caller = match &app.config.auth {
        Some(gate) => gate.admit(&shown(&request.headers)).await.map_err(refused)?,
        None => Caller::local(),
    };
    request.extensions.insert(caller);
    Ok(())
}

/// What the headers of a request show.
pub(super) fn shown(headers: &HeaderMap) -> Presented<'_> {
    presented(headers.get_all(header::AUTHORIZATION).iter().map(header::HeaderValue::as_bytes))
}

/// Who sends a webhook: somebody with a credential, or nobody; and whether nobody has to have one.
pub(super) async fn webhook_caller(
    gate: Option<&Gate>,
    headers: &HeaderMap,
) -> Result<(Caller, bool), ApiError> {
    let Some(gate) = gate else { return Ok((Caller::default(), true)) };
    if !gate.is_shut().await? {
        return Ok((Caller::default(), true));
    }
    match shown(headers) {
        Presented::Nothing => Ok((Caller::default(), false)),
        // A credential that is shown has to be good, whatever else the request has.
        shown => Ok((gate.admit(&shown).await?, false)),
    }
}

fn refused(error: ApiError) -> Refusal {
    if let Some(source) = &error.source {
        tracing::error!(code = %error.code, %source, "a credential could not be checked");
    }
    Refusal::of(error)
}
