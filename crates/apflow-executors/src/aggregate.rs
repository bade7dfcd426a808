//! `aggregate_results_executor`: gathers the results of several tasks into one.

use std::sync::Arc;

use apflow_core::{
    executor::{Context, ExecuteError, Executor, Manifest},
    time::Clock,
};
use async_trait::async_trait;
use serde_json::{Map, Value, json};

/// The id tasks name it by.
pub const ID: &str = "aggregate_results_executor";

/// Inputs of this name list the dependencies; they are no result.
const LIST: &str = "dependencies";

/// Marks the Python hooks left among the inputs; old submissions still carry them.
const MARKS: [&str; 2] = ["_pre_hook_executed", "_pre_hook_timestamp"];

/// As many names as the summary spells out.
const NAMED: usize = 3;

/// Puts what its dependencies returned side by side, under their ids.
pub struct AggregateResults {
    manifest: Manifest,
    clock: Arc<dyn Clock>,
}

impl AggregateResults {
    /// The executor; `clock` dates its results.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let mut manifest = Manifest::new(ID, "Gathers the results of its dependencies into one.");
        "Aggregate results".clone_into(&mut manifest.name);
        manifest.tags = ["core", "aggregation", "results"].map(str::to_owned).to_vec();
        "core".clone_into(&mut manifest.family);
        manifest.aggregates = true;
        manifest.input_schema = json!({
            "type": "object",
            "description": "The results of the dependencies, each under the id of its task.",
            "properties": {
                LIST: {
                    "type": ["array", "null"],
                    "description": "Gather these alone, in this order; without it, every input.",
                    "items": {
                        "oneOf": [
                            {"type": "string"},
                            {
                                "type": "object",
                                "properties": {"id": {"type": "string"}},
                                "required": ["id"]
                            }
                        ]
                    }
                }
            },
            "additionalProperties": true
        });
        manifest.output_schema = json!({
            "type": "object",
            "properties": {
                "summary": {"type": "string", "description": "How many results, in words."},
                "timestamp": {"type": "string", "description": "When, in UTC without an offset."},
                "results": {
                    "type": "object",
                    "description": "Each result under the id of its task.",
                    "additionalProperties": true
                },
                "result_count": {"type": "integer", "minimum": 0}
            },
            "required": ["summary", "timestamp", "results", "result_count"]
        });
        Self { manifest, clock }
    }
}

#[async_trait]
impl Executor for AggregateResults {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        inputs: Map<String, Value>,
        _: &Context,
    ) -> Result<Value, ExecuteError> {
        let results = gather(inputs)?;
        let now = self.clock.now().to_string();
        Ok(json!({
            "summary": summary(&results),
            // Python wrote the moment without its offset, and clients parse that.
            "timestamp": now.strip_suffix("+00:00").unwrap_or(&now),
            "result_count": results.len(),
            "results": results,
        }))
    }
}

fn gather(mut inputs: Map<String, Value>) -> Result<Map<String, Value>, ExecuteError> {
    match inputs.remove(LIST) {
        None | Some(Value::Null) => Ok(inputs
            .into_iter()
            .filter(|(key, _)| !MARKS.contains(&key.as_str()) && !key.contains('.'))
            .collect()),
        Some(Value::Array(list)) => {
            let mut results = Map::new();
            for (at, entry) in list.iter().enumerate() {
                let id = entry.as_str().or_else(|| entry.get("id")?.as_str()).ok_or_else(|| {
                    ExecuteError::invalid_input(format!(
                        "[{ID}] {LIST}[{at}] is no task id; write a text or {{\"id\": …}}"
                    ))
                })?;
                // An optional dependency that failed has no result, and that is no error here.
                if let Some(result) = inputs.remove(id) {
                    results.insert(id.to_owned(), result);
                }
            }
            Ok(results)
        }
        Some(_) => {
            Err(ExecuteError::invalid_input(format!("[{ID}] {LIST} must be a list of task ids")))
        }
    }
}

fn summary(results: &Map<String, Value>) -> String {
    let count = results.len();
    let head = match count {
        0 => return "No task results to aggregate".to_owned(),
        1 => "Aggregated 1 task result".to_owned(),
        _ => format!("Aggregated {count} task results"),
    };
    if count > NAMED {
        return head;
    }
    let names: Vec<&str> = results.keys().map(String::as_str).collect();
    format!("{head}. from: {}", names.join(", "))
}
