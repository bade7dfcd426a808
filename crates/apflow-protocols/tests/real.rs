//! A gateway to a real engine on a database in memory, with a worker that runs what is started.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use apflow_core::{
    api::{Gateway, GatewayConfig},
    engine::{Engine, Worker},
    executor::{Context, ExecuteError},
    id::Ids,
    registry::Registry,
};
use apflow_storage::{OpenOptions, open};
use serde_json::Value;

use crate::fake::Noon;

/// Counts.
#[derive(Default)]
struct Numbers(AtomicU64);

impl Ids for Numbers {
    fn next(&self) -> String {
        format!("task-{}", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// The gateway, and the worker that stops when it is dropped.
pub(crate) async fn gateway(execute_wait: Duration) -> (Gateway, Worker) {
    let store = open("sqlite::memory:", OpenOptions::default()).await.expect("a database");
    let mut registry = Registry::new();
    registry.function("echo", "Gives its input back.", |input: Value, _: Context| async {
        Ok::<_, ExecuteError>(input)
    });
    let engine = Engine::builder(store, Arc::new(Numbers::default())).registry(registry).build();
    let worker = engine.work();
    let config = GatewayConfig {
        execute_wait,
        version: "0.0.0-test".to_owned(),
        ..GatewayConfig::default()
    };
    (Gateway::new(Arc::new(engine), Arc::new(Noon), config), worker)
}
