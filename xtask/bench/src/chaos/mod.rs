//! Real processes are killed, stopped and starved, and what they leave behind is checked.
//!
//! * [`plan`] says which trees there are; any process can work them out from one number.
//! * [`worker`] is the process that suffers: an engine whose tasks write to a [`log`] of their own.
//! * [`siege`] makes it suffer, [`steps`] stops it at every write, [`postgres`] is a server to kill.
//! * [`durable`] kills retries, waits, spawns and budgets ([`subject`]) at every write, and compares
//!   their [`outcome`] with that of a run that nobody killed.
//! * [`schedules`] has several schedulers killed while they fire.
//! * [`check`] reads the database and the logs afterwards, and says which promise was broken.

pub mod check;
pub mod durable;
pub mod log;
pub mod outcome;
pub mod plan;
pub mod postgres;
pub mod process;
pub mod schedules;
pub mod siege;
pub mod steps;
pub mod strace;
pub mod subject;
pub mod words;
pub mod worker;
mod zombie;

/// What goes wrong in a chaos run itself, as opposed to in apflow.
pub type Result<T> = std::result::Result<T, String>;

/// For `map_err`: says what was being done.
pub(crate) fn doing<E: std::fmt::Display>(
    what: impl std::fmt::Display,
) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error}")
}
