//! The arguments of `apflow tasks`.

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{Connection, Format, Grants};
use crate::commands::{scheduled::ScheduledCommand, webhook_url::WebhookUrl};

#[derive(Debug, ClapArgs)]
pub(crate) struct Tasks {
    #[command(subcommand)]
    pub(crate) command: TasksCommand,
    #[command(flatten)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TasksCommand {
    /// Store tasks without running them.
    Create(Create),
    /// Show tasks in full.
    Get(Ids),
    /// Show tasks, newest first.
    List(List),
    /// Show tasks with everything under them.
    Tree(Ids),
    /// Show what hangs directly under a task.
    Children(Children),
    /// Count tasks by status.
    Count(Count),
    /// Say how tasks stand.
    Status(Ids),
    /// Run stored tasks: a root with all it was stored with, another with what it depends on.
    Execute(Execute),
    /// Cancel tasks with what hangs under them and what requires them.
    Cancel(Cancel),
    /// Change tasks.
    Update(Box<Update>),
    /// Delete pending tasks with everything under them.
    Delete(Delete),
    /// Make a new tree from a stored one.
    #[command(visible_alias = "copy")]
    Clone(CloneArgs),
    /// Show how a tree moves until it has ended; interrupting stops only the showing.
    Watch(Watch),
    /// Show what became of each attempt of a task.
    Attempts {
        /// The task: its id, or a beginning that fits only one.
        #[arg(value_name = "TASK")]
        id: String,
    },
    /// Say how a system outside triggers a task.
    WebhookUrl(WebhookUrl),
    /// Look after the schedules of tasks.
    Scheduled {
        #[command(subcommand)]
        command: ScheduledCommand,
    },
}

/// Tasks that are named one by one.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Ids {
    /// The tasks: ids, or beginnings that fit only one; `-` reads them from standard input.
    #[arg(required = true, value_name = "TASK")]
    pub(crate) ids: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Create {
    /// A JSON or YAML file with one task or a list of them; `-` reads standard input.
    #[arg(short, long, default_value = "-", conflicts_with = "stdin")]
    pub(crate) file: String,
    /// Read standard input, which is the default.
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Only check them and show what would be stored.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct List {
    /// Only this owner's.
    #[arg(short, long)]
    pub(crate) user_id: Option<String>,
    /// Only those that stand here: pending, in_progress, completed, failed, cancelled.
    #[arg(short, long)]
    pub(crate) status: Option<String>,
    /// Also tasks that hang under others.
    #[arg(short, long, overrides_with = "root_only")]
    pub(crate) all_tasks: bool,
    /// Only tasks without a parent, which is the default.
    #[arg(long, overrides_with = "all_tasks")]
    pub(crate) root_only: bool,
    /// Only tasks whose ids begin like this.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,
    /// At most so many.
    #[arg(short, long, default_value_t = 100)]
    pub(crate) limit: u32,
    /// After so many.
    #[arg(long, default_value_t = 0)]
    pub(crate) offset: u32,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Children {
    /// The task.
    #[arg(value_name = "TASK", required_unless_present_any = ["parent_id", "task_id"])]
    pub(crate) id: Option<String>,
    /// The task, as the Python command line names it.
    #[arg(short, long, value_name = "TASK", hide = true)]
    pub(crate) parent_id: Option<String>,
    /// The task, as the Python command line names it.
    #[arg(short, long, value_name = "TASK", hide = true)]
    pub(crate) task_id: Option<String>,
}

/// What `-f` of some Python commands could say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OldFormat {
    /// As `-o table`
    Table,
    /// As `-o json`
    Json,
    /// As `-o id`
    Ids,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Count {
    /// Only this owner's.
    #[arg(short, long)]
    pub(crate) user_id: Option<String>,
    /// Only tasks without a parent.
    #[arg(short, long)]
    pub(crate) root_only: bool,
    /// Only these statuses.
    #[arg(short, long, value_delimiter = ',')]
    pub(crate) status: Vec<String>,
    /// As `-o`, by its name in the Python command line.
    #[arg(short, long, value_enum, hide = true)]
    pub(crate) format: Option<OldFormat>,
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that is typed or not")]
pub(crate) struct Execute {
    #[command(flatten)]
    pub(crate) which: Ids,
    /// Run again although everything completed.
    #[arg(long)]
    pub(crate) reexecute: bool,
    /// Answer with demonstration results instead of running executors.
    #[arg(long)]
    pub(crate) use_demo: bool,
    /// Only start it, and leave it to `apflow serve` or `apflow resume`.
    #[arg(long, conflicts_with = "follow")]
    pub(crate) detach: bool,
    /// Show how it moves and wait for its end, which is the default.
    #[arg(long)]
    pub(crate) follow: bool,
    /// Only show what would be set in motion.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Stop waiting after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<f64>,
    /// Show no progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) allow: Grants,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) which: Ids,
    /// The reason to store.
    #[arg(short, long)]
    pub(crate) message: Option<String>,
    /// Say that it was forced.
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Only show what would be cancelled.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Cancel several without asking.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Update {
    /// The tasks: ids, or beginnings that fit only one; `-` reads them from standard input.
    #[arg(required = true, value_name = "TASK")]
    pub(crate) ids: Vec<String>,
    /// A field and its new value, which is taken as JSON if it is; may be repeated.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub(crate) set: Vec<String>,
    /// The name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// pending, in_progress, completed, failed or cancelled.
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// How far it is, from 0 to 1.
    #[arg(long)]
    pub(crate) progress: Option<f64>,
    /// Why it failed.
    #[arg(long, value_name = "TEXT")]
    pub(crate) error: Option<String>,
    /// The result, as JSON; `@FILE` reads a file, `@-` standard input.
    #[arg(long, value_name = "JSON")]
    pub(crate) result: Option<String>,
    /// 0 urgent, 1, 2 normal, 3 low.
    #[arg(long)]
    pub(crate) priority: Option<i64>,
    /// The inputs, as JSON or `@FILE`.
    #[arg(long, value_name = "JSON")]
    pub(crate) inputs: Option<String>,
    /// The parameters of the executor, as JSON or `@FILE`.
    #[arg(long, value_name = "JSON")]
    pub(crate) params: Option<String>,
    /// The schemas, as JSON or `@FILE`.
    #[arg(long, value_name = "JSON")]
    pub(crate) schemas: Option<String>,
    /// What it depends on, as JSON or `@FILE`.
    #[arg(long, value_name = "JSON")]
    pub(crate) dependencies: Option<String>,
    /// once, interval, cron, daily, weekly or monthly.
    #[arg(long, value_name = "TYPE")]
    pub(crate) schedule_type: Option<String>,
    /// When: depends on the type.
    #[arg(long, value_name = "TEXT")]
    pub(crate) schedule_expression: Option<String>,
    /// Switch the schedule on.
    #[arg(long, conflicts_with = "schedule_disabled")]
    pub(crate) schedule_enabled: bool,
    /// Switch the schedule off.
    #[arg(long)]
    pub(crate) schedule_disabled: bool,
    /// Not before this moment.
    #[arg(long, value_name = "MOMENT")]
    pub(crate) schedule_start_at: Option<String>,
    /// Not after this moment.
    #[arg(long, value_name = "MOMENT")]
    pub(crate) schedule_end_at: Option<String>,
    /// At most so many runs.
    #[arg(long, value_name = "N")]
    pub(crate) max_runs: Option<i64>,
    /// Only show what would be changed.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) which: Ids,
    /// Only show what would be deleted.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Delete several without asking.
    #[arg(short, long, visible_short_alias = 'f', alias = "force")]
    pub(crate) yes: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CloneArgs {
    /// The task to start from.
    #[arg(value_name = "TASK")]
    pub(crate) id: String,
    /// How: copy, link, archive or mixed.
    #[arg(long, default_value = "copy")]
    pub(crate) origin_type: String,
    /// With everything under it, which is the default.
    #[arg(long, overrides_with = "no_recursive")]
    pub(crate) recursive: bool,
    /// Only the task itself.
    #[arg(long, overrides_with = "recursive")]
    pub(crate) no_recursive: bool,
    /// Of a mixed clone, the tasks to link.
    #[arg(long, value_name = "TASKS", value_delimiter = ',')]
    pub(crate) link_task_ids: Vec<String>,
    /// Fields that the new tasks get, as FIELD=VALUE with commas between.
    #[arg(long, value_name = "FIELD=VALUE", value_delimiter = ',')]
    pub(crate) reset_fields: Vec<String>,
    /// The owner of the new tasks.
    #[arg(short, long)]
    pub(crate) user_id: Option<String>,
    /// Store nothing and show what would be stored.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Watch {
    /// The task to watch, with everything under it.
    #[arg(value_name = "TASK", required_unless_present_any = ["task_id", "all"])]
    pub(crate) id: Option<String>,
    /// The task, as the Python command line names it.
    #[arg(short, long, value_name = "TASK", hide = true)]
    pub(crate) task_id: Option<String>,
    /// Everything that is in progress.
    #[arg(short, long, conflicts_with_all = ["id", "task_id"])]
    pub(crate) all: bool,
    /// Look at least so often, in seconds.
    #[arg(short, long, value_name = "SECONDS", default_value_t = 1.0)]
    pub(crate) interval: f64,
}
