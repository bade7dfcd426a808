//! Calls carried out in this process, on a database it opens for them.

use std::{sync::Arc, time::Duration};

use apflow::{
    App,
    core::{
        api::{Call, Caller, Gateway, Operation},
        code::Code,
        id::TreeId,
    },
    storage,
};
use serde_json::Value;

use super::{Answer, Worker};
use crate::{
    config::{self, Database, Settings},
    error::CliError,
};

/// A database, opened as far as the calls so far needed it.
pub(super) struct Local {
    pub(super) database: Database,
    open: Open,
}

enum Open {
    /// Nothing was asked yet.
    Nothing(Arc<Settings>),
    /// Reading works while another process has the database.
    Reader(Box<App>, Arc<Settings>),
    Writer(Box<App>),
    /// Somebody else opened it.
    Given(Gateway),
}

impl Local {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self { database: Database::find(&settings), open: Open::Nothing(settings) }
    }

    pub(super) fn through(gateway: Gateway, database: Database) -> Self {
        Self { database, open: Open::Given(gateway) }
    }

    pub(super) async fn call(&mut self, method: &str, params: Value) -> Result<Answer, CliError> {
        // What is wrong with the call is told before a database is opened for it.
        let read = Call::read(method, params)?;
        let reads = Operation::find(method).is_some_and(|it| it.annotations.readonly);
        let gateway = self.gateway(reads).await?;
        let reply = gateway.call(&Caller::local(), read.call).await?;
        let warnings = read.warnings.into_iter().chain(reply.warnings().iter().cloned()).collect();
        Ok(Answer { result: reply.json(), warnings })
    }

    async fn gateway(&mut self, only_reads: bool) -> Result<&Gateway, CliError> {
        if let (Open::Nothing(settings), true) = (&self.open, only_reads) {
            let settings = Arc::clone(settings);
            let app = config::reader(&self.database).open().await?;
            self.open = Open::Reader(Box::new(app), settings);
        }
        if let (Open::Nothing(settings) | Open::Reader(_, settings), false) =
            (&self.open, only_reads)
        {
            self.database.prepare()?;
            let opened = config::app(settings, &self.database)?.open().await;
            let app = opened.map_err(|error| elsewhere(error.into()))?;
            self.open = Open::Writer(Box::new(app));
        }
        match &self.open {
            Open::Reader(app, _) | Open::Writer(app) => Ok(app.gateway()),
            Open::Given(gateway) => Ok(gateway),
            Open::Nothing(_) => Err(CliError::internal("the database was not opened")),
        }
    }

    /// The position of the newest event of a tree after this one; none where only calls go through.
    pub(super) async fn newest_event(
        &mut self,
        tree: &str,
        mut after: i64,
    ) -> Result<Option<i64>, CliError> {
        const PAGE: u32 = 1000;
        self.gateway(true).await?;
        let tree = TreeId::new(tree);
        let (Open::Reader(app, _) | Open::Writer(app)) = &self.open else { return Ok(None) };
        loop {
            let events = app.engine().store().events(Some(&tree), after, PAGE).await?;
            let Some(last) = events.last() else { return Ok(Some(after)) };
            after = last.seq;
            if events.len() < PAGE as usize {
                return Ok(Some(after));
            }
        }
    }

    pub(super) fn worker(&self) -> Worker {
        if self.database.address.starts_with("postgres") {
            return Worker::Unknown;
        }
        match storage::writer_of(&self.database.address) {
            Some(_) if matches!(self.open, Open::Writer(_)) => Worker::Nobody,
            Some(process) => Worker::Process(process),
            None => Worker::Nobody,
        }
    }

    pub(super) async fn close(self) {
        if let Open::Reader(app, _) | Open::Writer(app) = self.open {
            let _ = app.shutdown(Duration::ZERO).await;
        }
    }
}

/// Where another process has the database, the same command can be sent to it.
pub(crate) fn elsewhere(error: CliError) -> CliError {
    if error.code() != Some(Code::DatabaseLocked) {
        return error;
    }
    error.help("if that is `apflow serve`, add --server http://127.0.0.1:8000")
}
