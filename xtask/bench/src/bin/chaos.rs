//! Kills real processes and checks what is left; docs/guides/chaos.md says what the numbers mean.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a report")]

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use apflow::{
    core::{schedule, testing::Sweep},
    prelude::Durability,
};
use apflow_bench::chaos::{
    Result,
    check::Findings,
    durable::Durable,
    log::RunDir,
    postgres::Server,
    schedules::{self, Trial},
    siege::Siege,
    steps::Steps,
    subject::{self, Subject, SubjectOptions},
    words::Words,
    worker::{self, WorkerOptions},
};

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (first, rest) = match words.split_first() {
        Some((first, rest)) if !first.starts_with("--") => (first.as_str(), rest),
        _ => ("", &words[..]),
    };
    let outcome = match first {
        "worker" => match WorkerOptions::read(rest) {
            Ok(options) => return worker::work(options).await,
            Err(error) => Err(error),
        },
        "subject" => match SubjectOptions::read(rest) {
            Ok(options) => return subject::work(&options).await,
            Err(error) => Err(error),
        },
        "run" => run(Words::new(rest)).await,
        "steps" => steps(Words::new(rest)).await,
        "durable" => durable(Words::new(rest)).await,
        "calendar" => calendar(Words::new(rest)),
        "schedules" => schedules(Words::new(rest)).await,
        "scheduler" => return schedules::be_a_scheduler(rest).await,
        "" => both(Words::new(rest)).await,
        other => Err(format!(
            "`{other}` is none of `run`, `steps`, `durable`, `calendar`, `schedules` and `worker`; \
             see docs/guides/chaos.md"
        )),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::from(2)
        }
    }
}

/// Rounds on one database; true if nothing was broken.
async fn run(mut words: Words) -> Result<bool> {
    let db: String = words.value("db")?.unwrap_or_else(|| "sqlite".to_owned());
    let wish = Wish::read(&mut words)?;
    words.nothing_is_left()?;
    wish.rounds(&db).await
}

/// Half of the time on each database.
async fn both(mut words: Words) -> Result<bool> {
    let mut wish = Wish::read(&mut words)?;
    words.nothing_is_left()?;
    if wish.time.is_zero() {
        wish.time = Duration::from_mins(10);
    }
    wish.time /= 2;
    let sqlite = wish.rounds("sqlite").await?;
    Ok(wish.rounds("postgres").await? && sqlite)
}

/// What the command line asks for.
struct Wish {
    kills: u64,
    stops: Option<u64>,
    crashes: Option<u64>,
    time: Duration,
    seed: u64,
    durability: Durability,
    zombie: bool,
    unfenced: bool,
}

impl Wish {
    fn read(words: &mut Words) -> Result<Self> {
        Ok(Self {
            kills: words.value("kills")?.unwrap_or(200),
            stops: words.value("stops")?,
            crashes: words.value("crashes")?,
            time: Duration::from_secs(words.value("seconds")?.unwrap_or(0)),
            seed: words.value("seed")?.unwrap_or_else(|| u64::from(rand::random::<u32>())),
            durability: words.durability(),
            zombie: words.flag("zombie"),
            unfenced: words.flag("unfenced"),
        })
    }

    /// One round, or as many as the time allows, each with its own number and a fresh database.
    async fn rounds(&self, db: &str) -> Result<bool> {
        let begun = Instant::now();
        let (mut kills, mut tasks, mut broken) = (0, 0, 0);
        for round in 0.. {
            let seed = self.seed + round;
            let (findings, killed) = self.round(db, seed).await?;
            (kills, tasks) = (kills + killed, tasks + findings.tasks);
            let bad = !findings.violations.is_empty()
                || (self.kills > 0 && findings.too_quiet().is_some());
            broken += u64::from(bad);
            if bad {
                println!("  to repeat: {}", self.again(db, seed));
            }
            if begun.elapsed() >= self.time {
                break;
            }
        }
        println!(
            "{db}: {kills} kills, {tasks} tasks, {broken} rounds with a violation, {:.0} s",
            begun.elapsed().as_secs_f64()
        );
        if broken == 0 && kills > 0 {
            println!("  0 in {kills}: below {:.3} % at 95 % confidence", 300.0 / kills as f64);
        }
        Ok(broken == 0)
    }

    /// The command that repeats one round; the moments differ, the trees and the choices do not.
    fn again(&self, db: &str, seed: u64) -> String {
        let mut command =
            format!("cargo xtask chaos run --db {db} --kills {} --seed {seed}", self.kills);
        let numbers = [("stops", self.stops), ("crashes", self.crashes)];
        for (name, number) in numbers {
            command += &number.map_or_else(String::new, |number| format!(" --{name} {number}"));
        }
        let relaxed = self.durability == Durability::Relaxed;
        for (flag, on) in
            [(" --relaxed", relaxed), (" --zombie", self.zombie), (" --unfenced", self.unfenced)]
        {
            command += if on { flag } else { "" };
        }
        command
    }

    /// One round: what was found, and how many were killed.
    async fn round(&self, db: &str, seed: u64) -> Result<(Findings, u64)> {
        let place = tempfile::tempdir().map_err(|error| format!("a directory: {error}"))?;
        let dir = RunDir::at(place.path().join("run"))?;
        let shared = match db {
            "postgres" => true,
            "sqlite" => false,
            other => return Err(format!("--db cannot be `{other}`; write sqlite or postgres")),
        };
        let mut server = if shared { Some(Server::start()?) } else { None };
        let url = match &server {
            Some(server) => server.url(),
            None => format!("sqlite:{}", place.path().join("a.db").display()),
        };
        let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
        let mut siege = Siege::new(program, url, dir, seed);
        siege.kills = self.kills;
        siege.stops =
            self.stops.unwrap_or(if shared { self.kills.div_ceil(20) } else { self.kills / 50 });
        // Relaxed, a server that is killed may take the last moments with it: that is the bargain.
        let crashes = if self.durability == Durability::Strict { self.kills / 100 } else { 0 };
        siege.crashes = if shared { self.crashes.unwrap_or(crashes) } else { 0 };
        siege.worker.durability = self.durability;
        siege.worker.unfenced = self.unfenced;
        if self.zombie {
            siege.haunt();
        }
        println!(
            "{db} {:?}, seed {seed}: {} kills, {} stops, {} crashes of the server",
            self.durability, siege.kills, siege.stops, siege.crashes
        );
        let findings = siege.lay(server.as_mut()).await?;
        print!("{findings}");
        if let Some(why) = findings.too_quiet() {
            println!("  proves little: {why}");
        }
        Ok((findings, siege.kills))
    }
}

/// Kills schedulers while they fire; true if every slot fired once or was counted as left out.
async fn schedules(mut words: Words) -> Result<bool> {
    let db: Option<String> = words.value("db")?;
    let schedulers = words.value("schedulers")?.unwrap_or(5);
    let slots = words.value("schedules")?.unwrap_or(500);
    let seconds = words.value("seconds")?.unwrap_or(300);
    let kill_every = Duration::from_millis(words.value("kill-every-ms")?.unwrap_or(5000));
    let seed = words.value("seed")?.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    words.nothing_is_left()?;
    let mut sound = true;
    for name in ["sqlite", "postgres"] {
        if db.as_deref().is_some_and(|db| db != name) {
            continue;
        }
        let place = tempfile::tempdir().map_err(|error| format!("a directory: {error}"))?;
        let server = if name == "postgres" { Some(Server::start()?) } else { None };
        let db = match &server {
            Some(server) => server.url(),
            None => format!("sqlite:{}", place.path().join("a.db").display()),
        };
        let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
        let dir = RunDir::at(place.path().join("run"))?;
        let trial =
            Trial { program, db, dir, schedulers, schedules: slots, seconds, kill_every, seed };
        println!(
            "{name}, seed {seed}: {schedulers} schedulers, {slots} slots a second for \
             {seconds} s, a kill every {} ms",
            kill_every.as_millis()
        );
        let outcome = trial.run().await?;
        print!("{outcome}");
        sound &= outcome.violations.is_empty() && outcome.fired > 0;
    }
    Ok(sound)
}

/// Follows schedules around every change of every zone's clock; true if all slots were right.
fn calendar(mut words: Words) -> Result<bool> {
    let from = words.value("from")?.unwrap_or(2024);
    let to = words.value("to")?.unwrap_or(2030);
    let every = words.value("every")?.unwrap_or(1);
    words.nothing_is_left()?;
    let begun = Instant::now();
    let sweep = Sweep::run(every, &[], from, to);
    println!(
        "{from} to {to}, time zone data {}: {} zones, {} changes of the clock ({} gaps, {} overlaps)",
        schedule::tzdata_version(),
        sweep.zones,
        sweep.changes,
        sweep.gaps,
        sweep.overlaps
    );
    println!(
        "{} expressions, {} slots expected, {} mismatches, {:.0} s",
        sweep.expressions,
        sweep.slots,
        sweep.mismatches,
        begun.elapsed().as_secs_f64()
    );
    for told in &sweep.told {
        println!("  {told}");
    }
    Ok(sweep.mismatches == 0 && sweep.changes > 0)
}

/// Kills one diamond at every write there is.
async fn steps(mut words: Words) -> Result<bool> {
    let durability = words.durability();
    let every: u64 = words.value("every")?.unwrap_or(1);
    words.nothing_is_left()?;
    let place = tempfile::tempdir().map_err(|error| format!("a directory: {error}"))?;
    let program: PathBuf =
        std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let steps = Steps { program, place: place.path().to_owned(), durability };
    let (points, mut killed, mut broken) = (steps.points()?, 0, 0);
    let every = usize::try_from(every.max(1)).map_err(|error| format!("--every: {error}"))?;
    for point in points.iter().step_by(every) {
        let step = steps.kill_at(point).await?;
        killed += u64::from(step.killed);
        broken += step.findings.violations.len();
        for violation in &step.findings.violations {
            println!("killed at {point}: {violation}");
        }
    }
    println!(
        "one diamond makes {} writes; killed at {killed} of them, {broken} violations",
        points.len()
    );
    Ok(broken == 0)
}

/// Kills every durable step, or one, at every write there is.
async fn durable(mut words: Words) -> Result<bool> {
    let durability = words.durability();
    let every: usize = words.value("every")?.unwrap_or(1);
    let only: Option<String> = words.value("subject")?;
    words.nothing_is_left()?;
    let subjects = match &only {
        None => Subject::ALL.to_vec(),
        Some(name) => vec![
            Subject::parse(name)
                .ok_or_else(|| format!("`{name}` is no subject; see docs/guides/chaos.md"))?,
        ],
    };
    let place = tempfile::tempdir().map_err(|error| format!("a directory: {error}"))?;
    let program: PathBuf =
        std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let mut sound = true;
    for subject in subjects {
        let (program, place) = (program.clone(), place.path().to_owned());
        let durable = Durable { subject, program, place, durability };
        let undisturbed = durable.undisturbed().await?;
        let (mut killed, mut lost, mut broken) = (0, 0, 0);
        for point in undisturbed.points.iter().step_by(every.max(1)) {
            let came = durable.kill_at(point, &undisturbed).await?;
            killed += u64::from(came.killed);
            lost += came.lost;
            broken += came.violations.len();
            for violation in &came.violations {
                println!("{}, killed at {point}: {violation}", subject.as_str());
            }
        }
        println!(
            "{}: {} tasks, {} writes; killed at {killed} of them, {lost} attempts lost, {broken} \
             violations",
            subject.as_str(),
            undisturbed.outcome.tasks(),
            undisturbed.points.len(),
        );
        sound &= broken == 0 && killed > 0;
    }
    Ok(sound)
}
