//! Idempotency keys of runs and of what is derived: the same request is carried out once.

use std::{sync::Arc, time::Duration};

use apflow_core::{
    derive::{Derive, Mode},
    store::{Idempotency, Start, StartScope, Started, StoreError, TaskFilter},
    testing::SeededIds,
};

use super::{Bed, forest};

const HOUR: Duration = Duration::from_hours(1);

fn promise(key: &str, digest: &str) -> Idempotency {
    Idempotency { owner: "u".to_owned(), key: key.to_owned(), digest: digest.to_owned() }
}

fn start(task: &str) -> Start {
    Start { task: task.into(), scope: StartScope::Auto, reexecute: true, callback: None }
}

async fn once(bed: &Bed, task: &str, key: Idempotency) -> Result<Started, StoreError> {
    bed.store.start_once(start(task), key).await
}

fn copy(key: &str, digest: &str) -> Derive {
    Derive { idempotency: Some(promise(key, digest)), ..Derive::copy("root") }
}

async fn total(bed: &Bed) -> u64 {
    bed.store.count(&TaskFilter::default()).await.expect("counts").total()
}

/// The same request again is answered with what it was answered first, and runs nothing.
pub async fn a_key_begins_one_run(bed: &Bed) {
    bed.put("root; a ^root").await;
    let first = once(bed, "root", promise("k", "d")).await.expect("it starts");
    assert_eq!(first.tasks, 2);
    assert_eq!(once(bed, "root", promise("k", "d")).await.expect("the answer"), first);
    bed.run_all(&[]).await;
    assert_eq!(once(bed, "root", promise("k", "d")).await.expect("the answer"), first);
    assert!(bed.claim(10).await.is_empty(), "nothing runs again");
    assert_eq!(bed.run("root").await.run, 1);
    once(bed, "root", promise("other", "d")).await.expect("another key is another request");
    bed.run_all(&[]).await;
    assert_eq!(bed.run("root").await.run, 2);
}

/// K9: a key is not for another request, whatever it was used for.
pub async fn a_key_is_not_for_another_run_or_tree(bed: &Bed) {
    bed.put("root").await;
    once(bed, "root", promise("run", "d")).await.expect("it starts");
    bed.run_all(&[]).await;
    bed.store.derive(copy("tree", "d"), Arc::new(SeededIds::new("n"))).await.expect("made");
    let reused = |error: StoreError| matches!(error, StoreError::KeyReused { .. });
    for key in ["run", "tree"] {
        assert!(reused(once(bed, "root", promise(key, "e")).await.expect_err("another run")));
        let made = bed.store.derive(copy(key, "f"), Arc::new(SeededIds::new("m"))).await;
        assert!(reused(made.expect_err("another tree")));
        let mut submission = forest("new");
        submission.idempotency = Some(promise(key, "g"));
        assert!(reused(bed.store.insert(submission).await.expect_err("another submission")));
    }
    let stranger = Idempotency { owner: "v".to_owned(), ..promise("run", "e") };
    once(bed, "root", stranger).await.expect("keys are kept apart by owner");
    bed.run_all(&[]).await;
    assert_eq!(total(bed).await, 2);
}

/// A request that could not be carried out may come again.
pub async fn a_refused_run_does_not_use_up_its_key(bed: &Bed) {
    bed.submit("root").await;
    let error = once(bed, "root", promise("k", "d")).await.expect_err("it runs already");
    assert!(matches!(error, StoreError::AlreadyRunning { .. }), "{error:?}");
    bed.run_all(&[]).await;
    let started = once(bed, "root", promise("k", "d")).await.expect("now it can");
    assert_eq!(started.tasks, 1);
    bed.run_all(&[]).await;
    let wish = Derive { mode: Mode::Link, ..copy("l", "d") };
    bed.begin("root", true).await.expect("it runs");
    let ids = Arc::new(SeededIds::new("n"));
    let error = bed.store.derive(wish.clone(), ids.clone()).await.expect_err("not done");
    assert!(matches!(error, StoreError::Derive(_)), "{error:?}");
    bed.run_all(&[]).await;
    bed.store.derive(wish, ids).await.expect("now it can");
}

/// The same wish again makes nothing new, copies, links and archives alike.
pub async fn a_key_makes_one_tree(bed: &Bed) {
    bed.submit("root; a ^root").await;
    bed.run_all(&[]).await;
    for mode in [Mode::Copy, Mode::Link, Mode::Archive] {
        let wish = Derive { mode, ..copy(mode.as_str(), "d") };
        let ids = Arc::new(SeededIds::new(mode.as_str()));
        let first = bed.store.derive(wish.clone(), ids.clone()).await.expect("made");
        let count = total(bed).await;
        let again = bed.store.derive(wish, ids).await.expect("the first answer");
        assert!(again.inserted.replayed && !first.inserted.replayed);
        assert_eq!(again.inserted.roots, first.inserted.roots);
        assert_eq!(again.inserted.trees, first.inserted.trees);
        assert_eq!(total(bed).await, count);
    }
}

/// K9: a hundred at once begin one run and make one tree.
pub async fn k9_a_hundred_requests_with_one_key_begin_one_run_and_make_one_tree(bed: &Bed) {
    bed.put("root; a ^root").await;
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let store = Arc::clone(&bed.store);
        starts.spawn(async move { store.start_once(start("root"), promise("run", "d")).await });
    }
    let answers = starts.join_all().await;
    let first = answers[0].as_ref().expect("an answer");
    for answer in &answers {
        assert_eq!(answer.as_ref().expect("the same answer"), first);
    }
    bed.run_all(&[]).await;
    assert_eq!(bed.run("root").await.run, 1);

    let ids = Arc::new(SeededIds::new("n"));
    let mut copies = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (store, ids) = (Arc::clone(&bed.store), ids.clone());
        copies.spawn(async move { store.derive(copy("tree", "d"), ids).await });
    }
    let answers = copies.join_all().await;
    let roots: Vec<_> =
        answers.iter().map(|each| &each.as_ref().expect("an answer").inserted.roots).collect();
    assert!(roots.iter().all(|each| *each == roots[0]), "{roots:?}");
    assert_eq!(total(bed).await, 4);
}

/// Keys are kept for a while, and go in bounded batches, oldest first.
pub async fn keys_are_forgotten_after_a_while(bed: &Bed) {
    bed.submit("root").await;
    bed.run_all(&[]).await;
    for key in 0..5 {
        once(bed, "root", promise(&format!("k{key}"), "d")).await.expect("it starts");
        bed.run_all(&[]).await;
        bed.clock.advance(HOUR);
    }
    let forget = async |hours: u32, limit| {
        bed.store.forget_keys(HOUR * hours, limit).await.expect("forgotten")
    };
    assert_eq!(forget(7, 10).await, 0, "none is old enough");
    // The keys are 5 to 1 hours old.
    assert_eq!(forget(2, 2).await, 2);
    let kept = once(bed, "root", promise("k2", "other")).await.expect_err("it is still known");
    assert!(matches!(kept, StoreError::KeyReused { .. }), "{kept:?}");
    assert_eq!((forget(2, 10).await, forget(2, 10).await), (1, 0), "not those of two hours");
    once(bed, "root", promise("k0", "other")).await.expect("it may be used anew");
    bed.run_all(&[]).await;
}
