//! Tasks written in Rust: one at a time with [`task`], several with `>>` and `|`.
//!
//! Both end in the same [`TaskSpec`](crate::submit::TaskSpec) as a workflow file.

mod flow;
pub mod patterns;
mod schedule;
mod task;

pub use flow::Flow;
pub use task::{TaskBuilder, task};
