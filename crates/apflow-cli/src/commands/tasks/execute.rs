//! `tasks execute`: runs stored tasks here unless it is left to others, or lets a server run them.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use apflow::core::{api::wire, id::TaskId};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{no_such_task, watch::root_of};
use crate::{
    args::{Connection, Execute, Format, Grants, Output, RunOutput},
    commands::{
        ended::{self, Ended, Telling},
        resume::{self, board},
        run::{leave, seconds},
    },
    config::{self, Database, Settings},
    door::{Door, elsewhere},
    error::{CliError, Exit},
    follow::{Follow, Gauge, Interrupts, OnInterrupt},
    show::{
        self,
        sheet::{self, Sheet, TASKS, rows_of},
    },
    watch::Watch,
};

pub(super) async fn execute(
    connection: &Connection,
    settings: &Arc<Settings>,
    args: Execute,
    format: &Format,
) -> Result<Exit, CliError> {
    let timeout = seconds("--timeout", args.timeout)?;
    let door = Door::open(connection, settings)?;
    door.settle().await?;
    let ids = door.ids(&args.which.ids).await?;
    if args.dry_run {
        let mut tasks = Vec::new();
        for id in &ids {
            let tree = door.call("tasks.tree", json!({ "task_id": id })).await?;
            tasks.extend(rows_of(&tree).into_iter().cloned());
        }
        show::say("would run what of these has not completed, and what they depend on");
        sheet::write(&Value::Array(tasks), TASKS, format)?;
        return Ok(Exit::Ok);
    }
    if door.is_remote() {
        return there(&door, &ids, &args, timeout, format).await;
    }
    door.close().await;
    here(settings, &ids, args, timeout, format).await
}

/// How the data of a run is written; it has fewer forms than a list.
fn run_output(format: &Format) -> RunOutput {
    match format.output {
        Output::Table | Output::Wide | Output::Id => RunOutput::Table,
        Output::Json | Output::Jsonl => RunOutput::Json,
        Output::Yaml => RunOutput::Yaml,
    }
}

/// What to send so that a stored task runs.
fn wish(id: &str, args: &Execute) -> Value {
    let mut wish = json!({ "task_id": id, "wait": false, "reexecute": args.reexecute });
    if args.use_demo {
        wish["use_demo"] = json!(true);
    }
    wish
}

/// What an answer to `tasks.execute` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Began,
    Idle,
    RunsAlready,
}

fn start(answer: &Value) -> Start {
    if answer["status"] == "already_running" {
        return Start::RunsAlready;
    }
    let message = answer["message"].as_str().unwrap_or_default();
    if message.starts_with("Nothing to run") { Start::Idle } else { Start::Began }
}

async fn here(
    settings: &Settings,
    ids: &[String],
    args: Execute,
    timeout: Option<Duration>,
    format: &Format,
) -> Result<Exit, CliError> {
    let began = Instant::now();
    config::warn_of_grants(settings)?;
    let database = &Database::find(settings);
    let gauge = Arc::new(Gauge::default());
    let opened =
        config::app(settings, database)?.observer(Arc::clone(&gauge) as Arc<_>).open().await;
    let mut app = opened.map_err(|error| elsewhere(error.into()))?;
    let door = Door::through(app.gateway().clone(), database);
    let mut records = Vec::with_capacity(ids.len());
    for id in ids.iter().collect::<BTreeSet<_>>() {
        let record = app.engine().store().record(&TaskId::new(id)).await?;
        records.push(record.ok_or_else(|| no_such_task(id))?);
    }
    // A root takes along everything it was stored with, so roots come first and the rest is done.
    records.sort_by_key(|record| record.parent_id.is_some());
    let mut whole = HashSet::new();
    let mut submissions = HashSet::new();
    let mut answers = Vec::new();
    for record in &records {
        let submission = record.task.forest;
        if whole.contains(&submission) {
            continue;
        }
        let answer = door.call("tasks.execute", wish(record.id.as_str(), &args)).await?;
        if start(&answer) != Start::Idle {
            submissions.insert(submission);
            if record.parent_id.is_none() {
                whole.insert(submission);
            }
        }
        answers.push((record.id.to_string(), answer));
    }
    if args.detach || submissions.is_empty() {
        let told = started(&answers, format);
        let _ = app.shutdown(Duration::ZERO).await;
        return told;
    }
    warn_of_running(&answers);
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
        output: run_output(format),
        print: None,
        quiet: args.quiet,
        took: began.elapsed(),
        grants: &args.allow,
    };
    let records = follow.records().await?;
    let ended = Ended {
        submissions: resume::submissions(&records),
        tasks: records.iter().map(wire::task).collect(),
        board: follow.board(),
        waited,
        outcome: follow.outcome(),
    };
    let told = ended::tell(&door, &ended, &telling).await;
    leave(app, waited, &mut interrupts).await;
    told
}

/// Writes the answers of runs that nobody waits for.
fn started(answers: &[(String, Value)], format: &Format) -> Result<Exit, CliError> {
    let mut worst = Exit::Ok;
    for (_, answer) in answers {
        sheet::write(answer, Sheet::Fields, format)?;
        if start(answer) == Start::RunsAlready {
            worst = Exit::Conflict;
        }
    }
    Ok(worst)
}

fn warn_of_running(answers: &[(String, Value)]) {
    for (id, answer) in answers {
        if start(answer) == Start::RunsAlready {
            show::warn(&format!("{id} runs already; its failures stay as they are"));
        }
    }
}

async fn there(
    door: &Door,
    ids: &[String],
    args: &Execute,
    timeout: Option<Duration>,
    format: &Format,
) -> Result<Exit, CliError> {
    let began = Instant::now();
    warn_of_grants(&args.allow);
    let run = one_run(ids);
    let mut roots: Vec<String> = Vec::new();
    for id in ids {
        for root in roots_of(door, id).await? {
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
    }
    let mut watch = Watch::begin(door, roots, run.as_deref()).await?;
    watch.a_run_begins();
    // From here on an interruption means the run.
    let mut interrupts = Interrupts::listen()?;
    let mut answers = Vec::with_capacity(ids.len());
    for id in ids {
        answers.push((id.clone(), door.call("tasks.execute", wish(id, args)).await?));
    }
    let moves = |(_, answer): &(String, Value)| start(answer) != Start::Idle;
    if args.detach || !answers.iter().any(moves) {
        return started(&answers, format);
    }
    warn_of_running(&answers);
    let what = Begun { run: run.as_deref(), began, timeout, quiet: args.quiet, print: None };
    afar(watch, &what, &mut interrupts, run_output(format), &args.allow).await
}

/// The roots of what a task was stored with, as far as can be known from here.
async fn roots_of(door: &Door, id: &str) -> Result<Vec<String>, CliError> {
    let task = door.call("tasks.get", json!({ "task_id": id })).await?;
    if task.is_null() {
        return Err(no_such_task(id));
    }
    if let Some((run, _)) = id.split_once('/') {
        // The tasks of a workflow file are called `<run>/<key>`.
        let begin = format!("{run}/");
        let params = json!({ "id_prefix": begin, "root_only": true, "limit": 1000 });
        let found = door.call("tasks.list", params).await?;
        let ids = found.as_array().into_iter().flatten().filter_map(|it| it["id"].as_str());
        let roots: Vec<String> =
            ids.filter(|id| id.starts_with(&begin)).map(str::to_owned).collect();
        if !roots.is_empty() {
            return Ok(roots);
        }
    }
    Ok(vec![root_of(door, &task).await?])
}

/// Grants are the affair of whoever started the server.
pub(crate) fn warn_of_grants(allow: &Grants) {
    if !allow.flags().is_empty() || allow.parallel.is_some() {
        show::warn("what tasks may do is said where the server is started; the flags are not sent");
    }
}

/// What the ids of one run begin with.
fn one_run(ids: &[String]) -> Option<String> {
    let first = TaskId::new(ids.first()?);
    let run = resume::run_of(&first);
    ids.iter().all(|id| resume::run_of(&TaskId::new(id)) == run).then(|| run.to_owned())
}

/// A run that a server works on.
pub(crate) struct Begun<'a> {
    /// What to call it.
    pub(crate) run: Option<&'a str>,
    /// When it began.
    pub(crate) began: Instant,
    /// How long to wait.
    pub(crate) timeout: Option<Duration>,
    /// Without progress.
    pub(crate) quiet: bool,
    /// Only this field.
    pub(crate) print: Option<&'a str>,
}

/// Follows a run on a server to its end, and tells what came of it.
pub(crate) async fn afar(
    mut watch: Watch<'_>,
    begun: &Begun<'_>,
    interrupts: &mut Interrupts,
    output: RunOutput,
    grants: &Grants,
) -> Result<Exit, CliError> {
    let waited = watch.wait(interrupts, OnInterrupt::Cancel, begun.timeout, begun.quiet).await?;
    let telling = Telling {
        run: begun.run,
        output,
        print: begun.print,
        quiet: begun.quiet,
        took: begun.began.elapsed(),
        grants,
    };
    // A named run was stored in one go; of others only the trees are known.
    let of_run = |task: &Value| Some((task["id"].as_str()?.to_owned(), begun.run?.to_owned()));
    let submissions: HashMap<String, String> = watch.tasks().iter().filter_map(of_run).collect();
    let ended = Ended {
        tasks: watch.tasks().to_vec(),
        board: watch.board(),
        waited,
        outcome: watch.outcome(),
        submissions,
    };
    ended::tell(watch.door(), &ended, &telling).await
}
