//! Limits that hold for everybody, and breakers.

use async_trait::async_trait;

use super::StoreError;
use crate::{breaker::Breaker, flow::SharedLimit};

/// So many shared limits are kept at the most.
pub const MAX_SHARED: u32 = 1_000;

/// What is offered in the plural where a store has none of it.
const LIMITS: &str = "limits";
const BREAKERS: &str = "breakers";

/// Limits that hold for everybody, and breakers.
#[async_trait]
pub trait FlowStore: Send + Sync {
    /// The shared limits, by key, each with how many tasks run under it now.
    async fn limits(&self) -> Result<Vec<(SharedLimit, u32)>, StoreError> {
        Err(StoreError::NotOffered { what: LIMITS })
    }

    /// Sets a shared limit. Tasks that may run now are set free; those that run go on.
    async fn set_limit(&self, limit: SharedLimit) -> Result<(), StoreError> {
        let _ = limit;
        Err(StoreError::NotOffered { what: LIMITS })
    }

    /// Removes a shared limit; says whether there was one.
    async fn delete_limit(&self, key: &str) -> Result<bool, StoreError> {
        let _ = key;
        Err(StoreError::NotOffered { what: LIMITS })
    }

    /// The breakers of which something is known, by key, at most `limit` of them.
    async fn breakers(&self, limit: u32) -> Result<Vec<Breaker>, StoreError> {
        let _ = limit;
        Err(StoreError::NotOffered { what: BREAKERS })
    }

    /// One breaker, if anything is known of it.
    async fn breaker(&self, key: &str) -> Result<Option<Breaker>, StoreError> {
        let _ = key;
        Err(StoreError::NotOffered { what: BREAKERS })
    }

    /// Closes a breaker by hand and sets free what waits for it; says whether anything was known of it.
    async fn reset_breaker(&self, key: &str) -> Result<bool, StoreError> {
        let _ = key;
        Err(StoreError::NotOffered { what: BREAKERS })
    }
}
