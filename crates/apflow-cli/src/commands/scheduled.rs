//! `apflow tasks scheduled …`: reading and moving the schedules of tasks.

#![expect(clippy::doc_markdown, reason = "clap shows the comments word for word")]

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::tasks::{ask, open, write_value};
use crate::{
    args::Output,
    config::Database,
    error::{CliError, Exit},
    show::{self, data::brief, table::table},
};

#[derive(Debug, Subcommand)]
pub(crate) enum ScheduledCommand {
    /// Show tasks with a schedule, by their next run.
    List {
        #[command(flatten)]
        filter: Filter,
        /// Only tasks that stand here: pending, in_progress, completed, failed, cancelled.
        #[arg(short, long)]
        status: Option<String>,
        /// At most so many.
        #[arg(short, long, default_value_t = 100)]
        limit: u32,
        /// How to write it, as the Python client called it.
        #[arg(short, long, value_enum, hide = true)]
        format: Option<Format>,
    },
    /// Show tasks whose run is due and that are not in progress.
    Due {
        /// Only this owner's.
        #[arg(short, long)]
        user_id: Option<String>,
        /// Due at this moment instead of now.
        #[arg(short, long, value_name = "MOMENT")]
        before: Option<String>,
        /// At most so many.
        #[arg(short, long, default_value_t = 100)]
        limit: u32,
        /// How to write it, as the Python client called it.
        #[arg(short, long, value_enum, hide = true)]
        format: Option<Format>,
    },
    /// Find the next run of a schedule anew; storing and changing a task does it by itself.
    Init {
        /// The task.
        id: String,
        /// The run is after this moment instead of now.
        #[arg(long, value_name = "MOMENT")]
        from_time: Option<String>,
    },
    /// Count a run that another scheduler drove, and move on to the next.
    Complete {
        /// The task.
        id: String,
        /// It went well; this is the default.
        #[arg(long, overrides_with = "failed")]
        success: bool,
        /// It failed.
        #[arg(long)]
        failed: bool,
        /// Taken for old scripts, and ignored.
        #[arg(short, long, hide = true)]
        result: Option<String>,
        /// Why it failed.
        #[arg(short, long)]
        error: Option<String>,
        /// Move on to the next run; this is the default.
        #[arg(long, overrides_with = "no_calculate_next_run", hide = true)]
        calculate_next_run: bool,
        /// Leave the next run where it is.
        #[arg(long)]
        no_calculate_next_run: bool,
    },
    /// Start the runs of a range of time that never began, each once and one after another.
    Backfill {
        /// The task.
        id: String,
        /// The first moment of the range.
        #[arg(long, value_name = "MOMENT")]
        from: String,
        /// The first moment after it.
        #[arg(long, value_name = "MOMENT")]
        to: String,
        /// At most so many runs.
        #[arg(short, long, default_value_t = 100)]
        limit: u32,
        /// Only say which runs would begin.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which schedules.
#[derive(Debug, clap::Args)]
pub(crate) struct Filter {
    /// Only schedules that are on; this is the default.
    #[arg(long, overrides_with = "all")]
    enabled_only: bool,
    /// Also schedules that are off.
    #[arg(long)]
    all: bool,
    /// Only this owner's.
    #[arg(short, long)]
    user_id: Option<String>,
    /// Only schedules of this type: once, interval, cron, daily, weekly, monthly.
    #[arg(short = 't', long = "type", alias = "schedule-type", value_name = "TYPE")]
    kind: Option<String>,
}

impl Filter {
    /// The parameters it stands for.
    pub(crate) fn params(&self) -> Value {
        let enabled_only = self.enabled_only || !self.all;
        json!({
            "enabled_only": enabled_only, "user_id": self.user_id, "schedule_type": self.kind,
        })
    }
}

/// The two ways in which the Python client wrote lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

impl Format {
    fn over(this: Option<Self>, output: Output) -> Output {
        match this {
            None => output,
            Some(Self::Table) => Output::Table,
            Some(Self::Json) => Output::Json,
        }
    }
}

pub(crate) async fn scheduled(
    database: &Database,
    command: ScheduledCommand,
    output: Output,
) -> Result<Exit, CliError> {
    match command {
        ScheduledCommand::List { filter, status, limit, format } => {
            let mut params = filter.params();
            params["status"] = json!(status);
            params["limit"] = json!(limit);
            let output = Format::over(format, output);
            list(database, "tasks.scheduled.list", params, output).await
        }
        ScheduledCommand::Due { user_id, before, limit, format } => {
            let params = json!({ "user_id": user_id, "before": before, "limit": limit });
            list(database, "tasks.scheduled.due", params, Format::over(format, output)).await
        }
        ScheduledCommand::Init { id, from_time } => {
            let params = json!({ "task_id": id, "from_time": from_time });
            let task = change(database, "tasks.scheduled.init", params).await?;
            write_value(&task, output)?;
            show::say(&format!("✓ Schedule initialized: next_run_at = {}", next(&task)));
            Ok(Exit::Ok)
        }
        ScheduledCommand::Complete { id, failed, error, no_calculate_next_run, .. } => {
            let params = json!({
                "task_id": id, "success": !failed, "error": error,
                "calculate_next_run": !no_calculate_next_run,
            });
            let task = change(database, "tasks.scheduled.complete", params).await?;
            write_value(&task, output)?;
            let (runs, next) = (brief(&task["run_count"]), next(&task));
            show::say(&format!("✓ Run #{runs} completed. Next run: {next}"));
            Ok(Exit::Ok)
        }
        ScheduledCommand::Backfill { id, from, to, limit, dry_run } => {
            let params = json!({
                "task_id": id, "from": from, "to": to, "limit": limit, "dry_run": dry_run,
            });
            let answer = change(database, "tasks.scheduled.backfill", params).await?;
            match output {
                Output::Table => {
                    let slots = answer["slots"].as_array().map(Vec::as_slice).unwrap_or_default();
                    let lines: Vec<String> =
                        slots.iter().map(|slot| show::plain(&brief(slot)) + "\n").collect();
                    show::data(&lines.concat())?;
                }
                other => write_value(&answer, other)?,
            }
            tell_backfill(&answer);
            Ok(Exit::Ok)
        }
    }
}

fn next(task: &Value) -> String {
    task["next_run_at"].as_str().unwrap_or("none").to_owned()
}

fn tell_backfill(answer: &Value) {
    let count = answer["count"].as_u64().unwrap_or(0);
    let runs = show::count(usize::try_from(count).unwrap_or(usize::MAX), "run");
    let dry = answer["dry_run"].as_bool() == Some(true);
    show::say(&if dry { format!("{runs} would begin") } else { format!("{runs} begin") });
    let before = answer["fired_before"].as_u64().unwrap_or(0);
    if before > 0 {
        show::say(&format!("{before} of the range ran before, and are left alone"));
    }
    let forgotten = answer["forgotten"].as_u64().unwrap_or(0);
    if forgotten > 0 {
        show::warn(&format!("{forgotten} are so old that nobody knows whether they ran"));
    }
    if answer["cut_short"].as_bool() == Some(true) {
        show::warn("there are more; ask again once these have run, or raise --limit or max_runs");
    }
}

/// An operation that changes something.
async fn change(database: &Database, method: &str, params: Value) -> Result<Value, CliError> {
    let app = open(database, true).await?;
    let answer = ask(&app, method, params).await?.json();
    let _ = app.shutdown(std::time::Duration::ZERO).await;
    Ok(answer)
}

/// Tasks with their schedules.
pub(crate) async fn list(
    database: &Database,
    method: &str,
    params: Value,
    output: Output,
) -> Result<Exit, CliError> {
    let app = open(database, false).await?;
    let answer = ask(&app, method, params).await?.json();
    let tasks = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if output == Output::Table {
        show::data(&schedules(tasks))?;
        show::say(&format!("Total: {} scheduled task(s)", tasks.len()));
    } else {
        write_value(&answer, output)?;
    }
    Ok(Exit::Ok)
}

/// Schedules, one a line.
fn schedules(tasks: &[Value]) -> String {
    let rows = tasks.iter().map(|task| {
        let cell = |field: &str| show::short(&brief(&task[field]), 40);
        let on = if task["schedule_enabled"].as_bool() == Some(true) { "yes" } else { "no" };
        let next = task["next_run_at"].as_str().map_or("none", |at| at.get(..19).unwrap_or(at));
        let runs = match task["max_runs"].as_i64() {
            Some(most) => format!("{}/{most}", brief(&task["run_count"])),
            None => brief(&task["run_count"]),
        };
        vec![
            brief(&task["id"]),
            cell("name"),
            cell("status"),
            cell("schedule_type"),
            cell("schedule_expression"),
            on.to_owned(),
            next.replace('T', " "),
            runs,
        ]
    });
    let headings =
        ["id", "name", "status", "type", "expression", "enabled", "next run (UTC)", "runs"];
    table(&headings, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_one_line_with_its_next_run() {
        let text = schedules(&[json!({
            "id": "a", "name": "x\u{1b}y", "status": "pending", "schedule_type": "daily",
            "schedule_expression": "09:00", "schedule_enabled": true, "run_count": 2, "max_runs": 9,
            "next_run_at": "2026-11-21T09:00:00.000000+00:00",
        })]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        for part in ["x\\u{1b}y", "daily", "09:00", "yes", "2026-11-21 09:00:00", "2/9"] {
            assert!(lines[1].contains(part), "{part} is not in {text}");
        }
    }
}
