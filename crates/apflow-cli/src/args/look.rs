//! The arguments of the commands that look at what goes on: `why`, `executors`, `monitor`.

use clap::{Args as ClapArgs, Subcommand};

use super::{
    Connection, Format, Grants,
    tasks::{OldFormat, Watch},
};

#[derive(Debug, ClapArgs)]
pub(crate) struct Why {
    /// The tasks: ids, or beginnings that fit only one; `-` reads them from standard input.
    #[arg(required = true, value_name = "TASK")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) allow: Grants,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Executors {
    #[command(subcommand)]
    pub(crate) command: ExecutorsCommand,
    #[command(flatten)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) allow: Grants,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ExecutorsCommand {
    /// List the executors that tasks may name.
    List {
        /// As `-o`, by its name in the Python command line.
        #[arg(short = 'f', long = "format", value_enum, hide = true)]
        old_format: Option<OldFormat>,
    },
    /// Show what one executor takes and returns.
    Show {
        /// The executor.
        #[arg(value_name = "EXECUTOR")]
        id: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Monitor {
    #[command(subcommand)]
    pub(crate) command: MonitorCommand,
    #[command(flatten)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MonitorCommand {
    /// Show the tasks in progress, and how many there are of each status.
    Status {
        /// All tasks, not only those in progress.
        #[arg(short, long)]
        all: bool,
        /// Only this task with everything under it.
        #[arg(short, long, value_name = "TASK")]
        task_id: Option<String>,
        /// At most so many.
        #[arg(short, long, default_value_t = 50)]
        limit: u32,
    },
    /// The same as `tasks watch`.
    Watch(Watch),
    /// Show when each task of a tree began and ended.
    Trace {
        /// The task.
        #[arg(value_name = "TASK")]
        id: String,
    },
    /// The same as `db status`.
    Db,
}
