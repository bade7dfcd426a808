//! Several schedulers on one database while they are killed: every slot fires once or is counted as
//! left out, none twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{Read as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use apflow::{
    core::{
        engine::{EngineConfig, SchedulerConfig},
        id::Ids as _,
        store::{EventKind, Store, TaskEvent},
        submit::{Order, TaskSpec},
        task::{Misfire, Overlap, Schedule, TreeOptions},
        time::{Clock as _, Timestamp},
    },
    prelude::*,
    storage::OpenOptions,
    system::{SystemClock, SystemIds},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{Result, doing, log::RunDir, process::WorkerProcess, words::Words};

/// The lease of the workers: what a killed one held is taken up after it.
const LEASE: Duration = Duration::from_secs(2);
/// How long a process may take to come to work.
const START: Duration = Duration::from_secs(30);

/// What to do to how many.
#[derive(Debug)]
pub struct Trial {
    /// The program that plays a scheduler.
    pub program: PathBuf,
    /// The database.
    pub db: String,
    /// Where processes log.
    pub dir: RunDir,
    /// Processes at the same time; a file has one, with so many schedulers in it.
    pub schedulers: usize,
    /// Schedules, each of which has a slot every second.
    pub schedules: u32,
    /// How many slots each has.
    pub seconds: u32,
    /// How often a process is killed.
    pub kill_every: Duration,
    /// Which one is drawn by lot.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Slots there were.
    pub slots: u64,
    /// Runs that began.
    pub fired: u64,
    /// Slots that were left out because the run before went on, or they came too late.
    pub skipped: u64,
    /// Processes that were killed.
    pub kills: u64,
    /// Half of the runs began no later after their slot, in milliseconds; and all but one in a hundred.
    pub late_ms: (i64, i64),
    /// What must not be.
    pub violations: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {} slots: {} fired, {} left out and counted; {} kills, {} violations",
            self.slots,
            self.fired,
            self.skipped,
            self.kills,
            self.violations.len()
        )?;
        writeln!(
            f,
            "  began {} ms after the slot (p50), {} ms (p99)",
            self.late_ms.0, self.late_ms.1
        )?;
        for violation in self.violations.iter().take(20) {
            writeln!(f, "  {violation}")?;
        }
        Ok(())
    }
}

/// The executor of every task here.
const TICK: &str = "tick";

impl Trial {
    fn is_file(&self) -> bool {
        self.db.starts_with("sqlite")
    }

    /// Stores the schedules, lets schedulers fire them and be killed, and checks the journal.
    pub async fn run(&self) -> Result<Outcome> {
        let start = self.store_schedules().await?;
        let mut outcome = Outcome { kills: self.kill(start)?, ..Outcome::default() };
        let options = OpenOptions { read_only: true, ..OpenOptions::default() };
        let store = apflow::storage::open(&self.db, options).await.map_err(doing("opening"))?;
        check(store.as_ref(), start, self, &mut outcome).await?;
        Ok(outcome)
    }

    /// Each schedule is a submission of its own, so that none waits for another.
    async fn store_schedules(&self) -> Result<Timestamp> {
        let app = App::builder().database(&self.db).open().await.map_err(doing("opening"))?;
        let now = SystemClock.now();
        // Time enough to store them and for the first process to come to work.
        let lead = 5 + i64::from(self.schedules) / 200;
        let start = Timestamp((now.0.div_euclid(1_000_000) + lead) * 1_000_000);
        let end = start.after(Duration::from_secs(u64::from(self.seconds) - 1));
        let mut storing = tokio::task::JoinSet::new();
        for n in 0..self.schedules {
            let mut task = TaskSpec::new(format!("s{n}"));
            task.id = Some(format!("s{n}"));
            task.params.insert("executor_id".to_owned(), TICK.into());
            task.schedule = Schedule {
                schedule_type: Some("interval".to_owned()),
                schedule_expression: Some("1".to_owned()),
                schedule_enabled: true,
                schedule_start_at: Some(start),
                schedule_end_at: Some(end),
                schedule_misfire: Some(Misfire::CatchUp),
                schedule_catch_up: Some(1000),
                schedule_overlap: Some(if n % 2 == 0 { Overlap::Queue } else { Overlap::Skip }),
                ..Schedule::default()
            };
            let order = Order {
                tasks: vec![task],
                options: TreeOptions::default(),
                start: false,
                idempotency: None,
                user_id: None,
            };
            let engine = app.engine().clone();
            storing.spawn(async move { engine.submit(order).await.map(drop) });
            if storing.len() >= 100
                && let Some(stored) = storing.join_next().await
            {
                stored.map_err(doing("storing"))?.map_err(doing("storing"))?;
            }
        }
        for stored in storing.join_all().await {
            stored.map_err(doing("storing"))?;
        }
        app.shutdown(Duration::ZERO).await;
        Ok(start)
    }

    fn spawn(&self) -> Result<WorkerProcess> {
        let mut words = vec!["scheduler".to_owned(), "--db".to_owned(), self.db.clone()];
        if self.is_file() {
            words.extend(["--schedulers".to_owned(), self.schedulers.to_string()]);
        }
        WorkerProcess::spawn(WorkerProcess::command(&self.program, &words), &self.dir)
    }

    /// Returns how many were killed, once the last slot is long over.
    fn kill(&self, start: Timestamp) -> Result<u64> {
        let mut random = StdRng::seed_from_u64(self.seed);
        let count = if self.is_file() { 1 } else { self.schedulers.max(1) };
        let mut processes = (0..count).map(|_| self.spawn()).collect::<Result<Vec<_>>>()?;
        for process in &mut processes {
            if !process.wait_until_ready(START) {
                return Err(format!(
                    "a scheduler is not at work; see {}",
                    self.dir.path().display()
                ));
            }
        }
        let until_start = start.since(SystemClock.now());
        std::thread::sleep(until_start);
        let begun = Instant::now();
        let fires_for = Duration::from_secs(u64::from(self.seconds));
        let mut kills = 0;
        while begun.elapsed() + self.kill_every < fires_for {
            let pause = self.kill_every.mul_f64(random.random_range(0.6..1.4));
            std::thread::sleep(pause);
            let at = random.random_range(0..processes.len());
            kills += u64::from(processes[at].kill());
            processes[at] = self.spawn()?;
        }
        // What was killed last is taken up when its lease is over, and then the line has to empty.
        let rest = fires_for.saturating_sub(begun.elapsed()) + LEASE * 2;
        std::thread::sleep(rest);
        self.wait_until_quiet();
        for process in &mut processes {
            process.kill();
        }
        Ok(kills)
    }

    /// Waits while slots still fire.
    fn wait_until_quiet(&self) {
        let name = self.dir.path().join("stderr");
        let size = || std::fs::metadata(&name).map_or(0, |about| about.len());
        let begun = Instant::now();
        let mut before = size();
        while begun.elapsed() < Duration::from_mins(2) {
            std::thread::sleep(LEASE + Duration::from_secs(1));
            let now = size();
            if now == before {
                return;
            }
            before = now;
        }
    }
}

/// Compares the journal with the slots there must have been.
async fn check(
    store: &dyn Store,
    start: Timestamp,
    trial: &Trial,
    outcome: &mut Outcome,
) -> Result<()> {
    let seconds = i64::from(trial.seconds);
    let oracle: BTreeSet<i64> = (0..seconds).map(|n| start.0 + n * 1_000_000).collect();
    let mut slots: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut counts: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    let mut late = Vec::new();
    let mut after = 0;
    loop {
        let events = store.events(None, after, 1000).await.map_err(doing("reading"))?;
        let Some(last) = events.last() else { break };
        after = last.seq;
        for event in &events {
            let of_tree = counts.entry(event.tree.as_str().to_owned()).or_default();
            match event.kind {
                EventKind::SlotFired => {
                    let slot = slot_of(event)?;
                    late.push((event.at.0 - slot) / 1000);
                    slots.entry(event.tree.as_str().to_owned()).or_default().push(slot);
                }
                EventKind::SlotSkipped => {
                    let number = |name: &str| event.detail[name].as_u64().unwrap_or(0);
                    of_tree[0] += number("late") + number("overlapped");
                }
                EventKind::RunStarted => of_tree[1] += 1,
                EventKind::RunFinished => of_tree[2] += 1,
                _ => {}
            }
        }
    }
    outcome.slots = oracle.len() as u64 * u64::from(trial.schedules);
    if slots.len() != trial.schedules as usize {
        let (some, all) = (slots.len(), trial.schedules);
        outcome.violations.push(format!("only {some} of {all} schedules ever fired"));
    }
    for (tree, fired) in &slots {
        let distinct: BTreeSet<i64> = fired.iter().copied().collect();
        let [skipped, runs, ended] = counts.get(tree).copied().unwrap_or_default();
        outcome.fired += fired.len() as u64;
        outcome.skipped += skipped;
        let mut wrong = |what: String| outcome.violations.push(format!("{tree}: {what}"));
        if distinct.len() != fired.len() {
            wrong(format!("{} slots fired twice", fired.len() - distinct.len()));
        }
        if !distinct.is_subset(&oracle) {
            wrong(format!("fired at {:?}, where no slot is", distinct.difference(&oracle).next()));
        }
        if distinct.len() as u64 + skipped != oracle.len() as u64 {
            wrong(format!("{} fired and {skipped} left out of {}", distinct.len(), oracle.len()));
        }
        if runs != fired.len() as u64 || ended != runs {
            wrong(format!("{} slots fired, {runs} runs began, {ended} ended", fired.len()));
        }
    }
    late.sort_unstable();
    let at = |part: usize| late.get(late.len() * part / 100).copied().unwrap_or(0);
    outcome.late_ms = (at(50), at(99));
    Ok(())
}

fn slot_of(event: &TaskEvent) -> Result<i64> {
    let text = event.detail["slot"].as_str().ok_or("a slot without a moment")?;
    text.parse::<Timestamp>().map(|slot| slot.0).map_err(doing("reading a slot"))
}

/// The process that is killed: a worker, and one scheduler or several.
pub async fn be_a_scheduler(words: &[String]) -> ExitCode {
    std::thread::spawn(|| {
        // Whoever started the process holds the other end; when that is gone, so is the process.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    match schedule(Words::new(words)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

async fn schedule(mut words: Words) -> Result<()> {
    let db: String = words.value("db")?.ok_or("--db is missing: the address of the database")?;
    let schedulers = words.value("schedulers")?.unwrap_or(1_usize);
    words.nothing_is_left()?;
    let config = EngineConfig { lease: LEASE, slots: 64, ..EngineConfig::default() };
    let mut app = App::builder()
        .database(&db)
        .engine(config)
        .register(|registry| {
            registry.function(TICK, "Does nothing.", |_: Nothing, _| async { Ok(Nothing {}) });
        })
        .open()
        .await
        .map_err(doing("opening"))?;
    app.work();
    let all: Vec<_> = (0..schedulers.max(1))
        .map(|_| Arc::new(app.engine().schedule(SchedulerConfig::default())))
        .collect();
    let _ = writeln!(std::io::stdout(), "ready");
    let _ = std::io::stdout().flush();
    let name = SystemIds.next();
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let fired: u64 = all.iter().map(|it| it.stats().fired).sum();
        if fired != before {
            // Whoever waits for silence sees that there is none yet.
            let _ = writeln!(std::io::stderr(), "{name} fired {fired}");
            before = fired;
        }
    }
}
