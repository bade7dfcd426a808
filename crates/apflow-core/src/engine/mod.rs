//! The handle everybody holds: submit, start, cancel, wait, watch, and work.

mod asked;
mod attempt;
mod callbacks;
mod chores;
mod config;
mod demo;
mod guard;
mod held;
mod hooks;
mod keeper;
mod output;
mod retention;
mod scheduler;
mod spending;
mod turn;
pub(crate) mod watch;
mod worker;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::Stream;
use tokio::sync::{Notify, Semaphore};

pub use callbacks::{CallbackConfig, Deliveries};
pub use config::{Breakers, EngineConfig};
pub use scheduler::{Scheduler, SchedulerConfig, SchedulerStats};
pub use worker::{Drained, Worker};

use crate::{
    channel::{Channel, Channels, Holder},
    code::Code,
    courier::{Courier, NotCallable, Target},
    derive::{Derive, Derived, Mode},
    hook::{self, Hook},
    id::{Ids, NodeId, TaskId, TreeId},
    observe::{Observer, Seen},
    problem::Problems,
    registry::Registry,
    schema::Schemas,
    store::{
        Cancel, CancelAnswer, ChannelStore, Idempotency, Inserted, NewCallback, Patch, Start,
        Started, Store, StoreError, TaskEvent,
    },
    submit::{self, Limits, Order},
    task::RunSummary,
};

/// A cheap handle on one engine: a store, executors, and the rules to run one with the other.
///
/// Everything but [`Engine::work`] only reads and writes the store, so a process that runs no tasks
/// can hold an engine too.
#[derive(Clone)]
#[doc(alias = "TaskManager")]
#[doc(alias = "TaskExecutor")]
pub struct Engine {
    inner: Arc<Inner>,
}

/// What all handles of one engine share.
struct Inner {
    store: Arc<dyn Store>,
    ids: Arc<dyn Ids>,
    node: NodeId,
    registry: Registry,
    /// One semaphore for each executor that limits itself.
    gates: HashMap<String, Semaphore>,
    /// Input schemas, made ready once.
    schemas: Schemas,
    config: EngineConfig,
    limits: Limits,
    hooks: hooks::Hooks,
    observers: Vec<Arc<dyn Observer>>,
    running: AtomicUsize,
    courier: Option<Arc<dyn Courier>>,
    callbacks: CallbackConfig,
    /// Somebody wants to be told of a run that just began.
    called: Notify,
    channels: Channels,
}

impl Inner {
    fn see(&self, seen: &Seen<'_>) {
        for observer in &self.observers {
            observer.observe(seen);
        }
    }

    /// Says that the store failed; whoever calls this tries again.
    fn store_failed(&self, doing: &'static str, error: &StoreError) {
        if matches!(error, StoreError::NotOffered { .. }) {
            // A store for tests does without; trying again changes nothing.
            return;
        }
        tracing::warn!(node = %self.node, doing, %error, "the store failed; trying again");
        self.see(&Seen::StoreFailed { doing, error });
    }
}

/// Puts an engine together.
pub struct EngineBuilder {
    inner: Inner,
}

impl EngineBuilder {
    /// The executors it has.
    ///
    /// [Groups](crate::group) and [branches](crate::branch) are added unless it has its own.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.inner.registry = with_flow(registry);
        self
    }

    /// How it works.
    pub fn config(mut self, config: EngineConfig) -> Self {
        self.inner.config = config;
        self
    }

    /// What a submission may hold.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.inner.limits = limits;
        self
    }

    /// The name its worker claims under, instead of a generated one.
    pub fn node(mut self, node: NodeId) -> Self {
        self.inner.node = node;
        self
    }

    /// Adds code that runs around tasks and trees.
    pub fn hook(self, hook: Arc<dyn Hook>) -> Self {
        self.inner.hooks.add(hook);
        self
    }

    /// Adds code that runs around one executor only; of the hook nothing else is called.
    pub fn executor_hook(self, executor: impl Into<String>, hook: Arc<dyn Hook>) -> Self {
        self.hook(hook::around_executor(executor, hook))
    }

    /// Adds something that watches.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.inner.observers.push(observer);
        self
    }

    /// Who delivers callbacks, and how; without it there are none.
    pub fn courier(mut self, courier: Arc<dyn Courier>, config: CallbackConfig) -> Self {
        (self.inner.courier, self.inner.callbacks) = (Some(courier), config);
        self
    }

    /// Who keeps channels, instead of the store.
    pub fn channels(mut self, keeper: Arc<dyn ChannelStore>) -> Self {
        self.inner.channels = self.inner.channels.kept_by(keeper);
        self
    }

    /// The engine.
    pub fn build(mut self) -> Engine {
        let limited = |manifest: &crate::executor::Manifest| {
            let places = manifest.max_parallel?.clamp(1, Semaphore::MAX_PERMITS);
            Some((manifest.id.clone(), Semaphore::new(places)))
        };
        let manifests = self.inner.registry.manifests();
        self.inner.gates = manifests.filter_map(|(manifest, _)| limited(manifest)).collect();
        Engine { inner: Arc::new(self.inner) }
    }
}

/// Why a submission was not stored.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// It says something that cannot be stored.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The executors an engine has that is given these: besides, those that only decide, unless there are
/// some of their names already.
pub fn with_flow(mut registry: Registry) -> Registry {
    if registry.manifest(crate::group::EXECUTOR).is_none() {
        registry.register(crate::group::Group::default());
    }
    crate::pattern::register(&mut registry);
    if registry.manifest(crate::branch::EXECUTOR).is_none() {
        registry.register(crate::branch::Branch::default());
    }
    registry
}

impl Engine {
    /// Begins to put an engine together over a store.
    pub fn builder(store: Arc<dyn Store>, ids: Arc<dyn Ids>) -> EngineBuilder {
        let node = NodeId::new(ids.next());
        let channels = Channels::in_store(Arc::clone(&store) as Arc<dyn ChannelStore>);
        let inner = Inner {
            schemas: Schemas::default(),
            store,
            ids,
            node,
            registry: with_flow(Registry::new()),
            gates: HashMap::new(),
            config: EngineConfig::default(),
            limits: Limits::default(),
            hooks: hooks::Hooks::default(),
            observers: Vec::new(),
            running: AtomicUsize::new(0),
            courier: None,
            callbacks: CallbackConfig::default(),
            called: Notify::new(),
            channels,
        };
        EngineBuilder { inner }
    }

    /// Checks an order and stores it; durable when it returns.
    pub async fn submit(&self, order: Order) -> Result<Inserted, SubmitError> {
        let calls = order.callback.is_some();
        let submission = submit::compile(order, self.inner.ids.as_ref(), &self.inner.limits)?;
        let inserted = self.inner.store.insert(submission).await?;
        if calls {
            self.inner.called.notify_one();
        }
        if !inserted.replayed {
            self.tell_created(&inserted.trees).await;
        }
        Ok(inserted)
    }

    /// Adds code that runs around tasks and trees, from the next attempt on.
    pub fn add_hook(&self, hook: Arc<dyn Hook>) {
        self.inner.hooks.add(hook);
    }

    async fn tell_created(&self, trees: &[TreeId]) {
        let hooks = self.inner.hooks.now();
        for tree in trees {
            hooks::tell(&hooks, tree, hooks::Tree::Created).await;
        }
    }

    /// Begins a run of what is stored.
    pub async fn start(&self, start: Start) -> Result<Started, StoreError> {
        let calls = start.callback.is_some();
        let started = self.inner.store.start(start).await?;
        if calls {
            self.inner.called.notify_one();
        }
        Ok(started)
    }

    /// Judges where somebody wants to be told of a run, and makes of it what [`Order`] and [`Start`]
    /// carry.
    pub fn callback(
        &self,
        target: &Target,
        timeout: Duration,
        max_retries: u32,
    ) -> Result<NewCallback, NotCallable> {
        let Some(courier) = &self.inner.courier else {
            return Err(NotCallable {
                code: Code::NoCallbacks,
                field: "webhook_config",
                reason: "callbacks are not switched on here; nothing was run".to_owned(),
                hint: Some("follow the run at /v1/events, or with `use_streaming`".to_owned()),
            });
        };
        let id = self.inner.ids.next();
        let config = &self.inner.callbacks;
        Ok(NewCallback {
            target: courier.pack(&id, target)?,
            id,
            timeout: timeout.min(config.max_timeout),
            max_retries: max_retries.min(config.max_retries),
        })
    }

    /// Starts to deliver callbacks, if there is somebody who can: first those that were left over.
    ///
    /// Must be called within a tokio runtime.
    pub fn deliver(&self) -> Option<Deliveries> {
        let courier = self.inner.courier.clone()?;
        Some(Deliveries::start(Arc::clone(&self.inner), courier))
    }

    /// Begins a run unless the same request came before under this key; then the first answer again.
    pub async fn start_once(
        &self,
        start: Start,
        promise: Idempotency,
    ) -> Result<Started, StoreError> {
        let calls = start.callback.is_some();
        let started = self.inner.store.start_once(start, promise).await?;
        if calls {
            self.inner.called.notify_one();
        }
        Ok(started)
    }

    /// Makes new tasks from stored ones, or archives them; durable when it returns.
    ///
    /// What is made may be as large as what is submitted, whatever the wish says of it.
    pub async fn derive(&self, wish: Derive) -> Result<Derived, StoreError> {
        let wish = Derive { limits: self.inner.limits, ..wish };
        let stores = !wish.preview && wish.mode != Mode::Archive;
        let derived = self.inner.store.derive(wish, Arc::clone(&self.inner.ids)).await?;
        if stores && !derived.inserted.replayed {
            self.tell_created(&derived.inserted.trees).await;
        }
        Ok(derived)
    }

    /// Cancels tasks with what hangs under them and what requires them.
    pub async fn cancel(&self, batch: Vec<Cancel>) -> Result<Vec<CancelAnswer>, StoreError> {
        self.inner.store.cancel(batch).await
    }

    /// Changes one task.
    pub async fn update(&self, task: &TaskId, patch: Patch) -> Result<(), StoreError> {
        self.inner.store.update(task, patch).await
    }

    /// Deletes a task and what hangs under it; returns how many went.
    pub async fn delete(&self, task: &TaskId) -> Result<u32, StoreError> {
        self.inner.store.delete(task).await
    }

    /// Waits until the newest run of a tree has ended, and says how.
    ///
    /// A tree that never ran is waited for until it does.
    pub async fn wait(&self, tree: &TreeId) -> Result<RunSummary, StoreError> {
        watch::wait(self.inner.store.as_ref(), tree, self.inner.config.back_stop).await
    }

    /// What happens from position `after` of the journal on, in one tree or in all.
    ///
    /// The stream does not end by itself. It may be dropped and taken up again at the position of the
    /// last event that was read; nothing is lost in between.
    pub fn watch(
        &self,
        tree: Option<TreeId>,
        after: i64,
    ) -> impl Stream<Item = Result<TaskEvent, StoreError>> + Send + Unpin + use<> {
        watch::watch(Arc::clone(&self.inner.store), tree, after, self.inner.config.back_stop)
    }

    /// The store, for reading.
    pub fn store(&self) -> &dyn Store {
        self.inner.store.as_ref()
    }

    /// The store, for those who outlive a borrow.
    pub(crate) fn store_handle(&self) -> Arc<dyn Store> {
        Arc::clone(&self.inner.store)
    }

    /// Who makes up new ids.
    pub(crate) fn ids(&self) -> &dyn Ids {
        self.inner.ids.as_ref()
    }

    /// The channel of the newest run of a tree, for somebody outside of its tasks.
    ///
    /// Locks are taken in the name of `holder`.
    pub fn channel(&self, tree: &TreeId, holder: impl Into<String>) -> Channel {
        self.inner.channels.of_tree(tree.clone(), Holder { name: holder.into(), fence: 0 })
    }

    /// What the tasks of runs share.
    pub fn channels(&self) -> &Channels {
        &self.inner.channels
    }

    /// The executors.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// How it works.
    pub fn config(&self) -> &EngineConfig {
        &self.inner.config
    }

    /// What a submission may hold.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// The name its worker claims under.
    pub fn node(&self) -> &NodeId {
        &self.inner.node
    }

    /// How many attempts run now.
    pub fn running(&self) -> usize {
        self.inner.running.load(Ordering::Relaxed)
    }

    /// Starts to fire schedules. Several schedulers on one database, here or elsewhere, share the work.
    ///
    /// Must be called within a tokio runtime. Runs are worked off by [workers](Self::work).
    pub fn schedule(&self, config: SchedulerConfig) -> Scheduler {
        Scheduler::start(Arc::clone(&self.inner), config)
    }

    /// Starts to work: takes up what dead processes left, then claims and runs tasks.
    ///
    /// Must be called within a tokio runtime. The worker goes on until it is drained or dropped.
    pub fn work(&self) -> Worker {
        Worker::start(Arc::clone(&self.inner))
    }
}
