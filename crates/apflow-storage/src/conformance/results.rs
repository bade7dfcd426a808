//! What a task returns, where it lies, and who is handed it.

use apflow_core::{
    store::{Claimed, Ended, Settlement},
    task::{Failure, FailureKind},
};
use serde_json::{Value, json};
use std::time::Duration;

use super::{
    Bed,
    bed::{ids, stumbled},
    done, failed,
};

fn handed(held: &Claimed) -> Vec<(String, Option<Value>)> {
    held.needs
        .iter()
        .map(|need| {
            (need.id.as_str().to_owned(), need.result.as_ref().map(|value| Value::clone(value)))
        })
        .collect()
}

fn some(id: &str, value: Value) -> (String, Option<Value>) {
    (id.to_owned(), Some(value))
}

/// The order is that of the dependencies, not that of submission or of completion.
pub async fn results_are_handed_over_in_the_authors_order(bed: &Bed) {
    bed.submit("a; b; c; d <c <a ?b").await;
    let held = bed.claim(10).await;
    assert_eq!(ids(&held), ["a", "b", "c"]);
    for (held, value) in held.iter().zip([1, 2, 3]).rev() {
        bed.settle(vec![done(held, json!(value))]).await;
    }
    let last = bed.claim_one().await;
    assert_eq!(handed(&last), [some("c", json!(3)), some("a", json!(1)), some("b", json!(2))]);
    assert!(last.needs.iter().all(|need| need.completed));
}

/// A result that was reported a moment ago counts as much as one that lies in the table.
pub async fn results_settled_in_the_same_transaction_are_handed_over(bed: &Bed) {
    let mut submission = super::forest("a; b; c; d <c <a <b");
    submission.tasks[1].definition.params.insert("executor_id".to_owned(), json!("x"));
    bed.insert(submission).await;
    let held = bed.claim(10).await;
    bed.settle(vec![done(&held[1], json!("early"))]).await;
    let reports = vec![done(&held[0], json!({ "n": 1 })), done(&held[2], json!([3]))];
    let next = bed.settle_and_claim(reports, 10).await.claimed;
    assert_eq!(
        handed(&next[0]),
        [some("c", json!([3])), some("a", json!({ "n": 1 })), some("b", json!("early"))]
    );
    let executors: Vec<_> = next[0].needs.iter().map(|need| need.executor.as_deref()).collect();
    assert_eq!(executors, [None, None, Some("x")]);
}

/// A task that returns nothing has completed all the same (ruling 3).
pub async fn a_null_result_is_a_result(bed: &Bed) {
    bed.submit("a; b; c <a <b").await;
    let held = bed.claim(10).await;
    bed.settle(vec![done(&held[0], Value::Null)]).await;
    let next = bed.settle_and_claim(vec![done(&held[1], Value::Null)], 10).await.claimed;
    assert_eq!(handed(&next[0]), [some("a", Value::Null), some("b", Value::Null)]);
    assert!(next[0].needs.iter().all(|need| need.completed));
    assert_eq!(bed.record("a").await.result, Some(Value::Null));
}

/// A parent waits for its children and is not given their results.
pub async fn structure_hands_nothing_over(bed: &Bed) {
    bed.submit("root <b; a ^root; b ^root").await;
    let held = bed.claim(10).await;
    let reports = held.iter().map(|held| done(held, json!(held.id.as_str()))).collect();
    let next = bed.settle_and_claim(reports, 10).await.claimed;
    assert_eq!(ids(&next), ["root"]);
    assert_eq!(handed(&next[0]), [some("b", json!("b"))]);
}

/// Only a completed need hands something over, whatever else lies beside its error.
pub async fn a_need_that_did_not_complete_hands_nothing_over(bed: &Bed) {
    bed.submit("a; b; c; d ?a ?b ?c").await;
    let held = bed.claim(10).await;
    let failure = Failure::new(FailureKind::Executor, "legacy");
    let outcome = Ended::Failed { failure, retry_after: None, result: json!({ "error": "x" }) };
    let legacy = Settlement { outcome, ..failed(&held[0]) };
    bed.settle(vec![legacy, done(&held[2], json!(3))]).await;
    bed.cancel("b").await;
    let last = bed.claim_one().await;
    let seen: Vec<_> = last.needs.iter().map(|need| need.completed).collect();
    assert_eq!(seen, [false, false, true]);
    assert_eq!(
        handed(&last),
        [("a".to_owned(), None), ("b".to_owned(), None), some("c", json!(3))]
    );
}

/// Results around and beyond one mebibyte are cut and joined without a seam.
pub async fn a_result_of_several_parts_comes_back_whole(bed: &Bed) {
    bed.submit("a; b; c; d; e <d <c <b <a").await;
    let held = bed.claim(10).await;
    let results = [
        Value::from("x".repeat((1 << 20) - 2)),
        Value::from("y".repeat((1 << 20) - 1)),
        // Two bytes a character, shifted so that a cut would fall inside of one.
        Value::from(format!("'{}", "é".repeat(3 << 19))),
        json!([{ "deep": "\u{1}\"".repeat(1 << 18), "more": "🦀".repeat(100_000) }]),
    ];
    bed.settle(vec![done(&held[0], results[0].clone()), done(&held[1], results[1].clone())]).await;
    let reports = vec![done(&held[2], results[2].clone()), done(&held[3], results[3].clone())];
    bed.settle(reports).await;
    for (id, result) in ["a", "b", "c", "d"].iter().zip(&results) {
        assert!(bed.record(id).await.result.as_ref() == Some(result), "{id} came back changed");
    }
    let last = bed.claim_one().await;
    for (need, result) in last.needs.iter().zip(results.iter().rev()) {
        assert!(need.result.as_deref() == Some(result), "{} was handed over changed", need.id);
    }
    let listed = bed.store.subtree(&"c".into()).await.expect("a subtree");
    assert!(listed[0].result.as_ref() == Some(&results[2]), "a list has it whole");
}

/// Nothing of an earlier, longer result is left over.
pub async fn a_shorter_result_replaces_a_longer_one(bed: &Bed) {
    bed.submit("a x2; b <a").await;
    let held = bed.claim_one().await;
    let failure = Failure::new(FailureKind::Executor, "once more");
    let retry_after = Some(Duration::from_secs(1));
    let result = Value::from("long".repeat(1 << 20));
    let outcome = Ended::Failed { failure, retry_after, result };
    bed.settle(vec![Settlement { outcome, ..failed(&held) }]).await;
    bed.pass(Duration::from_secs(1)).await;
    let again = bed.claim_one().await;
    let shorter = Value::from("short".repeat(300_000));
    bed.settle(vec![done(&again, shorter.clone())]).await;
    assert!(bed.record("a").await.result.as_ref() == Some(&shorter), "the second one, whole");
    let next = bed.claim_one().await;
    assert!(next.needs[0].result.as_deref() == Some(&shorter), "and it is handed over");
    bed.settle(vec![done(&next, json!(1))]).await;

    bed.clock.advance(Duration::from_secs(1));
    bed.begin("a", true).await.expect("it runs again");
    assert_eq!(bed.record("a").await.result, None, "a new run forgets it");
    let held = bed.claim_one().await;
    bed.settle(vec![done(&held, json!("tiny"))]).await;
    assert_eq!(bed.record("a").await.result, Some(json!("tiny")));
}

/// The caller's inputs stay as they were; what an attempt ran with is kept apart (ruling 9).
pub async fn resolved_inputs_lie_beside_the_callers(bed: &Bed) {
    let mut submission = super::forest("a x2");
    submission.tasks[0].definition.inputs.insert("n".to_owned(), json!(1));
    bed.insert(submission).await;
    let held = bed.claim_one().await;
    let resolved = json!({ "n": 1, "from": { "dep": [true] } });
    let resolved_inputs = resolved.as_object().cloned();
    bed.settle(vec![Settlement { resolved_inputs, ..done(&held, json!(1)) }]).await;
    let record = bed.record("a").await;
    assert_eq!(Value::from(record.resolved_inputs.clone().expect("they are kept")), resolved);
    assert_eq!(Value::from(record.definition.inputs.clone()), json!({ "n": 1 }));
    assert_eq!(Value::from(record.visible_inputs().clone()), resolved);
}

/// Legacy clients look for a result beside the error.
pub async fn a_result_beside_an_error_is_kept(bed: &Bed) {
    bed.submit("a; b").await;
    let held = bed.claim(2).await;
    let failure = Failure::new(FailureKind::Timeout, "");
    let outcome = Ended::Failed { failure, retry_after: None, result: json!({ "code": 7 }) };
    bed.settle(vec![Settlement { outcome, ..failed(&held[0]) }, stumbled(&held[1], None)]).await;
    let record = bed.record("a").await;
    assert_eq!(record.result, Some(json!({ "code": 7 })));
    assert_eq!(record.error.as_deref(), Some(FailureKind::Timeout.in_words()));
    assert_eq!(bed.record("b").await.result, None);
}
