//! The one way in: every protocol hands its calls to [`Gateway::call`].

use std::{sync::Arc, time::Duration};

use super::{ApiError, Backend, Call, Configuration, Reply, ops};
use crate::{id::TaskId, task::Record, time::Clock};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// The owner whose tasks it may see; none: everybody's.
    pub user_id: Option<String>,
    /// It may see everybody's although it has an id.
    pub admin: bool,
}

impl Caller {
    /// The person at the keyboard: unrestricted.
    pub const fn local() -> Self {
        Self { user_id: None, admin: true }
    }

    /// The owner it is bound to, if it is.
    pub fn bound_to(&self) -> Option<&str> {
        if self.admin { None } else { self.user_id.as_deref() }
    }

    /// Whether a task of this owner exists for it.
    pub fn sees(&self, owner: Option<&str>) -> bool {
        self.bound_to().is_none_or(|user_id| owner == Some(user_id))
    }
}

/// What is settled once for every call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Longest time `tasks.execute` waits for a run; the run goes on after it.
    pub execute_wait: Duration,
    /// What `system.health` says.
    pub version: String,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self { execute_wait: Duration::from_mins(5), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// Carries out calls.
#[derive(Clone)]
pub struct Gateway {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: GatewayConfig,
    pub(super) configuration: Option<Arc<dyn Configuration>>,
}

impl Gateway {
    /// A gateway to this engine.
    pub fn new(backend: Arc<dyn Backend>, clock: Arc<dyn Clock>, config: GatewayConfig) -> Self {
        Self { backend, clock, config, configuration: None }
    }

    /// The same with a configuration that can be asked for and changed.
    #[must_use]
    pub fn with_configuration(mut self, configuration: Arc<dyn Configuration>) -> Self {
        self.configuration = Some(configuration);
        self
    }

    /// What is settled once.
    pub fn config(&self) -> &GatewayConfig {
        &self.config
    }

    /// Carries out one call for `caller`.
    pub async fn call(&self, caller: &Caller, call: Call) -> Result<Reply, ApiError> {
        match call {
            Call::Create(create) => ops::author::create(self, caller, create).await,
            Call::Update(update) => ops::author::update(self, caller, update).await,
            Call::Delete(task) => ops::author::delete(self, caller, task).await,
            Call::Get(task) => ops::read::get(self, caller, &task).await,
            Call::List(list) => ops::read::list(self, caller, list).await,
            Call::Tree(task) => ops::read::tree(self, caller, &task).await,
            Call::Children(children) => ops::read::children(self, caller, children).await,
            Call::Count(count) => ops::read::count(self, caller, count).await,
            Call::Execute(execute) => ops::run::execute(self, caller, execute).await,
            Call::Cancel(cancel) => ops::run::cancel(self, caller, cancel).await,
            Call::RunningList(list) => ops::monitor::list(self, caller, list).await,
            Call::RunningStatus(tasks) => ops::monitor::status(self, caller, tasks).await,
            Call::RunningCount { user_id } => ops::monitor::count(self, caller, user_id).await,
            Call::Health => Ok(ops::system::health(self)),
            Call::Executors => Ok(ops::system::executors(self)),
            Call::ConfigList => ops::config::list(self, caller),
            Call::ConfigGet(key) => ops::config::get(self, caller, &key),
            Call::ConfigSet(set) => ops::config::set(self, caller, &set),
            Call::ConfigReload => ops::config::reload(self, caller),
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
