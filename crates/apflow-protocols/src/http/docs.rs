//! What a person or a generator reads first: the OpenAPI document, and a page that lists the operations.

use std::{
    fmt::Write as _,
    hash::{DefaultHasher, Hasher as _},
    sync::{Arc, OnceLock},
};

use apflow_core::api::{Category, operation::route::routes};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use bytes::Bytes;

use super::{App, HttpConfig, openapi};

/// The two addresses of the document, and the page, if they are wished for.
pub(super) fn router(config: &HttpConfig) -> Router<Arc<App>> {
    let mut router = Router::new();
    if config.openapi {
        let kept: Arc<OnceLock<Kept>> = Arc::default();
        let read = get(async move |State(app): State<Arc<App>>, headers: HeaderMap| {
            kept.get_or_init(|| Kept::of(&app)).answer(&headers)
        });
        router = router.route("/openapi.json", read.clone()).route("/v1/openapi.json", read);
    }
    if config.docs {
        router = router.route("/docs", get(page));
    }
    router
}

/// The document as it is sent, made once.
struct Kept {
    bytes: Bytes,
    tag: String,
}

impl Kept {
    fn of(app: &App) -> Self {
        let text = openapi::document(&openapi::Facts {
            version: &app.gateway.config().version,
            authenticated: app.config.auth.is_some(),
            system: app.config.system_routes,
        })
        .to_string();
        let mut hasher = DefaultHasher::new();
        hasher.write(text.as_bytes());
        Self { tag: format!("\"{:016x}\"", hasher.finish()), bytes: Bytes::from(text) }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let asked = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let same = |tag: &str| {
            let tag = tag.trim();
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.tag
        };
        let mut response = if asked.is_some_and(|tags| tags.split(',').any(same)) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (kind, Body::from(self.bytes.clone())).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            headers.insert(header::ETAG, tag);
        }
        response
    }
}

/// A plain page: nothing is loaded from elsewhere, and nothing runs in it.
async fn page(State(app): State<Arc<App>>) -> Response {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>apflow</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <style>body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
         td{padding:.2rem .8rem .2rem 0;vertical-align:top}</style><h1>apflow</h1>\
         <p>The operations of this server as resources. Described for programs in \
         <a href=\"/openapi.json\">/openapi.json</a>, as JSON-RPC methods in \
         <a href=\"/tasks/methods\">/tasks/methods</a>.</p>",
    );
    let system = app.config.system_routes;
    for category in Category::ALL.into_iter().filter(|it| system || *it != Category::System) {
        let mut rows = String::new();
        for (operation, route) in routes().iter().filter(|(it, _)| it.category == category) {
            let _ = write!(
                rows,
                "<tr><td><code>{}&nbsp;{}</code><td>{}<td><code>{}</code>",
                route.verb.as_str(),
                escaped(&route.path()),
                escaped(operation.description),
                escaped(operation.id),
            );
        }
        if !rows.is_empty() {
            let _ = write!(page, "<h2>{}</h2><table>{rows}</table>", escaped(category.as_str()));
        }
    }
    let mut response = Html(page).into_response();
    let headers = response.headers_mut();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
