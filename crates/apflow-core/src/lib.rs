//! The model, the scheduler and the engine of apflow. No network, no files, no clock, no randomness.
//!
//! Inner crate: not covered by semver, depend on `apflow`.
//!
//! * [`task`] is what a task is; [`transition`] is the only place that moves it.
//! * [`graph`] turns what authors write into an order; [`submit`] refuses what has none.
//! * [`schedule`] says when a task runs by itself.
//! * [`mod@derive`] makes new tasks from stored ones.
//! * [`store`] is what a database must do; [`engine`] is the worker and the handle people hold.
//! * [`channel`] is what the tasks of a run share.
//! * [`webhook`] says who may trigger a task from outside.
//! * [`api`] is the catalogue of operations and the one gateway every protocol goes through.

pub mod api;
pub mod branch;
pub mod breaker;
pub mod budget;
pub mod build;
pub mod channel;
pub mod code;
pub mod condition;
pub mod courier;
pub mod dataflow;
pub mod derive;
pub mod effect;
pub mod engine;
pub mod executor;
pub mod expression;
pub mod firing;
pub mod flow;
pub mod generate;
pub mod graph;
pub mod group;
pub mod hook;
pub mod id;
pub mod jump;
pub mod observe;
pub mod pattern;
pub mod plan;
pub mod portable;
pub mod problem;
pub mod question;
pub mod registry;
pub mod schedule;
pub mod schema;
pub mod secret;
pub mod store;
pub mod submit;
pub mod task;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod transition;
pub mod webhook;
pub mod workflow;
