//! `apflow run`: stores a workflow, runs it here, and waits for its end.

use std::{sync::Arc, time::Duration};

use apflow::{
    App,
    core::{
        id::{Ids as _, TaskId},
        store::StoreError,
        submit::Order,
        task::StateName,
    },
    system::SystemIds,
};
use tokio::time::Instant;

use super::{
    ended::{self, Telling},
    file::{self, Source},
};
use crate::{
    args::Run,
    config::{self, Database, Settings},
    error::{CliError, Exit},
    follow::{Follow, Gauge, Interrupts, OnInterrupt, Waited},
    show::{self, tree::Board},
};

/// How long what still runs for others may take when a run has ended.
const LAST: Duration = Duration::from_millis(500);

pub(crate) async fn run(args: Run, settings: Settings) -> Result<Exit, CliError> {
    let began = Instant::now();
    let timeout = seconds("--timeout", args.timeout)?;
    let source = Source::read(&args.file)?;
    for warning in &source.workflow.warnings {
        show::warn(warning);
    }
    let inputs = file::inputs(args.inputs.as_deref(), &args.input)?;
    let name = args.name.clone().unwrap_or_else(|| fresh_name(&source.stem()));
    if let Some(why) = unfit(&name) {
        return Err(CliError::usage(format!("--run {name} is no name for a run")).because(why));
    }
    config::warn_of_grants(&settings)?;
    let registry = config::registry(&settings)?;
    let mut order = source.order(inputs, &name, &registry)?;
    order.start = true;
    if !args.detach {
        warn_of_refusals(&order, &registry);
    }

    let board = board(&order, &name);
    // What is wrong with the file is told before there is a database.
    let submission = source.compile(order)?;

    let database = Database::find(&settings);
    database.prepare()?;
    let gauge = Arc::new(Gauge::default());
    let mut app =
        config::app(&settings, &database)?.observer(Arc::clone(&gauge) as Arc<_>).open().await?;
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
        database: &database,
        grants: &args.allow,
    };
    let told = ended::tell(app.engine(), &mut follow, waited, &telling).await;
    leave(app, waited, &mut interrupts).await;
    told
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
