//! What time does: longer leases, lapsed ones, due retries, and workers that are known to be dead.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use apflow_core::{
    id::{LeaseToken, Seq},
    store::{Refusal, Renewal, StoreError},
    transition::{Event, Refused},
};

use super::{Effects, Working};
use crate::rows::Rows;

/// Extends the leases of those who still hold them.
pub(crate) async fn renew<R: Rows + ?Sized>(
    rows: &mut R,
    batch: &[Renewal],
    lease: Duration,
) -> Result<Vec<Refusal>, StoreError> {
    let until = rows.now().await?.after(lease);
    let mut items: Vec<(i64, i64, Option<f64>)> =
        batch.iter().map(|item| (item.seq.0, item.lease.0, item.progress)).collect();
    // Everybody locks rows in the same order.
    items.sort_unstable_by_key(|item| item.0);
    let held = rows.renew(&items, until).await?;
    let held: HashSet<i64> = held.into_iter().collect();
    // A worker may have taken its own lapsed task again, and renew it under both leases.
    let twice: HashSet<i64> =
        items.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[0].0).collect();
    let doubtful = |item: &&Renewal| !held.contains(&item.seq.0) || twice.contains(&item.seq.0);
    let seqs: Vec<i64> = batch.iter().filter(doubtful).map(|item| item.seq.0).collect();
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let tokens: HashMap<i64, i64> = rows.tokens(&seqs).await?.into_iter().collect();
    let refusal = |item: &Renewal| {
        let why = match tokens.get(&item.seq.0) {
            Some(token) if *token == item.lease.0 && held.contains(&item.seq.0) => return None,
            Some(token) => Refused::StaleLease { held: item.lease, current: LeaseToken(*token) },
            None => Refused::NoSuchTask,
        };
        Some(Refusal { seq: item.seq, why })
    };
    Ok(batch.iter().filter(doubtful).filter_map(refusal).collect())
}

/// Lets time act on at most `limit` tasks and trees. Returns how many it changed.
pub(crate) async fn lapse<R: Rows + ?Sized>(
    rows: &mut R,
    limit: u32,
) -> Result<(u32, Effects), StoreError> {
    let now = rows.now().await?;
    let mut asked = limit;
    let (mut work, tasks, trees) = loop {
        let (tasks, trees) = rows.due(now, asked).await?;
        if tasks.is_empty() && trees.is_empty() {
            return Ok((0, Effects::default()));
        }
        let work = open(rows, &tasks).await?;
        let unreadable = tasks.iter().filter(|seq| work.task(**seq).is_none()).count();
        let unreadable = u32::try_from(unreadable).unwrap_or(u32::MAX);
        if tasks.len() < asked as usize || limit.saturating_add(unreadable) <= asked {
            break (work, tasks, trees);
        }
        // Rows that cannot be read come first for ever; time has to reach those behind them.
        asked = limit.saturating_add(unreadable);
    };
    let mut changed = 0;
    for seq in tasks {
        // Refused where the row changed between the two looks; it is looked at again.
        changed += u32::from(work.apply(seq, Event::TimePassed).is_ok());
    }
    for tree in trees {
        changed += u32::from(end_tree(rows, &mut work, tree).await?);
    }
    work.carry_through(rows).await?;
    Ok((changed, work.finish_with(rows).await?))
}

/// A tree whose time is over is cancelled.
async fn end_tree<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    tree: i64,
) -> Result<bool, StoreError> {
    let opening = rows.open(&[tree], 0).await?;
    let Some(forest) = opening.forests.first().map(|row| row.seq) else { return Ok(false) };
    let graph = work.whole(rows, &[forest]).await?;
    // Between the two looks the run may have ended, and another one may have begun.
    if work.tree(tree).is_none_or(|row| row.deadline.is_none_or(|at| at > opening.now.0)) {
        return Ok(false);
    }
    let Some(row) = work.tree_mut(tree) else { return Ok(false) };
    row.deadline = None;
    let seqs: Vec<i64> = graph.seqs.clone();
    for seq in seqs {
        let is_open = work.task(seq).is_some_and(|task| {
            task.tree == Seq(tree)
                && !task.state.is_terminal()
                && task.state.name() != apflow_core::task::StateName::Created
        });
        if is_open {
            let reason = "the tree took longer than its timeout".to_owned();
            // Whatever has not ended can be cancelled.
            let _ = work.apply(seq, Event::CancelRequested { reason });
        }
    }
    Ok(true)
}

/// Takes up what dead workers left. `is_dead` knows them.
pub(crate) async fn recover<R: Rows + ?Sized>(
    rows: &mut R,
    is_dead: &(dyn Fn(&str) -> bool + Sync),
) -> Result<(u32, Effects), StoreError> {
    let lost: Vec<i64> = rows
        .running()
        .await?
        .into_iter()
        .filter(|(_, worker)| is_dead(worker))
        .map(|(seq, _)| seq)
        .collect();
    if lost.is_empty() {
        return Ok((0, Effects::default()));
    }
    let mut work = open(rows, &lost).await?;
    let mut changed = 0;
    for seq in lost {
        let still = work.task(seq).is_some_and(|task| match &task.state {
            apflow_core::task::State::Running { worker, .. } => is_dead(worker.as_str()),
            _ => false,
        });
        changed += u32::from(still && work.apply(seq, Event::Abandoned).is_ok());
    }
    work.carry_through(rows).await?;
    Ok((changed, work.finish_with(rows).await?))
}

async fn open<R: Rows + ?Sized>(rows: &mut R, seqs: &[i64]) -> Result<Working, StoreError> {
    let opening = rows.open(seqs, 0).await?;
    let mut work = Working::new(opening.now);
    work.take_in(opening);
    Ok(work)
}
