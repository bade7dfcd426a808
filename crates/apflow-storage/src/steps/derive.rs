//! Making tasks from stored ones: load the submission, let the core decide, write what came of it.

use std::collections::HashMap;

use apflow_core::{
    derive::{self, Derive, Derived, Made, New, Source, Sources},
    id::{Ids, Seq, TaskId, TreeId},
    store::{Inserted, StoreError},
    task::{Definition, Facets, Outcome, Record, StateName, Task, TreeOptions},
    time::Timestamp,
};
use serde_json::json;

use super::{Effects, control::find, insert, insert::replay};
use crate::{
    derive_rows::SourceRow,
    row::{StateColumns, TreeRow},
    rows::{Found, NewKeyRow, Rows, Save, WorkChange},
};

/// What came of a wish that was to be carried out, or what there would be if it were.
pub(crate) enum Came {
    Done(Derived),
    Preview { made: Preview, now: Timestamp },
}

/// What would be stored.
pub(crate) enum Preview {
    /// New tasks.
    New(New),
    /// Stored tasks of this tree and root with other definitions.
    Archived { tree: String, root: TaskId, tasks: Vec<(TaskId, Definition)> },
}

/// Makes tasks from stored ones, or archives these; all of it or nothing.
pub(crate) async fn derive<R: Rows + ?Sized>(
    rows: &mut R,
    wish: &Derive,
    ids: &dyn Ids,
) -> Result<(Came, Effects), StoreError> {
    let found = find(rows, &wish.task).await?;
    // What a link answers for may not move while somebody looks at it.
    let mut forests = rows.linked_forests(found.forest).await?;
    forests.push(found.forest);
    rows.hold(&forests).await?;
    let now = rows.now().await?;
    if let Some(key) = wish.idempotency.as_ref().filter(|_| !wish.preview)
        && let Some((digest, trees)) = rows.key(&key.owner, &key.key).await?
    {
        let inserted = replay(&key.key, digest == key.digest, &trees)?;
        return Ok((Came::Done(Derived { inserted, preview: None }), Effects::default()));
    }
    let source_rows = rows.sources(found.forest).await?;
    let options = options(rows, &found).await?;
    let sources = sources(&source_rows, options)?;
    if !sources.tasks.iter().any(|source| source.id == wish.task) {
        // It was deleted before it was locked.
        return Err(StoreError::NoSuchTask(wish.task.clone()));
    }
    match derive::derive(&sources, wish, ids)? {
        Made::New(new) if wish.preview => {
            Ok((Came::Preview { made: Preview::New(new), now }, Effects::default()))
        }
        Made::New(new) => store(rows, new, &found, &source_rows, now).await,
        Made::Archived(archived) => {
            let tasks = archived.into_iter();
            if wish.preview {
                let tasks = tasks
                    .map(|(at, definition)| (sources.tasks[at].id.clone(), definition))
                    .collect();
                let made =
                    Preview::Archived { tree: found.tree_id, root: wish.task.clone(), tasks };
                return Ok((Came::Preview { made, now }, Effects::default()));
            }
            let texts: Vec<(i64, String)> = tasks
                .map(|(at, definition)| {
                    // A definition is plain data: it always has a JSON form.
                    let text = serde_json::to_string(&definition).unwrap_or_default();
                    (source_rows[at].seq, text)
                })
                .collect();
            if !texts.is_empty() {
                rows.archive(&texts).await?;
                // What is archived never runs again, so its schedule ends.
                let seqs: Vec<i64> = texts.iter().map(|(seq, _)| *seq).collect();
                rows.delete_schedules(&seqs).await?;
            }
            let inserted = Inserted {
                trees: vec![TreeId::new(found.tree_id.clone())],
                roots: vec![wish.task.clone()],
                replayed: false,
            };
            if let Some(key) = &wish.idempotency {
                let trees = json!([[found.seq, found.tree_id, found.id]]).to_string();
                let row = NewKeyRow {
                    owner: key.owner.clone(),
                    key: key.key.clone(),
                    digest: key.digest.clone(),
                    trees,
                };
                rows.save_key(&row, now).await?;
            }
            Ok((Came::Done(Derived { inserted, preview: None }), Effects::default()))
        }
    }
}

async fn options<R: Rows + ?Sized>(rows: &mut R, found: &Found) -> Result<TreeOptions, StoreError> {
    let trees = rows.trees(&[found.forest]).await?;
    match trees.iter().find(|tree| tree.seq == found.tree) {
        Some(tree) => tree.options(),
        None => Ok(TreeOptions::default()),
    }
}

/// How many spawners there are above a task.
fn spawned(row: &SourceRow) -> Result<u32, StoreError> {
    let Some(text) = &row.facets else { return Ok(0) };
    let facets: Facets = serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
        table: "af_work",
        row: row.id.clone(),
        what: format!("facets: {error}"),
    })?;
    Ok(facets.spawned.map_or(0, |spawned| spawned.depth))
}

fn sources(rows: &[SourceRow], options: TreeOptions) -> Result<Sources, StoreError> {
    let at: HashMap<i64, usize> =
        rows.iter().enumerate().map(|(index, row)| (row.seq, index)).collect();
    let read = |row: &SourceRow, text: &str| -> Result<Definition, StoreError> {
        serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
            table: "af_tasks",
            row: row.id.clone(),
            what: format!("definition: {error}"),
        })
    };
    let tasks = rows
        .iter()
        .map(|row| {
            let own = read(row, &row.definition)?;
            let definition = match &row.original {
                None => own,
                Some(original) => derive::seen_through(own, read(row, &original.definition)?),
            };
            Ok(Source {
                id: TaskId::new(row.id.clone()),
                // A tree goes by the row of its root.
                tree: usize::try_from(row.tree).unwrap_or(usize::MAX),
                parent: row.parent.and_then(|parent| at.get(&parent).copied()),
                definition,
                completed: row.state == StateName::Completed.as_str(),
                spawned: spawned(row)?,
            })
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(Sources { tasks, options })
}

async fn store<R: Rows + ?Sized>(
    rows: &mut R,
    new: New,
    found: &Found,
    sources: &[SourceRow],
    now: Timestamp,
) -> Result<(Came, Effects), StoreError> {
    let New { submission, links } = new;
    let (answers, effects) = insert::insert(rows, &[&submission]).await?;
    let inserted = match answers.into_iter().next() {
        Some(answer) => answer?,
        None => return Err(StoreError::Conflict),
    };
    let linked: Vec<(usize, &TaskId)> = links
        .iter()
        .enumerate()
        .filter_map(|(index, link)| Some((index, link.as_ref()?)))
        .collect();
    if !linked.is_empty() && !inserted.replayed {
        let originals = originals(found, sources);
        let ids: Vec<&str> = submission.tasks.iter().map(|task| task.id.as_str()).collect();
        let places: HashMap<String, Found> =
            rows.find(&ids).await?.into_iter().map(|each| (each.id.clone(), each)).collect();
        let mut pairs = Vec::with_capacity(linked.len());
        let mut forests = Vec::new();
        let mut save = Save { now, ..Save::default() };
        let mut counts: HashMap<i64, i64> = HashMap::new();
        for (index, original) in linked {
            let place = places.get(submission.tasks[index].id.as_str());
            let (Some(place), Some((seq, forest))) = (place, originals.get(original.as_str()))
            else {
                return Err(StoreError::NoSuchTask(original.clone()));
            };
            pairs.push((place.seq, *seq));
            forests.push(*forest);
            *counts.entry(place.tree).or_default() += 1;
            save.work.push(completed(place, now));
        }
        forests.sort_unstable();
        forests.dedup();
        let forest = places.values().next().map_or(0, |place| place.forest);
        for tree in rows.trees(&[forest]).await? {
            let links = counts.get(&tree.seq).copied().unwrap_or(0);
            if links > 0 {
                save.trees.push(with_links(tree, links, now));
            }
        }
        rows.save(&save).await?;
        rows.save_links(&pairs, &forests, forest).await?;
    }
    Ok((Came::Done(Derived { inserted, preview: None }), effects))
}

/// Where the originals of links are: the row and the submission of each.
fn originals<'a>(found: &Found, sources: &'a [SourceRow]) -> HashMap<&'a str, (i64, i64)> {
    let mut originals = HashMap::with_capacity(sources.len());
    for row in sources {
        match &row.original {
            None => originals.insert(row.id.as_str(), (row.seq, found.forest)),
            Some(original) => {
                originals.insert(original.id.as_str(), (original.seq, original.forest))
            }
        };
    }
    originals
}

/// A link is completed from the moment it is made.
fn completed(place: &Found, now: Timestamp) -> WorkChange {
    let task = Task::link(Seq(place.seq), Seq(place.tree), Seq(place.forest), now);
    WorkChange {
        seq: place.seq,
        state: task.state.name().as_str(),
        progress: StateColumns::of(&task).progress,
        completed_at: task.completed_at.map(|at| at.0),
        ..WorkChange::default()
    }
}

/// A tree counts its links as completed; one that has nothing else has nothing to run.
fn with_links(mut tree: TreeRow, links: i64, now: Timestamp) -> TreeRow {
    tree.completed = links;
    if links == tree.total {
        tree.outcome = Some(Outcome::Completed.as_str().to_owned());
        tree.started_at = Some(now.0);
        tree.finished_at = Some(now.0);
    }
    tree
}

/// What the old tasks would look like as an archive.
pub(crate) fn archived(mut record: Record, definition: Definition) -> Record {
    let has_references = record.definition.origin.has_references;
    record.definition = definition;
    record.definition.origin.has_references |= has_references;
    record
}
