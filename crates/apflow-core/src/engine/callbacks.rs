//! Telling addresses of runs: in order, one event at a time, from the journal.
//!
//! A callback has no queue. Its row says up to which event the address was told, and the journal has
//! the rest, so a restart goes on where it stopped and a slow address costs nobody anything.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::{Id, JoinHandle, JoinSet},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Inner, turn};
use crate::{
    api::event,
    courier::{Courier, Delivery, Outcome},
    id::Seq,
    store::{
        Callback, CallbackClaim, CallbackNext, CallbackReport, EventKind, MOST_WATCHED, Signal,
        StoreError, Told,
    },
};

/// How callbacks are delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackConfig {
    /// Deliveries at the same time; one callback has one at most.
    pub parallel: u32,
    /// How long a callback is held unless something is reported; longer than any delivery may take.
    pub lease: Duration,
    /// The longest time one delivery may take, whatever its caller asks for.
    pub max_timeout: Duration,
    /// The most tries after the first, whatever the caller asks for.
    pub max_retries: u32,
    /// The delay before the second try; it doubles after each.
    pub first_delay: Duration,
    /// The longest delay before another try.
    pub max_delay: Duration,
    /// The longest time the other side may ask us to wait.
    pub max_asked: Duration,
    /// Bytes of a result that is told with the end of its task.
    pub result_bytes: u32,
}

impl Default for CallbackConfig {
    fn default() -> Self {
        Self {
            parallel: 16,
            lease: Duration::from_mins(2),
            max_timeout: Duration::from_mins(1),
            max_retries: 20,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_mins(5),
            max_asked: Duration::from_hours(1),
            result_bytes: 256 << 10,
        }
    }
}

/// Events read at once for one callback.
const PAGE: u32 = 16;
/// Tries to report; after them the lease ends by itself and another one goes on.
const REPORTS: u32 = 5;
/// Characters kept of what went wrong.
const LONGEST_NOTE: usize = 500;
/// Time for a delivery to end once the grace is over.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Callbacks that are being delivered by this process.
pub struct Deliveries {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Deliveries {
    pub(super) fn start(engine: Arc<Inner>, courier: Arc<dyn Courier>) -> Self {
        let stop = CancellationToken::new();
        let round = Round {
            engine,
            courier,
            stop: stop.clone(),
            busy: JoinSet::new(),
            held: HashMap::new(),
            watched: HashSet::new(),
            everything: false,
            wake_at: None,
            failures: 0,
        };
        Self { stop, task: tokio::spawn(round.run()) }
    }

    /// Begins no new delivery and waits for those on their way, at most for so long.
    pub async fn drain(mut self, grace: Duration) {
        self.stop.cancel();
        // What was not reported is delivered again, under the same id.
        if timeout(grace.max(LAST_WORDS), &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Round {
    engine: Arc<Inner>,
    courier: Arc<dyn Courier>,
    stop: CancellationToken,
    busy: JoinSet<()>,
    /// The tree of each callback that is being told; its deliverer sees by itself what happens there.
    held: HashMap<Id, Seq>,
    /// The trees that callbacks tell of.
    watched: HashSet<Seq>,
    /// There are too many to name them.
    everything: bool,
    wake_at: Option<Instant>,
    failures: u32,
}

impl Round {
    async fn run(mut self) {
        // Heard from before the first look on.
        let mut signals = Some(self.engine.store.signals());
        self.take_up().await;
        let mut look = true;
        loop {
            if std::mem::take(&mut look) {
                self.claim().await;
            }
            let until = Instant::now() + self.engine.config.back_stop;
            let until = self.wake_at.map_or(until, |at| at.min(until));
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(ended) = self.busy.join_next_with_id() => {
                    let id = match &ended {
                        Ok((id, ())) => *id,
                        Err(error) => {
                            tracing::error!(%error, "a delivery ended in a panic");
                            error.id()
                        }
                    };
                    self.held.remove(&id);
                    look = true;
                }
                () = self.engine.called.notified() => look = true,
                () = concerned(&mut signals, &self.watched, &self.held, self.everything) => look = true,
                () = sleep_until(until) => look = true,
            }
        }
        while self.busy.join_next().await.is_some() {}
    }

    /// Sets free what dead processes held.
    async fn take_up(&mut self) {
        loop {
            let freed = tokio::select! {
                () = self.stop.cancelled() => return,
                freed = self.engine.store.free_callbacks() => freed,
            };
            match freed {
                Ok(0) => return,
                Ok(callbacks) => {
                    tracing::info!(callbacks, "took up callbacks that dead processes left");
                    return;
                }
                Err(error) => self.rest("free callbacks", &error).await,
            }
        }
    }

    async fn rest(&mut self, doing: &'static str, error: &StoreError) {
        self.failures += 1;
        self.engine.store_failed(doing, error);
        let pause = turn::pause(self.failures, self.engine.config.store_pause);
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = sleep(pause) => {}
        }
    }

    /// Takes callbacks that have something to tell, as many as there is room for.
    async fn claim(&mut self) {
        let config = &self.engine.callbacks;
        let busy = u32::try_from(self.busy.len()).unwrap_or(u32::MAX);
        let limit = config.parallel.saturating_sub(busy);
        if limit == 0 {
            // Whoever ends first looks again.
            self.wake_at = None;
            return;
        }
        let claim = CallbackClaim { holder: self.engine.node.clone(), limit, lease: config.lease };
        let answer = match self.engine.store.callbacks(Vec::new(), Some(claim)).await {
            Ok(answer) => answer,
            Err(error) => {
                self.rest("take callbacks", &error).await;
                self.wake_at = Some(Instant::now());
                return;
            }
        };
        self.failures = 0;
        self.watched = answer.trees.iter().copied().collect();
        self.everything = answer.trees.len() >= MOST_WATCHED;
        // A moment more, so that the database's clock has reached it too.
        let delay = |at: crate::time::Timestamp| at.since(answer.now) + Duration::from_millis(1);
        self.wake_at = answer.next_wake.map(|at| Instant::now() + delay(at));
        for callback in answer.claimed {
            let tree = callback.tree_seq;
            let errand = Errand {
                engine: Arc::clone(&self.engine),
                courier: Arc::clone(&self.courier),
                stop: self.stop.clone(),
                callback,
            };
            let id = self.busy.spawn(errand.run()).id();
            self.held.insert(id, tree);
        }
    }
}

/// Returns when something happened in a tree that somebody wants to be told of.
async fn concerned(
    signals: &mut Option<Receiver<Signal>>,
    watched: &HashSet<Seq>,
    held: &HashMap<Id, Seq>,
    everything: bool,
) {
    while let Some(heard) = signals {
        match heard.recv().await {
            Ok(Signal::Changed(trees)) => {
                let wanted =
                    |tree: &Seq| watched.contains(tree) && !held.values().any(|it| it == tree);
                if everything || trees.iter().any(wanted) {
                    return;
                }
            }
            Ok(Signal::Ready | Signal::Stopped(_) | Signal::Finished(_)) => {}
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => *signals = None,
        }
    }
    std::future::pending::<()>().await;
}

/// One callback in the hands of this process.
struct Errand {
    engine: Arc<Inner>,
    courier: Arc<dyn Courier>,
    stop: CancellationToken,
    callback: Callback,
}

/// What follows from one try.
struct Step {
    report: CallbackReport,
    /// The next event may be told at once.
    on: bool,
}

impl Errand {
    async fn run(mut self) {
        loop {
            let most = self.engine.callbacks.result_bytes;
            let (tree, after) = (&self.callback.tree, self.callback.position);
            let page = match self.engine.store.told(Some(tree), after, PAGE, most).await {
                Ok(page) => page,
                Err(error) => {
                    self.engine.store_failed("read events for a callback", &error);
                    return self.give_back().await;
                }
            };
            if page.is_empty() {
                return self.give_back().await;
            }
            for told in page {
                if self.stop.is_cancelled() {
                    return self.give_back().await;
                }
                let outcome = self.courier.deliver(self.delivery(&told)).await;
                let Step { report, on } = self.step(&told, outcome);
                (self.callback.position, self.callback.attempts) =
                    (report.position, report.attempts);
                if !self.report(report).await || !on {
                    return;
                }
            }
        }
    }

    fn delivery(&self, told: &Told) -> Delivery {
        let wish = &self.callback.wish;
        Delivery {
            id: format!("msg_{}_{}", wish.id, told.event.seq),
            callback: wish.id.clone(),
            target: wish.target.clone(),
            timeout: wish.timeout,
            body: event::callback(told).to_string(),
        }
    }

    /// Decides how it goes on.
    fn step(&self, told: &Told, outcome: Outcome) -> Step {
        let config = &self.engine.callbacks;
        let held = CallbackNext::Held(config.lease);
        // It may be the end of the run, and with it of the callback.
        let passed =
            if told.event.kind == EventKind::RunFinished { CallbackNext::Finished } else { held };
        let mut report = self.stay(held);
        match outcome {
            Outcome::Delivered => {
                (report.position, report.attempts) = (told.event.seq, 0);
                (report.delivered, report.next) = (true, passed);
            }
            Outcome::Gone => {
                report.note = Some("the other side wants no more (HTTP status 410)".to_owned());
                report.next = CallbackNext::Stopped;
            }
            Outcome::Refused(why) => {
                report.note = Some(shorten(&why));
                report.next = CallbackNext::Stopped;
            }
            Outcome::Failed { why, again, after } => {
                report.note = Some(shorten(&why));
                if again && self.callback.attempts < self.callback.wish.max_retries {
                    report.attempts += 1;
                    let id = format!("{} {}", self.callback.wish.id, told.event.seq);
                    report.next = CallbackNext::After(delay(config, &id, report.attempts, after));
                } else {
                    (report.position, report.attempts) = (told.event.seq, 0);
                    (report.given_up, report.next) = (true, passed);
                }
            }
        }
        if let Some(note) = &report.note {
            let (callback, tree) = (&self.callback.wish.id, &self.callback.tree);
            let seq = told.event.seq;
            tracing::warn!(%callback, %tree, seq, %note, "a callback was not delivered");
        }
        let on = report.next == held;
        Step { report, on }
    }

    /// Nothing has changed.
    fn stay(&self, next: CallbackNext) -> CallbackReport {
        CallbackReport {
            seq: self.callback.seq,
            token: self.callback.token,
            position: self.callback.position,
            attempts: self.callback.attempts,
            delivered: false,
            given_up: false,
            note: None,
            next,
        }
    }

    async fn give_back(self) {
        let report = self.stay(CallbackNext::Free);
        self.report(report).await;
    }

    /// Reports; false if it is not ours any more, or the store does not take it.
    async fn report(&self, report: CallbackReport) -> bool {
        for tries in 1..=REPORTS {
            match self.engine.store.callbacks(vec![report.clone()], None).await {
                Ok(answer) => return answer.refused.is_empty(),
                Err(error) => {
                    self.engine.store_failed("report a callback", &error);
                    sleep(turn::pause(tries, self.engine.config.store_pause)).await;
                }
            }
        }
        false
    }
}

fn shorten(why: &str) -> String {
    why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_NOTE).collect()
}

/// How long until the next try: doubling, capped, spread by a quarter either way, and never sooner
/// than the other side asks.
///
/// The spread is the same for the same try, so it needs no dice; two callbacks differ.
fn delay(config: &CallbackConfig, id: &str, attempt: u32, asked: Option<Duration>) -> Duration {
    let doubled = f64::from(attempt.saturating_sub(1)).exp2();
    let own = (config.first_delay.as_secs_f64() * doubled).min(config.max_delay.as_secs_f64());
    let hash = Sha256::digest(format!("{id} {attempt}"));
    let spread = 0.75 + f64::from(hash[0]) / 510.0;
    let own = Duration::from_secs_f64(own * spread);
    own.max(asked.unwrap_or_default().min(config.max_asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap_and_differ_between_callbacks() {
        let config = CallbackConfig::default();
        for (attempt, seconds) in [(1, 1.0), (2, 2.0), (5, 16.0), (9, 256.0), (60, 300.0)] {
            let delay = delay(&config, "a 1", attempt, None).as_secs_f64();
            assert!((0.75 * seconds..=1.25 * seconds).contains(&delay), "{attempt}: {delay}");
        }
        let all: HashSet<Duration> =
            (0..20).map(|n| delay(&config, &format!("{n} 1"), 1, None)).collect();
        assert!(all.len() > 10, "{all:?}");
    }

    #[test]
    fn what_the_other_side_asks_for_is_honoured_up_to_a_limit() {
        let config = CallbackConfig::default();
        let asked = |seconds| delay(&config, "a", 1, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(90), Duration::from_secs(90));
        assert!(asked(0) >= Duration::from_millis(750), "never sooner than our own delay");
        assert_eq!(asked(1_000_000), config.max_asked);
    }

    #[test]
    fn no_delivery_outlasts_its_lease() {
        let config = CallbackConfig::default();
        assert!(config.max_timeout < config.lease / 4 * 3);
    }
}
