//! A server on a free port with a real engine behind it, and a client that reads streams of events.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use apflow_core::{
    api::{Gateway, GatewayConfig, feed::FeedLimits},
    engine::{Engine, Worker},
    executor::{Context, ExecuteError},
    registry::Registry,
    store::Store,
    testing::SeededIds,
};
use apflow_protocols::http::HttpConfig;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    client::{connect, exchange, get, post},
    fake::Noon,
    server::{self, Server},
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(schemars::JsonSchema, serde::Serialize, serde::Deserialize)]
struct Said {
    #[serde(default)]
    text: String,
    #[serde(default)]
    millis: u64,
    #[serde(default)]
    repeat: usize,
}

/// `say` says its text `repeat` times after some time, `fail` fails.
fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.function("say", "Says it.", |input: Said, _: Context| async move {
        tokio::time::sleep(Duration::from_millis(input.millis)).await;
        let text = input.text.repeat(input.repeat.max(1));
        Ok::<_, ExecuteError>(Said { text, millis: 0, repeat: 0 })
    });
    registry.function("fail", "Fails.", |_: Said, _: Context| async {
        Err::<Said, _>(ExecuteError::permanent("it broke"))
    });
    registry
}

pub(crate) struct Live {
    pub(crate) server: Server,
    pub(crate) engine: Engine,
    pub(crate) gateway: Gateway,
    pub(crate) worker: Option<Worker>,
}

pub(crate) async fn start(config: HttpConfig) -> Live {
    let store = apflow_storage::open("sqlite::memory:", apflow_storage::OpenOptions::default());
    let mut live = over(store.await.expect("opens"), config, FeedLimits::default()).await;
    live.worker = Some(live.engine.work());
    live
}

/// Over any store, with nobody at work.
pub(crate) async fn over(store: Arc<dyn Store>, config: HttpConfig, feed: FeedLimits) -> Live {
    let engine =
        Engine::builder(store, Arc::new(SeededIds::new("id"))).registry(registry()).build();
    let settings = GatewayConfig { feed, ..GatewayConfig::default() };
    let gateway = Gateway::new(Arc::new(engine.clone()), Arc::new(Noon), settings);
    let server = server::start_with(gateway.clone(), config).await;
    Live { server, engine, gateway, worker: None }
}

/// A task that says something.
pub(crate) fn say(id: &str) -> Value {
    json!({ "id": id, "name": id, "schemas": {"method": "say"}, "inputs": {"text": id} })
}

/// An event as it came.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: Option<i64>,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

/// A stream of events that is being read.
pub(crate) struct Stream {
    socket: TcpStream,
    pub(crate) head: String,
    /// What came and was not read, chunk sizes taken out.
    text: String,
    raw: Vec<u8>,
    closed: bool,
}

impl Stream {
    pub(crate) async fn open(to: SocketAddr, request: &[u8]) -> Self {
        let mut socket = connect(to).await;
        socket.write_all(request).await.expect("sent");
        Self::of(socket).await
    }

    pub(crate) async fn of(socket: TcpStream) -> Self {
        let mut this = Self {
            socket,
            head: String::new(),
            text: String::new(),
            raw: Vec::new(),
            closed: false,
        };
        while this.head.is_empty() {
            assert!(!this.closed, "no response");
            this.more().await;
            if let Some(end) = this.raw.windows(4).position(|at| at == b"\r\n\r\n") {
                this.head = String::from_utf8_lossy(&this.raw[..end]).into_owned();
                this.raw.drain(..end + 4);
            }
        }
        assert!(this.head.starts_with("HTTP/1.1 200"), "{}", this.head);
        assert!(this.head.to_ascii_lowercase().contains("text/event-stream"), "{}", this.head);
        this.unchunk();
        this
    }

    pub(crate) async fn listen(to: SocketAddr, path: &str, headers: &str) -> Self {
        Self::open(to, &get(path, headers)).await
    }

    pub(crate) async fn execute(to: SocketAddr, params: Value) -> Self {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tasks.execute", "params": params});
        Self::open(to, &post("/tasks", "", &body.to_string())).await
    }

    async fn more(&mut self) {
        let mut piece = vec![0; 64 << 10];
        let read = timeout(PATIENCE, self.socket.read(&mut piece)).await.expect("in time");
        match read {
            Ok(0) | Err(_) => self.closed = true,
            Ok(n) => self.raw.extend_from_slice(&piece[..n]),
        }
    }

    /// Takes whole chunks out of what came.
    fn unchunk(&mut self) {
        while let Some(line) = self.raw.windows(2).position(|at| at == b"\r\n") {
            let size = String::from_utf8_lossy(&self.raw[..line]).into_owned();
            let size = usize::from_str_radix(&size, 16).expect("a chunk size");
            if self.raw.len() < line + 2 + size + 2 {
                return;
            }
            let chunk = self.raw[line + 2..line + 2 + size].to_vec();
            self.text.push_str(std::str::from_utf8(&chunk).expect("chunks are whole events"));
            self.raw.drain(..line + 2 + size + 2);
            if size == 0 {
                self.closed = true;
            }
        }
    }

    /// The next block between empty lines, comments too; none at the end.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block = self.text[..end].to_owned();
                self.text.drain(..end + 2);
                return Some(block);
            }
            if self.closed {
                return None;
            }
            self.more().await;
            self.unchunk();
        }
    }

    /// The next event; comments are passed over.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = parse(&self.block().await?) {
                return Some(event);
            }
        }
    }

    pub(crate) async fn events(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.event().await.expect("another event"));
        }
        events
    }

    /// Every event to the end of the stream.
    pub(crate) async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }
}

fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    let data = serde_json::from_str(field("data: ")?).expect("data is JSON in one line");
    Some(Event {
        id: field("id: ").map(|id| id.parse().expect("a position")),
        kind: field("event: ").unwrap_or_default().to_owned(),
        data,
    })
}

/// The words that name the events, with the task.
pub(crate) fn story(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .map(|event| format!("{} {}", event.kind, event.data["task_id"].as_str().unwrap_or("-")))
        .collect()
}

/// A JSON-RPC call on `/tasks` whose result is wanted.
pub(crate) async fn done(to: SocketAddr, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let answer = exchange(to, &post("/tasks", "", &body.to_string())).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["result"].clone()
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}
