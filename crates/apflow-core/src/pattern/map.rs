//! One task for each element of a list, and one that brings the results together.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{
    NAMES, Shape, failed, inside, names, read_task, refused, so_far, try_out, unreadable,
    went_wrong,
};
use crate::{
    executor::{Context, ExecuteError, Executor, Gathered, Manifest},
    flow::Limit,
    group::{Member, Policy},
    id::MAX_ID_CHARS,
    problem::Problems,
    submit::TaskSpec,
};

/// The executor of maps.
pub const EXECUTOR: &str = "map";
/// The most elements of one list.
pub const MAX_ITEMS: usize = 10_000;

const REDUCE: &str = "reduce";
/// So many failed elements are told with their error.
const MAX_TOLD: usize = 100;

/// What a task of this executor says.
#[derive(Debug, Clone)]
pub struct Plan {
    over: Shape,
    each: TaskSpec,
    each_inputs: Shape,
    max_parallel: Option<u32>,
    policy: Policy,
    reduce: Option<Reduce>,
}

#[derive(Debug, Clone)]
enum Reduce {
    Value(Shape),
    Task(Box<TaskSpec>, Shape),
}

impl Plan {
    /// Reads `params.over`, `each`, `max_parallel`, `policy` and `reduce`.
    pub fn read(params: &Map<String, Value>) -> Result<Self, Problems> {
        let items = Value::String("{{ inputs.items }}".to_owned());
        let over = Shape::read("over", params.get("over").unwrap_or(&items), &NAMES)?;
        let with = |more: &[&'static str]| [&NAMES, more].concat();
        let (each, each_inputs) = task_in(
            "each",
            params.get("each").unwrap_or(&Value::Null),
            &json!({"item": "{{ item }}", "index": "{{ index }}"}),
            &with(&["item", "index"]),
        )?;
        let max_parallel = match params.get("max_parallel") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                let number = number.filter(|number| (1..=1_000_000).contains(number));
                let wrong =
                    || refused("max_parallel", "so many cannot run", "a number from 1 to 1000000");
                Some(number.ok_or_else(wrong)?)
            }
        };
        let policy = Policy::read(params).map_err(|problem| Problems::one(*problem))?;
        if matches!(policy, Policy::Critical(_) | Policy::Custom(_)) {
            let expected = "strict, best_effort, {at_least: 2} or {percent: 50}";
            return Err(refused("policy", "elements have no names", expected));
        }
        let reduce = match params.get(REDUCE) {
            None | Some(Value::Null) => None,
            Some(text @ Value::String(_)) => {
                Some(Reduce::Value(Shape::read(REDUCE, text, &with(&["items"]))?))
            }
            Some(task) => {
                let items = json!({"items": "{{ items }}"});
                let (spec, inputs) = task_in(REDUCE, task, &items, &with(&["items"]))?;
                Some(Reduce::Task(Box::new(spec), inputs))
            }
        };
        Ok(Self { over, each, each_inputs, max_parallel, policy, reduce })
    }

    /// Whether its tasks could be spawned.
    pub fn check(&self) -> Result<(), Problems> {
        let mut tasks = vec![self.each.clone()];
        if let Some(Reduce::Task(spec, _)) = &self.reduce {
            tasks.push(TaskSpec::clone(spec));
        }
        try_out(tasks)
    }

    fn tasks(
        &self,
        items: &[Value],
        known: &mut Value,
        context: &Context,
    ) -> Result<Vec<TaskSpec>, ExecuteError> {
        let limit = self.max_parallel.map(|max| Limit { key: slots(context), max: Some(max) });
        let mut tasks = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            known["item"] = item.clone();
            known["index"] = json!(index);
            let mut task = self.each.clone();
            task.id = Some(index.to_string());
            task.name = format!("{}[{index}]", task.name);
            task.inputs = self.each_inputs.fill_map(known)?;
            task.flow.limits.extend(limit.clone());
            tasks.push(task);
        }
        Ok(tasks)
    }
}

/// A task of the plan with its inputs, which hold expressions.
fn task_in(
    field: &str,
    value: &Value,
    unless_said: &Value,
    names: &[&str],
) -> Result<(TaskSpec, Shape), Problems> {
    let spec = read_task(field, field, value)?;
    let said = value.get("inputs").is_some_and(Value::is_object);
    let inputs = if said { Value::Object(spec.inputs.clone()) } else { unless_said.clone() };
    let inputs = Shape::read(&format!("{field}.inputs"), &inputs, names)?;
    Ok((spec, inputs))
}

/// The key under which the elements of one map share their slots.
fn slots(context: &Context) -> String {
    let key = format!("map:{}", context.task);
    key.chars().take(MAX_ID_CHARS).collect()
}

/// The executor of maps.
pub struct MapOver {
    manifest: Manifest,
}

impl Default for MapOver {
    fn default() -> Self {
        let mut manifest = Manifest::new(EXECUTOR, "Runs a task for each element of a list.");
        manifest.tags = vec!["flow".to_owned()];
        Self { manifest }
    }
}

#[async_trait]
impl Executor for MapOver {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        inputs: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError> {
        let plan = Plan::read(&context.params).map_err(unreadable)?;
        let mut known = names(context, inputs);
        let done = so_far(context);
        let elements: Vec<&Gathered> = done.iter().filter(|task| task.key != REDUCE).collect();
        if elements.is_empty() {
            let items = match plan.over.fill(&known)? {
                Value::Array(items) => items,
                other => {
                    let found = crate::submit::described(&other);
                    let why = format!("[map] `over` is {found}, where a list is needed");
                    return Err(ExecuteError::invalid_input(why));
                }
            };
            if items.len() > MAX_ITEMS {
                let why = format!("[map] {} elements are more than {MAX_ITEMS}", items.len());
                return Err(ExecuteError::invalid_input(why));
            }
            if !items.is_empty() {
                let tasks = plan.tasks(&items, &mut known, context)?;
                return Err(context.gather_members(tasks, None));
            }
        }
        let results: Vec<Value> = elements
            .iter()
            .map(|task| task.result.as_deref().cloned().unwrap_or_default())
            .collect();
        let wrong: Vec<&&Gathered> = elements.iter().filter(|task| went_wrong(task)).collect();
        let told = |task: &Gathered| inside(&format!("[{}]", task.key), Some(&plan.each), task);
        let members: Vec<Member> = elements.iter().map(|task| member(task)).collect();
        let mut result = json!({
            "results": results,
            "failed": wrong
                .iter()
                .take(MAX_TOLD)
                .map(|task| json!({"index": task.key.parse::<u64>().ok(), "error": task.error}))
                .collect::<Value>(),
        });
        if !plan.policy.is_met(&members) {
            let first = wrong
                .first()
                .map_or_else(|| "too few elements are done".to_owned(), |first| told(first));
            return Err(failed(&first, wrong.len().saturating_sub(1), result));
        }
        known["items"] = result["results"].take();
        let Some(reduce) = &plan.reduce else {
            result["results"] = known["items"].take();
            return Ok(result);
        };
        match reduce {
            Reduce::Value(shape) => shape.fill(&known),
            Reduce::Task(spec, inputs) => match done.iter().find(|task| task.key == REDUCE) {
                None => {
                    let inputs = inputs.fill_map(&known)?;
                    let task = TaskSpec { inputs, ..TaskSpec::clone(spec) };
                    Err(context.gather_members(vec![task], None))
                }
                Some(reduced) if went_wrong(reduced) => {
                    let told = inside(REDUCE, Some(spec), reduced);
                    result["results"] = known["items"].take();
                    Err(failed(&told, 0, result))
                }
                Some(reduced) => Ok(reduced.result.as_deref().cloned().unwrap_or_default()),
            },
        }
    }
}

fn member(task: &Gathered) -> Member {
    Member { name: task.key.clone(), id: task.id.clone(), state: task.state, result: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;

    #[test]
    fn a_map_that_cannot_be_carried_out_is_refused() {
        let read = |value: Value| {
            let params = value.as_object().cloned().unwrap_or_default();
            Plan::read(&params).and_then(|plan| plan.check())
        };
        let each = json!({"executor": "x"});
        assert_eq!(read(json!({"each": each})), Ok(()));
        assert_eq!(
            read(json!({"over": [1, 2], "each": each, "reduce": "{{ items|sum }}"})),
            Ok(())
        );
        for (wrong, code) in [
            (json!({"each": 3}), Code::InvalidPattern),
            (json!({"each": {"executor": "x", "needs": ["a"]}}), Code::InvalidPattern),
            (json!({"each": each, "max_parallel": 0}), Code::InvalidPattern),
            (json!({"each": each, "policy": {"critical": ["a"]}}), Code::InvalidPattern),
            (json!({"each": each, "over": "{{ item }}"}), Code::InvalidExpression),
            (
                json!({"each": {"executor": "x", "inputs": {"a": "{{ items }}"}}}),
                Code::InvalidExpression,
            ),
        ] {
            let problems = read(wrong.clone()).expect_err("it is wrong");
            assert_eq!(problems.0[0].code, code, "{wrong}");
        }
    }
}
