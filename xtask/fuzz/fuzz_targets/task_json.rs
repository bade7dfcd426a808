//! Any JSON becomes a submission that holds together, or problems that are named; never a panic.
#![no_main]

use apflow_core::{
    graph::TaskGraph,
    id::Ids,
    submit::{Limits, Order, Reading, compile, read_tasks},
    task::TreeOptions,
};
use libfuzzer_sys::fuzz_target;

struct Counted(std::sync::atomic::AtomicU64);

impl Ids for Counted {
    fn next(&self) -> String {
        format!("id-{}", self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

fuzz_target!(|text: &[u8]| {
    let Ok(value) = serde_json::from_slice(text) else { return };
    let tasks = match read_tasks(&value, &Reading::Lenient) {
        Ok((tasks, _)) => tasks,
        Err(problems) => return assert!(!problems.0.is_empty()),
    };
    let options = TreeOptions::default();
    let order = Order { tasks, options, start: true, idempotency: None, user_id: None, callback: None };
    match compile(order, &Counted(0.into()), &Limits::default()) {
        Ok(submission) => assert!(TaskGraph::of(&submission).order().is_ok()),
        Err(problems) => assert!(!problems.0.is_empty()),
    }
});
