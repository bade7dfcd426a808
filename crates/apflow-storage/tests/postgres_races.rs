//! Two processes on one PostgreSQL database that claim, settle, fail, cancel, renew and lapse at once.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use apflow_core::{
    id::{NodeId, TaskId, TreeId},
    store::{
        Cancel, Claim, Ended, EventKind, NewTree, Renewal, Settlement, Store, StoreError,
        Submission, TaskEvent,
    },
    task::{Failure, FailureKind, OnFailure, TreeOptions},
};
use apflow_storage::{OpenOptions, open};
use sqlx::Row as _;

use crate::{
    pg::{connect, fresh},
    smoke::task,
};

const TREES: usize = 60;

/// Two diamonds, one after the other.
fn submission(n: usize) -> Submission {
    let on_failure = [OnFailure::Continue, OnFailure::FailFast, OnFailure::SkipDependents][n % 3];
    let needs: [&[usize]; 7] = [&[], &[0], &[0], &[1, 2], &[3], &[3], &[4, 5]];
    Submission {
        trees: vec![NewTree {
            id: TreeId::new(format!("t{n}")),
            root: 0,
            user_id: None,
            options: TreeOptions { on_failure, ..TreeOptions::default() },
        }],
        tasks: needs.iter().enumerate().map(|(i, on)| task(&format!("t{n}-{i}"), on)).collect(),
        start: true,
        idempotency: None,
        callback: None,
        demo: false,
    }
}

/// Numbers that look random and are the same in every run.
struct Dice(AtomicU64);

impl Dice {
    fn below(&self, limit: u64) -> u64 {
        let mut x = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % limit
    }
}

/// Claims and settles until the trees have ended; returns how many reports were refused.
async fn work(
    store: Arc<dyn Store>,
    name: String,
    dice: Arc<Dice>,
    over: Arc<AtomicBool>,
) -> Result<usize, StoreError> {
    let mut batch = Vec::new();
    let mut refused = 0;
    // Every worker is too slow the first time.
    let mut slow = true;
    while !over.load(Ordering::Relaxed) {
        let next = Claim::new(
            NodeId::new(name.clone()),
            1 + u32::try_from(dice.below(12)).expect("small"),
            Duration::from_millis(30 + dice.below(80)),
        );
        let settled = store.settle(std::mem::take(&mut batch), Some(next)).await?;
        refused += settled.refused.len();
        if settled.claimed.is_empty() {
            tokio::time::sleep(Duration::from_millis(3)).await;
            continue;
        }
        if std::mem::take(&mut slow) {
            tokio::time::sleep(Duration::from_millis(300)).await;
        } else if dice.below(3) == 0 {
            let renewals = settled.claimed.iter().map(|held| Renewal {
                seq: held.seq,
                lease: held.lease,
                progress: Some(0.5),
            });
            store.renew(renewals.collect(), Duration::from_millis(60)).await?;
        }
        // Now and then a worker is too slow, or vanishes with what it holds.
        if dice.below(6) == 0 {
            tokio::time::sleep(Duration::from_millis(130)).await;
        } else if dice.below(12) == 0 {
            continue;
        }
        for held in settled.claimed {
            let outcome = match dice.below(14) {
                0 => Ended::Failed {
                    failure: Failure::new(FailureKind::Executor, "by the dice"),
                    retry_after: None,
                    result: serde_json::Value::Null,
                },
                1 => Ended::HandedBack,
                _ => Ended::Completed { result: serde_json::json!(held.attempt) },
            };
            batch.push(Settlement::new(held.seq, held.lease, outcome));
        }
    }
    Ok(refused)
}

/// Lets time pass and cancels a tree now and then, until nothing is left to do.
async fn supervise(store: Arc<dyn Store>, dice: Arc<Dice>) -> Result<(), StoreError> {
    loop {
        store.lapse(50).await?;
        if dice.below(4) == 0 {
            let wish = |n: u64| Cancel {
                task: TaskId::new(format!("t{}-{}", n % TREES as u64, n % 7)),
                reason: "by the dice".to_owned(),
            };
            store.cancel(vec![wish(dice.below(1 << 40)), wish(dice.below(1 << 40))]).await?;
        }
        let mut ended = true;
        for n in 0..TREES {
            let run = store.run_of_tree(&TreeId::new(format!("t{n}"))).await?;
            ended &= run.is_some_and(|run| !run.running);
        }
        if ended {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_counters_and_events_agree_after_everything_happened_at_once() {
    let address = fresh().await;
    let mut stores = Vec::new();
    for _ in 0..2 {
        stores.push(open(&address, OpenOptions::default()).await.expect("opens"));
    }
    for n in 0..TREES {
        stores[n % 2].insert(submission(n)).await.expect("stored");
    }
    let dice = Arc::new(Dice(AtomicU64::new(20)));
    let over = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..6)
        .map(|n| {
            let store = Arc::clone(&stores[n % 2]);
            tokio::spawn(work(store, format!("w{n}"), Arc::clone(&dice), Arc::clone(&over)))
        })
        .collect();
    let supervisors: Vec<_> =
        stores.iter().map(|store| supervise(Arc::clone(store), Arc::clone(&dice))).collect();
    let ended = futures_util::future::try_join_all(supervisors);
    tokio::time::timeout(Duration::from_mins(1), ended).await.expect("it ends").expect("no error");
    over.store(true, Ordering::Relaxed);
    let mut refused = 0;
    for worker in workers {
        refused += worker.await.expect("no panic").expect("no error");
    }
    assert!(refused > 0, "a late report was refused, or this tried nothing");

    let mut admin = connect(&address).await;
    let live = "('ready', 'retrying', 'running', 'waiting')";
    let still = "(w.state IN ('blocked', 'ready', 'retrying', 'running', 'waiting'))";
    let wrong_forests = format!(
        "SELECT f.seq FROM af_forests f JOIN af_work w ON w.forest = f.seq
         GROUP BY f.seq HAVING f.live <> count(*) FILTER (WHERE w.state IN {live})
             OR f.open <> count(*) FILTER (WHERE {still})"
    );
    let wrong_trees = format!(
        "SELECT r.seq FROM af_trees r JOIN af_work w ON w.tree = r.seq
         GROUP BY r.seq HAVING r.open <> count(*) FILTER (WHERE {still})
             OR r.completed <> count(*) FILTER (WHERE w.state = 'completed')
             OR r.failed <> count(*) FILTER (WHERE w.state IN ('failed', 'skipped'))
             OR r.cancelled <> count(*) FILTER (WHERE w.state = 'cancelled')"
    );
    for text in [wrong_forests, wrong_trees] {
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(text)).fetch_all(&mut admin).await;
        let wrong: Vec<i64> = rows.expect("read").iter().map(|row| row.get(0)).collect();
        assert_eq!(wrong, Vec::<i64>::new());
    }

    let events = stores[0].events(None, 0, 100_000).await.expect("read");
    check_order(&events);
}

/// Each task's attempts are told one after the other and nothing follows its end; nothing moves by
/// itself after the end of a run.
fn check_order(events: &[TaskEvent]) {
    let mut tasks: HashMap<&TaskId, (u32, Option<EventKind>)> = HashMap::new();
    let mut finished: HashMap<&TreeId, i64> = HashMap::new();
    for event in events {
        // A task that a failure left blocked can still be cancelled.
        let may_follow = event.kind == EventKind::Cancelled;
        let after_end = finished.contains_key(&event.tree) && !may_follow;
        assert!(!after_end, "{event:?} came after the end of the run");
        let Some(task) = &event.task else {
            if event.kind == EventKind::RunFinished {
                finished.insert(&event.tree, event.seq);
            }
            continue;
        };
        let (attempts, last) = tasks.entry(task).or_default();
        let ends = |kind| {
            matches!(
                kind,
                EventKind::Completed
                    | EventKind::Failed
                    | EventKind::Cancelled
                    | EventKind::Skipped
            )
        };
        assert!(!last.is_some_and(ends), "{event:?} came after {last:?}");
        if event.kind == EventKind::Started {
            assert_ne!(*last, Some(EventKind::Started), "{event:?} while an attempt went on");
            assert!(event.attempt >= *attempts, "{event:?} after attempt {attempts}");
            *attempts = event.attempt;
        }
        *last = Some(event.kind);
    }
    assert_eq!(finished.len(), TREES);
}
