//! Who carries callbacks out of the process, and what it is told.
//!
//! The engine knows when to deliver what; where to, with which proof, and whether that address may be
//! called at all is the courier's affair.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;

use crate::code::Code;

/// Where a caller wants to be told.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// The address.
    pub url: String,
    /// Send with PUT instead of POST.
    pub put: bool,
    /// What the caller wants to be sent along.
    pub headers: BTreeMap<String, String>,
}

/// Headers and address may prove who we are, so only the names of headers are shown.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.headers.keys().collect();
        f.debug_struct("Target")
            .field("put", &self.put)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// Why an address cannot be told of anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCallable {
    /// What sort of error it is.
    pub code: Code,
    /// Which part of the wish is wrong.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
    /// What to do.
    pub hint: Option<String>,
}

/// One event on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The id of this delivery; the same at every try.
    pub id: String,
    /// The id of the callback.
    pub callback: String,
    /// What [`Courier::pack`] made of the target.
    pub target: String,
    /// How long it may take in all.
    pub timeout: Duration,
    /// The body, as JSON.
    pub body: String,
}

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The other side has it.
    Delivered,
    /// The other side wants no more.
    Gone,
    /// The address may not be called.
    Refused(String),
    /// It did not go well.
    Failed {
        /// Why, without anything secret.
        why: String,
        /// Another try may go better.
        again: bool,
        /// How long the other side asks us to wait.
        after: Option<Duration>,
    },
}

/// Carries callbacks out of the process.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Judges a target and returns what may be stored of it: nothing in it is a secret in the clear.
    fn pack(&self, callback: &str, target: &Target) -> Result<String, NotCallable>;

    /// Tries once to deliver.
    async fn deliver(&self, delivery: Delivery) -> Outcome;
}
