//! Channels kept by a Redis server instead of the database.
//!
//! What an operation does is decided by the same rules as everywhere; Redis is asked to write what came
//! of it only if the channel is as it was read. Values are gone some time after a channel was last used,
//! since Redis does not know when a run is forgotten.

use std::{
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::Duration,
};

use apflow_core::{
    channel::{
        Answer, ChannelError, ChannelId, Entry, Guard, KeyRange, MAX_CHANNEL_BYTES, MAX_KEYS,
        MAX_LISTED, Op,
        rules::{Cell, Change, Size, Slot, View, size_after, step},
    },
    store::{ChannelStore, StoreError},
    time::{Clock, Timestamp},
};
use async_trait::async_trait;
use redis::{
    Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, RedisError, Script,
    TlsCertificates,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::sync::Mutex;

/// How often a change is tried again that others came before.
const TRIES: u32 = 64;
/// Changes of one process take turns in so many lines, by channel: they would only undo one another.
const LINES: usize = 64;

/// How to reach a Redis server and what to keep there.
#[derive(Clone)]
pub struct RedisOptions {
    /// `rediss://user:password@host:6379/0`; `redis://` only for this machine unless it is allowed.
    pub address: String,
    /// What every key begins with.
    pub prefix: String,
    /// How long a channel is kept after it was last used.
    pub keep: Duration,
    /// Certificates in PEM to trust instead of the usual ones.
    pub root_certificates: Option<Vec<u8>>,
    /// Also take an address without TLS on another machine.
    pub allow_plain: bool,
    /// A clock instead of the server's own, for tests.
    pub clock: Option<Arc<dyn Clock>>,
}

impl RedisOptions {
    /// The usual settings for an address.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            prefix: "apflow".to_owned(),
            keep: Duration::from_hours(30 * 24),
            root_certificates: None,
            allow_plain: false,
            clock: None,
        }
    }
}

/// Keeps channels in a Redis server.
pub struct RedisChannels {
    connection: ConnectionManager,
    prefix: String,
    keep: u64,
    clock: Option<Arc<dyn Clock>>,
    lines: Vec<Mutex<()>>,
    read: Script,
    write: Script,
    list: Script,
    sweep: Script,
}

impl RedisChannels {
    /// Connects; the server must answer.
    pub async fn connect(options: RedisOptions) -> Result<Self, StoreError> {
        let info = options.address.as_str().into_connection_info().map_err(|_| {
            refused("the address of the Redis server cannot be read", "write rediss://host:6379/0")
        })?;
        may_be_called(info.addr(), options.allow_plain)?;
        let certificates =
            TlsCertificates { client_tls: None, root_cert: options.root_certificates };
        let client = if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            Client::build_with_tls(info, certificates)
        } else {
            Client::open(info)
        };
        let client = client.map_err(|error| failed("reading the address", error))?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(2)
            .set_max_delay(Duration::from_secs(2))
            .set_connection_timeout(Some(Duration::from_secs(5)))
            .set_response_timeout(Some(Duration::from_secs(5)));
        let connection = client
            .get_connection_manager_with_config(config)
            .await
            .map_err(|error| failed("connecting", error))?;
        Ok(Self {
            connection,
            prefix: options.prefix,
            keep: u64::try_from(options.keep.as_millis()).unwrap_or(u64::MAX).max(1),
            clock: options.clock,
            lines: (0..LINES).map(|_| Mutex::new(())).collect(),
            read: Script::new(include_str!("read.lua")),
            write: Script::new(include_str!("write.lua")),
            list: Script::new(include_str!("list.lua")),
            sweep: Script::new(include_str!("sweep.lua")),
        })
    }

    /// The keys of cells, state and order; the braces keep them together in a cluster.
    fn keys(&self, id: &ChannelId) -> [String; 3] {
        ["cells", "state", "order"]
            .map(|what| format!("{}:{{{}}}:{}:{what}", self.prefix, id.tree, id.pass))
    }

    fn now(&self) -> String {
        self.clock.as_ref().map(|clock| clock.now().0.to_string()).unwrap_or_default()
    }

    async fn look(&self, id: &ChannelId, fields: &[String]) -> Result<Look, StoreError> {
        let mut call = self.read.prepare_invoke();
        for key in self.keys(id) {
            call.key(key);
        }
        call.arg(self.now()).arg(self.keep);
        for field in fields {
            call.arg(field);
        }
        let mut connection = self.connection.clone();
        let words: Vec<String> = call
            .invoke_async(&mut connection)
            .await
            .map_err(|error| failed("reading a channel", error))?;
        Look::of(&words)
    }

    async fn sweep(&self, id: &ChannelId) -> Result<u64, StoreError> {
        let mut call = self.sweep.prepare_invoke();
        for key in self.keys(id) {
            call.key(key);
        }
        call.arg(self.now());
        let mut connection = self.connection.clone();
        call.invoke_async(&mut connection)
            .await
            .map_err(|error| failed("making room in a channel", error))
    }

    /// Tries once; none if somebody else came before.
    async fn attempt(
        &self,
        id: &ChannelId,
        op: &Op,
        guard: Option<&Guard>,
    ) -> Result<Option<Answer>, ChannelError> {
        let slot = op.slot();
        let lock = guard.map(|guard| Slot::lock(&guard.name));
        let fields: Vec<String> =
            std::iter::once(&slot).chain(&lock).map(|slot| field(id, slot)).collect();
        let mut found = self.look(id, &fields).await?;
        let is_near_full =
            |size: Size| size.keys >= MAX_KEYS / 8 * 7 || size.bytes >= MAX_CHANNEL_BYTES / 8 * 7;
        if is_near_full(found.size) && self.sweep(id).await? > 0 {
            found = self.look(id, &fields).await?;
        }
        let here = found.cells.first().and_then(Option::as_ref);
        let held = found.cells.get(1).and_then(Option::as_ref);
        let (size, now) = (found.size, found.now);
        let view = View { cell: here, lock: held, size, next: found.version + 1, now };
        let (change, answer) = step(op, guard, view)?;
        let (text, after) = match change {
            Change::None => return Ok(Some(answer)),
            Change::Put(cell) => (written(&cell), Some(cell)),
            Change::Remove => (String::new(), None),
        };
        // What lives now may expire before it is written; then somebody else may have seen it gone.
        let ends = [here, held].into_iter().flatten().filter(|cell| cell.lives(now));
        let holds_until = ends.filter_map(|cell| cell.expires_at).min();
        let bytes = size_after(size, &slot, here, after.as_ref()).bytes;
        let mut call = self.write.prepare_invoke();
        for key in self.keys(id) {
            call.key(key);
        }
        call.arg(self.now())
            .arg(self.keep)
            .arg(found.version.to_string())
            .arg(holds_until.map(|until| until.0.to_string()).unwrap_or_default())
            .arg(&fields[0])
            .arg(text)
            .arg(bytes);
        let mut connection = self.connection.clone();
        let done: u8 = call
            .invoke_async(&mut connection)
            .await
            .map_err(|error| failed("writing into a channel", error))?;
        Ok((done == 1).then_some(answer))
    }
}

#[async_trait]
impl ChannelStore for RedisChannels {
    async fn channel_do(
        &self,
        id: &ChannelId,
        op: Op,
        guard: Option<Guard>,
    ) -> Result<Answer, ChannelError> {
        op.check()?;
        let writes = !matches!(op, Op::Get { .. });
        let _turn = if writes {
            let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&id.tree);
            // A remainder of the number of lines names one of them.
            let line = usize::try_from(hash % LINES as u64).unwrap_or(0);
            Some(self.lines[line].lock().await)
        } else {
            None
        };
        for _ in 0..TRIES {
            if let Some(answer) = self.attempt(id, &op, guard.as_ref()).await? {
                return Ok(answer);
            }
        }
        Err(ChannelError::Store(StoreError::Conflict))
    }

    async fn channel_entries(
        &self,
        id: &ChannelId,
        range: KeyRange,
    ) -> Result<Vec<Entry>, ChannelError> {
        let slot = |key: &str| if range.locks { Slot::lock(key) } else { Slot::value(key) };
        let first = field(id, &slot(&range.prefix));
        // No byte of UTF-8 is 255, so this is behind all that begin alike.
        let end = [b"(", first.as_bytes(), b"\xff"].concat();
        let from = match &range.after {
            Some(key) if field(id, &slot(key)) >= first => format!("({}", field(id, &slot(key))),
            _ => format!("[{first}"),
        };
        let mut call = self.list.prepare_invoke();
        let [cells, _, order] = self.keys(id);
        call.key(cells).key(order);
        call.arg(self.now()).arg(from).arg(end).arg(range.limit.min(MAX_LISTED));
        let mut connection = self.connection.clone();
        let words: Vec<String> = call
            .invoke_async(&mut connection)
            .await
            .map_err(|error| failed("listing a channel", error))?;
        let mut entries = Vec::new();
        for pair in words.get(1..).unwrap_or_default().chunks_exact(2) {
            let Cell { value, version, expires_at } = read(&pair[1])?;
            let slot = pair[0].split_once('\n').map_or("", |(_, slot)| slot);
            let key = Slot::key_of(slot).to_owned();
            entries.push(Entry { key, value, version, expires_at });
        }
        Ok(entries)
    }
}

/// A channel as it was read.
struct Look {
    now: Timestamp,
    version: u64,
    size: Size,
    cells: Vec<Option<Cell>>,
}

impl Look {
    fn of(words: &[String]) -> Result<Self, StoreError> {
        let number = |at: usize| {
            let word = words.get(at).and_then(|word| word.parse::<u64>().ok());
            word.ok_or_else(|| corrupt("the state of a channel"))
        };
        let cell = |word: &String| if word.is_empty() { Ok(None) } else { read(word).map(Some) };
        Ok(Self {
            now: Timestamp(i64::try_from(number(0)?).unwrap_or(i64::MAX)),
            version: number(1)?,
            size: Size { bytes: number(2)?, keys: number(3)? },
            cells: words.get(4..).unwrap_or_default().iter().map(cell).collect::<Result<_, _>>()?,
        })
    }
}

/// Where a place lies; neither a space nor a key holds a line end.
fn field(id: &ChannelId, slot: &Slot) -> String {
    format!("{}\n{}", id.space, slot.as_str())
}

/// A cell as a text: version, end, value.
fn written(cell: &Cell) -> String {
    let end = cell.expires_at.map(|end| end.0.to_string());
    format!("{}:{}:{}", cell.version, end.as_deref().unwrap_or("-"), cell.value)
}

fn read(text: &str) -> Result<Cell, StoreError> {
    let mut parts = text.splitn(3, ':');
    let mut part = || parts.next().ok_or_else(|| corrupt("a value of a channel"));
    let (version, end, value) = (part()?, part()?, part()?);
    let bad = |_| corrupt("a value of a channel");
    Ok(Cell {
        version: version.parse().map_err(bad)?,
        expires_at: if end == "-" { None } else { Some(Timestamp(end.parse().map_err(bad)?)) },
        value: serde_json::from_str(value).map_err(|_| corrupt("a value of a channel"))?,
    })
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Unavailable {
        what: format!("the Redis server holds what apflow did not write there: {what}"),
        source: None,
    }
}

fn refused(what: &str, hint: &str) -> StoreError {
    StoreError::Address { what: what.to_owned(), hint: hint.to_owned() }
}

/// Passwords and values do not travel in the open, and a certificate is looked at.
fn may_be_called(address: &ConnectionAddr, allow_plain: bool) -> Result<(), StoreError> {
    match address {
        ConnectionAddr::TcpTls { insecure: true, .. } => Err(refused(
            "the address of the Redis server switches the check of its certificate off",
            "give its certificate as a trusted one instead",
        )),
        ConnectionAddr::Tcp(host, _) if !allow_plain && !is_here(host) => Err(refused(
            &format!("the Redis server on {host} would be called without TLS"),
            "write rediss:// instead of redis://, or allow it explicitly",
        )),
        _ => Ok(()),
    }
}

fn is_here(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn failed(doing: &str, error: RedisError) -> StoreError {
    let what = format!("the Redis server, {doing}: {error}");
    if error.kind() == ErrorKind::AuthenticationFailed {
        let hint =
            "see the user and the password in its address, and what the user may do".to_owned();
        return StoreError::Address { what, hint };
    }
    StoreError::Unavailable { what, source: Some(Box::new(error)) }
}
