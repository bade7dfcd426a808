//! What a key of the configuration is: its name, its kind, who may set it, and whether it has an effect.

use serde_json::Value;

use super::table::{KEYS, RETIRED};

/// One setting. The table of all of them drives reading, listing, the reference and the JSON Schema.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name: the section, a dot, and the word in it.
    pub(crate) name: &'static str,
    /// What values it takes.
    pub(crate) kind: Kind,
    /// The value it has when nobody gives one, as it would be typed.
    pub(crate) default: Option<&'static str>,
    /// What it does, in one sentence.
    pub(crate) sentence: &'static str,
    /// The environment variables that set it; the first one that is set wins.
    pub(crate) variables: &'static [&'static str],
    /// A variable that must be switched on for the last of `variables` to count.
    pub(crate) switch: Option<&'static str>,
    /// What it is called in the files of the Python versions, and in commands made for them.
    pub(crate) old: &'static [&'static str],
    /// The flag that sets it.
    pub(crate) flag: Option<&'static str>,
    /// It is never shown.
    pub(crate) secret: bool,
    /// It widens what tasks may do, so a project has to be trusted before it counts there.
    pub(crate) grants: bool,
    /// A running server takes a new value.
    pub(crate) reloads: bool,
    /// Whether anything heeds it.
    pub(crate) standing: Standing,
}

/// What values a key takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// The address of something, which may hold a password.
    Address,
    /// A file or directory; in a file it is relative to that file.
    Path,
    /// True or false.
    Flag,
    /// A whole number within these bounds.
    Whole(u64, u64),
    /// A number of seconds above 0.
    Seconds,
    /// A number from 0.
    Factor,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Texts.
    List,
    /// Files or directories.
    Paths,
    /// Tables with these fields.
    Tables(&'static [Field]),
}

/// A field of a table in a list of tables.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: &'static str,
    /// What values it takes.
    pub(crate) kind: Kind,
    /// It must be there.
    pub(crate) required: bool,
    /// What it means.
    pub(crate) sentence: &'static str,
}

/// Whether anything heeds a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has an effect.
    Used,
    /// It is read and checked, and nothing comes of it yet; the sentence says why.
    Unused(&'static str),
}

/// A name of the Python versions that has no setting here.
#[derive(Debug)]
pub(crate) struct Retired {
    /// Variables and keys of old files.
    pub(crate) names: &'static [&'static str],
    /// What became of it, and what to do instead.
    pub(crate) says: &'static str,
}

impl Key {
    /// A key without variables or peculiarities.
    pub(super) const fn new(name: &'static str, kind: Kind, sentence: &'static str) -> Self {
        Self {
            name,
            kind,
            default: None,
            sentence,
            variables: &[],
            switch: None,
            old: &[],
            flag: None,
            secret: false,
            grants: false,
            reloads: false,
            standing: Standing::Used,
        }
    }

    pub(super) const fn default(mut self, typed: &'static str) -> Self {
        self.default = Some(typed);
        self
    }

    pub(super) const fn variables(mut self, names: &'static [&'static str]) -> Self {
        self.variables = names;
        self
    }

    pub(super) const fn switched_by(mut self, variable: &'static str) -> Self {
        self.switch = Some(variable);
        self
    }

    pub(super) const fn old(mut self, names: &'static [&'static str]) -> Self {
        self.old = names;
        self
    }

    pub(super) const fn flag(mut self, flag: &'static str) -> Self {
        self.flag = Some(flag);
        self
    }

    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(super) const fn grants(mut self) -> Self {
        self.grants = true;
        self
    }

    pub(super) const fn reloads(mut self) -> Self {
        self.reloads = true;
        self
    }

    pub(super) const fn standing(mut self, standing: Standing) -> Self {
        self.standing = standing;
        self
    }

    /// The key of exactly this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// The key somebody means: its name, a name of the Python versions, or one of those with hyphens.
    pub(crate) fn meant(name: &str) -> Option<&'static Self> {
        let plain = name.replace('-', "_");
        Self::named(&plain).or_else(|| KEYS.iter().find(|key| key.old.contains(&plain.as_str())))
    }

    /// The key this variable sets, alone or as its switch.
    pub(crate) fn of_variable(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.variables.contains(&name) || key.switch == Some(name))
    }

    /// The section and the word in it.
    pub(crate) fn parts(&self) -> (&'static str, Option<&'static str>) {
        match self.name.split_once('.') {
            Some((section, word)) => (section, Some(word)),
            None => (self.name, None),
        }
    }

    /// The value it has when nobody gives one.
    pub(crate) fn default_value(&self) -> Value {
        let Some(typed) = self.default else { return self.kind.nothing() };
        // A test reads every default of the table.
        self.kind.parse(typed).unwrap_or(Value::Null)
    }
}

impl Retired {
    /// The one with this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        RETIRED.iter().find(|it| it.names.contains(&name))
    }
}
