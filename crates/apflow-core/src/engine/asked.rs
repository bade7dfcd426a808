//! What an attempt asked for, made ready for the store; and what a pass is called and given.

use std::{borrow::Cow, collections::HashSet};

use serde_json::{Map, Value};

use crate::{
    condition,
    effect::{Bounds, Effect, Spawn, refuse_data},
    executor::{Asked, Manifest},
    id::{Ids, TaskId},
    store::{Claimed, Ended, NeedResult},
    task::{Definition, Failure, TreeOptions},
};

/// Keeps what counts after such an end, and gives new tasks their ids.
///
/// The ids are given here, once, so that a report that is sent again asks for the same tasks.
pub(super) fn finish(
    asked: &mut Asked,
    outcome: &Ended,
    definition: &Definition,
    id: &TaskId,
    ids: &dyn Ids,
) {
    if asked.effects.is_empty() {
        return;
    }
    let gathers = |effect: &Effect| matches!(effect, Effect::Spawn(Spawn { gather: true, .. }));
    match outcome {
        // It runs again from its top and asks for the rest then.
        Ended::Completed { .. } | Ended::Parked { .. } if asked.effects.iter().any(gathers) => {
            asked.effects.retain(gathers);
            asked.effects.truncate(1);
        }
        Ended::Completed { .. } => {}
        _ => asked.effects.clear(),
    }
    // The number of a loop is that of its task, where the loop leads to itself.
    let own = definition.loop_edge.as_ref().filter(|edge| edge.to.is_none());
    asked.max_cycles = own.and_then(|edge| edge.max).or(definition.max_cycles);
    asked.name.clone_from(&definition.name);
    id.as_str().clone_into(&mut asked.id);
    for effect in &mut asked.effects {
        if let Effect::Spawn(spawn) = effect {
            spawn.name(ids);
        }
    }
}

/// Asks the loop of a task whether it goes round after such an end, and bounds how often.
///
/// What the attempt asked for itself comes first; a demonstration does not go round.
pub(super) fn go_round(
    asked: &mut Asked,
    outcome: &Ended,
    claimed: &Claimed,
    inputs: Option<&Map<String, Value>>,
) -> Result<(), Failure> {
    let definition = &claimed.definition;
    let (Some(edge), Ended::Completed { result }) = (&definition.loop_edge, outcome) else {
        return Ok(());
    };
    let decided = |effect: &Effect| !matches!(effect, Effect::Spawn(Spawn { gather: false, .. }));
    if claimed.demo || asked.effects.iter().any(decided) {
        return Ok(());
    }
    if !condition::goes_round(claimed, inputs.unwrap_or(&definition.inputs), result)? {
        return Ok(());
    }
    let most = edge.max.or(definition.max_cycles);
    Bounds::of(most, &TreeOptions::default())
        .another_pass(&definition.name, claimed.given.cycle)?;
    if let Some(failure) = refuse_data(result) {
        return Err(failure);
    }
    let data = result.clone();
    asked.effects.push(match &edge.to {
        None => Effect::Iterate { data },
        Some(to) => Effect::Jump { to: to.clone(), data },
    });
    Ok(())
}

/// The idempotency key of every attempt of one pass.
pub(super) fn key_of_pass(id: &TaskId, run: u32, cycle: u32) -> String {
    if cycle == 0 { format!("{id}:{run}") } else { format!("{id}:{run}:{cycle}") }
}

/// The needs that become inputs: those the author named, and for an executor that aggregates also the
/// tasks that these have spawned.
pub(super) fn own_needs<'a>(
    definition: &Definition,
    needs: &'a [NeedResult],
    manifests: &dyn Fn(&str) -> Option<Manifest>,
) -> Cow<'a, [NeedResult]> {
    let aggregates = || {
        let manifest = definition.executor().and_then(manifests);
        manifest.is_some_and(|manifest| manifest.aggregates)
    };
    if needs.len() <= definition.dependencies.len() || aggregates() {
        return Cow::Borrowed(needs);
    }
    let named: HashSet<&TaskId> = definition.dependencies.iter().map(|need| &need.id).collect();
    Cow::Owned(needs.iter().filter(|need| named.contains(&need.id)).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::NeedResult,
        task::{Dependency, Failure, FailureKind, StateName},
        testing::SeededIds,
    };
    use serde_json::Value;

    fn iterate() -> Effect {
        Effect::Iterate { data: Value::Null }
    }

    fn gather() -> Effect {
        Effect::Spawn(Spawn {
            tasks: Vec::new(),
            keys: Vec::new(),
            gather: true,
            members: false,
            space: None,
        })
    }

    fn left(effects: Vec<Effect>, outcome: &Ended) -> Vec<Effect> {
        let mut asked = Asked { effects, ..Asked::default() };
        finish(
            &mut asked,
            outcome,
            &Definition::default(),
            &TaskId::new("t"),
            &SeededIds::new("s"),
        );
        asked.effects
    }

    #[test]
    fn an_attempt_that_fails_leaves_no_effect_behind() {
        let failure = Failure::new(FailureKind::Executor, "no");
        let failed = Ended::Failed { failure, retry_after: None, result: Value::Null };
        assert_eq!(left(vec![iterate(), gather()], &failed), []);
        assert_eq!(left(vec![iterate()], &Ended::HandedBack), []);
        let done = Ended::Completed { result: Value::Null };
        assert_eq!(left(vec![iterate()], &done), [iterate()]);
    }

    #[test]
    fn what_was_asked_beside_a_gathering_is_asked_again_after_it() {
        let done = Ended::Completed { result: Value::Null };
        assert_eq!(left(vec![iterate(), gather(), gather()], &done), [gather()]);
    }

    #[test]
    fn results_of_spawned_tasks_are_no_inputs_of_those_who_did_not_ask() {
        let need = |id: &str| NeedResult {
            id: TaskId::new(id),
            executor: None,
            result: None,
            completed: true,
            state: StateName::Completed,
        };
        let mut definition = Definition::default();
        definition.dependencies.push(Dependency {
            id: TaskId::new("a"),
            required: true,
            plain: false,
            extra: serde_json::Map::new(),
        });
        definition.params.insert("executor_id".to_owned(), Value::from("x"));
        let needs = [need("a"), need("spawned")];
        let plain = |_: &str| None;
        assert_eq!(own_needs(&definition, &needs, &plain).len(), 1);
        let gathers = |id: &str| Some(Manifest { aggregates: true, ..Manifest::new(id, "") });
        assert_eq!(own_needs(&definition, &needs, &gathers).len(), 2);
    }

    #[test]
    fn each_pass_has_an_idempotency_key_of_its_own() {
        let id = TaskId::new("t");
        assert_eq!(key_of_pass(&id, 2, 0), "t:2");
        assert_eq!(key_of_pass(&id, 2, 1), "t:2:1");
    }
}
