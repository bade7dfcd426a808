//! `tasks watch`: one live tree, or everything in progress, until nothing moves any more.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    args::Watch as Args,
    commands::run::seconds,
    door::Door,
    error::{CliError, Exit},
    follow::{Interrupts, OnInterrupt, Waited},
    show,
    watch::Watch,
};

/// Trees that are watched at the same time.
const MOST: usize = 100;

pub(crate) async fn watch(door: &Door, args: &Args) -> Result<Exit, CliError> {
    let every = seconds("--interval", Some(args.interval))?.unwrap_or(Duration::from_secs(1));
    let roots = match args.id.as_ref().or(args.task_id.as_ref()) {
        Some(typed) => door.ids(std::slice::from_ref(typed)).await?,
        None => in_progress(door).await?,
    };
    if roots.is_empty() {
        show::say("nothing is in progress");
        return Ok(Exit::Ok);
    }
    let mut interrupts = Interrupts::listen()?;
    let mut watch = Watch::begin(door, roots, None).await?.closely(every);
    show::say(watch.board().tree(apflow_now()).trim_end());
    let waited = watch.wait(&mut interrupts, OnInterrupt::Leave, None, false).await?;
    Ok(if waited == Waited::Left { Exit::Interrupted } else { Exit::Ok })
}

fn apflow_now() -> apflow::core::time::Timestamp {
    use apflow::core::time::Clock as _;
    apflow::system::SystemClock.now()
}

/// The roots of the trees of which something is in progress.
async fn in_progress(door: &Door) -> Result<Vec<String>, CliError> {
    let running = door.call("tasks.running.list", json!({ "limit": 1000 })).await?;
    let mut roots: Vec<String> = Vec::new();
    for task in running.as_array().into_iter().flatten() {
        let root = root_of(door, task).await?;
        if !roots.contains(&root) {
            roots.push(root);
        }
        if roots.len() >= MOST {
            show::warn(&format!("only {MOST} trees are watched"));
            break;
        }
    }
    Ok(roots)
}

/// The id of the task at the top of the tree.
pub(super) async fn root_of(door: &Door, task: &Value) -> Result<String, CliError> {
    /// Levels of tasks under a root, at most.
    const DEPTH: usize = 100;
    let mut task = task.clone();
    for _ in 0..DEPTH {
        let Some(parent) = task["parent_id"].as_str() else { break };
        let above = door.call("tasks.get", json!({ "task_id": parent })).await?;
        if above.is_null() {
            break;
        }
        task = above;
    }
    Ok(task["id"].as_str().unwrap_or_default().to_owned())
}
