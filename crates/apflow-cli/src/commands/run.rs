//! `apflow run`: stores a workflow, runs it here, and waits for its end.

use std::{sync::Arc, time::Duration};

use apflow::{
    App,
    core::{
        api::wire,
        graph::{Drawing, draw},
        id::{Ids as _, TaskId},
        store::{NewTree, StoreError, Submission},
        submit::Order,
        task::StateName,
    },
    system::SystemIds,
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    ended::{self, Ended, Telling},
    file::{self, Source},
    resume::submissions,
    tasks::{Begun, afar, warn_of_grants},
};
use crate::{
    args::{Run, RunCommand},
    config::{self, Database, Settings},
    door::{Door, elsewhere},
    error::{CliError, Exit},
    follow::{Follow, Gauge, Interrupts, OnInterrupt, Waited},
    show::{self, tree::Board},
    watch::Watch,
};

/// How long what still runs for others may take when a run has ended.
const LAST: Duration = Duration::from_millis(500);

pub(crate) async fn run(mut args: Run, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    if let Some(RunCommand::Flow(flow)) = args.command.take() {
        return super::flow::flow(*flow, settings).await;
    }
    let began = Instant::now();
    let timeout = seconds("--timeout", args.timeout)?;
    let source = Source::read(args.file.as_deref().unwrap_or("-"))?;
    for warning in &source.workflow.warnings {
        show::warn(warning);
    }
    let inputs = file::inputs(args.inputs.as_deref(), &args.input)?;
    let name = args.name.clone().unwrap_or_else(|| fresh_name(&source.stem()));
    if let Some(why) = unfit(&name) {
        return Err(CliError::usage(format!("--run {name} is no name for a run")).because(why));
    }
    let door = Door::open(&args.connection, settings)?;
    door.settle().await?;
    if door.is_remote() {
        return there(&door, &args, &source, inputs, &name, (began, timeout)).await;
    }
    config::warn_of_grants(settings)?;
    let registry = config::registry(settings)?;
    let mut order = source.order(inputs, &name, &known(&registry))?;
    order.start = true;
    if !args.detach && !args.dry_run {
        warn_of_refusals(&order, &registry);
    }
    if args.dry_run {
        return would(&source.compile(order)?, &name);
    }

    let board = board(&order, &name);
    // What is wrong with the file is told before there is a database.
    let submission = source.compile(order)?;

    let database = Database::find(settings);
    database.prepare()?;
    let gauge = Arc::new(Gauge::default());
    let opened =
        config::app(settings, &database)?.observer(Arc::clone(&gauge) as Arc<_>).open().await;
    let mut app = opened.map_err(|error| elsewhere(error.into()))?;
    // The engine would check it once more and store it no differently.
    let inserted = app.engine().store().insert(submission).await.map_err(|error| {
        let taken = matches!(error, StoreError::DuplicateTask(_) | StoreError::DuplicateTree(_));
        let told = CliError::from(error);
        if taken { told.help("choose another name with --run") } else { told }
    })?;
    if args.detach {
        show::say(&format!("run {name} is stored and started"));
        show::say(&crate::error::line(
            "go on",
            &format!(
                "apflow resume {}{}{}",
                show::quoted(&name),
                database.flag(),
                args.allow.flags()
            ),
        ));
        show::data(&name)?;
        let _ = app.shutdown(Duration::ZERO).await;
        return Ok(Exit::Ok);
    }
    let mut interrupts = Interrupts::listen()?;
    let (trees, roots) = (&inserted.trees, inserted.roots.clone());
    let mut follow = Follow::begin(app.engine(), gauge, trees, roots, board, true).await?;
    app.work();
    let waited = follow.wait(&mut interrupts, OnInterrupt::Cancel, timeout, args.quiet).await?;
    let telling = Telling {
        run: Some(&name),
        output: args.output,
        print: args.print.as_deref(),
        quiet: args.quiet,
        took: began.elapsed(),
        grants: &args.allow,
    };
    let records = follow.records().await?;
    let ended = Ended {
        submissions: submissions(&records),
        tasks: records.iter().map(wire::task).collect(),
        board: follow.board(),
        waited,
        outcome: follow.outcome(),
    };
    let door = Door::through(app.gateway().clone(), &database);
    let told = ended::tell(&door, &ended, &telling).await;
    leave(app, waited, &mut interrupts).await;
    told
}

/// The executors of this process, by their ids.
pub(crate) fn known(registry: &apflow::core::registry::Registry) -> Vec<String> {
    registry.manifests().map(|(manifest, _)| manifest.id.clone()).collect()
}

/// Shows what would be stored.
fn would(submission: &Submission, name: &str) -> Result<Exit, CliError> {
    let count = show::count(submission.tasks.len(), "task");
    show::say(&format!("run {} would have {count}", show::plain(name)));
    show::data(&draw(submission, Drawing::Ascii))?;
    Ok(Exit::Ok)
}

/// Sends the run to a server and follows it there.
async fn there(
    door: &Door,
    args: &Run,
    source: &Source,
    inputs: Map<String, Value>,
    name: &str,
    (began, timeout): (Instant, Option<Duration>),
) -> Result<Exit, CliError> {
    warn_of_grants(&args.allow);
    let there = door.call("system.executors", json!({})).await?;
    let ids = there["executors"].as_array().into_iter().flatten();
    let known: Vec<String> = ids.filter_map(|it| Some(it["id"].as_str()?.to_owned())).collect();
    let order = source.order(inputs, name, &known)?;
    let tasks: Vec<Value> = order.tasks.iter().map(file::task_json).collect();
    let options = json!(order.options);
    // What is wrong with the file is told before it is sent.
    let submission = source.compile(order)?;
    if args.dry_run {
        return would(&submission, name);
    }
    let params = json!({ "tasks": tasks, "options": options, "wait": false });
    // From here on an interruption means the run.
    let mut interrupts = Interrupts::listen()?;
    door.call("tasks.execute", params).await?;
    if args.detach {
        show::say(&format!("run {} is stored and started", show::plain(name)));
        show::data(name)?;
        return Ok(Exit::Ok);
    }
    let root = |tree: &NewTree| submission.tasks[tree.root].id.to_string();
    let roots = submission.trees.iter().map(root).collect();
    let watch = Watch::begin(door, roots, Some(name)).await?;
    let what =
        Begun { run: Some(name), began, timeout, quiet: args.quiet, print: args.print.as_deref() };
    afar(watch, &what, &mut interrupts, args.output, &args.allow).await
}

/// Stops what was cancelled and gives back what the worker still holds; another interruption ends that.
pub(crate) async fn leave(app: App, waited: Waited, interrupts: &mut Interrupts) {
    let grace = match waited {
        Waited::AtOnce => return,
        Waited::Over => LAST,
        Waited::Interrupted | Waited::Left | Waited::TimedOut => Duration::ZERO,
    };
    tokio::select! {
        // The worker answers at the latest two seconds after the grace period.
        _ = app.shutdown(grace) => {}
        () = interrupts.next() => {}
    }
}

/// A time that was given in seconds.
pub(crate) fn seconds(flag: &str, given: Option<f64>) -> Result<Option<Duration>, CliError> {
    let Some(given) = given else { return Ok(None) };
    Duration::try_from_secs_f64(given)
        .ok()
        .filter(|time| !time.is_zero())
        .map(Some)
        .ok_or_else(|| CliError::usage(format!("{flag} takes seconds above 0, and {given} is not")))
}

/// A name no other run has: the end of a new id, which is random.
fn fresh_name(stem: &str) -> String {
    let id: String = SystemIds.next().chars().filter(char::is_ascii_hexdigit).collect();
    format!("{stem}-{}", &id[id.len().saturating_sub(10)..])
}

/// Why this cannot be the name of a run.
fn unfit(name: &str) -> Option<&'static str> {
    let chars = name.chars().count();
    if !(1..=50).contains(&chars) {
        return Some("it must have 1 to 50 characters");
    }
    let odd = |letter: char| letter == '/' || letter.is_control();
    name.contains(odd).then_some("it must not contain `/` or control characters")
}

fn board(order: &Order, run: &str) -> Board {
    let tasks = order.tasks.iter().map(|task| {
        let id = TaskId::new(task.id.as_deref().unwrap_or(&task.name));
        let key = id.as_str().strip_prefix(run).and_then(|rest| rest.strip_prefix('/'));
        let label = key.unwrap_or(id.as_str()).to_owned();
        (id, label, task.parent.as_deref().map(TaskId::from), StateName::Blocked)
    });
    Board::new(&tasks.collect::<Vec<_>>())
}

/// Says beforehand what will fail because it is not allowed.
fn warn_of_refusals(order: &Order, registry: &apflow::core::registry::Registry) {
    for (manifest, allowed) in registry.manifests() {
        let uses = order
            .tasks
            .iter()
            .filter(|task| {
                let named = task.params.get("executor_id").or(task.schemas.get("method"));
                named.and_then(|id| id.as_str()) == Some(&manifest.id)
            })
            .count();
        if uses == 0 {
            continue;
        }
        let id = &manifest.id;
        if !allowed {
            let tasks = show::count(uses, "task");
            show::warn(&format!("{tasks} will fail: {id} is not allowed here (--allow {id})"));
        } else if let Some(why) = &manifest.unavailable {
            show::warn(&format!("{} will fail: {why}", show::count(uses, "task")));
        }
    }
}
