//! A test of the test: with the fence taken away, the same checks must find what it kept out.

use crate::stage::{is_sound, on_sqlite};

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_is_refused_and_nothing_is_broken() {
    let (_place, mut siege) = on_sqlite(1);
    siege.haunt();
    let findings = siege.lay(None).await.unwrap();
    is_sound("zombies before the fence", &findings);
    assert!(findings.refused > 0, "no zombie ever reported: {findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_fence_the_same_zombies_break_the_rules() {
    let (_place, mut siege) = on_sqlite(1);
    siege.haunt();
    siege.worker.unfenced = true;
    let findings = siege.lay(None).await.unwrap();
    println!("zombies without a fence\n{findings}");
    assert!(findings.of("I5") > 0, "a stale result went unnoticed: {findings}");
    assert!(findings.of("I6") > 0, "a child that began too early went unnoticed: {findings}");
}
