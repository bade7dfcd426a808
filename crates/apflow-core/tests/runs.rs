//! What a run does when nothing goes wrong outside the tasks.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use apflow_core::{
    executor::Manifest,
    hook::{Attempted, Hook, Verdict},
    id::{TaskId, TreeId},
    store::{Cancel, CancelAnswer, Ended, EventKind, NeedKind, Start, StartScope, TreeStore as _},
    task::{OnFailure, Outcome, State, Status},
    testing::{Script, ScriptedExecutor},
};
use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::stage::{Forest, Stage, manifest};

fn returns(value: Value) -> Vec<Script> {
    vec![Script::Return(value)]
}

fn fails() -> Vec<Script> {
    vec![Script::Fail("it is broken".to_owned())]
}

fn after(seconds: u64, then: Script) -> Script {
    Script::After(Duration::from_secs(seconds), Box::new(then))
}

fn start(task: &str, reexecute: bool) -> Start {
    Start {
        task: TaskId::from(task),
        scope: StartScope::Auto,
        reexecute,
        callback: None,
        demo: false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_runs_in_order_and_hands_its_results_on() {
    let stage = Stage::new([("a", returns(json!(1))), ("b", returns(json!([2])))]);
    let forest = Forest::new().root("a", &[]).root("b", &["a"]).root("c", &["b"]);
    stage.insert(forest.submission()).await;
    let worker = stage.engine.work();
    let run = stage.engine.wait(&TreeId::from("c")).await.expect("the store answers");
    worker.stop().await;
    assert_eq!(run.outcome, Some(Outcome::Completed));
    assert_eq!(stage.executor.names(), ["a", "b", "c"]);
    let inputs: Vec<Value> =
        stage.executor.calls().into_iter().map(|call| call.inputs.into()).collect();
    assert_eq!(inputs, [json!({}), json!({"a": 1}), json!({"b": [2]})]);
    let b = stage.record("b").await;
    assert_eq!(b.result, Some(json!([2])));
    assert!(b.definition.inputs.is_empty(), "the caller's inputs stay as they were");
    assert_eq!(Value::from(b.visible_inputs().clone()), json!({"a": 1}));
    assert_eq!(stage.engine.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_task_may_depend_on_its_own_parent_and_on_another_tree() {
    // The example of the old README: two roots, and a task under the first that needs both.
    let stage = Stage::new([]);
    let mut submission =
        Forest::new().root("a", &[]).root("b", &[]).under("a", "merge", &["a", "b"]);
    // The structure edge does not exist where the child depends on its parent.
    submission = submission.define("merge", |_| {});
    let mut submission = submission.submission();
    submission.tasks[0].needs.clear();
    let run = stage.play(submission).await;
    assert_eq!((run.outcome, run.completed, run.total), (Some(Outcome::Completed), 2, 2));
    assert_eq!(stage.executor.names().last().map(String::as_str), Some("merge"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_blocks_what_requires_it_and_nothing_else() {
    let stage = Stage::new([("bad", fails())]);
    let forest = Forest::new()
        .root("top", &[])
        .under("top", "bad", &[])
        .under("top", "blocked", &["bad"])
        .under("top", "free", &[]);
    let forest = forest.under("top", "cleanup", &[]).need("cleanup", "bad", NeedKind::Optional);
    let run = stage.play(forest.submission()).await;
    assert_eq!(run.outcome, Some(Outcome::Failed));
    assert_eq!(run.failed_tasks, [TaskId::from("bad")]);
    assert_eq!(run.blocked_tasks, [TaskId::from("blocked")]);
    assert_eq!(stage.failure("bad").await, "Executor: it is broken");
    assert_eq!(stage.state("blocked").await, State::Blocked { waiting_for: 0, failed: 1 });
    assert_eq!(stage.record("blocked").await.failed_needs, [TaskId::from("bad")]);
    for done in ["free", "cleanup", "top"] {
        assert_eq!(stage.state(done).await, State::Completed, "{done}");
    }
    assert_eq!(
        stage.executor.names().last().map(String::as_str),
        Some("top"),
        "after its children"
    );
}

#[tokio::test(start_paused = true)]
async fn fail_fast_stops_what_runs_and_skip_dependents_skips_what_waits() {
    let forest = || {
        Forest::new()
            .root("top", &[])
            .under("top", "bad", &[])
            .under("top", "waits", &["bad"])
            .under("top", "long", &[])
    };
    let script = || {
        [
            ("bad", vec![after(1, Script::Fail("no".to_owned()))]),
            ("long", vec![after(9, Script::Hang)]),
        ]
    };
    let stage = Stage::new(script());
    let fast = forest().options(|options| options.on_failure = OnFailure::FailFast);
    let run = stage.play(fast.submission()).await;
    assert_eq!(run.outcome, Some(Outcome::Failed));
    let reason = "bad failed and the tree is fail_fast".to_owned();
    assert_eq!(stage.state("long").await, State::Cancelled { reason: reason.clone() });
    assert_eq!(stage.state("waits").await, State::Cancelled { reason });

    let stage = Stage::new([("bad", fails())]);
    let skip = forest().options(|options| options.on_failure = OnFailure::SkipDependents);
    let run = stage.play(skip.submission()).await;
    assert_eq!(run.outcome, Some(Outcome::Failed));
    let why = "bad failed and the tree is skip_dependents".to_owned();
    assert_eq!(
        stage.state("waits").await,
        State::Skipped { why, cause: apflow_core::task::SkipCause::Failure }
    );
    assert_eq!(stage.state("top").await, State::Completed);
}

/// Three seconds without a sign of life are too many.
fn watched(task: &mut apflow_core::task::Definition) {
    task.timeouts.heartbeat_timeout_seconds = Some(3.0);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_gives_no_sign_of_life_is_stopped_and_tried_again() {
    let stage = Stage::new([
        ("dead", vec![Script::Hang]),
        ("revived", vec![Script::Hang, Script::Return(json!(1))]),
    ]);
    let forest = Forest::new().root("dead", &[]).root("revived", &[]);
    let forest = forest.define("dead", watched).define("revived", |task| {
        watched(task);
        task.durability.max_attempts = Some(2);
    });
    let began = Instant::now();
    stage.insert(forest.submission()).await;
    let worker = stage.engine.work();
    for tree in ["dead", "revived"] {
        stage.engine.wait(&TreeId::from(tree)).await.expect("the store answers");
    }
    worker.stop().await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert_eq!(
        stage.failure("dead").await,
        "Timeout: the attempt reported no progress for 3s (heartbeat_timeout_seconds)"
    );
    assert_eq!(stage.state("revived").await, State::Completed);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_reports_progress_may_take_as_long_as_it_likes() {
    let stage = Stage::with([], |builder| {
        let mut registry = apflow_core::registry::Registry::new();
        registry.function("play", "Takes a minute.", |_: Value, context| async move {
            for second in 0..60 {
                sleep(Duration::from_secs(1)).await;
                context.progress.report(f64::from(second) / 60.0, None);
            }
            Ok(json!("done"))
        });
        builder.registry(registry)
    });
    let forest = Forest::new().root("slow", &[]).define("slow", watched);
    let run = stage.play(forest.submission()).await;
    assert_eq!(run.outcome, Some(Outcome::Completed));
    assert_eq!(stage.record("slow").await.result, Some(json!("done")));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_a_class_that_never_retries_is_the_last_one() {
    let stumbles = |text: &str| vec![Script::Stumble(text.to_owned()), Script::Return(json!(1))];
    let stage = Stage::new([
        ("value", stumbles("ValueError: no such thing")),
        ("network", stumbles("ConnectionError: try again")),
    ]);
    let never = |task: &mut apflow_core::task::Definition| {
        task.durability.max_attempts = Some(3);
        task.durability.no_retry_on = vec!["ValueError".to_owned()];
    };
    let forest = Forest::new().root("top", &[]).under("top", "value", &[]);
    let forest = forest.under("top", "network", &[]);
    stage.play(forest.define("value", never).define("network", never).submission()).await;
    assert_eq!(stage.failure("value").await, "Executor: ValueError: no such thing");
    assert_eq!(stage.record("value").await.task.attempts, 1);
    assert_eq!(stage.state("network").await, State::Completed);
}

#[tokio::test(start_paused = true)]
async fn every_way_to_fail_has_a_message() {
    let stage = Stage::new([
        ("panics", vec![Script::Panic("ouch".to_owned())]),
        ("hangs", vec![Script::Hang]),
        ("legacy", returns(json!({"error": {"code": 7}, "x": 1}))),
        ("null", returns(json!({"error": null, "success": false}))),
        ("nul", returns(json!("a\0b"))),
        ("deep", returns((0..80).fold(json!(1), |inner, _| Value::Array(vec![inner])))),
        ("quiet", vec![Script::Fail(" ".to_owned())]),
        ("alone", vec![Script::Fail("x\0y".to_owned())]),
    ]);
    let names = ["panics", "hangs", "legacy", "null", "nul", "deep", "quiet", "alone"];
    let mut forest = Forest::new().root("top", &[]);
    for name in names {
        forest = forest.under("top", name, &[]);
    }
    forest = forest.define("hangs", |task| task.timeout_seconds = Some(2.5));
    let run = stage.play(forest.submission()).await;
    assert_eq!(run.outcome, Some(Outcome::Failed));
    assert_eq!(stage.failure("panics").await, "Panic: the executor panicked: ouch");
    assert_eq!(
        stage.failure("hangs").await,
        "Timeout: the attempt took longer than its timeout of 2.5s"
    );
    assert_eq!(stage.failure("legacy").await, r#"Executor: {"code":7}"#);
    assert_eq!(stage.record("legacy").await.result, Some(json!({"error": {"code": 7}, "x": 1})));
    assert_eq!(stage.state("null").await, State::Completed);
    assert_eq!(
        stage.failure("nul").await,
        "InvalidOutput: the result cannot be stored: it contains the character U+0000"
    );
    assert_eq!(
        stage.failure("deep").await,
        "InvalidOutput: the result cannot be stored: it nests deeper than 64 levels"
    );
    assert_eq!(stage.failure("quiet").await, "Executor: the executor failed without saying why");
    assert_eq!(stage.failure("alone").await, "Executor: x\u{fffd}y");
}

#[tokio::test(start_paused = true)]
async fn a_task_without_a_usable_executor_fails_in_the_shape_clients_know() {
    let stage = Stage::new([]);
    let forest = Forest::new().root("top", &[]).under("top", "none", &[]).under("top", "odd", &[]);
    let forest = forest
        .define("none", |task| {
            task.params.clear();
            task.inputs.insert("k".to_owned(), json!(1));
        })
        .define("odd", |task| {
            task.params.insert("executor_id".to_owned(), "plya".into());
        });
    stage.play(forest.submission()).await;
    let text = "Executor ID not specified for task none";
    assert_eq!(stage.failure("none").await, format!("UnknownExecutor: {text}"));
    let expected = json!({
        "error": text, "task_id": "none", "name": "none",
        "task_type": null, "task_params": null, "inputs": {"k": 1},
    });
    assert_eq!(stage.record("none").await.result, Some(expected));
    assert_eq!(stage.failure("odd").await, "UnknownExecutor: Unknown executor: plya");
}

#[tokio::test(start_paused = true)]
async fn inputs_are_checked_before_the_executor_sees_them() {
    let schema = json!({"type": "object", "required": ["n"]});
    let manifest = Manifest { input_schema: schema, ..manifest() };
    let stage = Stage::of(ScriptedExecutor::with_manifest(manifest), |builder| builder);
    let run = stage.play(Forest::new().root("a", &[]).submission()).await;
    assert_eq!(run.outcome, Some(Outcome::Failed));
    let failure = stage.failure("a").await;
    assert!(failure.starts_with("InvalidInput: [play] ") && failure.contains('n'), "{failure}");
    assert!(stage.executor.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stumble_is_tried_again_after_growing_delays_and_no_more_often_than_allowed() {
    let stumble = || Script::Stumble("not yet".to_owned());
    let stage = Stage::new([
        ("late", vec![stumble(), stumble(), Script::Return(json!("done"))]),
        ("never", vec![stumble()]),
        ("final", vec![Script::Fail("no".to_owned())]),
    ]);
    let mut forest = Forest::new().root("top", &[]);
    for name in ["late", "never", "final"] {
        forest = forest.under("top", name, &[]);
        forest = forest.define(name, |task| task.durability.max_attempts = Some(3));
    }
    let begun = Instant::now();
    stage.play(forest.submission()).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(3) && took < Duration::from_millis(3_500), "{took:?}");
    assert_eq!(stage.state("late").await, State::Completed);
    assert_eq!(stage.failure("never").await, "Executor: not yet");
    let attempts = |name: &'static str| {
        let calls = stage.executor.calls();
        calls.iter().filter(|call| call.name == name).map(|call| call.attempt).collect::<Vec<_>>()
    };
    assert_eq!(attempts("late"), [1, 2, 3]);
    assert_eq!(attempts("never"), [1, 2, 3]);
    assert_eq!(attempts("final"), [1], "what is permanent is not repeated");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_stops_and_a_late_result_changes_nothing() {
    let stage = Stage::new([
        ("deaf", vec![after(3, Script::Return(json!("too late")))]),
        ("polite", vec![Script::UntilCancelled]),
    ]);
    let forest = Forest::new()
        .root("top", &[])
        .under("top", "deaf", &[])
        .under("top", "polite", &[])
        .under("top", "after", &["deaf"]);
    let trees = stage.insert(forest.submission()).await;
    let worker = stage.engine.work();
    sleep(Duration::from_secs(1)).await;
    let wish = Cancel { task: TaskId::from("top"), reason: "enough".to_owned() };
    let answers = stage.engine.cancel(vec![wish.clone()]).await.expect("the store answers");
    assert_eq!(answers, [CancelAnswer::Cancelled { others: 3 }]);
    let run = stage.engine.wait(&trees[0]).await.expect("the store answers");
    assert_eq!(run.outcome, Some(Outcome::Cancelled));
    sleep(Duration::from_secs(10)).await;
    let cancelled = State::Cancelled { reason: "enough".to_owned() };
    for name in ["top", "deaf", "polite", "after"] {
        assert_eq!(stage.state(name).await, cancelled, "{name}");
    }
    assert_eq!(stage.record("deaf").await.result, None);
    let answers = stage.engine.cancel(vec![wish]).await.expect("the store answers");
    assert_eq!(answers, [CancelAnswer::AlreadyEnded(Status::Cancelled)]);
    assert_eq!(stage.engine.running(), 0);
    assert_eq!(worker.stop().await.handed_back, 0);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_does_not_listen_is_dropped_after_the_grace_period() {
    let stage = Stage::new([("deaf", vec![Script::Hang])]);
    stage.insert(Forest::new().root("deaf", &[]).submission()).await;
    let _worker = stage.engine.work();
    sleep(Duration::from_secs(1)).await;
    let wish = Cancel { task: TaskId::from("deaf"), reason: "enough".to_owned() };
    stage.engine.cancel(vec![wish]).await.expect("the store answers");
    sleep(stage.engine.config().grace.mul_f64(0.9)).await;
    assert_eq!(stage.engine.running(), 1, "still in its grace period");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.engine.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn slots_and_the_executors_own_limit_are_kept() {
    let second = vec![after(1, Script::Return(json!(1)))];
    let names: Vec<String> = (0..9).map(|index| format!("t{index}")).collect();
    let play = |slots: u32, max_parallel: Option<usize>| {
        let manifest = Manifest { max_parallel, ..manifest() };
        let mut executor = ScriptedExecutor::with_manifest(manifest);
        let mut forest = Forest::new();
        for name in &names {
            executor = executor.on(name, second.clone());
            forest = forest.root(name, &[]);
        }
        let config = apflow_core::engine::EngineConfig { slots, ..Default::default() };
        let stage = Stage::of(executor, |builder| builder.config(config));
        async move {
            let trees = stage.insert(forest.submission()).await;
            let worker = stage.engine.work();
            for tree in &trees {
                stage.engine.wait(tree).await.expect("the store answers");
            }
            worker.stop().await;
            stage.executor.most_at_once()
        }
    };
    assert_eq!(play(4, None).await, 4);
    assert_eq!(play(100, Some(2)).await, 2);
    assert_eq!(play(100, None).await, 9);
}

#[tokio::test(start_paused = true)]
async fn urgent_tasks_go_first_and_equal_ones_in_order() {
    let config = apflow_core::engine::EngineConfig { slots: 1, ..Default::default() };
    let stage = Stage::with([], |builder| builder.config(config));
    let mut forest = Forest::new();
    for (name, priority) in [("low", 3), ("b", 2), ("c", 2), ("urgent", 0)] {
        forest = forest.root(name, &[]).define(name, |task| {
            task.priority = priority.try_into().expect("0 to 3");
        });
    }
    let trees = stage.insert(forest.submission()).await;
    let _worker = stage.engine.work();
    stage.engine.wait(&trees[0]).await.expect("the store answers");
    assert_eq!(stage.executor.names(), ["urgent", "b", "c", "low"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_run_repairs_the_first() {
    let stumble = Script::Fail("no network".to_owned());
    let stage = Stage::new([("fetch", vec![stumble])]);
    let forest =
        Forest::new().root("top", &[]).under("top", "fetch", &[]).under("top", "use", &["fetch"]);
    let run = stage.play(forest.under("top", "other", &[]).submission()).await;
    assert_eq!((run.run, run.outcome), (1, Some(Outcome::Failed)));
    // The same store, and an executor that works.
    let again = Stage::new([]);
    let registry = again.engine.registry().clone();
    let engine = apflow_core::engine::Engine::builder(
        stage.store.clone(),
        Arc::new(apflow_core::testing::SeededIds::new("x")),
    )
    .registry(registry)
    .build();
    let started = engine.start(start("top", false)).await.expect("nothing runs");
    assert_eq!(started.tasks, 3, "all but `other`, which completed and needs nothing of the rest");
    let _worker = engine.work();
    let run = engine.wait(&started.tree).await.expect("the store answers");
    assert_eq!((run.run, run.outcome), (2, Some(Outcome::Completed)));
    assert_eq!(again.executor.names(), ["fetch", "use", "top"]);
    let nothing = engine.start(start("top", false)).await.expect("nothing runs");
    assert_eq!(nothing.tasks, 0);
    let all = engine.start(start("top", true)).await.expect("nothing runs");
    assert_eq!(all.tasks, 4);
}

#[tokio::test(start_paused = true)]
async fn a_running_tree_is_not_started_twice_and_a_child_brings_only_what_it_needs() {
    let stage = Stage::new([("a", vec![after(5, Script::Return(json!(1)))])]);
    let forest = Forest::new()
        .root("top", &[])
        .under("top", "a", &[])
        .under("top", "b", &["a"])
        .under("top", "c", &[]);
    stage.insert(forest.asleep()).await;
    let started = stage.engine.start(start("b", false)).await.expect("nothing runs");
    assert_eq!(started.tasks, 2);
    let _worker = stage.engine.work();
    sleep(Duration::from_secs(1)).await;
    let refused = stage.engine.start(start("top", false)).await.expect_err("it runs");
    assert!(refused.to_string().starts_with("Task tree top is already running."), "{refused}");
    let run = stage.engine.wait(&started.tree).await.expect("the store answers");
    assert_eq!((run.outcome, run.completed), (Some(Outcome::Completed), 2));
    assert_eq!(stage.state("c").await, State::Created);
    assert_eq!(stage.state("top").await, State::Created);
}

#[tokio::test(start_paused = true)]
async fn time_runs_out_for_a_whole_tree() {
    let stage = Stage::new([("long", vec![Script::Hang])]);
    let forest =
        Forest::new().root("top", &[]).under("top", "long", &[]).under("top", "next", &["long"]);
    let forest = forest.options(|options| options.timeout_seconds = Some(4.0));
    let begun = Instant::now();
    let run = stage.play(forest.submission()).await;
    assert!(matches!(run.outcome, Some(Outcome::Failed | Outcome::Cancelled)), "{run:?}");
    assert!(begun.elapsed() < Duration::from_millis(4_500), "{:?}", begun.elapsed());
    assert!(stage.state("long").await.is_terminal());
}

#[tokio::test(start_paused = true)]
async fn progress_reaches_the_store_while_the_task_runs() {
    use apflow_core::executor::{Context, ExecuteError};
    let stage = Stage::new([]);
    let mut registry = apflow_core::registry::Registry::new();
    registry.function(
        "slow",
        "Takes a while.",
        |_: Map<String, Value>, context: Context| async move {
            context.progress.report(0.4, Some("almost half"));
            sleep(Duration::from_secs(8)).await;
            Ok::<_, ExecuteError>(1)
        },
    );
    let engine = apflow_core::engine::Engine::builder(
        stage.store.clone(),
        Arc::new(apflow_core::testing::SeededIds::new("x")),
    )
    .registry(registry)
    .build();
    let forest = Forest::new().root("a", &[]).define("a", |task| {
        task.params.insert("executor_id".to_owned(), "slow".into());
    });
    stage.insert(forest.submission()).await;
    let _worker = engine.work();
    sleep(Duration::from_secs(2)).await;
    assert!((stage.record("a").await.progress - 0.4).abs() < 1e-9);
    engine.wait(&TreeId::from("a")).await.expect("the store answers");
    assert!((stage.record("a").await.progress - 1.0).abs() < 1e-9);
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn add(&self, note: String) {
        self.0.lock().expect("nobody panics here").push(note);
    }
}

#[async_trait::async_trait]
impl Hook for Notes {
    async fn before_task(&self, task: Attempted<'_>, inputs: &mut Map<String, Value>) -> Verdict {
        inputs.insert("added".to_owned(), json!(true));
        match task.definition.name.as_str() {
            "spoilt" => {
                inputs.insert("odd".to_owned(), json!(["\0"]));
                Verdict::Run
            }
            "refused" => Verdict::Refuse("not today".to_owned()),
            "answered" => Verdict::Answer(json!(42)),
            _ => Verdict::Run,
        }
    }

    async fn after_task(&self, task: Attempted<'_>, _: &Map<String, Value>, ended: &Ended) {
        let completed = matches!(ended, Ended::Completed { .. });
        self.add(format!("{} {completed}", task.task));
        assert!(task.definition.name != "plain", "a hook that panics is only logged");
    }

    async fn tree_started(&self, tree: &TreeId) {
        self.add(format!("{tree} started"));
    }

    async fn tree_finished(&self, tree: &TreeId, outcome: Outcome) {
        self.add(format!("{tree} {outcome}"));
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_change_inputs_answer_refuse_and_hear_of_trees() {
    let notes = Arc::new(Notes::default());
    let stage = Stage::with([], |builder| builder.hook(notes.clone()));
    let worker = stage.engine.work();
    sleep(Duration::from_millis(1)).await;
    let forest = Forest::new().root("top", &[]);
    let forest = forest.under("top", "plain", &[]).under("top", "refused", &["plain"]);
    let forest = forest.under("top", "spoilt", &["plain"]);
    let trees = stage.insert(forest.under("top", "answered", &["plain"]).submission()).await;
    stage.engine.wait(&trees[0]).await.expect("the store answers");
    worker.drain(Duration::from_secs(1)).await;
    assert_eq!(stage.executor.names(), ["plain", "top"]);
    assert_eq!(stage.executor.calls()[0].inputs["added"], json!(true));
    assert_eq!(stage.failure("refused").await, "Hook: not today");
    assert_eq!(
        stage.failure("spoilt").await,
        "Hook: after the hooks, input `odd`: it contains the character U+0000"
    );
    assert_eq!(stage.record("answered").await.result, Some(json!(42)));
    assert_eq!(stage.state("plain").await, State::Completed);
    let notes = notes.0.lock().expect("nobody panics here").clone();
    for expected in ["plain true", "refused false", "answered true", "top started", "top failed"] {
        assert_eq!(notes.iter().filter(|note| *note == expected).count(), 1, "{notes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_resumes_misses_nothing_and_sees_nothing_twice() {
    let names: Vec<String> = (0..30).map(|index| format!("t{index}")).collect();
    let stage = Stage::new([]);
    let mut forest = Forest::new().root("top", &[]);
    for (index, name) in names.iter().enumerate() {
        let before: Vec<&str> =
            index.checked_sub(1).map(|i| names[i].as_str()).into_iter().collect();
        forest = forest.under("top", name, &before);
    }
    let trees = stage.insert(forest.root("elsewhere", &[]).submission()).await;
    let _worker = stage.engine.work();
    let mut seen = Vec::new();
    let mut cursor = 0;
    let whole = async {
        loop {
            // At most seven events, then a new stream.
            let mut stream = stage.engine.watch(Some(trees[0].clone()), cursor).take(7);
            while let Some(event) = stream.next().await {
                let event = event.expect("the store answers");
                cursor = event.seq;
                let last = event.kind == EventKind::RunFinished;
                seen.push(event);
                if last {
                    return;
                }
            }
        }
    };
    timeout(Duration::from_mins(1), whole).await.expect("the run ends");
    let of_tree = |event: &apflow_core::store::TaskEvent| event.tree == trees[0];
    let journal: Vec<_> = stage.store.journal().into_iter().filter(of_tree).collect();
    assert_eq!(seen, journal);
    assert_eq!(seen.len(), 2 + 2 * 31);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_tree_that_is_not_there_is_an_error() {
    let stage = Stage::new([]);
    let refused = stage.engine.wait(&TreeId::from("ghost")).await.expect_err("no such tree");
    assert!(refused.to_string().contains("ghost"), "{refused}");
    let page = apflow_core::store::Page::default();
    let none = stage.store.list(&apflow_core::store::TaskFilter::default(), page).await;
    assert!(none.expect("readable").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_childs_run_is_judged_by_what_it_ran_and_revives_nothing_else() {
    let stage = Stage::new([("bad", fails())]);
    let forest = Forest::new()
        .root("top", &[])
        .under("top", "bad", &[])
        .under("top", "stuck", &["bad"])
        .under("top", "good", &[]);
    let forest = forest.under("top", "later", &[]).need("later", "stuck", NeedKind::Optional);
    let run = stage.play(forest.submission()).await;
    assert_eq!((run.run, run.outcome), (1, Some(Outcome::Failed)));
    let ran = stage.executor.calls().len();
    sleep(Duration::from_millis(1)).await;
    stage.engine.start(start("good", true)).await.expect("nothing runs");
    let _worker = stage.engine.work();
    let run = stage.engine.wait(&TreeId::from("top")).await.expect("the store answers");
    assert_eq!((run.run, run.outcome), (2, Some(Outcome::Completed)));
    assert_eq!(stage.executor.calls().len(), ran + 1);
    assert_eq!(stage.state("later").await, State::Created, "set back, not run");
    assert!(matches!(stage.state("bad").await, State::Failed { .. }));
}
