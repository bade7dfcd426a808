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

/// The reference model keeps the rules about callbacks and listeners too.
mod reference {
    use apflow_core::testing::MemoryStore;
    use apflow_storage::conformance::{Bed, callbacks, journal};

    use super::*;

    async fn in_the_model(options: OpenOptions) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new(options.clock.expect("a bed has a clock")))
    }

    macro_rules! rules {
        ($($group:ident :: $rule:ident,)*) => {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                $group::$rule(&Bed::open(in_the_model).await).await;
            })*
        };
    }

    rules! {
        callbacks::a_callback_begins_with_its_run,
        callbacks::a_callback_of_a_second_run_tells_nothing_of_the_first,
        callbacks::a_callback_is_held_by_one,
        callbacks::a_callback_goes_on_where_it_stopped,
        callbacks::a_failed_delivery_waits_for_its_time,
        callbacks::a_callback_that_is_over_is_never_taken,
        callbacks::callbacks_take_turns,
        callbacks::callbacks_of_the_living_are_left_alone,
        callbacks::callbacks_go_with_their_tree,
        callbacks::two_deliverers_never_share_a_callback,
        journal::a_listener_is_told_what_came_of_a_task,
        journal::a_run_happens_after_the_position_it_was_given,
    }
}
