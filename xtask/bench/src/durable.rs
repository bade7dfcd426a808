//! What retries, parked tasks, spawned tasks and channels cost.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use apflow::{
    core::{
        engine::EngineConfig,
        executor::EventWait,
        store::{Page, Publish, WaitFilter, WaitState},
        submit::TaskSpec,
    },
    prelude::*,
};
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::{
    chaos::postgres::Server,
    floor,
    report::{Report, Target},
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Size {
    failing: usize,
    parked: usize,
    spawned: usize,
    adds: usize,
    idle: usize,
}

const WHOLE: Size =
    Size { failing: 1_000, parked: 10_000, spawned: 10_000, adds: 100, idle: 100_000 };
const QUICK: Size = Size { failing: 200, parked: 5_000, spawned: 2_000, adds: 20, idle: 5_000 };

/// The fewest parked tasks an event is published to.
const FEW: usize = 1_000;
/// Tasks that write to one channel at the same time.
const WRITERS: usize = 64;
/// How often each task of the storm fails, and how long it rests then.
const FAILURES: u32 = 2;
const REST: Duration = Duration::from_millis(100);
/// The back-stop of the engine that has nothing to do, and how many of them it is watched for.
const BACK_STOP: Duration = Duration::from_secs(5);
const PERIODS: u32 = 3;
/// How long tasks may take until they are parked.
const PATIENCE: Duration = Duration::from_mins(10);

/// Measures on a SQLite file, and on PostgreSQL what only a server can count.
pub async fn measure(report: &mut Report, dir: &Path, quick: bool) -> Result<()> {
    let size = if quick { QUICK } else { WHOLE };
    let path = dir.join("durable.db");
    let floor = floor::sqlite(&path, Durability::Relaxed, 200).await?;
    let app = app(&format!("sqlite:{}", path.display()), EngineConfig::default().back_stop).await?;
    storm(report, &app, size.failing).await?;
    events(report, &app, size.parked, floor).await?;
    spawn(report, &app, size.spawned, floor).await?;
    adds(report, &app, size.adds, floor).await?;
    idle(report, size.idle).await
}

async fn app(database: &str, back_stop: Duration) -> Result<App> {
    let mut app = App::builder()
        .database(database)
        .durability(Durability::Relaxed)
        .engine(EngineConfig { slots: 1024, back_stop, ..EngineConfig::default() })
        .register(|registry| {
            registry.function("flaky", "Fails twice.", |_: Value, context: Context| async move {
                if context.attempt <= FAILURES {
                    return Err(ExecuteError::transient("not yet"));
                }
                Ok(Value::Null)
            });
            registry.function("wait_event", "Waits.", |_: Value, context: Context| async move {
                context.wait_for_event(EventWait::on(context.name.clone()))
            });
            registry.function("noop", "Nothing.", |_: Value, _| async { Ok(Value::Null) });
            registry.function("spread", "Spawns.", |given: Value, context: Context| async move {
                let count = given["count"].as_u64().unwrap_or(0);
                let each = |at| task(format!("s{at}")).executor("noop").build();
                context.spawn((0..count).map(each).collect())?;
                Ok(Value::Null)
            });
            registry.function("adds", "Adds.", |given: Value, context: Context| async move {
                let channel = context.channel();
                for _ in 0..given["count"].as_u64().unwrap_or(0) {
                    let added = channel.add("sum", 1).await;
                    added.map_err(|error| ExecuteError::transient(error.to_string()))?;
                }
                Ok(Value::Null)
            });
        })
        .open()
        .await?;
    app.work();
    Ok(app)
}

/// A root that does nothing and `count` tasks beside one another under it.
fn under_a_root(count: usize, each: impl Fn(usize) -> TaskBuilder) -> Vec<TaskSpec> {
    let mut tasks = vec![task("root").executor("noop").build()];
    tasks.extend((0..count).map(|at| each(at).parent("root").build()));
    tasks
}

/// Runs tasks to their end; how long it took from submission.
async fn run(app: &App, tasks: Vec<TaskSpec>) -> Result<Duration> {
    let begun = Instant::now();
    let inserted = app.submit(tasks).await?;
    ended(app, &inserted.trees).await?;
    Ok(begun.elapsed())
}

async fn ended(app: &App, trees: &[TreeId]) -> Result<()> {
    for tree in trees {
        let run = app.engine().wait(tree).await?;
        if run.outcome != Some(Outcome::Completed) {
            return Err(format!("the run of {tree} ended {:?}", run.outcome).into());
        }
    }
    Ok(())
}

/// All tasks fail twice at once and are tried again at once.
async fn storm(report: &mut Report, app: &App, tasks: usize) -> Result<()> {
    let flaky = |at| task(format!("f{at}")).executor("flaky").backoff("fixed", REST);
    let took = run(app, under_a_root(tasks, |at| flaky(at).max_attempts(FAILURES + 1))).await?;
    let attempts = tasks as f64 * f64::from(FAILURES + 1);
    let rest = REST * FAILURES;
    report.add(
        &format!("sqlite relaxed: {tasks} tasks that fail twice"),
        attempts / took.as_secs_f64(),
        "attempts/s",
        &format!("{:.2} s, of which they rest {:.2} s", took.as_secs_f64(), rest.as_secs_f64()),
        Target::Shown,
    );
    Ok(())
}

/// Submits tasks that wait, each for its own event, and returns when all of them are parked.
async fn park(app: &App, name: &str, count: usize) -> Result<Vec<TreeId>> {
    let name = |at| format!("{name}-{at}");
    let tasks = under_a_root(count, |at| task(name(at)).executor("wait_event"));
    let trees = app.submit(tasks).await?.trees;
    let open = WaitFilter {
        state: Some(WaitState::Pending),
        tree: trees.first().cloned(),
        ..WaitFilter::default()
    };
    let last = Page { limit: 1, offset: u32::try_from(count - 1)? };
    let begun = Instant::now();
    while app.engine().store().waits(&open, last).await?.is_empty() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{count} tasks are not parked after {PATIENCE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(trees)
}

/// Publishes one event after the other to tasks that wait; how long each took.
async fn publish(app: &App, name: &str, range: std::ops::Range<usize>) -> Result<f64> {
    let (begun, count) = (Instant::now(), range.len());
    for at in range {
        let topic = format!("{name}-{at}");
        let event = Publish {
            id: topic.clone(),
            topic: topic.clone(),
            payload: json!({ "at": at }),
            key: None,
            user_id: None,
        };
        let published = app.engine().store().publish(event).await?;
        if published.woken != 1 {
            return Err(format!("the event {topic} woke {} tasks", published.woken).into());
        }
    }
    Ok(begun.elapsed().as_secs_f64() / count as f64)
}

/// What an event costs with few and with many tasks parked.
async fn events(report: &mut Report, app: &App, parked: usize, floor: Duration) -> Result<()> {
    let few_trees = park(app, "few", FEW).await?;
    let few = publish(app, "few", 0..FEW).await?;
    ended(app, &few_trees).await?;
    let begun = Instant::now();
    let many_trees = park(app, "many", parked).await?;
    let parking = begun.elapsed().as_secs_f64() / parked as f64;
    let begun = Instant::now();
    let many = publish(app, "many", 0..FEW).await?;
    publish(app, "many", FEW..parked).await?;
    ended(app, &many_trees).await?;
    let each = begun.elapsed().as_secs_f64() / parked as f64;
    report.add(
        &format!("sqlite relaxed: an event with {parked} parked beside {FEW}"),
        many / few,
        "x",
        &format!("{:.0} us beside {:.0} us", many * 1e6, few * 1e6),
        Target::AtMost(1.5),
    );
    report.add(
        &format!("sqlite relaxed: {parked} parked tasks, an event and the end of its task"),
        each * 1e6,
        "us",
        &format!(
            "floor {:.0} us; parking one took {:.0} us",
            floor.as_secs_f64() * 1e6,
            parking * 1e6
        ),
        Target::Shown,
    );
    Ok(())
}

/// One task that spawns many.
async fn spawn(report: &mut Report, app: &App, spawned: usize, floor: Duration) -> Result<()> {
    let took = run(app, vec![task("spread").executor("spread").input("count", spawned).build()])
        .await?
        .as_secs_f64();
    let speed = spawned as f64 / took;
    report.add(
        &format!("sqlite relaxed: a task that spawns {spawned}"),
        speed,
        "tasks/s",
        &format!("{:.1} tasks a floor", speed * floor.as_secs_f64()),
        Target::Shown,
    );
    Ok(())
}

/// Tasks that add to one number at the same time; none of it may be lost.
async fn adds(report: &mut Report, app: &App, adds: usize, floor: Duration) -> Result<()> {
    let begun = Instant::now();
    let writer = |at| task(format!("w{at}")).executor("adds").input("count", adds);
    let trees = app.submit(under_a_root(WRITERS, writer)).await?.trees;
    ended(app, &trees).await?;
    let took = begun.elapsed().as_secs_f64();
    let tree = trees.first().ok_or("no tree was stored")?;
    let sum = app.engine().channel(tree, "bench").get("sum").await?;
    let all = WRITERS * adds;
    if sum != Some(json!(all)) {
        return Err(format!("{all} were added, and the sum is {sum:?}").into());
    }
    report.add(
        &format!("sqlite relaxed: {WRITERS} tasks add to one number of a channel"),
        all as f64 / took,
        "adds/s",
        &format!("{:.1} adds a floor", all as f64 / took * floor.as_secs_f64()),
        Target::Shown,
    );
    Ok(())
}

/// What an engine asks of its database while all its tasks are parked.
async fn idle(report: &mut Report, parked: usize) -> Result<()> {
    let what = format!("postgres: {parked} parked tasks, transactions a back-stop");
    let server = match Server::start() {
        Ok(server) => server,
        Err(error) => {
            report.not_measured(&what, &error);
            return Ok(());
        }
    };
    let app = app(&server.url(), BACK_STOP).await?;
    // What an engine without any tasks does is the floor.
    let empty = transactions(&server.url()).await?;
    park(&app, "idle", parked).await?;
    let full = transactions(&server.url()).await?;
    report.add(
        &what,
        full,
        "",
        &format!("{empty:.1} of an engine without tasks; one is the reading of the counter"),
        Target::AtMost(empty * 2.0 + 10.0),
    );
    Ok(())
}

/// Transactions of a server in a back-stop, once it has come to rest.
async fn transactions(url: &str) -> Result<f64> {
    // A server notes what a session did when the session has rested for a while.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let before = counter(url).await?;
    tokio::time::sleep(BACK_STOP * PERIODS).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = counter(url).await?;
    Ok((after - before) as f64 / f64::from(PERIODS))
}

async fn counter(url: &str) -> Result<i64> {
    let mut connection = sqlx::PgConnection::connect(url).await?;
    let sum = "SELECT (xact_commit + xact_rollback)::bigint FROM pg_stat_database
        WHERE datname = current_database()";
    let count = sqlx::query_scalar(sum).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(count)
}
