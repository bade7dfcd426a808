//! A worker on a SQLite file is killed again and again.

use apflow::prelude::Durability;

use crate::stage::{is_sound, of, on_sqlite};

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_loses_repeats_or_reorders_anything_on_sqlite() {
    let (_place, mut siege) = on_sqlite(11);
    siege.kills = of(200);
    siege.stops = 1;
    let findings = siege.lay(None).await.unwrap();
    is_sound("strict", &findings);
    assert!(findings.processes >= siege.kills * 8 / 10, "{findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_loses_nothing_when_durability_is_relaxed_either() {
    let (_place, mut siege) = on_sqlite(12);
    siege.kills = of(60);
    siege.worker.durability = Durability::Relaxed;
    is_sound("relaxed", &siege.lay(None).await.unwrap());
}
