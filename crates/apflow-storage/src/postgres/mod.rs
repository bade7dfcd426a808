//! PostgreSQL: many processes, one database. A few connections run transactions, a pool reads, and one
//! connection lives as long as the store: it hears the other processes, tells them, and holds the locks
//! that say which workers live.

mod access;
mod callbacks;
mod channels;
mod connect;
mod decode;
mod demo;
mod derive;
mod effects;
mod encode;
mod flow;
mod history;
mod keep;
mod reads;
mod rows;
mod schedules;
mod session;
mod snapshots;
mod sql;
#[cfg(test)]
mod tests;
mod waits;
mod writer;

use std::sync::Arc;

use apflow_core::store::StoreError;

pub(crate) use self::reads::PgReads;
use self::{connect::Server, session::Session, writer::Writer};
use crate::{
    OpenOptions,
    committer::{self, Limits, Queue},
    store::Database,
};

/// How many signals a slow listener may lag behind before it has to look for itself.
const SIGNALS: usize = 1024;
/// Transactions that run at once, so that a large submission does not hold up a settlement.
const WRITERS: usize = 3;
/// Times a transaction is tried again that lost against another one: an id that was stored a moment
/// ago, or two that waited for each other.
const CONFLICTS: u32 = 5;

/// Opens the database at `url`.
pub(crate) async fn open(url: &str, options: OpenOptions) -> Result<Database<PgReads>, StoreError> {
    let server = Server::new(url, &options)?;
    server.migrate(&options).await?;
    let signals = committer::Signals::new(SIGNALS);
    let session = Session::start(server.clone(), signals.clone()).await?;
    let queue = Arc::new(Queue::new(options.queue));
    if !options.read_only {
        for _ in 0..WRITERS {
            let writer = Writer::new(server.clone(), session.clone(), &options);
            let limits = Limits { conflicts: CONFLICTS };
            tokio::spawn(committer::run(Arc::clone(&queue), writer, signals.clone(), limits));
        }
    }
    let readers = if options.readers == 0 { 4 } else { options.readers };
    Ok(Database {
        reads: PgReads::new(server.readers(readers), session),
        queue,
        signals,
        workers: std::sync::Mutex::new(Vec::new()),
        read_only: options.read_only,
        clock: options.clock.clone(),
    })
}
