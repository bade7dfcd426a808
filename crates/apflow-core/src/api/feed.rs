//! The journal for everybody who listens: one reader for all of them, and the newest events in memory.
//!
//! A subscriber has no queue, only a position. Whoever keeps up takes events from the memory that all
//! share; whoever does not reads the database at its own position and joins the others when it has
//! caught up. So nobody is waited for, nobody loses an event, and what a slow one costs is bounded.
//! Those who are behind together read together: see `blocks.rs`.

mod blocks;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore},
    task::AbortHandle,
    time::sleep,
};

use self::blocks::{BLOCK, Blocks};
use super::event;
use crate::{
    engine::watch::{Ear, Topic, newest},
    id::{TaskId, TreeId},
    store::{Store, StoreError, Told},
};

/// Events the reader reads at once.
const PAGE: u32 = 256;
/// Events a subscriber that has fallen behind reads at once.
const OWN_PAGE: u32 = 32;
/// Subscribers that read for themselves at the same time.
const READERS: usize = 4;
/// How far behind, in numbers of events, a listener of one tree still reads what all others read.
const NEAR: i64 = 64 * BLOCK;
/// How long the reader rests after the store has failed.
const REST: Duration = Duration::from_secs(1);

/// How much of the journal is kept in memory, and how much is handed over at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedLimits {
    /// Events in memory.
    pub events: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// Bytes of a result that is told with the end of its task.
    pub result_bytes: u32,
    /// Bytes after which a batch is handed over.
    pub batch_bytes: usize,
}

impl Default for FeedLimits {
    fn default() -> Self {
        Self { events: 16 << 10, bytes: 8 << 20, result_bytes: 32 << 10, batch_bytes: 64 << 10 }
    }
}

/// An event and its wording, shared by all who are told of it.
#[derive(Debug)]
pub struct Item {
    /// The event.
    pub told: Told,
    /// Its data in the words of `/tasks`, as JSON in one line.
    pub data: String,
}

impl Item {
    fn new(told: Told) -> Arc<Self> {
        let data = event::data(&told).to_string();
        Arc::new(Self { told, data })
    }

    /// Its position in the journal.
    pub fn seq(&self) -> i64 {
        self.told.event.seq
    }

    /// Roughly what it takes up.
    fn bytes(&self) -> usize {
        // The event itself holds the result once more.
        2 * self.data.len() + 256
    }
}

/// Of which events somebody wants to hear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of these trees; empty: of all.
    pub trees: Vec<TreeId>,
    /// Those of this task, and of its tree as a whole.
    pub task: Option<TaskId>,
    /// Those of this owner's trees.
    pub owner: Option<String>,
}

impl Filter {
    fn lets(&self, told: &Told) -> bool {
        (self.trees.is_empty() || self.trees.contains(&told.event.tree))
            && self.owner.as_ref().is_none_or(|owner| told.owner.as_ref() == Some(owner))
            && match (&self.task, &told.event.task) {
                (Some(wanted), Some(task)) => wanted == task,
                _ => true,
            }
    }
}

/// The journal for everybody who listens.
#[derive(Clone)]
pub struct Feed {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    back_stop: Duration,
    limits: FeedLimits,
    state: Mutex<State>,
    /// Places for those who read for themselves.
    places: Semaphore,
    /// What those who are behind have read.
    blocks: Blocks,
}

#[derive(Default)]
struct State {
    /// Every event after `low` up to `head`, if the reader knows where it is.
    memory: Option<Memory>,
    reader: Option<AbortHandle>,
    listeners: HashMap<u64, Listener>,
    next: u64,
}

#[derive(Default)]
struct Memory {
    items: VecDeque<Arc<Item>>,
    bytes: usize,
    low: i64,
    head: i64,
}

struct Listener {
    trees: HashSet<TreeId>,
    owner: Option<String>,
    wake: Arc<Notify>,
}

impl Memory {
    fn push(&mut self, items: &[Arc<Item>], limits: FeedLimits) {
        for item in items {
            self.bytes += item.bytes();
            self.head = item.seq();
            self.items.push_back(Arc::clone(item));
        }
        while self.items.len() > limits.events || self.bytes > limits.bytes {
            let Some(item) = self.items.pop_front() else { break };
            self.bytes -= item.bytes();
            self.low = item.seq();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it is held leaves a state that is whole: each change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those whom some of the events may concern.
    fn wake(state: &State, items: &[Arc<Item>]) {
        let trees: HashSet<&TreeId> = items.iter().map(|item| &item.told.event.tree).collect();
        let owners: HashSet<Option<&str>> =
            items.iter().map(|item| item.told.owner.as_deref()).collect();
        for listener in state.listeners.values() {
            let few = listener.trees.len() <= trees.len();
            let of_tree = listener.trees.is_empty()
                || if few {
                    listener.trees.iter().any(|tree| trees.contains(tree))
                } else {
                    trees.iter().any(|tree| listener.trees.contains(*tree))
                };
            let of_owner = listener.owner.is_none() || owners.contains(&listener.owner.as_deref());
            if of_tree && of_owner {
                listener.wake.notify_one();
            }
        }
    }

    /// A block that lies wholly before what the reader has read.
    async fn block(&self, number: i64) -> Result<Arc<[Arc<Item>]>, StoreError> {
        let most = self.limits.result_bytes;
        let read = async {
            // Closed it never is.
            let _place = self.places.acquire().await;
            let limit = u32::try_from(BLOCK).unwrap_or(u32::MAX);
            let page = self.store.told(None, number * BLOCK, limit, most).await?;
            let end = (number + 1) * BLOCK;
            let inside = page.into_iter().filter(|told| told.event.seq <= end);
            Ok(inside.map(Item::new).collect())
        };
        self.blocks.get(number, self.limits.bytes, read).await
    }

    async fn read(self: Arc<Self>) {
        let mut ear = Ear::new(self.store.as_ref(), self.back_stop, Topic::Changes);
        let mut head = None;
        loop {
            // Whatever is heard from here on may be something the reading below does not see.
            ear.forget();
            match self.read_on(&mut head).await {
                Ok(()) => ear.hear().await,
                Err(error) => {
                    tracing::warn!(%error, "the journal could not be read; trying again");
                    sleep(REST).await;
                }
            }
        }
    }

    /// Reads to the end of the journal.
    async fn read_on(&self, head: &mut Option<i64>) -> Result<(), StoreError> {
        let mut after = if let Some(head) = *head {
            head
        } else {
            let at = newest(self.store.as_ref()).await?;
            *head = Some(at);
            let mut state = self.lock();
            state.memory = Some(Memory { low: at, head: at, ..Memory::default() });
            state.listeners.values().for_each(|listener| listener.wake.notify_one());
            at
        };
        loop {
            let page = self.store.told(None, after, PAGE, self.limits.result_bytes).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.event.seq;
            *head = Some(after);
            let items: Vec<Arc<Item>> = page.into_iter().map(Item::new).collect();
            let mut state = self.lock();
            if let Some(memory) = &mut state.memory {
                memory.push(&items, self.limits);
            }
            Self::wake(&state, &items);
        }
    }
}

impl Feed {
    /// A feed from this store; it reads nothing until somebody listens.
    pub fn new(store: Arc<dyn Store>, back_stop: Duration, limits: FeedLimits) -> Self {
        let (state, places) = (Mutex::default(), Semaphore::new(READERS));
        let blocks = Blocks::default();
        Self { shared: Arc::new(Shared { store, back_stop, limits, state, places, blocks }) }
    }

    /// Listens from position `after` on; must be called within a tokio runtime.
    pub fn from(&self, filter: Filter, after: i64) -> Subscription {
        let wake = Arc::new(Notify::new());
        let mut state = self.shared.lock();
        let key = state.next;
        state.next += 1;
        let listener = Listener {
            trees: filter.trees.iter().cloned().collect(),
            owner: filter.owner.clone(),
            wake: Arc::clone(&wake),
        };
        state.listeners.insert(key, listener);
        if state.reader.is_none() {
            let reading = tokio::spawn(Arc::clone(&self.shared).read());
            state.reader = Some(reading.abort_handle());
        }
        drop(state);
        let shared = Arc::clone(&self.shared);
        Subscription { shared, key, filter, cursor: after, wake, own: VecDeque::new() }
    }

    /// Listens to whatever happens from now on: what is committed after this returns is told.
    pub async fn from_now(&self, filter: Filter) -> Result<Subscription, StoreError> {
        // Known before it reads, so that the memory does not move on without it.
        let mut subscription = self.from(filter, 0);
        let known = self.shared.lock().memory.as_ref().map(|memory| memory.head);
        subscription.cursor = match known {
            Some(head) => head,
            None => newest(self.shared.store.as_ref()).await?,
        };
        Ok(subscription)
    }

    /// A position before everything that ever happened in a tree.
    pub async fn begin_of(&self, tree: &TreeId) -> Result<i64, StoreError> {
        let first = self.shared.store.events(Some(tree), 0, 1).await?.into_iter().next();
        Ok(first.map_or(0, |event| event.seq - 1))
    }

    /// How many listen now.
    pub fn listeners(&self) -> usize {
        self.shared.lock().listeners.len()
    }

    /// Whether somebody reads the journal.
    pub fn is_reading(&self) -> bool {
        self.shared.lock().reader.is_some()
    }
}

/// One listener and how far it is.
pub struct Subscription {
    shared: Arc<Shared>,
    key: u64,
    filter: Filter,
    /// Everything up to here was handed over or is not wanted.
    cursor: i64,
    wake: Arc<Notify>,
    /// What it read for itself and has not handed over.
    own: VecDeque<Arc<Item>>,
}

/// What the memory has for a listener.
enum Look {
    /// These come next.
    Items(Vec<Arc<Item>>),
    /// Nothing new.
    Nothing,
    /// The memory begins later than it needs; where the memory ends, if there is one.
    Behind(Option<i64>),
}

impl Subscription {
    /// What comes next; waits until there is something. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Vec<Arc<Item>>, StoreError> {
        loop {
            let batch = self.take_own();
            if !batch.is_empty() {
                return Ok(batch);
            }
            match self.look() {
                Look::Items(items) => return Ok(items),
                Look::Nothing => self.wake.notified().await,
                Look::Behind(head) => {
                    let came = self.read_own(head).await?;
                    // Without a memory yet, its reader wakes everybody when there is one.
                    if !came && head.is_none() {
                        self.wake.notified().await;
                    }
                }
            }
        }
    }

    fn take_own(&mut self) -> Vec<Arc<Item>> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < self.shared.limits.batch_bytes
            && let Some(item) = self.own.pop_front()
        {
            bytes += item.data.len();
            batch.push(item);
        }
        batch
    }

    fn look(&mut self) -> Look {
        let state = self.shared.lock();
        let Some(memory) = &state.memory else { return Look::Behind(None) };
        if self.cursor < memory.low {
            return Look::Behind(Some(memory.head));
        }
        let start = memory.items.partition_point(|item| item.seq() <= self.cursor);
        let (mut items, mut bytes) = (Vec::new(), 0);
        for item in memory.items.range(start..) {
            self.cursor = item.seq();
            if self.filter.lets(&item.told) {
                bytes += item.data.len();
                items.push(Arc::clone(item));
                if bytes >= self.shared.limits.batch_bytes {
                    break;
                }
            }
        }
        if items.is_empty() {
            self.cursor = self.cursor.max(memory.head);
            return Look::Nothing;
        }
        Look::Items(items)
    }

    /// Reads on at its own position. `head` is a position that was read before, so everything up to it
    /// is there to be read. True if that brought it on.
    async fn read_own(&mut self, head: Option<i64>) -> Result<bool, StoreError> {
        let tree = match self.filter.trees.as_slice() {
            [one] => Some(one),
            _ => None,
        };
        let block = self.cursor / BLOCK;
        let end = (block + 1) * BLOCK;
        if let Some(head) = head
            && end <= head
            && (tree.is_none() || head - self.cursor < NEAR)
        {
            let items = self.shared.block(block).await?;
            let next = items.iter().filter(|item| item.seq() > self.cursor);
            self.own.extend(next.filter(|item| self.filter.lets(&item.told)).cloned());
            self.cursor = end;
            return Ok(true);
        }
        // Closed it never is.
        let _place = self.shared.places.acquire().await;
        let most = self.shared.limits.result_bytes;
        let page = self.shared.store.told(tree, self.cursor, OWN_PAGE, most).await?;
        let whole = page.len() < OWN_PAGE as usize;
        let last = page.last().map(|told| told.event.seq);
        let came = last.is_some() || (whole && head.is_some());
        self.cursor = self.cursor.max(last.unwrap_or(0));
        if whole {
            self.cursor = self.cursor.max(head.unwrap_or(0));
        }
        let wanted = page.into_iter().filter(|told| self.filter.lets(told));
        self.own.extend(wanted.map(Item::new));
        Ok(came)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.listeners.remove(&self.key);
        if state.listeners.is_empty() {
            if let Some(reader) = state.reader.take() {
                reader.abort();
            }
            // Whoever comes next finds a journal that has gone on unread.
            state.memory = None;
            self.shared.blocks.clear();
        }
    }
}
