//! Parking and waking: what a task finds when it parks, who answers first, events, and pauses.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use apflow_core::{
    channel::{ChannelId, Expect, Op},
    executor::matches_filter,
    id::{Seq, TaskId, TreeId},
    question::Question,
    store::{
        Answered, Answering, Ended, EventKind, LOOK_BACK, MAX_PUBLISHED, Pause, PauseAnswer,
        Publish, Published, StoreError, WaitState,
    },
    task::{Facets, Held, Wait, WaitFor},
    time::Timestamp,
    transition::{Event, Refused},
};
use serde_json::{Map, Value, json};

use super::{Effects, Working, control::find, settle::Part, working::Closing};
use crate::{
    channel::ChannelJob,
    rows::Rows,
    rows_waits::{AnswerRow, FoundWait, LookBack},
};

/// What came for the waits of one task, by key.
pub(super) type Answers = BTreeMap<String, Answered>;

/// What was looked up and locked for the tasks of a batch that park.
#[derive(Default)]
pub(super) struct Parking {
    /// Trees that are waited for: row and submission by id.
    trees: HashMap<String, (i64, i64)>,
}

/// When a timer runs out that was set to a moment.
pub(super) fn moment_of(wait: &Wait) -> Option<Timestamp> {
    let at = (wait.what == WaitFor::Timer).then(|| wait.detail.get("at")).flatten()?;
    serde_json::from_value(at.clone()).ok()
}

fn look_back_of(wait: &Wait) -> Option<Duration> {
    if wait.what != WaitFor::Event {
        return None;
    }
    let seconds = wait.detail.get("look_back_seconds").and_then(Value::as_f64)?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(LOOK_BACK).min(LOOK_BACK))
}

/// Locks what tasks of a batch are about to wait for, so that nothing happens to it unseen.
pub(super) async fn before_parking<R: Rows + ?Sized>(
    rows: &mut R,
    parts: &[Part<'_>],
    settling: &[i64],
) -> Result<Parking, StoreError> {
    let mut topics: Vec<&str> = Vec::new();
    let mut trees: Vec<&str> = Vec::new();
    for item in parts.iter().flat_map(|(batch, _)| *batch) {
        let Ended::Parked { wait, .. } = &item.outcome else { continue };
        match (wait.what, wait.topic()) {
            (WaitFor::Child, Some(tree)) => trees.push(tree),
            (_, Some(topic)) if look_back_of(wait).is_some() => topics.push(topic),
            _ => {}
        }
    }
    if !topics.is_empty() {
        rows.hold_topics(&topics).await?;
    }
    let mut parking = Parking::default();
    if !trees.is_empty() {
        let found = rows.find_trees(&trees).await?;
        let mut forests = rows.forests_of(settling).await?;
        forests.extend(found.iter().map(|(.., forest)| *forest));
        forests.sort_unstable();
        forests.dedup();
        rows.hold(&forests).await?;
        parking.trees.extend(found.into_iter().map(|(id, seq, forest)| (id, (seq, forest))));
    }
    Ok(parking)
}

impl Parking {
    /// Wakes a task that has just parked if what it waits for is there already.
    pub(super) async fn follow<R: Rows + ?Sized>(
        &self,
        rows: &mut R,
        work: &mut Working,
        seq: i64,
    ) -> Result<(), StoreError> {
        let Some(wait) = work.wait_of(seq) else { return Ok(()) };
        let Some(topic) = wait.topic().map(str::to_owned) else { return Ok(()) };
        // It waits, so it can be answered.
        let _ = match wait.what {
            WaitFor::Child => match self.trees.get(&topic) {
                None => {
                    let value = json!(format!("there is no tree `{topic}`"));
                    let state = WaitState::Cancelled;
                    work.answer_wait(seq, Closing { state, value, by: None })
                }
                Some((tree, forest)) => {
                    if work.tree(*tree).is_none() {
                        let trees = rows.trees(&[*forest]).await?;
                        work.take_in_trees(trees);
                    }
                    work.await_run(seq, *tree)
                }
            },
            _ => look_back(rows, work, seq, &topic).await?,
        };
        Ok(())
    }
}

/// Takes the oldest event that came before the task parked, if it wants one and there is one.
async fn look_back<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    seq: i64,
    topic: &str,
) -> Result<Result<(), Refused>, StoreError> {
    let Some(wait) = work.wait_of(seq).cloned() else { return Ok(Ok(())) };
    let Some(by) = look_back_of(&wait) else { return Ok(Ok(())) };
    let run = work.task(seq).and_then(|task| work.tree(task.tree.0)).map_or(0, |row| row.run);
    let since = Timestamp(work.now.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(0)));
    let events = rows.look_back(LookBack { task: seq, run, topic, since }).await?;
    for (id, payload) in events {
        let payload: Value = serde_json::from_str(&payload).unwrap_or(Value::Null);
        if wants(&wait.detail, &payload) {
            let (state, by) = (WaitState::Answered, Some(id));
            return Ok(work.answer_wait(seq, Closing { state, value: payload, by }));
        }
    }
    Ok(Ok(()))
}

/// Whether a wait with this detail takes an event with this payload.
fn wants(detail: &Value, payload: &Value) -> bool {
    let empty = Map::new();
    let filter = detail.get("filter").and_then(Value::as_object).unwrap_or(&empty);
    matches_filter(filter, payload)
}

/// What came for the waits of tasks that are taken; most tasks never waited, and cost nothing.
pub(super) async fn answers<R: Rows + ?Sized>(
    rows: &mut R,
    work: &mut Working,
    taken: &[i64],
) -> Result<HashMap<i64, Answers>, StoreError> {
    let has_some = |facets: &Facets| facets.answers;
    let asked: Vec<i64> = taken
        .iter()
        .copied()
        .filter(|seq| work.task(*seq).and_then(|task| task.facets.as_deref()).is_some_and(has_some))
        .collect();
    let mut answers: HashMap<i64, Answers> = HashMap::new();
    if asked.is_empty() {
        return Ok(answers);
    }
    // Some may have come in this very transaction.
    work.write_waits(rows).await?;
    for AnswerRow { task, key, state, answer, by, at } in rows.answers(&asked).await? {
        let value = answer.as_deref().map(serde_json::from_str).transpose();
        let (Some(state), Ok(value)) = (WaitState::parse(&state), value) else {
            tracing::error!(task, key, "what came for a wait cannot be read");
            continue;
        };
        let value = value.unwrap_or(Value::Null);
        let at = Timestamp(at.unwrap_or(work.now.0));
        answers.entry(task).or_default().insert(key, Answered { state, value, by, at });
    }
    Ok(answers)
}

/// Answers or withdraws a wait: the first one wins.
pub(crate) async fn answer<R: Rows + ?Sized>(
    rows: &mut R,
    answering: &Answering,
) -> Result<(Result<(), StoreError>, Effects), StoreError> {
    let Answering { id, value, by, withdraw } = answering;
    let Some(found) = rows.find_wait(id).await? else {
        return Ok((Err(StoreError::NoSuchWait { id: id.clone() }), Effects::default()));
    };
    let mut work = Working::new(rows.now().await?);
    work.load_waiting(rows, std::slice::from_ref(&found)).await?;
    if !work.waits_for(found.task, id) {
        return Ok((Err(closed(rows, found).await?), Effects::default()));
    }
    let state = if *withdraw { WaitState::Cancelled } else { WaitState::Answered };
    let closing = Closing { state, value: value.clone(), by: by.clone() };
    work.answer_wait(found.task, closing)
        .map_err(|refused| StoreError::Refused { id: TaskId::new(id.clone()), refused })?;
    work.carry_through(rows).await?;
    if !*withdraw {
        put_aside(rows, &found, value).await?;
    }
    Ok((Ok(()), work.finish_with(rows).await?))
}

/// Puts an answer into the channel of the run besides, if the question named a place there.
async fn put_aside<R: Rows + ?Sized>(
    rows: &mut R,
    found: &FoundWait,
    value: &Value,
) -> Result<(), StoreError> {
    let Ok(detail) = serde_json::from_str::<Value>(&found.detail) else { return Ok(()) };
    let Ok(question) = Question::of(&detail) else { return Ok(()) };
    let (Some(key), Ok(reply)) = (question.channel_key.clone(), question.read(value)) else {
        return Ok(());
    };
    let op = Op::Set { key, value: reply.bare(), ttl: None, expect: Expect::Any };
    let (channels, _) = rows.hold_channels(&[found.forest]).await?;
    for channel in channels {
        let id = ChannelId {
            forest: Seq(found.forest),
            // Rows are known by number.
            tree: TreeId::new(""),
            pass: u64::try_from(channel.pass).unwrap_or(0),
            space: String::new(),
        };
        let put = match op.check() {
            Ok(()) => {
                let job = ChannelJob { id, op: op.clone(), guard: None };
                super::channels(rows, &[&job]).await?.pop()
            }
            Err(refused) => Some(Err(refused)),
        };
        if let Some(Err(why)) = put {
            // The answer counts all the same: its task has it.
            tracing::warn!(wait = found.id, %why, "an answer has no room in the channel");
        }
    }
    Ok(())
}

/// How a wait stands that takes no answer, read under the lock.
async fn closed<R: Rows + ?Sized>(
    rows: &mut R,
    found: FoundWait,
) -> Result<StoreError, StoreError> {
    let id = found.id;
    let state = rows.find_wait(&id).await?.and_then(|now| WaitState::parse(&now.state));
    Ok(StoreError::WaitClosed { id, state: state.unwrap_or(WaitState::Cancelled) })
}

/// Keeps an event and wakes every task that waits for it.
pub(crate) async fn publish<R: Rows + ?Sized>(
    rows: &mut R,
    event: &Publish,
) -> Result<(Published, Effects), StoreError> {
    rows.hold_topics(&[&event.topic]).await?;
    if let Some(key) = &event.key
        && let Some(id) = rows.find_published(&event.topic, key).await?
    {
        return Ok((Published { id, woken: 0, replayed: true }, Effects::default()));
    }
    let now = rows.now().await?;
    let age = i64::try_from(LOOK_BACK.as_micros()).unwrap_or(i64::MAX);
    let oldest = Timestamp(now.0.saturating_sub(age));
    rows.publish(event, now, oldest, MAX_PUBLISHED).await?;
    let mut waits = rows.waits_on_topic(&event.topic).await?;
    waits.retain(|found| {
        let detail: Value = serde_json::from_str(&found.detail).unwrap_or(Value::Null);
        let may = event.user_id.is_none() || event.user_id == found.user_id;
        may && wants(&detail, &event.payload)
    });
    let mut work = Working::new(now);
    work.load_waiting(rows, &waits).await?;
    let mut woken = 0;
    for found in waits {
        let (state, by) = (WaitState::Answered, Some(event.id.clone()));
        let closing = Closing { state, value: event.payload.clone(), by };
        let is_woken =
            work.waits_for(found.task, &found.id) && work.answer_wait(found.task, closing).is_ok();
        woken += u32::from(is_woken);
    }
    work.carry_through(rows).await?;
    let published = Published { id: event.id.clone(), woken, replayed: false };
    Ok((published, work.finish_with(rows).await?))
}

/// Holds a task or a tree back, or lets it go on.
pub(crate) async fn pause<R: Rows + ?Sized>(
    rows: &mut R,
    pause: &Pause,
) -> Result<(PauseAnswer, Effects), StoreError> {
    let found = find(rows, &pause.task).await?;
    let mut work = Working::new(rows.now().await?);
    let graph = work.whole(rows, &[found.forest]).await?;
    let kind = if pause.paused { EventKind::Paused } else { EventKind::Resumed };
    let free = |work: &Working, seq: i64| {
        work.task(seq).is_some_and(apflow_core::task::Task::may_be_claimed)
    };
    let mut tasks = 0;
    let changed = if pause.tree {
        let changed = work.pause_tree(found.tree, pause.paused);
        for seq in &graph.seqs {
            let Some(task) = work.task(*seq).filter(|task| task.tree.0 == found.tree) else {
                continue;
            };
            let event = if pause.paused && task.may_be_claimed() {
                Event::Held { held: Held::paused_tree() }
            } else if !pause.paused && task.held.as_ref().is_some_and(Held::is_of_tree) {
                Event::Freed
            } else {
                continue;
            };
            // What is ready can be held, and what is held can be freed.
            tasks += u32::from(work.apply(*seq, event).is_ok());
        }
        changed
    } else {
        let was_free = free(&work, found.seq);
        let was_paused = work.task(found.seq).is_some_and(apflow_core::task::Task::is_paused);
        let event = if pause.paused { Event::Paused } else { Event::Resumed };
        if was_paused == pause.paused {
            false
        } else {
            work.apply(found.seq, event)
                .map_err(|refused| StoreError::Refused { id: pause.task.clone(), refused })?;
            tasks = u32::from(was_free != free(&work, found.seq));
            let status = work.task(found.seq).map(|task| task.state.status());
            work.note(found.tree, found.seq, kind, &json!({ "status": status }));
            true
        }
    };
    let answer = PauseAnswer { tree: TreeId::new(found.tree_id), tasks, changed };
    Ok((answer, work.finish_with(rows).await?))
}
