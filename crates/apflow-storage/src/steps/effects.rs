//! What a task asked for with its result, done in the transaction of its end.

use std::{collections::HashMap, sync::Arc};

use apflow_core::{
    effect::{Bounds, Effect, Spawn},
    executor::Gathered,
    id::TaskId,
    store::{Ended, EventKind, NeedKind, Settlement, StoreError, Submission},
    task::{Facets, Failure, Join, Spawned, State, StateName, Task},
    transition::{Event, Refused},
};
use serde_json::{Value, json};

use super::{
    Working,
    claim::Fresh,
    insert::{begins, first_state, new_row},
    jump,
    settle::settle_one,
};
use crate::{
    rows::{Insert, Rows},
    rows_effects::{GatheredRow, Joining},
};

/// Settles a report that asks for more.
///
/// What is asked for is checked first: a bound that is reached, or a wish that cannot be granted,
/// makes a failure of the report, and nothing of it is done.
pub(super) async fn settle<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    item: &Settlement,
) -> Result<Result<(), Refused>, StoreError> {
    let seq = item.seq.0;
    let holds = work.task(seq).is_some_and(
        |task| matches!(task.state, State::Running { lease, .. } if lease == item.lease),
    );
    if !holds {
        // It is refused, whatever it asks for.
        return Ok(settle_one(work, item, None));
    }
    match Wish::of(item) {
        Wish::None => Ok(settle_one(work, item, None)),
        Wish::Gather(spawn) => gather(rows, work, item, spawn).await,
        Wish::Go { spawns, then } => go(rows, work, item, &spawns, then).await,
    }
}

/// What a report asks for.
enum Wish<'a> {
    /// Nothing that counts after such an end.
    None,
    /// To go on when these have ended.
    Gather(&'a Spawn),
    /// To end, with more tasks, and with something beside the usual.
    Go { spawns: Vec<&'a Spawn>, then: Then<'a> },
}

/// How it goes on after the task.
#[derive(Clone, Copy)]
enum Then<'a> {
    /// With those who wait for it.
    Dependents,
    /// With the task itself.
    Again(&'a Value),
    /// With another task.
    Elsewhere { to: &'a str, data: &'a Value },
    /// Not at all: that was all.
    Finish,
    /// Not at all: the run is stopped.
    Cancel { reason: &'a str },
}

impl<'a> Wish<'a> {
    /// Of several wishes that exclude one another the last one counts.
    fn of(item: &'a Settlement) -> Self {
        let effects = &item.notes.wishes.effects;
        let gathering = effects.iter().find_map(|effect| match effect {
            Effect::Spawn(spawn) if spawn.gather => Some(spawn),
            _ => None,
        });
        match (&item.outcome, gathering) {
            (Ended::Completed { .. } | Ended::Parked { .. }, Some(spawn)) => Self::Gather(spawn),
            (Ended::Completed { .. }, None) => {
                let mut spawns = Vec::new();
                let mut then = Then::Dependents;
                for effect in effects {
                    match effect {
                        Effect::Spawn(spawn) => spawns.push(spawn),
                        // Who stops the run wins over who finishes it, and either over going on.
                        Effect::CancelRun { reason } => then = Then::Cancel { reason },
                        _ if matches!(then, Then::Cancel { .. }) => {}
                        Effect::Finish => then = Then::Finish,
                        _ if matches!(then, Then::Finish) => {}
                        Effect::Iterate { data } => then = Then::Again(data),
                        Effect::Jump { to, data } => then = Then::Elsewhere { to, data },
                    }
                }
                if matches!(then, Then::Cancel { .. } | Then::Finish) {
                    // Nothing of the run is left for them to do.
                    spawns.clear();
                }
                Self::Go { spawns, then }
            }
            _ => Self::None,
        }
    }
}

/// Fails the task for what it asked.
fn fail(work: &mut Working, item: &Settlement, failure: Failure) -> Result<(), Refused> {
    let event = Event::Stumbled { lease: item.lease, failure, retry_at: None };
    settle_one(work, item, Some(event))
}

/// The bounds that hold for a task that is known, and what its run did so far.
async fn bounds<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    item: &Settlement,
) -> Result<(Bounds, Facets, i64), StoreError> {
    let seq = item.seq.0;
    let (tree, depth) =
        work.task(seq).map_or((seq, Facets::default()), |task| (task.tree.0, task.facets()));
    work.know(rows, [tree]).await?;
    let options = work.tree(tree).map(crate::row::TreeRow::options).transpose()?;
    let max_cycles = item.notes.wishes.max_cycles;
    Ok((Bounds::of(max_cycles, &options.unwrap_or_default()), depth, tree))
}

/// Whether so many more tasks may be spawned.
fn may_spawn(
    work: &Working,
    bounds: Bounds,
    own: &Facets,
    tree: i64,
    more: usize,
) -> Result<(), Failure> {
    bounds.deeper(own.spawned.as_ref().map_or(0, |spawned| spawned.depth))?;
    let counts = work.task(tree).map(Task::facets).unwrap_or_default().run;
    bounds.more_tasks(counts.spawned, more)
}

async fn gather<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    item: &Settlement,
    spawn: &Spawn,
) -> Result<Result<(), Refused>, StoreError> {
    let (bounds, own, tree) = bounds(rows, work, item).await?;
    if let Err(failure) = may_spawn(work, bounds, &own, tree, spawn.tasks.len()) {
        return Ok(fail(work, item, failure));
    }
    let waiting_for = u32::try_from(spawn.tasks.len()).unwrap_or(u32::MAX);
    let event = Event::Gathers { lease: item.lease, waiting_for };
    note_spawn(work, tree, item.seq.0, spawn);
    if let Err(refused) = work.apply(item.seq.0, event) {
        return Ok(Err(refused));
    }
    add(rows, work, item.seq.0, spawn, &own).await?;
    Ok(Ok(()))
}

async fn go<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    item: &Settlement,
    spawns: &[&Spawn],
    then: Then<'_>,
) -> Result<Result<(), Refused>, StoreError> {
    let (bounds, own, tree) = bounds(rows, work, item).await?;
    let more: usize = spawns.iter().map(|spawn| spawn.tasks.len()).sum();
    let allowed = if more > 0 { may_spawn(work, bounds, &own, tree, more) } else { Ok(()) };
    // A jump to oneself is another pass.
    let (then, target) = match then {
        Then::Elsewhere { to, data } => match jump::find(rows, work, item, to).await? {
            Ok(target) if target.seq == item.seq.0 => (Then::Again(data), None),
            Ok(target) => (then, Some(target)),
            Err(failure) => return Ok(fail(work, item, failure)),
        },
        _ => (then, None),
    };
    let allowed = allowed.and_then(|()| match then {
        Then::Dependents | Then::Finish | Then::Cancel { .. } => Ok(()),
        Then::Again(_) => {
            bounds.another_pass(item.notes.wishes.name.as_str(), own.cycle)?;
            bounds.another_step(steps_of(work, tree))
        }
        Then::Elsewhere { .. } => {
            if let Some(target) = &target
                && let Some(task) = work.task(target.seq).filter(|task| task.state.is_terminal())
            {
                let bounds = bounds.with_cycles(target.definition.max_cycles);
                bounds.another_pass(&target.definition.name, task.facets().cycle)?;
            }
            bounds.another_step(steps_of(work, tree))
        }
    });
    if let Err(failure) = allowed {
        return Ok(fail(work, item, failure));
    }
    for spawn in spawns {
        note_spawn(work, tree, item.seq.0, spawn);
    }
    if let Some(target) = &target {
        // Whatever ended before counts as ended before.
        work.tell_dependents();
        work.note(tree, item.seq.0, EventKind::Jumped, &json!({ "to": target.id }));
    }
    let lease = item.lease;
    let event = match then {
        Then::Dependents | Then::Finish => None,
        Then::Elsewhere { .. } => Some(Event::Jumped { lease }),
        Then::Cancel { reason } => Some(Event::CancelRequested { reason: reason.to_owned() }),
        Then::Again(data) => Some(Event::Iterated { lease, data: data.clone() }),
    };
    let settled = settle_one(work, item, event);
    if settled.is_err() {
        return Ok(settled);
    }
    for spawn in spawns {
        add(rows, work, item.seq.0, spawn, &own).await?;
    }
    match then {
        Then::Dependents => {}
        Then::Finish => jump::finish(rows, work, item).await?,
        Then::Cancel { reason } => jump::cancel(rows, work, item, reason).await?,
        Then::Elsewhere { data, .. } => {
            if let Some(target) = &target {
                work.set_facets(tree, |facets| facets.run.steps += 1);
                jump::reach(rows, work, item, target, data).await?;
            }
        }
        Then::Again(_) => {
            work.set_facets(tree, |facets| facets.run.steps += 1);
            let detail = json!({ "cycle": own.cycle + 1 });
            work.note(tree, item.seq.0, EventKind::Iterated, &detail);
        }
    }
    Ok(settled)
}

/// Iterations and jumps of the run so far.
fn steps_of(work: &Working, tree: i64) -> u32 {
    work.task(tree).map(Task::facets).unwrap_or_default().run.steps
}

/// Adds spawned tasks to the tree of their spawner, and lets whoever waits for it wait for them.
async fn add<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    spawner: i64,
    spawn: &Spawn,
    own: &Facets,
) -> Result<(), StoreError> {
    let Some((tree, forest)) = work.task(spawner).map(|task| (task.tree.0, task.forest.0)) else {
        return Ok(());
    };
    let places = rows.allocate(spawn.tasks.len()).await?;
    let waiting: Vec<(i64, i64)> = if spawn.gather {
        // Like a parent: it goes on when they have ended, and also when some of them never can.
        vec![(spawner, NeedKind::Structure.code())]
    } else {
        let all = |seq: &i64| work.task(*seq).is_some_and(|task| task.join == Join::All);
        work.dependents(spawner).iter().filter(|(seq, _)| all(seq)).copied().collect()
    };
    let submission = Submission {
        trees: Vec::new(),
        tasks: spawn.tasks.clone(),
        start: true,
        idempotency: None,
        callback: None,
        demo: false,
    };
    let begins = begins(&submission);
    let mut dependents: Vec<Vec<(i64, i64)>> = vec![Vec::new(); places.len()];
    for (task, place) in spawn.tasks.iter().zip(&places) {
        for need in &task.needs {
            dependents[need.on].push((*place, need.kind.code()));
        }
    }
    let mut insert = Insert { now: work.now, ..Insert::default() };
    let depth = own.spawned.as_ref().map_or(0, |spawned| spawned.depth) + 1;
    let own_space = own.spawned.as_ref().and_then(|spawned| spawned.space.as_ref());
    for (index, task) in spawn.tasks.iter().enumerate() {
        let place = places[index];
        let mut stands =
            first_state(place, tree, forest, &submission, index, begins.as_deref(), work.now);
        stands.set_facets(|facets| {
            facets.spawned = Some(Box::new(Spawned {
                key: spawn.keys.get(index).cloned().unwrap_or_default(),
                depth,
                cycle: own.cycle,
                round: spawn.gather.then_some(own.rounds),
                space: spawn.space.clone().or_else(|| own_space.cloned()),
            }));
            facets.member |= spawn.members;
        });
        let needs: Vec<(i64, i64)> =
            task.needs.iter().map(|need| (places[need.on], need.kind.code())).collect();
        let parent = task.parent.map_or(spawner, |parent| places[parent]);
        let mut waits = std::mem::take(&mut dependents[index]);
        waits.extend(&waiting);
        insert.tasks.push(new_row(task, &stands, Some(parent), &needs, &waits));
        work.join(stands, waits);
    }
    let more = u32::try_from(places.len()).unwrap_or(u32::MAX);
    if !spawn.gather {
        for (dependent, _) in &waiting {
            // Who is not blocked does not wait in this run.
            let _ = work.apply(*dependent, Event::MoreNeeded { count: more });
        }
    }
    let needs = waiting
        .iter()
        .map(|(seq, kind)| (*seq, places.iter().map(|place| (*place, *kind)).collect()))
        .collect();
    let grown = vec![(tree, i64::from(more))];
    rows.join(&Joining { insert, needs, parents: vec![spawner], grown }).await?;
    work.set_facets(spawner, |facets| facets.has_spawned = true);
    work.set_facets(tree, |facets| {
        facets.run.spawned = facets.run.spawned.saturating_add(more);
    });
    Ok(())
}

/// Writes into the journal that tasks come into being; a spawner that has ended says nothing more.
fn note_spawn(work: &mut Working, tree: i64, spawner: i64, spawn: &Spawn) {
    let detail = json!({ "tasks": spawn.tasks.len(), "gather": spawn.gather });
    work.note(tree, spawner, EventKind::Spawned, &detail);
}

/// What each of these tasks gathered in the pass it is in, for those that did.
pub(super) async fn gathered<R: Rows + ?Sized>(
    rows: &mut R,
    work: &Working,
    taken: &[i64],
    fresh: &Fresh<'_>,
) -> Result<HashMap<i64, Vec<Gathered>>, StoreError> {
    let cycles: HashMap<i64, u32> = taken
        .iter()
        .filter_map(|seq| Some((*seq, work.task(*seq)?.facets.as_ref()?)))
        .filter(|(_, facets)| facets.rounds > 0)
        .map(|(seq, facets)| (seq, facets.cycle))
        .collect();
    let mut found: HashMap<i64, Vec<Gathered>> = HashMap::new();
    if cycles.is_empty() {
        return Ok(found);
    }
    let mut spawners: Vec<i64> = cycles.keys().copied().collect();
    spawners.sort_unstable();
    for row in rows.gathered(&spawners).await? {
        let spawner = row.spawner;
        let Some(cycle) = cycles.get(&spawner) else { continue };
        match in_pass(row, *cycle, work, fresh) {
            Ok(gathered) => found.entry(spawner).or_default().extend(gathered),
            Err(StoreError::Corrupt { table, row, what }) => {
                // Its spawner goes on without it, as with a task that is gone.
                tracing::error!(table, row, what, "a row was set aside");
                rows.set_aside(table, &row, &what).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// A spawned task, if it was gathered in this pass.
fn in_pass(
    row: GatheredRow,
    cycle: u32,
    work: &Working,
    fresh: &Fresh<'_>,
) -> Result<Option<Gathered>, StoreError> {
    let corrupt =
        |what: String| StoreError::Corrupt { table: "af_work", row: row.seq.to_string(), what };
    let facets: Facets = match &row.facets {
        Some(text) => serde_json::from_str(text).map_err(|error| corrupt(error.to_string()))?,
        None => return Ok(None),
    };
    let Some(spawned) = facets.spawned.filter(|spawned| spawned.cycle == cycle) else {
        return Ok(None);
    };
    let Some(round) = spawned.round else { return Ok(None) };
    let (state, error) = if let Some(task) = work.task(row.seq) {
        // What happened in this very transaction is not in the rows yet.
        (task.state.name(), super::working::error_of(&task.state))
    } else {
        let state = StateName::parse(&row.state)
            .ok_or_else(|| corrupt(format!("state: `{}`", row.state)))?;
        (state, row.error)
    };
    let result = match fresh.get(&row.seq) {
        _ if state != StateName::Completed => None,
        Some(value) => Some(Arc::new(Value::clone(value))),
        None => row.output.and_then(|text| serde_json::from_str(&text).ok()).map(Arc::new),
    };
    let id = TaskId::new(row.id);
    Ok(Some(Gathered { id, key: spawned.key, round, state, result, error }))
}
