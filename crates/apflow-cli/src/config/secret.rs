//! Secrets: values that are never shown, and references to where one is kept.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, Serializer};

use super::{
    file,
    value::{HIDDEN, REFERENCE, without_password},
};
use crate::error::CliError;

/// A secret, or where it is kept.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself; a reference is followed now, so that only who needs it has to reach it.
    pub(crate) fn reveal(&self) -> Result<String, CliError> {
        let Some(place) = self.0.strip_prefix(REFERENCE) else { return Ok(self.0.clone()) };
        let fault = |why: String| {
            CliError::usage(format!("{} cannot be followed", self.0))
                .because(why)
                .help("write secret://env/NAME or secret://file/run/secrets/NAME")
        };
        match place.split_once('/') {
            Some(("env", name)) => super::place::World::here()
                .variable(name)
                .map(str::to_owned)
                .ok_or_else(|| fault(format!("the variable {name} is not set"))),
            Some(("file", path)) => {
                let path = Path::new("/").join(path);
                let shown = path.display().to_string();
                match file::text(&path) {
                    Ok(Some(text)) if !text.trim_end_matches(['\r', '\n']).is_empty() => {
                        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
                    }
                    Ok(Some(_)) => Err(fault(format!("{shown} is empty"))),
                    Ok(None) => Err(fault(format!("there is no file {shown}"))),
                    Err(error) => Err(fault(format!("{shown}: {}", error.why))),
                }
            }
            _ => Err(fault("secrets are kept in `env` or in a `file`".to_owned())),
        }
    }
}

/// The same reference with its path made whole: `secret://file/./key` is beside the file it is in.
pub(super) fn anchored(text: &str, base: &Path) -> String {
    match text.strip_prefix(REFERENCE).and_then(|rest| rest.strip_prefix("file/./")) {
        Some(path) => {
            let whole: PathBuf = base.join(path);
            format!("{REFERENCE}file/{}", whole.display().to_string().trim_start_matches('/'))
        }
        None => text.to_owned(),
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(HIDDEN)
    }
}

/// An address, which is shown without its password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Address(String);

impl Address {
    /// The whole of it.
    pub(crate) fn whole(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&without_password(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_to_a_file_is_followed_and_what_is_not_there_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        std::fs::write(&path, "CANARY\n").expect("a file");
        let secret = Secret::new(anchored("secret://file/./key", dir.path()));
        assert_eq!(secret.reveal().ok().as_deref(), Some("CANARY"));
        std::fs::write(&path, "\n").expect("a file");
        assert!(secret.reveal().is_err(), "an empty secret is none");
        for wrong in ["secret://vault/x", "secret://env/APFLOW_TEST_NOT_SET", "secret://file/no/x"]
        {
            assert!(Secret::new(wrong).reveal().is_err(), "{wrong}");
        }
        assert_eq!(Secret::new("plain").reveal().ok().as_deref(), Some("plain"));
    }

    #[test]
    fn l3_neither_debug_nor_json_shows_a_secret() {
        let secret = Secret::new("CANARY");
        let address = Address("postgres://me:CANARY@db/x".to_owned());
        let told = format!("{secret:?} {address:?}");
        let json = serde_json::to_string(&(&secret, &address)).expect("JSON");
        assert!(!told.contains("CANARY") && !json.contains("CANARY"), "{told} {json}");
    }
}
