//! Reading where a caller wants to be told of a run.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};

use crate::{
    api::{
        ApiError,
        params::{Params, describe},
    },
    courier::Target,
};

/// Seconds a delivery may take if the caller does not say.
const TIMEOUT: f64 = 30.0;
/// Tries after the first if the caller does not say.
const RETRIES: u32 = 3;
/// The most headers.
const MOST_HEADERS: usize = 20;
/// Characters of all headers together.
const HEADER_CHARS: usize = 8192;
/// Characters of the address.
const URL_CHARS: usize = 2048;

/// Where a caller wants to be told of a run, and how hard to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackWish {
    /// Where.
    pub target: Target,
    /// How long one delivery may take.
    pub timeout: Duration,
    /// Tries of one event after the first.
    pub max_retries: u32,
}

pub(super) fn read(config: Map<String, Value>) -> Result<CallbackWish, ApiError> {
    let mut params = Params::new("webhook_config", Value::Object(config))?;
    let url = params.text("url")?.filter(|url| !url.trim().is_empty()).ok_or_else(|| {
        ApiError::missing("webhook_config.url", "an address", "webhook_config.url is required")
    })?;
    if url.chars().count() > URL_CHARS {
        let expected = format!("at most {URL_CHARS} characters");
        return Err(ApiError::invalid("webhook_config.url", expected, "longer"));
    }
    let put = match params.text("method")?.unwrap_or_default().to_ascii_uppercase().as_str() {
        "" | "POST" => false,
        "PUT" => true,
        _ => return Err(ApiError::invalid("webhook_config.method", "POST or PUT", "another one")),
    };
    let headers = headers(params.object("headers")?.unwrap_or_default())?;
    let timeout = match params.take(&["timeout"]) {
        None => TIMEOUT,
        Some((_, value)) => value
            .as_f64()
            .filter(|seconds| *seconds > 0.0 && *seconds <= 86_400.0)
            .ok_or_else(|| {
                let expected = "seconds above 0 and at most 86400";
                ApiError::invalid("webhook_config.timeout", expected, describe(&value))
            })?,
    };
    let max_retries = params.number("max_retries", RETRIES, u32::MAX)?;
    if let Some(name) = params.rest().keys().next() {
        let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
        let expected = "an object with url, headers, method, timeout, max_retries";
        return Err(ApiError::invalid("webhook_config", expected, format!("one with `{name}`")));
    }
    let target = Target { url, put, headers };
    Ok(CallbackWish { target, timeout: Duration::from_secs_f64(timeout), max_retries })
}

fn headers(given: Map<String, Value>) -> Result<BTreeMap<String, String>, ApiError> {
    const FIELD: &str = "webhook_config.headers";
    if given.len() > MOST_HEADERS {
        let expected = format!("at most {MOST_HEADERS} headers");
        return Err(ApiError::invalid(FIELD, expected, given.len().to_string()));
    }
    let mut headers = BTreeMap::new();
    let mut chars = 0;
    for (name, value) in given {
        // The value may be a secret, so it is not said back.
        let value = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                return Err(ApiError::invalid(FIELD, "texts by name", "something deeper"));
            }
        };
        chars += name.chars().count() + value.chars().count();
        headers.insert(name, value);
    }
    if chars > HEADER_CHARS {
        let expected = format!("at most {HEADER_CHARS} characters in all");
        return Err(ApiError::invalid(FIELD, expected, "more"));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wish(value: Value) -> Result<CallbackWish, ApiError> {
        let Value::Object(map) = value else { panic!("an object") };
        read(map)
    }

    #[test]
    fn a_wish_has_the_defaults_of_the_python_server() {
        let plain = wish(json!({"url": "https://a.example/hook"})).expect("a wish");
        assert_eq!((plain.timeout, plain.max_retries), (Duration::from_secs(30), 3));
        assert!(!plain.target.put && plain.target.headers.is_empty());
        let full = json!({"url": "https://a.example", "method": "put", "timeout": 1.5,
            "max_retries": 0, "headers": {"X-Tenant": 7}});
        let full = wish(full).expect("a wish");
        assert_eq!((full.timeout, full.max_retries), (Duration::from_millis(1500), 0));
        assert!(full.target.put);
        assert_eq!(full.target.headers["X-Tenant"], "7");
    }

    #[test]
    fn what_is_wrong_is_named_and_no_header_is_said_back() {
        for (value, field) in [
            (json!({"a": 1}), "webhook_config.url"),
            (json!({"url": ""}), "webhook_config.url"),
            (json!({"url": "https://a", "method": "GET"}), "webhook_config.method"),
            (json!({"url": "https://a", "timeout": 0}), "webhook_config.timeout"),
            (json!({"url": "https://a", "timeout": "CANARY"}), "webhook_config.timeout"),
            (json!({"url": "https://a", "headers": {"a": ["CANARY"]}}), "webhook_config.headers"),
            (json!({"url": "https://a", "uri": 1}), "webhook_config"),
        ] {
            let error = wish(value).expect_err(field);
            assert_eq!(error.problems[0].field.as_deref(), Some(field));
            let secret = field.ends_with("headers") && error.data().to_string().contains("CANARY");
            assert!(!secret, "{error}");
        }
        let shown = format!(
            "{:?}",
            wish(json!({"url": "https://a?key=CANARY",
            "headers": {"Authorization": "CANARY"}}))
        );
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}
