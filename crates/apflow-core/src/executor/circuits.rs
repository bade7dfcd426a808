//! How an attempt asks a breaker, and tells it how things went.

use std::{
    fmt,
    sync::{Arc, MutexGuard, PoisonError},
};

use super::{Context, ExecuteError, Notes};
use crate::{
    breaker::{BreakerPolicy, Circuit, Report},
    store::Store,
    task::{Held, HeldBy},
};

/// Where breakers are asked; nowhere in a context without an engine.
#[derive(Clone, Default)]
pub struct Circuits {
    store: Option<Arc<dyn Store>>,
    /// The rules for hosts, if hosts have breakers.
    hosts: Option<BreakerPolicy>,
}

impl fmt::Debug for Circuits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuits").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Circuits {
    /// Breakers that lie in a store; `hosts` are the rules for hosts, if they have any.
    pub fn new(store: Arc<dyn Store>, hosts: Option<BreakerPolicy>) -> Self {
        Self { store: Some(store), hosts }
    }
}

impl Context {
    /// The breaker of a host the attempt is about to talk to.
    ///
    /// It does nothing unless the settings give hosts breakers.
    pub fn host_breaker(&self, host: &str) -> Guard<'_> {
        self.breaker(format!("host:{host}"), self.circuits.hosts)
    }

    /// A breaker by its key, such as `host:example.org`, under these rules; without rules it always
    /// lets through and remembers nothing.
    pub fn breaker(&self, key: impl Into<String>, policy: Option<BreakerPolicy>) -> Guard<'_> {
        Guard { context: self, key: key.into(), policy }
    }
}

/// One breaker, as one attempt sees it.
#[derive(Clone)]
pub struct Guard<'a> {
    context: &'a Context,
    key: String,
    policy: Option<BreakerPolicy>,
}

impl fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("key", &self.key).field("policy", &self.policy).finish()
    }
}

impl Guard<'_> {
    /// Goes ahead where the breaker lets the attempt through, and else ends it: hand the error on.
    ///
    /// The task waits until the breaker lets it through, and no attempt is counted. A breaker that
    /// cannot be asked lets through.
    pub async fn pass(&self) -> Result<(), ExecuteError> {
        let (Some(_), Some(store)) = (self.policy, &self.context.circuits.store) else {
            return Ok(());
        };
        if self.context.given.probes.contains(&self.key) {
            return Ok(());
        }
        let known = match store.breaker(&self.key).await {
            Ok(known) => known,
            Err(error) => {
                tracing::debug!(key = self.key, %error, "a breaker could not be asked");
                None
            }
        };
        let until = match known.map(|breaker| breaker.circuit) {
            None | Some(Circuit::Closed { .. }) => return Ok(()),
            Some(Circuit::Open { until }) => Some(until),
            // Somebody tries; the store looks at those who wait when it is done.
            Some(Circuit::HalfOpen) => None,
        };
        Err(ExecuteError::Held(Box::new(Held {
            by: HeldBy::Breaker,
            key: self.key.clone(),
            until,
        })))
    }

    /// What the breaker guards did what was asked of it.
    pub fn worked(&self) {
        self.report(true);
    }

    /// What the breaker guards did not answer, or answered that it cannot.
    pub fn failed(&self) {
        self.report(false);
    }

    /// Nothing was learnt of what the breaker guards.
    pub fn says_nothing(&self) {
        self.notes().breakers.retain(|known| known.key != self.key);
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        // Whoever panicked while he held it has written whole notes or none.
        self.context.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it went; counted in the transaction in which the attempt ends. The last word counts.
    pub fn report(&self, worked: bool) {
        let Some(policy) = self.policy else { return };
        let report = Report { key: self.key.clone(), worked, policy };
        let mut notes = self.notes();
        notes.breakers.retain(|known| known.key != report.key);
        notes.breakers.push(report);
    }
}
