//! Who may call: API tokens, and signatures of webhooks that were used up.

use async_trait::async_trait;

use super::StoreError;
use crate::time::Timestamp;

/// The most tokens a database keeps, revoked ones included.
pub const MAX_TOKENS: u32 = 10_000;

/// The most signatures that are remembered at the same time.
pub const MAX_SEEN: i64 = 50_000;

/// An API token as it is stored: who it speaks for, and never the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// What it is called in lists and for revoking.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// The SHA-256 of the token in small hex digits.
    pub digest: String,
    /// The owner whose tasks it may see; only an admin's token has none.
    pub user_id: Option<String>,
    /// It may see everybody's.
    pub admin: bool,
    /// It may change nothing.
    pub read_only: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to a few minutes.
    pub last_used_at: Option<Timestamp>,
    /// When somebody took it back.
    pub revoked_at: Option<Timestamp>,
}

impl ApiToken {
    /// Whether it opens anything at this moment.
    pub fn works(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|until| now < until)
    }
}

/// What became of a mark that must not come twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It is new, and remembered from now on.
    First,
    /// It came before.
    Again,
    /// There is no room to remember it, so nobody can tell.
    Full,
}

/// Who may call.
#[async_trait]
pub trait AccessStore: Send + Sync {
    /// Whether there is any token at all; revoked and expired ones count, so that taking the last
    /// one back does not open the door.
    async fn has_tokens(&self) -> Result<bool, StoreError>;

    /// The token with this digest, whether it works or not.
    async fn token(&self, digest: &str) -> Result<Option<ApiToken>, StoreError>;

    /// All tokens, oldest first.
    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError>;

    /// Stores a token; refused if its id or name is taken or there are too many.
    async fn add_token(&self, token: ApiToken) -> Result<(), StoreError>;

    /// Takes a token back; returns whether there was one that had not been taken back.
    async fn revoke_token(&self, id: &str, at: Timestamp) -> Result<bool, StoreError>;

    /// Removes the row of a token that does not work any more; returns whether there was one.
    async fn forget_token(&self, id: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// Notes that a token was used.
    async fn use_token(&self, id: &str, at: Timestamp) -> Result<(), StoreError>;

    /// Remembers a mark until a moment, on every node; what is older is forgotten.
    async fn see(&self, mark: &str, now: Timestamp, until: Timestamp) -> Result<Seen, StoreError>;
}
