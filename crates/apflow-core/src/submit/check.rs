//! What one task may say, whoever wrote it: lengths, ranges and values that can be stored.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::{
    Limits, MAX_TIMEOUT_SECONDS, TaskSpec,
    json::{MAX_INLINE_BYTES, UnfitKind, measure},
    read::{called, check_count, is_known},
};
use crate::{
    code::Code,
    condition, firing,
    id::{MAX_ID_CHARS, check_id},
    problem::{Problem, Problems, shortened},
    schedule::Plan,
    task::{MOST_CYCLES, Timeouts},
};

/// The ways the delay between attempts grows.
const BACKOFF_STRATEGIES: [&str; 3] = ["fixed", "exponential", "linear"];

/// Adds every problem of one task that can be seen without the others.
pub(super) fn check(spec: &TaskSpec, index: usize, limits: &Limits, problems: &mut Vec<Problem>) {
    let task = called(
        Some(&spec.name).filter(|name| !name.is_empty()).map(String::as_str),
        spec.id.as_deref(),
        index,
    );
    let mut checker = Checker { task, problems };
    checker.names(spec, index);
    checker.values(spec);
    checker.ranges(spec, limits);
    checker.schedule(spec);
    checker.flow(spec);
}

struct Checker<'a> {
    task: String,
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    fn add(&mut self, field: &str, problem: Problem) {
        self.problems.push(problem.of_task(&self.task).in_field(field));
    }

    fn refuse(&mut self, field: &str, reason: impl Into<String>, expected: &str, actual: &str) {
        self.add(field, Problem::new(Code::InvalidTask, reason).expecting(expected).found(actual));
    }

    fn names(&mut self, spec: &TaskSpec, index: usize) {
        if spec.name.is_empty() {
            let detail = format!("Task at index {index} must have a 'name' field");
            self.add(
                "name",
                Problem::new(Code::InvalidTask, "the task has no name")
                    .expecting(format!("a text of 1 to {MAX_ID_CHARS} characters"))
                    .found("nothing")
                    .known_as(detail),
            );
        } else {
            self.short("name", Some(&spec.name), MAX_ID_CHARS);
        }
        self.short("id", spec.id.as_deref(), MAX_ID_CHARS);
        self.short("parent_id", spec.parent.as_deref(), MAX_ID_CHARS);
        self.short("task_tree_id", spec.tree_id.as_deref(), MAX_ID_CHARS);
        self.short("user_id", spec.user_id.as_deref(), MAX_ID_CHARS);
        let original = spec.origin.original_task_id.as_ref().map(AsRef::as_ref);
        self.short("original_task_id", original, MAX_ID_CHARS);
        self.short("idempotency_key", spec.durability.idempotency_key.as_deref(), MAX_ID_CHARS);
        self.short("resume_from", spec.durability.resume_from.as_deref(), MAX_ID_CHARS);
        self.short("cost_policy", spec.governance.cost_policy.as_deref(), 100);
    }

    /// A text of at least one character and at most `most`.
    fn short(&mut self, field: &str, text: Option<&str>, most: usize) {
        let Some(text) = text else { return };
        let long = text.chars().count();
        let reason = check_id(text).or_else(|| {
            (long > most).then(|| format!("{long} characters, where 1 to {most} are allowed"))
        });
        if let Some(reason) = reason {
            let expected = format!("a text of 1 to {most} characters without U+0000");
            self.refuse(field, reason, &expected, text);
        }
    }

    fn values(&mut self, spec: &TaskSpec) {
        self.object("inputs", &spec.inputs);
        self.object("params", &spec.params);
        self.object("schemas", &spec.schemas);
        if let Some(value) = &spec.placement_constraints {
            self.value("placement_constraints", value, MAX_INLINE_BYTES);
        }
        if let Some(usage) = &spec.governance.token_usage {
            let counts = usage
                .as_object()
                .is_some_and(|parts| parts.values().all(|part| part.is_null() || part.is_u64()));
            if counts {
                self.value("token_usage", usage, MAX_INLINE_BYTES);
            } else {
                let actual = super::read::described(usage);
                let reason = "it does not count tokens";
                self.refuse(
                    "token_usage",
                    reason,
                    "{input, output, total} as whole numbers",
                    &actual,
                );
            }
        }
        for (place, reference) in spec.dependencies.iter().enumerate() {
            if !reference.extra.is_empty() {
                self.object(&format!("dependencies[{place}]"), &reference.extra);
            }
        }
        for (field, value) in &spec.extra {
            if is_known(field) {
                let reason = "a custom field cannot have the name of a field every task has";
                self.refuse(&shortened(field), reason, "another name", field);
            } else {
                self.short(&shortened(field), Some(field), MAX_ID_CHARS);
                self.value(&shortened(field), value, MAX_INLINE_BYTES);
            }
        }
    }

    fn object(&mut self, field: &str, object: &Map<String, Value>) {
        if object.is_empty() {
            return;
        }
        // Each entry is measured alone: one level and the braces are the object's own.
        let mut bytes = 1 + object.len();
        for (key, value) in object {
            if key.contains('\0') {
                self.refuse(field, "a key contains the character U+0000", "keys without it", key);
                return;
            }
            match within(value) {
                Ok(length) => bytes += key.len() + 3 + length,
                Err(unfit) => {
                    self.unfit(
                        &format!("{field}.{}{}", shortened(key), shortened(&unfit.at)),
                        &unfit,
                    );
                    return;
                }
            }
        }
        if bytes > MAX_INLINE_BYTES {
            let what = UnfitKind::TooLong { bytes, most: MAX_INLINE_BYTES };
            self.unfit(field, &super::json::Unfit { at: String::new(), what });
        }
    }

    fn value(&mut self, field: &str, value: &Value, most: usize) {
        if let Err(unfit) = measure(value, most) {
            self.unfit(&format!("{field}{}", shortened(&unfit.at)), &unfit);
        }
    }

    fn unfit(&mut self, field: &str, unfit: &super::json::Unfit) {
        let (code, hint) = match unfit.what {
            UnfitKind::TooDeep => (Code::TooLarge, "flatten it"),
            UnfitKind::TooLong { .. } => {
                (Code::TooLarge, "store it elsewhere and pass its address")
            }
            UnfitKind::Nul => (Code::InvalidTask, "encode binary data, in Base64 for example"),
            UnfitKind::NotFinite => (Code::InvalidTask, "write a number, a text or null"),
        };
        self.add(field, Problem::new(code, unfit.to_string()).hinting(hint));
    }

    fn ranges(&mut self, spec: &TaskSpec, limits: &Limits) {
        let found = spec.dependencies.len();
        if found > limits.dependencies {
            self.problems.push(check_count(found, limits.dependencies).of_task(&self.task));
        }
        condition::check(spec, &self.task, self.problems);
        let passes = 1.0..=f64::from(MOST_CYCLES);
        self.between("max_cycles", spec.max_cycles.map(f64::from), &passes);
        let most = spec.loop_edge.as_ref().and_then(|edge| edge.max);
        self.between("loop.max", most.map(f64::from), &passes);
        if let Some(seconds) = spec.timeout_seconds
            && !(seconds > 0.0 && seconds <= MAX_TIMEOUT_SECONDS)
        {
            let expected = format!("seconds above 0 and at most {MAX_TIMEOUT_SECONDS}");
            let reason = format!("{seconds} is no time an attempt may take");
            self.refuse("timeout_seconds", reason, &expected, &seconds.to_string());
        }
        let durability = &spec.durability;
        let attempts = durability.max_attempts.map(f64::from);
        self.between("max_attempts", attempts, &(1.0..=100.0));
        self.word("backoff_strategy", durability.backoff_strategy.as_deref(), &BACKOFF_STRATEGIES);
        // The Python API shows 0 as the default, so it is taken for "not set" here as well.
        let base = durability.backoff_base_seconds.filter(|base| *base != 0.0);
        self.between("backoff_base_seconds", base, &(0.1..=3600.0));
        self.between("backoff_max_seconds", durability.backoff_max_seconds, &(0.1..=86_400.0));
        if let (Some(base), Some(most)) = (base, durability.backoff_max_seconds)
            && most < base
        {
            let reason = format!("the longest delay, {most}, is shorter than the first, {base}");
            let expected = format!("a number from {base}, `backoff_base_seconds`, to 86400");
            self.refuse("backoff_max_seconds", reason, &expected, &most.to_string());
        }
        self.between("backoff_factor", durability.backoff_factor, &(1.0..=100.0));
        let Timeouts { queue_timeout_seconds, heartbeat_timeout_seconds, deadline_seconds } =
            spec.timeouts;
        for (field, value) in [
            ("retry_deadline_seconds", durability.retry_deadline_seconds),
            ("queue_timeout_seconds", queue_timeout_seconds),
            ("heartbeat_timeout_seconds", heartbeat_timeout_seconds),
            ("deadline_seconds", deadline_seconds),
        ] {
            if let Some(seconds) = value.filter(|it| !(*it > 0.0 && *it <= MAX_TIMEOUT_SECONDS)) {
                let expected = format!("seconds above 0 and at most {MAX_TIMEOUT_SECONDS}");
                let reason = format!("{seconds} is no time to wait for");
                self.refuse(field, reason, &expected, &seconds.to_string());
            }
        }
        let governance = &spec.governance;
        self.at_least("token_budget", governance.token_budget.map(|budget| budget as f64), 0.0);
        self.at_least("estimate_tokens", governance.estimate_tokens.map(|it| it as f64), 0.0);
        self.at_least("estimated_cost_usd", governance.estimated_cost_usd, 0.0);
        self.at_least("actual_cost_usd", governance.actual_cost_usd, 0.0);
    }

    fn between(&mut self, field: &str, value: Option<f64>, range: &RangeInclusive<f64>) {
        let Some(value) = value.filter(|value| !range.contains(value)) else { return };
        let (least, most) = (range.start(), range.end());
        let reason = format!("{value} is outside {least} to {most}");
        self.refuse(field, reason, &format!("a number from {least} to {most}"), &value.to_string());
    }

    fn at_least(&mut self, field: &str, value: Option<f64>, least: f64) {
        let sound = |value: f64| value.is_finite() && value >= least;
        let Some(value) = value.filter(|value| !sound(*value)) else { return };
        let reason = format!("{value} is below {least}");
        self.refuse(field, reason, &format!("a number from {least} on"), &value.to_string());
    }

    fn word(&mut self, field: &str, word: Option<&str>, known: &[&str]) {
        let Some(word) = word.filter(|word| !known.contains(word)) else { return };
        let expected = format!("one of {}", known.join(", "));
        self.refuse(field, format!("`{}` is no {field}", shortened(word)), &expected, word);
    }

    fn flow(&mut self, spec: &TaskSpec) {
        for (field, reason) in spec.flow.mistakes() {
            self.add(&field, Problem::new(Code::InvalidFlow, reason));
        }
    }

    fn schedule(&mut self, spec: &TaskSpec) {
        let read = Plan::read(&spec.schedule).map(drop);
        if let Err(Problems(problems)) = read.and_then(|()| firing::refuse(&spec.schedule, 0)) {
            let task = &self.task;
            self.problems.extend(problems.into_iter().map(|problem| problem.of_task(task)));
        }
    }
}

/// Measures a value that stands one level down.
fn within(value: &Value) -> Result<usize, super::json::Unfit> {
    super::json::measure_within(value, MAX_INLINE_BYTES)
}
