//! `wait`: parks a task for a time, until a moment, for an event, for a person, or for another run.

use std::time::Duration;

use apflow_core::{
    executor::{Context, EventWait, ExecuteError, Executor, Manifest},
    id::TreeId,
    question::{Question, QuestionKind},
    task::OnTimeout,
    time::Timestamp,
};
use async_trait::async_trait;
use serde_json::{Map, Value, json};

/// The id tasks name it by.
pub const ID: &str = "wait";

/// What can be waited for; one of them is given.
const WAYS: [&str; 5] = ["for", "until", "event", "feedback", "run"];

/// Parks its task; while it waits it holds no worker.
pub struct Wait {
    manifest: Manifest,
}

impl Default for Wait {
    fn default() -> Self {
        Self::new()
    }
}

impl Wait {
    /// The executor.
    pub fn new() -> Self {
        let mut manifest = Manifest::new(
            ID,
            "Waits for a time, a moment, an event, a person or another run, without holding a worker.",
        );
        "Wait".clone_into(&mut manifest.name);
        manifest.tags = ["core", "wait", "feedback", "event", "timer"].map(str::to_owned).to_vec();
        let time = json!({ "type": ["string", "number"] });
        manifest.input_schema = json!({
            "type": "object",
            "description": "Exactly one of these; results of dependencies beside them do no harm.",
            "properties": {
                "for": {"type": ["string", "number"], "description": "So long: 30, `30s`, `5m`, `2h`, `1d`."},
                "until": {"type": "string", "description": "Until this moment."},
                "event": {
                    "type": "object",
                    "properties": {
                        "topic": {"type": "string"},
                        "filter": {"type": "object"},
                        "look_back": time,
                        "timeout": time,
                        "on_timeout": {}
                    },
                    "required": ["topic"],
                    "additionalProperties": false
                },
                "feedback": {
                    "type": "object",
                    "properties": {
                        "kind": {"enum": ["approval", "text", "selection", "multi_selection", "custom"]},
                        "prompt": {"type": "string"},
                        "options": {"type": "array", "items": {"type": "string"}},
                        "schema": {},
                        "metadata": {"type": "object"},
                        "channel_key": {"type": "string"},
                        "notify": {"type": "array", "items": {"type": "string"}},
                        "timeout": time,
                        "on_timeout": {}
                    },
                    "required": ["prompt"],
                    "additionalProperties": false
                },
                "run": {"type": "string", "description": "Until the run of this tree has ended."}
            },
            "additionalProperties": true
        });
        Self { manifest }
    }
}

#[async_trait]
impl Executor for Wait {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        inputs: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError> {
        let given: Vec<&str> = WAYS
            .into_iter()
            .filter(|way| inputs.get(*way).is_some_and(|it| !it.is_null()))
            .collect();
        let [way] = given.as_slice() else {
            let ways = WAYS.join("`, `");
            let why = format!("give exactly one of `{ways}`; {} are given", given.len());
            return Err(ExecuteError::invalid_input(why));
        };
        let wish = &inputs[*way];
        match *way {
            "for" => context.sleep(time("for", wish)?)?,
            "until" => context.sleep_until(moment(wish)?)?,
            "event" => {
                return Ok(json!({ "payload": context.wait_for_event(event(wish)?)? }));
            }
            "feedback" => {
                let answer = context.ask(question(wish)?)?;
                let mut result = answer.reply.to_value();
                result["answered_by"] = json!(answer.by);
                result["answered_at"] = json!(answer.at);
                return Ok(result);
            }
            _ => {
                let tree = wish.as_str().ok_or_else(|| no("run", "the id of a tree"))?;
                let end = context.wait_for_run(&TreeId::new(tree))?;
                let outcome = end.outcome.as_str();
                return Ok(json!({ "tree": end.tree, "outcome": outcome, "run": end.run }));
            }
        }
        Ok(json!({}))
    }

    fn demo(&self, _: &Map<String, Value>) -> Option<Value> {
        Some(json!({ "_demo_sleep": 0.1 }))
    }
}

fn no(field: &str, expected: &str) -> ExecuteError {
    ExecuteError::invalid_input(format!("`{field}` is {expected}"))
}

/// Seconds, or a number with a unit.
fn time(field: &str, value: &Value) -> Result<Duration, ExecuteError> {
    let expected = "a number of seconds, or a text like `30s`, `5m`, `2h`, `1d`";
    let seconds = match value {
        Value::Number(seconds) => seconds.as_f64(),
        Value::String(text) => {
            let text = text.trim();
            let (number, unit) = match text.char_indices().last() {
                Some((at, 's')) => (&text[..at], 1.0),
                Some((at, 'm')) => (&text[..at], 60.0),
                Some((at, 'h')) => (&text[..at], 3_600.0),
                Some((at, 'd')) => (&text[..at], 86_400.0),
                _ => (text, 1.0),
            };
            number.trim().parse::<f64>().ok().map(|number| number * unit)
        }
        _ => None,
    };
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| no(field, expected))
}

fn maybe(object: &Value, field: &str) -> Result<Option<Duration>, ExecuteError> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => time(field, value).map(Some),
    }
}

fn moment(value: &Value) -> Result<Timestamp, ExecuteError> {
    let text = value.as_str().ok_or_else(|| no("until", "a moment like 2026-11-20T15:26:11Z"))?;
    text.parse().map_err(|why: String| ExecuteError::invalid_input(format!("`until`: {why}")))
}

/// `fail`, `park`, `{default: …}` or `{escalate: {to: …, after: …}}`.
fn on_timeout(object: &Value) -> Result<OnTimeout, ExecuteError> {
    let expected = "`fail`, `park`, `{default: …}` or `{escalate: {to: …, after: …}}`";
    let Some(wish) = object.get("on_timeout").filter(|wish| !wish.is_null()) else {
        return Ok(OnTimeout::Fail);
    };
    match (wish.as_str(), wish.get("default"), wish.get("escalate")) {
        (Some("fail"), ..) => Ok(OnTimeout::Fail),
        (Some("park"), ..) => Ok(OnTimeout::Park),
        (None, Some(value), None) => Ok(OnTimeout::Default(value.clone())),
        (None, None, Some(escalate)) => {
            let to = escalate.get("to").and_then(Value::as_str);
            match (to, maybe(escalate, "after")?) {
                (Some(to), Some(after)) => Ok(OnTimeout::Escalate { to: to.to_owned(), after }),
                _ => Err(no("on_timeout", expected)),
            }
        }
        _ => Err(no("on_timeout", expected)),
    }
}

fn event(wish: &Value) -> Result<EventWait, ExecuteError> {
    let topic = wish.get("topic").and_then(Value::as_str).ok_or_else(|| no("topic", "a text"))?;
    let mut event = EventWait::on(topic);
    event.filter = wish.get("filter").and_then(Value::as_object).cloned().unwrap_or_default();
    event.look_back = maybe(wish, "look_back")?;
    event.timeout = maybe(wish, "timeout")?;
    event.on_timeout = on_timeout(wish)?;
    Ok(event)
}

fn question(wish: &Value) -> Result<Question, ExecuteError> {
    let text = |field: &str| wish.get(field).and_then(Value::as_str).map(str::to_owned);
    let texts = |field: &str| -> Vec<String> {
        let list = wish.get(field).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let options = || texts("options");
    let kind = match text("kind").as_deref().unwrap_or("approval") {
        "approval" => QuestionKind::Approval,
        "text" => QuestionKind::Text,
        "selection" => QuestionKind::Selection { options: options() },
        "multi_selection" => QuestionKind::MultiSelection { options: options() },
        "custom" => {
            QuestionKind::Custom { schema: wish.get("schema").cloned().unwrap_or_default() }
        }
        _ => return Err(no("kind", "approval, text, selection, multi_selection or custom")),
    };
    let mut question = Question::new(kind, text("prompt").unwrap_or_default());
    question.metadata =
        wish.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    question.channel_key = text("channel_key");
    question.notify = texts("notify");
    question.timeout = maybe(wish, "timeout")?;
    question.on_timeout = on_timeout(wish)?;
    Ok(question)
}

#[cfg(test)]
mod tests {
    use apflow_core::task::WaitFor;

    use super::*;

    async fn parks(inputs: Value) -> apflow_core::executor::Park {
        let inputs = inputs.as_object().cloned().unwrap_or_default();
        match Wait::new().execute(inputs, &Context::detached("t")).await {
            Err(ExecuteError::Parked(park)) => *park,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn each_way_to_wait_parks_for_what_it_says() {
        let timer = parks(json!({ "for": "5m", "result of a need": 1 })).await;
        assert_eq!(timer.wait.what, WaitFor::Timer);
        assert_eq!(timer.at_most, Some(Duration::from_mins(5)));
        let until = parks(json!({ "until": "2026-11-20T15:26:11Z" })).await;
        assert_eq!(until.wait.what, WaitFor::Timer);
        let event = json!({ "topic": "paid", "filter": { "id": 7 }, "look_back": 60 });
        let event = parks(json!({ "event": event })).await;
        assert_eq!(event.wait.topic(), Some("paid"));
        assert_eq!(event.wait.detail["look_back_seconds"], 60.0);
        let escalate = json!({ "escalate": { "to": "boss", "after": "1h" } });
        let ask = json!({ "prompt": "deploy?", "timeout": "3m", "on_timeout": escalate });
        let ask = parks(json!({ "feedback": ask })).await;
        assert_eq!(ask.at_most, Some(Duration::from_mins(3)));
        assert!(matches!(ask.wait.on_timeout, OnTimeout::Escalate { .. }));
        assert_eq!(parks(json!({ "run": "other" })).await.wait.topic(), Some("other"));
    }

    #[tokio::test]
    async fn what_cannot_be_waited_for_is_said() {
        for bad in [
            json!({}),
            json!({ "for": 1, "run": "x" }),
            json!({ "for": "soon" }),
            json!({ "until": "soon" }),
            json!({ "feedback": { "prompt": "?", "kind": "selection" } }),
            json!({ "feedback": { "prompt": "?", "on_timeout": "shrug" } }),
            json!({ "event": { "topic": "" } }),
        ] {
            let inputs = bad.as_object().cloned().unwrap_or_default();
            let answer = Wait::new().execute(inputs, &Context::detached("t")).await;
            assert!(matches!(answer, Err(ExecuteError::Permanent { .. })), "{bad}: {answer:?}");
        }
    }
}
