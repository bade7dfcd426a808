//! A stage for one test: a store in memory, a scripted executor, an engine over both.

use std::{sync::Arc, time::Duration};

use apflow_core::{
    engine::{Engine, EngineBuilder, EngineConfig},
    executor::Manifest,
    id::{TaskId, TreeId},
    registry::Registry,
    store::{NeedKind, NewNeed, NewTask, NewTree, Submission, TreeStore as _},
    task::{Definition, Dependency, Record, RunSummary, State, TreeOptions},
    testing::{MemoryStore, RuntimeClock, Script, ScriptedExecutor, SeededIds},
    time::Timestamp,
};

/// When every test begins.
pub const START: Timestamp = Timestamp(1_800_000_000_000_000);

/// The lease of every engine here.
pub const LEASE: Duration = Duration::from_secs(30);

pub struct Stage {
    pub store: Arc<MemoryStore>,
    pub executor: Arc<ScriptedExecutor>,
    pub engine: Engine,
}

impl Stage {
    pub fn new(script: impl IntoIterator<Item = (&'static str, Vec<Script>)>) -> Self {
        Self::with(script, |builder| builder)
    }

    pub fn with(
        script: impl IntoIterator<Item = (&'static str, Vec<Script>)>,
        change: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Self {
        let mut executor = ScriptedExecutor::new("play");
        for (name, scripts) in script {
            executor = executor.on(name, scripts);
        }
        Self::of(executor, change)
    }

    pub fn of(
        executor: ScriptedExecutor,
        change: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Self {
        let store = Arc::new(MemoryStore::new(Arc::new(RuntimeClock::new(START))));
        let executor = Arc::new(executor);
        let engine = engine(&store, &executor, "node", change);
        Self { store, executor, engine }
    }

    /// Another engine over the same store and executor.
    pub fn another(&self, node: &str) -> Engine {
        engine(&self.store, &self.executor, node, |builder| builder)
    }

    pub async fn insert(&self, submission: Submission) -> Vec<TreeId> {
        self.store.insert(submission).await.expect("a sound submission").trees
    }

    /// Stores the submission, works until its first tree has ended, and stops working.
    pub async fn play(&self, submission: Submission) -> RunSummary {
        let trees = self.insert(submission).await;
        let worker = self.engine.work();
        let run = self.engine.wait(&trees[0]).await.expect("the store answers");
        worker.stop().await;
        run
    }

    pub async fn record(&self, id: &str) -> Record {
        self.store.record(&TaskId::from(id)).await.expect("readable").expect("stored")
    }

    pub async fn state(&self, id: &str) -> State {
        self.record(id).await.task.state
    }

    pub async fn failure(&self, id: &str) -> String {
        match self.state(id).await {
            State::Failed { failure } => format!("{:?}: {}", failure.kind, failure.message),
            other => format!("not failed but {other:?}"),
        }
    }
}

fn engine(
    store: &Arc<MemoryStore>,
    executor: &Arc<ScriptedExecutor>,
    node: &str,
    change: impl FnOnce(EngineBuilder) -> EngineBuilder,
) -> Engine {
    let mut registry = Registry::new();
    registry.register_shared(executor.clone());
    let config = EngineConfig { lease: LEASE, ..EngineConfig::default() };
    let builder = Engine::builder(store.clone(), Arc::new(SeededIds::new(node)))
        .node(node.into())
        .registry(registry)
        .config(config);
    change(builder).build()
}

/// A manifest of the scripted executor to change.
pub fn manifest() -> Manifest {
    Manifest::new("play", "Follows a script.")
}

/// A forest in the making; tasks are named, and ids are the names.
pub struct Forest {
    submission: Submission,
}

impl Forest {
    pub fn new() -> Self {
        let (trees, tasks) = (Vec::new(), Vec::new());
        Self {
            submission: Submission { trees, tasks, start: true, idempotency: None, callback: None },
        }
    }

    /// A task that requires the others, at the root of a tree of its own.
    pub fn root(self, name: &str, requires: &[&str]) -> Self {
        self.add(name, None, requires)
    }

    /// A task under `parent`, which comes after it.
    pub fn under(self, parent: &str, name: &str, requires: &[&str]) -> Self {
        self.add(name, Some(parent), requires)
    }

    fn add(mut self, name: &str, parent: Option<&str>, requires: &[&str]) -> Self {
        let index = self.submission.tasks.len();
        let parent = parent.map(|parent| self.find(parent));
        let tree = if let Some(parent) = parent {
            self.submission.tasks[parent].has_children = true;
            let child = NewNeed { on: index, kind: NeedKind::Structure };
            self.submission.tasks[parent].needs.push(child);
            self.submission.tasks[parent].tree
        } else {
            self.submission.trees.push(NewTree {
                id: TreeId::from(name),
                root: index,
                user_id: None,
                options: TreeOptions::default(),
            });
            self.submission.trees.len() - 1
        };
        let mut definition = Definition { name: name.to_owned(), ..Definition::default() };
        definition.params.insert("executor_id".to_owned(), "play".into());
        let id = TaskId::from(name);
        let needs = Vec::new();
        self.submission.tasks.push(NewTask {
            id,
            tree,
            parent,
            has_children: false,
            definition,
            needs,
        });
        requires.iter().fold(self, |forest, on| forest.need(name, on, NeedKind::Required))
    }

    /// One more need.
    pub fn need(mut self, of: &str, on: &str, kind: NeedKind) -> Self {
        let (of, on) = (self.find(of), self.find(on));
        let id = self.submission.tasks[on].id.clone();
        let task = &mut self.submission.tasks[of];
        task.needs.push(NewNeed { on, kind });
        if kind != NeedKind::Structure {
            task.definition.dependencies.push(Dependency {
                id,
                required: kind == NeedKind::Required,
                plain: false,
                extra: serde_json::Map::new(),
            });
        }
        self
    }

    /// Changes what the author of a task said.
    pub fn define(mut self, name: &str, change: impl FnOnce(&mut Definition)) -> Self {
        let index = self.find(name);
        change(&mut self.submission.tasks[index].definition);
        self
    }

    /// Changes what holds for all trees.
    pub fn options(mut self, change: impl Fn(&mut TreeOptions)) -> Self {
        for tree in &mut self.submission.trees {
            change(&mut tree.options);
        }
        self
    }

    pub fn submission(self) -> Submission {
        self.submission
    }

    /// Stored, and not started.
    pub fn asleep(self) -> Submission {
        Submission { start: false, ..self.submission }
    }

    fn find(&self, name: &str) -> usize {
        let found = self.submission.tasks.iter().position(|task| task.id.as_str() == name);
        found.expect("named before")
    }
}
