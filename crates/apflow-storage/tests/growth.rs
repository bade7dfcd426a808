//! Random trees that grow while they run, with random failures, resumed until all is done.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use apflow_core::{
    effect::Effect,
    store::{Claimed, EventKind, Settlement},
    task::{Outcome, StateName},
};
use apflow_storage::{
    conformance::{
        Bed, done,
        effects::{asking, gathering, spawn},
        failed,
    },
    open,
};
use proptest::prelude::*;
use serde_json::json;

/// What one task does.
#[derive(Debug, Clone)]
struct Plan {
    /// What it gathers, one batch after the other.
    rounds: Vec<Vec<Plan>>,
    /// What it spawns with its result.
    spawns: Vec<Plan>,
    /// In which of its tries it fails: before which round, or at its end.
    failures: Vec<usize>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let failures = || prop::collection::vec(0..3_usize, 0..2);
    let leaf =
        failures().prop_map(|failures| Plan { rounds: Vec::new(), spawns: Vec::new(), failures });
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let batch = || prop::collection::vec(inner.clone(), 1..3);
        (
            prop::collection::vec(batch(), 0..3),
            prop::collection::vec(inner.clone(), 0..3),
            failures(),
        )
            .prop_map(|(rounds, spawns, failures)| Plan { rounds, spawns, failures })
    })
}

/// Every task of a plan under its name: those of a task are called after it.
fn name_all<'a>(name: &str, plan: &'a Plan, all: &mut BTreeMap<String, &'a Plan>) {
    all.insert(name.to_owned(), plan);
    for (round, batch) in plan.rounds.iter().enumerate() {
        for (place, each) in batch.iter().enumerate() {
            name_all(&format!("{name}.{round}-{place}"), each, all);
        }
    }
    for (place, each) in plan.spawns.iter().enumerate() {
        name_all(&format!("{name}.s-{place}"), each, all);
    }
}

fn batch_of(name: &str, round: &str, count: usize) -> String {
    let names: Vec<String> = (0..count).map(|place| format!("{name}.{round}-{place}")).collect();
    names.join("; ")
}

/// One attempt, as the plan says.
fn attempt(
    held: &Claimed,
    plans: &BTreeMap<String, &Plan>,
    tries: &mut HashMap<String, usize>,
) -> Settlement {
    let name = held.id.as_str();
    let plan = plans[name];
    let round = usize::try_from(held.given.rounds).expect("a few rounds");
    let gathered = held.given.gathered.iter().flatten();
    let seen: BTreeSet<&str> = gathered.map(|each| each.id.as_str()).collect();
    let due: usize = plan.rounds.iter().take(round).map(Vec::len).sum();
    assert_eq!(seen.len(), due, "{name} sees what it gathered, each once");
    let before = tries.entry(name.to_owned()).or_default();
    let last = plan.rounds.len();
    if plan.failures.get(*before).is_some_and(|at| (*at).min(last) == round) {
        *before += 1;
        return failed(held);
    }
    match plan.rounds.get(round) {
        Some(batch) => gathering(held, &batch_of(name, &round.to_string(), batch.len())),
        None if plan.spawns.is_empty() => done(held, json!(name)),
        None => {
            let effects: Vec<Effect> = vec![spawn(&batch_of(name, "s", plan.spawns.len()), false)];
            asking(held, effects)
        }
    }
}

async fn grows_and_resumes(plan: &Plan, batch: u32) {
    let bed =
        Bed::open(async |options| open("sqlite::memory:", options).await.expect("it opens")).await;
    let mut plans = BTreeMap::new();
    name_all("a", plan, &mut plans);
    bed.submit("a; end <a").await;
    let mut tries: HashMap<String, usize> = HashMap::new();
    let most = 2 + plans.values().map(|plan| plan.failures.len()).sum::<usize>();
    for run in 0.. {
        assert!(run < most, "every run brings at least one task further");
        loop {
            let claimed = bed.claim(batch).await;
            if claimed.is_empty() {
                break;
            }
            let reports = claimed.iter().map(|held| match held.id.as_str() {
                "end" => done(held, json!(1)),
                _ => attempt(held, &plans, &mut tries),
            });
            let reports: Vec<Settlement> = reports.collect();
            bed.settle(reports).await;
        }
        let outcome = bed.run("a").await.outcome;
        if outcome == Some(Outcome::Completed) {
            break;
        }
        assert_eq!(outcome, Some(Outcome::Failed));
        bed.start("a").await.expect("it goes on");
    }

    let records = bed.store.subtree(&"a".into()).await.expect("the tree is read");
    let ids: Vec<String> = records.iter().map(|record| record.id.as_str().to_owned()).collect();
    let there: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    assert_eq!(there.len(), ids.len(), "no task is there twice");
    let planned: BTreeSet<&str> = plans.keys().map(String::as_str).collect();
    assert_eq!(there, planned);
    for record in &records {
        assert_eq!(record.task.state.name(), StateName::Completed, "{}", record.id);
    }
    let run = bed.run("a").await;
    let total = u64::try_from(plans.len()).expect("a few");
    assert_eq!((run.total, run.completed), (total, total));
    assert_eq!(bed.state("end").await, StateName::Completed);

    // One end a run, and no more.
    let ends = [EventKind::Completed, EventKind::Failed, EventKind::Skipped, EventKind::Cancelled];
    let mut ended: BTreeSet<String> = BTreeSet::new();
    for event in bed.store.events(Some(&"tree-a".into()), 0, 100_000).await.expect("events") {
        if event.kind == EventKind::RunStarted {
            ended.clear();
        }
        if let Some(task) = event.task.filter(|_| ends.contains(&event.kind)) {
            assert!(ended.insert(task.as_str().to_owned()), "{task} ended twice in one run");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_that_grows_and_fails_is_done_in_the_end_each_task_once_a_run(
        plan in plans(),
        batch in 1..5_u32,
    ) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(grows_and_resumes(&plan, batch));
    }
}
