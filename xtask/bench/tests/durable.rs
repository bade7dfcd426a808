//! Retries, waits, spawns, compensations and budgets, killed at their writes.

use apflow::prelude::Durability;
use apflow_bench::chaos::{
    durable::Durable,
    subject::{SPAWNED, Subject},
};

use crate::stage::{of, program};

/// Kills a subject at so many of its writes, spread evenly, the first and the last included.
async fn survives(subject: Subject, runs: u64) {
    let place = tempfile::tempdir().unwrap();
    let durable = Durable {
        subject,
        program: program(),
        place: place.path().to_owned(),
        durability: Durability::Strict,
    };
    let undisturbed = durable.undisturbed().await.unwrap();
    let points = &undisturbed.points;
    let most = usize::try_from(runs.max(4)).unwrap().min(points.len());
    let (mut killed, mut lost) = (0, 0);
    for at in 0..most {
        let point = &points[at * (points.len() - 1) / (most - 1)];
        let came = durable.kill_at(point, &undisturbed).await.unwrap();
        assert!(came.violations.is_empty(), "killed at {point}: {:#?}", came.violations);
        killed += usize::from(came.killed);
        lost += came.lost;
    }
    let name = subject.as_str();
    println!("{name}: {} writes, killed at {killed} of {most}, {lost} attempts lost", points.len());
    // The number of writes differs from run to run, and with few runs the last ones weigh much.
    assert!(killed * 2 >= most, "{name}: only {killed} of {most} runs came to their write");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retrying_task_fails_as_often_as_without_a_kill() {
    survives(Subject::Retry, of(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_asked_once_and_its_answer_kept() {
    survives(Subject::Question, of(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_wakes_its_task_once() {
    survives(Subject::Event, of(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_ends_neither_early_nor_never() {
    survives(Subject::Timer, of(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pass_of_an_iteration_is_lost_or_repeated() {
    survives(Subject::Iteration, of(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spawned_tasks_are_there_all_or_none_and_never_twice() {
    assert_eq!(SPAWNED, 100);
    survives(Subject::Spawn, of(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_undone_once() {
    survives(Subject::Compensation, of(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spending_is_charged_once_and_nothing_stays_put_aside() {
    survives(Subject::Budget, of(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_outlives_its_worker() {
    survives(Subject::Checkpoint, of(20)).await;
}
