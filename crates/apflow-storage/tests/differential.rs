//! One random history on two stores, side by side: they have to agree after every step.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use apflow_core::{
    derive::{Derive, Mode},
    id::TaskId,
    store::{
        Cancel, Claim, Claimed, Ended, Idempotency, NeedKind, NewNeed, Page, Patch, Renewal,
        Settlement, Start, StartScope, Store, StoreError, Submission, TaskFilter,
    },
    task::{Failure, FailureKind, Join, OnFailure, Priority, Record, Status, Wait, WaitFor},
    testing::SeededIds,
};
use apflow_storage::{
    Durability, OpenOptions,
    conformance::{Bed, audit, forest},
    open,
};
use proptest::prelude::*;
use serde_json::json;

/// A random task: parent and needs are picked among the tasks before it.
#[derive(Debug, Clone)]
struct Sketch {
    parent: Option<usize>,
    needs: Vec<(usize, bool)>,
    any: bool,
    priority: i64,
    attempts: Option<u32>,
}

#[derive(Debug, Clone)]
struct Plot {
    tasks: Vec<Sketch>,
    on_failure: OnFailure,
    timeout: bool,
    start: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Insert(Plot),
    Duplicate(usize),
    Start(usize, bool),
    Claim(u32),
    Settle(Vec<(usize, End)>, u32),
    Stale(usize),
    Renew(usize),
    Cancel(Vec<usize>),
    Pass(u64),
    Lapse(u32),
    Status(usize, Status),
    Patch(usize),
    Rewire(usize, usize),
    Delete(usize),
    Derive(usize, Mode, Vec<usize>, bool),
    Once(usize, u8),
    Prune(u32),
    Recover,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Well,
    Badly,
    Again,
    Parked,
    Back,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    (
        prop::option::weighted(0.6, 0_usize..40),
        prop::collection::vec((0_usize..40, any::<bool>()), 0..3),
        prop::bool::weighted(0.15),
        0_i64..4,
        prop::option::of(1_u32..4),
    )
        .prop_map(|(parent, needs, any, priority, attempts)| Sketch {
            parent,
            needs,
            any,
            priority,
            attempts,
        })
}

fn plot() -> impl Strategy<Value = Plot> {
    (
        prop::collection::vec(sketch(), 1..40),
        prop::sample::select(vec![
            OnFailure::Continue,
            OnFailure::FailFast,
            OnFailure::SkipDependents,
        ]),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(tasks, on_failure, timeout, start)| Plot {
            tasks,
            on_failure,
            timeout,
            start,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop::sample::select(vec![
        End::Well,
        End::Well,
        End::Well,
        End::Badly,
        End::Again,
        End::Parked,
        End::Back,
    ]);
    let task = 0_usize..60;
    prop_oneof![
        2 => plot().prop_map(Step::Insert),
        1 => task.clone().prop_map(Step::Duplicate),
        3 => (task.clone(), any::<bool>()).prop_map(|(task, again)| Step::Start(task, again)),
        4 => (0_u32..6).prop_map(Step::Claim),
        12 => (prop::collection::vec((0_usize..20, end), 1..5), 0_u32..6)
            .prop_map(|(batch, limit)| Step::Settle(batch, limit)),
        1 => (0_usize..20).prop_map(Step::Stale),
        1 => (0_usize..20).prop_map(Step::Renew),
        2 => prop::collection::vec(task.clone(), 1..3).prop_map(Step::Cancel),
        3 => (1_u64..40).prop_map(Step::Pass),
        3 => (1_u32..5).prop_map(Step::Lapse),
        3 => (task.clone(), prop::sample::select(Status::ALL.to_vec()))
            .prop_map(|(task, status)| Step::Status(task, status)),
        1 => task.clone().prop_map(Step::Patch),
        1 => (task.clone(), task.clone()).prop_map(|(task, need)| Step::Rewire(task, need)),
        4 => (
            task.clone(),
            prop::sample::select(vec![Mode::Copy, Mode::Link, Mode::Archive, Mode::Mixed]),
            prop::collection::vec(task.clone(), 1..4),
            prop::bool::weighted(0.8),
        )
            .prop_map(|(task, mode, links, recursive)| Step::Derive(task, mode, links, recursive)),
        1 => (task.clone(), 0_u8..4).prop_map(|(task, key)| Step::Once(task, key)),
        2 => task.prop_map(Step::Delete),
        1 => (1_u32..20).prop_map(Step::Prune),
        1 => Just(Step::Recover),
    ]
}

/// A plot as a submission; `first` is the number of its first task.
fn submission(plot: &Plot, first: usize) -> Submission {
    let name = |task: usize| format!("t{}", first + task);
    let mut text = String::new();
    for (at, sketch) in plot.tasks.iter().enumerate() {
        if at > 0 {
            text.push(';');
        }
        text.push_str(&name(at));
        if let Some(parent) = sketch.parent.filter(|_| at > 0) {
            write!(text, " ^{}", name(parent % at)).expect("a text takes more text");
        }
        write!(text, " !{}", sketch.priority).expect("a text takes more text");
        if let Some(attempts) = sketch.attempts {
            write!(text, " x{attempts}").expect("a text takes more text");
        }
    }
    let mut submission = forest(&text);
    for (at, sketch) in plot.tasks.iter().enumerate() {
        if sketch.any {
            submission.tasks[at].definition.join = Join::Any;
        }
        for (need, required) in &sketch.needs {
            let kind = if *required { NeedKind::Required } else { NeedKind::Optional };
            // A need among the earlier tasks closes no loop unless structure runs the other way.
            if at > 0 && !waits(&submission, need % at, at) {
                submission.tasks[at].needs.push(NewNeed { on: need % at, kind });
            }
        }
    }
    for tree in &mut submission.trees {
        tree.options.on_failure = plot.on_failure;
        tree.options.timeout_seconds = plot.timeout.then_some(25.0);
    }
    Submission { start: plot.start, ..submission }
}

fn waits(submission: &Submission, from: usize, to: usize) -> bool {
    from == to || submission.tasks[from].needs.iter().any(|need| waits(submission, need.on, to))
}

/// One store with what its worker holds or held.
struct Side {
    bed: Bed,
    ids: Arc<SeededIds>,
    held: Vec<Claimed>,
    gone: Vec<Claimed>,
}

impl Side {
    async fn settle(&mut self, ends: &[(usize, End)], limit: u32) -> String {
        let mut batch = Vec::new();
        for (which, end) in ends {
            if self.held.is_empty() {
                continue;
            }
            let held = self.held.remove(which % self.held.len());
            batch.push(report(&held, *end));
            self.gone.push(held);
        }
        let claim = Claim { lease: Duration::from_secs(10), ..self.bed.wish(limit) };
        let settled = self.bed.store.settle(batch, Some(claim)).await.expect("an answer");
        let mut said = format!("refused {}", settled.refused.len());
        write!(said, " more {} wake {:?}", settled.more, settled.next_wake).expect("a text");
        for held in &settled.claimed {
            write!(said, "\n  {}", describe(held)).expect("a text");
        }
        self.held.extend(settled.claimed);
        said
    }

    async fn take(&mut self, step: &Step, first: usize) -> String {
        let store = Arc::clone(&self.bed.store);
        let id = |task: usize| TaskId::new(format!("t{task}"));
        // What ended in the microsecond in which a run begins cannot be told from a part of it.
        self.bed.clock.advance(Duration::from_micros(1));
        match step {
            Step::Insert(plot) => {
                answer(store.insert(submission(plot, first)).await.map(|done| done.roots))
            }
            Step::Duplicate(task) => answer(store.insert(forest(id(*task).as_str())).await),
            Step::Start(task, reexecute) => {
                let scope = StartScope::Auto;
                let start = Start {
                    task: id(*task),
                    scope,
                    reexecute: *reexecute,
                    callback: None,
                    demo: false,
                };
                answer(store.start(start).await)
            }
            Step::Claim(limit) => self.settle(&[], *limit).await,
            Step::Settle(ends, limit) => self.settle(ends, *limit).await,
            Step::Stale(which) => {
                let Some(held) = self.gone.get(which % self.gone.len().max(1)) else {
                    return String::new();
                };
                let late = vec![report(held, End::Well)];
                let settled = store.settle(late, None).await.expect("an answer");
                assert_eq!(settled.refused.len(), 1, "a report counts once");
                String::new()
            }
            Step::Renew(which) => {
                let Some(held) = self.held.get(which % self.held.len().max(1)) else {
                    return String::new();
                };
                let renewal = Renewal { seq: held.seq, lease: held.lease, progress: Some(0.5) };
                let lease = Duration::from_secs(10);
                let refused = store.renew(vec![renewal], lease).await.expect("an answer");
                format!("refused {}", refused.len())
            }
            Step::Cancel(tasks) => {
                let wish = |task: &usize| Cancel { task: id(*task), reason: "no".to_owned() };
                answer(store.cancel(tasks.iter().map(wish).collect()).await)
            }
            Step::Pass(seconds) => {
                self.bed.clock.advance(Duration::from_secs(*seconds));
                String::new()
            }
            Step::Lapse(limit) => answer(store.lapse(*limit).await),
            Step::Status(task, status) => {
                let patch = Patch { status: Some(*status), ..Patch::default() };
                answer(store.update(&id(*task), patch).await)
            }
            Step::Patch(task) => {
                let patch = Patch {
                    name: Some("renamed".to_owned()),
                    priority: Some(Priority::HIGH),
                    result: Some(Some(json!([1.5, null]))),
                    ..Patch::default()
                };
                answer(store.update(&id(*task), patch).await)
            }
            Step::Rewire(task, need) => {
                let dependency = json!([{ "id": id(*need), "required": need % 2 == 0 }]);
                let dependencies = serde_json::from_value(dependency).expect("dependencies");
                let patch = Patch { dependencies, ..Patch::default() };
                answer(store.update(&id(*task), patch).await)
            }
            Step::Delete(task) => answer(store.delete(&id(*task)).await),
            Step::Derive(task, mode, links, recursive) => {
                let wish = Derive {
                    mode: *mode,
                    recursive: *recursive,
                    links: links.iter().map(|task| id(*task)).collect(),
                    auto_include_deps: recursive.then_some(true),
                    ..Derive::copy(id(*task))
                };
                let came = store.derive(wish, self.ids.clone()).await.map(|came| came.inserted);
                // A copy is run like anything else; what cannot be is refused on both sides.
                let started = match &came {
                    Ok(new) => {
                        let scope = StartScope::Auto;
                        let task = new.roots[0].clone();
                        let start =
                            Start { task, scope, reexecute: false, callback: None, demo: false };
                        answer(store.start(start).await)
                    }
                    Err(_) => String::new(),
                };
                format!("{} {started}", answer(came))
            }
            Step::Once(task, key) => {
                let start = Start {
                    task: id(*task),
                    scope: StartScope::Auto,
                    reexecute: key % 2 == 0,
                    callback: None,
                    demo: false,
                };
                let promise = Idempotency {
                    owner: String::new(),
                    key: key.to_string(),
                    digest: task.to_string(),
                };
                answer(store.start_once(start, promise).await)
            }
            Step::Prune(limit) => {
                let now = apflow_core::time::Clock::now(self.bed.clock.as_ref());
                // What is gone in part is seen by nobody for long.
                let mut gone = Vec::new();
                while gone.last() != Some(&0) {
                    gone.push(store.prune(now, *limit).await.expect("pruned"));
                }
                format!("{gone:?}")
            }
            Step::Recover => answer(store.recover().await),
        }
    }
}

fn report(held: &Claimed, end: End) -> Settlement {
    let broke = || Failure::new(FailureKind::Executor, "broke");
    let outcome = match end {
        End::Well => Ended::Completed { result: json!({ "of": held.id, "n": held.attempt }) },
        End::Badly => {
            Ended::Failed { failure: broke(), retry_after: None, result: json!({ "code": 1 }) }
        }
        End::Again => {
            let retry_after = Some(Duration::from_secs(5));
            Ended::Failed { failure: broke(), retry_after, result: json!(null) }
        }
        End::Parked => Ended::Parked {
            wait: Wait::new(WaitFor::Event, json!({ "of": held.id })),
            at_most: Some(Duration::from_secs(30)),
        },
        End::Back => Ended::HandedBack,
    };
    let resolved_inputs = json!({ "attempt": held.attempt }).as_object().cloned();
    Settlement { resolved_inputs, ..Settlement::new(held.seq, held.lease, outcome) }
}

fn answer<T: std::fmt::Debug>(came: Result<T, StoreError>) -> String {
    match came {
        Ok(value) => format!("{value:?}"),
        // A sentence may quote a database; its kind may not differ.
        Err(error @ (StoreError::Unavailable { .. } | StoreError::Damaged { .. })) => {
            panic!("no step is expected to break a store: {error:?}")
        }
        Err(error) => format!("refused: {error}"),
    }
}

/// A claimed task without the numbers of its rows.
fn describe(held: &Claimed) -> String {
    let needs: Vec<String> = held
        .needs
        .iter()
        .map(|need| format!("{}={:?}/{}", need.id, need.result, need.completed))
        .collect();
    format!(
        "{} of {} lease {} attempt {} deadline {:?} at {} needs {needs:?} {:?}",
        held.id,
        held.tree_id,
        held.lease,
        held.attempt,
        held.tree_deadline,
        held.now,
        held.definition,
    )
}

/// A record without the numbers of its rows.
fn normal(mut record: Record) -> String {
    record.task.seq = apflow_core::id::Seq(0);
    record.task.tree = apflow_core::id::Seq(0);
    record.task.forest = apflow_core::id::Seq(0);
    format!("{record:?}")
}

/// Everything a store says of its tasks and trees, and what happened after position `after`, which is
/// moved on.
async fn dump(store: &dyn Store, after: &mut i64) -> String {
    let mut lines = Vec::new();
    let page = Page { limit: Page::MAX, offset: 0 };
    let mut trees = Vec::new();
    for record in store.list(&TaskFilter::default(), page).await.expect("a list") {
        if record.parent_id.is_none() {
            trees.push(record.tree_id.clone());
        }
        lines.push(normal(record));
    }
    for tree in trees {
        let mut run = store.run_of_tree(&tree).await.expect("a run").expect("it is there");
        run.tree.seq = apflow_core::id::Seq(0);
        lines.push(format!("{run:?}"));
    }
    for event in store.events(None, *after, 100_000).await.expect("events") {
        *after = event.seq;
        let (kind, attempt, at) = (event.kind, event.attempt, event.at);
        lines.push(format!("{kind:?} {:?} {attempt} {at} {}", event.task, event.detail));
    }
    let counts = store.count(&TaskFilter::default()).await.expect("counts");
    lines.push(format!("{counts:?}"));
    lines.join("\n")
}

/// The first line that differs, with the one before it.
fn differs<'a>(one: &'a str, other: &'a str) -> Option<(&'a str, &'a str)> {
    let longest = one.lines().count().max(other.lines().count());
    let line = |text: &'a str, at: usize| text.lines().nth(at).unwrap_or("(nothing)");
    (0..longest).map(|at| (line(one, at), line(other, at))).find(|(one, other)| one != other)
}

/// Plays one history on two stores.
async fn play(mut sides: [Side; 2], steps: &[Step]) {
    let mut first = 0;
    let mut read = (0, 0);
    for (at, step) in steps.iter().enumerate() {
        let [one, other] = &mut sides;
        let (said, also) = (one.take(step, first).await, other.take(step, first).await);
        assert_eq!(said, also, "answers to step {at}: {step:?}");
        if let Step::Insert(plot) = step {
            first += plot.tasks.len();
        }
        let state = dump(one.bed.store.as_ref(), &mut read.0).await;
        let also = dump(other.bed.store.as_ref(), &mut read.1).await;
        if let Some((one, other)) = differs(&state, &also) {
            panic!("after step {at}, {step:?}:\n{one}\n{other}");
        }
        if at % 4 == 3 {
            audit(sides[at % 8 / 4].bed.store.as_ref()).await;
        }
    }
    for side in &sides {
        audit(side.bed.store.as_ref()).await;
    }
}

async fn in_memory(options: OpenOptions) -> Arc<dyn Store> {
    open("sqlite::memory:", options).await.expect("opens")
}

async fn in_a_file(options: OpenOptions) -> (Arc<dyn Store>, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("apflow.db");
    let options = OpenOptions { durability: Durability::Relaxed, ..options };
    let store = open(path.to_str().expect("a path in UTF-8"), options).await.expect("opens");
    (store, dir)
}

fn side(bed: Bed) -> Side {
    let ids = Arc::new(SeededIds::new("d"));
    Side { bed, ids, held: Vec::new(), gone: Vec::new() }
}

/// Two stores that have to agree, named by the functions that open them.
macro_rules! agree {
    ($name:ident, $cases:literal, $one:expr, $other:expr) => {
        proptest! {
            #![proptest_config(ProptestConfig {
                cases: $cases,
                failure_persistence: None,
                max_shrink_iters: 200,
                ..ProptestConfig::default()
            })]

            #[test]
            fn $name(plot in plot(), steps in prop::collection::vec(step(), 1..40)) {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    let sides = [side(Bed::open($one).await), side(Bed::open($other).await)];
                    let steps: Vec<Step> = [Step::Insert(plot)].into_iter().chain(steps).collect();
                    play(sides, &steps).await;
                });
            }
        }
    };
}

agree!(a_store_in_memory_and_one_in_a_file_agree, 16, in_memory, in_a_file);
#[cfg(feature = "postgres")]
agree!(sqlite_and_postgres_agree, 8, in_memory, in_a_database_of_its_own);

#[cfg(feature = "postgres")]
async fn in_a_database_of_its_own(options: OpenOptions) -> Arc<dyn Store> {
    open(&crate::pg::fresh().await, options).await.expect("opens")
}
