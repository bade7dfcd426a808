//! Channels: what the tasks of a run share.

use async_trait::async_trait;

use super::StoreError;
use crate::{
    channel::{Answer, ChannelError, ChannelId, Entry, Guard, KeyRange, Op},
    id::TreeId,
};

/// Keeps channels. Every operation happens at one moment between its call and its answer, and is as
/// durable then as whatever else the store acknowledges.
#[async_trait]
pub trait ChannelStore: Send + Sync {
    /// The channel of the newest run of a tree; none if there is no such tree.
    ///
    /// Only a store that knows trees answers this; one that keeps channels for another store need not.
    async fn channel_of(&self, _tree: &TreeId) -> Result<Option<ChannelId>, StoreError> {
        Err(StoreError::NotOffered { what: "channels" })
    }

    /// Does one operation as [`rules`](crate::channel::rules) say, under a lock if there is a guard.
    async fn channel_do(
        &self,
        _id: &ChannelId,
        _op: Op,
        _guard: Option<Guard>,
    ) -> Result<Answer, ChannelError> {
        Err(ChannelError::Store(StoreError::NotOffered { what: "channels" }))
    }

    /// What a channel holds now, in the order of the bytes of the keys.
    async fn channel_entries(
        &self,
        _id: &ChannelId,
        _range: KeyRange,
    ) -> Result<Vec<Entry>, ChannelError> {
        Err(ChannelError::Store(StoreError::NotOffered { what: "channels" }))
    }
}
