//! How long a task may take: in the queue, between signs of life, and over all its attempts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Definition, State, Task,
    definition::is_default,
    facets::{Facets, HeldBy},
};
use crate::time::Timestamp;

/// What an author says about times besides that of one attempt, which is `timeout_seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeouts {
    /// Longest time from being ready to being taken by a worker, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_timeout_seconds: Option<f64>,
    /// Longest time an attempt may go without reporting progress, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout_seconds: Option<f64>,
    /// Longest time from the first attempt to the end, over all attempts and the time between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<f64>,
}

/// The bounds of time that hold where no worker does, in microseconds; kept beside the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Bounds {
    /// From ready to running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<u64>,
    /// From the first attempt to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<u64>,
    /// From the first attempt to the beginning of the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u64>,
}

impl Bounds {
    /// What an author said, or none if he said nothing of the kind.
    pub fn of(definition: &Definition) -> Option<Self> {
        let micros = |seconds: Option<f64>| {
            let time =
                Duration::try_from_secs_f64(seconds.filter(|seconds| *seconds > 0.0)?).ok()?;
            u64::try_from(time.as_micros()).ok()
        };
        let bounds = Self {
            queue: micros(definition.timeouts.queue_timeout_seconds),
            whole: micros(definition.timeouts.deadline_seconds),
            retries: micros(definition.durability.retry_deadline_seconds),
        };
        (!is_default(&bounds)).then_some(bounds)
    }
}

/// A bound of time that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// No worker took the task in time.
    Queue(Duration),
    /// The task did not end in time.
    Whole(Duration),
}

impl Over {
    /// The sentence for people.
    pub fn in_words(self) -> String {
        match self {
            Self::Queue(time) => format!(
                "no worker took the task within its queue timeout of {time:?} \
                 (queue_timeout_seconds)"
            ),
            Self::Whole(time) => format!(
                "the task did not end within {time:?} of its first attempt (deadline_seconds)"
            ),
        }
    }
}

impl Task {
    /// Takes up what the author said about times; the rest of what only some tasks have stays.
    pub fn bind(&mut self, definition: &Definition) {
        let bounds = Bounds::of(definition);
        if self.facets.is_some() || bounds.is_some() {
            self.set_facets(|facets| facets.bounds = bounds);
        }
    }

    fn bounds(&self) -> Option<&Bounds> {
        self.facets.as_ref()?.bounds.as_ref()
    }

    /// When the whole task must be done, once its first attempt began.
    pub fn deadline(&self) -> Option<Timestamp> {
        let whole = self.bounds()?.whole?;
        Some(self.started_at?.after(Duration::from_micros(whole)))
    }

    /// When a ready task has waited too long for a worker. Somebody who pauses it stops that clock.
    pub(super) fn queue_until(&self) -> Option<Timestamp> {
        let facets = self.facets.as_ref()?;
        let queue = facets.bounds.as_ref()?.queue?;
        let paused = self.held.as_ref().is_some_and(|held| held.by == HeldBy::Pause);
        let ready = self.state == State::Ready && !paused;
        Some(facets.ready_since.filter(|_| ready)?.after(Duration::from_micros(queue)))
    }

    /// The bound that is over at `now`, where no worker holds the task.
    pub(crate) fn over(&self, now: Timestamp) -> Option<Over> {
        let bounds = self.bounds()?;
        let passed = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        if let Some(whole) = bounds.whole.filter(|_| passed(self.deadline())) {
            return Some(Over::Whole(Duration::from_micros(whole)));
        }
        let queue = bounds.queue.filter(|_| passed(self.queue_until()))?;
        Some(Over::Queue(Duration::from_micros(queue)))
    }

    /// Why no attempt may begin at `at` any more, if none may.
    pub(crate) fn too_late(&self, at: Timestamp) -> Option<String> {
        let bounds = self.bounds()?;
        let began = self.started_at?;
        let of = |micros: Option<u64>| micros.map(Duration::from_micros);
        let within = |time: &Duration| at > began.after(*time);
        if let Some(time) = of(bounds.retries).filter(within) {
            return Some(format!(
                "the next attempt would begin later than {time:?} after the first one \
                 (retry_deadline_seconds)"
            ));
        }
        let time = of(bounds.whole).filter(within)?;
        Some(format!(
            "the next attempt would begin later than {time:?} after the first one \
             (deadline_seconds)"
        ))
    }

    /// Begins to count the time in the queue.
    pub(crate) fn queued(&mut self, now: Timestamp) {
        if self.bounds().is_some_and(|bounds| bounds.queue.is_some()) {
            self.set_facets(|facets| facets.ready_since = Some(now));
        }
    }

    /// When the present or last attempt began.
    pub fn attempt_began(&self) -> Option<Timestamp> {
        self.facets.as_ref().and_then(|facets| facets.began).or(self.started_at)
    }
}

impl Facets {
    /// What a new run keeps of them: what the author said, its place in a group, and that somebody
    /// paused it.
    pub(crate) fn of_a_new_run(self) -> Option<Self> {
        let flow = self.flow.map(crate::flow::Flow::for_a_new_run);
        let Self { bounds, paused, member, has_spawned, spawned, on_jump, .. } = self;
        let kept =
            Self { bounds, member, paused, flow, has_spawned, spawned, on_jump, ..Self::default() };
        (!kept.is_empty()).then_some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_says_nothing_has_no_bounds_and_nothing_is_stored_for_it() {
        assert_eq!(Bounds::of(&Definition::default()), None);
        let timeouts = Timeouts { deadline_seconds: Some(0.0), ..Timeouts::default() };
        assert_eq!(Bounds::of(&Definition { timeouts, ..Definition::default() }), None);
    }

    #[test]
    fn bounds_are_what_the_author_said_in_microseconds() {
        let timeouts = Timeouts {
            queue_timeout_seconds: Some(1.5),
            heartbeat_timeout_seconds: Some(2.0),
            deadline_seconds: Some(60.0),
        };
        let bounds = Bounds::of(&Definition { timeouts, ..Definition::default() });
        let expected = Bounds { queue: Some(1_500_000), whole: Some(60_000_000), retries: None };
        assert_eq!(bounds, Some(expected));
    }
}
