//! An engine that runs nothing: tasks end the way their names say.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use apflow_core::{
    api::{ApiError, Backend, Submit},
    code::Code,
    derive::{self, Derive, Derived, Made, Source, Sources},
    executor::{Context, ExecuteError},
    id::{Seq, TaskId, TreeId},
    problem::{Problem, Problems},
    registry::Registry,
    store::{
        Cancel, CancelAnswer, Counts, Idempotency, Inserted, Page, Patch, Start, Started,
        StoreError, Submission, TaskFilter, TreeStore,
    },
    task::{
        Definition, Dependency, Failure, FailureKind, Outcome, Record, RunSummary, State, Status,
        Task, TreeOptions, TreeRecord,
    },
    testing::SeededIds,
    time::{Clock, Timestamp},
};
use async_trait::async_trait;
use serde_json::{Map, Value, json};

/// Always the same moment.
pub(crate) struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-11-20T12:00:00.000001+00:00".parse().expect("a moment")
    }
}

#[derive(schemars::JsonSchema, serde::Serialize, serde::Deserialize)]
struct Anything {}

/// Tasks in memory. `fail…` fails, `hang…` never ends, `panic` panics when it is read, `down` finds the
/// database gone, and a few more ids bring about the error they are called by.
pub(crate) struct Fake {
    records: Mutex<Vec<Record>>,
    /// What each idempotency key stood for.
    keys: Mutex<HashMap<(String, String), (String, Inserted)>>,
    /// What each idempotency key started.
    started: Mutex<HashMap<(String, String), (String, Started)>>,
    registry: Registry,
    /// Nothing is on a schedule here.
    schedules: apflow_core::testing::MemoryStore,
}

impl Default for Fake {
    fn default() -> Self {
        let mut registry = Registry::new();
        registry.function("nothing", "Does nothing.", |_: Anything, _: Context| async {
            Ok::<_, ExecuteError>(Anything {})
        });
        Self {
            records: Mutex::default(),
            keys: Mutex::default(),
            started: Mutex::default(),
            registry,
            schedules: apflow_core::testing::MemoryStore::new(std::sync::Arc::new(Noon)),
        }
    }
}

impl Fake {
    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().expect("no test panics while it holds the lock")
    }

    fn root(&self, task: &TaskId) -> Option<TaskId> {
        let records = self.lock();
        let mut at = records.iter().find(|record| record.id == *task)?;
        while let Some(parent) = &at.parent_id {
            at = records.iter().find(|record| record.id == *parent)?;
        }
        Some(at.id.clone())
    }
}

fn record(seq: i64, task: &Value, root: Option<&TreeId>) -> Record {
    let text = |key: &str| task[key].as_str().map(str::to_owned);
    let map = |key: &str| task[key].as_object().cloned().unwrap_or_default();
    let name = text("name").expect("checked");
    let id = TaskId::new(text("id").unwrap_or_else(|| format!("id-{seq}")));
    let plain = |id: &Value| Dependency {
        id: TaskId::new(id.as_str().expect("a text")),
        required: true,
        plain: true,
        extra: Map::new(),
    };
    let definition = Definition {
        name,
        user_id: text("user_id"),
        dependencies: task["dependencies"].as_array().into_iter().flatten().map(plain).collect(),
        inputs: map("inputs"),
        params: map("params"),
        schemas: map("schemas"),
        schedule: serde_json::from_value(task.clone()).unwrap_or_default(),
        ..Definition::default()
    };
    Record {
        tree_id: root.cloned().unwrap_or_else(|| TreeId::new(id.as_str())),
        id,
        parent_id: text("parent_id").map(TaskId::new),
        has_children: false,
        task: Task {
            priority: definition.priority,
            join: definition.join,
            ..Task::new(Seq(seq), Seq(1), Seq(1))
        },
        definition,
        progress: 0.0,
        resolved_inputs: None,
        result: None,
        error: None,
        created_at: Noon.now(),
        updated_at: Noon.now(),
        worker: None,
        waiting_for: Vec::new(),
        failed_needs: Vec::new(),
    }
}

fn passes(filter: &TaskFilter, record: &Record) -> bool {
    let status = record.task.state.status();
    (filter.user_id.is_none() || filter.user_id == record.definition.user_id)
        && (filter.statuses.is_empty() || filter.statuses.contains(&status))
        && (!filter.root_only || record.parent_id.is_none())
        && (filter.parent_id.is_none() || filter.parent_id == record.parent_id)
        && (filter.ids.is_empty() || filter.ids.contains(&record.id))
}

/// The error that is called so.
fn broken(id: &str) -> Option<StoreError> {
    let (what, hint) = ("CANARY".to_owned(), "stop it".to_owned());
    match id {
        "locked" => Some(StoreError::Locked { what, hint }),
        "full" => Some(StoreError::Full { what }),
        "damaged" => Some(StoreError::Damaged { what }),
        "too-new" => Some(StoreError::TooNew { found: 9, known: 1 }),
        "overloaded" => Some(StoreError::Overloaded { waiting: 7 }),
        _ => None,
    }
}

fn nameless(index: usize) -> ApiError {
    let detail = format!("Task at index {index} must have a 'name' field");
    ApiError::from(Problems(vec![Problem {
        code: Code::InvalidTask,
        task: Some(index.to_string()),
        field: Some("name".to_owned()),
        reason: "the name is missing".to_owned(),
        expected: Some("a text of 1 to 255 characters".to_owned()),
        actual: Some("nothing".to_owned()),
        path: Vec::new(),
        detail,
        hint: None,
    }]))
}

#[async_trait]
impl Backend for Fake {
    fn trees(&self) -> &dyn TreeStore {
        self
    }

    fn schedules(&self) -> &dyn apflow_core::store::ScheduleStore {
        &self.schedules
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn running(&self) -> usize {
        0
    }

    async fn submit(&self, wish: Submit) -> Result<(Inserted, Vec<String>), ApiError> {
        let promise = wish.idempotency.clone();
        if let Some(promise) = &promise {
            let keys = self.keys.lock().expect("no test panics while it holds the lock");
            match keys.get(&(promise.owner.clone(), promise.key.clone())) {
                Some((digest, first)) if *digest == promise.digest => {
                    return Ok((Inserted { replayed: true, ..first.clone() }, Vec::new()));
                }
                Some(_) => return Err(StoreError::KeyReused { key: promise.key.clone() }.into()),
                None => {}
            }
        }
        let items = match wish.tasks {
            Value::Array(items) => items,
            one => vec![one],
        };
        let mut roots = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if item["name"].as_str().is_none_or(str::is_empty) {
                return Err(nameless(index));
            }
            let mut records = self.lock();
            let parent = item["parent_id"].as_str();
            let above = records.iter_mut().find(|it| Some(it.id.as_str()) == parent);
            let tree = above.map(|above| {
                above.has_children = true;
                above.tree_id.clone()
            });
            let seq = i64::try_from(records.len() + 1).expect("few");
            let mut record = record(seq, item, tree.as_ref());
            if record.definition.user_id.is_none() {
                record.definition.user_id.clone_from(&wish.user_id);
            }
            if parent.is_none() {
                roots.push(record.id.clone());
            }
            records.push(record);
        }
        if wish.start {
            for root in &roots {
                let scope = apflow_core::store::StartScope::Auto;
                self.start(Start {
                    task: root.clone(),
                    scope,
                    reexecute: false,
                    callback: None,
                    demo: false,
                })
                .await?;
            }
        }
        let trees = roots.iter().map(|root| TreeId::new(root.as_str())).collect();
        let warnings = items
            .iter()
            .filter(|item| item.get("colour").is_some())
            .map(|_| "`colour` is not a field of a task and was ignored".to_owned())
            .collect();
        let inserted = Inserted { trees, roots, replayed: false };
        if let Some(promise) = promise {
            let mut keys = self.keys.lock().expect("no test panics while it holds the lock");
            keys.insert((promise.owner, promise.key), (promise.digest, inserted.clone()));
        }
        Ok((inserted, warnings))
    }

    async fn start(&self, start: Start) -> Result<Started, StoreError> {
        let root = self.root(&start.task).ok_or(StoreError::NoSuchTask(start.task))?;
        let tree = TreeId::new(root.as_str());
        let mut tasks = 0;
        for record in self.lock().iter_mut().filter(|record| record.tree_id == tree) {
            let name = &record.definition.name;
            if matches!(record.task.state, State::Ready) {
                return Err(StoreError::AlreadyRunning { root });
            }
            if record.task.state == State::Completed && !start.reexecute {
                continue;
            }
            tasks += 1;
            record.task.state = if name.starts_with("hang") {
                State::Ready
            } else if name.starts_with("fail") {
                record.error = Some("it failed".to_owned());
                State::Failed { failure: Failure::new(FailureKind::Executor, "it failed") }
            } else {
                record.result = Some(json!({ "ok": true }));
                record.progress = 1.0;
                State::Completed
            };
        }
        Ok(Started { trees: vec![tree.clone()], tree, root, tasks, after: 0 })
    }

    async fn start_once(&self, start: Start, promise: Idempotency) -> Result<Started, StoreError> {
        let name = (promise.owner, promise.key);
        let known = self.started.lock().expect("no panic holds it").get(&name).cloned();
        match known {
            Some((digest, first)) if digest == promise.digest => Ok(first),
            Some(_) => Err(StoreError::KeyReused { key: name.1 }),
            None => {
                let started = self.start(start).await?;
                let mut keys = self.started.lock().expect("no panic holds it");
                keys.insert(name, (promise.digest, started.clone()));
                Ok(started)
            }
        }
    }

    async fn derive(&self, wish: Derive) -> Result<Derived, StoreError> {
        let mut records = self.lock();
        let index = |id: &TaskId| records.iter().position(|record| record.id == *id);
        let source = |record: &Record| Source {
            id: record.id.clone(),
            tree: index(&TaskId::new(record.tree_id.as_str())).unwrap_or(usize::MAX),
            parent: record.parent_id.as_ref().and_then(index),
            definition: record.definition.clone(),
            completed: record.task.state == State::Completed,
            spawned: 0,
        };
        let tasks = records.iter().map(source).collect();
        let sources = Sources { tasks, options: TreeOptions::default() };
        let made = match derive::derive(&sources, &wish, &SeededIds::new("new"))? {
            Made::New(made) => made,
            Made::Archived(archived) => {
                for (at, definition) in archived {
                    records[at].definition = definition;
                }
                let (trees, roots) = (vec![TreeId::new("t")], vec![wish.task]);
                let inserted = Inserted { trees, roots, replayed: false };
                return Ok(Derived { inserted, preview: None });
            }
        };
        let original = |id: &Option<TaskId>| Some(records[index(id.as_ref()?)?].clone());
        let originals = made.links.iter().map(original).collect();
        let new = derive::preview(&made, originals, Noon.now());
        let roots = new.iter().filter(|record| record.parent_id.is_none());
        let roots: Vec<TaskId> = roots.map(|record| record.id.clone()).collect();
        let trees = roots.iter().map(|root| TreeId::new(root.as_str())).collect();
        let inserted = Inserted { trees, roots, replayed: false };
        if wish.preview {
            return Ok(Derived { inserted, preview: Some(new) });
        }
        records.extend(new);
        Ok(Derived { inserted, preview: None })
    }

    async fn wait(&self, tree: &TreeId) -> Result<RunSummary, StoreError> {
        loop {
            let run = self.run_of_tree(tree).await?.expect("a tree of this test");
            if !run.running {
                return Ok(run);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn cancel(&self, batch: Vec<Cancel>) -> Result<Vec<CancelAnswer>, StoreError> {
        let mut records = self.lock();
        let mut answer = |wish: Cancel| {
            let Some(record) = records.iter_mut().find(|record| record.id == wish.task) else {
                return CancelAnswer::NoSuchTask;
            };
            if record.task.state.is_terminal() {
                return CancelAnswer::AlreadyEnded(record.task.state.status());
            }
            record.task.state = State::Cancelled { reason: wish.reason };
            CancelAnswer::Cancelled { others: 0 }
        };
        Ok(batch.into_iter().map(&mut answer).collect())
    }

    async fn update(&self, task: &TaskId, patch: Patch) -> Result<(), StoreError> {
        let mut records = self.lock();
        let record = records
            .iter_mut()
            .find(|record| record.id == *task)
            .ok_or_else(|| StoreError::NoSuchTask(task.clone()))?;
        if patch.dependencies.is_some() && record.task.state.status() != Status::Pending {
            let status = record.task.state.status();
            return Err(StoreError::Rejected(vec![format!(
                "Cannot update 'dependencies': task status is '{status}' (must be 'pending')"
            )]));
        }
        if let Some(name) = patch.name {
            record.definition.name = name;
        }
        if let Some(priority) = patch.priority {
            record.definition.priority = priority;
        }
        Ok(())
    }

    async fn delete(&self, task: &TaskId) -> Result<u32, StoreError> {
        let mut records = self.lock();
        let below = |record: &Record| record.id == *task || record.parent_id.as_ref() == Some(task);
        let faults: Vec<String> = records
            .iter()
            .filter(|record| below(record) && record.task.state.status() != Status::Pending)
            .map(|record| {
                format!("task status is '{}' (must be 'pending')", record.task.state.status())
            })
            .collect();
        if !faults.is_empty() {
            let text = format!("Cannot delete task: {}", faults.join("; "));
            return Err(StoreError::Rejected(vec![text]));
        }
        let before = records.len();
        records.retain(|record| !below(record));
        Ok(u32::try_from(before - records.len()).expect("few"))
    }
}

#[async_trait]
impl TreeStore for Fake {
    async fn insert(&self, _: Submission) -> Result<Inserted, StoreError> {
        Err(StoreError::Rejected(vec!["the gateway submits through the engine".to_owned()]))
    }

    async fn record(&self, id: &TaskId) -> Result<Option<Record>, StoreError> {
        assert_ne!(id.as_str(), "panic", "asked to");
        if id.as_str() == "down" {
            let what = "connecting to postgres://u:CANARY@db".to_owned();
            return Err(StoreError::Unavailable { what, source: None });
        }
        if let Some(error) = broken(id.as_str()) {
            return Err(error);
        }
        if id.as_str() == "slow" {
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
        Ok(self.lock().iter().find(|record| record.id == *id).cloned())
    }

    async fn subtree(&self, root: &TaskId) -> Result<Vec<Record>, StoreError> {
        let mut found: Vec<Record> = Vec::new();
        for record in self.lock().iter() {
            let under = record.parent_id.as_ref();
            if record.id == *root || under.is_some_and(|it| found.iter().any(|f| f.id == *it)) {
                found.push(record.clone());
            }
        }
        Ok(found)
    }

    async fn list(&self, filter: &TaskFilter, page: Page) -> Result<Vec<Record>, StoreError> {
        let records = self.lock();
        let all = records.iter().rev().filter(|record| passes(filter, record));
        let (offset, limit) = (page.offset as usize, page.limit as usize);
        let mut found: Vec<Record> = all.skip(offset).take(limit).cloned().collect();
        if filter.parent_id.is_some() {
            found.sort_by_key(|record| (record.definition.priority, record.task.seq));
        }
        Ok(found)
    }

    async fn ids_like(
        &self,
        beginning: &str,
        user_id: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TaskId>, StoreError> {
        let records = self.lock();
        let mut ids: Vec<TaskId> = records
            .iter()
            .filter(|it| it.id.as_str().starts_with(beginning))
            .filter(|it| user_id.is_none() || it.definition.user_id.as_deref() == user_id)
            .map(|it| it.id.clone())
            .collect();
        ids.sort();
        ids.truncate(limit as usize);
        Ok(ids)
    }

    async fn count(&self, filter: &TaskFilter) -> Result<Counts, StoreError> {
        let mut counts = Counts::default();
        for record in self.lock().iter().filter(|record| passes(filter, record)) {
            let at = Status::ALL.iter().position(|it| *it == record.task.state.status());
            counts.by_status[at.expect("one of five")] += 1;
        }
        Ok(counts)
    }

    async fn run(&self, task: &TaskId) -> Result<Option<RunSummary>, StoreError> {
        match self.root(task) {
            Some(root) => self.run_of_tree(&TreeId::new(root.as_str())).await,
            None => Ok(None),
        }
    }

    async fn run_of_tree(&self, tree: &TreeId) -> Result<Option<RunSummary>, StoreError> {
        let records = self.lock();
        let all: Vec<_> = records.iter().filter(|record| record.tree_id == *tree).collect();
        let failed_tasks: Vec<_> = all
            .iter()
            .filter(|record| record.task.state.status() == Status::Failed)
            .map(|record| record.id.clone())
            .collect();
        let cancelled = all.iter().any(|it| it.task.state.status() == Status::Cancelled);
        let running = all.iter().any(|record| record.task.state.is_live());
        let outcome = match (failed_tasks.is_empty(), cancelled) {
            (false, _) => Outcome::Failed,
            (true, true) => Outcome::Cancelled,
            (true, false) => Outcome::Completed,
        };
        Ok(Some(RunSummary {
            tree: TreeRecord {
                seq: apflow_core::id::Seq(1),
                id: tree.clone(),
                root: TaskId::new(tree.as_str()),
                user_id: None,
                options: TreeOptions::default(),
            },
            run: 1,
            outcome: (!running).then_some(outcome),
            running,
            total: all.len() as u64,
            completed: 0,
            failed_tasks,
            blocked_tasks: Vec::new(),
            started_at: None,
            finished_at: None,
        }))
    }

    async fn forget_keys(&self, _: Duration, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn prune(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}
