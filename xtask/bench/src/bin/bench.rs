//! Prints how fast apflow is beside the physical floor, measured in the same run.
#![expect(clippy::print_stdout, reason = "it is a report")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use apflow::{
    core::{engine::EngineConfig, submit::TaskSpec},
    prelude::*,
};
use apflow_bench::shape;
use sqlx::{
    Connection as _,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

async fn app(path: &Path, durability: Durability) -> Result<App> {
    let mut app = App::builder()
        .database(format!("sqlite:{}", path.display()))
        .durability(durability)
        .engine(EngineConfig { slots: 1024, ..EngineConfig::default() })
        .register(|registry| {
            registry.function(shape::NOOP, "Does nothing.", |_: serde_json::Value, _| async {
                Ok(serde_json::Value::Null)
            });
        })
        .open()
        .await?;
    app.work();
    Ok(app)
}

async fn floor(path: &Path, synchronous: SqliteSynchronous, commits: u32) -> Result<Duration> {
    let mut connection = sqlx::SqliteConnection::connect_with(
        &SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous),
    )
    .await?;
    sqlx::query("CREATE TABLE floor (id INTEGER PRIMARY KEY, n INTEGER)")
        .execute(&mut connection)
        .await?;
    sqlx::query("INSERT INTO floor VALUES (1, 0)").execute(&mut connection).await?;
    let begun = Instant::now();
    for n in 0..commits {
        sqlx::query("UPDATE floor SET n = ? WHERE id = 1").bind(n).execute(&mut connection).await?;
    }
    Ok(begun.elapsed() / commits)
}

async fn ran(app: &App, tasks: Vec<TaskSpec>) -> Result<Duration> {
    let begun = Instant::now();
    let inserted = app.submit(tasks).await?;
    for tree in &inserted.trees {
        let run = app.engine().wait(tree).await?;
        assert_eq!(run.outcome, Some(Outcome::Completed));
    }
    Ok(begun.elapsed())
}

#[tokio::main]
async fn main() -> Result<()> {
    let dir = tempfile::tempdir_in(".")?;
    for (name, durability, sync, n) in [
        ("relaxed", Durability::Relaxed, SqliteSynchronous::Normal, 3000),
        ("strict", Durability::Strict, SqliteSynchronous::Full, 300),
    ] {
        let floor = floor(&dir.path().join(format!("floor-{name}.db")), sync, n).await?;
        println!("{name}: one one-row commit {floor:?}");
        let app = app(&dir.path().join(format!("{name}.db")), durability).await?;
        ran(&app, shape::chain(100)).await?;
        let took = ran(&app, shape::chain(1000)).await?;
        println!(
            "{name}: chain of 1000 {took:?}: {:?} a step, {:.2} x floor",
            took / 1000,
            (took / 1000).as_secs_f64() / floor.as_secs_f64()
        );
        for _ in 0..3 {
            let took = ran(&app, shape::fan(1000)).await?;
            println!("{name}: fan of 1000 {took:?}: {:.0} tasks/s", 1002.0 / took.as_secs_f64());
        }
        for _ in 0..3 {
            let begun = Instant::now();
            let all = (0..200).map(|_| ran(&app, shape::tree_of_ten()));
            for each in futures_util::future::join_all(all).await {
                each?;
            }
            println!(
                "{name}: 200 trees of 10 {:.0} tasks/s",
                2000.0 / begun.elapsed().as_secs_f64()
            );
        }
        app.shutdown(Duration::from_secs(1)).await;
    }
    Ok(())
}
