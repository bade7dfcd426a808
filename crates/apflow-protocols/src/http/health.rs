//! Whether the process lives, and whether it should be given work.

use std::{sync::Arc, time::Duration};

use apflow_core::api::{Call, Caller};
use axum::{extract::State, http::StatusCode, response::Response};
use serde_json::json;
use tokio::time::timeout;

use super::{App, guard::json_response};

/// A database that takes longer than this is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process answers; says nothing of the database, so that nobody restarts us for its sake.
pub(super) async fn alive(State(app): State<Arc<App>>) -> Response {
    match app.gateway.call(&Caller::local(), Call::Health).await {
        Ok(health) => json_response(StatusCode::OK, &health.json()),
        Err(error) => json_response(StatusCode::INTERNAL_SERVER_ERROR, &error.data()),
    }
}

/// The database answers, and the server is neither stopping nor overloaded.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let reason = if app.draining.is_cancelled() {
        "the server is shutting down".to_owned()
    } else if app.admission.is_overloaded() {
        "the server is overloaded".to_owned()
    } else {
        match timeout(PATIENCE, app.gateway.ready()).await {
            Ok(Ok(())) => return json_response(StatusCode::OK, &json!({ "status": "ready" })),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("the database did not answer within {} s", PATIENCE.as_secs()),
        }
    };
    let body = json!({ "status": "not_ready", "reason": reason });
    json_response(StatusCode::SERVICE_UNAVAILABLE, &body)
}
