//! A database that has no room left says so, keeps what it acknowledged, and goes on when there is room.

use apflow_core::{
    id::{TaskId, TreeId},
    store::{NewTask, NewTree, StoreError, Submission, TreeStore as _},
    task::{Definition, TreeOptions},
};
use sqlx::{AssertSqlSafe, Executor as _};

use super::reads::SqliteReads;
use crate::{OpenOptions, store::Database};

fn large(id: &str) -> Submission {
    let mut definition = Definition { name: id.to_owned(), ..Definition::default() };
    definition.inputs.insert("much".to_owned(), "x".repeat(50_000).into());
    Submission {
        trees: vec![NewTree {
            id: TreeId::new(id),
            root: 0,
            user_id: None,
            options: TreeOptions::default(),
        }],
        tasks: vec![NewTask {
            id: TaskId::new(id),
            tree: 0,
            parent: None,
            has_children: false,
            definition,
            needs: Vec::new(),
        }],
        start: true,
        idempotency: None,
        callback: None,
    }
}

async fn allow_pages(database: &Database<SqliteReads>, count: u32) {
    let SqliteReads::Shared(connection) = &database.reads else { panic!("it is in memory") };
    let limit = format!("PRAGMA max_page_count = {count}"); // tidy: sql because it sets the stage of a test
    connection.lock().await.execute(AssertSqlSafe(limit)).await.expect("a limit");
}

#[tokio::test]
async fn without_room_a_write_is_refused_as_full_and_the_rest_goes_on() {
    let database = super::open(":memory:", OpenOptions::default()).await.expect("it opens");
    allow_pages(&database, 200).await;
    let mut stored = 0;
    let error = loop {
        match database.insert(large(&format!("t{stored}"))).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(stored > 3, "there was some room");
    assert!(matches!(&error, StoreError::Full { .. }), "{error:?}");
    assert!(error.hint().expect("a hint").contains("room"));
    let last = TaskId::new(format!("t{stored}"));
    assert_eq!(database.record(&last).await.expect("reading goes on"), None);
    allow_pages(&database, 1_000).await;
    database.insert(large(last.as_str())).await.expect("there is room again");
    for task in 0..=stored {
        let id = TaskId::new(format!("t{task}"));
        assert!(database.record(&id).await.expect("an answer").is_some(), "{id} is there");
    }
}
