//! Every legal change of state. Nothing else in apflow makes a [`State`] but storage reading a row.
//!
//! [`Task::on`] takes the moment as an argument and touches nothing but the task, so each rule can be
//! tested in a line and the table in `docs/STATES.md` can be generated from [`ARROWS`].

use crate::{
    id::{LeaseToken, NodeId, Seq},
    portable::Stood,
    task::{
        Facets, Failure, FailureKind, Held, HeldBy, Join, OnTimeout, Over, Priority, SkipCause,
        State, StateName, Status, Task, Wait, WaitFor,
    },
    time::Timestamp,
};

/// How often a task whose author set no `max_attempts` is taken up again after its worker vanished.
///
/// Without a bound a task that kills its worker would be tried for ever; with 1, one crash of the
/// process would fail every task that was running.
pub const MAX_LOST_LEASES: u32 = 5;

/// Something that happened to a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A run that includes the task began; it has this many unsettled needs.
    Started {
        /// Needs not settled yet.
        waiting_for: u32,
        /// Required needs that ended without completing.
        failed: u32,
    },
    /// The run goes on with the task after a failure: as `Started`, but passes and gatherings that
    /// are done stay done.
    GoesOn {
        /// Needs not settled yet.
        waiting_for: u32,
        /// Required needs that ended without completing.
        failed: u32,
    },
    /// A need of the task ended.
    NeedSettled {
        /// It completed.
        completed: bool,
        /// It had to.
        required: bool,
    },
    /// Only the order of structure held it back, and nothing it waits for can move any more.
    Released,
    /// Something holds it back although it is ready.
    Held {
        /// What.
        held: Held,
    },
    /// What held it back does so no more.
    Freed,
    /// A worker took it.
    Claimed {
        /// The worker.
        worker: NodeId,
        /// When the lease ends.
        until: Timestamp,
    },
    /// The worker is still at it.
    Renewed {
        /// The worker's token.
        lease: LeaseToken,
        /// When the lease ends now.
        until: Timestamp,
    },
    /// The executor returned a result.
    Succeeded {
        /// The worker's token.
        lease: LeaseToken,
    },
    /// The executor failed.
    Stumbled {
        /// The worker's token.
        lease: LeaseToken,
        /// How.
        failure: Failure,
        /// When another attempt may begin; none if this failure is never retried.
        retry_at: Option<Timestamp>,
    },
    /// The executor waits for tasks that it brought into being.
    Gathers {
        /// The worker's token.
        lease: LeaseToken,
        /// So many of them.
        waiting_for: u32,
    },
    /// The executor returned, and wants to run once more.
    Iterated {
        /// The worker's token.
        lease: LeaseToken,
        /// What the next pass is given.
        data: serde_json::Value,
    },
    /// The executor returned, and goes on elsewhere.
    Jumped {
        /// The worker's token.
        lease: LeaseToken,
    },
    /// Another task went on here; the needs count as met.
    Reached {
        /// What this pass is given.
        data: serde_json::Value,
    },
    /// Something before it runs once more, so it waits again.
    SetBack {
        /// Needs not settled now.
        waiting_for: u32,
        /// Required needs that ended without completing.
        failed: u32,
    },
    /// Tasks that it has to wait for came into being.
    MoreNeeded {
        /// So many.
        count: u32,
    },
    /// The executor waits for somebody else.
    Parked {
        /// The worker's token.
        lease: LeaseToken,
        /// For whom.
        wait: Wait,
        /// Until when.
        until: Option<Timestamp>,
    },
    /// What it waited for came.
    Answered,
    /// Somebody paused it: it is not taken until it is resumed.
    Paused,
    /// Somebody resumed it.
    Resumed,
    /// A worker that shuts down gives it back untried.
    HandedBack {
        /// The worker's token.
        lease: LeaseToken,
    },
    /// The moment the state was good for has passed: lease, retry delay or wait.
    TimePassed,
    /// The worker is known to be dead.
    Abandoned,
    /// Somebody asked to stop it.
    CancelRequested {
        /// What they said.
        reason: String,
    },
    /// It will not be tried.
    Skipped {
        /// Why.
        why: String,
    },
    /// Its condition does not hold, or that of a task it requires did not.
    PassedOver {
        /// The worker's token, if a worker found out.
        lease: Option<LeaseToken>,
        /// Which condition.
        why: String,
    },
    /// Somebody set a failed or cancelled task back by hand.
    Reset,
    /// A snapshot takes the place of what is here.
    Withdrawn,
    /// It stands where a snapshot or another database has it.
    Restored {
        /// Where that is.
        stood: Stood,
        /// Needs that are not settled yet, if it is blocked.
        waiting_for: u32,
        /// Required needs that ended without completing, if it is blocked.
        failed: u32,
        /// Attempts that had begun and ended.
        attempts: u32,
        /// What only some tasks have.
        facets: Option<Box<Facets>>,
    },
    /// Somebody took the task over by setting it `in_progress`.
    TakenOver,
    /// Whoever took it over reports how it ended.
    Reported {
        /// The failure, or none if it completed.
        failure: Option<Failure>,
    },
}

/// Why an event was refused; the task is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The report carries a token that is not the current one.
    #[error("the lease {held} is no longer current; the task is at {current}")]
    StaleLease {
        /// The token the report carried.
        held: LeaseToken,
        /// The task's newest token.
        current: LeaseToken,
    },
    /// The event makes no sense where the task stands.
    #[error("the task is {state} ({})", .state.status())]
    OutOfOrder {
        /// Where it stands.
        state: StateName,
    },
    /// There is no such task.
    #[error("there is no such task")]
    NoSuchTask,
}

impl Task {
    /// A task that is stored and was never asked to run.
    pub fn new(seq: Seq, tree: Seq, forest: Seq) -> Self {
        Self {
            seq,
            tree,
            forest,
            state: State::Created,
            token: LeaseToken(0),
            attempts: 0,
            max_attempts: None,
            priority: Priority::NORMAL,
            join: Join::All,
            started_at: None,
            completed_at: None,
            held: None,
            turn: 0,
            facets: None,
        }
    }

    /// A link: it is completed from the moment it is made, for its original was.
    pub fn link(seq: Seq, tree: Seq, forest: Seq, now: Timestamp) -> Self {
        Self { state: State::Completed, completed_at: Some(now), ..Self::new(seq, tree, forest) }
    }

    /// Moves the task by `event` at the moment `now`, or leaves it as it was.
    pub fn on(&mut self, event: Event, now: Timestamp) -> Result<(), Refused> {
        let stood = self.stands();
        let next = self.decide(event, now)?;
        let (before, after) = (self.state.name(), next.name());
        if matches!(next, State::Running { .. }) && self.started_at.is_none() {
            self.started_at = Some(now);
        }
        if after.status() == Status::InProgress && self.started_at.is_none() {
            self.started_at = Some(now);
        }
        if after.is_terminal() && !before.is_terminal() {
            self.completed_at = Some(now);
        }
        if after != StateName::Ready {
            self.held = None;
        }
        if after.is_terminal() {
            self.set_paused(false);
        }
        self.state = next;
        if self.may_be_claimed() && self.is_paused() {
            self.held = Some(Held::paused_task());
        }
        if after == StateName::Ready && (before != after || (stood && !self.stands())) {
            self.queued(now);
        }
        Ok(())
    }

    /// It is held because somebody paused it or its tree.
    fn stands(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.by == HeldBy::Pause)
    }

    fn decide(&mut self, event: Event, now: Timestamp) -> Result<State, Refused> {
        let out_of_order = Refused::OutOfOrder { state: self.state.name() };
        match (&self.state, event) {
            // ----- a run begins, or begins again
            (
                State::Created
                | State::Completed
                | State::Failed { .. }
                | State::Skipped { .. }
                | State::Blocked { .. },
                Event::Started { waiting_for, failed },
            ) => {
                self.forget_the_last_run();
                Ok(self.blocked_or_ready(waiting_for, failed, false))
            }
            (
                State::Failed { .. }
                | State::Cancelled { .. }
                | State::Skipped { .. }
                | State::Blocked { .. },
                Event::Reset,
            ) => {
                self.forget_the_last_run();
                Ok(State::Created)
            }

            // ----- somebody wants back how it stood
            (
                State::Created
                | State::Blocked { .. }
                | State::Completed
                | State::Failed { .. }
                | State::Skipped { .. }
                | State::Cancelled { .. },
                Event::Withdrawn,
            ) => {
                self.forget_the_last_run();
                Ok(State::Created)
            }
            (State::Created, Event::Restored { stood, waiting_for, failed, attempts, facets }) => {
                self.token = self.token.next();
                self.attempts = attempts;
                self.facets = facets;
                Ok(match stood {
                    Stood::Created => State::Created,
                    Stood::Blocked => self.blocked_or_ready(waiting_for, failed, false),
                    Stood::Ready => State::Ready,
                    Stood::Completed => State::Completed,
                    Stood::Failed { failure } => State::Failed { failure },
                    Stood::Skipped { why, cause } => State::Skipped { why, cause },
                    Stood::Cancelled { reason } => State::Cancelled { reason },
                })
            }
            (
                State::Created
                | State::Completed
                | State::Failed { .. }
                | State::Skipped { .. }
                | State::Blocked { .. },
                Event::GoesOn { waiting_for, failed },
            ) => {
                let done = self.facets();
                self.forget_the_last_run();
                self.set_facets(|facets| {
                    facets.cycle = done.cycle;
                    facets.cycle_data = done.cycle_data;
                    facets.gathering = done.gathering;
                    facets.rounds = done.rounds;
                });
                let next = self.blocked_or_ready(waiting_for, failed, false);
                Ok(self.gathered(next))
            }

            // ----- needs settle
            (
                &State::Blocked { waiting_for, failed },
                Event::NeedSettled { completed, required },
            ) => {
                let failed = failed + u32::from(required && !completed);
                let next = self.blocked_or_ready(waiting_for.saturating_sub(1), failed, completed);
                Ok(self.gathered(next))
            }
            (&State::Blocked { failed: 0, .. }, Event::Released) => Ok(self.gathered(State::Ready)),
            (&State::Blocked { waiting_for, failed }, Event::MoreNeeded { count }) => {
                Ok(State::Blocked { waiting_for: waiting_for.saturating_add(count), failed })
            }

            // ----- passes and jumps
            (&State::Running { lease, .. }, Event::Gathers { lease: held, waiting_for })
                if lease == held =>
            {
                // The attempt that gathers goes on; it is not charged twice.
                self.attempts = self.attempts.saturating_sub(1);
                self.set_facets(|facets| {
                    facets.gathering = true;
                    facets.has_spawned = true;
                });
                let next = self.blocked_or_ready(waiting_for, 0, false);
                Ok(self.gathered(next))
            }
            (&State::Running { lease, .. }, Event::Iterated { lease: held, data })
                if lease == held =>
            {
                self.next_pass(data);
                Ok(State::Ready)
            }
            (&State::Running { lease, .. }, Event::Jumped { lease: held }) if lease == held => {
                self.set_facets(|facets| facets.jumped = true);
                Ok(State::Completed)
            }
            (
                state @ (State::Created | State::Blocked { .. } | State::Ready),
                Event::Reached { data },
            ) => {
                let was_ready = *state == State::Ready;
                self.set_facets(|facets| facets.cycle_data = Some(data).filter(|it| !it.is_null()));
                if !was_ready {
                    self.token = self.token.next();
                }
                Ok(State::Ready)
            }
            (
                State::Completed | State::Failed { .. } | State::Skipped { .. },
                Event::Reached { data },
            ) => {
                self.next_pass(data);
                self.completed_at = None;
                Ok(State::Ready)
            }
            (
                State::Completed
                | State::Failed { .. }
                | State::Skipped { .. }
                | State::Blocked { .. },
                Event::SetBack { waiting_for, failed },
            ) => {
                if self.state.is_terminal() {
                    self.next_pass(serde_json::Value::Null);
                    self.completed_at = None;
                }
                Ok(self.blocked_or_ready(waiting_for, failed, false))
            }
            // A task that needs any one of several has gone on without the rest.
            (_, Event::NeedSettled { .. }) => Ok(self.state.clone()),

            // ----- something holds it back
            (State::Ready, Event::Held { held }) => {
                self.held = Some(held);
                Ok(State::Ready)
            }
            (State::Ready, Event::Freed) if self.held.is_some() => {
                self.held = None;
                Ok(State::Ready)
            }
            (State::Ready | State::Waiting { .. }, Event::TimePassed)
                if self.over(now).is_some() =>
            {
                let why = self.over(now).map(Over::in_words).unwrap_or_default();
                Ok(State::Failed { failure: Failure::new(FailureKind::Timeout, why) })
            }
            (State::Ready, Event::TimePassed)
                if self
                    .held
                    .as_ref()
                    .is_some_and(|held| held.until.is_some_and(|at| at <= now)) =>
            {
                self.held = None;
                Ok(State::Ready)
            }

            // ----- a worker holds it
            (State::Ready, Event::Claimed { worker, until }) if self.held.is_none() => {
                self.token = self.token.next();
                self.attempts += 1;
                if self.started_at.is_some() {
                    self.set_facets(|facets| facets.began = Some(now));
                }
                Ok(State::Running { lease: self.token, until, attempt: self.attempts, worker })
            }
            (
                State::Running { lease, attempt, worker, .. },
                Event::Renewed { lease: held, until },
            ) if *lease == held => {
                Ok(State::Running { lease: held, until, attempt: *attempt, worker: worker.clone() })
            }
            (State::Running { lease, .. }, Event::Succeeded { lease: held }) if *lease == held => {
                // Nobody goes on from what an attempt put aside that came to its end.
                if self.facets.is_some() {
                    self.set_facets(|facets| facets.checkpoint = false);
                }
                Ok(State::Completed)
            }
            (
                &State::Running { lease, attempt, .. },
                Event::Stumbled { lease: held, failure, retry_at },
            ) if lease == held => Ok(match retry_at {
                Some(at) if attempt < self.max_attempts.unwrap_or(1) => match self.too_late(at) {
                    None => State::Retrying { at, attempt },
                    Some(why) => {
                        let message = format!("{}; it is not tried again: {why}", failure.message);
                        State::Failed { failure: Failure { message, ..failure } }
                    }
                },
                _ => State::Failed { failure },
            }),
            (State::Running { lease, .. }, Event::Parked { lease: held, wait, until })
                if *lease == held =>
            {
                if wait.is_kept() {
                    self.set_facets(|facets| facets.answers = true);
                }
                // Nobody waits longer than the whole task may take.
                let until = until.into_iter().chain(self.deadline()).min();
                Ok(State::Waiting { wait, until })
            }
            (State::Running { lease, .. }, Event::PassedOver { lease: Some(held), why })
                if *lease == held =>
            {
                // Nothing was tried.
                self.attempts = self.attempts.saturating_sub(1);
                Ok(State::Skipped { why, cause: SkipCause::Condition })
            }
            (State::Running { lease, .. }, Event::HandedBack { lease: held }) if *lease == held => {
                self.token = self.token.next();
                self.attempts = self.attempts.saturating_sub(1);
                Ok(State::Ready)
            }
            (
                _,
                Event::Renewed { lease, .. }
                | Event::Succeeded { lease }
                | Event::Stumbled { lease, .. }
                | Event::Parked { lease, .. }
                | Event::PassedOver { lease: Some(lease), .. }
                | Event::Gathers { lease, .. }
                | Event::Iterated { lease, .. }
                | Event::Jumped { lease }
                | Event::HandedBack { lease },
            ) => Err(Refused::StaleLease { held: lease, current: self.token }),

            // ----- time, and workers that die
            (&State::Running { until, .. }, Event::TimePassed) if until <= now => {
                Ok(self.abandoned())
            }
            (State::Running { .. }, Event::Abandoned) => Ok(self.abandoned()),
            (&State::Retrying { at, .. }, Event::TimePassed) if at <= now => Ok(State::Ready),
            (State::Waiting { wait, until: Some(until) }, Event::TimePassed) if *until <= now => {
                let wait = wait.clone();
                Ok(self.waited_in_vain(wait, now))
            }
            (State::Waiting { .. }, Event::Answered) => Ok(self.go_on()),

            // ----- people
            (state, Event::Paused) if !state.is_terminal() => {
                let state = state.clone();
                self.set_paused(true);
                Ok(state)
            }
            (state, Event::Resumed) if self.is_paused() => {
                let state = state.clone();
                self.set_paused(false);
                if self.held.as_ref().is_some_and(|held| *held == Held::paused_task()) {
                    self.held = None;
                }
                Ok(state)
            }
            (state, Event::CancelRequested { reason }) if !state.is_terminal() => {
                self.token = self.token.next();
                Ok(State::Cancelled { reason })
            }
            (State::Created | State::Blocked { .. } | State::Ready, Event::Skipped { why }) => {
                self.token = self.token.next();
                Ok(State::Skipped { why, cause: SkipCause::Failure })
            }
            (
                State::Created | State::Blocked { .. } | State::Ready,
                Event::PassedOver { lease: None, why },
            ) => {
                self.token = self.token.next();
                Ok(State::Skipped { why, cause: SkipCause::Condition })
            }
            (State::Created, Event::TakenOver) => {
                let wait = Wait::new(WaitFor::Report, serde_json::Value::Null);
                Ok(State::Waiting { wait, until: None })
            }
            (State::Waiting { .. } | State::Running { .. }, Event::Reported { failure }) => {
                self.token = self.token.next();
                Ok(match failure {
                    Some(failure) => State::Failed { failure },
                    None => State::Completed,
                })
            }
            _ => Err(out_of_order),
        }
    }

    fn blocked_or_ready(&self, waiting_for: u32, failed: u32, just_completed: bool) -> State {
        // A gathering waits for all it spawned, whatever the task waited for before.
        let gathering = self.facets.as_ref().is_some_and(|facets| facets.gathering);
        let join = if gathering { Join::All } else { self.join };
        let ready = match join {
            Join::All => waiting_for == 0 && failed == 0,
            Join::Any => just_completed || (waiting_for == 0 && failed == 0),
        };
        if ready { State::Ready } else { State::Blocked { waiting_for, failed } }
    }

    /// The attempt that parked goes on; it is not charged twice.
    fn go_on(&mut self) -> State {
        self.attempts = self.attempts.saturating_sub(1);
        State::Ready
    }

    /// The time of a wait is over; for a timer that is what it waited for.
    fn waited_in_vain(&mut self, wait: Wait, now: Timestamp) -> State {
        if wait.what == WaitFor::Timer {
            return self.go_on();
        }
        match &wait.on_timeout {
            OnTimeout::Fail => {
                State::Failed { failure: Failure::new(FailureKind::WaitExpired, "") }
            }
            OnTimeout::Park => State::Waiting { wait: Wait { overdue: true, ..wait }, until: None },
            OnTimeout::Default(_) => self.go_on(),
            OnTimeout::Escalate { to, after } => {
                let (escalated_to, until) = (Some(to.clone()), Some(now.after(*after)));
                let wait = Wait { escalated_to, on_timeout: OnTimeout::Fail, ..wait };
                State::Waiting { wait, until }
            }
        }
    }

    /// Somebody paused it and nobody resumed it.
    pub fn is_paused(&self) -> bool {
        self.facets.as_ref().is_some_and(|facets| facets.paused)
    }

    fn set_paused(&mut self, paused: bool) {
        if self.is_paused() != paused {
            self.set_facets(|facets| facets.paused = paused);
        }
    }

    /// A task that goes on after a gathering has one more behind it.
    fn gathered(&mut self, next: State) -> State {
        let gathering = self.facets.as_ref().is_some_and(|facets| facets.gathering);
        if gathering && next == State::Ready {
            self.set_facets(|facets| {
                facets.gathering = false;
                facets.rounds += 1;
            });
        }
        next
    }

    /// Another pass has its own attempts and gatherings.
    fn next_pass(&mut self, data: serde_json::Value) {
        self.token = self.token.next();
        self.attempts = 0;
        self.set_facets(|facets| {
            facets.cycle = facets.cycle.saturating_add(1);
            facets.cycle_data = Some(data).filter(|it| !it.is_null());
            facets.rounds = 0;
            facets.gathering = false;
            facets.checkpoint = false;
            facets.jumped = false;
            facets.passed_by = false;
        });
    }

    fn abandoned(&mut self) -> State {
        self.token = self.token.next();
        if self.attempts < self.max_attempts.unwrap_or(MAX_LOST_LEASES) {
            return State::Ready;
        }
        let message = format!(
            "the worker that held the task vanished {} time{}; it is not tried again",
            self.attempts,
            if self.attempts == 1 { "" } else { "s" },
        );
        State::Failed { failure: Failure::new(FailureKind::LostLease, message) }
    }

    fn forget_the_last_run(&mut self) {
        self.token = self.token.next();
        self.attempts = 0;
        self.facets = self.facets.take().and_then(|facets| facets.of_a_new_run()).map(Box::new);
        self.held = None;
        self.started_at = None;
        self.completed_at = None;
    }
}

/// One line of the table of transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrow {
    /// Where the task stands.
    pub from: StateName,
    /// What happens.
    pub event: &'static str,
    /// Where it stands then.
    pub to: StateName,
}

const fn arrow(from: StateName, event: &'static str, to: StateName) -> Arrow {
    Arrow { from, event, to }
}

/// Every arrow there is; `docs/STATES.md` is made from it, and a test takes each one.
pub const ARROWS: &[Arrow] = {
    use StateName as S;
    &[
        arrow(S::Created, "Started", S::Blocked),
        arrow(S::Created, "Started", S::Ready),
        arrow(S::Created, "TakenOver", S::Waiting),
        arrow(S::Created, "Withdrawn", S::Created),
        arrow(S::Blocked, "Withdrawn", S::Created),
        arrow(S::Completed, "Withdrawn", S::Created),
        arrow(S::Failed, "Withdrawn", S::Created),
        arrow(S::Skipped, "Withdrawn", S::Created),
        arrow(S::Cancelled, "Withdrawn", S::Created),
        arrow(S::Created, "Restored", S::Created),
        arrow(S::Created, "Restored", S::Blocked),
        arrow(S::Created, "Restored", S::Ready),
        arrow(S::Created, "Restored", S::Completed),
        arrow(S::Created, "Restored", S::Failed),
        arrow(S::Created, "Restored", S::Skipped),
        arrow(S::Created, "Restored", S::Cancelled),
        arrow(S::Created, "Skipped", S::Skipped),
        arrow(S::Created, "PassedOver", S::Skipped),
        arrow(S::Created, "CancelRequested", S::Cancelled),
        arrow(S::Created, "GoesOn", S::Blocked),
        arrow(S::Created, "GoesOn", S::Ready),
        arrow(S::Created, "Reached", S::Ready),
        arrow(S::Blocked, "GoesOn", S::Blocked),
        arrow(S::Blocked, "GoesOn", S::Ready),
        arrow(S::Blocked, "Reached", S::Ready),
        arrow(S::Blocked, "SetBack", S::Blocked),
        arrow(S::Blocked, "SetBack", S::Ready),
        arrow(S::Blocked, "MoreNeeded", S::Blocked),
        arrow(S::Blocked, "NeedSettled", S::Blocked),
        arrow(S::Blocked, "NeedSettled", S::Ready),
        arrow(S::Blocked, "Released", S::Ready),
        arrow(S::Blocked, "Started", S::Blocked),
        arrow(S::Blocked, "Started", S::Ready),
        arrow(S::Blocked, "Reset", S::Created),
        arrow(S::Blocked, "Skipped", S::Skipped),
        arrow(S::Blocked, "PassedOver", S::Skipped),
        arrow(S::Blocked, "CancelRequested", S::Cancelled),
        arrow(S::Ready, "Held", S::Ready),
        arrow(S::Ready, "Reached", S::Ready),
        arrow(S::Ready, "Freed", S::Ready),
        arrow(S::Ready, "TimePassed", S::Ready),
        arrow(S::Ready, "TimePassed", S::Failed),
        arrow(S::Ready, "Claimed", S::Running),
        arrow(S::Ready, "Skipped", S::Skipped),
        arrow(S::Ready, "PassedOver", S::Skipped),
        arrow(S::Ready, "CancelRequested", S::Cancelled),
        arrow(S::Running, "Renewed", S::Running),
        arrow(S::Running, "Gathers", S::Blocked),
        arrow(S::Running, "Gathers", S::Ready),
        arrow(S::Running, "Iterated", S::Ready),
        arrow(S::Running, "Jumped", S::Completed),
        arrow(S::Running, "Succeeded", S::Completed),
        arrow(S::Running, "Stumbled", S::Retrying),
        arrow(S::Running, "Stumbled", S::Failed),
        arrow(S::Running, "Parked", S::Waiting),
        arrow(S::Running, "PassedOver", S::Skipped),
        arrow(S::Running, "HandedBack", S::Ready),
        arrow(S::Running, "TimePassed", S::Ready),
        arrow(S::Running, "TimePassed", S::Failed),
        arrow(S::Running, "Abandoned", S::Ready),
        arrow(S::Running, "Abandoned", S::Failed),
        arrow(S::Running, "Reported", S::Completed),
        arrow(S::Running, "Reported", S::Failed),
        arrow(S::Running, "CancelRequested", S::Cancelled),
        arrow(S::Retrying, "TimePassed", S::Ready),
        arrow(S::Retrying, "CancelRequested", S::Cancelled),
        arrow(S::Waiting, "Answered", S::Ready),
        arrow(S::Waiting, "TimePassed", S::Failed),
        arrow(S::Waiting, "TimePassed", S::Ready),
        arrow(S::Waiting, "TimePassed", S::Waiting),
        arrow(S::Waiting, "Reported", S::Completed),
        arrow(S::Waiting, "Reported", S::Failed),
        arrow(S::Waiting, "CancelRequested", S::Cancelled),
        arrow(S::Created, "Paused", S::Created),
        arrow(S::Created, "Resumed", S::Created),
        arrow(S::Blocked, "Paused", S::Blocked),
        arrow(S::Blocked, "Resumed", S::Blocked),
        arrow(S::Ready, "Paused", S::Ready),
        arrow(S::Ready, "Resumed", S::Ready),
        arrow(S::Retrying, "Paused", S::Retrying),
        arrow(S::Retrying, "Resumed", S::Retrying),
        arrow(S::Running, "Paused", S::Running),
        arrow(S::Running, "Resumed", S::Running),
        arrow(S::Waiting, "Paused", S::Waiting),
        arrow(S::Waiting, "Resumed", S::Waiting),
        arrow(S::Completed, "Started", S::Blocked),
        arrow(S::Completed, "Started", S::Ready),
        arrow(S::Failed, "Started", S::Blocked),
        arrow(S::Failed, "Started", S::Ready),
        arrow(S::Failed, "Reset", S::Created),
        arrow(S::Skipped, "Started", S::Blocked),
        arrow(S::Skipped, "Started", S::Ready),
        arrow(S::Skipped, "Reset", S::Created),
        arrow(S::Completed, "GoesOn", S::Blocked),
        arrow(S::Completed, "GoesOn", S::Ready),
        arrow(S::Completed, "Reached", S::Ready),
        arrow(S::Completed, "SetBack", S::Blocked),
        arrow(S::Completed, "SetBack", S::Ready),
        arrow(S::Failed, "GoesOn", S::Blocked),
        arrow(S::Failed, "GoesOn", S::Ready),
        arrow(S::Failed, "Reached", S::Ready),
        arrow(S::Failed, "SetBack", S::Blocked),
        arrow(S::Failed, "SetBack", S::Ready),
        arrow(S::Skipped, "GoesOn", S::Blocked),
        arrow(S::Skipped, "GoesOn", S::Ready),
        arrow(S::Skipped, "Reached", S::Ready),
        arrow(S::Skipped, "SetBack", S::Blocked),
        arrow(S::Skipped, "SetBack", S::Ready),
        arrow(S::Cancelled, "Reset", S::Created),
    ]
};

#[cfg(test)]
mod tests;
