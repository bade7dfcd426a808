//! The connection that lives as long as the store: it hears other processes and tells them, and holds
//! the locks that say which workers live. The server lets go of them when the process is gone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use apflow_core::{
    id::Seq,
    store::{Signal, StoreError},
};
use serde::{Deserialize, Serialize};
use sqlx::{
    Row as _,
    postgres::{PgListener, PgNotification},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use super::{connect::Server, sql};
use crate::{committer::Signals, error::is_lost};

/// Where everybody listens.
const CHANNEL: &str = "apflow";
/// Commands that may wait; what is told beyond that becomes "look for yourselves".
const WAITING: usize = 1024;
/// Numbers in one notification: 20 characters each stay below the server's 8000.
const NUMBERS: usize = 340;
/// Notifications for one batch; beyond that it is cheaper to look.
const PIECES: usize = 16;
/// How often the connection is tried while nothing is heard.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long the server may take to answer that.
const ANSWER: Duration = Duration::from_secs(15);
/// The longest pause between two tries to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

enum Command {
    /// Tell the others.
    Tell(String),
    /// A worker lives from now on.
    Lives(String, oneshot::Sender<Result<(), StoreError>>),
}

/// The way to the connection.
#[derive(Clone)]
pub(crate) struct Session {
    commands: mpsc::Sender<Command>,
    /// Something could not be told.
    untold: Arc<AtomicBool>,
}

/// What one process tells the others. Hints: whoever misses one looks by itself now and then.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Told {
    /// Tasks may be claimed.
    #[serde(default, rename = "r")]
    ready: bool,
    /// Tasks that their worker holds no more.
    #[serde(default, rename = "s", skip_serializing_if = "Vec::is_empty")]
    stopped: Vec<i64>,
    /// Trees in which something happened.
    #[serde(default, rename = "c", skip_serializing_if = "Vec::is_empty")]
    changed: Vec<i64>,
    /// Trees whose run ended.
    #[serde(default, rename = "f", skip_serializing_if = "Vec::is_empty")]
    finished: Vec<i64>,
    /// A schedule may be due sooner than it was.
    #[serde(default, rename = "d", skip_serializing_if = "std::ops::Not::not")]
    scheduled: bool,
    /// More than fits: look for yourselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    all: bool,
}

impl Told {
    fn add(&mut self, more: Self) {
        self.ready |= more.ready;
        self.scheduled |= more.scheduled;
        self.all |= more.all;
        self.stopped.extend(more.stopped);
        self.changed.extend(more.changed);
        self.finished.extend(more.finished);
    }

    /// The texts that say it, each short enough for one notification.
    fn pieces(mut self) -> Vec<String> {
        for list in [&mut self.stopped, &mut self.changed, &mut self.finished] {
            list.sort_unstable();
            list.dedup();
        }
        let chunks = |list: &[i64]| list.len().div_ceil(NUMBERS);
        let count = chunks(&self.stopped) + chunks(&self.changed) + chunks(&self.finished);
        let mut pieces = Vec::new();
        if self.all || count > PIECES {
            pieces.push(Self { all: true, ..Self::default() });
        } else if self.stopped.len() + self.changed.len() + self.finished.len() <= NUMBERS {
            pieces.push(self);
        } else {
            let (ready, scheduled) = (self.ready, self.scheduled);
            let any = ready || scheduled;
            pieces.extend(any.then(|| Self { ready, scheduled, ..Self::default() }));
            pieces.extend(
                self.stopped
                    .chunks(NUMBERS)
                    .map(|list| Self { stopped: list.to_vec(), ..Self::default() }),
            );
            pieces.extend(
                self.changed
                    .chunks(NUMBERS)
                    .map(|list| Self { changed: list.to_vec(), ..Self::default() }),
            );
            pieces.extend(
                self.finished
                    .chunks(NUMBERS)
                    .map(|list| Self { finished: list.to_vec(), ..Self::default() }),
            );
        }
        // Numbers and truth values always have a JSON form.
        pieces.iter().filter_map(|piece| serde_json::to_string(piece).ok()).collect()
    }

    /// Passes on what another process told.
    fn pass_on(self, signals: &Signals) {
        let seqs = |list: Vec<i64>| -> Arc<[Seq]> { list.into_iter().map(Seq).collect() };
        // Nobody may be listening.
        if self.ready || self.all {
            let _ = signals.send(Signal::Ready);
        }
        if self.scheduled || self.all {
            signals.rescheduled();
        }
        if !self.stopped.is_empty() {
            let _ = signals.send(Signal::Stopped(seqs(self.stopped)));
        }
        if !self.changed.is_empty() {
            let _ = signals.send(Signal::Changed(seqs(self.changed)));
        }
        if !self.finished.is_empty() {
            let _ = signals.send(Signal::Finished(seqs(self.finished)));
        }
    }
}

impl Session {
    /// Connects, and listens from now on until every handle is dropped.
    pub(super) async fn start(server: Server, signals: Signals) -> Result<Self, StoreError> {
        let (commands, waiting) = mpsc::channel(WAITING);
        let untold = Arc::new(AtomicBool::new(false));
        let line = connect(&server, &[]).await?;
        let holder =
            Holder { server, signals, waiting, untold: Arc::clone(&untold), workers: Vec::new() };
        tokio::spawn(holder.run(line));
        Ok(Self { commands, untold })
    }

    /// Tells the other processes; nobody waits for it.
    pub(super) fn tell(&self, payload: String) {
        if self.commands.try_send(Command::Tell(payload)).is_err() {
            self.untold.store(true, Ordering::Relaxed);
        }
    }

    /// Holds the lock that says that a worker lives, from now on.
    pub(super) async fn lives(&self, worker: &str) -> Result<(), StoreError> {
        let (to, answer) = oneshot::channel();
        let command = Command::Lives(worker.to_owned(), to);
        if self.commands.send(command).await.is_err() {
            return Err(lost());
        }
        answer.await.unwrap_or_else(|_| Err(lost()))
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable {
        what: "the connection that says which workers live broke".to_owned(),
        source: None,
    }
}

/// An open connection and who it is.
struct Line {
    listener: PgListener,
    backend: i32,
}

async fn connect(server: &Server, workers: &[String]) -> Result<Line, StoreError> {
    let failed = |error| server.failed("listening", error);
    let mut listener = PgListener::connect_with(&server.session()).await.map_err(failed)?;
    // A break is not mended behind our back: the locks are gone with it.
    listener.eager_reconnect(false);
    listener.ignore_pool_close_event(true);
    listener.listen(CHANNEL).await.map_err(failed)?;
    let row = sqlx::query(sql::BACKEND).fetch_one(&mut listener).await.map_err(failed)?;
    let backend = row.try_get(0).map_err(failed)?;
    for worker in workers {
        sqlx::query(sql::WORKER_LIVES).bind(worker).execute(&mut listener).await.map_err(failed)?;
    }
    Ok(Line { listener, backend })
}

/// Why listening ended.
enum Ended {
    /// Nobody needs it any more.
    Closed,
    /// The connection broke.
    Lost,
}

/// The task that has the connection.
struct Holder {
    server: Server,
    signals: Signals,
    waiting: mpsc::Receiver<Command>,
    untold: Arc<AtomicBool>,
    workers: Vec<String>,
}

impl Holder {
    async fn run(mut self, mut line: Line) {
        while let Ended::Lost = self.serve(&mut line).await {
            // The old connection goes first: its locks are taken again on the new one.
            drop(line);
            match self.reconnect().await {
                Some(again) => line = again,
                None => return,
            }
            // Something may have been missed.
            let _ = self.signals.send(Signal::Ready);
            self.signals.rescheduled();
        }
    }

    async fn serve(&mut self, line: &mut Line) -> Ended {
        loop {
            tokio::select! {
                heard = line.listener.try_recv() => match heard {
                    Ok(Some(heard)) => self.hear(line, &heard),
                    Ok(None) | Err(_) => return Ended::Lost,
                },
                command = self.waiting.recv() => match command {
                    Some(command) => {
                        if let Err(ended) = self.carry_out(line, command).await {
                            return ended;
                        }
                    }
                    None => return Ended::Closed,
                },
                () = sleep(HEARTBEAT) => {
                    let answer = sqlx::query(sql::BACKEND).execute(&mut line.listener);
                    if !matches!(timeout(ANSWER, answer).await, Ok(Ok(_))) {
                        return Ended::Lost;
                    }
                }
            }
        }
    }

    fn hear(&self, line: &Line, heard: &PgNotification) {
        // What this process did, its own committers told already.
        if i64::from(heard.process_id()) == i64::from(line.backend) {
            return;
        }
        match serde_json::from_str::<Told>(heard.payload()) {
            Ok(told) => told.pass_on(&self.signals),
            // Whoever it was, something happened.
            Err(_) => drop(self.signals.send(Signal::Ready)),
        }
    }

    async fn carry_out(&mut self, line: &mut Line, command: Command) -> Result<(), Ended> {
        let mut told: Option<Told> = None;
        let mut next = Some(command);
        // Whatever waits is told at once.
        while let Some(command) = next {
            match command {
                Command::Tell(payload) => {
                    if let Ok(more) = serde_json::from_str(&payload) {
                        told.get_or_insert_default().add(more);
                    }
                }
                Command::Lives(worker, to) => self.lives(line, worker, to).await?,
            }
            next = self.waiting.try_recv().ok();
        }
        let Some(mut told) = told else { return Ok(()) };
        told.all |= self.untold.swap(false, Ordering::Relaxed);
        for piece in told.pieces() {
            let sent = sqlx::query(sql::NOTIFY).bind(piece).execute(&mut line.listener);
            if !matches!(timeout(ANSWER, sent).await, Ok(Ok(_))) {
                return Err(Ended::Lost);
            }
        }
        Ok(())
    }

    async fn lives(
        &mut self,
        line: &mut Line,
        worker: String,
        to: oneshot::Sender<Result<(), StoreError>>,
    ) -> Result<(), Ended> {
        let lock = sqlx::query(sql::WORKER_LIVES).bind(&worker).execute(&mut line.listener);
        let (answer, ended) = match timeout(ANSWER, lock).await {
            Ok(Ok(_)) => {
                self.workers.push(worker);
                (Ok(()), Ok(()))
            }
            Ok(Err(error)) => {
                let ended = if is_lost(&error) { Err(Ended::Lost) } else { Ok(()) };
                (Err(self.server.failed("taking the lock of a worker", error)), ended)
            }
            Err(_) => (Err(lost()), Err(Ended::Lost)),
        };
        // A caller that went away needs no answer.
        let _ = to.send(answer);
        ended
    }

    /// Connects again, however long it takes; none once nobody needs it.
    async fn reconnect(&mut self) -> Option<Line> {
        let mut pause = Duration::from_millis(100);
        loop {
            let error = match connect(&self.server, &self.workers).await {
                Ok(line) => return Some(line),
                Err(error) => error,
            };
            tracing::warn!(%error, "not listening to other processes; trying again");
            let rest = sleep(pause);
            tokio::pin!(rest);
            loop {
                tokio::select! {
                    () = &mut rest => break,
                    command = self.waiting.recv() => match command {
                        Some(Command::Tell(_)) => self.untold.store(true, Ordering::Relaxed),
                        Some(Command::Lives(_, to)) => drop(to.send(Err(lost()))),
                        None => return None,
                    },
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_fits_into_notifications_and_comes_back_whole() {
        let wide: Vec<i64> = (0..1000).map(|n| i64::MAX - n).collect();
        let told = Told { ready: true, changed: wide.clone(), ..Told::default() };
        let pieces = told.pieces();
        assert!(pieces.iter().all(|piece| piece.len() < 7168), "below 7 KB each");
        let mut back = Told::default();
        for piece in pieces {
            back.add(serde_json::from_str(&piece).expect("a piece is whole"));
        }
        assert!(back.ready && !back.all);
        back.changed.sort_unstable();
        assert_eq!(back.changed, wide.into_iter().rev().collect::<Vec<_>>());
    }

    #[test]
    fn too_much_to_tell_becomes_look_for_yourselves() {
        let changed = (0..100_000).collect();
        let pieces = Told { changed, ..Told::default() }.pieces();
        assert_eq!(pieces, [r#"{"r":false,"all":true}"#]);
    }
}
