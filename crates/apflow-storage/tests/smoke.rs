//! A diamond from submission to its end on a fresh database.

use std::time::Duration;

use apflow_core::{
    id::{NodeId, TaskId, TreeId},
    store::{Claim, Ended, NeedKind, NewNeed, NewTask, NewTree, Settlement, Store, Submission},
    task::{Definition, Outcome, TreeOptions},
};
use apflow_storage::{OpenOptions, open};

pub(crate) fn task(id: &str, needs: &[usize]) -> NewTask {
    NewTask {
        id: TaskId::new(id),
        tree: 0,
        parent: None,
        has_children: false,
        definition: Definition { name: id.to_owned(), ..Definition::default() },
        needs: needs.iter().map(|on| NewNeed { on: *on, kind: NeedKind::Required }).collect(),
    }
}

pub(crate) async fn diamond(store: &dyn Store) {
    let submission = Submission {
        trees: vec![NewTree {
            id: TreeId::new("t"),
            root: 0,
            user_id: None,
            options: TreeOptions::default(),
        }],
        tasks: vec![task("a", &[]), task("b", &[0]), task("c", &[0]), task("d", &[1, 2])],
        start: true,
        idempotency: None,
        callback: None,
        demo: false,
    };
    store.insert(submission).await.expect("stored");
    let claim = Claim::new(NodeId::new("w"), 10, Duration::from_secs(10));
    let mut order = Vec::new();
    let mut batch = Vec::new();
    loop {
        let settled = store.settle(batch, Some(claim.clone())).await.expect("settled");
        assert_eq!(settled.refused, []);
        if settled.claimed.is_empty() {
            break;
        }
        batch = Vec::new();
        for held in settled.claimed {
            order.push(held.id.as_str().to_owned());
            let seen: Vec<String> = held
                .needs
                .iter()
                .map(|need| need.result.as_ref().expect("a result").to_string())
                .collect();
            batch.push(Settlement::new(
                held.seq,
                held.lease,
                Ended::Completed {
                    result: serde_json::json!({"id": held.id.as_str(), "seen": seen}),
                },
            ));
        }
    }
    assert_eq!(order, ["a", "b", "c", "d"]);
    let run = store.run_of_tree(&TreeId::new("t")).await.expect("read").expect("there");
    assert_eq!(run.outcome, Some(Outcome::Completed));
    assert_eq!((run.completed, run.total), (4, 4));
    let record = store.record(&TaskId::new("d")).await.expect("read").expect("there");
    assert!(record.result.expect("a result").to_string().contains("seen"));
    let events = store.events(Some(&TreeId::new("t")), 0, 100).await.expect("read");
    assert_eq!(events.len(), 10);
}

#[tokio::test]
async fn a_diamond_runs_to_its_end_in_memory() {
    let store = open("sqlite::memory:", OpenOptions::default()).await.expect("opens");
    diamond(store.as_ref()).await;
}

#[tokio::test]
async fn a_diamond_runs_to_its_end_in_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.db");
    let path = path.to_str().expect("a path in UTF-8");
    let store = open(path, OpenOptions::default()).await.expect("opens");
    diamond(store.as_ref()).await;
    let second = open(path, OpenOptions::default()).await;
    let error = second.err().expect("one process a file").to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
}
