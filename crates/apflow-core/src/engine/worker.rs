//! The loop that works: wake, settle what is done, claim in exchange, spawn; renew, and let time act.

use std::{
    future::{Future, pending},
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{Notify, broadcast, broadcast::error::RecvError, watch},
    task::{JoinError, JoinSet},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Inner,
    attempt::{self, Reporter},
    chores,
    held::{Held, HeldTasks},
    retention,
    turn::{self, Standing},
};
use crate::{
    id::{LeaseToken, Seq},
    observe::{Seen, StopReason},
    store::{Claim, Claimed, Ended, Refusal, Settled, Settlement, Signal, StoreError},
    task::{Failure, FailureKind},
};

/// How long cancelled attempts get to clean up when a drain is over, at most.
const CLEAN_UP: Duration = Duration::from_secs(1);

/// How long the last outcomes may take to reach the store after that.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The shortest time until time acts again; it grows where two clocks differ, so nothing spins.
const SHORTEST_WAKE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(1));

/// A worker at work. Dropping it lets the worker hand back what it holds and end in the background.
#[must_use = "a worker that is dropped stops working"]
pub struct Worker {
    orders: watch::Sender<Option<Duration>>,
    done: watch::Receiver<Option<Drained>>,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Attempts that ended by themselves while the worker was draining.
    pub finished: usize,
    /// Attempts that were stopped and whose tasks were given back untried.
    pub handed_back: usize,
    /// Attempts that could not be stopped, or given back, in time; their leases run out.
    pub left: usize,
}

impl Worker {
    pub(super) fn start(engine: Arc<Inner>) -> Self {
        let (orders, hear_orders) = watch::channel(None);
        let (say_done, done) = watch::channel(None);
        tokio::spawn(async move {
            let drained = Loop::new(engine, hear_orders).run().await;
            say_done.send_replace(Some(drained));
        });
        Self { orders, done }
    }

    /// Takes nothing new, waits at most `grace` for what runs, and hands back what does not finish.
    ///
    /// It answers at the latest two seconds after the grace period. A second call with a shorter grace
    /// period shortens the first.
    pub async fn drain(&self, grace: Duration) -> Drained {
        self.orders.send_replace(Some(grace));
        let mut done = self.done.clone();
        // If the loop is gone without a word, the runtime was shut down under it.
        done.wait_for(Option::is_some).await.ok().and_then(|done| *done).unwrap_or_default()
    }

    /// Stops everything at once and hands it back.
    pub async fn stop(&self) -> Drained {
        self.drain(Duration::ZERO).await
    }
}

type Call<T> = Option<Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>>;

/// The answer to a call, once there is a call and an answer.
async fn answer<T>(call: &mut Call<T>) -> Result<T, StoreError> {
    let Some(future) = call else { return pending().await };
    // The call stays where it is until it has answered: a batch whose answer nobody waits for may
    // have been committed all the same.
    let answer = future.await;
    *call = None;
    answer
}

/// The grace period of the next order to drain; none at all once nobody is left to give orders.
async fn order(orders: &mut Option<watch::Receiver<Option<Duration>>>) -> Duration {
    let Some(receiver) = orders else { return pending().await };
    if receiver.changed().await.is_err() {
        *orders = None;
        return Duration::ZERO;
    }
    receiver.borrow_and_update().unwrap_or_default()
}

/// The next signal, or none if some were missed.
async fn hear(signals: &mut Option<broadcast::Receiver<Signal>>) -> Option<Signal> {
    loop {
        let Some(receiver) = signals else { return pending().await };
        match receiver.recv().await {
            Ok(signal) => return Some(signal),
            Err(RecvError::Lagged(_)) => return None,
            Err(RecvError::Closed) => *signals = None,
        }
    }
}

struct Loop {
    engine: Arc<Inner>,
    signals: Option<broadcast::Receiver<Signal>>,
    orders: Option<watch::Receiver<Option<Duration>>>,
    news: Arc<Notify>,

    attempts: JoinSet<Settlement>,
    held: HeldTasks,
    outcomes: Vec<Settlement>,
    hungry: bool,
    timeless: bool,

    settling: Call<Settled>,
    /// What the store is settling, in case it has to be said again.
    sent: Vec<Settlement>,
    sent_at: Instant,
    failures: u32,
    /// Outcomes per batch; lowered to find the one a store cannot take.
    at_most: usize,

    renewing: Call<Vec<Refusal>>,
    renewing_what: Vec<(Seq, LeaseToken)>,
    renewing_since: Instant,
    renewal_failures: u32,

    lapsing: Call<u32>,
    lapse_failures: u32,
    /// How often in a row time was thought to have changed something and had not.
    lapses_in_vain: u32,

    resume_at: Option<Instant>,
    wake_at: Option<Instant>,
    renew_at: Option<Instant>,
    fence_at: Option<Instant>,
    look_at: Instant,
    drain: Option<Drain>,
    drained: Drained,
}

#[derive(Clone, Copy)]
struct Drain {
    stop_at: Instant,
    kill_at: Instant,
    end_at: Instant,
    step: DrainStep,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DrainStep {
    Waiting,
    Stopped,
    Killed,
}

#[expect(clippy::large_enum_variant, reason = "one at a time, and never stored")]
enum Woken {
    Order(Duration),
    Signal(Option<Signal>),
    Attempt(Option<Result<Settlement, JoinError>>),
    Settled(Result<Settled, StoreError>),
    Renewed(Result<Vec<Refusal>, StoreError>),
    Lapsed(Result<u32, StoreError>),
    News,
    Time,
}

impl Loop {
    fn new(engine: Arc<Inner>, orders: watch::Receiver<Option<Duration>>) -> Self {
        let now = Instant::now();
        Self {
            signals: Some(engine.store.signals()),
            orders: Some(orders),
            news: Arc::new(Notify::new()),
            attempts: JoinSet::new(),
            held: HeldTasks::default(),
            outcomes: Vec::new(),
            hungry: true,
            timeless: true,
            settling: None,
            sent: Vec::new(),
            sent_at: now,
            failures: 0,
            at_most: usize::MAX,
            renewing: None,
            renewing_what: Vec::new(),
            renewing_since: now,
            renewal_failures: 0,
            lapsing: None,
            lapse_failures: 0,
            lapses_in_vain: 0,
            resume_at: None,
            wake_at: None,
            renew_at: None,
            fence_at: None,
            look_at: now + engine.config.back_stop,
            drain: None,
            drained: Drained::default(),
            engine,
        }
    }

    async fn run(mut self) -> Drained {
        tokio::select! {
            () = chores::recover(&self.engine) => {}
            grace = order(&mut self.orders) => self.drain_within(grace),
        }
        let hooks_end = CancellationToken::new();
        let hooks = tokio::spawn(chores::tell_hooks(Arc::clone(&self.engine), hooks_end.clone()));
        let chore = chores::forget_keys(Arc::clone(&self.engine), hooks_end.clone());
        // What it has not forgotten when the worker ends, the next one does.
        drop(tokio::spawn(chore));
        drop(tokio::spawn(retention::retire(Arc::clone(&self.engine), hooks_end.clone())));
        self.work().await;
        hooks_end.cancel();
        // A hook that hangs must not keep the process alive.
        let _ = timeout(LAST_WORDS, hooks).await;
        self.engine.running.fetch_sub(self.attempts.len(), Ordering::Relaxed);
        self.drained.left += self.attempts.len() + self.outcomes.len() + self.sent.len();
        self.drained
    }

    async fn work(&mut self) {
        let mut timer = pin!(sleep(Duration::ZERO));
        while !self.is_over() {
            self.collect();
            self.exchange();
            let next = self.next_time();
            if timer.deadline() != next {
                timer.as_mut().reset(next);
            }
            let woken = tokio::select! {
                // Signals come before answers: a task that was stopped, set back and claimed again
                // must not have its new attempt stopped by the old signal.
                biased;
                grace = order(&mut self.orders) => Woken::Order(grace),
                signal = hear(&mut self.signals) => Woken::Signal(signal),
                attempt = self.attempts.join_next(), if !self.attempts.is_empty() => Woken::Attempt(attempt),
                settled = answer(&mut self.settling) => Woken::Settled(settled),
                renewed = answer(&mut self.renewing) => Woken::Renewed(renewed),
                lapsed = answer(&mut self.lapsing) => Woken::Lapsed(lapsed),
                () = self.news.notified() => Woken::News,
                () = timer.as_mut() => Woken::Time,
            };
            match woken {
                Woken::Order(grace) => self.drain_within(grace),
                Woken::Signal(signal) => self.heard(signal),
                Woken::Attempt(Some(ended)) => self.ended(ended),
                Woken::Attempt(None) => {}
                Woken::Settled(Ok(settled)) => {
                    if self.settled(settled) {
                        // Attempts that end at once go into the next batch together.
                        tokio::task::yield_now().await;
                    }
                }
                Woken::Settled(Err(error)) => self.not_settled(&error),
                Woken::Renewed(renewed) => self.renewed(renewed),
                Woken::Lapsed(lapsed) => self.lapsed(lapsed),
                Woken::News => self.renew_soon(),
                Woken::Time => self.time_passed(Instant::now()),
            }
        }
    }

    // ----- ends of attempts

    fn collect(&mut self) {
        while let Some(ended) = self.attempts.try_join_next() {
            self.ended(ended);
        }
    }

    fn ended(&mut self, ended: Result<Settlement, JoinError>) {
        self.engine.running.fetch_sub(1, Ordering::Relaxed);
        let (mut settlement, why) = match ended {
            Ok(settlement) => {
                let Some(held) = self.held.take(settlement.seq, settlement.lease) else { return };
                (settlement, held.why)
            }
            Err(error) => {
                let Some((seq, held)) = self.held.take_attempt(error.id()) else { return };
                let outcome = if error.is_panic() {
                    let failure = Failure::new(FailureKind::Panic, "");
                    let result = serde_json::Value::Null;
                    Ended::Failed { failure, retry_after: None, result }
                } else {
                    Ended::HandedBack
                };
                let lease = held.lease;
                (Settlement::new(seq, lease, outcome), held.why)
            }
        };
        let completed = matches!(settlement.outcome, Ended::Completed { .. });
        match why {
            // Its report would be refused.
            Some(StopReason::NotHeld) => return,
            // What it says is caused by the stop, unless it was done before it noticed.
            Some(StopReason::LeaseAtRisk) if !completed => return,
            Some(StopReason::Draining) if !completed => {
                settlement.outcome = Ended::HandedBack;
                self.drained.handed_back += 1;
            }
            _ => self.drained.finished += usize::from(self.drain.is_some()),
        }
        self.outcomes.push(settlement);
    }

    // ----- settling and claiming

    fn exchange(&mut self) {
        let standing = Standing {
            slots: self.engine.config.slots,
            busy: self.attempts.len(),
            outcomes: self.outcomes.len(),
            hungry: self.hungry,
            timeless: self.timeless,
            waiting: self.settling.is_some() || self.resume_at.is_some(),
            draining: self.drain.is_some(),
        };
        let Some(exchange) = standing.next() else { return };
        let rest = self.outcomes.split_off(self.outcomes.len().min(self.at_most));
        self.sent = std::mem::replace(&mut self.outcomes, rest);
        self.sent_at = Instant::now();
        self.hungry = false;
        let next = (exchange.claim > 0).then(|| Claim {
            worker: self.engine.node.clone(),
            limit: exchange.claim,
            lease: self.engine.config.lease,
            rules: Arc::clone(&self.engine.config.rules),
        });
        let (store, batch) = (Arc::clone(&self.engine.store), self.sent.clone());
        self.settling = Some(Box::pin(async move { store.settle(batch, next).await }));
    }

    /// Takes what the store answered; true if attempts began.
    fn settled(&mut self, settled: Settled) -> bool {
        self.engine.see(&Seen::Settled {
            outcomes: self.sent.len() - settled.refused.len().min(self.sent.len()),
            claimed: settled.claimed.len(),
            took: self.sent_at.elapsed(),
        });
        for Refusal { seq, why } in &settled.refused {
            tracing::info!(node = %self.engine.node, %seq, %why, "an outcome came too late");
            self.engine.see(&Seen::Refused { seq: *seq, why });
        }
        self.sent.clear();
        self.failures = 0;
        self.at_most = usize::MAX;
        self.hungry |= settled.more;
        self.timeless = false;
        self.wake_at = settled.next_wake.map(|at| self.wake_in(at.since(settled.now)));
        let begun = !settled.claimed.is_empty();
        for claimed in settled.claimed {
            self.begin(claimed);
        }
        begun
    }

    fn begin(&mut self, claimed: Claimed) {
        if self.drain.is_some() {
            let Claimed { seq, lease, .. } = claimed;
            let outcome = Ended::HandedBack;
            self.outcomes.push(Settlement::new(seq, lease, outcome));
            self.drained.handed_back += 1;
            return;
        }
        let (seq, lease) = (claimed.seq, claimed.lease);
        let stop = CancellationToken::new();
        let engine = Arc::clone(&self.engine);
        let reporter = Arc::new(Reporter::new(
            Arc::clone(&engine),
            claimed.id.clone(),
            Arc::clone(&self.news),
        ));
        self.engine.running.fetch_add(1, Ordering::Relaxed);
        let attempt =
            self.attempts.spawn(attempt::run(engine, claimed, stop.clone(), Arc::clone(&reporter)));
        let config = &self.engine.config;
        let trusted_until = self.sent_at + config.trusted();
        self.renew_at.get_or_insert(self.sent_at + config.renew_after());
        self.fence_at = Some(self.fence_at.map_or(trusted_until, |at| at.min(trusted_until)));
        let attempt = attempt.id();
        self.held.insert(seq, Held { lease, attempt, stop, reporter, trusted_until, why: None });
    }

    /// The one place that logs an error of the store and goes on: nothing that was done is dropped.
    fn not_settled(&mut self, error: &StoreError) {
        self.engine.store_failed("settle", error);
        self.failures += 1;
        self.hungry = true;
        self.resume_at =
            Some(Instant::now() + turn::pause(self.failures, self.engine.config.store_pause));
        let mut again = std::mem::take(&mut self.sent);
        if may_be_the_fault_of_one(error) {
            self.at_most = (again.len() / 2).max(1);
            if let [only] = again.as_mut_slice()
                && !give_up_the_result(only, error)
            {
                tracing::error!(seq = %only.seq, %error, "the outcome of a task cannot be stored");
                again.clear();
            }
        }
        again.append(&mut self.outcomes);
        self.outcomes = again;
    }

    fn wake_in(&mut self, delay: Duration) -> Instant {
        let least = turn::pause(self.lapses_in_vain, SHORTEST_WAKE);
        if delay > least {
            self.lapses_in_vain = 0;
        }
        Instant::now() + delay.max(least)
    }

    // ----- leases

    fn renew(&mut self, now: Instant) {
        let batch = self.held.renewals();
        if batch.is_empty() {
            self.renew_at = None;
            return;
        }
        self.renew_at = Some(now + self.engine.config.renew_after());
        self.renewing_what = batch.iter().map(|renewal| (renewal.seq, renewal.lease)).collect();
        self.renewing_since = now;
        let (store, lease) = (Arc::clone(&self.engine.store), self.engine.config.lease);
        self.renewing = Some(Box::pin(async move { store.renew(batch, lease).await }));
    }

    fn renewed(&mut self, renewed: Result<Vec<Refusal>, StoreError>) {
        let asked = std::mem::take(&mut self.renewing_what);
        match renewed {
            Ok(refused) => {
                self.renewal_failures = 0;
                let trusted_until = self.renewing_since + self.engine.config.trusted();
                for seq in self.held.renewed(&asked, &refused, trusted_until) {
                    self.stop(seq, StopReason::NotHeld);
                }
                self.fence_at = self.held.trusted_until();
            }
            Err(error) => {
                self.engine.store_failed("renew leases", &error);
                self.renewal_failures += 1;
                let pause = turn::pause(self.renewal_failures, self.engine.config.store_pause);
                self.renew_at = Some(Instant::now() + pause);
            }
        }
    }

    fn renew_soon(&mut self) {
        let soon = Instant::now() + self.engine.config.progress_delay;
        if let Some(at) = &mut self.renew_at {
            *at = soon.min(*at);
        }
    }

    fn stop(&mut self, seq: Seq, why: StopReason) {
        if let Some(held) = self.held.stop(seq, why) {
            tracing::info!(task = %held.reporter.task, ?why, "stopping an attempt");
            self.engine.see(&Seen::Stopping { task: &held.reporter.task, why });
        }
    }

    // ----- signals and time

    fn heard(&mut self, signal: Option<Signal>) {
        match signal {
            // What was missed may have been that tasks are ready; what was stopped is learned by
            // the next renewal at the latest.
            Some(Signal::Ready) | None => self.hungry = true,
            Some(Signal::Stopped(tasks)) => {
                for seq in tasks.iter() {
                    self.stop(*seq, StopReason::NotHeld);
                }
            }
            Some(Signal::Changed(_) | Signal::Finished(_)) => {}
        }
    }

    fn next_time(&self) -> Instant {
        let drain = self.drain.map(|drain| match drain.step {
            DrainStep::Waiting => drain.stop_at,
            DrainStep::Stopped => drain.kill_at,
            DrainStep::Killed => drain.end_at,
        });
        let wake_at = self.wake_at.filter(|_| self.lapsing.is_none());
        let renew_at = self.renew_at.filter(|_| self.renewing.is_none());
        [self.resume_at, wake_at, renew_at, self.fence_at, drain]
            .into_iter()
            .flatten()
            .fold(self.look_at, Instant::min)
    }

    fn time_passed(&mut self, now: Instant) {
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if passed(self.resume_at) {
            self.resume_at = None;
        }
        if self.look_at <= now {
            self.look_at = now + self.engine.config.back_stop;
            self.hungry = true;
            self.wake_at = Some(now);
        }
        if passed(self.wake_at) && self.lapsing.is_none() {
            self.lapse();
        }
        if passed(self.renew_at) && self.renewing.is_none() {
            self.renew(now);
        }
        if passed(self.fence_at) {
            for seq in self.held.at_risk(now) {
                self.stop(seq, StopReason::LeaseAtRisk);
            }
            self.fence_at = self.held.trusted_until();
        }
        self.drain_on(now);
    }

    fn lapse(&mut self) {
        self.wake_at = None;
        if self.drain.is_some() {
            return;
        }
        let (store, limit) = (Arc::clone(&self.engine.store), self.engine.config.lapse_batch);
        self.lapsing = Some(Box::pin(async move { store.lapse(limit).await }));
    }

    fn lapsed(&mut self, lapsed: Result<u32, StoreError>) {
        match lapsed {
            Ok(changed) => {
                self.lapse_failures = 0;
                self.engine.see(&Seen::Lapsed { changed });
                if changed >= self.engine.config.lapse_batch {
                    self.lapse();
                }
                self.lapses_in_vain = if changed > 0 { 0 } else { self.lapses_in_vain + 1 };
                self.hungry |= changed > 0;
                self.timeless = true;
            }
            Err(error) => {
                self.engine.store_failed("let time act", &error);
                self.lapse_failures += 1;
                let pause = turn::pause(self.lapse_failures, self.engine.config.store_pause);
                self.wake_at = Some(Instant::now() + pause);
            }
        }
    }

    // ----- the end

    fn drain_within(&mut self, grace: Duration) {
        let stop_at = Instant::now() + grace;
        if self.drain.is_some_and(|drain| drain.stop_at <= stop_at) {
            return;
        }
        let kill_at = stop_at + self.engine.config.grace.min(CLEAN_UP);
        let end_at = kill_at + LAST_WORDS;
        self.drain = Some(Drain { stop_at, kill_at, end_at, step: DrainStep::Waiting });
    }

    fn drain_on(&mut self, now: Instant) {
        let Some(drain) = &mut self.drain else { return };
        if drain.step == DrainStep::Waiting && drain.stop_at <= now {
            drain.step = DrainStep::Stopped;
            let engine = &self.engine;
            let why = StopReason::Draining;
            self.held.stop_all(why, |held| {
                engine.see(&Seen::Stopping { task: &held.reporter.task, why });
            });
        } else if drain.step == DrainStep::Stopped && drain.kill_at <= now {
            drain.step = DrainStep::Killed;
            self.attempts.abort_all();
        }
    }

    fn is_over(&self) -> bool {
        let Some(drain) = self.drain else { return false };
        let nothing_left = self.attempts.is_empty()
            && self.held.is_empty()
            && self.outcomes.is_empty()
            && self.settling.is_none();
        nothing_left || (drain.step == DrainStep::Killed && drain.end_at <= Instant::now())
    }
}

/// Whether the store may be well and one item of the batch is what it cannot take.
fn may_be_the_fault_of_one(error: &StoreError) -> bool {
    !matches!(
        error,
        StoreError::Unavailable { .. }
            | StoreError::Overloaded { .. }
            | StoreError::Locked { .. }
            | StoreError::Full { .. }
            | StoreError::Damaged { .. }
            | StoreError::TooNew { .. }
            | StoreError::Address { .. }
    )
}

/// Replaces an outcome that cannot be stored by a failure that can; false if that was tried before.
fn give_up_the_result(settlement: &mut Settlement, error: &StoreError) -> bool {
    let said_before = matches!(
        &settlement.outcome,
        Ended::Failed { failure: Failure { kind: FailureKind::InvalidOutput, .. }, .. }
    );
    let why = format!("the outcome could not be stored: {error}");
    let failure = Failure::new(FailureKind::InvalidOutput, super::output::storable_sentence(why));
    let result = serde_json::Value::Null;
    settlement.outcome = Ended::Failed { failure, retry_after: None, result };
    settlement.resolved_inputs = None;
    !said_before
}
