//! Snapshots and documents: the store's part.

use apflow_core::{
    id::{Seq, TaskId},
    portable::Portable,
    store::{NewSnapshot, Snapshot, SnapshotStore, Started, StoreError},
};
use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::{
    committer::Job,
    keep::{KeepJob, unfitting},
    read::Reads,
    rows::Rows,
    steps::{self, Effects},
    store::Database,
};

/// One thing to do with snapshots or documents.
#[derive(Debug)]
pub(crate) enum SnapshotJob {
    Take(NewSnapshot),
    List(TaskId),
    Load(TaskId, String),
    Restore(TaskId, String),
    Forget(TaskId, String),
    Put(String, Map<String, Value>, Box<Portable>),
    Export(Seq, u32),
    Adopt(Vec<Portable>),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum SnapshotCame {
    Taken(Snapshot),
    Listed(Vec<Snapshot>),
    Loaded(Snapshot, Box<Portable>),
    Restored(Started),
    Forgotten(bool),
    Exported(Vec<(Seq, Portable)>),
    Adopted,
}

/// Does one job in the open transaction.
pub(crate) async fn carry_out<R: Rows + ?Sized>(
    rows: &mut R,
    job: &SnapshotJob,
) -> Result<(SnapshotCame, Effects), StoreError> {
    let mut effects = Effects::default();
    let came = match job {
        SnapshotJob::Take(wish) => SnapshotCame::Taken(steps::snapshot::take(rows, wish).await?),
        SnapshotJob::List(task) => SnapshotCame::Listed(steps::snapshot::list(rows, task).await?),
        SnapshotJob::Load(task, name) => {
            let (_, snapshot, portable) = steps::snapshot::load(rows, task, name).await?;
            SnapshotCame::Loaded(snapshot, Box::new(portable))
        }
        SnapshotJob::Restore(task, name) => {
            let (started, more) = steps::snapshot::restore(rows, task, name).await?;
            effects.add(more);
            SnapshotCame::Restored(started)
        }
        SnapshotJob::Forget(task, name) => {
            SnapshotCame::Forgotten(steps::snapshot::forget(rows, task, name).await?)
        }
        SnapshotJob::Put(name, note, portable) => {
            let (snapshot, more) = steps::snapshot::put(rows, name, note, portable).await?;
            effects.add(more);
            SnapshotCame::Taken(snapshot)
        }
        SnapshotJob::Export(after, limit) => {
            let mut exported = Vec::new();
            for forest in rows.next_forests(after.0, *limit).await? {
                exported.push((Seq(forest), steps::portable::read(rows, forest).await?));
            }
            SnapshotCame::Exported(exported)
        }
        SnapshotJob::Adopt(batch) => {
            effects.add(steps::portable::adopt(rows, batch).await?);
            SnapshotCame::Adopted
        }
    };
    Ok((came, effects))
}

impl<R: Reads> Database<R> {
    async fn about_snapshots(&self, job: SnapshotJob) -> Result<SnapshotCame, StoreError> {
        self.ask(|to| Job::Keep(KeepJob::Snapshot(Box::new(job), to))).await
    }
}

#[async_trait]
impl<R: Reads> SnapshotStore for Database<R> {
    async fn take_snapshot(&self, wish: NewSnapshot) -> Result<Snapshot, StoreError> {
        match self.about_snapshots(SnapshotJob::Take(wish)).await? {
            SnapshotCame::Taken(snapshot) => Ok(snapshot),
            _ => Err(unfitting()),
        }
    }

    async fn snapshots(&self, task: &TaskId) -> Result<Vec<Snapshot>, StoreError> {
        match self.about_snapshots(SnapshotJob::List(task.clone())).await? {
            SnapshotCame::Listed(snapshots) => Ok(snapshots),
            _ => Err(unfitting()),
        }
    }

    async fn snapshot(
        &self,
        task: &TaskId,
        name: &str,
    ) -> Result<(Snapshot, Portable), StoreError> {
        match self.about_snapshots(SnapshotJob::Load(task.clone(), name.to_owned())).await? {
            SnapshotCame::Loaded(snapshot, portable) => Ok((snapshot, *portable)),
            _ => Err(unfitting()),
        }
    }

    async fn restore_snapshot(&self, task: &TaskId, name: &str) -> Result<Started, StoreError> {
        match self.about_snapshots(SnapshotJob::Restore(task.clone(), name.to_owned())).await? {
            SnapshotCame::Restored(started) => Ok(started),
            _ => Err(unfitting()),
        }
    }

    async fn drop_snapshot(&self, task: &TaskId, name: &str) -> Result<bool, StoreError> {
        match self.about_snapshots(SnapshotJob::Forget(task.clone(), name.to_owned())).await? {
            SnapshotCame::Forgotten(was_there) => Ok(was_there),
            _ => Err(unfitting()),
        }
    }

    async fn put_snapshot(
        &self,
        name: &str,
        note: Map<String, Value>,
        portable: Portable,
    ) -> Result<Snapshot, StoreError> {
        let job = SnapshotJob::Put(name.to_owned(), note, Box::new(portable));
        match self.about_snapshots(job).await? {
            SnapshotCame::Taken(snapshot) => Ok(snapshot),
            _ => Err(unfitting()),
        }
    }

    async fn export(&self, after: Seq, limit: u32) -> Result<Vec<(Seq, Portable)>, StoreError> {
        match self.about_snapshots(SnapshotJob::Export(after, limit)).await? {
            SnapshotCame::Exported(exported) => Ok(exported),
            _ => Err(unfitting()),
        }
    }

    async fn adopt(&self, batch: Vec<Portable>) -> Result<(), StoreError> {
        match self.about_snapshots(SnapshotJob::Adopt(batch)).await? {
            SnapshotCame::Adopted => Ok(()),
            _ => Err(unfitting()),
        }
    }
}
