//! Hooks that panic, stand in and come late; and runs that are demonstrations.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use apflow_core::{
    engine::EngineConfig,
    executor::{Context, ExecuteError, Executor, Manifest},
    hook::{Attempted, Hook, OnError, Verdict},
    id::TreeId,
    registry::Registry,
    store::{Ended, EventKind, Start, StartScope, Submission},
    submit::{Order, TaskSpec},
    task::{Outcome, State},
    testing::Script,
};
use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::stage::{Forest, Stage};

type Log = Arc<Mutex<Vec<String>>>;

fn said(log: &Log) -> Vec<String> {
    log.lock().expect("no panic while locked").clone()
}

/// Writes down what it is called for, and panics or answers if told to.
#[derive(Clone, Default)]
struct Scribe {
    name: &'static str,
    log: Log,
    panics: bool,
    closed: bool,
    answer: Option<Value>,
    refuse: Option<&'static str>,
    set: Option<(&'static str, i64)>,
}

impl Scribe {
    fn note(&self, what: &str) {
        self.log.lock().expect("no panic while locked").push(format!("{} {what}", self.name));
        assert!(!self.panics, "told to");
    }

    fn verdict(&self, inputs: &mut Map<String, Value>, what: &str) -> Verdict {
        if let Some((key, value)) = self.set {
            inputs.insert(key.to_owned(), json!(value));
        }
        self.note(what);
        match (&self.answer, self.refuse) {
            (Some(answer), _) => Verdict::Answer(answer.clone()),
            (None, Some(why)) => Verdict::Refuse(why.to_owned()),
            (None, None) => Verdict::Run,
        }
    }
}

#[async_trait]
impl Hook for Scribe {
    fn name(&self) -> &str {
        self.name
    }

    fn on_error(&self) -> OnError {
        if self.closed { OnError::Closed } else { OnError::Open }
    }

    async fn before_task(&self, _: Attempted<'_>, inputs: &mut Map<String, Value>) -> Verdict {
        self.verdict(inputs, "before task")
    }

    async fn after_task(&self, _: Attempted<'_>, _: &Map<String, Value>, _: &Ended) {
        self.note("after task");
    }

    async fn before_executor(
        &self,
        executor: &str,
        _: Attempted<'_>,
        inputs: &mut Map<String, Value>,
    ) -> Verdict {
        self.verdict(inputs, &format!("before {executor}"))
    }

    async fn after_executor(
        &self,
        executor: &str,
        _: Attempted<'_>,
        _: &Map<String, Value>,
        ended: &Ended,
    ) {
        self.note(&format!("after {executor} {}", matches!(ended, Ended::Completed { .. })));
    }

    async fn tree_created(&self, tree: &TreeId) {
        self.note(&format!("{tree} created"));
    }

    async fn tree_started(&self, _: &TreeId) {
        self.note("tree started");
    }

    async fn tree_finished(&self, _: &TreeId, outcome: Outcome) {
        self.note(&format!("tree {outcome}"));
    }
}

fn one() -> Submission {
    Forest::new().root("a", &[]).submission()
}

#[tokio::test(start_paused = true)]
async fn a_panicking_hook_that_is_open_changes_nothing_and_keeps_nobody_from_the_rest() {
    let log = Log::default();
    let bad = Scribe {
        name: "bad",
        log: log.clone(),
        panics: true,
        set: Some(("n", 1)),
        ..Scribe::default()
    };
    let good = Scribe { name: "good", log: log.clone(), ..Scribe::default() };
    let stage = Stage::with([], |builder| builder.hook(Arc::new(bad)).hook(Arc::new(good)));
    let worker = stage.engine.work();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let trees = stage.insert(one()).await;
    stage.engine.wait(&trees[0]).await.expect("the store answers");
    worker.drain(Duration::from_secs(1)).await;
    assert_eq!(stage.state("a").await, State::Completed);
    assert!(stage.executor.calls()[0].inputs.is_empty(), "half of a change is none");
    let said = said(&log);
    for note in [
        "before task",
        "before play",
        "after play true",
        "after task",
        "tree started",
        "tree completed",
    ] {
        for who in ["bad", "good"] {
            assert!(said.contains(&format!("{who} {note}")), "{who} {note}: {said:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_hook_that_is_closed_fails_the_task_by_name() {
    let guard = Scribe { name: "policy", panics: true, closed: true, ..Scribe::default() };
    let stage = Stage::with([], |builder| builder.hook(Arc::new(guard)));
    stage.play(one()).await;
    assert_eq!(stage.failure("a").await, "Hook: the hook `policy` panicked");
    assert!(stage.executor.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn hooks_around_one_executor_stand_in_for_it_in_order() {
    let log = Log::default();
    let named = |name| Scribe { name, log: log.clone(), ..Scribe::default() };
    let first = Scribe { set: Some(("n", 1)), ..named("first") };
    let second = Scribe { answer: Some(json!(42)), ..named("second") };
    let stage = Stage::with([], |builder| {
        builder
            .executor_hook("play", Arc::new(first))
            .executor_hook("other", Arc::new(named("other")))
            .executor_hook("play", Arc::new(second))
            .executor_hook("play", Arc::new(named("third")))
    });
    stage.play(one()).await;
    let record = stage.record("a").await;
    assert_eq!(record.result, Some(json!(42)));
    assert_eq!(record.resolved_inputs, json!({"n": 1}).as_object().cloned(), "they are stored");
    assert!(stage.executor.calls().is_empty());
    let expected = [
        "first before play",
        "second before play",
        "first after play true",
        "second after play true",
        "third after play true",
    ];
    assert_eq!(said(&log), expected);
}

#[tokio::test(start_paused = true)]
async fn an_executor_hook_may_refuse() {
    let hook = Scribe { name: "no", refuse: Some("not on fridays"), ..Scribe::default() };
    let stage = Stage::with([], |builder| builder.executor_hook("play", Arc::new(hook)));
    stage.play(one()).await;
    assert_eq!(stage.failure("a").await, "Hook: not on fridays");
}

#[tokio::test(start_paused = true)]
async fn k17_a_hook_that_is_added_later_counts_from_the_next_run_on() {
    let log = Log::default();
    let stage = Stage::new([]);
    stage.play(one()).await;
    assert_eq!(said(&log), [""; 0]);
    stage.engine.add_hook(Arc::new(Scribe { name: "late", log: log.clone(), ..Scribe::default() }));
    stage.play(Forest::new().root("b", &[]).submission()).await;
    assert!(said(&log).contains(&"late before task".to_owned()), "{:?}", said(&log));
}

#[tokio::test(start_paused = true)]
async fn a_stored_tree_is_told_once_by_the_process_that_stored_it() {
    let log = Log::default();
    let stage = Stage::with([], |builder| {
        builder.hook(Arc::new(Scribe { name: "h", log: log.clone(), ..Scribe::default() }))
    });
    let promise = apflow_core::store::Idempotency {
        owner: String::new(),
        key: "k".to_owned(),
        digest: "d".to_owned(),
    };
    let order = || Order {
        tasks: vec![TaskSpec::new("a")],
        idempotency: Some(promise.clone()),
        ..Order::default()
    };
    let inserted = stage.engine.submit(order()).await.expect("stored");
    assert!(stage.engine.submit(order()).await.expect("answered").replayed);
    assert_eq!(said(&log), [format!("h {} created", inserted.trees[0])]);
}

/// Says what a demonstration shows, and fails if it is called.
struct Shows(Manifest, Value);

#[async_trait]
impl Executor for Shows {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    async fn execute(&self, _: Map<String, Value>, _: &Context) -> Result<Value, ExecuteError> {
        Err(ExecuteError::permanent("it was called"))
    }

    fn demo(&self, _: &Map<String, Value>) -> Option<Value> {
        assert!(!self.1.is_null(), "this one panics");
        Some(self.1.clone())
    }
}

fn shows(value: Value) -> Stage {
    let mut registry = Registry::new();
    let mut manifest = Manifest::new("play", "Shows.");
    manifest.unavailable = Some("nothing is allowed".to_owned());
    registry.register(Shows(manifest, value));
    let config = EngineConfig { sleep_scale: 0.5, ..EngineConfig::default() };
    Stage::with([], |builder| builder.registry(registry).config(config))
}

fn demo() -> Submission {
    Submission { demo: true, ..one() }
}

#[tokio::test(start_paused = true)]
async fn k20_a_demonstration_calls_nobody_and_tells_everything_once() {
    let stage = Stage::new([("a", vec![Script::Fail("it was called".to_owned())])]);
    stage.play(demo()).await;
    let shown = json!({"result": "Demo execution result", "demo_mode": true});
    assert_eq!(stage.record("a").await.result, Some(shown));
    assert!(stage.executor.calls().is_empty());
    let kinds: Vec<EventKind> = stage.store.journal().iter().map(|event| event.kind).collect();
    for kind in &kinds {
        assert_eq!(kinds.iter().filter(|other| *other == kind).count(), 1, "{kinds:?}");
    }
    assert!(kinds.len() >= 4, "{kinds:?}");
    let again = Start {
        task: "a".into(),
        scope: StartScope::Auto,
        reexecute: true,
        callback: None,
        demo: false,
    };
    stage.engine.start(again).await.expect("it runs again");
    let worker = stage.engine.work();
    stage.engine.wait(&TreeId::from("a")).await.expect("the store answers");
    worker.stop().await;
    assert_eq!(stage.failure("a").await, "Executor: it was called", "the next run is real");
}

#[tokio::test(start_paused = true)]
async fn a_demonstration_shows_what_the_executor_says_after_its_pause() {
    let stage = shows(json!({"n": 1, "_demo_sleep": 8}));
    let begun = Instant::now();
    stage.play(demo()).await;
    assert_eq!(stage.record("a").await.result, Some(json!({"n": 1, "demo_mode": true})));
    assert!(begun.elapsed() >= Duration::from_secs(4) && begun.elapsed() < Duration::from_secs(5));

    let stage = shows(json!([1]));
    stage.play(demo()).await;
    assert_eq!(stage.record("a").await.result, Some(json!({"result": [1], "demo_mode": true})));

    let stage = shows(Value::Null);
    stage.play(demo()).await;
    let shown = json!({"result": "Demo execution result", "demo_mode": true});
    assert_eq!(stage.record("a").await.result, Some(shown), "a panic is no answer");
}

#[tokio::test(start_paused = true)]
async fn c9_what_the_allow_list_does_not_name_is_refused_in_a_demonstration_too() {
    let mut registry = Registry::new();
    registry.register(Shows(Manifest::new("play", "Shows."), json!(1)));
    registry.allow_only(&[], &["another".to_owned()]);
    let stage = Stage::with([], |builder| builder.registry(registry));
    stage.play(demo()).await;
    let failure = stage.failure("a").await;
    assert!(failure.contains("is not allowed by APFLOW_EXTENSIONS"), "{failure}");
    assert_eq!(stage.record("a").await.result.expect("a result")["allowed_executors"], json!([]));
}
