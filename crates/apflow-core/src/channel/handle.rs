//! What an executor holds to work with the channel of its run.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Number, Value};
use tokio::sync::OnceCell;

use super::{
    Answer, ChannelError, ChannelId, Entry, Expect, Guard, Holder, KeyRange, Op, check_key,
    lock::{self, Lock},
};
use crate::{
    executor::Context,
    id::{TaskId, TreeId},
    schema,
    store::{ChannelStore, StoreError},
};

/// Who knows which channel belongs to a tree, and who keeps it.
#[derive(Clone)]
pub struct Channels {
    finder: Arc<dyn ChannelStore>,
    keeper: Option<Arc<dyn ChannelStore>>,
}

impl Channels {
    /// Channels that the store keeps itself.
    pub fn in_store(store: Arc<dyn ChannelStore>) -> Self {
        Self { finder: store, keeper: None }
    }

    /// The same channels, kept by somebody else.
    pub fn kept_by(self, keeper: Arc<dyn ChannelStore>) -> Self {
        Self { keeper: Some(keeper), ..self }
    }

    /// The channel of the newest run of a tree; it is looked for when it is first used.
    pub fn of_tree(&self, tree: TreeId, holder: Holder) -> Channel {
        let door = Door { channels: self.clone(), tree, holder, id: OnceCell::new() };
        let none = Arc::from("");
        Channel { door: Some(Arc::new(door)), of: Arc::clone(&none), space: none, guard: None }
    }

    fn keeper(&self) -> &dyn ChannelStore {
        self.keeper.as_ref().unwrap_or(&self.finder).as_ref()
    }
}

impl Context {
    /// What the tasks of this run share.
    ///
    /// Locks are taken in the name of this run of this task: a later attempt takes over what an
    /// earlier one left locked.
    pub fn channel(&self) -> Channel {
        let Some(channels) = &self.channels else {
            let none = Arc::from("");
            return Channel { door: None, of: Arc::clone(&none), space: none, guard: None };
        };
        let fence = u64::try_from(self.fence.0).unwrap_or(0);
        let holder = Holder { name: self.idempotency_key.clone(), fence };
        let channel = channels.of_tree(self.tree.clone(), holder);
        match &self.given.space {
            None => channel,
            Some(own) => {
                let own: Arc<str> = Arc::from(own.as_str());
                Channel { of: Arc::clone(&own), space: own, ..channel }
            }
        }
    }
}

/// The channel of one run; cheap to clone.
#[derive(Clone)]
pub struct Channel {
    /// None outside of an engine.
    door: Option<Arc<Door>>,
    /// The part that belongs to a workflow inside another; its spaces lie in it.
    of: Arc<str>,
    space: Arc<str>,
    guard: Option<Guard>,
}

/// What the handles of one channel share.
struct Door {
    channels: Channels,
    tree: TreeId,
    holder: Holder,
    id: OnceCell<ChannelId>,
}

/// A value and the version it was read in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// The version, for [`Expect::Version`].
    pub version: u64,
}

impl Channel {
    /// A part of the channel with keys and locks of its own.
    pub fn space(&self, name: &str) -> Result<Self, ChannelError> {
        check_key("name of the space", name)?;
        if self.of.is_empty() {
            return Ok(Self { space: Arc::from(name), ..self.clone() });
        }
        let inside = format!("{}/{name}", self.of);
        check_key("name of the space", &inside)?;
        Ok(Self { space: Arc::from(inside), ..self.clone() })
    }

    /// The same channel, in which everything is refused once the lock was lost.
    pub(super) fn under(&self, guard: Guard) -> Self {
        Self { guard: Some(guard), ..self.clone() }
    }

    /// What is there under a key, with its version and the end of its time.
    pub async fn entry(&self, key: &str) -> Result<Option<Entry>, ChannelError> {
        match self.act(Op::Get { key: key.to_owned() }).await? {
            Answer::Found(entry) => Ok(entry),
            other => Err(unfitting(&other)),
        }
    }

    /// What is there under a key.
    pub async fn get(&self, key: &str) -> Result<Option<Value>, ChannelError> {
        Ok(self.entry(key).await?.map(|entry| entry.value))
    }

    /// Writes a value over whatever is there, for as long as the run; answers its version.
    pub async fn set(&self, key: &str, value: impl Into<Value>) -> Result<u64, ChannelError> {
        self.put(key, value.into(), None, Expect::Any).await
    }

    /// Writes a value that is gone after a while.
    pub async fn set_for(
        &self,
        key: &str,
        value: impl Into<Value>,
        ttl: Duration,
    ) -> Result<u64, ChannelError> {
        self.put(key, value.into(), Some(ttl), Expect::Any).await
    }

    /// Writes a value only if what is there is what was expected; else [`ChannelError::Changed`].
    pub async fn compare_and_set(
        &self,
        key: &str,
        expect: Expect,
        value: impl Into<Value>,
    ) -> Result<u64, ChannelError> {
        self.put(key, value.into(), None, expect).await
    }

    async fn put(
        &self,
        key: &str,
        value: Value,
        ttl: Option<Duration>,
        expect: Expect,
    ) -> Result<u64, ChannelError> {
        self.write(Op::Set { key: key.to_owned(), value, ttl, expect }).await
    }

    async fn write(&self, op: Op) -> Result<u64, ChannelError> {
        match self.act(op).await? {
            Answer::Written { version, .. } => Ok(version),
            other => Err(unfitting(&other)),
        }
    }

    /// Lets a value live so long from now, or as long as its run; refused if there is none.
    pub async fn keep(&self, key: &str, ttl: Option<Duration>) -> Result<u64, ChannelError> {
        self.write(Op::Keep { key: key.to_owned(), ttl }).await
    }

    /// Removes a value; says whether there was one.
    pub async fn delete(&self, key: &str) -> Result<bool, ChannelError> {
        self.delete_if(key, Expect::Any).await
    }

    /// Removes a value only if it is what was expected.
    pub async fn delete_if(&self, key: &str, expect: Expect) -> Result<bool, ChannelError> {
        match self.act(Op::Delete { key: key.to_owned(), expect }).await? {
            Answer::Removed(removed) => Ok(removed),
            other => Err(unfitting(&other)),
        }
    }

    /// Adds to a number, to 0 where nothing is; answers the sum.
    pub async fn add(&self, key: &str, amount: impl Into<Number>) -> Result<Number, ChannelError> {
        match self.act(Op::Add { key: key.to_owned(), amount: amount.into() }).await? {
            Answer::Sum { value, .. } => Ok(value),
            other => Err(unfitting(&other)),
        }
    }

    /// Puts a value at the end of a list; answers how long it is.
    pub async fn append(&self, key: &str, value: impl Into<Value>) -> Result<u64, ChannelError> {
        self.push(key, vec![value.into()], false).await
    }

    /// Puts a value at the beginning of a list; answers how long it is.
    pub async fn prepend(&self, key: &str, value: impl Into<Value>) -> Result<u64, ChannelError> {
        self.push(key, vec![value.into()], true).await
    }

    async fn push(&self, key: &str, values: Vec<Value>, front: bool) -> Result<u64, ChannelError> {
        match self.act(Op::Push { key: key.to_owned(), values, front }).await? {
            Answer::Pushed { length, .. } => Ok(length),
            other => Err(unfitting(&other)),
        }
    }

    /// Entries in the order of the bytes of their keys.
    pub async fn entries(&self, range: KeyRange) -> Result<Vec<Entry>, ChannelError> {
        let door = self.door()?;
        let id = self.id(door).await?;
        door.channels.keeper().channel_entries(&id, range).await
    }

    /// The keys that begin like this, at most a thousand.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>, ChannelError> {
        let range =
            KeyRange { prefix: prefix.to_owned(), limit: super::MAX_LISTED, ..KeyRange::default() };
        Ok(self.entries(range).await?.into_iter().map(|entry| entry.key).collect())
    }

    /// Takes a lock at once, or says who has it.
    pub async fn try_lock(&self, name: &str, ttl: Duration) -> Result<Lock, ChannelError> {
        let holder = self.door()?.holder.clone();
        let op = Op::Lock { name: name.to_owned(), holder, ttl };
        match self.act(op).await? {
            Answer::Locked(held) => Ok(Lock::new(self.clone(), name.to_owned(), held)),
            other => Err(unfitting(&other)),
        }
    }

    /// Takes a lock, waiting for it no longer than `patience`.
    pub async fn lock(
        &self,
        name: &str,
        ttl: Duration,
        patience: Duration,
    ) -> Result<Lock, ChannelError> {
        lock::wait(self, name, ttl, patience).await
    }

    /// The channel for values of one type.
    pub fn typed<T: Serialize + DeserializeOwned>(&self) -> Typed<T> {
        Typed { channel: self.clone(), schema: None, of: PhantomData }
    }

    /// Does one operation.
    pub async fn act(&self, op: Op) -> Result<Answer, ChannelError> {
        op.check()?;
        let door = self.door()?;
        let id = self.id(door).await?;
        door.channels.keeper().channel_do(&id, op, self.guard.clone()).await
    }

    fn door(&self) -> Result<&Door, ChannelError> {
        self.door.as_deref().ok_or(ChannelError::Store(StoreError::NotOffered { what: "channels" }))
    }

    async fn id(&self, door: &Door) -> Result<ChannelId, ChannelError> {
        let find = || async {
            let found = door.channels.finder.channel_of(&door.tree).await?;
            // A tree is named like its root where nobody said otherwise; either way this is its name.
            found.ok_or_else(|| StoreError::NoSuchTask(TaskId::new(door.tree.as_str())))
        };
        let id = door.id.get_or_try_init(find).await?;
        Ok(ChannelId { space: self.space.to_string(), ..id.clone() })
    }
}

fn unfitting(answer: &Answer) -> ChannelError {
    ChannelError::Store(StoreError::Unavailable {
        what: format!("the channel gave an answer that does not fit: {answer:?}"),
        source: None,
    })
}

/// A channel for values of one type: what does not fit is an error, on the way in and out.
pub struct Typed<T> {
    channel: Channel,
    schema: Option<Value>,
    of: PhantomData<fn(T) -> T>,
}

impl<T: Serialize + DeserializeOwned> Typed<T> {
    /// Checks values against a JSON Schema as well.
    pub fn with_schema(self, schema: Value) -> Self {
        Self { schema: Some(schema), ..self }
    }

    /// What is there under a key.
    pub async fn get(&self, key: &str) -> Result<Option<Versioned<T>>, ChannelError> {
        let Some(Entry { value, version, .. }) = self.channel.entry(key).await? else {
            return Ok(None);
        };
        self.check(key, &value)?;
        let value = serde_json::from_value(value)
            .map_err(|error| ChannelError::Type { key: key.to_owned(), why: misfit(&error) })?;
        Ok(Some(Versioned { value, version }))
    }

    /// Writes a value over whatever is there.
    pub async fn set(&self, key: &str, value: &T) -> Result<u64, ChannelError> {
        self.compare_and_set(key, Expect::Any, value).await
    }

    /// Writes a value only if what is there is what was expected.
    pub async fn compare_and_set(
        &self,
        key: &str,
        expect: Expect,
        value: &T,
    ) -> Result<u64, ChannelError> {
        let value = serde_json::to_value(value)
            .map_err(|error| ChannelError::Type { key: key.to_owned(), why: misfit(&error) })?;
        self.check(key, &value)?;
        self.channel.compare_and_set(key, expect, value).await
    }

    fn check(&self, key: &str, value: &Value) -> Result<(), ChannelError> {
        let Some(schema) = &self.schema else { return Ok(()) };
        schema::check(schema, value).map_err(|why| ChannelError::Type {
            key: key.to_owned(),
            why: format!("does not fit its schema: {why}"),
        })
    }
}

fn misfit(error: &serde_json::Error) -> String {
    format!("does not fit its type: {error}")
}
