//! Loops that make many nodes one cluster, and what nodes may share beside the database.
//!
//! Inner crate: not covered by semver, depend on `apflow`.
//!
//! * `redis` (feature) keeps channels in a Redis server. It is never where tasks are kept (ruling 24).

#[cfg(feature = "redis")]
pub mod redis;
