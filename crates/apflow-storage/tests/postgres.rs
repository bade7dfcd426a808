//! What holds when several processes share one PostgreSQL database.

use std::{collections::HashSet, sync::Arc, time::Duration};

use apflow_core::{
    id::{NodeId, TaskId, TreeId},
    store::{
        Claim, Claimed, Ended, Idempotency, NewTree, Settlement, Signal, Store, StoreError,
        Submission,
    },
    task::{StateName, TreeOptions},
    transition::Refused,
};
use apflow_storage::{Durability, OpenOptions, open};
use sqlx::{AssertSqlSafe, Row as _};

use crate::{
    pg::{address, connect, fresh},
    smoke::{diamond, task},
};

async fn store(address: &str) -> Arc<dyn Store> {
    open(address, OpenOptions::default()).await.expect("opens")
}

async fn two_stores() -> (Arc<dyn Store>, Arc<dyn Store>) {
    let address = fresh().await;
    (store(&address).await, store(&address).await)
}

fn submission(tree: &str, tasks: &[(&str, &[usize])]) -> Submission {
    Submission {
        trees: vec![NewTree {
            id: TreeId::new(tree),
            root: 0,
            user_id: None,
            options: TreeOptions::default(),
        }],
        tasks: tasks.iter().map(|(id, needs)| task(id, needs)).collect(),
        start: true,
        idempotency: None,
        callback: None,
        demo: false,
    }
}

fn one(id: &str) -> Submission {
    submission(&format!("tree of {id}"), &[(id, &[])])
}

fn claim(worker: &str, limit: u32) -> Claim {
    Claim::new(NodeId::new(worker), limit, Duration::from_secs(30))
}

fn completed(held: &Claimed) -> Settlement {
    Settlement::new(
        held.seq,
        held.lease,
        Ended::Completed { result: serde_json::json!(held.id.as_str()) },
    )
}

async fn take(store: &Arc<dyn Store>, worker: &str, limit: u32) -> Vec<Claimed> {
    store.settle(Vec::new(), Some(claim(worker, limit))).await.expect("claimed").claimed
}

#[tokio::test]
async fn a_diamond_runs_to_its_end() {
    diamond(store(&fresh().await).await.as_ref()).await;
}

#[tokio::test]
async fn a_diamond_runs_to_its_end_relaxed() {
    let options = OpenOptions { durability: Durability::Relaxed, ..OpenOptions::default() };
    diamond(open(&fresh().await, options).await.expect("opens").as_ref()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_that_claim_at_once_get_different_tasks() {
    let (one_store, other) = two_stores().await;
    for number in 0..120 {
        one_store.insert(one(&format!("t{number}"))).await.expect("stored");
    }
    let mut all = Vec::new();
    loop {
        let asks = (0..6).map(|n| {
            let store = Arc::clone(if n % 2 == 0 { &one_store } else { &other });
            tokio::spawn(async move { take(&store, &format!("w{}", n % 2), 5).await })
        });
        let before = all.len();
        for ask in asks.collect::<Vec<_>>() {
            all.extend(ask.await.expect("no panic").into_iter().map(|held| held.id));
        }
        if all.len() == before {
            break;
        }
    }
    let different: HashSet<&TaskId> = all.iter().collect();
    assert_eq!((all.len(), different.len()), (120, 120));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_in_whose_needs_settle_at_once_never_sleeps_for_ever() {
    const FANS: usize = 200;
    let (one_store, other) = two_stores().await;
    for n in 0..FANS {
        let (a, b, c) = (format!("a{n}"), format!("b{n}"), format!("c{n}"));
        let tasks: [(&str, &[usize]); 3] = [(&a, &[]), (&b, &[]), (&c, &[0, 1])];
        one_store.insert(submission(&format!("t{n}"), &tasks)).await.expect("stored");
    }
    let mut held = take(&one_store, "w", 500).await;
    assert_eq!(held.len(), 2 * FANS);
    held.sort_by_key(|task| task.seq.0);
    for pair in held.chunks(2) {
        let (left, right) = (vec![completed(&pair[0])], vec![completed(&pair[1])]);
        let (left, right) = tokio::join!(
            tokio::spawn({
                let store = Arc::clone(&one_store);
                async move { store.settle(left, None).await }
            }),
            tokio::spawn({
                let store = Arc::clone(&other);
                async move { store.settle(right, None).await }
            }),
        );
        for settled in [left, right] {
            assert_eq!(settled.expect("no panic").expect("settled").refused, []);
        }
    }
    let sinks = take(&other, "v", 500).await;
    assert_eq!(sinks.len(), FANS, "every sink woke up");
    let settled = other.settle(sinks.iter().map(completed).collect(), None).await;
    assert_eq!(settled.expect("settled").refused, []);
    for n in 0..FANS {
        let run = one_store.run_of_tree(&TreeId::new(format!("t{n}"))).await.expect("read");
        assert!(run.expect("there").outcome.is_some(), "t{n} ended");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_idempotency_key_makes_one_tree_however_many_ask_at_once() {
    let (one_store, other) = two_stores().await;
    let asks: Vec<_> = (0..100)
        .map(|n| {
            let store = Arc::clone(if n % 2 == 0 { &one_store } else { &other });
            let mut submission = submission(&format!("t{n}"), &[(&format!("a{n}"), &[])]);
            submission.idempotency = Some(Idempotency {
                owner: "me".to_owned(),
                key: "k".to_owned(),
                digest: "d".to_owned(),
            });
            tokio::spawn(async move { store.insert(submission).await })
        })
        .collect();
    let mut trees = HashSet::new();
    let mut stored = 0;
    for ask in asks {
        let inserted = ask.await.expect("no panic").expect("answered");
        stored += usize::from(!inserted.replayed);
        trees.insert((inserted.trees[0].clone(), inserted.roots[0].clone()));
    }
    assert_eq!((stored, trees.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_id_is_stored_once_and_every_other_caller_is_told_which_it_was() {
    let (one_store, other) = two_stores().await;
    let asks: Vec<_> = (0..40)
        .map(|n| {
            let store = Arc::clone(if n % 2 == 0 { &one_store } else { &other });
            let id = format!("same{}", n / 20);
            tokio::spawn(async move {
                (id.clone(), store.insert(submission(&format!("t{n}"), &[(&id, &[])])).await)
            })
        })
        .collect();
    let mut stored = Vec::new();
    for ask in asks {
        match ask.await.expect("no panic") {
            (id, Ok(_)) => stored.push(id),
            (id, Err(StoreError::DuplicateTask(named))) => assert_eq!(named.as_str(), id),
            (_, Err(other)) => panic!("{other}"),
        }
    }
    stored.sort();
    assert_eq!(stored, ["same0", "same1"]);
}

#[tokio::test]
async fn what_one_process_does_wakes_another() {
    let (one_store, other) = two_stores().await;
    let mut signals = other.signals();
    one_store.insert(one("a")).await.expect("stored");
    let heard = tokio::time::timeout(Duration::from_secs(5), async {
        let (mut ready, mut changed) = (false, false);
        while !(ready && changed) {
            match signals.recv().await.expect("a signal") {
                Signal::Ready => ready = true,
                Signal::Changed(trees) => changed = !trees.is_empty(),
                _ => {}
            }
        }
    });
    heard.await.expect("heard in time");
    let held = take(&other, "w", 1).await;
    let mut signals = one_store.ends();
    other.settle(vec![completed(&held[0])], None).await.expect("settled");
    let heard = tokio::time::timeout(Duration::from_secs(5), async {
        while !matches!(signals.recv().await.expect("a signal"), Signal::Finished(_)) {}
    });
    heard.await.expect("heard in time");
}

#[tokio::test]
async fn a_stale_lease_settles_nothing() {
    let address = fresh().await;
    let one_store = store(&address).await;
    one_store.insert(one("a")).await.expect("stored");
    let mut first = claim("w", 1);
    first.lease = Duration::from_millis(50);
    let old = one_store.settle(Vec::new(), Some(first)).await.expect("claimed").claimed;
    tokio::time::sleep(Duration::from_millis(80)).await;
    let other = store(&address).await;
    assert_eq!(other.lapse(10).await.expect("lapsed"), 1);
    let new = take(&other, "v", 1).await;
    assert_eq!(new.len(), 1, "it was free again");
    let refused = one_store.settle(vec![completed(&old[0])], None).await.expect("answered").refused;
    assert!(matches!(refused[0].why, Refused::StaleLease { .. }), "{:?}", refused[0].why);
    let record = one_store.record(&TaskId::new("a")).await.expect("read").expect("there");
    assert_eq!(record.task.state.name(), StateName::Running);
    assert_eq!(record.worker.as_deref(), Some("v"));
}

#[tokio::test]
async fn work_of_a_dead_process_is_taken_up_and_that_of_a_live_one_is_left_alone() {
    let address = fresh().await;
    let dying = store(&address).await;
    let living = store(&address).await;
    for id in ["a", "b"] {
        living.insert(one(id)).await.expect("stored");
    }
    let lost = take(&dying, "dying", 1).await;
    let kept = take(&living, "living", 1).await;
    let third = store(&address).await;
    assert_eq!(third.recover().await.expect("looked"), 0, "both live");
    drop(dying);
    let mut taken = 0;
    for _ in 0..100 {
        taken += third.recover().await.expect("looked");
        if taken > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(taken, 1);
    let again = take(&third, "third", 5).await;
    assert_eq!(again.iter().map(|held| &held.id).collect::<Vec<_>>(), [&lost[0].id]);
    let settled = living.settle(vec![completed(&kept[0])], None).await.expect("settled");
    assert_eq!(settled.refused, []);
}

#[tokio::test]
async fn broken_connections_are_made_again_and_the_locks_with_them() {
    let address = fresh().await;
    let (broken, other) = (store(&address).await, store(&address).await);
    broken.insert(one("a")).await.expect("stored");
    assert_eq!(take(&broken, "w", 1).await.len(), 1);
    let mut signals = broken.signals();
    let mut admin = connect(&address).await;
    let text = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::raw_sql(text).execute(&mut admin).await.expect("terminated");
    // Writing and reading go on at once.
    broken.insert(one("b")).await.expect("stored again");
    assert!(broken.record(&TaskId::new("b")).await.expect("read").is_some());
    let heard = tokio::time::timeout(Duration::from_secs(5), async {
        while !matches!(signals.recv().await.expect("a signal"), Signal::Ready) {}
    });
    heard.await.expect("whoever listens is told to look");
    for _ in 0..100 {
        // Listening again means that the locks are held again.
        let text = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1";
        let row = sqlx::query(text).fetch_one(&mut admin).await.expect("read");
        if row.get::<i64, _>(0) > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(other.recover().await.expect("looked"), 0, "its worker lives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_open_an_empty_database_at_once() {
    let address = fresh().await;
    let opens: Vec<_> = (0..6)
        .map(|_| {
            let address = address.clone();
            tokio::spawn(async move { open(&address, OpenOptions::default()).await.map(drop) })
        })
        .collect();
    for opened in opens {
        opened.await.expect("no panic").expect("opens");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_apflow_is_refused() {
    let address = fresh().await;
    drop(store(&address).await);
    let mut admin = connect(&address).await;
    let text = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                execution_time) VALUES (9999, 'later', true, '', 0)";
    sqlx::raw_sql(text).execute(&mut admin).await.expect("stored");
    let refused = open(&address, OpenOptions::default()).await.err().expect("refused");
    assert!(matches!(refused, StoreError::TooNew { found: 9999, .. }), "{refused}");
}

#[tokio::test]
async fn what_is_wrong_with_an_address_is_said_without_its_password() {
    let missing = address("no_such_database");
    let told = open(&missing, OpenOptions::default()).await.err().expect("refused");
    assert!(told.hint().expect("a hint").contains("createdb"), "{told}");

    for address in [
        "postgres://me:s3kr1t@127.0.0.1:1/db",
        "postgres://me:s3kr1t@127.0.0.1:99999999/db",
        "postgres://me:s3kr1t@[::bad/db",
    ] {
        let told = open(address, OpenOptions::default()).await.err().expect("refused");
        let all = format!("{told} {told:?} {:?}", told.hint());
        assert!(!all.contains("s3kr1t"), "{all}");
        assert!(told.hint().is_some(), "{told}");
    }
}

#[tokio::test]
async fn who_only_reads_changes_nothing() {
    let address = fresh().await;
    let reading = || OpenOptions { read_only: true, ..OpenOptions::default() };
    let empty = open(&address, reading()).await.err().expect("refused");
    assert!(empty.hint().expect("a hint").contains("db migrate"), "{empty}");
    let writer = store(&address).await;
    writer.insert(one("a")).await.expect("stored");
    let reader = open(&address, reading()).await.expect("opens");
    assert!(reader.record(&TaskId::new("a")).await.expect("read").is_some());
    let refused = reader.insert(one("b")).await.expect_err("refused");
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
}

#[tokio::test]
async fn events_come_in_the_order_in_which_things_happened() {
    let (one_store, other) = two_stores().await;
    diamond(one_store.as_ref()).await;
    let events = other.events(None, 0, 1000).await.expect("read");
    assert_eq!(events.len(), 10);
    assert!(events.is_sorted_by_key(|event| event.seq));
    let rest = other.events(None, events[6].seq, 2).await.expect("read");
    assert_eq!(rest, events[7..9]);
}

#[tokio::test]
async fn a_character_that_cannot_be_stored_is_refused_and_the_others_are_stored() {
    let store = store(&fresh().await).await;
    let bad = store.insert(one("a\0b"));
    let (bad, good) = tokio::join!(bad, store.insert(one("ab")));
    let refused = bad.expect_err("refused");
    assert!(refused.to_string().contains("U+0000"), "{refused}");
    good.expect("stored");
}

#[tokio::test]
async fn a_result_of_several_pieces_comes_back_whole() {
    let store = store(&fresh().await).await;
    store.insert(submission("t", &[("a", &[]), ("b", &[0])])).await.expect("stored");
    let held = take(&store, "w", 1).await;
    let result = serde_json::json!("ü'\\".repeat(900_000));
    let settlement =
        Settlement { outcome: Ended::Completed { result: result.clone() }, ..completed(&held[0]) };
    store.settle(vec![settlement], None).await.expect("settled");
    let record = store.record(&TaskId::new("a")).await.expect("read").expect("there");
    assert_eq!(record.result.as_ref(), Some(&result));
    let next = take(&store, "w", 1).await;
    assert_eq!(next[0].needs[0].result.as_deref(), Some(&result));
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused() {
    let utf8 = fresh().await;
    let (_, name) = utf8.split_once("apflow_test_").expect("a test database");
    let name = format!("latin_{}", &name[..16]);
    let mut admin = connect(&utf8).await;
    let create = format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    );
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut admin).await.expect("created");
    let refused = open(&address(&name), OpenOptions::default()).await.err().expect("refused");
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut admin).await.expect("dropped");
    assert!(refused.to_string().contains("SQL_ASCII"), "{refused}");
}

#[tokio::test]
async fn a_user_who_may_not_create_tables_is_told_what_it_needs() {
    let address = fresh().await;
    let (_, name) = address.split_once("apflow_test_").expect("a test database");
    let role = format!("apflow_guest_{}", &name[..16]);
    let mut admin = connect(&address).await;
    let create = format!("CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC;");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut admin).await.expect("created");
    let guest = format!("{address}&user={role}");
    let refused = open(&guest, OpenOptions::default()).await.err().expect("refused");
    let drop = format!("DROP ROLE {role}");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut admin).await.expect("dropped");
    assert!(refused.hint().expect("a hint").contains("GRANT"), "{refused}");
}
