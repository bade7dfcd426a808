//! An application as it is configured.

use std::{sync::Arc, time::Duration};

use apflow::{
    App, AppBuilder,
    callbacks::{CallbackConfig, SigningKey},
    core::{
        api::GatewayConfig,
        breaker::BreakerPolicy,
        budget::{Money, Policy, Price, Rules},
        code::Code,
        engine::{Breakers, EngineConfig},
        flow::{Pace, SharedLimit, Span, wrong_key, wrong_span},
        hook::OnError,
        registry::Registry,
        submit::Limits,
    },
    executors::{
        ExecutorsConfig,
        guard::HostRule,
        hooks::{Command as HookCommand, HookSpec, Match, On, Run, Webhook as HookWebhook},
    },
    protocols::http::{HttpConfig, Rate},
    storage,
    system::SystemClock,
};

use super::{
    database::Database,
    sections::{Durable, HookEntry, SharedEntry},
    settings::{Settings, said_by},
};
use crate::{access, error::CliError, show};

/// An application over this database with everything the operator allows.
pub(crate) fn app(settings: &Settings, database: &Database) -> Result<AppBuilder, CliError> {
    let allow = &settings.executors;
    Ok(App::builder()
        .database(&database.address)
        .durability(settings.storage.durability.into())
        .fair(settings.engine.fairness)
        .dead_letters(settings.engine.dead_letters)
        .shared_limits(shared(settings)?)
        .callbacks(callbacks(settings)?)
        .executors(executors(settings)?)
        .allow_only(allow.extensions.clone(), allow.extension_ids.clone())
        .limits(limits(settings))
        .gateway(GatewayConfig {
            execute_wait: settings.server.execute_wait,
            ..GatewayConfig::default()
        })
        .engine(engine(settings)?)
        .hooks(hooks(settings)?))
}

/// The executors of that application, without a database.
pub(crate) fn registry(settings: &Settings) -> Result<Registry, CliError> {
    let allow = &settings.executors;
    let mut registry = Registry::new();
    apflow::executors::register_all(&mut registry, &executors(settings)?);
    registry.allow_only(&allow.extensions, &allow.extension_ids);
    Ok(apflow::core::engine::with_flow(registry))
}

/// The same for reading alone; it works while another process holds the database.
pub(crate) fn reader(database: &Database) -> AppBuilder {
    App::builder().database(&database.address).read_only()
}

/// The server's limits and names.
pub(crate) fn http(settings: &Settings) -> Result<HttpConfig, CliError> {
    let server = &settings.server;
    Ok(HttpConfig {
        grace: server.grace,
        total: server.request_timeout,
        connections: server.max_connections,
        body_bytes: server.max_body_bytes,
        hosts: server.hosts.clone(),
        origins: server.origins.iter().chain(&server.cors_origins).cloned().collect(),
        openapi: server.docs,
        docs: server.docs,
        system_routes: server.system_routes,
        rate: (server.rate > 0.0)
            .then_some(Rate { per_second: server.rate, burst: server.rate_burst }),
        compat_errors_v1: settings.compat.errors == "v1",
        proxies: access::networks(
            settings,
            "webhook.trusted_proxies",
            &settings.webhook.trusted_proxies,
        )?,
        ..HttpConfig::default()
    })
}

/// The programs and addresses that are asked around tasks.
fn hooks(settings: &Settings) -> Result<Vec<HookSpec>, CliError> {
    let secret = match &settings.webhook.secret {
        Some(secret) => Some(secret.reveal()?),
        None => None,
    };
    settings.hooks.iter().map(|entry| hook(entry, secret.as_deref())).collect()
}

/// One of them; what it may say and does not fit together is told with its occasion.
fn hook(entry: &HookEntry, secret: Option<&str>) -> Result<HookSpec, CliError> {
    let wrong = |why: String| {
        CliError::new(Code::Config, format!("the hook on `{}` cannot be used", entry.on))
            .because(why)
            .help("`apflow config explain hooks` says what one may say")
    };
    let run = match (entry.kind.as_str(), entry.command.split_first(), &entry.url) {
        ("command", Some((program, args)), None) => {
            Run::Command(HookCommand { program: program.clone(), args: args.to_vec() })
        }
        ("webhook", None, Some(url)) => Run::Webhook(HookWebhook {
            url: url.whole().to_owned(),
            headers: std::collections::BTreeMap::new(),
            secret: secret.map(str::to_owned),
        }),
        ("command", ..) => return Err(wrong("a command needs `command` and no `url`".to_owned())),
        _ => return Err(wrong("a webhook needs `url` and no `command`".to_owned())),
    };
    Ok(HookSpec {
        name: None,
        on: On::try_from(entry.on.clone()).map_err(wrong)?,
        run,
        timeout: entry.timeout.map_or(10.0, |time| time.as_secs_f64()),
        on_error: match entry.on_error.as_deref() {
            Some("closed") => OnError::Closed,
            _ => OnError::Open,
        },
        only: Match::default(),
    })
}

/// Callbacks go where tasks may call, and are signed if there is a secret for webhooks.
fn callbacks(settings: &Settings) -> Result<CallbackConfig, CliError> {
    let mut config = CallbackConfig::default();
    config.to.allow_hosts.clone_from(&executors(settings)?.rest.allow_hosts);
    if let Some(secret) = &settings.webhook.secret {
        match SigningKey::new(&secret.reveal()?) {
            Ok(key) => config.to.key = Some(key),
            Err(why) => {
                let by = said_by(settings, "webhook.secret");
                show::warn(&format!("callbacks are not signed: {by} cannot be used, for {why}"));
            }
        }
    }
    Ok(config)
}

/// Says which programs are allowed and are not there; a command that lets tasks run says it once.
pub(crate) fn warn_of_grants(settings: &Settings) -> Result<(), CliError> {
    for program in executors(settings)?.command.missing() {
        let by = said_by(settings, "executors.allow_command");
        show::warn(&format!("{by} {program}: there is no such program"));
    }
    Ok(())
}

pub(crate) fn engine(settings: &Settings) -> Result<EngineConfig, CliError> {
    let engine = &settings.engine;
    Ok(EngineConfig {
        breakers: breakers(settings)?,
        rules: Arc::new(rules(settings)?),
        slots: engine.max_parallel,
        lease: engine.lease,
        back_stop: engine.poll_interval,
        grace: engine.stop_grace,
        attempt_timeout: engine.attempt_timeout,
        max_retry_delay: engine.max_retry_delay,
        max_result_bytes: engine.max_result_bytes,
        sleep_scale: settings.demo.sleep_scale,
        keep: keep(settings),
        ..EngineConfig::default()
    })
}

/// What gets a rest when it keeps failing.
fn breakers(settings: &Settings) -> Result<Breakers, CliError> {
    let said = &settings.breaker;
    let policy = BreakerPolicy {
        threshold: said.threshold,
        reset: Span(said.reset),
        half_open_max: said.half_open_max,
    };
    if let Some(why) = policy.mistake() {
        let by = said_by(settings, "breaker.reset");
        return Err(CliError::new(Code::Config, format!("{by} cannot be used")).because(why));
    }
    let executors = said.executors.iter().cloned().collect();
    Ok(Breakers { policy, executors, hosts: said.hosts })
}

/// Limits that everybody shares.
fn shared(settings: &Settings) -> Result<Vec<SharedLimit>, CliError> {
    let by = said_by(settings, "limits.shared");
    settings.limits.shared.iter().map(|entry| shared_limit(entry, &by)).collect()
}

fn shared_limit(entry: &SharedEntry, by: &str) -> Result<SharedLimit, CliError> {
    let SharedEntry { key, max, rate, per, burst } = entry;
    let wrong = |why: String| {
        CliError::new(Code::Config, format!("{by}: the limit `{key}` cannot be used")).because(why)
    };
    if max.is_none() && rate.is_none() {
        return Err(wrong("it says neither `max` nor `rate`".to_owned()));
    }
    let per = per.as_deref().unwrap_or("1s");
    let span = Span::parse(per)
        .ok_or_else(|| wrong(format!("`{per}` is no span; write 30s, 1m, 2h or 1d")))?;
    if let Some(why) = wrong_key(key).or_else(|| wrong_span(span)) {
        return Err(wrong(why));
    }
    let pace = rate.map(|limit| Pace { limit, per: span, burst: burst.unwrap_or(1) });
    Ok(SharedLimit { key: key.clone(), max: *max, rate: pace })
}

/// What spending is judged by.
fn rules(settings: &Settings) -> Result<Rules, CliError> {
    let said = &settings.budgets;
    let wrong = |what: &str, why: String| {
        CliError::new(Code::Config, format!("{what} cannot be used")).because(why)
    };
    let mut rules = Rules { estimate: i64::from(said.estimate), ..Rules::default() };
    for entry in &said.prices {
        let dollars = |sum: f64| {
            Money::from_usd(sum).ok_or_else(|| {
                wrong(&format!("the price of `{}`", entry.model), format!("{sum} is no sum"))
            })
        };
        let price = Price { input: dollars(entry.input)?, output: dollars(entry.output)? };
        rules.prices.set(entry.model.clone(), price);
    }
    for entry in &said.policies {
        let policy =
            Policy::read(&entry.action, entry.threshold.unwrap_or(1.0), entry.chain.clone())
                .map_err(|why| wrong(&format!("the policy `{}`", entry.name), why))?;
        rules.policies.insert(entry.name.clone(), policy);
    }
    if let Some(name) = &said.default_policy
        && !rules.policies.contains_key(name)
    {
        let why = "there is no policy of that name under `budgets.policies`".to_owned();
        return Err(wrong(&format!("`default_policy = {name}`"), why));
    }
    rules.default_policy.clone_from(&said.default_policy);
    rules.executors = said.executors.iter().map(|id| (id.clone(), rules.estimate)).collect();
    Ok(rules)
}

/// How long what has ended stays, if not for ever.
pub(crate) fn keep(settings: &Settings) -> Option<Duration> {
    const DAY: Duration = Duration::from_hours(24);
    let days = settings.retention.keep_days;
    (days > 0).then_some(DAY * days)
}

fn limits(settings: &Settings) -> Limits {
    let limits = &settings.limits;
    Limits { tasks: limits.tasks, depth: limits.depth, dependencies: limits.dependencies }
}

fn executors(settings: &Settings) -> Result<ExecutorsConfig, CliError> {
    let here = std::env::current_dir().map_err(|error| {
        CliError::usage("the current directory is gone").because(error.to_string())
    })?;
    let allow = &settings.executors;
    let mut config = ExecutorsConfig::new(Arc::new(SystemClock));
    config.command.allow.clone_from(&allow.allow_command);
    config.command.dirs = std::iter::once(here.clone())
        .chain(allow.allow_dir.iter().map(|dir| here.join(dir)))
        .collect();
    config.command.cwd = here;
    for host in &allow.allow_host {
        let rule: HostRule = host.parse().map_err(|why: String| {
            let by = said_by(settings, "executors.allow_host");
            CliError::usage(format!("{by} takes a host, an address or a network")).because(why)
        })?;
        config.rest.allow_hosts.push(rule);
    }
    Ok(config)
}

impl From<Durable> for storage::Durability {
    fn from(chosen: Durable) -> Self {
        match chosen {
            Durable::Strict => Self::Strict,
            Durable::Relaxed => Self::Relaxed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, command: &[&str]) -> HookEntry {
        HookEntry {
            on: "pre".to_owned(),
            kind: kind.to_owned(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            url: None,
            timeout: None,
            on_error: Some("closed".to_owned()),
        }
    }

    #[test]
    fn a_shared_limit_is_what_it_says_or_an_error() {
        let entry = SharedEntry {
            key: "api".to_owned(),
            max: Some(4),
            rate: Some(60),
            per: Some("1m".to_owned()),
            burst: None,
        };
        let limit = shared_limit(&entry, "x").expect("a limit");
        let per = Span(Duration::from_mins(1));
        assert_eq!(limit.rate, Some(Pace { limit: 60, per, burst: 1 }));
        assert_eq!((limit.key.as_str(), limit.max), ("api", Some(4)));
        let endless = SharedEntry { per: Some("soon".to_owned()), ..entry.clone() };
        assert!(shared_limit(&endless, "x").is_err());
        let empty = SharedEntry { max: None, rate: None, ..entry };
        assert!(shared_limit(&empty, "x").is_err());
    }

    #[test]
    fn a_configured_hook_is_what_it_says_or_an_error() {
        let spec = hook(&entry("command", &["check", "-q"]), None).expect("a hook");
        let program = HookCommand { program: "check".to_owned(), args: vec!["-q".to_owned()] };
        assert_eq!(
            (spec.on, spec.run, spec.on_error),
            (On::Pre, Run::Command(program), OnError::Closed)
        );
        assert!(hook(&entry("command", &[]), None).is_err());
        assert!(hook(&entry("webhook", &["check"]), None).is_err());
        let nowhere = HookEntry { on: "sometimes".to_owned(), ..entry("command", &["check"]) };
        assert!(hook(&nowhere, None).is_err());
    }
}
