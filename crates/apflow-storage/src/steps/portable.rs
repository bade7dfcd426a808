//! Whole submissions as documents: read as they stand, and stored as a document says.

use std::collections::{HashMap, HashSet};

use apflow_core::{
    id::{Seq, TaskId, TreeId},
    plan,
    portable::{Portable, PortableCheckpoint, PortableNeed, PortableTask, PortableTree, Stood},
    store::{NeedKind, StoreError},
    task::{OriginType, Outcome, StateName, Task},
    time::Timestamp,
    transition::Event,
};
use serde_json::Value;

use super::{Effects, Working, control::seconds, insert::edges_text};
use crate::{
    row::{ForestRow, StateColumns, TreeRow},
    rows::{Insert, NewTaskRow, NewTreeRow, Rows},
    rows_keep::KeepRow,
    rows_snapshot::{PortableRow, PortableTreeRow},
};

fn corrupt(table: &'static str, row: &str, what: String) -> StoreError {
    StoreError::Corrupt { table, row: row.to_owned(), what }
}

fn json(row: &str, column: &str, text: Option<&str>) -> Result<Option<Value>, StoreError> {
    let Some(text) = text else { return Ok(None) };
    serde_json::from_str(text)
        .map(Some)
        .map_err(|error| corrupt("af_work", row, format!("{column}: {error}")))
}

/// A submission as it stands in this transaction.
pub(crate) async fn read<R: Rows + ?Sized>(
    rows: &mut R,
    forest: i64,
) -> Result<Portable, StoreError> {
    let trees = rows.portable_trees(forest).await?;
    let tasks = rows.portable_tasks(forest).await?;
    let names: HashMap<i64, TaskId> =
        tasks.iter().map(|row| (row.hot.seq, TaskId::new(row.id.clone()))).collect();
    let tree_names: HashMap<i64, TreeId> =
        trees.iter().map(|row| (row.seq, TreeId::new(row.id.clone()))).collect();
    let mut portable = Portable::default();
    let mut kept: Vec<(i64, usize)> = Vec::new();
    for row in trees {
        portable.trees.push(tree(row, &names)?);
    }
    for row in tasks {
        let seq = row.hot.seq;
        let task = task(row, &names, &tree_names)?;
        if task.facets.as_ref().is_some_and(|facets| facets.checkpoint) {
            kept.push((seq, portable.tasks.len()));
        }
        portable.tasks.push(task);
    }
    if !kept.is_empty() {
        let seqs: Vec<i64> = kept.iter().map(|(seq, _)| *seq).collect();
        let places: HashMap<i64, usize> = kept.into_iter().collect();
        for row in rows.checkpoints(&seqs).await? {
            let Some(task) = places.get(&row.task).and_then(|at| portable.tasks.get_mut(*at))
            else {
                continue;
            };
            let value = serde_json::from_str(&row.value)
                .map_err(|error| crate::rows_keep::corrupt(row.task, &error))?;
            let attempt = u32::try_from(row.attempt).unwrap_or(u32::MAX);
            task.checkpoint = Some(PortableCheckpoint { attempt, step: row.step, value });
        }
    }
    Ok(portable)
}

fn tree(row: PortableTreeRow, names: &HashMap<i64, TaskId>) -> Result<PortableTree, StoreError> {
    let gone = || corrupt("af_trees", &row.id, "its root is gone".to_owned());
    Ok(PortableTree {
        root: names.get(&row.seq).cloned().ok_or_else(gone)?,
        user_id: row.user_id,
        options: serde_json::from_str(&row.options)
            .map_err(|error| corrupt("af_trees", &row.id, format!("options: {error}")))?,
        run: u32::try_from(row.run).unwrap_or(0),
        outcome: row.outcome.as_deref().and_then(Outcome::parse),
        created_at: Some(Timestamp(row.created_at)),
        started_at: row.started_at.map(Timestamp),
        finished_at: row.finished_at.map(Timestamp),
        id: TreeId::new(row.id),
    })
}

fn task(
    row: PortableRow,
    names: &HashMap<i64, TaskId>,
    trees: &HashMap<i64, TreeId>,
) -> Result<PortableTask, StoreError> {
    let known = row.hot.task()?;
    let (stood, attempts) = Stood::of(&known);
    let gone = |what: &str| corrupt("af_tasks", &row.id, format!("{what} is gone"));
    let edges: Vec<(i64, i64)> = match &row.needs {
        Some(text) => serde_json::from_str(text)
            .map_err(|error| corrupt("af_tasks", &row.id, format!("needs: {error}")))?,
        None => Vec::new(),
    };
    let mut needs = Vec::with_capacity(edges.len());
    for (on, kind) in edges {
        let on = names.get(&on).cloned().ok_or_else(|| gone("a task it needs"))?;
        let kind = NeedKind::from_code(kind).ok_or_else(|| gone("the kind of a need"))?;
        needs.push(PortableNeed { on, kind: kind.into() });
    }
    Ok(PortableTask {
        tree: trees.get(&row.hot.tree).cloned().ok_or_else(|| gone("its tree"))?,
        parent: row.parent.and_then(|parent| names.get(&parent).cloned()),
        definition: serde_json::from_str(&row.definition)
            .map_err(|error| corrupt("af_tasks", &row.id, format!("definition: {error}")))?,
        needs,
        stood,
        attempts,
        resolved: json(&row.id, "resolved", row.resolved.as_deref())?,
        result: json(&row.id, "output", row.output.as_deref())?,
        facets: known.facets.as_deref().cloned(),
        checkpoint: None,
        original: row.original.map(TaskId::new),
        created_at: Some(Timestamp(row.created_at)),
        started_at: known.started_at,
        completed_at: known.completed_at,
        id: TaskId::new(row.id),
    })
}

/// The event that puts a task where a document has it.
pub(super) fn restored(task: &PortableTask, counts: (u32, u32)) -> Event {
    let most = task.definition.durability.max_attempts;
    // Whoever runs it again has an attempt for it.
    let attempts = match (&task.stood, most) {
        (Stood::Ready | Stood::Blocked, Some(most)) => task.attempts.min(most.saturating_sub(1)),
        _ => task.attempts,
    };
    let mut facets = task.facets.clone().unwrap_or_default();
    facets.checkpoint = task.checkpoint.is_some() && task.stood != Stood::Completed;
    Event::Restored {
        stood: task.stood.clone(),
        waiting_for: counts.0,
        failed: counts.1,
        attempts,
        facets: (!facets.is_empty()).then(|| Box::new(facets)),
    }
}

/// The checkpoint of a task in a document.
pub(super) fn kept(task: &PortableTask, seq: i64) -> Option<KeepRow> {
    let checkpoint = task.checkpoint.as_ref().filter(|_| task.stood != Stood::Completed)?;
    Some(KeepRow {
        task: seq,
        attempt: i64::from(checkpoint.attempt),
        step: checkpoint.step.clone(),
        value: checkpoint.value.to_string(),
    })
}

/// Stores submissions as their documents say, all of them or none.
pub(crate) async fn adopt<R: Rows + ?Sized>(
    rows: &mut R,
    batch: &[Portable],
) -> Result<Effects, StoreError> {
    let now = rows.now().await?;
    let tasks: Vec<&str> =
        batch.iter().flat_map(|each| &each.tasks).map(|task| task.id.as_str()).collect();
    let trees: Vec<&str> =
        batch.iter().flat_map(|each| &each.trees).map(|tree| tree.id.as_str()).collect();
    for portable in batch {
        if let Some(why) = portable.problem() {
            return Err(StoreError::Unreadable(why));
        }
    }
    let (taken_tasks, taken_trees) = rows.taken(&tasks, &trees).await?;
    if let Some(id) = taken_tasks.into_iter().next().or_else(|| twice(&tasks)) {
        return Err(StoreError::DuplicateTask(TaskId::new(id)));
    }
    if let Some(id) = taken_trees.into_iter().next().or_else(|| twice(&trees)) {
        return Err(StoreError::DuplicateTree(TreeId::new(id)));
    }
    let mut seqs = rows.allocate(tasks.len()).await?.into_iter();
    let mut adoption = Adoption {
        insert: Insert { now, ..Insert::default() },
        work: Working::new(now),
        kept: Vec::new(),
        times: Vec::new(),
        archived: Vec::new(),
        links: Vec::new(),
    };
    for portable in batch {
        let places: Vec<i64> = seqs.by_ref().take(portable.tasks.len()).collect();
        adoption.add(portable, &places);
    }
    let Adoption { insert, mut work, kept, times, archived, links } = adoption;
    rows.insert(&insert).await?;
    if !kept.is_empty() {
        rows.keep_checkpoints(&kept, now).await?;
    }
    rows.adopt_times(&times).await?;
    if !archived.is_empty() {
        rows.archive(&archived).await?;
    }
    for (forest, links) in links {
        link(rows, forest, &links).await?;
    }
    work.carry_through(rows).await?;
    let mut effects = work.finish_with(rows).await?;
    if !insert.schedules.is_empty() {
        rows.save_schedules(&insert.schedules).await?;
        effects.scheduled = true;
    }
    Ok(effects)
}

fn twice(ids: &[&str]) -> Option<String> {
    let mut seen = HashSet::new();
    ids.iter().find(|id| !seen.insert(**id)).map(|id| (*id).to_owned())
}

/// Makes links of new tasks again.
async fn link<R: Rows + ?Sized>(
    rows: &mut R,
    forest: i64,
    links: &[(i64, TaskId)],
) -> Result<(), StoreError> {
    let ids: Vec<&str> = links.iter().map(|(_, original)| original.as_str()).collect();
    let found = rows.find(&ids).await?;
    let mut pairs = Vec::with_capacity(links.len());
    let mut originals: Vec<i64> = Vec::new();
    for (seq, original) in links {
        let Some(found) = found.iter().find(|found| found.id == original.as_str()) else {
            return Err(StoreError::Unreadable(format!(
                "a task answers with the result of `{original}`, which is not here: import that first"
            )));
        };
        pairs.push((*seq, found.seq));
        originals.push(found.forest);
    }
    originals.sort_unstable();
    originals.dedup();
    rows.save_links(&pairs, &originals, forest).await
}

/// What a batch of documents comes to.
struct Adoption {
    insert: Insert,
    work: Working,
    kept: Vec<KeepRow>,
    times: Vec<(i64, i64)>,
    archived: Vec<(i64, String)>,
    /// By submission: the link and the id of its original.
    links: Vec<(i64, Vec<(i64, TaskId)>)>,
}

impl Adoption {
    fn add(&mut self, portable: &Portable, places: &[i64]) {
        let now = self.insert.now;
        let at: HashMap<&TaskId, i64> =
            portable.tasks.iter().zip(places).map(|(task, place)| (&task.id, *place)).collect();
        let place = |id: &TaskId| at.get(id).copied().unwrap_or_default();
        let roots: HashMap<&TreeId, i64> =
            portable.trees.iter().map(|tree| (&tree.id, place(&tree.root))).collect();
        let forest = portable.trees.first().map_or(0, |tree| place(&tree.root));
        let mut dependents: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
        let parents: HashSet<&TaskId> =
            portable.tasks.iter().filter_map(|task| task.parent.as_ref()).collect();
        for (task, seq) in portable.tasks.iter().zip(places) {
            for need in &task.needs {
                let kind = NeedKind::from(need.kind).code();
                dependents.entry(place(&need.on)).or_default().push((*seq, kind));
            }
        }
        let mut stand: HashMap<i64, Vec<StateName>> = HashMap::new();
        let mut links = Vec::new();
        for ((task, seq), counts) in portable.tasks.iter().zip(places).zip(portable.counts()) {
            let tree = roots.get(&task.tree).copied().unwrap_or_default();
            let known = known(task, (*seq, tree, forest), counts, now);
            stand.entry(tree).or_default().push(plan::counted_as(&known));
            self.work.note_ready(&known);
            self.insert.schedules.extend(super::schedule::of_new_task(
                (*seq, tree, forest),
                &task.id,
                &task.definition,
                now,
            ));
            self.kept.extend(kept(task, *seq));
            self.times.extend(task.created_at.map(|at| (*seq, at.0)));
            let needs: Vec<(i64, i64)> = task
                .needs
                .iter()
                .map(|need| (place(&need.on), NeedKind::from(need.kind).code()))
                .collect();
            // A definition is plain data: names, maps, numbers; it always has a JSON form.
            let definition = serde_json::to_string(&task.definition).unwrap_or_default();
            if let Some(original) = &task.original {
                links.push((*seq, original.clone()));
            } else if task.definition.origin.kind == OriginType::Archive {
                self.archived.push((*seq, definition.clone()));
            }
            let columns = StateColumns::of(&known);
            let ended = known.state.is_terminal();
            self.insert.tasks.push(NewTaskRow {
                seq: *seq,
                id: task.id.as_str().to_owned(),
                tree,
                forest,
                parent: task.parent.as_ref().map(place),
                has_children: parents.contains(&task.id),
                user_id: task.definition.user_id.clone(),
                executor: task.definition.executor().map(str::to_owned),
                needs: edges_text(&needs),
                dependents: edges_text(dependents.get(seq).map_or(&[], Vec::as_slice)),
                definition,
                // How it ended is written with its result, after it.
                state: if ended { StateName::Created } else { known.state.name() }.as_str(),
                priority: i64::from(known.priority.get()),
                join_any: known.join == apflow_core::task::Join::Any,
                token: known.token.0,
                max_attempts: known.max_attempts.map(i64::from),
                waiting_for: columns.waiting_for,
                turn: known.turn,
                facets: columns.facets,
                wake_at: columns.wake_at.filter(|_| !ended),
            });
            let text = |value: &Option<Value>| value.as_ref().map(ToString::to_string);
            self.work.adopt(known, text(&task.resolved), text(&task.result));
        }
        if !links.is_empty() {
            self.links.push((forest, links));
        }
        self.add_trees(portable, forest, &roots, &stand);
    }

    fn add_trees(
        &mut self,
        portable: &Portable,
        forest: i64,
        roots: &HashMap<&TreeId, i64>,
        stand: &HashMap<i64, Vec<StateName>>,
    ) {
        let now = self.insert.now;
        let (mut live, mut all_open) = (0, 0);
        for tree in &portable.trees {
            let seq = roots.get(&tree.id).copied().unwrap_or_default();
            let names = stand.get(&seq).map_or(&[][..], Vec::as_slice);
            let count = |wanted: &[StateName]| {
                let found = names.iter().filter(|name| wanted.contains(name)).count();
                i64::try_from(found).unwrap_or(i64::MAX)
            };
            let running = tree.is_running();
            let open = count(&[StateName::Blocked, StateName::Ready]);
            live += count(&[StateName::Ready]);
            all_open += if running { open } else { 0 };
            let options = serde_json::to_string(&tree.options).unwrap_or_else(|_| "{}".to_owned());
            let timeout = tree.options.timeout_seconds.and_then(seconds).filter(|_| running);
            let deadline = timeout.map(|time| now.after(time).0);
            let row = TreeRow {
                seq,
                forest,
                run: i64::from(tree.run),
                options: options.clone(),
                total: i64::try_from(names.len()).unwrap_or(i64::MAX),
                open,
                completed: count(&[StateName::Completed]),
                failed: count(&[StateName::Failed, StateName::Skipped]),
                cancelled: count(&[StateName::Cancelled]),
                uncounted: 0,
                outcome: tree.outcome.map(|outcome| outcome.as_str().to_owned()),
                deadline,
                started_at: tree.started_at.or((tree.run > 0).then_some(now)).map(|at| at.0),
                finished_at: tree.finished_at.map(|at| at.0),
                paused: false,
                awaited: false,
            };
            self.insert.trees.push(NewTreeRow {
                seq,
                id: tree.id.as_str().to_owned(),
                forest,
                user_id: tree.user_id.clone(),
                options,
                run: row.run,
                total: row.total,
                open,
                deadline,
                started_at: row.started_at,
            });
            if tree.run > 0 {
                self.work.note_run_started(seq, row.run);
            }
            if let Some(outcome) = tree.outcome {
                self.work.note_run_finished(seq, outcome);
            }
            self.work.adopt_tree(row);
        }
        let row = ForestRow { seq: forest, live, open: all_open };
        self.insert.forests.push(row);
        self.work.adopt_forest(row);
    }
}

/// A task where its document has it.
fn known(task: &PortableTask, place: (i64, i64, i64), counts: (u32, u32), now: Timestamp) -> Task {
    let (seq, tree, forest) = place;
    let mut known = Task::new(Seq(seq), Seq(tree), Seq(forest));
    known.priority = task.definition.priority;
    known.join = task.definition.join;
    known.max_attempts = task.definition.durability.max_attempts;
    // A task that was never started can stand anywhere.
    let _ = known.on(restored(task, counts), now);
    known.started_at = task.started_at;
    if known.state.is_terminal() {
        known.completed_at = task.completed_at.or(Some(now));
    }
    known
}
