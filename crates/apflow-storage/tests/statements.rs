//! The two databases have the same statements and the same migrations, by name.

use std::{collections::BTreeSet, path::PathBuf};

fn names(folder: &str) -> BTreeSet<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(&path)
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
    files
        .map(|file| file.expect("a file"))
        .filter(|file| {
            let text = std::fs::read_to_string(file.path()).expect("a statement");
            // A statement about what only one database has says so.
            !text.contains("-- tidy: pair because ")
        })
        .map(|file| file.file_name().into_string().expect("a name in UTF-8"))
        .collect()
}

#[test]
fn both_databases_have_the_same_migrations() {
    let sqlite = names("../../migrations/sqlite");
    assert_eq!(sqlite, names("../../migrations/postgres"));
    assert!(!sqlite.is_empty());
}

#[test]
fn both_databases_have_the_same_statements() {
    let sqlite = names("sql/sqlite");
    assert_eq!(sqlite, names("sql/postgres"));
    assert!(!sqlite.is_empty());
}
