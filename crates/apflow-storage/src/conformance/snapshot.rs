//! A run begins again from how it stood, and a submission is the same after it went elsewhere.

use std::time::Duration;

use apflow_core::{
    executor::SnapshotWish,
    id::{LeaseToken, Seq, TaskId},
    portable::{Portable, Stood},
    store::{Claimed, MAX_SNAPSHOTS, NewCheckpoint, NewSnapshot, Settlement, Snapshot, StoreError},
    time::Clock as _,
};
use serde_json::{Map, json};

use super::{Bed, done, failed};

fn wish(task: &str, name: &str) -> NewSnapshot {
    let mut note = Map::new();
    note.insert("why".to_owned(), json!("to be sure"));
    NewSnapshot { task: task.into(), name: name.to_owned(), note, lease: None }
}

async fn take(bed: &Bed, task: &str, name: &str) -> Snapshot {
    bed.store.take_snapshot(wish(task, name)).await.expect("taken")
}

async fn restore(bed: &Bed, task: &str, name: &str) -> Result<u32, StoreError> {
    bed.store.restore_snapshot(&task.into(), name).await.map(|started| started.tasks)
}

async fn named(bed: &Bed, task: &str) -> Vec<String> {
    let found = bed.store.snapshots(&task.into()).await.expect("a list");
    found.into_iter().map(|snapshot| snapshot.name).collect()
}

/// What had completed is not done again, and what had not is.
pub async fn a_run_goes_on_from_where_the_snapshot_was_taken(bed: &Bed) {
    bed.submit("top; a ^top; b ^top <a; c ^top <b").await;
    let a = bed.claim_one().await;
    bed.settle(vec![done(&a, json!({"from": "the first run"}))]).await;
    let snapshot = take(bed, "b", "after-a").await;
    assert_eq!((snapshot.tasks, snapshot.tree.as_str()), (4, "tree-top"));
    assert_eq!(snapshot.note["why"], json!("to be sure"));
    assert!(matches!(restore(bed, "top", "after-a").await, Err(StoreError::AlreadyRunning { .. })));
    assert_eq!(bed.run_all(&[]).await, [["b"], ["c"], ["top"]]);
    let first = bed.run("top").await;
    assert_eq!(first.run, 1);

    assert_eq!(restore(bed, "top", "after-a").await.expect("restored"), 4);
    assert_eq!(bed.states("top a b c").await, "blocked completed ready blocked");
    assert_eq!(bed.record("a").await.result, Some(json!({"from": "the first run"})));
    assert_eq!(bed.record("c").await.result, None, "it has not run yet");
    let b = bed.claim_one().await;
    assert_eq!((b.run, b.attempt), (2, 1));
    let need = b.needs.first().and_then(|need| need.result.clone()).expect("what a returned");
    assert_eq!(*need, json!({"from": "the first run"}));
    bed.settle(vec![done(&b, json!(2))]).await;
    assert_eq!(bed.run_all(&[]).await, [["c"], ["top"]]);
    assert_eq!(restore(bed, "c", "after-a").await.expect("as often as one likes"), 4);
    assert_eq!(bed.run_all(&[]).await, [["b"], ["c"], ["top"]]);
}

/// A failure is remembered with what it blocks; nothing of it moves.
pub async fn a_failed_run_is_restored_as_it_failed(bed: &Bed) {
    bed.submit("a; b <a; c").await;
    bed.run_all(&["a"]).await;
    take(bed, "a", "broken").await;
    bed.start("a").await.expect("again");
    bed.run_all(&[]).await;
    assert_eq!(bed.states("a b c").await, "completed completed completed");
    restore(bed, "a", "broken").await.expect("restored");
    assert_eq!(bed.states("a b c").await, "failed blocked completed");
    assert_eq!(bed.run("a").await.outcome.map(apflow_core::task::Outcome::as_str), Some("failed"));
    assert!(bed.record("a").await.error.is_some_and(|error| !error.is_empty()));
}

/// What runs when the snapshot is taken begins again, from what it had put aside by then.
pub async fn what_was_running_begins_again_from_its_checkpoint(bed: &Bed) {
    bed.submit("a").await;
    let held = bed.claim_one().await;
    let aside = |value| NewCheckpoint {
        seq: held.seq,
        task: held.id.clone(),
        lease: held.lease,
        attempt: held.attempt,
        step: None,
        value,
    };
    bed.store.keep_checkpoint(aside(json!("half"))).await.expect("kept");
    let of_attempt = |lease| NewSnapshot { lease: Some((held.seq, lease)), ..wish("a", "half") };
    let stale = bed.store.take_snapshot(of_attempt(LeaseToken(999))).await;
    assert!(matches!(stale, Err(StoreError::Refused { .. })), "{stale:?}");
    bed.store.take_snapshot(of_attempt(held.lease)).await.expect("taken");
    bed.store.keep_checkpoint(aside(json!("more"))).await.expect("kept");
    bed.settle(vec![done(&held, json!("whole"))]).await;
    restore(bed, "a", "half").await.expect("restored");
    let again = bed.claim_one().await;
    assert_eq!(again.given.checkpoint, Some(json!("half")));
    assert_eq!(again.attempt, 1, "the attempt that was cut off is not charged");
    assert!(again.lease > held.lease, "the old one cannot be mistaken for it");
    assert!(bed.store.keep_checkpoint(aside(json!("late"))).await.is_err());
    bed.settle(vec![done(&again, json!(1))]).await;
}

fn asking(held: &Claimed, outcome: Settlement, name: &str) -> Settlement {
    let mut settlement = outcome;
    settlement.notes.snapshots.push(SnapshotWish {
        task: held.id.clone(),
        name: name.to_owned(),
        note: Map::new(),
    });
    settlement
}

/// It has the tasks behind the one that asked, and is dropped with an attempt that fails.
pub async fn a_deferred_snapshot_is_taken_with_the_end_of_its_task(bed: &Bed) {
    bed.submit("a; b <a; x").await;
    let held = bed.claim(2).await;
    let (a, x) = (&held[0], &held[1]);
    bed.settle(vec![asking(a, done(a, json!(1)), "behind-a"), asking(x, failed(x), "never")]).await;
    assert_eq!(named(bed, "a").await, ["behind-a"]);
    let (_, portable) = bed.store.snapshot(&"a".into(), "behind-a").await.expect("it is there");
    let stood: Vec<_> = portable.tasks.iter().map(|task| task.stood.name().as_str()).collect();
    assert_eq!(stood, ["completed", "ready", "failed"]);
    bed.run_all(&[]).await;
    restore(bed, "a", "behind-a").await.expect("restored");
    assert_eq!(bed.run_all(&[]).await, [["b"]]);
}

/// The newest stay, a name is taken again, and what is deleted is gone.
pub async fn snapshots_are_bounded_and_go_with_their_submission(bed: &Bed) {
    bed.submit("a; b").await;
    for number in 0..=MAX_SNAPSHOTS {
        bed.clock.advance(Duration::from_secs(1));
        take(bed, "a", &format!("s{number:02}")).await;
    }
    let names = named(bed, "b").await;
    assert_eq!(names.len(), MAX_SNAPSHOTS as usize);
    assert_eq!((names[0].as_str(), names.last().map(String::as_str)), ("s20", Some("s01")));
    bed.clock.advance(Duration::from_secs(1));
    take(bed, "a", "s05").await;
    assert_eq!(named(bed, "a").await[0], "s05");
    assert!(bed.store.drop_snapshot(&"a".into(), "s05").await.expect("dropped"));
    assert!(!bed.store.drop_snapshot(&"a".into(), "s05").await.expect("it is gone"));
    let gone = restore(bed, "a", "s05").await;
    assert!(matches!(gone, Err(StoreError::NoSnapshot { .. })), "{gone:?}");
    bed.run_all(&[]).await;
    bed.store.retire(Duration::ZERO, 10).await.expect("an answer");
    bed.clock.advance(Duration::from_secs(1));
    assert_eq!(bed.store.retire(Duration::ZERO, 10).await.expect("retired"), 2);
    bed.submit("a; b").await;
    assert_eq!(named(bed, "a").await, [""; 0], "another submission of the same ids");
    bed.run_all(&[]).await;
}

/// Tasks that came later than the snapshot go; without one of its own it is refused.
pub async fn a_snapshot_fits_what_is_there_or_is_refused(bed: &Bed) {
    bed.submit("top; a ^top; b ^top <a").await;
    bed.run_all(&[]).await;
    take(bed, "top", "whole").await;
    let (_, mut smaller) = bed.store.snapshot(&"top".into(), "whole").await.expect("it is there");
    smaller.tasks.retain(|task| task.id.as_str() != "b");
    smaller.tasks[0].needs.retain(|need| need.on.as_str() != "b");
    smaller.tasks[0].stood = Stood::Blocked;
    smaller.tasks[1].stood = Stood::Ready;
    bed.store.put_snapshot("smaller", Map::new(), smaller).await.expect("kept");
    restore(bed, "top", "smaller").await.expect("restored");
    assert_eq!(bed.store.record(&"b".into()).await.expect("an answer"), None);
    assert_eq!(bed.run_all(&[]).await, [["a"], ["top"]]);
    let refused = restore(bed, "top", "whole").await;
    assert!(matches!(refused, Err(StoreError::SnapshotMismatch { .. })), "{refused:?}");
    assert_eq!(bed.states("top a").await, "completed completed", "nothing was changed");
}

async fn exported(bed: &Bed) -> Vec<Portable> {
    let mut all = Vec::new();
    let mut after = Seq(0);
    loop {
        let page = bed.store.export(after, 1).await.expect("a page");
        let Some((seq, portable)) = page.into_iter().next() else { return all };
        after = seq;
        all.push(portable);
    }
}

/// Ended submissions are as they were, and what had not ended goes on.
pub async fn what_is_exported_and_adopted_is_the_same(bed: &Bed) {
    bed.submit("old; a ^old").await;
    bed.run_all(&[]).await;
    bed.submit("broken; x ^broken; y ^broken <x").await;
    bed.run_all(&["x"]).await;
    bed.put("never; n ^never").await;
    bed.clock.advance(Duration::from_secs(1));
    bed.submit("going; g ^going; h ^going <g").await;
    let held = bed.claim(1).await;
    let g = held.iter().find(|held| held.id.as_str() == "g").expect("it is ready");
    bed.settle(vec![done(g, json!({"g": [1, 2]}))]).await;
    let documents = exported(bed).await;
    assert_eq!(documents.len(), 4);
    let before = (bed.record("a").await, bed.record("x").await);

    let taken = bed.store.adopt(documents.clone()).await;
    assert!(matches!(taken, Err(StoreError::DuplicateTask(_))), "{taken:?}");
    bed.run_all(&[]).await;
    bed.cancel("never").await;
    bed.clock.advance(Duration::from_secs(10));
    bed.store.prune(bed.clock.now(), 1000).await.expect("pruned");
    let mut torn = documents.clone();
    torn.retain(|document| document.trees[0].id.as_str() != "tree-never");
    let broken = torn.iter_mut().find(|document| document.tasks[0].id.as_str() == "broken");
    let mut spoilt = broken.expect("it is there").clone();
    spoilt.tasks[1].needs.clear();
    spoilt.tasks[1].parent = Some(TaskId::new("nobody"));
    let refused = bed.store.adopt(vec![torn[0].clone(), spoilt]).await;
    assert!(matches!(refused, Err(StoreError::Unreadable(_))), "{refused:?}");
    assert_eq!(bed.store.record(&"old".into()).await.expect("an answer"), None, "all or nothing");

    bed.store.adopt(torn).await.expect("adopted");
    assert_eq!(
        bed.states("old a broken x y").await,
        "completed completed completed failed blocked"
    );
    let after = (bed.record("a").await, bed.record("x").await);
    for (was, is) in [(before.0, after.0), (before.1, after.1)] {
        assert_eq!(
            (&is.result, &is.error, &is.definition),
            (&was.result, &was.error, &was.definition)
        );
        assert_eq!((is.created_at, is.task.completed_at), (was.created_at, was.task.completed_at));
        assert_eq!(is.task.attempts, was.task.attempts);
    }
    let run = bed.run("broken").await;
    assert_eq!(run.outcome.map(apflow_core::task::Outcome::as_str), Some("failed"));
    assert_eq!(run.failed_tasks, [TaskId::new("x")]);
    assert_eq!(bed.states("going g h").await, "blocked completed ready");
    assert_eq!(bed.record("g").await.result, Some(json!({"g": [1, 2]})));
    assert_eq!(bed.run_all(&[]).await, [["h"], ["going"]]);
}

/// Rows are counted and room is given back.
pub async fn a_database_says_how_large_it_is(bed: &Bed) {
    bed.submit("a; b ^a").await;
    let stats = bed.store.stats().await.expect("counted");
    assert!(stats.bytes > 0);
    let rows = |name: &str| {
        let found = stats.tables.iter().find(|table| table.name == name);
        found.map(|table| table.rows)
    };
    assert_eq!(
        (rows("af_tasks"), rows("af_trees"), rows("af_checkpoints")),
        (Some(2), Some(1), Some(0))
    );
    bed.store.vacuum().await.expect("room is given back");
    bed.run_all(&[]).await;
}
