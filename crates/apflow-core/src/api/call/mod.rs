//! What a client can ask for: one variant per operation, and the reading of its parameters.
//!
//! Both shapes are read: the one the Python server shipped and the one its documents wrote
//! (ruling 27). Parameters nobody knows are left out with a warning (ruling 34).

mod action;
mod author;
mod budget;
mod callback;
mod channel;
mod config;
mod derive;
mod feedback;
mod flow;
mod generate;
mod letters;
mod monitor;
mod query;
mod run;
mod schedule;
mod snapshot;
mod webhook;

use serde_json::Value;

pub use self::{
    author::{Create, Update},
    budget::{Budgets, DecideBudget},
    callback::CallbackWish,
    channel::{ChannelCall, ChannelWish},
    config::ConfigSet,
    derive::CloneTasks,
    feedback::{EventsPublish, FeedbackList, FeedbackRespond, TasksPause},
    flow::FlowCall,
    generate::{Generate, LlmKey, LlmKeyWish},
    letters::Letters,
    monitor::RunningList,
    query::{Children, Count, List},
    run::{Cancel, Execute, ExecuteWhat},
    schedule::{
        ExportIcal, Scheduled, ScheduledBackfill, ScheduledComplete, ScheduledDue, ScheduledInit,
    },
};
use self::{
    author::{create, update},
    config::{config_get, config_set},
    derive::{clone, copy},
    monitor::{running_list, running_status},
    query::{children, count, list},
    run::{cancel, execute},
};
pub(super) use self::{
    feedback::MAX_WHY, generate::MAX_REQUIREMENT, query::status_word, run::MAX_REASON,
};
use super::{ApiError, params::Params};
use crate::{
    budget::BudgetKey,
    code::Code,
    id::TaskId,
    store::{NewBudget, UsageFilter},
    webhook::Trigger,
};
pub use snapshot::SnapshotCall;

/// One request, ready to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Store tasks.
    Create(Create),
    /// Read one task.
    Get(TaskId),
    /// Read many tasks.
    List(List),
    /// Read a task and everything below it.
    Tree(TaskId),
    /// Read what hangs directly under a task.
    Children(Children),
    /// Count tasks by status.
    Count(Count),
    /// Run tasks.
    Execute(Execute),
    /// Stop tasks.
    Cancel(Cancel),
    /// Make new tasks from stored ones, or archive them.
    Derive(Box<CloneTasks>),
    /// Make up tasks from a requirement in plain words.
    Generate(Box<Generate>),
    /// Look after the key of a language model.
    LlmKey(Box<LlmKey>),
    /// Change a task.
    Update(Update),
    /// Delete a task and everything below it.
    Delete(TaskId),
    /// Read what became of the attempts of a task.
    Attempts(TaskId),
    /// Look after tasks that failed for good.
    Letters(Box<Letters>),
    /// Read the tasks in progress.
    RunningList(RunningList),
    /// Ask how several tasks stand.
    RunningStatus(Vec<TaskId>),
    /// Count the tasks in progress.
    RunningCount {
        /// Only this owner's.
        user_id: Option<String>,
    },
    /// Let a task run because somebody outside says so.
    WebhookTrigger(Box<Trigger>),
    /// Read tasks with a schedule.
    Scheduled(Scheduled),
    /// Read tasks whose schedule is due.
    ScheduledDue(ScheduledDue),
    /// Find the next slot of a schedule anew.
    ScheduledInit(ScheduledInit),
    /// Count a run that somebody else drove.
    ScheduledComplete(ScheduledComplete),
    /// Write schedules as a calendar.
    ExportIcal(ExportIcal),
    /// Make up for slots that never fired.
    ScheduledBackfill(ScheduledBackfill),
    /// Do something about snapshots or checkpoints.
    Snapshot(Box<SnapshotCall>),
    /// Read what tasks wait for.
    FeedbackList(Box<FeedbackList>),
    /// Read one question.
    FeedbackGet(String),
    /// Answer a question.
    FeedbackRespond(Box<FeedbackRespond>),
    /// Withdraw a question.
    FeedbackCancel {
        /// The question.
        id: String,
        /// Why.
        reason: String,
    },
    /// Wake tasks that wait for an event.
    EventsPublish(Box<EventsPublish>),
    /// Hold a task or a tree back, or let it go on.
    TasksPause(TasksPause),
    /// Sum up what was spent.
    CostReport(Box<UsageFilter>),
    /// Read budgets.
    BudgetList(Budgets),
    /// Set a budget.
    BudgetSet(Box<NewBudget>),
    /// Remove a budget.
    BudgetDelete(Box<BudgetKey>),
    /// Decide about a task that asked before it spends.
    BudgetDecide(DecideBudget),
    /// Read or change what the tasks of a run share.
    Channel(Box<ChannelCall>),
    /// Ask whether the process is well.
    Health,
    /// List the executors.
    Executors,
    /// Read every key of the configuration.
    ConfigList,
    /// Read one key of the configuration.
    ConfigGet(String),
    /// Change one until the process ends.
    ConfigSet(ConfigSet),
    /// Read the configuration again.
    ConfigReload,
    /// Look after shared limits and breakers.
    Flow(Box<FlowCall>),
}

/// A call, and what had to be ignored to understand it.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The call.
    pub call: Call,
    /// One sentence for each thing that was ignored.
    pub warnings: Vec<String>,
}

impl Call {
    /// Reads a call from its method name and parameters.
    pub fn read(method: &str, params: Value) -> Result<Read, ApiError> {
        match method {
            "tasks.create" => create(params),
            "tasks.get" => one_task("tasks.get", params, GET_NEEDS, Self::Get),
            "tasks.detail" => one_task("tasks.detail", params, GET_NEEDS, Self::Get),
            "tasks.list" => list(params),
            "tasks.tree" => {
                let needs = (&["task_id", "root_id", "id"][..], "Task ID or root_id is required");
                one_task("tasks.tree", params, needs, Self::Tree)
            }
            "tasks.children" => children(params),
            "tasks.count" => count(params),
            "tasks.execute" => execute(params),
            "tasks.cancel" => cancel("tasks.cancel", params),
            "tasks.running.cancel" => cancel("tasks.running.cancel", params),
            "tasks.clone" => clone(params),
            "tasks.copy" => copy(params),
            "tasks.generate" => generate::generate(params),
            "config.llm_key.get" => generate::key("config.llm_key.get", params),
            "config.llm_key.set" => generate::key("config.llm_key.set", params),
            "config.llm_key.delete" => generate::key("config.llm_key.delete", params),
            "tasks.update" => update(params),
            "tasks.delete" => {
                one_task("tasks.delete", params, (ID, "Task ID is required"), Self::Delete)
            }
            "tasks.attempts" => {
                let needs = (ID, "Task ID is required");
                one_task("tasks.attempts", params, needs, Self::Attempts)
            }
            "dlq.list" => letters::letters("dlq.list", params),
            "dlq.get" => letters::letters("dlq.get", params),
            "dlq.requeue" => letters::letters("dlq.requeue", params),
            "dlq.drop" => letters::letters("dlq.drop", params),
            "tasks.running.list" => running_list(params),
            "tasks.running.status" => running_status(params),
            "tasks.running.count" => {
                let mut params = Params::new("tasks.running.count", params)?;
                let user_id = params.text("user_id")?;
                Ok(Read { call: Self::RunningCount { user_id }, warnings: params.warnings() })
            }
            "cost.report" => budget::report(params),
            "budgets.list" => budget::list(params),
            "budgets.set" => budget::set(params),
            "budgets.delete" => budget::delete(params),
            "budgets.decide" => budget::decide(params),
            "tasks.webhook.trigger" => webhook::trigger(params),
            "tasks.scheduled.list" => schedule::list(params),
            "tasks.scheduled.due" => schedule::due(params),
            "tasks.scheduled.init" => schedule::init(params),
            "tasks.scheduled.complete" => schedule::complete(params),
            "tasks.scheduled.export-ical" => schedule::export_ical(params),
            "tasks.scheduled.backfill" => schedule::backfill(params),
            "snapshots.create" => snapshot::create(params),
            "snapshots.list" => snapshot::of_task("snapshots.list", params, SnapshotCall::List),
            "snapshots.restore" => {
                snapshot::one("snapshots.restore", params, SnapshotCall::Restore)
            }
            "snapshots.delete" => snapshot::one("snapshots.delete", params, SnapshotCall::Delete),
            "snapshots.export" => snapshot::one("snapshots.export", params, SnapshotCall::Export),
            "snapshots.import" => snapshot::import(params),
            "checkpoints.get" => {
                snapshot::of_task("checkpoints.get", params, SnapshotCall::Checkpoint)
            }
            "tasks.pause" => feedback::pause("tasks.pause", params, true),
            "tasks.resume" => feedback::pause("tasks.resume", params, false),
            "feedback.list" => feedback::list(params),
            "feedback.get" => feedback::get(params),
            "feedback.respond" => feedback::respond(params),
            "feedback.cancel" => feedback::cancel(params),
            "events.publish" => feedback::publish(params),
            "channels.get" => channel::get(params),
            "channels.keys" => channel::keys(params),
            "channels.set" => channel::set(params),
            "channels.add" => channel::add(params),
            "channels.append" => channel::append(params),
            "channels.delete" => channel::delete(params),
            "system.health" => nothing("system.health", params, Self::Health),
            "system.executors" => nothing("system.executors", params, Self::Executors),
            "config.list" => nothing("config.list", params, Self::ConfigList),
            "config.get" => config_get(params),
            "config.set" => config_set(params),
            "config.reload" => nothing("config.reload", params, Self::ConfigReload),
            "limits.list" => flow::bare("limits.list", params, FlowCall::Limits),
            "limits.set" => flow::set_limit(params),
            "limits.delete" => flow::of_key("limits.delete", params, FlowCall::DeleteLimit),
            "breakers.list" => flow::bare("breakers.list", params, FlowCall::Breakers),
            "breakers.reset" => flow::of_key("breakers.reset", params, FlowCall::ResetBreaker),
            _ => Err(ApiError::new(Code::UnknownMethod, format!("Unknown method: {method}"))),
        }
    }
}

/// The names a task's own id goes by.
const ID: &[&str] = &["task_id", "id"];
/// What `tasks.get` says when there is none.
const GET_NEEDS: (&[&str], &str) =
    (ID, "Task ID is required. Please provide 'task_id' or 'id' parameter.");

fn one_task(
    method: &'static str,
    params: Value,
    (names, missing): (&[&'static str], &str),
    call: fn(TaskId) -> Call,
) -> Result<Read, ApiError> {
    let mut params = Params::new(method, params)?;
    let Some(task) = params.id(names)? else {
        return Err(ApiError::missing("task_id", "a task id", missing));
    };
    Ok(Read { call: call(task), warnings: params.warnings() })
}

fn nothing(method: &'static str, params: Value, call: Call) -> Result<Read, ApiError> {
    Ok(Read { call, warnings: Params::new(method, params)?.warnings() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::Page;

    fn read(method: &str, params: Value) -> Call {
        let read = Call::read(method, params).expect("a good call");
        assert!(read.warnings.is_empty(), "{:?}", read.warnings);
        read.call
    }

    #[test]
    fn both_shapes_of_an_update_say_the_same() {
        let flat = read("tasks.update", json!({"task_id": "a", "name": "n", "priority": 0}));
        let nested =
            read("tasks.update", json!({"id": "a", "updates": {"name": "n", "priority": 0}}));
        assert_eq!(flat, nested);
        assert!(matches!(flat, Call::Update(update) if update.patch.name.as_deref() == Some("n")));
    }

    #[test]
    fn a_cancel_takes_one_id_or_many_under_each_of_their_names() {
        for params in [
            json!({"task_id": "a"}),
            json!({"task_ids": ["a"]}),
            json!({"context_ids": "a"}),
            json!({"id": "a"}),
        ] {
            let call = read("tasks.cancel", params.clone());
            assert!(
                matches!(&call, Call::Cancel(cancel) if cancel.tasks == [TaskId::new("a")]),
                "{params}"
            );
            assert_eq!(call, read("tasks.running.cancel", params));
        }
    }

    #[test]
    fn created_tasks_come_alone_in_an_array_or_with_options() {
        let alone = read("tasks.create", json!({"name": "a", "tasks": "a custom field"}));
        assert!(matches!(alone, Call::Create(create) if create.tasks.is_object()));
        let array = read("tasks.create", json!([{"name": "a"}]));
        assert!(matches!(array, Call::Create(create) if create.tasks.is_array()));
        let params = json!({"tasks": [{"name": "a"}], "options": {"on_failure": "fail_fast"},
            "idempotency_key": "k"});
        let Call::Create(create) = read("tasks.create", params) else { panic!("a create") };
        assert_eq!(create.options.on_failure, crate::task::OnFailure::FailFast);
        assert_eq!(create.idempotency_key.as_deref(), Some("k"));
        let params = json!({"tasks": [], "options": {"on_failure": "shrug"}});
        let error = Call::read("tasks.create", params).expect_err("no such word");
        assert_eq!(error.problems[0].field.as_deref(), Some("options"));
    }

    #[test]
    fn a_missing_id_is_told_in_the_words_of_the_python_server() {
        for (method, text) in [
            ("tasks.get", "Task ID is required. Please provide 'task_id' or 'id' parameter."),
            ("tasks.update", "Task ID is required"),
            ("tasks.delete", "Task ID is required"),
            ("tasks.tree", "Task ID or root_id is required"),
            (
                "tasks.children",
                "Parent task ID is required. Please provide 'parent_id' or 'task_id' parameter.",
            ),
            ("tasks.execute", "Either task_id or tasks array is required"),
        ] {
            let error = Call::read(method, json!({"task_id": ""})).expect_err(method);
            assert_eq!((error.code, error.detail.as_str()), (Code::InvalidParams, text));
        }
    }

    #[test]
    fn an_execution_waits_unless_told_otherwise_and_may_be_a_demonstration() {
        let call = read("tasks.execute", json!({"task_id": "a", "webhook_config": {}}));
        assert!(matches!(call, Call::Execute(Execute { wait: true, reexecute: false, .. })));
        let call = read("tasks.execute", json!({"task_id": "a", "use_demo": true}));
        assert!(matches!(call, Call::Execute(Execute { demo: true, .. })));
        let params = json!({"task_id": "a", "webhook_config": {"url": "https://a.example"}});
        let Call::Execute(execute) = read("tasks.execute", params) else { panic!("an execute") };
        assert!(!execute.wait && execute.callback.is_some());
        let call = read("tasks.execute", json!({"task_id": "a", "use_streaming": true}));
        assert!(matches!(call, Call::Execute(Execute { wait: false, streaming: true, .. })));
        let error =
            Call::read("tasks.execute", json!({"task_id": "a", "webhook_config": {"a": 1}}))
                .expect_err("no url");
        assert_eq!(error.detail, "webhook_config.url is required");
    }

    #[test]
    fn a_list_has_limits_and_an_unknown_parameter_is_told() {
        let Call::List(list) = read("tasks.list", json!({"limit": 1_000_000_000})) else {
            panic!("a list")
        };
        assert_eq!(list.page, Page { limit: 1000, offset: 0 });
        assert!(list.root_only && !list.paged);
        let read = Call::read("tasks.list", json!({"colour": "red"})).expect("ignored");
        assert_eq!(read.warnings, ["`colour` is not a parameter of tasks.list and was ignored"]);
        let error = Call::read("tasks.list", json!({"status": "weird"})).expect_err("no status");
        assert!(error.detail.contains("pending, in_progress"), "{error}");
    }
}
