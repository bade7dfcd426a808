//! The handle of a private server; when it goes, the server goes.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use super::{find::Found, keeper::KEEPER};

/// Settings of ours that would lead a test to another server.
const FOREIGN: [&str; 9] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGUSER",
    "PGPASSWORD",
    "PGDATABASE",
    "PGOPTIONS",
    "PGSERVICE",
    "DATABASE_URL",
];

/// A running PostgreSQL that nobody else knows.
///
/// A process of its own, the keeper, holds the server and watches a pipe whose other end is here:
/// when this process ends, in whatever way, the pipe closes and the keeper stops and removes all.
pub(crate) struct Server {
    url: String,
    found: Found,
    keeper: Child,
    pipe: Option<ChildStdin>,
}

impl Server {
    /// Starts a server and waits until it takes connections.
    pub(crate) fn start(found: Found) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| format!("who am I? {error}"))?;
        let mut keeper = Command::new(own)
            .arg(KEEPER)
            .arg(&found.bin)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C goes to every process of the group; the keeper has to outlive us.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("the keeper of PostgreSQL did not start: {error}"))?;
        let pipe = keeper.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = keeper.stdout.take() {
            // An error shows as a line without the expected word.
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        let Some(socket) = line.trim_end().strip_prefix("ready ") else {
            drop(pipe);
            let _ = keeper.wait();
            return Err("PostgreSQL did not start; its reason is above".to_owned());
        };
        Ok(Self { url: url(Path::new(socket)), found, keeper, pipe })
    }

    /// Tells a test where the server is.
    pub(crate) fn export(&self, command: &mut Command) {
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.env("APFLOW_TEST_PG", &self.url);
        self.found.export(command);
    }

    /// Stops the server; an error if it had ended before.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        drop(self.pipe.take());
        match self.keeper.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err("PostgreSQL did not last until the end; its log is above".to_owned()),
            Err(error) => Err(format!("the keeper of PostgreSQL is lost: {error}")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.keeper.wait();
    }
}

/// The address of the superuser's database behind a socket in `directory`.
fn url(directory: &Path) -> String {
    format!("postgres:///postgres?host={}&port=5432&user=apflow", directory.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_names_the_socket_and_leaves_nothing_to_the_environment() {
        let url = url(Path::new("/tmp/apflow-pg-1"));
        assert_eq!(url, "postgres:///postgres?host=/tmp/apflow-pg-1&port=5432&user=apflow");
    }
}
