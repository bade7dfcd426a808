//! What a task asks for with its result: more tasks, another pass.

use apflow_core::{
    effect::{Effect, MAX_CYCLES},
    store::{Claimed, Ended, EventKind, Settlement},
    submit::{Reference, TaskSpec, spawned},
    task::{FailureKind, Outcome, State, StateName, Wait, WaitFor},
};
use serde_json::{Value, json};

use super::{Bed, bed::ids, done, failed, forest};

/// Tasks as in `forest`, without trees: `x; y <x`.
fn drafts(text: &str) -> Vec<TaskSpec> {
    let one = |part: &str| {
        let mut words = part.split_whitespace();
        let id = words.next().expect("a name");
        let mut spec = TaskSpec::new(id);
        spec.id = Some(id.to_owned());
        for word in words {
            match word.split_at(1) {
                ("<", on) => spec.dependencies.push(Reference::required(on)),
                ("?", on) => spec.dependencies.push(Reference::optional(on)),
                ("^", under) => spec.parent = Some(under.to_owned()),
                _ => panic!("what is {word}?"),
            }
        }
        spec
    };
    text.split(';').map(str::trim).map(one).collect()
}

/// The wish for these tasks, which keep the ids they are written with.
pub fn spawn(text: &str, gather: bool) -> Effect {
    // Here the ids stay as they are written, so that rules can name the tasks.
    Effect::Spawn(spawned(drafts(text), None, gather).expect("the tasks work out"))
}

/// The report that a task completed and asks for these.
pub fn asking(held: &Claimed, effects: Vec<Effect>) -> Settlement {
    let mut report = done(held, json!({ "of": held.id.as_str() }));
    report.notes.wishes.effects = effects;
    held.id.as_str().clone_into(&mut report.notes.wishes.id);
    held.id.as_str().clone_into(&mut report.notes.wishes.name);
    report.notes.wishes.max_cycles = held.definition.max_cycles;
    report
}

/// The report that a task waits for these.
pub fn gathering(held: &Claimed, text: &str) -> Settlement {
    let mut report = asking(held, vec![spawn(text, true)]);
    let wait = Wait::new(WaitFor::Child, Value::Null);
    report.outcome = Ended::Parked { wait, at_most: None };
    report
}

pub(super) fn kind_of(state: &State) -> Option<FailureKind> {
    match state {
        State::Failed { failure } => Some(failure.kind),
        _ => None,
    }
}

/// It holds no worker meanwhile, and the attempt is not charged twice.
pub async fn a_gathering_task_goes_on_with_what_its_children_returned(bed: &Bed) {
    bed.submit("a; b <a").await;
    let held = bed.claim_one().await;
    let next = bed.settle_and_claim(vec![gathering(&held, "x; y")], 10).await.claimed;
    assert_eq!(ids(&next), ["x", "y"], "they are taken in the transaction that made them");
    assert_eq!(bed.states("a b").await, "blocked blocked");
    assert_eq!(bed.record("x").await.parent_id, Some("a".into()));
    assert!(bed.record("a").await.has_children);
    let again = bed.settle_and_claim(vec![done(&next[0], json!(7)), failed(&next[1])], 10).await;
    let [again] = &again.claimed[..] else { panic!("{:?}", again.claimed) };
    assert_eq!((again.id.as_str(), again.attempt, again.given.rounds), ("a", 1, 1));
    let found = again.given.gathered.as_deref().expect("it gathered");
    let told: Vec<_> =
        found.iter().map(|each| (each.key.as_str(), each.state, each.result.as_deref())).collect();
    assert_eq!(
        told,
        [("x", StateName::Completed, Some(&json!(7))), ("y", StateName::Failed, None)]
    );
    assert_eq!(found[1].error.as_deref(), Some("it broke"));
    bed.settle(vec![done(again, json!(1))]).await;
    assert_eq!(bed.run_all(&[]).await, [["b"]]);
    let run = bed.run("a").await;
    assert_eq!((run.total, run.completed, run.running), (3, 2, false));
    assert_eq!(bed.count_of("tree-a", EventKind::Spawned).await, 1);
}

/// An executor that gathers twice comes by its first gathering again.
pub async fn a_second_gathering_finds_the_first_one_done(bed: &Bed) {
    bed.submit("a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![gathering(&held, "x")]).await;
    let held = bed.claim_one().await;
    bed.settle(vec![done(&held, json!(1))]).await;
    let held = bed.claim_one().await;
    bed.settle(vec![gathering(&held, "y; z <y")]).await;
    assert_eq!(bed.run_all(&[]).await, [["y"], ["z"], ["a"]]);
    assert_eq!(bed.record("a").await.task.facets().rounds, 2);
    assert_eq!(bed.run("a").await.outcome, Some(Outcome::Completed));
    assert_eq!(bed.run("a").await.completed, 4);
}

/// What can never run has not ended, and yet nothing more will come of it.
pub async fn a_gathering_goes_on_although_a_child_can_never_run(bed: &Bed) {
    bed.submit("a").await;
    let held = bed.claim_one().await;
    bed.settle(vec![gathering(&held, "x; y <x")]).await;
    let held = bed.claim_one().await;
    bed.settle(vec![failed(&held)]).await;
    let again = bed.claim_one().await;
    let states: Vec<StateName> =
        again.given.gathered.iter().flatten().map(|each| each.state).collect();
    assert_eq!(states, [StateName::Failed, StateName::Blocked]);
    bed.settle(vec![done(&again, json!(1))]).await;
    assert!(!bed.run("a").await.running);
}

/// And for what those have spawned, and so on; a parent by structure too.
pub async fn whoever_waits_for_a_spawner_waits_for_what_it_spawned(bed: &Bed) {
    bed.submit("root; a ^root; b <a ^root; c any <a ^root").await;
    let held = bed.claim_one().await;
    let next = bed.settle_and_claim(vec![asking(&held, vec![spawn("x; y <x", false)])], 10).await;
    assert_eq!(ids(&next.claimed), ["c", "x"], "who needs any one goes on");
    assert_eq!(bed.states("a b y root").await, "completed blocked blocked blocked");
    assert_eq!(bed.record("b").await.waiting_for, ["x".into(), "y".into()]);
    let (c, x) = (&next.claimed[0], &next.claimed[1]);
    bed.settle(vec![done(c, json!(1)), asking(x, vec![spawn("z", false)])]).await;
    assert_eq!(bed.run_all(&[]).await, [["z"], ["y"], ["b"], ["root"]], "y waits for x");
    let run = bed.run("root").await;
    assert_eq!((run.total, run.completed, run.outcome), (7, 7, Some(Outcome::Completed)));
}

/// Effects belong to the result; without one there are none.
pub async fn a_failed_attempt_spawns_nothing(bed: &Bed) {
    bed.submit("a").await;
    let held = bed.claim_one().await;
    let mut report = failed(&held);
    report.notes.wishes.effects = vec![spawn("x", false), Effect::Iterate { data: json!(1) }];
    bed.settle(vec![report]).await;
    assert_eq!(bed.run("a").await.total, 1);
    assert_eq!(bed.states("a").await, "failed");
}

/// Whoever waits for it sees only the last result (S07).
pub async fn a_task_that_iterates_is_done_after_its_last_pass(bed: &Bed) {
    bed.submit("a; b <a").await;
    for cycle in 0..3 {
        let held = bed.claim_one().await;
        assert_eq!((held.id.as_str(), held.given.cycle, held.attempt), ("a", cycle, 1));
        let data = held.given.cycle_data.as_deref().cloned();
        assert_eq!(data, (cycle > 0).then(|| json!(cycle)));
        bed.settle(vec![asking(&held, vec![Effect::Iterate { data: json!(cycle + 1) }])]).await;
        assert_eq!(bed.states("a b").await, "ready blocked");
    }
    let held = bed.claim_one().await;
    bed.settle(vec![done(&held, json!("last"))]).await;
    let next = bed.claim_one().await;
    assert_eq!(next.needs[0].result.as_deref(), Some(&json!("last")));
    bed.settle(vec![done(&next, json!(1))]).await;
    assert_eq!(bed.count_of("tree-a", EventKind::Iterated).await, 3);
    assert_eq!(bed.run("a").await.outcome, Some(Outcome::Completed));
}

/// A loop that nobody ends is ended, as a failure that says so.
pub async fn passes_have_an_end(bed: &Bed) {
    bed.submit("a").await;
    for _ in 0..MAX_CYCLES {
        let held = bed.claim_one().await;
        bed.settle(vec![asking(&held, vec![Effect::Iterate { data: Value::Null }])]).await;
    }
    let record = bed.record("a").await;
    assert_eq!(kind_of(&record.task.state), Some(FailureKind::CycleLimit));

    let mut few = forest("s");
    few.trees[0].options.max_steps = Some(1);
    bed.insert(few).await;
    for _ in 0..2 {
        let held = bed.claim_one().await;
        bed.settle(vec![asking(&held, vec![Effect::Iterate { data: Value::Null }])]).await;
    }
    let record = bed.record("s").await;
    assert_eq!(kind_of(&record.task.state), Some(FailureKind::StepLimit));
}

/// Both are failures of the task that asked for one too many, and nothing of it is done.
pub async fn spawned_tasks_are_bounded_in_number_and_depth(bed: &Bed) {
    let mut small = forest("a");
    small.trees[0].options.max_spawned = Some(2);
    small.trees[0].options.max_depth = Some(1);
    bed.insert(small).await;
    let held = bed.claim_one().await;
    bed.settle(vec![asking(&held, vec![spawn("x; y", false)])]).await;
    let held = bed.claim(10).await;
    bed.settle(vec![asking(&held[0], vec![spawn("deep", false)]), done(&held[1], Value::Null)])
        .await;
    let record = bed.record("x").await;
    assert_eq!(kind_of(&record.task.state), Some(FailureKind::DepthLimit));
    assert_eq!(bed.run("a").await.total, 3);

    let mut small = forest("b");
    small.trees[0].options.max_spawned = Some(2);
    bed.insert(small).await;
    let held = bed.claim_one().await;
    bed.settle(vec![gathering(&held, "p; q; r")]).await;
    let record = bed.record("b").await;
    assert_eq!(kind_of(&record.task.state), Some(FailureKind::SpawnLimit));
    assert_eq!(bed.run("b").await.total, 1);
}

/// In one transaction, by sets.
pub async fn ten_thousand_tasks_are_spawned_at_once(bed: &Bed) {
    bed.submit("a; b <a").await;
    let held = bed.claim_one().await;
    let many: Vec<String> = (0..10_000).map(|place| format!("t{place}")).collect();
    bed.settle(vec![gathering(&held, &many.join("; "))]).await;
    assert_eq!(bed.run("a").await.total, 10_001);
    let mut batch = Vec::new();
    loop {
        let claimed = bed.settle_and_claim(batch, 2500).await.claimed;
        if claimed.len() == 1 {
            assert_eq!(claimed[0].given.gathered.as_ref().map(Vec::len), Some(10_000));
            bed.settle(vec![done(&claimed[0], json!(1))]).await;
            break;
        }
        batch = claimed.iter().map(|held| done(held, json!(1))).collect();
    }
    assert_eq!(bed.run_all(&[]).await, [["b"]]);
    assert_eq!(bed.run("a").await.completed, 10_001);
}
