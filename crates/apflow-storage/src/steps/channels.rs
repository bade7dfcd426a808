//! Operations on channels: all that wait are done one after another on what was read once.

use std::collections::{BTreeMap, BTreeSet};

use apflow_core::{
    channel::{
        Answer, ChannelError, MAX_CHANNEL_BYTES, MAX_KEYS,
        rules::{Cell, Change, Size, Slot, View, size_after, step},
    },
    store::StoreError,
    time::Timestamp,
};

use crate::{
    channel::{CellRow, ChannelJob, ChannelRow, Place, cell, is_of},
    rows::Rows,
};

use super::{Working, working::Graph};

/// What came of each operation.
pub(crate) type Answers = Vec<Result<Answer, ChannelError>>;

/// Does operations in their order.
pub(crate) async fn channels<R: Rows + ?Sized>(
    rows: &mut R,
    jobs: &[&ChannelJob],
) -> Result<Answers, StoreError> {
    let forests: BTreeSet<i64> = jobs.iter().map(|job| job.id.forest.0).collect();
    let forests: Vec<i64> = forests.into_iter().collect();
    let (found, now) = rows.hold_channels(&forests).await?;
    let mut open = Open::default();
    for mut channel in found {
        // A clock that was set back does not bring back what expired.
        let now = Timestamp(now.0.max(channel.at));
        make_room(rows, &mut channel, now).await?;
        open.channels.insert(channel.forest, Standing { channel, now, touched: false });
    }
    let wanted: BTreeSet<Place> = jobs.iter().flat_map(|job| places(job)).collect();
    let wanted: Vec<Place> = wanted.into_iter().collect();
    for row in rows.cells(&wanted).await? {
        let cell = cell(&row)?;
        open.cells.insert(
            (row.forest, row.space, row.slot),
            Seen { cell: Some(cell), ..Seen::default() },
        );
    }
    let answers = jobs.iter().map(|job| open.act(job)).collect();
    open.save(rows).await?;
    Ok(answers)
}

/// The places an operation looks at.
fn places(job: &ChannelJob) -> impl Iterator<Item = Place> {
    let lock = job.guard.as_ref().map(|guard| Slot::lock(&guard.name));
    let (forest, space) = (job.id.forest.0, job.id.space.clone());
    let slots = std::iter::once(job.op.slot()).chain(lock);
    slots.map(move |slot| (forest, space.clone(), slot.as_str().to_owned()))
}

/// What expired makes room before a channel is called full.
async fn make_room<R: Rows + ?Sized>(
    rows: &mut R,
    channel: &mut ChannelRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    let size = size_of(channel);
    if size.keys < MAX_KEYS / 8 * 7 && size.bytes < MAX_CHANNEL_BYTES / 8 * 7 {
        return Ok(());
    }
    for row in rows.delete_expired_cells(channel.forest, now).await? {
        let bytes = number(row.slot.len() as u64 + row.value.len() as u64);
        channel.keys = (channel.keys - 1).max(0);
        channel.bytes = (channel.bytes - bytes).max(0);
    }
    Ok(())
}

fn size_of(channel: &ChannelRow) -> Size {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Size { keys: count(channel.keys), bytes: count(channel.bytes) }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The submission, if it ran before and nothing of that is left: its tasks are all about to run.
///
/// To be asked when the tasks of a new run were set in motion and its trees not yet.
pub(crate) fn begins_anew(work: &Working, graph: &Graph) -> Option<i64> {
    let tasks: Vec<_> = graph.seqs.iter().filter_map(|seq| work.task(*seq)).collect();
    let ran = tasks.iter().any(|task| work.tree(task.tree.0).is_some_and(|tree| tree.run > 0));
    let mut moving = graph.nodes.iter().zip(&graph.seqs).filter(|(node, _)| !node.fixed);
    let left = moving.any(|(_, seq)| work.task(*seq).is_some_and(|task| task.state.is_terminal()));
    (ran && !left).then(|| tasks.first().map(|task| task.forest.0)).flatten()
}

/// The channels of one transaction.
#[derive(Default)]
struct Open {
    channels: BTreeMap<i64, Standing>,
    cells: BTreeMap<Place, Seen>,
}

struct Standing {
    channel: ChannelRow,
    now: Timestamp,
    touched: bool,
}

#[derive(Default)]
struct Seen {
    cell: Option<Cell>,
    changed: bool,
}

impl Open {
    fn act(&mut self, job: &ChannelJob) -> Result<Answer, ChannelError> {
        let standing = self.channels.get_mut(&job.id.forest.0).ok_or(ChannelError::Gone)?;
        if !is_of(&job.id, standing.channel.pass) {
            return Err(ChannelError::Gone);
        }
        let place = |slot: &Slot| (job.id.forest.0, job.id.space.clone(), slot.as_str().to_owned());
        let (slot, size) = (job.op.slot(), size_of(&standing.channel));
        let here = self.cells.get(&place(&slot)).and_then(|seen| seen.cell.as_ref());
        let lock = job.guard.as_ref().map(|guard| place(&Slot::lock(&guard.name)));
        let view = View {
            cell: here,
            lock: lock.and_then(|place| self.cells.get(&place)).and_then(|seen| seen.cell.as_ref()),
            size,
            next: u64::try_from(standing.channel.revision).unwrap_or(0) + 1,
            now: standing.now,
        };
        let (change, answer) = step(&job.op, job.guard.as_ref(), view)?;
        let after = match change {
            Change::None => return Ok(answer),
            Change::Put(cell) => Some(cell),
            Change::Remove => None,
        };
        let size = size_after(size, &slot, here, after.as_ref());
        standing.touched = true;
        standing.channel.revision += 1;
        (standing.channel.keys, standing.channel.bytes) = (number(size.keys), number(size.bytes));
        self.cells.insert(place(&slot), Seen { cell: after, changed: true });
        Ok(answer)
    }

    async fn save<R: Rows + ?Sized>(self, rows: &mut R) -> Result<(), StoreError> {
        let channels: Vec<ChannelRow> = self
            .channels
            .into_values()
            .filter(|standing| standing.touched)
            .map(|standing| ChannelRow { at: standing.now.0, ..standing.channel })
            .collect();
        if channels.is_empty() {
            return Ok(());
        }
        let (mut put, mut gone) = (Vec::new(), Vec::new());
        for (place, seen) in self.cells.into_iter().filter(|(_, seen)| seen.changed) {
            let (forest, space, slot) = place;
            match seen.cell {
                Some(cell) => put.push(CellRow {
                    forest,
                    space,
                    slot,
                    value: cell.value.to_string(),
                    version: number(cell.version),
                    expires_at: cell.expires_at.map(|at| at.0),
                }),
                None => gone.push((forest, space, slot)),
            }
        }
        rows.save_channels(&channels, &put, &gone).await
    }
}
