//! Looking after shared limits and breakers; for administrators alone.

use serde_json::{Value, json};

use crate::{
    api::{ApiError, Caller, Gateway, Reply, call::FlowCall},
    breaker::{Breaker, Circuit},
    code::Code,
    flow::SharedLimit,
};

/// At most so many breakers are listed.
const MOST: u32 = 1_000;

pub(crate) async fn flow(
    gateway: &Gateway,
    caller: &Caller,
    call: FlowCall,
) -> Result<Reply, ApiError> {
    if !caller.admin {
        let detail = "limits and breakers concern everybody; only an administrator may see to them";
        return Err(ApiError::new(Code::Forbidden, detail));
    }
    let none = || ApiError::new(Code::NotOffered, "there are no limits and breakers here");
    let store = gateway.backend.flow().ok_or_else(none)?;
    let answer = match call {
        FlowCall::Limits => store.limits().await?.iter().map(limit).collect(),
        FlowCall::SetLimit(limit) => {
            let key = limit.key.clone();
            store.set_limit(limit).await?;
            json!({ "key": key, "set": true })
        }
        FlowCall::DeleteLimit(key) => {
            if !store.delete_limit(&key).await? {
                let detail = format!("there is no shared limit for `{key}`");
                return Err(ApiError::refused(Code::NoLimit, "key", detail)
                    .hint("`limits.list` shows those there are"));
            }
            json!({ "key": key, "deleted": true })
        }
        FlowCall::Breakers => store.breakers(MOST).await?.iter().map(breaker).collect(),
        FlowCall::ResetBreaker(key) => {
            if !store.reset_breaker(&key).await? {
                let detail = format!("nothing is known of a breaker `{key}`");
                return Err(ApiError::refused(Code::NoBreaker, "key", detail)
                    .hint("`breakers.list` shows those of which something is"));
            }
            json!({ "key": key, "reset": true })
        }
    };
    Ok(Reply::Flow(answer))
}

fn limit((limit, running): &(SharedLimit, u32)) -> Value {
    json!({ "key": limit.key, "max": limit.max, "rate": limit.rate, "running": running })
}

fn breaker(breaker: &Breaker) -> Value {
    let (failures, until) = match breaker.circuit {
        Circuit::Closed { failures } => (failures, None),
        Circuit::Open { until } => (breaker.policy.threshold, Some(until)),
        Circuit::HalfOpen => (breaker.policy.threshold, None),
    };
    json!({
        "key": breaker.key, "state": breaker.circuit.as_str(), "failures": failures,
        "until": until, "threshold": breaker.policy.threshold, "reset": breaker.policy.reset,
        "half_open_max": breaker.policy.half_open_max,
    })
}
