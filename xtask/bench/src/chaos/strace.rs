//! Runs a worker under strace: counts its writes, or kills it at one of them.

use std::{
    collections::BTreeMap,
    fmt, fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{Result, doing, log::RunDir, process::WorkerProcess};

/// The calls that change a file or make it durable; the log of effects uses none of them.
const WRITES: &str = "pwrite64,fdatasync,fsync,ftruncate,unlink";

/// One write: the `n`-th call of this name in one thread, which is how strace counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    call: String,
    n: u64,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} number {}", self.call, self.n)
    }
}

/// How long one small run may take, with strace in the way.
pub const AT_MOST: Duration = Duration::from_mins(1);

/// A program whose writes are followed.
#[derive(Debug, Clone)]
pub struct Traced {
    /// The program.
    pub program: PathBuf,
    /// What it is told.
    pub arguments: Vec<String>,
    /// Where it logs.
    pub dir: RunDir,
}

impl Traced {
    /// Every write that an undisturbed run makes.
    pub fn points(&self) -> Result<Vec<Point>> {
        let trace = self.dir.path().join("trace");
        let mut strace = strace();
        strace.arg("-o").arg(&trace).arg("-e").arg(format!("trace={WRITES}"));
        if self.run(strace)?.is_none() {
            return Err("an undisturbed run was killed".to_owned());
        }
        let text = fs::read_to_string(&trace).map_err(doing(trace.display()))?;
        Ok(counted(&text))
    }

    /// Kills a run at one write and starts it again; true if it came to that write.
    pub fn kill_at(&self, point: &Point) -> Result<bool> {
        let Point { call, n } = point;
        let mut strace = strace();
        strace.args(["-o", "/dev/null", "-e"]).arg(format!("trace={call}"));
        strace.arg("-e").arg(format!("inject={call}:signal=SIGKILL:when={n}"));
        let killed = self.run(strace)?.is_none();
        let command = WorkerProcess::command(&self.program, &self.arguments);
        let mut again = WorkerProcess::spawn(command, &self.dir)?;
        let ended = again.wait(AT_MOST);
        if !ended.is_some_and(|status| status.success()) {
            let said = self.stderr();
            return Err(format!("killed at {point}, it did not finish ({ended:?}): {said}"));
        }
        Ok(killed)
    }

    /// Runs it under strace. The code it ended with; none if it was killed.
    fn run(&self, mut strace: Command) -> Result<Option<i32>> {
        strace.arg(&self.program).args(&self.arguments);
        let mut process = WorkerProcess::spawn(strace, &self.dir).map_err(|error| {
            format!("{error} (strace is needed; `cargo xtask test` installs it)")
        })?;
        let status = process
            .wait(AT_MOST)
            .ok_or_else(|| format!("a run under strace did not end: {}", self.stderr()))?;
        if status.signal().is_none() && status.code() != Some(0) {
            return Err(format!("a run under strace failed ({status}): {}", self.stderr()));
        }
        Ok(status.code())
    }

    fn stderr(&self) -> String {
        let path: &Path = self.dir.path();
        fs::read_to_string(path.join("stderr")).unwrap_or_default()
    }
}

/// The writes of a trace: of each call as many as the thread made that made the most.
fn counted(trace: &str) -> Vec<Point> {
    let mut by_thread: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(char::is_whitespace) else { continue };
        let Some((call, _)) = call.trim_start().split_once('(') else { continue };
        if WRITES.split(',').any(|known| known == call) {
            *by_thread.entry((call, thread)).or_default() += 1;
        }
    }
    let mut most: BTreeMap<&str, u64> = BTreeMap::new();
    for ((call, _), count) in by_thread {
        let most = most.entry(call).or_default();
        *most = count.max(*most);
    }
    let of = |(call, most): (&str, u64)| -> Vec<Point> {
        (1..=most).map(|n| Point { call: call.to_owned(), n }).collect()
    };
    most.into_iter().flat_map(of).collect()
}

fn strace() -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq"]);
    strace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_counted_by_thread_and_other_calls_are_not() {
        let trace = "7 pwrite64(3, \"x\", 1, 0) = 1\n8 pwrite64(3, \"x\", 1, 0) = 1\n\
            7 pwrite64(3, \"x\", 1, 0) = 1\n7 read(3) = 1\n8 fsync(3) = 0\n+++ exited +++\n";
        let said: Vec<String> = counted(trace).iter().map(ToString::to_string).collect();
        assert_eq!(said, ["fsync number 1", "pwrite64 number 1", "pwrite64 number 2"]);
    }
}
