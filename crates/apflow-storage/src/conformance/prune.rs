//! Forgetting what ended long ago (ruling 25).

use std::time::Duration;

use apflow_core::{
    store::TaskFilter,
    task::Status,
    time::{Clock as _, Timestamp},
};

use super::Bed;

const HOUR: Duration = Duration::from_hours(1);

async fn left(bed: &Bed) -> u64 {
    bed.store.count(&TaskFilter::default()).await.expect("counts").total()
}

async fn prune(bed: &Bed, before: Timestamp, limit: u32) -> u64 {
    bed.store.prune(before, limit).await.expect("pruned")
}

/// One call removes about as many tasks as it may, and a tree only as a whole.
pub async fn what_ended_long_ago_goes_in_bounded_batches(bed: &Bed) {
    bed.submit("old; a ^old; b ^old; c ^old").await;
    bed.run_all(&[]).await;
    bed.clock.advance(Duration::from_secs(1));
    bed.submit("then; e ^then").await;
    bed.run_all(&[]).await;
    bed.clock.advance(HOUR);
    bed.submit("newer; d ^newer").await;
    bed.run_all(&["d"]).await;
    let between = bed.clock.now();
    bed.clock.advance(HOUR);
    bed.submit("fresh").await;
    bed.run_all(&[]).await;
    assert_eq!(prune(bed, between, 3).await, 4, "a tree is never seen in part");
    assert_eq!(left(bed).await, 5);
    assert_eq!(prune(bed, between, 3).await, 2, "what did not fit goes in the next batch");
    assert_eq!(prune(bed, between, 3).await, 0, "what ended at the moment itself stays");
    assert_eq!(bed.store.run_of_tree(&"tree-old".into()).await.expect("an answer"), None);
    assert_eq!(bed.happened("tree-old").await, [""; 0]);
    assert_eq!(prune(bed, between.after(HOUR), 1000).await, 2, "a failed tree goes as well");
    assert_eq!(left(bed).await, 1);
    bed.submit("old").await;
    assert_eq!(bed.run_all(&[]).await, [["old"]], "the ids are free again");
}

/// Only what ended can be forgotten.
pub async fn what_runs_or_never_ran_stays(bed: &Bed) {
    bed.submit("going; a ^going").await;
    bed.put("never").await;
    bed.submit("again").await;
    assert_eq!(bed.claim(2).await.len(), 2);
    bed.run_all(&[]).await;
    bed.cancel("again").await;
    bed.clock.advance(HOUR);
    let later = bed.clock.now().after(HOUR);
    assert_eq!(prune(bed, later, 1000).await, 1);
    assert_eq!(left(bed).await, 3);
    assert_eq!(bed.states("going never").await, "blocked created");

    // One tree of a submission ended, the other never ran.
    bed.put("x; z ^x; y").await;
    bed.start("z").await.expect("it starts");
    assert_eq!(bed.run_all(&[]).await, [["z"]]);
    assert!(bed.run("x").await.finished_at.is_some());
    // Everything ended, and then somebody took a task up again by hand.
    bed.submit("hand").await;
    bed.run_all(&["hand"]).await;
    for status in [Status::Pending, Status::InProgress] {
        bed.set_status("hand", status).await.expect("taken up");
    }
    bed.clock.advance(HOUR);
    assert_eq!(prune(bed, later.after(HOUR * 9), 1000).await, 0);
    assert_eq!(bed.states("x y z hand").await, "created created completed waiting");
}

/// Trees that depend on one another are forgotten together.
pub async fn a_submission_goes_only_as_a_whole(bed: &Bed) {
    bed.submit("quick; slow; last ^slow <quick").await;
    let held = bed.claim(1).await;
    bed.settle(vec![super::done(&held[0], serde_json::json!(1))]).await;
    assert!(bed.run("quick").await.finished_at.is_some());
    bed.clock.advance(HOUR);
    let later = bed.clock.now().after(HOUR);
    assert_eq!(prune(bed, later, 1000).await, 0);
    assert_eq!(bed.run_all(&[]).await, [["last"], ["slow"]]);
    assert_eq!(prune(bed, later, 1000).await, 3);
    assert_eq!(left(bed).await, 0);
}
