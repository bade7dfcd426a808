//! The store as schedulers see it: their jobs in the committer's queue, and schedules for readers.

use std::collections::HashMap;

use apflow_core::{
    firing::Standing,
    id::TaskId,
    store::{
        Backfill, Backfilled, DrivenRun, Fire, Fired, Page, ScheduleFilter, ScheduleStore,
        StoreError,
    },
    task::Record,
    time::Timestamp,
};
use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    committer::{Answer, Job},
    read::Reads,
    rows::Rows,
    steps::{Effects, schedule},
    store::{Database, records},
};

/// What is wanted of schedules, and where to send the answer.
pub(crate) enum ScheduleJob {
    Fire(Fire, Answer<Fired>),
    Init(TaskId, Option<Timestamp>, Answer<()>),
    Complete(DrivenRun, Answer<()>),
    Backfill(Backfill, Answer<Backfilled>),
}

impl ScheduleJob {
    /// It has a transaction to itself: it locks many submissions in order, and beside others that
    /// locked some before it might wait for somebody who waits for it.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self, Self::Fire(..))
    }

    pub(crate) fn fail(self, error: StoreError) {
        // A caller that went away needs no answer.
        match self {
            Self::Fire(_, to) => drop(to.send(Err(error))),
            Self::Init(_, _, to) | Self::Complete(_, to) => drop(to.send(Err(error))),
            Self::Backfill(_, to) => drop(to.send(Err(error))),
        }
    }

    pub(crate) async fn carry_out(
        &self,
        rows: &mut dyn Rows,
    ) -> Result<(ScheduleCame, Effects), StoreError> {
        Ok(match self {
            Self::Fire(wish, _) => {
                let (fired, effects) = schedule::fire(rows, wish).await?;
                (ScheduleCame::Fired(fired), effects)
            }
            Self::Init(task, from, _) => {
                (ScheduleCame::Done, schedule::init(rows, task, *from).await?)
            }
            Self::Complete(run, _) => (ScheduleCame::Done, schedule::complete(rows, run).await?),
            Self::Backfill(wish, _) => {
                let (slots, effects) = schedule::backfill(rows, wish).await?;
                (ScheduleCame::Backfilled(slots), effects)
            }
        })
    }
}

/// What came of it.
pub(crate) enum ScheduleCame {
    Fired(Fired),
    Backfilled(Backfilled),
    Done,
}

impl ScheduleCame {
    /// Answers the caller; gives the job back if the answer is not its own.
    pub(crate) fn send(self, job: ScheduleJob) -> Option<ScheduleJob> {
        match (job, self) {
            (ScheduleJob::Fire(_, to), Self::Fired(came)) => drop(to.send(Ok(came))),
            (ScheduleJob::Backfill(_, to), Self::Backfilled(came)) => drop(to.send(Ok(came))),
            (ScheduleJob::Init(_, _, to) | ScheduleJob::Complete(_, to), Self::Done) => {
                drop(to.send(Ok(())));
            }
            (job, _) => return Some(job),
        }
        None
    }
}

#[async_trait]
impl<R: Reads> ScheduleStore for Database<R> {
    async fn fire(&self, wish: Fire) -> Result<Fired, StoreError> {
        self.ask(|to| Job::Schedule(Box::new(ScheduleJob::Fire(wish, to)))).await
    }

    async fn scheduled(
        &self,
        filter: &ScheduleFilter,
        page: Page,
    ) -> Result<Vec<Record>, StoreError> {
        let found = records(self.reads.scheduled(filter, page).await?)?;
        self.with_schedules(found).await
    }

    async fn init_schedule(
        &self,
        task: &TaskId,
        from: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.ask(|to| Job::Schedule(Box::new(ScheduleJob::Init(task.clone(), from, to)))).await
    }

    async fn complete_run(&self, run: DrivenRun) -> Result<(), StoreError> {
        self.ask(|to| Job::Schedule(Box::new(ScheduleJob::Complete(run, to)))).await
    }

    async fn backfill(&self, wish: Backfill) -> Result<Backfilled, StoreError> {
        self.ask(|to| Job::Schedule(Box::new(ScheduleJob::Backfill(wish, to)))).await
    }

    fn schedule_changes(&self) -> watch::Receiver<u64> {
        self.signals.schedules.subscribe()
    }
}

impl<R: Reads> Database<R> {
    /// The same records with where their schedules stand; nothing is read where there are none.
    pub(crate) async fn with_schedules(
        &self,
        mut records: Vec<Record>,
    ) -> Result<Vec<Record>, StoreError> {
        let tasks: Vec<i64> = records
            .iter()
            .filter(|record| record.definition.schedule.schedule_type.is_some())
            .map(|record| record.task.seq.0)
            .collect();
        if tasks.is_empty() {
            return Ok(records);
        }
        let standings: HashMap<i64, Standing> =
            self.reads.standings(&tasks).await?.into_iter().collect();
        for record in &mut records {
            if let Some(standing) = standings.get(&record.task.seq.0) {
                standing.show(&mut record.definition.schedule);
            }
        }
        Ok(records)
    }
}
