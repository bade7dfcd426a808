//! Tokens and used signatures in the store in memory.

use async_trait::async_trait;

use super::MemoryStore;
use crate::{
    store::{
        AccessStore, ApiToken, HistoryStore, MAX_SEEN, MAX_TOKENS, Seen, StoreError, WaitStore,
    },
    time::Timestamp,
};

#[async_trait]
impl AccessStore for MemoryStore {
    async fn has_tokens(&self) -> Result<bool, StoreError> {
        Ok(!self.lock().tokens.is_empty())
    }

    async fn token(&self, digest: &str) -> Result<Option<ApiToken>, StoreError> {
        Ok(self.lock().tokens.iter().find(|token| token.digest == digest).cloned())
    }

    async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        let mut tokens = self.lock().tokens.clone();
        tokens.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(tokens)
    }

    async fn add_token(&self, token: ApiToken) -> Result<(), StoreError> {
        self.change(|rows| {
            if rows.tokens.len() >= MAX_TOKENS as usize {
                return Err(StoreError::Rejected(vec![format!(
                    "there are {MAX_TOKENS} tokens, and no more are kept"
                )]));
            }
            let clashes = |known: &ApiToken| known.id == token.id || known.name == token.name;
            if rows.tokens.iter().any(clashes) {
                let name = &token.name;
                return Err(StoreError::Rejected(vec![format!(
                    "there is a token named `{name}` already"
                )]));
            }
            rows.tokens.push(token);
            Ok(())
        })
    }

    async fn revoke_token(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        self.change(|rows| {
            let mut open = rows.tokens.iter_mut().filter(|token| token.revoked_at.is_none());
            let found = open.find(|token| token.id == id);
            Ok(found.map(|token| token.revoked_at = Some(at)).is_some())
        })
    }

    async fn forget_token(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.change(|rows| {
            let before = rows.tokens.len();
            rows.tokens.retain(|token| token.id != id || token.works(now));
            Ok(rows.tokens.len() < before)
        })
    }

    async fn use_token(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        self.change(|rows| {
            for token in rows.tokens.iter_mut().filter(|token| token.id == id) {
                token.last_used_at = token.last_used_at.max(Some(at));
            }
            Ok(())
        })
    }

    async fn see(&self, mark: &str, now: Timestamp, until: Timestamp) -> Result<Seen, StoreError> {
        self.change(|rows| {
            rows.seen.retain(|_, until| *until > now);
            if rows.seen.contains_key(mark) {
                return Ok(Seen::Again);
            }
            if i64::try_from(rows.seen.len()).unwrap_or(i64::MAX) >= MAX_SEEN {
                return Ok(Seen::Full);
            }
            rows.seen.insert(mark.to_owned(), until);
            Ok(Seen::First)
        })
    }
}

/// It parks tasks and keeps no waits.
impl WaitStore for MemoryStore {}
/// Attempts and dead letters are not kept in memory.
#[async_trait]
impl HistoryStore for MemoryStore {}
