//! Opening a database: made anew, left half-way, older, newer, and held by somebody else.

use std::path::Path;

use apflow_core::{
    derive::{Derive, Mode},
    store::{Fire, Store, StoreError},
    task::{Schedule, StateName},
    testing::SeededIds,
};
use apflow_storage::{
    OpenOptions,
    conformance::{Bed, HandClock, forest},
    open,
};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, Row as _, SqlSafeStr as _, SqliteConnection,
    migrate::{Migration, MigrationType, Migrator},
};
use std::sync::Arc;
use tempfile::TempDir;

const FIRST: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/sqlite/0001_tasks.sql"));

fn place() -> (TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("apflow.db").to_str().expect("a path in UTF-8").to_owned();
    (dir, path)
}

async fn by_hand(path: &str) -> SqliteConnection {
    let url = format!("sqlite://{path}?mode=rwc");
    SqliteConnection::connect(&url).await.expect("a connection of our own")
}

async fn refused(path: &str, options: OpenOptions) -> StoreError {
    open(path, options).await.err().expect("it should not open")
}

/// A store works: it takes a submission and gives it back.
async fn works(store: Arc<dyn Store>, task: &str) {
    let bed = Bed::open(async |_| store).await;
    bed.submit(task).await;
    assert_eq!(bed.state(task).await, StateName::Ready);
}

#[tokio::test]
async fn a_migration_that_was_interrupted_is_run_again() {
    let (_dir, path) = place();
    let mut connection = by_hand(&path).await;
    // As far as a process gets that dies between two statements: nothing of it is kept.
    let mut half = connection.begin().await.expect("a transaction");
    let statements: Vec<&str> = FIRST.split_inclusive(";\n").collect();
    for statement in &statements[..statements.len() / 2] {
        half.execute(AssertSqlSafe(*statement)).await.expect("a statement of the migration");
    }
    half.rollback().await.expect("the process dies");
    // The table of the migrator is made first, outside of the transaction.
    connection
        .execute(
            "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
             installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL,
             checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)",
        )
        .await
        .expect("a table");
    connection.close().await.expect("closed");
    works(open(&path, OpenOptions::default()).await.expect("it opens"), "a").await;
}

#[tokio::test]
async fn a_migration_that_is_marked_as_half_done_is_not_guessed_about() {
    let (_dir, path) = place();
    drop(open(&path, OpenOptions::default()).await.expect("it opens"));
    let mut connection = by_hand(&path).await;
    connection.execute("UPDATE _sqlx_migrations SET success = FALSE").await.expect("marked");
    connection.close().await.expect("closed");
    let error = refused(&path, OpenOptions::default()).await;
    assert!(matches!(&error, StoreError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("migration 1"), "{error}");
    assert!(error.hint().expect("a hint").contains("backup"));
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let (_dir, path) = place();
    drop(open(&path, OpenOptions::default()).await.expect("it opens"));
    let mut connection = by_hand(&path).await;
    connection
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (999, 'from the future', TRUE, x'00', 0)",
        )
        .await
        .expect("a row");
    connection.close().await.expect("closed");
    for options in [OpenOptions::default(), OpenOptions { read_only: true, ..Default::default() }] {
        let error = refused(&path, options).await;
        let StoreError::TooNew { found: 999, known } = error else { panic!("{error:?}") };
        assert!(known < 999);
        assert!(error.hint().expect("a hint").contains("newer"));
    }
}

#[tokio::test]
async fn a_file_that_was_made_before_opens_again_with_everything_in_it() {
    let (_dir, path) = place();
    for round in 0..3 {
        let store = open(&path, OpenOptions::default()).await.expect("it opens");
        works(Arc::clone(&store), &format!("a{round}")).await;
        for earlier in 0..round {
            let id = format!("a{earlier}").as_str().into();
            assert!(store.record(&id).await.expect("an answer").is_some(), "{id}");
        }
    }
    let mut connection = by_hand(&path).await;
    let row = sqlx::query("SELECT count(*) FROM _sqlx_migrations").fetch_one(&mut connection);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/sqlite");
    let files = std::fs::read_dir(folder).expect("the migrations").count() as i64;
    assert_eq!(row.await.expect("a row").get::<i64, _>(0), files, "each was run once");
}

#[tokio::test]
async fn a_file_of_the_first_migration_opens_with_its_tasks_and_these_can_be_linked() {
    let (_dir, path) = place();
    let mut connection = by_hand(&path).await;
    let text = AssertSqlSafe(FIRST).into_sql_str();
    let first = Migration::new(1, "tasks".into(), MigrationType::Simple, text, false);
    let migrator = Migrator::with_migrations(vec![first]);
    migrator.run_direct(None, &mut connection, false).await.expect("as it was then");
    connection
        .execute(
            "INSERT INTO af_forests (seq) VALUES (1);
             INSERT INTO af_trees (seq, id, forest, options, run, total, completed, outcome,
                 created_at, started_at, finished_at)
             VALUES (1, 'tree', 1, '{}', 1, 1, 1, 'completed', 5, 5, 6);
             INSERT INTO af_tasks (seq, id, tree, forest, has_children, definition, created_at)
             VALUES (1, 'old', 1, 1, 0, '{\"name\":\"old\"}', 5);
             INSERT INTO af_work (seq, tree, forest, state, priority, output, completed_at,
                 updated_at)
             VALUES (1, 1, 1, 'completed', 2, '[7]', 6, 6);",
        )
        .await
        .expect("a task of then");
    connection.close().await.expect("closed");
    let store = open(&path, OpenOptions::default()).await.expect("it opens");
    let wish = Derive { mode: Mode::Link, ..Derive::copy("old") };
    store.derive(wish, Arc::new(SeededIds::new("n"))).await.expect("a link to it");
    for id in ["old", "n-1"] {
        let record = store.record(&id.into()).await.expect("an answer").expect("it is there");
        assert_eq!(record.result, Some(serde_json::json!([7])), "{id}");
    }
}

#[tokio::test]
async fn a_database_that_may_not_be_migrated_says_how_it_could_be() {
    let (_dir, path) = place();
    by_hand(&path).await.close().await.expect("an empty file");
    let mut connection = by_hand(&path).await;
    connection.execute("CREATE TABLE other (a)").await.expect("a table of somebody else");
    connection.close().await.expect("closed");
    for options in [
        OpenOptions { no_migration: true, ..OpenOptions::default() },
        OpenOptions { read_only: true, ..OpenOptions::default() },
    ] {
        let error = refused(&path, options).await;
        assert!(error.hint().expect("a hint").contains("apflow db migrate"), "{error:?}");
    }
}

#[tokio::test]
async fn a_second_process_is_refused_with_the_number_of_the_first() {
    let (_dir, path) = place();
    let store = open(&path, OpenOptions::default()).await.expect("it opens");
    let error = refused(&path, OpenOptions::default()).await;
    assert!(matches!(&error, StoreError::Locked { .. }), "{error:?}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    assert!(error.hint().expect("a hint").contains("PostgreSQL"));
    works(store, "a").await;
    let other = open(&path, OpenOptions::default()).await.expect("it is free again");
    works(other, "b").await;
}

#[tokio::test]
async fn reading_works_while_another_process_writes() {
    let (_dir, path) = place();
    let reading = OpenOptions { read_only: true, ..OpenOptions::default() };
    let missing = refused(&path, reading.clone()).await;
    assert!(missing.to_string().contains("no database"), "{missing}");
    assert!(!Path::new(&path).exists(), "looking makes no file");

    let writer = open(&path, OpenOptions::default()).await.expect("it opens");
    let reader = open(&path, reading).await.expect("it opens beside the writer");
    writer.insert(forest("root; a ^root")).await.expect("stored");
    let seen = reader.subtree(&"root".into()).await.expect("read");
    assert_eq!(seen.len(), 2, "the reader sees what was acknowledged");
    let error = reader.insert(forest("b")).await.expect_err("it only reads");
    assert!(matches!(&error, StoreError::Locked { .. }), "{error:?}");
    drop(writer);
    assert!(reader.record(&"a".into()).await.expect("read").is_some(), "and after it is gone");
}

#[tokio::test]
async fn what_a_dead_process_held_is_taken_up_when_the_file_is_opened_again() {
    let (_dir, path) = place();
    let clock = Arc::new(HandClock::default());
    let options = OpenOptions { clock: Some(clock), ..OpenOptions::default() };
    let bed = Bed::open(async |_| open(&path, options.clone()).await.expect("it opens")).await;
    bed.submit("root; a ^root; b ^root x1").await;
    let held = bed.claim(1).await;
    assert_eq!(held[0].id.as_str(), "a");
    let other = apflow_core::store::Claim { worker: "gone".into(), ..bed.wish(1) };
    bed.store.settle(Vec::new(), Some(other)).await.expect("claimed");
    drop(bed);

    let bed = Bed::open(async |_| open(&path, options).await.expect("it opens again")).await;
    assert_eq!(bed.store.recover().await.expect("recovered"), 2);
    assert_eq!(bed.states("a b").await, "ready failed", "b had one attempt");
    let late = bed.store.settle(vec![apflow_storage::conformance::failed(&held[0])], None).await;
    assert_eq!(late.expect("an answer").refused.len(), 1, "the dead may not report");
    assert_eq!(bed.store.recover().await.expect("recovered"), 0);
    assert_eq!(bed.run_all(&[]).await, [["a"], ["root"]]);
    apflow_storage::conformance::audit(bed.store.as_ref()).await;
}

#[tokio::test]
async fn a_schedule_that_was_stored_before_there_were_schedulers_is_taken_up() {
    let (_dir, path) = place();
    let schedule = |enabled| Schedule {
        schedule_type: Some("interval".to_owned()),
        schedule_expression: Some("10".to_owned()),
        schedule_enabled: enabled,
        ..Schedule::default()
    };
    let store = open(&path, OpenOptions::default()).await.expect("it opens");
    for (id, enabled) in [("on", true), ("off", false)] {
        let mut submission = forest(id);
        submission.start = false;
        submission.tasks[0].definition.schedule = schedule(enabled);
        store.insert(submission).await.expect("stored");
    }
    store.insert(forest("plain")).await.expect("stored");
    drop(store);
    let mut connection = by_hand(&path).await;
    for statement in [
        "DROP TABLE af_schedules",
        "DROP TABLE af_slots",
        "DELETE FROM _sqlx_migrations WHERE version = 3",
    ] {
        connection.execute(statement).await.expect("as it was before");
    }
    connection.close().await.expect("closed");

    let clock = Arc::new(HandClock::default());
    let options = OpenOptions { clock: Some(clock.clone()), ..OpenOptions::default() };
    let store = open(&path, options).await.expect("it opens");
    let on = async || {
        let record = store.record(&"on".into()).await.expect("an answer").expect("stored");
        record.definition.schedule
    };
    assert_eq!((on().await.next_run_at, on().await.schedule_enabled), (None, true));
    let wish = Fire { limit: 10, user_id: None };
    let seen = store.fire(wish.clone()).await.expect("it looks");
    assert_eq!((seen.looked_at, seen.runs.len()), (2, 0), "their first slots are found");
    assert_eq!(seen.next, on().await.next_run_at);
    clock.advance(std::time::Duration::from_secs(10));
    let fired = store.fire(wish).await.expect("it looks");
    assert_eq!(fired.runs.len(), 1, "only the one that is on");
}
