//! What the gateway asks of an engine.

use async_trait::async_trait;
use serde_json::Value;

use super::ApiError;
use crate::{
    engine::{Engine, SubmitError},
    id::{TaskId, TreeId},
    registry::Registry,
    store::{
        Cancel, CancelAnswer, Idempotency, Inserted, Patch, ScheduleStore, Start, Started,
        StoreError, TreeStore,
    },
    submit::{Order, Reading, read_tasks},
    task::{RunSummary, TreeOptions},
};

/// An engine as the gateway sees it; the tests put a scripted one in its place.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Where tasks are read.
    fn trees(&self) -> &dyn TreeStore;

    /// Where schedules are read and looked after.
    fn schedules(&self) -> &dyn ScheduleStore;

    /// The executors of this process.
    fn registry(&self) -> &Registry;

    /// Attempts that run in this process now.
    fn running(&self) -> usize;

    /// Reads, checks and stores tasks as a client wrote them; returns warnings beside what was stored.
    async fn submit(&self, wish: Submit) -> Result<(Inserted, Vec<String>), ApiError>;

    /// Begins a run of what is stored.
    async fn start(&self, start: Start) -> Result<Started, StoreError>;

    /// Waits until the newest run of a tree has ended.
    async fn wait(&self, tree: &TreeId) -> Result<RunSummary, StoreError>;

    /// Cancels tasks; the answers come in the same order.
    async fn cancel(&self, batch: Vec<Cancel>) -> Result<Vec<CancelAnswer>, StoreError>;

    /// Changes one task.
    async fn update(&self, task: &TaskId, patch: Patch) -> Result<(), StoreError>;

    /// Deletes a task and its descendants; returns how many went.
    async fn delete(&self, task: &TaskId) -> Result<u32, StoreError>;
}

#[async_trait]
impl Backend for Engine {
    fn trees(&self) -> &dyn TreeStore {
        self.store()
    }

    fn schedules(&self) -> &dyn ScheduleStore {
        self.store()
    }

    fn registry(&self) -> &Registry {
        Self::registry(self)
    }

    fn running(&self) -> usize {
        Self::running(self)
    }

    async fn submit(&self, wish: Submit) -> Result<(Inserted, Vec<String>), ApiError> {
        let Submit { tasks, options, start, idempotency, user_id } = wish;
        let (tasks, warnings) = read_tasks(&tasks, &Reading::Lenient)?;
        let order = Order { tasks, options, start, idempotency, user_id };
        let inserted = Self::submit(self, order).await.map_err(|error| match error {
            SubmitError::Problems(problems) => ApiError::from(problems),
            SubmitError::Store(error) => ApiError::from(error),
        })?;
        Ok((inserted, warnings))
    }

    async fn start(&self, start: Start) -> Result<Started, StoreError> {
        Self::start(self, start).await
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
}

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
}
