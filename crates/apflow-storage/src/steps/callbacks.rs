//! Telling others of runs: reports of deliveries, and who delivers next.

use std::time::Duration;

use apflow_core::{
    id::{LeaseToken, Seq, TreeId},
    store::{
        Callback, CallbackClaim, CallbackReport, Callbacks, MOST_WATCHED, NewCallback, StoreError,
    },
};

use crate::{
    rows::Rows,
    rows_callbacks::{ClaimedCallback, ReportRow, Taking},
};

/// Takes reports and hands out callbacks that have something to tell.
pub(crate) async fn callbacks<R: Rows + ?Sized>(
    rows: &mut R,
    reports: &[CallbackReport],
    next: Option<&CallbackClaim>,
) -> Result<Callbacks, StoreError> {
    let now = rows.now().await?;
    let mut refused = Vec::new();
    if !reports.is_empty() {
        let changes: Vec<ReportRow> =
            reports.iter().map(|report| ReportRow::of(report, now)).collect();
        let taken = rows.report_callbacks(&changes, now).await?;
        let of = reports.iter().map(|report| report.seq);
        refused.extend(of.filter(|seq| !taken.contains(&seq.0)));
    }
    let Some(next) = next else {
        return Ok(Callbacks { refused, now, ..Callbacks::default() });
    };
    let until = now.after(next.lease);
    let taking = Taking { holder: next.holder.as_str(), limit: next.limit, until, now };
    let claimed = if next.limit == 0 {
        Vec::new()
    } else {
        rows.claim_callbacks(taking).await?.into_iter().map(callback).collect()
    };
    let most = u32::try_from(MOST_WATCHED).unwrap_or(u32::MAX);
    let mut trees: Vec<Seq> = rows.active_callbacks(most).await?.into_iter().map(Seq).collect();
    trees.sort_unstable();
    let next_wake = rows.next_callback().await?.map(apflow_core::time::Timestamp);
    Ok(Callbacks { refused, claimed, trees, next_wake, now })
}

fn callback(row: ClaimedCallback) -> Callback {
    Callback {
        seq: Seq(row.seq),
        wish: NewCallback {
            id: row.id,
            target: row.target,
            timeout: Duration::from_micros(u64::try_from(row.timeout).unwrap_or(0)),
            max_retries: u32::try_from(row.max_retries).unwrap_or(0),
        },
        tree: TreeId::new(row.tree_id.unwrap_or_default()),
        tree_seq: Seq(row.tree),
        token: LeaseToken(row.token),
        position: row.position,
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
    }
}

/// Sets free what the dead held.
pub(crate) async fn free_callbacks<R: Rows + ?Sized>(
    rows: &mut R,
    is_dead: &(dyn Fn(&str) -> bool + Send + Sync),
) -> Result<u32, StoreError> {
    let held = rows.held_callbacks().await?;
    let dead: Vec<i64> =
        held.into_iter().filter(|(_, holder)| is_dead(holder)).map(|(seq, _)| seq).collect();
    if !dead.is_empty() {
        rows.free_callbacks(&dead).await?;
    }
    Ok(u32::try_from(dead.len()).unwrap_or(u32::MAX))
}
