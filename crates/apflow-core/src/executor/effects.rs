//! What an executor says to have more done: spawn, gather, iterate, jump, finish, cancel the run.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

use serde_json::Value;

use super::{Context, ExecuteError, Notes, Park};
use crate::{
    effect::{Effect, refuse_data},
    id::TaskId,
    submit::{self, TaskSpec},
    task::{FailureKind, StateName, Wait, WaitFor},
};

/// How a task that was gathered has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathered {
    /// Its id.
    pub id: TaskId,
    /// What its spawner called it: the id it wrote, else the name.
    pub key: String,
    /// Which gathering of this pass it belongs to, counted from 0.
    pub round: u32,
    /// How it ended; a task that can never run stays blocked.
    pub state: StateName,
    /// Its result, if it completed.
    pub result: Option<Arc<Value>>,
    /// Why it ended without one.
    pub error: Option<String>,
}

impl Gathered {
    /// It ended with a result.
    pub fn completed(&self) -> bool {
        self.state == StateName::Completed
    }
}

/// What an attempt asks to be done at its end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// In the order in which it was asked.
    pub effects: Vec<Effect>,
    /// How often this attempt came by a gathering.
    pub gatherings: u32,
    /// How often the task may go round in one run, if its author said.
    pub max_cycles: Option<u32>,
    /// What the task is called.
    pub name: String,
    /// Its id.
    pub id: String,
}

impl Context {
    /// Runs more tasks: they join the run when this attempt has succeeded, and whoever waits for this
    /// task waits for them too.
    ///
    /// They hang under this task. They may depend on one another, by what they are called here: an
    /// `id` in them is a name among these tasks, and each gets an id of its own.
    pub fn spawn(&self, tasks: Vec<TaskSpec>) -> Result<(), ExecuteError> {
        if tasks.is_empty() {
            return Ok(());
        }
        let spawn = self.drafts(tasks, false)?;
        self.ask_for(Effect::Spawn(spawn));
        Ok(())
    }

    /// Runs more tasks and goes on when all of them have ended, however they end.
    ///
    /// Until then the task holds no worker: the first call answers with an error that has to be
    /// passed on with `?`, and when they have ended the executor is called again from its top and
    /// finds them here. An executor that gathers several times has to come by its gatherings in the
    /// same order each time.
    pub fn gather(&self, tasks: Vec<TaskSpec>) -> Result<Vec<Gathered>, ExecuteError> {
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        let round = self.note(|notes| {
            let round = notes.wishes.gatherings;
            notes.wishes.gatherings += 1;
            round
        });
        if round < self.given.rounds {
            let gathered = self.given.gathered.iter().flatten();
            return Ok(gathered.filter(|task| task.round == round).cloned().collect());
        }
        let count = tasks.len();
        let spawn = self.drafts(tasks, true)?;
        self.ask_for(Effect::Spawn(spawn));
        let detail = serde_json::json!({ "tasks": count });
        let wait = Wait::new(WaitFor::Child, detail);
        Err(ExecuteError::Parked(Box::new(Park { wait, at_most: None })))
    }

    /// Runs members of this task and goes on when they have ended, whatever was gathered before.
    ///
    /// What it means that one of them fails is this task's to say. With `space`, they share a part of
    /// the channel of their own. The answer is always to be passed on.
    pub(crate) fn gather_members(
        &self,
        tasks: Vec<TaskSpec>,
        space: Option<String>,
    ) -> ExecuteError {
        let count = tasks.len();
        let mut spawn = match self.drafts(tasks, true) {
            Ok(spawn) => spawn,
            Err(error) => return error,
        };
        (spawn.members, spawn.space) = (true, space);
        self.ask_for(Effect::Spawn(spawn));
        let wait = Wait::new(WaitFor::Child, serde_json::json!({ "tasks": count }));
        ExecuteError::Parked(Box::new(Park { wait, at_most: None }))
    }

    /// Runs this task again after this attempt has succeeded, and gives the next pass `data`.
    ///
    /// Whoever waits for the task goes on waiting until a pass ends without asking for another one.
    pub fn iterate(&self, data: Value) -> Result<(), ExecuteError> {
        let data = Self::handed_over(data)?;
        self.ask_for(Effect::Iterate { data });
        Ok(())
    }

    /// Goes on with another task of this submission, by its id or its name.
    ///
    /// It runs again, or for the first time, with its needs taken as met and with `data`. What comes
    /// after it and had ended is set back. Whoever needs this task does not go on.
    pub fn jump(&self, to: impl Into<String>, data: Value) -> Result<(), ExecuteError> {
        let data = Self::handed_over(data)?;
        self.ask_for(Effect::Jump { to: to.into(), data });
        Ok(())
    }

    /// Ends the run of the tree as a success when this attempt has succeeded: what has not ended by
    /// then is not done.
    pub fn finish(&self) {
        self.ask_for(Effect::Finish);
    }

    /// Cancels the run of the tree, this task included, when this attempt has ended.
    pub fn cancel_run(&self, reason: impl Into<String>) {
        self.ask_for(Effect::CancelRun { reason: reason.into() });
    }

    fn handed_over(data: Value) -> Result<Value, ExecuteError> {
        match refuse_data(&data) {
            None => Ok(data),
            Some(failure) => Err(ExecuteError::Permanent { failure, result: Value::Null }),
        }
    }

    fn drafts(
        &self,
        tasks: Vec<TaskSpec>,
        gather: bool,
    ) -> Result<crate::effect::Spawn, ExecuteError> {
        submit::spawned(tasks, self.user_id.as_deref(), gather).map_err(|problems| {
            let all: Vec<String> = problems.0.iter().map(|one| one.detail.clone()).collect();
            let why = format!("the tasks cannot be spawned: {}", all.join("; "));
            ExecuteError::of_kind(FailureKind::Effect, why)
        })
    }

    fn ask_for(&self, effect: Effect) {
        self.note(|notes| notes.wishes.effects.push(effect));
    }

    /// Writes into the notes of this attempt.
    fn note<T>(&self, write: impl FnOnce(&mut Notes) -> T) -> T {
        // Whoever panicked while he held it has written whole notes or none.
        write(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Gathered tasks by what their spawner called them.
pub fn by_key(gathered: &[Gathered]) -> BTreeMap<&str, &Gathered> {
    gathered.iter().map(|task| (task.key.as_str(), task)).collect()
}
