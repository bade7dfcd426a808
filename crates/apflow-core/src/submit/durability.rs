//! Reads how a task is tried again and how long it may take, in the words of v2 and in those of Graflow.

use serde_json::{Map, Value};

use super::{TaskSpec, read::Reader, whole};
use crate::{
    code::Code,
    problem::{Problem, nearest, shortened},
    task::{Durability, Jitter, Timeouts},
};

/// What Graflow waits at most where its policy does not say, in seconds.
const GRAFLOW_MOST: f64 = 60.0;

/// The fields of `retry_policy`, as Graflow has them.
pub const RETRY_POLICY_FIELDS: &[&str] =
    &["max_retries", "initial_interval", "backoff_factor", "max_interval", "jitter"];

/// So many words may stand in `no_retry_on`, each so long.
pub const MAX_NO_RETRY: (usize, usize) = (50, 100);

/// What `jitter` may be: a word, or Graflow's true and false.
pub(crate) fn jitter(value: &Value) -> Option<Jitter> {
    match value {
        Value::Bool(true) => Some(Jitter::Bounded),
        Value::Bool(false) => Some(Jitter::None),
        Value::String(word) => Jitter::parse(word),
        _ => None,
    }
}

/// The words of `no_retry_on`, if each of them can be one.
pub(crate) fn no_retry_on(value: &Value) -> Option<Vec<String>> {
    let (most, length) = MAX_NO_RETRY;
    let fits = |word: &&str| !word.trim().is_empty() && word.chars().count() <= length;
    let words: Option<Vec<String>> = value
        .as_array()?
        .iter()
        .map(|word| word.as_str().filter(fits).map(str::to_owned))
        .collect();
    words.filter(|words| words.len() <= most)
}

/// What `no_retry_on` has to be, in words.
pub(crate) const NO_RETRY_ON: &str =
    "a list of at most 50 kinds of failure or words of messages, each of 1 to 100 characters";

/// What `jitter` has to be, in words.
pub(crate) const JITTER: &str = "none, full or bounded; true means bounded";

impl Reader<'_> {
    pub(super) fn tried_again(&mut self, spec: &mut TaskSpec) {
        let durability = &mut spec.durability;
        durability.max_attempts =
            self.read("max_attempts", "a whole number from 1 to 100", |value| {
                u32::try_from(whole(value)?).ok()
            });
        durability.backoff_strategy = self.text("backoff_strategy");
        durability.backoff_base_seconds = self.number("backoff_base_seconds");
        durability.backoff_max_seconds = self.number("backoff_max_seconds");
        durability.backoff_factor = self.number("backoff_factor");
        let says_jitter = self.value("jitter").is_some();
        durability.jitter = self.read("jitter", JITTER, jitter).unwrap_or_default();
        durability.no_retry_on =
            self.read("no_retry_on", NO_RETRY_ON, no_retry_on).unwrap_or_default();
        durability.retry_deadline_seconds = self.number("retry_deadline_seconds");
        self.retries("max_retries", None, durability);
        if let Some(policy) = self.read("retry_policy", "an object", Value::as_object) {
            self.retry_policy(policy, durability, says_jitter);
        }
        spec.timeouts = Timeouts {
            queue_timeout_seconds: self.number("queue_timeout_seconds"),
            heartbeat_timeout_seconds: self.number("heartbeat_timeout_seconds"),
            deadline_seconds: self.number("deadline_seconds"),
        };
    }

    /// Attempts after the first one, where the other field counts all of them.
    fn retries(&mut self, field: &str, value: Option<&Value>, durability: &mut Durability) {
        const EXPECTED: &str = "a whole number from 0 to 99";
        let read =
            |value: &Value| u32::try_from(whole(value)?).ok().filter(|retries| *retries <= 99);
        let Some(value) = value.or_else(|| self.value(field)) else { return };
        let Some(retries) = read(value) else {
            self.refuse(field, EXPECTED, value);
            return;
        };
        let attempts = retries + 1;
        if let Some(said) = durability.max_attempts.replace(attempts)
            && said != attempts
        {
            let reason =
                format!("{retries} retries are {attempts} attempts, and elsewhere it says {said}");
            self.problems.push(
                Problem::new(Code::InvalidTask, reason)
                    .of_task(&self.called)
                    .in_field(field)
                    .expecting("either `max_attempts`, all attempts, or `max_retries`, those after the first")
                    .found(retries.to_string()),
            );
        }
    }

    fn retry_policy(
        &mut self,
        policy: &Map<String, Value>,
        durability: &mut Durability,
        says_jitter: bool,
    ) {
        for key in policy.keys().filter(|key| !RETRY_POLICY_FIELDS.contains(&key.as_str())) {
            let mut problem = Problem::new(
                Code::InvalidTask,
                format!("`{}` is not a field of a retry policy", shortened(key)),
            )
            .of_task(&self.called)
            .in_field(format!("retry_policy.{}", shortened(key)))
            .expecting(format!("one of {}", RETRY_POLICY_FIELDS.join(", ")));
            if let Some(near) = nearest(key, RETRY_POLICY_FIELDS.iter().copied()) {
                problem = problem.hinting(format!("did you mean `{near}`?"));
            }
            self.problems.push(problem);
        }
        let said = |key: &str| policy.get(key).filter(|value| !value.is_null());
        if let Some(retries) = said("max_retries") {
            self.retries("retry_policy.max_retries", Some(retries), durability);
        }
        let mut seconds = |key: &str| {
            let value = said(key)?;
            let number = value.as_f64();
            if number.is_none() {
                self.refuse(&format!("retry_policy.{key}"), "a number", value);
            }
            number
        };
        let (base, factor) = (seconds("initial_interval"), seconds("backoff_factor"));
        let most = seconds("max_interval");
        durability.backoff_base_seconds = durability.backoff_base_seconds.or(base);
        durability.backoff_factor = durability.backoff_factor.or(factor);
        // A policy that says nothing of a cap never has one below its first delay.
        let own = GRAFLOW_MOST.max(durability.backoff_base_seconds.unwrap_or(0.0));
        durability.backoff_max_seconds = durability.backoff_max_seconds.or(most).or(Some(own));
        durability.backoff_strategy.get_or_insert_with(|| "exponential".to_owned());
        if let Some(value) = said("jitter") {
            match jitter(value) {
                Some(_) if says_jitter => {}
                Some(jitter) => durability.jitter = jitter,
                None => self.refuse("retry_policy.jitter", JITTER, value),
            }
        }
    }
}
