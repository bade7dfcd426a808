//! Writing a file of the configuration: comments and order stay, and a crash leaves the old one whole.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde_json::Value;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, value};

use super::{file, key::Key, value::shown};
use crate::error::CliError;

/// A file that is being changed.
pub(crate) struct Draft {
    path: PathBuf,
    document: DocumentMut,
}

impl Draft {
    /// The file as it is; an empty one if there is none.
    pub(crate) fn open(path: PathBuf) -> Result<Self, CliError> {
        let refused = |why: String| {
            CliError::usage(format!("{} cannot be changed", path.display())).because(why)
        };
        let text = file::text(&path).map_err(|error| refused(error.why))?.unwrap_or_default();
        let document = text.parse::<DocumentMut>().map_err(|error| {
            refused(error.message().lines().next().unwrap_or("it is not TOML").to_owned())
                .help("`apflow config validate` says where")
        })?;
        Ok(Self { path, document })
    }

    /// Gives a key a value, in a profile or for all.
    pub(crate) fn set(
        &mut self,
        key: &Key,
        profile: Option<&str>,
        new: &Value,
    ) -> Result<(), CliError> {
        let (table, word) = self.table_of(key, profile)?;
        let mut item = toml_item(new);
        // What stands beside the old value is about the key, so it stays.
        if let (Some(old), Some(fresh)) =
            (table.get(word).and_then(Item::as_value), item.as_value_mut())
        {
            *fresh.decor_mut() = old.decor().clone();
        }
        table.insert(word, item);
        Ok(())
    }

    /// Takes a key out; says whether it was there.
    pub(crate) fn unset(&mut self, key: &Key, profile: Option<&str>) -> Result<bool, CliError> {
        if !self.holds(key, profile) {
            return Ok(false);
        }
        let (table, word) = self.table_of(key, profile)?;
        Ok(table.remove(word).is_some())
    }

    fn holds(&self, key: &Key, profile: Option<&str>) -> bool {
        let mut at = self.document.as_item();
        let path =
            profile.into_iter().flat_map(|name| ["profiles", name]).chain(key.name.split('.'));
        for word in path {
            match at.get(word) {
                Some(next) => at = next,
                None => return false,
            }
        }
        true
    }

    fn table_of(
        &mut self,
        key: &Key,
        profile: Option<&str>,
    ) -> Result<(&mut dyn toml_edit::TableLike, &'static str), CliError> {
        let fault = CliError::usage(format!("{} cannot be changed", self.path.display()));
        let mut at: &mut dyn toml_edit::TableLike = self.document.as_table_mut();
        let (section, word) = key.parts();
        let sections = word.map(|_| section);
        let path: Vec<&str> =
            profile.into_iter().flat_map(|name| ["profiles", name]).chain(sections).collect();
        let last = path.len().saturating_sub(1);
        for (place, name) in path.into_iter().enumerate() {
            let item = at.entry(name).or_insert_with(|| {
                let mut table = Table::new();
                // `[profiles]` alone above `[profiles.test.log]` says nothing.
                table.set_implicit(place < last);
                Item::Table(table)
            });
            let Some(next) = item.as_table_like_mut() else {
                return Err(fault.because(format!("`{name}` is no table there")));
            };
            at = next;
        }
        Ok((at, word.unwrap_or(section)))
    }

    /// Writes it in one step. A file with a secret in it is for its owner alone.
    pub(crate) fn save(&self) -> Result<(), CliError> {
        let text = self.document.to_string();
        write(&self.path, &text, holds_secret(&text))
    }
}

fn holds_secret(text: &str) -> bool {
    let entries = file::entries(text, super::place::Form::Toml).unwrap_or_default();
    let secret = |entry: &file::Entry| {
        Key::named(&entry.name).is_some_and(|key| shown(key, &entry.value) != entry.value)
    };
    entries.iter().any(secret)
}

/// Puts a text in the place of a file, whole or not at all.
pub(crate) fn write(path: &Path, text: &str, private: bool) -> Result<(), CliError> {
    let failed = |error: &std::io::Error| {
        CliError::usage(format!("{} cannot be written", path.display())).because(error.to_string())
    };
    // A link keeps leading where it led; what is there gets the new text.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(|error| failed(&error))?;
    let written = || -> std::io::Result<()> {
        // Made for the owner alone; others get in only where the old file let them.
        let mut fresh = tempfile::Builder::new().prefix(".apflow-").tempfile_in(dir)?;
        fresh.write_all(text.as_bytes())?;
        #[cfg(unix)]
        if !private {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(path).map_or(0o644, |old| old.permissions().mode() & 0o777);
            fresh.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        }
        fresh.as_file().sync_all()?;
        fresh.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    written().map_err(|error| failed(&error))
}

fn toml_item(new: &Value) -> Item {
    match new {
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let mut tables = toml_edit::ArrayOfTables::new();
            for item in items {
                let mut table = Table::new();
                for (name, part) in item.as_object().into_iter().flatten() {
                    table.insert(name, toml_item(part));
                }
                tables.push(table);
            }
            Item::ArrayOfTables(tables)
        }
        other => toml_value(other).map_or(Item::None, value),
    }
}

fn toml_value(new: &Value) -> Option<toml_edit::Value> {
    Some(match new {
        Value::Null => return None,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64()?.into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().filter_map(toml_value).collect::<Array>().into(),
        Value::Object(fields) => {
            let fields = fields.iter().filter_map(|(name, part)| Some((name, toml_value(part)?)));
            fields.collect::<InlineTable>().into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BEFORE: &str = "\
# Ours.
[server]
port = 8000 # not 80
# The team's names.
hosts = [
  \"a\", # first
]

[log]
level = \"info\"

[profiles.test.log]
level = \"debug\"
";

    fn key(name: &str) -> &'static Key {
        Key::named(name).expect("a key")
    }

    fn draft(text: &str) -> (tempfile::TempDir, PathBuf, Draft) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("apflow.toml");
        fs::write(&path, text).expect("a file");
        let draft = Draft::open(path.clone()).expect("a good file");
        (dir, path, draft)
    }

    #[test]
    fn what_is_written_keeps_comments_and_order() {
        let (_dir, path, mut draft) = draft(BEFORE);
        let mut set = |name, profile, value| {
            assert!(draft.set(key(name), profile, &value).is_ok(), "{name}");
        };
        set("server.port", None, json!(9000));
        set("storage.url", None, json!("sqlite:x.db"));
        set("log.level", Some("test"), json!("trace"));
        set("engine.lease", Some("test"), json!(1.5));
        assert!(draft.unset(key("log.level"), None).is_ok_and(|was| was));
        assert!(draft.unset(key("log.filter"), None).is_ok_and(|was| !was));
        assert!(draft.save().is_ok());
        insta::assert_snapshot!(fs::read_to_string(path).expect("a file"));
    }

    #[test]
    fn hooks_are_written_as_tables() {
        let (_dir, path, mut draft) = draft("");
        let hooks = json!([{"on": "pre", "kind": "command", "command": ["true"]}]);
        assert!(draft.set(key("hooks"), None, &hooks).is_ok() && draft.save().is_ok());
        let text = fs::read_to_string(path).expect("a file");
        assert!(text.starts_with("[[hooks]]\n"), "{text}");
        let entries = file::entries(&text, crate::config::place::Form::Toml).expect("TOML");
        assert_eq!(entries[0].value, hooks);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_with_a_secret_is_for_its_owner_alone_and_others_keep_their_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, path, mut draft) = draft("");
        let mode = || fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("its mode");
        assert!(draft.set(key("server.port"), None, &json!(1)).is_ok() && draft.save().is_ok());
        assert_eq!(mode(), 0o640);
        let reference = json!("secret://env/X");
        assert!(draft.set(key("api.token"), None, &reference).is_ok() && draft.save().is_ok());
        assert_eq!(mode(), 0o640, "where a secret is kept is none");
        assert!(draft.set(key("api.token"), None, &json!("x")).is_ok() && draft.save().is_ok());
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn a_file_that_is_no_toml_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("apflow.toml");
        fs::write(&path, "[auth]\njwt_secret = \"CANARY\n").expect("a file");
        let error = Draft::open(path).err().expect("no TOML");
        assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
    }
}
