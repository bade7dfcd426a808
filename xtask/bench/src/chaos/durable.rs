//! Kills a durable step at each of its writes and compares what comes of it with an undisturbed run.

use std::path::{Path, PathBuf};

use apflow::{prelude::Durability, storage::OpenOptions};
use sqlx::Connection as _;

use super::{
    Result,
    check::Violation,
    doing,
    log::RunDir,
    outcome::Outcome,
    siege::unsound,
    strace::{Point, Traced},
    subject::{Subject, SubjectOptions},
};

/// One subject, run again and again, each time killed one write later.
#[derive(Debug)]
pub struct Durable {
    /// What is run.
    pub subject: Subject,
    /// The program that plays the worker.
    pub program: PathBuf,
    /// Where each run gets a directory of its own.
    pub place: PathBuf,
    /// When a write is acknowledged.
    pub durability: Durability,
}

/// What an undisturbed run writes and leaves behind.
#[derive(Debug)]
pub struct Undisturbed {
    /// Its writes.
    pub points: Vec<Point>,
    /// What it left.
    pub outcome: Outcome,
}

/// What came of a run that was killed.
#[derive(Debug)]
pub struct Killed {
    /// It came to that write, and no further.
    pub killed: bool,
    /// Attempts that were lost by it.
    pub lost: u32,
    /// Where it differs from the undisturbed run.
    pub violations: Vec<Violation>,
}

impl Durable {
    /// Runs it without a kill.
    pub async fn undisturbed(&self) -> Result<Undisturbed> {
        let (traced, db) = self.traced("undisturbed").await?;
        let points = traced.points()?;
        let outcome = Outcome::read(&db).await?;
        let wrong = outcome.wrong();
        match wrong.first() {
            Some(violation) => {
                Err(format!("an undisturbed {} is no measure: {violation}", self.subject.as_str()))
            }
            None => Ok(Undisturbed { points, outcome }),
        }
    }

    /// Kills a run at one write, starts it again, and compares.
    pub async fn kill_at(&self, point: &Point, undisturbed: &Undisturbed) -> Result<Killed> {
        let (traced, db) = self.traced(&point.to_string().replace(' ', "-")).await?;
        let killed = traced.kill_at(point)?;
        let outcome = Outcome::read(&db).await?;
        let mut violations = outcome.differs_from(&undisturbed.outcome);
        if let Some(path) = db.strip_prefix("sqlite:") {
            violations.extend(unsound(path).await?);
        }
        if violations.is_empty() {
            // Hundreds of runs leave hundreds of files; those that tell nothing may go.
            let _ = std::fs::remove_dir_all(traced.dir.path());
        }
        Ok(Killed { killed, lost: outcome.lost, violations })
    }

    /// A run on an empty database that has its tables: how those come to be is the diamond's matter.
    async fn traced(&self, name: &str) -> Result<(Traced, String)> {
        let place = self.place.join(format!("{}-{name}", self.subject.as_str()));
        let dir = RunDir::at(&place)?;
        let empty = self.place.join("empty.db");
        if !empty.exists() {
            make_empty(&self.place, &empty).await?;
        }
        let file = place.join("a.db");
        std::fs::copy(&empty, &file).map_err(doing("copying the empty database"))?;
        let db = format!("sqlite:{}", file.display());
        let (subject, durability) = (self.subject, self.durability);
        let options = SubjectOptions { subject, db: db.clone(), dir: dir.clone(), durability };
        let program = self.program.clone();
        Ok((Traced { program, arguments: options.arguments(), dir }, db))
    }
}

/// Makes a database with all its tables and nothing in them, in one file that nobody has open.
async fn make_empty(place: &Path, empty: &Path) -> Result<()> {
    let first = place.join("first.db");
    let url = format!("sqlite:{}", first.display());
    let store = apflow::storage::open(&url, OpenOptions::default()).await;
    drop(store.map_err(doing("making an empty database"))?);
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&first);
    let mut connection = sqlx::SqliteConnection::connect_with(&options)
        .await
        .map_err(doing("opening the empty database"))?;
    sqlx::query("VACUUM INTO $1")
        .bind(empty.display().to_string())
        .execute(&mut connection)
        .await
        .map_err(doing("writing the empty database"))?;
    connection.close().await.map_err(doing("closing the empty database"))
}
