//! Letting a task run because somebody outside says so: webhook.trigger.

use super::{read::hide_foreign, run};
use crate::{
    api::{
        ApiError, Caller, Gateway, Reply,
        reply::{Reason, Triggered},
    },
    store::{Start, StartScope, StoreError},
    webhook::Trigger,
};

pub(crate) async fn trigger(
    gateway: &Gateway,
    caller: &Caller,
    trigger: Trigger,
) -> Result<Reply, ApiError> {
    let who = gateway.webhooks.admit(caller, &trigger, gateway.clock.now()).await?;
    let task = trigger.task;
    if gateway.visible(&who, &task).await?.is_none() {
        return Ok(refused(task, Reason::NotFound));
    }
    // What completed runs again: each trigger stands for something new outside.
    let start =
        Start { task: task.clone(), scope: StartScope::Auto, reexecute: true, callback: None };
    let started = match gateway.backend.start(start).await {
        Ok(started) => started,
        Err(StoreError::AlreadyRunning { .. } | StoreError::Refused { .. }) => {
            return Ok(refused(task, Reason::NotReady));
        }
        // It was deleted between the two.
        Err(StoreError::NoSuchTask(_)) => return Ok(refused(task, Reason::NotFound)),
        Err(error) => return Err(error.into()),
    };
    if started.tasks == 0 {
        // Everything was cancelled, and a new run leaves that alone (ruling 32).
        return Ok(refused(task, Reason::NotReady));
    }
    if !trigger.wait {
        return Ok(Reply::Triggered(Box::new(Triggered::Begun { task })));
    }
    run::wait(gateway, &started.root, &started.trees).await?;
    let mut records = gateway.backend.trees().subtree(&task).await?;
    hide_foreign(&who, &mut records);
    if records.is_empty() {
        return Ok(refused(task, Reason::NotFound));
    }
    let record = Box::new(records.remove(0));
    Ok(Reply::Triggered(Box::new(Triggered::Ended { record, below: records })))
}

fn refused(task: crate::id::TaskId, reason: Reason) -> Reply {
    Reply::Triggered(Box::new(Triggered::Refused { task, reason }))
}
