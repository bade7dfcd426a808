//! Waiting without holding a worker: questions, events, timers and other runs.
//!
//! Each call parks the task unless what it waits for has come. When it comes, the executor runs again
//! from its top and the same call returns it. So a call must be made again in the same order, or under
//! a key of its own, and what is done before it is done again: put effects behind the last wait, or make
//! them idempotent.

use std::{sync::PoisonError, time::Duration};

use serde_json::{Map, Value, json};

use super::{Context, ExecuteError, Park};
use crate::{
    id::{MAX_ID_CHARS, TreeId},
    question::{Answer, Question},
    store::{Answered, MAX_WAITS, WaitState},
    task::{FailureKind, OnTimeout, Outcome, Wait, WaitFor},
    time::Timestamp,
};

/// A topic may have so many characters.
pub const MAX_TOPIC_CHARS: usize = MAX_ID_CHARS;

/// An event that a task waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventWait {
    /// What it is about.
    pub topic: String,
    /// Fields its payload must have, with these values; a dotted path leads into objects.
    pub filter: Map<String, Value>,
    /// An event that came up to so long before counts too.
    pub look_back: Option<Duration>,
    /// How long it is waited for; none means for ever.
    pub timeout: Option<Duration>,
    /// What happens then; a default is taken as the payload.
    pub on_timeout: OnTimeout,
    /// Which wait of its task it is.
    pub key: Option<String>,
}

impl EventWait {
    /// The next event on a topic, waited for without end.
    pub fn on(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            filter: Map::new(),
            look_back: None,
            timeout: None,
            on_timeout: OnTimeout::Fail,
            key: None,
        }
    }

    /// Only an event whose payload has this value there.
    #[must_use]
    pub fn only(mut self, path: impl Into<String>, value: impl Into<Value>) -> Self {
        self.filter.insert(path.into(), value.into());
        self
    }

    /// Takes an event that came up to so long before.
    #[must_use]
    pub const fn looking_back(mut self, by: Duration) -> Self {
        self.look_back = Some(by);
        self
    }

    /// Says how long it is waited for, and what happens then.
    #[must_use]
    pub fn within(mut self, timeout: Duration, then: OnTimeout) -> Self {
        (self.timeout, self.on_timeout) = (Some(timeout), then);
        self
    }

    fn fault(&self) -> Option<String> {
        check_topic(&self.topic).or_else(|| match &self.on_timeout {
            OnTimeout::Escalate { .. } => Some("nobody can be asked for an event".to_owned()),
            _ => None,
        })
    }
}

/// Why a text is no topic, if it is none.
pub fn check_topic(topic: &str) -> Option<String> {
    let chars = topic.chars().count();
    if chars == 0 || chars > MAX_TOPIC_CHARS {
        return Some(format!("a topic has 1 to {MAX_TOPIC_CHARS} characters, not {chars}"));
    }
    topic.contains('\0').then(|| "a topic cannot contain the character U+0000".to_owned())
}

/// Whether a payload has every value a filter names; a dotted path leads into objects.
pub fn matches_filter(filter: &Map<String, Value>, payload: &Value) -> bool {
    filter.iter().all(|(path, wanted)| {
        let whole = payload.get(path);
        let deep = || path.split('.').try_fold(payload, |at, step| at.get(step));
        whole.or_else(deep) == Some(wanted)
    })
}

/// How a run ended that a task waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// The tree.
    pub tree: TreeId,
    /// How.
    pub outcome: Outcome,
    /// Which run of it.
    pub run: u32,
}

impl Context {
    /// Asks a person. Parks the task until somebody answers.
    ///
    /// After a withdrawal it returns a failure of kind [`FailureKind::WaitCancelled`].
    #[expect(clippy::needless_pass_by_value, reason = "a question is asked once")]
    pub fn ask(&self, question: Question) -> Result<Answer, ExecuteError> {
        if let Some(fault) = question.fault() {
            return Err(ExecuteError::invalid_input(format!(
                "the question cannot be asked: {fault}"
            )));
        }
        let wait = Wait {
            key: self.key_of(question.key.as_deref())?,
            on_timeout: question.on_timeout.clone(),
            ..Wait::new(WaitFor::Feedback, question.detail())
        };
        let answered = self.came(wait, question.timeout)?;
        let reply = question.read(&answered.value).map_err(|unfit| {
            let Answered { value, .. } = &answered;
            let why =
                format!("the answer {value} does not fit the question any more: {}", unfit.reason);
            ExecuteError::invalid_input(why)
        })?;
        Ok(Answer { reply, by: answered.by, at: answered.at })
    }

    /// Waits for an event and returns its payload.
    pub fn wait_for_event(&self, event: EventWait) -> Result<Value, ExecuteError> {
        if let Some(fault) = event.fault() {
            let why = format!("the event cannot be waited for: {fault}");
            return Err(ExecuteError::invalid_input(why));
        }
        let mut detail = Map::new();
        detail.insert("topic".to_owned(), json!(event.topic));
        if !event.filter.is_empty() {
            detail.insert("filter".to_owned(), Value::Object(event.filter));
        }
        if let Some(look_back) = event.look_back {
            detail.insert("look_back_seconds".to_owned(), json!(look_back.as_secs_f64()));
        }
        let wait = Wait {
            key: self.key_of(event.key.as_deref())?,
            on_timeout: event.on_timeout,
            ..Wait::new(WaitFor::Event, Value::Object(detail))
        };
        Ok(self.came(wait, event.timeout)?.value)
    }

    /// Waits so long without holding a worker; restarts do not lengthen it.
    pub fn sleep(&self, time: Duration) -> Result<(), ExecuteError> {
        let detail = json!({ "seconds": time.as_secs_f64() });
        let wait = Wait { key: self.key_of(None)?, ..Wait::new(WaitFor::Timer, detail) };
        self.came(wait, Some(time)).map(drop)
    }

    /// Waits until a moment without holding a worker.
    pub fn sleep_until(&self, at: Timestamp) -> Result<(), ExecuteError> {
        let detail = json!({ "at": at });
        let wait = Wait { key: self.key_of(None)?, ..Wait::new(WaitFor::Timer, detail) };
        self.came(wait, None).map(drop)
    }

    /// Waits until the newest run of another tree has ended; a tree that never ran is waited for until
    /// it does.
    pub fn wait_for_run(&self, tree: &TreeId) -> Result<RunEnd, ExecuteError> {
        if *tree == self.tree {
            let why = "a task cannot wait for the run it is part of";
            return Err(ExecuteError::invalid_input(why));
        }
        let detail = json!({ "tree": tree });
        let wait = Wait { key: self.key_of(None)?, ..Wait::new(WaitFor::Child, detail) };
        let ended = self.came(wait, None)?.value;
        let outcome = ended.get("outcome").and_then(Value::as_str).and_then(Outcome::parse);
        let run = ended.get("run").and_then(Value::as_u64).and_then(|run| u32::try_from(run).ok());
        match (outcome, run) {
            (Some(outcome), Some(run)) => Ok(RunEnd { tree: tree.clone(), outcome, run }),
            _ => Err(ExecuteError::permanent(format!("{ended} is no end of a run"))),
        }
    }

    /// Which wait of its task the next one is: named, or counted within one pass.
    pub(crate) fn key_of(&self, named: Option<&str>) -> Result<String, ExecuteError> {
        if let Some(key) = named {
            match crate::id::check_id(key) {
                Some(fault) => {
                    Err(ExecuteError::invalid_input(format!("the key of a wait: {fault}")))
                }
                None => Ok(key.to_owned()),
            }
        } else {
            // Whoever panicked while he held it has written whole notes or none.
            let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            let key = format!("{}.{}", self.given.cycle, notes.asked);
            notes.asked += 1;
            Ok(key)
        }
    }

    /// What came for a wait, or the way to park for it.
    fn came(&self, wait: Wait, at_most: Option<Duration>) -> Result<Answered, ExecuteError> {
        let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match self.given.answers.get(&wait.key) {
            Some(answered) if answered.state == WaitState::Answered => Ok(answered.clone()),
            Some(answered) if answered.state == WaitState::Cancelled => {
                Err(ExecuteError::of_kind(FailureKind::WaitCancelled, words(&answered.value)))
            }
            Some(answered) if answered.state == WaitState::Expired => {
                Err(ExecuteError::of_kind(FailureKind::WaitExpired, words(&answered.value)))
            }
            _ if self.given.answers.len() >= MAX_WAITS => {
                let why =
                    format!("the task parked {MAX_WAITS} times in one run, and more is not kept");
                Err(ExecuteError::permanent(why))
            }
            _ => Err(ExecuteError::Parked(Box::new(Park { wait, at_most }))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::executor::Given;

    fn given(answers: &[(&str, WaitState, Value)]) -> Context {
        let answers = answers
            .iter()
            .map(|(key, state, value)| {
                let (value, at) = (value.clone(), Timestamp(1));
                ((*key).to_owned(), Answered { state: *state, value, by: None, at })
            })
            .collect();
        Context { given: Arc::new(Given { answers, ..Given::default() }), ..Context::detached("t") }
    }

    fn parked<T: std::fmt::Debug>(answer: Result<T, ExecuteError>) -> Wait {
        match answer {
            Err(ExecuteError::Parked(park)) => park.wait,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn several_questions_of_one_task_keep_their_own_answers() {
        let fresh = given(&[]);
        assert_eq!(parked(fresh.ask(Question::text("first?"))).key, "0.0");
        let once = given(&[("0.0", WaitState::Answered, json!({ "text": "A1" }))]);
        assert_eq!(once.ask(Question::text("first?")).expect("it came").text(), Some("A1"));
        assert_eq!(parked(once.ask(Question::text("second?"))).key, "0.1");
        let named = Question::text("third?").key("mine");
        assert_eq!(parked(once.ask(named)).key, "mine");
    }

    #[test]
    fn what_was_withdrawn_is_a_failure_of_its_own_kind() {
        let context = given(&[("0.0", WaitState::Cancelled, json!("not needed"))]);
        let Err(ExecuteError::Permanent { failure, .. }) = context.ask(Question::approval("?"))
        else {
            panic!("it was withdrawn")
        };
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (FailureKind::WaitCancelled, "not needed")
        );
    }

    #[test]
    fn a_filter_looks_into_objects_and_wants_every_field() {
        let payload = json!({ "order": { "id": 7 }, "a.b": 1, "n": null });
        let filter = |json: Value| json.as_object().cloned().unwrap_or_default();
        assert!(matches_filter(&filter(json!({})), &payload));
        assert!(matches_filter(&filter(json!({ "order.id": 7, "a.b": 1, "n": null })), &payload));
        assert!(!matches_filter(&filter(json!({ "order.id": 8 })), &payload));
        assert!(!matches_filter(&filter(json!({ "order.no": null })), &payload));
        assert!(!matches_filter(&filter(json!({ "n.x": 1 })), &payload));
    }

    #[test]
    fn a_task_cannot_wait_for_its_own_run_nor_more_often_than_is_kept() {
        let context = given(&[]);
        assert!(matches!(
            context.wait_for_run(&context.tree.clone()),
            Err(ExecuteError::Permanent { .. })
        ));
        let many: Vec<String> = (0..MAX_WAITS).map(|n| format!("k{n}")).collect();
        let many: Vec<_> =
            many.iter().map(|key| (key.as_str(), WaitState::Answered, Value::Null)).collect();
        let worn = given(&many);
        assert!(matches!(worn.sleep(Duration::ZERO), Err(ExecuteError::Permanent { .. })));
    }
}
