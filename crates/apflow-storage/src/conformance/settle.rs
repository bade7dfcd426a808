//! Reporting how an attempt ended.

use std::time::Duration;

use apflow_core::{
    id::{LeaseToken, Seq},
    store::{Claimed, Refusal, Settlement},
    task::{FailureKind, State, StateName},
    transition::Refused,
};
use serde_json::json;

use super::{
    Bed,
    bed::{LEASE, ids, stumbled},
    done, failed, handed_back, parked,
};

fn stale(held: &Claimed, current: LeaseToken) -> Refusal {
    Refusal { seq: held.seq, why: Refused::StaleLease { held: held.lease, current } }
}

/// Whoever lost a lease changes nothing any more, whatever it reports.
pub async fn a_stale_lease_settles_nothing(bed: &Bed) {
    bed.submit("a; b <a").await;
    let lost = bed.claim_one().await;
    assert_eq!(bed.pass(LEASE).await, 1);
    let held = bed.claim_one().await;
    assert!(held.lease > lost.lease);
    let before = bed.record("a").await;
    let reports = vec![
        done(&lost, json!("late")),
        failed(&lost),
        stumbled(&lost, Some(Duration::from_secs(1))),
        parked(&lost, None),
        handed_back(&lost),
    ];
    let settled = bed.store.settle(reports, None).await.expect("an answer");
    assert_eq!(settled.refused, vec![stale(&lost, held.lease); 5]);
    assert_eq!(bed.record("a").await, before);
    bed.settle(vec![done(&held, json!("fresh"))]).await;
    assert_eq!(bed.record("a").await.result, Some(json!("fresh")));
    assert_eq!(bed.run_all(&[]).await, [["b"]]);
}

/// A report counts once, also if the worker never heard that it was taken.
pub async fn a_second_report_is_refused(bed: &Bed) {
    bed.submit("a; b <a; c <a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![done(&held, json!(1))]).await;
    let again = bed.store.settle(vec![done(&held, json!(2))], None).await.expect("an answer");
    assert_eq!(again.refused, [stale(&held, held.lease)]);
    assert_eq!(bed.record("a").await.result, Some(json!(1)));
    assert_eq!(bed.run_all(&[]).await, [["b", "c"]]);
}

/// Two reports of one task in one batch are one report and one refusal.
pub async fn the_first_of_two_reports_in_one_batch_counts(bed: &Bed) {
    bed.submit("a; b <a").await;
    let held = bed.claim_one().await;
    let both = vec![done(&held, json!("first")), done(&held, json!("second"))];
    let settled = bed.store.settle(both, Some(bed.wish(10))).await.expect("an answer");
    assert_eq!(settled.refused, [stale(&held, held.lease)]);
    assert_eq!(settled.claimed[0].needs[0].result.as_deref(), Some(&json!("first")));
    assert_eq!(bed.record("a").await.result, Some(json!("first")));
}

/// A refusal names its item; the others are durable.
pub async fn one_refused_item_leaves_its_batch_intact(bed: &Bed) {
    bed.submit("a; b; c; d <a <c").await;
    let held = bed.claim(3).await;
    let nobody = Settlement { seq: Seq(9_999_999), ..done(&held[0], json!(0)) };
    let wrong = Settlement { lease: LeaseToken(999), ..done(&held[1], json!(0)) };
    let batch = vec![done(&held[0], json!(1)), nobody, wrong, done(&held[2], json!(3))];
    let settled = bed.store.settle(batch, Some(bed.wish(10))).await.expect("an answer");
    assert_eq!(
        settled.refused,
        [
            Refusal { seq: Seq(9_999_999), why: Refused::NoSuchTask },
            Refusal {
                seq: held[1].seq,
                why: Refused::StaleLease { held: LeaseToken(999), current: held[1].lease }
            },
        ]
    );
    assert_eq!(ids(&settled.claimed), ["d"]);
    assert_eq!(bed.states("a b c d").await, "completed running completed running");
}

/// What was refused is nobody's input.
pub async fn a_refused_result_never_reaches_a_dependent(bed: &Bed) {
    bed.submit("a; b; c <a <b").await;
    let first = bed.claim(2).await;
    bed.pass(LEASE).await;
    let held = bed.claim(2).await;
    assert_eq!(ids(&held), ["a", "b"]);
    bed.settle(vec![done(&held[0], json!("true"))]).await;
    // The stale report comes with the one that sets the dependent free.
    let batch = vec![done(&held[1], json!("b")), done(&first[0], json!("false"))];
    let settled = bed.store.settle(batch, Some(bed.wish(10))).await.expect("an answer");
    assert_eq!(settled.refused.len(), 1);
    let seen: Vec<_> = settled.claimed[0].needs.iter().map(|need| need.result.as_deref()).collect();
    assert_eq!(seen, [Some(&json!("true")), Some(&json!("b"))]);
}

/// A worker that shuts down costs a task nothing.
pub async fn a_task_that_was_handed_back_was_not_tried(bed: &Bed) {
    bed.submit("a x1").await;
    let held = bed.claim_one().await;
    bed.settle(vec![handed_back(&held)]).await;
    let record = bed.record("a").await;
    assert_eq!((record.task.state.name(), record.task.attempts), (StateName::Ready, 0));
    assert!(record.task.token > held.lease);
    let again = bed.claim_one().await;
    assert_eq!(again.attempt, 1);
    assert!(again.lease > held.lease);
    let late = bed.store.settle(vec![done(&held, json!(0))], None).await.expect("an answer");
    assert_eq!(late.refused, [stale(&held, again.lease)]);
    bed.settle(vec![done(&again, json!(1))]).await;
    assert!(bed.happened("tree-a").await.contains(&"task_reassigned:a".to_owned()));
}

/// A wait is a row, not a worker.
pub async fn a_parked_task_holds_no_worker_and_keeps_its_run_going(bed: &Bed) {
    bed.submit("a; b <a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![parked(&held, None)]).await;
    let record = bed.record("a").await;
    let State::Waiting { wait, until } = &record.task.state else {
        panic!("it is {:?}", record.task.state)
    };
    assert_eq!((wait.detail.clone(), *until), (json!({ "question": "really?" }), None));
    assert_eq!(record.task.state.status().as_str(), "in_progress");
    assert!(bed.run("a").await.running);
    assert!(bed.claim(10).await.is_empty());
    assert_eq!(bed.pass(Duration::from_hours(24)).await, 0, "it waits as long as it takes");
    let late = bed.store.settle(vec![done(&held, json!(0))], None).await.expect("an answer");
    assert_eq!(late.refused, [stale(&held, held.lease)]);
}

/// A failure is an attempt; the last one is the failure of the task.
pub async fn an_attempt_that_failed_is_tried_again_while_attempts_are_left(bed: &Bed) {
    bed.submit("a x3; b x3").await;
    let delay = Duration::from_secs(5);
    for attempt in 1..=2 {
        let held = bed.claim(2).await;
        assert_eq!(held[0].attempt, attempt);
        bed.settle(vec![stumbled(&held[0], Some(delay))]).await;
        let until = bed.record("a").await.task.state.wake_at();
        assert_eq!(until, Some(held[0].now.after(delay)));
        if attempt == 1 {
            // A failure that is never retried ends the task whatever attempts are left.
            bed.settle(vec![failed(&held[1])]).await;
            assert_eq!(bed.state("b").await, StateName::Failed);
        }
        assert!(bed.claim(10).await.is_empty(), "the delay has to pass");
        assert_eq!(bed.pass(delay).await, 1);
    }
    let last = bed.claim_one().await;
    bed.settle(vec![stumbled(&last, Some(delay))]).await;
    let record = bed.record("a").await;
    let State::Failed { failure } = &record.task.state else { panic!("{:?}", record.task.state) };
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Executor, "it broke"));
    assert_eq!((record.task.attempts, record.error.as_deref()), (3, Some("it broke")));
}
