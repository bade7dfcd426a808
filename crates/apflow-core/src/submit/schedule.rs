//! Reads the schedule of a task from its JSON; what it means is checked in [`schedule`](crate::schedule).

use serde_json::Value;

use super::read::{Reader, described, whole};
use crate::{
    code::Code,
    problem::Problem,
    schedule::{self, MOMENT},
    task::{Misfire, Overlap, Schedule},
    time::Timestamp,
};

impl Reader<'_> {
    /// The schedule as far as an author may say it; slots and counts are the scheduler's.
    pub(super) fn schedule(&mut self) -> Schedule {
        Schedule {
            schedule_type: self.text("schedule_type"),
            schedule_expression: self.text("schedule_expression"),
            schedule_enabled: self.flag("schedule_enabled"),
            schedule_start_at: self.bound("schedule_start_at"),
            schedule_end_at: self.bound("schedule_end_at"),
            max_runs: self.whole("max_runs"),
            schedule_timezone: self.text("schedule_timezone"),
            schedule_overlap: self.policy(
                "schedule_overlap",
                &Overlap::ALL.map(Overlap::as_str),
                Overlap::parse,
            ),
            schedule_misfire: self.policy(
                "schedule_misfire",
                &Misfire::ALL.map(Misfire::as_str),
                Misfire::parse,
            ),
            schedule_misfire_window_seconds: self.number("schedule_misfire_window_seconds"),
            schedule_catch_up: self.read(
                "schedule_catch_up",
                &format!("a whole number from 1 to {}", schedule::MAX_CATCH_UP),
                |value| u32::try_from(whole(value)?).ok(),
            ),
            schedule_jitter_seconds: self.number("schedule_jitter_seconds"),
            ..Schedule::default()
        }
    }

    /// A moment that says in which zone it is meant.
    fn bound(&mut self, field: &str) -> Option<Timestamp> {
        let value = self.value(field)?;
        let reason = match value.as_str().map(schedule::moment) {
            Some(Ok(at)) => return Some(at),
            Some(Err(reason)) => reason,
            None => format!("{field} is {}", described(value)),
        };
        self.problems.push(
            Problem::new(Code::InvalidSchedule, reason)
                .of_task(&self.called)
                .in_field(field)
                .expecting(MOMENT)
                .found(described(value)),
        );
        None
    }

    fn policy<T>(
        &mut self,
        field: &str,
        words: &[&str],
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let expected = format!("one of {}", words.join(", "));
        self.read(field, &expected, |value| Value::as_str(value).and_then(parse))
    }
}
