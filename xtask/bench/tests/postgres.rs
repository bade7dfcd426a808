//! Three workers share a PostgreSQL; workers are killed and stopped, and the server too.

use std::time::Duration;

use apflow_bench::chaos::{log::RunDir, postgres::Server, siege::Siege};

use crate::stage::{is_sound, of, program};

fn on_postgres(server: &Server, seed: u64) -> (tempfile::TempDir, Siege) {
    let place = tempfile::tempdir().unwrap();
    let dir = RunDir::at(place.path().join("run")).unwrap();
    (place, Siege::new(program(), server.url(), dir, seed))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_and_no_pause_loses_repeats_or_reorders_anything_on_postgres() {
    let mut server = Server::start().unwrap();
    let (_place, mut siege) = on_postgres(&server, 31);
    siege.kills = of(200);
    siege.stops = of(10).max(3);
    siege.worker.lease = Duration::from_secs(1);
    let findings = siege.lay(Some(&mut server)).await.unwrap();
    is_sound("three workers on PostgreSQL", &findings);
    assert!(findings.refused > 0 && findings.lapsed > 0, "no lease ever ended: {findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_outlive_the_death_of_their_server() {
    let mut server = Server::start().unwrap();
    let (_place, mut siege) = on_postgres(&server, 32);
    siege.kills = 6;
    siege.crashes = 3;
    let findings = siege.lay(Some(&mut server)).await.unwrap();
    is_sound("PostgreSQL killed and restarted", &findings);
    assert!(findings.troubles > 0, "nobody noticed that the server was gone: {findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_fence_zombies_on_postgres_break_the_rules() {
    let mut server = Server::start().unwrap();
    let (_place, mut siege) = on_postgres(&server, 33);
    siege.haunt();
    siege.worker.unfenced = true;
    let findings = siege.lay(Some(&mut server)).await.unwrap();
    println!("zombies on PostgreSQL without a fence\n{findings}");
    assert!(findings.of("I5") > 0, "a stale result went unnoticed: {findings}");
}
