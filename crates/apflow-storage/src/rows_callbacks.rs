//! What an open transaction knows of callbacks.

use apflow_core::{
    store::{CallbackNext, CallbackReport, CallbackState, NewCallback, StoreError},
    time::Timestamp,
};
use async_trait::async_trait;

/// A row of `af_callbacks` to add.
#[derive(Debug)]
pub(crate) struct NewCallbackRow {
    pub(crate) id: String,
    pub(crate) tree: i64,
    pub(crate) target: String,
    pub(crate) timeout: i64,
    pub(crate) max_retries: i64,
    pub(crate) position: i64,
}

impl NewCallbackRow {
    /// The wish to be told of one tree from a position on.
    pub(crate) fn of(wish: &NewCallback, tree: i64, position: i64) -> Self {
        Self {
            id: wish.id.clone(),
            tree,
            target: wish.target.clone(),
            timeout: i64::try_from(wish.timeout.as_micros()).unwrap_or(i64::MAX),
            max_retries: i64::from(wish.max_retries),
            position,
        }
    }
}

/// How a row of `af_callbacks` goes on.
#[derive(Debug)]
pub(crate) struct ReportRow {
    pub(crate) seq: i64,
    pub(crate) token: i64,
    pub(crate) position: i64,
    pub(crate) attempts: i64,
    pub(crate) delivered: i64,
    pub(crate) given_up: i64,
    pub(crate) note: Option<String>,
    pub(crate) state: &'static str,
    pub(crate) held: bool,
    pub(crate) free_at: Option<i64>,
}

impl ReportRow {
    pub(crate) fn of(report: &CallbackReport, now: Timestamp) -> Self {
        let state = match report.next {
            CallbackNext::Held(_) | CallbackNext::Free | CallbackNext::After(_) => {
                CallbackState::Active
            }
            CallbackNext::Finished => CallbackState::Finished,
            CallbackNext::Stopped => CallbackState::Stopped,
        };
        Self {
            seq: report.seq.0,
            token: report.token.0,
            position: report.position,
            attempts: i64::from(report.attempts),
            delivered: i64::from(report.delivered),
            given_up: i64::from(report.given_up),
            note: report.note.clone(),
            state: state.as_str(),
            held: matches!(report.next, CallbackNext::Held(_)),
            free_at: match report.next {
                CallbackNext::Held(time) | CallbackNext::After(time) => Some(now.after(time).0),
                _ => None,
            },
        }
    }
}

/// A row of `af_callbacks` that was taken.
#[derive(Debug)]
pub(crate) struct ClaimedCallback {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) target: String,
    pub(crate) timeout: i64,
    pub(crate) max_retries: i64,
    pub(crate) tree: i64,
    pub(crate) token: i64,
    pub(crate) position: i64,
    pub(crate) attempts: i64,
    /// The id of the tree, unless it is gone.
    pub(crate) tree_id: Option<String>,
}

/// Who takes callbacks, how many, and until when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taking<'a> {
    pub(crate) holder: &'a str,
    pub(crate) limit: u32,
    pub(crate) until: Timestamp,
    pub(crate) now: Timestamp,
}

/// The part of a transaction that is about callbacks.
#[async_trait]
pub(crate) trait CallbackRows: Send {
    /// A position in the journal that every event of the submissions that are locked is at or before,
    /// and every event that this transaction adds to them after.
    async fn last_event(&mut self) -> Result<i64, StoreError>;

    /// Adds rows.
    async fn add_callbacks(
        &mut self,
        rows: &[NewCallbackRow],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Writes how callbacks go on; returns those that were still held under their token.
    async fn report_callbacks(
        &mut self,
        rows: &[ReportRow],
        now: Timestamp,
    ) -> Result<Vec<i64>, StoreError>;

    /// Takes callbacks that have something to tell.
    async fn claim_callbacks(
        &mut self,
        taking: Taking<'_>,
    ) -> Result<Vec<ClaimedCallback>, StoreError>;

    /// The trees that callbacks tell of; one may come twice.
    async fn active_callbacks(&mut self, limit: u32) -> Result<Vec<i64>, StoreError>;

    /// When time alone will set one free.
    async fn next_callback(&mut self) -> Result<Option<i64>, StoreError>;

    /// Who holds which.
    async fn held_callbacks(&mut self) -> Result<Vec<(i64, String)>, StoreError>;

    /// Sets these free.
    async fn free_callbacks(&mut self, seqs: &[i64]) -> Result<(), StoreError>;
}
