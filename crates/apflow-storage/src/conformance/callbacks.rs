//! Callbacks are stored with the run they tell of, held by one at a time, and go on where they stopped.

use std::time::Duration;

use apflow_core::{
    id::NodeId,
    store::{
        Callback, CallbackClaim, CallbackNext, CallbackRecord, CallbackReport, CallbackState,
        Callbacks, NewCallback, Start, StartScope, Submission,
    },
};
use serde_json::json;

use super::{Bed, bed::LEASE, done, forest};

fn wish(id: &str) -> NewCallback {
    NewCallback {
        id: id.to_owned(),
        target: r#"{"url":"https://example.com/§"}"#.to_owned(),
        timeout: Duration::from_millis(1500),
        max_retries: 3,
    }
}

async fn claim_as(bed: &Bed, holder: &str, limit: u32) -> Callbacks {
    let claim = CallbackClaim { holder: NodeId::new(holder), limit, lease: LEASE };
    bed.store.callbacks(Vec::new(), Some(claim)).await.expect("an answer")
}

async fn claim(bed: &Bed) -> Vec<Callback> {
    claim_as(bed, "worker", 10).await.claimed
}

fn report(held: &Callback, position: i64, next: CallbackNext) -> CallbackReport {
    CallbackReport {
        seq: held.seq,
        token: held.token,
        position,
        attempts: 0,
        delivered: position > held.position,
        given_up: false,
        note: None,
        next,
    }
}

async fn tell(bed: &Bed, report: CallbackReport) -> bool {
    bed.store.callbacks(vec![report], None).await.expect("an answer").refused.is_empty()
}

async fn submit(bed: &Bed, id: &str, text: &str) {
    bed.insert(Submission { callback: Some(wish(id)), ..forest(text) }).await;
}

async fn last_event(bed: &Bed) -> i64 {
    bed.store.events(None, 0, 1000).await.expect("events").last().map_or(0, |event| event.seq)
}

async fn record(bed: &Bed, tree: &str) -> CallbackRecord {
    let mut records = bed.store.callbacks_of(&tree.into()).await.expect("read");
    assert_eq!(records.len(), 1);
    records.remove(0)
}

/// A wish is stored with the run that it wants to be told of, once for each tree.
pub async fn a_callback_begins_with_its_run(bed: &Bed) {
    submit(bed, "c", "a; b").await;
    let mut held = claim(bed).await;
    held.sort_by_key(|held| held.tree_seq);
    let trees: Vec<&str> = held.iter().map(|held| held.tree.as_str()).collect();
    assert_eq!(trees, ["tree-a", "tree-b"]);
    assert!(held.iter().all(|held| held.wish == wish("c") && held.attempts == 0));
    for held in &held {
        let events = bed.store.told(Some(&held.tree), held.position, 10, 0).await.expect("told");
        assert_eq!(events.len(), 1, "the beginning of the run");
    }
    bed.put("x").await;
    let unasked = Submission { start: false, callback: Some(wish("d")), ..forest("y") };
    bed.insert(unasked).await;
    assert!(claim(bed).await.is_empty(), "nothing runs that somebody could be told of");
}

/// A second run is told from its own beginning.
pub async fn a_callback_of_a_second_run_tells_nothing_of_the_first(bed: &Bed) {
    bed.submit("a").await;
    bed.run_all(&[]).await;
    let before = last_event(bed).await;
    let start = Start {
        task: "a".into(),
        scope: StartScope::Auto,
        reexecute: true,
        callback: Some(wish("c")),
    };
    let started = bed.store.start(start.clone()).await.expect("it runs again");
    let held = claim(bed).await;
    assert_eq!((held.len(), held[0].position, started.after), (1, before, before));
    assert!(bed.store.start(start).await.is_err(), "it runs already");
    assert_eq!(bed.store.callbacks_of(&"tree-a".into()).await.expect("read").len(), 1);
    bed.run_all(&[]).await;
    let idle = Start {
        task: "a".into(),
        scope: StartScope::Auto,
        reexecute: false,
        callback: Some(wish("d")),
    };
    assert_eq!(bed.store.start(idle).await.expect("nothing to do").tasks, 0);
    assert_eq!(bed.store.callbacks_of(&"tree-a".into()).await.expect("read").len(), 1);
}

/// One deliverer at a time; who was too slow is refused by token.
pub async fn a_callback_is_held_by_one(bed: &Bed) {
    submit(bed, "c", "a").await;
    let first = claim(bed).await.remove(0);
    assert!(claim_as(bed, "other", 10).await.claimed.is_empty());
    bed.clock.advance(LEASE / 2);
    assert!(tell(bed, report(&first, first.position, CallbackNext::Held(LEASE))).await);
    bed.clock.advance(LEASE * 3 / 4);
    assert!(claim_as(bed, "other", 10).await.claimed.is_empty(), "a report keeps it");
    bed.clock.advance(LEASE);
    let second = claim_as(bed, "other", 10).await.claimed.remove(0);
    assert!(second.token > first.token);
    let end = last_event(bed).await;
    assert!(!tell(bed, report(&first, end, CallbackNext::Finished)).await, "it was too late");
    assert_eq!(record(bed, "tree-a").await.position, second.position);
    assert!(tell(bed, report(&second, end, CallbackNext::Free)).await);
    assert!(!tell(bed, report(&first, end, CallbackNext::Stopped)).await);
}

/// What was told is told once; what happens next is told next.
pub async fn a_callback_goes_on_where_it_stopped(bed: &Bed) {
    submit(bed, "c", "a").await;
    let held = claim(bed).await.remove(0);
    let position = last_event(bed).await;
    assert!(tell(bed, report(&held, position, CallbackNext::Free)).await);
    assert!(claim(bed).await.is_empty(), "there is nothing to tell");
    let answer = claim_as(bed, "worker", 0).await;
    assert_eq!((answer.trees.as_slice(), answer.next_wake), (&[held.tree_seq][..], None));
    bed.submit("other").await;
    assert!(claim(bed).await.is_empty(), "that is another tree");
    bed.claim(10).await;
    let held = claim(bed).await.remove(0);
    assert_eq!(held.position, position);
    let told = record(bed, "tree-a").await;
    assert_eq!((told.delivered, told.given_up, told.state), (1, 0, CallbackState::Active));
}

/// A delivery that failed is tried again when its delay is over, and not before.
pub async fn a_failed_delivery_waits_for_its_time(bed: &Bed) {
    submit(bed, "c", "a").await;
    let held = claim(bed).await.remove(0);
    let mut failed = report(&held, held.position, CallbackNext::After(LEASE));
    (failed.attempts, failed.note) = (2, Some("HTTP status 503".to_owned()));
    assert!(tell(bed, failed).await);
    let answer = claim_as(bed, "worker", 10).await;
    assert!(answer.claimed.is_empty());
    assert_eq!(answer.next_wake, Some(answer.now.after(LEASE)));
    bed.clock.advance(LEASE);
    let again = claim(bed).await.remove(0);
    assert_eq!((again.attempts, again.position), (2, held.position));
    let mut given_up = report(&again, last_event(bed).await, CallbackNext::Free);
    (given_up.delivered, given_up.given_up) = (false, true);
    assert!(tell(bed, given_up).await);
    let told = record(bed, "tree-a").await;
    assert_eq!((told.delivered, told.given_up, told.attempts), (0, 1, 0));
    assert_eq!(told.note.as_deref(), Some("HTTP status 503"), "the last thing that went wrong");
}

/// What is over stays over.
pub async fn a_callback_that_is_over_is_never_taken(bed: &Bed) {
    for (id, next, state) in [
        ("a", CallbackNext::Finished, CallbackState::Finished),
        ("b", CallbackNext::Stopped, CallbackState::Stopped),
    ] {
        submit(bed, id, id).await;
        let held = claim(bed).await.remove(0);
        assert!(tell(bed, report(&held, held.position, next)).await);
        assert_eq!(record(bed, &format!("tree-{id}")).await.state, state);
        assert!(!tell(bed, report(&held, held.position, CallbackNext::Free)).await);
    }
    let held = bed.claim(10).await;
    bed.settle(vec![done(&held[0], json!(1)), done(&held[1], json!(1))]).await;
    let answer = claim_as(bed, "worker", 10).await;
    assert_eq!((answer.claimed.len(), answer.trees.len(), answer.next_wake), (0, 0, None));
}

/// The one that was seen to last comes last, so that a busy one does not keep others waiting.
pub async fn callbacks_take_turns(bed: &Bed) {
    submit(bed, "c", "a; b; c").await;
    let mut order = Vec::new();
    for _ in 0..6 {
        bed.clock.advance(Duration::from_secs(1));
        let held = claim_as(bed, "worker", 1).await.claimed.remove(0);
        assert!(tell(bed, report(&held, held.position, CallbackNext::Free)).await);
        order.push(held.tree_seq);
    }
    assert_eq!(order[..3], order[3..]);
    order.truncate(3);
    order.sort_unstable();
    order.dedup();
    assert_eq!(order.len(), 3);
}

/// Nothing is taken from those who live.
pub async fn callbacks_of_the_living_are_left_alone(bed: &Bed) {
    submit(bed, "c", "a").await;
    let held = claim(bed).await.remove(0);
    assert_eq!(bed.store.free_callbacks().await.expect("looked"), 0);
    assert!(tell(bed, report(&held, held.position, CallbackNext::Held(LEASE))).await);
}

/// A callback does not outlive its tree.
pub async fn callbacks_go_with_their_tree(bed: &Bed) {
    submit(bed, "c", "a").await;
    bed.run_all(&[]).await;
    bed.clock.advance(LEASE);
    let held = claim(bed).await.remove(0);
    let before = apflow_core::time::Clock::now(bed.clock.as_ref());
    assert_eq!(bed.store.prune(before, 100).await.expect("pruned"), 1);
    assert!(!tell(bed, report(&held, held.position, CallbackNext::Free)).await);
    assert!(claim_as(bed, "worker", 10).await.trees.is_empty());
    assert!(bed.store.callbacks_of(&"tree-a".into()).await.expect("read").is_empty());
}

/// Many deliverers at once share out what there is.
pub async fn two_deliverers_never_share_a_callback(bed: &Bed) {
    submit(bed, "c", "a; b; c; d; e; f; g; h").await;
    let mut claims = Vec::new();
    for number in 0..6 {
        let store = std::sync::Arc::clone(&bed.store);
        claims.push(tokio::spawn(async move {
            let holder = NodeId::new(format!("w{number}"));
            let claim = CallbackClaim { holder, limit: 3, lease: LEASE };
            store.callbacks(Vec::new(), Some(claim)).await.expect("an answer").claimed
        }));
    }
    let mut taken = Vec::new();
    for claim in claims {
        taken.extend(claim.await.expect("no panic").iter().map(|held| held.seq));
    }
    taken.extend(claim(bed).await.iter().map(|held| held.seq));
    taken.sort_unstable();
    let count = taken.len();
    taken.dedup();
    assert_eq!((count, taken.len()), (8, 8));
}
