//! Kills a worker at its n-th write to disk, for one n after the other, with the help of strace.

use std::{
    collections::BTreeMap,
    fmt, fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use apflow::prelude::Durability;

use super::{
    Result,
    check::{Faults, Findings},
    doing,
    log::RunDir,
    plan::Plan,
    process::WorkerProcess,
    siege::Siege,
};

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
const AT_MOST: Duration = Duration::from_mins(1);

/// One diamond, run again and again, each time killed one write later.
#[derive(Debug)]
pub struct Steps {
    /// The program that plays the worker.
    pub program: PathBuf,
    /// Where each run gets a directory of its own.
    pub place: PathBuf,
    /// When a write is acknowledged.
    pub durability: Durability,
}

/// What came of one run.
#[derive(Debug)]
pub struct Step {
    /// It came to that write, and no further.
    pub killed: bool,
    /// What was there after the restart.
    pub findings: Findings,
}

impl Steps {
    /// Every write that an undisturbed run makes.
    pub fn points(&self) -> Result<Vec<Point>> {
        let (siege, place) = self.siege("undisturbed")?;
        let trace = place.join("trace");
        let mut strace = strace();
        strace.arg("-o").arg(&trace).arg("-e").arg(format!("trace={WRITES}"));
        if self.run(strace, &siege)?.is_none() {
            return Err("an undisturbed run was killed".to_owned());
        }
        let text = fs::read_to_string(&trace).map_err(doing(trace.display()))?;
        let mut by_thread: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for line in text.lines() {
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
        Ok(most.into_iter().flat_map(of).collect())
    }

    /// Kills a run at one write, starts it again, and checks what comes of it.
    pub async fn kill_at(&self, point: &Point) -> Result<Step> {
        let Point { call, n } = point;
        let (siege, _) = self.siege(&format!("{call}-{n}"))?;
        let mut strace = strace();
        strace.args(["-o", "/dev/null", "-e"]).arg(format!("trace={call}"));
        strace.arg("-e").arg(format!("inject={call}:signal=SIGKILL:when={n}"));
        let killed = self.run(strace, &siege)?.is_none();
        let command = WorkerProcess::command(&self.program, &siege.worker.arguments());
        let mut again = WorkerProcess::spawn(command, &siege.worker.dir)?;
        let ended = again.wait(AT_MOST);
        if !ended.is_some_and(|status| status.success()) {
            let stderr = fs::read_to_string(siege.worker.dir.path().join("stderr"));
            let said = stderr.unwrap_or_default();
            return Err(format!("killed at {point}, it did not finish ({ended:?}): {said}"));
        }
        let slots = u64::from(siege.worker.slots);
        let done = Faults { kills: u64::from(killed), slots, workers: 1, ..Faults::default() };
        Ok(Step { killed, findings: siege.find(done).await? })
    }

    fn siege(&self, name: &str) -> Result<(Siege, PathBuf)> {
        let place = self.place.join(name);
        let dir = RunDir::at(&place)?;
        let db = format!("sqlite:{}", place.join("a.db").display());
        let mut siege = Siege::new(self.program.clone(), db, dir, 1);
        siege.worker.plan = Plan { seed: 1, diamonds: true, longest: Duration::from_millis(2) };
        siege.worker.trees = Some(1);
        siege.worker.once = true;
        siege.worker.durability = self.durability;
        Ok((siege, place))
    }

    /// Runs the worker under strace. The code it ended with; none if it was killed.
    fn run(&self, mut strace: Command, siege: &Siege) -> Result<Option<i32>> {
        strace.arg(&self.program).args(siege.worker.arguments());
        let mut process = WorkerProcess::spawn(strace, &siege.worker.dir).map_err(|error| {
            format!("{error} (strace is needed; `cargo xtask test` installs it)")
        })?;
        let status = process.wait(AT_MOST).ok_or("a run under strace did not end")?;
        if status.signal().is_none() && status.code() != Some(0) {
            let path: &Path = siege.worker.dir.path();
            let said = fs::read_to_string(path.join("stderr")).unwrap_or_default();
            return Err(format!("a run under strace failed ({status}): {said}"));
        }
        Ok(status.code())
    }
}

fn strace() -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq"]);
    strace
}
