//! A lease on a name: whoever holds it knows by its token whether he still does.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Answer, Channel, ChannelError, Guard, Held, Op};
use crate::time::Timestamp;

/// The first and the longest pause between two tries to take a lock that is held.
const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(250));

/// A lock that was taken. It ends when it is given back or its time is over; a lock that is only
/// dropped stays until its time is over.
#[must_use = "a lock that is dropped is held until its time is over"]
pub struct Lock {
    channel: Channel,
    name: String,
    held: Held,
}

impl Lock {
    pub(super) fn new(channel: Channel, name: String, held: Held) -> Self {
        Self { channel, name, held }
    }

    /// A number larger than that of anybody who held the lock before, for resources that can refuse
    /// whoever comes with a smaller one.
    pub fn token(&self) -> u64 {
        self.held.token
    }

    /// Until when it is held unless it is renewed, by the clock of whoever keeps the channel.
    pub fn until(&self) -> Timestamp {
        self.held.until
    }

    /// The channel, in which everything is refused as [`ChannelError::Lost`] once this lock was lost.
    pub fn channel(&self) -> Channel {
        let guard = Guard { name: self.name.clone(), token: self.held.token };
        self.channel.under(guard)
    }

    /// Holds it so long from now; [`ChannelError::Lost`] if it is held no more.
    pub async fn renew(&mut self, ttl: Duration) -> Result<(), ChannelError> {
        let (name, token) = (self.name.clone(), self.held.token);
        if let Answer::Locked(held) = self.channel.act(Op::Renew { name, token, ttl }).await? {
            self.held = held;
        }
        Ok(())
    }

    /// Gives it back; [`ChannelError::Lost`] if it was held no more, so that whatever was done under
    /// it may have met what somebody else did.
    pub async fn release(self) -> Result<(), ChannelError> {
        let op = Op::Unlock { name: self.name, token: self.held.token };
        self.channel.act(op).await.map(drop)
    }
}

/// Takes a lock, trying again in growing pauses while somebody else has it.
pub(super) async fn wait(
    channel: &Channel,
    name: &str,
    ttl: Duration,
    patience: Duration,
) -> Result<Lock, ChannelError> {
    let end = Instant::now() + patience;
    let mut pause = PAUSE.0;
    loop {
        let busy = match channel.try_lock(name, ttl).await {
            Err(busy @ ChannelError::Busy { .. }) => busy,
            other => return other,
        };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(busy);
        }
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}
