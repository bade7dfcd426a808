//! When a task becomes ready: dependencies, structure, and both.

use apflow_core::task::Outcome;
use serde_json::json;

use super::{Bed, bed::ids, done, failed};

/// One, two beside one another, one.
pub async fn a_diamond_runs_in_order(bed: &Bed) {
    bed.submit("a; b <a; c <a; d <b <c").await;
    assert_eq!(bed.states("a b c d").await, "ready blocked blocked blocked");
    assert_eq!(bed.record("d").await.waiting_for, ["b".into(), "c".into()]);
    assert_eq!(bed.run_all(&[]).await, [vec!["a"], vec!["b", "c"], vec!["d"]]);
    let run = bed.run("a").await;
    assert_eq!((run.completed, run.total, run.running), (1, 1, false));
}

/// What must complete and did not keeps its dependents from running (I7).
pub async fn a_required_need_must_complete(bed: &Bed) {
    bed.submit("a; b; c <a <b; d <c").await;
    assert_eq!(bed.run_all(&["a"]).await, [["a", "b"]]);
    assert_eq!(bed.states("c d").await, "blocked blocked");
    let record = bed.record("c").await;
    assert_eq!((record.failed_needs, record.waiting_for), (vec!["a".into()], Vec::new()));
    assert_eq!(bed.record("d").await.waiting_for, ["c".into()]);
}

/// What only has to end may end in any way (ruling 3).
pub async fn an_optional_need_only_has_to_end(bed: &Bed) {
    bed.submit("ok; broken; stopped; last ?ok ?broken ?stopped").await;
    let held = bed.claim(10).await;
    bed.settle(vec![done(&held[0], json!(1)), failed(&held[1])]).await;
    assert_eq!(bed.record("last").await.waiting_for, ["stopped".into()]);
    bed.cancel("stopped").await;
    assert_eq!(ids(&bed.claim(10).await), ["last"]);
}

/// Structure orders, whatever becomes of the children (ruling 2).
pub async fn a_parent_comes_after_its_children(bed: &Bed) {
    bed.submit("root; a ^root; b ^root; c ^b").await;
    assert_eq!(bed.run_all(&["c"]).await, [vec!["a", "c"], vec!["b"], vec!["root"]]);
    assert_eq!(bed.states("root a b c").await, "completed completed completed failed");
}

/// Then the parent goes first, for order by structure is soft (ruling 1).
pub async fn a_child_may_depend_on_its_parent(bed: &Bed) {
    bed.submit("root; a ^root <root; b ^root; c ^a <b").await;
    assert_eq!(bed.run_all(&[]).await, [vec!["b"], vec!["root", "c"], vec!["a"]]);
}

/// With `join: any` the first completed need is enough, and the rest come too late.
pub async fn any_one_completed_need_is_enough(bed: &Bed) {
    bed.submit("a; b; c; d any <a <b <c; e <d").await;
    let held = bed.claim(3).await;
    bed.settle(vec![failed(&held[0])]).await;
    assert_eq!(bed.states("d").await, "blocked");
    let next = bed.settle_and_claim(vec![done(&held[1], json!(1))], 10).await.claimed;
    assert_eq!(ids(&next), ["d"]);
    bed.settle(vec![done(&held[2], json!(2)), done(&next[0], json!(3))]).await;
    assert_eq!(bed.run_all(&[]).await, [["e"]]);
    assert_eq!(bed.states("a b c d e").await, "failed completed completed completed completed");
}

/// None of several is not one of them.
pub async fn a_join_any_whose_needs_all_failed_stays_blocked(bed: &Bed) {
    bed.submit("a; b; c any <a <b").await;
    assert_eq!(bed.run_all(&["a", "b"]).await, [["a", "b"]]);
    assert_eq!(bed.states("c").await, "blocked");
    assert!(!bed.run("c").await.running);
}

/// The example of the Python README: `merge` hangs under `a` and needs both roots (ruling 1).
pub async fn trees_of_one_submission_may_depend_on_one_another(bed: &Bed) {
    bed.submit("a; b; merge ^a <a <b").await;
    assert_eq!(bed.run_all(&[]).await, [vec!["a", "b"], vec!["merge"]]);
    let (first, second) = (bed.run("a").await, bed.run("b").await);
    assert_eq!((first.tree.id.as_str(), first.total, first.completed), ("tree-a", 2, 2));
    assert_eq!((second.tree.id.as_str(), second.total, second.completed), ("tree-b", 1, 1));
    assert_eq!(first.outcome, Some(Outcome::Completed));
    assert_eq!(second.outcome, Some(Outcome::Completed));

    bed.submit("x; y; x1 ^x <y1; y1 ^y; y2 ^y <x").await;
    assert_eq!(bed.run_all(&["y1"]).await, [vec!["y1"], vec!["x"], vec!["y2"], vec!["y"]]);
    assert_eq!(bed.states("x x1 y y1 y2").await, "completed blocked completed failed completed");
    assert_eq!(bed.run("x").await.outcome, Some(Outcome::Failed));
    assert_eq!(bed.run("y").await.outcome, Some(Outcome::Failed));
}

/// A child that can never run does not hold its parent for ever.
pub async fn a_parent_is_released_when_a_child_can_never_run(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a; slow ^root").await;
    let held = bed.claim(10).await;
    assert_eq!(ids(&held), ["a", "slow"]);
    bed.settle(vec![failed(&held[0])]).await;
    assert_eq!(bed.states("root b").await, "blocked blocked");
    let next = bed.settle_and_claim(vec![done(&held[1], json!(1))], 10).await.claimed;
    assert_eq!(ids(&next), ["root"]);
    assert!(bed.run("root").await.running);
    bed.settle(vec![done(&next[0], json!(1))]).await;
    let run = bed.run("root").await;
    assert_eq!((run.running, run.outcome), (false, Some(Outcome::Failed)));
    assert_eq!((run.failed_tasks, run.blocked_tasks), (vec!["a".into()], vec!["b".into()]));
}

/// Released parents keep their order among themselves.
pub async fn parents_are_released_from_the_leaves_up(bed: &Bed) {
    bed.submit("top; mid ^top; low ^mid; stuck ^low <bad; bad ^top; needs ^top <mid").await;
    let rounds = bed.run_all(&["bad"]).await;
    assert_eq!(rounds, [vec!["bad"], vec!["low"], vec!["mid"], vec!["needs"], vec!["top"]]);
}
