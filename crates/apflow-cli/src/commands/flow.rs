//! `apflow run flow`: an executor with inputs, or tasks as JSON, as the Python command line ran them.

use std::{fs, sync::Arc, time::Duration};

use apflow::{core::id::Ids as _, system::SystemIds};
use serde_json::{Map, Value, json};

use super::{run::leave, tasks};
use crate::{
    args::Flow,
    config::{self, Database, Settings},
    door::{Door, elsewhere},
    error::{CliError, Exit},
    follow::{Interrupts, OnInterrupt, Waited},
    show::{self, data},
    watch::Watch,
};

pub(crate) async fn flow(args: Flow, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let tasks = owned(given(&args)?, &args.user_id)?;
    let roots = roots(&tasks);
    let mut wish = json!({ "tasks": tasks, "wait": false });
    if args.use_demo {
        wish["use_demo"] = json!(true);
    }
    let door = Door::open(&args.connection, settings)?;
    door.settle().await?;
    if door.is_remote() {
        tasks::warn_of_grants(&args.allow);
        // From here on an interruption means the run.
        let mut interrupts = Interrupts::listen()?;
        door.call("tasks.execute", wish).await?;
        if args.background {
            return begun(&args, &roots);
        }
        return follow(&door, &args, roots, &mut interrupts).await.and_then(|(_, exit)| exit);
    }
    config::warn_of_grants(settings)?;
    let database = Database::find(settings);
    database.prepare()?;
    let opened = config::app(settings, &database)?.open().await;
    let mut app = opened.map_err(|error| elsewhere(error.into()))?;
    let door = Door::through(app.gateway().clone(), &database);
    door.call("tasks.execute", wish).await?;
    if args.background {
        let _ = app.shutdown(Duration::ZERO).await;
        show::say("it is stored and started; `apflow serve` or `apflow resume` runs it");
        return begun(&args, &roots);
    }
    let mut interrupts = Interrupts::listen()?;
    app.work();
    let (waited, exit) = follow(&door, &args, roots, &mut interrupts).await?;
    leave(app, waited, &mut interrupts).await;
    exit
}

/// The tasks that were asked for, as an array.
fn given(args: &Flow) -> Result<Vec<Value>, CliError> {
    let inputs = match (&args.inputs, &args.inputs_file) {
        (Some(text), _) => object("--inputs", parsed("--inputs", text)?)?,
        (None, Some(file)) => object("--inputs-file", tasks::read(file)?)?,
        (None, None) => Map::new(),
    };
    let tasks = match (&args.executor, &args.tasks, &args.tasks_file) {
        (Some(executor), ..) => {
            return Ok(vec![json!({
                "name": executor, "schemas": { "method": executor }, "inputs": inputs,
            })]);
        }
        (None, Some(text), _) => parsed("--tasks", text)?,
        (None, None, Some(file)) => tasks::read(file)?,
        (None, None, None) => {
            return Err(CliError::usage("run flow was given nothing to run")
                .help("name an executor, or give --tasks JSON or --tasks-file FILE"));
        }
    };
    if !inputs.is_empty() {
        show::warn("inputs go to a single executor; tasks have their own, so these are not used");
    }
    match tasks {
        Value::Array(tasks) => Ok(tasks),
        task @ Value::Object(_) => Ok(vec![task]),
        _ => Err(CliError::usage("the tasks are neither an array nor an object")),
    }
}

fn parsed(flag: &str, text: &str) -> Result<Value, CliError> {
    serde_json::from_str(text).map_err(|error| {
        CliError::usage(format!("{flag} takes JSON, and this is none")).because(error.to_string())
    })
}

fn object(flag: &str, value: Value) -> Result<Map<String, Value>, CliError> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(CliError::usage(format!("{flag} takes a JSON object"))),
    }
}

/// Gives tasks that name none an owner and an id, so that they can be found again.
fn owned(mut tasks: Vec<Value>, user_id: &str) -> Result<Vec<Value>, CliError> {
    for (place, task) in tasks.iter_mut().enumerate() {
        let Value::Object(task) = task else {
            return Err(CliError::usage(format!("the task at index {place} is no object")));
        };
        let missing =
            |task: &Map<String, Value>, field: &str| task.get(field).is_none_or(Value::is_null);
        if missing(task, "user_id") {
            task.insert("user_id".to_owned(), json!(user_id));
        }
        if missing(task, "id") {
            task.insert("id".to_owned(), json!(SystemIds.next()));
        }
    }
    Ok(tasks)
}

fn roots(tasks: &[Value]) -> Vec<String> {
    let root = |task: &&Value| task.get("parent_id").is_none_or(Value::is_null);
    tasks.iter().filter(root).filter_map(|it| Some(it["id"].as_str()?.to_owned())).collect()
}

fn begun(args: &Flow, roots: &[String]) -> Result<Exit, CliError> {
    let first = roots.first();
    write(args, &json!({ "status": "started", "root_task_id": first, "root_task_ids": roots }))?;
    Ok(Exit::Ok)
}

/// Follows it to its end and writes the result; the second part may be an error after the end.
async fn follow(
    door: &Door,
    args: &Flow,
    roots: Vec<String>,
    interrupts: &mut Interrupts,
) -> Result<(Waited, Result<Exit, CliError>), CliError> {
    let mut watch = Watch::begin(door, roots.clone(), None).await?;
    let waited = watch.wait(interrupts, OnInterrupt::Cancel, None, args.quiet).await?;
    let result = result(watch.tasks(), &roots);
    let exit = match waited {
        Waited::Over if result["status"] == "completed" => Exit::Ok,
        Waited::Over if result["status"] == "cancelled" => Exit::Cancelled,
        Waited::Over => Exit::Failed,
        _ => Exit::Interrupted,
    };
    Ok((waited, write(args, &result).map(|()| exit)))
}

/// What came of it, in the shape of the Python command line.
fn result(tasks: &[Value], roots: &[String]) -> Value {
    let of_root = |root: &String| {
        let found = tasks.iter().find(|task| task["id"] == root.as_str());
        let task = found.cloned().unwrap_or_default();
        let tree = &task["task_tree_id"];
        let count = tasks.iter().filter(|it| it["task_tree_id"] == *tree).count();
        let failed =
            tasks.iter().find(|it| it["task_tree_id"] == *tree && it["status"] == "failed");
        // A tree in which something failed has failed, also where its root went on or waits for ever.
        let status = if failed.is_some() { json!("failed") } else { task["status"].clone() };
        json!({
            "status": status, "progress": task["progress"], "root_task_id": root,
            "task_count": count, "result": task["result"],
            "error": failed.map_or(&task["error"], |failed| &failed["error"]),
        })
    };
    let mut results: Vec<Value> = roots.iter().map(of_root).collect();
    if results.len() == 1 {
        return results.remove(0);
    }
    let done = results.iter().all(|it| it["status"] == "completed");
    json!({
        "status": if done { "completed" } else { "partial" }, "task_groups": results.len(),
        "root_task_ids": roots, "results": results,
    })
}

fn write(args: &Flow, result: &Value) -> Result<(), CliError> {
    let text = data::json(result);
    let Some(file) = &args.output else { return show::data(&text) };
    fs::write(file, text).map_err(|error| {
        CliError::usage(format!("{file} cannot be written")).because(error.to_string())
    })?;
    show::say(&format!("the result is in {}", show::plain(file)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_has_the_shape_of_the_python_command_line() {
        let task = |id: &str, tree: &str, status: &str, state: &str| {
            json!({"id": id, "task_tree_id": tree, "status": status, "progress": 1.0,
                "result": {"of": id}, "error": null, "state": {"name": state}})
        };
        let mut tasks = vec![
            task("a", "t", "completed", "completed"),
            task("b", "t", "completed", "completed"),
        ];
        let roots = ["a".to_owned(), "x".to_owned()];
        assert_eq!(
            result(&tasks, &roots[..1]),
            json!({"status": "completed", "progress": 1.0, "root_task_id": "a", "task_count": 2,
                "result": {"of": "a"}, "error": null})
        );
        tasks.push(task("x", "u", "pending", "blocked"));
        let mut low = task("y", "u", "failed", "failed");
        low["error"] = json!("no");
        tasks.push(low);
        let both = result(&tasks, &roots);
        assert_eq!((&both["status"], &both["task_groups"]), (&json!("partial"), &json!(2)));
        assert_eq!(both["results"][1]["status"], "failed");
        assert_eq!(both["results"][1]["error"], "no");
    }

    #[test]
    fn tasks_get_an_owner_and_an_id_only_where_they_have_none() {
        let tasks = vec![json!({"name": "a", "user_id": "ada", "id": "x"}), json!({"name": "b"})];
        let tasks = owned(tasks, "cli_user").expect("objects");
        assert_eq!((&tasks[0]["user_id"], &tasks[0]["id"]), (&json!("ada"), &json!("x")));
        assert_eq!(tasks[1]["user_id"], "cli_user");
        assert!(tasks[1]["id"].is_string());
        assert!(owned(vec![json!("x")], "u").is_err());
    }
}
