//! The rules of every backend, stamped for each we have.

use std::sync::Arc;

use apflow_core::{store::Store, testing::MemoryStore};
use apflow_storage::{OpenOptions, derive_conformance, open, store_conformance};
use tempfile::TempDir;

async fn in_memory(options: OpenOptions) -> Arc<dyn Store> {
    open("sqlite::memory:", options).await.expect("opens")
}

async fn in_a_file(options: OpenOptions) -> (Arc<dyn Store>, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("apflow.db");
    let store = open(path.to_str().expect("a path in UTF-8"), options).await.expect("opens");
    (store, dir)
}

async fn in_the_model(options: OpenOptions) -> Arc<dyn Store> {
    Arc::new(MemoryStore::new(options.clock.expect("a bed has a clock")))
}

store_conformance!(sqlite_memory, in_memory);
store_conformance!(sqlite_file, in_a_file);
derive_conformance!(model, in_the_model);

#[cfg(feature = "postgres")]
store_conformance!(postgres, in_a_database_of_its_own);

#[cfg(feature = "postgres")]
async fn in_a_database_of_its_own(options: OpenOptions) -> Arc<dyn Store> {
    open(&crate::pg::fresh().await, options).await.expect("opens")
}
