//! Tasks that were made up, and what is known of keys.

use serde_json::{Map, Value, json};

use crate::id::TaskId;

/// Tasks that were made up.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The tasks, as `tasks.create` takes them.
    pub tasks: Value,
    /// How many.
    pub count: usize,
    /// The root, if they were stored.
    pub root: Option<TaskId>,
}

impl Generated {
    pub(super) fn json(&self) -> Value {
        let done = if self.root.is_some() { "generated and saved" } else { "generated" };
        let message = format!("Successfully {done} {} tasks", self.count);
        let mut shown = json!({ "tasks": self.tasks, "count": self.count, "message": message });
        if let Some(root) = &self.root {
            shown["root_task_id"] = json!(root);
        }
        shown
    }
}

/// What is known of somebody's keys; never a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LlmKeyAnswer {
    /// Whose.
    pub user_id: Option<String>,
    /// The provider that was asked for.
    pub provider: Option<String>,
    /// Providers of which there is a key.
    pub providers: Vec<String>,
    /// How many keys were kept or forgotten, where that was wished.
    pub changed: Option<usize>,
}

impl LlmKeyAnswer {
    pub(super) fn json(&self) -> Value {
        let has_key = match &self.provider {
            Some(provider) => self.providers.contains(provider),
            None => !self.providers.is_empty(),
        };
        let providers: Map<String, Value> =
            self.providers.iter().map(|name| (name.clone(), Value::Bool(true))).collect();
        let mut shown = json!({
            "has_key": has_key, "user_id": self.user_id, "provider": self.provider,
            "providers": providers,
        });
        if let Some(changed) = self.changed {
            shown["success"] = json!(true);
            shown["changed"] = json!(changed);
        }
        shown
    }
}
