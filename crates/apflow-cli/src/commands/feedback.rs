//! `apflow feedback …` and `apflow events …`: questions of tasks, their answers, and events for those who
//! wait.

use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use super::tasks::json_of;
use crate::{
    args::{Connection, Format},
    config::Settings,
    door::Door,
    error::{CliError, Exit},
    show::{
        self,
        sheet::{self, Column, Kind, Sheet},
    },
};

/// Questions, one a line.
const QUESTIONS: Sheet = Sheet::Rows(
    &[
        Column("id", "id", Kind::Text),
        Column("task", "name", Kind::Text),
        Column("kind", "detail.kind|for", Kind::Text),
        Column("asks", "detail.prompt|detail.topic|detail.tree", Kind::Text),
        Column("until", "until", Kind::Moment),
        Column("state", "state", Kind::Text),
    ],
    &[],
);

#[derive(Debug, ClapArgs)]
pub(crate) struct Feedback {
    #[command(subcommand)]
    command: FeedbackCommand,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
enum FeedbackCommand {
    /// Show the questions that can be answered, oldest first.
    #[command(visible_alias = "list")]
    Ls {
        /// Instead those that stand here: pending, answered, expired, cancelled.
        #[arg(short, long)]
        state: Option<String>,
        /// Instead of questions: event, timer, child or budget.
        #[arg(long = "for", value_name = "KIND")]
        kind: Option<String>,
        /// Only of this task.
        #[arg(long, value_name = "TASK")]
        task: Option<String>,
        /// Only this owner's.
        #[arg(short, long)]
        user_id: Option<String>,
        /// At most so many.
        #[arg(short, long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one question in full.
    Show {
        /// The question.
        id: String,
    },
    /// Answer a question; its task goes on.
    Answer(Answer),
    /// Withdraw a question; its task goes on and is told so.
    Cancel {
        /// The question.
        id: String,
        /// Why.
        #[arg(short, long)]
        reason: Option<String>,
    },
}

#[derive(Debug, ClapArgs)]
struct Answer {
    /// The question.
    id: String,
    /// The answer: JSON, or a text as it is.
    #[expect(clippy::struct_field_names, reason = "it is what the command line calls it")]
    #[arg(required_unless_present_any = ["yes", "no", "json"])]
    answer: Option<String>,
    /// Approve.
    #[arg(long, conflicts_with_all = ["no", "answer", "json"])]
    yes: bool,
    /// Reject.
    #[arg(long, conflicts_with_all = ["answer", "json"])]
    no: bool,
    /// The answer as JSON, or `@FILE`.
    #[arg(long, value_name = "JSON", conflicts_with = "answer")]
    json: Option<String>,
    /// Why, with an approval.
    #[arg(short, long)]
    reason: Option<String>,
    /// Who says so.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

pub(crate) async fn feedback(args: Feedback, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let Feedback { command, format, connection } = args;
    let door = Door::open(&connection, settings)?;
    let done = carry_out(&door, command, &format).await;
    door.close().await;
    done
}

async fn carry_out(
    door: &Door,
    command: FeedbackCommand,
    format: &Format,
) -> Result<Exit, CliError> {
    match command {
        FeedbackCommand::Ls { state, kind, task, user_id, limit } => {
            let mut params = json!({ "user_id": user_id, "state": state, "limit": limit });
            if let Some(kind) = kind {
                params["for"] = json!(kind);
            }
            if let Some(task) = task {
                params["task_id"] = json!(door.id(&task).await?);
            }
            sheet::write(&door.call("feedback.list", params).await?, QUESTIONS, format)?;
        }
        FeedbackCommand::Show { id } => {
            let found = door.call("feedback.get", json!({ "id": id })).await?;
            sheet::write(&found, Sheet::Fields, format)?;
        }
        FeedbackCommand::Answer(args) => {
            let params = json!({
                "id": args.id, "answer": said(&args)?, "reason": args.reason,
                "responded_by": args.by,
            });
            let answered = door.call("feedback.respond", params).await?;
            let name = answered["name"].as_str().unwrap_or_default();
            show::say(&format!("answered; `{}` goes on", show::plain(name)));
            sheet::write(&answered, Sheet::Fields, format)?;
        }
        FeedbackCommand::Cancel { id, reason } => {
            let params = json!({ "id": id, "reason": reason });
            let withdrawn = door.call("feedback.cancel", params).await?;
            sheet::write(&withdrawn, Sheet::Fields, format)?;
        }
    }
    Ok(Exit::Ok)
}

/// The answer as it was typed: JSON where it is JSON, else the text.
fn said(args: &Answer) -> Result<Value, CliError> {
    if args.yes || args.no {
        return Ok(json!(args.yes));
    }
    if let Some(text) = &args.json {
        return json_of("--json", text);
    }
    let text = args.answer.as_deref().unwrap_or_default();
    Ok(serde_json::from_str(text).unwrap_or_else(|_| json!(text)))
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Events {
    #[command(subcommand)]
    command: EventsCommand,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// Publish an event: every task that waits for it goes on.
    Publish {
        /// What it is about.
        topic: String,
        /// What goes with it: JSON, or `@FILE`.
        #[arg(short, long, value_name = "JSON")]
        payload: Option<String>,
        /// The same key on a topic is the same event, and is taken once.
        #[arg(short, long)]
        key: Option<String>,
    },
}

pub(crate) async fn events(args: Events, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let Events { command: EventsCommand::Publish { topic, payload, key }, format, connection } =
        args;
    let payload = match &payload {
        Some(text) => json_of("--payload", text)?,
        None => Value::Null,
    };
    let door = Door::open(&connection, settings)?;
    let params = json!({ "topic": topic, "payload": payload, "key": key });
    let done = door.call("events.publish", params).await;
    let done = done.and_then(|published| {
        sheet::write(&published, Sheet::Fields, &format)?;
        Ok(Exit::Ok)
    });
    door.close().await;
    done
}
