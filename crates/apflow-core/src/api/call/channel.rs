//! Reading the parameters of the operations on channels.

use std::time::Duration;

use serde_json::{Number, Value};

use super::{Call, ID, Read};
use crate::{
    api::{
        ApiError,
        params::{Params, describe},
    },
    channel::{Expect, KeyRange, MAX_LISTED, Op},
    id::TaskId,
};

/// What somebody outside wants of the channel of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelCall {
    /// A task of the run.
    pub task: TaskId,
    /// The space; empty for the run itself.
    pub space: String,
    /// What is to be done.
    pub wish: ChannelWish,
}

/// What is to be done with a channel.
#[derive(Debug, Clone, PartialEq)]
pub enum ChannelWish {
    /// One operation.
    Do(Op),
    /// List what it holds.
    List(KeyRange),
}

impl ChannelWish {
    /// The operation in the catalogue; of locks outsiders only see who holds them.
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::List(_) => "channels.keys",
            Self::Do(Op::Get { .. }) => "channels.get",
            Self::Do(Op::Add { .. }) => "channels.add",
            Self::Do(Op::Push { .. }) => "channels.append",
            Self::Do(Op::Delete { .. }) => "channels.delete",
            Self::Do(_) => "channels.set",
        }
    }
}

pub(super) fn get(params: Value) -> Result<Read, ApiError> {
    read("channels.get", params, |params| Ok(ChannelWish::Do(Op::Get { key: key(params)? })))
}

pub(super) fn keys(params: Value) -> Result<Read, ApiError> {
    read("channels.keys", params, |params| {
        Ok(ChannelWish::List(KeyRange {
            locks: params.flag("locks", false)?,
            prefix: params.text("prefix")?.unwrap_or_default(),
            after: params.text("after")?,
            limit: params.number("limit", 100, MAX_LISTED)?,
        }))
    })
}

pub(super) fn set(params: Value) -> Result<Read, ApiError> {
    read("channels.set", params, |params| {
        let key = key(params)?;
        let (value, ttl, expect) = (value(params)?, ttl(params)?, expect(params)?);
        Ok(ChannelWish::Do(Op::Set { key, value, ttl, expect }))
    })
}

pub(super) fn add(params: Value) -> Result<Read, ApiError> {
    read("channels.add", params, |params| {
        let key = key(params)?;
        let amount = match params.take(&["amount"]) {
            None => Number::from(1),
            Some((_, Value::Number(amount))) => amount,
            Some((name, other)) => {
                return Err(ApiError::invalid(name, "a number", describe(&other)));
            }
        };
        Ok(ChannelWish::Do(Op::Add { key, amount }))
    })
}

pub(super) fn append(params: Value) -> Result<Read, ApiError> {
    read("channels.append", params, |params| {
        let key = key(params)?;
        let (values, front) = (vec![value(params)?], params.flag("front", false)?);
        Ok(ChannelWish::Do(Op::Push { key, values, front }))
    })
}

pub(super) fn delete(params: Value) -> Result<Read, ApiError> {
    read("channels.delete", params, |params| {
        let (key, expect) = (key(params)?, expect(params)?);
        Ok(ChannelWish::Do(Op::Delete { key, expect }))
    })
}

fn read(
    method: &'static str,
    params: Value,
    wish: impl FnOnce(&mut Params) -> Result<ChannelWish, ApiError>,
) -> Result<Read, ApiError> {
    let mut params = Params::new(method, params)?;
    let Some(task) = params.id(ID)? else {
        return Err(ApiError::missing("task_id", "a task id", "Task ID is required"));
    };
    let space = params.text("space")?.unwrap_or_default();
    let wish = wish(&mut params)?;
    let call = Call::Channel(Box::new(ChannelCall { task, space, wish }));
    Ok(Read { call, warnings: params.warnings() })
}

fn key(params: &mut Params) -> Result<String, ApiError> {
    let key = params.text("key")?;
    key.ok_or_else(|| ApiError::missing("key", "a key", "key is required"))
}

/// Any JSON, `null` too; but it has to be said.
fn value(params: &mut Params) -> Result<Value, ApiError> {
    if !params.has("value") {
        return Err(ApiError::missing("value", "a value", "value is required"));
    }
    Ok(params.take(&["value"]).map_or(Value::Null, |(_, value)| value))
}

fn ttl(params: &mut Params) -> Result<Option<Duration>, ApiError> {
    let Some((name, value)) = params.take(&["ttl_seconds"]) else { return Ok(None) };
    let ttl = value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    ttl.map(Some).ok_or_else(|| ApiError::invalid(name, "a number of seconds", describe(&value)))
}

fn expect(params: &mut Params) -> Result<Expect, ApiError> {
    let Some((name, value)) = params.take(&["if_version"]) else { return Ok(Expect::Any) };
    match value.as_u64() {
        Some(0) => Ok(Expect::Absent),
        Some(version) => Ok(Expect::Version(version)),
        None => Err(ApiError::invalid(name, "a version, or 0 for nothing", describe(&value))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wish(method: &str, params: Value) -> ChannelWish {
        match Call::read(method, params).expect("a call").call {
            Call::Channel(call) => call.wish,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_version_of_0_means_that_nothing_is_there_and_null_is_a_value() {
        let params = json!({"task_id": "a", "key": "k", "value": null, "if_version": 0});
        let ChannelWish::Do(Op::Set { value, expect, ttl, .. }) = wish("channels.set", params)
        else {
            panic!("a set")
        };
        assert_eq!((value, expect, ttl), (Value::Null, Expect::Absent, None));
        let error = Call::read("channels.set", json!({"task_id": "a", "key": "k"}));
        assert_eq!(error.expect_err("no value").problems[0].field.as_deref(), Some("value"));
        for ttl in [json!(-1), json!("soon"), json!(1e300)] {
            let params = json!({"task_id": "a", "key": "k", "value": 1, "ttl_seconds": ttl});
            let error = Call::read("channels.set", params).expect_err("no time");
            assert_eq!(error.problems[0].field.as_deref(), Some("ttl_seconds"));
        }
    }
}
