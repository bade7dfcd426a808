//! Which breakers an attempt has, and what its end tells them.

use std::sync::Arc;

use super::Inner;
use crate::{
    executor::{Circuits, Context, Guard, Manifest},
    store::{Claimed, Ended},
    task::FailureKind,
};

/// Where the breakers of an engine are asked.
pub(super) fn circuits(engine: &Inner) -> Circuits {
    let breakers = &engine.config.breakers;
    Circuits::new(Arc::clone(&engine.store), breakers.hosts.then_some(breakers.policy))
}

/// The breaker of an executor, if the task or the settings give it one.
pub(super) fn of_executor<'a>(
    context: &'a Context,
    engine: &Inner,
    claimed: &Claimed,
    manifest: &Manifest,
) -> Guard<'a> {
    let breakers = &engine.config.breakers;
    let configured = breakers.executors.contains(&manifest.id).then_some(breakers.policy);
    let policy = claimed.definition.flow.breaker.or(configured);
    context.breaker(format!("executor:{}", manifest.id), policy)
}

/// Tells the breaker of an executor how an attempt ended.
pub(super) fn tell(breaker: &Guard<'_>, ended: &Ended) {
    match ended {
        Ended::Completed { .. } | Ended::Parked { .. } => breaker.worked(),
        Ended::Failed { failure, .. } => match failure.kind {
            FailureKind::Executor | FailureKind::Timeout | FailureKind::Panic => breaker.failed(),
            // The executor was not at fault.
            _ => breaker.says_nothing(),
        },
        Ended::HandedBack | Ended::Held(_) | Ended::Skipped { .. } => breaker.says_nothing(),
    }
}
