//! Adapters: each translates a wire to a call and a reply to a wire, and decides nothing.
//!
//! Inner crate: not covered by semver, depend on `apflow`.
//!
//! * [`auth`] says who calls, for every adapter.
//! * [`adapter`] is the trait; [`jsonrpc`] is the adapter of `/tasks` and `/system`.
//! * [`json`] reads JSON from strangers.
//! * [`http`] is the server: limits first, then the router.

pub mod adapter;
#[cfg(feature = "auth")]
pub mod auth;
#[cfg(feature = "http")]
pub mod http;
pub mod json;
pub mod jsonrpc;
