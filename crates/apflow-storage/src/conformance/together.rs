//! What many do at the same moment.

use std::{collections::HashMap, sync::Arc};

use apflow_core::{
    id::{NodeId, Seq},
    store::{
        Cancel, CancelAnswer, Claim, Claimed, EventKind, Idempotency, Renewal, Settled, Settlement,
        Start, StartScope, Store, StoreError, Submission, TaskFilter,
    },
    task::{Outcome, StateName},
};
use futures_util::future::join_all;
use serde_json::json;

use super::{
    Bed,
    bed::{LEASE, ids},
    done, failed, forest,
};

/// Runs all of them at once, each on a task of its own.
async fn at_once<T: Send + 'static>(
    all: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let running: Vec<_> = all.into_iter().map(tokio::spawn).collect();
    join_all(running).await.into_iter().map(|joined| joined.expect("no panic")).collect()
}

async fn settle(store: Arc<dyn Store>, report: Settlement, next: Option<Claim>) -> Settled {
    store.settle(vec![report], next).await.expect("an answer")
}

/// Two that end at the same moment must not both believe the other goes on (house §0.4).
pub async fn fan_ins_that_settle_at_once_leave_nobody_asleep(bed: &Bed) {
    use std::fmt::Write as _;
    let widths = [2, 2, 2, 2, 3, 5, 8, 13, 21, 34, 50];
    for (fan, width) in widths.iter().enumerate() {
        let mut text = format!("last{fan}");
        for task in 0..*width {
            write!(text, " <t{fan}-{task}").expect("a text takes more text");
        }
        for task in 0..*width {
            write!(text, "; t{fan}-{task} ^last{fan}").expect("a text takes more text");
        }
        bed.submit(&text).await;
    }
    let held = bed.claim(1000).await;
    assert_eq!(held.len(), widths.iter().sum::<usize>());
    // Neighbours in a fan come at the same moment.
    let settled = at_once(held.iter().enumerate().map(|(at, held)| {
        let report = if at % 3 == 0 { done(held, json!(at)) } else { done(held, json!(null)) };
        settle(Arc::clone(&bed.store), report, None)
    }))
    .await;
    assert!(settled.iter().all(|settled| settled.refused.is_empty()));
    let last = bed.claim(1000).await;
    assert_eq!(last.len(), widths.len(), "each fan woke its last task: {:?}", ids(&last));
    for held in &last {
        assert!(held.needs.iter().all(|need| need.completed && need.result.is_some()));
    }
    bed.settle(last.iter().map(|held| done(held, json!(1))).collect()).await;
    for fan in 0..widths.len() {
        let run = bed.run(&format!("last{fan}")).await;
        assert_eq!(run.outcome, Some(Outcome::Completed), "fan {fan}");
    }
}

/// A task has one holder.
pub async fn two_claimers_never_share_a_task(bed: &Bed) {
    use std::fmt::Write as _;
    let mut text = "root".to_owned();
    for task in 0..200 {
        write!(text, "; t{task} ^root").expect("a text takes more text");
    }
    bed.submit(&text).await;
    let workers = (0..8).map(|worker| {
        let store = Arc::clone(&bed.store);
        let claim = Claim::new(NodeId::new(format!("w{worker}")), 7, LEASE);
        async move {
            let mut mine: Vec<Claimed> = Vec::new();
            loop {
                let settled = store.settle(Vec::new(), Some(claim.clone())).await.expect("a claim");
                assert!(settled.claimed.len() <= 7);
                if settled.claimed.is_empty() {
                    return mine;
                }
                mine.extend(settled.claimed);
            }
        }
    });
    let mut holders: HashMap<Seq, usize> = HashMap::new();
    for held in at_once(workers).await.iter().flatten() {
        *holders.entry(held.seq).or_default() += 1;
    }
    assert_eq!(holders.len(), 200);
    assert!(holders.values().all(|holders| *holders == 1));
    assert_eq!(bed.count_of("tree-root", EventKind::Started).await, 200);
}

/// Also those who hold the same lease get in only once.
pub async fn of_many_reports_under_one_lease_one_is_taken(bed: &Bed) {
    bed.submit("a; b <a").await;
    let held = bed.claim_one().await;
    let reports = (0..20).map(|n| settle(Arc::clone(&bed.store), done(&held, json!(n)), None));
    let settled = at_once(reports).await;
    let taken: Vec<_> =
        (0..20).filter(|n| settled[*n].refused.is_empty()).map(|n| json!(n)).collect();
    assert_eq!(taken.len(), 1);
    assert_eq!(bed.record("a").await.result.as_ref(), taken.first());
    assert_eq!(bed.run_all(&[]).await, [["b"]]);
}

/// Whoever lost its lease cannot win a race.
pub async fn a_fresh_report_wins_over_stale_ones(bed: &Bed) {
    for round in 0..10 {
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        bed.submit(&format!("{a}; {b} <{a}")).await;
        let stale = bed.claim_one().await;
        bed.pass(LEASE).await;
        let fresh = bed.claim_one().await;
        let reports = [
            done(&stale, json!("stale")),
            failed(&stale),
            done(&fresh, json!("fresh")),
            done(&stale, json!("stale")),
        ];
        let settled = at_once(
            reports.map(|report| settle(Arc::clone(&bed.store), report, Some(bed.wish(10)))),
        )
        .await;
        let refused: Vec<_> = settled.iter().map(|settled| settled.refused.len()).collect();
        assert_eq!(refused, [1, 1, 0, 1]);
        let claimed: Vec<_> = settled.into_iter().flat_map(|settled| settled.claimed).collect();
        assert_eq!(ids(&claimed), std::slice::from_ref(&b));
        assert_eq!(claimed[0].needs[0].result.as_deref(), Some(&json!("fresh")));
        bed.settle(vec![done(&claimed[0], json!(1))]).await;
    }
}

/// Either the report was first or the cancellation; what was first stays.
pub async fn a_cancellation_or_a_report_wins_but_never_both(bed: &Bed) {
    for round in 0..20 {
        let id = format!("a{round}");
        bed.submit(&id).await;
        let held = bed.claim_one().await;
        let cancel = {
            let (store, id) = (Arc::clone(&bed.store), id.as_str().into());
            async move {
                let wish = Cancel { task: id, reason: "now".to_owned() };
                store.cancel(vec![wish]).await.expect("an answer").remove(0)
            }
        };
        let report = settle(Arc::clone(&bed.store), done(&held, json!(1)), None);
        let (cancelled, settled) = if round % 2 == 0 {
            let (a, b) = tokio::join!(tokio::spawn(cancel), tokio::spawn(report));
            (a.expect("no panic"), b.expect("no panic"))
        } else {
            let (b, a) = tokio::join!(tokio::spawn(report), tokio::spawn(cancel));
            (a.expect("no panic"), b.expect("no panic"))
        };
        let won = matches!(cancelled, CancelAnswer::Cancelled { .. });
        assert_eq!(won, !settled.refused.is_empty(), "one of them wins");
        let expected = if won { StateName::Cancelled } else { StateName::Completed };
        let record = bed.record(&id).await;
        assert_eq!(record.task.state.name(), expected);
        bed.pass(LEASE).await;
        let late = bed.store.settle(vec![failed(&held)], None).await.expect("an answer");
        assert_eq!(late.refused.len(), 1);
        assert_eq!(bed.record(&id).await, record, "an end is an end");
    }
}

/// A lease that ran out is extended or taken away, not both.
pub async fn a_renewal_or_a_lapse_wins_but_never_both(bed: &Bed) {
    for round in 0..20 {
        let id = format!("a{round}");
        bed.submit(&id).await;
        let held = bed.claim_one().await;
        bed.clock.advance(LEASE);
        let renewal = Renewal { seq: held.seq, lease: held.lease, progress: None };
        let (renewing, lapsing) = (Arc::clone(&bed.store), Arc::clone(&bed.store));
        let renew = tokio::spawn(async move { renewing.renew(vec![renewal], LEASE).await });
        let lapse = tokio::spawn(async move { lapsing.lapse(10).await });
        let refused = renew.await.expect("no panic").expect("an answer");
        let lapsed = lapse.await.expect("no panic").expect("an answer");
        assert_eq!(refused.len(), lapsed as usize, "one of them wins");
        let state = bed.state(&id).await;
        assert_eq!(state, if lapsed == 1 { StateName::Ready } else { StateName::Running });
        let late = bed.store.settle(vec![done(&held, json!(1))], None).await.expect("an answer");
        assert_eq!(late.refused.len(), lapsed as usize);
        bed.run_all(&[]).await;
        assert_eq!(bed.state(&id).await, StateName::Completed);
    }
}

/// Nobody is forgotten in a group commit.
pub async fn submissions_at_once_are_all_answered(bed: &Bed) {
    let inserts = (0..100).map(|n| {
        let store = Arc::clone(&bed.store);
        async move { store.insert(forest(&format!("r{n}; c{n} ^r{n}"))).await }
    });
    for (n, answer) in at_once(inserts).await.into_iter().enumerate() {
        let inserted = answer.expect("stored");
        assert_eq!(inserted.roots[0].as_str(), format!("r{n}"), "each gets its own answer");
    }
    let counts = bed.store.count(&TaskFilter::default()).await.expect("counts");
    assert_eq!(counts.total(), 200);
    assert_eq!(bed.run_all(&[]).await.concat().len(), 200);
}

/// A request that is sent again and again is one request (I10).
pub async fn one_idempotency_key_makes_one_tree(bed: &Bed) {
    let inserts = (0..100).map(|n| {
        let store = Arc::clone(&bed.store);
        let idempotency = Some(Idempotency {
            owner: "ada".to_owned(),
            key: "k".to_owned(),
            digest: "d".to_owned(),
        });
        async move { store.insert(Submission { idempotency, ..forest(&format!("r{n}")) }).await }
    });
    let answers: Vec<_> =
        at_once(inserts).await.into_iter().map(|answer| answer.expect("an answer")).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.roots == answers[0].roots));
    let counts = bed.store.count(&TaskFilter::default()).await.expect("counts");
    assert_eq!(counts.total(), 1);
}

/// One run at a time, also when many ask (ruling 21).
pub async fn of_many_starts_one_begins_the_run(bed: &Bed) {
    bed.put("root; a ^root").await;
    let starts = (0..20).map(|_| {
        let store = Arc::clone(&bed.store);
        let start = Start {
            task: "root".into(),
            scope: StartScope::Auto,
            reexecute: false,
            callback: None,
            demo: false,
        };
        async move { store.start(start).await }
    });
    let answers = at_once(starts).await;
    let begun = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = |answer: &&Result<_, _>| matches!(answer, Err(StoreError::AlreadyRunning { .. }));
    assert_eq!((begun, answers.iter().filter(refused).count()), (1, 19));
    assert_eq!(bed.run("root").await.run, 1);
}

/// An id is given to one task.
pub async fn one_id_is_stored_once(bed: &Bed) {
    let inserts = (0..50).map(|n| {
        let store = Arc::clone(&bed.store);
        async move { store.insert(forest(&format!("r{n}; same ^r{n}"))).await }
    });
    let answers = at_once(inserts).await;
    let refused = |answer: &&Result<_, _>| matches!(answer, Err(StoreError::DuplicateTask(id)) if id.as_str() == "same");
    assert_eq!(answers.iter().filter(refused).count(), 49);
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let counts = bed.store.count(&TaskFilter::default()).await.expect("counts");
    assert_eq!(counts.total(), 2);
}
