//! Who turns a requirement in plain words into tasks.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{id::Ids, secret::Secret};

/// A wish for tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// What the tasks are to do, in plain words.
    pub requirement: String,
    /// Which provider to ask; none: the generator's own choice.
    pub provider: Option<String>,
    /// Which of its models.
    pub model: Option<String>,
    /// How freely it may answer, from 0 to 2.
    pub temperature: Option<f64>,
    /// How much it may say.
    pub max_tokens: Option<u32>,
    /// With what to pay for it, if the caller brought something; kept nowhere.
    pub key: Option<Secret>,
}

/// Why there are no tasks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotGenerated {
    /// There is no key for the provider, neither the caller's nor the generator's own.
    #[error(
        "LLM API key not found. Please provide X-LLM-API-KEY header, or set OPENAI_API_KEY or \
         ANTHROPIC_API_KEY environment variable or in a .env file."
    )]
    NoKey,
    /// Something else; the sentence holds no secret.
    #[error("{0}")]
    Failed(String),
}

/// Turns requirements into tasks.
#[async_trait]
pub trait Generator: Send + Sync {
    /// An array of task objects as `tasks.create` takes them; they are checked like anybody's.
    async fn generate(&self, ask: Ask) -> Result<Value, NotGenerated>;
}

/// The tasks as an array, under new ids, and all of this owner.
///
/// What was made up may bear ids that are taken; where it speaks of its own, it speaks of the new ones.
pub(crate) fn renamed(tasks: Value, owner: Option<&str>, ids: &dyn Ids) -> Value {
    let mut tasks = match tasks {
        Value::Array(tasks) => tasks,
        other => vec![other],
    };
    let mut new: HashMap<String, String> = HashMap::new();
    for task in &tasks {
        if let Some(id) = task.get("id").and_then(Value::as_str) {
            new.entry(id.to_owned()).or_insert_with(|| ids.next());
        }
    }
    let rename = |value: &mut Value| {
        if let Some(id) = value.as_str().and_then(|id| new.get(id)) {
            *value = json!(id);
        }
    };
    for task in tasks.iter_mut().filter_map(Value::as_object_mut) {
        for field in ["id", "parent_id"] {
            if let Some(value) = task.get_mut(field) {
                rename(value);
            }
        }
        if let Some(Value::Array(entries)) = task.get_mut("dependencies") {
            for entry in entries {
                match entry {
                    Value::Object(entry) => {
                        if let Some(id) = entry.get_mut("id") {
                            rename(id);
                        }
                    }
                    other => rename(other),
                }
            }
        }
        task.remove("user_id");
        if let Some(owner) = owner {
            task.insert("user_id".to_owned(), json!(owner));
        }
    }
    Value::Array(tasks)
}
