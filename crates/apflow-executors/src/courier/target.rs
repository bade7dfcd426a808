//! What of a caller's wish is stored, and how it is read again.

use std::collections::BTreeMap;

use apflow_core::{
    code::Code,
    courier::{NotCallable, Target},
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::{CourierSecret, Seal};
use crate::{
    guard::{Guard, Refusal},
    rest::{request::CONNECTION, secret},
};

/// What a header that names a secret holds.
const REFERENCE: &str = "secret://";

/// Parts of the names of headers whose values are secrets.
const SECRET_PARTS: [&str; 9] =
    ["auth", "cookie", "token", "secret", "password", "key", "credential", "signature", "session"];

/// Judges a target and makes of it what is stored.
pub(super) fn pack(
    callback: &str,
    target: &Target,
    guard: &Guard,
    seal: Option<&Seal>,
    secrets: &BTreeMap<String, CourierSecret>,
) -> Result<String, NotCallable> {
    let url = guard.read(&target.url).map_err(|refusal| not_callable(&refusal))?;
    for (name, value) in &target.headers {
        check_header(name, value, &url, secrets)?;
    }
    let whole = json!({ "url": target.url, "put": target.put, "headers": target.headers });
    if let Some(seal) = seal {
        let sealed = seal.close(&whole.to_string(), callback).ok_or_else(|| NotCallable {
            code: Code::Internal,
            field: "webhook_config",
            reason: "the target could not be sealed; nothing was run".to_owned(),
            hint: None,
        })?;
        return Ok(json!({ "sealed": sealed }).to_string());
    }
    if secret::shown(&url) != url.to_string() {
        let reason = "`webhook_config.url` carries a secret in its query, which would be stored";
        return Err(unsealed("webhook_config.url", reason.to_owned()));
    }
    let open = target.headers.iter().find(|(name, value)| {
        let name = name.to_ascii_lowercase();
        SECRET_PARTS.iter().any(|part| name.contains(part)) && !value.contains(REFERENCE)
    });
    if let Some((name, _)) = open {
        let reason = format!("the header `{name}` looks like a secret, which would be stored");
        return Err(unsealed("webhook_config.headers", reason));
    }
    Ok(whole.to_string())
}

fn not_callable(refusal: &Refusal) -> NotCallable {
    let code = if refusal.is_malformed() { Code::InvalidParams } else { Code::EgressRefused };
    let field = "webhook_config.url";
    NotCallable { code, field, reason: refusal.to_string(), hint: None }
}

fn unsealed(field: &'static str, reason: String) -> NotCallable {
    let hint = "name a secret that the operator has set, as in `Bearer secret://NAME`; with a secret \
                for callbacks apflow seals what it stores, and takes it as it is";
    NotCallable { code: Code::InvalidParams, field, reason, hint: Some(hint.to_owned()) }
}

fn check_header(
    name: &str,
    value: &str,
    url: &Url,
    secrets: &BTreeMap<String, CourierSecret>,
) -> Result<(), NotCallable> {
    // The value may be a secret, so it is not said back.
    let wrong = |reason: String| NotCallable {
        code: Code::InvalidParams,
        field: "webhook_config.headers",
        reason,
        hint: None,
    };
    let lower = name.to_ascii_lowercase();
    if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err() {
        return Err(wrong("a header has a name or a value that HTTP does not allow".to_owned()));
    }
    let ours = lower == "content-type"
        || lower.starts_with("webhook-")
        || lower.starts_with("x-webhook-")
        || CONNECTION.contains(&lower.as_str());
    if ours {
        return Err(wrong(format!("the header `{lower}` is not for a caller to set")));
    }
    resolve(value, url, secrets).map(drop).map_err(wrong)
}

/// The value with the secret it names in the place of the name.
fn resolve(
    value: &str,
    url: &Url,
    secrets: &BTreeMap<String, CourierSecret>,
) -> Result<String, String> {
    let Some((before, name)) = value.split_once(REFERENCE) else { return Ok(value.to_owned()) };
    let host = url.host_str().unwrap_or_default();
    let known = secrets
        .get(name)
        .filter(|secret| secret.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host)));
    match known {
        Some(secret) => Ok(format!("{before}{}", secret.value)),
        // Whether it exists is nobody's business but the operator's.
        None => {
            Err("a header names a secret that the operator has not set for that host".to_owned())
        }
    }
}

/// A target as it was stored.
pub(super) struct Packed {
    pub(super) url: String,
    pub(super) put: bool,
    headers: BTreeMap<String, String>,
}

impl Packed {
    /// Reads it again, or says why that cannot be.
    pub(super) fn read(text: &str, callback: &str, seal: Option<&Seal>) -> Result<Self, String> {
        let broken = || "the stored target cannot be read".to_owned();
        let mut value: Value = serde_json::from_str(text).map_err(|_| broken())?;
        if let Some(sealed) = value.get("sealed").and_then(Value::as_str) {
            let opened = seal.and_then(|seal| seal.open(sealed, callback)).ok_or(
                "the stored target is sealed under another secret than the one for callbacks",
            )?;
            value = serde_json::from_str(&opened).map_err(|_| broken())?;
        }
        let headers = value.get("headers").and_then(Value::as_object).ok_or_else(broken)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Ok(Self {
            url: value.get("url").and_then(text).ok_or_else(broken)?,
            put: value.get("put").and_then(Value::as_bool).unwrap_or(false),
            headers: headers
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
                .collect(),
        })
    }

    /// What is sent along, secrets and all.
    pub(super) fn headers(
        &self,
        url: &Url,
        secrets: &BTreeMap<String, CourierSecret>,
    ) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let value = resolve(value, url, secrets)?;
            let (Ok(name), Ok(mut value)) =
                (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value))
            else {
                return Err("a stored header is one that HTTP does not allow".to_owned());
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }
}
