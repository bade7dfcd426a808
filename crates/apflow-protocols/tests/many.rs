//! Ten thousand events to two hundred subscribers, one of them slow and one that comes back.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use apflow_core::{
    api::{Call, Caller, feed::FeedLimits},
    id::NodeId,
    store::{Claim, Ended, Settlement, Store},
};
use apflow_protocols::http::HttpConfig;
use apflow_storage::{Durability, OpenOptions};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::{
    client::{connect, get},
    live::{done, over},
};

/// Two events a task, and two for the run.
const TASKS: usize = 4_999;
const EVENTS: i64 = 10_000;
const SUBSCRIBERS: usize = 200;

/// How a subscriber behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Steady,
    /// Reads nothing until everything has happened, and then in small sips.
    Slow,
    /// Breaks off again and again, and comes back with the last id it has seen.
    Returning,
}

/// Looks for ids only: two hundred real clients would not share a process with the server.
struct Reader {
    stream: TcpStream,
    /// What of the last read was no whole line.
    rest: Vec<u8>,
    last: i64,
    bytes: usize,
}

impl Reader {
    async fn open(at: SocketAddr, last: i64, manner: Manner) -> Self {
        let mut stream = if manner == Manner::Slow {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.set_recv_buffer_size(4096).expect("a small buffer");
            socket.connect(at).await.expect("connects")
        } else {
            connect(at).await
        };
        let header = format!("Last-Event-ID: {last}\r\n");
        stream.write_all(&get("/v1/events", &header)).await.expect("sent");
        let rest = Vec::new();
        let mut reader = Self { stream, rest, last, bytes: 0 };
        // The head, so that it is known to listen.
        reader.read(1024).await;
        reader
    }

    /// Reads once; each event must be the one after the last.
    async fn read(&mut self, most: usize) {
        let mut piece = vec![0; most];
        let read = timeout(Duration::from_mins(1), self.stream.read(&mut piece)).await;
        let read = read.expect("in time").expect("the connection stands");
        assert!(read > 0, "the server closed the stream after event {}", self.last);
        self.bytes += read;
        self.rest.extend_from_slice(&piece[..read]);
        let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let text = std::str::from_utf8(&self.rest[..end]).expect("text");
        for line in text.split('\n') {
            if let Some(id) = line.strip_prefix("id: ") {
                let id: i64 = id.parse().expect("a position");
                assert_eq!(id, self.last + 1, "none lost and none twice");
                self.last = id;
            }
        }
        self.rest.drain(..end);
    }
}

async fn subscribe(at: SocketAddr, manner: Manner, everything: Arc<tokio::sync::Notify>) -> usize {
    let mut reader = Reader::open(at, 0, manner).await;
    if manner == Manner::Slow {
        everything.notified().await;
    }
    let mut broke_off = 0;
    while reader.last < EVENTS {
        match manner {
            Manner::Steady => reader.read(64 << 10).await,
            Manner::Slow => {
                reader.read(8 << 10).await;
                sleep(Duration::from_millis(1)).await;
            }
            Manner::Returning => {
                reader.read(16 << 10).await;
                if reader.last > 1_500 * (broke_off + 1) && reader.last < EVENTS {
                    broke_off += 1;
                    let bytes = reader.bytes;
                    reader = Reader::open(at, reader.last, manner).await;
                    reader.bytes += bytes;
                }
            }
        }
    }
    assert!(manner != Manner::Returning || broke_off >= 4, "it came back {broke_off} times");
    reader.bytes
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kilobytes.unwrap_or(0_usize) << 10
}

/// Does every task there is, some hundred at a time.
async fn work(store: &dyn Store) {
    let worker = NodeId::new("w");
    let claim = || Claim::new(worker.clone(), 250, Duration::from_mins(1));
    let mut batch = Vec::new();
    loop {
        let settled = store.settle(batch, Some(claim())).await.expect("settled");
        if settled.claimed.is_empty() {
            return;
        }
        let result = |at: usize| json!({ "number": at, "text": "x".repeat(100) });
        batch = settled
            .claimed
            .iter()
            .enumerate()
            .map(|(at, held)| {
                Settlement::new(held.seq, held.lease, Ended::Completed { result: result(at) })
            })
            .collect();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_events_reach_two_hundred_subscribers_once_each() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("apflow.db");
    let options = OpenOptions { durability: Durability::Relaxed, ..OpenOptions::default() };
    let store = apflow_storage::open(path.to_str().expect("UTF-8"), options).await.expect("opens");
    let feed = FeedLimits { events: 1_000, ..FeedLimits::default() };
    let live = over(Arc::clone(&store), HttpConfig::default(), feed).await;
    let at = live.server.at;
    let tasks: Vec<Value> = (0..TASKS)
        .map(|n| match n {
            0 => json!({"id": "t0", "name": "t"}),
            _ => json!({"id": format!("t{n}"), "name": "t", "parent_id": "t0"}),
        })
        .collect();
    let params = json!({"tasks": tasks, "options": {"structure_order": "none"}});
    let call = Call::read("tasks.create", params).expect("a call").call;
    live.gateway.call(&Caller::local(), call).await.expect("stored");
    let everything = Arc::new(tokio::sync::Notify::new());
    let mut readers = Vec::new();
    for number in 0..SUBSCRIBERS {
        let manner = match number {
            0 => Manner::Slow,
            1 => Manner::Returning,
            _ => Manner::Steady,
        };
        readers.push(tokio::spawn(subscribe(at, manner, Arc::clone(&everything))));
    }
    let hub = live.gateway.feed().expect("a feed").clone();
    crate::live::until("all listen", || hub.listeners() == SUBSCRIBERS).await;
    let before = resident();
    let began = Instant::now();
    done(at, "tasks.execute", json!({"task_id": "t0", "wait": false})).await;
    work(store.as_ref()).await;
    let happened = began.elapsed();
    everything.notify_one();
    let mut most = 0;
    let mut bytes = 0;
    for reader in readers {
        most = most.max(resident());
        bytes += reader.await.expect("none lost and none twice");
    }
    let took = began.elapsed();
    let grown = most.saturating_sub(before);
    println!(
        "{EVENTS} events to {SUBSCRIBERS} subscribers: {} MB in {took:?} (they happened in \
         {happened:?}), {} KB more resident",
        bytes >> 20,
        grown >> 10
    );
    // What is kept is the newest thousand events and a batch for each stream; queues for each
    // subscriber would have been 200 times as much as all events are.
    assert!(grown < 128 << 20, "memory is bounded: {} MB", grown >> 20);
}
