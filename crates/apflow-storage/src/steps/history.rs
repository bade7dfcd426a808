//! What a transaction has to remember of attempts that ended without a result: their rows, and the
//! letters of tasks that failed for good.

use apflow_core::{
    store::{AttemptOutcome, DeadReason, FIRST_ATTEMPTS, MAX_ATTEMPTS_KEPT, StoreError},
    task::{Failure, FailureKind, State, Task},
    time::Timestamp,
    transition::Event,
};

use crate::{
    history_rows::{NewAttemptRow, NewLetterRow},
    rows::Rows,
};

/// So much of what a failure says is kept of each attempt; the whole of the last one is with the task.
const CAUSE_CHARS: usize = 4_000;

/// What is to be written when the transaction ends.
#[derive(Default)]
pub(crate) struct History {
    attempts: Vec<NewAttemptRow>,
    letters: Vec<NewLetterRow>,
    /// Tasks that had failed and begin anew.
    revived: Vec<i64>,
}

/// What an event is about to end, as it was before.
pub(crate) enum Before {
    /// An attempt that may end without a result.
    Attempt(Box<NewAttemptRow>),
    /// A task that had failed.
    Failed,
    /// Nothing of this.
    Else,
}

impl History {
    /// Looks at a task that an event is about to reach.
    ///
    /// An attempt that ends with a result leaves nothing, so nothing is made for it.
    pub(crate) fn look(task: &Task, event: &Event, now: Timestamp) -> Before {
        match (&task.state, event) {
            (State::Failed { .. }, Event::Started { .. } | Event::Reset) => Before::Failed,
            (
                State::Running { lease, attempt, worker, .. },
                Event::Stumbled { .. }
                | Event::HandedBack { .. }
                | Event::TimePassed
                | Event::Abandoned,
            ) => {
                let (outcome, failure) = match event {
                    Event::Stumbled { failure, .. } => (AttemptOutcome::Failed, Some(failure)),
                    Event::HandedBack { .. } => (AttemptOutcome::HandedBack, None),
                    _ => (AttemptOutcome::Lost, None),
                };
                Before::Attempt(Box::new(NewAttemptRow {
                    task: task.seq.0,
                    token: lease.0,
                    run: 0,
                    attempt: i64::from(*attempt),
                    cycle: i64::from(task.facets.as_ref().map_or(0, |facets| facets.cycle)),
                    worker: worker.as_str().to_owned(),
                    began: task.attempt_began().map(|at| at.0),
                    ended: now.0,
                    outcome,
                    kind: failure.map(|failure| failure.kind.word()),
                    cause: failure.map(|failure| cut(&failure.message)),
                    retry_at: None,
                }))
            }
            _ => Before::Else,
        }
    }

    /// Notes what became of it.
    pub(crate) fn note(&mut self, before: Before, was_terminal: bool, task: &Task, run: i64) {
        match before {
            Before::Attempt(mut row) => {
                row.run = run;
                if let State::Retrying { at, .. } = task.state {
                    row.retry_at = Some(at.0);
                }
                if row.outcome == AttemptOutcome::Lost {
                    row.kind = Some(FailureKind::LostLease.word());
                    row.cause = Some(FailureKind::LostLease.in_words().to_owned());
                }
                self.attempts.push(*row);
            }
            Before::Failed => self.revived.push(task.seq.0),
            Before::Else => {}
        }
        if let State::Failed { failure } = &task.state
            && !was_terminal
            && failure.kind != FailureKind::Reported
        {
            self.letters.push(letter(task, failure, run));
        }
    }

    /// The letter of a task that failed in this transaction says why.
    pub(crate) fn ended_for(&mut self, seq: i64, reason: DeadReason) {
        for letter in self.letters.iter_mut().filter(|letter| letter.task == seq) {
            letter.reason = reason;
        }
    }

    /// Writes everything, in as many statements however many tasks it is about.
    pub(crate) async fn write<R: Rows + ?Sized>(
        self,
        rows: &mut R,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !self.attempts.is_empty() {
            rows.add_attempts(&self.attempts).await?;
            // Each row of a task has a greater token than the one before.
            let may_have_many = |row: &&NewAttemptRow| row.token > i64::from(MAX_ATTEMPTS_KEPT);
            let many: Vec<i64> =
                self.attempts.iter().filter(may_have_many).map(|row| row.task).collect();
            if !many.is_empty() {
                let newest = MAX_ATTEMPTS_KEPT - FIRST_ATTEMPTS;
                rows.trim_attempts(&many, FIRST_ATTEMPTS, newest).await?;
            }
        }
        if !self.revived.is_empty() {
            rows.delete_letters(&self.revived).await?;
        }
        if !self.letters.is_empty() && rows.keeps_letters() {
            rows.add_letters(&self.letters, now).await?;
        }
        Ok(())
    }
}

fn letter(task: &Task, failure: &Failure, run: i64) -> NewLetterRow {
    NewLetterRow {
        task: task.seq.0,
        reason: DeadReason::Attempts,
        kind: failure.kind.word(),
        error: cut(&failure.message),
        attempts: i64::from(task.attempts),
        run,
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CAUSE_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
