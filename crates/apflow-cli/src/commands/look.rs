//! `apflow executors` and `apflow monitor`: what can run, and what goes on.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{db, info, tasks};
use crate::{
    args::{
        Connection, Db, DbCommand, Executors, ExecutorsCommand, Format, Monitor, MonitorCommand,
        Output, RunOutput,
    },
    config::{self, Settings},
    door::Door,
    error::{CliError, Exit},
    show::{
        self,
        sheet::{self, Column, EXECUTORS, Kind, Sheet, TASKS, rows_of},
        tree::took,
    },
};

/// When each task began and ended, one a line.
const TRACE: Sheet = Sheet::Rows(
    &[
        Column("began", "started_at", Kind::Moment),
        Column("ended", "completed_at", Kind::Moment),
        Column("took", "took", Kind::Text),
        Column("task", "id", Kind::Text),
        Column("name", "name", Kind::Text),
        Column("status", "status", Kind::Status),
        Column("tries", "attempt_count", Kind::Text),
        Column("error", "error", Kind::Text),
    ],
    &[],
);

pub(crate) async fn executors(args: Executors, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let door = Door::open(&args.connection, settings)?;
    door.settle().await?;
    let list = if door.is_remote() {
        door.call("system.executors", json!({})).await?
    } else {
        // What is here is known without a database.
        info::executors(&config::registry(settings)?)
    };
    match args.command {
        ExecutorsCommand::List { old_format } => {
            sheet::write(&list, EXECUTORS, &tasks::older(&args.format, old_format))?;
        }
        ExecutorsCommand::Show { id } => {
            let found = rows_of(&list).into_iter().find(|it| it["id"] == *id).cloned();
            let Some(executor) = found else {
                return Err(info::no_such_executor(&id, rows_of(&list).into_iter()));
            };
            if args.format.output == Output::Table && args.format.fields.is_empty() {
                show::data(&info::one(&executor))?;
            } else {
                sheet::write(&executor, Sheet::Fields, &args.format)?;
            }
        }
    }
    door.close().await;
    Ok(Exit::Ok)
}

pub(crate) async fn monitor(args: Monitor, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let Monitor { command, format, connection } = args;
    if matches!(command, MonitorCommand::Db) {
        return database(&connection, &format, settings).await;
    }
    let door = Door::open(&connection, settings)?;
    let exit = match command {
        MonitorCommand::Status { all, task_id, limit } => {
            status(&door, all, task_id, limit, &format).await?
        }
        MonitorCommand::Watch(args) => tasks::watch::watch(&door, &args).await?,
        MonitorCommand::Trace { id } => {
            let id = door.ids(&[id]).await?.remove(0);
            trace(&door, &id, &format).await?
        }
        MonitorCommand::Db => Exit::Ok,
    };
    door.close().await;
    Ok(exit)
}

async fn status(
    door: &Door,
    all: bool,
    task: Option<String>,
    limit: u32,
    format: &Format,
) -> Result<Exit, CliError> {
    let found = match task {
        Some(typed) => {
            let id = door.ids(&[typed]).await?.remove(0);
            let tree = door.call("tasks.tree", json!({ "task_id": id })).await?;
            rows_of(&tree).into_iter().cloned().collect()
        }
        None if all => {
            door.call("tasks.list", json!({ "root_only": false, "limit": limit })).await?
        }
        None => door.call("tasks.running.list", json!({ "limit": limit })).await?,
    };
    let counts = door.call("tasks.count", json!({})).await?;
    let part = |status: &str| format!("{status} {}", counts[status]);
    let words = ["pending", "in_progress", "completed", "failed", "cancelled"].map(part);
    show::say(&words.join(" · "));
    sheet::write(&found, TASKS, format)?;
    Ok(Exit::Ok)
}

/// The tasks of a tree in the order in which they began.
async fn trace(door: &Door, id: &str, format: &Format) -> Result<Exit, CliError> {
    let tree = door.call("tasks.tree", json!({ "task_id": id })).await?;
    let mut tasks: Vec<Value> = rows_of(&tree).into_iter().cloned().collect();
    for task in &mut tasks {
        let took = took(task).map(show::time);
        task["took"] = json!(took);
    }
    // Those that never began come last.
    let began = |task: &Value| task["started_at"].as_str().unwrap_or("~").to_owned();
    tasks.sort_by_key(began);
    sheet::write(&Value::Array(tasks), TRACE, format)?;
    Ok(Exit::Ok)
}

async fn database(
    connection: &Connection,
    format: &Format,
    settings: &Settings,
) -> Result<Exit, CliError> {
    let output = match format.output {
        Output::Json | Output::Jsonl => RunOutput::Json,
        Output::Yaml => RunOutput::Yaml,
        _ => RunOutput::Table,
    };
    if connection.server.is_some() {
        return Err(CliError::usage("the database of a server is its own affair")
            .help("ask on the machine of the server, or leave --server out"));
    }
    let database = connection.database();
    db::db(Db { command: DbCommand::Status { database, output } }, settings).await
}
