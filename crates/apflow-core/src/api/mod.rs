//! The catalogue of operations and the one gateway every protocol goes through.
//!
//! An adapter turns its wire into a [`Call`], hands it to [`Gateway::call`], and turns the [`Reply`] or
//! the [`ApiError`] back into its wire. Nothing else of the engine is visible to it, so no adapter can
//! skip a rule.
//!
//! * [`call`] reads parameters; [`reply`] and [`wire`] write answers in the shapes of the Python API.
//! * [`operation`] describes each operation for people, agents and generated documents.
//! * [`configuration`] is what the process is configured with, if it lets itself be asked.
//! * [`backend`] is what the gateway asks of an engine.
//! * [`event`] words what happened; [`feed`] hands it to everybody who listens.

pub mod backend;
pub mod call;
pub mod configuration;
mod error;
pub mod event;
pub mod feed;
mod follow;
mod gateway;
mod keys;
pub mod operation;
mod ops;
mod params;
mod patch;
mod patch_retry;
mod patch_schedule;
pub mod reply;
pub mod wire;

pub use backend::{Backend, Submit};
pub use call::{Call, Read};
pub use configuration::Configuration;
pub use error::ApiError;
pub use feed::Feed;
pub use follow::{Follow, Said};
pub use gateway::{Action, Caller, Gateway, GatewayConfig};
pub use operation::{Category, Operation};
pub use ops::events::Listen;
pub use reply::Reply;
