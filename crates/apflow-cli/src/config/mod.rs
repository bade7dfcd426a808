//! The configuration: what files, environment and flags say together.
//!
//! One table of keys ([`table`]) drives everything: reading ([`gather`]), the typed [`Settings`],
//! writing, the commands, the reference and the JSON Schema. This directory is the only place that
//! reads the environment.

#[cfg(test)]
pub(crate) mod bed;
mod compose;
mod database;
pub(crate) mod document;
mod file;
pub(crate) mod gather;
pub(crate) mod key;
pub(crate) mod layer;
mod live;
pub(crate) mod overrides;
pub(crate) mod place;
pub(crate) mod secret;
pub(crate) mod sections;
mod settings;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod value;
pub(crate) mod write;

pub(crate) use self::{
    compose::{app, engine, http, keep, reader, registry, warn_of_grants},
    database::Database,
    live::Live,
    overrides::{Flags, Overrides},
    secret::Secret,
    settings::{Settings, said_by},
};

/// The variable that is set and blank although it is for this key.
pub(crate) fn blank(key: &str) -> Option<&'static str> {
    let names = key::Key::named(key).map_or(&[][..], |key| key.variables);
    let is_blank = |name: &&&str| std::env::var(name).is_ok_and(|value| value.trim().is_empty());
    names.iter().find(is_blank).copied()
}

/// A variable that is set and not blank.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}
