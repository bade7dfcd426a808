//! A PostgreSQL that may be killed: its own directory, its own socket, and every write synced.

use std::{
    fs::{self, DirBuilder, File},
    os::unix::{
        fs::{DirBuilderExt as _, chown},
        process::CommandExt as _,
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use super::{Result, doing};

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server of one's own; dropping it kills it and removes everything.
#[derive(Debug)]
pub struct Server {
    bin: PathBuf,
    account: Option<(u32, u32)>,
    directory: PathBuf,
    process: Option<Child>,
}

impl Server {
    /// Makes a new cluster and starts it, with the programs that `APFLOW_TEST_PG_BIN` names.
    pub fn start() -> Result<Self> {
        let missing = "set APFLOW_TEST_PG_BIN to the directory with initdb and postgres, and for root \
                       APFLOW_TEST_PG_UID and APFLOW_TEST_PG_GID; `cargo xtask test` and \
                       `cargo xtask chaos` do that";
        let bin = PathBuf::from(std::env::var_os("APFLOW_TEST_PG_BIN").ok_or(missing)?);
        let number = |name| -> Option<u32> { std::env::var(name).ok()?.parse().ok() };
        let account = number("APFLOW_TEST_PG_UID").zip(number("APFLOW_TEST_PG_GID"));
        // The path of a socket ends at 107 bytes.
        let random: u64 = rand::random();
        let base = std::env::temp_dir();
        let base = if base.as_os_str().len() <= 60 { base } else { PathBuf::from("/tmp") };
        let directory = base.join(format!("apflow-chaos-{random:x}"));
        DirBuilder::new().mode(0o755).create(&directory).map_err(doing(directory.display()))?;
        let mut server = Self { bin, account, directory, process: None };
        if let Some((uid, gid)) = account {
            chown(&server.directory, Some(uid), Some(gid))
                .map_err(doing("giving the directory away"))?;
        }
        let made = server
            .command("initdb")
            .arg("-D")
            .arg(server.data())
            .args(["--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C", "-U", "apflow"])
            .output()
            .map_err(doing("starting initdb"))?;
        if !made.status.success() {
            return Err(format!("initdb: {} ({missing})", String::from_utf8_lossy(&made.stderr)));
        }
        server.run()?;
        Ok(server)
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("postgres://apflow@localhost/postgres?host={}", self.directory.display())
    }

    /// Kills the server with every process it has, and starts it again on what is left.
    pub fn crash(&mut self) -> Result<()> {
        self.kill();
        self.run()
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir("/").stdin(Stdio::null());
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn run(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let log = File::options()
                .create(true)
                .append(true)
                .open(self.directory.join("log"))
                .map_err(doing("opening the server's log"))?;
            let errors = log.try_clone().map_err(doing("opening the server's log"))?;
            let child = self
                .command("postgres")
                .arg("-D")
                .arg(self.data())
                .arg("-k")
                .arg(&self.directory)
                .args(["-c", "listen_addresses=", "-c", "fsync=on", "-c", "max_connections=100"])
                .process_group(0)
                .stdout(log)
                .stderr(errors)
                .spawn()
                .map_err(doing("starting postgres"))?;
            let id = child.id().to_string();
            self.process = Some(child);
            while begun.elapsed() < PATIENCE {
                let status =
                    fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
                let mut lines = status.lines();
                let is_this = lines.next() == Some(id.as_str());
                if is_this && lines.nth(6).is_some_and(|line| line.trim() == "ready") {
                    return Ok(());
                }
                if self.process.as_mut().is_none_or(|server| !matches!(server.try_wait(), Ok(None)))
                {
                    // What was killed may take a moment to let go of its memory.
                    thread::sleep(Duration::from_millis(50));
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        Err(format!("PostgreSQL did not start; the end of its log, newest first: {last:?}"))
    }

    fn kill(&mut self) {
        let Some(mut server) = self.process.take() else { return };
        // Its children leave the process group, so they are looked up before it is gone.
        let children = children_of(server.id());
        let _ = server.kill();
        for child in children {
            let _ = rustix::process::kill_process(child, Signal::KILL);
        }
        let _ = server.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The processes whose parent this is.
fn children_of(parent: u32) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let id: i32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // After the name, which may hold anything but ends at the last parenthesis.
            let of: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            if of == parent { Pid::from_raw(id) } else { None }
        })
        .collect()
}
