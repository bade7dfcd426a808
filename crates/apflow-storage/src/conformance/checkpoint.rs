//! What an attempt puts aside is handed to the next one, and to nobody else.

use std::time::Duration;

use apflow_core::{
    id::LeaseToken,
    store::{Claimed, NewCheckpoint, StoreError},
    transition::Refused,
};
use serde_json::{Value, json};

use super::{Bed, bed::LEASE, done, failed, handed_back};

fn said(held: &Claimed, step: Option<&str>, value: Value) -> NewCheckpoint {
    NewCheckpoint {
        seq: held.seq,
        task: held.id.clone(),
        lease: held.lease,
        attempt: held.attempt,
        step: step.map(str::to_owned),
        value,
    }
}

async fn keep(bed: &Bed, held: &Claimed, value: Value) -> Result<(), StoreError> {
    bed.store.keep_checkpoint(said(held, None, value)).await
}

async fn kept(bed: &Bed, id: &str) -> Option<Value> {
    let found = bed.store.checkpoint(&id.into()).await.expect("an answer");
    found.map(|checkpoint| checkpoint.value)
}

/// The newest one counts, and lists say which it is.
pub async fn the_newest_checkpoint_is_handed_to_the_next_attempt(bed: &Bed) {
    bed.submit("a; b").await;
    let first = bed.claim(2).await;
    assert!(first.iter().all(|held| held.given.checkpoint.is_none()));
    let (a, b) = (&first[0], &first[1]);
    keep(bed, a, json!({"page": 1})).await.expect("kept");
    bed.store
        .keep_checkpoint(said(a, Some("page two"), json!({"page": 2, "of": [1.5, "é"]})))
        .await
        .expect("kept");
    let record = bed.record("a").await;
    assert_eq!(record.definition.durability.resume_from.as_deref(), Some("1.2 page two"));
    assert!(record.definition.durability.checkpoint_at.is_some());
    assert_eq!(bed.record("b").await.definition.durability.resume_from, None);
    bed.settle(vec![handed_back(a), handed_back(b)]).await;
    let again = bed.claim(2).await;
    assert_eq!(again[0].given.checkpoint, Some(json!({"page": 2, "of": [1.5, "é"]})));
    assert_eq!(again[1].given.checkpoint, None, "it put nothing aside");
}

/// A worker that vanished leaves its checkpoint to the next one.
pub async fn a_checkpoint_survives_the_end_of_its_lease(bed: &Bed) {
    bed.submit("a").await;
    let held = bed.claim_one().await;
    keep(bed, &held, json!(7)).await.expect("kept");
    bed.clock.advance(LEASE + Duration::from_secs(1));
    bed.store.lapse(10).await.expect("lapsed");
    let next = bed.claim_one().await;
    assert_eq!((next.attempt, &next.given.checkpoint), (2, &Some(json!(7))));
    // Nothing is lost if the one after begins without saying anything.
    bed.settle(vec![handed_back(&next)]).await;
    assert_eq!(bed.claim_one().await.given.checkpoint, Some(json!(7)));
}

/// The fence holds for checkpoints as it holds for outcomes.
pub async fn a_stale_lease_puts_nothing_aside(bed: &Bed) {
    bed.submit("a").await;
    let old = bed.claim_one().await;
    bed.clock.advance(LEASE + Duration::from_secs(1));
    bed.store.lapse(10).await.expect("lapsed");
    let new = bed.claim_one().await;
    keep(bed, &new, json!("new")).await.expect("kept");
    let refused = keep(bed, &old, json!("old")).await.expect_err("stale");
    let StoreError::Refused { refused: Refused::StaleLease { held, current }, .. } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((held, current), (old.lease, new.lease));
    assert_eq!(kept(bed, "a").await, Some(json!("new")));
    let nobody = NewCheckpoint { lease: LeaseToken(999), ..said(&new, None, json!(0)) };
    assert!(bed.store.keep_checkpoint(nobody).await.is_err());
    bed.settle(vec![done(&new, json!(1))]).await;
    assert!(keep(bed, &new, json!("late")).await.is_err(), "it has ended");
    assert_eq!(kept(bed, "a").await, None);
}

/// A task that completed, and one that begins a new run, start from nothing.
pub async fn a_checkpoint_is_forgotten_with_its_run(bed: &Bed) {
    bed.submit("a; b; c").await;
    let held = bed.claim(3).await;
    for task in &held {
        keep(bed, task, json!(1)).await.expect("kept");
    }
    bed.settle(vec![done(&held[0], json!(1)), failed(&held[1]), failed(&held[2])]).await;
    assert_eq!(kept(bed, "a").await, None);
    assert_eq!(kept(bed, "b").await, Some(json!(1)), "people may want to look at it");
    bed.start("b").await.expect("again");
    assert_eq!(kept(bed, "b").await, None);
    let fresh = bed.claim(3).await;
    assert!(fresh.iter().all(|held| held.given.checkpoint.is_none()), "{fresh:?}");
    let b = fresh.iter().find(|held| held.id.as_str() == "b").expect("b runs again");
    keep(bed, b, json!(2)).await.expect("kept");
    assert_eq!(bed.record("b").await.definition.durability.resume_from.as_deref(), Some("1.1"));
}

/// One refused item does not fail those beside it.
pub async fn checkpoints_that_come_together_are_judged_one_by_one(bed: &Bed) {
    bed.submit("a; b; c").await;
    let held = bed.claim(3).await;
    let stale = NewCheckpoint { lease: LeaseToken(999), ..said(&held[1], None, json!("no")) };
    let (a, b, c) = tokio::join!(
        keep(bed, &held[0], json!("a")),
        bed.store.keep_checkpoint(stale),
        keep(bed, &held[2], json!("c")),
    );
    assert!(a.is_ok() && b.is_err() && c.is_ok());
    assert_eq!(kept(bed, "a").await, Some(json!("a")));
    assert_eq!(kept(bed, "b").await, None);
    assert_eq!(kept(bed, "c").await, Some(json!("c")));
}
