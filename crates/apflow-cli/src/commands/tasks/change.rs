//! `tasks update`, `cancel` and `delete`: what they would do, whether it is wanted, and doing it.

use apflow::core::code::Code;
use serde_json::{Map, Value, json};

use super::{Trouble, assignments, json_of, no_such_task, one_or_all};
use crate::{
    args::{Cancel, Delete, Format, Pause, Update},
    door::Door,
    error::{CliError, Exit},
    show::{
        self,
        sheet::{self, CANCELLED, Sheet, TASKS, rows_of},
    },
};

pub(super) async fn update(door: &Door, args: &Update, format: &Format) -> Result<Exit, CliError> {
    let updates = updates(args)?;
    let ids = door.ids(&args.ids).await?;
    let mut done = Vec::with_capacity(ids.len());
    let mut trouble = Trouble::default();
    for id in &ids {
        let params = json!({ "task_id": id, "updates": updates });
        if args.dry_run {
            match door.call("tasks.get", json!({ "task_id": id })).await? {
                Value::Null => trouble.add(no_such_task(id))?,
                _ => done.push(params),
            }
            continue;
        }
        match door.call("tasks.update", params).await {
            Ok(task) => done.push(task),
            Err(error) => trouble.add(error)?,
        }
    }
    if args.dry_run {
        show::say(&format!("would change {}", show::count(done.len(), "task")));
    }
    if !done.is_empty() {
        sheet::write(&one_or_all(&ids, done), Sheet::Fields, format)?;
    }
    Ok(trouble.exit())
}

/// The fields to change, by all the ways to say them.
fn updates(args: &Update) -> Result<Map<String, Value>, CliError> {
    let mut updates = assignments(&args.set, "--set")?;
    let texts = [
        ("name", &args.name),
        ("status", &args.status),
        ("error", &args.error),
        ("schedule_type", &args.schedule_type),
        ("schedule_expression", &args.schedule_expression),
        ("schedule_start_at", &args.schedule_start_at),
        ("schedule_end_at", &args.schedule_end_at),
    ];
    for (field, text) in texts {
        if let Some(text) = text {
            updates.insert(field.to_owned(), json!(text));
        }
    }
    let values = [
        ("result", "--result", &args.result),
        ("inputs", "--inputs", &args.inputs),
        ("params", "--params", &args.params),
        ("schemas", "--schemas", &args.schemas),
        ("dependencies", "--dependencies", &args.dependencies),
    ];
    for (field, flag, text) in values {
        if let Some(text) = text {
            updates.insert(field.to_owned(), json_of(flag, text)?);
        }
    }
    let enabled = match (args.schedule_enabled, args.schedule_disabled) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let rest = [
        ("progress", args.progress.map(|it| json!(it))),
        ("priority", args.priority.map(|it| json!(it))),
        ("max_runs", args.max_runs.map(|it| json!(it))),
        ("schedule_enabled", enabled.map(|it| json!(it))),
    ];
    for (field, value) in rest {
        if let Some(value) = value {
            updates.insert(field.to_owned(), value);
        }
    }
    if updates.is_empty() {
        return Err(CliError::usage("At least one field must be specified for update")
            .help("for example --name NAME, --inputs JSON or --set FIELD=VALUE"));
    }
    Ok(updates)
}

pub(super) async fn cancel(door: &Door, args: &Cancel, format: &Format) -> Result<Exit, CliError> {
    let ids = door.ids(&args.which.ids).await?;
    if args.dry_run {
        return would(door, &ids, "cancel", format).await;
    }
    permitted(&ids, args.yes || args.force, "cancel")?;
    let params = json!({
        "task_ids": ids, "error_message": args.message, "force": args.force,
    });
    let answer = door.call("tasks.cancel", params).await?;
    sheet::write(&answer, CANCELLED, format)?;
    // What was asked for and did not happen is an exit code, also where the API has an answer for it.
    let items = rows_of(&answer);
    let missing = |item: &&&Value| item["error"] == "Task not found";
    if items.iter().any(|item| missing(&item)) {
        return Ok(Exit::NotFound);
    }
    let all = items.iter().all(|item| item["status"] == "cancelled");
    Ok(if all { Exit::Ok } else { Exit::Conflict })
}

/// Holds tasks back, or lets them go on.
pub(super) async fn pause(
    door: &Door,
    method: &str,
    args: &Pause,
    format: &Format,
) -> Result<Exit, CliError> {
    let ids = door.ids(&args.ids.ids).await?;
    let mut done = Vec::with_capacity(ids.len());
    let mut trouble = Trouble::default();
    for id in &ids {
        match door.call(method, json!({ "task_id": id, "tree": args.tree })).await {
            Ok(answer) => done.push(answer),
            Err(error) => trouble.add(error)?,
        }
    }
    if !done.is_empty() {
        sheet::write(&one_or_all(&ids, done), Sheet::Fields, format)?;
    }
    Ok(trouble.exit())
}

pub(super) async fn delete(door: &Door, args: &Delete, format: &Format) -> Result<Exit, CliError> {
    let ids = door.ids(&args.which.ids).await?;
    if args.dry_run {
        return would(door, &ids, "delete", format).await;
    }
    permitted(&ids, args.yes, "delete")?;
    let mut done = Vec::with_capacity(ids.len());
    let mut trouble = Trouble::default();
    for id in &ids {
        match door.call("tasks.delete", json!({ "task_id": id })).await {
            Ok(answer) => done.push(answer),
            Err(error) => trouble.add(error)?,
        }
    }
    if !done.is_empty() {
        sheet::write(&one_or_all(&ids, done), Sheet::Fields, format)?;
    }
    Ok(trouble.exit())
}

/// Shows the tasks that would go, and changes nothing.
async fn would(door: &Door, ids: &[String], what: &str, format: &Format) -> Result<Exit, CliError> {
    let mut tasks = Vec::new();
    let mut trouble = Trouble::default();
    for id in ids {
        match door.call("tasks.tree", json!({ "task_id": id })).await {
            Ok(tree) => tasks.extend(rows_of(&tree).into_iter().cloned()),
            Err(error) => trouble.add(error)?,
        }
    }
    let ended = |task: &Value| {
        ["completed", "failed", "cancelled"].iter().any(|status| task["status"] == *status)
    };
    let stays = |task: &Value| match what {
        "cancel" => ended(task),
        _ => task["status"] != "pending",
    };
    let kept = tasks.iter().filter(|task| stays(task)).count();
    show::say(&format!("would {what} {}", show::count(tasks.len() - kept, "task")));
    if kept > 0 {
        let why = if what == "cancel" { "have ended already" } else { "are not pending" };
        show::warn(&format!("{kept} of them {why}"));
    }
    sheet::write(&Value::Array(tasks), TASKS, format)?;
    Ok(trouble.exit())
}

/// One task may be named by mistake and is then told; several want a word.
fn permitted(ids: &[String], yes: bool, what: &str) -> Result<(), CliError> {
    if yes || ids.len() < 2 {
        return Ok(());
    }
    let question = format!("{what} {}?", show::count(ids.len(), "task"));
    match show::ask(&question) {
        Some(true) => Ok(()),
        Some(false) => {
            Err(CliError::new(Code::Config, "nothing was done").because("you did not say yes"))
        }
        None => Err(CliError::usage(format!(
            "to {what} {} wants a yes",
            show::count(ids.len(), "task")
        ))
        .because("nobody can be asked here")
        .help("add --yes, or look first with --dry-run")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_of_the_python_command_line_becomes_its_field() {
        let text = |text: &str| Some(text.to_owned());
        let args = Update {
            set: vec!["timeout_seconds=5".to_owned()],
            name: text("n"),
            status: text("failed"),
            progress: Some(0.5),
            error: text("e"),
            result: text("{\"r\":1}"),
            priority: Some(1),
            inputs: text("{}"),
            params: text("{\"executor_id\":\"x\"}"),
            schemas: text("{}"),
            dependencies: text("[\"a\"]"),
            schedule_type: text("daily"),
            schedule_expression: text("09:00"),
            schedule_disabled: true,
            schedule_start_at: text("2026-01-01T00:00:00Z"),
            schedule_end_at: text("2027-01-01T00:00:00Z"),
            max_runs: Some(3),
            ..Update::default()
        };
        let wanted = json!({
            "timeout_seconds": 5, "name": "n", "status": "failed", "progress": 0.5, "error": "e",
            "result": {"r": 1}, "priority": 1, "inputs": {}, "params": {"executor_id": "x"},
            "schemas": {}, "dependencies": ["a"], "schedule_type": "daily",
            "schedule_expression": "09:00", "schedule_enabled": false,
            "schedule_start_at": "2026-01-01T00:00:00Z", "schedule_end_at": "2027-01-01T00:00:00Z",
            "max_runs": 3,
        });
        assert_eq!(Value::Object(updates(&args).expect("fields")), wanted);
        let error = updates(&Update::default()).expect_err("no field");
        assert!(format!("{error:?}").contains("At least one field"), "{error:?}");
    }

    #[test]
    fn several_are_not_deleted_unless_somebody_says_yes() {
        let ids = |count: usize| vec!["x".to_owned(); count];
        assert!(permitted(&ids(1), false, "delete").is_ok());
        assert!(permitted(&ids(2), true, "delete").is_ok());
        if show::ask("").is_none() {
            let error = permitted(&ids(2), false, "delete").expect_err("nobody can be asked");
            assert_eq!(error.exit(), Exit::Usage);
        }
    }
}
