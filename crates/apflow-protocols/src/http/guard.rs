//! What every request must pass before anybody looks at what it wants.

use std::{sync::Arc, time::Duration};

use apflow_core::{api::ApiError, code::Code};
use axum::{
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header, request::Parts,
        uri::Authority,
    },
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{App, HttpConfig};
use crate::jsonrpc::Errors;

/// A request that gets no further, with the status that says it best.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    /// Boxed, since a result of a check is passed on far more often than it is a refusal.
    error: Box<ApiError>,
    retry_after: Option<Duration>,
    /// The connection may be used again; without it nothing may follow, since the body was not read.
    keeps: bool,
}

/// The error behind a response, for whoever words it for another wire.
#[derive(Clone)]
pub(super) struct Told(pub(super) Arc<ApiError>);

impl Refusal {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            error: Box::new(ApiError::new(Code::HttpRequest, detail)),
            retry_after: None,
            keeps: false,
        }
    }

    pub(super) fn of(error: ApiError) -> Self {
        let status =
            StatusCode::from_u16(error.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, error: Box::new(error), retry_after: None, keeps: false }
    }

    /// The same with a status that says it better on its wire.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same, on a connection that may be used again.
    pub(super) fn keeps_open(mut self) -> Self {
        self.keeps = true;
        self
    }

    /// The same with the time after which it may be tried again.
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    fn hint(self, hint: &str) -> Self {
        Self { error: Box::new(self.error.hint(hint)), ..self }
    }
}

impl IntoResponse for Refusal {
    /// The envelope the clients of these routes read anyway; the error goes along for other wires.
    fn into_response(self) -> Response {
        let body = Errors::Documented.body(&Value::Null, &self.error);
        let mut response = json_response(self.status, &body);
        if !self.keeps {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response.extensions_mut().insert(Told(Arc::new(*self.error)));
        response
    }
}

/// A response with this JSON, and what keeps browsers from guessing and caching.
pub(super) fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    let headers = response.headers_mut();
    let set: [(HeaderName, &'static str); 3] = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        let told = ["/error/data/retry_after", "/retry_after"];
        let wait = told.iter().find_map(|path| body.pointer(path)?.as_u64()).unwrap_or(1);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Address, host, origin and encoding, in this order.
pub(super) fn check(app: &App, request: &Parts) -> Result<(), Refusal> {
    let config = &app.config;
    let length = request.uri.path_and_query().map_or(0, |path| path.as_str().len());
    if length > config.uri_bytes {
        let detail = format!("the address has {length} bytes; {} are allowed", config.uri_bytes);
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, detail));
    }
    let host = host(request)?;
    known_host(config, app.loopback, &host)?;
    // An address in the request line outranks the header for some readers, so it must pass as well.
    if let Some(authority) = request.uri.authority() {
        known_host(config, app.loopback, authority)?;
    }
    known_origin(config, &request.headers, &host)?;
    match one(&request.headers, &header::CONTENT_ENCODING, "Content-Encoding")? {
        Some(coding) if !coding.eq_ignore_ascii_case("identity") => {
            let detail = "compressed bodies are not accepted";
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
        }
        _ => Ok(()),
    }
}

/// The only value of a header that must not come twice.
pub(super) fn one<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    called: &str,
) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        let detail = format!("the header `{called}` came twice");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, detail));
    }
    value.to_str().map(Some).map_err(|_| {
        let detail = format!("the header `{called}` is not plain text");
        Refusal::new(StatusCode::BAD_REQUEST, detail)
    })
}

fn host(request: &Parts) -> Result<Authority, Refusal> {
    let bad = |detail: &str| Refusal::new(StatusCode::BAD_REQUEST, detail);
    match one(&request.headers, &header::HOST, "Host")? {
        Some(text) => text
            .parse::<Authority>()
            .ok()
            .filter(|authority| !authority.as_str().contains('@'))
            .ok_or_else(|| bad("the header `Host` is not a host name")),
        None if request.version < Version::HTTP_11 => {
            Err(bad("the header `Host` is missing; HTTP/1.0 clients have to send it too"))
        }
        None => Err(bad("the header `Host` is missing")),
    }
}

/// A page of a stranger's name that resolves to this machine must not reach a local server.
fn known_host(config: &HttpConfig, loopback: bool, host: &Authority) -> Result<(), Refusal> {
    let name = host.host();
    let local = loopback
        && ["localhost", "127.0.0.1", "[::1]"].iter().any(|it| it.eq_ignore_ascii_case(name));
    let listed = config.hosts.iter().any(|it| it.eq_ignore_ascii_case(name));
    let anyone = !loopback && config.hosts.is_empty();
    if local || listed || anyone {
        return Ok(());
    }
    let refusal = Refusal::new(StatusCode::FORBIDDEN, "this server does not answer to that `Host`");
    Err(refusal.hint("use localhost, or allow the name in the server's configuration"))
}

/// A browser says which page it asks for; only the server's own pages and listed ones may.
fn known_origin(config: &HttpConfig, headers: &HeaderMap, host: &Authority) -> Result<(), Refusal> {
    let Some(origin) = one(headers, &header::ORIGIN, "Origin")? else { return Ok(()) };
    let place = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let own = place.is_some_and(|place| place.eq_ignore_ascii_case(host.as_str()));
    if own || config.origins.iter().any(|it| it.eq_ignore_ascii_case(origin)) {
        return Ok(());
    }
    let refusal = Refusal::new(StatusCode::FORBIDDEN, "pages of that `Origin` may not call apflow");
    Err(refusal.hint("allow the origin in the server's configuration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_server_answers_to_loopback_names_and_listed_ones() {
        let mut config = HttpConfig::default();
        let knows = |config: &HttpConfig, loopback, host: &str| {
            known_host(config, loopback, &host.parse().expect("a host")).is_ok()
        };
        for host in ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"] {
            assert!(knows(&config, true, host), "{host}");
        }
        for host in ["evil.com", "localhost.evil.com", "127.0.0.1.nip.io", "127.0.0.2", "[::2]"] {
            assert!(!knows(&config, true, host), "{host}");
        }
        assert!(knows(&config, false, "apflow.example"));
        config.hosts.push("apflow.example".to_owned());
        assert!(knows(&config, true, "apflow.example:443"));
        assert!(!knows(&config, false, "evil.com"));
    }

    #[test]
    fn only_the_own_origin_and_listed_ones_may_call() {
        let mut config = HttpConfig::default();
        let host: Authority = "localhost:8000".parse().expect("a host");
        let may = |config: &HttpConfig, origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            known_origin(config, &headers, &host).is_ok()
        };
        assert!(may(&config, "http://localhost:8000"));
        for origin in ["null", "https://evil.com", "http://localhost:8000.evil.com", "file://", ""]
        {
            assert!(!may(&config, origin), "{origin}");
        }
        config.origins.push("https://good.com".to_owned());
        assert!(may(&config, "https://good.com"));
        assert!(!may(&config, "https://good.com.evil.com"));
    }
}
