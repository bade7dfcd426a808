//! The v1 JSON of a task, a list and a tree, with our additions beside the old keys.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::{
    id::TaskId,
    task::{Begins, Definition, Record, State},
};

/// The most levels of a tree that are nested in one answer; JSON readers give up not far above.
pub const MAX_TREE_DEPTH: usize = 200;

/// The v1 JSON of a task: every old key, nulls included, then ours.
pub fn task(record: &Record) -> Value {
    let Record { definition, task, .. } = record;
    let Definition { origin, schedule, durability, governance, .. } = definition;
    let (lease, until) = match &task.state {
        State::Running { lease, until, .. } => (Some(lease.to_string()), Some(*until)),
        _ => (None, None),
    };
    let known = json!({
        "id": record.id,
        "parent_id": record.parent_id,
        "task_tree_id": record.tree_id,
        "user_id": definition.user_id,
        "name": definition.name,
        "status": task.state.status(),
        "priority": definition.priority,
        "dependencies": dependencies(definition),
        "inputs": record.visible_inputs(),
        "params": definition.params,
        "result": record.result,
        "error": error(record),
        "schemas": definition.schemas,
        "progress": record.progress,
        "created_at": record.created_at,
        "started_at": task.started_at,
        "updated_at": record.updated_at,
        "completed_at": task.completed_at,
        "has_children": record.has_children,
        "original_task_id": origin.original_task_id,
        "origin_type": origin.kind,
        "has_references": origin.has_references,
        "schedule_type": schedule.schedule_type,
        "schedule_expression": schedule.schedule_expression,
        "schedule_enabled": schedule.schedule_enabled,
        "schedule_start_at": schedule.schedule_start_at,
        "schedule_end_at": schedule.schedule_end_at,
        "next_run_at": schedule.next_run_at,
        "last_run_at": schedule.last_run_at,
        "max_runs": schedule.max_runs,
        "run_count": schedule.run_count,
        "lease_id": lease,
        "lease_expires_at": until,
        "placement_constraints": definition.placement_constraints,
        "attempt_id": task.attempts,
        "idempotency_key": durability.idempotency_key,
        "last_assigned_node": record.worker,
    });
    // Two calls, since one macro call this long runs into the compiler's recursion limit.
    let later = json!({
        "checkpoint_at": durability.checkpoint_at,
        "resume_from": durability.resume_from,
        "attempt_count": task.attempts,
        "max_attempts": durability.max_attempts.unwrap_or(1),
        "backoff_strategy": durability.backoff_strategy.as_deref().unwrap_or("exponential"),
        "backoff_base_seconds": durability.backoff_base_seconds.unwrap_or(1.0),
        "token_usage": token_usage(record),
        "token_budget": governance.token_budget,
        "estimated_cost_usd": governance.estimated_cost_usd,
        "actual_cost_usd": actual_cost(record),
        "cost_policy": governance.cost_policy,
        "estimate_tokens": governance.estimate_tokens,
        "schedule_timezone": schedule.schedule_timezone,
        "schedule_overlap": schedule.schedule_overlap,
        "schedule_misfire": schedule.schedule_misfire,
        "schedule_misfire_window_seconds": schedule.schedule_misfire_window_seconds,
        "schedule_catch_up": schedule.schedule_catch_up,
        "schedule_jitter_seconds": schedule.schedule_jitter_seconds,
        "timeout_seconds": definition.timeout_seconds,
        "queue_timeout_seconds": definition.timeouts.queue_timeout_seconds,
        "heartbeat_timeout_seconds": definition.timeouts.heartbeat_timeout_seconds,
        "deadline_seconds": definition.timeouts.deadline_seconds,
        "backoff_max_seconds": durability.backoff_max_seconds,
        "backoff_factor": durability.backoff_factor,
        "jitter": durability.jitter,
        "no_retry_on": durability.no_retry_on,
        "retry_deadline_seconds": durability.retry_deadline_seconds,
        "join": definition.join,
        "state": state(record),
    });
    let flow = match serde_json::to_value(&definition.flow) {
        Ok(flow) => flow,
        // Plain data always has a JSON form.
        Err(_) => Value::Null,
    };
    // Custom fields come first, so that none of them can stand in for a field of ours.
    let mut object = definition.extra.clone();
    for part in [known, later, flow] {
        if let Value::Object(part) = part {
            object.extend(part);
        }
    }
    if let Some(when) = &definition.when {
        object.insert("when".to_owned(), json!(when));
    }
    if let Some(edge) = &definition.loop_edge {
        object.insert("loop".to_owned(), json!(edge));
    }
    if let Some(passes) = definition.max_cycles {
        object.insert("max_cycles".to_owned(), json!(passes));
    }
    if definition.start != Begins::default() {
        object.insert("start".to_owned(), json!(definition.start));
    }
    Value::Object(object)
}

/// What the engine counted in this run; before it counted anything, what the author said.
fn token_usage(record: &Record) -> Option<Value> {
    let spent = record.task.facets.as_deref().map(|facets| facets.spent).unwrap_or_default();
    if spent.total() == 0 {
        return record.definition.governance.token_usage.clone();
    }
    Some(json!({ "input": spent.input, "output": spent.output, "total": spent.total() }))
}

/// What the reports of this run cost; before there was one, what the author said.
fn actual_cost(record: &Record) -> Option<f64> {
    let spent = record.task.facets.as_deref().map(|facets| facets.spent).unwrap_or_default();
    if spent == crate::budget::Spent::default() {
        return record.definition.governance.actual_cost_usd;
    }
    Some(crate::budget::Money(spent.micros).usd())
}

/// Why the task ended without a result, if it did.
pub fn error(record: &Record) -> Option<&str> {
    record.error.as_deref().or(match &record.task.state {
        State::Failed { failure } => Some(failure.message.as_str()),
        State::Skipped { why: text, .. } | State::Cancelled { reason: text } => Some(text.as_str()),
        _ => None,
    })
}

/// Where the task stands in detail: a name, and what goes with it (ruling 6).
pub fn state(record: &Record) -> Value {
    let mut object = match &record.task.state {
        State::Created | State::Ready | State::Completed => json!({}),
        State::Blocked { waiting_for, failed } => {
            let mut object = json!({ "waiting_for": waiting_for, "failed": failed });
            if !record.waiting_for.is_empty() {
                object["waiting_for_ids"] = json!(record.waiting_for);
            }
            if !record.failed_needs.is_empty() {
                object["failed_ids"] = json!(record.failed_needs);
            }
            object
        }
        State::Retrying { at, attempt } => json!({ "at": at, "attempt": attempt }),
        State::Running { lease, until, attempt, worker } => json!({
            "lease": lease, "until": until, "attempt": attempt, "worker": worker,
        }),
        State::Waiting { wait, until } => {
            let mut object = json!({ "for": wait.what, "detail": wait.detail, "until": until });
            if wait.is_kept() {
                object["id"] = json!(wait.id);
                object["key"] = json!(wait.key);
            }
            if wait.overdue {
                object["overdue"] = json!(true);
            }
            if let Some(to) = &wait.escalated_to {
                object["escalated_to"] = json!(to);
            }
            object
        }
        State::Failed { failure } => json!({ "kind": failure.kind, "message": failure.message }),
        State::Skipped { why, cause } => json!({ "why": why, "cause": cause }),
        State::Cancelled { reason } => json!({ "reason": reason }),
    };
    if let Some(held) = &record.task.held {
        let key = crate::flow::shown(&held.key);
        object["held"] = json!({ "by": held.by, "key": key, "until": held.until });
    }
    object["name"] = json!(record.task.state.name());
    if record.task.is_paused() {
        object["paused"] = json!(true);
    }
    object
}

fn dependencies(definition: &Definition) -> Value {
    let entry = |dependency: &crate::task::Dependency| {
        if dependency.plain {
            return json!(dependency.id);
        }
        let mut object: Map<String, Value> = dependency.extra.clone();
        object.insert("id".to_owned(), json!(dependency.id));
        object.insert("required".to_owned(), json!(dependency.required));
        Value::Object(object)
    };
    definition.dependencies.iter().map(entry).collect()
}

/// An array of tasks, in the order they come.
pub fn tasks(records: &[Record]) -> Value {
    records.iter().map(task).collect()
}

/// An array of tasks, each followed by everything below it.
pub fn flat(records: &[Record]) -> Value {
    let forest = Forest::of(records);
    let mut list = Vec::with_capacity(records.len());
    let mut next: Vec<usize> = forest.roots.iter().rev().copied().collect();
    while let Some(at) = next.pop() {
        list.push(task(&records[at]));
        next.extend(forest.children[at].iter().rev());
    }
    Value::Array(list)
}

/// `{task, children: […]}` of the first record and everything below it, or `null` without any.
///
/// Levels below [`MAX_TREE_DEPTH`] are left out; [`depth`] tells whether there are any.
pub fn tree(records: &[Record]) -> Value {
    let forest = Forest::of(records);
    forest.roots.first().map_or(Value::Null, |root| forest.node(records, *root, 1))
}

/// How many levels a tree has.
pub fn depth(records: &[Record]) -> usize {
    let forest = Forest::of(records);
    let mut deepest = 0;
    let mut next: Vec<(usize, usize)> = forest.roots.iter().map(|root| (*root, 1)).collect();
    while let Some((at, level)) = next.pop() {
        deepest = deepest.max(level);
        next.extend(forest.children[at].iter().map(|child| (*child, level + 1)));
    }
    deepest
}

/// Who hangs under whom, by index.
struct Forest {
    roots: Vec<usize>,
    children: Vec<Vec<usize>>,
}

impl Forest {
    /// A record whose parent is not among the others is a root here.
    fn of(records: &[Record]) -> Self {
        let index: HashMap<&TaskId, usize> =
            records.iter().enumerate().map(|(at, record)| (&record.id, at)).collect();
        let mut forest = Self { roots: Vec::new(), children: vec![Vec::new(); records.len()] };
        for (at, record) in records.iter().enumerate() {
            match record.parent_id.as_ref().and_then(|parent| index.get(parent)) {
                Some(parent) => forest.children[*parent].push(at),
                None => forest.roots.push(at),
            }
        }
        forest
    }

    fn node(&self, records: &[Record], at: usize, level: usize) -> Value {
        let below = if level < MAX_TREE_DEPTH { self.children[at].as_slice() } else { &[] };
        let children: Vec<Value> =
            below.iter().map(|child| self.node(records, *child, level + 1)).collect();
        json!({ "task": task(&records[at]), "children": children })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        id::Seq,
        task::{Dependency, Failure, FailureKind, Task},
        time::Timestamp,
    };

    /// A task of this name, at this place, that nobody has run.
    pub(crate) fn record(id: &str, parent: Option<&str>) -> Record {
        let at: Timestamp = "2026-11-20T15:26:11.384408+00:00".parse().expect("a moment");
        let definition = Definition { name: id.to_owned(), ..Definition::default() };
        Record {
            id: TaskId::new(id),
            tree_id: "t".into(),
            parent_id: parent.map(TaskId::from),
            has_children: false,
            task: Task {
                priority: definition.priority,
                join: definition.join,
                ..Task::new(Seq(1), Seq(1), Seq(1))
            },
            definition,
            progress: 0.0,
            resolved_inputs: None,
            result: None,
            error: None,
            created_at: at,
            updated_at: at,
            worker: None,
            waiting_for: Vec::new(),
            failed_needs: Vec::new(),
        }
    }

    /// The keys a v1 client finds in a task, and the ones v2 added.
    const OLD_KEYS: &[&str] = &[
        "id",
        "parent_id",
        "task_tree_id",
        "user_id",
        "name",
        "status",
        "priority",
        "dependencies",
        "inputs",
        "params",
        "result",
        "error",
        "schemas",
        "progress",
        "created_at",
        "started_at",
        "updated_at",
        "completed_at",
        "has_children",
        "original_task_id",
        "origin_type",
        "has_references",
        "schedule_type",
        "schedule_expression",
        "schedule_enabled",
        "schedule_start_at",
        "schedule_end_at",
        "next_run_at",
        "last_run_at",
        "max_runs",
        "run_count",
        "lease_id",
        "lease_expires_at",
        "placement_constraints",
        "attempt_id",
        "idempotency_key",
        "last_assigned_node",
        "checkpoint_at",
        "resume_from",
        "attempt_count",
        "max_attempts",
        "backoff_strategy",
        "backoff_base_seconds",
        "token_usage",
        "token_budget",
        "estimated_cost_usd",
        "actual_cost_usd",
        "cost_policy",
    ];

    #[test]
    fn a_task_has_every_old_key_and_ours() {
        let json = task(&record("a", None));
        let object = json.as_object().expect("an object");
        for key in OLD_KEYS {
            assert!(object.contains_key(*key), "{key}");
        }
        let ours: Vec<_> = object.keys().filter(|key| !OLD_KEYS.contains(&key.as_str())).collect();
        assert_eq!(
            ours,
            [
                "backoff_factor",
                "backoff_max_seconds",
                "deadline_seconds",
                "estimate_tokens",
                "heartbeat_timeout_seconds",
                "jitter",
                "join",
                "no_retry_on",
                "queue_timeout_seconds",
                "retry_deadline_seconds",
                "schedule_catch_up",
                "schedule_jitter_seconds",
                "schedule_misfire",
                "schedule_misfire_window_seconds",
                "schedule_overlap",
                "schedule_timezone",
                "state",
                "timeout_seconds"
            ]
        );
        assert_eq!(json["created_at"], "2026-11-20T15:26:11.384408+00:00");
        assert!(json["progress"].is_f64() && json["priority"] == 2);
        assert_eq!((&json["parent_id"], &json["inputs"]), (&Value::Null, &json!({})));
    }

    #[test]
    fn what_was_counted_is_shown_and_before_that_what_the_author_said() {
        let mut record = record("a", None);
        record.definition.governance.actual_cost_usd = Some(9.0);
        assert_eq!(task(&record)["actual_cost_usd"], 9.0);
        assert_eq!(task(&record)["token_usage"], Value::Null);
        let spent = crate::budget::Spent { input: 3, output: 4, micros: 500_000 };
        record.task.set_facets(|facets| facets.spent = spent);
        let told = task(&record);
        assert_eq!(told["token_usage"], json!({"input": 3, "output": 4, "total": 7}));
        assert_eq!(told["actual_cost_usd"], 0.5);
    }

    #[test]
    fn a_custom_field_stays_and_cannot_hide_a_known_one() {
        let mut record = record("a", None);
        record.definition.extra.insert("project".to_owned(), json!("x"));
        record.definition.extra.insert("status".to_owned(), json!("completed"));
        let json = task(&record);
        assert_eq!((&json["project"], &json["status"]), (&json!("x"), &json!("pending")));
    }

    #[test]
    fn a_dependency_is_shown_in_the_form_it_came() {
        let mut record = record("a", None);
        let plain = Dependency { id: "x".into(), required: true, plain: true, extra: Map::new() };
        let mut full = Dependency { id: "y".into(), plain: false, ..plain.clone() };
        full.extra.insert("type".to_owned(), json!("result"));
        record.definition.dependencies = vec![plain, full];
        let want = json!(["x", {"id": "y", "required": true, "type": "result"}]);
        assert_eq!(task(&record)["dependencies"], want);
    }

    #[test]
    fn a_state_carries_its_data_and_a_failed_task_always_has_a_text() {
        let mut record = record("a", None);
        record.task.state = State::Blocked { waiting_for: 2, failed: 1 };
        record.waiting_for = vec!["b".into()];
        let want = json!({"name": "blocked", "waiting_for": 2, "failed": 1,
            "waiting_for_ids": ["b"]});
        assert_eq!(state(&record), want);
        record.task.state = State::Failed { failure: Failure::new(FailureKind::Timeout, "") };
        assert_eq!(error(&record), Some("the attempt took longer than its timeout"));
        assert_eq!(task(&record)["state"]["kind"], "timeout");
    }

    #[test]
    fn a_list_is_told_parent_first_and_a_tree_nests() {
        let records = [
            record("r", None),
            record("a", Some("r")),
            record("b", Some("r")),
            record("a1", Some("a")),
        ];
        let flat = flat(&records);
        let order: Vec<_> = (0..4).map(|at| flat[at]["id"].as_str().unwrap_or("")).collect();
        assert_eq!(order, ["r", "a", "a1", "b"]);
        let tree = tree(&records);
        assert_eq!(tree["task"]["id"], "r");
        assert_eq!(tree["children"][0]["children"][0]["task"]["id"], "a1");
        assert_eq!(tree["children"][1]["children"], json!([]));
        assert_eq!(depth(&records), 3);
    }

    #[test]
    fn a_very_deep_tree_does_not_overflow_the_stack() {
        let mut records = vec![record("0", None)];
        for level in 1..5_000 {
            records.push(record(&level.to_string(), Some(&(level - 1).to_string())));
        }
        assert_eq!(depth(&records), 5_000);
        let nested = tree(&records[..2 * MAX_TREE_DEPTH]).to_string();
        assert_eq!(nested.matches("\"children\"").count(), MAX_TREE_DEPTH);
        assert_eq!(flat(&records).as_array().map(Vec::len), Some(5_000));
    }
}
