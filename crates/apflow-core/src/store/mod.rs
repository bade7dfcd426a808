//! What the engine asks of a database: one method, one meaning; batches go in, a refusal names its item.
//!
//! The traits are split by who needs them. `apflow-storage` implements all of them for SQLite and
//! PostgreSQL and proves it with one conformance suite.

mod access;
mod callback;
mod care;
mod channel;
mod checkpoint;
mod control;
mod error;
mod filter;
mod flow;
mod history;
mod journal;
mod schedule;
mod snapshot;
mod tree;
mod wait;
mod work;

pub use access::{AccessStore, ApiToken, MAX_SEEN, MAX_TOKENS, Seen};
pub use callback::{
    Callback, CallbackClaim, CallbackNext, CallbackRecord, CallbackReport, CallbackState,
    CallbackStore, Callbacks, MOST_WATCHED, NewCallback,
};
pub use care::{CareStore, StoreStats, TableStats};
pub use channel::ChannelStore;
pub use checkpoint::{Checkpoint, CheckpointStore, NewCheckpoint};
pub use control::{Cancel, CancelAnswer, ControlStore, Patch, Start, StartScope, Started};
pub use error::StoreError;
pub use filter::{Counts, Page, TaskFilter};
pub use flow::{FlowStore, MAX_SHARED};
pub use history::{
    AttemptOutcome, AttemptRecord, DeadLetter, DeadReason, FIRST_ATTEMPTS, HistoryStore,
    LetterFilter, MAX_ATTEMPTS_KEPT, MAX_LETTERS,
};
pub use journal::{EventKind, JournalStore, TaskEvent, Told};
pub use schedule::{
    Backfill, Backfilled, DrivenRun, Fire, Fired, FiredSlot, ScheduleFilter, ScheduleStore,
};
pub use snapshot::{MAX_SNAPSHOT_BYTES, MAX_SNAPSHOTS, NewSnapshot, Snapshot, SnapshotStore};
pub use tree::{Idempotency, Inserted, NeedKind, NewNeed, NewTask, NewTree, Submission, TreeStore};
pub use wait::{
    Answered, Answering, LOOK_BACK, MAX_PUBLISHED, MAX_WAITS, Pause, PauseAnswer, Publish,
    Published, WaitFilter, WaitRecord, WaitState, WaitStore,
};
pub use work::{
    Claim, Claimed, Ended, NeedResult, Refusal, Renewal, Settled, Settlement, Signal, Wake,
    WorkStore,
};

/// Everything a database has to do.
pub trait Store:
    TreeStore
    + WorkStore
    + ControlStore
    + JournalStore
    + ScheduleStore
    + CallbackStore
    + ChannelStore
    + AccessStore
    + WaitStore
    + CheckpointStore
    + HistoryStore
    + FlowStore
    + CareStore
    + SnapshotStore
    + Wake
{
}

impl<T> Store for T where
    T: TreeStore
        + WorkStore
        + ControlStore
        + JournalStore
        + ScheduleStore
        + CallbackStore
        + ChannelStore
        + AccessStore
        + WaitStore
        + CheckpointStore
        + HistoryStore
        + FlowStore
        + CareStore
        + SnapshotStore
        + Wake
{
}
