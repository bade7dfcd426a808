//! What follows for waits from what happens to their tasks: rows to add, rows that end, trees to mark.

use std::collections::BTreeSet;

use apflow_core::{
    id::Seq,
    store::{EventKind, StoreError, WaitState},
    task::{OnTimeout, State, Task, Wait, WaitFor},
    transition::{Event, Refused},
};
use serde_json::{Value, json};

use super::Working;
use crate::{
    row::TreeRow,
    rows::{NewEvent, Rows},
    rows_waits::{FoundWait, NewWaitRow, WaitChange},
};

/// What a transaction has to write about waits.
#[derive(Default)]
pub(super) struct Parked {
    new: Vec<NewWaitRow>,
    changes: Vec<WaitChange>,
    /// Trees of which it changed whether they are paused or waited for.
    marks: BTreeSet<i64>,
    /// Trees that are waited for and whose run ended.
    ended: Vec<i64>,
}

/// How a wait ends.
pub(crate) struct Closing {
    pub(crate) state: WaitState,
    pub(crate) value: Value,
    pub(crate) by: Option<String>,
}

/// What an event means for the wait of a task, besides what the task itself says of it.
pub(super) enum Cause {
    /// Whoever answers writes down how.
    Answered,
    Time,
    Cancelled(String),
    Other,
}

impl Cause {
    pub(super) fn of(event: &Event) -> Self {
        match event {
            Event::Answered => Self::Answered,
            Event::TimePassed => Self::Time,
            Event::CancelRequested { reason } => Self::Cancelled(reason.clone()),
            _ => Self::Other,
        }
    }
}

/// What the task waits for, if that has a row of its own.
pub(super) fn kept(state: &State) -> Option<&Wait> {
    match state {
        State::Waiting { wait, .. } if wait.is_kept() => Some(wait),
        _ => None,
    }
}

fn text<T: serde::Serialize>(value: &T) -> String {
    // Plain data always has a JSON form.
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

impl Parked {
    /// Follows a change of a task that waited for `was` until now, in run `run` of its tree.
    pub(super) fn follow(&mut self, task: &Task, was: Option<Wait>, cause: Cause, run: i64) {
        match (was, kept(&task.state)) {
            (None, Some(wait)) => self.new.push(NewWaitRow {
                id: wait.id.clone(),
                task: task.seq.0,
                tree: task.tree.0,
                forest: task.forest.0,
                run,
                key: wait.key.clone(),
                kind: wait.what.as_str(),
                topic: wait.topic().map(str::to_owned),
                detail: text(&wait.detail),
                on_timeout: text(&wait.on_timeout),
                until: task.wake_at().map(|at| at.0),
            }),
            (Some(was), Some(wait)) if was != *wait => {
                let state = if wait.overdue { WaitState::Expired } else { WaitState::Pending };
                self.changes.push(WaitChange {
                    id: was.id,
                    state: state.as_str(),
                    open: true,
                    on_timeout: Some(text(&wait.on_timeout)),
                    escalated_to: wait.escalated_to.clone(),
                    until: task.wake_at().map(|at| at.0),
                    answer: None,
                    answered_by: None,
                });
            }
            (Some(was), None) => {
                let closing = closing(&was, &task.state, cause);
                self.changes.extend(closing.map(|closing| change(was.id, closing)));
            }
            _ => {}
        }
    }
}

/// How a wait ends whose task goes on or has ended; none where whoever answers says it.
fn closing(was: &Wait, state: &State, cause: Cause) -> Option<Closing> {
    let end = |state, value| Some(Closing { state, value, by: None });
    match cause {
        Cause::Answered => None,
        Cause::Time if *state == State::Ready && was.what == WaitFor::Timer => {
            end(WaitState::Answered, Value::Null)
        }
        Cause::Time => match &was.on_timeout {
            OnTimeout::Default(value) if *state == State::Ready => {
                let by = Some("timeout".to_owned());
                Some(Closing { state: WaitState::Answered, value: value.clone(), by })
            }
            _ => end(WaitState::Expired, json!("nobody answered in time")),
        },
        Cause::Cancelled(reason) => end(WaitState::Cancelled, Value::String(reason)),
        Cause::Other => end(WaitState::Cancelled, json!("the task ended without it")),
    }
}

fn change(id: String, closing: Closing) -> WaitChange {
    WaitChange {
        id,
        state: closing.state.as_str(),
        open: false,
        on_timeout: None,
        escalated_to: None,
        until: None,
        answer: Some(text(&closing.value)),
        answered_by: closing.by,
    }
}

/// What whoever waits for a run is told of its end.
fn end_of_run(row: &TreeRow) -> Value {
    json!({ "outcome": row.outcome, "run": row.run })
}

impl Working {
    /// The task is parked for this wait.
    pub(crate) fn waits_for(&self, seq: i64, id: &str) -> bool {
        self.task(seq).and_then(|task| kept(&task.state)).is_some_and(|wait| wait.id == id)
    }

    /// What the task waits for.
    pub(crate) fn wait_of(&self, seq: i64) -> Option<&Wait> {
        self.task(seq).and_then(|task| kept(&task.state))
    }

    /// Ends what a task waits for and lets it go on.
    pub(crate) fn answer_wait(&mut self, seq: i64, closing: Closing) -> Result<(), Refused> {
        let id = self.wait_of(seq).map(|wait| wait.id.clone());
        self.apply(seq, Event::Answered)?;
        self.parked.changes.extend(id.map(|id| change(id, closing)));
        Ok(())
    }

    /// Lets a task that just parked for a run hear of its end, now or when it comes.
    pub(crate) fn await_run(&mut self, seq: i64, tree: i64) -> Result<(), Refused> {
        let Some(row) = self.tree(tree) else { return Ok(()) };
        if row.run > 0 && !row.is_running() {
            let value = end_of_run(row);
            return self.answer_wait(seq, Closing { state: WaitState::Answered, value, by: None });
        }
        if let Some(row) = self.tree_mut(tree) {
            row.awaited = true;
            self.parked.marks.insert(tree);
        }
        Ok(())
    }

    /// Holds a tree back, or lets it go on; true if that is news.
    pub(crate) fn pause_tree(&mut self, tree: i64, paused: bool) -> bool {
        if self.tree(tree).is_none_or(|row| row.paused == paused) {
            return false;
        }
        let kind = if paused { EventKind::Paused } else { EventKind::Resumed };
        let kind = kind.code();
        self.events.push(NewEvent { tree, task: None, kind, attempt: 0, detail: None });
        self.effects.changed.push(Seq(tree));
        if let Some(row) = self.tree_mut(tree) {
            row.paused = paused;
        }
        self.parked.marks.insert(tree);
        true
    }

    /// The run of a tree has ended.
    pub(super) fn note_end_of_run(&mut self, tree: i64) {
        if self.tree(tree).is_some_and(|row| row.awaited) {
            if let Some(row) = self.tree_mut(tree) {
                row.awaited = false;
            }
            self.parked.marks.insert(tree);
            self.parked.ended.push(tree);
        }
    }

    /// Wakes those who wait for runs that have ended. True if there were any.
    pub(super) async fn tell_who_waits<R: Rows + ?Sized>(
        &mut self,
        rows: &mut R,
    ) -> Result<bool, StoreError> {
        let ended = std::mem::take(&mut self.parked.ended);
        if ended.is_empty() {
            return Ok(false);
        }
        let waits = rows.waits_on_trees(&ended).await?;
        let found: Vec<FoundWait> = waits.iter().map(|(_, found)| found.clone()).collect();
        self.load_waiting(rows, &found).await?;
        let mut woken = false;
        for (tree, found) in waits {
            let Some(value) = self.tree(tree).map(end_of_run) else { continue };
            let closing = Closing { state: WaitState::Answered, value, by: None };
            woken |= self.waits_for(found.task, &found.id)
                && self.answer_wait(found.task, closing).is_ok();
        }
        Ok(woken)
    }

    /// Locks and takes in the tasks of waits.
    pub(crate) async fn load_waiting<R: Rows + ?Sized>(
        &mut self,
        rows: &mut R,
        found: &[FoundWait],
    ) -> Result<(), StoreError> {
        let mut forests: Vec<i64> = found.iter().map(|found| found.forest).collect();
        forests.sort_unstable();
        forests.dedup();
        if forests.is_empty() {
            return Ok(());
        }
        rows.hold(&forests).await?;
        let tasks: Vec<i64> = found.iter().map(|found| found.task).collect();
        let opening = rows.open(&tasks, 0).await?;
        self.take_in(opening);
        Ok(())
    }

    /// Takes in trees whose tasks are not wanted.
    pub(crate) fn take_in_trees(&mut self, trees: Vec<TreeRow>) {
        self.take_trees(Vec::new(), trees);
    }

    /// Writes what is known of waits so far, so that it can be read.
    pub(crate) async fn write_waits<R: Rows + ?Sized>(
        &mut self,
        rows: &mut R,
    ) -> Result<(), StoreError> {
        let new = std::mem::take(&mut self.parked.new);
        let changes = std::mem::take(&mut self.parked.changes);
        if !new.is_empty() || !changes.is_empty() {
            rows.save_waits(&new, &changes, self.now).await?;
        }
        let marks: Vec<(i64, bool, bool)> = std::mem::take(&mut self.parked.marks)
            .into_iter()
            .filter_map(|seq| self.tree(seq).map(|row| (seq, row.paused, row.awaited)))
            .collect();
        if !marks.is_empty() {
            rows.mark_trees(&marks).await?;
        }
        Ok(())
    }
}
