//! What only a real server can say: every statement is one, the hot ones use their indexes, and readers
//! of events miss none.

#[path = "../../tests/pg.rs"]
mod pg;

use std::collections::BTreeSet;

use apflow_core::store::JournalStore as _;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _, SqlSafeStr as _};

use super::{encode, sql};
use crate::{
    OpenOptions,
    rows::{NewEvent, Save},
};

fn names(folder: &str) -> BTreeSet<String> {
    let path = format!("{}/sql/{folder}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_dir(path)
        .expect("a folder of statements")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect()
}

#[test]
fn both_databases_have_statements_of_the_same_names() {
    assert_eq!(names("postgres"), names("sqlite"));
}

#[test]
fn no_statement_is_forgotten() {
    let used: BTreeSet<String> = sql::ALONE
        .iter()
        .chain(sql::SCRIPTED)
        .chain(sql::JOINED)
        .flat_map(|(names, _)| names.split(' '))
        .filter(|name| *name != "clock")
        .map(|name| format!("{name}.sql"))
        .collect();
    assert_eq!(used, names("postgres"));
}

#[tokio::test]
async fn every_statement_prepares() {
    let address = pg::fresh().await;
    drop(super::open(&address, OpenOptions::default()).await.expect("opens"));
    let mut connection = pg::connect(&address).await;
    let own = [
        ("bound", sql::EVENTS_BOUND),
        ("lives", sql::WORKER_LIVES),
        ("dead", sql::DEAD_WORKERS),
        ("notify", sql::NOTIFY),
        ("backend", sql::BACKEND),
        ("settings", sql::SETTINGS),
        ("migrations", sql::MIGRATIONS),
    ];
    for (name, text) in sql::ALONE.iter().chain(sql::SCRIPTED).chain(sql::JOINED).chain(&own) {
        let prepared = (&mut connection).prepare(AssertSqlSafe(*text).into_sql_str()).await;
        prepared.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// The plan of a prepared statement, scans of whole tables allowed.
async fn plan(connection: &mut PgConnection, call: &str) -> String {
    let text = format!("EXPLAIN EXECUTE {call}");
    let rows = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await.expect("explained");
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn claims_and_settlements_use_their_indexes_beside_many_finished_tasks() {
    let address = pg::fresh().await;
    drop(super::open(&address, OpenOptions::default()).await.expect("opens"));
    let mut connection = pg::connect(&address).await;
    let fill = "
        INSERT INTO af_forests SELECT n * 10, 0, 0 FROM generate_series(1, 2000) n;
        INSERT INTO af_trees (seq, id, forest, options, total, created_at)
            SELECT n * 10, 't' || n, n * 10, '{}', 10, 0 FROM generate_series(1, 2000) n;
        INSERT INTO af_tasks (seq, id, tree, forest, has_children, dependents, definition, created_at)
            SELECT n, 'a' || n, n / 10 * 10, n / 10 * 10, 0, '[[' || n + 1 || ',0]]', '{}', 0
            FROM generate_series(10, 20009) n;
        INSERT INTO af_work (seq, tree, forest, state, priority, updated_at)
            SELECT n, n / 10 * 10, n / 10 * 10, 'completed', 2, 0 FROM generate_series(10, 20009) n;
        ANALYZE;";
    sqlx::raw_sql(fill).execute(&mut connection).await.expect("filled");
    for (name, text) in sql::SCRIPTED.iter().chain([&("save", sql::SAVE), &("renew", sql::RENEW)]) {
        let text = format!("PREPARE af_{name} AS {text}");
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.expect("prepared");
    }
    let nulls = |count: usize| vec!["'{}'"; count].join(",");
    let save = format!("af_save({}, 0, {})", nulls(17), nulls(18));
    for (call, index) in [
        ("af_lock_forests('{10,11,12}')", "af_forests_pkey"),
        ("af_load_trees('{10,11,12}')", "af_trees_pkey"),
        ("af_load_edges('{10,11,12}')", "af_tasks_pkey"),
        ("af_load_settling('{10,11,12}')", "af_work_pkey"),
        ("af_ready(100)", "af_work_ready"),
        ("af_next_wake", "af_work_wake"),
        ("af_load_claimed('{10,11,12}')", "af_tasks_pkey"),
        ("af_load_needs('{10,11,12}')", "af_tasks_pkey"),
        ("af_load_forest('{10}')", "af_tasks_forest"),
        ("af_load_forest_trees('{10}')", "af_trees_forest"),
        ("af_renew('{10}', '{1}', '{0.5}', 7)", "af_work_pkey"),
        (save.as_str(), "af_work_pkey"),
    ] {
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let set = format!("SET plan_cache_mode = {mode}");
            sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut connection).await.expect("set");
            let plan = plan(&mut connection, call).await;
            assert!(plan.contains(index), "{call}, {mode}:\n{plan}");
            for table in ["af_work", "af_tasks", "af_trees", "af_forests"] {
                assert!(!plan.contains(&format!("Seq Scan on {table}")), "{call}, {mode}:\n{plan}");
            }
        }
    }
}

#[tokio::test]
async fn an_event_that_commits_late_is_read_late_and_never_skipped() {
    let address = pg::fresh().await;
    let store = super::open(&address, OpenOptions::default()).await.expect("opens");
    let mut late = pg::connect(&address).await;
    let tree = "INSERT INTO af_trees (seq, id, forest, options, total, created_at) \
                VALUES (1, 't', 1, '{}', 1, 0)";
    sqlx::raw_sql(tree).execute(&mut late).await.expect("stored");
    let event = |kind| Save {
        events: vec![NewEvent { tree: 1, task: None, kind, attempt: 0, detail: None }],
        ..Save::default()
    };
    let seen = async || {
        let events = store.events(None, 0, 10).await.expect("read");
        events.iter().map(|event| event.kind.code()).collect::<Vec<_>>()
    };
    async fn append(connection: &mut PgConnection, save: &Save) {
        let statement = encode::work_and_events(sql::SAVE_WORK_AND_EVENTS, save);
        statement.execute(connection).await.expect("appended");
    }

    sqlx::raw_sql("BEGIN").execute(&mut late).await.expect("begun");
    append(&mut late, &event(10)).await;
    let mut early = pg::connect(&address).await;
    append(&mut early, &event(11)).await;
    assert_eq!(seen().await, Vec::<i64>::new(), "an earlier one may still come");
    let commit = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        sqlx::raw_sql("COMMIT").execute(&mut late).await.expect("committed");
    };
    let (both, ()) = tokio::join!(seen(), commit);
    assert_eq!(both, [10, 11], "the reader waited a moment for it");

    // One that is undone holds nobody up.
    sqlx::raw_sql("BEGIN").execute(&mut late).await.expect("begun");
    append(&mut late, &event(12)).await;
    append(&mut early, &event(13)).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut late).await.expect("undone");
    assert_eq!(seen().await, [10, 11, 13]);
}
