//! apflow: durable task orchestration that starts in your process on SQLite and grows to PostgreSQL.
//!
//! * [`App`] puts an engine, a database and executors together; start there.
//! * [`core`] is the model and the engine; [`executors`] what runs tasks; [`storage`] the databases;
//!   [`protocols`] the servers.
//!
//! Only this crate is covered by semver; the crates behind it may change with every release.

pub use apflow_core as core;
/// Tasks that run other tasks: maps, sagas, workflows inside others, and smaller habits.
pub use apflow_core::build::patterns;
#[cfg(feature = "redis")]
pub use apflow_distributed as distributed;
pub use apflow_executors as executors;
#[cfg(feature = "http")]
pub use apflow_protocols as protocols;
pub use apflow_storage as storage;
/// For writing executors and hooks, whose traits are made with it.
pub use async_trait::async_trait;

mod app;
#[cfg(feature = "rest")]
pub mod callbacks;
pub mod prelude;
pub mod system;

pub use app::{App, AppBuilder, Error, Ran};

/// What the documents show has to run.
#[cfg(doctest)]
mod shown {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../docs/guides/embedding.md")]
    struct Embedding;
    #[doc = include_str!("../../../docs/guides/channels.md")]
    struct Channels;
}
