//! `apflow tasks`: the operations of the API on the local database, through the same gateway.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use apflow::{
    App,
    core::{
        api::{Call, Caller, Reply},
        code::Code,
        id::TaskId,
    },
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    ended::{self, Telling},
    file,
    resume::{self, board},
    run::{leave, seconds},
};
use crate::{
    args::{Execute, Output, RunOutput, Tasks, TasksCommand},
    config::{self, Database, Settings},
    error::{CliError, Exit},
    follow::{Follow, Gauge, Interrupts, OnInterrupt},
    show::{self, data, table, tree},
};

pub(crate) async fn tasks(args: Tasks, settings: Settings) -> Result<Exit, CliError> {
    if args.server.is_some() {
        return Err(CliError::usage("--server is not there yet")
            .because("this release asks the database alone")
            .help("leave --server out, or POST the call to the /tasks of the server"));
    }
    let database = Database::find(&settings);
    let (method, params) = match args.command {
        TasksCommand::Execute(execute) => {
            return run(&settings, &database, execute, args.output).await;
        }
        command => call(command)?,
    };
    let changes =
        ["tasks.create", "tasks.cancel", "tasks.update", "tasks.delete"].contains(&method);
    let app = if changes {
        database.prepare()?;
        config::app(&settings, &database)?.open().await?
    } else {
        // Reading works while another process holds the database.
        config::reader(&database).open().await?
    };
    let asked = params["task_id"].as_str().map(str::to_owned);
    let reply = ask(&app, method, params).await?;
    write(&reply, method, args.output)?;
    let exit = exit(&reply, asked.as_deref());
    let _ = app.shutdown(Duration::ZERO).await;
    exit
}

/// The call a command stands for.
fn call(command: TasksCommand) -> Result<(&'static str, Value), CliError> {
    Ok(match command {
        TasksCommand::Create { file } => ("tasks.create", read_json(&file)?),
        TasksCommand::Get { id } => ("tasks.get", json!({ "task_id": id })),
        TasksCommand::List { user_id, status, all_tasks, limit, offset } => (
            "tasks.list",
            json!({
                "user_id": user_id, "status": status, "root_only": !all_tasks,
                "limit": limit, "offset": offset,
            }),
        ),
        TasksCommand::Tree { id } => ("tasks.tree", json!({ "task_id": id })),
        TasksCommand::Children { id } => ("tasks.children", json!({ "parent_id": id })),
        TasksCommand::Count { user_id, root_only } => {
            ("tasks.count", json!({ "user_id": user_id, "root_only": root_only }))
        }
        TasksCommand::Status { ids } => ("tasks.running.status", json!({ "task_ids": ids })),
        // It is done above, where there may be several.
        TasksCommand::Execute(execute) => {
            ("tasks.execute", json!({ "task_id": execute.ids.first() }))
        }
        TasksCommand::Cancel { ids, message } => {
            ("tasks.cancel", json!({ "task_ids": ids, "error_message": message }))
        }
        TasksCommand::Update { id, set } => {
            let mut updates = serde_json::Map::new();
            for text in &set {
                let (field, value) = data::assignment(text, "--set")?;
                updates.insert(field, value);
            }
            ("tasks.update", json!({ "task_id": id, "updates": updates }))
        }
        TasksCommand::Delete { id } => ("tasks.delete", json!({ "task_id": id })),
    })
}

fn read_json(name: &str) -> Result<Value, CliError> {
    serde_json::from_str(&file::text(name)?).map_err(|error| {
        CliError::new(Code::NotJson, format!("{} is not JSON", file::named(name)))
            .because(error.to_string())
            .help("give one task object, or an array of them")
    })
}

async fn ask(app: &App, method: &str, params: Value) -> Result<Reply, CliError> {
    let read = Call::read(method, params)?;
    let reply = app.gateway().call(&Caller::local(), read.call).await?;
    for warning in read.warnings.iter().chain(reply.warnings()) {
        show::warn(warning);
    }
    Ok(reply)
}

/// `tasks execute`: runs it here unless it is left to others.
async fn run(
    settings: &Settings,
    database: &Database,
    args: Execute,
    output: Output,
) -> Result<Exit, CliError> {
    let began = Instant::now();
    let timeout = seconds("--timeout", args.timeout)?;
    config::warn_of_grants(settings)?;
    let gauge = Arc::new(Gauge::default());
    let mut app =
        config::app(settings, database)?.observer(Arc::clone(&gauge) as Arc<_>).open().await?;
    let mut records = Vec::with_capacity(args.ids.len());
    for id in args.ids.iter().collect::<BTreeSet<_>>() {
        let record = app.engine().store().record(&TaskId::new(id)).await?;
        records.push(record.ok_or_else(|| no_such_task(id))?);
    }
    // A root takes along everything it was stored with, so roots come first and the rest is done.
    records.sort_by_key(|record| record.parent_id.is_some());
    let mut whole = HashSet::new();
    let mut submissions = HashSet::new();
    let (mut replies, mut asked) = (Vec::new(), Vec::new());
    for record in &records {
        let submission = record.task.forest;
        if whole.contains(&submission) {
            continue;
        }
        let reexecute = args.reexecute;
        let params = json!({ "task_id": record.id, "wait": false, "reexecute": reexecute });
        let reply = ask(&app, "tasks.execute", params).await?;
        if matches!(&reply, Reply::Executed(executed) if !executed.idle) {
            submissions.insert(submission);
            if record.parent_id.is_none() {
                whole.insert(submission);
            }
        }
        replies.push(reply);
        asked.push(record);
    }
    if args.detach || submissions.is_empty() {
        let mut worst = Exit::Ok;
        for reply in &replies {
            write(reply, "tasks.execute", output)?;
            let one = exit(reply, None)?;
            worst = if worst == Exit::Ok { one } else { worst };
        }
        let _ = app.shutdown(Duration::ZERO).await;
        return Ok(worst);
    }
    for (reply, record) in replies.iter().zip(&asked) {
        if matches!(reply, Reply::AlreadyRunning { .. }) {
            show::warn(&format!("{} runs already; its failures stay as they are", record.id));
        }
    }
    // Nothing moves before the worker does, so all trees that began are still to be seen.
    let first = resume::run_of(&records[0].id);
    let run = records.iter().all(|it| resume::run_of(&it.id) == first).then_some(first);
    let mut trees = resume::live(app.engine()).await?;
    trees.retain(|tree| tree.tasks.iter().any(|it| submissions.contains(&it.task.forest)));
    let board = board(trees.iter().flat_map(|tree| &tree.tasks), run);
    let ids: Vec<_> = trees.iter().map(|tree| tree.id.clone()).collect();
    let roots = trees.iter().filter_map(|tree| Some(tree.tasks.first()?.id.clone())).collect();
    let mut follow = Follow::begin(app.engine(), gauge, &ids, roots, board, false).await?;
    let mut interrupts = Interrupts::listen()?;
    app.work();
    let waited = follow.wait(&mut interrupts, OnInterrupt::Cancel, timeout, args.quiet).await?;
    let telling = Telling {
        run,
        output: match output {
            Output::Table | Output::Id => RunOutput::Table,
            Output::Json => RunOutput::Json,
            Output::Yaml => RunOutput::Yaml,
        },
        print: None,
        quiet: args.quiet,
        took: began.elapsed(),
        database,
        grants: &args.allow,
    };
    let told = ended::tell(app.engine(), &mut follow, waited, &telling).await;
    leave(app, waited, &mut interrupts).await;
    told
}

fn no_such_task(id: &str) -> CliError {
    CliError::new(Code::NotFound, format!("Task {id} not found"))
        .help("`apflow tasks list --all-tasks` shows what there is")
}

fn write(reply: &Reply, method: &str, output: Output) -> Result<(), CliError> {
    let value = reply.json();
    match output {
        Output::Json => show::data(&data::json(&value)),
        Output::Yaml => show::data(&data::yaml(&value)?),
        Output::Id => {
            let mut ids = String::new();
            gather_ids(&value, &mut ids);
            show::data(&ids)
        }
        Output::Table => match (&value, method) {
            (Value::Null, _) => Ok(()),
            (Value::Object(_), "tasks.tree") => show::data(&drawn(&value, 0)),
            (Value::Array(items), "tasks.list" | "tasks.children" | "tasks.create") => {
                show::data(&table::tasks(items))
            }
            (Value::Array(items), _) => {
                let fields: Vec<String> = items.iter().map(table::fields).collect();
                show::data(&fields.join("\n"))
            }
            _ => show::data(&table::fields(&value)),
        },
    }
}

/// The ids of the tasks in an answer, one a line.
fn gather_ids(value: &Value, ids: &mut String) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather_ids(item, ids)),
        Value::Object(object) => {
            let names = ["id", "task_id", "root_task_id"];
            if let Some(id) = names.iter().find_map(|name| object.get(*name)?.as_str()) {
                ids.push_str(&show::plain(id));
                ids.push('\n');
            }
            // A tree holds its root and then what is below; a page its tasks.
            let parts = ["task", "tasks", "children"];
            parts.iter().filter_map(|part| object.get(*part)).for_each(|it| gather_ids(it, ids));
        }
        _ => {}
    }
}

/// A nested task with everything below it; as deep as the answer, which has a limit.
fn drawn(node: &Value, depth: usize) -> String {
    use apflow::core::task::StateName;
    let task = &node["task"];
    let state = task["state"]["name"].as_str().and_then(StateName::parse);
    let (sign, style) = tree::mark(state.unwrap_or(StateName::Created));
    let name = show::short(&data::brief(&task["name"]), 80);
    let id = show::plain(&data::brief(&task["id"]));
    let mut text = format!("{}{style}{sign}{style:#} {name}  {id}\n", "  ".repeat(depth));
    for child in node["children"].as_array().into_iter().flatten() {
        text.push_str(&drawn(child, depth + 1));
    }
    text
}

/// What was asked for and did not happen is an exit code, also where the API has an answer for it.
fn exit(reply: &Reply, asked: Option<&str>) -> Result<Exit, CliError> {
    use apflow::core::store::CancelAnswer;
    match reply {
        Reply::Task(None) => Err(no_such_task(asked.unwrap_or_default())),
        Reply::AlreadyRunning { .. } => Ok(Exit::Conflict),
        Reply::Cancelled(items) => {
            let any = |answer: fn(&CancelAnswer) -> bool| items.iter().any(|it| answer(&it.answer));
            if any(|answer| matches!(answer, CancelAnswer::NoSuchTask)) {
                Ok(Exit::NotFound)
            } else if any(|answer| matches!(answer, CancelAnswer::AlreadyEnded(_))) {
                Ok(Exit::Conflict)
            } else {
                Ok(Exit::Ok)
            }
        }
        _ => Ok(Exit::Ok),
    }
}
