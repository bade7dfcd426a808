//! Checks what an author said of a schedule, and makes a plan of it.

use std::time::Duration;

use super::{
    MAX_CATCH_UP, MAX_EXPRESSION_BYTES, MAX_JITTER_SECONDS, MAX_MISFIRE_WINDOW_SECONDS,
    cron::{self, Wrong},
    expression,
    moment::{MOMENT, moment},
    plan::{Kind, Plan, Rhythm, SECOND},
    wall::Wall,
    zone::Zone,
};
use crate::{
    code::Code,
    problem::{Problem, Problems, nearest, shortened},
    task::Schedule,
};

/// How many missed slots are made up for where the policy is to catch up and no number is given.
const CATCH_UP: usize = 10;

impl Plan {
    /// The plan of a schedule, or none if there is no schedule; else everything that is wrong with it.
    ///
    /// What is said is checked whether or not the schedule is on. A type without an expression, or the
    /// other way about, is no schedule, and wrong only if it is on.
    pub fn read(schedule: &Schedule) -> Result<Option<Self>, Problems> {
        let mut reader = Reader { problems: Vec::new() };
        let plan = reader.plan(schedule);
        Problems::refuse(reader.problems)?;
        Ok(plan)
    }
}

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn refuse(&mut self, field: &str, reason: impl Into<String>, expected: &str, found: &str) {
        self.problems.push(problem(field, reason, expected, found));
    }

    fn plan(&mut self, schedule: &Schedule) -> Option<Plan> {
        let kind = self.kind(schedule);
        let zone = self.zone(schedule);
        self.bounds(schedule);
        self.numbers(schedule);
        if schedule.schedule_enabled {
            for (field, text) in [
                ("schedule_type", &schedule.schedule_type),
                ("schedule_expression", &schedule.schedule_expression),
            ] {
                if text.is_none() {
                    let reason = "the schedule is on and does not say when";
                    self.refuse(field, reason, "a type and an expression", "nothing");
                }
            }
        }
        let expression = schedule.schedule_expression.as_deref();
        if let Some(expression) = expression {
            self.text(expression)?;
        }
        // An expression is judged even if its zone is unknown, so that both are told.
        let rhythm = self.rhythm(kind?, expression?, zone.clone().unwrap_or_else(Zone::utc));
        let (kind, zone, rhythm) = (kind?, zone?, rhythm?);
        let runs_left = schedule.max_runs.map(|most| most.saturating_sub(schedule.run_count));
        Some(Plan {
            kind,
            rhythm,
            zone,
            start: schedule.schedule_start_at,
            end: schedule.schedule_end_at,
            known: schedule.next_run_at,
            runs_left: runs_left.map(|left| u64::try_from(left).unwrap_or(0)),
            overlap: schedule.schedule_overlap.unwrap_or_default(),
            misfire: schedule.schedule_misfire.unwrap_or_default(),
            window: schedule.schedule_misfire_window_seconds.and_then(seconds),
            catch_up: schedule
                .schedule_catch_up
                .map_or(CATCH_UP, |most| usize::try_from(most).unwrap_or(CATCH_UP)),
            jitter: schedule.schedule_jitter_seconds.and_then(seconds).unwrap_or_default(),
        })
    }

    fn kind(&mut self, schedule: &Schedule) -> Option<Kind> {
        let word = schedule.schedule_type.as_deref()?;
        let kind = Kind::parse(word);
        if kind.is_none() {
            let words = Kind::ALL.map(Kind::as_str);
            let reason = format!("`{}` is no schedule_type", shortened(word));
            let expected = format!("one of {}", words.join(", "));
            let mut problem = problem("schedule_type", reason, &expected, word);
            if let Some(near) = nearest(word, words) {
                problem = problem.hinting(format!("did you mean `{near}`?"));
            }
            self.problems.push(problem);
        }
        kind
    }

    fn zone(&mut self, schedule: &Schedule) -> Option<Zone> {
        let Some(name) = schedule.schedule_timezone.as_deref() else { return Some(Zone::utc()) };
        let zone = Zone::find(name);
        if zone.is_none() {
            let reason = format!("`{}` is no time zone", shortened(name));
            let expected = "a name of the IANA list, like Europe/Berlin or UTC";
            let mut problem = problem("schedule_timezone", reason, expected, name);
            if let Some(near) = Zone::near(name) {
                problem = problem.hinting(format!("did you mean `{near}`?"));
            }
            self.problems.push(problem);
        }
        zone
    }

    fn bounds(&mut self, schedule: &Schedule) {
        for (field, at) in [
            ("schedule_start_at", schedule.schedule_start_at),
            ("schedule_end_at", schedule.schedule_end_at),
        ] {
            if let Some(at) = at.filter(|at| jiff::Timestamp::from_microsecond(at.0).is_err()) {
                let reason = "the moment is outside the years that can be counted";
                self.refuse(field, reason, MOMENT, &at.to_string());
            }
        }
        if let (Some(start), Some(end)) = (schedule.schedule_start_at, schedule.schedule_end_at)
            && end < start
        {
            let reason = "the schedule ends before it begins";
            let expected = format!("a moment after {start}");
            self.refuse("schedule_end_at", reason, &expected, &end.to_string());
        }
    }

    fn numbers(&mut self, schedule: &Schedule) {
        if let Some(runs) = schedule.max_runs.filter(|runs| *runs < 1) {
            let reason = format!("{runs} is below 1");
            self.refuse("max_runs", reason, "a whole number from 1 on", &runs.to_string());
        }
        if let Some(most) =
            schedule.schedule_catch_up.filter(|most| !(1..=MAX_CATCH_UP).contains(most))
        {
            let reason = format!("{most} is outside 1 to {MAX_CATCH_UP}");
            let expected = format!("a whole number from 1 to {MAX_CATCH_UP}");
            self.refuse("schedule_catch_up", reason, &expected, &most.to_string());
        }
        let window = schedule.schedule_misfire_window_seconds;
        self.between("schedule_misfire_window_seconds", window, 1.0, MAX_MISFIRE_WINDOW_SECONDS);
        let jitter = schedule.schedule_jitter_seconds;
        self.between("schedule_jitter_seconds", jitter, 0.0, MAX_JITTER_SECONDS);
    }

    fn between(&mut self, field: &str, value: Option<f64>, least: f64, most: f64) {
        if let Some(value) = value.filter(|value| !(*value >= least && *value <= most)) {
            let reason = format!("{value} is outside {least} to {most}");
            let expected = format!("a number of seconds from {least} to {most}");
            self.refuse(field, reason, &expected, &value.to_string());
        }
    }

    /// Length and letters, before anything reads the expression.
    fn text(&mut self, expression: &str) -> Option<()> {
        const FIELD: &str = "schedule_expression";
        let bytes = expression.len();
        if bytes > MAX_EXPRESSION_BYTES {
            let reason = format!("the expression has {bytes} bytes");
            let expected = format!("at most {MAX_EXPRESSION_BYTES} letters");
            self.refuse(FIELD, reason, &expected, expression);
            return None;
        }
        let odd = |letter: &char| !matches!(letter, ' '..='~' | '\t');
        if let Some(odd) = expression.chars().find(odd) {
            let reason = format!("the expression has the character U+{:04X}", u32::from(odd));
            self.refuse(FIELD, reason, "ASCII letters, digits and signs", expression);
            return None;
        }
        Some(())
    }

    fn rhythm(&mut self, kind: Kind, text: &str, zone: Zone) -> Option<Rhythm> {
        let wall = |fields| Wall::new(fields, zone).map(|wall| Rhythm::Wall(Box::new(wall)));
        let (rhythm, expected) = match kind {
            Kind::Once => (moment(text).map(Rhythm::Once).map_err(Wrong::new), MOMENT),
            Kind::Interval => (
                expression::interval(text).map(|seconds| Rhythm::Interval(seconds * SECOND)),
                "whole seconds from 1 to 315360000, like 3600",
            ),
            Kind::Cron => (
                cron::read(text).and_then(wall),
                "minute hour day month weekday, perhaps seconds behind, or @daily and the like",
            ),
            Kind::Daily => (expression::daily(text).and_then(wall), "a time of day like 09:30"),
            Kind::Weekly => (
                expression::weekly(text).and_then(wall),
                "`1,3,5 09:00` with 1 for Monday to 7 for Sunday, or `mon,wed@09:00`",
            ),
            Kind::Monthly => (
                expression::monthly(text).and_then(wall),
                "`1,15 09:00` or `1,15@09:00` with days from 1 to 31",
            ),
        };
        match rhythm {
            Ok(rhythm) => Some(rhythm),
            Err(Wrong { reason, hint }) => {
                let mut problem = problem("schedule_expression", reason, expected, text);
                problem.hint = hint;
                self.problems.push(problem);
                None
            }
        }
    }
}

fn problem(field: &str, reason: impl Into<String>, expected: &str, found: &str) -> Problem {
    Problem::new(Code::InvalidSchedule, reason).in_field(field).expecting(expected).found(found)
}

fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}
