//! The settings of one command: what was gathered, as types.

use std::ops::Deref;

use apflow::core::problem::Problems;
use serde_json::{Map, Value, json};

use super::{
    gather::Gathered, key::Key, overrides::Overrides, place::World, sections::Sections, table::KEYS,
};
use crate::error::CliError;

/// Everything that is configured, and where each value came from.
pub(crate) struct Settings {
    sections: Sections,
    /// Where each value came from.
    pub(crate) gathered: Gathered,
}

impl Settings {
    /// Reads files and environment under these overrides. Nothing is shown; see
    /// [`warnings`](Self::warnings).
    pub(crate) fn load(overrides: &Overrides) -> Result<Self, CliError> {
        Self::of(&World::here(), overrides)
    }

    /// The same in another world.
    pub(crate) fn of(world: &World, overrides: &Overrides) -> Result<Self, CliError> {
        Self::typed(Gathered::read(world, overrides))
    }

    /// What was gathered as types, unless something in it is wrong.
    pub(crate) fn typed(mut gathered: Gathered) -> Result<Self, CliError> {
        let problems = std::mem::take(&mut gathered.problems);
        if !problems.is_empty() {
            return Err(CliError::problems("the configuration", Problems(problems)));
        }
        let sections = serde_json::from_value(nested(&gathered))
            // Every value was checked against its kind, and a test checks kinds against types.
            .map_err(|error| CliError::internal(format!("the configuration: {error}")))?;
        Ok(Self { sections, gathered })
    }

    /// What was ignored or is not as safe as it could be.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.gathered.warnings
    }

    /// What is logged, as a filter; none: nothing.
    pub(crate) fn log_filter(&self) -> Option<String> {
        let log = &self.sections.log;
        log.filter.clone().or_else(|| filter_of(&log.level).map(str::to_owned))
    }
}

/// The filter a level stands for; none: nothing is logged.
pub(super) fn filter_of(level: &str) -> Option<&'static str> {
    Some(match level {
        "off" => return None,
        "critical" | "error" => "error",
        "warning" | "warn" => "warn",
        "info" => "warn,apflow=info,apflow_core=info,apflow_protocols=info",
        "debug" => "info,apflow=debug,apflow_core=debug,apflow_protocols=debug",
        _ => "debug",
    })
}

impl Deref for Settings {
    type Target = Sections;

    fn deref(&self) -> &Sections {
        &self.sections
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.sections.fmt(f)
    }
}

/// The values that count, as sections with words in them.
fn nested(gathered: &Gathered) -> Value {
    let mut sections = Map::new();
    for key in KEYS {
        let value = gathered.value(key);
        match key.parts() {
            (section, Some(word)) => {
                let section = sections.entry(section).or_insert_with(|| json!({}));
                section[word] = value;
            }
            (section, None) => {
                sections.insert(section.to_owned(), value);
            }
        }
    }
    Value::Object(sections)
}

/// The name of the place the value of a key comes from, as short as it is clear.
pub(crate) fn said_by(settings: &Settings, key: &str) -> String {
    let Some(key) = Key::named(key) else { return String::new() };
    let origin = settings.gathered.origin(key);
    let place = origin.place();
    if place.is_empty() { origin.layer.to_string() } else { place }
}
