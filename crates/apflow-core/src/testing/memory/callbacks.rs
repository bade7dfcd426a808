//! Callbacks in the store in memory.

use async_trait::async_trait;

use super::{MemoryStore, rows::Rows};
use crate::{
    id::{LeaseToken, NodeId, Seq, TreeId},
    store::{
        Callback, CallbackClaim, CallbackNext, CallbackRecord, CallbackReport, CallbackState,
        CallbackStore, Callbacks, MOST_WATCHED, NewCallback, StoreError,
    },
    time::Timestamp,
};

#[derive(Debug, Clone)]
pub(super) struct CallbackRow {
    pub(super) seq: Seq,
    pub(super) tree: usize,
    pub(super) wish: NewCallback,
    token: LeaseToken,
    holder: Option<NodeId>,
    /// When it may be taken by anybody, if that is not now.
    free_at: Option<Timestamp>,
    touched: Timestamp,
    record: CallbackRecord,
}

impl Rows {
    /// Adds somebody who wants to be told of a run, if there is somebody.
    pub(super) fn add_callback(&mut self, wish: Option<&NewCallback>, tree: usize, position: i64) {
        let Some(wish) = wish else { return };
        self.last_callback += 1;
        let record = CallbackRecord {
            id: wish.id.clone(),
            state: CallbackState::Active,
            position,
            attempts: 0,
            delivered: 0,
            given_up: 0,
            note: None,
        };
        self.callbacks.push(CallbackRow {
            seq: Seq(self.last_callback),
            tree,
            wish: wish.clone(),
            token: LeaseToken(0),
            holder: None,
            free_at: None,
            touched: self.now,
            record,
        });
    }

    fn has_news(&self, row: &CallbackRow) -> bool {
        let tree = &self.trees[row.tree].record.id;
        let news = |seq: i64| seq > row.record.position;
        self.events.iter().any(|event| event.tree == *tree && news(event.seq))
    }

    fn report(&mut self, report: CallbackReport) -> Option<Seq> {
        let now = self.now;
        let found = self.callbacks.iter_mut().find(|row| {
            row.seq == report.seq
                && row.token == report.token
                && row.record.state == CallbackState::Active
        });
        let Some(row) = found else { return Some(report.seq) };
        row.record.position = report.position;
        row.record.attempts = report.attempts;
        row.record.delivered += u64::from(report.delivered);
        row.record.given_up += u64::from(report.given_up);
        row.record.note = report.note.or(row.record.note.take());
        row.touched = now;
        let held = matches!(report.next, CallbackNext::Held(_));
        row.holder = row.holder.take().filter(|_| held);
        row.free_at = match report.next {
            CallbackNext::Held(time) | CallbackNext::After(time) => Some(now.after(time)),
            _ => None,
        };
        row.record.state = match report.next {
            CallbackNext::Finished => CallbackState::Finished,
            CallbackNext::Stopped => CallbackState::Stopped,
            _ => CallbackState::Active,
        };
        None
    }

    fn claim_callbacks(&mut self, claim: &CallbackClaim) -> Vec<Callback> {
        let now = self.now;
        let mut free: Vec<usize> = (0..self.callbacks.len())
            .filter(|at| {
                let row = &self.callbacks[*at];
                row.record.state == CallbackState::Active
                    && row.free_at.is_none_or(|at| at <= now)
                    && self.has_news(row)
            })
            .collect();
        free.sort_by_key(|at| (self.callbacks[*at].touched, *at));
        free.truncate(usize::try_from(claim.limit).unwrap_or(usize::MAX));
        let mut claimed = Vec::with_capacity(free.len());
        for at in free {
            let row = &mut self.callbacks[at];
            row.token = row.token.next();
            row.holder = Some(claim.holder.clone());
            row.free_at = Some(now.after(claim.lease));
            row.touched = now;
            let tree = &self.trees[row.tree].record;
            claimed.push(Callback {
                seq: row.seq,
                wish: row.wish.clone(),
                tree: tree.id.clone(),
                tree_seq: tree.seq,
                token: row.token,
                position: row.record.position,
                attempts: row.record.attempts,
            });
        }
        claimed
    }
}

#[async_trait]
impl CallbackStore for MemoryStore {
    async fn callbacks(
        &self,
        reports: Vec<CallbackReport>,
        next: Option<CallbackClaim>,
    ) -> Result<Callbacks, StoreError> {
        self.change(|rows| {
            let refused = reports.into_iter().filter_map(|report| rows.report(report)).collect();
            let claimed = next.map(|next| rows.claim_callbacks(&next)).unwrap_or_default();
            let active =
                || rows.callbacks.iter().filter(|row| row.record.state == CallbackState::Active);
            let mut trees: Vec<Seq> = active().map(|row| rows.trees[row.tree].record.seq).collect();
            trees.sort_unstable();
            trees.truncate(MOST_WATCHED);
            let next_wake = active().filter_map(|row| row.free_at).min();
            Ok(Callbacks { refused, claimed, trees, next_wake, now: rows.now })
        })
    }

    async fn free_callbacks(&self) -> Result<u32, StoreError> {
        self.change(|rows| {
            let mut count = 0;
            for row in &mut rows.callbacks {
                if row.holder.as_ref().is_some_and(|holder| rows.dead.contains(holder)) {
                    (row.holder, row.free_at) = (None, None);
                    row.token = row.token.next();
                    count += 1;
                }
            }
            Ok(count)
        })
    }

    async fn callbacks_of(&self, tree: &TreeId) -> Result<Vec<CallbackRecord>, StoreError> {
        let rows = self.lock();
        let of_tree = |row: &&CallbackRow| rows.trees[row.tree].record.id == *tree;
        Ok(rows.callbacks.iter().filter(of_tree).map(|row| row.record.clone()).collect())
    }
}
