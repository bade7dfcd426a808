//! Carries callbacks to the addresses callers chose: past the [`guard`](crate::guard), signed, and
//! without keeping anything of the answer but its status.
//!
//! A delivery is signed as [Standard Webhooks](https://www.standardwebhooks.com) say, and in the form in
//! which apflow itself is called, so that one apflow can be told by another.

mod seal;
mod sign;
mod target;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use apflow_core::{
    courier::{Courier, Delivery, NotCallable, Outcome, Target},
    time::Clock,
};
use async_trait::async_trait;
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
};

pub use self::sign::SigningKey;
use self::{seal::Seal, target::Packed};
use crate::{
    guard::{Guard, HostRule, Lookup, SystemLookup},
    rest::client::{Certificates, Clients, Trouble, trouble},
};

/// What the operator allows of callbacks. By default only public addresses, unsigned.
#[derive(Clone)]
#[non_exhaustive]
pub struct CourierConfig {
    /// Private hosts, addresses, networks and unusual ports that may be called all the same.
    pub allow_hosts: Vec<HostRule>,
    /// Ports that may be called without being named in a rule.
    pub ports: Vec<u16>,
    /// Calls without encryption are allowed.
    pub allow_http: bool,
    /// With what deliveries are signed, and stored targets sealed; without it neither is.
    pub key: Option<SigningKey>,
    /// Secrets that callers may name instead of sending them: `secret://NAME` in a header.
    pub secrets: BTreeMap<String, CourierSecret>,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
}

/// A secret, and who may learn it.
#[derive(Clone)]
pub struct CourierSecret {
    /// The secret itself.
    pub value: String,
    /// The hosts it is sent to; a caller that names another gets nothing.
    pub hosts: Vec<String>,
}

impl Default for CourierConfig {
    fn default() -> Self {
        let guard = Guard::default();
        Self {
            allow_hosts: guard.rules,
            ports: guard.ports,
            allow_http: guard.plain,
            key: None,
            secrets: BTreeMap::new(),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// Carries callbacks by HTTP.
pub struct HttpCourier {
    guard: Arc<Guard>,
    clients: Clients,
    key: Option<SigningKey>,
    seal: Option<Seal>,
    secrets: BTreeMap<String, CourierSecret>,
    clock: Arc<dyn Clock>,
}

impl HttpCourier {
    /// A courier with the resolver of the system.
    pub fn new(config: &CourierConfig, clock: Arc<dyn Clock>) -> Self {
        Self::with_lookup(config, clock, Arc::new(SystemLookup))
    }

    /// A courier with another resolver; what it finds is judged just the same.
    pub fn with_lookup(
        config: &CourierConfig,
        clock: Arc<dyn Clock>,
        lookup: Arc<dyn Lookup>,
    ) -> Self {
        let guard = Arc::new(Guard {
            rules: config.allow_hosts.clone(),
            ports: config.ports.clone(),
            plain: config.allow_http,
        });
        Self {
            clients: Clients::new(Arc::clone(&guard), lookup, config.connect_timeout),
            guard,
            seal: config.key.as_ref().map(Seal::new),
            key: config.key.clone(),
            secrets: config.secrets.clone(),
            clock,
        }
    }

    async fn try_once(&self, delivery: &Delivery) -> Result<Outcome, Trouble> {
        let packed = Packed::read(&delivery.target, &delivery.callback, self.seal.as_ref())
            .map_err(Trouble::Final)?;
        // Judged again: rules may have changed, and the row may have been written by another.
        let url = self.guard.read(&packed.url)?;
        let route = self.guard.admit(&url)?;
        let certificates = match url.scheme() {
            "https" => Certificates::Checked,
            _ => Certificates::None,
        };
        let client = self.clients.get(route, certificates)?;
        let mut headers = packed.headers(&url, &self.secrets).map_err(Trouble::Final)?;
        self.prove(&mut headers, delivery);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let method = if packed.put { Method::PUT } else { Method::POST };
        let request = client.request(method, url).headers(headers).body(delivery.body.clone());
        // Redirects are not followed: the client has no policy for them, and they end as they are.
        let response = request.send().await.map_err(trouble)?;
        Ok(judge(&response))
    }

    /// The id, the moment and, with a key, the signatures.
    fn prove(&self, headers: &mut HeaderMap, delivery: &Delivery) {
        let at = (self.clock.now().0 / 1_000_000).to_string();
        let mut put = |name: &'static str, value: String| {
            // Ids, numbers and base64 are plain text.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        if let Some(key) = &self.key {
            let signed = key.standard(&delivery.id, &at, &delivery.body);
            put("webhook-signature", signed);
            put("x-webhook-signature", key.own(&at, &delivery.body));
            put("x-webhook-timestamp", at.clone());
        }
        put("webhook-id", delivery.id.clone());
        put("webhook-timestamp", at);
    }
}

#[async_trait]
impl Courier for HttpCourier {
    fn pack(&self, callback: &str, target: &Target) -> Result<String, NotCallable> {
        target::pack(callback, target, &self.guard, self.seal.as_ref(), &self.secrets)
    }

    async fn deliver(&self, delivery: Delivery) -> Outcome {
        match tokio::time::timeout(delivery.timeout, self.try_once(&delivery)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(Trouble::Refused(refusal))) => Outcome::Refused(refusal.to_string()),
            Ok(Err(Trouble::Blocked(why))) => Outcome::Refused(why),
            Ok(Err(Trouble::Final(why))) => Outcome::Failed { why, again: false, after: None },
            Ok(Err(Trouble::Passing(why))) => Outcome::Failed { why, again: true, after: None },
            Err(_) => Outcome::Failed {
                why: format!("no answer within {} s", delivery.timeout.as_secs_f64()),
                again: true,
                after: None,
            },
        }
    }
}

/// What the status says; the rest of the answer is not read.
fn judge(response: &Response) -> Outcome {
    let status = response.status();
    if status.is_success() {
        return Outcome::Delivered;
    }
    if status == StatusCode::GONE {
        return Outcome::Gone;
    }
    let again = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = asked.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    Outcome::Failed { why: format!("HTTP status {}", status.as_u16()), again, after }
}
