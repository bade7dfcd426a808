//! One task, written as a chain of calls.

use std::time::Duration;

use serde_json::Value;

use crate::{
    breaker::BreakerPolicy,
    flow::{Limit, Rate, Span},
    submit::{Reference, TaskSpec},
    task::{Jitter, Join, LoopEdge, Priority},
};

/// Begins a task of this name.
pub fn task(name: impl Into<String>) -> TaskBuilder {
    TaskBuilder { spec: TaskSpec::new(name) }
}

/// A task that is being written.
///
/// Nothing is checked here; [`compile`](crate::submit::compile) tells everything that is wrong at once.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a task does nothing until it is submitted"]
pub struct TaskBuilder {
    pub(super) spec: TaskSpec,
}

impl TaskBuilder {
    /// Gives it an id; without one it gets a new one.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.spec.id = Some(id.into());
        self
    }

    /// Names the executor that runs it.
    pub fn executor(self, id: impl Into<String>) -> Self {
        self.param("executor_id", id.into())
    }

    /// Adds one input.
    pub fn input(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.spec.inputs.insert(name.into(), value.into());
        self
    }

    /// Adds several inputs.
    pub fn inputs<K: Into<String>, V: Into<Value>>(
        mut self,
        inputs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.spec
            .inputs
            .extend(inputs.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Adds one parameter of the executor.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.spec.params.insert(name.into(), value.into());
        self
    }

    /// Adds one schema: `input_schema` is checked before the task runs.
    pub fn schema(mut self, name: impl Into<String>, schema: impl Into<Value>) -> Self {
        self.spec.schemas.insert(name.into(), schema.into());
        self
    }

    /// These tasks, by id or name, have to complete first.
    pub fn depends_on<T: Into<String>>(mut self, tasks: impl IntoIterator<Item = T>) -> Self {
        self.spec.dependencies.extend(tasks.into_iter().map(Reference::required));
        self
    }

    /// This task has to end first, however it ends.
    pub fn optional(mut self, task: impl Into<String>) -> Self {
        self.spec.dependencies.push(Reference::optional(task));
        self
    }

    /// It runs as soon as one of its dependencies completes.
    pub fn any(mut self) -> Self {
        self.spec.join = Join::Any;
        self
    }

    /// It runs only if this expression holds; otherwise it is skipped, and what requires it, too.
    pub fn when(mut self, expression: impl Into<String>) -> Self {
        self.spec.when = Some(expression.into());
        self
    }

    /// This task has to complete first, and the edge is taken only if the expression holds.
    pub fn depends_on_when(
        mut self,
        task: impl Into<String>,
        expression: impl Into<String>,
    ) -> Self {
        let mut reference = Reference::required(task);
        reference.extra.insert("when".to_owned(), Value::String(expression.into()));
        self.spec.dependencies.push(reference);
        self
    }

    /// Hangs it under another task, by id or name.
    pub fn parent(mut self, task: impl Into<String>) -> Self {
        self.spec.parent = Some(task.into());
        self
    }

    /// Chooses the id of its tree; for a root.
    pub fn tree(mut self, id: impl Into<String>) -> Self {
        self.spec.tree_id = Some(id.into());
        self
    }

    /// Names its owner.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.spec.user_id = Some(user.into());
        self
    }

    /// How soon it is taken among those that are ready.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.spec.priority = priority;
        self
    }

    /// The longest time one attempt may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.spec.timeout_seconds = Some(timeout.as_secs_f64());
        self
    }

    /// How often it may run in one run, by iterating or because others jump to it.
    pub fn max_cycles(mut self, passes: u32) -> Self {
        self.spec.max_cycles = Some(passes);
        self
    }

    /// Runs again after a success, with the result as data, as long as the expression holds.
    pub fn repeat_while(mut self, condition: impl Into<String>, passes: u32) -> Self {
        let condition = condition.into();
        self.spec.loop_edge = Some(LoopEdge { to: None, condition, max: Some(passes) });
        self
    }

    /// Goes back to another task, by id or name, after a success as long as the expression holds.
    pub fn back_to_while(
        mut self,
        task: impl Into<String>,
        condition: impl Into<String>,
        passes: u32,
    ) -> Self {
        let (to, condition) = (Some(task.into()), condition.into());
        self.spec.loop_edge = Some(LoopEdge { to, condition, max: Some(passes) });
        self
    }

    /// It begins only when another task jumps to it.
    pub fn on_jump(mut self) -> Self {
        self.spec.start = crate::task::Begins::OnJump;
        self
    }

    /// Attempts in total.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.spec.durability.max_attempts = Some(attempts);
        self
    }

    /// How the delay between attempts grows, `fixed`, `linear` or `exponential`, and where it begins.
    pub fn backoff(mut self, strategy: impl Into<String>, base: Duration) -> Self {
        self.spec.durability.backoff_strategy = Some(strategy.into());
        self.spec.durability.backoff_base_seconds = Some(base.as_secs_f64());
        self
    }

    /// At most so many of the owner's tasks with this key run at the same time.
    pub fn limit(mut self, key: impl Into<String>, max: u32) -> Self {
        self.spec.flow.limits.push(Limit { key: key.into(), max: Some(max) });
        self
    }

    /// It obeys whatever limit somebody in charge has set for this key.
    pub fn shares(mut self, key: impl Into<String>) -> Self {
        self.spec.flow.limits.push(Limit { key: key.into(), max: None });
        self
    }

    /// So many of the owner's tasks with this key begin in each span, spread evenly.
    pub fn rate(mut self, key: impl Into<String>, limit: u32, per: Duration) -> Self {
        let (key, per) = (key.into(), Span(per));
        self.spec.flow.rate.push(Rate { key, limit, per, burst: None, units: None });
        self
    }

    /// Its executor is given a rest when it fails again and again.
    pub fn breaker(mut self, policy: BreakerPolicy) -> Self {
        self.spec.flow.breaker = Some(policy);
        self
    }

    /// The longest delay between attempts.
    pub fn backoff_max(mut self, most: Duration) -> Self {
        self.spec.durability.backoff_max_seconds = Some(most.as_secs_f64());
        self
    }

    /// By how much an exponential delay grows each time.
    pub fn backoff_factor(mut self, factor: f64) -> Self {
        self.spec.durability.backoff_factor = Some(factor);
        self
    }

    /// How delays are spread, so that what failed together does not come back together.
    pub fn backoff_jitter(mut self, jitter: Jitter) -> Self {
        self.spec.durability.jitter = jitter;
        self
    }

    /// Adds a kind of failure, or a word of its message, after which it is not tried again.
    pub fn no_retry_on(mut self, word: impl Into<String>) -> Self {
        self.spec.durability.no_retry_on.push(word.into());
        self
    }

    /// The longest time from the first attempt to the beginning of the last one.
    pub fn retry_deadline(mut self, time: Duration) -> Self {
        self.spec.durability.retry_deadline_seconds = Some(time.as_secs_f64());
        self
    }

    /// The longest time from being ready to being taken by a worker.
    pub fn queue_timeout(mut self, time: Duration) -> Self {
        self.spec.timeouts.queue_timeout_seconds = Some(time.as_secs_f64());
        self
    }

    /// The longest time an attempt may go without reporting progress.
    pub fn heartbeat_timeout(mut self, time: Duration) -> Self {
        self.spec.timeouts.heartbeat_timeout_seconds = Some(time.as_secs_f64());
        self
    }

    /// The longest time from the first attempt to the end, over all attempts and the time between.
    pub fn deadline(mut self, time: Duration) -> Self {
        self.spec.timeouts.deadline_seconds = Some(time.as_secs_f64());
        self
    }

    /// Says where it may run.
    pub fn placement(mut self, constraints: impl Into<Value>) -> Self {
        self.spec.placement_constraints = Some(constraints.into());
        self
    }

    /// Adds a custom field.
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.spec.extra.insert(name.into(), value.into());
        self
    }

    /// The task as it was written.
    pub fn build(self) -> TaskSpec {
        self.spec
    }
}

impl From<TaskBuilder> for TaskSpec {
    fn from(builder: TaskBuilder) -> Self {
        builder.spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_chain_of_calls_says_what_task_json_says() {
        let built = task("fetch")
            .id("f")
            .executor("rest_executor")
            .input("url", "http://example.org")
            .depends_on(["a"])
            .optional("b")
            .parent("root")
            .priority(Priority::HIGH)
            .timeout(Duration::from_millis(1500))
            .max_attempts(3)
            .backoff("fixed", Duration::from_secs(2))
            .user("u")
            .build();
        let (read, _) = crate::submit::read_tasks(
            &json!({
                "id": "f", "name": "fetch", "parent_id": "root", "user_id": "u", "priority": 1,
                "dependencies": [{"id": "a"}, {"id": "b", "required": false}],
                "inputs": {"url": "http://example.org"}, "params": {"executor_id": "rest_executor"},
                "timeout_seconds": 1.5, "max_attempts": 3,
                "backoff_strategy": "fixed", "backoff_base_seconds": 2,
            }),
            &crate::submit::Reading::Strict,
        )
        .expect("sound task JSON");
        assert_eq!(vec![built], read);
    }
}
