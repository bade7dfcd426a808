//! The arguments of `apflow run flow`, the form of the Python command line.

use clap::Args as ClapArgs;

use super::{Connection, Grants};

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that is typed or not")]
pub(crate) struct Flow {
    /// The executor of a single task, which takes `--inputs`.
    #[arg(value_name = "EXECUTOR", conflicts_with_all = ["tasks", "tasks_file"])]
    pub(crate) executor: Option<String>,
    /// The tasks, as a JSON array.
    #[arg(short, long, value_name = "JSON")]
    pub(crate) tasks: Option<String>,
    /// A file with the tasks; `-` reads standard input.
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with = "tasks")]
    pub(crate) tasks_file: Option<String>,
    /// Inputs of the single task, as a JSON object.
    #[arg(short, long, value_name = "JSON")]
    pub(crate) inputs: Option<String>,
    /// A file with those inputs.
    #[arg(long, value_name = "FILE", conflicts_with = "inputs")]
    pub(crate) inputs_file: Option<String>,
    /// Write the result to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<String>,
    /// The owner of tasks that name none.
    #[arg(short, long, default_value = "cli_user")]
    pub(crate) user_id: String,
    /// Only store and start it.
    #[arg(short, long)]
    pub(crate) background: bool,
    /// Show how it moves, which is the default.
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Show no progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Answer with demonstration results instead of running executors.
    #[arg(long)]
    pub(crate) use_demo: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) allow: Grants,
}
