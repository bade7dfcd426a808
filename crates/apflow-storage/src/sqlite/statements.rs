//! Every statement prepares, and none of those that run all the time reads a whole table.

use std::collections::BTreeSet;

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, Row as _, SqlSafeStr as _, SqliteConnection,
};

use super::sql;

async fn migrated() -> SqliteConnection {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("a database");
    super::migrate(&mut connection, &crate::OpenOptions::default()).await.expect("migrated");
    connection
}

fn every_statement() -> impl Iterator<Item = (&'static str, &'static str)> {
    sql::ALONE.iter().chain(sql::JOINED).copied()
}

#[test]
fn every_file_is_a_statement_that_is_prepared_here() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("a file").file_name().into_string().expect("a name in UTF-8"))
        .collect();
    let named: BTreeSet<String> =
        every_statement().map(|(name, _)| format!("{name}.sql")).collect();
    assert_eq!(files, named);
}

#[tokio::test]
async fn every_statement_prepares() {
    let mut connection = migrated().await;
    for (name, text) in every_statement() {
        if let Err(error) = connection.prepare(AssertSqlSafe(text).into_sql_str()).await {
            panic!("{name}.sql does not prepare: {error}");
        }
    }
}

/// What SQLite is going to do, a line a step.
async fn plan(connection: &mut SqliteConnection, text: &str) -> Vec<String> {
    let explained = format!("EXPLAIN QUERY PLAN {text}"); // tidy: sql because it asks about the file's statement
    let rows = sqlx::query(AssertSqlSafe(explained)).fetch_all(connection).await.expect("a plan");
    rows.iter().map(|row| row.get("detail")).collect()
}

/// A step that reads a table from one end to the other. What walks along an index that holds only
/// the rows that are wanted, or over the values it was given, is none.
fn reads_a_whole_table(step: &str) -> bool {
    let small = [
        "af_work_ready",
        "af_work_wake",
        "af_work_running_facets",
        "af_trees_deadline",
        "af_forests_live",
        "af_schedules_due",
        "af_schedules_waiting",
        "af_callbacks_active",
    ];
    let walks = small.iter().any(|index| step.ends_with(&format!("INDEX {index}")));
    let given = step.contains("VIRTUAL TABLE") || step.contains("CONSTANT ROW");
    let own = ["SCAN v", "SCAN moments", "SCAN b", "SCAN n", "SCAN r"].contains(&step)
        || step.starts_with("SCAN (subquery");
    step.starts_with("SCAN") && !walks && !given && !own
}

#[tokio::test]
async fn what_belongs_to_one_owner_is_found_by_the_index_on_owners() {
    let mut connection = migrated().await;
    for text in [sql::LIST_TASKS_OF_USER, sql::COUNT_TASKS_OF_USER] {
        let plan = plan(&mut connection, text).await;
        let searches = |step: &String| {
            step.starts_with("SEARCH t") && step.contains("INDEX af_tasks_user (user_id=?")
        };
        assert!(plan.iter().any(searches), "{plan:#?}");
        let sorts = |step: &String| step.contains("ORDER BY");
        assert!(text == sql::COUNT_TASKS_OF_USER || !plan.iter().any(sorts), "{plan:#?}");
    }
}

#[tokio::test]
async fn no_statement_but_the_filtered_lists_reads_a_whole_table() {
    // A filter may ask for everything; what was set aside is a handful of rows, and so are tokens.
    let may = [
        "list_tasks",
        "count_tasks",
        "set_aside",
        "list_schedules",
        "list_tokens",
        "count_tokens",
        "table_names",
        // The same holds of dead letters; trimming them is a chore of every hour.
        "list_letters",
        "count_letters",
        "trim_letters",
        // As few rows as there are shared limits, breakers and budgets.
        "list_limits",
        "count_limits",
        "list_breakers",
        "lock_budgets",
        "count_budgets",
        // What runs has a row each.
        "load_reserved",
        // The first hundred in the order of the table.
        "trim_published",
        "list_waits",
        "list_open_waits",
    ];
    let mut connection = migrated().await;
    let mut guilty = Vec::new();
    for (name, text) in every_statement() {
        let plan = plan(&mut connection, text).await;
        let whole = plan.iter().filter(|step| reads_a_whole_table(step));
        guilty.extend(whole.filter(|_| !may.contains(&name)).map(|step| format!("{name}: {step}")));
    }
    assert!(guilty.is_empty(), "{guilty:#?}");
}
