//! What the environment says about who may call: keys, webhook secrets, proxies.

use std::{fs, sync::Arc};

use apflow::{
    App,
    core::{
        code::Code,
        secret::Secret,
        webhook::{Network, WebhookConfig},
    },
    protocols::auth::{Gate, Jwt, JwtConfig, JwtKey},
    system::SystemClock,
};

use crate::{
    config::{is_blank, listed, switched_on, variable},
    error::CliError,
};

/// The secret that JWTs are signed and checked with.
pub(crate) const JWT_SECRET: &str = "APFLOW_JWT_SECRET";
const JWT_ALGORITHM: &str = "APFLOW_JWT_ALGORITHM";
const JWT_PUBLIC_KEY_FILE: &str = "APFLOW_JWT_PUBLIC_KEY_FILE";
const JWT_ISSUER: &str = "APFLOW_JWT_ISSUER";
const JWT_AUDIENCE: &str = "APFLOW_JWT_AUDIENCE";
/// The secret that webhooks are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "APFLOW_WEBHOOK_SECRET";
const WEBHOOK_SECRET_OLD: &str = "APFLOW_WEBHOOK_SECRET_OLD";
const WEBHOOK_ALLOWED_IPS: &str = "APFLOW_WEBHOOK_ALLOWED_IPS";
const WEBHOOK_RATE_LIMIT: &str = "APFLOW_WEBHOOK_RATE_LIMIT";
const WEBHOOK_LEGACY: &str = "APFLOW_WEBHOOK_LEGACY_SIGNATURE";
const TRUSTED_PROXIES: &str = "APFLOW_TRUSTED_PROXIES";

fn wrong(what: impl Into<String>) -> CliError {
    CliError::new(Code::Config, what.into())
}

/// A secret; a variable that is set and empty is a mistake that would leave a door open.
fn secret(name: &str) -> Result<Option<Secret>, CliError> {
    if is_blank(name) {
        return Err(wrong(format!("{name} is set and empty"))
            .because("a secret that got lost on its way must not leave the server open")
            .help("give it a value, or unset it"));
    }
    Ok(variable(name).map(Secret::new))
}

/// The algorithm that was chosen, or the usual one.
pub(crate) fn algorithm() -> String {
    variable(JWT_ALGORITHM).unwrap_or_else(|| "HS256".to_owned())
}

/// The secret for JWTs, if there is one.
pub(crate) fn jwt_secret() -> Result<Option<Secret>, CliError> {
    secret(JWT_SECRET)
}

/// The check of JWTs, if a key was given.
pub(crate) fn jwt() -> Result<Option<Jwt>, CliError> {
    if is_blank(JWT_PUBLIC_KEY_FILE) {
        return Err(wrong(format!("{JWT_PUBLIC_KEY_FILE} is set and empty")).help("unset it"));
    }
    let key = match (jwt_secret()?, variable(JWT_PUBLIC_KEY_FILE)) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(wrong(format!("{JWT_SECRET} and {JWT_PUBLIC_KEY_FILE} are both set"))
                .because("one algorithm is believed, and it has one key")
                .help("unset one of them"));
        }
        (Some(secret), None) => JwtKey::Secret(secret),
        (None, Some(file)) => JwtKey::PublicPem(fs::read_to_string(&file).map_err(|error| {
            wrong(format!("{JWT_PUBLIC_KEY_FILE}: {file} cannot be read"))
                .because(error.to_string())
        })?),
    };
    let config = JwtConfig {
        algorithm: algorithm(),
        key,
        issuer: variable(JWT_ISSUER),
        audience: variable(JWT_AUDIENCE),
    };
    let jwt = Jwt::new(&config).map_err(|why| {
        wrong("JWTs cannot be checked with that key")
            .because(why)
            .help(format!("see {JWT_SECRET}, {JWT_PUBLIC_KEY_FILE} and {JWT_ALGORITHM}"))
    })?;
    Ok(Some(jwt))
}

/// The gate of this application, with every source of secrets it has.
pub(crate) fn gate(app: &App) -> Result<Gate, CliError> {
    let gate = Gate::new(Arc::new(SystemClock)).store(app.access());
    Ok(match jwt()? {
        Some(jwt) => gate.jwt(jwt),
        None => gate,
    })
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
pub(crate) fn webhooks() -> Result<WebhookConfig, CliError> {
    let mut secrets = Vec::new();
    secrets.extend(secret(WEBHOOK_SECRET)?);
    secrets.extend(secret(WEBHOOK_SECRET_OLD)?);
    let per_minute = match variable(WEBHOOK_RATE_LIMIT) {
        None => 0,
        Some(text) => text.trim().parse().map_err(|_| {
            wrong(format!("{WEBHOOK_RATE_LIMIT} is no whole number"))
                .help("say how often one address may trigger one task within a minute; 0 for ever")
        })?,
    };
    let config = WebhookConfig {
        secrets,
        legacy_signature: switched_on(WEBHOOK_LEGACY),
        allowed: networks(WEBHOOK_ALLOWED_IPS)?,
        per_minute,
    };
    config.check().map_err(|why| {
        wrong(why)
            .help(format!("make one with `openssl rand -hex 32` and put it in {WEBHOOK_SECRET}"))
    })?;
    Ok(config)
}

/// Proxies that may say whom they speak for.
pub(crate) fn proxies() -> Result<Vec<Network>, CliError> {
    networks(TRUSTED_PROXIES)
}

fn networks(name: &str) -> Result<Vec<Network>, CliError> {
    let read = |text: &String| {
        text.parse().map_err(|why: String| {
            wrong(format!("{name} lists addresses and networks")).because(why)
        })
    };
    listed(name).iter().map(read).collect()
}
