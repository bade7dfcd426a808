//! One crate talks to databases, and its statements live in files.

use std::collections::BTreeSet;

use super::{Finding, is_test_file};
use crate::{
    rust_source::{RustSource, has_word},
    workspace::File,
};

const DRIVER: &str = "sqlx";
const STORAGE: &str = "crates/apflow-storage/";
/// Measures the databases themselves, and looks into them from outside; nothing links to it.
const BENCH: &str = "xtask/bench/";

/// Finds the name of the database driver outside the storage crate.
pub(super) fn only_storage_names_the_driver(
    file: &File,
    _source: Option<&RustSource>,
) -> Vec<Finding> {
    let path = file.path.as_str();
    let is_manifest = path.ends_with("Cargo.toml");
    let looked_at = file.is_rust() || (is_manifest && path != "Cargo.toml");
    if !looked_at || path.starts_with(STORAGE) || path.starts_with(BENCH) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        if has_word(line, DRIVER) {
            let say = format!(
                "`{DRIVER}` is named here; only apflow-storage may: give its trait a method that means what you need"
            );
            findings.push(Finding::new("driver", path, at + 1, say));
        }
    }
    findings
}

/// Finds SQL written inside Rust.
pub(super) fn statements_live_in_sql_files(
    file: &File,
    source: Option<&RustSource>,
) -> Vec<Finding> {
    let Some(source) = source else { return Vec::new() };
    if is_test_file(&file.path) || file.path.starts_with(BENCH) {
        return Vec::new();
    }
    let statements =
        source.strings.iter().filter(|piece| is_sql(&piece.text) && !source.in_test(piece.line));
    statements
        .map(|piece| {
            let say = "a statement in Rust; put it into crates/apflow-storage/sql/sqlite and sql/postgres under one name and include it";
            Finding::new("sql", &file.path, piece.line, say)
        })
        .collect()
}

/// Whether a text in quotes is a statement and not a sentence or an HTTP method.
fn is_sql(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().take(40).collect();
    let Some(first) = words.first() else { return false };
    let second = words.get(1).copied().unwrap_or_default();
    let bare = first.trim_end_matches(';');
    if first.chars().any(char::is_lowercase) {
        return is_sql_in_small_letters(&words);
    }
    match bare {
        "BEGIN" | "COMMIT" | "ROLLBACK" | "VACUUM" => true,
        "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "CREATE" | "ALTER" | "DROP" | "WITH"
        | "PRAGMA" | "SAVEPOINT" | "RELEASE" | "LISTEN" | "UNLISTEN" | "NOTIFY" | "ANALYZE"
        | "EXPLAIN" | "TRUNCATE" | "REINDEX" | "LOCK" | "VALUES" | "ATTACH" | "DETACH" | "SET"
        | "SHOW" | "COPY" => !second.is_empty(),
        _ => false,
    }
}

/// In small letters a verb alone may begin a sentence, so its second half has to be there too.
fn is_sql_in_small_letters(words: &[&str]) -> bool {
    let small: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let word = |at: usize| small.get(at).map(String::as_str).unwrap_or_default();
    let thing = ["table", "index", "unique", "view", "trigger", "schema", "database", "type"];
    match word(0) {
        "select" => small.iter().any(|word| word == "from") && !small.iter().any(|w| w == "the"),
        "insert" => word(1) == "into" && small.iter().any(|word| word.starts_with("values")),
        "update" => word(2) == "set",
        "delete" => word(1) == "from" && small.iter().any(|word| word == "where"),
        "create" | "alter" | "drop" => thing.contains(&word(1)),
        "with" => word(2) == "as" && word(3).starts_with('('),
        "begin" => matches!(word(1).trim_end_matches(';'), "immediate" | "transaction"),
        "pragma" => small.len() <= 4,
        _ => false,
    }
}

/// Finds a file of one database that the other one lacks.
pub(super) fn both_databases_have_the_same_names(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for folder in ["crates/apflow-storage/sql", "migrations"] {
        let names = |database: &str| -> BTreeSet<&str> {
            let start = format!("{folder}/{database}/");
            // A statement of what only one database has says so: `-- tidy: pair because …`.
            files
                .iter()
                .filter(|file| !file.text.contains("-- tidy: pair because "))
                .filter_map(|file| file.path.strip_prefix(&start))
                .collect()
        };
        let (sqlite, postgres) = (names("sqlite"), names("postgres"));
        for (has, lacks, missing) in [
            ("sqlite", "postgres", sqlite.difference(&postgres)),
            ("postgres", "sqlite", postgres.difference(&sqlite)),
        ] {
            for name in missing {
                let say = format!(
                    "{lacks} has no file of this name; write {folder}/{lacks}/{name}, or delete this one"
                );
                findings.push(Finding::new("pair", &format!("{folder}/{has}/{name}"), 1, say));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check;

    #[test]
    fn the_driver_is_named_in_storage_and_at_the_root_only() {
        let check = |path, text| check(only_storage_names_the_driver, path, text);
        let line = "sqlx.workspace = true";
        assert_eq!(check("crates/apflow-core/Cargo.toml", line), [1]);
        assert_eq!(check("crates/apflow-cli/src/main.rs", "fn a() {}\nuse sqlx::Row;"), [2]);
        assert_eq!(check("crates/apflow-storage/Cargo.toml", line), [0; 0]);
        assert_eq!(check("Cargo.toml", line), [0; 0]);
        assert_eq!(check("crates/apflow-core/src/a.rs", "let sqlxy = 1;"), [0; 0]);
    }

    #[test]
    fn statements_are_told_from_sentences() {
        for sql in [
            "SELECT 1",
            "  INSERT INTO tasks VALUES (?)",
            "BEGIN IMMEDIATE",
            "COMMIT",
            "PRAGMA journal_mode = WAL",
            "WITH due AS (SELECT 1) SELECT * FROM due",
            "select id from tasks",
            "update tasks set state = 'ready'",
            "pragma user_version",
            "create table a (b)",
            "begin immediate",
        ] {
            assert!(is_sql(sql), "{sql}");
        }
        for text in [
            "",
            "DELETE",
            "Select the tasks from the list",
            "Update the task, then try again",
            "with one attempt as the default",
            "create a task",
            "delete from the list what you do not need",
            "begin",
            "UPDATED",
        ] {
            assert!(!is_sql(text), "{text}");
        }
    }

    #[test]
    fn a_statement_in_rust_is_found_outside_tests() {
        let text = "fn f() {\n    run(\"SELECT 1\");\n}\n#[cfg(test)]\nmod tests { fn g() { run(\"SELECT 2\") } }";
        let check = |path| check(statements_live_in_sql_files, path, text);
        assert_eq!(check("crates/apflow-storage/src/sqlite/mod.rs"), [2]);
        assert_eq!(check("crates/apflow-storage/tests/main.rs"), [0; 0]);
    }

    #[test]
    fn a_file_without_its_twin_is_found() {
        let file = |path: &str| File { path: path.to_owned(), text: String::new() };
        let same = [file("migrations/sqlite/0001.sql"), file("migrations/postgres/0001.sql")];
        assert_eq!(both_databases_have_the_same_names(&same), []);
        let found = both_databases_have_the_same_names(&[
            file("crates/apflow-storage/sql/postgres/claim.sql"),
            file("migrations/sqlite/0002.sql"),
        ]);
        let paths: Vec<&str> = found.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(
            paths,
            ["crates/apflow-storage/sql/postgres/claim.sql", "migrations/sqlite/0002.sql"]
        );
        assert!(found[1].say.contains("migrations/postgres/0002.sql"), "{}", found[1].say);
    }
}
