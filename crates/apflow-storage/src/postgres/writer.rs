//! A connection that transactions run on, made again when it breaks.

use std::{sync::Arc, time::Duration};

use apflow_core::{store::StoreError, time::Clock};
use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Either, PgConnection, postgres::PgRow};

use super::{connect::Server, encode::Statement, rows::PgRows, session::Session};
use crate::{
    OpenOptions,
    committer::Transact,
    error::{from_sqlx, is_lost},
    rows::Rows,
};

/// Longer than any statement may take on the server: then the server cannot be reached.
const SILENCE: Duration = Duration::from_secs(75);

/// The connection of one committer.
pub(super) struct Writer {
    server: Server,
    /// None before the first transaction, and after the connection broke.
    connection: Option<PgConnection>,
    pub(super) session: Session,
    /// A clock instead of the server's.
    pub(super) clock: Option<Arc<dyn Clock>>,
    /// Tasks that fail for good get a letter.
    pub(super) letters: bool,
    /// Owners take turns.
    pub(super) fair: bool,
}

#[async_trait]
impl Transact for Writer {
    async fn begin(&mut self) -> Result<Box<dyn Rows + '_>, StoreError> {
        self.connect().await?;
        Ok(Box::new(PgRows::new(self)))
    }
}

impl Writer {
    pub(super) fn new(server: Server, session: Session, options: &OpenOptions) -> Self {
        let (clock, letters) = (options.clock.clone(), !options.no_dead_letters);
        Self { server, connection: None, session, clock, letters, fair: options.fair }
    }

    /// Connects unless there is a connection; a server that restarts gets a second chance.
    pub(super) async fn connect(&mut self) -> Result<(), StoreError> {
        if self.connection.is_some() {
            return Ok(());
        }
        let connection = match self.server.writer().await {
            Err(StoreError::Unavailable { .. }) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                self.server.writer().await?
            }
            other => other?,
        };
        self.connection = Some(connection);
        Ok(())
    }

    /// Whether the connection broke.
    pub(super) fn is_broken(&self) -> bool {
        self.connection.is_none()
    }

    /// Runs one statement for its rows.
    pub(super) async fn fetch(
        &mut self,
        what: &str,
        statement: Statement<'_>,
    ) -> Result<Vec<PgRow>, StoreError> {
        let Some(connection) = &mut self.connection else { return Err(gone(what)) };
        let done = tokio::time::timeout(SILENCE, statement.fetch_all(connection)).await;
        self.judge(what, done)
    }

    /// Runs a script for the rows of each of its statements.
    pub(super) async fn script(
        &mut self,
        what: &str,
        text: String,
    ) -> Result<Vec<Vec<PgRow>>, StoreError> {
        let Some(connection) = &mut self.connection else { return Err(gone(what)) };
        let read = async {
            let mut sets = vec![Vec::new()];
            let mut stream = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(connection);
            while let Some(item) = stream.try_next().await? {
                match (item, sets.last_mut()) {
                    (Either::Right(row), Some(set)) => set.push(row),
                    _ => sets.push(Vec::new()),
                }
            }
            Ok(sets)
        };
        let done = tokio::time::timeout(SILENCE, read).await;
        self.judge(what, done)
    }

    fn judge<T>(
        &mut self,
        what: &str,
        done: Result<Result<T, sqlx::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T, StoreError> {
        let done = done.unwrap_or_else(|_| {
            Err(sqlx::Error::Io(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                "the server does not answer",
            )))
        });
        done.map_err(|error| {
            if is_lost(&error) {
                self.connection = None;
            }
            from_sqlx(what, error)
        })
    }

    /// Gives the connection up; the server undoes what was not committed.
    pub(super) fn drop_connection(&mut self) {
        self.connection = None;
    }
}

fn gone(what: &str) -> StoreError {
    StoreError::Unavailable { what: format!("{what}: the connection broke"), source: None }
}
