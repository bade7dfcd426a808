//! Workers as processes: started, killed, stopped, and never left behind.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use super::{Result, doing, log::RunDir};

/// A worker in a process group of its own; dropping it kills the group.
#[derive(Debug)]
pub struct WorkerProcess {
    child: Child,
    ready: Arc<AtomicBool>,
}

impl WorkerProcess {
    /// Starts `command`, whose standard error is kept in the directory of the run.
    pub fn spawn(mut command: Command, dir: &RunDir) -> Result<Self> {
        let name = dir.path().join("stderr");
        let stderr: File = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&name)
            .map_err(doing(name.display()))?;
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(doing(format_args!("starting {}", command.get_program().display())))?;
        let ready = Arc::new(AtomicBool::new(false));
        if let Some(stdout) = child.stdout.take() {
            let ready = Arc::clone(&ready);
            thread::spawn(move || {
                let mut lines = BufReader::new(stdout);
                let mut line = String::new();
                if lines.read_line(&mut line).is_ok() && line.trim() == "ready" {
                    ready.store(true, Ordering::Release);
                }
                let _ = lines.read_to_end(&mut Vec::new());
            });
        }
        Ok(Self { child, ready })
    }

    /// The program that plays the worker, with these arguments.
    pub fn command(program: &Path, arguments: &[String]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments);
        command
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is at work.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Waits until it is at work, or has ended, or time is over; true if it is at work.
    pub fn wait_until_ready(&mut self, at_most: Duration) -> bool {
        let begun = Instant::now();
        while !self.is_ready() && begun.elapsed() < at_most && self.ended().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        self.is_ready()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until it ended; none if time is over.
    pub fn wait(&mut self, at_most: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            let ended = self.ended();
            if ended.is_some() || begun.elapsed() > at_most {
                return ended;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// `kill -9`; returns when nothing of it is left. True if it was still alive.
    pub fn kill(&mut self) -> bool {
        if self.ended().is_some() {
            return false;
        }
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
        true
    }

    /// `kill -STOP`.
    pub fn stop(&self) {
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::STOP);
    }

    /// `kill -CONT`.
    pub fn go_on(&self) {
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::CONT);
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
