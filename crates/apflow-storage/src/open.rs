//! From an address to a store.

use std::{sync::Arc, time::Duration};

use apflow_core::{
    store::{Store, StoreError},
    time::Clock,
};

/// When a write is acknowledged (ruling 23).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// After it survives a power cut.
    #[default]
    Strict,
    /// After it survives a crash of the process; a power cut may take the last moments.
    Relaxed,
}

/// How to open a database.
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that can be switched")]
#[derive(Clone, Default)]
pub struct OpenOptions {
    /// When a write is acknowledged.
    pub durability: Durability,
    /// Only read: no lock is taken, nothing is migrated, and every write is refused.
    pub read_only: bool,
    /// Connections that only read; 0 means 4.
    pub readers: u32,
    /// How long to wait for a connection; zero means 10 s.
    pub patience: Duration,
    /// Requests that may wait for the database before more are refused; 0 means 4,096.
    pub queue: usize,
    /// A clock to use instead of the database's own, for tests.
    pub clock: Option<Arc<dyn Clock>>,
    /// Tasks that fail for good get no dead letter.
    pub no_dead_letters: bool,
    /// Owners take turns: who has many tasks waits with them for those who have few.
    pub fair: bool,
    /// Do not migrate, and refuse a database that would need it.
    pub no_migration: bool,
}

/// Opens the database at `address`, and brings it up to date unless it is only read.
///
/// `sqlite:path/to/file.db`, `sqlite::memory:` and `postgres://…` are known; a plain path is a SQLite
/// file.
pub async fn open(address: &str, options: OpenOptions) -> Result<Arc<dyn Store>, StoreError> {
    match Address::parse(address)? {
        #[cfg(feature = "sqlite")]
        Address::Sqlite(path) => Ok(Arc::new(crate::sqlite::open(&path, options).await?)),
        #[cfg(feature = "postgres")]
        Address::Postgres(url) => Ok(Arc::new(crate::postgres::open(&url, options).await?)),
        #[cfg(not(all(feature = "sqlite", feature = "postgres")))]
        _ => Err(StoreError::Address {
            what: "this apflow was built without support for that database".to_owned(),
            hint: "build it with the feature `sqlite` or `postgres`".to_owned(),
        }),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Address {
    Sqlite(String),
    Postgres(String),
}

/// The process that writes a database file, by its number; none if nobody does.
///
/// PostgreSQL has many writers and is not asked: `None` there as well.
pub fn writer_of(address: &str) -> Option<String> {
    match Address::parse(address).ok()? {
        #[cfg(feature = "sqlite")]
        Address::Sqlite(path) => crate::sqlite::writer_of(&path),
        _ => None,
    }
}

impl Address {
    fn parse(address: &str) -> Result<Self, StoreError> {
        let scheme = address.split_once(':').map_or("", |(scheme, _)| scheme);
        match scheme {
            "sqlite" => {
                let path = address.trim_start_matches("sqlite:").trim_start_matches("//");
                let path = path.split('?').next().unwrap_or_default();
                if path.is_empty() {
                    return Err(StoreError::Address {
                        what: format!("`{address}` names no file"),
                        hint: "write sqlite:path/to/file.db or sqlite::memory:".to_owned(),
                    });
                }
                Ok(Self::Sqlite(path.to_owned()))
            }
            "postgres" | "postgresql" => Ok(Self::Postgres(address.to_owned())),
            "duckdb" => Err(StoreError::Address {
                what: "DuckDB is not supported any more".to_owned(),
                hint: "with the Python version run `apflow tasks list --all-tasks` and import the \
                       JSON here with `apflow tasks create -f FILE`; new data belongs in \
                       sqlite:FILE or postgres://…"
                    .to_owned(),
            }),
            "" => Ok(Self::Sqlite(address.to_owned())),
            other if other.len() == 1 => Ok(Self::Sqlite(address.to_owned())),
            other => Err(StoreError::Address {
                what: format!("`{other}:` is no database that apflow knows"),
                hint: "write sqlite:path/to/file.db, sqlite::memory: or postgres://…".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_wrong_ones_say_what_to_write() {
        let sqlite = |path: &str| Address::Sqlite(path.to_owned());
        assert_eq!(Address::parse("sqlite:a/b.db").ok(), Some(sqlite("a/b.db")));
        assert_eq!(Address::parse("sqlite:///a/b.db?mode=rwc").ok(), Some(sqlite("/a/b.db")));
        assert_eq!(Address::parse("sqlite::memory:").ok(), Some(sqlite(":memory:")));
        assert_eq!(Address::parse("a.db").ok(), Some(sqlite("a.db")));
        for (wrong, hint) in [("mysql://x", "postgres://"), ("duckdb://x", "tasks create")] {
            let error = Address::parse(wrong).expect_err("no such database");
            assert!(error.hint().expect("a hint").contains(hint), "{wrong}");
        }
    }
}
