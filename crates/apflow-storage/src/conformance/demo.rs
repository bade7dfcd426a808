//! A demonstration is one run of a tree: it stays one after a crash, and the next run is none.

use apflow_core::store::{Claimed, Start, StartScope, Submission};
use serde_json::json;

use super::{Bed, bed::LEASE, done, forest};

fn start(demo: bool) -> Start {
    Start { task: "a".into(), scope: StartScope::Auto, reexecute: true, callback: None, demo }
}

fn demos(claimed: &[Claimed]) -> Vec<bool> {
    claimed.iter().map(|held| held.demo).collect()
}

/// Every task of a demonstration is claimed as such, also again after its worker vanished.
pub async fn a_demonstration_stays_one_after_a_crash(bed: &Bed) {
    bed.insert(Submission { demo: true, ..forest("a; b") }).await;
    assert_eq!(demos(&bed.claim(10).await), [true, true]);
    bed.clock.advance(LEASE * 2);
    bed.store.lapse(10).await.expect("time acts");
    let again = bed.claim(10).await;
    assert_eq!(demos(&again), [true, true]);
    bed.settle(again.iter().map(|held| done(held, json!(1))).collect()).await;
}

/// What follows a demonstration is real, and the other way round.
pub async fn the_run_after_a_demonstration_is_real(bed: &Bed) {
    bed.insert(Submission { demo: true, ..forest("a") }).await;
    bed.submit("real").await;
    let mut claimed = bed.claim(10).await;
    claimed.sort_by_key(|held| held.seq);
    assert_eq!(demos(&claimed), [true, false], "another tree at the same time is none");
    bed.settle(claimed.iter().map(|held| done(held, json!(1))).collect()).await;
    for demo in [false, true, false] {
        bed.store.start(start(demo)).await.expect("it runs again");
        let held = bed.claim_one().await;
        assert_eq!(held.demo, demo);
        bed.settle(vec![done(&held, json!(1))]).await;
    }
}

/// A tree that is only stored has begun nothing that could be a demonstration.
pub async fn what_is_only_stored_is_no_demonstration(bed: &Bed) {
    bed.insert(Submission { demo: true, start: false, ..forest("a") }).await;
    bed.store.start(start(false)).await.expect("it begins");
    assert!(!bed.claim_one().await.demo);
}
