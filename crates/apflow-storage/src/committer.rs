//! Group commit: whatever waits goes into one transaction, and each caller is answered once it is
//! durable. An idle committer commits at once, a busy one batches by itself; nobody waits for a timer.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use apflow_core::{
    channel,
    derive::Derive,
    id::{Ids, Seq, TaskId},
    store::{
        CallbackClaim, CallbackReport, Callbacks, Cancel, CancelAnswer, Claim, Idempotency,
        Inserted, NewCheckpoint, Patch, Refusal, Renewal, Settled, Settlement, Signal, Start,
        Started, StoreError, Submission,
    },
    time::Timestamp,
};
use async_trait::async_trait;
use tokio::sync::{Notify, broadcast, oneshot, watch};

use crate::{
    access::{self, AccessCame, AccessJob},
    channel::ChannelJob,
    error::is_out_of_reach,
    flow::{self, FlowCame, FlowJob},
    history_rows::{self, HistoryJob},
    keep::{self, KeepCame, KeepJob},
    rows::Rows,
    schedule::{ScheduleCame, ScheduleJob},
    steps::{self, Derivation, Effects},
    waits::{WaitCame, WaitJob},
};

/// How many tasks one transaction stores, and how many jobs it takes up, at the most.
const MAX_TASKS: usize = 5_000;
const MAX_JOBS: usize = 512;

/// How many jobs of callers may wait unless it is said otherwise, and how many tasks in them. Beyond
/// that callers are told to come later, since a longer queue would only make each of them wait longer.
const MAX_WAITING: usize = 4_096;
const MAX_WAITING_TASKS: usize = 200_000;

/// Whether a worker is known to be dead.
pub(crate) type IsDead = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What a caller wants done, and where to send the answer.
pub(crate) enum Job {
    Insert(Box<Submission>, Answer<Inserted>),
    Settle(Vec<Settlement>, Option<Claim>, Answer<Settled>),
    Renew(Vec<Renewal>, Duration, Answer<Vec<Refusal>>),
    Lapse(u32, Answer<u32>),
    Recover(IsDead, Answer<u32>),
    Start(Start, Option<Idempotency>, Answer<Started>),
    Derive(Box<Derive>, Arc<dyn Ids>, Answer<Derivation>),
    Cancel(Vec<Cancel>, Answer<Vec<CancelAnswer>>),
    Update(TaskId, Box<Patch>, Answer<()>),
    Delete(TaskId, Answer<u32>),
    Prune(Timestamp, u32, Answer<u64>),
    Schedule(Box<ScheduleJob>),
    Access(AccessJob, Answer<AccessCame>),
    History(HistoryJob, Answer<u64>),
    Flow(FlowJob, Answer<FlowCame>),
    Wait(Box<WaitJob>, Answer<WaitCame>),
    ForgetKeys(Duration, u32, Answer<u64>),
    Callbacks(Vec<CallbackReport>, Option<CallbackClaim>, Answer<Callbacks>),
    FreeCallbacks(IsDead, Answer<u32>),
    Keep(KeepJob),
    Channel(Box<ChannelJob>, Answer<ChannelAnswer>),
}

/// What came of one operation on a channel; a refusal concerns nobody else.
pub(crate) type ChannelAnswer = Result<channel::Answer, channel::ChannelError>;

/// Where an answer goes.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

impl Job {
    /// Whether it may be refused when too much waits.
    ///
    /// What a worker asks for is bounded by its slots and makes the work less; it always gets in.
    fn may_be_refused(&self) -> bool {
        match self {
            Self::Insert(..)
            | Self::Start(..)
            | Self::Update(..)
            | Self::Delete(..)
            | Self::Derive(..)
            | Self::History(HistoryJob::Drop(_), _)
            | Self::Channel(..)
            | Self::Access(..)
            | Self::Flow(..)
            | Self::Wait(..) => true,
            Self::Cancel(..)
            | Self::Settle(..)
            | Self::Renew(..)
            | Self::Lapse(..)
            | Self::Recover(..)
            | Self::Schedule(..)
            | Self::Prune(..)
            | Self::History(HistoryJob::Trim { .. }, _)
            | Self::ForgetKeys(..)
            | Self::Callbacks(..)
            | Self::FreeCallbacks(..)
            | Self::Keep(..) => false,
        }
    }

    fn tasks(&self) -> usize {
        match self {
            Self::Insert(submission, _) => submission.tasks.len(),
            Self::Settle(batch, next, _) => {
                batch.len() + next.as_ref().map_or(0, |claim| claim.limit as usize)
            }
            _ => 1,
        }
    }

    /// Whether it has a transaction to itself.
    fn is_alone(&self) -> bool {
        matches!(self, Self::Schedule(job) if job.is_alone())
    }

    fn fail(self, error: StoreError) {
        // A caller that went away needs no answer.
        match self {
            Self::Insert(_, to) => drop(to.send(Err(error))),
            Self::Settle(_, _, to) => drop(to.send(Err(error))),
            Self::Renew(_, _, to) => drop(to.send(Err(error))),
            Self::Callbacks(_, _, to) => drop(to.send(Err(error))),
            Self::Lapse(_, to)
            | Self::Recover(_, to)
            | Self::Delete(_, to)
            | Self::FreeCallbacks(_, to) => {
                drop(to.send(Err(error)));
            }
            Self::Start(_, _, to) => drop(to.send(Err(error))),
            Self::Derive(_, _, to) => drop(to.send(Err(error))),
            Self::Cancel(_, to) => drop(to.send(Err(error))),
            Self::Update(_, _, to) => drop(to.send(Err(error))),
            Self::Prune(_, _, to) | Self::ForgetKeys(_, _, to) | Self::History(_, to) => {
                drop(to.send(Err(error)));
            }
            Self::Schedule(job) => job.fail(error),
            Self::Keep(job) => job.fail(error),
            Self::Channel(_, to) => drop(to.send(Err(error))),
            Self::Access(_, to) => drop(to.send(Err(error))),
            Self::Flow(_, to) => drop(to.send(Err(error))),
            Self::Wait(_, to) => drop(to.send(Err(error))),
        }
    }
}

/// Jobs that wait for a transaction.
pub(crate) struct Queue {
    jobs: std::sync::Mutex<Waiting>,
    came: Notify,
    /// So many may wait.
    most: usize,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// How many tasks they are about.
    tasks: usize,
    closed: bool,
}

impl Waiting {
    /// Takes a job in, or says why not.
    fn put(&mut self, job: Job, most: usize) -> Result<(), StoreError> {
        if self.closed {
            return Err(stopped());
        }
        let (waiting, tasks) = (self.jobs.len(), job.tasks());
        // Whatever comes to an empty queue is taken, however large.
        let full = waiting >= most || (waiting > 0 && self.tasks + tasks > MAX_WAITING_TASKS);
        if full && job.may_be_refused() {
            return Err(StoreError::Overloaded { waiting });
        }
        self.tasks += tasks;
        self.jobs.push_back(job);
        Ok(())
    }
}

impl Queue {
    /// A queue in which so many jobs may wait; 0 means the default.
    pub(crate) fn new(most: usize) -> Self {
        let most = if most == 0 { MAX_WAITING } else { most };
        Self { jobs: std::sync::Mutex::default(), came: Notify::new(), most }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // A panic while it is held leaves a queue that is whole: each change is one call.
        self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Puts a job in and waits for its answer.
    pub(crate) async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let (to, answer) = oneshot::channel();
        self.lock().put(job(to), self.most)?;
        self.came.notify_one();
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Takes no more jobs; those that wait are still done.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.came.notify_waiters();
        self.came.notify_one();
    }

    /// The next batch, or none once the queue is closed and empty.
    async fn take(&self) -> Option<Vec<Job>> {
        loop {
            let came = self.came.notified();
            {
                let mut waiting = self.lock();
                if !waiting.jobs.is_empty() {
                    let batch = take_batch(&mut waiting.jobs);
                    waiting.tasks -= batch.iter().map(Job::tasks).sum::<usize>();
                    if !waiting.jobs.is_empty() {
                        self.came.notify_one();
                    }
                    return Some(batch);
                }
                if waiting.closed {
                    self.came.notify_one();
                    return None;
                }
            }
            came.await;
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable { what: "the store is closed".to_owned(), source: None }
}

fn take_batch(jobs: &mut VecDeque<Job>) -> Vec<Job> {
    let mut batch = Vec::new();
    let mut tasks = 0;
    while let Some(job) = jobs.front() {
        tasks += job.tasks();
        let alone = job.is_alone();
        if !batch.is_empty() && (tasks > MAX_TASKS || batch.len() >= MAX_JOBS || alone) {
            break;
        }
        batch.extend(jobs.pop_front());
        if alone {
            break;
        }
    }
    batch
}

/// A connection that transactions run on.
#[async_trait]
pub(crate) trait Transact: Send {
    /// Begins a transaction, on a new connection if the old one is broken.
    async fn begin(&mut self) -> Result<Box<dyn Rows + '_>, StoreError>;
}

/// Where signals go, once a transaction is durable.
#[derive(Clone)]
pub(crate) struct Signals {
    /// Everything but ends of runs.
    pub(crate) all: broadcast::Sender<Signal>,
    /// Ends of runs.
    pub(crate) ends: broadcast::Sender<Signal>,
    /// Counts changes after which a schedule may be due sooner.
    pub(crate) schedules: watch::Sender<u64>,
}

impl Signals {
    /// Channels in which a slow listener may lag behind by so many signals.
    pub(crate) fn new(room: usize) -> Self {
        Self {
            all: broadcast::channel(room).0,
            ends: broadcast::channel(room).0,
            schedules: watch::Sender::new(0),
        }
    }

    /// Lets schedulers look anew.
    pub(crate) fn rescheduled(&self) {
        self.schedules.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Sends a signal where it belongs; nobody may be listening.
    pub(crate) fn send(
        &self,
        signal: Signal,
    ) -> Result<usize, broadcast::error::SendError<Signal>> {
        match signal {
            Signal::Finished(_) => self.ends.send(signal),
            _ => self.all.send(signal),
        }
    }
}

/// Refuses whatever waits once nobody is left to do it, so that no caller waits for ever.
struct LastOrders(Arc<Queue>);

impl Drop for LastOrders {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.closed = true;
        waiting.tasks = 0;
        waiting.jobs.drain(..).for_each(|job| job.fail(stopped()));
    }
}

/// Runs transactions until the queue is closed.
pub(crate) async fn run(
    queue: Arc<Queue>,
    mut connection: impl Transact,
    signals: Signals,
    limits: Limits,
) {
    let _last_orders = LastOrders(Arc::clone(&queue));
    while let Some(batch) = queue.take().await {
        let mut groups = VecDeque::from([batch]);
        while let Some(group) = groups.pop_front() {
            if let Err((group, error)) = commit(&mut connection, group, &signals, limits).await {
                // One bad item never fails its batch: alone, each shows which it is.
                if group.len() > 1 && is_of_the_item(&error) {
                    groups.extend(group.into_iter().map(|job| vec![job]));
                } else {
                    fail_all(group, error);
                }
            }
        }
    }
}

/// How one transaction may be tried again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Times a transaction is tried again that lost against another one.
    pub(crate) conflicts: u32,
}

fn is_of_the_item(error: &StoreError) -> bool {
    !matches!(error, StoreError::Full { .. } | StoreError::Damaged { .. })
        && !is_out_of_reach(error)
}

fn fail_all(group: Vec<Job>, error: StoreError) {
    let mut error = Some(error);
    let last = group.len().saturating_sub(1);
    for (index, job) in group.into_iter().enumerate() {
        let each = match &error {
            Some(known) if index < last => again(known),
            _ => error.take().unwrap_or_else(stopped),
        };
        job.fail(each);
    }
}

/// The same error for one more caller.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full { what } => StoreError::Full { what: what.clone() },
        StoreError::Damaged { what } => StoreError::Damaged { what: what.clone() },
        StoreError::Unavailable { what, .. } => {
            StoreError::Unavailable { what: what.clone(), source: None }
        }
        other => StoreError::Unavailable { what: other.to_string(), source: None },
    }
}

/// Commits a group, or gives it back with the error that undid it.
async fn commit(
    connection: &mut impl Transact,
    group: Vec<Job>,
    signals: &Signals,
    limits: Limits,
) -> Result<(), (Vec<Job>, StoreError)> {
    let mut tries = 0;
    let outcome = loop {
        match transaction(connection, &group).await {
            Err(StoreError::Conflict) if tries < limits.conflicts => tries += 1,
            outcome => break outcome,
        }
    };
    match outcome {
        Ok((answers, effects)) => {
            // Wake first: answering runs the callers.
            tell(signals, effects);
            for (job, answer) in group.into_iter().zip(answers) {
                answer.send(job);
            }
            Ok(())
        }
        Err(error) => Err((group, error)),
    }
}

/// One transaction: all of it, or nothing.
async fn transaction(
    connection: &mut impl Transact,
    jobs: &[Job],
) -> Result<(Vec<Came>, Effects), StoreError> {
    let mut rows = connection.begin().await?;
    match carry_out(rows.as_mut(), jobs).await {
        Ok(done) => rows.commit().await.map(|()| done),
        Err(error) => {
            rows.rollback().await;
            Err(error)
        }
    }
}

/// What came of one job.
pub(crate) enum Came {
    Insert(Result<Inserted, StoreError>),
    Settle(Settled),
    Renew(Vec<Refusal>),
    Number(u32),
    Start(Started),
    Derive(Derivation),
    Cancel(Vec<CancelAnswer>),
    Done,
    Pruned(u64),
    Schedule(ScheduleCame),
    Access(AccessCame),
    Flow(FlowCame),
    Wait(WaitCame),
    Callbacks(Callbacks),
    Keep(KeepCame),
    Channel(ChannelAnswer),
}

impl Came {
    fn send(self, job: Job) {
        // A caller that went away needs no answer.
        match (job, self) {
            (Job::Insert(_, to), Self::Insert(came)) => drop(to.send(came)),
            (Job::Settle(_, _, to), Self::Settle(came)) => drop(to.send(Ok(came))),
            (Job::Renew(_, _, to), Self::Renew(came)) => drop(to.send(Ok(came))),
            (Job::Callbacks(_, _, to), Self::Callbacks(came)) => drop(to.send(Ok(came))),
            (
                Job::Lapse(_, to)
                | Job::Recover(_, to)
                | Job::Delete(_, to)
                | Job::FreeCallbacks(_, to),
                Self::Number(came),
            ) => drop(to.send(Ok(came))),
            (Job::Start(_, _, to), Self::Start(came)) => drop(to.send(Ok(came))),
            (Job::Derive(_, _, to), Self::Derive(came)) => drop(to.send(Ok(came))),
            (Job::Channel(_, to), Self::Channel(came)) => drop(to.send(Ok(came))),
            (Job::Cancel(_, to), Self::Cancel(came)) => drop(to.send(Ok(came))),
            (Job::Update(_, _, to), Self::Done) => drop(to.send(Ok(()))),
            (
                Job::Prune(_, _, to) | Job::ForgetKeys(_, _, to) | Job::History(_, to),
                Self::Pruned(came),
            ) => {
                drop(to.send(Ok(came)));
            }
            (Job::Schedule(job), Self::Schedule(came)) => {
                if let Some(job) = came.send(*job) {
                    job.fail(stopped());
                }
            }
            (Job::Access(_, to), Self::Access(came)) => drop(to.send(Ok(came))),
            (Job::Keep(job), Self::Keep(came)) => job.answer(came),
            (Job::Flow(_, to), Self::Flow(came)) => drop(to.send(Ok(came))),
            (Job::Wait(_, to), Self::Wait(came)) => drop(to.send(Ok(came))),
            (job, _) => job.fail(stopped()),
        }
    }
}

/// Does all jobs of a group in the open transaction: inserts first, then settles, then the rest, and
/// operations on channels last.
async fn carry_out(rows: &mut dyn Rows, jobs: &[Job]) -> Result<(Vec<Came>, Effects), StoreError> {
    let mut came: Vec<Option<Came>> = jobs.iter().map(|_| None).collect();
    let mut effects = Effects::default();

    let (places, submissions): (Vec<usize>, Vec<&Submission>) = jobs
        .iter()
        .enumerate()
        .filter_map(|(at, job)| match job {
            Job::Insert(submission, _) => Some((at, submission.as_ref())),
            _ => None,
        })
        .unzip();
    if !submissions.is_empty() {
        let (answers, more) = steps::insert(rows, &submissions).await?;
        effects.add(more);
        for (at, answer) in places.into_iter().zip(answers) {
            came[at] = Some(Came::Insert(answer));
        }
    }

    let (places, parts): (Vec<usize>, Vec<steps::Part<'_>>) = jobs
        .iter()
        .enumerate()
        .filter_map(|(at, job)| match job {
            Job::Settle(batch, next, _) => Some((at, (batch.as_slice(), next.as_ref()))),
            _ => None,
        })
        .unzip();
    if !parts.is_empty() {
        let (answers, more) = steps::settle(rows, &parts).await?;
        effects.add(more);
        for (at, answer) in places.into_iter().zip(answers) {
            came[at] = Some(Came::Settle(answer));
        }
    }

    let (places, checkpoints): (Vec<usize>, Vec<&NewCheckpoint>) = jobs
        .iter()
        .enumerate()
        .filter_map(|(at, job)| match job {
            Job::Keep(KeepJob::Checkpoint(checkpoint, _)) => Some((at, checkpoint.as_ref())),
            _ => None,
        })
        .unzip();
    if !checkpoints.is_empty() {
        let (answers, more) = steps::keep(rows, &checkpoints).await?;
        effects.add(more);
        for (at, answer) in places.into_iter().zip(answers) {
            came[at] = Some(Came::Keep(KeepCame::Checkpoint(answer)));
        }
    }

    for (at, job) in jobs.iter().enumerate() {
        let (answer, more) = match job {
            Job::Insert(..)
            | Job::Settle(..)
            | Job::Channel(..)
            | Job::Keep(KeepJob::Checkpoint(..)) => continue,
            Job::Renew(batch, lease, _) => {
                (Came::Renew(steps::renew(rows, batch, *lease).await?), Effects::default())
            }
            Job::Lapse(limit, _) => {
                let (count, more) = steps::lapse(rows, *limit).await?;
                (Came::Number(count), more)
            }
            Job::Recover(is_dead, _) => {
                let (count, more) = steps::recover(rows, is_dead.as_ref()).await?;
                (Came::Number(count), more)
            }
            Job::Start(start, promise, _) => {
                let (started, more) = steps::start(rows, start, promise.as_ref()).await?;
                (Came::Start(started), more)
            }
            Job::Derive(wish, ids, _) => {
                let (derived, more) = steps::derive(rows, wish, ids.as_ref()).await?;
                (Came::Derive(derived), more)
            }
            Job::Cancel(batch, _) => {
                let (answers, more) = steps::cancel(rows, batch).await?;
                (Came::Cancel(answers), more)
            }
            Job::Update(id, patch, _) => (Came::Done, steps::update(rows, id, patch).await?),
            Job::Delete(id, _) => {
                (Came::Number(steps::delete(rows, id).await?), Effects::default())
            }
            Job::Schedule(job) => {
                let (came, more) = job.carry_out(rows).await?;
                (Came::Schedule(came), more)
            }
            Job::Prune(before, limit, _) => {
                (Came::Pruned(steps::prune(rows, *before, *limit).await?), Effects::default())
            }
            Job::History(job, _) => {
                (Came::Pruned(history_rows::carry_out(rows, job).await?), Effects::default())
            }
            Job::Access(job, _) => {
                (Came::Access(access::carry_out(rows, job).await?), Effects::default())
            }
            Job::Flow(job, _) => {
                let (came, more) = flow::carry_out(rows, job).await?;
                (Came::Flow(came), more)
            }
            Job::Keep(job) => {
                let (came, more) = keep::carry_out(rows, job).await?;
                (Came::Keep(came), more)
            }
            Job::Wait(job, _) => {
                let (came, more) = job.carry_out(rows).await?;
                (Came::Wait(came), more)
            }
            Job::ForgetKeys(older_than, limit, _) => {
                let gone = steps::forget_keys(rows, *older_than, *limit).await?;
                (Came::Pruned(gone), Effects::default())
            }
            Job::Callbacks(reports, next, _) => {
                let answer = steps::callbacks(rows, reports, next.as_ref()).await?;
                (Came::Callbacks(answer), Effects::default())
            }
            Job::FreeCallbacks(is_dead, _) => {
                let count = steps::free_callbacks(rows, is_dead.as_ref()).await?;
                (Came::Number(count), Effects::default())
            }
        };
        effects.add(more);
        came[at] = Some(answer);
    }
    let (places, operations): (Vec<usize>, Vec<&ChannelJob>) = jobs
        .iter()
        .enumerate()
        .filter_map(|(at, job)| match job {
            Job::Channel(job, _) => Some((at, job.as_ref())),
            _ => None,
        })
        .unzip();
    if !operations.is_empty() {
        let answers = steps::channels(rows, &operations).await?;
        for (at, answer) in places.into_iter().zip(answers) {
            came[at] = Some(Came::Channel(answer));
        }
    }
    if let Some(payload) = effects.payload() {
        rows.notify(&payload).await?;
    }
    Ok((came.into_iter().flatten().collect(), effects))
}

/// Sends the signals of a durable transaction.
pub(crate) fn tell(signals: &Signals, effects: Effects) {
    let shared = |seqs: Vec<Seq>| -> Arc<[Seq]> { seqs.into() };
    // Nobody may be listening.
    if effects.readied {
        let _ = signals.send(Signal::Ready);
    }
    if !effects.stopped.is_empty() {
        let _ = signals.send(Signal::Stopped(shared(effects.stopped)));
    }
    if !effects.changed.is_empty() {
        let _ = signals.send(Signal::Changed(shared(effects.changed)));
    }
    if !effects.finished.is_empty() {
        let _ = signals.send(Signal::Finished(shared(effects.finished)));
    }
    if effects.scheduled {
        signals.rescheduled();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection on which the first transaction panics.
    struct Breaks;

    #[async_trait]
    impl Transact for Breaks {
        async fn begin(&mut self) -> Result<Box<dyn Rows + '_>, StoreError> {
            panic!("a step has a mistake")
        }
    }

    /// What comes of a job that needs no more than to be put in.
    async fn put(queue: &Queue, job: impl FnOnce(Answer<u32>) -> Job) -> Option<StoreError> {
        let asked = queue.ask(job);
        tokio::select! {
            biased;
            came = asked => came.err(),
            () = tokio::task::yield_now() => None,
        }
    }

    #[tokio::test]
    async fn o1_beyond_its_bound_a_caller_is_refused_and_a_worker_is_not() {
        let queue = Queue::new(3);
        let delete = |to| Job::Delete(TaskId::new("a"), to);
        for _ in 0..3 {
            assert!(put(&queue, delete).await.is_none(), "there is room");
        }
        let refused = put(&queue, delete).await.expect("the queue is full");
        assert!(matches!(refused, StoreError::Overloaded { waiting: 3 }), "{refused:?}");
        assert!(put(&queue, |to| Job::Lapse(1, to)).await.is_none(), "a worker's job gets in");
        let batch = queue.take().await.expect("four jobs");
        assert_eq!((batch.len(), queue.lock().tasks), (4, 0));
        assert!(put(&queue, delete).await.is_none(), "there is room again");
    }

    #[tokio::test]
    async fn when_a_transaction_panics_every_caller_hears_of_it() {
        let queue = Arc::new(Queue::new(0));
        let signals = Signals::new(1);
        let limits = Limits { conflicts: 0 };
        tokio::spawn(run(Arc::clone(&queue), Breaks, signals, limits));
        for _ in 0..2 {
            let answer = queue.ask(|to| Job::Lapse(1, to));
            let came = tokio::time::timeout(Duration::from_secs(5), answer).await;
            let error = came.expect("an answer").expect_err("nobody can do it");
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        }
    }
}
