//! Results of needs become inputs.

use serde_json::{Map, Value};

use crate::{executor::Manifest, store::NeedResult, task::Definition};

/// The inputs of a task: results of what it needs under their ids, then the caller's own.
pub fn resolve(
    definition: &Definition,
    needs: &[NeedResult],
    _manifests: &dyn Fn(&str) -> Option<Manifest>,
) -> Map<String, Value> {
    let mut inputs = Map::new();
    for need in needs {
        if let Some(result) = &need.result {
            inputs.insert(need.id.to_string(), result.as_ref().clone());
        }
    }
    inputs.extend(definition.inputs.clone());
    inputs
}
