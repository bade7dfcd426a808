//! A fresh PostgreSQL database for one test.

use std::{
    cell::RefCell,
    hash::{BuildHasher as _, Hasher as _, RandomState},
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Databases of this test; they go when its thread ends.
struct Mine(RefCell<Vec<String>>);

impl Drop for Mine {
    fn drop(&mut self) {
        let names = self.0.take();
        // A thread that ends has no runtime any more; another one has.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                for name in names {
                    let text = format!("DROP DATABASE {name} WITH (FORCE)");
                    // A server that is gone took the database along.
                    if let Ok(mut admin) = PgConnection::connect(&server()).await {
                        let _ = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut admin).await;
                    }
                }
            });
        });
        let _ = dropped.join();
    }
}

thread_local! {
    static MINE: Mine = const { Mine(RefCell::new(Vec::new())) };
}

/// The address of the server that tests may create databases on.
#[expect(clippy::disallowed_methods, reason = "a test that gets its server from its caller")]
pub(crate) fn server() -> String {
    std::env::var("APFLOW_TEST_PG").expect(
        "APFLOW_TEST_PG names no PostgreSQL server; run `cargo xtask test`, which starts one",
    )
}

/// The address of a database on that server.
pub(crate) fn address(name: &str) -> String {
    let server = server();
    let (base, query) = server.split_once('?').unwrap_or((&server, ""));
    let (host, _) = base.rsplit_once('/').expect("an address with a database");
    format!("{host}/{name}?{query}")
}

/// The address of a new, empty database, which is dropped when the thread of the test ends.
pub(crate) async fn fresh() -> String {
    let random = RandomState::new().build_hasher().finish();
    let name = format!("apflow_test_{random:016x}");
    let mut admin = PgConnection::connect(&server()).await.expect("the server answers");
    let text = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut admin).await.expect("created");
    MINE.with(|mine| mine.0.borrow_mut().push(name.clone()));
    address(&name)
}

/// A connection of a test's own, to look behind the store.
pub(crate) async fn connect(address: &str) -> PgConnection {
    PgConnection::connect(address).await.expect("the database answers")
}
