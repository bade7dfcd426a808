//! Several schedulers on one database fire every slot once, also while they are killed.

use std::time::Duration;

use apflow_bench::chaos::{
    log::RunDir,
    schedules::{Outcome, Trial},
};

use crate::stage::program;

async fn trial(place: &std::path::Path, db: String, seed: u64) -> Outcome {
    let trial = Trial {
        program: program(),
        db,
        dir: RunDir::at(place.join("run")).unwrap(),
        schedulers: 5,
        schedules: 40,
        seconds: 8,
        kill_every: Duration::from_secs(1),
        seed,
    };
    trial.run().await.unwrap()
}

#[track_caller]
fn is_sound(what: &str, outcome: &Outcome) {
    println!("{what}\n{outcome}");
    assert_eq!(outcome.violations, [""; 0], "{what}\n{outcome}");
    assert!(outcome.kills >= 3, "{what}: {outcome}");
    assert!(outcome.fired > outcome.slots / 4, "{what}: {outcome}");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_schedulers_that_are_killed_fire_no_slot_twice_on_sqlite() {
    let place = tempfile::tempdir().unwrap();
    let db = format!("sqlite:{}", place.path().join("a.db").display());
    is_sound("SQLite", &trial(place.path(), db, 41).await);
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn five_schedulers_that_are_killed_fire_no_slot_twice_on_postgres() {
    let server = apflow_bench::chaos::postgres::Server::start().unwrap();
    let place = tempfile::tempdir().unwrap();
    is_sound("PostgreSQL", &trial(place.path(), server.url(), 42).await);
}
