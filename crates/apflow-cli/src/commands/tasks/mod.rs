//! `apflow tasks`: the operations of the API, here or on a server.

mod change;
mod clone;
mod execute;
pub(crate) mod watch;

use std::sync::Arc;

use apflow::core::{
    code::Code,
    submit::{Limits, Order, Reading, compile, read_tasks},
};
use apflow::system::SystemIds;
use serde_json::{Map, Value, json};

pub(crate) use self::execute::{Begun, afar, warn_of_grants};
use super::{dlq, file, scheduled, webhook_url};
use crate::{
    args::{Children, Count, Create, Format, List, OldFormat, Output, Tasks, TasksCommand},
    config::Settings,
    door::Door,
    error::{CliError, Exit},
    show::{
        self, data,
        sheet::{self, STANDINGS, Sheet, TASKS, rows_of},
    },
};

pub(crate) async fn tasks(args: Tasks, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let Tasks { command, format, connection } = args;
    if let TasksCommand::Execute(execute) = command {
        return execute::execute(&connection, settings, execute, &format).await;
    }
    if let TasksCommand::WebhookUrl(url) = &command {
        return webhook_url::show(url, &format, settings);
    }
    let door = Door::open(&connection, settings)?;
    let done = match command {
        TasksCommand::Create(args) => create(&door, &args, &format).await,
        TasksCommand::Get(args) => {
            each(&door, "tasks.get", &args.ids, Sheet::Fields, &format).await
        }
        TasksCommand::Tree(args) => {
            each(&door, "tasks.tree", &args.ids, Sheet::Tree, &format).await
        }
        TasksCommand::List(args) => list(&door, args, &format).await,
        TasksCommand::Children(args) => children(&door, args, &format).await,
        TasksCommand::Count(args) => count(&door, args, &format).await,
        TasksCommand::Status(args) => {
            let ids = door.ids(&args.ids).await?;
            let found = door.call("tasks.running.status", json!({ "task_ids": ids })).await?;
            sheet::write(&found, STANDINGS, &format)?;
            Ok(Exit::Ok)
        }
        TasksCommand::Cancel(args) => change::cancel(&door, &args, &format).await,
        TasksCommand::Update(args) => change::update(&door, &args, &format).await,
        TasksCommand::Delete(args) => change::delete(&door, &args, &format).await,
        TasksCommand::Clone(args) => clone::clone(&door, &args, &format).await,
        TasksCommand::Watch(args) => watch::watch(&door, &args).await,
        TasksCommand::Attempts { id } => dlq::attempts(&door, &id, &format).await,
        TasksCommand::Scheduled { command } => scheduled::scheduled(&door, command, &format).await,
        // They are done above, without a door.
        TasksCommand::Execute(_) | TasksCommand::WebhookUrl(_) => Ok(Exit::Ok),
    };
    door.close().await;
    done
}

/// Several calls, one a task: what was found is written, what was not is told, the first error counts.
async fn each(
    door: &Door,
    method: &str,
    typed: &[String],
    sheet: Sheet,
    format: &Format,
) -> Result<Exit, CliError> {
    let ids = door.ids(typed).await?;
    let mut found = Vec::with_capacity(ids.len());
    let mut trouble = Trouble::default();
    for id in &ids {
        match door.call(method, json!({ "task_id": id })).await {
            Ok(Value::Null) => trouble.add(no_such_task(id))?,
            Ok(value) => found.push(value),
            Err(error) => trouble.add(error)?,
        }
    }
    if !found.is_empty() {
        sheet::write(&one_or_all(&ids, found), sheet, format)?;
    }
    Ok(trouble.exit())
}

/// The answer to one id is that answer, to several an array of them.
fn one_or_all(asked: &[String], mut found: Vec<Value>) -> Value {
    match (asked, found.as_slice()) {
        ([_], [_]) => found.remove(0),
        _ => Value::Array(found),
    }
}

/// Errors of single tasks; the others go on.
#[derive(Default)]
struct Trouble(Option<Exit>);

impl Trouble {
    /// Tells it at once; what no further task could survive ends everything.
    fn add(&mut self, error: CliError) -> Result<(), CliError> {
        if matches!(error.exit(), Exit::Unreachable | Exit::Auth) {
            return Err(error);
        }
        error.show();
        self.0.get_or_insert(error.exit());
        Ok(())
    }

    fn exit(self) -> Exit {
        self.0.unwrap_or(Exit::Ok)
    }
}

pub(crate) fn no_such_task(id: &str) -> CliError {
    CliError::new(Code::NotFound, format!("Task {id} not found"))
        .help("`apflow tasks list --all-tasks` shows what there is")
}

async fn create(door: &Door, args: &Create, format: &Format) -> Result<Exit, CliError> {
    let tasks = read(if args.stdin { "-" } else { &args.file })?;
    if args.dry_run {
        let stored = preview(&tasks)?;
        show::say(&format!("would create {}", show::count(rows_of(&stored).len(), "task")));
        sheet::write(&stored, TASKS, format)?;
        return Ok(Exit::Ok);
    }
    let created = door.call("tasks.create", tasks).await?;
    let rows = rows_of(&created);
    let root = rows.first().and_then(|it| it["id"].as_str()).unwrap_or_default();
    show::say(&format!(
        "created {}, the root is {}",
        show::count(rows.len(), "task"),
        show::plain(root)
    ));
    sheet::write(&created, TASKS, format)?;
    Ok(Exit::Ok)
}

/// What would be stored, or everything that is wrong with it.
fn preview(tasks: &Value) -> Result<Value, CliError> {
    // `{tasks: […]}` comes with options beside.
    let tasks = match tasks {
        Value::Object(map) if map.contains_key("tasks") && !map.contains_key("name") => {
            &map["tasks"]
        }
        tasks => tasks,
    };
    let (specs, warnings) = read_tasks(tasks, &Reading::Lenient)
        .map_err(|problems| CliError::of_problems(problems.0))?;
    for warning in warnings {
        show::warn(&warning);
    }
    let order = Order { tasks: specs, ..Order::default() };
    let submission = compile(order, &SystemIds, &Limits::default())
        .map_err(|problems| CliError::of_problems(problems.0))?;
    let task = |task: &apflow::core::store::NewTask| {
        let parent = task.parent.map(|at| submission.tasks[at].id.to_string());
        let needs: Vec<&str> =
            task.definition.dependencies.iter().map(|it| it.id.as_str()).collect();
        json!({
            "id": task.id, "name": task.definition.name, "parent_id": parent, "status": "pending",
            "priority": task.definition.priority, "dependencies": needs, "progress": 0.0,
            "inputs": task.definition.inputs, "params": task.definition.params,
            "schemas": task.definition.schemas, "user_id": task.definition.user_id,
        })
    };
    Ok(submission.tasks.iter().map(task).collect())
}

/// A file of tasks, in JSON, or in YAML if its name says so.
pub(crate) fn read(name: &str) -> Result<Value, CliError> {
    let text = file::text(name)?;
    let ends = |with: &str| name.to_ascii_lowercase().ends_with(with);
    let read = if ends(".yaml") || ends(".yml") {
        serde_saphyr::from_str(&text).map_err(|error| ("YAML", error.to_string()))
    } else {
        serde_json::from_str(&text).map_err(|error| ("JSON", error.to_string()))
    };
    read.map_err(|(form, why)| {
        CliError::new(Code::NotJson, format!("{} is not {form}", file::named(name)))
            .because(why)
            .help("give one task object, or an array of them")
    })
}

async fn list(door: &Door, args: List, format: &Format) -> Result<Exit, CliError> {
    let mut params = json!({
        "user_id": args.user_id, "status": args.status, "root_only": !args.all_tasks,
        "limit": args.limit, "offset": args.offset,
    });
    if let Some(prefix) = args.prefix {
        params["id_prefix"] = json!(prefix);
    }
    sheet::write(&door.call("tasks.list", params).await?, TASKS, format)?;
    Ok(Exit::Ok)
}

async fn children(door: &Door, args: Children, format: &Format) -> Result<Exit, CliError> {
    let typed = args.id.or(args.parent_id).or(args.task_id).unwrap_or_default();
    let id = door.ids(&[typed]).await?.remove(0);
    let found = door.call("tasks.children", json!({ "parent_id": id })).await?;
    sheet::write(&found, TASKS, format)?;
    Ok(Exit::Ok)
}

async fn count(door: &Door, args: Count, format: &Format) -> Result<Exit, CliError> {
    let mut params = json!({ "user_id": args.user_id, "root_only": args.root_only });
    if !args.status.is_empty() {
        params["statuses"] = json!(args.status);
    }
    let counted = door.call("tasks.count", params).await?;
    sheet::write(&counted, Sheet::Fields, &older(format, args.format))?;
    Ok(Exit::Ok)
}

/// The same format with what `-f` of the Python command line said.
pub(crate) fn older(format: &Format, said: Option<OldFormat>) -> Format {
    let output = match said {
        None => format.output,
        Some(OldFormat::Table) => Output::Table,
        Some(OldFormat::Json) => Output::Json,
        Some(OldFormat::Ids) => Output::Id,
    };
    Format { output, ..format.clone() }
}

/// JSON of a flag: itself, or what the file behind `@` holds.
fn json_of(flag: &str, text: &str) -> Result<Value, CliError> {
    let from_file;
    let text = match text.strip_prefix('@') {
        Some(name) => {
            from_file = file::text(name)?;
            &from_file
        }
        None => text,
    };
    serde_json::from_str(text).map_err(|error| {
        CliError::usage(format!("{flag} takes JSON, and this is none"))
            .because(error.to_string())
            .help(format!("{flag} '{{\"key\": \"value\"}}', or {flag} @FILE"))
    })
}

/// Fields that were given one by one as FIELD=VALUE.
pub(super) fn assignments(given: &[String], flag: &str) -> Result<Map<String, Value>, CliError> {
    given.iter().map(|text| data::assignment(text, flag)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_shows_what_would_be_stored_and_refuses_what_would_be_refused() {
        let tasks = json!({"tasks": [
            {"id": "r", "name": "r", "schemas": {"method": "x"}},
            {"id": "c", "name": "c", "parent_id": "r", "dependencies": [{"id": "r"}]},
        ], "options": {}});
        let stored = preview(&tasks).expect("good tasks");
        assert_eq!(
            (&stored[1]["parent_id"], &stored[1]["dependencies"][0]),
            (&json!("r"), &json!("r"))
        );
        let error =
            preview(&json!([{"name": "a", "dependencies": ["nobody"]}])).expect_err("no such task");
        assert_eq!(error.code(), Some(Code::UnknownReference));
    }

    #[test]
    fn json_of_a_flag_is_json_or_says_how_it_is_written() {
        assert_eq!(json_of("--inputs", "{\"a\":1}").ok(), Some(json!({"a": 1})));
        let error = json_of("--inputs", "a=1").expect_err("no JSON");
        assert!(format!("{error:?}").contains("--inputs @FILE"), "{error:?}");
        assert!(json_of("--inputs", "@no/such/file").is_err());
    }
}
