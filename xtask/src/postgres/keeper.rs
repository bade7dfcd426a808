//! The process that holds a private PostgreSQL and outlives whoever asked for it by a moment.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use super::account::Account;

/// The hidden subcommand that becomes a keeper.
pub(crate) const KEEPER: &str = "keep-postgres";

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_mins(1);

/// For servers whose data nobody will miss: no fsync, no port, room for every test at once.
const SETTINGS: [&str; 6] = [
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=300",
    "unix_socket_permissions=0777",
];

/// Starts a server from the programs in `arguments[0]`, prints `ready <directory>`, and removes
/// everything when stdin ends.
pub(crate) fn keep(arguments: &[String]) -> Result<(), String> {
    let [bin] = arguments else { return Err(format!("usage: xtask {KEEPER} DIRECTORY")) };
    let mut kept = Kept::start(Path::new(bin), &base())?;
    println!("ready {}", kept.directory.display());
    io::stdout().flush().map_err(|error| format!("nobody listens: {error}"))?;
    // Nothing is ever sent; the read ends when the other end is closed.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    kept.is_alive()
}

/// Where directories for servers are made: a socket path ends at 107 bytes, so it has to be short.
fn base() -> PathBuf {
    let temporary = std::env::temp_dir();
    if temporary.as_os_str().len() <= 60 { temporary } else { PathBuf::from("/tmp") }
}

/// A directory with a server in it; both end with this value.
struct Kept {
    directory: PathBuf,
    server: Option<Child>,
}

impl Kept {
    fn start(bin: &Path, base: &Path) -> Result<Self, String> {
        let account = Account::for_server()?;
        let mut kept = Self { directory: fresh_directory(base)?, server: None };
        let directory = &kept.directory;
        if let Some(account) = account {
            account.own(directory)?;
        }
        let data = directory.join("data");
        let run_as = |program: &str| {
            let mut command = Command::new(bin.join(program));
            // A directory that a server of another account may enter.
            command.current_dir("/").stdin(Stdio::null());
            if let Some(account) = account {
                account.run(&mut command);
            }
            command
        };

        let made = run_as("initdb")
            .arg("-D")
            .arg(&data)
            .args(["--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C", "-U", "apflow"])
            .output()
            .map_err(|error| format!("initdb did not start: {error}"))?;
        if !made.status.success() {
            return Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr)));
        }

        let log = directory.join("log");
        let cannot_log = |error| format!("{}: {error}", log.display());
        let log_file = fs::File::create(&log).map_err(cannot_log)?;
        let errors = log_file.try_clone().map_err(cannot_log)?;
        let mut postgres = run_as("postgres");
        postgres.arg("-D").arg(&data).arg("-k").arg(directory).stdout(log_file).stderr(errors);
        for setting in SETTINGS {
            postgres.args(["-c", setting]);
        }
        let server =
            postgres.spawn().map_err(|error| format!("postgres did not start: {error}"))?;
        kept.server = Some(server);
        kept.wait_until_ready()?;
        Ok(kept)
    }

    /// The socket exists before the server takes connections; its status file says when it does.
    fn wait_until_ready(&mut self) -> Result<(), String> {
        let status = self.directory.join("data/postmaster.pid");
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.is_alive()?;
            let text = fs::read_to_string(&status).unwrap_or_default();
            if text.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("PostgreSQL is not ready after {} s:\n{}", PATIENCE.as_secs(), self.log()))
    }

    fn is_alive(&mut self) -> Result<(), String> {
        let ended = self.server.as_mut().and_then(|server| server.try_wait().ok().flatten());
        match ended {
            None => Ok(()),
            Some(status) => Err(format!("PostgreSQL ended by itself ({status}):\n{}", self.log())),
        }
    }

    /// The end of the server's log.
    fn log(&self) -> String {
        let text = fs::read(self.directory.join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // "Immediate shutdown": nothing in there is worth a checkpoint.
            let asked =
                rustix::process::kill_process(Pid::from_child(&server), Signal::QUIT).is_ok();
            let begun = Instant::now();
            while asked && begun.elapsed() < PATIENCE && matches!(server.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = server.kill();
            let _ = server.wait();
        }
        // If the server was killed, its own children may write for a moment more.
        for attempt in 0..100 {
            match fs::remove_dir_all(&self.directory) {
                Ok(()) => break,
                Err(error) if attempt == 99 => {
                    eprintln!("xtask: {} is left over: {error}", self.directory.display());
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

/// Makes a directory nobody else has.
fn fresh_directory(base: &Path) -> Result<PathBuf, String> {
    let own = std::process::id();
    for number in 0..100 {
        let directory = base.join(format!("apflow-pg-{own}-{number}"));
        match fs::DirBuilder::new().mode(0o755).create(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("{}: {error}", directory.display())),
        }
    }
    Err(format!("{} is full of directories called apflow-pg-{own}-*", base.display()))
}
