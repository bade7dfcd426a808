//! The built-in executors of apflow: one file, one feature, one executor each.
//!
//! Inner crate: not covered by semver, depend on `apflow`.
//!
//! | Executor | Feature | What it does |
//! |---|---|---|
//! | [`aggregate`] | `aggregate` | gathers the results of several tasks into one |
//! | [`command`] | `command` | runs an allowed program, without a shell |
//! | [`report`] | `report` | turns the results of several tasks into one Markdown page |
//! | [`rest`] | `rest` | calls an HTTP address that the [`guard`] lets through |
//! | [`system_info`] | `system-info` | says what the machine has |
//! | [`wait`] | | parks a task for a time, an event, a person or another run |
//!
//! [`hooks`] makes hooks of what people write into the configuration.
//!
//! With `rest` comes the [`courier`] too, which carries callbacks past the same guard.
//!
//! Nothing here reads the environment: what the operator allows arrives as a value.

#[cfg(feature = "aggregate")]
pub mod aggregate;
#[cfg(feature = "command")]
pub mod command;
#[cfg(feature = "rest")]
pub mod courier;
#[cfg(feature = "rest")]
pub mod guard;
pub mod hooks;
#[cfg(feature = "report")]
pub mod report;
#[cfg(feature = "rest")]
pub mod rest;
#[cfg(feature = "system-info")]
pub mod system_info;
pub mod wait;

use std::sync::Arc;

use apflow_core::{registry::Registry, time::Clock};

/// What the operator allows the built-in executors, and the clock they use.
#[derive(Clone)]
#[non_exhaustive]
pub struct ExecutorsConfig {
    /// Who says what time it is.
    pub clock: Arc<dyn Clock>,
    /// Which programs may run, and how.
    #[cfg(feature = "command")]
    pub command: command::CommandConfig,
    /// Which addresses may be called, and how.
    #[cfg(feature = "rest")]
    pub rest: rest::RestConfig,
}

impl ExecutorsConfig {
    /// The safe beginning: no program may run, and only public addresses may be called.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            #[cfg(feature = "command")]
            command: command::CommandConfig::default(),
            #[cfg(feature = "rest")]
            rest: rest::RestConfig::default(),
        }
    }
}

/// Adds every executor that is compiled in.
pub fn register_all(registry: &mut Registry, config: &ExecutorsConfig) {
    #[cfg(feature = "aggregate")]
    registry.register(aggregate::AggregateResults::new(Arc::clone(&config.clock)));
    #[cfg(feature = "command")]
    registry.register(command::CommandExecutor::new(&config.command));
    #[cfg(feature = "report")]
    registry.register(report::Report::new());
    #[cfg(feature = "rest")]
    registry.register(rest::RestExecutor::new(&config.rest));
    #[cfg(feature = "system-info")]
    registry.register(system_info::SystemInfo::new());
    registry.register(wait::Wait::new());
    let _ = config;
}
