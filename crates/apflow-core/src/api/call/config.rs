//! Reading the parameters of the operations on the configuration.

use serde_json::Value;

use super::{Call, Read};
use crate::api::{ApiError, params::Params};

/// A key and the value it should have until the process ends.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigSet {
    /// The key.
    pub key: String,
    /// The value; `null` takes back what was set before.
    pub value: Value,
}

pub(super) fn config_get(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("config.get", params)?;
    let key = key(&mut params)?;
    Ok(Read { call: Call::ConfigGet(key), warnings: params.warnings() })
}

pub(super) fn config_set(params: Value) -> Result<Read, ApiError> {
    let mut params = Params::new("config.set", params)?;
    let key = key(&mut params)?;
    let missing = || ApiError::missing("value", "a value, or null", "value is required");
    if !params.has("value") {
        return Err(missing());
    }
    let value = params.take(&["value"]).map_or(Value::Null, |(_, value)| value);
    Ok(Read { call: Call::ConfigSet(ConfigSet { key, value }), warnings: params.warnings() })
}

fn key(params: &mut Params) -> Result<String, ApiError> {
    let key = params.text("key")?.filter(|key| !key.is_empty());
    key.ok_or_else(|| ApiError::missing("key", "a key of the configuration", "key is required"))
}
