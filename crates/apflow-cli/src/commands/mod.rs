//! One file, one command.

pub(crate) mod care;
pub(crate) mod config;
pub(crate) mod daemon;
pub(crate) mod db;
pub(crate) mod ended;
pub(crate) mod explain;
pub(crate) mod file;
pub(crate) mod flow;
pub(crate) mod graph;
pub(crate) mod info;
pub(crate) mod look;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod scheduled;
pub(crate) mod scheduler;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod shell;
pub(crate) mod snapshot;
pub(crate) mod tasks;
pub(crate) mod token;
pub(crate) mod transfer;
pub(crate) mod validate;
pub(crate) mod webhook_url;
pub(crate) mod why;
