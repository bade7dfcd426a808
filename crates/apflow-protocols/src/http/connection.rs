//! One connection watched from below: how long it may be silent, and who has to go when it gets full.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::CancellationToken;

use super::HttpConfig;

/// What the two ends of the server know of one connection.
#[derive(Default)]
pub(super) struct Activity {
    busy: AtomicU32,
    served: AtomicU64,
    evicted: CancellationToken,
}

impl Activity {
    /// Marks the connection busy until the answer is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Waits until the connection has to make room.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }
}

/// A request of the connection is being answered.
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.served.fetch_add(1, Ordering::Relaxed);
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All open connections, oldest first.
#[derive(Default)]
pub(super) struct Crowd {
    next: AtomicU64,
    members: Mutex<BTreeMap<u64, Arc<Activity>>>,
}

impl Crowd {
    pub(super) fn join(self: &Arc<Self>, activity: &Arc<Activity>) -> Member {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, Arc::clone(activity));
        Member { crowd: Arc::clone(self), number }
    }

    /// Closes the oldest connection that no request is being answered on.
    pub(super) fn evict(&self) {
        let members = self.lock();
        let idle = |it: &&Arc<Activity>| !it.is_busy() && !it.evicted.is_cancelled();
        if let Some(oldest) = members.values().find(idle) {
            oldest.evicted.cancel();
        }
    }

    /// A panic elsewhere cannot have left the map half changed.
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<Activity>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves the crowd when dropped.
pub(super) struct Member {
    crowd: Arc<Crowd>,
    number: u64,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.crowd.lock().remove(&self.number);
    }
}

/// A stream that fails when the other side is silent for too long.
pub(super) struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
    phase: Phase,
    /// How many requests had been served when the phase was last looked at.
    served: u64,
    /// When the present phase is over, unless a request is being answered.
    timer: Pin<Box<Sleep>>,
    stalled: Option<Pin<Box<Sleep>>>,
    header: Duration,
    keep_alive: Duration,
    write_stall: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing of a request has come.
    Idle,
    /// The headers are coming.
    Header,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>, config: &HttpConfig) -> Self {
        // Answers are small; waiting to fill a packet costs each of them milliseconds.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its packets back");
        }
        Self {
            stream,
            activity,
            phase: Phase::Idle,
            served: 0,
            timer: Box::pin(sleep(config.first_byte)),
            stalled: None,
            header: config.header,
            keep_alive: config.keep_alive,
            write_stall: config.write_stall,
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        let time = match phase {
            Phase::Idle => self.keep_alive,
            Phase::Header => self.header,
        };
        self.timer.as_mut().reset(Instant::now() + time);
    }

    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stalled = None;
            return done;
        }
        let time = self.write_stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(time)));
        if stalled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if this.activity.is_busy() {
            // The body and the answer have clocks of their own.
            return read;
        }
        let served = this.activity.served.load(Ordering::Relaxed);
        if served != this.served {
            this.served = served;
            this.enter(Phase::Idle);
        }
        if read.is_ready() {
            if this.phase == Phase::Idle && buf.filled().len() > before {
                this.enter(Phase::Header);
            }
            return read;
        }
        if this.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.written(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.written(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        this.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
