//! Kills and stops workers at random moments until it was done often enough, then lets them finish.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use apflow::{
    core::store::{Store, TaskFilter},
    prelude::*,
    storage::OpenOptions,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{
    Result,
    check::{Evidence, Faults, Findings, check},
    doing,
    log::RunDir,
    plan::Plan,
    postgres::Server,
    process::WorkerProcess,
    worker::WorkerOptions,
};

/// What to do to whom.
#[derive(Debug)]
pub struct Siege {
    /// The program that plays the worker.
    pub program: PathBuf,
    /// What each worker is told; the first one also submits.
    pub worker: WorkerOptions,
    /// Workers at the same time.
    pub workers: usize,
    /// Workers to kill.
    pub kills: u64,
    /// Workers to stop for longer than a lease.
    pub stops: u64,
    /// Times to kill the database server, spread over the kills.
    pub crashes: u64,
    /// How long a worker is left alone at least and at most.
    pub pause: (Duration, Duration),
    /// How long the rest may take once nobody is killed any more.
    pub patience: Duration,
}

/// How long a worker may take to come to work.
const START: Duration = Duration::from_secs(30);

/// A worker and until when it is stopped.
struct Place {
    process: WorkerProcess,
    stopped_until: Option<Instant>,
}

impl Siege {
    /// A siege of one worker on SQLite, or of three on PostgreSQL.
    pub fn new(program: PathBuf, db: String, dir: RunDir, seed: u64) -> Self {
        let shared = db.starts_with("postgres");
        let ms = Duration::from_millis;
        Self {
            program,
            worker: WorkerOptions {
                db,
                dir,
                plan: Plan { seed, diamonds: false, longest: ms(20) },
                trees: None,
                submits: true,
                once: false,
                slots: 4,
                lease: ms(2000),
                durability: Durability::Strict,
                zombie: false,
                unfenced: false,
                pad: 0,
            },
            workers: if shared { 3 } else { 1 },
            kills: 0,
            stops: 0,
            crashes: 0,
            pause: if shared { (ms(30), ms(90)) } else { (ms(30), ms(120)) },
            patience: Duration::from_mins(1),
        }
    }

    /// Puts a zombie into every worker: some attempts go on for longer than their lease, while
    /// another engine has the task.
    pub fn haunt(&mut self) {
        self.worker.zombie = true;
        self.worker.lease = Duration::from_millis(300);
        self.worker.plan.longest = Duration::from_millis(600);
        self.worker.trees = Some(30);
    }

    /// Does it, waits for the rest to be done, and checks what is left.
    pub async fn lay(&self, mut server: Option<&mut Server>) -> Result<Findings> {
        let mut random = StdRng::seed_from_u64(self.worker.plan.seed);
        let mut places =
            (0..self.workers).map(|at| self.start(at)).collect::<Result<Vec<Place>>>()?;
        let mut done = Faults {
            slots: u64::from(self.worker.slots),
            workers: self.workers as u64,
            zombies: self.worker.zombie,
            ..Faults::default()
        };
        let mut crashed_at = 0;
        while done.kills < self.kills || done.stops < self.stops || done.crashes < self.crashes {
            wake(&mut places);
            let mut at = random.random_range(0..places.len());
            if at == 0 && random.random_bool(0.5) {
                // The one that submits is spared now and then, or there would be nothing to do.
                at = random.random_range(0..places.len());
            }
            if places[at].stopped_until.is_some() {
                if places.iter().all(|place| place.stopped_until.is_some()) {
                    thread::sleep(Duration::from_millis(5));
                }
                continue;
            }
            // Now and then it does not even get to work.
            if random.random_bool(0.9) {
                self.wait_until_ready(&mut places[at])?;
            }
            let (least, most) = self.pause;
            thread::sleep(random.random_range(least..=most));
            // Stops and crashes are spread evenly between the kills.
            let due = |of: u64| of * (done.kills + 1) / (self.kills + 1).max(1);
            let overdue = done.kills >= self.kills;
            if done.crashes < self.crashes && (overdue || done.crashes < due(self.crashes)) {
                if let Some(server) = server.as_deref_mut() {
                    self.wait_for_trees(&mut crashed_at)?;
                    server.crash()?;
                }
                done.crashes += 1;
            } else if done.stops < self.stops
                && (overdue || done.stops < due(self.stops))
                && places.iter().all(|place| place.stopped_until.is_none())
            {
                // One at a time, and not the one that submits if there are others: somebody has
                // to be there to take up what it holds.
                let at = if at == 0 { places.len() - 1 } else { at };
                self.wait_until_ready(&mut places[at])?;
                self.wait_until_busy(&places[at]);
                places[at].process.stop();
                let stop = self.worker.lease.mul_f64(random.random_range(1.1..2.0));
                places[at].stopped_until = Some(Instant::now() + stop);
                done.stops += 1;
            } else if !overdue {
                if !places[at].process.kill() {
                    return Err(self.why_not_alive(&mut places[at]));
                }
                done.kills += 1;
                places[at] = self.start(at)?;
            }
        }
        self.worker.dir.say_enough()?;
        while places.iter().any(|place| place.stopped_until.is_some()) {
            wake(&mut places);
            thread::sleep(Duration::from_millis(5));
        }
        for place in &mut places {
            self.wait_until_ready(place)?;
        }
        self.wait_until_done(places[0].process.id()).await;
        drop(places);
        self.find(done).await
    }

    /// Reads what is left and checks it; a database that is a file also has to be sound.
    pub async fn find(&self, done: Faults) -> Result<Findings> {
        let WorkerOptions { db, dir, plan, .. } = &self.worker;
        let mut findings = check(&Evidence::read(db, dir, *plan, done).await?);
        if let Some(path) = db.strip_prefix("sqlite:") {
            let broken = unsound(path).await?;
            findings.violations.extend(broken);
        }
        Ok(findings)
    }

    /// Waits until there is something to lose: a few trees more than when it was last asked.
    fn wait_for_trees(&self, before: &mut u64) -> Result<()> {
        let begun = Instant::now();
        while self.worker.dir.acknowledged() < *before + 5 {
            if begun.elapsed() > START {
                return Err("nothing is submitted any more".to_owned());
            }
            thread::sleep(Duration::from_millis(5));
        }
        *before = self.worker.dir.acknowledged();
        Ok(())
    }

    /// A pause tells something only if it comes in the middle of a task.
    fn wait_until_busy(&self, place: &Place) {
        let begun = Instant::now();
        while !self.worker.dir.is_busy(place.process.id())
            && begun.elapsed() < Duration::from_millis(500)
        {
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn start(&self, at: usize) -> Result<Place> {
        let mut options = self.worker.clone();
        options.submits = at == 0;
        let command = WorkerProcess::command(&self.program, &options.arguments());
        Ok(Place { process: WorkerProcess::spawn(command, &options.dir)?, stopped_until: None })
    }

    fn wait_until_ready(&self, place: &mut Place) -> Result<()> {
        if place.process.wait_until_ready(START) {
            return Ok(());
        }
        Err(self.why_not_alive(place))
    }

    /// What a worker that ended by itself, or never came to work, said.
    fn why_not_alive(&self, place: &mut Place) -> String {
        let stderr = self.worker.dir.path().join("stderr");
        let said = std::fs::read_to_string(stderr).unwrap_or_default();
        let from = said.char_indices().rev().nth(1500).map_or(0, |(at, _)| at);
        let ended = place.process.ended();
        format!("a worker is not at work ({ended:?}); the last it said: {}", &said[from..])
    }

    /// Waits until every task has ended; if that takes too long, the check will say what is left.
    ///
    /// `submitter` is the process that submits: nothing is done before it has nothing more to submit.
    pub async fn wait_until_done(&self, submitter: u32) {
        let begun = Instant::now();
        let mut store: Option<std::sync::Arc<dyn Store>> = None;
        let open = TaskFilter {
            statuses: vec![Status::Pending, Status::InProgress],
            ..TaskFilter::default()
        };
        while begun.elapsed() < self.patience {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if !self.worker.dir.has_submitted(submitter) {
                continue;
            }
            if store.is_none() {
                let options = OpenOptions { read_only: true, ..OpenOptions::default() };
                store = apflow::storage::open(&self.worker.db, options).await.ok();
            }
            let Some(store) = &store else { continue };
            if store.count(&open).await.is_ok_and(|counts| counts.total() == 0) {
                return;
            }
        }
    }
}

/// Lets those go on whose time is over.
fn wake(places: &mut [Place]) {
    for place in places {
        if place.stopped_until.is_some_and(|until| until <= Instant::now()) {
            place.process.go_on();
            place.stopped_until = None;
        }
    }
}

/// What SQLite itself finds wrong with a file.
pub(super) async fn unsound(path: &str) -> Result<Vec<super::check::Violation>> {
    use sqlx::Connection as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options)
        .await
        .map_err(doing("opening the file to check it"))?;
    let said: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_all(&mut connection)
        .await
        .map_err(doing("checking the file"))?;
    connection.close().await.map_err(doing("closing the file"))?;
    let wrong = said.into_iter().filter(|line| line != "ok");
    Ok(wrong.map(|what| super::check::Violation { rule: "file", what }).collect())
}
