//! Snapshots and checkpoints: remembering how a submission stands, and beginning a run from there.

use serde_json::{Map, Value, json};

use crate::{
    api::{
        ApiError, Caller, Gateway, Reply,
        call::SnapshotCall,
        reply::{Kept, RestoredRun},
    },
    code::Code,
    id::TaskId,
    portable::{Files, Portable, bad_name},
    store::{CheckpointStore, NewSnapshot, SnapshotStore, StoreError},
};

pub(crate) async fn snapshot(
    gateway: &Gateway,
    caller: &Caller,
    call: SnapshotCall,
) -> Result<Reply, ApiError> {
    let kept = match call {
        SnapshotCall::Create { task, name, note } => {
            gateway.existing(caller, &task).await?;
            let wish = NewSnapshot { task, name, note, lease: None };
            Kept::Snapshot(store(gateway)?.take_snapshot(wish).await?)
        }
        SnapshotCall::List(task) => {
            gateway.existing(caller, &task).await?;
            Kept::Snapshots(store(gateway)?.snapshots(&task).await?)
        }
        SnapshotCall::Restore(task, name) => {
            gateway.existing(caller, &task).await?;
            let started = store(gateway)?.restore_snapshot(&task, &name).await?;
            Kept::Restored(RestoredRun { root: started.root, trees: started.trees, name })
        }
        SnapshotCall::Delete(task, name) => {
            gateway.existing(caller, &task).await?;
            Kept::Deleted(store(gateway)?.drop_snapshot(&task, &name).await?)
        }
        SnapshotCall::Export(task, name) => {
            gateway.existing(caller, &task).await?;
            let (snapshot, portable) = store(gateway)?.snapshot(&task, &name).await?;
            for_whom(caller, &portable)?;
            let mut meta = Map::new();
            meta.insert("name".to_owned(), json!(snapshot.name));
            meta.insert("created_at".to_owned(), json!(snapshot.at));
            meta.insert("tree_id".to_owned(), json!(snapshot.tree));
            meta.insert("tasks".to_owned(), json!(snapshot.tasks));
            meta.insert("note".to_owned(), Value::Object(snapshot.note));
            let id = format!("{}/{}/{}", snapshot.tree, snapshot.name, snapshot.at.0);
            let files = Files::of(&portable, &id, meta)
                .map_err(|error| ApiError::from(StoreError::Unreadable(error.to_string())))?;
            Kept::Files(Box::new(files))
        }
        SnapshotCall::Import { files, name } => import(gateway, caller, &files, name).await?,
        SnapshotCall::Checkpoint(task) => {
            gateway.existing(caller, &task).await?;
            Kept::Checkpoint(checkpoints(gateway)?.checkpoint(&task).await?)
        }
    };
    Ok(Reply::Kept(Box::new(kept)))
}

async fn import(
    gateway: &Gateway,
    caller: &Caller,
    files: &Files,
    name: Option<String>,
) -> Result<Kept, ApiError> {
    let unreadable = |why: String| ApiError::from(StoreError::Unreadable(why));
    let portable = files.join().map_err(|error| unreadable(error.to_string()))?;
    let name = match name {
        Some(name) => name,
        None => files.meta["name"].as_str().unwrap_or_default().to_owned(),
    };
    if let Some(why) = bad_name(&name) {
        return Err(unreadable(format!("the meta has no `name` that can be used: it {why}")));
    }
    for_whom(caller, &portable)?;
    for task in &portable.tasks {
        // Whoever links to a task reads its result.
        if let Some(original) = &task.original
            && gateway.visible(caller, original).await?.is_none()
        {
            return Err(ApiError::no_such_task(original));
        }
        // What is here already under these ids must be the caller's to change.
        let known = gateway.backend.trees().record(&task.id).await?;
        if known.is_some_and(|known| !caller.sees(known.definition.user_id.as_deref())) {
            return Err(foreign(&task.id));
        }
    }
    let note = files.meta["note"].as_object().cloned().unwrap_or_default();
    Ok(Kept::Snapshot(store(gateway)?.put_snapshot(&name, note, portable).await?))
}

/// Refuses a document with tasks of somebody else.
fn for_whom(caller: &Caller, portable: &Portable) -> Result<(), ApiError> {
    let hidden = |user_id: Option<&str>| !caller.sees(user_id);
    let tree = portable.trees.iter().find(|tree| hidden(tree.user_id.as_deref()));
    if let Some(tree) = tree {
        return Err(foreign(&tree.root));
    }
    match portable.tasks.iter().find(|task| hidden(task.definition.user_id.as_deref())) {
        Some(task) => Err(foreign(&task.id)),
        None => Ok(()),
    }
}

fn foreign(task: &TaskId) -> ApiError {
    let detail = format!("the submission has tasks of other owners, such as {task}");
    ApiError::new(Code::Forbidden, detail).hint("an admin may do this")
}

fn store(gateway: &Gateway) -> Result<&dyn SnapshotStore, ApiError> {
    let none = || ApiError::from(StoreError::NotOffered { what: "snapshots" });
    gateway.backend.snapshots().ok_or_else(none)
}

fn checkpoints(gateway: &Gateway) -> Result<&dyn CheckpointStore, ApiError> {
    let none = || ApiError::from(StoreError::NotOffered { what: "checkpoints" });
    gateway.backend.checkpoints().ok_or_else(none)
}
