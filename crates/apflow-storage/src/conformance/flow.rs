//! Who may begin: slots, paces and breakers.

use std::{sync::Arc, time::Duration};

use apflow_core::{
    breaker::{BreakerPolicy, Circuit, Report},
    flow::{FlowControl, Limit, Pace, Rate, SharedLimit, Span},
    id::NodeId,
    store::{Claim, Claimed, Ended, Patch, Settlement, Submission},
    task::{Held, HeldBy, StateName, Status},
};
use futures_util::future::join_all;
use serde_json::json;

use super::{
    Bed,
    bed::{LEASE, ids, stumbled},
    done, failed, forest, handed_back, parked,
};

fn slot(key: &str, max: Option<u32>) -> FlowControl {
    let limits = vec![Limit { key: key.to_owned(), max }];
    FlowControl { limits, ..FlowControl::default() }
}

fn pace(key: &str, limit: u32, burst: Option<u32>) -> FlowControl {
    let per = Span(Duration::from_secs(1));
    let rate = vec![Rate { key: key.to_owned(), limit, per, burst, units: None }];
    FlowControl { rate, ..FlowControl::default() }
}

/// A forest all of whose tasks say the same of their flow.
fn flowing(text: &str, flow: &FlowControl) -> Submission {
    let mut submission = forest(text);
    for task in &mut submission.tasks {
        task.definition.flow = flow.clone();
    }
    submission
}

async fn held(bed: &Bed, task: &str) -> Option<Held> {
    bed.record(task).await.task.held
}

/// Takes what there is and says who it is, in order.
async fn next(bed: &Bed) -> Vec<Claimed> {
    bed.claim(100).await
}

/// The limit holds, and whichever way a holder goes, the next one in line gets its slot.
#[expect(clippy::many_single_char_names, reason = "they are what the tasks are called")]
pub async fn a_slot_comes_free_however_its_holder_leaves(bed: &Bed) {
    let flow = slot("k", Some(1));
    bed.insert(flowing("a; b; c x2; d; e; f; g; h", &flow)).await;
    let a = next(bed).await;
    assert_eq!(ids(&a), ["a"], "one slot");
    assert_eq!(held(bed, "h").await.map(|held| held.by), Some(HeldBy::Concurrency));
    assert_eq!(bed.record("h").await.task.state.status(), Status::Pending);

    let settled = bed.settle_and_claim(vec![done(&a[0], json!(1))], 100).await;
    assert_eq!(ids(&settled.claimed), ["b"], "in the same transaction");
    bed.settle(vec![failed(&settled.claimed[0])]).await;
    let c = next(bed).await;
    assert_eq!(ids(&c), ["c"]);
    bed.settle(vec![stumbled(&c[0], Some(Duration::from_hours(1)))]).await;
    let d = next(bed).await;
    assert_eq!(ids(&d), ["d"], "a delay takes no slot");
    bed.settle(vec![parked(&d[0], None)]).await;
    let e = next(bed).await;
    assert_eq!(ids(&e), ["e"], "a parked task takes none either");
    bed.cancel("e").await;
    let f = next(bed).await;
    assert_eq!(ids(&f), ["f"]);
    bed.pass(LEASE * 2).await;
    let again = next(bed).await;
    assert_eq!(again.len(), 1, "the lease that ran out gave its slot back: {:?}", ids(&again));
    bed.settle(vec![handed_back(&again[0])]).await;
    let again = next(bed).await;
    assert_eq!(again.len(), 1, "so did the one that was handed back");
    bed.set_status(again[0].id.as_str(), Status::Failed).await.expect("somebody reports it");
    assert_eq!(next(bed).await.len(), 1, "and the one that was reported by hand");
}

/// A task that is deleted or taken over while it could have begun leaves nobody asleep behind it.
pub async fn whoever_leaves_before_it_begins_is_followed(bed: &Bed) {
    let flow = slot("k", Some(1));
    bed.insert(flowing("a; b; c", &flow)).await;
    let a = next(bed).await;
    bed.settle(vec![done(&a[0], json!(1))]).await;
    assert_eq!(held(bed, "b").await, None, "it may be claimed");
    assert!(held(bed, "c").await.is_some());
    bed.cancel("b").await;
    assert_eq!(ids(&next(bed).await), ["c"]);
}

/// Those who wait for a slot get it by urgency, then in order of submission.
pub async fn a_line_moves_by_urgency(bed: &Bed) {
    let flow = slot("k", Some(1));
    bed.insert(flowing("a !0; low !3; high !1; urgent !0; later !0", &flow)).await;
    let mut order = Vec::new();
    let mut batch = Vec::new();
    loop {
        let claimed = bed.settle_and_claim(batch, 100).await.claimed;
        if claimed.is_empty() {
            break;
        }
        order.extend(ids(&claimed));
        batch = claimed.iter().map(|held| done(held, json!(1))).collect();
    }
    assert_eq!(order, ["a", "urgent", "later", "high", "low"]);
}

/// Many that are held do not keep others from being claimed, also where they come first.
pub async fn those_who_are_held_stand_in_nobodys_way(bed: &Bed) {
    use std::fmt::Write as _;
    let mut text = String::from("first !0");
    for task in 0..700 {
        write!(text, "; t{task} !0").expect("a text takes more text");
    }
    bed.insert(flowing(&text, &slot("k", Some(1)))).await;
    bed.submit("other !3").await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let settled = bed.settle_and_claim(Vec::new(), 100).await;
        assert!(settled.more || !settled.claimed.is_empty(), "somebody is left: {seen:?}");
        seen.extend(ids(&settled.claimed));
    }
    assert_eq!(seen, ["first", "other"]);
    assert_eq!(next(bed).await.len(), 0);
}

/// A task with two keys needs a slot of each, and takes none while it lacks one.
pub async fn a_task_with_two_keys_takes_both_slots_or_none(bed: &Bed) {
    let both = FlowControl {
        limits: vec![
            Limit { key: "a".to_owned(), max: Some(1) },
            Limit { key: "b".to_owned(), max: Some(1) },
        ],
        ..FlowControl::default()
    };
    bed.insert(flowing("onlyb", &slot("b", Some(1)))).await;
    bed.insert(flowing("both", &both)).await;
    bed.insert(flowing("onlya; alsoa", &slot("a", Some(1)))).await;
    let claimed = next(bed).await;
    assert_eq!(ids(&claimed), ["onlyb", "onlya"], "`both` waits for `b` and leaves `a` alone");
    bed.settle(vec![done(&claimed[0], json!(1))]).await;
    assert_eq!(ids(&next(bed).await), Vec::<String>::new(), "now it waits for `a`");
    bed.settle(vec![done(&claimed[1], json!(1))]).await;
    let last = bed.run_all(&[]).await;
    assert_eq!(last.concat().len(), 2, "both others get their turn: {last:?}");
}

/// A limit by hand holds for everybody; raised or taken away, those who wait go on.
pub async fn a_shared_limit_is_set_raised_and_taken_away(bed: &Bed) {
    let shared = |max| SharedLimit { key: "k".to_owned(), max: Some(max), rate: None };
    bed.store.set_limit(shared(1)).await.expect("the limit is set");
    let mut submission = flowing("a; b; c; d; e", &slot("k", None));
    for (at, task) in submission.tasks.iter_mut().enumerate() {
        task.definition.user_id = Some(format!("user{at}"));
    }
    bed.insert(submission).await;
    assert_eq!(next(bed).await.len(), 1, "whoever owns them");
    bed.store.set_limit(shared(3)).await.expect("the limit is raised");
    assert_eq!(next(bed).await.len(), 2);
    let listed = bed.store.limits().await.expect("the limits are listed");
    assert_eq!(listed, [(shared(3), 3)]);
    assert!(bed.store.delete_limit("k").await.expect("the limit is removed"));
    assert!(!bed.store.delete_limit("k").await.expect("there is none left"));
    assert_eq!(next(bed).await.len(), 2);
}

/// Tasks begin at the pace of their key, each at its moment; nothing is claimed before.
pub async fn a_pace_is_kept(bed: &Bed) {
    bed.insert(flowing("a; b; c; d", &pace("k", 10, Some(2)))).await;
    let first = bed.settle_and_claim(Vec::new(), 100).await;
    assert_eq!(ids(&first.claimed), ["a", "b"], "the burst");
    let wake = first.next_wake.expect("time will free the next one");
    assert_eq!(wake, first.now.after(Duration::from_millis(100)));
    assert_eq!(bed.pass(Duration::from_millis(99)).await, 0);
    assert_eq!(next(bed).await.len(), 0);
    assert_eq!(bed.pass(Duration::from_millis(1)).await, 1, "one at a time");
    assert_eq!(ids(&next(bed).await), ["c"]);
    bed.pass(Duration::from_millis(100)).await;
    assert_eq!(ids(&next(bed).await), ["d"]);
}

/// A shared pace holds for everybody's tasks with the key.
pub async fn a_shared_pace_is_kept(bed: &Bed) {
    let per = Span(Duration::from_secs(1));
    let rate = Some(Pace { limit: 1, per, burst: 1 });
    let shared = SharedLimit { key: "k".to_owned(), max: None, rate };
    bed.store.set_limit(shared).await.expect("the limit is set");
    bed.insert(flowing("a; b; c", &slot("k", None))).await;
    assert_eq!(ids(&next(bed).await), ["a"]);
    bed.pass(Duration::from_secs(1)).await;
    assert_eq!(ids(&next(bed).await), ["b"]);
    assert!(bed.store.delete_limit("k").await.expect("the limit is removed"));
    assert_eq!(ids(&next(bed).await), ["c"]);
}

const POLICY: BreakerPolicy =
    BreakerPolicy { threshold: 2, reset: Span(Duration::from_mins(1)), half_open_max: 1 };

fn said(mut settlement: Settlement, worked: bool) -> Settlement {
    let report = Report { key: "host:x".to_owned(), worked, policy: POLICY };
    settlement.notes.breakers.push(report);
    settlement
}

fn sent_back(held: &Claimed, until: Option<apflow_core::time::Timestamp>) -> Settlement {
    let by = Held { by: HeldBy::Breaker, key: "host:x".to_owned(), until };
    Settlement::new(held.seq, held.lease, Ended::Held(by))
}

/// Opens the breaker and sends `waiting` back to it.
async fn open_breaker(bed: &Bed, waiting: &str) {
    bed.submit("f1; f2").await;
    let failing = next(bed).await;
    bed.settle(failing.iter().map(|held| said(failed(held), false)).collect()).await;
    let breaker = bed.store.breaker("host:x").await.expect("it is read").expect("it is known");
    let Circuit::Open { until } = breaker.circuit else { panic!("two failures: {breaker:?}") };
    bed.submit(waiting).await;
    let claimed = next(bed).await;
    bed.settle(claimed.iter().map(|held| sent_back(held, Some(until))).collect()).await;
}

/// What an open breaker sends back waits, burns no attempt, and one tries when the rest is over.
pub async fn an_open_breaker_holds_and_burns_no_attempt(bed: &Bed) {
    open_breaker(bed, "a x1; b; c").await;
    assert_eq!(next(bed).await.len(), 0);
    assert_eq!(bed.record("a").await.task.attempts, 0);
    assert_eq!(held(bed, "a").await.map(|held| held.by), Some(HeldBy::Breaker));
    bed.pass(Duration::from_mins(1)).await;
    let probes = next(bed).await;
    assert_eq!(ids(&probes), ["a"], "one tries");
    assert_eq!(probes[0].given.probes, ["host:x"]);
    assert_eq!(probes[0].attempt, 1);
    bed.settle(vec![said(done(&probes[0], json!(1)), true)]).await;
    assert_eq!(
        bed.store.breaker("host:x").await.expect("it is read"),
        None,
        "closed and forgotten"
    );
    assert_eq!(ids(&next(bed).await), ["b", "c"], "the others follow");
}

/// A probe that fails opens the breaker again; one that vanishes lets another one try.
pub async fn a_probe_that_fails_or_vanishes_is_followed(bed: &Bed) {
    open_breaker(bed, "a; b; c").await;
    bed.pass(Duration::from_mins(1)).await;
    let probes = next(bed).await;
    assert_eq!(probes.len(), 1);
    bed.settle(vec![said(failed(&probes[0]), false)]).await;
    assert_eq!(next(bed).await.len(), 0, "it is open again");
    bed.pass(Duration::from_mins(1)).await;
    let second = next(bed).await;
    assert_eq!(second.len(), 1);
    bed.pass(LEASE * 2).await;
    let third = next(bed).await;
    assert_eq!(third.len(), 1, "the lease ran out, so another one tries: {:?}", ids(&third));
}

/// Reset by hand, a breaker lets everybody through.
pub async fn a_breaker_is_reset_by_hand(bed: &Bed) {
    open_breaker(bed, "a; b").await;
    assert_eq!(bed.store.breakers(10).await.expect("they are listed").len(), 1);
    assert!(bed.store.reset_breaker("host:x").await.expect("it is reset"));
    assert!(!bed.store.reset_breaker("host:x").await.expect("nothing is known of it"));
    assert_eq!(ids(&next(bed).await), ["a", "b"]);
}

/// Several that claim at the same moment do not take the last slot twice.
pub async fn claims_at_once_keep_the_limit(bed: &Bed) {
    let many: Vec<String> = (0..40).map(|at| format!("t{at}")).collect();
    bed.insert(flowing(&many.join("; "), &slot("k", Some(3)))).await;
    let mut finished = 0;
    let mut running: Vec<Claimed> = Vec::new();
    while finished < 40 {
        let mut reports: Vec<Settlement> =
            running.drain(..).map(|held| done(&held, json!(1))).collect();
        finished += reports.len();
        let asks = (0..6).map(|at| {
            let store = Arc::clone(&bed.store);
            let worker = NodeId::new(format!("worker{at}"));
            let batch = reports.pop().into_iter().collect();
            let claim = Claim::new(worker, 5, LEASE);
            tokio::spawn(async move { store.settle(batch, Some(claim)).await })
        });
        for settled in join_all(asks).await {
            let settled = settled.expect("no panic").expect("an answer");
            assert_eq!(settled.refused, []);
            running.extend(settled.claimed);
        }
        assert!(running.len() <= 3, "{} run at once", running.len());
        assert!(!running.is_empty() || finished == 40, "nobody is left asleep after {finished}");
    }
}

/// What a task says of its slots can be changed while it waits.
pub async fn an_update_takes_a_task_out_of_its_line(bed: &Bed) {
    bed.insert(flowing("a; b; c", &slot("k", Some(1)))).await;
    assert_eq!(ids(&next(bed).await), ["a"]);
    let mut patch = Patch::default();
    patch.definition.insert("flow".to_owned(), json!({"limits": [], "rate": []}));
    bed.update("b", patch).await.expect("it is changed");
    assert_eq!(ids(&next(bed).await), ["b"]);
    assert_eq!(next(bed).await.len(), 0);
}

/// A new run stands in the same lines.
pub async fn a_new_run_keeps_its_limits(bed: &Bed) {
    bed.insert(flowing("r; a ^r; b ^r", &slot("k", Some(1)))).await;
    for _ in 0..2 {
        let rounds = bed.run_all(&[]).await;
        assert_eq!(rounds.len(), 3, "one after another: {rounds:?}");
        bed.begin("r", true).await.expect("it runs again");
    }
}

/// Random histories: never more than may run, and never somebody held beside a free slot.
pub async fn no_history_leaks_a_slot(bed: &Bed) {
    const MAX: [(&str, u32); 3] = [("x", 1), ("y", 2), ("z", 4)];
    let mut seed: u64 = 0x2545_F491_4F6C_DD1D;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(below).expect("small")).expect("small")
    };
    let mut keys_of: Vec<Vec<usize>> = Vec::new();
    let mut running: Vec<Claimed> = Vec::new();
    for step in 0..150 {
        let mut batch = Vec::new();
        match random(6) {
            0 | 1 => {
                let keys: Vec<usize> = (0..MAX.len()).filter(|_| random(2) == 0).collect();
                let limit = |at: &usize| Limit { key: MAX[*at].0.into(), max: Some(MAX[*at].1) };
                let limits = keys.iter().map(limit).collect();
                let flow = FlowControl { limits, ..FlowControl::default() };
                bed.insert(flowing(&format!("t{}", keys_of.len()), &flow)).await;
                keys_of.push(keys);
            }
            2 if !keys_of.is_empty() => {
                let task = format!("t{}", random(keys_of.len()));
                bed.cancel(&task).await;
                running.retain(|held| held.id.as_str() != task);
            }
            3 if step % 10 == 0 => {
                bed.pass(LEASE * 2).await;
                running.clear();
            }
            _ if !running.is_empty() => {
                let held = running.swap_remove(random(running.len()));
                batch.push(match random(3) {
                    0 => done(&held, json!(1)),
                    1 => failed(&held),
                    _ => handed_back(&held),
                });
            }
            _ => {}
        }
        let limit = u32::try_from(random(4)).expect("small");
        running.extend(bed.settle_and_claim(batch, limit).await.claimed);
        let at = |id: &str| id[1..].parse::<usize>().expect("a number");
        let mut taken = [0; 3];
        for held in &running {
            keys_of[at(held.id.as_str())].iter().for_each(|key| taken[*key] += 1);
        }
        let within = taken.iter().zip(MAX).all(|(taken, (_, max))| *taken <= max);
        assert!(within, "after step {step}: {taken:?}");
    }
    // At rest: whoever may begin has begun.
    loop {
        let more = next(bed).await;
        if more.is_empty() {
            break;
        }
        running.extend(more);
    }
    let mut taken = [0; 3];
    let at = |id: &str| id[1..].parse::<usize>().expect("a number");
    for held in &running {
        keys_of[at(held.id.as_str())].iter().for_each(|key| taken[*key] += 1);
    }
    for (task, keys) in keys_of.iter().enumerate() {
        if bed.state(&format!("t{task}")).await == StateName::Ready {
            let full = keys.iter().any(|key| taken[*key] >= MAX[*key].1);
            assert!(full, "t{task} is asleep beside a free slot: {taken:?}");
        }
    }
}
