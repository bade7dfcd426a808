//! The configuration of this process, as the operations `config.*` see it.

use serde_json::{Value, json};

use super::ApiError;
use crate::{code::Code, problem::nearest};

/// Reads and changes what a process is configured with; the process that reads the files implements it.
pub trait Configuration: Send + Sync {
    /// Every key, without secrets.
    fn list(&self) -> Vec<Setting>;

    /// Gives a key another value until the process ends; `null` takes that back.
    fn set(&self, key: &str, value: &Value) -> Result<Setting, ApiError>;

    /// Reads files and environment again; if something in them is wrong, everything stays as it was.
    fn reload(&self) -> Result<Reloaded, ApiError>;

    /// One key.
    fn get(&self, key: &str) -> Result<Setting, ApiError> {
        let all = self.list();
        if let Some(found) = all.iter().find(|setting| setting.key == key) {
            return Ok(found.clone());
        }
        let error = ApiError::invalid("key", "a key of the configuration", "an unknown one");
        let near = nearest(key, all.iter().map(|setting| setting.key.as_str()));
        Err(match near {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`config.list` lists the keys"),
        })
    }
}

/// A key of the configuration and its value; a secret is only said to be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The key.
    pub key: String,
    /// The value that counts, without secrets and passwords.
    pub value: Value,
    /// Whose word it is and where it stands.
    pub origin: String,
    /// What the key does.
    pub description: String,
    /// It is never shown.
    pub secret: bool,
    /// A running process takes a new value.
    pub reloadable: bool,
    /// The files say something else by now, which the next start takes.
    pub needs_restart: bool,
}

/// What came of reading everything again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reloaded {
    /// Keys that have another value now.
    pub changed: Vec<String>,
    /// Keys whose new value the next start takes.
    pub needs_restart: Vec<String>,
    /// What was ignored.
    pub warnings: Vec<String>,
}

impl Setting {
    /// Its JSON.
    pub fn json(&self) -> Value {
        json!({
            "key": self.key, "value": self.value, "origin": self.origin,
            "description": self.description, "secret": self.secret,
            "reloadable": self.reloadable, "needs_restart": self.needs_restart,
        })
    }
}

impl Reloaded {
    /// Its JSON.
    pub fn json(&self) -> Value {
        json!({
            "changed": self.changed, "needs_restart": self.needs_restart,
            "warnings": self.warnings,
        })
    }
}

/// The answer where there is no configuration to speak of.
pub(crate) fn none() -> ApiError {
    ApiError::new(Code::SettingRefused, "this process has no configuration that can be asked for")
        .hint("ask `apflow serve`, or `apflow config` on its machine")
}

/// The answer to who is no administrator.
pub(crate) fn not_yours() -> ApiError {
    ApiError::new(Code::SettingRefused, "the configuration is for administrators")
        .hint("use a token with the role admin")
}
