//! Forgetting what ended long ago, a bounded number of tasks at a time.

use std::time::Duration;

use apflow_core::{store::StoreError, time::Timestamp};

use crate::{row::TreeRow, rows::Rows};

/// Removes submissions that ended so long ago by the database's clock; see [`prune`].
pub(crate) async fn retire<R: Rows + ?Sized>(
    rows: &mut R,
    older_than: Duration,
    limit: u32,
) -> Result<u64, StoreError> {
    let age = i64::try_from(older_than.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp(rows.now().await?.0.saturating_sub(age));
    prune(rows, before, limit).await
}

/// Removes submissions that ended before a moment, oldest first, about `limit` tasks.
///
/// A submission goes whole, so that nobody sees half of one: the first one even if it is larger than
/// the limit, a later one only if it fits.
pub(crate) async fn prune<R: Rows + ?Sized>(
    rows: &mut R,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut gone = 0_u64;
    for (forest, total) in rows.prunable(before, limit).await? {
        let fits = usize::try_from(total).is_ok_and(|total| total <= left);
        if left == 0 || (gone > 0 && !fits) {
            break;
        }
        let (locked, trees, tasks) = rows.forests(&[forest]).await?;
        // Somebody may have linked to it, started it again, or put it on a schedule, before it was
        // locked.
        if rows.is_referenced(forest).await? {
            continue;
        }
        let rests = locked.iter().all(|row| row.live == 0);
        let seqs: Vec<i64> = tasks.iter().map(|task| task.hot.seq).collect();
        let schedules = rows.schedules(&seqs).await?;
        let stays =
            schedules.iter().any(|due| due.row.standing.enabled || due.row.standing.waiting > 0);
        if !rests || stays || trees.iter().any(TreeRow::is_running) {
            continue;
        }
        let seqs: Vec<i64> = tasks.iter().map(|task| task.hot.seq).collect();
        left = left.saturating_sub(seqs.len());
        gone += seqs.len() as u64;
        if !schedules.is_empty() {
            rows.delete_schedules(&seqs).await?;
        }
        let trees: Vec<i64> = trees.iter().map(|tree| tree.seq).collect();
        rows.delete_trees(&trees, &seqs, &[forest]).await?;
        rows.forget_references(&[forest]).await?;
    }
    Ok(gone)
}

/// Forgets idempotency keys that were used so long ago, oldest first, at most `limit`.
pub(crate) async fn forget_keys<R: Rows + ?Sized>(
    rows: &mut R,
    older_than: Duration,
    limit: u32,
) -> Result<u64, StoreError> {
    let age = i64::try_from(older_than.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp(rows.now().await?.0.saturating_sub(age));
    rows.forget_keys(before, limit).await
}
