//! Where the programs of PostgreSQL are on this machine.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::account::Account;

/// The programs a private server needs, in one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The directory, with `initdb` and `postgres` in it.
    pub bin: PathBuf,
}

impl Found {
    /// What the server says of its version.
    pub(crate) fn version(&self) -> String {
        let output = Command::new(self.bin.join("postgres")).arg("--version").output();
        let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let said = said.unwrap_or_default();
        let number =
            said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_numeric()));
        format!("PostgreSQL {}", number.unwrap_or("of unknown version"))
    }

    /// Tells a test how to start a server of its own, as the crash tests do.
    pub(crate) fn export(&self, command: &mut Command) {
        command.env("APFLOW_TEST_PG_BIN", &self.bin);
        if let Ok(Some(account)) = Account::for_server() {
            command.env("APFLOW_TEST_PG_UID", account.uid.to_string());
            command.env("APFLOW_TEST_PG_GID", account.gid.to_string());
        }
    }
}

/// The newest PostgreSQL that is on PATH or where Debian, Fedora and Homebrew put it.
pub(crate) fn find() -> Option<Found> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    find_in(
        &on_path,
        &[
            (Path::new("/usr/lib/postgresql"), ""),
            (Path::new("/usr"), "pgsql-"),
            (Path::new("/opt/homebrew/opt"), "postgresql@"),
            (Path::new("/usr/local/opt"), "postgresql@"),
        ],
    )
}

/// Looks on PATH first, then for `<folder>/<prefix><version>/bin`, newest version first.
fn find_in(on_path: &[PathBuf], folders: &[(&Path, &str)]) -> Option<Found> {
    let mut candidates: Vec<PathBuf> = Vec::new();
    for directory in on_path {
        // A link to `initdb` alone leads to the directory that has everything.
        if let Ok(real) = directory.join("initdb").canonicalize() {
            candidates.extend(real.parent().map(Path::to_owned));
        }
    }
    for (folder, prefix) in folders {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut versions: Vec<(u32, PathBuf)> = entries
            .filter_map(|entry| {
                let name = entry.file_name();
                let version = name.to_str()?.strip_prefix(prefix)?;
                Some((version.split('.').next()?.parse().ok()?, entry.path().join("bin")))
            })
            .collect();
        versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        candidates.extend(versions.into_iter().map(|(_, bin)| bin));
    }
    let complete = |bin: &PathBuf| ["initdb", "postgres"].iter().all(|p| bin.join(p).is_file());
    candidates.into_iter().find(complete).map(|bin| Found { bin })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(bin: &Path, programs: &[&str]) {
        std::fs::create_dir_all(bin).unwrap();
        for program in programs {
            std::fs::write(bin.join(program), "").unwrap();
        }
    }

    #[test]
    fn the_newest_version_that_is_complete_is_taken() {
        let root = tempfile::tempdir().unwrap();
        install(&root.path().join("9.6/bin"), &["initdb", "postgres"]);
        install(&root.path().join("15/bin"), &["initdb", "postgres"]);
        install(&root.path().join("17/bin"), &["psql"]);
        let found = find_in(&[], &[(root.path(), "")]);
        assert_eq!(found, Some(Found { bin: root.path().join("15/bin") }));
    }

    #[test]
    fn path_comes_first_and_links_are_followed() {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().canonicalize().unwrap().join("14/bin");
        install(&real, &["initdb", "postgres"]);
        install(&root.path().join("16/bin"), &["initdb", "postgres"]);
        let links = root.path().join("links");
        std::fs::create_dir(&links).unwrap();
        std::os::unix::fs::symlink(real.join("initdb"), links.join("initdb")).unwrap();
        let found = find_in(&[links], &[(root.path(), "")]);
        assert_eq!(found, Some(Found { bin: real }));
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(find_in(&[root.path().to_owned()], &[(root.path(), "")]), None);
    }
}
