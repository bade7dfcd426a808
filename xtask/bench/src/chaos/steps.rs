//! Kills a worker at its n-th write to disk, for one n after the other, while it runs a diamond.

use std::{path::PathBuf, time::Duration};

use apflow::prelude::Durability;

use super::{
    Result,
    check::{Faults, Findings},
    log::RunDir,
    plan::Plan,
    siege::Siege,
    strace::{Point, Traced},
};

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
        self.traced(&self.siege("undisturbed")?).points()
    }

    /// Kills a run at one write, starts it again, and checks what comes of it.
    pub async fn kill_at(&self, point: &Point) -> Result<Step> {
        let siege = self.siege(&point.to_string().replace(' ', "-"))?;
        let killed = self.traced(&siege).kill_at(point)?;
        let slots = u64::from(siege.worker.slots);
        let done = Faults { kills: u64::from(killed), slots, workers: 1, ..Faults::default() };
        Ok(Step { killed, findings: siege.find(done).await? })
    }

    fn siege(&self, name: &str) -> Result<Siege> {
        let place = self.place.join(name);
        let dir = RunDir::at(&place)?;
        let db = format!("sqlite:{}", place.join("a.db").display());
        let mut siege = Siege::new(self.program.clone(), db, dir, 1);
        siege.worker.plan = Plan { seed: 1, diamonds: true, longest: Duration::from_millis(2) };
        siege.worker.trees = Some(1);
        siege.worker.once = true;
        siege.worker.durability = self.durability;
        Ok(siege)
    }

    fn traced(&self, siege: &Siege) -> Traced {
        let program = self.program.clone();
        Traced { program, arguments: siege.worker.arguments(), dir: siege.worker.dir.clone() }
    }
}
