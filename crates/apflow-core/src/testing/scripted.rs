//! An executor that does what a script says, and remembers what it was asked.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::executor::{Context, ExecuteError, Executor, Manifest};

/// What one attempt does.
#[derive(Debug, Clone, PartialEq)]
pub enum Script {
    /// Returns this.
    Return(Value),
    /// Fails for good.
    Fail(String),
    /// Fails so that another attempt may do better.
    Stumble(String),
    /// Panics.
    Panic(String),
    /// Takes this long, then does the other thing.
    After(Duration, Box<Script>),
    /// Goes on until it is told to stop.
    UntilCancelled,
    /// Goes on for ever and does not listen.
    Hang,
}

/// What an executor was asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Name of the task.
    pub name: String,
    /// Which attempt, counted from 1.
    pub attempt: u32,
    /// What it was given.
    pub inputs: Map<String, Value>,
    /// Its place in the order in which calls began and ended, over all tasks.
    pub began: u64,
    /// The same for its end; none if it has not ended or was dropped.
    pub ended: Option<u64>,
}

/// An executor that follows a script for each task name, and returns `{}` where there is none.
#[doc(alias = "TaskMocker")]
pub struct ScriptedExecutor {
    manifest: Manifest,
    scripts: HashMap<String, Vec<Script>>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    moments: u64,
    calls: Vec<Call>,
    open: usize,
    most_open: usize,
}

impl ScriptedExecutor {
    /// An executor of this id without any script.
    pub fn new(id: &str) -> Self {
        Self::with_manifest(Manifest::new(id, "Follows a script."))
    }

    /// An executor that says this of itself.
    pub fn with_manifest(manifest: Manifest) -> Self {
        Self { manifest, scripts: HashMap::new(), log: Mutex::default() }
    }

    /// What tasks of this name do, one entry for each attempt; the last one is repeated.
    pub fn on(mut self, name: &str, scripts: impl IntoIterator<Item = Script>) -> Self {
        self.scripts.insert(name.to_owned(), scripts.into_iter().collect());
        self
    }

    /// What it was asked so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.log().calls.clone()
    }

    /// The names of the tasks it was asked to run, in order.
    pub fn names(&self) -> Vec<String> {
        self.log().calls.iter().map(|call| call.name.clone()).collect()
    }

    /// How many calls were open at the same time, at most.
    pub fn most_at_once(&self) -> usize {
        self.log().most_open
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn script(&self, context: &Context) -> Script {
        let scripts = self.scripts.get(&context.name).map(Vec::as_slice).unwrap_or_default();
        let index = usize::try_from(context.attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let script = scripts.get(index).or_else(|| scripts.last());
        script.cloned().unwrap_or_else(|| Script::Return(Value::Object(Map::new())))
    }
}

/// Counts a call as closed however it ends.
struct Open<'a>(&'a ScriptedExecutor);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.log().open -= 1;
    }
}

#[async_trait]
impl Executor for ScriptedExecutor {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        inputs: Map<String, Value>,
        context: &Context,
    ) -> Result<Value, ExecuteError> {
        let index = {
            let mut log = self.log();
            log.moments += 1;
            log.open += 1;
            log.most_open = log.most_open.max(log.open);
            let (name, attempt) = (context.name.clone(), context.attempt);
            let began = log.moments;
            log.calls.push(Call { name, attempt, inputs, began, ended: None });
            log.calls.len() - 1
        };
        let _open = Open(self);
        let mut script = self.script(context);
        let answer = loop {
            match script {
                Script::Return(result) => break Ok(result),
                Script::Fail(why) => break Err(ExecuteError::permanent(why)),
                Script::Stumble(why) => break Err(ExecuteError::transient(why)),
                Script::Panic(why) => panic!("{why}"),
                Script::After(time, then) => {
                    sleep(time).await;
                    script = *then;
                }
                Script::UntilCancelled => {
                    context.cancelled.cancelled().await;
                    break Err(ExecuteError::Cancelled);
                }
                Script::Hang => break std::future::pending().await,
            }
        };
        let mut log = self.log();
        log.moments += 1;
        let ended = log.moments;
        if let Some(call) = log.calls.get_mut(index) {
            call.ended = Some(ended);
        }
        answer
    }
}
