//! What passes by itself: leases, delays, waits and deadlines.

use std::time::Duration;

use apflow_core::{
    store::{EventKind, Renewal},
    task::{FailureKind, Outcome, State, StateName},
    transition::{MAX_LOST_LEASES, Refused},
};
use serde_json::json;

use super::{
    Bed,
    bed::{LEASE, ids, stumbled},
    done, forest, parked,
};

const ALMOST: Duration = Duration::from_micros(1);

/// A worker that vanished loses its task to the next one.
pub async fn a_lapsed_lease_is_taken_up_again_under_a_higher_token(bed: &Bed) {
    bed.submit("a").await;
    let lost = bed.claim_one().await;
    assert_eq!(bed.pass(LEASE.saturating_sub(ALMOST)).await, 0, "not before its time");
    assert_eq!(bed.pass(ALMOST).await, 1);
    assert_eq!(bed.store.lapse(10).await.expect("time passes"), 0, "once is enough");
    let record = bed.record("a").await;
    assert_eq!((record.task.state.name(), record.task.attempts), (StateName::Ready, 1));
    assert!(record.task.token > lost.lease);
    let held = bed.claim_one().await;
    assert_eq!(held.attempt, 2);
    bed.settle(vec![done(&held, json!(1))]).await;
    assert_eq!(bed.count_of("tree-a", EventKind::Requeued).await, 1);
}

/// A task that kills its worker is not tried for ever, even if its author set no limit (I8).
pub async fn a_task_whose_workers_vanish_fails_in_the_end(bed: &Bed) {
    bed.submit("a; b ?a").await;
    for attempt in 1..=MAX_LOST_LEASES {
        assert_eq!(bed.claim_one().await.attempt, attempt);
        assert_eq!(bed.pass(LEASE).await, 1);
    }
    let record = bed.record("a").await;
    let State::Failed { failure } = &record.task.state else { panic!("{:?}", record.task.state) };
    assert_eq!(failure.kind, FailureKind::LostLease);
    assert_eq!(bed.run_all(&[]).await, [["b"]], "the rest goes on");
}

/// Attempts are charged when they begin, so a crash uses one up.
pub async fn a_task_with_max_attempts_is_not_tried_more_often(bed: &Bed) {
    bed.submit("a x2").await;
    bed.claim_one().await;
    bed.pass(LEASE).await;
    let held = bed.claim_one().await;
    assert_eq!(held.attempt, 2);
    bed.settle(vec![stumbled(&held, Some(ALMOST))]).await;
    let record = bed.record("a").await;
    assert_eq!((record.task.state.name(), record.task.attempts), (StateName::Failed, 2));
    bed.submit("b x1").await;
    bed.claim_one().await;
    bed.pass(LEASE).await;
    assert_eq!(bed.state("b").await, StateName::Failed);
}

/// Who is still at it keeps the task, and says how far it is.
pub async fn a_renewed_lease_does_not_lapse(bed: &Bed) {
    bed.submit("a; b").await;
    let held = bed.claim(2).await;
    bed.clock.advance(LEASE / 2);
    let renewal = Renewal { seq: held[0].seq, lease: held[0].lease, progress: Some(0.25) };
    assert_eq!(bed.store.renew(vec![renewal.clone()], LEASE).await.expect("an answer"), []);
    let record = bed.record("a").await;
    assert!((record.progress - 0.25).abs() < f64::EPSILON);
    assert_eq!(record.task.token, held[0].lease, "renewing is no new lease");
    assert_eq!(bed.pass(LEASE / 2).await, 1, "only b");
    assert_eq!(bed.states("a b").await, "running ready");
    let silent = Renewal { progress: None, ..renewal };
    assert_eq!(bed.store.renew(vec![silent], LEASE).await.expect("an answer"), []);
    assert!((bed.record("a").await.progress - 0.25).abs() < f64::EPSILON);
    bed.settle(vec![done(&held[0], json!(1))]).await;
    assert!((bed.record("a").await.progress - 1.0).abs() < f64::EPSILON);
}

/// A refusal names its item; the other leases are extended.
pub async fn a_stale_renewal_is_refused(bed: &Bed) {
    bed.submit("a; b; c").await;
    let lost = bed.claim(3).await;
    bed.settle(vec![done(&lost[1], json!(1))]).await;
    bed.pass(LEASE).await;
    let held = bed.claim(1).await;
    assert_eq!(ids(&held), ["a"]);
    let renew = |held: &apflow_core::store::Claimed| Renewal {
        seq: held.seq,
        lease: held.lease,
        progress: Some(0.9),
    };
    let nobody = Renewal { seq: apflow_core::id::Seq(9_999_999), ..renew(&held[0]) };
    let batch = vec![renew(&lost[2]), nobody, renew(&held[0]), renew(&lost[1]), renew(&lost[0])];
    let refused = bed.store.renew(batch, LEASE * 2).await.expect("an answer");
    let seqs: Vec<_> = refused.iter().map(|refusal| refusal.seq).collect();
    let nobody = apflow_core::id::Seq(9_999_999);
    assert_eq!(seqs, [lost[2].seq, nobody, lost[1].seq, lost[0].seq]);
    assert_eq!(refused[1].why, Refused::NoSuchTask);
    assert_eq!(
        refused[2].why,
        Refused::StaleLease { held: lost[1].lease, current: bed.record("b").await.task.token }
    );
    let until = bed.record("a").await.task.state.wake_at();
    assert_eq!(until, Some(held[0].now.after(LEASE * 2)), "the stale one did not get in its way");
    let alone = bed.store.renew(vec![renew(&lost[0])], LEASE * 9).await.expect("an answer");
    assert_eq!(alone[0].why, Refused::StaleLease { held: lost[0].lease, current: held[0].lease });
    assert_eq!(bed.record("a").await.task.state.wake_at(), until);
}

/// A delay is a row; it is over when the clock says so.
pub async fn a_retry_is_due_when_its_delay_is_over(bed: &Bed) {
    bed.submit("a x3").await;
    let held = bed.claim_one().await;
    let delay = Duration::from_secs(90);
    bed.settle(vec![stumbled(&held, Some(delay))]).await;
    assert_eq!(bed.record("a").await.task.state.status().as_str(), "in_progress");
    assert_eq!(bed.pass(delay.saturating_sub(ALMOST)).await, 0);
    assert!(bed.claim(10).await.is_empty());
    assert_eq!(bed.pass(ALMOST).await, 1);
    let again = bed.claim_one().await;
    assert_eq!(again.attempt, 2);
    bed.settle(vec![done(&again, json!(1))]).await;
    assert_eq!(bed.run("a").await.outcome, Some(Outcome::Completed));
}

/// A question may have a last moment.
pub async fn a_wait_that_nobody_answers_fails(bed: &Bed) {
    bed.submit("a; b ?a; c <a").await;
    let held = bed.claim_one().await;
    let patience = Duration::from_hours(1);
    bed.settle(vec![parked(&held, Some(patience))]).await;
    assert_eq!(bed.pass(patience.saturating_sub(ALMOST)).await, 0);
    assert_eq!(bed.pass(ALMOST).await, 1);
    let record = bed.record("a").await;
    let State::Failed { failure } = &record.task.state else { panic!("{:?}", record.task.state) };
    assert_eq!(failure.kind, FailureKind::WaitExpired);
    assert_eq!(record.error.as_deref(), Some(FailureKind::WaitExpired.in_words()));
    assert_eq!(bed.run_all(&[]).await, [["b"]]);
}

/// The time of a tree is that of one run of it.
pub async fn a_tree_that_takes_too_long_is_cancelled(bed: &Bed) {
    let mut submission = forest("root; a ^root; b ^root; c ^root <b; other; d ^other <b");
    submission.trees[0].options.timeout_seconds = Some(2.5);
    bed.insert(submission).await;
    let held = bed.claim(10).await;
    bed.settle(vec![done(&held[0], json!(1))]).await;
    let time = Duration::from_millis(2_500);
    assert_eq!(bed.pass(time.saturating_sub(ALMOST)).await, 0);
    assert_eq!(bed.pass(ALMOST).await, 1);
    assert_eq!(bed.states("root a b c").await, "cancelled completed cancelled cancelled");
    assert!(bed.record("b").await.error.expect("a reason").contains("timeout"));
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Cancelled));
    let late = bed.store.settle(vec![done(&held[1], json!(1))], None).await.expect("an answer");
    assert_eq!(late.refused.len(), 1);
    // The other tree has lost a need, and its parent goes on without the child.
    assert_eq!(bed.run_all(&[]).await, [["other"]]);
    assert_eq!(bed.run("other").await.outcome, Some(Outcome::Failed));

    bed.submit("quick").await;
    bed.run_all(&[]).await;
    assert_eq!(bed.pass(time).await, 0, "a run that has ended has no deadline");
}

/// Whoever looks after time does so in steps.
pub async fn time_acts_on_a_bounded_number_at_once(bed: &Bed) {
    bed.submit("a; b; c; d; e").await;
    assert_eq!(bed.claim(5).await.len(), 5);
    bed.clock.advance(LEASE);
    let mut steps = Vec::new();
    for _ in 0..4 {
        steps.push(bed.store.lapse(2).await.expect("time passes"));
    }
    assert_eq!(steps, [2, 2, 1, 0]);
    assert_eq!(bed.claim(10).await.len(), 5);
}

/// Recovery takes from the dead, not from whoever claims through this very store.
pub async fn the_work_of_the_living_is_left_alone(bed: &Bed) {
    bed.submit("a").await;
    let held = bed.claim_one().await;
    assert_eq!(bed.store.recover().await.expect("a look"), 0);
    bed.settle(vec![done(&held, json!(1))]).await;
}
