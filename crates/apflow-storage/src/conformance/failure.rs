//! What the failure of one task does to the rest (ruling 7).

use apflow_core::{
    store::EventKind,
    task::{OnFailure, Outcome},
};
use serde_json::json;

use super::{Bed, bed::ids, done, failed};

/// By default a failure stays in its branch.
pub async fn dependents_of_a_failure_stay_blocked_and_the_rest_finishes(bed: &Bed) {
    bed.submit("a; b <a; c; d <c; e ?a").await;
    assert_eq!(bed.run_all(&["a"]).await, [vec!["a", "c"], vec!["d", "e"]]);
    assert_eq!(bed.states("a b c d e").await, "failed blocked completed completed completed");
    assert_eq!(bed.record("b").await.task.state.status().as_str(), "pending");
}

/// The summary of a run that failed says why.
pub async fn a_run_that_failed_names_what_failed_and_what_is_blocked(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a; c ^root <b; d ^root").await;
    let held = bed.claim(10).await;
    bed.settle(vec![failed(&held[0])]).await;
    let going = bed.run("root").await;
    assert_eq!((going.running, going.outcome), (true, None));
    assert_eq!(going.failed_tasks, ["a".into()]);
    assert_eq!(going.blocked_tasks, [], "nothing is blocked for good while the run goes on");
    bed.settle(vec![done(&held[1], json!(1))]).await;
    bed.run_all(&[]).await;
    let run = bed.run("root").await;
    assert_eq!((run.outcome, run.running, run.completed), (Some(Outcome::Failed), false, 2));
    assert_eq!(run.failed_tasks, ["a".into()]);
    assert_eq!(run.blocked_tasks, ["b".into(), "c".into()]);
    assert_eq!(run.finished_at, run.started_at, "the clock stood still");
    assert_eq!(bed.count_of("tree-root", EventKind::RunFinished).await, 1);
}

/// The first failure stops the tree, also what runs at that moment.
pub async fn fail_fast_cancels_whatever_has_not_ended(bed: &Bed) {
    let text = "root; a ^root; b ^root <a; c ^root; d ^root x2; e ^root ?a";
    bed.submit_where(OnFailure::FailFast, text).await;
    let held = bed.claim(10).await;
    assert_eq!(ids(&held), ["a", "c", "d"]);
    bed.settle(vec![done(&held[1], json!(1))]).await;
    bed.settle(vec![failed(&held[0])]).await;
    let states = bed.states("root a b c d e").await;
    assert_eq!(states, "cancelled failed cancelled completed cancelled cancelled");
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Failed));
    assert!(bed.record("b").await.error.expect("a reason").contains("fail_fast"));
    let late = bed.store.settle(vec![done(&held[2], json!(2))], None).await.expect("an answer");
    assert_eq!(late.refused.len(), 1, "what ran has lost its lease");
    assert!(bed.claim(10).await.is_empty());
}

/// The option belongs to a tree, not to a submission.
pub async fn fail_fast_stays_within_its_tree(bed: &Bed) {
    bed.submit_where(OnFailure::FailFast, "x; y; a ^x; b ^x; c ^y; d ^y <a").await;
    let held = bed.claim(10).await;
    assert_eq!(ids(&held), ["a", "b", "c"]);
    bed.settle(vec![failed(&held[0])]).await;
    assert_eq!(bed.states("x a b").await, "cancelled failed cancelled");
    assert_eq!(bed.states("y c d").await, "blocked running blocked");
    bed.settle(vec![done(&held[2], json!(1))]).await;
    assert_eq!(bed.run_all(&[]).await, [["y"]], "d can never run, so y goes on without it");
    assert_eq!(bed.run("y").await.blocked_tasks, ["d".into()]);
}

/// Dependents are closed instead of left waiting, through every generation.
pub async fn skip_dependents_skips_them_and_the_rest_finishes(bed: &Bed) {
    let text = "root; a ^root; b ^root <a; c ^root <b; d ^root; e ^root <d";
    bed.submit_where(OnFailure::SkipDependents, text).await;
    assert_eq!(bed.run_all(&["a"]).await, [vec!["a", "d"], vec!["e"], vec!["root"]]);
    let states = bed.states("root a b c d e").await;
    assert_eq!(states, "completed failed skipped skipped completed completed");
    let record = bed.record("c").await;
    assert_eq!(record.task.state.status().as_str(), "cancelled");
    assert!(record.error.is_some_and(|why| !why.is_empty()), "it says why");
    let run = bed.run("root").await;
    assert_eq!((run.outcome, run.blocked_tasks), (Some(Outcome::Failed), Vec::new()));
}

/// A skipped task has ended, and that is all an optional dependent waits for.
pub async fn an_optional_dependent_of_a_skipped_task_runs(bed: &Bed) {
    bed.submit_where(OnFailure::SkipDependents, "a; b <a; c ?b; d any <a <e; e").await;
    assert_eq!(bed.run_all(&["a"]).await, [vec!["a", "e"], vec!["c", "d"]]);
    assert_eq!(bed.states("a b c d e").await, "failed skipped completed completed completed");
}
