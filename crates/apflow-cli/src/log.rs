//! Logging to standard error, as much as is asked for.

use tracing_subscriber::{
    EnvFilter, Registry, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

use crate::error::CliError;

/// Changes what is logged while the process goes on.
pub(crate) struct Filter(reload::Handle<EnvFilter, Registry>);

impl Filter {
    /// Logs what passes this filter from now on; none: nothing.
    pub(crate) fn set(&self, filter: Option<&str>) -> Result<(), CliError> {
        let filter = read(filter.unwrap_or("off"))?;
        self.0.reload(filter).map_err(|error| CliError::internal(format!("logging: {error}")))
    }
}

/// Logs what passes this filter. Logging costs a millisecond at start, so it is set up only where
/// somebody reads it.
pub(crate) fn begin(filter: Option<&str>) -> Result<(), CliError> {
    if filter.is_some() { changeable(filter).map(drop) } else { Ok(()) }
}

/// The same for a process that may be told otherwise later.
pub(crate) fn changeable(filter: Option<&str>) -> Result<Filter, CliError> {
    let (filter, handle) = reload::Layer::new(read(filter.unwrap_or("off"))?);
    let colours = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    // A second call would be a test's; the first one stays.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(Filter(handle))
}

/// Whether this filter can be used.
pub(crate) fn check(filter: Option<&str>) -> Result<(), CliError> {
    read(filter.unwrap_or("off")).map(drop)
}

fn read(filter: &str) -> Result<EnvFilter, CliError> {
    EnvFilter::try_new(filter).map_err(|error| {
        CliError::usage(format!("`{filter}` says not what to log"))
            .because(error.to_string())
            .help("write words like `info` or `apflow_core=debug,warn`")
    })
}
