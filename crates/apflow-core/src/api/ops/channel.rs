//! What the tasks of a run share, for somebody outside: channels.get, keys, set, add, append, delete.

use crate::{
    api::{
        ApiError, Caller, Gateway, Reply,
        call::{ChannelCall, ChannelWish},
        reply::ChannelReply,
    },
    channel::{ChannelError, Holder, Op},
    code::Code,
    store::StoreError,
};

pub(crate) async fn channel(
    gateway: &Gateway,
    caller: &Caller,
    call: ChannelCall,
) -> Result<Reply, ApiError> {
    let ChannelCall { task, space, wish } = call;
    let record = gateway.existing(caller, &task).await?;
    let Some(channels) = gateway.backend.channels() else {
        return Err(StoreError::NotOffered { what: "channels" }.into());
    };
    let holder = Holder { name: "outside".to_owned(), fence: 0 };
    let mut channel = channels.of_tree(record.tree_id, holder);
    if !space.is_empty() {
        channel = channel.space(&space)?;
    }
    let reply = match wish {
        ChannelWish::List(range) => ChannelReply::Entries(channel.entries(range).await?),
        ChannelWish::Do(op) => {
            let key = key(&op).to_owned();
            ChannelReply::Done { answer: channel.act(op).await?, key }
        }
    };
    Ok(Reply::Channel(Box::new(reply)))
}

fn key(op: &Op) -> &str {
    match op {
        Op::Get { key }
        | Op::Set { key, .. }
        | Op::Keep { key, .. }
        | Op::Delete { key, .. }
        | Op::Add { key, .. }
        | Op::Push { key, .. } => key,
        Op::Lock { name, .. } | Op::Renew { name, .. } | Op::Unlock { name, .. } => name,
    }
}

impl From<ChannelError> for ApiError {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::Store(error) => error.into(),
            error => {
                let code = error.code().unwrap_or(Code::Internal);
                Self { hint: error.hint(), ..Self::refused(code, field(&error), error.to_string()) }
            }
        }
    }
}

fn field(error: &ChannelError) -> &'static str {
    match error {
        ChannelError::TooLarge { .. } | ChannelError::Full { .. } => "value",
        ChannelError::Changed { .. } => "if_version",
        ChannelError::Gone => "task_id",
        _ => "key",
    }
}
