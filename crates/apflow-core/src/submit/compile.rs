//! The last step of a submission: ids for those without, and definitions that name only ids.

use std::collections::{HashMap, HashSet};

use super::{Limits, MAX_TIMEOUT_SECONDS, Order, TaskSpec, check::check, link::link};
use crate::{
    code::Code,
    condition, group,
    id::{Ids, TaskId, TreeId, check_id},
    pattern,
    problem::{Problem, Problems},
    store::{NeedKind, NewNeed, NewTask, NewTree, Submission},
    task::{Definition, Dependency, Jitter, Join},
};

/// Attempts of a task that uses the durability fields and does not say how many (ruling 14).
const DURABLE_ATTEMPTS: u32 = 3;

/// Makes of an order what a store takes, or says everything that is wrong with it.
///
/// Pure: ids come from `ids`, nothing is looked up anywhere.
pub fn compile(mut order: Order, ids: &dyn Ids, limits: &Limits) -> Result<Submission, Problems> {
    let mut problems = Vec::new();
    group::gather(&mut order.tasks, &mut problems);
    pattern::check(&order.tasks, &mut problems);
    check_order(&order, &mut problems);
    if order.tasks.len() <= limits.tasks {
        for (index, spec) in order.tasks.iter().enumerate() {
            check(spec, index, limits, &mut problems);
        }
    }
    let linked = match link(&order.tasks, &order.options, order.user_id.as_deref(), limits) {
        Ok(linked) if problems.is_empty() => linked,
        Ok(_) => return Err(Problems::of(problems)),
        Err(unlinked) => {
            problems.extend(unlinked);
            return Err(Problems::of(problems));
        }
    };
    let task_ids = name_all(&order.tasks, ids);
    lead_back(&mut order.tasks, &linked.back, &task_ids);
    group::bound(&mut order.tasks, &linked.parents, &task_ids);
    let trees = linked
        .roots
        .iter()
        .map(|&root| NewTree {
            id: TreeId::new(
                order.tasks[root].tree_id.as_deref().unwrap_or(task_ids[root].as_str()),
            ),
            root,
            user_id: linked.owner.clone(),
            options: order.options,
        })
        .collect();
    let tasks = order
        .tasks
        .into_iter()
        .enumerate()
        .map(|(index, spec)| {
            let hard = &linked.hard[index];
            let mut needs: Vec<NewNeed> = hard
                .iter()
                .map(|&(on, place)| {
                    // With a condition on an edge, "any one" is judged when all have ended.
                    let judged = spec.join == Join::Any && condition::on_edges(&spec);
                    let optional = spec.dependencies[place].optional || judged;
                    let kind = if optional { NeedKind::Optional } else { NeedKind::Required };
                    NewNeed { on, kind }
                })
                .collect();
            let structure = NeedKind::Structure;
            needs.extend(linked.soft[index].iter().map(|&on| NewNeed { on, kind: structure }));
            NewTask {
                id: task_ids[index].clone(),
                tree: linked.tree[index],
                parent: linked.parents[index],
                has_children: !linked.children[index].is_empty(),
                definition: define(spec, hard, &task_ids, linked.owner.clone()),
                needs,
            }
        })
        .collect();
    let Order { start, idempotency, callback, demo, .. } = order;
    Ok(Submission { trees, tasks, start, idempotency, callback, demo })
}

fn check_order(order: &Order, problems: &mut Vec<Problem>) {
    let timeout = order.options.timeout_seconds;
    if let Some(seconds) =
        timeout.filter(|seconds| !(*seconds > 0.0 && *seconds <= MAX_TIMEOUT_SECONDS))
    {
        problems.push(
            Problem::new(Code::InvalidTree, format!("{seconds} is no time a run may take"))
                .in_field("timeout_seconds")
                .expecting(format!("seconds above 0 and at most {MAX_TIMEOUT_SECONDS}"))
                .found(seconds.to_string()),
        );
    }
    let caller = order.user_id.as_deref().and_then(|user| Some(("user_id", check_id(user)?)));
    let key = order
        .idempotency
        .as_ref()
        .and_then(|promise| Some(("idempotency_key", check_id(&promise.key)?)));
    for (field, reason) in caller.into_iter().chain(key) {
        problems.push(Problem::new(Code::InvalidParams, reason).in_field(field));
    }
}

/// The ids of all tasks: the author's, and new ones that meet none of them.
fn name_all(specs: &[TaskSpec], ids: &dyn Ids) -> Vec<TaskId> {
    let taken: HashSet<&str> = specs.iter().filter_map(|spec| spec.id.as_deref()).collect();
    specs
        .iter()
        .map(|spec| {
            let id = spec.id.clone().unwrap_or_else(|| {
                loop {
                    // No call returns an id twice and `taken` is finite, so this ends.
                    let id = ids.next();
                    if !taken.contains(id.as_str()) {
                        break id;
                    }
                }
            });
            TaskId::new(id)
        })
        .collect()
}

/// Makes every loop lead to an id, and lets the task it leads to go round as often as the loop does.
fn lead_back(specs: &mut [TaskSpec], back: &[Option<usize>], ids: &[TaskId]) {
    for (index, target) in back.iter().enumerate() {
        let Some(target) = *target else { continue };
        let most = specs[index].max_cycles;
        let Some(edge) = &mut specs[index].loop_edge else { continue };
        // Who leads to itself goes round by itself.
        edge.to = (target != index).then(|| ids[target].as_str().to_owned());
        let passes = edge.max.or(most);
        if target != index && specs[target].max_cycles.is_none() {
            specs[target].max_cycles = passes;
        }
    }
}

fn define(
    spec: TaskSpec,
    hard: &[(usize, usize)],
    ids: &[TaskId],
    owner: Option<String>,
) -> Definition {
    let named = spec.when.is_some() || condition::on_edges(&spec) || pattern::is_in(&spec);
    let mut durability = spec.durability;
    durability.backoff_base_seconds = durability.backoff_base_seconds.filter(|base| *base != 0.0);
    let speaks_of_retries = durability.backoff_strategy.is_some()
        || durability.backoff_base_seconds.is_some()
        || durability.backoff_max_seconds.is_some()
        || durability.backoff_factor.is_some()
        || durability.jitter != Jitter::None
        || !durability.no_retry_on.is_empty()
        || durability.retry_deadline_seconds.is_some();
    if speaks_of_retries {
        durability.max_attempts.get_or_insert(DURABLE_ATTEMPTS);
    }
    let on: HashMap<usize, usize> = hard.iter().map(|&(on, place)| (place, on)).collect();
    let dependencies: Vec<Dependency> = spec
        .dependencies
        .into_iter()
        .enumerate()
        .filter_map(|(place, reference)| {
            // A place that was not linked repeats an earlier one.
            let on = on.get(&place)?;
            let mut reference = reference;
            if named && reference.to != ids[*on].as_str() {
                let name = || serde_json::Value::String(reference.to.clone());
                reference.extra.entry("as").or_insert_with(name);
            }
            Some(Dependency {
                id: ids[*on].clone(),
                required: !reference.optional,
                plain: reference.plain && !reference.optional && reference.extra.is_empty(),
                extra: reference.extra,
            })
        })
        .collect();
    Definition {
        name: spec.name,
        user_id: owner,
        priority: spec.priority,
        // Without a dependency there is nothing to choose from.
        join: if dependencies.is_empty() { Join::All } else { spec.join },
        dependencies,
        when: spec.when,
        inputs: spec.inputs,
        params: spec.params,
        schemas: spec.schemas,
        timeout_seconds: spec.timeout_seconds,
        timeouts: spec.timeouts,
        max_cycles: spec.max_cycles,
        loop_edge: spec.loop_edge,
        start: spec.start,
        origin: spec.origin,
        schedule: spec.schedule,
        durability,
        governance: spec.governance,
        flow: spec.flow,
        placement_constraints: spec.placement_constraints,
        extra: spec.extra,
    }
}
