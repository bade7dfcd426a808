//! `apflow tasks scheduled …`: reading and moving the schedules of tasks.

#![expect(clippy::doc_markdown, reason = "clap shows the comments word for word")]

use clap::Subcommand;
use serde_json::{Value, json};

use super::tasks::older;
use crate::{
    args::{Format, OldFormat, Output},
    door::Door,
    error::{CliError, Exit},
    show::{
        self,
        data::brief,
        sheet::{self, Column, Kind, Sheet},
    },
};

/// Tasks with their schedules, one a line.
const SCHEDULES: Sheet = Sheet::Rows(
    &[
        Column("id", "id", Kind::Text),
        Column("name", "name", Kind::Text),
        Column("status", "status", Kind::Status),
        Column("type", "schedule_type", Kind::Text),
        Column("expression", "schedule_expression", Kind::Text),
        Column("enabled", "schedule_enabled", Kind::Text),
        Column("next run", "next_run_at", Kind::Moment),
        Column("runs", "run_count", Kind::Text),
        Column("of", "max_runs", Kind::Text),
    ],
    &[
        Column("id", "id", Kind::Text),
        Column("name", "name", Kind::Text),
        Column("status", "status", Kind::Status),
        Column("owner", "user_id", Kind::Text),
        Column("type", "schedule_type", Kind::Text),
        Column("expression", "schedule_expression", Kind::Text),
        Column("time zone", "schedule_timezone", Kind::Text),
        Column("enabled", "schedule_enabled", Kind::Text),
        Column("last run", "last_run_at", Kind::Moment),
        Column("next run", "next_run_at", Kind::Moment),
        Column("runs", "run_count", Kind::Text),
        Column("of", "max_runs", Kind::Text),
    ],
);

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
        format: Option<OldFormat>,
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
        format: Option<OldFormat>,
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

pub(crate) async fn scheduled(
    door: &Door,
    command: ScheduledCommand,
    format: &Format,
) -> Result<Exit, CliError> {
    match command {
        ScheduledCommand::List { filter, status, limit, format: old } => {
            let mut params = filter.params();
            params["status"] = json!(status);
            params["limit"] = json!(limit);
            list(door, "tasks.scheduled.list", params, &older(format, old)).await
        }
        ScheduledCommand::Due { user_id, before, limit, format: old } => {
            let params = json!({ "user_id": user_id, "before": before, "limit": limit });
            list(door, "tasks.scheduled.due", params, &older(format, old)).await
        }
        ScheduledCommand::Init { id, from_time } => {
            let params = json!({ "task_id": door.id(&id).await?, "from_time": from_time });
            let task = door.call("tasks.scheduled.init", params).await?;
            sheet::write(&task, Sheet::Fields, format)?;
            show::say(&format!("✓ Schedule initialized: next_run_at = {}", next(&task)));
            Ok(Exit::Ok)
        }
        ScheduledCommand::Complete { id, failed, error, no_calculate_next_run, .. } => {
            let params = json!({
                "task_id": door.id(&id).await?, "success": !failed, "error": error,
                "calculate_next_run": !no_calculate_next_run,
            });
            let task = door.call("tasks.scheduled.complete", params).await?;
            sheet::write(&task, Sheet::Fields, format)?;
            let (runs, next) = (brief(&task["run_count"]), next(&task));
            show::say(&format!("✓ Run #{runs} completed. Next run: {next}"));
            Ok(Exit::Ok)
        }
        ScheduledCommand::Backfill { id, from, to, limit, dry_run } => {
            let params = json!({
                "task_id": door.id(&id).await?, "from": from, "to": to, "limit": limit,
                "dry_run": dry_run,
            });
            let answer = door.call("tasks.scheduled.backfill", params).await?;
            if format.output == Output::Table {
                let slots = answer["slots"].as_array().map(Vec::as_slice).unwrap_or_default();
                let lines: Vec<String> =
                    slots.iter().map(|slot| show::plain(&brief(slot)) + "\n").collect();
                show::data(&lines.concat())?;
            } else {
                sheet::write(&answer, Sheet::Fields, format)?;
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

/// Tasks with their schedules.
pub(crate) async fn list(
    door: &Door,
    method: &str,
    params: Value,
    format: &Format,
) -> Result<Exit, CliError> {
    let answer = door.call(method, params).await?;
    sheet::write(&answer, SCHEDULES, format)?;
    show::say(&format!("Total: {} scheduled task(s)", sheet::rows_of(&answer).len()));
    Ok(Exit::Ok)
}
