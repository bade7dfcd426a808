//! What a task asks for, read from its inputs and judged before anything is opened.

use std::time::Duration;

use apflow_core::{code::Code, executor::ExecuteError, task::FailureKind};
use reqwest::{
    Method,
    header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Map, Value};
use url::Url;

use super::{ID, METHODS, RestConfig, refused, secret::Secrets};
use crate::guard::Guard;

/// Seconds a call may take if the task does not say.
pub(super) const TIMEOUT: f64 = 30.0;

/// Headers that belong to the connection; a task that set them could speak for another.
pub(crate) const CONNECTION: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A call, checked.
pub(super) struct Request {
    pub(super) method: Method,
    /// With the parameters, without a key that belongs into the query.
    pub(super) url: Url,
    /// A key for the query: sent, and shown nowhere.
    pub(super) query_key: Option<(String, String)>,
    /// The task's own headers and its proof; they go to the first origin alone.
    pub(super) headers: HeaderMap,
    pub(super) content: Option<Content>,
    pub(super) timeout: Duration,
    pub(super) verify: bool,
    pub(super) secrets: Secrets,
}

/// A body and what it is, if that is not for the task to say.
#[derive(Clone)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) kind: Option<HeaderValue>,
}

impl Request {
    /// Reads the inputs; other keys are results of dependencies and of no concern here.
    pub(super) fn read(
        inputs: &Map<String, Value>,
        config: &RestConfig,
        guard: &Guard,
    ) -> Result<Self, ExecuteError> {
        let mut url = url(inputs, guard)?;
        add_params(&mut url, inputs)?;
        let mut request = Self {
            method: method(inputs)?,
            url,
            query_key: None,
            headers: headers(inputs)?,
            content: content(inputs)?,
            timeout: timeout(inputs, config)?,
            verify: verify(inputs, config)?,
            secrets: Secrets::default(),
        };
        request.authorize(inputs)?;
        request.remember_secrets();
        Ok(request)
    }

    fn authorize(&mut self, inputs: &Map<String, Value>) -> Result<(), ExecuteError> {
        let auth = match inputs.get("auth") {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Object(auth)) => auth,
            Some(_) => return Err(bad("auth must be an object")),
        };
        let part = |name: &str| match auth.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(bad(&format!("auth.{name} must be a text"))),
        };
        let needed = |name: &str| {
            part(name)?
                .filter(|text| !text.is_empty())
                .ok_or_else(|| bad(&format!("auth.{name} is required for this type of auth")))
        };
        match part("type")?.unwrap_or_default().to_ascii_lowercase().as_str() {
            "bearer" => {
                let token = needed("token")?;
                self.secrets.add(&token);
                self.prove("auth.token", &format!("Bearer {token}"))?;
            }
            "basic" => {
                let (user, password) = (needed("username")?, part("password")?.unwrap_or_default());
                self.secrets.add(&password);
                let both = base64(format!("{user}:{password}").as_bytes());
                self.prove("auth", &format!("Basic {both}"))?;
            }
            "apikey" => {
                let (key, value) = (needed("key")?, needed("value")?);
                self.secrets.add(&value);
                match part("location")?.as_deref().unwrap_or("header") {
                    "header" => {
                        let name = header_name("auth.key", &key)?;
                        self.headers.insert(name, header_value("auth.value", &value)?);
                    }
                    "query" => self.query_key = Some((key, value)),
                    _ => return Err(bad("auth.location must be header or query")),
                }
            }
            _ => return Err(bad("auth.type must be bearer, basic or apikey")),
        }
        Ok(())
    }

    /// Sets the header of proof; one the task wrote itself goes before it, as it always did.
    fn prove(&mut self, place: &str, proof: &str) -> Result<(), ExecuteError> {
        let proof = header_value(place, proof)?;
        self.headers.entry(AUTHORIZATION).or_insert(proof);
        Ok(())
    }

    /// Headers that carry a proof are secrets, whoever wrote them.
    fn remember_secrets(&mut self) {
        for (name, value) in &self.headers {
            let proof = name == AUTHORIZATION
                || name == COOKIE
                || ["token", "secret", "password", "api-key", "apikey", "auth"]
                    .iter()
                    .any(|part| name.as_str().contains(part));
            let (true, Ok(text)) = (proof, value.to_str()) else { continue };
            self.secrets.add(text);
            // Without the scheme before it, and each cookie by itself.
            if let Some((_, rest)) = text.split_once(' ') {
                self.secrets.add(rest.trim());
            }
            if name == COOKIE {
                let values = text.split(';').filter_map(|pair| pair.split_once('='));
                values.for_each(|(_, value)| self.secrets.add(value.trim()));
            }
        }
    }

    /// The URL as it is sent.
    pub(super) fn sent_url(&self) -> Url {
        let mut url = self.url.clone();
        if let Some((key, value)) = &self.query_key {
            url.query_pairs_mut().append_pair(key, value);
        }
        url
    }
}

fn url(inputs: &Map<String, Value>, guard: &Guard) -> Result<Url, ExecuteError> {
    match inputs.get("url") {
        None | Some(Value::Null) => Err(bad("url is required in inputs")),
        Some(Value::String(text)) if text.trim().is_empty() => {
            Err(bad("url is required in inputs"))
        }
        Some(Value::String(text)) => guard.read(text).map_err(|refusal| refused(&refusal)),
        Some(_) => Err(bad("url must be a text")),
    }
}

fn method(inputs: &Map<String, Value>) -> Result<Method, ExecuteError> {
    let wrong = || {
        let names: Vec<&str> = METHODS.iter().map(Method::as_str).collect();
        bad(&format!("method must be one of {}", names.join(", ")))
    };
    match inputs.get("method") {
        None | Some(Value::Null) => Ok(Method::GET),
        Some(Value::String(name)) => METHODS
            .into_iter()
            .find(|method| method.as_str().eq_ignore_ascii_case(name))
            .ok_or_else(wrong),
        Some(_) => Err(wrong()),
    }
}

fn add_params(url: &mut Url, inputs: &Map<String, Value>) -> Result<(), ExecuteError> {
    let Some(params) = object(inputs, "params")? else { return Ok(()) };
    let wrong = |name: &str| {
        bad(&format!("params.{} must be a plain value or a list of them", plain(name)))
    };
    let mut pairs = Vec::new();
    for (name, value) in params {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        for value in values.iter().filter(|value| !value.is_null()) {
            pairs.push((name, scalar(value).ok_or_else(|| wrong(name))?));
        }
    }
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(())
}

fn headers(inputs: &Map<String, Value>) -> Result<HeaderMap, ExecuteError> {
    let mut headers = HeaderMap::new();
    let Some(asked) = object(inputs, "headers")? else { return Ok(headers) };
    for (name, value) in asked.iter().filter(|(_, value)| !value.is_null()) {
        let place = format!("headers.{}", plain(name));
        let text = scalar(value).ok_or_else(|| bad(&format!("{place} must be a plain value")))?;
        headers.insert(header_name(&place, name)?, header_value(&place, &text)?);
    }
    Ok(headers)
}

fn header_name(place: &str, name: &str) -> Result<HeaderName, ExecuteError> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| bad(&format!("{place} is no name of a header")))?;
    if CONNECTION.contains(&name.as_str()) {
        return Err(bad(&format!("{place} belongs to the connection and cannot be set")));
    }
    Ok(name)
}

/// The value may be a secret: what is wrong with it is said without it.
fn header_value(place: &str, value: &str) -> Result<HeaderValue, ExecuteError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        bad(&format!("{place} holds a sign that no header may, such as a line break"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn content(inputs: &Map<String, Value>) -> Result<Option<Content>, ExecuteError> {
    if let Some(json) = inputs.get("json").filter(|json| !json.is_null()) {
        return Ok(Some(Content {
            bytes: json.to_string().into_bytes(),
            kind: Some(HeaderValue::from_static("application/json")),
        }));
    }
    match inputs.get("data") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            Ok(Some(Content { bytes: text.clone().into_bytes(), kind: None }))
        }
        Some(Value::Object(fields)) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                let wrong = || bad(&format!("data.{} must be a plain value", plain(name)));
                form.append_pair(name, &scalar(value).ok_or_else(wrong)?);
            }
            Ok(Some(Content {
                bytes: form.finish().into_bytes(),
                kind: Some(HeaderValue::from_static("application/x-www-form-urlencoded")),
            }))
        }
        Some(_) => Err(bad("data must be an object or a text")),
    }
}

fn timeout(inputs: &Map<String, Value>, config: &RestConfig) -> Result<Duration, ExecuteError> {
    let most = config.max_timeout;
    let seconds = match inputs.get("timeout") {
        None | Some(Value::Null) => TIMEOUT.min(most.as_secs_f64()),
        Some(value) => value.as_f64().unwrap_or(f64::NAN),
    };
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| !time.is_zero() && *time <= most)
        .ok_or_else(|| {
            bad(&format!(
                "timeout must be a number of seconds above 0 and at most {}",
                most.as_secs_f64()
            ))
        })
}

fn verify(inputs: &Map<String, Value>, config: &RestConfig) -> Result<bool, ExecuteError> {
    match inputs.get("verify") {
        None | Some(Value::Null | Value::Bool(true)) => Ok(true),
        Some(Value::Bool(false)) if config.allow_unverified => Ok(false),
        Some(Value::Bool(false)) => Err(ExecuteError::of_kind(
            FailureKind::NotAllowed,
            format!(
                "[{ID}] verify: false is refused: certificates are checked unless the operator \
                 allows otherwise ({})",
                Code::EgressRefused
            ),
        )),
        // In Python this was the path of a certificate authority: a file of the server's choice.
        Some(_) => Err(bad("verify must be true or false; files of certificates are not read")),
    }
}

fn object<'a>(
    inputs: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, ExecuteError> {
    match inputs.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(bad(&format!("{name} must be an object"))),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Three bytes as four signs, the end filled up.
fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let sign = SIGNS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place > three.len() { '=' } else { char::from(sign) });
        }
    }
    text
}

/// A name from outside as it may stand in a sentence.
fn plain(name: &str) -> String {
    name.chars().filter(|sign| !sign.is_control()).take(60).collect()
}

fn bad(what: &str) -> ExecuteError {
    ExecuteError::invalid_input(format!("[{ID}] {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_filled_up_at_the_end() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("\u{fb}\u{ff}?", "w7vDvz8="),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
