//! The HTTP server: connections with limits, the router behind them, and a way to stop gently.

mod admission;
mod body;
mod connection;
mod docs;
mod feedback;
mod gate;
mod guard;
mod health;
mod openapi;
mod peer;
mod problem;
mod rest;
mod router;
mod seats;
mod sse;
mod webhook;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use apflow_core::{api::Gateway, webhook::Network};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service as _;

pub use self::admission::Rate;
use self::{
    admission::Admission,
    connection::{Activity, Crowd, Watched},
    peer::Peer,
};
use crate::auth::Gate;

/// Every limit of the server, with its default.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct HttpConfig {
    /// Connections at the same time; the longest idle one makes room for a new one.
    pub connections: usize,
    /// Until the first byte of a fresh connection.
    pub first_byte: Duration,
    /// From the first byte of a request to the end of its headers.
    pub header: Duration,
    /// Between two requests of one connection.
    pub keep_alive: Duration,
    /// Between two pieces of a body.
    pub body_idle: Duration,
    /// While the client takes nothing of a response.
    pub write_stall: Duration,
    /// For one request in all; an execution that is waited for has `execute_wait` besides.
    pub total: Duration,
    /// For requests in flight when the server stops.
    pub grace: Duration,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Bytes of the path and query.
    pub uri_bytes: usize,
    /// Bytes of all headers.
    pub header_bytes: usize,
    /// Headers.
    pub headers: usize,
    /// Names besides `localhost`, `127.0.0.1` and `[::1]` that a loopback server answers to; a server on
    /// another address answers to these only, or to every name if there are none.
    pub hosts: Vec<String>,
    /// Origins besides the server's own whose pages may call it.
    pub origins: Vec<String>,
    /// Requests that are answered at the same time; those beyond are told to come later.
    pub requests: usize,
    /// Runs that are waited for at the same time, besides those requests.
    pub waits: usize,
    /// How often one caller may ask; none: as often as it likes.
    pub rate: Option<Rate>,
    /// `/tasks` and `/system` word errors as the first Python version did (`compat.errors = "v1"`).
    pub compat_errors_v1: bool,
    /// `/openapi.json` is there.
    pub openapi: bool,
    /// `/docs` is there: a page for people that lists the operations.
    pub docs: bool,
    /// `/system` and `/v1/system` are there.
    pub system_routes: bool,
    /// Who may call; none: everybody who reaches the server.
    pub auth: Option<Arc<Gate>>,
    /// Proxies that may say in `X-Forwarded-For` whom they speak for.
    pub proxies: Vec<Network>,
    /// Streams of events at the same time; fewer than `connections`, or nobody else could call.
    pub streams: usize,
    /// Streams of events that one caller who said who it is may have at the same time.
    pub streams_per_caller: usize,
    /// How often a stream on which nothing happens shows that it lives.
    pub heartbeat: Duration,
    /// How soon a client should come back whose stream was ended by the server.
    pub stream_retry: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connections: 1024,
            first_byte: Duration::from_secs(5),
            header: Duration::from_secs(5),
            keep_alive: Duration::from_mins(1),
            body_idle: Duration::from_secs(10),
            write_stall: Duration::from_secs(30),
            total: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            body_bytes: 1 << 20,
            uri_bytes: 8 << 10,
            header_bytes: 64 << 10,
            headers: 64,
            hosts: Vec::new(),
            origins: Vec::new(),
            requests: 512,
            waits: 256,
            rate: None,
            compat_errors_v1: false,
            openapi: true,
            docs: true,
            system_routes: true,
            auth: None,
            proxies: Vec::new(),
            streams: 512,
            streams_per_caller: 64,
            heartbeat: Duration::from_secs(15),
            stream_retry: Duration::from_secs(1),
        }
    }
}

/// What every request can see.
struct App {
    gateway: Gateway,
    config: HttpConfig,
    admission: Admission,
    /// The listener is bound to a loopback address.
    loopback: bool,
    /// Begins the numbers of requests, so that those of two processes differ.
    prefix: u64,
    requests: std::sync::atomic::AtomicU64,
    /// Who has how many streams open.
    seats: Arc<seats::Seats>,
    /// The server is stopping.
    draining: CancellationToken,
    /// The grace is over: whatever still runs is answered now.
    cut: CancellationToken,
}

/// Time for the last answers to reach their clients once the grace is over.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves until `shutdown`, then lets requests in flight end within the grace, then closes.
pub async fn serve(
    listener: TcpListener,
    gateway: Gateway,
    config: HttpConfig,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let loopback = listener.local_addr()?.ip().is_loopback();
    let app = Arc::new(App {
        gateway,
        admission: Admission::new(&config),
        loopback,
        prefix: router::random(),
        seats: Arc::default(),
        requests: std::sync::atomic::AtomicU64::new(0),
        draining: shutdown.clone(),
        cut: CancellationToken::new(),
        config,
    });
    let server = Server {
        router: router::router(Arc::clone(&app)),
        http: protocol(&app.config),
        crowd: Arc::new(Crowd::default()),
        permits: Arc::new(Semaphore::new(app.config.connections)),
        tasks: TaskTracker::new(),
        close: CancellationToken::new(),
        app,
    };
    server.accept(listener, &shutdown).await;
    server.drain().await;
    Ok(())
}

fn protocol(config: &HttpConfig) -> http1::Builder {
    let mut http = http1::Builder::new();
    // Hyper runs one clock for a new request and for an idle connection, so it gets the longer time;
    // `Watched` keeps the shorter ones.
    http.timer(TokioTimer::new())
        .header_read_timeout(config.keep_alive.max(config.header))
        // The buffer may take in more than its limit in one read, so the headers have one of their own.
        .max_buf_size(config.header_bytes.max(8 << 10))
        .max_header_size(config.header_bytes)
        .max_headers(config.headers);
    http
}

struct Server {
    app: Arc<App>,
    router: axum::Router,
    http: http1::Builder,
    crowd: Arc<Crowd>,
    permits: Arc<Semaphore>,
    tasks: TaskTracker,
    close: CancellationToken,
}

impl Server {
    async fn accept(&self, listener: TcpListener, shutdown: &CancellationToken) {
        loop {
            let (stream, from) = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of file descriptors, most likely: some must close first.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let permit = tokio::select! {
                () = shutdown.cancelled() => return,
                permit = self.room() => permit,
            };
            if let Some(permit) = permit {
                self.tasks.spawn(self.connection(stream, from, permit));
            }
        }
    }

    /// A place for one more connection, taken from the longest idle one if it must be.
    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                return Some(permit);
            }
            self.crowd.evict();
            let wait = Arc::clone(&self.permits).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(Duration::from_millis(50), wait).await {
                return permit.ok();
            }
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
        from: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + use<> {
        let activity = Arc::new(Activity::default());
        let member = self.crowd.join(&activity);
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity), &self.app.config));
        let mut router = self.router.clone();
        let mark = Arc::clone(&activity);
        let service = TowerToHyperService::new(tower::service_fn(
            move |mut request: hyper::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(Peer(from));
                let busy = mark.begin();
                // An answer that goes on after its head keeps the connection busy by itself.
                request.extensions_mut().insert(Arc::clone(&mark));
                let answer = router.call(request);
                async move {
                    let response = answer.await;
                    drop(busy);
                    response
                }
            },
        ));
        let connection = self.http.serve_connection(io, service);
        let (draining, close) = (self.app.draining.clone(), self.close.clone());
        async move {
            let _held = (permit, member);
            tokio::pin!(connection);
            let mut asked = false;
            loop {
                tokio::select! {
                    ended = connection.as_mut() => {
                        if let Err(error) = ended {
                            tracing::debug!(%error, "a connection ended early");
                        }
                        return;
                    }
                    () = draining.cancelled(), if !asked => {
                        connection.as_mut().graceful_shutdown();
                        asked = true;
                    }
                    () = activity.evicted() => return,
                    () = close.cancelled() => return,
                }
            }
        }
    }

    async fn drain(self) {
        self.tasks.close();
        if tokio::time::timeout(self.app.config.grace, self.tasks.wait()).await.is_ok() {
            return;
        }
        self.app.cut.cancel();
        if tokio::time::timeout(FAREWELL, self.tasks.wait()).await.is_err() {
            self.close.cancel();
            self.tasks.wait().await;
        }
    }
}
