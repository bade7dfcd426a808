//! Every arrow is taken, nothing else moves a task, and what must hold along any way through them.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    id::Seq,
    task::{Bounds, Facets, HeldBy, WaitFor},
};

const NOW: Timestamp = Timestamp(1_000);
const PAST: Timestamp = Timestamp(999);
const FUTURE: Timestamp = Timestamp(1_001);
const TOKEN: LeaseToken = LeaseToken(7);
const STALE: LeaseToken = LeaseToken(6);

fn task(state: State, attempts: u32, max_attempts: Option<u32>, join: Join) -> Task {
    let began = state.status() != Status::Pending;
    Task {
        state,
        token: TOKEN,
        attempts,
        max_attempts,
        join,
        started_at: began.then_some(PAST),
        ..Task::new(Seq(1), Seq(1), Seq(1))
    }
}

fn failure() -> Failure {
    Failure::new(FailureKind::Executor, "no")
}

fn held_until(until: Option<Timestamp>) -> Held {
    Held { by: HeldBy::Concurrency, key: "k".to_owned(), until }
}

fn wait() -> Wait {
    Wait::new(WaitFor::Feedback, serde_json::Value::Null)
}

fn states() -> Vec<State> {
    let mut states = vec![
        State::Created,
        State::Ready,
        State::Completed,
        State::Failed { failure: failure() },
        State::Skipped { why: "so".to_owned(), cause: crate::task::SkipCause::Failure },
        State::Cancelled { reason: "so".to_owned() },
        State::Waiting { wait: wait(), until: None },
    ];
    for (waiting_for, failed) in [(1, 0), (2, 0), (1, 1), (0, 1)] {
        states.push(State::Blocked { waiting_for, failed });
    }
    for at in [PAST, NOW, FUTURE] {
        states.push(State::Retrying { at, attempt: 1 });
        states.push(State::Waiting { wait: wait(), until: Some(at) });
        for attempt in [1, 3, 5] {
            let worker = NodeId::from("w");
            states.push(State::Running { lease: TOKEN, until: at, attempt, worker });
        }
    }
    states
}

fn on_timeouts() -> [OnTimeout; 4] {
    let escalate = OnTimeout::Escalate { to: "boss".to_owned(), after: Duration::from_micros(1) };
    [OnTimeout::Fail, OnTimeout::Park, OnTimeout::Default(serde_json::json!(1)), escalate]
}

fn tasks() -> Vec<Task> {
    let mut tasks = Vec::new();
    for state in states() {
        for max_attempts in [None, Some(1), Some(3)] {
            for join in [Join::All, Join::Any] {
                let attempts = if let State::Running { attempt, .. } = state { attempt } else { 1 };
                tasks.push(task(state.clone(), attempts, max_attempts, join));
            }
        }
    }
    for what in [WaitFor::Timer, WaitFor::Event] {
        for on_timeout in on_timeouts() {
            let wait = Wait { on_timeout, ..Wait::new(what, serde_json::Value::Null) };
            let state = State::Waiting { wait, until: Some(PAST) };
            tasks.push(task(state, 1, None, Join::All));
        }
    }
    for mut paused in tasks.clone() {
        if paused.on(Event::Paused, NOW).is_ok() {
            tasks.push(paused);
        }
    }
    for until in [None, Some(PAST), Some(FUTURE)] {
        let held = Some(held_until(until));
        tasks.push(Task { held, ..task(State::Ready, 0, None, Join::All) });
    }
    let late = Facets { bounds: Some(bounds(1)), ready_since: Some(PAST), ..Facets::default() };
    let facets = Some(Box::new(late));
    tasks.push(Task { facets, ..task(State::Ready, 0, None, Join::All) });
    tasks
}

fn bounds(queue: u64) -> Bounds {
    Bounds { queue: Some(queue), ..Bounds::default() }
}

fn events() -> Vec<Event> {
    let mut events = vec![
        Event::Started { waiting_for: 0, failed: 0 },
        Event::Started { waiting_for: 2, failed: 0 },
        Event::Started { waiting_for: 0, failed: 1 },
        Event::GoesOn { waiting_for: 0, failed: 0 },
        Event::GoesOn { waiting_for: 2, failed: 0 },
        Event::Reached { data: serde_json::Value::from(1) },
        Event::SetBack { waiting_for: 0, failed: 0 },
        Event::SetBack { waiting_for: 1, failed: 0 },
        Event::MoreNeeded { count: 2 },
        Event::Released,
        Event::Held { held: held_until(None) },
        Event::Freed,
        Event::Claimed { worker: NodeId::from("w"), until: FUTURE },
        Event::Answered,
        Event::Paused,
        Event::Resumed,
        Event::TimePassed,
        Event::Abandoned,
        Event::CancelRequested { reason: "enough".to_owned() },
        Event::Skipped { why: "so".to_owned() },
        Event::PassedOver { lease: None, why: "so".to_owned() },
        Event::Reset,
        Event::TakenOver,
        Event::Reported { failure: None },
        Event::Reported { failure: Some(failure()) },
    ];
    events.push(Event::Withdrawn);
    for stood in [
        Stood::Created,
        Stood::Blocked,
        Stood::Ready,
        Stood::Completed,
        Stood::Failed { failure: failure() },
        Stood::Skipped { why: "so".to_owned(), cause: SkipCause::Condition },
        Stood::Cancelled { reason: "enough".to_owned() },
    ] {
        events.push(Event::Restored {
            stood,
            waiting_for: 1,
            failed: 0,
            attempts: 1,
            facets: None,
        });
    }
    for completed in [true, false] {
        for required in [true, false] {
            events.push(Event::NeedSettled { completed, required });
        }
    }
    for lease in [TOKEN, STALE] {
        events.push(Event::Renewed { lease, until: FUTURE });
        events.push(Event::Succeeded { lease });
        events.push(Event::HandedBack { lease });
        events.push(Event::PassedOver { lease: Some(lease), why: "so".to_owned() });
        events.push(Event::Gathers { lease, waiting_for: 0 });
        events.push(Event::Gathers { lease, waiting_for: 2 });
        events.push(Event::Iterated { lease, data: serde_json::Value::Null });
        events.push(Event::Jumped { lease });
        for at in [None, Some(FUTURE)] {
            events.push(Event::Parked { lease, wait: wait(), until: at });
            events.push(Event::Stumbled { lease, failure: failure(), retry_at: at });
        }
    }
    events
}

/// The word for an event in [`ARROWS`]; a new event does not compile without one.
fn word(event: &Event) -> &'static str {
    match event {
        Event::Started { .. } => "Started",
        Event::GoesOn { .. } => "GoesOn",
        Event::Gathers { .. } => "Gathers",
        Event::Iterated { .. } => "Iterated",
        Event::Jumped { .. } => "Jumped",
        Event::Reached { .. } => "Reached",
        Event::SetBack { .. } => "SetBack",
        Event::MoreNeeded { .. } => "MoreNeeded",
        Event::NeedSettled { .. } => "NeedSettled",
        Event::Released => "Released",
        Event::Held { .. } => "Held",
        Event::Freed => "Freed",
        Event::Claimed { .. } => "Claimed",
        Event::Renewed { .. } => "Renewed",
        Event::Succeeded { .. } => "Succeeded",
        Event::Stumbled { .. } => "Stumbled",
        Event::Parked { .. } => "Parked",
        Event::Answered => "Answered",
        Event::Paused => "Paused",
        Event::Resumed => "Resumed",
        Event::HandedBack { .. } => "HandedBack",
        Event::TimePassed => "TimePassed",
        Event::Abandoned => "Abandoned",
        Event::CancelRequested { .. } => "CancelRequested",
        Event::Skipped { .. } => "Skipped",
        Event::PassedOver { .. } => "PassedOver",
        Event::Reset => "Reset",
        Event::TakenOver => "TakenOver",
        Event::Withdrawn => "Withdrawn",
        Event::Restored { .. } => "Restored",
        Event::Reported { .. } => "Reported",
    }
}

fn held(event: &Event) -> Option<LeaseToken> {
    match event {
        Event::Renewed { lease, .. }
        | Event::Succeeded { lease }
        | Event::Stumbled { lease, .. }
        | Event::Parked { lease, .. }
        | Event::PassedOver { lease: Some(lease), .. }
        | Event::Gathers { lease, .. }
        | Event::Iterated { lease, .. }
        | Event::Jumped { lease }
        | Event::HandedBack { lease } => Some(*lease),
        _ => None,
    }
}

#[test]
fn every_arrow_is_taken_and_nothing_moves_along_any_other() {
    let mut taken = BTreeSet::new();
    let mut words = BTreeSet::new();
    for before in tasks() {
        for event in events() {
            words.insert(word(&event));
            let mut after = before.clone();
            let answer = after.on(event.clone(), NOW);
            let (from, to) = (before.state.name(), after.state.name());
            let is_news_of_a_need = word(&event) == "NeedSettled" && from != StateName::Blocked;
            match answer {
                Err(_) => assert_eq!(after, before, "{event:?} was refused"),
                Ok(()) if is_news_of_a_need => {
                    assert_eq!(after, before, "{event:?} is no news to it");
                }
                Ok(()) => {
                    taken.insert((from, word(&event), to));
                }
            }
        }
    }
    let known: BTreeSet<_> =
        ARROWS.iter().map(|arrow| (arrow.from, arrow.event, arrow.to)).collect();
    assert_eq!(known.len(), ARROWS.len(), "no arrow is there twice");
    let missing: Vec<_> = known.difference(&taken).collect();
    let unknown: Vec<_> = taken.difference(&known).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "never taken {missing:?}, not in the table {unknown:?}"
    );
    assert_eq!(words.len(), 31, "every event was tried");
}

/// Events that set a task back, whatever it was: its old token is good for nothing.
fn begins_anew(event: &Event) -> bool {
    matches!(
        event,
        Event::Started { .. }
            | Event::GoesOn { .. }
            | Event::Reset
            | Event::Withdrawn
            | Event::Restored { .. }
            | Event::Iterated { .. }
            | Event::Reached { .. }
            | Event::SetBack { .. }
    )
}

#[test]
fn a_stale_lease_settles_nothing() {
    for before in tasks() {
        for event in events().into_iter().filter(|event| held(event) == Some(STALE)) {
            let mut after = before.clone();
            let refused = after.on(event, NOW);
            assert_eq!(refused, Err(Refused::StaleLease { held: STALE, current: TOKEN }));
            assert_eq!(after, before);
        }
    }
}

#[test]
fn the_right_token_is_worth_nothing_once_the_task_runs_no_more() {
    for before in tasks() {
        if matches!(before.state, State::Running { .. }) {
            continue;
        }
        for event in events().into_iter().filter(|event| held(event).is_some()) {
            assert!(before.clone().on(event, NOW).is_err(), "{:?}", before.state);
        }
    }
}

#[test]
fn a_worker_that_vanishes_for_ever_is_a_failure_with_a_message() {
    let mut task = task(State::Ready, 0, None, Join::All);
    for attempt in 1..=MAX_LOST_LEASES {
        let worker = NodeId::from("w");
        task.on(Event::Claimed { worker, until: PAST }, NOW).expect("it is ready");
        assert_eq!(task.attempts, attempt);
        task.on(Event::TimePassed, NOW).expect("the lease is over");
    }
    let State::Failed { failure } = task.state else { panic!("{:?}", task.state) };
    assert_eq!(failure.kind, FailureKind::LostLease);
    assert!(failure.message.contains("vanished 5 times"), "{}", failure.message);
}

#[test]
fn a_task_that_parks_is_not_charged_for_it() {
    let mut task = task(State::Ready, 0, Some(1), Join::All);
    for _ in 0..3 {
        let worker = NodeId::from("w");
        task.on(Event::Claimed { worker, until: FUTURE }, NOW).expect("it is ready");
        assert_eq!(task.attempts, 1);
        let lease = task.token;
        task.on(Event::Parked { lease, wait: wait(), until: None }, NOW).expect("it is held");
        task.on(Event::Answered, NOW).expect("it waits");
    }
}

/// An event with a lease that is current, or older by so many.
fn any_event() -> impl Strategy<Value = (Event, i64)> {
    (prop::sample::select(events()), prop_oneof![4 => Just(0_i64), 1 => 1_i64..3])
}

fn with_lease(event: Event, lease: LeaseToken) -> Event {
    match event {
        Event::Renewed { until, .. } => Event::Renewed { lease, until },
        Event::Succeeded { .. } => Event::Succeeded { lease },
        Event::Stumbled { failure, retry_at, .. } => Event::Stumbled { lease, failure, retry_at },
        Event::Parked { wait, until, .. } => Event::Parked { lease, wait, until },
        Event::HandedBack { .. } => Event::HandedBack { lease },
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn along_any_way_tokens_grow_ends_stay_and_attempts_are_bounded(
        steps in prop::collection::vec((any_event(), 0_i64..3), 1..120),
        max_attempts in prop_oneof![Just(None), (1_u32..5).prop_map(Some)],
        join in prop_oneof![Just(Join::All), Just(Join::Any)],
    ) {
        let mut task = task(State::Created, 0, max_attempts, join);
        let mut now = NOW;
        for ((event, age), time) in steps {
            now.0 += time;
            let lease = LeaseToken(task.token.0 - age);
            let event = with_lease(event, lease);
            let before = task.clone();
            let answer = task.on(event.clone(), now);
            if answer.is_err() {
                prop_assert_eq!(&task, &before);
                continue;
            }
            let (from, to) = (before.state.name(), task.state.name());
            prop_assert!(task.token >= before.token, "{:?}", event);
            // Nobody holds what has not begun.
            let waits_still = !from.is_terminal()
                && matches!(event, Event::SetBack { .. } | Event::Reached { .. });
            let fences = matches!(
                event,
                Event::Claimed { .. }
                    | Event::Abandoned
                    | Event::HandedBack { .. }
                    | Event::CancelRequested { .. }
                    | Event::Skipped { .. }
                    | Event::PassedOver { .. }
                    | Event::Reported { .. }
            ) || begins_anew(&event)
                || (from == StateName::Running && event == Event::TimePassed);
            prop_assert!(
                waits_still || (task.token > before.token) == fences,
                "{:?} from {}",
                event,
                from
            );
            if held(&event).is_some() {
                prop_assert_eq!(lease, before.token, "a stale report counted");
                prop_assert_eq!(from, StateName::Running);
            }
            if from.is_terminal() && !begins_anew(&event) {
                prop_assert_eq!(&task, &before, "an end changed by {:?}", event);
            }
            prop_assert!(task.attempts <= max_attempts.unwrap_or(MAX_LOST_LEASES));
            if let State::Running { lease, attempt, .. } = task.state {
                prop_assert_eq!((lease, attempt), (task.token, task.attempts));
            }
            if let State::Blocked { waiting_for, failed } = task.state {
                prop_assert!(waiting_for > 0 || failed > 0, "blocked by nothing");
            }
            prop_assert_eq!(task.completed_at.is_some(), to.is_terminal());
            prop_assert!(task.started_at.is_some() || to != StateName::Running);
        }
    }
}

#[test]
fn a_held_task_is_ready_and_nobody_may_claim_it_until_it_is_freed_or_its_time_comes() {
    let mut held = task(State::Ready, 0, None, Join::All);
    held.on(Event::Held { held: held_until(Some(FUTURE)) }, NOW).expect("it is ready");
    assert!(!held.may_be_claimed());
    assert_eq!(held.wake_at(), Some(FUTURE));
    let claim = Event::Claimed { worker: NodeId::from("w"), until: FUTURE };
    assert!(held.clone().on(claim.clone(), NOW).is_err());
    assert!(held.clone().on(Event::TimePassed, NOW).is_err(), "not yet");
    let mut in_time = held.clone();
    in_time.on(Event::TimePassed, FUTURE).expect("its time has come");
    in_time.on(claim.clone(), FUTURE).expect("nothing holds it");
    held.on(Event::Freed, NOW).expect("it was held");
    assert!(held.on(Event::Freed, NOW).is_err(), "nothing to free it from");
    held.on(claim, NOW).expect("nothing holds it");
}

/// A task that waits until [`FUTURE`] for something of this kind.
fn parked(what: WaitFor, on_timeout: OnTimeout) -> Task {
    let mut parked = task(State::Ready, 0, Some(1), Join::All);
    let worker = NodeId::from("w");
    parked.on(Event::Claimed { worker, until: FUTURE }, NOW).expect("it is ready");
    let (lease, id) = (parked.token, "w1".to_owned());
    let wait = Wait { id, on_timeout, ..Wait::new(what, serde_json::Value::Null) };
    parked.on(Event::Parked { lease, wait, until: Some(FUTURE) }, NOW).expect("it runs");
    parked
}

#[test]
fn a_timer_that_has_run_out_makes_the_task_ready_and_is_no_failure() {
    let mut timer = parked(WaitFor::Timer, OnTimeout::Fail);
    assert!(timer.on(Event::TimePassed, NOW).is_err(), "not yet");
    timer.on(Event::TimePassed, FUTURE).expect("it is over");
    assert_eq!((&timer.state, timer.attempts), (&State::Ready, 0));
    assert!(timer.facets().answers, "its executor finds that it is over");
}

#[test]
fn what_happens_when_nobody_answers_in_time_is_what_was_said() {
    let [fail, stay, default, escalate] = on_timeouts().map(|on_timeout| {
        let mut task = parked(WaitFor::Feedback, on_timeout);
        task.on(Event::TimePassed, FUTURE).expect("it is over");
        task
    });
    assert!(
        matches!(&fail.state, State::Failed { failure } if failure.kind == FailureKind::WaitExpired)
    );
    assert!(matches!(&stay.state, State::Waiting { wait, until: None } if wait.overdue));
    assert_eq!(default.state, State::Ready);
    let State::Waiting { wait, until: Some(until) } = &escalate.state else {
        panic!("{:?}", escalate.state)
    };
    assert_eq!((wait.escalated_to.as_deref(), *until), (Some("boss"), Timestamp(1_002)));
    let mut escalate = escalate;
    escalate.on(Event::TimePassed, Timestamp(1_002)).expect("that is over too");
    assert_eq!(escalate.state.name(), StateName::Failed);
}

#[test]
fn a_paused_task_is_held_whenever_it_is_ready_until_it_is_resumed() {
    let claim = Event::Claimed { worker: NodeId::from("w"), until: FUTURE };
    let mut ready = task(State::Ready, 0, None, Join::All);
    ready.on(Event::Paused, NOW).expect("it is open");
    assert!(ready.clone().on(claim.clone(), NOW).is_err());
    assert!(ready.on(Event::Freed, NOW).is_ok(), "another one lets it go");
    assert_eq!(ready.held, Some(Held::paused_task()), "and it stays paused");
    ready.on(Event::Resumed, NOW).expect("it is paused");
    assert!(ready.on(Event::Resumed, NOW).is_err(), "nothing to resume");
    ready.on(claim.clone(), NOW).expect("nothing holds it");

    ready.on(Event::Paused, NOW).expect("it runs");
    let lease = ready.token;
    ready.on(Event::Renewed { lease, until: FUTURE }, NOW).expect("it goes on");
    ready.on(Event::HandedBack { lease }, NOW).expect("it is held");
    assert!(!ready.may_be_claimed(), "what runs is held when it is ready again");

    let mut created = task(State::Created, 0, None, Join::All);
    created.on(Event::Paused, NOW).expect("it is open");
    created.on(Event::Started { waiting_for: 0, failed: 0 }, NOW).expect("a run begins");
    assert_eq!(created.held, Some(Held::paused_task()), "a new run does not forget it");
    created.on(Event::CancelRequested { reason: "enough".to_owned() }, NOW).expect("it is open");
    assert!(!created.is_paused(), "an end does");
    assert!(created.on(Event::Paused, NOW).is_err());
}

fn bound(bounds: Bounds, max_attempts: Option<u32>) -> Task {
    let facets = Some(Box::new(Facets { bounds: Some(bounds), ..Facets::default() }));
    Task { facets, ..task(State::Created, 0, max_attempts, Join::All) }
}

fn claim(task: &mut Task, now: Timestamp) -> LeaseToken {
    let until = now.after(std::time::Duration::from_secs(1));
    task.on(Event::Claimed { worker: NodeId::from("w"), until }, now).expect("it is ready");
    task.token
}

fn timed_out(task: &Task) -> &str {
    let State::Failed { failure } = &task.state else { panic!("{:?}", task.state) };
    assert_eq!(failure.kind, FailureKind::Timeout);
    &failure.message
}

#[test]
fn a_ready_task_that_nobody_takes_in_time_fails_and_says_which_time_it_was() {
    let mut task = bound(Bounds { queue: Some(5), ..Bounds::default() }, None);
    task.on(Event::Started { waiting_for: 0, failed: 0 }, NOW).expect("it is new");
    let end = Timestamp(NOW.0 + 5);
    assert_eq!(task.wake_at(), Some(end));
    assert!(task.clone().on(Event::TimePassed, NOW).is_err(), "not yet");
    let mut taken = task.clone();
    let lease = claim(&mut taken, NOW);
    taken.on(Event::HandedBack { lease }, FUTURE).expect("it is held");
    assert_eq!(taken.wake_at(), Some(Timestamp(FUTURE.0 + 5)), "it waits anew");
    task.on(Event::TimePassed, end).expect("its time is over");
    assert!(timed_out(&task).contains("queue_timeout_seconds"));
}

#[test]
fn a_pause_stops_the_clock_of_the_queue_and_its_end_starts_it_anew() {
    let mut task = bound(Bounds { queue: Some(5), ..Bounds::default() }, None);
    task.on(Event::Started { waiting_for: 0, failed: 0 }, NOW).expect("it is new");
    let held = Held { by: HeldBy::Pause, key: "me".to_owned(), until: None };
    task.on(Event::Held { held }, NOW).expect("it is ready");
    assert_eq!(task.wake_at(), None);
    task.on(Event::Freed, Timestamp(NOW.0 + 100)).expect("it is held back");
    assert_eq!(task.wake_at(), Some(Timestamp(NOW.0 + 105)));
}

#[test]
fn the_time_of_the_whole_task_counts_from_the_first_attempt_wherever_the_task_stands() {
    let mut task = bound(Bounds { whole: Some(10), ..Bounds::default() }, Some(5));
    task.on(Event::Started { waiting_for: 0, failed: 0 }, NOW).expect("it is new");
    assert_eq!(task.wake_at(), None, "no attempt has begun");
    let lease = claim(&mut task, NOW);
    let end = Timestamp(NOW.0 + 10);
    assert_eq!(task.deadline(), Some(end));
    let mut waits = task.clone();
    waits.on(Event::Parked { lease, wait: wait(), until: None }, FUTURE).expect("it is held");
    assert_eq!(waits.wake_at(), Some(end));
    waits.on(Event::TimePassed, end).expect("its time is over");
    assert!(timed_out(&waits).contains("deadline_seconds"));
    task.on(Event::HandedBack { lease }, FUTURE).expect("it is held");
    assert_eq!(task.wake_at(), Some(end));
    task.on(Event::TimePassed, end).expect("its time is over");
    assert!(timed_out(&task).contains("deadline_seconds"));
}

#[test]
fn no_attempt_begins_after_its_deadline_and_the_failure_says_so() {
    for (bounds, field) in [
        (Bounds { whole: Some(10), ..Bounds::default() }, "deadline_seconds"),
        (Bounds { retries: Some(10), ..Bounds::default() }, "retry_deadline_seconds"),
    ] {
        let mut task = bound(bounds, Some(5));
        task.on(Event::Started { waiting_for: 0, failed: 0 }, NOW).expect("it is new");
        let lease = claim(&mut task, NOW);
        let stumbled = |after: i64| Event::Stumbled {
            lease,
            failure: failure(),
            retry_at: Some(Timestamp(NOW.0 + after)),
        };
        let mut in_time = task.clone();
        in_time.on(stumbled(10), FUTURE).expect("it is held");
        assert_eq!(in_time.state.name(), StateName::Retrying);
        task.on(stumbled(11), FUTURE).expect("it is held");
        let State::Failed { failure } = &task.state else { panic!("{:?}", task.state) };
        assert_eq!(failure.kind, FailureKind::Executor, "what failed is what it failed of");
        assert!(failure.message.starts_with("no; it is not tried again"), "{}", failure.message);
        assert!(failure.message.contains(field), "{}", failure.message);
    }
}

#[test]
fn a_new_run_keeps_what_the_author_said_and_forgets_the_rest() {
    let bounds = Bounds { queue: Some(5), ..Bounds::default() };
    let mut task = bound(bounds, None);
    task.on(Event::Started { waiting_for: 0, failed: 0 }, NOW).expect("it is new");
    let lease = claim(&mut task, NOW);
    task.on(Event::HandedBack { lease }, NOW).expect("it is held");
    let lease = claim(&mut task, FUTURE);
    assert_eq!(task.attempt_began(), Some(FUTURE));
    task.set_facets(|facets| facets.cycle = 3);
    task.on(Event::Succeeded { lease }, FUTURE).expect("it is held");
    task.on(Event::Started { waiting_for: 1, failed: 0 }, FUTURE).expect("it has ended");
    assert_eq!(task.facets(), Facets { bounds: Some(bounds), ..Facets::default() });
}

#[test]
fn a_gathering_task_waits_for_all_it_spawned_and_is_not_charged_twice() {
    let running =
        State::Running { lease: TOKEN, until: FUTURE, attempt: 1, worker: NodeId::from("w") };
    let mut task = task(running, 1, Some(1), Join::Any);
    task.on(Event::Gathers { lease: TOKEN, waiting_for: 2 }, NOW).expect("it gathers");
    assert_eq!(task.state, State::Blocked { waiting_for: 2, failed: 0 });
    let ended = Event::NeedSettled { completed: true, required: false };
    task.on(ended.clone(), NOW).expect("one has ended");
    assert_eq!(task.state.name(), StateName::Blocked, "any one is not enough here");
    task.on(ended, NOW).expect("the other one too");
    assert_eq!((task.state.name(), task.facets().rounds), (StateName::Ready, 1));
    task.on(Event::Claimed { worker: NodeId::from("w"), until: FUTURE }, NOW).expect("claimed");
    assert_eq!(task.attempts, 1, "it goes on with the same attempt");
}

#[test]
fn a_pass_has_its_own_attempts_and_a_new_run_forgets_it() {
    let running =
        State::Running { lease: TOKEN, until: FUTURE, attempt: 3, worker: NodeId::from("w") };
    let mut task = task(running, 3, Some(3), Join::All);
    let data = serde_json::Value::from(7);
    task.on(Event::Iterated { lease: TOKEN, data: data.clone() }, NOW).expect("again");
    assert_eq!((task.state.clone(), task.attempts), (State::Ready, 0));
    assert_eq!((task.facets().cycle, task.facets().cycle_data), (1, Some(data.clone())));
    task.state = State::Failed { failure: failure() };
    let mut resumed = task.clone();
    resumed.on(Event::GoesOn { waiting_for: 0, failed: 0 }, NOW).expect("it goes on");
    assert_eq!((resumed.facets().cycle, resumed.facets().cycle_data), (1, Some(data)));
    task.on(Event::Started { waiting_for: 0, failed: 0 }, NOW).expect("it begins anew");
    assert_eq!(task.facets(), crate::task::Facets::default());
}
