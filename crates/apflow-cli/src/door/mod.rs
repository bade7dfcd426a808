//! The one door to tasks: the same call, carried out here or by a server.

mod ids;
mod local;
mod place;
mod remote;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use apflow::core::{api::Gateway, code::Code};
use serde_json::{Value, json};
use tokio::sync::Mutex;

pub(crate) use self::local::elsewhere;
use self::{local::Local, place::Place, remote::Remote};
use crate::{
    args::Connection,
    config::{Database, Settings},
    error::CliError,
    show,
};

/// Carries out calls of the API where the tasks are.
pub(crate) struct Door {
    way: Mutex<Way>,
    remote: AtomicBool,
    /// Whether the database may answer where the server does not.
    fallback: Option<Arc<Settings>>,
}

/// How a call gets to the tasks.
enum Way {
    Local(Box<Local>),
    Remote(Box<Remote>),
}

impl Door {
    /// The door these arguments and the configuration name; nothing is opened or called yet.
    pub(crate) fn open(
        connection: &Connection,
        settings: &Arc<Settings>,
    ) -> Result<Self, CliError> {
        let place = Place::choose(connection, settings)?;
        let way = match place {
            Place::Database => Way::Local(Box::new(Local::new(Arc::clone(settings)))),
            Place::Server(server) => Way::Remote(Box::new(Remote::new(server))),
        };
        let remote = AtomicBool::new(matches!(way, Way::Remote(_)));
        Ok(Self {
            way: Mutex::new(way),
            remote,
            fallback: settings.api.fallback_local.then(|| Arc::clone(settings)),
        })
    }

    /// The door to what this process has open already.
    pub(crate) fn through(gateway: Gateway, database: &Database) -> Self {
        let local = Local::through(gateway, database.clone());
        let way = Mutex::new(Way::Local(Box::new(local)));
        Self { way, remote: AtomicBool::new(false), fallback: None }
    }

    /// Whether a server is asked.
    pub(crate) fn is_remote(&self) -> bool {
        self.remote.load(Ordering::Relaxed)
    }

    /// Where the database may answer instead, finds out now whether the server does.
    pub(crate) async fn settle(&self) -> Result<(), CliError> {
        if self.fallback.is_some() && self.is_remote() {
            self.call("system.health", json!({})).await?;
        }
        Ok(())
    }

    /// Carries out one call and answers with its result in the shape of the API.
    ///
    /// What had to be ignored is told to the person at once.
    pub(crate) async fn call(&self, method: &str, params: Value) -> Result<Value, CliError> {
        let mut way = self.way.lock().await;
        let answer = match &mut *way {
            Way::Local(local) => local.call(method, params).await?,
            Way::Remote(remote) => match remote.call(method, params.clone()).await {
                Err(error) if error.code() == Some(Code::ServerUnreachable) => {
                    let Some(settings) = &self.fallback else { return Err(error) };
                    show::warn("the server does not answer; the database here is asked instead");
                    let mut local = Local::new(Arc::clone(settings));
                    let answer = local.call(method, params).await?;
                    *way = Way::Local(Box::new(local));
                    self.remote.store(false, Ordering::Relaxed);
                    answer
                }
                other => other?,
            },
        };
        for warning in &answer.warnings {
            show::warn(warning);
        }
        Ok(answer.result)
    }

    /// The position of the newest event of a tree after this one, if events can be read there.
    ///
    /// Where they cannot, a follower asks how the tree stands; this is the place where a stream of
    /// events of the server comes in.
    pub(crate) async fn happened(&self, tree: &str, after: i64) -> Result<Option<i64>, CliError> {
        match &mut *self.way.lock().await {
            Way::Local(local) => local.newest_event(tree, after).await,
            Way::Remote(_) => Ok(None),
        }
    }

    /// The process that works on the tasks, as far as is known.
    pub(crate) async fn worker(&self) -> Worker {
        match &mut *self.way.lock().await {
            Way::Local(local) => local.worker(),
            Way::Remote(_) => Worker::Server,
        }
    }

    /// ` --db ADDRESS` or ` --server URL`, where a command that is shown has to say it again.
    pub(crate) async fn flag(&self) -> String {
        match &*self.way.lock().await {
            Way::Local(local) => local.database.flag(),
            Way::Remote(remote) => remote.flag(),
        }
    }

    /// Lets go of what was opened.
    pub(crate) async fn close(self) {
        if let Way::Local(local) = self.way.into_inner() {
            local.close().await;
        }
    }
}

/// Who runs tasks there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Worker {
    /// This process of this machine has the database.
    Process(String),
    /// No process has the database.
    Nobody,
    /// Many may, and nobody knows whether one does.
    Unknown,
    /// The server that was asked.
    Server,
}

/// What came back.
struct Answer {
    result: Value,
    warnings: Vec<String>,
}
