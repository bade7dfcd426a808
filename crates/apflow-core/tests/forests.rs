//! Random forests with random failures, against a few lines that say how each must end.

use std::{collections::HashMap, sync::Arc, time::Duration};

use apflow_core::{
    engine::{Engine, EngineConfig},
    id::{NodeId, TaskId, TreeId},
    registry::Registry,
    store::{
        Cancel, CancelAnswer, EventKind, NeedKind, NewNeed, NewTask, NewTree, Submission,
        TreeStore as _,
    },
    task::{Definition, Dependency, Join, OnFailure, Outcome, Record, StateName, TreeOptions},
    testing::{Call, MemoryStore, RuntimeClock, Script, ScriptedExecutor, SeededIds},
    transition::MAX_LOST_LEASES,
};
use proptest::{prelude::*, sample::Index};
use serde_json::json;
use tokio::{runtime::Runtime, time::sleep};

use crate::stage::START;

/// What one task of a random forest is like.
#[derive(Debug, Clone)]
struct Plan {
    /// Where among the tasks after it its parent lies, if it has one.
    parent: Option<Index>,
    /// Which tasks before it are needed, and how.
    needs: Vec<(Index, bool)>,
    fate: Fate,
    millis: u64,
    priority: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Works,
    Fails,
    Panics,
    WorksAtSecond,
    NeverWorks,
}

impl Fate {
    fn completes(self) -> bool {
        matches!(self, Self::Works | Self::WorksAtSecond)
    }

    fn attempts(self) -> u32 {
        match self {
            Self::Works | Self::Fails | Self::Panics => 1,
            Self::WorksAtSecond => 2,
            Self::NeverWorks => 3,
        }
    }

    fn scripts(self, millis: u64) -> Vec<Script> {
        let after = |then| Script::After(Duration::from_millis(millis), Box::new(then));
        let works = || after(Script::Return(json!(millis)));
        match self {
            Self::Works => vec![works()],
            Self::Fails => vec![after(Script::Fail("no".to_owned()))],
            Self::Panics => vec![after(Script::Panic("oh".to_owned()))],
            Self::WorksAtSecond => vec![after(Script::Stumble("not yet".to_owned())), works()],
            Self::NeverWorks => vec![after(Script::Stumble("never".to_owned()))],
        }
    }
}

fn plans(most: usize) -> impl Strategy<Value = Vec<Plan>> {
    let fate = prop_oneof![
        12 => Just(Fate::Works),
        1 => Just(Fate::Fails),
        1 => Just(Fate::Panics),
        2 => Just(Fate::WorksAtSecond),
        1 => Just(Fate::NeverWorks),
    ];
    let plan = (
        prop::option::weighted(0.8, any::<Index>()),
        prop::collection::vec((any::<Index>(), prop::bool::weighted(0.8)), 0..4),
        fate,
        0_u64..40,
        0_i64..4,
    )
        .prop_map(|(parent, needs, fate, millis, priority)| Plan {
            parent,
            needs,
            fate,
            millis,
            priority,
        });
    prop::collection::vec(plan, 1..most)
}

fn meddling() -> impl Strategy<Value = Meddling> {
    prop_oneof![
        any::<Index>().prop_map(Meddling::Cancel),
        (1_u32..14).prop_map(Meddling::Fail),
        (1_u32..3).prop_map(Meddling::LoseAnswers),
        any::<bool>().prop_map(Meddling::LoseSignals),
    ]
}

fn on_failure() -> impl Strategy<Value = OnFailure> {
    prop_oneof![
        2 => Just(OnFailure::Continue),
        1 => Just(OnFailure::FailFast),
        1 => Just(OnFailure::SkipDependents),
    ]
}

fn name(index: usize) -> String {
    format!("t{index}")
}

/// Needs point backwards and parents forwards, so nothing waits for itself.
fn submission(plans: &[Plan], on_failure: OnFailure) -> Submission {
    let mut tasks: Vec<NewTask> = Vec::new();
    let mut trees = Vec::new();
    let parents: Vec<Option<usize>> = (0..plans.len())
        .map(|index| {
            let after = plans.len() - index - 1;
            plans[index].parent.filter(|_| after > 0).map(|at| index + 1 + at.index(after))
        })
        .collect();
    let mut tree_of = vec![0; plans.len()];
    for index in (0..plans.len()).rev() {
        if let Some(parent) = parents[index] {
            tree_of[index] = tree_of[parent];
        } else {
            tree_of[index] = trees.len();
            let options = TreeOptions { on_failure, ..TreeOptions::default() };
            let id = TreeId::new(name(index));
            trees.push(NewTree { id, root: index, user_id: None, options });
        }
    }
    for (index, plan) in plans.iter().enumerate() {
        let mut definition = Definition { name: name(index), ..Definition::default() };
        definition.params.insert("executor_id".to_owned(), "play".into());
        definition.priority = plan.priority.try_into().expect("0 to 3");
        definition.durability.max_attempts = (plan.fate.attempts() > 1).then_some(3);
        definition.durability.backoff_base_seconds = Some(0.01);
        let mut needs: Vec<NewNeed> = Vec::new();
        for (at, required) in &plan.needs {
            if index == 0 {
                break;
            }
            let on = at.index(index);
            if needs.iter().any(|need| need.on == on) {
                continue;
            }
            let kind = if *required { NeedKind::Required } else { NeedKind::Optional };
            needs.push(NewNeed { on, kind });
            definition.dependencies.push(Dependency {
                id: TaskId::new(name(on)),
                required: *required,
                plain: false,
                extra: serde_json::Map::new(),
            });
        }
        let children = parents.iter().enumerate().filter(|(_, parent)| **parent == Some(index));
        let children: Vec<usize> = children.map(|(child, _)| child).collect();
        for child in &children {
            if !needs.iter().any(|need| need.on == *child) {
                needs.push(NewNeed { on: *child, kind: NeedKind::Structure });
            }
        }
        tasks.push(NewTask {
            id: TaskId::new(name(index)),
            tree: tree_of[index],
            parent: parents[index],
            has_children: !children.is_empty(),
            definition,
            needs,
        });
    }
    Submission { trees, tasks, start: true, idempotency: None, callback: None }
}

/// How each task must end if nobody interferes and nothing is cancelled.
fn expected(plans: &[Plan], submission: &Submission, on_failure: OnFailure) -> Vec<StateName> {
    let mut ends: Vec<StateName> = Vec::new();
    for (plan, task) in plans.iter().zip(&submission.tasks) {
        let runs = task.needs.iter().all(|need| match need.kind {
            NeedKind::Required => ends[need.on] == StateName::Completed,
            NeedKind::Optional => ends[need.on].is_terminal(),
            NeedKind::Structure => true,
        });
        let lost = task.needs.iter().any(|need| {
            need.kind == NeedKind::Required
                && matches!(ends[need.on], StateName::Failed | StateName::Skipped)
        });
        ends.push(if runs && plan.fate.completes() {
            StateName::Completed
        } else if runs {
            StateName::Failed
        } else if lost && on_failure == OnFailure::SkipDependents {
            StateName::Skipped
        } else {
            StateName::Blocked
        });
    }
    ends
}

struct Played {
    records: Vec<Record>,
    calls: Vec<Call>,
    outcomes: HashMap<TreeId, Option<Outcome>>,
    cancelled: Vec<TaskId>,
    store: Arc<MemoryStore>,
}

impl Played {
    fn somebody_cancelled(&self) -> bool {
        let cancelled = |record: &Record| record.task.state.name() == StateName::Cancelled;
        self.records.iter().any(cancelled)
    }
}

/// What somebody or something does to a forest while it runs.
#[derive(Debug, Clone)]
enum Meddling {
    Cancel(Index),
    /// So many calls of the store fail.
    Fail(u32),
    /// So many settlements are done and not answered.
    LoseAnswers(u32),
    /// Signals get lost, or arrive again.
    LoseSignals(bool),
}

/// What happens after so many more milliseconds.
type Story = Vec<(u64, Meddling)>;

/// One thread and time that jumps, so that each run is the same.
fn still_life() -> Runtime {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime")
}

/// Several threads and the time everybody has.
fn real_life() -> Runtime {
    let builder = &mut tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(4).enable_time().build().expect("a runtime")
}

fn play(
    runtime: &Runtime,
    plans: &[Plan],
    submission: Submission,
    slots: u32,
    plot: &Story,
) -> Played {
    let mut executor = ScriptedExecutor::new("play");
    for (index, plan) in plans.iter().enumerate() {
        executor = executor.on(&name(index), plan.fate.scripts(plan.millis));
    }
    let executor = Arc::new(executor);
    let mut registry = Registry::new();
    registry.register_shared(executor.clone());
    runtime.block_on(async {
        let store = Arc::new(MemoryStore::new(Arc::new(RuntimeClock::new(START))));
        let engine = Engine::builder(store.clone(), Arc::new(SeededIds::new("n")))
            .node(NodeId::from("n"))
            .registry(registry)
            .config(EngineConfig { slots, ..EngineConfig::default() })
            .build();
        let trees = store.insert(submission).await.expect("a sound forest").trees;
        let worker = engine.work();
        let mut cancelled = Vec::new();
        for (millis, meddling) in plot {
            sleep(Duration::from_millis(*millis)).await;
            let mut goes_on = false;
            for tree in &trees {
                let run = store.run_of_tree(tree).await.expect("the store answers");
                goes_on |= run.is_some_and(|run| run.running);
            }
            if !goes_on {
                break;
            }
            let at = match meddling {
                Meddling::Cancel(at) => at,
                Meddling::Fail(calls) => {
                    store.fail_next(*calls);
                    continue;
                }
                Meddling::LoseAnswers(calls) => {
                    store.lose_next_answers(*calls);
                    continue;
                }
                Meddling::LoseSignals(lose) => {
                    store.lose_signals(*lose);
                    continue;
                }
            };
            let task = TaskId::new(name(at.index(plans.len())));
            let wish = Cancel { task: task.clone(), reason: "enough".to_owned() };
            let answers = engine.cancel(vec![wish]).await.expect("the store answers");
            if matches!(answers[0], CancelAnswer::Cancelled { .. }) {
                cancelled.push(task);
            }
        }
        let mut outcomes = HashMap::new();
        for tree in trees {
            let run = tokio::time::timeout(Duration::from_hours(1), engine.wait(&tree)).await;
            let run = run.expect("every run ends").expect("the store answers");
            outcomes.insert(tree, run.outcome);
        }
        // Whatever might still come too late.
        sleep(Duration::from_millis(50)).await;
        worker.stop().await;
        let (records, calls) = (store.tasks(), executor.calls());
        Played { records, calls, outcomes, cancelled, store }
    })
}

/// What holds for every run, however it went.
///
/// A task runs at most `most` times.
fn check_any_run(
    submission: &Submission,
    played: &Played,
    slots: u32,
    most: impl Fn(usize) -> u32,
) {
    let mut began: HashMap<&str, Vec<u64>> = HashMap::new();
    let mut ended: HashMap<&str, u64> = HashMap::new();
    for call in &played.calls {
        began.entry(&call.name).or_default().push(call.began);
        let end = call.ended.unwrap_or(call.began);
        ended.entry(&call.name).and_modify(|last| *last = end.max(*last)).or_insert(end);
    }
    for (index, task) in submission.tasks.iter().enumerate() {
        let record = &played.records[index];
        let state = record.task.state.name();
        assert!(
            state.is_terminal() || state == StateName::Blocked,
            "{} is left {state}",
            record.id
        );
        let runs = began.get(task.definition.name.as_str()).map_or(0, Vec::len);
        let most = usize::try_from(most(index)).expect("small");
        assert!(runs <= most, "{} ran {runs} times", record.id);
        let Some(first) = began.get(task.definition.name.as_str()).and_then(|all| all.first())
        else {
            continue;
        };
        for need in &task.needs {
            let needed = &played.records[need.on];
            // What is cancelled has ended, even if its attempt takes a moment to notice.
            let cancelled = needed.task.state.name() == StateName::Cancelled;
            // A parent that was let go because a child was stuck does not come back when a
            // cancellation frees that child after all.
            let soft = need.kind == NeedKind::Structure && played.somebody_cancelled();
            if soft {
                continue;
            }
            if let (Some(end), false) = (ended.get(needed.definition.name.as_str()), cancelled) {
                assert!(end < first, "{} began before {} had ended", record.id, needed.id);
            }
            if need.kind == NeedKind::Required {
                assert_eq!(needed.task.state.name(), StateName::Completed, "for {}", record.id);
            }
        }
        assert!(state != StateName::Blocked, "{} ran and is blocked", record.id);
        // A child sees what the parent recorded.
        let call = played.calls.iter().rfind(|call| call.name == task.definition.name);
        for need in task.needs.iter().filter(|need| need.kind == NeedKind::Required) {
            let needed = &played.records[need.on];
            let given = call.and_then(|call| call.inputs.get(needed.id.as_str()));
            assert_eq!(given, needed.result.as_ref(), "{} for {}", needed.id, record.id);
        }
    }
    for id in &played.cancelled {
        let record = played.records.iter().find(|record| record.id == *id).expect("stored");
        assert_eq!(record.task.state.name(), StateName::Cancelled, "{id} was promised to be");
    }
    let mut terminal: HashMap<TaskId, usize> = HashMap::new();
    for event in played.store.journal() {
        let ends = matches!(
            event.kind,
            EventKind::Completed | EventKind::Failed | EventKind::Cancelled | EventKind::Skipped
        );
        if let (true, Some(task)) = (ends, event.task) {
            *terminal.entry(task).or_default() += 1;
        }
    }
    for record in &played.records {
        let ends = terminal.get(&record.id).copied().unwrap_or(0);
        assert_eq!(
            ends,
            usize::from(record.task.state.is_terminal()),
            "{} ended {ends} times",
            record.id
        );
    }
    let slots = usize::try_from(slots).expect("small");
    assert!(most_at_once(&played.calls) <= slots, "more than {slots} at once");
}

fn most_at_once(calls: &[Call]) -> usize {
    let mut moments: Vec<(u64, i32)> = Vec::new();
    for call in calls {
        if let Some(ended) = call.ended {
            moments.extend([(call.began, 1), (ended, -1)]);
        }
    }
    moments.sort_unstable();
    let mut open = 0;
    let peak = moments.iter().map(|(_, change)| {
        open += change;
        open
    });
    usize::try_from(peak.max().unwrap_or(0)).expect("never below 0")
}

fn outcome_of(states: &[StateName]) -> Outcome {
    let any = |wanted: &[StateName]| states.iter().any(|state| wanted.contains(state));
    if any(&[StateName::Failed, StateName::Blocked, StateName::Skipped]) {
        Outcome::Failed
    } else if any(&[StateName::Cancelled]) {
        Outcome::Cancelled
    } else {
        Outcome::Completed
    }
}

fn check_outcomes(submission: &Submission, played: &Played) {
    for (index, tree) in submission.trees.iter().enumerate() {
        let states: Vec<StateName> = submission
            .tasks
            .iter()
            .zip(&played.records)
            .filter(|(task, _)| task.tree == index)
            .map(|(_, record)| record.task.state.name())
            .collect();
        assert_eq!(played.outcomes[&tree.id], Some(outcome_of(&states)), "tree {}", tree.id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_forest_ends_as_it_must(
        plans in plans(200),
        on_failure in on_failure(),
        slots in prop_oneof![Just(1_u32), 2_u32..20, Just(256)],
    ) {
        let submission = submission(&plans, on_failure);
        let played = play(&still_life(), &plans, submission.clone(), slots, &Vec::new());
        check_any_run(&submission, &played, slots, |task| plans[task].fate.attempts());
        check_outcomes(&submission, &played);
        let states: Vec<StateName> =
            played.records.iter().map(|record| record.task.state.name()).collect();
        if on_failure == OnFailure::FailFast {
            let failed = |tree: usize| {
                let of_tree = submission.tasks.iter().zip(&states).filter(|(task, _)| task.tree == tree);
                of_tree.map(|(_, state)| *state).collect::<Vec<_>>()
            };
            for tree in 0..submission.trees.len() {
                let states = failed(tree);
                let stopped = states.contains(&StateName::Failed);
                prop_assert!(!(stopped && states.contains(&StateName::Blocked)));
            }
        } else {
            prop_assert_eq!(states, expected(&plans, &submission, on_failure));
        }
    }

    #[test]
    fn cancelling_at_any_moment_leaves_no_loose_end(
        plans in plans(60),
        on_failure in on_failure(),
        slots in 1_u32..20,
        cancels in prop::collection::vec((0_u64..60, any::<Index>()), 1..5),
    ) {
        let submission = submission(&plans, on_failure);
        let story = cancels.into_iter().map(|(after, at)| (after, Meddling::Cancel(at))).collect();
        let played = play(&still_life(), &plans, submission.clone(), slots, &story);
        check_any_run(&submission, &played, slots, |task| plans[task].fate.attempts());
        check_outcomes(&submission, &played);
    }

    #[test]
    fn a_store_that_fails_at_any_moment_loses_nothing(
        plans in plans(40),
        on_failure in on_failure(),
        slots in 1_u32..20,
        story in prop::collection::vec((0_u64..400, meddling()), 1..12),
    ) {
        let submission = submission(&plans, on_failure);
        let played = play(&still_life(), &plans, submission.clone(), slots, &story);
        check_any_run(&submission, &played, slots, |task| match submission.tasks[task].definition.durability.max_attempts {
            Some(attempts) => attempts,
            None => MAX_LOST_LEASES,
        });
        check_outcomes(&submission, &played);
    }

    #[test]
    fn any_one_need_is_enough_where_the_author_says_so(
        fates in prop::collection::vec(any::<bool>(), 1..12),
        slots in 1_u32..6,
    ) {
        let plan = |fate, needs| Plan { parent: None, needs, fate, millis: 5, priority: 2 };
        let mut plans: Vec<Plan> = fates
            .iter()
            .map(|works| plan(if *works { Fate::Works } else { Fate::Fails }, Vec::new()))
            .collect();
        plans.push(plan(Fate::Works, Vec::new()));
        let mut submission = submission(&plans, OnFailure::Continue);
        let last = submission.tasks.last_mut().expect("pushed above");
        last.definition.join = Join::Any;
        last.needs = (0..fates.len()).map(|on| NewNeed { on, kind: NeedKind::Required }).collect();
        let played = play(&still_life(), &plans, submission, slots, &Vec::new());
        let state = played.records[fates.len()].task.state.name();
        let enough = fates.contains(&true);
        prop_assert_eq!(state, if enough { StateName::Completed } else { StateName::Blocked });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_several_threads_every_forest_ends_the_same(plans in plans(80), slots in 1_u32..40) {
        let plans: Vec<Plan> =
            plans.into_iter().map(|plan| Plan { millis: plan.millis / 16, ..plan }).collect();
        let submission = submission(&plans, OnFailure::Continue);
        let played = play(&real_life(), &plans, submission.clone(), slots, &Vec::new());
        check_any_run(&submission, &played, slots, |task| plans[task].fate.attempts());
        let states: Vec<StateName> =
            played.records.iter().map(|record| record.task.state.name()).collect();
        prop_assert_eq!(states, expected(&plans, &submission, OnFailure::Continue));
    }
}
