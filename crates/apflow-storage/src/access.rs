//! Tokens and used signatures: what a transaction and a reader are asked for them, and the store's part.

use apflow_core::{
    store::{AccessStore, ApiToken, MAX_SEEN, MAX_TOKENS, Seen, StoreError},
    time::Timestamp,
};
use async_trait::async_trait;

use crate::{committer::Job, read::Reads, rows::Rows, store::Database};

/// One change of what says who may call.
#[derive(Debug)]
pub(crate) enum AccessJob {
    Add(Box<ApiToken>),
    Revoke(String, Timestamp),
    Forget(String, Timestamp),
    Use(String, Timestamp),
    See { mark: String, now: Timestamp, until: Timestamp },
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AccessCame {
    /// Whether there was something to change.
    Changed(bool),
    /// Whether the token was stored, or why not.
    Added(Result<(), &'static str>),
    Seen(Seen),
}

/// What an open transaction is asked about tokens and used signatures.
#[async_trait]
pub(crate) trait AccessRows: Send {
    /// How many tokens there are.
    async fn count_tokens(&mut self) -> Result<i64, StoreError>;

    /// Adds a token unless one of its keys is taken; says whether it did.
    async fn insert_token(&mut self, token: &ApiToken) -> Result<bool, StoreError>;

    /// Takes a token back; says whether it had not been taken back before.
    async fn revoke_token(&mut self, id: &str, at: Timestamp) -> Result<bool, StoreError>;

    /// Removes a token that does not work any more; says whether there was one.
    async fn forget_token(&mut self, id: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// Notes that a token was used.
    async fn use_token(&mut self, id: &str, at: Timestamp) -> Result<(), StoreError>;

    /// Forgets marks whose time is over.
    async fn forget_seen(&mut self, now: Timestamp) -> Result<(), StoreError>;

    /// At least as many as there are marks.
    async fn span_of_seen(&mut self) -> Result<i64, StoreError>;

    /// Adds a mark unless it is there; says whether it did.
    async fn insert_seen(&mut self, mark: &str, until: Timestamp) -> Result<bool, StoreError>;
}

/// What a reader is asked about tokens.
#[async_trait]
pub(crate) trait AccessReads: Send + Sync {
    /// Whether there is any token.
    async fn has_tokens(&self) -> Result<bool, StoreError>;

    /// The token of a digest.
    async fn token(&self, digest: &str) -> Result<Option<ApiToken>, StoreError>;

    /// All tokens, oldest first.
    async fn tokens(&self, limit: u32) -> Result<Vec<ApiToken>, StoreError>;
}

/// Does one job in the open transaction.
pub(crate) async fn carry_out<R: Rows + ?Sized>(
    rows: &mut R,
    job: &AccessJob,
) -> Result<AccessCame, StoreError> {
    Ok(match job {
        AccessJob::Add(token) => AccessCame::Added(add(rows, token).await?),
        AccessJob::Revoke(id, at) => AccessCame::Changed(rows.revoke_token(id, *at).await?),
        AccessJob::Forget(id, now) => AccessCame::Changed(rows.forget_token(id, *now).await?),
        AccessJob::Use(id, at) => {
            rows.use_token(id, *at).await?;
            AccessCame::Changed(true)
        }
        AccessJob::See { mark, now, until } => {
            rows.forget_seen(*now).await?;
            AccessCame::Seen(see(rows, mark, *until).await?)
        }
    })
}

async fn add<R: Rows + ?Sized>(
    rows: &mut R,
    token: &ApiToken,
) -> Result<Result<(), &'static str>, StoreError> {
    if rows.count_tokens().await? >= i64::from(MAX_TOKENS) {
        return Ok(Err(FULL));
    }
    Ok(if rows.insert_token(token).await? { Ok(()) } else { Err(TAKEN) })
}

const FULL: &str = "full";
const TAKEN: &str = "taken";

async fn see<R: Rows + ?Sized>(
    rows: &mut R,
    mark: &str,
    until: Timestamp,
) -> Result<Seen, StoreError> {
    if rows.span_of_seen().await? >= MAX_SEEN {
        return Ok(Seen::Full);
    }
    Ok(if rows.insert_seen(mark, until).await? { Seen::First } else { Seen::Again })
}

impl<R: Reads> Database<R> {
    async fn change_access(&self, job: AccessJob) -> Result<bool, StoreError> {
        match self.ask(|to| Job::Access(job, to)).await? {
            AccessCame::Changed(changed) => Ok(changed),
            other => Err(unfitting(&other)),
        }
    }
}

fn unfitting(came: &AccessCame) -> StoreError {
    StoreError::Unavailable { what: format!("an answer that does not fit: {came:?}"), source: None }
}

#[async_trait]
impl<R: Reads> AccessStore for Database<R> {
    async fn has_tokens(&self) -> Result<bool, StoreError> {
        self.reads.has_tokens().await
    }

    async fn token(&self, digest: &str) -> Result<Option<ApiToken>, StoreError> {
        self.reads.token(digest).await
    }

    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.reads.tokens(MAX_TOKENS).await
    }

    async fn add_token(&self, token: ApiToken) -> Result<(), StoreError> {
        let name = token.name.clone();
        let refused = |why: String| Err(StoreError::Rejected(vec![why]));
        match self.ask(|to| Job::Access(AccessJob::Add(Box::new(token)), to)).await? {
            AccessCame::Added(Ok(())) => Ok(()),
            AccessCame::Added(Err(FULL)) => {
                refused(format!("there are {MAX_TOKENS} tokens, and no more are kept"))
            }
            AccessCame::Added(Err(_)) => {
                refused(format!("there is a token named `{name}` already"))
            }
            other => Err(unfitting(&other)),
        }
    }

    async fn revoke_token(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        self.change_access(AccessJob::Revoke(id.to_owned(), at)).await
    }

    async fn forget_token(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.change_access(AccessJob::Forget(id.to_owned(), now)).await
    }

    async fn use_token(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        self.change_access(AccessJob::Use(id.to_owned(), at)).await.map(drop)
    }

    async fn see(&self, mark: &str, now: Timestamp, until: Timestamp) -> Result<Seen, StoreError> {
        let job = AccessJob::See { mark: mark.to_owned(), now, until };
        match self.ask(|to| Job::Access(job, to)).await? {
            AccessCame::Seen(seen) => Ok(seen),
            other => Err(unfitting(&other)),
        }
    }
}

/// Reads a token from the columns of `find_token.sql`.
macro_rules! token {
    ($row:expr) => {{
        let row = $row;
        Ok(ApiToken {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            digest: row.try_get(2)?,
            user_id: row.try_get(3)?,
            admin: row.try_get(4)?,
            read_only: row.try_get(5)?,
            created_at: Timestamp(row.try_get(6)?),
            expires_at: row.try_get::<Option<i64>, _>(7)?.map(Timestamp),
            last_used_at: row.try_get::<Option<i64>, _>(8)?.map(Timestamp),
            revoked_at: row.try_get::<Option<i64>, _>(9)?.map(Timestamp),
        })
    }};
}
pub(crate) use token;
