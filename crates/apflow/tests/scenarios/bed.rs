//! A database of one kind with engines on it.

use std::{process::Command, sync::Arc, time::Duration};

use apflow::{
    core::{
        api::{ApiError, Call, Caller, Gateway, GatewayConfig},
        engine::{Engine, EngineConfig, Worker},
        registry::Registry,
        store::Store,
    },
    storage::{OpenOptions, open},
    system::{SystemClock, SystemIds},
};
use serde_json::Value;

use super::rules::{Log, Rules};

/// Which database, and how many workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Memory,
    File,
    Postgres,
}

/// Everything that scenarios are run on.
pub(super) fn kinds() -> Vec<(Kind, usize)> {
    let mut kinds = vec![(Kind::Memory, 1), (Kind::Memory, 2), (Kind::File, 1), (Kind::File, 2)];
    if cfg!(feature = "postgres") {
        kinds.extend([(Kind::Postgres, 1), (Kind::Postgres, 2)]);
    }
    kinds
}

/// Engines at work on a database of their own.
pub(super) struct Bed {
    kind: Kind,
    workers: usize,
    address: String,
    pub(super) log: Arc<Log>,
    engines: Vec<(Engine, Worker)>,
    /// What the engines share, if they share one store.
    store: Option<Arc<dyn Store>>,
    _dir: tempfile::TempDir,
    _postgres: Option<Database>,
}

impl Bed {
    pub(super) async fn new((kind, workers): (Kind, usize)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("scenario.db");
        let postgres = (kind == Kind::Postgres).then(Database::create);
        let address = match &postgres {
            Some(database) => database.address.clone(),
            None if kind == Kind::Memory => "sqlite::memory:".to_owned(),
            None => format!("sqlite:{}", file.display()),
        };
        let log = Arc::default();
        let engines = Vec::new();
        let mut bed = Self {
            kind,
            workers,
            address,
            log,
            engines,
            store: None,
            _dir: dir,
            _postgres: postgres,
        };
        bed.begin().await;
        bed
    }

    /// Puts engines to work.
    async fn begin(&mut self) {
        let opened = async |address: &str| {
            let tries = 200;
            for _ in 0..tries {
                // The one before lets go of a file when the last of its tasks is dropped.
                match open(address, OpenOptions::default()).await {
                    Ok(store) => return store,
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
            open(address, OpenOptions::default()).await.expect("the database opens")
        };
        if self.store.is_none() && self.kind != Kind::Postgres {
            // A SQLite database has one process that writes; its workers share that.
            self.store = Some(opened(&self.address).await);
        }
        for _ in 0..self.workers {
            let store = match &self.store {
                Some(store) => Arc::clone(store),
                None => opened(&self.address).await,
            };
            let mut registry = Registry::new();
            registry.register(Rules::new(Arc::clone(&self.log)));
            // Few slots, so that work has to be shared.
            let config = EngineConfig { slots: 8, ..EngineConfig::default() };
            let engine = Engine::builder(store, Arc::new(SystemIds)).registry(registry);
            let engine = engine.config(config).build();
            let worker = engine.work();
            self.engines.push((engine, worker));
        }
    }

    /// The engine that is talked to.
    pub(super) fn engine(&self) -> &Engine {
        &self.engines[0].0
    }

    /// Calls an operation.
    pub(super) async fn call(&self, method: &str, params: Value) -> Result<Value, ApiError> {
        let engine = Arc::new(self.engine().clone());
        let gateway = Gateway::new(engine, Arc::new(SystemClock), GatewayConfig::default());
        let call = Call::read(method, params)?.call;
        Ok(gateway.call(&Caller::local(), call).await?.json())
    }

    /// Stops every engine and begins anew on what is stored.
    pub(super) async fn restart(&mut self) {
        self.stop().await;
        // What is in memory would be gone; everything else is read anew.
        self.store = self.store.take().filter(|_| self.kind == Kind::Memory);
        self.begin().await;
    }

    pub(super) async fn stop(&mut self) {
        for (engine, worker) in self.engines.drain(..) {
            worker.drain(Duration::from_secs(5)).await;
            drop(engine);
        }
    }
}

/// A PostgreSQL database that goes with this value.
struct Database {
    name: String,
    address: String,
}

impl Database {
    fn create() -> Self {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("apflow_scene_{}_{count}", std::process::id());
        let server = told("APFLOW_TEST_PG");
        let (base, query) = server.split_once('?').unwrap_or((&server, ""));
        let (host, _) = base.rsplit_once('/').expect("an address with a database");
        let address = format!("{host}/{name}?{query}");
        program("createdb").arg(&name).status().map(|it| assert!(it.success())).expect("runs");
        Self { name, address }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that is gone took the database along.
        let _ = program("dropdb").args(["--force", &self.name]).status();
    }
}

fn program(name: &str) -> Command {
    let mut command = Command::new(format!("{}/{name}", told("APFLOW_TEST_PG_BIN")));
    command.arg(format!("--maintenance-db={}", told("APFLOW_TEST_PG")));
    command
}

#[expect(clippy::disallowed_methods, reason = "a test that gets its server from its caller")]
fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} names no PostgreSQL; run `cargo xtask test`, which starts one")
    })
}
