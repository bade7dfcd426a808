//! `apflow resume`: takes up what a crash or `--detach` left, and waits until nothing moves any more.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use apflow::core::{
    api::wire,
    code::Code,
    engine::Engine,
    id::{TaskId, TreeId},
    store::{Page, TaskFilter},
    task::{Record, Status},
};
use tokio::time::Instant;

use super::{
    ended::{self, Ended, Telling},
    run::{leave, seconds},
};
use crate::{
    args::Resume,
    config::{self, Database, Settings},
    door::{Door, elsewhere},
    error::{CliError, Exit},
    follow::{Follow, Gauge, Interrupts, OnInterrupt},
    show::{self, tree::Board},
};

pub(crate) async fn resume(args: Resume, settings: &Settings) -> Result<Exit, CliError> {
    let began = Instant::now();
    let timeout = seconds("--timeout", args.timeout)?;
    config::warn_of_grants(settings)?;
    let database = Database::find(settings);
    database.prepare()?;
    let gauge = Arc::new(Gauge::default());
    let opened =
        config::app(settings, &database)?.observer(Arc::clone(&gauge) as Arc<_>).open().await;
    let mut app = opened.map_err(|error| elsewhere(error.into()))?;
    let live = live(app.engine()).await?;
    let of_run = |tree: &&Tree| args.run.as_deref().is_none_or(|run| tree.is_of(run));
    let followed: Vec<&Tree> = live.iter().filter(of_run).collect();
    if followed.is_empty() {
        return nothing(&app, args.run.as_deref()).await;
    }
    let count = followed.iter().map(|tree| tree.tasks.len()).sum();
    show::say(&format!("going on with {}", show::count(count, "task")));
    let trees: Vec<TreeId> = followed.iter().map(|tree| tree.id.clone()).collect();
    let board = board(followed.iter().flat_map(|tree| &tree.tasks), args.run.as_deref());
    let mut interrupts = Interrupts::listen()?;
    let mut follow = Follow::begin(app.engine(), gauge, &trees, Vec::new(), board, false).await?;
    app.work();
    let waited = follow.wait(&mut interrupts, OnInterrupt::Leave, timeout, args.quiet).await?;
    let telling = Telling {
        run: args.run.as_deref(),
        output: args.output,
        print: None,
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

/// Nothing is live: fine, unless a run was named that does not exist.
async fn nothing(app: &apflow::App, run: Option<&str>) -> Result<Exit, CliError> {
    let Some(run) = run else {
        show::say("nothing to resume");
        return Ok(Exit::Ok);
    };
    if known(app.engine(), run).await? {
        show::say(&format!("run {} has ended; nothing to resume", show::plain(run)));
        return Ok(Exit::Ok);
    }
    Err(CliError::new(Code::NotFound, format!("there is no run {run}"))
        .help("`apflow tasks list` shows what there is"))
}

/// A tree that is not over, with its tasks in the order of submission.
pub(crate) struct Tree {
    pub(crate) id: TreeId,
    pub(crate) tasks: Vec<Record>,
}

impl Tree {
    pub(crate) fn is_of(&self, run: &str) -> bool {
        self.id.as_str() == run || self.tasks.iter().any(|task| belongs(&task.id, run))
    }
}

/// Whether a task is of this run: it is called `<run>/<key>`, or is the one that was named.
fn belongs(task: &TaskId, run: &str) -> bool {
    let rest = task.as_str().strip_prefix(run);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What was stored together, by task.
pub(crate) fn submissions(records: &[Record]) -> HashMap<String, String> {
    let of = |record: &Record| (record.id.to_string(), record.task.forest.to_string());
    records.iter().map(of).collect()
}

/// The run a task is of: what stands before the first `/` of its id.
pub(crate) fn run_of(task: &TaskId) -> &str {
    task.as_str().split_once('/').map_or(task.as_str(), |(run, _)| run)
}

/// Every tree of which something still moves.
pub(crate) async fn live(engine: &Engine) -> Result<Vec<Tree>, CliError> {
    let filter =
        TaskFilter { statuses: vec![Status::Pending, Status::InProgress], ..TaskFilter::default() };
    let mut asked = HashSet::new();
    let mut running = Vec::new();
    for record in all(engine, &filter).await? {
        if !asked.insert(record.tree_id.clone()) {
            continue;
        }
        let run = engine.store().run_of_tree(&record.tree_id).await?;
        if run.is_some_and(|run| run.running) {
            running.push(record.tree_id);
        }
    }
    let mut trees = Vec::with_capacity(running.len());
    for id in running.into_iter().rev() {
        let filter = TaskFilter { tree_id: Some(id.clone()), ..TaskFilter::default() };
        let mut tasks = all(engine, &filter).await?;
        tasks.reverse();
        trees.push(Tree { id, tasks });
    }
    Ok(trees)
}

/// All tasks that pass the filter, newest first.
async fn all(engine: &Engine, filter: &TaskFilter) -> Result<Vec<Record>, CliError> {
    let mut records = Vec::new();
    let mut page = Page { limit: Page::MAX, offset: 0 };
    loop {
        let some = engine.store().list(filter, page).await?;
        let full = some.len() >= Page::MAX as usize;
        records.extend(some);
        if !full {
            return Ok(records);
        }
        page.offset = page.offset.saturating_add(Page::MAX);
    }
}

/// Whether a run of this name was ever stored.
async fn known(engine: &Engine, run: &str) -> Result<bool, CliError> {
    let tree = engine.store().run_of_tree(&TreeId::new(run)).await?;
    if tree.is_some() || engine.store().record(&TaskId::new(run)).await?.is_some() {
        return Ok(true);
    }
    let records = all(engine, &TaskFilter::default()).await?;
    Ok(records.iter().any(|record| belongs(&record.id, run)))
}

/// A board of stored tasks, named by what is left of their ids after the run.
pub(crate) fn board<'a>(records: impl Iterator<Item = &'a Record>, run: Option<&str>) -> Board {
    let records: Vec<&Record> = records.collect();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for record in &records {
        *names.entry(record.definition.name.as_str()).or_default() += 1;
    }
    let tasks = records.iter().map(|record| {
        let id = record.id.as_str();
        let key = run.and_then(|run| id.strip_prefix(run)?.strip_prefix('/'));
        let name = record.definition.name.as_str();
        // A name that two tasks have would not tell them apart.
        let unique = names.get(name) == Some(&1);
        let label = key.unwrap_or(if unique { name } else { id }).to_owned();
        (record.id.clone(), label, record.parent_id.clone(), record.task.state.name())
    });
    Board::new(&tasks.collect::<Vec<_>>())
}
