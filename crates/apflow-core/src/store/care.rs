//! Looking after a database: forgetting what ended long ago, how large it is, copies of it.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use super::StoreError;

/// How large a database is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StoreStats {
    /// Bytes it takes in all.
    pub bytes: u64,
    /// Bytes of it that hold nothing and are used again; `vacuum` gives them back.
    pub free_bytes: u64,
    /// Its tables, each with its rows, in the order of their names.
    pub tables: Vec<TableStats>,
}

/// How large a table is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableStats {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
}

/// Looking after a database.
#[async_trait]
pub trait CareStore: Send + Sync {
    /// Removes whole submissions that ended so long ago, by the database's clock: about `limit` tasks
    /// together, and at least one submission however large it is.
    ///
    /// What others link to, what runs and what is on a schedule stays. Returns how many tasks went;
    /// call again until it is 0.
    async fn retire(&self, older_than: Duration, limit: u32) -> Result<u64, StoreError> {
        let _ = (older_than, limit);
        Err(StoreError::NotOffered { what: "retention" })
    }

    /// How large it is. Counts rows, so it takes its time on a large one.
    async fn stats(&self) -> Result<StoreStats, StoreError> {
        Err(StoreError::NotOffered { what: "statistics" })
    }

    /// Gives room that is not used any more back to the system.
    ///
    /// On SQLite nothing else can be written meanwhile.
    async fn vacuum(&self) -> Result<(), StoreError> {
        Err(StoreError::NotOffered { what: "vacuum" })
    }

    /// Writes a consistent copy into a new file while everything goes on; only SQLite has this.
    async fn copy_into(&self, path: &str) -> Result<(), StoreError> {
        let _ = path;
        Err(StoreError::NotOffered { what: "copies of a file" })
    }
}
