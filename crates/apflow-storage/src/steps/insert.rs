//! Storing submissions, several at once.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
};

use apflow_core::{
    flow::Flow,
    group,
    id::{LeaseToken, Seq, TaskId, TreeId},
    plan::{self, Begin, Edge, Node},
    store::{Inserted, NewTask, NewTree, StoreError, Submission},
    task::{Join, StateName, Task},
    time::Timestamp,
    transition::Event,
};
use serde_json::json;

use super::{Effects, Working, control::seconds};
use crate::{
    row::{ForestRow, StateColumns},
    rows::{Insert, NewKeyRow, NewTaskRow, NewTreeRow, Rows},
    rows_callbacks::NewCallbackRow,
};

/// Stores each submission or says why not; one that is refused leaves the others alone.
pub(crate) async fn insert<R: Rows + ?Sized>(
    rows: &mut R,
    submissions: &[&Submission],
) -> Result<(Vec<Result<Inserted, StoreError>>, Effects), StoreError> {
    let now = rows.now().await?;
    let tasks: Vec<&str> =
        submissions.iter().flat_map(|each| &each.tasks).map(|task| task.id.as_str()).collect();
    let trees: Vec<&str> =
        submissions.iter().flat_map(|each| &each.trees).map(|tree| tree.id.as_str()).collect();
    let (taken_tasks, taken_trees) = rows.taken(&tasks, &trees).await?;
    let mut seqs = rows.allocate(tasks.len()).await?.into_iter();
    let mut taken_tasks: HashSet<String> = taken_tasks.into_iter().collect();
    let mut taken_trees: HashSet<String> = taken_trees.into_iter().collect();

    let mut insert = Insert { now, ..Insert::default() };
    let mut callbacks: Vec<NewCallbackRow> = Vec::new();
    let mut demos: Vec<i64> = Vec::new();
    let mut work = Working::new(now);
    let mut turns = Turns::of(rows, submissions).await?;
    let mut answers = Vec::with_capacity(submissions.len());
    let mut keys: Vec<(String, String, String, String)> = Vec::new();
    for submission in submissions {
        let places: Vec<i64> = seqs.by_ref().take(submission.tasks.len()).collect();
        if let Some(key) = &submission.idempotency {
            let fresh =
                keys.iter().find(|(owner, name, ..)| *owner == key.owner && *name == key.key);
            let known = match fresh {
                Some((_, _, digest, trees)) => Some((digest.clone(), trees.clone())),
                None => rows.key(&key.owner, &key.key).await?,
            };
            if let Some((digest, trees)) = known {
                answers.push(replay(&key.key, digest == key.digest, &trees));
                continue;
            }
        }
        let tasks = submission.tasks.iter().map(|task| task.id.as_str());
        let trees = submission.trees.iter().map(|tree| tree.id.as_str());
        if let Some(id) = first_taken(tasks.clone(), &taken_tasks) {
            answers.push(Err(StoreError::DuplicateTask(TaskId::new(id))));
            continue;
        }
        if let Some(id) = first_taken(trees.clone(), &taken_trees) {
            answers.push(Err(StoreError::DuplicateTree(TreeId::new(id))));
            continue;
        }
        taken_tasks.extend(tasks.map(str::to_owned));
        taken_trees.extend(trees.map(str::to_owned));
        let inserted = add(&mut insert, &mut work, submission, &places, &mut turns);
        if submission.start && submission.demo {
            demos.extend(submission.trees.iter().map(|tree| places[tree.root]));
        }
        if let Some(wish) = submission.callback.as_ref().filter(|_| submission.start) {
            // Nothing ever happened in a new tree.
            let of_tree = |tree: &NewTree| NewCallbackRow::of(wish, places[tree.root], 0);
            callbacks.extend(submission.trees.iter().map(of_tree));
        }
        if let Some(key) = &submission.idempotency {
            let trees = trees_text(&inserted, submission, &places);
            let row = (key.owner.clone(), key.key.clone(), key.digest.clone(), trees);
            insert.keys.push(NewKeyRow {
                owner: row.0.clone(),
                key: row.1.clone(),
                digest: row.2.clone(),
                trees: row.3.clone(),
            });
            keys.push(row);
        }
        answers.push(Ok(inserted));
    }
    if !insert.tasks.is_empty() {
        rows.insert(&insert).await?;
    }
    if !demos.is_empty() {
        rows.mark_demo(&demos).await?;
    }
    if !callbacks.is_empty() {
        rows.add_callbacks(&callbacks, now).await?;
    }
    let mut effects = work.finish_with(rows).await?;
    if !insert.schedules.is_empty() {
        rows.save_schedules(&insert.schedules).await?;
        effects.scheduled = true;
    }
    Ok((answers, effects))
}

/// The first id that is taken, or that comes a second time.
fn first_taken<'a>(
    mut ids: impl Iterator<Item = &'a str>,
    taken: &HashSet<String>,
) -> Option<&'a str> {
    let mut seen = HashSet::new();
    ids.find(|id| taken.contains(*id) || !seen.insert(*id))
}

fn trees_text(inserted: &Inserted, submission: &Submission, places: &[i64]) -> String {
    let trees: Vec<_> = inserted
        .trees
        .iter()
        .zip(&inserted.roots)
        .zip(&submission.trees)
        .map(|((tree, root), new)| json!([places[new.root], tree.as_str(), root.as_str()]))
        .collect();
    serde_json::Value::Array(trees).to_string()
}

pub(crate) fn replay(key: &str, same: bool, trees: &str) -> Result<Inserted, StoreError> {
    if !same {
        return Err(StoreError::KeyReused { key: key.to_owned() });
    }
    let rows: Vec<(i64, String, String)> =
        serde_json::from_str(trees).map_err(|error| StoreError::Corrupt {
            table: "af_idempotency",
            row: key.to_owned(),
            what: format!("trees: {error}"),
        })?;
    let mut inserted = Inserted { trees: Vec::new(), roots: Vec::new(), replayed: true };
    for (_, tree, root) in rows {
        inserted.trees.push(TreeId::new(tree));
        inserted.roots.push(TaskId::new(root));
    }
    Ok(inserted)
}

/// Adds the rows of one submission.
fn add(
    insert: &mut Insert,
    work: &mut Working,
    submission: &Submission,
    places: &[i64],
    turns: &mut Turns,
) -> Inserted {
    let forest = submission.trees.first().map_or(0, |tree| places[tree.root]);
    let begins = begins(submission);
    let mut dependents: Vec<Vec<(i64, i64)>> = vec![Vec::new(); places.len()];
    for (task, place) in submission.tasks.iter().zip(places) {
        for need in &task.needs {
            dependents[need.on].push((*place, need.kind.code()));
        }
    }
    let mut live = 0;
    let mut totals = vec![0_i64; submission.trees.len()];
    for (index, task) in submission.tasks.iter().enumerate() {
        totals[task.tree] += 1;
        let tree = places[submission.trees[task.tree].root];
        let stands = first_state(
            places[index],
            tree,
            forest,
            submission,
            index,
            begins.as_deref(),
            insert.now,
        );
        live += i64::from(stands.state.is_live());
        work.note_ready(&stands);
        let place = (places[index], tree, forest);
        insert.schedules.extend(super::schedule::of_new_task(
            place,
            &task.id,
            &task.definition,
            insert.now,
        ));
        let needs: Vec<(i64, i64)> =
            task.needs.iter().map(|need| (places[need.on], need.kind.code())).collect();
        let parent = task.parent.map(|parent| places[parent]);
        let mut row = new_row(task, &stands, parent, &needs, &dependents[index]);
        row.turn = turns.next(task.definition.user_id.as_deref());
        insert.tasks.push(row);
    }
    let open = if submission.start { i64::try_from(places.len()).unwrap_or(i64::MAX) } else { 0 };
    insert.forests.push(ForestRow { seq: forest, live, open });
    for (tree, total) in submission.trees.iter().zip(totals) {
        let seq = places[tree.root];
        let timeout = tree.options.timeout_seconds.and_then(seconds);
        insert.trees.push(NewTreeRow {
            seq,
            id: tree.id.as_str().to_owned(),
            forest,
            user_id: tree.user_id.clone(),
            options: serde_json::to_string(&tree.options).unwrap_or_else(|_| "{}".to_owned()),
            run: i64::from(submission.start),
            total,
            open: if submission.start { total } else { 0 },
            deadline: timeout.filter(|_| submission.start).map(|t| insert.now.after(t).0),
            started_at: submission.start.then_some(insert.now.0),
        });
        if submission.start {
            work.note_run_started(seq, 1);
        }
    }
    Inserted {
        trees: submission.trees.iter().map(|tree| tree.id.clone()).collect(),
        roots: submission.trees.iter().map(|tree| submission.tasks[tree.root].id.clone()).collect(),
        replayed: false,
    }
}

/// The row of a new task that stands so.
pub(super) fn new_row(
    task: &NewTask,
    stands: &Task,
    parent: Option<i64>,
    needs: &[(i64, i64)],
    dependents: &[(i64, i64)],
) -> NewTaskRow {
    let columns = StateColumns::of(stands);
    NewTaskRow {
        seq: stands.seq.0,
        id: task.id.as_str().to_owned(),
        tree: stands.tree.0,
        forest: stands.forest.0,
        parent,
        has_children: task.has_children,
        user_id: task.definition.user_id.clone(),
        executor: task.definition.executor().map(str::to_owned),
        needs: edges_text(needs),
        dependents: edges_text(dependents),
        // A definition is plain data: names, maps, numbers; it always has a JSON form.
        definition: serde_json::to_string(&task.definition).unwrap_or_default(),
        state: stands.state.name().as_str(),
        priority: i64::from(task.definition.priority.get()),
        join_any: task.definition.waits_for() == Join::Any,
        token: stands.token.0,
        max_attempts: stands.max_attempts.map(i64::from),
        waiting_for: columns.waiting_for,
        turn: stands.turn,
        facets: columns.facets,
        wake_at: columns.wake_at,
    }
}

/// With which counts each task begins, if the submission is to run at once.
pub(super) fn begins(submission: &Submission) -> Option<Vec<Begin>> {
    if !submission.start {
        return None;
    }
    let nodes: Vec<Node> = submission
        .tasks
        .iter()
        .map(|task| Node {
            state: StateName::Created,
            failed: 0,
            tree: task.tree,
            parent: task.parent,
            join: task.definition.waits_for(),
            fixed: false,
            passed_over: false,
        })
        .collect();
    let edges: Vec<Edge> = submission
        .tasks
        .iter()
        .enumerate()
        .flat_map(|(to, task)| {
            task.needs.iter().map(move |need| Edge { from: need.on, to, kind: need.kind })
        })
        .collect();
    // Nothing of a new submission is live, so nothing is in the way.
    plan::start(&nodes, &edges, None, false).ok()
}

pub(super) fn first_state(
    seq: i64,
    tree: i64,
    forest: i64,
    submission: &Submission,
    index: usize,
    begins: Option<&[Begin]>,
    now: Timestamp,
) -> Task {
    let definition = &submission.tasks[index].definition;
    let mut task = Task::new(Seq(seq), Seq(tree), Seq(forest));
    task.token = LeaseToken(0);
    task.max_attempts = definition.durability.max_attempts;
    task.priority = definition.priority;
    task.join = definition.waits_for();
    task.bind(definition);
    if let Some(flow) = Flow::of(&definition.flow, definition.user_id.as_deref()) {
        task.set_flow(|of_task| *of_task = flow);
    }
    let parent = submission.tasks[index].parent.map(|parent| &submission.tasks[parent].definition);
    if parent.is_some_and(|parent| parent.executor() == Some(group::EXECUTOR)) {
        task.set_facets(|facets| facets.member = true);
    }
    // A task that begins on a jump waits for it.
    let on_jump = super::jump::begins_on_jump(definition);
    if on_jump {
        task.set_facets(|facets| facets.on_jump = true);
    }
    if let Some(begin) = begins.and_then(|begins| begins.get(index)) {
        debug_assert_eq!(begin.node, index, "a new submission starts every task, in order");
        // A task that was never started can be.
        let waiting_for = begin.waiting_for + u32::from(on_jump);
        let _ = task.on(Event::Started { waiting_for, failed: begin.failed }, now);
    }
    task
}

/// Whose turn new tasks have; always 0 where turns are not kept.
struct Turns(BTreeMap<String, i64>);

impl Turns {
    async fn of<R: Rows + ?Sized>(
        rows: &mut R,
        submissions: &[&Submission],
    ) -> Result<Self, StoreError> {
        let mut owners: BTreeMap<String, i64> = BTreeMap::new();
        for task in submissions.iter().flat_map(|submission| &submission.tasks) {
            let owner = task.definition.user_id.as_deref().unwrap_or_default();
            if let Some(count) = owners.get_mut(owner) {
                *count += 1;
            } else {
                owners.insert(owner.to_owned(), 1);
            }
        }
        Ok(Self(super::flow::turns(rows, &owners).await?.unwrap_or_default()))
    }

    fn next(&mut self, owner: Option<&str>) -> i64 {
        let Some(turn) = self.0.get_mut(owner.unwrap_or_default()) else { return 0 };
        *turn += 1;
        *turn - 1
    }
}

/// Edges as they are stored: `[[seq, kind], …]`, or nothing.
pub(crate) fn edges_text(edges: &[(i64, i64)]) -> Option<String> {
    if edges.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(edges.len() * 12);
    text.push('[');
    for (index, (seq, kind)) in edges.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        // Writing into a text does not fail.
        let _ = write!(text, "[{seq},{kind}]");
    }
    text.push(']');
    Some(text)
}
