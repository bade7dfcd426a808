//! Steps one after the other, of which each is undone, the last one first, if a later one fails.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{
    NAMES, Shape, failed, inside, names, read_task, refused, so_far, try_out, unreadable,
    went_wrong,
};
use crate::{
    executor::{Context, ExecuteError, Executor, Gathered, Manifest},
    problem::Problems,
    submit::{Reference, TaskSpec},
};

/// The executor of sagas.
pub const EXECUTOR: &str = "saga";
/// The most steps.
pub const MAX_STEPS: usize = 1_000;
/// How often a step is undone until it is, unless it says otherwise.
pub const UNDO_ATTEMPTS: u32 = 5;

/// How long is waited before a step is undone for the second time, unless it says otherwise.
const UNDO_BASE: Duration = Duration::from_secs(1);
const UNDO: &str = "undo ";

/// What a task of this executor says.
#[derive(Debug, Clone)]
pub struct Plan {
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Step {
    spec: TaskSpec,
    inputs: Shape,
    undo: Option<(TaskSpec, Shape)>,
}

impl Step {
    fn name(&self) -> &str {
        self.spec.id.as_deref().unwrap_or(&self.spec.name)
    }
}

impl Plan {
    /// Reads `params.steps`.
    pub fn read(params: &Map<String, Value>) -> Result<Self, Problems> {
        const EXPECTED: &str = "a list of tasks, each with a `name` of its own and `compensate`";
        let wrong = |why: &str| refused("steps", why, EXPECTED);
        let list = params.get("steps").and_then(Value::as_array);
        let list = list.filter(|list| (1..=MAX_STEPS).contains(&list.len()));
        let list = list.ok_or_else(|| wrong("it is no list of 1 to 1000 steps"))?;
        let mut steps: Vec<Step> = Vec::with_capacity(list.len());
        for (place, value) in list.iter().enumerate() {
            let field = format!("steps[{place}]");
            let mut fields = value.as_object().cloned().ok_or_else(|| wrong("a step is no map"))?;
            let undo = fields.remove("compensate").filter(|undo| !undo.is_null());
            let name = fields.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            if name.is_empty() || name.starts_with(UNDO) {
                return Err(wrong("a step has no name, or one that means undoing"));
            }
            if steps.iter().any(|step| step.name() == name) {
                return Err(wrong(&format!("two steps are called `{name}`")));
            }
            let spec = read_task(&field, &name, &Value::Object(fields))?;
            let inputs = Shape::read_map(&format!("{field}.inputs"), &spec.inputs, &NAMES)?;
            let undo = match undo {
                None => None,
                Some(value) => Some(undoing(&format!("{field}.compensate"), &name, &value)?),
            };
            steps.push(Step { spec, inputs, undo });
        }
        Ok(Self { steps })
    }

    /// Whether its tasks could be spawned.
    pub fn check(&self) -> Result<(), Problems> {
        let tasks = self.steps.iter().flat_map(|step| {
            let undo = step.undo.iter().map(|(undo, _)| undo.clone());
            std::iter::once(step.spec.clone()).chain(undo)
        });
        try_out(tasks.collect())
    }

    /// What comes next, after what has been done.
    fn next(&self, done: &BTreeMap<&str, &Gathered>) -> Next<'_> {
        let of = |step: &Step| done.get(step.name()).copied();
        let undone = |step: &Step| done.get(undo_of(step.name()).as_str()).copied();
        let turned_back = self
            .steps
            .iter()
            .any(|step| of(step).is_some_and(went_wrong) || undone(step).is_some());
        if !turned_back {
            return match self.steps.iter().find(|step| of(step).is_none()) {
                Some(step) => Next::Step(step),
                None => Next::Done,
            };
        }
        // Also a step that failed at first, and was done when somebody had it tried again.
        let open = |step: &&Step| {
            step.undo.is_some()
                && of(step).is_some_and(Gathered::completed)
                && undone(step).is_none()
        };
        let open: Vec<&Step> = self.steps.iter().rev().filter(open).collect();
        if open.is_empty() { Next::Over } else { Next::Undo(open) }
    }
}

/// What comes next in a saga.
#[derive(Debug)]
enum Next<'a> {
    /// This step.
    Step(&'a Step),
    /// All are done.
    Done,
    /// These are undone, in this order.
    Undo(Vec<&'a Step>),
    /// What could be undone is.
    Over,
}

/// The task that undoes a step; it is tried several times unless it says otherwise.
fn undoing(field: &str, name: &str, value: &Value) -> Result<(TaskSpec, Shape), Problems> {
    let names = [&NAMES[..], &["result"]].concat();
    let mut spec = read_task(field, &undo_of(name), value)?;
    if spec.durability.max_attempts.is_none() {
        spec.durability.max_attempts = Some(UNDO_ATTEMPTS);
        let base = UNDO_BASE.as_secs_f64();
        spec.durability.backoff_base_seconds.get_or_insert(base);
        spec.durability.backoff_strategy.get_or_insert_with(|| "exponential".to_owned());
    }
    let said = value.get("inputs").is_some_and(Value::is_object);
    let own = json!({"inputs": "{{ inputs }}", "result": "{{ result }}"});
    let inputs = if said { Value::Object(spec.inputs.clone()) } else { own };
    let inputs = Shape::read(&format!("{field}.inputs"), &inputs, &names)?;
    Ok((spec, inputs))
}

fn undo_of(name: &str) -> String {
    format!("{UNDO}{name}")
}

/// The executor of sagas.
pub struct Saga {
    manifest: Manifest,
}

impl Default for Saga {
    fn default() -> Self {
        let mut manifest =
            Manifest::new(EXECUTOR, "Runs steps in turn and undoes them if one of them fails.");
        manifest.tags = vec!["flow".to_owned()];
        Self { manifest }
    }
}

#[async_trait]
impl Executor for Saga {
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
        let done: BTreeMap<&str, &Gathered> =
            so_far(context).iter().map(|task| (task.key.as_str(), task)).collect();
        // A step sees what came before the saga, and what the steps before it returned.
        for step in &plan.steps {
            let result = done.get(step.name()).and_then(|task| task.result.as_deref());
            if let Some(result) = result {
                known["results"][step.name()] = result.clone();
            }
        }
        let results = || -> Map<String, Value> {
            let result = |step: &Step| Some(done.get(step.name())?.result.as_deref()?.clone());
            let named = plan.steps.iter().map(|step| (step.name().to_owned(), result(step)));
            named.filter_map(|(name, result)| Some((name, result?))).collect()
        };
        match plan.next(&done) {
            Next::Done => Ok(json!({ "results": results() })),
            Next::Step(step) => {
                let inputs = step.inputs.fill_map(&known)?;
                let task = TaskSpec { inputs, ..step.spec.clone() };
                Err(context.gather_members(vec![task], None))
            }
            Next::Undo(steps) => {
                let tasks = undo(&steps, &mut known)?;
                Err(context.gather_members(tasks, None))
            }
            Next::Over => Err(over(&plan, &done, &results())),
        }
    }
}

/// The tasks that undo these steps, one after the other.
fn undo(steps: &[&Step], known: &mut Value) -> Result<Vec<TaskSpec>, ExecuteError> {
    let mut tasks: Vec<TaskSpec> = Vec::with_capacity(steps.len());
    for step in steps {
        let Some((spec, inputs)) = &step.undo else { continue };
        known["result"] = known["results"][step.name()].clone();
        let mut task = TaskSpec { inputs: inputs.fill_map(known)?, ..spec.clone() };
        // The rest is undone also where one of them cannot be.
        let before = tasks.last().and_then(|task| task.id.clone());
        task.dependencies.extend(before.map(Reference::optional));
        tasks.push(task);
    }
    Ok(tasks)
}

/// What a saga says that has turned back.
fn over(
    plan: &Plan,
    done: &BTreeMap<&str, &Gathered>,
    results: &Map<String, Value>,
) -> ExecuteError {
    let mut undone = Vec::new();
    let mut left = Vec::new();
    for step in plan.steps.iter().rev() {
        match done.get(undo_of(step.name()).as_str()) {
            Some(undo) if undo.completed() => undone.push(step.name()),
            Some(undo) => left.push((step.name(), undo.error.as_deref().unwrap_or_default())),
            None => {}
        }
    }
    let culprit = plan.steps.iter().find_map(|step| {
        let task = done.get(step.name()).filter(|task| went_wrong(task))?;
        Some(inside(step.name(), Some(&step.spec), task))
    });
    let mut told = culprit.unwrap_or_else(|| {
        // It was tried again by itself; what came before it had been undone by then.
        "all that was done is undone; run the saga from its beginning".to_owned()
    });
    if !left.is_empty() {
        let names: Vec<&str> = left.iter().map(|(name, _)| *name).collect();
        told = format!("{told}; could not be undone: {}", names.join(", "));
    }
    let result = json!({
        "results": results,
        "compensated": undone,
        "not_compensated": left
            .iter()
            .map(|(name, error)| json!({"step": name, "error": error}))
            .collect::<Value>(),
    });
    failed(&told, 0, result)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{code::Code, task::StateName};

    fn plan(steps: Value) -> Result<Plan, Problems> {
        Plan::read(&Map::from_iter([("steps".to_owned(), steps)]))
    }

    fn three() -> Plan {
        let step =
            |name: &str| json!({"name": name, "executor": "x", "compensate": {"executor": "y"}});
        let steps = json!([step("a"), step("b"), {"name": "c", "executor": "x"}]);
        plan(steps).expect("three steps")
    }

    fn ended(key: &str, state: StateName) -> Gathered {
        let result = (state == StateName::Completed).then(|| Arc::new(json!({"of": key})));
        Gathered { id: key.into(), key: key.to_owned(), round: 0, state, result, error: None }
    }

    /// In short what comes next after these.
    fn after(ends: &[(&str, StateName)]) -> String {
        let ends: Vec<Gathered> = ends.iter().map(|(key, state)| ended(key, *state)).collect();
        let done = ends.iter().map(|end| (end.key.as_str(), end)).collect();
        let names = |steps: Vec<&Step>| -> Vec<String> {
            steps.iter().map(|step| step.name().to_owned()).collect()
        };
        match three().next(&done) {
            Next::Step(step) => step.name().to_owned(),
            Next::Done => "done".to_owned(),
            Next::Undo(steps) => format!("undo {}", names(steps).join(" ")),
            Next::Over => "over".to_owned(),
        }
    }

    #[test]
    fn a_saga_goes_on_from_wherever_it_was() {
        use StateName::{Cancelled, Completed, Failed, Skipped};
        assert_eq!(after(&[]), "a");
        assert_eq!(after(&[("a", Completed)]), "b");
        assert_eq!(after(&[("a", Completed), ("b", Skipped)]), "c");
        assert_eq!(after(&[("a", Completed), ("b", Completed), ("c", Completed)]), "done");
        assert_eq!(after(&[("a", Failed)]), "over");
        assert_eq!(after(&[("a", Completed), ("b", Cancelled)]), "undo a");
        let turned = [("a", Completed), ("b", Completed), ("c", Failed)];
        assert_eq!(after(&turned), "undo b a");
        let undone = [turned.to_vec(), vec![("undo b", Failed), ("undo a", Completed)]].concat();
        assert_eq!(after(&undone), "over");
    }

    #[test]
    fn a_step_that_was_done_after_the_others_were_undone_is_undone_as_well() {
        use StateName::Completed;
        let late = [("a", Completed), ("undo a", Completed), ("b", Completed)];
        assert_eq!(after(&late), "undo b");
        assert_eq!(after(&[&late[..], &[("undo b", Completed)]].concat()), "over");
    }

    #[test]
    fn steps_are_undone_one_after_the_other_and_each_several_times() {
        let plan = three();
        let mut known = json!({"inputs": {}, "results": {"a": 1, "b": 2}});
        let steps: Vec<&Step> = plan.steps[..2].iter().rev().collect();
        let tasks = undo(&steps, &mut known).expect("two tasks");
        assert_eq!(tasks[0].id.as_deref(), Some("undo b"));
        assert_eq!(tasks[0].inputs["result"], json!(2));
        assert_eq!(tasks[1].dependencies, [Reference::optional("undo b")]);
        assert_eq!(tasks[1].durability.max_attempts, Some(UNDO_ATTEMPTS));
    }

    #[test]
    fn steps_have_names_of_their_own() {
        for wrong in [
            json!([]),
            json!([{"executor": "x"}]),
            json!([{"name": "a", "executor": "x"}, {"name": "a", "executor": "x"}]),
            json!([{"name": "a", "executor": "x", "compensate": 3}]),
            json!([{"name": "a", "executor": "x", "needs": ["b"]}]),
        ] {
            let problems = plan(wrong.clone()).expect_err("it is wrong");
            assert_eq!(problems.0[0].code, Code::InvalidPattern, "{wrong}");
        }
    }
}
