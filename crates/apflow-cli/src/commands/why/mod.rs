//! `apflow why`: why a task is where it is, and what to type to move it.

mod reason;

use std::{fmt::Write as _, sync::Arc};

use apflow::{
    core::{registry::Registry, time::Clock as _},
    system::SystemClock,
};
use serde_json::{Value, json};

use self::reason::{Executor, Facts, Reason, reason};
use super::tasks::no_such_task;
use crate::{
    args::{Output, Why},
    config::{self, Settings},
    door::Door,
    error::{CliError, Exit},
    show::{
        self, data,
        sheet::{self, Sheet, at},
    },
};

/// Tasks that are read one by one because another waits for them.
const READ: usize = 5;

pub(crate) async fn why(args: Why, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let door = Door::open(&args.connection, settings)?;
    let ids = door.ids(&args.ids).await?;
    let registry = config::registry(settings)?;
    let mut exit = Exit::Ok;
    let mut answers = Vec::with_capacity(ids.len());
    for id in &ids {
        let task = door.call("tasks.get", json!({ "task_id": id })).await?;
        if task.is_null() {
            no_such_task(id).show();
            exit = Exit::NotFound;
            continue;
        }
        let facts = facts(&door, &registry, task).await?;
        let Reason { sentence, commands } = reason(&facts);
        answers.push(json!({
            "task_id": id, "status": facts.task["status"], "state": facts.task["state"],
            "why": sentence, "commands": commands,
        }));
        if let Some(answer) = answers.last_mut() {
            answer["attempts"] = facts.attempts.iter().cloned().collect();
        }
    }
    door.close().await;
    let formed = args.format.output != Output::Table || !args.format.fields.is_empty();
    if formed {
        let whole = match (ids.as_slice(), answers.len()) {
            ([_], 1) => answers.remove(0),
            _ => Value::Array(answers),
        };
        sheet::write(&whole, Sheet::Fields, &args.format)?;
        return Ok(exit);
    }
    for answer in &answers {
        show::data(&told(answer))?;
    }
    Ok(exit)
}

fn told(answer: &Value) -> String {
    let mut text = show::plain(&data::brief(&answer["why"])) + "\n";
    for attempt in answer["attempts"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "  - {}", show::plain(&reason::attempt(attempt)));
    }
    for command in answer["commands"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "  {}", show::plain(&data::brief(command)));
    }
    text
}

/// Everything the sentence needs.
async fn facts(door: &Door, registry: &Registry, task: Value) -> Result<Facts, CliError> {
    let mut others = Vec::new();
    for list in ["waiting_for_ids", "failed_ids"] {
        let mut some = Vec::new();
        for id in task["state"][list].as_array().into_iter().flatten().take(READ) {
            let other = door.call("tasks.get", json!({ "task_id": id })).await?;
            if !other.is_null() {
                some.push(other);
            }
        }
        others.push(some);
    }
    let failed = others.pop().unwrap_or_default();
    let waiting = others.pop().unwrap_or_default();
    let executor = at(&task, "params.executor_id|schemas.method").as_str().map(str::to_owned);
    let executor = match executor {
        None => Executor::Unnamed,
        Some(id) if door.is_remote() => there(door, id).await?,
        Some(id) => here(registry, id),
    };
    Ok(Facts {
        attempts: attempts(door, &task).await,
        task,
        waiting,
        failed,
        executor,
        worker: door.worker().await,
        now: SystemClock.now(),
        flag: door.flag().await,
    })
}

/// The newest attempts that ended without a result, where the sentence alone does not tell of all.
async fn attempts(door: &Door, task: &Value) -> Vec<Value> {
    if task["attempt_count"].as_u64().unwrap_or(0) < 2 {
        return Vec::new();
    }
    let params = json!({ "task_id": task["id"] });
    // The sentence holds without them, so a server that keeps none is no reason to say nothing.
    let Ok(mut answer) = door.call("tasks.attempts", params).await else { return Vec::new() };
    let mut all = match answer["attempts"].take() {
        Value::Array(all) => all,
        _ => Vec::new(),
    };
    let last = all.last().map(|it| it["run"].clone()).unwrap_or_default();
    all.retain(|it| it["run"] == last && it["kind"].is_string());
    all.split_off(all.len().saturating_sub(READ))
}

fn here(registry: &Registry, id: String) -> Executor {
    match registry.manifests().find(|(manifest, _)| manifest.id == id) {
        None => Executor::Unknown(id),
        Some((_, false)) => Executor::NotAllowed(id),
        Some((manifest, true)) => match &manifest.unavailable {
            // What a worker may do is said where it is started, not here.
            Some(why) if !why.contains("--allow") => Executor::Unavailable(id, why.clone()),
            _ => Executor::Ready,
        },
    }
}

async fn there(door: &Door, id: String) -> Result<Executor, CliError> {
    let known = door.call("system.executors", json!({})).await?;
    let found = known["executors"].as_array().into_iter().flatten().find(|it| it["id"] == *id);
    Ok(match found {
        None if known["restricted"] == true => Executor::NotAllowed(id),
        None => Executor::Unknown(id),
        Some(one) => match one["unavailable_because"].as_str() {
            Some(why) => Executor::Unavailable(id, why.to_owned()),
            None => Executor::Ready,
        },
    })
}
