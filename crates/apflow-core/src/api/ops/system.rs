//! Asking about the process: health, executors.

use crate::api::{Gateway, Reply};

pub(crate) fn health(gateway: &Gateway) -> Reply {
    Reply::Health {
        version: gateway.config.version.clone(),
        at: gateway.clock.now(),
        running: gateway.backend.running(),
    }
}

pub(crate) fn executors(gateway: &Gateway) -> Reply {
    let registry = gateway.backend.registry();
    let executors =
        registry.manifests().map(|(manifest, allowed)| (manifest.clone(), allowed)).collect();
    Reply::Executors { executors, restricted: registry.is_restricted() }
}
