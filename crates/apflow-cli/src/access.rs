//! What the configuration says about who may call: keys, webhook secrets, proxies.

use std::{fs, sync::Arc};

use apflow::{
    App,
    core::{
        code::Code,
        question::Passes,
        secret::Secret,
        time::Timestamp,
        webhook::{Network, WebhookConfig},
    },
    protocols::auth::{ConfiguredToken, Gate, Jwt, JwtConfig, JwtKey},
    system::SystemClock,
};

use crate::{
    config::{self, Settings, blank, said_by, sections::TokenEntry},
    error::CliError,
};

/// The variable for the secret that JWTs are signed and checked with.
pub(crate) const JWT_SECRET: &str = "APFLOW_JWT_SECRET";
/// The variable for the secret that webhooks are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "APFLOW_WEBHOOK_SECRET";

fn wrong(what: impl Into<String>) -> CliError {
    CliError::new(Code::Config, what.into())
}

/// A key without a value although one of its variables is set is a mistake that would leave a door
/// open.
fn not_lost<T>(key: &str, value: Option<T>) -> Result<Option<T>, CliError> {
    match blank(key) {
        Some(name) if value.is_none() => Err(wrong(format!("{name} is set and empty"))
            .because("a secret that got lost on its way must not leave the server open")
            .help("give it a value, or unset it")),
        _ => Ok(value),
    }
}

/// A secret, wherever it is kept.
fn secret(key: &str, value: Option<&config::Secret>) -> Result<Option<Secret>, CliError> {
    Ok(not_lost(key, value)?.map(config::Secret::reveal).transpose()?.map(Secret::new))
}

/// The secret for JWTs, if there is one.
pub(crate) fn jwt_secret(settings: &Settings) -> Result<Option<Secret>, CliError> {
    secret("auth.jwt_secret", settings.auth.jwt_secret.as_ref())
}

/// The check of JWTs, if a key was given.
pub(crate) fn jwt(settings: &Settings) -> Result<Option<Jwt>, CliError> {
    let auth = &settings.auth;
    let file = not_lost("auth.jwt_public_key_file", auth.jwt_public_key_file.as_ref())?;
    let by = |key: &str| said_by(settings, key);
    let key = match (jwt_secret(settings)?, file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let (one, other) = (by("auth.jwt_secret"), by("auth.jwt_public_key_file"));
            return Err(wrong("auth.jwt_secret and auth.jwt_public_key_file are both set")
                .because(format!(
                    "one algorithm is believed, and it has one key; see {one} and {other}"
                ))
                .help("unset one of them"));
        }
        (Some(secret), None) => JwtKey::Secret(secret),
        (None, Some(file)) => JwtKey::PublicPem(fs::read_to_string(file).map_err(|error| {
            let by = by("auth.jwt_public_key_file");
            wrong(format!("{by}: {} cannot be read", file.display())).because(error.to_string())
        })?),
    };
    let config = JwtConfig {
        algorithm: auth.jwt_algorithm.clone(),
        key,
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
    };
    let jwt = Jwt::new(&config).map_err(|why| {
        wrong("JWTs cannot be checked with that key")
            .because(why)
            .help("see auth.jwt_secret, auth.jwt_public_key_file and auth.jwt_algorithm")
    })?;
    Ok(Some(jwt))
}

/// The gate of this application, with every source of secrets it has.
pub(crate) fn gate(app: &App, settings: &Settings) -> Result<Gate, CliError> {
    let tokens: Vec<_> = settings.auth.tokens.iter().map(token).collect::<Result<_, _>>()?;
    let gate = Gate::new(Arc::new(SystemClock)).store(app.access()).tokens(tokens);
    Ok(match jwt(settings)? {
        Some(jwt) => gate.jwt(jwt),
        None => gate,
    })
}

/// An API token of the configuration. It is an admin's only where that is said.
fn token(entry: &TokenEntry) -> Result<ConfiguredToken, CliError> {
    let wrong = |why: String| wrong(format!("auth.tokens: `{}`", entry.name)).because(why);
    if entry.user_id.is_none() && !entry.admin {
        return Err(wrong("a token speaks for somebody".to_owned())
            .help("give it a user_id, or admin = true"));
    }
    let expires_at = match &entry.expires_at {
        None => None,
        Some(text) => Some(text.parse::<Timestamp>().map_err(|error| {
            wrong(format!("expires_at: {error}")).help("write it like 2027-01-31T12:00:00Z")
        })?),
    };
    let token = ConfiguredToken::new(&entry.sha256, entry.user_id.clone()).map_err(wrong)?;
    Ok(ConfiguredToken { admin: entry.admin, read_only: entry.read_only, expires_at, ..token })
}

/// What is said at the start: whether callers have to prove themselves, and by what.
pub(crate) fn told(sources: &[String], signed: bool) -> String {
    let callers = if sources.is_empty() {
        "authentication is off: whoever reaches this address may do everything".to_owned()
    } else {
        format!("authentication is on: {}", sources.join(", "))
    };
    let webhooks = match (signed, sources.is_empty()) {
        (true, _) => "webhooks are signed",
        (false, true) => "webhooks only from this machine",
        (false, false) => "webhooks need a token",
    };
    format!("{callers}; {webhooks}")
}

/// How inbound webhooks are checked.
pub(crate) fn webhooks(settings: &Settings) -> Result<WebhookConfig, CliError> {
    let webhook = &settings.webhook;
    let mut secrets = Vec::new();
    secrets.extend(secret("webhook.secret", webhook.secret.as_ref())?);
    for old in &webhook.old_secrets {
        secrets.push(Secret::new(old.reveal()?));
    }
    let config = WebhookConfig {
        secrets,
        legacy_signature: webhook.legacy_signature,
        allowed: networks(settings, "webhook.allowed_ips", &webhook.allowed_ips)?,
        per_minute: webhook.rate_limit,
    };
    config.check().map_err(|why| {
        wrong(why)
            .help(format!("make one with `openssl rand -hex 32` and put it in {WEBHOOK_SECRET}"))
    })?;
    Ok(config)
}

/// Links to questions, if there is a secret to make them with.
pub(crate) fn passes(settings: &Settings) -> Result<Option<Passes>, CliError> {
    let feedback = &settings.feedback;
    let Some(key) = secret("feedback.secret", feedback.secret.as_ref())? else { return Ok(None) };
    let unfit = |key: &str, why: String| {
        wrong(format!("{} cannot be used", said_by(settings, key))).because(why)
    };
    let mut passes = Passes::new(&key).map_err(|why| {
        unfit("feedback.secret", why).help("make one with `openssl rand -hex 32`")
    })?;
    for old in &feedback.old_secrets {
        passes = passes
            .or_old(&Secret::new(old.reveal()?))
            .map_err(|why| unfit("feedback.old_secrets", why))?;
    }
    if let Some(url) = &settings.server.base_url {
        passes = passes.reached_at(url.whole()).map_err(|why| unfit("server.base_url", why))?;
    }
    Ok(Some(passes))
}

/// The addresses and networks of a key.
pub(crate) fn networks(
    settings: &Settings,
    key: &str,
    listed: &[String],
) -> Result<Vec<Network>, CliError> {
    let read = |text: &String| {
        text.parse().map_err(|why: String| {
            wrong(format!("{} lists addresses and networks", said_by(settings, key))).because(why)
        })
    };
    listed.iter().map(read).collect()
}
