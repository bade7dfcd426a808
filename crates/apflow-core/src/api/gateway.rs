//! The one way in: every protocol hands its calls to [`Gateway::call`].

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    ApiError, Backend, Call, Configuration, Feed, Reply, feed::FeedLimits, keys::LlmKeys, ops,
};
use crate::{
    code::Code, generate::Generator, id::TaskId, question::Passes, store::WaitRecord, task::Record,
    time::Clock, webhook::Webhooks,
};

/// Who asks.
///
/// The default is nobody: it sees no task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// The owner whose tasks it may see; none: nobody's, unless it is an admin.
    pub user_id: Option<String>,
    /// It may see everybody's although it has an id.
    pub admin: bool,
    /// It may change nothing.
    pub read_only: bool,
    /// It showed a credential; else nobody asked.
    pub verified: bool,
}

/// What sort of thing somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Look.
    Read,
    /// Change tasks, or let them run.
    Write,
    /// Change apflow itself.
    Administer,
}

impl Caller {
    /// The person at the keyboard: unrestricted.
    pub const fn local() -> Self {
        Self { user_id: None, admin: true, read_only: false, verified: false }
    }

    /// Somebody who may see and change what is theirs.
    pub fn user(user_id: impl Into<String>) -> Self {
        Self { user_id: Some(user_id.into()), ..Self::default() }
    }

    /// The owner it is bound to, if it is; whoever is bound to no name at all owns nothing.
    pub fn bound_to(&self) -> Option<&str> {
        if self.admin { None } else { Some(self.user_id.as_deref().unwrap_or_default()) }
    }

    /// Whether a task of this owner exists for it.
    pub fn sees(&self, owner: Option<&str>) -> bool {
        self.bound_to().is_none_or(|user_id| !user_id.is_empty() && owner == Some(user_id))
    }

    /// Whether it may do this sort of thing.
    pub fn may(&self, action: Action) -> bool {
        match action {
            Action::Read => true,
            Action::Write => !self.read_only,
            Action::Administer => self.admin && !self.read_only,
        }
    }
}

/// What is settled once for every call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Longest time `tasks.execute` waits for a run; the run goes on after it.
    pub execute_wait: Duration,
    /// What `system.health` says.
    pub version: String,
    /// How much of the journal is kept for those who listen.
    pub feed: FeedLimits,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            execute_wait: Duration::from_mins(5),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            feed: FeedLimits::default(),
        }
    }
}

/// Carries out calls.
#[derive(Clone)]
pub struct Gateway {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: GatewayConfig,
    pub(super) webhooks: Arc<Webhooks>,
    pub(super) generator: Option<Arc<dyn Generator>>,
    pub(super) keys: Arc<LlmKeys>,
    feed: Option<Feed>,
    pub(super) configuration: Option<Arc<dyn Configuration>>,
    pub(super) passes: Option<Arc<Passes>>,
}

impl Gateway {
    /// A gateway to this engine.
    pub fn new(backend: Arc<dyn Backend>, clock: Arc<dyn Clock>, config: GatewayConfig) -> Self {
        let feed = backend.feed(config.feed);
        Self {
            backend,
            clock,
            config,
            webhooks: Arc::default(),
            generator: None,
            keys: Arc::default(),
            feed,
            configuration: None,
            passes: None,
        }
    }

    /// Lets this doorkeeper say which inbound webhooks may trigger tasks.
    pub fn with_webhooks(mut self, webhooks: Arc<Webhooks>) -> Self {
        self.webhooks = webhooks;
        self
    }

    /// Lets this one make up tasks.
    pub fn with_generator(mut self, generator: Arc<dyn Generator>) -> Self {
        self.generator = Some(generator);
        self
    }

    /// The same with a configuration that can be asked for and changed.
    #[must_use]
    pub fn with_configuration(mut self, configuration: Arc<dyn Configuration>) -> Self {
        self.configuration = Some(configuration);
        self
    }

    /// The same with links to questions, and a page behind them.
    #[must_use]
    pub fn with_passes(mut self, passes: Arc<Passes>) -> Self {
        self.passes = Some(passes);
        self
    }

    /// What makes links to questions, if there is a page behind them.
    pub fn passes(&self) -> Option<&Passes> {
        self.passes.as_deref()
    }

    /// The question a link leads to; none if the token is wrong, and none if there is no such question.
    pub async fn question_behind(
        &self,
        question: &str,
        token: &str,
    ) -> Result<Option<WaitRecord>, ApiError> {
        ops::feedback::behind(self, question, token).await
    }

    /// What is settled once.
    pub fn config(&self) -> &GatewayConfig {
        &self.config
    }

    /// The journal for everybody who listens, if the engine has one.
    pub fn feed(&self) -> Option<&Feed> {
        self.feed.as_ref()
    }

    /// Answers the question a link leads to, on behalf of whoever holds the link.
    pub async fn answer_behind(
        &self,
        question: &str,
        token: &str,
        answer: Value,
        by: String,
    ) -> Result<WaitRecord, ApiError> {
        ops::feedback::answer_behind(self, question, token, answer, by).await
    }

    /// Carries out one call for `caller`.
    pub async fn call(&self, caller: &Caller, call: Call) -> Result<Reply, ApiError> {
        let action = call.action();
        if !caller.may(action) {
            return Err(forbidden(action));
        }
        match call {
            Call::Create(create) => ops::author::create(self, caller, create).await,
            Call::Derive(derive) => ops::derive::derive(self, caller, *derive).await,
            Call::Generate(wish) => ops::generate::generate(self, caller, *wish).await,
            Call::LlmKey(wish) => ops::generate::key(self, caller, *wish),
            Call::Update(update) => ops::author::update(self, caller, update).await,
            Call::Delete(task) => ops::author::delete(self, caller, task).await,
            Call::Get(task) => ops::read::get(self, caller, &task).await,
            Call::List(list) => ops::read::list(self, caller, list).await,
            Call::Tree(task) => ops::read::tree(self, caller, &task).await,
            Call::Children(children) => ops::read::children(self, caller, children).await,
            Call::Count(count) => ops::read::count(self, caller, count).await,
            Call::Execute(execute) => ops::run::execute(self, caller, execute).await,
            Call::Cancel(cancel) => ops::run::cancel(self, caller, cancel).await,
            Call::Attempts(task) => ops::letters::attempts(self, caller, task).await,
            Call::Letters(wish) => ops::letters::letters(self, caller, *wish).await,
            Call::RunningList(list) => ops::monitor::list(self, caller, list).await,
            Call::RunningStatus(tasks) => ops::monitor::status(self, caller, tasks).await,
            Call::RunningCount { user_id } => ops::monitor::count(self, caller, user_id).await,
            Call::WebhookTrigger(trigger) => ops::webhook::trigger(self, caller, *trigger).await,
            Call::Scheduled(list) => ops::schedule::list(self, caller, list).await,
            Call::ScheduledDue(due) => ops::schedule::due(self, caller, due).await,
            Call::ScheduledInit(init) => ops::schedule::init(self, caller, init).await,
            Call::ScheduledComplete(run) => ops::schedule::complete(self, caller, run).await,
            Call::ExportIcal(export) => ops::schedule::export_ical(self, caller, export).await,
            Call::ScheduledBackfill(wish) => ops::schedule::backfill(self, caller, wish).await,
            Call::Snapshot(call) => ops::snapshot::snapshot(self, caller, *call).await,
            Call::FeedbackList(list) => ops::feedback::list(self, caller, *list).await,
            Call::FeedbackGet(id) => ops::feedback::get(self, caller, &id).await,
            Call::FeedbackRespond(wish) => ops::feedback::respond(self, caller, *wish).await,
            Call::FeedbackCancel { id, reason } => {
                ops::feedback::cancel(self, caller, id, reason).await
            }
            Call::EventsPublish(wish) => ops::feedback::publish(self, caller, *wish).await,
            Call::TasksPause(wish) => ops::feedback::pause(self, caller, wish).await,
            Call::CostReport(filter) => ops::budget::report(self, caller, *filter).await,
            Call::BudgetList(list) => ops::budget::list(self, caller, list).await,
            Call::BudgetSet(budget) => ops::budget::set(self, caller, *budget).await,
            Call::BudgetDelete(key) => ops::budget::delete(self, caller, *key).await,
            Call::BudgetDecide(decision) => ops::budget::decide(self, caller, decision).await,
            Call::Channel(call) => ops::channel::channel(self, caller, *call).await,
            Call::Health => Ok(ops::system::health(self)),
            Call::Executors => Ok(ops::system::executors(self)),
            Call::ConfigList => ops::config::list(self, caller),
            Call::ConfigGet(key) => ops::config::get(self, caller, &key),
            Call::ConfigSet(set) => ops::config::set(self, caller, &set),
            Call::ConfigReload => ops::config::reload(self, caller),
            Call::Flow(call) => ops::flow::flow(self, caller, *call).await,
        }
    }

    /// Whether the database answers.
    pub async fn ready(&self) -> Result<(), ApiError> {
        // No task can have an empty id, so this reads an index and nothing else.
        self.backend.trees().record(&TaskId::new("")).await?;
        Ok(())
    }

    /// The task, if there is one and the caller may know of it.
    pub(super) async fn visible(
        &self,
        caller: &Caller,
        task: &TaskId,
    ) -> Result<Option<Record>, ApiError> {
        let record = self.backend.trees().record(task).await?;
        Ok(record.filter(|record| caller.sees(record.definition.user_id.as_deref())))
    }

    /// The task, or the error that says there is none.
    pub(super) async fn existing(
        &self,
        caller: &Caller,
        task: &TaskId,
    ) -> Result<Record, ApiError> {
        self.visible(caller, task).await?.ok_or_else(|| ApiError::no_such_task(task))
    }
}

/// What a caller is told that may not do this sort of thing.
fn forbidden(action: Action) -> ApiError {
    let detail = match action {
        Action::Administer => "only an admin may do that",
        Action::Read | Action::Write => "the credential may only read",
    };
    ApiError::new(Code::Forbidden, detail).hint("use a credential that was not made for reading")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_in_particular_sees_nothing() {
        let nobody = Caller::default();
        for owner in [None, Some(""), Some("u1")] {
            assert!(!nobody.sees(owner), "{owner:?}");
            assert!(Caller::local().sees(owner));
        }
        let u1 = Caller::user("u1");
        assert!(u1.sees(Some("u1")) && !u1.sees(Some("u2")) && !u1.sees(None));
    }

    #[test]
    fn who_may_only_read_changes_nothing_admin_or_not() {
        for admin in [false, true] {
            let reader = Caller { admin, read_only: true, ..Caller::user("u1") };
            assert!(reader.may(Action::Read));
            assert!(!reader.may(Action::Write) && !reader.may(Action::Administer));
        }
        let user = Caller::user("u1");
        assert!(user.may(Action::Write) && !user.may(Action::Administer));
        assert!(Caller::local().may(Action::Administer));
    }
}
