//! Callbacks: who wants to be told of a run at an address, and how far that has come.
//!
//! A row of the database stands for one tree of one run. It remembers up to which event the address was
//! told, so that another process, or the same one after a crash, goes on from there.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::{
    id::{LeaseToken, NodeId, Seq, TreeId},
    time::Timestamp,
};

/// A wish to be told of a run, stored in the transaction that begins the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCallback {
    /// Its id; the ids of deliveries are made from it.
    pub id: String,
    /// The address and the headers, as whoever delivers wrote them: no secret can be read in it.
    pub target: String,
    /// How long one delivery may take.
    pub timeout: Duration,
    /// How often the delivery of one event is tried again.
    pub max_retries: u32,
}

/// A callback that somebody now holds and tells of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// Its row.
    pub seq: Seq,
    /// What was wished.
    pub wish: NewCallback,
    /// Of which tree it tells.
    pub tree: TreeId,
    /// The row of that tree.
    pub tree_seq: Seq,
    /// The holder's token.
    pub token: LeaseToken,
    /// Everything up to here was told or given up.
    pub position: i64,
    /// How often the next event was tried in vain.
    pub attempts: u32,
}

/// A wish for callbacks that have something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackClaim {
    /// Who will deliver.
    pub holder: NodeId,
    /// At most so many.
    pub limit: u32,
    /// How long they are held unless something is reported.
    pub lease: Duration,
}

/// How a callback goes on after a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackNext {
    /// It stays with its holder, for so long unless something is reported.
    Held(Duration),
    /// Anybody may take it as soon as there is something to tell.
    Free,
    /// Anybody may take it after this time.
    After(Duration),
    /// Everything was told.
    Finished,
    /// The other side wants no more, or may not be called.
    Stopped,
}

/// What came of a delivery, reported under the holder's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackReport {
    /// The row.
    pub seq: Seq,
    /// The holder's token.
    pub token: LeaseToken,
    /// Everything up to here was told or given up.
    pub position: i64,
    /// How often the event after that was tried in vain.
    pub attempts: u32,
    /// The event at `position` was delivered just now.
    pub delivered: bool,
    /// The event at `position` was given up just now.
    pub given_up: bool,
    /// What went wrong, if something did.
    pub note: Option<String>,
    /// How it goes on.
    pub next: CallbackNext,
}

/// What came of reports and a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Callbacks {
    /// Rows whose report was refused: somebody else holds them, or they are over.
    pub refused: Vec<Seq>,
    /// Callbacks taken in the same transaction.
    pub claimed: Vec<Callback>,
    /// The trees that callbacks tell of, one for each callback, at most [`MOST_WATCHED`].
    pub trees: Vec<Seq>,
    /// When time alone will set a callback free, if ever.
    pub next_wake: Option<Timestamp>,
    /// The database's clock.
    pub now: Timestamp,
}

/// Beyond so many callbacks whoever delivers looks whenever anything happens.
pub const MOST_WATCHED: usize = 10_000;

/// How a callback stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackState {
    /// There is, or may be, more to tell.
    Active,
    /// Everything was told.
    Finished,
    /// The other side wants no more, or may not be called.
    Stopped,
}

impl CallbackState {
    /// The word it is stored as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
        }
    }

    /// The state a stored word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Active, Self::Finished, Self::Stopped].into_iter().find(|it| it.as_str() == word)
    }
}

/// How a callback stands, for people and for checking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackRecord {
    /// Its id.
    pub id: String,
    /// How it stands.
    pub state: CallbackState,
    /// Everything up to here was told or given up.
    pub position: i64,
    /// How often the next event was tried in vain.
    pub attempts: u32,
    /// Events that were delivered.
    pub delivered: u64,
    /// Events that were given up.
    pub given_up: u64,
    /// What went wrong last.
    pub note: Option<String>,
}

/// Telling others of runs.
#[async_trait]
pub trait CallbackStore: Send + Sync {
    /// Takes reports and hands out callbacks that have something to tell, in one transaction.
    async fn callbacks(
        &self,
        reports: Vec<CallbackReport>,
        next: Option<CallbackClaim>,
    ) -> Result<Callbacks, StoreError>;

    /// Sets free what processes that are known to be dead held. Returns how many callbacks.
    async fn free_callbacks(&self) -> Result<u32, StoreError>;

    /// The callbacks that tell of a tree, oldest first.
    async fn callbacks_of(&self, tree: &TreeId) -> Result<Vec<CallbackRecord>, StoreError>;
}
