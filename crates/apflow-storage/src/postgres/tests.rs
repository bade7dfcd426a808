//! What only a real server can say: every statement is one, the hot ones use their indexes, and readers
//! of events miss none.

#[path = "../../tests/pg.rs"]
mod pg;

use std::{collections::BTreeSet, time::Duration};

use apflow_core::store::JournalStore as _;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _, SqlSafeStr as _};

use super::{PgReads, encode, sql};
use crate::{
    OpenOptions,
    rows::{NewEvent, Save},
    store::Database,
};

fn names(folder: &str) -> BTreeSet<String> {
    let path = format!("{}/sql/{folder}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_dir(path)
        .expect("a folder of statements")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect()
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
        ("dead_holders", sql::DEAD_HOLDERS),
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

/// Fails unless claims and settlements find their rows by index.
async fn check_plans(connection: &mut PgConnection, when: &str, left_alone: bool) {
    for (name, text) in [("save", sql::SAVE), ("renew", sql::RENEW), ("lapse", sql::LAPSE_TASKS)] {
        let text = format!("PREPARE af_{name} AS {text}");
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *connection).await.expect("prepared");
    }
    let nulls = |count: usize| vec!["'{}'"; count].join(",");
    let save = format!("af_save({}, 0, {})", nulls(20), nulls(18));
    for (call, index) in [
        ("af_lock_forests('{10,11,12}')", "af_forests_pkey"),
        ("af_lock_forests_by_seq('{10}')", "af_forests_pkey"),
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
        ("af_lapse(7, 100)", "af_work_wake"),
        (save.as_str(), "af_work_pkey"),
    ] {
        // The planner takes each JSON array for a hundred elements, and 300 rows of a table this
        // small are as well read from its beginning to its end.
        if left_alone && call.starts_with("af_load_settling") {
            continue;
        }
        let text = format!("EXPLAIN EXECUTE {call}");
        let read = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(&mut *connection).await;
        let lines: Vec<String> =
            read.expect("explained").iter().map(|row| row.get::<String, _>(0)).collect();
        let plan = lines.join("\n");
        assert!(plan.contains(index), "{when}: {call}:\n{plan}");
        for table in ["af_work", "af_tasks", "af_trees", "af_forests"] {
            let scan = format!("Seq Scan on {table} ");
            assert!(!plan.contains(&scan), "{when}: {call}:\n{plan}");
        }
    }
}

#[tokio::test]
async fn claims_and_settlements_use_their_indexes_beside_many_finished_tasks() {
    let address = pg::fresh().await;
    let options = OpenOptions::default();
    drop(super::open(&address, options.clone()).await.expect("opens"));
    let server = super::Server::new(&address, &options).expect("an address");
    // A plan that is made while the tables are empty is remembered.
    check_plans(&mut server.writer().await.expect("connects"), "empty", false).await;

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
        ANALYZE;
        SET plan_cache_mode = force_custom_plan;";
    sqlx::raw_sql(fill).execute(&mut connection).await.expect("filled");
    check_plans(&mut server.writer().await.expect("connects"), "full", false).await;
    // The planner comes to the same by itself where it knows the tables.
    for (name, text) in sql::SCRIPTED {
        let text = format!("PREPARE af_{name} AS {text}");
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.expect("prepared");
    }
    check_plans(&mut connection, "left alone", true).await;

    // The beginning of an id is a range of its index in every language of a database.
    let text = sql::IDS_IN_RANGE.replace("$1", "'a19'").replace("$2", "'a2'");
    let text = text.replace("$3", "NULL").replace("$4", "11");
    let read = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN {text}"))).fetch_all(&mut connection);
    let lines: Vec<String> =
        read.await.expect("explained").iter().map(|row| row.get::<String, _>(0)).collect();
    let plan = lines.join("\n");
    assert!(plan.contains("af_tasks_id_key") && plan.contains("Index Cond"), "{plan}");
}

#[tokio::test]
async fn what_belongs_to_one_owner_is_found_by_the_index_on_owners() {
    let address = pg::fresh().await;
    drop(super::open(&address, OpenOptions::default()).await.expect("opens"));
    let mut connection = pg::connect(&address).await;
    let fill = "
        INSERT INTO af_trees (seq, id, forest, options, total, created_at)
            SELECT n, 't' || n, n, '{}', 1, 0 FROM generate_series(1, 20000) n;
        INSERT INTO af_tasks (seq, id, tree, forest, has_children, user_id, definition, created_at)
            SELECT n, 'a' || n, n, n, 0, 'u' || n % 500, '{}', 0 FROM generate_series(1, 20000) n;
        INSERT INTO af_work (seq, tree, forest, state, priority, updated_at)
            SELECT n, n, n, 'completed', 2, 0 FROM generate_series(1, 20000) n;
        ANALYZE;";
    sqlx::raw_sql(fill).execute(&mut connection).await.expect("filled");
    for (name, text, page) in
        [("list", sql::LIST_TASKS_OF_USER, ", 100, 0"), ("count", sql::COUNT_TASKS_OF_USER, "")]
    {
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let text = format!(
                "SET plan_cache_mode = {mode}; PREPARE af_{name}_{mode} AS {text};
                 EXPLAIN EXECUTE af_{name}_{mode}('u7', NULL, false, NULL, NULL, NULL{page})"
            );
            let read = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(&mut connection).await;
            let lines: Vec<String> =
                read.expect("explained").iter().map(|row| row.get::<String, _>(0)).collect();
            let plan = lines.join("\n");
            assert!(plan.contains("af_tasks_user"), "{name}, {mode}:\n{plan}");
            assert!(!plan.contains("Seq Scan on af_tasks t"), "{name}, {mode}:\n{plan}");
        }
    }
}

/// A tree that events can be told of.
async fn tree(connection: &mut PgConnection) {
    let text = "INSERT INTO af_trees (seq, id, forest, options, total, created_at) \
                VALUES (1, 't', 1, '{}', 1, 0)";
    sqlx::raw_sql(text).execute(connection).await.expect("stored");
}

/// Tells of an event, in the transaction that is open or in one of its own.
async fn append(connection: &mut PgConnection, kind: i64) {
    let save = Save {
        events: vec![NewEvent { tree: 1, task: None, kind, attempt: 0, detail: None }],
        ..Save::default()
    };
    let statement = encode::work_and_events(sql::SAVE_WORK_AND_EVENTS, &save);
    statement.execute(connection).await.expect("appended");
}

/// What a reader sees.
async fn kinds(store: &Database<PgReads>) -> Vec<i64> {
    let events = store.events(None, 0, 10).await.expect("read");
    events.iter().map(|event| event.kind.code()).collect()
}

#[tokio::test]
async fn an_event_that_commits_late_is_read_late_and_never_skipped() {
    let address = pg::fresh().await;
    let store = super::open(&address, OpenOptions::default()).await.expect("opens");
    let mut late = pg::connect(&address).await;
    let mut early = pg::connect(&address).await;
    tree(&mut late).await;

    sqlx::raw_sql("BEGIN").execute(&mut late).await.expect("begun");
    append(&mut late, 10).await;
    append(&mut early, 11).await;
    assert_eq!(kinds(&store).await, Vec::<i64>::new(), "an earlier one may still come");
    let commit = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        sqlx::raw_sql("COMMIT").execute(&mut late).await.expect("committed");
    };
    let (both, ()) = tokio::join!(kinds(&store), commit);
    assert_eq!(both, [10, 11], "the reader waited a moment for it");

    // The bound is exact beyond 32 bits too.
    let far = "SELECT setval('af_event_seq', (5::bigint << 32) + 4000000000)";
    sqlx::raw_sql(far).execute(&mut early).await.expect("set");
    sqlx::raw_sql("BEGIN").execute(&mut late).await.expect("begun");
    append(&mut early, 14).await;
    append(&mut late, 15).await;
    append(&mut early, 16).await;
    assert_eq!(kinds(&store).await, [10, 11, 14]);
    sqlx::raw_sql("COMMIT").execute(&mut late).await.expect("committed");
    assert_eq!(kinds(&store).await, [10, 11, 14, 15, 16]);

    // One that is undone holds nobody up.
    sqlx::raw_sql("BEGIN").execute(&mut late).await.expect("begun");
    append(&mut late, 12).await;
    append(&mut early, 13).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut late).await.expect("undone");
    assert_eq!(kinds(&store).await, [10, 11, 14, 15, 16, 13]);
}

#[tokio::test]
async fn an_event_is_numbered_when_it_is_told_and_not_when_its_transaction_began() {
    let address = pg::fresh().await;
    let store = super::open(&address, OpenOptions::default()).await.expect("opens");
    let mut waiting = pg::connect(&address).await;
    tree(&mut waiting).await;
    // The first one has its number as a transaction, and then waits for the lock of the second.
    let begin = "BEGIN; SELECT pg_current_xact_id();";
    sqlx::raw_sql(begin).execute(&mut waiting).await.expect("begun");
    append(&mut pg::connect(&address).await, 11).await;
    append(&mut waiting, 12).await;
    sqlx::raw_sql("COMMIT").execute(&mut waiting).await.expect("committed");
    assert_eq!(kinds(&store).await, [11, 12]);
}
