//! The arguments, and the help that goes with them.

#![expect(clippy::doc_markdown, reason = "clap shows the comments word for word")]

mod connection;
mod flow;
mod format;
mod look;
mod shell;
mod snapshot;
mod tasks;

use std::path::PathBuf;

use clap::{ArgAction, Args as ClapArgs, Parser, Subcommand, ValueEnum};

pub(crate) use self::{
    connection::Connection,
    flow::Flow,
    format::{Format, Output, TimeFormat},
    look::{Executors, ExecutorsCommand, Monitor, MonitorCommand, Why},
    shell::{Completions, Daemon, DaemonCommand, Man, Reserved, Shell, StartDaemon},
    snapshot::{Checkpoint, CheckpointCommand, One, Snapshot, SnapshotCommand},
    tasks::{
        Cancel, Children, CloneArgs, Count, Create, Delete, Execute, List, OldFormat, Pause, Tasks,
        TasksCommand, Update, Watch,
    },
};
use crate::{
    commands::{config::args::ConfigArgs, scheduler::Scheduler},
    show,
};

/// What `apflow help exit-codes` says.
pub(crate) const EXIT_CODES: &str = "\
Exit codes. They do not change between releases.

    0  everything that was asked for is done
    1  a run failed
    2  the arguments or the file are wrong; nothing was done
    3  no valid credential
    4  what was named does not exist
    5  what is stored stands in the way: it runs already, its name is taken, it cannot be deleted
    6  the time to wait is over; the run can go on with `apflow resume`
    7  the database or the server cannot be reached or used
    8  a run failed, and only because a budget is used up
    9  a run was cancelled
   10  reserved: a run waits for a person
  130  interrupted
";

const AFTER: &str = "\
First steps:
  apflow run examples/hello.yaml
  apflow run examples/repo-report.yaml --allow-command git --print markdown

`apflow help exit-codes` lists the exit codes, `apflow explain AF0001` explains an error.";

/// Durable task orchestration: runs workflow files here, serves them over HTTP, goes on after a crash.
#[derive(Debug, Parser)]
#[command(name = "apflow", version, after_help = AFTER, max_term_width = 100)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) global: Global,
}

/// What every command can be told.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct Global {
    /// Log to standard error; more often, more of it. APFLOW_LOG chooses exactly.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Read this configuration file over all others.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Configuration")]
    pub(crate) config: Option<PathBuf>,

    /// Take this profile of the configuration.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Configuration")]
    pub(crate) profile: Option<String>,

    /// When to colour. NO_COLOR and CLICOLOR_FORCE are heard, too.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) color: Color,
}

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Also in files and pipes
    Always,
    /// Nowhere
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a workflow file and show what comes of it.
    Run(Run),
    /// Serve tasks over HTTP and run them.
    Serve(Serve),
    /// Take up what a crash, `--detach` or an interruption left, and wait until it has ended.
    Resume(Resume),
    /// Create, read, run and change tasks.
    Tasks(Tasks),
    /// Show and answer the questions of tasks.
    Feedback(crate::commands::feedback::Feedback),
    /// Publish events for tasks that wait.
    Events(crate::commands::feedback::Events),
    /// Say why a task is where it is, and what to type to move it.
    Why(Why),
    /// Say what executors there are.
    Executors(Executors),
    /// Look at what goes on.
    Monitor(Monitor),
    /// Limit how many tasks of a kind run, or how often they begin, for everybody.
    Limits(crate::commands::limits::Limits),
    /// Look at circuit breakers, and close them by hand.
    Breaker(crate::commands::limits::Breaker),
    /// Look after tasks that failed for good.
    Dlq(crate::commands::dlq::Dlq),
    /// Say what was spent.
    Cost(crate::commands::budget::Cost),
    /// Say what may be spent, and decide about tasks that ask.
    Budget(crate::commands::budget::Budget),
    /// Read and change what the tasks of a run share.
    Channel(crate::commands::channel::Channel),
    /// Keep `apflow serve` in the background.
    Daemon(Daemon),
    /// Run tasks by the clock.
    Scheduler(Scheduler),
    /// Tell everything that is wrong with a workflow file.
    Validate(Validate),
    /// Draw a workflow file.
    Graph(Graph),
    /// Say what this apflow has: version, database, executors.
    Info(Info),
    /// Remember how a submission stands, and begin a run from there.
    Snapshot(Snapshot),
    /// Look at what attempts put aside.
    Checkpoint(Checkpoint),
    /// Look after the database.
    Db(Db),
    /// Make, list and take back what callers prove themselves with.
    Token(crate::commands::token::Token),
    /// Read and write the configuration.
    Config(ConfigArgs),
    /// Print a JSON Schema.
    Schema(Schema),
    /// Explain an error code, or `exit-codes`.
    #[command(visible_alias = "help")]
    Explain(Explain),
    /// Print what a shell needs to complete commands.
    Completions(Completions),
    /// Print the manual page, or write those of all commands.
    Man(Man),
    /// Print the version.
    Version,
    /// Print the reference of all commands as Markdown.
    #[command(hide = true)]
    Reference,
    /// Not there yet: a process that only works.
    #[command(hide = true)]
    Worker(Reserved),
    /// Not there yet: tools for agents over MCP.
    #[command(hide = true)]
    Mcp(Reserved),
    /// Not there yet: task trees from a sentence.
    #[command(hide = true)]
    Generate(Reserved),
}

/// Where tasks are stored.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct DatabaseArgs {
    /// The database: sqlite:FILE or postgres://… [default: APFLOW_DATABASE_URL, DATABASE_URL,
    /// storage.url, or .apflow/apflow.db here]
    #[arg(long, value_name = "URL")]
    pub(crate) db: Option<String>,
}

/// When a write counts as done.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Durability {
    /// When it survives a power cut.
    Strict,
    /// When it survives a crash of the process; faster.
    Relaxed,
}

/// What tasks may do; a workflow cannot grant itself anything.
#[derive(Debug, Clone, Default, ClapArgs)]
#[command(next_help_heading = "What tasks may do")]
pub(crate) struct Grants {
    /// Let tasks run this program; may be repeated.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) allow_command: Vec<String>,
    /// Let commands work in this directory besides the current one; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub(crate) allow_dir: Vec<PathBuf>,
    /// Let tasks call this private host, address or network; may be repeated.
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_host: Vec<String>,
    /// Grants only executors that are named like this; may be repeated.
    #[arg(long, value_name = "EXECUTOR")]
    pub(crate) allow: Vec<String>,
    /// Run at most so many tasks at the same time [default: engine.max_parallel, or 256]
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<u32>,
}

impl Grants {
    /// The grants as they are typed, for commands that are shown.
    pub(crate) fn flags(&self) -> String {
        let dirs: Vec<String> =
            self.allow_dir.iter().map(|dir| dir.to_string_lossy().into_owned()).collect();
        let lists = [
            ("--allow-command", &self.allow_command),
            ("--allow-dir", &dirs),
            ("--allow-host", &self.allow_host),
            ("--allow", &self.allow),
        ];
        let flag = |(flag, list): (&str, &Vec<String>)| -> String {
            let words = list.iter().flat_map(|value| [flag.to_owned(), show::quoted(value)]);
            words.map(|word| [" ", &word].concat()).collect()
        };
        lists.into_iter().map(flag).collect()
    }
}

/// How the result of a run is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunOutput {
    /// One line a task.
    #[default]
    Table,
    /// The whole run as JSON.
    Json,
    /// The whole run as YAML.
    Yaml,
}

/// Ways to run that are not a workflow file.
#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// Run tasks as the Python command line did: an executor with inputs, or tasks as JSON.
    Flow(Box<Flow>),
}

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
#[expect(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "each is a flag, named as it is typed"
)]
pub(crate) struct Run {
    #[command(subcommand)]
    pub(crate) command: Option<RunCommand>,
    /// A workflow file in YAML or JSON; `-` reads standard input.
    #[arg(required = true)]
    pub(crate) file: Option<String>,
    /// An input of the workflow; a value that is JSON is taken as JSON. May be repeated.
    #[arg(short, long = "input", value_name = "KEY=VALUE")]
    pub(crate) input: Vec<String>,
    /// Inputs from a YAML or JSON file; `-i` goes over them.
    #[arg(long, value_name = "FILE")]
    pub(crate) inputs: Option<String>,
    /// Name the run; ids of its tasks are NAME/KEY.
    #[arg(long = "run", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Store and start it, and leave it to `apflow serve` or `apflow resume`.
    #[arg(long, conflicts_with = "follow")]
    pub(crate) detach: bool,
    /// Show how it moves and wait for its end, which is the default.
    #[arg(long)]
    pub(crate) follow: bool,
    /// Only check it and show what would be stored.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Stop waiting after this many seconds; the run can go on with `apflow resume`.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<f64>,
    /// How to write what came of it.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: RunOutput,
    /// Write only this field of the last result that has it, as it is.
    #[arg(long, value_name = "FIELD", conflicts_with = "output")]
    pub(crate) print: Option<String>,
    /// Show no progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// When a write counts as done [default: strict]
    #[arg(long, value_enum)]
    pub(crate) durability: Option<Durability>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) allow: Grants,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Serve {
    /// As the Python command line wrote it; it means nothing.
    #[arg(hide = true, value_parser = ["start"])]
    pub(crate) start: Option<String>,
    /// The address to listen on [default: server.host, or 127.0.0.1]
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// The port to listen on; 0 takes any [default: server.port, or 8000]
    #[arg(short, long)]
    pub(crate) port: Option<u16>,
    /// Listen beyond this machine although nobody has to prove who they are; not needed with a JWT key
    /// or an API token.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// How long running tasks and requests may go on after SIGTERM, in seconds
    /// [default: server.grace, or 10]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) grace: Option<f64>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// When a write counts as done [default: strict]
    #[arg(long, value_enum)]
    pub(crate) durability: Option<Durability>,
    #[command(flatten)]
    pub(crate) allow: Grants,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Resume {
    /// Wait for this run only: its name, or the id of one of its tasks. Others go on meanwhile.
    pub(crate) run: Option<String>,
    /// Stop waiting after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<f64>,
    /// How to write what came of it.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: RunOutput,
    /// Show no progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// When a write counts as done [default: strict]
    #[arg(long, value_enum)]
    pub(crate) durability: Option<Durability>,
    #[command(flatten)]
    pub(crate) allow: Grants,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Validate {
    /// A workflow file in YAML or JSON; `-` reads standard input.
    pub(crate) file: String,
    /// An input of the workflow, as for `run`.
    #[arg(short, long = "input", value_name = "KEY=VALUE")]
    pub(crate) input: Vec<String>,
}

/// The kinds of picture.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Picture {
    /// For a terminal.
    #[default]
    Ascii,
    /// For Markdown.
    Mermaid,
    /// For Graphviz.
    Dot,
    /// For programs.
    Json,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Graph {
    /// A workflow file in YAML or JSON; `-` reads standard input.
    pub(crate) file: String,
    /// The kind of picture.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Picture,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Info {
    /// Show what this executor takes and returns.
    pub(crate) executor: Option<String>,
    /// How to write it.
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: RunOutput,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) allow: Grants,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Db {
    #[command(subcommand)]
    pub(crate) command: DbCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Bring the database up to date, or make it.
    Migrate {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Say how the database stands; changes nothing.
    Status {
        #[command(flatten)]
        database: DatabaseArgs,
        /// How to write it.
        #[arg(short, long, value_enum, default_value_t)]
        output: RunOutput,
    },
    /// Say how large the database is, table by table.
    Stats {
        #[command(flatten)]
        database: DatabaseArgs,
        /// How to write it.
        #[arg(short, long, value_enum, default_value_t)]
        output: RunOutput,
    },
    /// Delete submissions that ended long ago, as `serve` does by itself.
    Prune {
        #[command(flatten)]
        database: DatabaseArgs,
        /// How long ago they ended [default: the setting retention.keep_days]
        #[arg(long, value_name = "DAYS")]
        older_than_days: Option<u32>,
    },
    /// Give room that is not used any more back to the system.
    Vacuum {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Write a consistent copy of a SQLite database while it is in use.
    Backup {
        #[command(flatten)]
        database: DatabaseArgs,
        /// The new file.
        #[arg(value_name = "FILE")]
        to: PathBuf,
    },
    /// Write every submission with its results as JSON lines.
    Export {
        #[command(flatten)]
        database: DatabaseArgs,
        /// The file.
        #[arg(value_name = "FILE")]
        to: PathBuf,
    },
    /// Store the submissions of an export; what had not ended goes on.
    Import {
        #[command(flatten)]
        database: DatabaseArgs,
        /// The file.
        #[arg(value_name = "FILE")]
        from: PathBuf,
        /// Leave out submissions that are here already.
        #[arg(long)]
        skip_existing: bool,
    },
}

impl DbCommand {
    /// The database it looks after.
    pub(crate) fn database(&self) -> &DatabaseArgs {
        match self {
            Self::Migrate { database }
            | Self::Status { database, .. }
            | Self::Stats { database, .. }
            | Self::Prune { database, .. }
            | Self::Vacuum { database }
            | Self::Backup { database, .. }
            | Self::Export { database, .. }
            | Self::Import { database, .. } => database,
        }
    }
}

/// What there is a schema of.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Subject {
    /// Workflow files.
    Workflow,
    /// Configuration files.
    Config,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Schema {
    /// What it is a schema of.
    #[arg(value_enum)]
    pub(crate) subject: Subject,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Explain {
    /// A code like AF0001, the name of a command, or `exit-codes`.
    pub(crate) subject: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_one_another() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }
}
