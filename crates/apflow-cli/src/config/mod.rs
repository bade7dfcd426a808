//! What flags and environment variables say together; the only file that reads the environment.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use apflow::{
    App, AppBuilder,
    core::{code::Code, engine::EngineConfig, registry::Registry},
    executors::{ExecutorsConfig, guard::HostRule},
    storage,
    system::SystemClock,
};

use crate::{
    args::{DatabaseArgs, Durability, Grants},
    error::CliError,
    show,
};

/// A variable that is set and not blank.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn switched_on(name: &str) -> bool {
    variable(name).is_some_and(|value| {
        ["1", "true", "yes", "on"].contains(&value.trim().to_ascii_lowercase().as_str())
    })
}

fn listed(name: &str) -> Vec<String> {
    let list = variable(name).unwrap_or_default();
    list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Where the database is, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Database {
    /// Its address.
    pub(crate) address: String,
    /// `--db`, the name of a variable, or `default`.
    pub(crate) said_by: &'static str,
}

/// The default: a file of its own in the current directory.
const DIRECTORY: &str = ".apflow";

impl Database {
    /// `--db`, else `APFLOW_DATABASE_URL`, else `DATABASE_URL`, else a file here (ruling 33).
    pub(crate) fn find(args: &DatabaseArgs) -> Self {
        let ours = variable("APFLOW_DATABASE_URL");
        let shared = variable("DATABASE_URL");
        let (found, warning) = choose(args.db.as_deref(), ours.as_deref(), shared.as_deref());
        if let Some(warning) = warning {
            show::warn(warning);
        }
        found
    }

    /// Makes the directory of the default; a database somebody else named is their affair.
    pub(crate) fn prepare(&self) -> Result<(), CliError> {
        if self.said_by != "default" || Path::new(DIRECTORY).is_dir() {
            return Ok(());
        }
        let made = fs::create_dir_all(DIRECTORY)
            .and_then(|()| fs::write(Path::new(DIRECTORY).join(".gitignore"), "*\n"));
        made.map_err(|error| {
            CliError::new(Code::DatabaseUnavailable, "the database cannot be made here")
                .because(format!("{DIRECTORY}: {error}"))
                .help("name another place with --db sqlite:FILE")
        })
    }

    /// The address as it may be shown: without what stands between the scheme and the host.
    pub(crate) fn shown(&self) -> String {
        match self.address.split_once("://").and_then(|(scheme, rest)| {
            let (_, place) = rest.rsplit_once('@')?;
            Some(format!("{scheme}://…@{place}"))
        }) {
            Some(hidden) => hidden,
            None => self.address.clone(),
        }
    }

    /// ` --db ADDRESS` where a command that is shown has to say it again.
    pub(crate) fn flag(&self) -> String {
        if self.said_by == "--db" { format!(" --db {}", self.shown()) } else { String::new() }
    }
}

fn choose(
    flag: Option<&str>,
    ours: Option<&str>,
    shared: Option<&str>,
) -> (Database, Option<&'static str>) {
    let differ = matches!((ours, shared), (Some(ours), Some(shared)) if ours != shared);
    let warning = (differ && flag.is_none())
        .then_some("APFLOW_DATABASE_URL and DATABASE_URL differ; APFLOW_DATABASE_URL is used");
    let (address, said_by) = match (flag, ours, shared) {
        (Some(address), ..) => (address.to_owned(), "--db"),
        (None, Some(address), _) => (address.to_owned(), "APFLOW_DATABASE_URL"),
        (None, None, Some(address)) => (address.to_owned(), "DATABASE_URL"),
        (None, None, None) => (format!("sqlite:{DIRECTORY}/apflow.db"), "default"),
    };
    (Database { address, said_by }, warning)
}

/// An application over this database with everything the operator allows.
pub(crate) fn app(database: &Database, allow: &Grants) -> Result<AppBuilder, CliError> {
    let mut engine = EngineConfig::default();
    if let Some(slots) = slots(allow)? {
        engine.slots = slots;
    }
    Ok(App::builder()
        .database(&database.address)
        .executors(executors(allow)?)
        .allow_only(listed("APFLOW_EXTENSIONS"), allowed_ids(allow))
        .engine(engine))
}

/// The executors of that application, without a database.
pub(crate) fn registry(allow: &Grants) -> Result<Registry, CliError> {
    let mut registry = Registry::new();
    apflow::executors::register_all(&mut registry, &executors(allow)?);
    registry.allow_only(&listed("APFLOW_EXTENSIONS"), &allowed_ids(allow));
    Ok(registry)
}

fn allowed_ids(allow: &Grants) -> Vec<String> {
    let mut ids = listed("APFLOW_EXTENSIONS_IDS");
    ids.extend(allow.allow.iter().cloned());
    ids
}

/// The same for reading alone; it works while another process holds the database.
pub(crate) fn reader(database: &Database) -> AppBuilder {
    App::builder().database(&database.address).read_only()
}

fn slots(allow: &Grants) -> Result<Option<u32>, CliError> {
    let (said_by, slots) = match (allow.parallel, variable("APFLOW_MAX_PARALLEL_TASKS")) {
        (Some(slots), _) => ("--parallel", Some(slots)),
        (None, Some(text)) => ("APFLOW_MAX_PARALLEL_TASKS", text.trim().parse().ok()),
        (None, None) => return Ok(None),
    };
    match slots {
        Some(slots @ 1..=65_536) => Ok(Some(slots)),
        _ => Err(CliError::usage(format!("{said_by} must be a whole number from 1 to 65536"))),
    }
}

fn executors(allow: &Grants) -> Result<ExecutorsConfig, CliError> {
    let here = std::env::current_dir().map_err(|error| {
        CliError::usage("the current directory is gone").because(error.to_string())
    })?;
    let mut config = ExecutorsConfig::new(Arc::new(SystemClock));
    config.command.allow.clone_from(&allow.allow_command);
    if switched_on("APFLOW_STDIO_ALLOW_COMMAND") {
        config.command.allow.extend(listed("APFLOW_STDIO_COMMAND_WHITELIST"));
    }
    config.command.dirs = directories(&here, &allow.allow_dir);
    config.command.cwd = here;
    for host in &allow.allow_host {
        let rule: HostRule = host.parse().map_err(|why: String| {
            CliError::usage("--allow-host takes a host, an address or a network").because(why)
        })?;
        config.rest.allow_hosts.push(rule);
    }
    Ok(config)
}

/// Says which grants have no effect; a command that lets tasks run says it once.
pub(crate) fn warn_of_grants(allow: &Grants) -> Result<(), CliError> {
    let whitelist = listed("APFLOW_STDIO_COMMAND_WHITELIST");
    match (switched_on("APFLOW_STDIO_ALLOW_COMMAND"), whitelist.is_empty()) {
        (true, true) if allow.allow_command.is_empty() => show::warn(
            "APFLOW_STDIO_ALLOW_COMMAND alone allows nothing; name programs in \
             APFLOW_STDIO_COMMAND_WHITELIST or with --allow-command",
        ),
        (false, false) => show::warn(
            "APFLOW_STDIO_COMMAND_WHITELIST has no effect without APFLOW_STDIO_ALLOW_COMMAND=1",
        ),
        _ => {}
    }
    for program in executors(allow)?.command.missing() {
        show::warn(&format!("--allow-command {program}: there is no such program"));
    }
    Ok(())
}

fn directories(here: &Path, more: &[PathBuf]) -> Vec<PathBuf> {
    std::iter::once(here.to_owned()).chain(more.iter().map(|dir| here.join(dir))).collect()
}

impl From<Durability> for storage::Durability {
    fn from(chosen: Durability) -> Self {
        match chosen {
            Durability::Strict => Self::Strict,
            Durability::Relaxed => Self::Relaxed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_then_our_variable_then_the_shared_one_then_a_file_here() {
        let found = |flag, ours, shared| choose(flag, ours, shared).0.address;
        assert_eq!(found(Some("a"), Some("b"), Some("c")), "a");
        assert_eq!(found(None, Some("b"), Some("c")), "b");
        assert_eq!(found(None, None, Some("c")), "c");
        assert_eq!(found(None, None, None), "sqlite:.apflow/apflow.db");
    }

    #[test]
    fn two_variables_that_differ_are_told_unless_neither_is_used() {
        let warned = |flag, ours, shared| choose(flag, ours, shared).1.is_some();
        assert!(warned(None, Some("b"), Some("c")));
        assert!(!warned(None, Some("b"), Some("b")));
        assert!(!warned(Some("a"), Some("b"), Some("c")));
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let database =
            Database { address: "postgres://me:CANARY@db.corp/flow".to_owned(), said_by: "--db" };
        assert_eq!(database.shown(), "postgres://…@db.corp/flow");
        assert!(!database.flag().contains("CANARY"));
    }
}
