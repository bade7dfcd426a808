//! An engine, its database and its executors, put together.

use std::{sync::Arc, time::Duration};

use apflow_core::{
    api::{Gateway, GatewayConfig},
    engine::{
        Deliveries, Drained, Engine, EngineConfig, Scheduler, SchedulerConfig, SubmitError, Worker,
    },
    flow::SharedLimit,
    hook::{self, Hook},
    observe::Observer,
    registry::Registry,
    store::{AccessStore, ChannelStore, Inserted, Store, StoreError},
    submit::{Limits, Order, TaskSpec},
    task::{Record, RunSummary, TreeOptions},
    webhook::{WebhookConfig, WebhookVerify, Webhooks},
};
use apflow_executors::{
    ExecutorsConfig,
    hooks::{self, HookSpec, On},
};
use apflow_storage::{Durability, OpenOptions};

use crate::system::{SystemClock, SystemIds};

/// How long the last look of the scheduler may take when everything stops.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// How an [`App`] is put together; every part has a default.
#[must_use]
pub struct AppBuilder {
    database: String,
    options: OpenOptions,
    executors: ExecutorsConfig,
    families: Vec<String>,
    ids: Vec<String>,
    registry: Registry,
    engine: EngineConfig,
    scheduler: SchedulerConfig,
    limits: Limits,
    shared: Vec<SharedLimit>,
    gateway: GatewayConfig,
    hooks: Vec<Arc<dyn Hook>>,
    specs: Vec<HookSpec>,
    observer: Option<Arc<dyn Observer>>,
    channels: Option<Arc<dyn ChannelStore>>,
    webhooks: WebhookConfig,
    webhook_verify: Option<Arc<dyn WebhookVerify>>,
    #[cfg(feature = "rest")]
    callbacks: Option<crate::callbacks::CallbackConfig>,
}

impl AppBuilder {
    /// The database: `sqlite:FILE`, `sqlite::memory:` (the default) or `postgres://…`.
    pub fn database(mut self, address: impl Into<String>) -> Self {
        self.database = address.into();
        self
    }

    /// When a write is acknowledged; [`Durability::Strict`] unless said otherwise.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.options.durability = durability;
        self
    }

    /// Owners take turns: who has many tasks waits with them for those who have few.
    pub fn fair(mut self, fair: bool) -> Self {
        self.options.fair = fair;
        self
    }

    /// Keep a letter of every task that failed for good; it is on unless said otherwise.
    pub fn dead_letters(mut self, keep: bool) -> Self {
        self.options.no_dead_letters = !keep;
        self
    }

    /// Limits that everybody shares; they are stored when the database is opened, if they are new.
    pub fn shared_limits(mut self, limits: Vec<SharedLimit>) -> Self {
        self.shared = limits;
        self
    }

    /// Only read: nothing is migrated, run or changed.
    pub fn read_only(mut self) -> Self {
        self.options.read_only = true;
        self
    }

    /// What the built-in executors may do; without it they may nothing that leaves the process.
    pub fn executors(mut self, config: ExecutorsConfig) -> Self {
        self.executors = config;
        self
    }

    /// Restricts executors to these families and ids (ruling 30: unknown names allow nothing).
    pub fn allow_only(mut self, families: Vec<String>, ids: Vec<String>) -> Self {
        (self.families, self.ids) = (families, ids);
        self
    }

    /// Adds executors of your own.
    pub fn register(mut self, add: impl FnOnce(&mut Registry)) -> Self {
        add(&mut self.registry);
        self
    }

    /// How the worker works.
    pub fn engine(mut self, config: EngineConfig) -> Self {
        self.engine = config;
        self
    }

    /// How the scheduler works.
    pub fn scheduler(mut self, config: SchedulerConfig) -> Self {
        self.scheduler = config;
        self
    }

    /// How much one submission may hold.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How calls are answered.
    pub fn gateway(mut self, config: GatewayConfig) -> Self {
        self.gateway = config;
        self
    }

    /// Something that looks at tasks before and after they run.
    pub fn hook(mut self, hook: Arc<dyn Hook>) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Something that looks at what one executor does.
    pub fn executor_hook(mut self, executor: impl Into<String>, hook: Arc<dyn Hook>) -> Self {
        self.hooks.push(hook::around_executor(executor, hook));
        self
    }

    /// Programs and addresses that are asked around tasks and trees, after the hooks in Rust.
    pub fn hooks(mut self, hooks: Vec<HookSpec>) -> Self {
        self.specs.extend(hooks);
        self
    }

    /// Something that counts.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Who keeps what the tasks of runs share, instead of the database.
    pub fn channels(mut self, keeper: Arc<dyn ChannelStore>) -> Self {
        self.channels = Some(keeper);
        self
    }

    /// How inbound webhooks are checked; without it only this machine may send them.
    pub fn webhooks(mut self, config: WebhookConfig) -> Self {
        self.webhooks = config;
        self
    }

    /// Your own check of inbound webhooks.
    pub fn webhook_verify(mut self, hook: Arc<dyn WebhookVerify>) -> Self {
        self.webhook_verify = Some(hook);
        self
    }

    /// Tells callers of their runs at the addresses they name; without it there are no callbacks.
    #[cfg(feature = "rest")]
    pub fn callbacks(mut self, config: crate::callbacks::CallbackConfig) -> Self {
        self.callbacks = Some(config);
        self
    }

    /// Opens the database, brings it up to date and puts everything together; nothing runs yet.
    pub async fn open(self) -> Result<App, StoreError> {
        let read_only = self.options.read_only;
        let store: Arc<dyn Store> = apflow_storage::open(&self.database, self.options).await?;
        if !read_only && !self.shared.is_empty() {
            let known = store.limits().await?;
            for limit in self.shared {
                if !known.iter().any(|(old, _)| *old == limit) {
                    store.set_limit(limit).await?;
                }
            }
        }
        let mut registry = Registry::new();
        apflow_executors::register_all(&mut registry, &self.executors);
        registry.extend(self.registry);
        registry.allow_only(&self.families, &self.ids);
        let refused = |why| StoreError::Rejected(vec![why]);
        let mut hooks = self.hooks;
        let mut webhook_verify = self.webhook_verify;
        for spec in &self.specs {
            if spec.on == On::WebhookVerify {
                webhook_verify = Some(hooks::build_verify(spec, &self.executors).map_err(refused)?);
            } else {
                hooks.push(hooks::build(spec, &self.executors).map_err(refused)?);
            }
        }
        let access: Arc<dyn AccessStore> = store.clone();
        let mut webhooks = Webhooks::new(self.webhooks, Arc::clone(&access))
            .map_err(|why| StoreError::Rejected(vec![why]))?;
        if let Some(hook) = webhook_verify {
            webhooks = webhooks.verify(hook);
        }
        let mut builder = Engine::builder(store, Arc::new(SystemIds))
            .registry(registry)
            .config(self.engine)
            .limits(self.limits);
        for hook in hooks {
            builder = builder.hook(hook);
        }
        if let Some(observer) = self.observer {
            builder = builder.observer(observer);
        }
        if let Some(keeper) = self.channels {
            builder = builder.channels(keeper);
        }
        #[cfg(feature = "rest")]
        if let Some(config) = self.callbacks {
            builder = builder.courier(config.courier(), config.delivery);
        }
        let engine = builder.build();
        let gateway = Gateway::new(Arc::new(engine.clone()), Arc::new(SystemClock), self.gateway)
            .with_webhooks(Arc::new(webhooks));
        let scheduling = self.scheduler;
        Ok(App {
            engine,
            gateway,
            access,
            worker: None,
            scheduler: None,
            scheduling,
            deliveries: None,
        })
    }
}

/// An engine with its database and executors, in this process.
///
/// ```
/// # tokio_test(async {
/// use apflow::prelude::*;
///
/// let mut app = App::builder()
///     .register(|registry| {
///         registry.function("shout", "Says it louder.", |input: Words, _| async move {
///             Ok(Words { text: input.text.to_uppercase() })
///         });
///     })
///     .open()
///     .await?;
/// app.work();
///
/// let flow = task("hello").executor("shout").input("text", "hello")
///     >> task("again").executor("shout");
/// let ran = app.run(flow.tasks()).await?;
///
/// assert_eq!(ran.outcome, Outcome::Completed);
/// assert_eq!(ran.result("again").unwrap()["text"], "HELLO");
/// # Ok::<(), apflow::Error>(()) });
/// # fn tokio_test<T>(test: impl Future<Output = Result<T, apflow::Error>>) {
/// #     tokio::runtime::Runtime::new().unwrap().block_on(test).map(drop).unwrap();
/// # }
/// # #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
/// # struct Words { text: String }
/// ```
pub struct App {
    engine: Engine,
    gateway: Gateway,
    access: Arc<dyn AccessStore>,
    worker: Option<Worker>,
    scheduler: Option<Scheduler>,
    scheduling: SchedulerConfig,
    deliveries: Option<Deliveries>,
}

/// What can go wrong between a flow and its results.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The flow cannot be stored.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The database could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a run ended, with everything that is known of its tasks.
#[derive(Debug, Clone)]
pub struct Ran {
    /// How it ended: the worst of its trees.
    pub outcome: apflow_core::task::Outcome,
    /// One summary a tree.
    pub runs: Vec<RunSummary>,
    /// Every task, parents before children.
    pub tasks: Vec<Record>,
}

impl Ran {
    /// The result of the first task of this name.
    pub fn result(&self, name: &str) -> Option<&serde_json::Value> {
        self.task(name)?.result.as_ref()
    }

    /// The first task of this name.
    pub fn task(&self, name: &str) -> Option<&Record> {
        self.tasks.iter().find(|record| record.definition.name == name)
    }
}

impl App {
    /// A database in memory, the built-in executors, nothing allowed that leaves the process.
    pub fn builder() -> AppBuilder {
        AppBuilder {
            database: "sqlite::memory:".to_owned(),
            options: OpenOptions::default(),
            executors: ExecutorsConfig::new(Arc::new(SystemClock)),
            families: Vec::new(),
            ids: Vec::new(),
            registry: Registry::new(),
            engine: EngineConfig::default(),
            scheduler: SchedulerConfig::default(),
            limits: Limits::default(),
            shared: Vec::new(),
            gateway: GatewayConfig::default(),
            hooks: Vec::new(),
            specs: Vec::new(),
            observer: None,
            channels: None,
            webhooks: WebhookConfig::default(),
            webhook_verify: None,
            #[cfg(feature = "rest")]
            callbacks: None,
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The gateway that every protocol goes through.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Who may call: the API tokens of the database.
    pub fn access(&self) -> Arc<dyn AccessStore> {
        Arc::clone(&self.access)
    }

    /// Starts the worker, and callbacks if they are switched on; what a crash left behind is taken up
    /// first.
    pub fn work(&mut self) {
        if self.deliveries.is_none() {
            self.deliveries = self.engine.deliver();
        }
        if self.worker.is_none() {
            self.worker = Some(self.engine.work());
        }
    }

    /// Starts the scheduler: tasks with a schedule begin when their time comes. A
    /// [worker](Self::work), here or elsewhere, runs them. Several schedulers on one database share
    /// the work; none fires twice.
    pub fn schedule(&mut self) -> &Scheduler {
        let (engine, config) = (&self.engine, &self.scheduling);
        self.scheduler.get_or_insert_with(|| engine.schedule(config.clone()))
    }

    /// Stores tasks and begins a run of them.
    pub async fn submit(&self, tasks: Vec<TaskSpec>) -> Result<Inserted, Error> {
        let order = Order {
            tasks,
            options: TreeOptions::default(),
            start: true,
            idempotency: None,
            user_id: None,
            callback: None,
            demo: false,
        };
        Ok(self.engine.submit(order).await?)
    }

    /// Runs tasks to their end; the worker must be [working](Self::work), here or elsewhere.
    pub async fn run(&self, tasks: Vec<TaskSpec>) -> Result<Ran, Error> {
        let inserted = self.submit(tasks).await?;
        self.finish(&inserted).await
    }

    /// Waits until every tree of a submission has ended, and reads what came of it.
    pub async fn finish(&self, inserted: &Inserted) -> Result<Ran, Error> {
        use apflow_core::task::Outcome;
        let mut runs = self.ends(inserted).await?;
        // A jump begins the run of another tree anew. Where none did between two looks, all had ended.
        while inserted.trees.len() > 1 {
            let before = std::mem::replace(&mut runs, self.ends(inserted).await?);
            if before.iter().map(|run| run.run).eq(runs.iter().map(|run| run.run)) {
                break;
            }
        }
        let mut tasks = Vec::new();
        for root in &inserted.roots {
            tasks.extend(self.engine.store().subtree(root).await?);
        }
        let any = |outcome| runs.iter().any(|run| run.outcome == Some(outcome));
        let outcome = if any(Outcome::Failed) {
            Outcome::Failed
        } else if any(Outcome::Cancelled) {
            Outcome::Cancelled
        } else {
            Outcome::Completed
        };
        Ok(Ran { outcome, runs, tasks })
    }

    /// How each tree ended, the first one first.
    async fn ends(&self, inserted: &Inserted) -> Result<Vec<RunSummary>, Error> {
        let mut runs = Vec::with_capacity(inserted.trees.len());
        for tree in &inserted.trees {
            runs.push(self.engine.wait(tree).await?);
        }
        Ok(runs)
    }

    /// Takes nothing new, waits at most `grace` for what runs, and gives back the rest.
    pub async fn shutdown(mut self, grace: Duration) -> Drained {
        let until = tokio::time::Instant::now() + grace;
        if let Some(scheduler) = self.scheduler.take() {
            // What it was about to fire is fired by the next one.
            scheduler.stop(grace.min(LAST_LOOK)).await;
        }
        let drained = match self.worker.take() {
            Some(worker) => worker.drain(grace).await,
            None => Drained::default(),
        };
        // After the worker: somebody may want to be told of what it did last.
        if let Some(deliveries) = self.deliveries.take() {
            deliveries.drain(until.saturating_duration_since(tokio::time::Instant::now())).await;
        }
        drained
    }
}
