//! Forgetting what ended long ago, a bounded number of tasks at a time.

use std::time::Duration;

use apflow_core::{store::StoreError, time::Timestamp};

use crate::{row::TreeRow, rows::Rows};

/// Removes submissions that ended before a moment, oldest first, at most `limit` tasks.
///
/// A submission that is larger than what is left of the limit goes in several calls, its trees last.
pub(crate) async fn prune<R: Rows + ?Sized>(
    rows: &mut R,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut gone = 0_u64;
    for (forest, _) in rows.prunable(before, limit).await? {
        if left == 0 {
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
        // The roots have the smallest numbers of their trees, so they go last.
        let seqs: Vec<i64> = tasks.iter().rev().map(|task| task.hot.seq).take(left).collect();
        left -= seqs.len();
        gone += seqs.len() as u64;
        if !schedules.is_empty() {
            rows.delete_schedules(&seqs).await?;
        }
        if seqs.len() == tasks.len() {
            let trees: Vec<i64> = trees.iter().map(|tree| tree.seq).collect();
            rows.delete_trees(&trees, &seqs, &[forest]).await?;
            rows.forget_references(&[forest]).await?;
        } else {
            rows.delete_trees(&[], &seqs, &[]).await?;
        }
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
