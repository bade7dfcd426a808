//! Questions to people: what is asked, which answers fit, and what an executor gets back.

mod pass;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use self::pass::{MIN_PASS_SECRET, Passes};
use crate::{schema, task::OnTimeout, time::Timestamp};

/// A question may be so long, in bytes of its JSON.
pub const MAX_QUESTION_BYTES: usize = 64 * 1024;
/// An answer may be so long, in bytes of its JSON.
pub const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// A selection offers at most so many options.
pub const MAX_OPTIONS: usize = 1_000;

/// What sort of answer is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum QuestionKind {
    /// Yes or no, with a reason if there is one.
    Approval,
    /// Any text.
    Text,
    /// One of these.
    Selection {
        /// What may be chosen.
        options: Vec<String>,
    },
    /// Any of these, none twice.
    MultiSelection {
        /// What may be chosen.
        options: Vec<String>,
    },
    /// JSON that fits a schema.
    Custom {
        /// JSON Schema of the answer; `null` lets anything pass.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        schema: Value,
    },
}

impl QuestionKind {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Text => "text",
            Self::Selection { .. } => "selection",
            Self::MultiSelection { .. } => "multi_selection",
            Self::Custom { .. } => "custom",
        }
    }
}

/// Something a task asks a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What sort of answer is wanted.
    #[serde(flatten)]
    pub kind: QuestionKind,
    /// What is asked.
    pub prompt: String,
    /// What goes with it, for whoever shows it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// Where in the channel of the run the answer is put besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_key: Option<String>,
    /// Who is told of it besides those who are always told, as whoever notifies understands it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<String>,
    /// Which question of its task it is; the first one without a key is `0.0`.
    #[serde(skip)]
    pub key: Option<String>,
    /// How long an answer is waited for; none means for ever.
    #[serde(skip)]
    pub timeout: Option<Duration>,
    /// What happens then.
    #[serde(skip)]
    pub on_timeout: OnTimeout,
}

impl Question {
    /// A question that waits for ever.
    pub fn new(kind: QuestionKind, prompt: impl Into<String>) -> Self {
        Self {
            kind,
            prompt: prompt.into(),
            metadata: Map::new(),
            channel_key: None,
            notify: Vec::new(),
            key: None,
            timeout: None,
            on_timeout: OnTimeout::Fail,
        }
    }

    /// Asks for yes or no.
    pub fn approval(prompt: impl Into<String>) -> Self {
        Self::new(QuestionKind::Approval, prompt)
    }

    /// Asks for a text.
    pub fn text(prompt: impl Into<String>) -> Self {
        Self::new(QuestionKind::Text, prompt)
    }

    /// Asks for one of several options.
    pub fn selection<T: Into<String>>(
        prompt: impl Into<String>,
        options: impl IntoIterator<Item = T>,
    ) -> Self {
        let options = options.into_iter().map(Into::into).collect();
        Self::new(QuestionKind::Selection { options }, prompt)
    }

    /// Asks for any of several options.
    pub fn multi_selection<T: Into<String>>(
        prompt: impl Into<String>,
        options: impl IntoIterator<Item = T>,
    ) -> Self {
        let options = options.into_iter().map(Into::into).collect();
        Self::new(QuestionKind::MultiSelection { options }, prompt)
    }

    /// Asks for JSON that fits a schema.
    pub fn custom(prompt: impl Into<String>, schema: Value) -> Self {
        Self::new(QuestionKind::Custom { schema }, prompt)
    }

    /// Names it, so that it is the same question wherever the executor asks it.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Says how long an answer is waited for, and what happens then.
    #[must_use]
    pub fn within(mut self, timeout: Duration, then: OnTimeout) -> Self {
        (self.timeout, self.on_timeout) = (Some(timeout), then);
        self
    }

    /// What the one who answers has to know, as it is stored.
    pub fn detail(&self) -> Value {
        // Plain data always has a JSON form.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    /// The question that was stored.
    pub fn of(detail: &Value) -> Result<Self, String> {
        serde_json::from_value(detail.clone()).map_err(|error| error.to_string())
    }

    /// Why it cannot be asked, if it cannot.
    pub fn fault(&self) -> Option<String> {
        if self.prompt.trim().is_empty() {
            return Some("a question needs a prompt".to_owned());
        }
        if let QuestionKind::Selection { options } | QuestionKind::MultiSelection { options } =
            &self.kind
        {
            if options.is_empty() || options.len() > MAX_OPTIONS {
                let count = options.len();
                return Some(format!("it offers {count} options, where 1 to {MAX_OPTIONS} go"));
            }
            let mut seen = std::collections::BTreeSet::new();
            if let Some(twice) = options.iter().find(|option| !seen.insert(option.as_str())) {
                return Some(format!("it offers `{twice}` twice"));
            }
        }
        if let QuestionKind::Custom { schema } = &self.kind
            && !schema.is_null()
            && !schema.is_object()
            && !schema.is_boolean()
        {
            return Some("its schema is no JSON Schema".to_owned());
        }
        let bytes = self.detail().to_string().len();
        if bytes > MAX_QUESTION_BYTES {
            return Some(format!("it is {bytes} bytes long, where {MAX_QUESTION_BYTES} go"));
        }
        match &self.on_timeout {
            OnTimeout::Default(answer) => {
                let unfit = self.read(answer).err()?;
                Some(format!("its default is no answer to it: {}", unfit.reason))
            }
            OnTimeout::Escalate { to, .. } if to.trim().is_empty() => {
                Some("it says nobody to escalate to".to_owned())
            }
            _ => None,
        }
    }

    /// The answer a value stands for, in any of the forms people write it:
    /// `true`, `{"approved": true, "reason": "…"}`, `"text"`, `{"selected": "a"}`.
    pub fn read(&self, value: &Value) -> Result<Reply, Unfit> {
        let bytes = value.to_string().len();
        if bytes > MAX_ANSWER_BYTES {
            let expected = format!("at most {MAX_ANSWER_BYTES} bytes");
            return Err(Unfit { reason: format!("it is {bytes} bytes long"), expected });
        }
        match &self.kind {
            QuestionKind::Approval => approval(value),
            QuestionKind::Text => match field(value, "text") {
                Some(Value::String(text)) => Ok(Reply::Text(text.clone())),
                _ => Err(unfit(value, "a text, or {\"text\": \"…\"}")),
            },
            QuestionKind::Selection { options } => match field(value, "selected") {
                Some(Value::String(chosen)) => {
                    offered(chosen, options)?;
                    Ok(Reply::Selection(chosen.clone()))
                }
                _ => Err(unfit(value, &format!("one of {}", list(options)))),
            },
            QuestionKind::MultiSelection { options } => several(value, options),
            QuestionKind::Custom { schema } => {
                let data = field(value, "custom_data").unwrap_or(value);
                if !schema.is_null() {
                    schema::check(schema, data).map_err(|reason| Unfit {
                        reason,
                        expected: "a value that fits the schema of the question".to_owned(),
                    })?;
                }
                Ok(Reply::Custom(data.clone()))
            }
        }
    }
}

/// Why a value is no answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// What is wrong with it.
    pub reason: String,
    /// What would fit.
    pub expected: String,
}

fn unfit(value: &Value, expected: &str) -> Unfit {
    let text = value.to_string();
    let shown: String = text.chars().take(80).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    Unfit { reason: format!("it is {shown}{more}"), expected: expected.to_owned() }
}

/// The value itself, or the field of it that says the same.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(name),
        other => Some(other),
    }
}

fn list(options: &[String]) -> String {
    let quoted = options.iter().take(20).map(|option| format!("`{option}`"));
    let mut text = quoted.collect::<Vec<_>>().join(", ");
    if options.len() > 20 {
        text.push_str(", …");
    }
    text
}

fn offered(chosen: &str, options: &[String]) -> Result<(), Unfit> {
    if options.iter().any(|option| option == chosen) {
        return Ok(());
    }
    let shown: String = chosen.chars().take(80).collect();
    let expected = format!("one of {}", list(options));
    Err(Unfit { reason: format!("`{shown}` is not among the options"), expected })
}

fn approval(value: &Value) -> Result<Reply, Unfit> {
    let expected = "true or false, or {\"approved\": true, \"reason\": \"…\"}";
    let reason = match value.get("reason") {
        None | Some(Value::Null) => None,
        Some(Value::String(reason)) => Some(reason.clone()),
        Some(other) => return Err(unfit(other, "a reason in words")),
    };
    match field(value, "approved") {
        Some(Value::Bool(approved)) => Ok(Reply::Approval { approved: *approved, reason }),
        _ => Err(unfit(value, expected)),
    }
}

fn several(value: &Value, options: &[String]) -> Result<Reply, Unfit> {
    let expected = || format!("a list of some of {}", list(options));
    let Some(Value::Array(chosen)) = field(value, "selected_multiple") else {
        return Err(unfit(value, &expected()));
    };
    let mut selected: Vec<String> = Vec::with_capacity(chosen.len().min(MAX_OPTIONS));
    for each in chosen {
        let Value::String(each) = each else { return Err(unfit(each, &expected())) };
        offered(each, options)?;
        if selected.contains(each) {
            return Err(Unfit { reason: format!("`{each}` is there twice"), expected: expected() });
        }
        selected.push(each.clone());
    }
    Ok(Reply::MultiSelection(selected))
}

/// An answer that fits its question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Yes or no.
    Approval {
        /// Yes.
        approved: bool,
        /// Why.
        reason: Option<String>,
    },
    /// A text.
    Text(String),
    /// The option that was chosen.
    Selection(String),
    /// The options that were chosen.
    MultiSelection(Vec<String>),
    /// JSON that fits the schema.
    Custom(Value),
}

impl Reply {
    /// The answer as it is stored and shown; [`Question::read`] reads it back.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Approval { approved, reason: None } => json!({ "approved": approved }),
            Self::Approval { approved, reason: Some(reason) } => {
                json!({ "approved": approved, "reason": reason })
            }
            Self::Text(text) => json!({ "text": text }),
            Self::Selection(chosen) => json!({ "selected": chosen }),
            Self::MultiSelection(chosen) => json!({ "selected_multiple": chosen }),
            Self::Custom(data) => json!({ "custom_data": data }),
        }
    }

    /// What was answered, bare: a flag, a text, a list, or any JSON.
    pub fn bare(&self) -> Value {
        match self {
            Self::Approval { approved, .. } => json!(approved),
            Self::Text(text) | Self::Selection(text) => json!(text),
            Self::MultiSelection(chosen) => json!(chosen),
            Self::Custom(data) => data.clone(),
        }
    }
}

/// What an executor gets back from a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was said.
    pub reply: Reply,
    /// Who said it, if that is known.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl Answer {
    /// Somebody said yes.
    pub const fn is_approved(&self) -> bool {
        matches!(self.reply, Reply::Approval { approved: true, .. })
    }

    /// The text or the option, if it is one.
    pub const fn text(&self) -> Option<&str> {
        match &self.reply {
            Reply::Text(text) | Reply::Selection(text) => Some(text.as_str()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
