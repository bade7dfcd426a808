//! Stopping tasks (ruling 17).

use std::time::Duration;

use apflow_core::{
    store::{Cancel, CancelAnswer},
    task::{Outcome, Status},
};
use serde_json::json;

use super::{
    Bed,
    bed::{LEASE, stumbled},
    done, failed, parked,
};

/// What hangs under a task goes with it, and so does what can no longer run.
pub async fn a_cancellation_takes_descendants_and_dependents_along(bed: &Bed) {
    let text = "root; a ^root; a1 ^a; a2 ^a1; b ^root <a2; c ^root <b; d ^root ?a; e ^root";
    bed.submit(text).await;
    assert_eq!(bed.cancel("a").await, CancelAnswer::Cancelled { others: 4 });
    let states = bed.states("a a1 a2 b c d e root").await;
    assert_eq!(states, "cancelled cancelled cancelled cancelled cancelled ready ready blocked");
    assert_eq!(bed.record("c").await.error.as_deref(), Some("because"));
    assert_eq!(bed.run_all(&[]).await, [vec!["d", "e"], vec!["root"]]);
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Cancelled));
}

/// An end is an end, and the answer says which.
pub async fn a_task_that_ended_stays_as_it_is(bed: &Bed) {
    bed.submit("root; a ^root; b ^root; c ^root; a1 ^a").await;
    let held = bed.claim(10).await;
    bed.settle(vec![failed(&held[0]), done(&held[2], json!(1))]).await;
    let wishes = ["b", "nobody", "c", "c", "a1"]
        .map(|task| Cancel { task: task.into(), reason: "enough".to_owned() });
    let answers = bed.store.cancel(wishes.into()).await.expect("answers");
    assert_eq!(
        answers,
        [
            CancelAnswer::AlreadyEnded(Status::Failed),
            CancelAnswer::NoSuchTask,
            CancelAnswer::Cancelled { others: 0 },
            CancelAnswer::AlreadyEnded(Status::Cancelled),
            CancelAnswer::AlreadyEnded(Status::Completed),
        ]
    );
    assert_eq!(bed.states("a1 b c").await, "completed failed cancelled");
    assert_eq!(bed.cancel("root").await, CancelAnswer::Cancelled { others: 1 });
    assert_eq!(bed.states("root a a1 b").await, "cancelled cancelled completed failed");
}

/// The worker finds out; the record does not change (I9).
pub async fn a_late_report_does_not_undo_a_cancellation(bed: &Bed) {
    bed.submit("a; b <a").await;
    let held = bed.claim_one().await;
    bed.cancel("a").await;
    let before = bed.record("a").await;
    let late = bed.store.settle(vec![done(&held, json!("late"))], Some(bed.wish(10))).await;
    let late = late.expect("an answer");
    assert_eq!((late.refused.len(), late.claimed.len()), (1, 0));
    bed.pass(LEASE).await;
    assert_eq!(bed.record("a").await, before);
    assert_eq!(bed.states("a b").await, "cancelled cancelled");
}

/// Nobody holds what was cancelled.
pub async fn a_cancellation_raises_the_token_and_ends_the_lease(bed: &Bed) {
    bed.submit("a").await;
    let held = bed.claim_one().await;
    bed.cancel("a").await;
    assert!(bed.record("a").await.task.token > held.lease);
    let renewal =
        apflow_core::store::Renewal { seq: held.seq, lease: held.lease, progress: Some(0.5) };
    let refused = bed.store.renew(vec![renewal], LEASE).await.expect("an answer");
    assert_eq!(refused.len(), 1);
    assert_eq!(bed.settle_and_claim(Vec::new(), 1).await.next_wake, None);
}

/// Failed comes before cancelled, and cancelled before completed.
pub async fn a_run_without_failures_ends_cancelled(bed: &Bed) {
    bed.submit("root; a ^root; b ^root").await;
    bed.cancel("root").await;
    let run = bed.run("root").await;
    assert_eq!((run.outcome, run.running), (Some(Outcome::Cancelled), false));
    assert!(run.finished_at.is_some());

    bed.submit("top; x ^top; y ^top").await;
    let held = bed.claim(10).await;
    bed.settle(vec![failed(&held[0])]).await;
    bed.cancel("top").await;
    assert_eq!(bed.run("top").await.outcome, Some(Outcome::Failed));
}

/// Whatever has not ended can be stopped.
pub async fn a_retry_or_a_wait_is_cancelled_too(bed: &Bed) {
    bed.submit("a x2; b; c").await;
    let held = bed.claim(2).await;
    let delay = Duration::from_secs(1);
    bed.settle(vec![stumbled(&held[0], Some(delay)), parked(&held[1], Some(delay))]).await;
    assert_eq!(bed.states("a b c").await, "retrying waiting ready");
    for task in ["a", "b", "c"] {
        assert_eq!(bed.cancel(task).await, CancelAnswer::Cancelled { others: 0 });
    }
    assert_eq!(bed.pass(delay).await, 0);
    assert_eq!(bed.states("a b c").await, "cancelled cancelled cancelled");
    assert_eq!(bed.run("a").await.outcome, Some(Outcome::Cancelled));
}

/// A tree need not run to be called off.
pub async fn what_was_never_started_can_be_cancelled(bed: &Bed) {
    bed.put("root; a ^root; b ^root <a").await;
    assert_eq!(bed.cancel("a").await, CancelAnswer::Cancelled { others: 1 });
    assert_eq!(bed.states("root a b").await, "created cancelled cancelled");
    let run = bed.run("root").await;
    assert_eq!((run.run, run.outcome), (0, None));
    bed.clock.advance(LEASE);
    bed.start("root").await.expect("the rest can run");
    assert_eq!(bed.run_all(&[]).await, [["root"]]);
}

/// One left is enough, none is not; also when they go in one batch.
pub async fn the_last_of_several_needs_takes_a_join_any_along(bed: &Bed) {
    bed.submit("a; b; c any <a <b; x; y; z any <x <y").await;
    bed.cancel("a").await;
    assert_eq!(bed.states("c").await, "blocked");
    assert_eq!(bed.cancel("b").await, CancelAnswer::Cancelled { others: 1 });
    assert_eq!(bed.states("c").await, "cancelled");
    let wishes = ["x", "y"].map(|task| Cancel { task: task.into(), reason: "both".to_owned() });
    let answers = bed.store.cancel(wishes.into()).await.expect("answers");
    assert_eq!(
        answers,
        [CancelAnswer::Cancelled { others: 0 }, CancelAnswer::Cancelled { others: 1 }]
    );
    assert_eq!(bed.states("x y z").await, "cancelled cancelled cancelled");
}
