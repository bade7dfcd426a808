//! Inbound webhooks: who may trigger a task from outside without being a caller of the API; pure but
//! for what it asks of the store and of the hook.
//!
//! The checks come in one order for every protocol: credential, verify hook, signature, address,
//! rate, replay. Nothing about the task is said before all of them passed.

mod network;
mod rate;
mod signature;

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

pub use self::{
    network::Network,
    rate::Rates,
    signature::{Fault, Keys, Signature, TOLERANCE, sign, standard_secret},
};
use crate::{
    api::{ApiError, Caller},
    code::Code,
    id::TaskId,
    secret::Secret,
    store::{AccessStore, Seen},
    time::Timestamp,
};

/// How long a used signature is remembered: longer than its timestamp can be fresh.
pub const REMEMBER: Duration = Duration::from_mins(10);

/// A shorter secret can be guessed.
pub const MIN_SECRET: usize = 16;

/// The most secrets that count at the same time; there are two while one replaces another.
const MAX_SECRETS: usize = 8;

/// How inbound webhooks are checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookConfig {
    /// The secrets that signatures may be made with; while one replaces another there are two.
    pub secrets: Vec<Secret>,
    /// Also take v1's signature over `timestamp.body`, which does not say which task it is for.
    pub legacy_signature: bool,
    /// Addresses that may trigger; empty: every one.
    pub allowed: Vec<Network>,
    /// How often one address may trigger one task within a minute; 0: without limit.
    pub per_minute: u32,
}

impl WebhookConfig {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        if self.secrets.iter().any(|secret| secret.reveal().len() < MIN_SECRET) {
            return Err(format!(
                "a webhook secret is shorter than {MIN_SECRET} bytes and can be guessed"
            ));
        }
        if self.secrets.len() > MAX_SECRETS {
            return Err(format!("at most {MAX_SECRETS} webhook secrets can count at one time"));
        }
        Ok(())
    }
}

/// A trigger as a verify hook sees it.
#[derive(Debug, Clone, Copy)]
pub struct WebhookRequest<'a> {
    /// The task that is to run.
    pub task: &'a TaskId,
    /// What was said to prove that it may.
    pub signature: &'a Signature,
    /// The body, byte by byte.
    pub body: &'a [u8],
    /// Where it came from, if it came over a network.
    pub client_ip: Option<IpAddr>,
}

/// What a verify hook says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It may trigger.
    pub valid: bool,
    /// Only tasks of this owner; none: any.
    pub user_id: Option<String>,
    /// Why not, for the log.
    pub error: Option<String>,
}

/// Somebody's own check of inbound webhooks.
#[async_trait]
pub trait WebhookVerify: Send + Sync {
    /// Says whether this request may trigger, and for whom.
    async fn verify(&self, request: &WebhookRequest<'_>) -> Verdict;
}

/// A trigger and everything that speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The task that is to run.
    pub task: TaskId,
    /// Answer when the run has ended, not when it has begun.
    pub wait: bool,
    /// What was said to prove that it may.
    pub signature: Signature,
    /// The body, byte by byte; empty where the protocol has none.
    pub body: Vec<u8>,
    /// Where it came from, if it came over a network.
    pub client_ip: Option<IpAddr>,
    /// It came from this machine, by no detour, to a server that asks nobody who they are.
    pub local: bool,
}

/// The doorkeeper of inbound webhooks.
#[derive(Default)]
pub struct Webhooks {
    config: WebhookConfig,
    verify: Option<Arc<dyn WebhookVerify>>,
    seen: Option<Arc<dyn AccessStore>>,
    rates: Mutex<Rates>,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks")
            .field("config", &self.config)
            .field("verify", &self.verify.is_some())
            .finish_non_exhaustive()
    }
}

impl Webhooks {
    /// A doorkeeper by this configuration; used signatures are remembered in `seen`.
    pub fn new(config: WebhookConfig, seen: Arc<dyn AccessStore>) -> Result<Self, String> {
        config.check()?;
        let rates = Mutex::new(Rates::new(config.per_minute));
        Ok(Self { config, verify: None, seen: Some(seen), rates })
    }

    /// Asks this hook as well.
    pub fn verify(mut self, hook: Arc<dyn WebhookVerify>) -> Self {
        self.verify = Some(hook);
        self
    }

    /// Whether strangers need a signature.
    pub fn wants_signature(&self) -> bool {
        !self.config.secrets.is_empty()
    }

    /// For whom the trigger is carried out, or why it is not.
    pub(crate) async fn admit(
        &self,
        caller: &Caller,
        trigger: &Trigger,
        now: Timestamp,
    ) -> Result<Caller, ApiError> {
        let mut speaks_for = caller.verified.then(|| caller.clone());
        if speaks_for.is_none()
            && let Some(hook) = &self.verify
        {
            speaks_for = Some(ask(hook.as_ref(), trigger).await?);
        }
        let mark = self.signed(trigger, caller.verified, now)?;
        let speaks_for = match speaks_for {
            Some(known) => known,
            // Whoever has the secret may trigger every task.
            None if mark.is_some() || trigger.local => Caller::local(),
            None => return Err(ApiError::new(Code::Unauthorized, Code::Unauthorized.title())),
        };
        self.check_address(trigger)?;
        self.check_rate(trigger, now)?;
        if let Some(mark) = mark {
            self.check_replay(&mark, now).await?;
        }
        Ok(speaks_for)
    }

    /// The mark of a good signature; none if there is no secret, or a credential stands in for it.
    fn signed(
        &self,
        trigger: &Trigger,
        verified: bool,
        now: Timestamp,
    ) -> Result<Option<String>, ApiError> {
        if !self.wants_signature() || (verified && trigger.signature == Signature::None) {
            return Ok(None);
        }
        let keys = Keys { secrets: &self.config.secrets, legacy: self.config.legacy_signature };
        keys.check(&trigger.signature, &trigger.task, &trigger.body, now).map(Some).map_err(
            |fault| {
                tracing::info!(%fault, "a webhook was refused");
                let hint =
                    "sign with the secret of the server; `apflow tasks webhook-url ID` shows how";
                ApiError::new(Code::WebhookRefused, fault.to_string()).hint(hint)
            },
        )
    }

    fn check_address(&self, trigger: &Trigger) -> Result<(), ApiError> {
        let allowed = &self.config.allowed;
        let inside = |ip: IpAddr| allowed.iter().any(|network| network.contains(ip));
        if allowed.is_empty() || trigger.client_ip.is_some_and(inside) {
            return Ok(());
        }
        Err(ApiError::new(Code::Forbidden, "IP not allowed"))
    }

    fn check_rate(&self, trigger: &Trigger, now: Timestamp) -> Result<(), ApiError> {
        // A panic while it is held leaves a map that is whole: each change is one call.
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.take(&trigger.task, trigger.client_ip, now).map_err(|wait| {
            let mut error = ApiError::new(Code::RateLimited, "Rate limit exceeded");
            error.retry_after = Some(wait);
            error.hint("send it again after the time that `Retry-After` says")
        })
    }

    async fn check_replay(&self, mark: &str, now: Timestamp) -> Result<(), ApiError> {
        // Who has secrets was made with a store; without one nothing can be told, so nothing passes.
        let Some(seen) = &self.seen else {
            return Err(ApiError::new(Code::Internal, "signatures cannot be remembered"));
        };
        match seen.see(mark, now, now.after(REMEMBER)).await? {
            Seen::First => Ok(()),
            Seen::Again => {
                let hint = "sign each request anew, with the time of its own";
                Err(ApiError::new(Code::WebhookRefused, "Signature was used before").hint(hint))
            }
            Seen::Full => {
                Err(ApiError::new(Code::Overloaded, "too many webhooks within a few minutes"))
            }
        }
    }
}

async fn ask(hook: &dyn WebhookVerify, trigger: &Trigger) -> Result<Caller, ApiError> {
    let request = WebhookRequest {
        task: &trigger.task,
        signature: &trigger.signature,
        body: &trigger.body,
        client_ip: trigger.client_ip,
    };
    let verdict = hook.verify(&request).await;
    if verdict.valid {
        return Ok(match verdict.user_id {
            Some(user_id) => Caller::user(user_id),
            None => Caller::local(),
        });
    }
    let why = verdict.error.as_deref().unwrap_or("no reason given");
    tracing::info!(why, "the verify hook refused a webhook");
    Err(ApiError::new(Code::WebhookRefused, "Webhook verification failed"))
}
