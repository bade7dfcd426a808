//! Patterns in Rust: a map with its reduction, a saga, a workflow inside another, and the small ones.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Flow, TaskBuilder, task};
use crate::{breaker::BreakerPolicy, pattern, task::Jitter};

/// A task inside a pattern: one step of a saga, or what is done with each element of a list.
///
/// Texts in its inputs may hold expressions in double braces.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a step does nothing until it is part of a pattern"]
pub struct Step {
    fields: Map<String, Value>,
}

/// Begins a task inside a pattern.
pub fn step(name: impl Into<String>, executor: impl Into<String>) -> Step {
    Step { fields: Map::new() }.field("name", name.into()).field("executor", executor.into())
}

impl Step {
    /// A step that is a whole workflow, as in a file; its inputs are those of the step.
    pub fn of_workflow(name: impl Into<String>, workflow: impl Into<Value>) -> Self {
        Self { fields: Map::new() }.field("name", name.into()).field("workflow", workflow)
    }

    /// Adds one input.
    pub fn input(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.within("inputs", name.into(), value.into())
    }

    /// Adds one parameter of the executor.
    pub fn param(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.within("params", name.into(), value.into())
    }

    /// Attempts in total, and the delay from which the time between them grows.
    pub fn retry(self, attempts: u32, base: Duration) -> Self {
        let retry = json!({
            "max_attempts": attempts, "backoff": "exponential", "base": base.as_secs_f64(),
        });
        self.field("retry", retry)
    }

    /// The longest time one attempt may take.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.field("timeout", timeout.as_secs_f64())
    }

    /// What undoes it in a saga; `result` in its inputs is what this step returned.
    pub fn compensate(self, undo: Self) -> Self {
        self.field("compensate", undo.fields)
    }

    /// Any other field that a task of a workflow file has.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    fn within(mut self, field: &str, name: String, value: Value) -> Self {
        let map = self.fields.entry(field).or_insert_with(|| json!({}));
        if let Some(map) = map.as_object_mut() {
            map.insert(name, value);
        }
        self
    }
}

impl From<Step> for Value {
    fn from(step: Step) -> Self {
        Self::Object(step.fields)
    }
}

/// A task for each element of a list; `over` is the list, or an expression that gives one.
///
/// In the inputs of `each`, `item` is the element and `index` its place.
pub fn map(name: impl Into<String>, over: impl Into<Value>, each: Step) -> TaskBuilder {
    task(name).executor(pattern::map::EXECUTOR).param("over", over).param("each", each)
}

/// As [`map`], and a task that brings the results together; they are `items` in its inputs.
pub fn map_reduce(
    name: impl Into<String>,
    over: impl Into<Value>,
    each: Step,
    reduce: Step,
) -> TaskBuilder {
    map(name, over, each).param("reduce", reduce)
}

/// Steps in turn, of which each is undone, the last one first, if a later one fails.
pub fn saga(name: impl Into<String>, steps: impl IntoIterator<Item = Step>) -> TaskBuilder {
    let steps: Vec<Value> = steps.into_iter().map(Value::from).collect();
    task(name).executor(pattern::saga::EXECUTOR).param("steps", steps)
}

/// A whole workflow, as in a file, as one task.
pub fn sub_workflow(name: impl Into<String>, workflow: impl Into<Value>) -> TaskBuilder {
    task(name).executor(pattern::workflow::EXECUTOR).param("workflow", workflow)
}

/// One task, then several side by side, then one that waits for all of them.
pub fn fan_out_in(
    first: impl Into<Flow>,
    branches: impl IntoIterator<Item = TaskBuilder>,
    last: impl Into<Flow>,
) -> Flow {
    let branches: Flow = branches.into_iter().collect();
    first.into().then(branches).then(last)
}

/// A task whose executor is given a rest when it fails again and again.
pub fn circuit_breaker(task: TaskBuilder, policy: BreakerPolicy) -> TaskBuilder {
    task.breaker(policy)
}

/// A task that is tried so often, each time after a longer delay, spread so that not all come at once.
pub fn retry(task: TaskBuilder, attempts: u32, base: Duration) -> TaskBuilder {
    task.max_attempts(attempts).backoff("exponential", base).backoff_jitter(Jitter::Bounded)
}

impl TaskBuilder {
    /// Maps one input of a [`sub_workflow`]: a value, or a text with expressions in double braces.
    ///
    /// As soon as one is mapped, only mapped ones are handed in.
    pub fn with(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.within("with", name.into(), value.into())
    }

    /// Maps one part of the result of a [`sub_workflow`]; its tasks are `results` there.
    pub fn output(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.within("outputs", name.into(), value.into())
    }

    /// At most so many elements of a [`map`] at the same time.
    pub fn max_parallel(self, most: u32) -> Self {
        self.param("max_parallel", most)
    }

    /// How many elements of a [`map`], or members of a group, have to complete.
    pub fn policy(self, policy: impl Into<Value>) -> Self {
        self.param("policy", policy)
    }

    fn within(mut self, field: &str, name: String, value: Value) -> Self {
        let map = self.spec.params.entry(field).or_insert_with(|| json!({}));
        if let Some(map) = map.as_object_mut() {
            map.insert(name, value);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::{Format, Workflow};

    #[test]
    fn the_builder_says_what_a_workflow_file_says() {
        let built = [
            map_reduce(
                "sum",
                "{{ inputs.list }}",
                step("one", "x").input("n", "{{ item }}"),
                step("all", "y"),
            )
            .max_parallel(2),
            saga(
                "order",
                [step("pay", "x").compensate(step("refund", "y").retry(3, Duration::ZERO))],
            ),
            sub_workflow("inner", json!({"tasks": {"a": {"executor": "x"}}}))
                .with("n", 1)
                .output("m", "{{ results.a }}"),
        ];
        let file = r#"
tasks:
  sum:
    map:
      over: "{{ inputs.list }}"
      each: {name: one, executor: x, inputs: {n: "{{ item }}"}}
      reduce: {name: all, executor: y}
      max_parallel: 2
  order:
    saga:
      - name: pay
        executor: x
        compensate: {name: refund, executor: y, retry: {max_attempts: 3, backoff: exponential, base: 0.0}}
  inner: {workflow: {tasks: {a: {executor: x}}}, with: {n: 1}, outputs: {m: "{{ results.a }}"}}
"#;
        let workflow = Workflow::parse(file, Format::Yaml).expect("a workflow");
        let read = workflow.order(Map::new(), "r").expect("its tasks").tasks;
        for (built, read) in built.into_iter().zip(read) {
            assert_eq!(built.build().params, read.params, "{}", read.name);
        }
    }
}
