//! Reading the parameters of the operations on shared limits and breakers.

use serde_json::Value;

use super::{Call, Read};
use crate::{
    api::{ApiError, params::Params, params::describe},
    code::Code,
    flow::{self, Pace, SharedLimit},
};

/// What is asked of shared limits and breakers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowCall {
    /// List the shared limits.
    Limits,
    /// Set one.
    SetLimit(SharedLimit),
    /// Remove one.
    DeleteLimit(String),
    /// List the breakers of which something is known.
    Breakers,
    /// Close one by hand.
    ResetBreaker(String),
}

impl FlowCall {
    /// The id of its operation.
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::Limits => "limits.list",
            Self::SetLimit(_) => "limits.set",
            Self::DeleteLimit(_) => "limits.delete",
            Self::Breakers => "breakers.list",
            Self::ResetBreaker(_) => "breakers.reset",
        }
    }
}

pub(super) fn bare(method: &'static str, params: Value, call: FlowCall) -> Result<Read, ApiError> {
    let warnings = Params::new(method, params)?.warnings();
    Ok(Read { call: Call::Flow(Box::new(call)), warnings })
}

pub(super) fn of_key(
    method: &'static str,
    params: Value,
    call: fn(String) -> FlowCall,
) -> Result<Read, ApiError> {
    let mut params = Params::new(method, params)?;
    let key = key(&mut params)?;
    Ok(Read { call: Call::Flow(Box::new(call(key))), warnings: params.warnings() })
}

pub(super) fn set_limit(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("limits.set", params)?;
    let key = key(&mut params)?;
    if let Some(why) = flow::wrong_key(&key) {
        return Err(ApiError::refused(Code::InvalidFlow, "key", why));
    }
    let max = match given(&mut params, "max") {
        None => None,
        Some(value) => {
            let max = value.as_u64().and_then(|max| u32::try_from(max).ok());
            let wrong =
                || ApiError::invalid("max", "a whole number from 1 to 1000000", describe(&value));
            let max = max.ok_or_else(wrong)?;
            if let Some(why) = flow::wrong_count(max) {
                return Err(ApiError::refused(Code::InvalidFlow, "max", why));
            }
            Some(max)
        }
    };
    let rate = match given(&mut params, "rate") {
        None => None,
        Some(value) => Some(pace(value)?),
    };
    let call = FlowCall::SetLimit(SharedLimit { key, max, rate });
    Ok(Read { call: Call::Flow(Box::new(call)), warnings: params.warnings() })
}

fn given(params: &mut Params, name: &'static str) -> Option<Value> {
    params.take(&[name]).map(|(_, value)| value).filter(|value| !value.is_null())
}

fn pace(value: Value) -> Result<Pace, ApiError> {
    const EXPECTED: &str = "an object like {\"limit\": 60, \"per\": \"1m\", \"burst\": 5}";
    let shown = describe(&value);
    let pace: Pace =
        serde_json::from_value(value).map_err(|_| ApiError::invalid("rate", EXPECTED, shown))?;
    let wrong = flow::wrong_count(pace.limit)
        .or_else(|| flow::wrong_count(pace.burst))
        .or_else(|| flow::wrong_span(pace.per));
    match wrong {
        Some(why) => Err(ApiError::refused(Code::InvalidFlow, "rate", why)),
        None => Ok(pace),
    }
}

fn key(params: &mut Params) -> Result<String, ApiError> {
    let key = params.text("key")?.filter(|key| !key.is_empty());
    key.ok_or_else(|| ApiError::missing("key", "a key", "key is required"))
}
