//! Beginning a run, for the first time and again (ruling 12).

use std::time::Duration;

use apflow_core::{
    store::{EventKind, StoreError},
    task::{Outcome, Status},
};
use serde_json::json;

use super::{Bed, bed::ids, done};

const MOMENT: Duration = Duration::from_secs(1);

/// Nothing runs by being stored.
pub async fn what_is_stored_waits_to_be_asked(bed: &Bed) {
    bed.put("root; a ^root").await;
    assert_eq!(bed.states("root a").await, "created created");
    assert!(bed.claim(10).await.is_empty());
    let started = bed.start("root").await.expect("it starts");
    assert_eq!((started.tree.as_str(), started.root.as_str()), ("tree-root", "root"));
    assert_eq!(started.tasks, 2);
    assert_eq!(bed.states("root a").await, "blocked ready");
    assert_eq!(bed.run_all(&[]).await, [["a"], ["root"]]);
    assert_eq!(bed.run("root").await.run, 1);
}

/// One run of a submission at a time (ruling 21).
pub async fn a_second_run_waits_for_the_first(bed: &Bed) {
    bed.submit("root; a ^root; other").await;
    let refused = bed.start("root").await.expect_err("it is running");
    assert!(matches!(&refused, StoreError::AlreadyRunning { root } if root.as_str() == "root"));
    let refused = bed.start("a").await.expect_err("its tree is running");
    assert!(matches!(&refused, StoreError::AlreadyRunning { root } if root.as_str() == "root"));
    let held = bed.claim(10).await;
    let retry = super::bed::stumbled(&held[0], Some(MOMENT));
    bed.settle(vec![retry, super::parked(&held[1], None)]).await;
    assert!(bed.start("other").await.is_err(), "a parked task keeps its run going");
    assert_eq!(bed.count_of("tree-root", EventKind::RunStarted).await, 1);
}

/// A second run repairs the first one; what is done stays done.
pub async fn a_second_run_takes_what_failed_its_dependents_and_what_never_ran(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a; c ^root; d ^root <c; e ^root ?a").await;
    bed.run_all(&["a"]).await;
    let states = bed.states("root a b c d e").await;
    assert_eq!(states, "completed failed blocked completed completed completed");
    bed.clock.advance(MOMENT);
    let started = bed.start("root").await.expect("it starts again");
    assert_eq!(started.tasks, 4, "a, b, e and root");
    assert_eq!(bed.run_all(&[]).await, [vec!["a"], vec!["b", "e"], vec!["root"]]);
    let run = bed.run("root").await;
    assert_eq!((run.run, run.outcome, run.completed), (2, Some(Outcome::Completed), 6));
    assert_eq!((run.failed_tasks, run.blocked_tasks), (Vec::new(), Vec::new()));
}

/// Doing everything twice has to be meant.
pub async fn a_completed_tree_runs_again_only_if_asked(bed: &Bed) {
    bed.submit("root; a ^root").await;
    bed.run_all(&[]).await;
    bed.clock.advance(MOMENT);
    assert_eq!(bed.start("root").await.expect("an answer").tasks, 0);
    let run = bed.run("root").await;
    assert_eq!((run.run, run.running), (1, false));
    assert_eq!(bed.begin("root", true).await.expect("an answer").tasks, 2);
    assert_eq!(bed.run_all(&[]).await, [["a"], ["root"]]);
    assert_eq!(bed.run("root").await.run, 2);
    assert_eq!(bed.count_of("tree-root", EventKind::Completed).await, 4);
}

/// A child brings what it depends on and no more.
pub async fn a_child_runs_with_its_closure_and_nothing_else(bed: &Bed) {
    bed.put("root; a ^root; b ^root <a; c ^root <b; sibling ^root; below ^c; other").await;
    let started = bed.start("c").await.expect("it starts");
    assert_eq!((started.tasks, started.root.as_str()), (3, "root"));
    assert_eq!(bed.run_all(&[]).await, [["a"], ["b"], ["c"]]);
    let states = bed.states("root sibling below other").await;
    assert_eq!(states, "created created created created");
    let run = bed.run("c").await;
    assert_eq!((run.outcome, run.completed, run.total), (Some(Outcome::Completed), 3, 6));
    assert_eq!(bed.run("other").await.run, 0);
}

/// What a run of a child does not want stands as if it had never been asked.
pub async fn a_run_of_a_child_leaves_the_rest_as_it_was(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a; c ^root; d ^root <c").await;
    bed.run_all(&["a", "c"]).await;
    assert_eq!(bed.states("a b c d root").await, "failed blocked failed blocked completed");
    bed.clock.advance(MOMENT);
    assert_eq!(bed.start("b").await.expect("it starts").tasks, 2, "a and b");
    assert_eq!(bed.run_all(&[]).await, [["a"], ["b"]]);
    let states = bed.states("a b c d").await;
    assert_eq!(states, "completed completed failed created");
    let run = bed.run("root").await;
    assert_eq!((run.running, run.outcome), (false, Some(Outcome::Completed)));
}

/// What failed in an earlier run is not held against this one.
pub async fn a_run_names_only_its_own_failures(bed: &Bed) {
    bed.submit("root; a ^root; b ^root").await;
    bed.run_all(&["a", "b"]).await;
    assert_eq!(bed.run("root").await.failed_tasks, ["a".into(), "b".into()]);
    bed.clock.advance(MOMENT);
    bed.start("b").await.expect("it starts");
    bed.run_all(&["b"]).await;
    let run = bed.run("root").await;
    assert_eq!((run.outcome, run.failed_tasks), (Some(Outcome::Failed), vec!["b".into()]));
}

/// Cancelled means cancelled (ruling 32).
pub async fn a_cancelled_task_never_runs_again(bed: &Bed) {
    bed.submit("root; a ^root; b ^root").await;
    bed.cancel("a").await;
    bed.run_all(&[]).await;
    bed.clock.advance(MOMENT);
    assert_eq!(bed.start("root").await.expect("an answer").tasks, 0);
    assert_eq!(bed.start("a").await.expect("an answer").tasks, 0);
    bed.begin("root", true).await.expect("it runs again");
    assert_eq!(bed.run_all(&[]).await, [["b"], ["root"]]);
    assert_eq!(bed.states("a").await, "cancelled");
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Completed), "this run lost nothing");
}

/// A reset is the way back for what was cancelled or failed.
pub async fn a_task_that_was_reset_runs_again(bed: &Bed) {
    bed.submit("root; a ^root; b ^root").await;
    let held = bed.claim(10).await;
    bed.cancel("a").await;
    bed.settle(vec![super::failed(&held[1])]).await;
    bed.run_all(&[]).await;
    for task in ["a", "b"] {
        let before = bed.record(task).await.task.token;
        bed.set_status(task, Status::Pending).await.expect("it is reset");
        let record = bed.record(task).await;
        assert_eq!(record.task.state.name().as_str(), "created");
        assert!(record.task.token > before, "a late report is stale");
        assert_eq!((record.error, record.result, record.task.attempts), (None, None, 0));
    }
    bed.clock.advance(MOMENT);
    bed.start("root").await.expect("it starts");
    let rounds = bed.run_all(&[]).await;
    assert_eq!(rounds, [vec!["a", "b"], vec!["root"]]);
    let late = bed.store.settle(vec![done(&held[0], json!(0))], None).await.expect("an answer");
    assert_eq!(late.refused.len(), 1);
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Completed));
}

/// There has to be something to start.
pub async fn an_unknown_task_cannot_be_started(bed: &Bed) {
    let refused = bed.start("nobody").await.expect_err("there is none");
    assert!(matches!(&refused, StoreError::NoSuchTask(id) if id.as_str() == "nobody"));
}

/// A run stands for itself: attempts, results and errors begin anew.
pub async fn a_new_run_forgets_the_last_one(bed: &Bed) {
    bed.submit("a x2; b <a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![super::bed::stumbled(&held, Some(MOMENT))]).await;
    bed.pass(MOMENT).await;
    bed.run_all(&[]).await;
    let before = bed.record("a").await;
    assert_eq!(before.task.attempts, 2);
    bed.clock.advance(MOMENT);
    bed.begin("a", true).await.expect("it runs again");
    let record = bed.record("a").await;
    assert!(record.task.token > before.task.token);
    assert_eq!((record.task.attempts, record.result, record.progress), (0, None, 0.0));
    assert_eq!((record.task.started_at, record.task.completed_at), (None, None));
    assert_eq!(bed.record("b").await.result, None);
    let next = bed.claim(10).await;
    assert_eq!((ids(&next), next[0].attempt), (vec!["a".to_owned()], 1));
}
