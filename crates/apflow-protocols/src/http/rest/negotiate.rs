//! What the client sends and what it can read: both have to be JSON.

use axum::http::{HeaderMap, StatusCode, header};

use crate::http::guard::Refusal;

/// Refuses a client that says it cannot read JSON.
pub(super) fn accepts(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut any = false;
    for value in headers.get_all(header::ACCEPT) {
        let Ok(text) = value.to_str() else { continue };
        for range in text.split(',').map(str::trim).filter(|range| !range.is_empty()) {
            any = true;
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let json = ["*/*", "application/*", "application/json"].contains(&kind.as_str());
            if json && !parts.any(refused) {
                return Ok(());
            }
        }
    }
    if !any {
        return Ok(());
    }
    let detail = "answers are `application/json`, and `Accept` leaves no room for that";
    Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, detail))
}

/// `q=0` says "not this".
fn refused(parameter: &str) -> bool {
    parameter
        .split_once('=')
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .is_some_and(|(_, weight)| weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0))
}

/// Refuses a body that does not call itself JSON.
pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (kind, more) = (kinds.next(), kinds.next());
    let text = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let mut parts = text.split(';').map(str::trim);
    let json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let utf8 = parts.all(|parameter| {
        parameter.split_once('=').is_none_or(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset")
                || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
    });
    if json && utf8 && more.is_none() {
        return Ok(());
    }
    let detail = "the body must be JSON in UTF-8 and say so: `Content-Type: application/json`";
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: &header::HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_client_that_can_read_json_or_says_nothing_is_answered() {
        for accept in [
            &[][..],
            &[""],
            &["*/*"],
            &["application/json"],
            &["text/html, application/json;q=0.5"],
            &["text/html", "application/*"],
            &["Application/JSON; charset=utf-8"],
        ] {
            assert!(accepts(&headers(&header::ACCEPT, accept)).is_ok(), "{accept:?}");
        }
        for accept in ["text/html", "application/xml", "application/json;q=0", "*/*;q=0.0"] {
            assert!(accepts(&headers(&header::ACCEPT, &[accept])).is_err(), "{accept}");
        }
    }

    #[test]
    fn a_body_has_to_call_itself_json_once() {
        for kind in ["application/json", "application/json; charset=UTF-8", "Application/Json"] {
            assert!(is_json(&headers(&header::CONTENT_TYPE, &[kind])).is_ok(), "{kind}");
        }
        for kind in [
            &[][..],
            &["text/plain"],
            &["application/x-www-form-urlencoded"],
            &["application/json; charset=utf-16"],
            &["application/json", "text/html"],
        ] {
            assert!(is_json(&headers(&header::CONTENT_TYPE, kind)).is_err(), "{kind:?}");
        }
    }
}
