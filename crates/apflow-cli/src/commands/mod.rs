//! One file, one command.

pub(crate) mod config;
pub(crate) mod db;
pub(crate) mod ended;
pub(crate) mod explain;
pub(crate) mod file;
pub(crate) mod graph;
pub(crate) mod info;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod tasks;
pub(crate) mod validate;
