//! The tasks a worker holds, and for how long it may still trust that it does.

use std::{collections::HashMap, sync::Arc};

use tokio::{task, time::Instant};
use tokio_util::sync::CancellationToken;

use super::attempt::Reporter;
use crate::{
    id::{LeaseToken, Seq},
    observe::StopReason,
    store::{Refusal, Renewal},
};

/// One task that is held.
pub(super) struct Held {
    pub(super) lease: LeaseToken,
    /// The runtime's name for the attempt, to find it by if it ends without a word.
    pub(super) attempt: task::Id,
    pub(super) stop: CancellationToken,
    pub(super) reporter: Arc<Reporter>,
    /// Until then nobody else can have the task.
    pub(super) trusted_until: Instant,
    /// Why it was told to stop, if it was.
    pub(super) why: Option<StopReason>,
}

impl Held {
    /// Tells the attempt to stop; true if that is new.
    fn stop(&mut self, why: StopReason) -> bool {
        // A task that is lost stays lost, whatever else happens.
        let news = self
            .why
            .is_none_or(|before| before == StopReason::Draining && why != StopReason::Draining);
        if news {
            self.why = Some(why);
            self.stop.cancel();
        }
        news
    }

    fn is_ours(&self) -> bool {
        matches!(self.why, None | Some(StopReason::Draining))
    }
}

/// All of them, by row.
#[derive(Default)]
pub(super) struct HeldTasks {
    tasks: HashMap<Seq, Held>,
}

impl HeldTasks {
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Holds a task. An older attempt at the same task is stopped: the new claim proves it lost it.
    pub(super) fn insert(&mut self, seq: Seq, held: Held) {
        if let Some(mut older) = self.tasks.insert(seq, held) {
            older.stop(StopReason::NotHeld);
        }
    }

    /// Lets go of a task whose attempt has ended; none if the worker had lost it meanwhile.
    pub(super) fn take(&mut self, seq: Seq, lease: LeaseToken) -> Option<Held> {
        if self.tasks.get(&seq)?.lease != lease {
            return None;
        }
        self.tasks.remove(&seq)
    }

    /// Lets go of the task whose attempt the runtime names like this.
    pub(super) fn take_attempt(&mut self, attempt: task::Id) -> Option<(Seq, Held)> {
        let (seq, _) = self.tasks.iter().find(|(_, held)| held.attempt == attempt)?;
        let seq = *seq;
        self.tasks.remove(&seq).map(|held| (seq, held))
    }

    /// Stops one task; returns it if that is new.
    pub(super) fn stop(&mut self, seq: Seq, why: StopReason) -> Option<&Held> {
        let held = self.tasks.get_mut(&seq)?;
        held.stop(why).then_some(&*held)
    }

    /// Stops every task, calling `each` for those for which that is new.
    pub(super) fn stop_all(&mut self, why: StopReason, mut each: impl FnMut(&Held)) {
        for held in self.tasks.values_mut() {
            if held.stop(why) {
                each(held);
            }
        }
    }

    /// What to renew now: everything that may still be ours.
    pub(super) fn renewals(&self) -> Vec<Renewal> {
        self.tasks
            .iter()
            .filter(|(_, held)| held.is_ours())
            .map(|(seq, held)| Renewal {
                seq: *seq,
                lease: held.lease,
                progress: held.reporter.take(),
            })
            .collect()
    }

    /// Takes note of which renewals were granted, and returns the rows that were not.
    pub(super) fn renewed(
        &mut self,
        asked: &[(Seq, LeaseToken)],
        refused: &[Refusal],
        trusted_until: Instant,
    ) -> Vec<Seq> {
        let mut lost = Vec::new();
        for (seq, lease) in asked {
            let Some(held) = self.tasks.get_mut(seq).filter(|held| held.lease == *lease) else {
                continue;
            };
            if refused.iter().any(|refusal| refusal.seq == *seq) {
                lost.push(*seq);
            } else {
                held.trusted_until = trusted_until;
            }
        }
        lost
    }

    /// The rows whose lease can no longer be trusted at `now`.
    pub(super) fn at_risk(&self, now: Instant) -> Vec<Seq> {
        let at_risk = |held: &Held| held.is_ours() && held.trusted_until <= now;
        self.tasks.iter().filter(|(_, held)| at_risk(held)).map(|(seq, _)| *seq).collect()
    }

    /// When the next lease stops being trustworthy.
    pub(super) fn trusted_until(&self) -> Option<Instant> {
        let ours = self.tasks.values().filter(|held| held.is_ours());
        ours.map(|held| held.trusted_until).min()
    }
}
