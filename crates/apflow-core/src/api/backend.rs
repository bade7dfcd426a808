//! What the gateway asks of an engine.

use async_trait::async_trait;
use serde_json::Value;

use super::{ApiError, Feed, call::CallbackWish, feed::FeedLimits};
use crate::{
    code::Code,
    courier::NotCallable,
    derive::{Derive, Derived},
    engine::{Engine, SubmitError},
    generate,
    id::{TaskId, TreeId},
    registry::Registry,
    store::{
        Cancel, CancelAnswer, CheckpointStore, FlowStore, HistoryStore, Idempotency, Inserted,
        NewCallback, Patch, ScheduleStore, SnapshotStore, Start, Started, StoreError, TreeStore,
        WaitStore,
    },
    submit::{self, Order, Reading, read_tasks},
    task::{RunSummary, TreeOptions},
};

/// An engine as the gateway sees it; the tests put a scripted one in its place.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Where tasks are read.
    fn trees(&self) -> &dyn TreeStore;

    /// Where schedules are read and looked after.
    fn schedules(&self) -> &dyn ScheduleStore;

    /// Where attempts and dead letters are read and looked after.
    fn history(&self) -> &dyn HistoryStore {
        &NoHistory
    }

    /// The executors of this process.
    fn registry(&self) -> &Registry;

    /// Attempts that run in this process now.
    fn running(&self) -> usize;

    /// Reads, checks and stores tasks as a client wrote them; returns warnings beside what was stored.
    async fn submit(&self, wish: Submit) -> Result<(Inserted, Vec<String>), ApiError>;

    /// Begins a run of what is stored.
    async fn start(&self, start: Start) -> Result<Started, StoreError>;

    /// Begins a run, or gives the first answer to the same request again.
    async fn start_once(&self, start: Start, promise: Idempotency) -> Result<Started, StoreError>;

    /// Makes new tasks from stored ones, or archives them.
    async fn derive(&self, wish: Derive) -> Result<Derived, StoreError>;

    /// Waits until the newest run of a tree has ended.
    async fn wait(&self, tree: &TreeId) -> Result<RunSummary, StoreError>;

    /// Cancels tasks; the answers come in the same order.
    async fn cancel(&self, batch: Vec<Cancel>) -> Result<Vec<CancelAnswer>, StoreError>;

    /// Changes one task.
    async fn update(&self, task: &TaskId, patch: Patch) -> Result<(), StoreError>;

    /// Deletes a task and its descendants; returns how many went.
    async fn delete(&self, task: &TaskId) -> Result<u32, StoreError>;

    /// Checks tasks as if they were to be stored, and gives them new ids and this owner.
    fn check(&self, tasks: Value, user_id: Option<String>) -> Result<Value, ApiError> {
        let _ = (tasks, user_id);
        Err(ApiError::new(Code::NoGenerator, "no tasks can be made up here"))
    }

    /// Judges where a caller wants to be told of a run.
    fn callback(&self, wish: &CallbackWish) -> Result<NewCallback, ApiError> {
        let _ = wish;
        let detail = "callbacks are not switched on here; nothing was run";
        Err(ApiError::refused(Code::NoCallbacks, "webhook_config", detail))
    }

    /// Snapshots, if they are kept.
    fn snapshots(&self) -> Option<&dyn SnapshotStore> {
        None
    }

    /// Checkpoints, if they are kept.
    fn checkpoints(&self) -> Option<&dyn CheckpointStore> {
        None
    }

    /// Where parked tasks are read and woken, if there is such a place.
    fn waits(&self) -> Option<&dyn WaitStore> {
        None
    }

    /// A new id.
    fn next_id(&self) -> String {
        String::new()
    }

    /// Where shared limits and breakers are looked after, if there are any.
    fn flow(&self) -> Option<&dyn FlowStore> {
        None
    }

    /// The journal for those who listen, if there is one.
    fn feed(&self, limits: FeedLimits) -> Option<Feed> {
        let _ = limits;
        None
    }
}

#[async_trait]
impl Backend for Engine {
    fn trees(&self) -> &dyn TreeStore {
        self.store()
    }

    fn schedules(&self) -> &dyn ScheduleStore {
        self.store()
    }

    fn history(&self) -> &dyn HistoryStore {
        self.store()
    }

    fn registry(&self) -> &Registry {
        Self::registry(self)
    }

    fn running(&self) -> usize {
        Self::running(self)
    }

    async fn submit(&self, wish: Submit) -> Result<(Inserted, Vec<String>), ApiError> {
        let Submit { tasks, options, start, idempotency, user_id, callback, demo } = wish;
        let (tasks, warnings) = read_tasks(&tasks, &Reading::Lenient)?;
        let order = Order { tasks, options, start, idempotency, user_id, callback, demo };
        let inserted = Self::submit(self, order).await.map_err(|error| match error {
            SubmitError::Problems(problems) => ApiError::from(problems),
            SubmitError::Store(error) => ApiError::from(error),
        })?;
        Ok((inserted, warnings))
    }

    fn check(&self, tasks: Value, user_id: Option<String>) -> Result<Value, ApiError> {
        let tasks = generate::renamed(tasks, user_id.as_deref(), self.ids());
        let (specs, _) = read_tasks(&tasks, &Reading::Lenient)?;
        let order = Order { tasks: specs, user_id, ..Order::default() };
        submit::compile(order, self.ids(), self.limits())?;
        Ok(tasks)
    }

    async fn start(&self, start: Start) -> Result<Started, StoreError> {
        Self::start(self, start).await
    }

    async fn start_once(&self, start: Start, promise: Idempotency) -> Result<Started, StoreError> {
        Self::start_once(self, start, promise).await
    }

    async fn derive(&self, wish: Derive) -> Result<Derived, StoreError> {
        Self::derive(self, wish).await
    }

    async fn wait(&self, tree: &TreeId) -> Result<RunSummary, StoreError> {
        Self::wait(self, tree).await
    }

    async fn cancel(&self, batch: Vec<Cancel>) -> Result<Vec<CancelAnswer>, StoreError> {
        Self::cancel(self, batch).await
    }

    async fn update(&self, task: &TaskId, patch: Patch) -> Result<(), StoreError> {
        Self::update(self, task, patch).await
    }

    async fn delete(&self, task: &TaskId) -> Result<u32, StoreError> {
        Self::delete(self, task).await
    }

    fn callback(&self, wish: &CallbackWish) -> Result<NewCallback, ApiError> {
        Self::callback(self, &wish.target, wish.timeout, wish.max_retries).map_err(|refused| {
            let NotCallable { code, field, reason, hint } = refused;
            let error = ApiError::refused(code, field, reason);
            match hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })
    }

    fn snapshots(&self) -> Option<&dyn SnapshotStore> {
        Some(self.store())
    }

    fn checkpoints(&self) -> Option<&dyn CheckpointStore> {
        Some(self.store())
    }

    fn waits(&self) -> Option<&dyn WaitStore> {
        Some(self.store())
    }

    fn next_id(&self) -> String {
        self.ids().next()
    }

    fn flow(&self) -> Option<&dyn FlowStore> {
        Some(self.store())
    }

    fn feed(&self, limits: FeedLimits) -> Option<Feed> {
        Some(Feed::new(self.store_handle(), self.config().back_stop, limits))
    }
}

/// For a backend that keeps no history.
struct NoHistory;

impl HistoryStore for NoHistory {}

/// Tasks to store, as the client wrote them.
#[derive(Debug, Clone, PartialEq)]
pub struct Submit {
    /// One task object, or an array of them.
    pub tasks: Value,
    /// What holds for every tree of it.
    pub options: TreeOptions,
    /// Begin a run in the same transaction.
    pub start: bool,
    /// The caller's promise that two requests with one key are one request.
    pub idempotency: Option<Idempotency>,
    /// Owner of tasks that name none.
    pub user_id: Option<String>,
    /// Who wants to be told of the run.
    pub callback: Option<NewCallback>,
    /// The run is a demonstration: executors are not called.
    pub demo: bool,
}
