//! What happened, and who is told.

use std::time::Duration;

use apflow_core::{
    id::{Seq, TreeId},
    store::{EventKind, Signal},
    task::Status,
};
use serde_json::json;
use tokio::sync::broadcast::Receiver;

use super::{
    Bed,
    bed::{LEASE, stumbled},
    done, failed,
};

/// The journal of a tree tells its story.
pub async fn events_of_a_tree_come_in_order(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a").await;
    let held = bed.claim_one().await;
    bed.clock.advance(Duration::from_secs(1));
    bed.settle(vec![failed(&held)]).await;
    bed.run_all(&[]).await;
    assert_eq!(
        bed.happened("tree-root").await,
        [
            "run_started",
            "task_start:a",
            "task_failed:a",
            "task_start:root",
            "task_completed:root",
            "final",
        ]
    );
    let events = bed.store.events(Some(&TreeId::new("tree-root")), 0, 100).await.expect("events");
    assert_eq!(events[0].detail, json!({ "run": 1 }));
    assert_eq!((events[1].attempt, &events[1].detail), (1, &json!({ "worker": "worker" })));
    assert_eq!(events[2].detail, json!({ "kind": "executor", "error": "it broke" }));
    assert_eq!(events[2].at, events[1].at.after(Duration::from_secs(1)));
    assert_eq!(events[5].detail, json!({ "outcome": "failed" }));
    assert!(events.iter().all(|event| event.tree.as_str() == "tree-root"));
}

/// One end for each task and each run, whatever happened on the way (I2).
pub async fn every_task_ends_once_and_every_run_ends_once(bed: &Bed) {
    bed.submit("root; a ^root x2; b ^root; c ^root <b; d ^root").await;
    let held = bed.claim(10).await;
    bed.settle(vec![stumbled(&held[0], Some(LEASE)), failed(&held[1])]).await;
    bed.cancel("d").await;
    bed.pass(LEASE).await;
    bed.run_all(&[]).await;
    let ended = |happened: &[String]| -> Vec<String> {
        let ends = ["completed", "failed", "cancelled", "skipped"];
        let is_end = |each: &&String| ends.iter().any(|end| each.contains(end));
        happened.iter().filter(is_end).cloned().collect()
    };
    let happened = bed.happened("tree-root").await;
    assert_eq!(
        ended(&happened),
        ["task_failed:b", "task_cancelled:d", "task_completed:a", "task_completed:root"]
    );
    assert_eq!(bed.count_of("tree-root", EventKind::RunFinished).await, 1);
    assert_eq!(happened.last().map(String::as_str), Some("final"));
}

/// Positions are for the whole journal and never go back.
pub async fn a_reader_resumes_where_it_stopped(bed: &Bed) {
    bed.submit("a").await;
    bed.submit("b").await;
    bed.run_all(&[]).await;
    let all = bed.store.events(None, 0, 100).await.expect("events");
    assert_eq!(all.len(), 8);
    assert!(all.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    let mut read = Vec::new();
    loop {
        let after = read.last().map_or(0, |event: &apflow_core::store::TaskEvent| event.seq);
        let next = bed.store.events(None, after, 3).await.expect("events");
        assert!(next.len() <= 3);
        if next.is_empty() {
            break;
        }
        read.extend(next);
    }
    assert_eq!(read, all);
    let of_b: Vec<_> = all.iter().filter(|event| event.tree.as_str() == "tree-b").collect();
    let tree = TreeId::new("tree-b");
    let rest = bed.store.events(Some(&tree), of_b[0].seq, 100).await.expect("events");
    assert_eq!(rest.iter().collect::<Vec<_>>(), of_b[1..]);
}

/// Detours are part of the story.
pub async fn a_retry_and_a_reset_are_noted(bed: &Bed) {
    bed.submit("a x2").await;
    let held = bed.claim_one().await;
    bed.settle(vec![stumbled(&held, Some(LEASE))]).await;
    bed.pass(LEASE).await;
    let held = bed.claim_one().await;
    bed.settle(vec![failed(&held)]).await;
    bed.set_status("a", Status::Pending).await.expect("reset");
    assert_eq!(
        bed.happened("tree-a").await,
        [
            "run_started",
            "task_start:a",
            "task_retrying:a",
            "task_start:a",
            "task_failed:a",
            "final",
            "task_reset:a",
        ]
    );
}

/// Signals arrive soon, in any order and possibly joined; waits until `wanted` has come.
async fn hear(signals: &mut Receiver<Signal>, wanted: impl Fn(&Signal) -> bool) {
    let heard = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            if wanted(&signals.recv().await.expect("the store lives")) {
                return;
            }
        }
    });
    heard.await.expect("the signal comes");
}

/// Who waits is woken, who works is stopped, who watches is told.
pub async fn signals_tell_what_changed(bed: &Bed) {
    let mut signals = bed.store.signals();
    bed.put("root; a ^root; b ^root").await;
    bed.start("root").await.expect("it starts");
    hear(&mut signals, |signal| *signal == Signal::Ready).await;
    let held = bed.claim(10).await;
    let tree = held[0].tree;
    let has = |seqs: &[Seq], seq: Seq| seqs.contains(&seq);
    let mut signals = bed.store.signals();
    bed.settle(vec![done(&held[0], json!(1))]).await;
    hear(&mut signals, |s| matches!(s, Signal::Changed(trees) if has(trees, tree))).await;
    let mut signals = bed.store.signals();
    bed.cancel("b").await;
    hear(&mut signals, |s| matches!(s, Signal::Stopped(tasks) if has(tasks, held[1].seq))).await;
    let mut signals = bed.store.ends();
    assert_eq!(bed.run_all(&[]).await, [["root"]]);
    hear(&mut signals, |s| matches!(s, Signal::Finished(trees) if has(trees, tree))).await;

    bed.submit("x").await;
    let held = bed.claim_one().await;
    let mut signals = bed.store.signals();
    bed.pass(LEASE).await;
    hear(&mut signals, |s| matches!(s, Signal::Stopped(tasks) if has(tasks, held.seq))).await;
    let mut signals = bed.store.signals();
    let held = bed.claim_one().await;
    bed.settle(vec![super::handed_back(&held)]).await;
    hear(&mut signals, |signal| *signal == Signal::Ready).await;
}

/// Results go with the events that tell of them, as long as they are still those results.
pub async fn a_listener_is_told_what_came_of_a_task(bed: &Bed) {
    let mut submission = super::forest("root; a ^root");
    submission.trees[0].user_id = Some("u1".to_owned());
    bed.insert(submission).await;
    let held = bed.claim_one().await;
    bed.settle(vec![done(&held, json!({"sum": "§"}))]).await;
    let tree = TreeId::new("tree-root");
    let told = async |most| {
        let one = bed.store.told(Some(&tree), 0, 100, most).await.expect("told");
        assert_eq!(one, bed.store.told(None, 0, 100, most).await.expect("told"));
        one
    };
    let bytes = u32::try_from(r#"{"sum":"§"}"#.len()).expect("short");
    let heard = told(bytes).await;
    let events = bed.store.events(Some(&tree), 0, 100).await.expect("events");
    assert_eq!(heard.iter().map(|told| told.event.clone()).collect::<Vec<_>>(), events);
    assert!(heard.iter().all(|told| told.root.as_str() == "root"));
    assert!(heard.iter().all(|told| told.owner.as_deref() == Some("u1")));
    let results: Vec<_> = heard.iter().map(|told| (&told.result, told.result_omitted)).collect();
    let sum = Some(json!({"sum": "§"}));
    assert_eq!(results, [(&None, false), (&None, false), (&sum, false)]);
    let heard = told(bytes - 1).await;
    assert_eq!((&heard[2].result, heard[2].result_omitted), (&None, true), "one byte too many");
    assert_eq!(told(bytes).await.len(), 3);
    assert_eq!(bed.store.told(None, events[0].seq, 1, bytes).await.expect("told").len(), 1);

    bed.run_all(&[]).await;
    bed.begin("root", true).await.expect("it runs again");
    let heard = told(1000).await;
    assert!(
        heard.iter().all(|told| told.result.is_none()),
        "it is the result of no event any more"
    );
}

/// Whoever begins a run can follow it from its first event on.
pub async fn a_run_happens_after_the_position_it_was_given(bed: &Bed) {
    bed.submit("other").await;
    bed.put("root; a ^root").await;
    let first = bed.start("root").await.expect("it starts");
    bed.run_all(&[]).await;
    bed.submit("another").await;
    let again = bed.begin("root", true).await.expect("again");
    for (started, run) in [(first, 1), (again, 2)] {
        let events = bed.store.events(Some(&started.tree), started.after, 100).await;
        let events = events.expect("events");
        assert_eq!(events[0].kind, EventKind::RunStarted);
        assert_eq!(events[0].detail, json!({ "run": run }));
        let earlier = bed.store.events(Some(&started.tree), 0, 100).await.expect("events");
        let before = earlier.iter().filter(|event| event.seq <= started.after).count();
        assert_eq!(before + events.len(), earlier.len());
    }
}
