//! Taking tasks.

use std::time::Duration;

use apflow_core::{
    id::{NodeId, TaskId, TreeId},
    store::Claim,
    task::{State, StateName, TreeOptions},
};
use serde_json::json;

use super::{
    Bed,
    bed::{LEASE, ids, stumbled},
    done, forest,
};

/// Priority orders what is ready; within one priority it is the order of submission.
pub async fn the_most_urgent_goes_first_and_then_the_oldest(bed: &Bed) {
    bed.submit("a; b !3; c !1; d").await;
    bed.submit("e !0; f !1").await;
    assert_eq!(ids(&bed.claim(3).await), ["e", "c", "f"]);
    assert_eq!(ids(&bed.claim(10).await), ["a", "d", "b"]);
}

/// A worker gets what it has room for, and hears whether there is more.
pub async fn a_claim_never_exceeds_its_limit(bed: &Bed) {
    bed.submit("a; b; c; d; e").await;
    let none = bed.settle_and_claim(Vec::new(), 0).await;
    assert_eq!(none.claimed.len(), 0);
    let two = bed.settle_and_claim(Vec::new(), 2).await;
    assert_eq!((two.claimed.len(), two.more), (2, true));
    let rest = bed.settle_and_claim(Vec::new(), 3).await;
    assert_eq!((rest.claimed.len(), rest.more), (3, false));
    let over = bed.settle_and_claim(Vec::new(), 3).await;
    assert_eq!((over.claimed.len(), over.more), (0, false));
}

/// What a worker gets is enough to run the task.
pub async fn a_claim_tells_the_worker_what_it_has_to_know(bed: &Bed) {
    let mut submission = forest("a x3");
    submission.trees[0].options =
        TreeOptions { timeout_seconds: Some(60.0), ..TreeOptions::default() };
    submission.tasks[0].definition.inputs.insert("n".to_owned(), json!(1));
    let written = submission.tasks[0].definition.clone();
    bed.insert(submission).await;
    let settled = bed.settle_and_claim(Vec::new(), 1).await;
    let held = &settled.claimed[0];
    let record = bed.record("a").await;
    assert_eq!(held.id, TaskId::new("a"));
    assert_eq!(held.tree_id, TreeId::new("tree-a"));
    assert_eq!((held.seq, held.tree), (record.task.seq, record.task.tree));
    assert_eq!(*held.definition, written);
    assert_eq!(held.attempt, 1);
    assert_eq!(held.now, settled.now);
    assert_eq!(held.tree_deadline, Some(settled.now.after(Duration::from_mins(1))));
    assert_eq!(held.needs, []);
    assert_eq!(
        record.task.state,
        State::Running {
            lease: held.lease,
            until: settled.now.after(LEASE),
            attempt: 1,
            worker: NodeId::new("worker"),
        }
    );
    assert_eq!(record.worker.as_deref(), Some("worker"));
    assert_eq!(record.task.started_at, Some(settled.now));
}

/// Nobody gets what somebody holds.
pub async fn a_claimed_task_is_taken(bed: &Bed) {
    bed.submit("a").await;
    let first = bed.claim_one().await;
    let other = Claim { worker: NodeId::new("other"), ..bed.wish(10) };
    let second = bed.store.settle(Vec::new(), Some(other)).await.expect("a claim");
    assert_eq!(second.claimed, []);
    bed.settle(vec![done(&first, json!(null))]).await;
    assert!(bed.claim(10).await.is_empty(), "a completed task is not ready");
}

/// A settle that frees tasks hands them out at once.
pub async fn whatever_became_ready_is_claimed_in_the_same_transaction(bed: &Bed) {
    bed.submit("a; b <a; c <a; d <b <c").await;
    let first = bed.claim_one().await;
    let next = bed.settle_and_claim(vec![done(&first, json!(1))], 10).await.claimed;
    assert_eq!(ids(&next), ["b", "c"]);
    let reports = next.iter().map(|held| done(held, json!(2))).collect();
    assert_eq!(ids(&bed.settle_and_claim(reports, 10).await.claimed), ["d"]);
}

/// What was just freed queues up like everything else.
pub async fn a_task_that_became_ready_does_not_overtake_an_urgent_one(bed: &Bed) {
    bed.submit("a !0; b <a; c <a !0; d; e !1; f !3").await;
    let first = bed.claim(1).await;
    assert_eq!(ids(&first), ["a"]);
    let next = bed.settle_and_claim(vec![done(&first[0], json!(1))], 3).await;
    assert_eq!(ids(&next.claimed), ["c", "e", "b"]);
    assert!(next.more);
    assert_eq!(ids(&bed.claim(10).await), ["d", "f"]);
}

/// A worker may sleep until the moment it was told.
pub async fn the_next_moment_is_the_earliest_lease_retry_or_deadline(bed: &Bed) {
    let idle = bed.settle_and_claim(Vec::new(), 1).await;
    assert_eq!(idle.next_wake, None);
    bed.submit("a x2").await;
    let taken = bed.settle_and_claim(Vec::new(), 1).await;
    assert_eq!(taken.next_wake, Some(taken.now.after(LEASE)), "the lease");
    let delay = Duration::from_secs(3);
    let retry = stumbled(&taken.claimed[0], Some(delay));
    let settled = bed.store.settle(vec![retry], None).await.expect("settled");
    assert_eq!(settled.next_wake, Some(settled.now.after(delay)), "the retry");
    let mut submission = forest("b");
    submission.trees[0].options.timeout_seconds = Some(1.0);
    bed.insert(submission).await;
    let asked = bed.settle_and_claim(Vec::new(), 1).await;
    assert_eq!(asked.next_wake, Some(asked.now.after(Duration::from_secs(1))), "the deadline");
    assert_eq!(bed.state("a").await, StateName::Retrying);
}
