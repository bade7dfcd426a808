//! Changing and deleting single tasks.

use std::time::Duration;

use apflow_core::{
    id::TaskId,
    store::{Patch, StoreError, TaskFilter},
    task::{Dependency, Outcome, Priority, Record, Status},
    transition::Refused,
};
use serde_json::{Map, Value, json};

use super::{
    Bed,
    bed::{LEASE, ids},
    done, failed, forest,
};

fn needs(ids: &[&str]) -> Patch {
    let dependency = |id: &&str| Dependency {
        id: TaskId::new(*id),
        required: true,
        plain: true,
        extra: Map::new(),
    };
    Patch { dependencies: Some(ids.iter().map(dependency).collect()), ..Patch::default() }
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("{value} is no object") };
    map
}

fn rejected(answer: Result<(), StoreError>) -> String {
    match answer {
        Err(
            error @ (StoreError::Rejected(_)
            | StoreError::Cycle { .. }
            | StoreError::UnknownDependency { .. }),
        ) => error.to_string(),
        other => panic!("it should have been rejected: {other:?}"),
    }
}

/// What a patch does not name stays.
pub async fn an_update_changes_what_it_names_and_nothing_else(bed: &Bed) {
    let mut submission = forest("a x3 !1");
    submission.tasks[0].definition.inputs = object(json!({ "n": 1 }));
    submission.tasks[0].definition.extra = object(json!({ "mine": true }));
    bed.insert(submission).await;
    bed.run_all(&[]).await;
    let before = bed.record("a").await;
    bed.clock.advance(Duration::from_secs(1));
    bed.update("a", Patch { name: Some("new".to_owned()), ..Patch::default() }).await.expect("ok");
    let mut expected: Record = before.clone();
    "new".clone_into(&mut expected.definition.name);
    let after = bed.record("a").await;
    expected.updated_at = after.updated_at;
    assert_eq!(after, expected);
    assert!(after.updated_at > before.updated_at);

    let patch = Patch {
        inputs: Some(object(json!({ "m": [2] }))),
        params: Some(object(json!({ "executor_id": "x" }))),
        schemas: Some(Map::new()),
        result: Some(Some(json!({ "r": null }))),
        progress: Some(0.5),
        ..Patch::default()
    };
    bed.update("a", patch).await.expect("ok");
    let after = bed.record("a").await;
    assert_eq!(Value::from(after.definition.inputs.clone()), json!({ "m": [2] }));
    assert_eq!(after.definition.executor(), Some("x"));
    assert_eq!(after.result, Some(json!({ "r": null })));
    assert!((after.progress - 0.5).abs() < f64::EPSILON);
    assert_eq!(Value::from(after.definition.extra), json!({ "mine": true }));
    bed.update("a", Patch { result: Some(None), ..Patch::default() }).await.expect("ok");
    assert_eq!(bed.record("a").await.result, None);
    let nobody = bed.update("nobody", Patch::default()).await;
    assert!(matches!(nobody, Err(StoreError::NoSuchTask(_))));
}

/// Fields without a place of their own in a patch go by their name, groups field by field.
pub async fn an_authored_field_is_merged_by_its_name(bed: &Bed) {
    let mut submission = forest("a");
    submission.tasks[0].definition.schedule.schedule_type = Some("daily".to_owned());
    submission.tasks[0].definition.schedule.schedule_expression = Some("09:00".to_owned());
    bed.insert(submission).await;
    let definition = object(json!({
        "schedule": { "schedule_enabled": true },
        "durability": { "max_attempts": 4 },
        "timeout_seconds": 2.5,
    }));
    bed.update("a", Patch { definition, ..Patch::default() }).await.expect("ok");
    let record = bed.record("a").await;
    assert_eq!(record.definition.schedule.schedule_type.as_deref(), Some("daily"));
    assert!(record.definition.schedule.schedule_enabled);
    assert_eq!(record.definition.timeout_seconds, Some(2.5));
    assert_eq!(record.task.max_attempts, Some(4), "it counts from now on");
    let wrong = object(json!({ "timeout_seconds": "soon" }));
    let said = rejected(bed.update("a", Patch { definition: wrong, ..Patch::default() }).await);
    assert!(said.contains('a'), "{said}");
}

/// An update moves a task in the queue.
pub async fn a_new_priority_counts_at_the_next_claim(bed: &Bed) {
    bed.submit("a; b; c").await;
    let patch = Patch { priority: Some(Priority::URGENT), ..Patch::default() };
    bed.update("c", patch).await.expect("ok");
    assert_eq!(ids(&bed.claim(10).await), ["c", "a", "b"]);
    assert_eq!(bed.record("c").await.definition.priority, Priority::URGENT);
}

/// The graph can be changed as long as nobody runs it.
pub async fn dependencies_can_be_rewired_before_the_run(bed: &Bed) {
    bed.put("root; a ^root; b ^root; c ^root <a; other; far ^other").await;
    bed.update("c", needs(&["b", "far"])).await.expect("ok");
    let record = bed.record("c").await;
    let ids: Vec<_> = record.definition.dependencies.iter().map(|each| each.id.as_str()).collect();
    assert_eq!(ids, ["b", "far"]);
    bed.update("a", needs(&["c"])).await.expect("ok");
    bed.start("root").await.expect("it starts");
    let rounds = bed.run_all(&[]).await;
    assert_eq!(rounds, [vec!["b", "far"], vec!["c", "other"], vec!["a"], vec!["root"]]);
    bed.clock.advance(LEASE);
    bed.put("x; y ^x").await;
    bed.update("y", needs(&["x"])).await.expect("order by structure yields");
    bed.start("x").await.expect("it starts");
    assert_eq!(bed.run_all(&[]).await, [["x"], ["y"]]);
}

/// Tasks that wait for one another would wait for ever.
pub async fn a_loop_of_dependencies_is_refused(bed: &Bed) {
    bed.put("a; b <a; c <b").await;
    let said = rejected(bed.update("a", needs(&["c"])).await);
    assert!(said.contains("Circular dependency detected involving task 'a'"), "{said}");
    let said = rejected(bed.update("a", needs(&["a"])).await);
    assert!(said.contains("Circular dependency"), "{said}");
    assert_eq!(bed.record("a").await.definition.dependencies, []);
    bed.start("a").await.expect("it starts");
    assert_eq!(bed.run_all(&[]).await, [["a"], ["b"], ["c"]]);
}

/// Dependencies stay within a submission.
pub async fn a_dependency_outside_the_submission_is_refused(bed: &Bed) {
    bed.put("a").await;
    bed.put("b").await;
    for id in ["b", "nobody"] {
        let said = rejected(bed.update("a", needs(&[id])).await);
        assert!(said.contains(&format!("Dependency reference '{id}' not found")), "{said}");
    }
}

/// The graph of a run does not change under it.
pub async fn dependencies_of_a_running_task_stay(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a").await;
    for task in ["a", "b"] {
        let said = rejected(bed.update(task, needs(&[])).await);
        assert!(said.contains("Cannot update 'dependencies'"), "{said}");
    }
    assert_eq!(bed.run_all(&[]).await, [["a"], ["b"], ["root"]]);
    let said = rejected(bed.update("a", needs(&[])).await);
    assert!(said.contains("'completed' (must be 'pending')"), "{said}");
}

/// A status goes only where an arrow leads (ruling 6).
pub async fn a_status_that_cannot_follow_is_refused(bed: &Bed) {
    bed.put("root; a ^root; b ^root").await;
    let refused = |answer: Result<(), StoreError>| match answer {
        Err(StoreError::Refused { id, refused: Refused::OutOfOrder { .. } }) => id,
        other => panic!("it should have been refused: {other:?}"),
    };
    for status in [Status::Completed, Status::Failed] {
        assert_eq!(refused(bed.set_status("a", status).await), TaskId::new("a"));
    }
    bed.start("root").await.expect("it starts");
    bed.run_all(&["b"]).await;
    for status in [Status::Pending, Status::InProgress, Status::Failed, Status::Cancelled] {
        refused(bed.set_status("a", status).await);
    }
    for status in [Status::InProgress, Status::Completed, Status::Cancelled] {
        refused(bed.set_status("b", status).await);
    }
    bed.set_status("a", Status::Completed).await.expect("it is that already");
    assert_eq!(bed.states("a b").await, "completed failed");
}

/// Somebody may do a task by hand.
pub async fn a_task_that_is_taken_over_can_be_reported(bed: &Bed) {
    bed.put("a; b").await;
    for task in ["a", "b"] {
        bed.set_status(task, Status::InProgress).await.expect("taken over");
    }
    assert_eq!(bed.states("a b").await, "waiting waiting");
    assert!(bed.start("a").await.is_err(), "somebody is at it");
    let result = Some(Some(json!({ "by": "hand" })));
    let completed = Patch { status: Some(Status::Completed), result, ..Patch::default() };
    bed.update("a", completed).await.expect("reported");
    let error = Some(Some("too heavy".to_owned()));
    let broken = Patch { status: Some(Status::Failed), error, ..Patch::default() };
    bed.update("b", broken).await.expect("reported");
    let (a, b) = (bed.record("a").await, bed.record("b").await);
    assert_eq!(a.result, Some(json!({ "by": "hand" })));
    assert_eq!((b.task.state.name().as_str(), b.error.as_deref()), ("failed", Some("too heavy")));
    assert_eq!(a.definition.name, "a");
    let run = bed.run("a").await;
    assert_eq!((run.run, run.running, run.completed), (0, false, 1));
}

/// There is one kind of cancellation, whichever way it is asked for.
pub async fn a_task_cancelled_by_its_status_takes_others_along(bed: &Bed) {
    bed.submit("root; a ^root; a1 ^a; b ^root <a; c ^root").await;
    let held = bed.claim(1).await;
    assert_eq!(ids(&held), ["a1"]);
    bed.set_status("a", Status::Cancelled).await.expect("cancelled");
    assert_eq!(bed.states("a a1 b c root").await, "cancelled cancelled cancelled ready blocked");
    let late = bed.store.settle(vec![done(&held[0], json!(1))], None).await.expect("an answer");
    assert_eq!(late.refused.len(), 1);
    bed.run_all(&[]).await;
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Cancelled));
}

/// What ended without a result always says why (ruling 8).
pub async fn an_error_cannot_be_taken_from_a_task_that_failed(bed: &Bed) {
    bed.submit("a; b; c").await;
    bed.cancel("b").await;
    bed.run_all(&["a"]).await;
    for task in ["a", "b"] {
        for error in [None, Some(String::new())] {
            let said =
                rejected(bed.update(task, Patch { error: Some(error), ..Patch::default() }).await);
            assert!(said.contains("error"), "{said}");
        }
        let better = Some(Some("it was the cable".to_owned()));
        bed.update(task, Patch { error: better, ..Patch::default() }).await.expect("ok");
        assert_eq!(bed.record(task).await.error.as_deref(), Some("it was the cable"));
    }
    bed.update("c", Patch { error: Some(None), ..Patch::default() }).await.expect("ok");
    assert_eq!(bed.states("a b c").await, "failed cancelled completed");
    let reset = Patch { status: Some(Status::Pending), error: Some(None), ..Patch::default() };
    bed.update("a", reset).await.expect("a reset clears it");
    assert_eq!(bed.record("a").await.error, None);
}

/// Nobody has to explain, but an explanation there is.
pub async fn a_failure_that_is_reported_without_words_gets_some(bed: &Bed) {
    bed.put("a; b; c").await;
    for (task, error) in [("a", None), ("b", Some(None)), ("c", Some(Some(String::new())))] {
        bed.set_status(task, Status::InProgress).await.expect("taken over");
        let patch = Patch { status: Some(Status::Failed), error, ..Patch::default() };
        bed.update(task, patch).await.expect("reported");
        let record = bed.record(task).await;
        assert_eq!(record.error.as_deref(), Some("reported as failed"), "{task}");
    }
}

/// All of a patch, or nothing.
pub async fn a_refused_update_changes_nothing(bed: &Bed) {
    bed.put("a; b <a").await;
    let before = bed.record("a").await;
    let patch = Patch {
        name: Some("new".to_owned()),
        priority: Some(Priority::LOW),
        inputs: Some(object(json!({ "n": 1 }))),
        ..Patch::default()
    };
    let looped = Patch { dependencies: needs(&["b"]).dependencies, ..patch.clone() };
    rejected(bed.update("a", looped).await);
    let impossible = Patch { status: Some(Status::Completed), ..patch };
    bed.update("a", impossible).await.expect_err("it was never begun");
    assert_eq!(bed.record("a").await, before);
}

/// What was set back is not part of the run any more.
pub async fn a_reset_failure_no_longer_fails_the_run(bed: &Bed) {
    bed.submit("root; a ^root; b ^root").await;
    let held = bed.claim(10).await;
    bed.settle(vec![failed(&held[0])]).await;
    bed.set_status("a", Status::Pending).await.expect("it is reset");
    bed.settle(vec![done(&held[1], json!(1))]).await;
    bed.run_all(&[]).await;
    let run = bed.run("root").await;
    assert_eq!((run.outcome, run.failed_tasks), (Some(Outcome::Completed), Vec::new()));
    assert_eq!(bed.states("root a b").await, "completed created completed");
}

async fn delete(bed: &Bed, task: &str) -> Result<u32, StoreError> {
    bed.store.delete(&TaskId::new(task)).await
}

/// A task goes with all that hangs under it.
pub async fn a_pending_subtree_can_be_deleted(bed: &Bed) {
    bed.put("root; a ^root; a1 ^a; a2 ^a1; b ^root; other; c ^other <b").await;
    assert_eq!(delete(bed, "a").await.expect("deleted"), 3);
    assert_eq!(bed.store.record(&"a2".into()).await.expect("an answer"), None);
    assert_eq!(bed.run("root").await.total, 2);
    assert!(bed.record("root").await.has_children);
    assert!(matches!(delete(bed, "a").await, Err(StoreError::NoSuchTask(_))));
    assert_eq!(delete(bed, "c").await.expect("deleted"), 1);
    assert!(!bed.record("other").await.has_children);
    bed.start("root").await.expect("the rest runs");
    assert_eq!(bed.run_all(&[]).await, [vec!["b", "other"], vec!["root"]]);
    bed.put("whole; w ^whole").await;
    assert_eq!(delete(bed, "whole").await.expect("deleted"), 2);
    assert_eq!(bed.store.run_of_tree(&"tree-whole".into()).await.expect("an answer"), None);
    bed.submit("whole; w ^whole").await;
    assert_eq!(bed.run_all(&[]).await, [["w"], ["whole"]], "the ids are free again");
}

/// Each reason is named, with the tasks it is about.
pub async fn what_is_needed_or_not_pending_cannot_be_deleted(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a").await;
    bed.run_all(&["b"]).await;
    let said = |answer: Result<u32, StoreError>| rejected(answer.map(drop));
    let reasons = said(delete(bed, "root").await);
    assert!(reasons.starts_with("Cannot delete task: "), "{reasons}");
    assert!(
        reasons.contains("task has 2 non-pending children: [a: completed, b: failed]"),
        "{reasons}"
    );
    assert!(reasons.contains("task status is 'completed' (must be 'pending')"), "{reasons}");
    let reasons = said(delete(bed, "a").await);
    assert!(reasons.contains("task has dependent tasks and cannot be deleted"), "{reasons}");
    bed.put("x; y; z <x").await;
    assert!(said(delete(bed, "x").await).contains("dependent tasks"));
    assert_eq!(bed.store.count(&TaskFilter::default()).await.expect("counts").total(), 6);
}

/// Pending is not enough: a run may have it already.
pub async fn what_is_about_to_run_cannot_be_deleted(bed: &Bed) {
    bed.put("root; a ^root; b ^a; c ^root").await;
    bed.start("b").await.expect("it starts");
    assert_eq!(bed.states("root a b").await, "created created ready");
    for task in ["b", "a", "root"] {
        let said = rejected(delete(bed, task).await.map(drop));
        assert!(said.contains("running"), "{task}: {said}");
    }
    assert_eq!(delete(bed, "c").await.expect("it has nothing to do with the run"), 1);
    assert_eq!(bed.run_all(&[]).await, [["b"]]);
}

/// What is gone holds up nothing.
pub async fn a_deleted_blocked_task_does_not_fail_the_next_run(bed: &Bed) {
    bed.submit("root; a ^root; b ^root <a").await;
    bed.run_all(&["a"]).await;
    assert_eq!(bed.states("b").await, "blocked");
    assert_eq!(delete(bed, "b").await.expect("deleted"), 1);
    bed.clock.advance(LEASE);
    bed.start("root").await.expect("it starts");
    assert_eq!(bed.run_all(&[]).await, [["a"], ["root"]]);
    let run = bed.run("root").await;
    assert_eq!((run.outcome, run.total), (Some(Outcome::Completed), 2));
}

/// Else a worker that lost its task could report another one.
pub async fn a_place_in_the_order_is_never_given_twice(bed: &Bed) {
    bed.submit("a").await;
    let lost = bed.claim_one().await;
    bed.cancel("a").await;
    bed.set_status("a", Status::Pending).await.expect("reset");
    assert_eq!(delete(bed, "a").await.expect("deleted"), 1);
    bed.submit("b").await;
    let held = bed.claim_one().await;
    assert!(held.seq > lost.seq, "{} is not {}", held.seq, lost.seq);
    let late = bed.store.settle(vec![done(&lost, json!("a"))], None).await.expect("an answer");
    assert_eq!(late.refused[0].why, Refused::NoSuchTask);
    bed.settle(vec![done(&held, json!("b"))]).await;
    assert_eq!(bed.record("b").await.result, Some(json!("b")));
}
