//! Channels: what a transaction and a reader are asked for them, and the store's part.

use apflow_core::{
    channel::{
        Answer, ChannelError, ChannelId, Entry, Guard, KeyRange, MAX_LISTED, Op,
        rules::{Cell, Change, Slot, View, step},
    },
    id::{Seq, TreeId, after_all_like},
    store::{ChannelStore, StoreError},
    time::Timestamp,
};
use async_trait::async_trait;

use crate::{committer::Job, read::Reads, store::Database};

/// One operation that changes a channel.
#[derive(Debug)]
pub(crate) struct ChannelJob {
    pub(crate) id: ChannelId,
    pub(crate) op: Op,
    pub(crate) guard: Option<Guard>,
}

/// How one channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChannelRow {
    pub(crate) forest: i64,
    pub(crate) pass: i64,
    pub(crate) revision: i64,
    pub(crate) keys: i64,
    pub(crate) bytes: i64,
    /// The moment of its newest change.
    pub(crate) at: i64,
}

/// What lies in one place of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CellRow {
    pub(crate) forest: i64,
    pub(crate) space: String,
    pub(crate) slot: String,
    pub(crate) value: String,
    pub(crate) version: i64,
    pub(crate) expires_at: Option<i64>,
}

/// A place in a channel of one submission.
pub(crate) type Place = (i64, String, String);

/// What an open transaction is asked about channels.
#[async_trait]
pub(crate) trait ChannelRows: Send {
    /// How the channels of these submissions stand, and the moment at which nobody else can change
    /// them any more; made if they are not there. Unknown submissions are absent.
    async fn hold_channels(
        &mut self,
        forests: &[i64],
    ) -> Result<(Vec<ChannelRow>, Timestamp), StoreError>;

    /// What lies in these places; empty ones are absent.
    async fn cells(&mut self, places: &[Place]) -> Result<Vec<CellRow>, StoreError>;

    /// Removes what expired in one channel and returns it.
    async fn delete_expired_cells(
        &mut self,
        forest: i64,
        now: Timestamp,
    ) -> Result<Vec<CellRow>, StoreError>;

    /// Writes what changed.
    async fn save_channels(
        &mut self,
        channels: &[ChannelRow],
        put: &[CellRow],
        gone: &[Place],
    ) -> Result<(), StoreError>;

    /// Begins the channels of these submissions anew; whoever has an older one is refused from now on.
    async fn empty_channels(&mut self, forests: &[i64]) -> Result<(), StoreError>;
}

/// What one channel holds for a reader.
#[derive(Debug)]
pub(crate) struct ReadCells {
    pub(crate) pass: i64,
    /// The moment of the reading, or of the newest change if that is later.
    pub(crate) now: Timestamp,
    pub(crate) cells: Vec<CellRow>,
}

/// What a reader is asked about channels.
#[async_trait]
pub(crate) trait ChannelReads: Send + Sync {
    /// Submission, name of its first tree, pass.
    async fn find_channel(&self, tree: &str) -> Result<Option<(i64, String, i64)>, StoreError>;

    /// What lies in some places of one channel; none if there is no such submission.
    async fn read_cells(
        &self,
        forest: i64,
        space: &str,
        slots: &[&str],
        now: Option<Timestamp>,
    ) -> Result<Option<ReadCells>, StoreError>;

    /// What lives in a part of one channel, in order; none if there is no such submission.
    async fn list_cells(
        &self,
        forest: i64,
        space: &str,
        part: std::ops::Range<String>,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<Option<ReadCells>, StoreError>;
}

/// A row as the rules want it.
pub(crate) fn cell(row: &CellRow) -> Result<Cell, StoreError> {
    let corrupt = |what: String| StoreError::Corrupt {
        table: "af_channel",
        row: format!("{} of submission {}", row.slot, row.forest),
        what,
    };
    let value =
        serde_json::from_str(&row.value).map_err(|error| corrupt(format!("value: {error}")))?;
    let version = u64::try_from(row.version).map_err(|_| corrupt("version".to_owned()))?;
    Ok(Cell { value, version, expires_at: row.expires_at.map(Timestamp) })
}

/// A row of `read_cells.sql` or `list_cells.sql`: how the channel stands, and one cell, if there is any.
#[derive(Debug)]
pub(crate) struct ReadRow {
    pub(crate) pass: i64,
    pub(crate) at: i64,
    pub(crate) now: i64,
    /// Slot, value, version, end.
    pub(crate) cell: Option<(String, String, i64, Option<i64>)>,
}

/// Reads it from its columns.
macro_rules! read_row {
    ($row:expr) => {{
        let slot: Option<String> = $row.try_get(3)?;
        let cell = match slot {
            Some(slot) => Some((slot, $row.try_get(4)?, $row.try_get(5)?, $row.try_get(6)?)),
            None => None,
        };
        let (pass, at, now) = ($row.try_get(0)?, $row.try_get(1)?, $row.try_get(2)?);
        Ok(crate::channel::ReadRow { pass, at, now, cell })
    }};
}
pub(crate) use read_row;

/// What such rows say together; nothing where there is no such submission.
pub(crate) fn together(rows: Vec<ReadRow>, forest: i64, space: &str) -> Option<ReadCells> {
    let first = rows.first()?;
    let (pass, now) = (first.pass, Timestamp(first.now.max(first.at)));
    let cells = rows.into_iter().filter_map(|row| row.cell);
    let row = |(slot, value, version, expires_at)| CellRow {
        forest,
        space: space.to_owned(),
        slot,
        value,
        version,
        expires_at,
    };
    Some(ReadCells { pass, now, cells: cells.map(row).collect() })
}

/// A row of `load_cells.sql`.
macro_rules! cell_row {
    ($row:expr) => {
        Ok(crate::channel::CellRow {
            forest: $row.try_get(0)?,
            space: $row.try_get(1)?,
            slot: $row.try_get(2)?,
            value: $row.try_get(3)?,
            version: $row.try_get(4)?,
            expires_at: $row.try_get(5)?,
        })
    };
}
pub(crate) use cell_row;

/// A row of `load_channels.sql`.
macro_rules! channel_row {
    ($row:expr) => {
        Ok(crate::channel::ChannelRow {
            forest: $row.try_get(0)?,
            pass: $row.try_get(1)?,
            revision: $row.try_get(2)?,
            keys: $row.try_get(3)?,
            bytes: $row.try_get(4)?,
            at: $row.try_get(5)?,
        })
    };
}
pub(crate) use channel_row;

/// Whether a reader or writer has the channel of an earlier run.
pub(crate) fn is_of(id: &ChannelId, pass: i64) -> bool {
    u64::try_from(pass).is_ok_and(|pass| pass == id.pass)
}

impl<R: Reads> Database<R> {
    fn now(&self) -> Option<Timestamp> {
        self.clock.as_ref().map(|clock| clock.now())
    }

    /// Reading needs no transaction of its own.
    async fn look(
        &self,
        id: &ChannelId,
        op: &Op,
        guard: Option<&Guard>,
    ) -> Result<Answer, ChannelError> {
        let slot = op.slot();
        let lock = guard.map(|guard| Slot::lock(&guard.name));
        let slots: Vec<&str> = std::iter::once(&slot).chain(&lock).map(Slot::as_str).collect();
        let read = self.reads.read_cells(id.forest.0, &id.space, &slots, self.now()).await?;
        let read = read.filter(|read| is_of(id, read.pass)).ok_or(ChannelError::Gone)?;
        let in_slot = |slot: &Slot| {
            let found = read.cells.iter().find(|row| row.slot == slot.as_str());
            found.map(cell).transpose()
        };
        let here = in_slot(&slot)?;
        let lock = match &lock {
            Some(lock) => in_slot(lock)?,
            None => None,
        };
        let view = View {
            cell: here.as_ref(),
            lock: lock.as_ref(),
            size: apflow_core::channel::rules::Size::default(),
            next: 0,
            now: read.now,
        };
        match step(op, guard, view)? {
            (Change::None, answer) => Ok(answer),
            (change, _) => Err(ChannelError::Store(StoreError::Unavailable {
                what: format!("a reading operation wants a change: {change:?}"),
                source: None,
            })),
        }
    }
}

#[async_trait]
impl<R: Reads> ChannelStore for Database<R> {
    async fn channel_of(&self, tree: &TreeId) -> Result<Option<ChannelId>, StoreError> {
        let found = self.reads.find_channel(tree.as_str()).await?;
        Ok(found.map(|(forest, tree, pass)| ChannelId {
            forest: Seq(forest),
            tree: TreeId::new(tree),
            pass: u64::try_from(pass).unwrap_or(0),
            space: String::new(),
        }))
    }

    async fn channel_do(
        &self,
        id: &ChannelId,
        op: Op,
        guard: Option<Guard>,
    ) -> Result<Answer, ChannelError> {
        op.check()?;
        if matches!(op, Op::Get { .. }) {
            return self.look(id, &op, guard.as_ref()).await;
        }
        let job = ChannelJob { id: id.clone(), op, guard };
        self.ask(|to| Job::Channel(Box::new(job), to)).await?
    }

    async fn channel_entries(
        &self,
        id: &ChannelId,
        range: KeyRange,
    ) -> Result<Vec<Entry>, ChannelError> {
        let slot = |key: &str| if range.locks { Slot::lock(key) } else { Slot::value(key) };
        let first = slot(&range.prefix);
        let Some(end) = after_all_like(first.as_str()) else { return Ok(Vec::new()) };
        // No key holds a control character, so this is behind one key and before the next.
        let behind = range.after.as_ref().map(|key| format!("{}\u{1}", slot(key).as_str()));
        let start = behind
            .map_or(first.as_str().to_owned(), |behind| behind.max(first.as_str().to_owned()));
        let limit = range.limit.min(MAX_LISTED);
        let part = start..end;
        let read =
            self.reads.list_cells(id.forest.0, &id.space, part, limit.max(1), self.now()).await?;
        let read = read.filter(|read| is_of(id, read.pass)).ok_or(ChannelError::Gone)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut entries = Vec::with_capacity(read.cells.len());
        for row in read.cells.iter().take(limit) {
            let Cell { value, version, expires_at } = cell(row)?;
            let key = Slot::key_of(&row.slot).to_owned();
            if expires_at.is_none_or(|until| read.now < until) {
                entries.push(Entry { key, value, version, expires_at });
            }
        }
        Ok(entries)
    }
}
