//! The loop that fires schedules: it sleeps until the next one is due, or until one changes.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        watch,
    },
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Inner, turn};
use crate::{
    store::{Fire, Fired, Signal},
    time::Timestamp,
};

/// How a scheduler works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerConfig {
    /// Schedules that are looked at in one transaction.
    pub batch: u32,
    /// How often it looks by itself, should every signal be lost.
    pub back_stop: Duration,
    /// How soon it looks again where another scheduler has in hand what is due.
    pub hold: Duration,
    /// While slots wait for runs to end: how long it gathers ends before it looks.
    pub gather: Duration,
    /// Only schedules of this owner's tasks.
    pub user_id: Option<String>,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            batch: 200,
            back_stop: Duration::from_secs(30),
            hold: Duration::from_millis(200),
            gather: Duration::from_millis(20),
            user_id: None,
        }
    }
}

/// What a scheduler has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SchedulerStats {
    /// Runs it began.
    pub fired: u64,
    /// Slots it left out: too late, or the run before went on.
    pub skipped: u64,
    /// Times it looked.
    pub looks: u64,
    /// Times the store failed.
    pub failures: u64,
    /// When it looked last, by the database's clock.
    pub last_look: Option<Timestamp>,
    /// When the next schedule is due.
    pub next_due: Option<Timestamp>,
}

/// A scheduler at work. Dropping it lets it end; what it fired goes on.
#[must_use = "a scheduler that is dropped stops"]
pub struct Scheduler {
    stop: CancellationToken,
    stats: watch::Receiver<SchedulerStats>,
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Scheduler {
    pub(super) fn start(engine: Arc<Inner>, config: SchedulerConfig) -> Self {
        let stop = CancellationToken::new();
        let (say, stats) = watch::channel(SchedulerStats::default());
        tokio::spawn(run(engine, config, stop.clone(), say));
        Self { stop, stats }
    }

    /// What it has done so far.
    pub fn stats(&self) -> SchedulerStats {
        *self.stats.borrow()
    }

    /// The same whenever it changes; it closes when the scheduler has ended.
    pub fn watch(&self) -> watch::Receiver<SchedulerStats> {
        self.stats.clone()
    }

    /// Fires nothing any more, and answers when what it was doing is done, at the latest after `most`.
    pub async fn stop(self, most: Duration) -> SchedulerStats {
        self.stop.cancel();
        let mut stats = self.stats.clone();
        let ended = async { while stats.changed().await.is_ok() {} };
        // What it still does is one transaction, which is done or undone without it.
        let _ = timeout(most, ended).await;
        self.stats()
    }
}

/// How long to rest after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// More is due already.
    None,
    /// So long, unless something changes.
    For(Duration),
}

/// Timers are no finer, and a clock that differs a little must not make it spin.
const SHORTEST: Duration = Duration::from_millis(1);

fn rest(fired: &Fired, config: &SchedulerConfig) -> Rest {
    match fired.next {
        _ if fired.looked_at >= config.batch.max(1) => Rest::None,
        Some(at) if at <= fired.now && fired.looked_at > 0 => Rest::None,
        Some(at) if at <= fired.now => Rest::For(config.hold),
        Some(at) => Rest::For(at.since(fired.now).clamp(SHORTEST, config.back_stop.max(SHORTEST))),
        None => Rest::For(config.back_stop),
    }
}

async fn run(
    engine: Arc<Inner>,
    config: SchedulerConfig,
    stop: CancellationToken,
    say: watch::Sender<SchedulerStats>,
) {
    let mut changes = engine.store.schedule_changes();
    let mut ends = engine.store.ends();
    let mut failures = 0;
    while !stop.is_cancelled() {
        // Listening begins before looking: what happens in between is heard.
        changes.borrow_and_update();
        ends = ends.resubscribe();
        let wish = Fire { limit: config.batch.max(1), user_id: config.user_id.clone() };
        let (rest, waiting) = match engine.store.fire(wish).await {
            Ok(fired) => {
                failures = 0;
                note(&say, &fired);
                (rest(&fired, &config), fired.waiting)
            }
            Err(error) => {
                failures += 1;
                engine.store_failed("fire schedules", &error);
                say.send_modify(|stats| stats.failures += 1);
                let pause = turn::pause(failures, engine.config.store_pause);
                // Nothing that is heard makes the store better.
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(pause) => continue,
                }
            }
        };
        let Rest::For(time) = rest else {
            tokio::task::yield_now().await;
            continue;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(time) => {}
            () = changed(&mut changes) => {}
            () = ended(&mut ends), if waiting => sleep(config.gather).await,
        }
    }
}

fn note(say: &watch::Sender<SchedulerStats>, fired: &Fired) {
    for run in &fired.runs {
        tracing::debug!(task = %run.task, slot = %run.slot, "a schedule fired");
    }
    say.send_modify(|stats| {
        stats.looks += 1;
        stats.fired += fired.runs.len() as u64;
        stats.skipped += fired.skipped;
        stats.last_look = Some(fired.now);
        stats.next_due = fired.next;
    });
}

/// Returns when a schedule may be due sooner.
async fn changed(changes: &mut watch::Receiver<u64>) {
    if changes.changed().await.is_err() {
        // Nobody is left to change anything.
        std::future::pending::<()>().await;
    }
}

/// Returns when runs ended, or so many that not all were heard.
async fn ended(ends: &mut broadcast::Receiver<Signal>) {
    match ends.recv().await {
        Ok(_) | Err(RecvError::Lagged(_)) => {}
        Err(RecvError::Closed) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(looked_at: u32, next: Option<i64>) -> Rest {
        let config = SchedulerConfig { batch: 10, ..SchedulerConfig::default() };
        let fired = Fired {
            looked_at,
            next: next.map(Timestamp),
            now: Timestamp(1_000_000),
            ..Fired::default()
        };
        rest(&fired, &config)
    }

    #[test]
    fn it_sleeps_until_the_next_slot_and_no_longer_than_the_back_stop() {
        assert_eq!(looked(1, Some(3_000_000)), Rest::For(Duration::from_secs(2)));
        assert_eq!(looked(0, Some(1_000_001)), Rest::For(SHORTEST));
        assert_eq!(looked(0, Some(i64::MAX)), Rest::For(Duration::from_secs(30)));
        assert_eq!(looked(0, None), Rest::For(Duration::from_secs(30)));
    }

    #[test]
    fn a_full_batch_is_followed_by_the_next_and_what_others_hold_is_left_to_them() {
        assert_eq!(looked(10, Some(9_000_000)), Rest::None);
        assert_eq!(looked(3, Some(1_000_000)), Rest::None);
        assert_eq!(looked(0, Some(1_000_000)), Rest::For(Duration::from_millis(200)));
    }
}
