//! Checkpoints: put aside under a lease, handed to the next attempt, forgotten with the run.

use std::collections::{HashMap, HashSet};

use apflow_core::{
    id::TaskId,
    store::{Claimed, NewCheckpoint, StoreError},
    task::State,
    transition::Refused,
};
use serde_json::Value;

use super::{Effects, Working};
use crate::{
    rows::Rows,
    rows_keep::{self, KeepRow},
};

/// Puts checkpoints aside; each that comes under an old lease is refused, and the others stand.
pub(crate) async fn keep<R: Rows + ?Sized>(
    rows: &mut R,
    batch: &[&NewCheckpoint],
) -> Result<(Vec<Result<(), StoreError>>, Effects), StoreError> {
    let mut seqs: Vec<i64> = batch.iter().map(|item| item.seq.0).collect();
    seqs.sort_unstable();
    seqs.dedup();
    let opening = rows.open(&seqs, 0).await?;
    let mut work = Working::new(opening.now);
    work.take_in(opening);
    let answers: Vec<Result<(), StoreError>> = batch.iter().map(|item| held(&work, item)).collect();
    // An attempt that was quick enough to say two things in one batch means the later one.
    let mut known = HashSet::new();
    let mut kept: Vec<KeepRow> = Vec::with_capacity(batch.len());
    for (item, answer) in batch.iter().zip(&answers).rev() {
        if answer.is_ok() && known.insert(item.seq) {
            work.set_facets(item.seq.0, |facets| facets.checkpoint = true);
            kept.push(KeepRow {
                task: item.seq.0,
                attempt: i64::from(item.attempt),
                step: item.step.clone(),
                value: item.value.to_string(),
            });
        }
    }
    if !kept.is_empty() {
        rows.keep_checkpoints(&kept, work.now).await?;
    }
    Ok((answers, work.finish_with(rows).await?))
}

/// Whether the lease that a checkpoint comes under is the current one.
fn held(work: &Working, item: &NewCheckpoint) -> Result<(), StoreError> {
    let refused = |refused| StoreError::Refused { id: item.task.clone(), refused };
    let Some(task) = work.task(item.seq.0) else {
        return Err(StoreError::NoSuchTask(TaskId::new(item.task.as_str())));
    };
    match task.state {
        State::Running { lease, .. } if lease == item.lease => Ok(()),
        _ => Err(refused(Refused::StaleLease { held: item.lease, current: task.token })),
    }
}

/// Hands what earlier attempts put aside to those that begin.
pub(crate) async fn hand_over<R: Rows + ?Sized>(
    rows: &mut R,
    work: &Working,
    claimed: &mut [Claimed],
) -> Result<(), StoreError> {
    let has_one = |seq: i64| {
        work.task(seq).and_then(|task| task.facets.as_ref()).is_some_and(|facets| facets.checkpoint)
    };
    let wanted: Vec<i64> =
        claimed.iter().map(|task| task.seq.0).filter(|seq| has_one(*seq)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let found = rows.checkpoints(&wanted).await?;
    let mut values: HashMap<i64, String> =
        found.into_iter().map(|row| (row.task, row.value)).collect();
    for task in claimed {
        let Some(text) = values.remove(&task.seq.0) else { continue };
        match serde_json::from_str::<Value>(&text) {
            Ok(value) => task.given.checkpoint = Some(value),
            Err(error) => {
                // The attempt begins from its beginning, as it would have without.
                let error = rows_keep::corrupt(task.seq.0, &error);
                tracing::error!(%error, task = %task.id, "a checkpoint was set aside");
                if let StoreError::Corrupt { table, row, what } = &error {
                    rows.set_aside(table, row, what).await?;
                }
            }
        }
    }
    Ok(())
}
