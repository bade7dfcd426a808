//! Weighted branches: which way a run goes, the same each time it is asked.
//!
//! The executor [`EXECUTOR`] takes `arms`, each with its weight, and gives `{"arm": …}`; the tasks of an
//! arm depend on it under the condition `result.arm == 'name'`. Whoever has the same `key` goes the same
//! way, whatever the process and the day.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::executor::{Context, ExecuteError, Executor, Manifest};

/// The executor of branches.
pub const EXECUTOR: &str = "branch";

/// The arm that `key` takes at the branch `name`: each by its weight.
///
/// None if no arm has any weight.
pub fn choose<'a>(arms: &'a BTreeMap<String, u32>, name: &str, key: &str) -> Option<&'a str> {
    let total: u64 = arms.values().map(|weight| u64::from(*weight)).sum();
    let mut hash = Sha256::new();
    hash.update((name.len() as u64).to_be_bytes());
    hash.update(name);
    hash.update(key);
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    let mut place = u64::from_be_bytes(first).checked_rem(total)?;
    for (arm, weight) in arms {
        match place.checked_sub(u64::from(*weight)) {
            Some(rest) => place = rest,
            None => return Some(arm),
        }
    }
    None
}

/// The executor that chooses an arm.
pub struct Branch {
    manifest: Manifest,
}

impl Default for Branch {
    fn default() -> Self {
        let mut manifest =
            Manifest::new(EXECUTOR, "Chooses one of several ways by weight and key.");
        manifest.tags = vec!["flow".to_owned()];
        manifest.input_schema = json!({
            "type": "object",
            "required": ["arms"],
            "properties": {
                "arms": {
                    "type": "object",
                    "description": "The ways, each with its weight.",
                    "minProperties": 1,
                    "maxProperties": 100,
                    "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 1_000_000},
                },
                "key": {
                    "description": "Who has the same key goes the same way; the run if it is absent.",
                },
            },
        });
        Self { manifest }
    }
}

#[async_trait]
impl Executor for Branch {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        mut inputs: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError> {
        let arms = inputs.remove("arms").unwrap_or_default();
        let arms: BTreeMap<String, u32> = serde_json::from_value(arms)
            .map_err(|error| ExecuteError::invalid_input(format!("[branch] arms: {error}")))?;
        let key = match inputs.remove("key") {
            None | Some(Value::Null) => {
                let run = context.idempotency_key.rsplit(':').next().unwrap_or_default();
                format!("{}:{run}", context.tree)
            }
            Some(Value::String(key)) => key,
            Some(other) => other.to_string(),
        };
        let arm = choose(&arms, &context.name, &key)
            .ok_or_else(|| ExecuteError::invalid_input("[branch] no arm has any weight"))?;
        Ok(json!({"arm": arm, "key": key}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_goes_the_same_way_and_many_go_by_weight() {
        let arms =
            BTreeMap::from([("a".to_owned(), 90), ("b".to_owned(), 10), ("c".to_owned(), 0)]);
        let mut taken: BTreeMap<&str, u32> = BTreeMap::new();
        for key in 0..10_000 {
            let key = key.to_string();
            let arm = choose(&arms, "split", &key);
            assert_eq!(arm, choose(&arms, "split", &key));
            *taken.entry(arm.expect("there is weight")).or_default() += 1;
        }
        assert!((8_800..9_200).contains(&taken["a"]), "{taken:?}");
        assert_eq!(taken.get("c"), None);
        assert_eq!(choose(&BTreeMap::from([("c".to_owned(), 0)]), "split", "k"), None);
        // What was chosen before an update is chosen after it.
        let known: Vec<_> = ["ada", "bob", "eve"].map(|key| choose(&arms, "split", key)).into();
        assert_eq!(known, [Some("a"), Some("a"), Some("a")]);
    }

    #[tokio::test]
    async fn a_branch_says_which_arm_and_for_whom() {
        let branch = Branch::default();
        let context = Context::detached("t");
        let inputs = |value: Value| value.as_object().cloned().unwrap_or_default();
        let chosen = branch.execute(inputs(json!({"arms": {"only": 1}, "key": 7})), &context).await;
        assert_eq!(chosen, Ok(json!({"arm": "only", "key": "7"})));
        let by_run = branch.execute(inputs(json!({"arms": {"only": 1}})), &context).await;
        assert_eq!(by_run, Ok(json!({"arm": "only", "key": "t:0"})));
        assert!(branch.execute(inputs(json!({"arms": {}})), &context).await.is_err());
    }
}
