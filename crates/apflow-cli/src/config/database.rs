//! Which database a command uses.

use std::{fs, path::Path};

use apflow::core::code::Code;

use super::{
    settings::{Settings, said_by},
    value::without_password,
};
use crate::error::CliError;

/// Where the database is, and who said so.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Database {
    /// Its address.
    pub(crate) address: String,
    /// A flag, a variable, a place in a file, or `default`.
    pub(crate) said_by: String,
}

/// The default: a file of its own in the current directory.
const DIRECTORY: &str = ".apflow";

impl Database {
    /// The one that is configured (ruling 33).
    pub(crate) fn find(settings: &Settings) -> Self {
        let address = settings.storage.url.whole().to_owned();
        Self { address, said_by: said_by(settings, "storage.url") }
    }

    /// Makes the directory of the default; a database somebody else named is their affair.
    pub(crate) fn prepare(&self) -> Result<(), CliError> {
        if self.said_by != "default" || Path::new(DIRECTORY).join("apflow.db").is_file() {
            return Ok(());
        }
        let ignore = Path::new(DIRECTORY).join(".gitignore");
        let made = fs::create_dir_all(DIRECTORY)
            .and_then(|()| if ignore.exists() { Ok(()) } else { fs::write(ignore, IGNORED) });
        made.map_err(|error| {
            CliError::new(Code::DatabaseUnavailable, "the database cannot be made here")
                .because(format!("{DIRECTORY}: {error}"))
                .help("name another place with --db sqlite:FILE")
        })
    }

    /// The address as it may be shown.
    pub(crate) fn shown(&self) -> String {
        without_password(&self.address)
    }

    /// ` --db ADDRESS` where a command that is shown has to say it again.
    pub(crate) fn flag(&self) -> String {
        if self.said_by == "--db" { format!(" --db {}", self.shown()) } else { String::new() }
    }
}

/// Everything beside the project's own configuration.
const IGNORED: &str = "*\n!config.toml\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::bed::Bed;

    fn found(flag: Option<&str>, ours: Option<&str>, shared: Option<&str>) -> (String, bool) {
        let mut bed = Bed::new();
        bed.over.maybe("storage.url", "--db", flag);
        for (name, value) in [("APFLOW_DATABASE_URL", ours), ("DATABASE_URL", shared)] {
            if let Some(value) = value {
                bed.set(name, value);
            }
        }
        let settings = bed.settings().expect("good settings");
        let warned = settings.warnings().iter().any(|warning| warning.contains("differ"));
        (Database::find(&settings).address, warned)
    }

    #[test]
    fn the_flag_wins_then_our_variable_then_the_shared_one_then_a_file_here() {
        assert_eq!(found(Some("a"), Some("b"), Some("c")).0, "a");
        assert_eq!(found(None, Some("b"), Some("c")).0, "b");
        assert_eq!(found(None, None, Some("c")).0, "c");
        assert_eq!(found(None, None, None).0, "sqlite:.apflow/apflow.db");
        let mut bed = Bed::new();
        bed.file("here/apflow.toml", "[storage]\nurl = \"sqlite:file.db\"\n");
        let database = Database::find(&bed.settings().expect("good settings"));
        assert_eq!(database.address, format!("sqlite:{}", bed.path("here/file.db").display()));
        bed.set("DATABASE_URL", "sqlite:shared.db");
        let database = Database::find(&bed.settings().expect("good settings"));
        assert_eq!(
            (database.address.as_str(), database.said_by.as_str()),
            ("sqlite:shared.db", "DATABASE_URL")
        );
    }

    #[test]
    fn two_variables_that_differ_are_told_unless_neither_is_used() {
        assert!(found(None, Some("b"), Some("c")).1);
        assert!(!found(None, Some("b"), Some("b")).1);
        assert!(!found(Some("a"), Some("b"), Some("c")).1);
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let database = Database {
            address: "postgres://me:CANARY@db.corp/flow".to_owned(),
            said_by: "--db".to_owned(),
        };
        assert_eq!(database.shown(), "postgres://…@db.corp/flow");
        assert!(!database.flag().contains("CANARY"));
    }
}
