//! What the command line says over everything that is configured.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{key::Key, layer::Layer, settings::filter_of};
use crate::args::{
    Connection, DatabaseArgs, Durability, Execute, Global, Grants, Info, Resume, Run, RunCommand,
    Serve, Tasks, TasksCommand,
};

/// What goes over the files and the environment.
#[derive(Clone, Default)]
pub(crate) struct Overrides {
    /// The profile to take.
    pub(crate) profile: Option<String>,
    /// The file to read over all others.
    pub(crate) config: Option<PathBuf>,
    /// Values for keys, the weakest first.
    pub(crate) given: Vec<Given>,
}

/// A value for a key.
#[derive(Clone)]
pub(crate) struct Given {
    /// The key.
    pub(crate) key: &'static str,
    /// Its value.
    pub(crate) value: Value,
    /// A flag, or the operation `config.set`.
    pub(crate) layer: Layer,
    /// What the flag is called.
    pub(crate) name: &'static str,
}

impl Overrides {
    /// What every command can be told.
    pub(crate) fn of(global: &Global, flags: &dyn Flags) -> Self {
        let mut over = Self {
            profile: global.profile.clone(),
            config: global.config.clone(),
            given: Vec::new(),
        };
        match global.verbose {
            0 => {}
            1 => over.flag("log.level", "-v", "info"),
            2 => over.flag("log.level", "-vv", "debug"),
            _ => over.flag("log.level", "-vvv", "trace"),
        }
        flags.say(&mut over);
        over
    }

    /// A flag that was given.
    pub(crate) fn flag(&mut self, key: &'static str, name: &'static str, value: impl Into<Value>) {
        self.given.push(Given { key, value: value.into(), layer: Layer::Flag, name });
    }

    /// A flag that may have been given.
    pub(crate) fn maybe(
        &mut self,
        key: &'static str,
        name: &'static str,
        value: Option<impl Into<Value>>,
    ) {
        if let Some(value) = value {
            self.flag(key, name, value);
        }
    }

    /// A flag that may have been repeated.
    pub(crate) fn list(&mut self, key: &'static str, name: &'static str, values: &[String]) {
        if !values.is_empty() {
            self.flag(key, name, json!(values));
        }
    }

    /// What is logged where no configuration is read: a variable says it exactly, else `-v`.
    pub(crate) fn log_filter(&self) -> Option<String> {
        let exact = Key::named("log.filter").map_or(&[][..], |key| key.variables);
        exact.iter().find_map(|name| super::variable(name)).or_else(|| {
            let level = self.given.iter().rfind(|given| given.key == "log.level")?;
            filter_of(level.value.as_str()?).map(str::to_owned)
        })
    }

    /// Whether a key is set here.
    pub(crate) fn sets(&self, key: &str) -> bool {
        self.given.iter().any(|given| given.key == key)
    }
}

/// Arguments that say something over the configuration.
pub(crate) trait Flags {
    /// Says it.
    fn say(&self, over: &mut Overrides);
}

impl Flags for () {
    fn say(&self, _: &mut Overrides) {}
}

impl Flags for DatabaseArgs {
    fn say(&self, over: &mut Overrides) {
        over.maybe("storage.url", "--db", self.db.as_deref());
    }
}

impl Flags for Option<Durability> {
    fn say(&self, over: &mut Overrides) {
        let word = self.map(|chosen| match chosen {
            Durability::Strict => "strict",
            Durability::Relaxed => "relaxed",
        });
        over.maybe("storage.durability", "--durability", word);
    }
}

impl Flags for Grants {
    fn say(&self, over: &mut Overrides) {
        over.list("executors.allow_command", "--allow-command", &self.allow_command);
        let dirs: Vec<String> =
            self.allow_dir.iter().map(|dir| dir.to_string_lossy().into_owned()).collect();
        over.list("executors.allow_dir", "--allow-dir", &dirs);
        over.list("executors.allow_host", "--allow-host", &self.allow_host);
        over.list("executors.extension_ids", "--allow", &self.allow);
        over.maybe("engine.max_parallel", "--parallel", self.parallel);
    }
}

impl Flags for Connection {
    fn say(&self, over: &mut Overrides) {
        over.maybe("storage.url", "--db", self.db.as_deref());
        over.maybe("api.server_url", "--server", self.server.as_deref());
        if self.local_only {
            over.flag("api.local_only", "--local-only", true);
        }
    }
}

impl<A: Flags, B: Flags> Flags for (&A, &B) {
    fn say(&self, over: &mut Overrides) {
        self.0.say(over);
        self.1.say(over);
    }
}

impl Flags for Run {
    fn say(&self, over: &mut Overrides) {
        self.connection.say(over);
        self.durability.say(over);
        self.allow.say(over);
        if let Some(RunCommand::Flow(flow)) = &self.command {
            flow.connection.say(over);
            flow.allow.say(over);
        }
    }
}

impl Flags for Resume {
    fn say(&self, over: &mut Overrides) {
        self.database.say(over);
        self.durability.say(over);
        self.allow.say(over);
    }
}

impl Flags for Serve {
    fn say(&self, over: &mut Overrides) {
        over.maybe("server.host", "--host", self.host.as_deref());
        over.maybe("server.port", "--port", self.port);
        over.maybe("server.grace", "--grace", self.grace);
        self.database.say(over);
        self.durability.say(over);
        self.allow.say(over);
    }
}

impl Flags for Tasks {
    fn say(&self, over: &mut Overrides) {
        self.connection.say(over);
        if let TasksCommand::Execute(Execute { allow, .. }) = &self.command {
            allow.say(over);
        }
    }
}

impl Flags for Info {
    fn say(&self, over: &mut Overrides) {
        self.database.say(over);
        self.allow.say(over);
    }
}
