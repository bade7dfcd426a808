//! Conditions and groups: what is passed over fails nothing, and a group says what its members mean.

use apflow_core::{
    store::{Claimed, Ended, Settlement, Submission},
    task::{Outcome, SkipCause, State, StateName},
};
use serde_json::{Value, json};

use super::{Bed, bed::ids, done, failed, forest};

fn passed_over(held: &Claimed) -> Settlement {
    let why = "its condition `false` does not hold".to_owned();
    Settlement::new(held.seq, held.lease, Ended::Skipped { why })
}

/// `g` with the members `a`, `b`, `c`, and `after`, which requires `g`.
fn group(words: &str, params: &Value) -> Submission {
    let mut submission =
        forest(&format!("root; g ^root ?a ?b ?c; a ^g; b ^g {words}; c ^g; after ^root <g"));
    let params = params.as_object().cloned().unwrap_or_default();
    submission.tasks[1].definition.params = params;
    submission.tasks[1].definition.params.insert("executor_id".to_owned(), json!("group"));
    submission
}

/// A condition is no failure: the run completes, and what only waited for an end goes on.
pub async fn what_a_condition_passes_over_fails_nothing(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a; c ^root <b; d ^root ?a; e ^root any <a <d").await;
    let held = bed.claim_one().await;
    assert_eq!(held.id.as_str(), "a");
    let next = bed.settle_and_claim(vec![passed_over(&held)], 10).await.claimed;
    assert_eq!(ids(&next), ["d"]);
    assert_eq!(bed.states("a b c e").await, "skipped skipped skipped blocked");
    let record = bed.record("c").await;
    let State::Skipped { why, cause } = record.task.state else { panic!("{record:?}") };
    assert_eq!(cause, SkipCause::Condition);
    assert!(why.contains("`false`"), "{why}");
    assert_eq!(bed.record("a").await.task.attempts, 0, "nothing was tried");
    bed.settle(vec![done(&next[0], json!(1))]).await;
    assert_eq!(bed.run_all(&[]).await, [["e"], ["root"]]);
    let run = bed.run("root").await;
    assert_eq!((run.outcome, run.running), (Some(Outcome::Completed), false));
}

/// A join of any one whose needs were all passed over is handed out, so that it can say so itself.
pub async fn a_join_any_without_any_is_asked_itself(bed: &Bed) {
    bed.submit("root; a ^root; b ^root; c ^root any <a <b").await;
    let held = bed.claim(10).await;
    bed.settle(held.iter().map(passed_over).collect()).await;
    let last = bed.claim_one().await;
    assert_eq!(last.id.as_str(), "c");
    assert!(last.needs.iter().all(|need| need.state == StateName::Skipped && !need.completed));
}

/// What was passed over is not run again by itself, and is asked again with what requires it.
pub async fn a_second_run_asks_a_condition_again_only_where_it_matters(bed: &Bed) {
    bed.submit("root; a ^root; b ^root; c ^root <a <b").await;
    let held = bed.claim(10).await;
    bed.settle(vec![passed_over(&held[0]), failed(&held[1])]).await;
    bed.run_all(&[]).await;
    assert_eq!(bed.states("a b c root").await, "skipped failed skipped completed");
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Failed));
    bed.begin("root", false).await.expect("b failed");
    assert_eq!(bed.run_all(&[]).await, [vec!["a", "b"], vec!["c"], vec!["root"]]);
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Completed));
}

/// The group decides; a run in which it completed has completed.
pub async fn a_member_that_fails_is_the_groups_business(bed: &Bed) {
    bed.insert(group("<a", &json!({"policy": "best_effort"}))).await;
    let held = bed.claim(10).await;
    assert_eq!(ids(&held), ["a", "c"]);
    bed.settle(vec![failed(&held[0]), done(&held[1], json!(3))]).await;
    assert_eq!(bed.states("a b c g").await, "failed skipped completed ready");
    let decides = bed.claim_one().await;
    let states: Vec<_> = decides.needs.iter().map(|need| need.state).collect();
    assert_eq!(states, [StateName::Failed, StateName::Skipped, StateName::Completed]);
    bed.settle(vec![done(&decides, json!({}))]).await;
    bed.run_all(&[]).await;
    let run = bed.run("root").await;
    assert_eq!((run.outcome, run.failed_tasks), (Some(Outcome::Completed), Vec::new()));
}

/// A group that fails is a failure like any other.
pub async fn a_group_that_fails_fails_the_run(bed: &Bed) {
    bed.insert(group("", &json!({"policy": "strict"}))).await;
    assert_eq!(bed.run_all(&["a", "g"]).await, [vec!["a", "b", "c"], vec!["g"], vec!["root"]]);
    assert_eq!(bed.states("g after").await, "failed blocked");
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Failed));
}

/// As soon as the policy cannot be met, the rest is stopped; not before.
pub async fn a_group_that_cannot_succeed_stops_its_members(bed: &Bed) {
    bed.insert(group("", &json!({"policy": {"at_least": 2}, "fail_fast": true}))).await;
    let held = bed.claim(10).await;
    bed.settle(vec![failed(&held[0])]).await;
    assert_eq!(bed.states("a b c g").await, "failed running running blocked");
    bed.settle(vec![failed(&held[1])]).await;
    assert_eq!(bed.states("a b c g").await, "failed failed cancelled ready");
    bed.run_all(&["g"]).await;
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Failed));
}
