//! What the worker does when the store, the lease or another worker fails.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use apflow_core::{
    observe::{Observer, Seen, StopReason},
    store::EventKind,
    task::{Outcome, State},
    testing::Script,
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::stage::{Forest, LEASE, Stage};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn after(time: Duration, then: Script) -> Script {
    Script::After(time, Box::new(then))
}

#[derive(Default)]
struct Tally {
    exchanges: AtomicUsize,
    refused: AtomicUsize,
    store_failures: AtomicUsize,
    stops: Mutex<Vec<(String, StopReason)>>,
}

impl Observer for Tally {
    fn observe(&self, seen: &Seen<'_>) {
        let count = match seen {
            Seen::Settled { .. } => &self.exchanges,
            Seen::Refused { .. } => &self.refused,
            Seen::StoreFailed { .. } => &self.store_failures,
            Seen::Stopping { task, why } => {
                self.stops.lock().expect("nobody panics here").push((task.to_string(), *why));
                return;
            }
            _ => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn tally(script: impl IntoIterator<Item = (&'static str, Vec<Script>)>) -> (Stage, Arc<Tally>) {
    let tally = Arc::new(Tally::default());
    let stage = Stage::with(script, |builder| builder.observer(tally.clone()));
    (stage, tally)
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_leaves_the_store_alone_but_for_the_back_stop() {
    let (stage, tally) = tally([]);
    let _worker = stage.engine.work();
    sleep(seconds(601)).await;
    let exchanges = tally.exchanges.load(Ordering::Relaxed);
    assert!((20..=42).contains(&exchanges), "{exchanges} in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_lost_signal_is_made_up_for_by_the_back_stop() {
    let stage = Stage::new([]);
    let _worker = stage.engine.work();
    sleep(seconds(1)).await;
    stage.store.lose_signals(true);
    let trees = stage.insert(Forest::new().root("a", &[]).root("b", &["a"]).submission()).await;
    let begun = Instant::now();
    let run = stage.engine.wait(&trees[1]).await.expect("the store answers");
    assert_eq!(run.outcome, Some(Outcome::Completed));
    let took = begun.elapsed();
    assert!(took > seconds(20) && took <= stage.engine.config().back_stop * 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_loses_no_outcome_and_repeats_no_task() {
    let (stage, tally) = tally([("a", vec![after(seconds(1), Script::Return(json!(7)))])]);
    let trees = stage.insert(Forest::new().root("a", &[]).root("b", &["a"]).submission()).await;
    let _worker = stage.engine.work();
    sleep(Duration::from_millis(900)).await;
    stage.store.fail_next(4);
    stage.engine.wait(&trees[1]).await.expect("reading works");
    assert_eq!(stage.executor.names(), ["a", "b"]);
    assert_eq!(stage.record("a").await.result, Some(json!(7)));
    assert_eq!(tally.store_failures.load(Ordering::Relaxed), 4);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_after_the_commit_repeats_no_task() {
    let (stage, tally) = tally([("a", vec![after(seconds(1), Script::Return(json!(7)))])]);
    let trees = stage.insert(Forest::new().root("a", &[]).submission()).await;
    let _worker = stage.engine.work();
    sleep(Duration::from_millis(900)).await;
    stage.store.lose_next_answers(1);
    let run = stage.engine.wait(&trees[0]).await.expect("reading works");
    assert_eq!(run.outcome, Some(Outcome::Completed));
    sleep(seconds(1)).await;
    assert_eq!(stage.executor.names(), ["a"]);
    assert_eq!(
        tally.refused.load(Ordering::Relaxed),
        1,
        "saying it twice is refused, and harmless"
    );
    let completed =
        stage.store.journal().into_iter().filter(|event| event.kind == EventKind::Completed);
    assert_eq!(completed.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_is_lost_runs_after_its_lease() {
    let (stage, _) = tally([]);
    stage.store.lose_next_answers(1);
    let trees = stage.insert(Forest::new().root("a", &[]).submission()).await;
    let begun = Instant::now();
    let _worker = stage.engine.work();
    let run = stage.engine.wait(&trees[0]).await.expect("reading works");
    assert_eq!(run.outcome, Some(Outcome::Completed));
    let took = begun.elapsed();
    assert!(took >= LEASE && took < LEASE + seconds(1), "{took:?}");
    assert_eq!(stage.record("a").await.task.attempts, 2, "the lost claim counts as an attempt");
}

#[tokio::test(start_paused = true)]
async fn one_outcome_that_cannot_be_stored_does_not_hold_up_the_others() {
    let later = |text: &str| vec![after(seconds(1), Script::Return(json!(text)))];
    let (stage, _) = tally([
        ("a", later("fine")),
        ("b", later("poison")),
        ("c", later("fine")),
        ("d", later("fine")),
    ]);
    stage.store.choke_on("poison");
    let forest = Forest::new().root("a", &[]).root("b", &[]).root("c", &[]).root("d", &[]);
    let trees = stage.insert(forest.submission()).await;
    let _worker = stage.engine.work();
    for tree in &trees {
        stage.engine.wait(tree).await.expect("reading works");
    }
    for name in ["a", "c", "d"] {
        assert_eq!(stage.state(name).await, State::Completed, "{name}");
    }
    assert_eq!(
        stage.failure("b").await,
        "InvalidOutput: the outcome could not be stored: told to choke on it"
    );
    assert_eq!(stage.executor.names().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_long_task_keeps_its_lease() {
    let (stage, tally) = tally([("a", vec![after(LEASE * 10, Script::Return(json!(1)))])]);
    let run = stage.play(Forest::new().root("a", &[]).submission()).await;
    assert_eq!(run.outcome, Some(Outcome::Completed));
    assert_eq!(stage.record("a").await.task.attempts, 1);
    assert!(tally.stops.lock().expect("nobody panics here").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_cannot_renew_stops_before_its_lease_ends() {
    let (stage, tally) = tally([("a", vec![Script::UntilCancelled, Script::Return(json!(1))])]);
    let trees = stage.insert(Forest::new().root("a", &[]).submission()).await;
    let _worker = stage.engine.work();
    sleep(seconds(1)).await;
    stage.store.fail_next(u32::MAX);
    sleep(LEASE.mul_f64(0.8)).await;
    let stops = tally.stops.lock().expect("nobody panics here").clone();
    assert_eq!(stops, [("a".to_owned(), StopReason::LeaseAtRisk)]);
    assert_eq!(stage.engine.running(), 0, "stopped although nobody could tell it to");
    stage.store.fail_next(0);
    let run = stage.engine.wait(&trees[0]).await.expect("reading works");
    assert_eq!(run.outcome, Some(Outcome::Completed));
    assert_eq!(stage.record("a").await.task.attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_process_left_is_taken_up_at_once() {
    let stage = Stage::new([("a", vec![Script::UntilCancelled, Script::Return(json!("mine"))])]);
    let trees = stage.insert(Forest::new().root("a", &[]).submission()).await;
    let dead = {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime of its own");
        let engine = stage.another("dead");
        let node = engine.node().clone();
        let dying = std::thread::spawn(move || {
            runtime.block_on(async {
                let _worker = engine.work();
                sleep(seconds(1)).await;
            });
            // Dropped without a word, as a crash does it.
            runtime.shutdown_background();
        });
        dying.join().expect("it only stops");
        node
    };
    assert!(matches!(stage.state("a").await, State::Running { .. }));
    stage.store.declare_dead(&dead);
    let begun = Instant::now();
    let _worker = stage.engine.work();
    let run = stage.engine.wait(&trees[0]).await.expect("reading works");
    assert_eq!(run.outcome, Some(Outcome::Completed));
    assert!(begun.elapsed() < seconds(1), "not only after the lease: {:?}", begun.elapsed());
    assert_eq!(stage.record("a").await.task.attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn draining_finishes_what_it_can_and_hands_back_the_rest_untried() {
    let stage = Stage::new([
        ("short", vec![after(seconds(2), Script::Return(json!(1)))]),
        ("polite", vec![Script::UntilCancelled]),
        ("deaf", vec![Script::Hang]),
    ]);
    let forest = Forest::new().root("short", &[]).root("polite", &[]).root("deaf", &[]);
    stage.insert(forest.root("next", &["short"]).submission()).await;
    let worker = stage.engine.work();
    sleep(seconds(1)).await;
    let begun = Instant::now();
    let drained = worker.drain(seconds(4)).await;
    assert!(begun.elapsed() <= seconds(6), "{:?}", begun.elapsed());
    assert_eq!((drained.finished, drained.handed_back, drained.left), (1, 2, 0));
    assert_eq!(stage.state("short").await, State::Completed);
    assert_eq!(stage.state("next").await, State::Ready, "nothing new was taken");
    for name in ["polite", "deaf"] {
        let task = stage.record(name).await.task;
        assert_eq!((task.state, task.attempts), (State::Ready, 0), "{name}");
    }
    assert_eq!(stage.engine.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_dropped_hands_back_what_it_holds() {
    let stage = Stage::new([("a", vec![Script::UntilCancelled])]);
    stage.insert(Forest::new().root("a", &[]).submission()).await;
    let worker = stage.engine.work();
    sleep(seconds(1)).await;
    drop(worker);
    sleep(seconds(1)).await;
    assert_eq!(stage.state("a").await, State::Ready);
}

#[tokio::test(start_paused = true)]
async fn draining_ends_even_if_the_store_does_not_answer() {
    let stage = Stage::new([("a", vec![Script::Hang])]);
    stage.insert(Forest::new().root("a", &[]).submission()).await;
    let worker = stage.engine.work();
    sleep(seconds(1)).await;
    stage.store.fail_next(u32::MAX);
    let begun = Instant::now();
    let drained = worker.drain(seconds(3)).await;
    assert!(begun.elapsed() <= seconds(6), "{:?}", begun.elapsed());
    assert_eq!(drained.left, 1);
}

#[tokio::test(start_paused = true)]
async fn two_workers_share_the_work_and_run_nothing_twice() {
    let stage = Stage::new([]);
    let mut forest = Forest::new().root("top", &[]);
    for index in 0..60 {
        forest = forest.under("top", &format!("t{index}"), &[]);
    }
    let trees = stage.insert(forest.submission()).await;
    let (one, two) = (stage.engine.work(), stage.another("other").work());
    let run = stage.engine.wait(&trees[0]).await.expect("the store answers");
    assert_eq!((run.outcome, run.completed), (Some(Outcome::Completed), 61));
    let mut names = stage.executor.names();
    assert_eq!(names.last().map(String::as_str), Some("top"));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 61);
    assert_eq!(stage.executor.calls().len(), 61);
    tokio::join!(one.stop(), two.stop());
}
