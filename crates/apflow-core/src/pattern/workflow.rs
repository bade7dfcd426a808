//! A whole workflow as one task of another: inputs mapped in, outputs mapped out.

use std::collections::HashSet;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    NAMES, Shape, failed, inside, map_in, names, refused, so_far, try_out, unreadable, went_wrong,
};
use crate::{
    executor::{Context, ExecuteError, Executor, Gathered, Manifest},
    group,
    problem::Problems,
    submit::TaskSpec,
    task::TreeOptions,
    workflow::{Format, Workflow},
};

/// The executor of workflows inside others.
pub const EXECUTOR: &str = "workflow";

/// The longest name of a part of a channel that is made of a task's id as it is.
const MAX_SPACE: usize = 200;

/// What a task of this executor says.
#[derive(Debug, Clone)]
pub struct Plan {
    workflow: Workflow,
    with: Option<Shape>,
    outputs: Option<Shape>,
    shares_channel: bool,
}

impl Plan {
    /// Reads `params.workflow`, `params.with`, `params.outputs` and `params.channel`.
    pub fn read(params: &Map<String, Value>) -> Result<Self, Problems> {
        const EXPECTED: &str = "a workflow with `tasks`, as in a file";
        let definition = match params.get("workflow") {
            Some(definition @ Value::Object(_)) => definition,
            Some(Value::String(name)) => {
                let why = format!("nobody has put a workflow in the place of `{name}`");
                return Err(refused("workflow", why, EXPECTED));
            }
            _ => return Err(refused("workflow", "it is no workflow", EXPECTED)),
        };
        let workflow = Workflow::parse(&definition.to_string(), Format::Json)?;
        if workflow.options != TreeOptions::default() {
            let why = "`timeout`, `on_failure` and `structure_order` belong to the whole run";
            return Err(refused("workflow", why, "a workflow without them"));
        }
        let shares_channel = match params.get("channel").map(Value::as_str) {
            None | Some(Some("own")) => false,
            Some(Some("shared")) => true,
            _ => return Err(refused("channel", "it is neither", "`own` or `shared`")),
        };
        let with = map_in(params, "with")?;
        let with = with.map(|map| Shape::read_map("with", map, &NAMES)).transpose()?;
        let outputs = map_in(params, "outputs")?;
        let outputs = outputs.map(|map| Shape::read_map("outputs", map, &NAMES)).transpose()?;
        Ok(Self { workflow, with, outputs, shares_channel })
    }

    /// Whether its tasks could be spawned.
    pub fn check(&self) -> Result<(), Problems> {
        let tasks = self.tasks(Map::new())?;
        try_out(tasks)
    }

    /// The tasks; without inputs those of the workflow itself hold.
    fn tasks(&self, inputs: Map<String, Value>) -> Result<Vec<TaskSpec>, Problems> {
        let mut tasks = self.workflow.order(inputs, "")?.tasks;
        for task in &mut tasks {
            // Whoever owns the task owns what is inside it.
            task.user_id = None;
        }
        Ok(tasks)
    }

    fn inputs(&self, known: &Value) -> Result<Map<String, Value>, ExecuteError> {
        if let Some(with) = &self.with {
            return with.fill_map(known);
        }
        let own = known["inputs"].as_object().into_iter().flatten();
        let declared = own.filter(|(name, _)| self.workflow.inputs.contains_key(*name));
        Ok(declared.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

/// The executor of workflows inside others.
pub struct SubWorkflow {
    manifest: Manifest,
}

impl Default for SubWorkflow {
    fn default() -> Self {
        let mut manifest = Manifest::new(EXECUTOR, "Runs a whole workflow as one task.");
        manifest.tags = vec!["flow".to_owned()];
        Self { manifest }
    }
}

#[async_trait]
impl Executor for SubWorkflow {
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
        let tasks = plan.tasks(plan.inputs(&known)?).map_err(unreadable)?;
        if context.given.rounds == 0 {
            let space = (!plan.shares_channel).then(|| space_of(context));
            return Err(context.gather_members(tasks, space));
        }
        let done = so_far(context);
        let results: Map<String, Value> = done
            .iter()
            .filter_map(|task| Some((key(task).to_owned(), task.result.as_deref()?.clone())))
            .collect();
        let judged = in_groups(&tasks);
        let wrong: Vec<&Gathered> = done
            .iter()
            .filter(|task| went_wrong(task) && !judged.contains(task.key.as_str()))
            .collect();
        if let Some(first) = wrong.first() {
            let spec = tasks.iter().find(|spec| spec.id.as_deref() == Some(&*first.key));
            let told = inside(key(first), spec, first);
            let all: Vec<&str> = wrong.iter().map(|task| key(task)).collect();
            return Err(failed(&told, wrong.len() - 1, json!({"failed": all, "results": results})));
        }
        let Some(outputs) = &plan.outputs else {
            return Ok(Value::Object(last_of(&tasks, results)));
        };
        known["results"] = Value::Object(results);
        known["states"] =
            done.iter().map(|task| (key(task).to_owned(), json!(task.state))).collect();
        outputs.fill(&known)
    }
}

/// What the workflow calls a task.
fn key(task: &Gathered) -> &str {
    task.key.strip_prefix('/').unwrap_or(&task.key)
}

/// The part of the channel that the tasks inside share.
fn space_of(context: &Context) -> String {
    let id = context.task.as_str();
    if id.len() <= MAX_SPACE {
        return format!("workflow:{id}");
    }
    let mut first = [0; 16];
    first.copy_from_slice(&Sha256::digest(id)[..16]);
    format!("workflow:{:032x}", u128::from_be_bytes(first))
}

/// Members of groups, whose failure their group judges.
fn in_groups(tasks: &[TaskSpec]) -> HashSet<&str> {
    let groups: HashSet<&str> = tasks
        .iter()
        .filter(|spec| super::executor(spec) == Some(group::EXECUTOR))
        .filter_map(|spec| spec.id.as_deref())
        .collect();
    let inside = |spec: &&TaskSpec| spec.parent.as_deref().is_some_and(|it| groups.contains(it));
    tasks.iter().filter(inside).filter_map(|spec| spec.id.as_deref()).collect()
}

/// The results of the tasks that no other one waits for.
fn last_of(tasks: &[TaskSpec], results: Map<String, Value>) -> Map<String, Value> {
    let needed: HashSet<&str> =
        tasks.iter().flat_map(|spec| &spec.dependencies).map(|entry| entry.to.as_str()).collect();
    results.into_iter().filter(|(key, _)| !needed.contains(format!("/{key}").as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;

    fn params(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_workflow_inside_is_checked_like_one_outside() {
        let read = |workflow: Value| {
            Plan::read(&params(&json!({ "workflow": workflow }))).and_then(|plan| plan.check())
        };
        let tasks = |needs: &str| json!({"tasks": {"a": {"executor": "x", "needs": [needs]}}});
        let code = |workflow| read(workflow).expect_err("it is wrong").0[0].code;
        assert_eq!(code(tasks("b")), Code::UnknownReference);
        assert_eq!(code(tasks("a")), Code::Cycle);
        assert_eq!(code(json!("elsewhere")), Code::InvalidPattern);
        let with_timeout = json!({"timeout": 3, "tasks": {"a": {"executor": "x"}}});
        assert_eq!(code(with_timeout), Code::InvalidPattern);
        assert_eq!(read(json!({"tasks": {"a": {"executor": "x"}}})), Ok(()));
    }

    #[test]
    fn nobody_names_another_owner_inside() {
        let workflow = json!({"user_id": "other", "tasks": {"a": {"executor": "x"}}});
        let plan = Plan::read(&params(&json!({ "workflow": workflow }))).expect("a plan");
        let tasks = plan.tasks(Map::new()).expect("its tasks");
        assert_eq!(tasks[0].user_id, None);
    }
}
