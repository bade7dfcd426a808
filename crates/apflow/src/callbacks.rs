//! Telling callers of their runs: what the operator allows, and how deliveries are made.

use std::sync::Arc;

use apflow_core::courier::Courier;
pub use apflow_core::engine::CallbackConfig as DeliveryConfig;
pub use apflow_executors::courier::{CourierConfig, CourierSecret, HttpCourier, SigningKey};
use apflow_executors::guard::HostRule;

use crate::system::SystemClock;

/// How callbacks are made; the default calls public addresses only and signs nothing.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct CallbackConfig {
    /// Whom to call, and with which proof.
    pub to: CourierConfig,
    /// When and how often.
    pub delivery: DeliveryConfig,
}

impl CallbackConfig {
    /// Signs deliveries with this secret, and seals with it what callers send along.
    pub fn secret(mut self, secret: &str) -> Result<Self, String> {
        self.to.key = Some(SigningKey::new(secret)?);
        Ok(self)
    }

    /// Allows a place although it is private, local or at an unusual port.
    pub fn allow_host(mut self, rule: HostRule) -> Self {
        self.to.allow_hosts.push(rule);
        self
    }

    /// Lets callers name a secret, as `secret://NAME`, in headers to these hosts.
    pub fn name_secret(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
        hosts: Vec<String>,
    ) -> Self {
        let secret = CourierSecret { value: value.into(), hosts };
        self.to.secrets.insert(name.into(), secret);
        self
    }

    pub(crate) fn courier(&self) -> Arc<dyn Courier> {
        Arc::new(HttpCourier::new(&self.to, Arc::new(SystemClock)))
    }
}
