//! `apflow dlq …`: tasks that failed for good; and `apflow tasks attempts`, how they came to it.

#![expect(clippy::doc_markdown, reason = "clap shows the comments word for word")]

use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use crate::{
    args::{Connection, Format, Output},
    config::Settings,
    door::Door,
    error::{CliError, Exit},
    show::{
        self,
        data::brief,
        sheet::{self, Column, Kind, Sheet},
    },
};

/// Letters, one a line.
const LETTERS: Sheet = Sheet::Rows(
    &[
        Column("task", "task_id", Kind::Text),
        Column("failed", "failed_at", Kind::Moment),
        Column("executor", "executor", Kind::Text),
        Column("kind", "kind", Kind::Text),
        Column("tries", "attempts", Kind::Text),
        Column("error", "error", Kind::Text),
    ],
    &[
        Column("task", "task_id", Kind::Text),
        Column("tree", "task_tree_id", Kind::Text),
        Column("owner", "user_id", Kind::Text),
        Column("failed", "failed_at", Kind::Moment),
        Column("executor", "executor", Kind::Text),
        Column("reason", "reason", Kind::Text),
        Column("kind", "kind", Kind::Text),
        Column("tries", "attempts", Kind::Text),
        Column("run", "run", Kind::Text),
        Column("error", "error", Kind::Text),
    ],
);

/// Attempts, one a line.
const ATTEMPTS: Sheet = Sheet::Rows(
    &[
        Column("run", "run", Kind::Text),
        Column("try", "attempt", Kind::Text),
        Column("began", "began_at", Kind::Moment),
        Column("ended", "ended_at", Kind::Moment),
        Column("outcome", "outcome", Kind::Text),
        Column("kind", "kind", Kind::Text),
        Column("worker", "worker", Kind::Text),
        Column("cause", "cause", Kind::Text),
    ],
    &[],
);

#[derive(Debug, ClapArgs)]
pub(crate) struct Dlq {
    #[command(subcommand)]
    command: DlqCommand,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// Show tasks that failed for good, newest first.
    #[command(visible_alias = "list")]
    Ls {
        #[command(flatten)]
        filter: Filter,
        /// At most so many.
        #[arg(short, long, default_value_t = 100)]
        limit: u32,
        /// After so many.
        #[arg(long, default_value_t = 0)]
        offset: u32,
    },
    /// Show why one was given up, with its attempts.
    Show {
        /// The task: its id, or a beginning that fits only one.
        #[arg(value_name = "TASK")]
        id: String,
    },
    /// Let tasks begin anew, with what they need; of a tree with several, everything that has not completed.
    Requeue {
        #[command(flatten)]
        chosen: Chosen,
        /// Begin everything of each tree that has not completed.
        #[arg(long)]
        whole_tree: bool,
    },
    /// Throw letters away; the tasks stay as they are.
    Drop {
        #[command(flatten)]
        chosen: Chosen,
    },
}

/// Which letters.
#[derive(Debug, ClapArgs)]
pub(crate) struct Filter {
    /// Only of this executor.
    #[arg(short, long)]
    executor: Option<String>,
    /// Only of this kind of failure: executor, timeout, panic, lost_lease and so on.
    #[arg(short, long)]
    kind: Option<String>,
    /// Only those that are here for this: attempts, undecodable, signature.
    #[arg(long)]
    reason: Option<String>,
    /// Only this owner's.
    #[arg(short, long)]
    user_id: Option<String>,
    /// Not older than this.
    #[arg(long, value_name = "MOMENT")]
    since: Option<String>,
    /// Older than this.
    #[arg(long, value_name = "MOMENT")]
    before: Option<String>,
}

impl Filter {
    fn params(&self) -> Value {
        json!({
            "executor": self.executor, "kind": self.kind, "reason": self.reason,
            "user_id": self.user_id, "since": self.since, "before": self.before,
        })
    }
}

/// Which letters to change: some by name, or by what they have in common.
#[derive(Debug, ClapArgs)]
pub(crate) struct Chosen {
    /// The tasks: ids, or beginnings that fit only one; `-` reads them from standard input.
    #[arg(value_name = "TASK")]
    ids: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// All of them; needed where nothing else is said.
    #[arg(long)]
    all: bool,
    /// At most so many.
    #[arg(short, long, default_value_t = 100)]
    limit: u32,
}

impl Chosen {
    async fn params(&self, door: &Door) -> Result<Value, CliError> {
        let mut params = self.filter.params();
        params["limit"] = json!(self.limit);
        params["all"] = json!(self.all);
        if !self.ids.is_empty() {
            params["task_ids"] = json!(door.ids(&self.ids).await?);
        }
        Ok(params)
    }
}

pub(crate) async fn dlq(args: Dlq, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let door = Door::open(&args.connection, settings)?;
    let done = command(&door, args.command, &args.format).await;
    door.close().await;
    done
}

async fn command(door: &Door, command: DlqCommand, format: &Format) -> Result<Exit, CliError> {
    match command {
        DlqCommand::Ls { filter, limit, offset } => {
            let mut params = filter.params();
            params["limit"] = json!(limit);
            params["offset"] = json!(offset);
            let answer = door.call("dlq.list", params).await?;
            sheet::write(&answer["letters"], LETTERS, format)?;
            let total = answer["total"].as_u64().unwrap_or(0);
            let total = usize::try_from(total).unwrap_or(usize::MAX);
            show::say(&show::count(total, "dead letter"));
            Ok(Exit::Ok)
        }
        DlqCommand::Show { id } => {
            let params = json!({ "task_id": door.id(&id).await? });
            let mut letter = door.call("dlq.get", params).await?;
            if format.output == Output::Table && format.fields.is_empty() {
                let history = letter["history"].take();
                if let Some(letter) = letter.as_object_mut() {
                    letter.remove("history");
                }
                sheet::write(&letter, Sheet::Fields, format)?;
                sheet::write(&history, ATTEMPTS, format)?;
            } else {
                sheet::write(&letter, Sheet::Fields, format)?;
            }
            Ok(Exit::Ok)
        }
        DlqCommand::Requeue { chosen, whole_tree } => {
            let mut params = chosen.params(door).await?;
            params["whole_tree"] = json!(whole_tree);
            let answer = door.call("dlq.requeue", params).await?;
            requeued(&answer, format)
        }
        DlqCommand::Drop { chosen } => {
            let params = chosen.params(door).await?;
            let answer = door.call("dlq.drop", params).await?;
            if format.output != Output::Table {
                sheet::write(&answer, Sheet::Fields, format)?;
            }
            let count = answer["dropped"].as_u64().unwrap_or(0);
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            show::say(&format!("{} dropped", show::count(count, "dead letter")));
            Ok(Exit::Ok)
        }
    }
}

fn requeued(answer: &Value, format: &Format) -> Result<Exit, CliError> {
    let list = |field: &str| answer[field].as_array().map(Vec::as_slice).unwrap_or_default();
    if format.output == Output::Table {
        let lines: Vec<String> =
            list("requeued").iter().map(|id| show::plain(&brief(id)) + "\n").collect();
        show::data(&lines.concat())?;
    } else {
        sheet::write(answer, Sheet::Fields, format)?;
    }
    for refused in list("refused") {
        let (task, detail) = (brief(&refused["task_id"]), brief(&refused["detail"]));
        show::warn(&format!("{task} does not begin anew: {detail}"));
    }
    show::say(&format!("{} anew", show::count(list("requeued").len(), "task")));
    Ok(if list("refused").is_empty() { Exit::Ok } else { Exit::Conflict })
}

/// `apflow tasks attempts`.
pub(crate) async fn attempts(door: &Door, id: &str, format: &Format) -> Result<Exit, CliError> {
    let params = json!({ "task_id": door.id(id).await? });
    let answer = door.call("tasks.attempts", params).await?;
    if format.output == Output::Table {
        sheet::write(&answer["attempts"], ATTEMPTS, format)?;
    } else {
        sheet::write(&answer, Sheet::Fields, format)?;
    }
    Ok(Exit::Ok)
}
