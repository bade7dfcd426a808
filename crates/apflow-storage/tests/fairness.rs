//! Owners take turns, where that is switched on.

use std::sync::Arc;

use apflow_core::store::{Store, Submission};
use apflow_storage::{
    OpenOptions,
    conformance::{Bed, done, forest},
    open,
};
use serde_json::json;

fn of(owner: &str, many: usize, from: usize) -> Submission {
    let text: Vec<String> = (from..from + many).map(|at| format!("{owner}{at}")).collect();
    let mut submission = forest(&text.join("; "));
    for task in &mut submission.tasks {
        task.definition.user_id = Some(owner.to_owned());
    }
    submission
}

async fn fair(options: OpenOptions) -> Arc<dyn Store> {
    let options = OpenOptions { fair: true, ..options };
    open("sqlite::memory:", options).await.expect("opens")
}

#[cfg(feature = "postgres")]
async fn fair_on_postgres(options: OpenOptions) -> Arc<dyn Store> {
    let options = OpenOptions { fair: true, ..options };
    open(&crate::pg::fresh().await, options).await.expect("opens")
}

/// Who comes late with little is not behind everything of one who came early with much.
async fn little_is_not_behind_much(bed: &Bed, much: usize) {
    bed.insert(of("much", much, 0)).await;
    let first = bed.claim(100).await;
    bed.settle(first.iter().map(|held| done(held, json!(1))).collect()).await;
    bed.insert(of("little", 10, 0)).await;
    let next = bed.claim(20).await;
    let little = next.iter().filter(|held| held.id.as_str().starts_with("little")).count();
    assert_eq!(little, 10, "they take turns from where everybody is");
    bed.settle(next.iter().map(|held| done(held, json!(1))).collect()).await;
    // Having had its turns, the early one owes nobody anything.
    let rest = bed.claim(1).await;
    assert!(rest[0].id.as_str().starts_with("much"));
}

#[tokio::test]
async fn ten_tasks_are_not_behind_ten_thousand() {
    little_is_not_behind_much(&Bed::open(fair).await, 5_000).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn ten_tasks_are_not_behind_a_thousand_on_postgres() {
    little_is_not_behind_much(&Bed::open(fair_on_postgres).await, 1_000).await;
}

#[tokio::test]
async fn urgency_goes_before_turns_and_an_idle_owner_saves_none_up() {
    let bed = Bed::open(fair).await;
    bed.insert(of("a", 6, 0)).await;
    let mut urgent = of("b", 1, 0);
    urgent.tasks[0].definition.priority = apflow_core::task::Priority::URGENT;
    bed.insert(urgent).await;
    let first = bed.claim(4).await;
    assert_eq!(first[0].id.as_str(), "b0");
    // `c` was idle so far; it shares what is to come and does not make up for the past.
    bed.insert(of("c", 6, 0)).await;
    let next = bed.claim(6).await;
    let of_c = next.iter().filter(|held| held.id.as_str().starts_with('c')).count();
    assert_eq!(of_c, 3, "half of it");
}

#[tokio::test]
async fn without_the_setting_the_order_is_that_of_submission() {
    let bed =
        Bed::open(async |options| open("sqlite::memory:", options).await.expect("opens")).await;
    bed.insert(of("much", 30, 0)).await;
    bed.insert(of("little", 1, 0)).await;
    let first = bed.claim(30).await;
    assert!(first.iter().all(|held| held.id.as_str().starts_with("much")));
}
