//! The configuration as the commands use it: one struct a section, one field a key.
//!
//! A test holds these fields and the table against one another, so neither can have what the other
//! lacks.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::secret::{Address, Secret};

/// All sections. Shown, it has neither secrets nor passwords.
#[derive(Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sections {
    pub(crate) storage: Storage,
    pub(crate) server: Server,
    pub(crate) engine: Engine,
    pub(crate) breaker: Breaker,
    pub(crate) limits: Limits,
    pub(crate) budgets: Budgets,
    pub(crate) executors: Executors,
    pub(crate) auth: Auth,
    pub(crate) webhook: Webhook,
    pub(crate) feedback: Feedback,
    pub(crate) scheduler: Scheduler,
    pub(crate) api: Api,
    pub(crate) log: Log,
    pub(crate) compat: Compat,
    pub(crate) trust: Trust,
    pub(crate) hooks: Vec<HookEntry>,
    pub(crate) retention: Retention,
    pub(crate) daemon: Daemon,
    pub(crate) demo: Demo,
    pub(crate) llm: Llm,
    pub(crate) email: Email,
}

impl fmt::Debug for Sections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}

/// Where tasks are stored.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storage {
    pub(crate) url: Address,
    pub(crate) durability: Durable,
}

/// When a write counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durable {
    Strict,
    Relaxed,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    #[serde(with = "seconds")]
    pub(crate) grace: Duration,
    #[serde(with = "seconds")]
    pub(crate) execute_wait: Duration,
    #[serde(with = "seconds")]
    pub(crate) request_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_body_bytes: usize,
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) base_url: Option<Address>,
    pub(crate) docs: bool,
    pub(crate) system_routes: bool,
    pub(crate) rate: f64,
    pub(crate) rate_burst: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Engine {
    pub(crate) max_parallel: u32,
    #[serde(with = "seconds")]
    pub(crate) lease: Duration,
    #[serde(with = "seconds")]
    pub(crate) poll_interval: Duration,
    #[serde(with = "seconds")]
    pub(crate) stop_grace: Duration,
    #[serde(with = "maybe_seconds")]
    pub(crate) attempt_timeout: Option<Duration>,
    #[serde(with = "seconds")]
    pub(crate) max_retry_delay: Duration,
    pub(crate) max_result_bytes: usize,
    pub(crate) fairness: bool,
    pub(crate) dead_letters: bool,
}

/// What gets a rest when it keeps failing.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Breaker {
    pub(crate) executors: Vec<String>,
    pub(crate) hosts: bool,
    pub(crate) threshold: u32,
    #[serde(with = "seconds")]
    pub(crate) reset: Duration,
    pub(crate) half_open_max: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) tasks: usize,
    pub(crate) depth: usize,
    pub(crate) dependencies: usize,
    pub(crate) shared: Vec<SharedEntry>,
}

/// A limit that everybody shares.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SharedEntry {
    pub(crate) key: String,
    pub(crate) max: Option<u32>,
    pub(crate) rate: Option<u32>,
    pub(crate) per: Option<String>,
    pub(crate) burst: Option<u32>,
}

/// What spending is judged by.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budgets {
    pub(crate) estimate: u32,
    pub(crate) executors: Vec<String>,
    pub(crate) default_policy: Option<String>,
    pub(crate) prices: Vec<PriceEntry>,
    pub(crate) policies: Vec<PolicyEntry>,
}

/// What a model costs.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PriceEntry {
    pub(crate) model: String,
    pub(crate) input: f64,
    pub(crate) output: f64,
}

/// What happens near a limit.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyEntry {
    pub(crate) name: String,
    pub(crate) action: String,
    pub(crate) threshold: Option<f64>,
    #[serde(default)]
    pub(crate) chain: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Executors {
    pub(crate) extensions: Vec<String>,
    pub(crate) extension_ids: Vec<String>,
    pub(crate) allow_command: Vec<String>,
    pub(crate) allow_dir: Vec<PathBuf>,
    pub(crate) allow_host: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    pub(crate) jwt_secret: Option<Secret>,
    pub(crate) jwt_algorithm: String,
    pub(crate) jwt_public_key_file: Option<PathBuf>,
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Option<String>,
    pub(crate) tokens: Vec<TokenEntry>,
}

/// A static API token, of which only the hash is known.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenEntry {
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) user_id: Option<String>,
    #[serde(default)]
    pub(crate) admin: bool,
    #[serde(default)]
    pub(crate) read_only: bool,
    pub(crate) expires_at: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    pub(crate) secret: Option<Secret>,
    pub(crate) old_secrets: Vec<Secret>,
    pub(crate) allowed_ips: Vec<String>,
    pub(crate) rate_limit: u32,
    pub(crate) trusted_proxies: Vec<String>,
    pub(crate) legacy_signature: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feedback {
    pub(crate) secret: Option<Secret>,
    pub(crate) old_secrets: Vec<Secret>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scheduler {
    pub(crate) enabled: bool,
    pub(crate) max_concurrent: Option<u32>,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) log_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Api {
    pub(crate) server_url: Option<Address>,
    pub(crate) token: Option<Secret>,
    #[serde(with = "seconds")]
    pub(crate) timeout: Duration,
    pub(crate) retry_attempts: u32,
    #[serde(with = "seconds")]
    pub(crate) retry_backoff: Duration,
    pub(crate) local_only: bool,
    pub(crate) fallback_local: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) filter: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compat {
    pub(crate) errors: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trust {
    pub(crate) projects: Vec<PathBuf>,
}

/// A command or webhook that is called before or after tasks.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HookEntry {
    pub(crate) on: String,
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) command: Vec<String>,
    pub(crate) url: Option<Address>,
    #[serde(default, with = "maybe_seconds")]
    pub(crate) timeout: Option<Duration>,
    pub(crate) on_error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    pub(crate) keep_days: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Daemon {
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) log_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Demo {
    pub(crate) sleep_scale: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Llm {
    pub(crate) provider: Option<String>,
    pub(crate) openai_api_key: Option<Secret>,
    pub(crate) openai_model: Option<String>,
    pub(crate) anthropic_api_key: Option<Secret>,
    pub(crate) anthropic_model: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Email {
    pub(crate) resend_api_key: Option<Secret>,
    pub(crate) smtp_host: Option<String>,
    pub(crate) smtp_port: u16,
    pub(crate) smtp_username: Option<String>,
    pub(crate) smtp_password: Option<Secret>,
    pub(crate) smtp_use_tls: bool,
    pub(crate) from: Option<String>,
}

/// A time in seconds. The table bounds it, so that it always fits.
mod seconds {
    use super::{Deserialize as _, Deserializer, Duration, Serializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }
}

/// A time in seconds, if there is one.
mod maybe_seconds {
    use super::{Deserialize as _, Deserializer, Duration, Serialize as _, Serializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(from)?;
        let time = seconds.map(Duration::try_from_secs_f64).transpose();
        time.map_err(serde::de::Error::custom)
    }

    #[expect(clippy::ref_option, reason = "serde asks for it")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| time.as_secs_f64()).serialize(to)
    }
}
