//! Where tasks are: the arguments that choose between a database here and a server somewhere.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::DatabaseArgs;

/// Where the tasks are: in a database that this process opens, or behind a server.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "Where the tasks are")]
pub(crate) struct Connection {
    /// The database [default: APFLOW_DATABASE_URL, DATABASE_URL, or .apflow/apflow.db here]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) db: Option<String>,
    /// Ask this server instead of a database [default: APFLOW_API_SERVER_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Ask the database, whatever the configuration says about a server
    #[arg(long, global = true)]
    pub(crate) local_only: bool,
    /// A file with the token for the server [default: the token in APFLOW_API_TOKEN]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Send the token although the way to the server is not encrypted
    #[arg(long, global = true)]
    pub(crate) insecure: bool,
    /// How long one answer of the server may take, in seconds [default: APFLOW_API_TIMEOUT, or 30]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) api_timeout: Option<f64>,
}

impl Connection {
    /// The part of it that names a database.
    pub(crate) fn database(&self) -> DatabaseArgs {
        DatabaseArgs { db: self.db.clone() }
    }
}
