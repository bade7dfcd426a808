//! The lease protocol, every order of events explored: two workers, one task, messages that are lost,
//! doubled and reordered, a crash, a cancellation, and clocks that differ.
//!
//! The database in the model is the real `Task::on`; the model adds only the world around it. Two
//! variants show that the model can fail: one whose database ignores the token of a report, and one
//! whose reaper goes by a clock that is ahead.

use apflow_core::{
    id::{LeaseToken, NodeId, Seq},
    task::{Failure, FailureKind, Join, Priority, State, StateName, Task},
    time::Timestamp,
    transition::{Event, Refused},
};
use stateright::{Checker as _, Model, Property};

const LEASE: u8 = 2;
const MAX_ATTEMPTS: u32 = 2;
const LAST_MOMENT: u8 = 6;
const WORKERS: usize = 2;

/// The row of the task, small enough to have hundreds of thousands of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Row {
    state: StateName,
    token: u8,
    attempts: u8,
    /// When the lease or the retry delay ends.
    until: u8,
}

impl Row {
    fn task(self) -> Task {
        let at = Timestamp(i64::from(self.until));
        let lease = LeaseToken(i64::from(self.token));
        let attempt = u32::from(self.attempts);
        let state = match self.state {
            StateName::Ready => State::Ready,
            StateName::Running => {
                State::Running { lease, until: at, attempt, worker: NodeId::from("w") }
            }
            StateName::Retrying => State::Retrying { at, attempt },
            StateName::Completed => State::Completed,
            StateName::Failed => {
                State::Failed { failure: Failure::new(FailureKind::Executor, "no") }
            }
            StateName::Cancelled => State::Cancelled { reason: "enough".to_owned() },
            other => panic!("{other} is not reached"),
        };
        Task {
            seq: Seq(1),
            tree: Seq(1),
            forest: Seq(1),
            state,
            token: lease,
            attempts: attempt,
            max_attempts: Some(MAX_ATTEMPTS),
            priority: Priority::NORMAL,
            join: Join::All,
            started_at: None,
            completed_at: None,
            held: None,
            turn: 0,
            facets: None,
        }
    }

    fn of(task: &Task) -> Self {
        let small = |number: i64| u8::try_from(number).expect("the world ends before");
        Self {
            state: task.state.name(),
            token: small(task.token.0),
            attempts: small(i64::from(task.attempts)),
            until: task.state.wake_at().map_or(0, |at| small(at.0)),
        }
    }

    fn on(&mut self, event: Event, now: u8) -> Result<(), Refused> {
        let mut task = self.task();
        task.on(event, Timestamp(i64::from(now)))?;
        *self = Self::of(&task);
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Says {
    Completed,
    Stumbled,
    StillAtIt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Message {
    token: u8,
    says: Says,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a question that a property asks")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    row: Row,
    clock: u8,
    /// The token each worker works under.
    holds: [Option<u8>; WORKERS],
    /// Messages on their way, in no order.
    wire: Vec<Message>,
    crashes_left: u8,
    doubles_left: u8,
    renewals_left: u8,
    cancelled: bool,
    // What the properties ask for.
    ends: u8,
    stale_counted: bool,
    stale_refused: bool,
    taken_early: bool,
    reaped: bool,
    crashed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Tick,
    Claim(usize),
    /// The claim is committed and its answer never arrives.
    ClaimUnheard,
    Report(usize, Says),
    Renew(usize),
    Deliver(Message),
    DeliverAndKeep(Message),
    Lose(Message),
    TimeActs,
    Cancel,
    Crash(usize),
}

struct Protocol {
    /// The database compares the token of a report with the row's.
    fenced: bool,
    /// How far the clock of whoever reaps is ahead of the one that grants leases.
    skew: u8,
}

impl Protocol {
    fn deliver(&self, world: &mut World, message: Message) {
        let before = world.row;
        let stale = message.token != before.token;
        // Without the fence a report counts whenever the task runs, whoever holds it.
        let token = if self.fenced { message.token } else { before.token };
        let lease = LeaseToken(i64::from(token));
        let event = match message.says {
            Says::Completed => Event::Succeeded { lease },
            Says::Stumbled => Event::Stumbled {
                lease,
                failure: Failure::new(FailureKind::Executor, "no"),
                retry_at: Some(Timestamp(i64::from(world.clock) + 1)),
            },
            Says::StillAtIt => {
                Event::Renewed { lease, until: Timestamp(i64::from(world.clock + LEASE)) }
            }
        };
        match world.row.on(event, world.clock) {
            Ok(()) => world.stale_counted |= stale,
            Err(_) => world.stale_refused |= stale,
        }
        count_end(world, before);
    }
}

fn count_end(world: &mut World, before: Row) {
    if world.row.state.is_terminal() && world.row != before {
        world.ends += 1;
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            row: Row { state: StateName::Ready, token: 0, attempts: 0, until: 0 },
            clock: 0,
            holds: [None; WORKERS],
            wire: Vec::new(),
            crashes_left: 1,
            doubles_left: 2,
            renewals_left: 2,
            cancelled: false,
            ends: 0,
            stale_counted: false,
            stale_refused: false,
            taken_early: false,
            reaped: false,
            crashed: false,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.clock < LAST_MOMENT {
            steps.push(Step::Tick);
        }
        let ready = world.row.state == StateName::Ready;
        if ready {
            steps.push(Step::ClaimUnheard);
        }
        for worker in 0..WORKERS {
            match world.holds[worker] {
                None if ready => steps.push(Step::Claim(worker)),
                None => {}
                Some(_) => {
                    steps.push(Step::Report(worker, Says::Completed));
                    steps.push(Step::Report(worker, Says::Stumbled));
                    if world.renewals_left > 0 {
                        steps.push(Step::Renew(worker));
                    }
                    if world.crashes_left > 0 {
                        steps.push(Step::Crash(worker));
                    }
                }
            }
        }
        for message in &world.wire {
            steps.extend([Step::Deliver(*message), Step::Lose(*message)]);
            if world.doubles_left > 0 {
                steps.push(Step::DeliverAndKeep(*message));
            }
        }
        if matches!(world.row.state, StateName::Running | StateName::Retrying) {
            steps.push(Step::TimeActs);
        }
        if !world.row.state.is_terminal() {
            steps.push(Step::Cancel);
        }
    }

    fn next_state(&self, last: &World, step: Step) -> Option<World> {
        let mut world = last.clone();
        let before = world.row;
        match step {
            Step::Tick => world.clock += 1,
            Step::Claim(_) | Step::ClaimUnheard => {
                let until = Timestamp(i64::from(world.clock + LEASE));
                let claim = Event::Claimed { worker: NodeId::from("w"), until };
                world.row.on(claim, world.clock).ok()?;
                if let Step::Claim(worker) = step {
                    world.holds[worker] = Some(world.row.token);
                }
            }
            Step::Report(worker, says) => {
                let token = world.holds[worker].take()?;
                world.wire.push(Message { token, says });
                world.wire.sort_unstable();
            }
            Step::Renew(worker) => {
                let token = world.holds[worker]?;
                world.renewals_left -= 1;
                world.wire.push(Message { token, says: Says::StillAtIt });
                world.wire.sort_unstable();
            }
            Step::Deliver(message) | Step::DeliverAndKeep(message) | Step::Lose(message) => {
                if let Step::DeliverAndKeep(_) = step {
                    world.doubles_left -= 1;
                } else {
                    let at = world.wire.iter().position(|each| *each == message)?;
                    world.wire.remove(at);
                }
                if !matches!(step, Step::Lose(_)) {
                    self.deliver(&mut world, message);
                }
            }
            Step::TimeActs => {
                world.row.on(Event::TimePassed, world.clock + self.skew).ok()?;
                world.reaped |= before.state == StateName::Running;
                world.taken_early |= before.until > world.clock;
                count_end(&mut world, before);
            }
            Step::Cancel => {
                let reason = "enough".to_owned();
                world.row.on(Event::CancelRequested { reason }, world.clock).ok()?;
                world.cancelled = true;
                count_end(&mut world, before);
            }
            Step::Crash(worker) => {
                world.holds[worker].take()?;
                world.crashes_left -= 1;
                world.crashed = true;
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("it ends once", |_, world: &World| world.ends <= 1),
            Property::always("a stale report never counts", |_, world: &World| {
                !world.stale_counted
            }),
            Property::always("what was cancelled stays cancelled", |_, world: &World| {
                !world.cancelled || world.row.state == StateName::Cancelled
            }),
            Property::always("attempts are bounded", |_, world: &World| {
                u32::from(world.row.attempts) <= MAX_ATTEMPTS
            }),
            Property::always("no two workers have one token", |_, world: &World| {
                world.holds[0].is_none() || world.holds[0] != world.holds[1]
            }),
            Property::always("no worker has a token from the future", |_, world: &World| {
                world.holds.iter().flatten().all(|token| *token <= world.row.token)
            }),
            Property::always("no lease is taken away early", |_, world: &World| !world.taken_early),
            Property::sometimes("it completes", |_, world: &World| {
                world.row.state == StateName::Completed
            }),
            Property::sometimes("it completes after a crash", |_, world: &World| {
                world.row.state == StateName::Completed && world.crashed && world.reaped
            }),
            Property::sometimes("it fails after its last attempt", |_, world: &World| {
                world.row.state == StateName::Failed
                    && u32::from(world.row.attempts) == MAX_ATTEMPTS
            }),
            Property::sometimes("it is cancelled while it runs", |_, world: &World| {
                world.row.state == StateName::Cancelled && world.holds.iter().any(Option::is_some)
            }),
            Property::sometimes("two workers are at it at once", |_, world: &World| {
                world.holds.iter().all(Option::is_some)
            }),
            Property::sometimes("a stale report is refused", |_, world: &World| {
                world.stale_refused
            }),
        ]
    }
}

/// The properties that do not hold, by name.
fn violated(protocol: Protocol) -> (Vec<&'static str>, usize) {
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    let properties = checker.model().properties();
    let discoveries = checker.discoveries();
    let mut violated: Vec<&'static str> = properties
        .into_iter()
        .filter(|property| {
            let found = discoveries.contains_key(property.name);
            let is_example = property.expectation == stateright::Expectation::Sometimes;
            found != is_example
        })
        .map(|property| property.name)
        .collect();
    violated.sort_unstable();
    (violated, checker.unique_state_count())
}

#[test]
fn the_protocol_keeps_its_promises_in_every_order_of_events() {
    let (violated, states) = violated(Protocol { fenced: true, skew: 0 });
    assert!(violated.is_empty(), "{violated:?}");
    assert!(states > 50_000, "only {states} states were explored");
}

#[test]
fn clocks_that_differ_waste_work_and_break_nothing_else() {
    let (violated, _) = violated(Protocol { fenced: true, skew: LEASE });
    assert_eq!(violated, ["no lease is taken away early"]);
}

#[test]
fn without_the_fence_the_model_finds_the_bug() {
    let (violated, _) = violated(Protocol { fenced: false, skew: 0 });
    assert_eq!(violated, ["a stale report never counts"]);
}
