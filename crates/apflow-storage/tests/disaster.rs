//! Rows that cannot be read, files that are no database, and disks without room.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use apflow_core::{
    store::{Page, Store, StoreError, Submission, TaskFilter},
    task::{Outcome, StateName},
};
use apflow_storage::{
    OpenOptions,
    conformance::{Bed, audit, done, forest, parked},
    open,
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqliteConnection};
use tempfile::TempDir;

async fn in_a_file(options: OpenOptions) -> (Arc<dyn Store>, Place) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("apflow.db").to_str().expect("a path in UTF-8").to_owned();
    let store = open(&path, options).await.expect("opens");
    (store, Place { path, _dir: dir })
}

struct Place {
    path: String,
    _dir: TempDir,
}

/// A bed, and a way to spoil what lies under it.
async fn bed_and_path() -> (Bed, String) {
    let mut path = String::new();
    let bed = Bed::open(async |options| {
        let (store, place) = in_a_file(options).await;
        path.clone_from(&place.path);
        (store, place)
    })
    .await;
    (bed, path)
}

/// A bed on a file that somebody else keeps.
async fn bed_at(path: &str) -> Bed {
    Bed::open(async |options| (open(path, options).await.expect("opens"), ())).await
}

/// Does to the tables what no apflow does.
async fn spoil(path: &str, statement: &str) {
    let mut connection =
        SqliteConnection::connect(&format!("sqlite://{path}")).await.expect("a connection");
    let done = connection.execute(AssertSqlSafe(statement.to_owned())).await.expect("it is done");
    assert!(done.rows_affected() > 0, "nothing was spoiled by {statement}");
    connection.close().await.expect("closed");
}

#[tokio::test]
async fn a_definition_that_cannot_be_read_fails_its_task_and_the_others_go_on() {
    let (bed, path) = bed_and_path().await;
    bed.submit("root; bad ^root; good ^root; after ^root <bad; either ^root ?bad").await;
    spoil(&path, "UPDATE af_tasks SET definition = '{\"name\":' WHERE id = 'bad'").await;
    let rounds = bed.run_all(&[]).await;
    assert_eq!(rounds, [vec!["good"], vec!["either"], vec!["root"]]);
    let run = bed.run("root").await;
    assert_eq!((run.outcome, run.running), (Some(Outcome::Failed), false));
    assert_eq!((run.failed_tasks, run.blocked_tasks), (vec!["bad".into()], vec!["after".into()]));
    let aside = bed.store.set_aside().await.expect("a report");
    assert_eq!(aside.len(), 1);
    assert_eq!((aside[0].0.as_str(), aside[0].1.as_str()), ("af_tasks", "bad"));
    assert!(aside[0].2.contains("definition"), "{aside:?}");

    let error = bed.store.record(&"bad".into()).await.expect_err("it cannot be read");
    assert!(matches!(&error, StoreError::Corrupt { .. }), "{error:?}");
    let listed = bed.store.list(&TaskFilter::default(), Page::default()).await.expect("a list");
    assert_eq!(listed.len(), 4, "the others are listed");
    assert_eq!(bed.store.subtree(&"root".into()).await.expect("a subtree").len(), 4);
}

#[tokio::test]
async fn rows_that_cannot_be_read_do_not_stop_the_queue() {
    let (bed, path) = bed_and_path().await;
    bed.submit("a; b; c; d !3; e !3").await;
    spoil(&path, "UPDATE af_work SET attempts = -1 WHERE priority = 2").await;
    assert_eq!(bed.claim(1).await[0].id.as_str(), "d", "three rows lie before it");
    assert_eq!(bed.claim(1).await[0].id.as_str(), "e");
    assert!(bed.claim(10).await.is_empty());
    let aside = bed.store.set_aside().await.expect("a report");
    assert_eq!(aside.len(), 3);
    assert!(aside.iter().all(|row| row.0 == "af_work" && row.2.contains("attempts")), "{aside:?}");
}

#[tokio::test]
async fn rows_that_cannot_be_read_do_not_stop_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("apflow.db").to_str().expect("a path in UTF-8").to_owned();
    let bed = bed_at(&path).await;
    bed.submit("a; b; c").await;
    let held = bed.claim(3).await;
    let wait = Duration::from_secs(1);
    bed.settle(vec![parked(&held[0], Some(wait)), parked(&held[1], Some(wait))]).await;
    // What is on the move is kept in memory; it is read again by the next process.
    drop(bed);
    spoil(&path, "UPDATE af_work SET detail = '[]' WHERE state = 'waiting'").await;
    let bed = bed_at(&path).await;
    bed.clock.advance(Duration::from_mins(1));
    assert_eq!(bed.store.lapse(1).await.expect("time passes"), 1, "the third one");
    assert_eq!(bed.state("c").await, StateName::Ready);
    assert_eq!(bed.store.lapse(1).await.expect("time passes"), 0);
    assert_eq!(bed.store.set_aside().await.expect("a report").len(), 2);
    bed.submit("x; y <x").await;
    assert_eq!(bed.run_all(&[]).await, [vec!["c", "x"], vec!["y"]]);
}

#[tokio::test]
async fn a_tree_whose_options_cannot_be_read_still_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("apflow.db").to_str().expect("a path in UTF-8").to_owned();
    let bed = bed_at(&path).await;
    bed.submit("root; a ^root; b ^root <a").await;
    let held = bed.claim_one().await;
    drop(bed);
    spoil(&path, "UPDATE af_trees SET options = 'fail fast'").await;
    let bed = bed_at(&path).await;
    bed.settle(vec![apflow_storage::conformance::failed(&held)]).await;
    assert_eq!(bed.run_all(&[]).await, [["root"]]);
    assert_eq!(bed.states("root a b").await, "completed failed blocked");
    let aside = bed.store.set_aside().await.expect("a report");
    assert_eq!((aside.len(), aside[0].0.as_str()), (1, "af_trees"));
}

async fn refused(path: &Path) -> StoreError {
    let path = path.to_str().expect("a path in UTF-8");
    open(path, OpenOptions::default()).await.err().expect("it should not open")
}

fn is_damage(error: &StoreError) {
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(error.hint().expect("a hint").contains("backup"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_damaged_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("letter.txt");
    let letter = "Dear apflow, this is not what you think it is. ".repeat(100);
    std::fs::write(&path, &letter).expect("written");
    is_damage(&refused(&path).await);
    assert_eq!(std::fs::read_to_string(&path).expect("read"), letter);
    std::fs::write(&path, b"SQLite format 3\0and then noise, noise, noise").expect("written");
    is_damage(&refused(&path).await);
}

#[tokio::test]
async fn a_file_that_lost_its_end_is_damaged() {
    let (bed, path) = bed_and_path().await;
    let mut submission = forest("root; a ^root; b ^root; c ^root");
    for task in &mut submission.tasks {
        task.definition.inputs.insert("much".to_owned(), json!("x".repeat(40_000)));
    }
    bed.insert(submission).await;
    let mut connection =
        SqliteConnection::connect(&format!("sqlite://{path}")).await.expect("a connection");
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.expect("moved to the file");
    connection.close().await.expect("closed");
    let copy = PathBuf::from(format!("{path}.copy"));
    let whole = std::fs::read(&path).expect("read");
    std::fs::write(&copy, &whole[..whole.len() / 2]).expect("written");
    let copy = copy.to_str().expect("a path in UTF-8");
    let error = match open(copy, OpenOptions::default()).await {
        Err(error) => error,
        Ok(store) => {
            let list = store.list(&TaskFilter::default(), Page::default()).await;
            list.expect_err("half of it is missing")
        }
    };
    is_damage(&error);
}

#[tokio::test]
async fn a_place_where_nothing_can_be_made_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("not-there").join("apflow.db");
    let error = refused(&path).await;
    assert!(error.to_string().contains("not-there"), "{error}");
    assert!(error.hint().is_some());
}

/// Runs one of the tests below on a disk of its own; says so where the system does not let us.
#[expect(clippy::print_stderr, reason = "a test that could not be made has to be seen")]
fn on_a_disk_of_its_own(test: &str, prepare: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let script = format!(
        "mount -t tmpfs -o size=4m tmpfs \"$1\" && cd \"$1\" && touch small-disk && {prepare} \
         exec \"$2\" --exact disaster::{test} --ignored --nocapture"
    );
    let unshare = |args: &[&str]| {
        Command::new("unshare").args(["--user", "--map-root-user", "--mount"]).args(args).output()
    };
    let probe = unshare(&["mount", "-t", "tmpfs", "tmpfs", dir.path().to_str().expect("UTF-8")]);
    if !probe.is_ok_and(|probe| probe.status.success()) {
        eprintln!("{test} was not run: this system does not let us mount a disk of our own");
        return;
    }
    let this = std::env::current_exe().expect("this program");
    let (dir, this) = (dir.path().to_str().expect("UTF-8"), this.to_str().expect("UTF-8"));
    let output = unshare(&["sh", "-c", &script, "sh", dir, this]).expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let also = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{also}");
}

#[test]
fn a_full_disk_refuses_what_it_cannot_store_and_goes_on_when_there_is_room() {
    on_a_disk_of_its_own("on_a_small_disk", "");
}

#[tokio::test]
// tidy: ignore because the test above runs it, on a disk of its own
#[ignore = "run by the test above, on a small disk"]
async fn on_a_small_disk() {
    assert!(Path::new("small-disk").exists(), "this would fill a disk that others use");
    let large = |id: &str| -> Submission {
        let mut submission = forest(id);
        submission.tasks[0].definition.inputs.insert("x".to_owned(), json!("x".repeat(100_000)));
        submission
    };
    let bed = Bed::open(async |options| open("apflow.db", options).await.expect("opens")).await;
    bed.submit("root; a ^root; b ^root <a").await;
    let held = bed.claim_one().await;
    let room = std::fs::File::create("ballast").expect("a file");
    let mut ballast = std::io::BufWriter::with_capacity(4096, room);
    while std::io::Write::write_all(&mut ballast, &[0; 4096]).is_ok() {}
    drop(ballast.into_parts());

    let mut stored = Vec::new();
    let error = loop {
        let id = format!("more{}", stored.len());
        match bed.store.insert(large(&id)).await {
            Ok(_) => stored.push(id),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StoreError::Full { .. }), "{error:?}");
    assert!(error.hint().expect("a hint").contains("room"));
    let many = (0..5).map(|n| bed.store.insert(large(&format!("many{n}"))));
    for answer in futures_util::future::join_all(many).await {
        assert!(matches!(answer, Err(StoreError::Full { .. })), "each hears why: {answer:?}");
    }
    assert_eq!(bed.states("root a b").await, "blocked running blocked", "reading goes on");

    std::fs::remove_file("ballast").expect("room again");
    bed.settle(vec![done(&held, json!(1))]).await;
    for id in &stored {
        assert_eq!(bed.state(id).await, StateName::Ready, "what was acknowledged is there");
    }
    bed.insert(large("late")).await;
    bed.run_all(&[]).await;
    assert_eq!(bed.states("root a b late").await, "completed completed completed completed");
    audit(bed.store.as_ref()).await;
}

#[test]
fn a_disk_that_cannot_be_written_is_named() {
    on_a_disk_of_its_own("on_a_disk_for_reading", "mount -o remount,ro \"$1\" &&");
}

#[tokio::test]
// tidy: ignore because the test above runs it, on a disk of its own
#[ignore = "run by the test above, on a disk that cannot be written"]
async fn on_a_disk_for_reading() {
    assert!(Path::new("small-disk").exists());
    let error = refused(Path::new("apflow.db")).await;
    assert!(error.to_string().contains("apflow.db"), "{error}");
    assert!(error.to_string().contains("Read-only"), "{error}");
    assert!(error.hint().is_some());
}
