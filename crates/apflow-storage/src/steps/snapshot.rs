//! Snapshots: how a submission stands is kept under a name, and a new run begins from it.

use std::collections::{HashMap, HashSet};

use apflow_core::{
    id::{LeaseToken, Seq, TaskId, TreeId},
    portable::{Portable, SCHEMA_VERSION},
    store::{MAX_SNAPSHOT_BYTES, MAX_SNAPSHOTS, NewSnapshot, Snapshot, Started, StoreError},
    task::State,
    time::Timestamp,
    transition::{Event, Refused},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Effects, Working,
    control::{apply, find, may_begin, seconds},
    insert::edges_text,
    portable,
};
use crate::{
    rows::{Found, Rows},
    rows_snapshot::{NewSnapshotRow, SnapshotRow},
};

/// A document as it is stored.
#[derive(Serialize, Deserialize)]
struct Body<P> {
    schema_version: String,
    submission: P,
}

/// Keeps how the submission of a task stands.
pub(crate) async fn take<R: Rows + ?Sized>(
    rows: &mut R,
    wish: &NewSnapshot,
) -> Result<Snapshot, StoreError> {
    let found = find(rows, &wish.task).await?;
    if let Some((seq, lease)) = wish.lease {
        held(rows, &wish.task, seq, lease).await?;
    }
    rows.hold(&[found.forest]).await?;
    let portable = portable::read(rows, found.forest).await?;
    save(rows, &found, &wish.name, &wish.note, &portable).await
}

/// Whether the lease that a wish comes under is the current one.
async fn held<R: Rows + ?Sized>(
    rows: &mut R,
    task: &TaskId,
    seq: Seq,
    lease: LeaseToken,
) -> Result<(), StoreError> {
    let opening = rows.open(&[seq.0], 0).await?;
    let mut work = Working::new(opening.now);
    work.take_in(opening);
    let Some(known) = work.task(seq.0) else {
        return Err(StoreError::NoSuchTask(task.clone()));
    };
    match known.state {
        State::Running { lease: current, .. } if current == lease => Ok(()),
        _ => Err(StoreError::Refused {
            id: task.clone(),
            refused: Refused::StaleLease { held: lease, current: known.token },
        }),
    }
}

/// Keeps a document that came from elsewhere; stores its submission if it is not here.
pub(crate) async fn put<R: Rows + ?Sized>(
    rows: &mut R,
    name: &str,
    note: &Map<String, Value>,
    document: &Portable,
) -> Result<(Snapshot, Effects), StoreError> {
    if let Some(why) = document.problem() {
        return Err(StoreError::Unreadable(why));
    }
    let Some(first) = document.trees.first() else {
        return Err(StoreError::Unreadable("it has no trees".to_owned()));
    };
    let mut effects = Effects::default();
    if rows.find(&[first.root.as_str()]).await?.is_empty() {
        effects = portable::adopt(rows, std::slice::from_ref(document)).await?;
    }
    let found = find(rows, &first.root).await?;
    compare(rows, &found, name, document).await?;
    Ok((save(rows, &found, name, note, document).await?, effects))
}

async fn save<R: Rows + ?Sized>(
    rows: &mut R,
    found: &Found,
    name: &str,
    note: &Map<String, Value>,
    portable: &Portable,
) -> Result<Snapshot, StoreError> {
    let body = Body { schema_version: SCHEMA_VERSION.to_owned(), submission: portable };
    let body =
        serde_json::to_string(&body).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    if body.len() > MAX_SNAPSHOT_BYTES {
        return Err(StoreError::SnapshotTooLarge {
            name: name.to_owned(),
            bytes: body.len(),
            most: MAX_SNAPSHOT_BYTES,
        });
    }
    let at = rows.now().await?;
    let tasks = portable.tasks.len();
    let snapshot = Snapshot {
        name: name.to_owned(),
        tree: TreeId::new(found.tree_id.clone()),
        tasks: u32::try_from(tasks).unwrap_or(u32::MAX),
        bytes: body.len() as u64,
        at,
        note: note.clone(),
    };
    let row = NewSnapshotRow {
        forest: found.forest,
        name: name.to_owned(),
        tree: found.tree,
        note: Value::Object(note.clone()).to_string(),
        tasks: i64::try_from(tasks).unwrap_or(i64::MAX),
        bytes: i64::try_from(body.len()).unwrap_or(i64::MAX),
        body,
        at: at.0,
    };
    rows.save_snapshot(&row, MAX_SNAPSHOTS).await?;
    Ok(snapshot)
}

/// Keeps what tasks asked for that have just completed; what is too large is left out and logged, for
/// the end of a task does not depend on it.
pub(crate) async fn take_deferred<R: Rows + ?Sized>(
    rows: &mut R,
    wishes: &[(TaskId, String, Map<String, Value>)],
) -> Result<(), StoreError> {
    for (task, name, note) in wishes {
        let wish =
            NewSnapshot { task: task.clone(), name: name.clone(), note: note.clone(), lease: None };
        match take(rows, &wish).await {
            Ok(_) => {}
            Err(error @ (StoreError::SnapshotTooLarge { .. } | StoreError::Corrupt { .. })) => {
                tracing::warn!(%task, %error, "a snapshot was not taken");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The snapshots of the submission of a task, newest first.
pub(crate) async fn list<R: Rows + ?Sized>(
    rows: &mut R,
    task: &TaskId,
) -> Result<Vec<Snapshot>, StoreError> {
    let found = find(rows, task).await?;
    rows.snapshots(found.forest).await?.iter().map(described).collect()
}

fn described(row: &SnapshotRow) -> Result<Snapshot, StoreError> {
    let note = serde_json::from_str(&row.note)
        .map_err(|error| corrupt(&row.name, &format!("note: {error}")))?;
    Ok(Snapshot {
        name: row.name.clone(),
        tree: TreeId::new(row.tree.clone()),
        tasks: u32::try_from(row.tasks).unwrap_or(u32::MAX),
        bytes: u64::try_from(row.bytes).unwrap_or(0),
        at: Timestamp(row.at),
        note,
    })
}

fn corrupt(name: &str, what: &str) -> StoreError {
    StoreError::Corrupt { table: "af_snapshots", row: name.to_owned(), what: what.to_owned() }
}

/// One snapshot with what it holds.
pub(crate) async fn load<R: Rows + ?Sized>(
    rows: &mut R,
    task: &TaskId,
    name: &str,
) -> Result<(Found, Snapshot, Portable), StoreError> {
    let found = find(rows, task).await?;
    let Some(row) = rows.snapshot(found.forest, name).await? else {
        return Err(StoreError::NoSnapshot { task: task.clone(), name: name.to_owned() });
    };
    let text = row.body.as_deref().unwrap_or_default();
    let body: Body<Value> =
        serde_json::from_str(text).map_err(|error| corrupt(name, &format!("body: {error}")))?;
    if body.schema_version != SCHEMA_VERSION {
        return Err(StoreError::Unreadable(format!(
            "the snapshot is of version {:?}, and this apflow reads {SCHEMA_VERSION:?}",
            body.schema_version
        )));
    }
    let portable = serde_json::from_value(body.submission)
        .map_err(|error| corrupt(name, &format!("body: {error}")))?;
    Ok((found, described(&row)?, portable))
}

/// Forgets a snapshot.
pub(crate) async fn forget<R: Rows + ?Sized>(
    rows: &mut R,
    task: &TaskId,
    name: &str,
) -> Result<bool, StoreError> {
    let found = find(rows, task).await?;
    rows.delete_snapshot(found.forest, name).await
}

/// Which row each task of a document is, and which rows came later; refused if one is gone.
async fn compare<R: Rows + ?Sized>(
    rows: &mut R,
    found: &Found,
    name: &str,
    portable: &Portable,
) -> Result<(Vec<i64>, Vec<i64>), StoreError> {
    let sources = rows.sources(found.forest).await?;
    let mut here: HashMap<&str, i64> =
        sources.iter().map(|source| (source.id.as_str(), source.seq)).collect();
    let mut seqs = Vec::with_capacity(portable.tasks.len());
    for task in &portable.tasks {
        let Some(seq) = here.remove(task.id.as_str()) else {
            let why = format!("task `{}` is not there any more", task.id);
            return Err(StoreError::SnapshotMismatch { name: name.to_owned(), why });
        };
        seqs.push(seq);
    }
    let mut later: Vec<i64> = here.into_values().collect();
    later.sort_unstable();
    Ok((seqs, later))
}

/// Begins a new run in which every task stands where the snapshot has it.
pub(crate) async fn restore<R: Rows + ?Sized>(
    rows: &mut R,
    task: &TaskId,
    name: &str,
) -> Result<(Started, Effects), StoreError> {
    let (found, _, portable) = load(rows, task, name).await?;
    let linked = rows.linked_forests(found.forest).await?;
    let mut locked = linked.clone();
    locked.push(found.forest);
    rows.hold(&locked).await?;
    let (seqs, later) = compare(rows, &found, name, &portable).await?;
    if !later.is_empty() {
        remove(rows, &found, &later).await?;
    }
    let after = rows.last_event().await?;
    let mut work = Working::new(rows.now().await?);
    let (forests, trees, tasks) = rows.forests(&[found.forest]).await?;
    if forests.iter().any(|row| row.live > 0) || trees.iter().any(crate::row::TreeRow::is_running) {
        return Err(StoreError::AlreadyRunning { root: TaskId::new(found.root_id.clone()) });
    }
    let fixed: HashSet<i64> =
        tasks.iter().filter(|task| task.fixed).map(|task| task.hot.seq).collect();
    let mine: Vec<(usize, i64)> =
        seqs.iter().copied().enumerate().filter(|(_, seq)| !fixed.contains(seq)).collect();
    let own: Vec<i64> = mine.iter().map(|(_, seq)| *seq).collect();
    may_begin(rows, found.forest, !linked.is_empty(), &own).await?;
    work.take_in_forests(forests, trees, &tasks);
    for seq in &own {
        apply(&mut work, *seq, Event::Withdrawn)?;
    }
    // What the last run left is forgotten before anything new is written.
    let save = work.save();
    rows.save(&save).await?;
    work.forget_checkpoints(rows).await?;

    let tree_seqs: Vec<i64> = {
        let mut trees: Vec<i64> =
            own.iter().filter_map(|seq| work.task(*seq)).map(|task| task.tree.0).collect();
        trees.sort_unstable();
        trees.dedup();
        trees
    };
    for tree in &tree_seqs {
        let timeout = match work.tree(*tree) {
            Some(row) => row.options()?.timeout_seconds,
            None => None,
        };
        let deadline = timeout.and_then(seconds).map(|time| work.now.after(time));
        work.begin_run(*tree, deadline);
    }
    let counts = portable.counts();
    let mut kept = Vec::new();
    for (at, seq) in &mine {
        let task = &portable.tasks[*at];
        apply(&mut work, *seq, portable::restored(task, counts[*at]))?;
        let text = |value: &Option<Value>| value.as_ref().map(ToString::to_string);
        work.keep(*seq, text(&task.resolved), text(&task.result));
        kept.extend(portable::kept(task, *seq));
    }
    // The counts of what is blocked already say what has ended.
    work.nothing_follows(&tree_seqs);
    if !kept.is_empty() {
        let now = work.now;
        rows.keep_checkpoints(&kept, now).await?;
    }
    work.carry_through(rows).await?;
    let (ids, _) = rows.claimed(&tree_seqs).await?;
    let started = Started {
        tree: TreeId::new(found.tree_id),
        root: TaskId::new(found.root_id),
        trees: ids.into_iter().map(|row| TreeId::new(row.tree_id)).collect(),
        tasks: u32::try_from(mine.len()).unwrap_or(u32::MAX),
        after,
    };
    Ok((started, work.finish_with(rows).await?))
}

/// Removes tasks that came later than a snapshot, and what refers to them.
async fn remove<R: Rows + ?Sized>(
    rows: &mut R,
    found: &Found,
    later: &[i64],
) -> Result<(), StoreError> {
    let gone: HashSet<i64> = later.iter().copied().collect();
    let (_, _, tasks) = rows.forests(&[found.forest]).await?;
    let mut dependents: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
    for task in &tasks {
        for (need, kind) in &task.needs {
            dependents.entry(*need).or_default().push((task.hot.seq, *kind));
        }
    }
    for task in tasks.iter().filter(|task| !gone.contains(&task.hot.seq)) {
        let seq = task.hot.seq;
        if task.needs.iter().any(|(need, _)| gone.contains(need)) {
            let needs: Vec<(i64, i64)> =
                task.needs.iter().copied().filter(|(need, _)| !gone.contains(need)).collect();
            let authored = rows.authored(seq).await?;
            let definition: apflow_core::task::Definition =
                serde_json::from_str(&authored.definition).map_err(|error| {
                    StoreError::Corrupt {
                        table: "af_tasks",
                        row: seq.to_string(),
                        what: format!("definition: {error}"),
                    }
                })?;
            let needs = edges_text(&needs);
            rows.save_authored(
                seq,
                &authored.definition,
                definition.executor(),
                needs.as_deref(),
                definition.user_id.as_deref(),
            )
            .await?;
        }
        let waiting = dependents.get(&seq).map_or(&[][..], Vec::as_slice);
        if waiting.iter().any(|(dependent, _)| gone.contains(dependent)) {
            let left: Vec<(i64, i64)> =
                waiting.iter().copied().filter(|(one, _)| !gone.contains(one)).collect();
            rows.save_dependents(seq, edges_text(&left).as_deref()).await?;
        }
    }
    let schedules = rows.schedules(later).await?;
    if !schedules.is_empty() {
        rows.delete_schedules(later).await?;
    }
    for task in tasks.iter().filter(|task| gone.contains(&task.hot.seq)) {
        rows.delete_tasks(&[task.hot.seq], task.parent, task.hot.tree).await?;
    }
    Ok(())
}
