//! When a task runs by itself, as links of the chain that writes it.

use std::time::Duration;

use super::TaskBuilder;
use crate::{
    schedule::Kind,
    task::{Misfire, Overlap, Schedule},
    time::Timestamp,
};

impl TaskBuilder {
    /// Runs it by itself: the kind, and the expression that this kind needs. The schedule is on.
    pub fn schedule(self, kind: Kind, expression: impl Into<String>) -> Self {
        self.with_schedule(|schedule| {
            schedule.schedule_type = Some(kind.as_str().to_owned());
            schedule.schedule_expression = Some(expression.into());
            schedule.schedule_enabled = true;
        })
    }

    /// Runs it again and again; parts of a second do not count.
    pub fn every(self, period: Duration) -> Self {
        self.schedule(Kind::Interval, period.as_secs().to_string())
    }

    /// Runs it at the times of a cron expression.
    pub fn cron(self, expression: impl Into<String>) -> Self {
        self.schedule(Kind::Cron, expression)
    }

    /// The IANA zone whose clock the schedule follows, `Europe/Berlin` for example.
    pub fn timezone(self, zone: impl Into<String>) -> Self {
        self.with_schedule(|schedule| schedule.schedule_timezone = Some(zone.into()))
    }

    /// What happens while the run before has not ended.
    pub fn overlap(self, policy: Overlap) -> Self {
        self.with_schedule(|schedule| schedule.schedule_overlap = Some(policy))
    }

    /// What happens to times that were missed.
    pub fn misfire(self, policy: Misfire) -> Self {
        self.with_schedule(|schedule| schedule.schedule_misfire = Some(policy))
    }

    /// How late a run may still begin.
    pub fn misfire_window(self, window: Duration) -> Self {
        let seconds = window.as_secs_f64();
        self.with_schedule(|schedule| schedule.schedule_misfire_window_seconds = Some(seconds))
    }

    /// Makes up for missed times, but not for more than so many at once.
    pub fn catch_up(self, most: u32) -> Self {
        self.with_schedule(|schedule| {
            schedule.schedule_misfire = Some(Misfire::CatchUp);
            schedule.schedule_catch_up = Some(most);
        })
    }

    /// Puts each run off by up to so much, so that not everything begins at once.
    pub fn jitter(self, most: Duration) -> Self {
        let seconds = most.as_secs_f64();
        self.with_schedule(|schedule| schedule.schedule_jitter_seconds = Some(seconds))
    }

    /// No run is due before this moment.
    pub fn not_before(self, start: Timestamp) -> Self {
        self.with_schedule(|schedule| schedule.schedule_start_at = Some(start))
    }

    /// No run is due after this moment.
    pub fn not_after(self, end: Timestamp) -> Self {
        self.with_schedule(|schedule| schedule.schedule_end_at = Some(end))
    }

    /// How often the schedule runs it at most.
    pub fn max_runs(self, most: u32) -> Self {
        self.with_schedule(|schedule| schedule.max_runs = Some(i64::from(most)))
    }

    fn with_schedule(mut self, change: impl FnOnce(&mut Schedule)) -> Self {
        change(&mut self.spec.schedule);
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{build::task, workflow};

    #[test]
    fn a_chain_a_file_and_task_json_say_the_same_schedule() {
        let built = task("report")
            .schedule(Kind::Weekly, "mon,fri@09:30")
            .timezone("Europe/Berlin")
            .overlap(Overlap::Queue)
            .catch_up(5)
            .misfire_window(Duration::from_hours(2))
            .jitter(Duration::from_secs(90))
            .not_before("2026-12-01T00:00:00Z".parse().expect("a moment"))
            .not_after("2027-12-01T00:00:00Z".parse().expect("a moment"))
            .max_runs(100)
            .build();
        let (read, warnings) = crate::submit::read_tasks(
            &json!({
                "name": "report", "schedule_type": "weekly", "schedule_expression": "mon,fri@09:30",
                "schedule_timezone": "Europe/Berlin", "schedule_overlap": "queue",
                "schedule_misfire": "catch_up", "schedule_catch_up": 5,
                "schedule_misfire_window_seconds": 7200, "schedule_jitter_seconds": 90,
                "schedule_start_at": "2026-12-01T01:00:00+01:00",
                "schedule_end_at": "2027-12-01T00:00:00Z", "max_runs": 100, "schedule_enabled": true,
            }),
            &crate::submit::Reading::Strict,
        )
        .expect("sound task JSON");
        assert_eq!((&read[0], warnings), (&built, Vec::new()));
        let file = "tasks: {report: {schedule: {type: weekly, expression: \"mon,fri@09:30\",
            timezone: Europe/Berlin, overlap: queue, misfire: catch_up, catch_up: 5,
            misfire_window: 2h, jitter: 90s, start_at: 2026-12-01T00:00:00Z,
            end_at: 2027-12-01T00:00:00Z, max_runs: 100}}}";
        let order = workflow::Workflow::parse(file, workflow::Format::Yaml)
            .and_then(|file| file.order(serde_json::Map::new(), "run"))
            .expect("a sound file");
        assert_eq!(order.tasks[0].schedule, built.schedule);
    }

    #[test]
    fn every_and_cron_are_short_for_their_kinds() {
        let spec = task("a").every(Duration::from_mins(5)).misfire(Misfire::Skip).build();
        assert_eq!(spec.schedule.schedule_expression.as_deref(), Some("300"));
        let spec = task("a").cron("0 9 * * 1-5").build();
        assert_eq!(spec.schedule.schedule_type.as_deref(), Some("cron"));
    }
}
