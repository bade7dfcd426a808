//! Jumps, ends before their time, and runs that go on after a failure.

use apflow_core::{
    effect::Effect,
    store::{Claimed, EventKind, Settlement},
    task::{Begins, FailureKind, Outcome, StateName},
};
use serde_json::{Value, json};

use super::{
    Bed,
    bed::ids,
    done,
    effects::{asking, gathering, kind_of, spawn},
    failed, forest,
};

fn jump(held: &Claimed, to: &str) -> Settlement {
    asking(held, vec![Effect::Jump { to: to.to_owned(), data: json!({ "from": held.id }) }])
}

async fn submit_with_landing(bed: &Bed, text: &str, landings: &[&str]) {
    let mut submission = forest(text);
    for task in &mut submission.tasks {
        if landings.contains(&task.id.as_str()) {
            task.definition.start = Begins::OnJump;
        }
    }
    bed.insert(submission).await;
}

/// An agent and its tool call each other until the agent has its answer (S09).
pub async fn two_tasks_jump_to_one_another_until_one_is_done(bed: &Bed) {
    submit_with_landing(bed, "root; ask ^root; use ^root; answer ^root <ask", &["use"]).await;
    let held = bed.claim_one().await;
    assert_eq!(held.id.as_str(), "ask", "what begins on a jump waits for one");
    bed.settle(vec![jump(&held, "use")]).await;
    for cycle in 1..3 {
        let held = bed.claim_one().await;
        assert_eq!(held.id.as_str(), "use");
        assert_eq!(held.given.cycle_data.as_deref(), Some(&json!({ "from": "ask" })));
        bed.settle(vec![jump(&held, "ask")]).await;
        let held = bed.claim_one().await;
        assert_eq!((held.id.as_str(), held.given.cycle), ("ask", cycle));
        if cycle < 2 {
            bed.settle(vec![jump(&held, "use")]).await;
        } else {
            bed.settle(vec![done(&held, json!("found"))]).await;
        }
    }
    assert_eq!(bed.run_all(&[]).await, [["answer"], ["root"]]);
    let run = bed.run("root").await;
    assert_eq!((run.outcome, run.completed), (Some(Outcome::Completed), 4));
    assert_eq!(bed.count_of("tree-root", EventKind::Jumped).await, 4);
}

/// And it is what comes after the target that runs again, nothing else, in one tree or in several.
pub async fn a_jump_back_runs_again_what_comes_after_its_target(bed: &Bed) {
    bed.submit("before; a <before; b <a; beside <before; c <b; d <c <b").await;
    for name in ["before", "a", "b", "beside"] {
        let held = bed.claim(1).await;
        assert_eq!(ids(&held), [name]);
        bed.settle(vec![done(&held[0], json!(1))]).await;
    }
    let held = bed.claim_one().await;
    assert_eq!(held.id.as_str(), "c");
    bed.settle(vec![jump(&held, "a")]).await;
    assert_eq!(
        bed.states("before a b beside c d").await,
        "completed ready blocked completed blocked blocked"
    );
    assert_eq!(bed.run_all(&[]).await, [["a"], ["b"], ["c"], ["d"]]);
    assert_eq!(bed.run("before").await.run, 1);
    let again = bed.run("a").await;
    assert_eq!((again.run, again.outcome, again.completed), (2, Some(Outcome::Completed), 1));
}

/// Such a run has not failed.
pub async fn what_nobody_reached_is_skipped_at_the_end(bed: &Bed) {
    submit_with_landing(
        bed,
        "root; a ^root; b ^root <a; c ^root <b; x ^root; y ^root",
        &["x", "y"],
    )
    .await;
    let held = bed.claim_one().await;
    bed.settle(vec![jump(&held, "x")]).await;
    assert_eq!(bed.run_all(&[]).await, [["x"], ["root"]]);
    assert_eq!(
        bed.states("a b c x y root").await,
        "completed skipped skipped completed skipped completed"
    );
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Completed));
}

/// The jumper fails and says why.
pub async fn a_jump_that_cannot_be_made_fails_its_task(bed: &Bed) {
    bed.submit("a; b; c").await;
    let held = bed.claim(3).await;
    bed.settle(vec![jump(&held[0], "nowhere"), jump(&held[1], "c")]).await;
    for (task, word) in [("a", "no task of that id"), ("b", "at work")] {
        let record = bed.record(task).await;
        assert_eq!(kind_of(&record.task.state), Some(FailureKind::Effect));
        assert!(record.error.as_deref().is_some_and(|why| why.contains(word)), "{record:?}");
    }
    bed.settle(vec![done(&held[2], Value::Null)]).await;
}

/// The target counts its passes, whoever sends it round (S09, the variant with a budget).
pub async fn jumps_have_an_end(bed: &Bed) {
    let mut submission = forest("root; a ^root; b ^root <a");
    submission.tasks[1].definition.max_cycles = Some(2);
    bed.insert(submission).await;
    for round in 0..2 {
        let held = bed.claim_one().await;
        bed.settle(vec![done(&held, json!(round))]).await;
        let held = bed.claim_one().await;
        bed.settle(vec![jump(&held, "a")]).await;
    }
    let record = bed.record("b").await;
    assert_eq!(kind_of(&record.task.state), Some(FailureKind::CycleLimit));
    assert_eq!(bed.states("a").await, "completed");
}

/// What has not ended by then is not done, and that is no failure.
pub async fn a_finished_run_is_a_success(bed: &Bed) {
    bed.submit("root; a ^root; b ^root; c ^root <a").await;
    let held = bed.claim(2).await;
    bed.settle(vec![asking(&held[0], vec![spawn("x", false), Effect::Finish])]).await;
    assert_eq!(bed.states("root a b c").await, "skipped completed cancelled skipped");
    let run = bed.run("root").await;
    assert_eq!((run.outcome, run.running, run.total), (Some(Outcome::Completed), false, 4));
    let late = bed.store.settle(vec![done(&held[1], json!(1))], None).await.expect("an answer");
    assert_eq!(late.refused.len(), 1, "who was stopped has nothing to report");
}

/// The task that asked is cancelled with the rest.
pub async fn a_task_may_cancel_its_run(bed: &Bed) {
    bed.submit("root; a ^root; b ^root; c ^root <a; other; after <c").await;
    let held = bed.claim(3).await;
    assert_eq!(ids(&held), ["a", "b", "other"]);
    let reason = "no money".to_owned();
    bed.settle(vec![asking(&held[0], vec![Effect::CancelRun { reason }, Effect::Finish])]).await;
    assert_eq!(
        bed.states("root a b c after").await,
        "cancelled cancelled cancelled cancelled cancelled"
    );
    assert_eq!(bed.record("a").await.error.as_deref(), Some("no money"));
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Cancelled));
    assert_eq!(bed.states("other").await, "running");
}

/// What completed stays, what failed is tried again, and the gatherer goes on with both.
pub async fn a_run_that_goes_on_keeps_what_its_children_did(bed: &Bed) {
    bed.submit("a; b <a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![gathering(&held, "x; y; z <y")]).await;
    assert_eq!(bed.run_all(&["y", "a"]).await, [vec!["x", "y"], vec!["a"]]);
    assert_eq!(bed.states("a b x y z").await, "failed blocked completed failed blocked");

    bed.start("a").await.expect("it goes on");
    assert_eq!(bed.states("a x y z").await, "blocked completed ready blocked");
    let mut order = Vec::new();
    loop {
        let mut held = bed.claim(10).await;
        let Some(one) = held.pop() else { break };
        order.push(one.id.as_str().to_owned());
        if one.id.as_str() == "a" {
            let states: Vec<StateName> =
                one.given.gathered.iter().flatten().map(|each| each.state).collect();
            assert_eq!(states, [StateName::Completed; 3]);
            assert_eq!(one.given.rounds, 1, "it comes by the same gathering");
        }
        bed.settle(vec![done(&one, json!(2))]).await;
    }
    assert_eq!(order, ["y", "z", "a", "b"]);
    let run = bed.run("a").await;
    assert_eq!((run.total, run.completed, run.outcome), (4, 4, Some(Outcome::Completed)));
}

/// A spawner that runs afresh spawns afresh: what it spawned before is gone.
pub async fn a_spawner_that_runs_afresh_drops_what_it_spawned(bed: &Bed) {
    bed.submit("before; root; a <before ^root; b <a ^root").await;
    let held = bed.claim_one().await;
    bed.settle(vec![done(&held, json!(1))]).await;
    let held = bed.claim_one().await;
    bed.settle(vec![asking(&held, vec![spawn("x; y ^x", false)])]).await;
    bed.run_all(&[]).await;
    assert_eq!(
        bed.states("a b x y root").await,
        "completed completed completed completed completed"
    );

    bed.begin("root", true).await.expect("all of it runs again");
    assert_eq!(bed.run("root").await.total, 3);
    assert!(!bed.record("a").await.has_children);
    assert_eq!(bed.run_all(&[]).await, [vec!["before"], vec!["a"], vec!["b"], vec!["root"]]);
    let run = bed.run("root").await;
    assert_eq!((run.total, run.completed), (3, 3));
    let found = bed.store.record(&"x".into()).await.expect("an answer");
    assert!(found.is_none(), "what was spawned before is gone");
}

/// A child that failed is tried again by itself; its spawner is not.
pub async fn a_failed_child_runs_again_without_its_spawner(bed: &Bed) {
    bed.submit("a; b <a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![asking(&held, vec![spawn("x; y", false)])]).await;
    assert_eq!(bed.run_all(&["y"]).await, [["x", "y"]]);
    assert_eq!(bed.run("a").await.outcome, Some(Outcome::Failed));
    bed.start("a").await.expect("it goes on");
    assert_eq!(bed.run_all(&[]).await, [["y"], ["b"]]);
    let run = bed.run("a").await;
    assert_eq!((run.total, run.completed, run.outcome), (3, 3, Some(Outcome::Completed)));
}

/// It was reached once, so it is tried again where it is; who needs the jumper still waits.
pub async fn a_failure_after_a_jump_is_tried_again_where_it_happened(bed: &Bed) {
    submit_with_landing(bed, "root; ask ^root; use ^root; answer ^root <ask", &["use"]).await;
    let held = bed.claim_one().await;
    bed.settle(vec![jump(&held, "use")]).await;
    let held = bed.claim_one().await;
    bed.settle(vec![failed(&held)]).await;
    bed.run_all(&[]).await;
    assert_eq!(bed.states("ask use answer").await, "completed failed skipped");
    bed.start("root").await.expect("it goes on");
    assert_eq!(bed.states("ask use answer").await, "completed ready blocked");
    let held = bed.claim_one().await;
    assert_eq!(held.given.cycle_data.as_deref(), Some(&json!({ "from": "ask" })));
    bed.settle(vec![jump(&held, "ask")]).await;
    assert_eq!(bed.run_all(&[]).await, [["ask"], ["answer"], ["root"]]);
}
