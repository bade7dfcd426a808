//! There is no room left, and then there is again.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use apflow_bench::chaos::{
    check::{Faults, Findings},
    log::What,
    process::WorkerProcess,
    siege::Siege,
};

use crate::stage::{on_sqlite, program};

/// How long each part may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A small file system in memory; unmounted with this value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where only an administrator may do that.
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let done = run("mount", &["-t", "tmpfs", "-o", "size=3m", "tmpfs"], &at);
        done.then(|| Self(at))
    }

    fn grow(&self) {
        assert!(run("mount", &["-o", "remount,size=64m"], &self.0), "the disk cannot grow");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &[], &self.0);
    }
}

fn run(program: &str, arguments: &[&str], at: &Path) -> bool {
    let output = Command::new(program).args(arguments).arg(at).output();
    output.is_ok_and(|output| output.status.success())
}

fn large_results(siege: &mut Siege) {
    siege.worker.pad = 20_000;
    siege.worker.plan.longest = Duration::from_millis(5);
}

/// Kinds of trouble that the worker reported.
fn troubles(siege: &Siege) -> Vec<String> {
    let effects = siege.worker.dir.effects().unwrap();
    let kind = |what| match what {
        What::Trouble { kind, .. } => Some(kind),
        _ => None,
    };
    effects.into_iter().filter_map(|effect| kind(effect.what)).collect()
}

#[track_caller]
fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a worker with `command`, waits until the store is full, makes room, and lets it finish.
async fn fill(siege: &Siege, command: Command, make_room: impl FnOnce(u32)) -> Findings {
    let dir = &siege.worker.dir;
    let mut worker = WorkerProcess::spawn(command, dir).unwrap();
    assert!(worker.wait_until_ready(PATIENCE));
    wait("the store is full", || troubles(siege).len() > 3);
    let before = dir.acknowledged();
    assert!(before > 0, "nothing was acknowledged before the store was full");
    assert!(worker.ended().is_none(), "the worker did not survive the full store");
    make_room(worker.id());
    wait("more trees are stored", || dir.acknowledged() > before + 5);
    dir.say_enough().unwrap();
    siege.wait_until_done(worker.id()).await;
    drop(worker);
    let slots = u64::from(siege.worker.slots);
    // While nothing could be stored, leases ended: once for all that was held.
    siege.find(Faults { stops: 1, slots, workers: 1, ..Faults::default() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_reported_loses_nothing_and_is_forgotten_once_there_is_room() {
    let (place, mut siege) = on_sqlite(21);
    large_results(&mut siege);
    let Some(disk) = SmallDisk::mount(place.path().join("disk")) else {
        println!("no right to mount; a file that may not grow stands in, in the next test");
        return;
    };
    siege.worker.db = format!("sqlite:{}", disk.0.join("a.db").display());
    let command = WorkerProcess::command(&program(), &siege.worker.arguments());
    let findings = fill(&siege, command, |_| disk.grow()).await;
    println!("full disk\n{findings}");
    assert!(findings.violations.is_empty(), "{findings}");
    assert!(findings.completed * 10 >= findings.tasks * 9, "{findings}");
    let kinds = troubles(&siege);
    assert!(kinds.iter().all(|kind| kind == "full"), "the error should say so: {kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_not_grow_is_reported_and_loses_nothing() {
    let (_place, mut siege) = on_sqlite(22);
    large_results(&mut siege);
    // The limit is in blocks of 512 bytes; without the trap the signal would end the process.
    let limited = "trap '' XFSZ; ulimit -S -f 4096; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", limited, "sh"]).arg(program()).args(siege.worker.arguments());
    let findings = fill(&siege, command, |id| {
        let process = id.to_string();
        let lifted =
            Command::new("prlimit").args(["--pid", &process, "--fsize=unlimited"]).status();
        assert!(lifted.is_ok_and(|status| status.success()), "the limit cannot be lifted");
    })
    .await;
    println!("limited file\n{findings}");
    assert!(findings.violations.is_empty(), "{findings}");
    let kinds = troubles(&siege);
    let typed = |kind: &String| kind == "full" || kind == "unavailable";
    assert!(kinds.iter().all(typed), "{kinds:?}");
}
