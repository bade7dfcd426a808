//! Schedules: each slot fires once, in the transaction that begins its run.

use std::{sync::Arc, time::Duration};

use apflow_core::{
    firing::REMEMBERED,
    id::TaskId,
    store::{
        Backfill, Backfilled, DrivenRun, EventKind, Fire, Fired, Page, Patch, ScheduleFilter,
        Start, StartScope, StoreError,
    },
    task::{Misfire, Outcome, Overlap, Schedule, Status},
    time::{Clock as _, Timestamp},
};
use serde_json::{Value, json};

use super::{Bed, done, forest};

const TICK: Duration = Duration::from_secs(10);

/// Every ten seconds, the first time a second from now.
fn every_ten(bed: &Bed) -> Schedule {
    Schedule {
        schedule_type: Some("interval".to_owned()),
        schedule_expression: Some("10".to_owned()),
        schedule_enabled: true,
        schedule_start_at: Some(bed.clock.now().after(Duration::from_secs(1))),
        ..Schedule::default()
    }
}

/// Stores a forest of which one task has a schedule; nothing is started.
async fn put(bed: &Bed, text: &str, task: &str, schedule: Schedule) {
    let mut submission = forest(text);
    submission.start = false;
    let found = submission.tasks.iter_mut().find(|each| each.id.as_str() == task);
    found.expect("it is in the forest").definition.schedule = schedule;
    bed.insert(submission).await;
}

async fn fire(bed: &Bed) -> Fired {
    bed.store.fire(Fire { limit: 100, user_id: None }).await.expect("it looks")
}

/// Moves the clock by so many seconds, and fires; returns the tasks that began.
async fn after(bed: &Bed, seconds: u64) -> Vec<String> {
    bed.clock.advance(Duration::from_secs(seconds));
    fire(bed).await.runs.into_iter().map(|run| run.task.as_str().to_owned()).collect()
}

async fn schedule(bed: &Bed, task: &str) -> Schedule {
    bed.record(task).await.definition.schedule
}

/// Changes fields of a schedule.
async fn change(bed: &Bed, task: &str, fields: Value) -> Result<(), StoreError> {
    let mut patch = Patch::default();
    patch.definition.insert("schedule".to_owned(), fields);
    bed.update(task, patch).await
}

async fn listed(bed: &Bed, filter: &ScheduleFilter) -> Vec<String> {
    let found = bed.store.scheduled(filter, Page::default()).await.expect("a list");
    found.into_iter().map(|record| record.id.as_str().to_owned()).collect()
}

/// D01: nobody has to ask for the first slot.
pub async fn the_next_slot_is_known_when_a_task_is_stored(bed: &Bed) {
    let start = every_ten(bed).schedule_start_at.expect("a start");
    put(bed, "a; b", "a", every_ten(bed)).await;
    let stored = schedule(bed, "a").await;
    assert_eq!(stored.next_run_at, Some(start));
    assert_eq!((stored.run_count, stored.last_run_at), (0, None));
    assert_eq!(schedule(bed, "b").await, Schedule::default());
    let off = Schedule { schedule_enabled: false, ..every_ten(bed) };
    put(bed, "off", "off", off).await;
    let off = schedule(bed, "off").await;
    assert_eq!((off.schedule_enabled, off.next_run_at), (false, Some(start)));
    let subtree = bed.store.subtree(&TaskId::new("a")).await.expect("a subtree");
    assert_eq!(subtree[0].definition.schedule, stored, "however it is read");
    let fired = bed.store.fire(Fire { limit: 0, user_id: None }).await.expect("it looks");
    assert_eq!(fired.next, Some(start), "only one that is on is waited for");
}

/// P32: a schedule on a root drives everything that was stored with it.
pub async fn a_schedule_on_a_root_runs_the_whole_submission_afresh(bed: &Bed) {
    put(bed, "root; a ^root; b ^root <a; other", "root", every_ten(bed)).await;
    bed.clock.advance(TICK);
    let fired = fire(bed).await;
    assert_eq!(fired.runs.len(), 1);
    assert_eq!(fired.runs[0].tree.as_str(), "tree-root");
    assert_eq!(fired.next, Some(fired.runs[0].slot.after(TICK)));
    assert_eq!(bed.states("root a b other").await, "blocked ready blocked ready");
    assert_eq!(bed.run_all(&["a"]).await, [vec!["a", "other"], vec!["root"]]);
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Failed));
    // A failed run does not stop the schedule, and what completed runs again.
    assert_eq!(after(bed, 10).await, ["root"]);
    assert_eq!(bed.run_all(&[]).await, [vec!["a", "other"], vec!["b"], vec!["root"]]);
    let run = bed.run("root").await;
    assert_eq!((run.run, run.outcome), (2, Some(Outcome::Completed)));
    bed.cancel("a").await;
    assert_eq!(after(bed, 10).await, ["root"]);
    assert_eq!(bed.cancel("a").await, apflow_core::store::CancelAnswer::Cancelled { others: 1 });
    bed.run_all(&[]).await;
    assert_eq!(bed.run("root").await.outcome, Some(Outcome::Cancelled));
    assert_eq!(after(bed, 10).await, ["root"], "nor does a run that was cancelled");
    assert_eq!(bed.states("root a b").await, "blocked ready blocked");
    let stored = schedule(bed, "root").await;
    assert_eq!(stored.run_count, 4);
    assert_eq!(bed.count_of("tree-root", EventKind::SlotFired).await, 4);
}

/// P32: a schedule on a child drives the child and what it depends on.
pub async fn a_schedule_on_a_child_runs_its_closure_and_nothing_else(bed: &Bed) {
    put(bed, "root; a ^root; b ^root <a; c ^b; d ^root", "b", every_ten(bed)).await;
    assert_eq!(after(bed, 10).await, ["b"]);
    assert_eq!(bed.states("root a b c d").await, "created ready blocked created created");
    assert_eq!(bed.run_all(&[]).await, [["a"], ["b"]]);
    assert_eq!(after(bed, 10).await, ["b"]);
    assert_eq!(bed.run_all(&[]).await, [["a"], ["b"]], "all of it again");
    assert_eq!(bed.states("root c d").await, "created created created");
}

/// G10 of the design: a slot fires at most once.
pub async fn a_slot_fires_once_however_often_it_comes(bed: &Bed) {
    put(bed, "a", "a", every_ten(bed)).await;
    assert_eq!(after(bed, 1).await, ["a"]);
    assert_eq!(fire(bed).await.runs, []);
    bed.run_all(&[]).await;
    // Somebody sets the schedule back to where it was.
    let from = Timestamp(schedule(bed, "a").await.schedule_start_at.expect("a start").0 - 1);
    bed.store.init_schedule(&TaskId::new("a"), Some(from)).await.expect("it is set");
    assert_eq!(schedule(bed, "a").await.next_run_at, Some(from.after(Duration::from_micros(1))));
    assert_eq!(fire(bed).await.runs, [], "the slot fired before");
    assert_eq!(after(bed, 10).await, ["a"]);
    assert_eq!(bed.run("a").await.run, 2);
}

/// The default: a slot is left out while the run before goes on.
pub async fn a_slot_is_skipped_while_the_run_before_goes_on(bed: &Bed) {
    put(bed, "a", "a", every_ten(bed)).await;
    assert_eq!(after(bed, 10).await, ["a"]);
    let held = bed.claim_one().await;
    bed.clock.advance(Duration::from_secs(5));
    bed.clock.advance(Duration::from_secs(5));
    let busy = fire(bed).await;
    assert_eq!((busy.runs.len(), busy.skipped, busy.waiting), (0, 1, false));
    assert_eq!(bed.count_of("tree-a", EventKind::SlotSkipped).await, 1);
    let renewed = apflow_core::store::Renewal { seq: held.seq, lease: held.lease, progress: None };
    bed.store.renew(vec![renewed], TICK).await.expect("renewed");
    bed.settle(vec![done(&held, json!(1))]).await;
    assert_eq!(fire(bed).await.runs, [], "it is left out for good");
    assert_eq!(after(bed, 10).await, ["a"]);
    assert_eq!(schedule(bed, "a").await.run_count, 2);
}

/// One slot is kept and fires when the run has ended.
pub async fn a_queued_slot_fires_when_the_run_ends(bed: &Bed) {
    let queue = Schedule { schedule_overlap: Some(Overlap::Queue), ..every_ten(bed) };
    put(bed, "a; b <a", "a", queue).await;
    assert_eq!(after(bed, 1).await, ["a"]);
    let held = bed.claim_one().await;
    for skipped in [0, 1, 1] {
        bed.clock.advance(TICK);
        let busy = fire(bed).await;
        assert_eq!((busy.runs.len(), busy.skipped, busy.waiting), (0, skipped, true));
    }
    bed.settle(vec![done(&held, json!(1))]).await;
    assert_eq!(fire(bed).await.runs, [], "b still runs");
    assert_eq!(bed.run_all(&[]).await, [["b"]]);
    let queued = fire(bed).await;
    assert_eq!(queued.runs.len(), 1);
    let start = schedule(bed, "a").await.schedule_start_at.expect("a start");
    assert_eq!(queued.runs[0].slot, start.after(TICK), "the first that had to wait");
    assert!(!queued.waiting);
    assert_eq!(bed.run_all(&[]).await, [["a"], ["b"]]);
    assert_eq!(fire(bed).await.runs, []);
}

/// The run that goes on is cancelled for the next one.
pub async fn cancel_running_ends_the_run_and_begins_the_next(bed: &Bed) {
    let cancels = Schedule { schedule_overlap: Some(Overlap::CancelRunning), ..every_ten(bed) };
    put(bed, "root; a ^root; b ^root <a", "root", cancels).await;
    assert_eq!(after(bed, 1).await, ["root"]);
    let held = bed.claim_one().await;
    assert_eq!(after(bed, 10).await, ["root"]);
    let late = bed.store.settle(vec![done(&held, json!(1))], None).await.expect("an answer");
    assert_eq!(late.refused.len(), 1, "the cancelled attempt reports in vain");
    assert_eq!(bed.states("root a b").await, "blocked ready blocked");
    assert_eq!(bed.run_all(&[]).await, [["a"], ["b"], ["root"]]);
    let run = bed.run("root").await;
    assert_eq!((run.run, run.outcome), (2, Some(Outcome::Completed)));
    assert_eq!(bed.count_of("tree-root", EventKind::RunFinished).await, 2);
}

/// A scheduler that comes late fires once.
pub async fn missed_slots_fire_as_the_author_said(bed: &Bed) {
    put(bed, "once", "once", every_ten(bed)).await;
    let catch_up = Schedule {
        schedule_misfire: Some(Misfire::CatchUp),
        schedule_catch_up: Some(3),
        ..every_ten(bed)
    };
    put(bed, "all", "all", catch_up).await;
    let skip = Schedule { schedule_misfire: Some(Misfire::Skip), ..every_ten(bed) };
    put(bed, "none", "none", skip).await;
    bed.clock.advance(Duration::from_hours(1) + Duration::from_secs(1));
    let first = fire(bed).await;
    assert!(first.waiting, "two slots of `all` wait");
    assert_eq!(schedule(bed, "once").await.run_count, 1);
    let start = schedule(bed, "all").await.schedule_start_at.expect("a start").0;
    let mut slots = Vec::new();
    let mut fired = first;
    loop {
        let of_all = fired.runs.iter().filter(|run| run.task.as_str() == "all");
        slots.extend(of_all.map(|run| (run.slot.0 - start) / 1_000_000));
        if bed.run_all(&[]).await.is_empty() {
            break;
        }
        fired = fire(bed).await;
    }
    assert_eq!(slots, [3580, 3590, 3600], "one after another, oldest first");
    let none = schedule(bed, "none").await;
    assert_eq!(none.run_count, 1, "only the last slot is in time");
}

/// It goes off by itself with its last run, and its next slot is none.
pub async fn a_schedule_goes_off_with_its_last_slot(bed: &Bed) {
    let twice = Schedule { max_runs: Some(2), ..every_ten(bed) };
    put(bed, "twice", "twice", twice).await;
    let end = bed.clock.now().after(Duration::from_secs(6));
    put(bed, "ends", "ends", Schedule { schedule_end_at: Some(end), ..every_ten(bed) }).await;
    let once = Schedule {
        schedule_type: Some("once".to_owned()),
        schedule_expression: Some(end.to_string()),
        schedule_start_at: None,
        ..every_ten(bed)
    };
    put(bed, "once", "once", once).await;
    for _ in 0..4 {
        after(bed, 10).await;
        bed.run_all(&[]).await;
    }
    for (task, runs) in [("twice", 2), ("ends", 1), ("once", 1)] {
        let stored = schedule(bed, task).await;
        assert_eq!((task, stored.run_count), (task, runs));
        assert_eq!((stored.schedule_enabled, stored.next_run_at), (false, None), "{task}");
        let tree = format!("tree-{task}");
        assert_eq!(bed.count_of(&tree, EventKind::ScheduleEnded).await, 1, "{task}");
    }
    assert_eq!(fire(bed).await.next, None);
    change(bed, "twice", json!({ "max_runs": 3 })).await.expect("changed");
    assert_eq!(fire(bed).await.next, None, "who raises the limit has to switch it on again");
    change(bed, "twice", json!({ "schedule_enabled": true })).await.expect("changed");
    assert_eq!(after(bed, 10).await, ["twice"]);
    let refused = change(bed, "twice", json!({ "max_runs": 1 })).await.expect_err("it had three");
    assert!(matches!(refused, StoreError::InvalidSchedule(_)), "{refused:?}");
}

/// D01: a change is acted on at once.
pub async fn a_changed_schedule_is_followed_from_then_on(bed: &Bed) {
    let mut changes = bed.store.schedule_changes();
    put(bed, "a", "a", every_ten(bed)).await;
    assert!(changes.has_changed().expect("open"), "schedulers are told of a new one");
    changes.borrow_and_update();
    let start = schedule(bed, "a").await.schedule_start_at.expect("a start");
    bed.clock.advance(Duration::from_secs(5));
    change(bed, "a", json!({ "schedule_expression": "60" })).await.expect("changed");
    assert!(changes.has_changed().expect("open"), "and of a change");
    assert_eq!(schedule(bed, "a").await.next_run_at, Some(start.after(TICK * 6)));
    change(bed, "a", json!({ "schedule_overlap": "queue" })).await.expect("changed");
    assert_eq!(schedule(bed, "a").await.next_run_at, Some(start.after(TICK * 6)));
    change(bed, "a", json!({ "schedule_enabled": false })).await.expect("changed");
    assert_eq!(after(bed, 100).await, [""; 0]);
    let refused = change(bed, "a", json!({ "schedule_expression": "often" })).await;
    assert!(matches!(refused, Err(StoreError::InvalidSchedule(_))), "{refused:?}");
    let none = json!({ "schedule_type": null, "schedule_expression": null });
    change(bed, "a", none).await.expect("changed");
    assert_eq!(listed(bed, &ScheduleFilter::default()).await, [""; 0]);
    let daily = json!({
        "schedule_type": "daily", "schedule_expression": "22:20", "schedule_enabled": true,
        "schedule_start_at": null,
    });
    change(bed, "a", daily).await.expect("changed");
    let next = schedule(bed, "a").await.next_run_at.expect("a slot");
    assert_eq!(next.to_string(), "2023-11-14T22:20:00.000000+00:00");
}

/// Lists are by next slot and hold only what passes.
pub async fn schedules_are_listed_by_their_next_slot(bed: &Bed) {
    let every = |seconds: &str| Schedule {
        schedule_expression: Some(seconds.to_owned()),
        ..every_ten(bed)
    };
    put(bed, "late", "late", every("50")).await;
    put(bed, "soon", "soon", every("20")).await;
    let off = Schedule { schedule_enabled: false, ..every("30") };
    put(bed, "off", "off", off).await;
    let mut mine = forest("mine");
    mine.start = false;
    mine.tasks[0].definition.user_id = Some("me".to_owned());
    mine.tasks[0].definition.schedule = Schedule {
        schedule_type: Some("daily".to_owned()),
        schedule_expression: Some("23:00".to_owned()),
        ..every("")
    };
    bed.insert(mine).await;
    bed.put("plain").await;
    assert_eq!(after(bed, 1).await.len(), 2, "`late` and `soon` have their first slot");
    let held = bed.claim(10).await;
    let all = ScheduleFilter::default();
    assert_eq!(listed(bed, &all).await, ["off", "soon", "late", "mine"]);
    let on = ScheduleFilter { enabled_only: true, ..all.clone() };
    assert_eq!(listed(bed, &on).await, ["soon", "late", "mine"]);
    let daily = ScheduleFilter { kind: Some("daily".to_owned()), ..all.clone() };
    assert_eq!(listed(bed, &daily).await, ["mine"]);
    let of_me = ScheduleFilter { user_id: Some("me".to_owned()), ..all.clone() };
    assert_eq!(listed(bed, &of_me).await, ["mine"]);
    let pending = ScheduleFilter { status: Some(Status::Pending), ..all.clone() };
    assert_eq!(listed(bed, &pending).await, ["off", "mine"]);
    let start = schedule(bed, "soon").await.schedule_start_at.expect("a start");
    let due = ScheduleFilter { due_before: Some(start.after(TICK * 3)), ..on };
    assert_eq!(listed(bed, &due).await, [""; 0], "what runs is not due");
    bed.settle(held.iter().map(|held| done(held, json!(1))).collect()).await;
    assert_eq!(listed(bed, &due).await, ["soon"]);
    let page = Page { limit: 1, offset: 1 };
    let second = bed.store.scheduled(&all, page).await.expect("a list");
    assert_eq!(second[0].id.as_str(), "soon");
    // A scheduler of one owner leaves the others alone.
    bed.clock.advance(Duration::from_hours(1));
    let wish = Fire { limit: 10, user_id: Some("me".to_owned()) };
    let fired = bed.store.fire(wish).await.expect("it looks");
    assert_eq!(fired.runs.len(), 1);
    assert_eq!(fired.runs[0].task.as_str(), "mine");
}

/// Schedulers outside apflow report what they drove.
pub async fn a_run_that_somebody_else_drove_is_counted(bed: &Bed) {
    put(bed, "a", "a", every_ten(bed)).await;
    let driven = |failure: Option<&str>, advance| DrivenRun {
        task: TaskId::new("a"),
        failure: failure.map(str::to_owned),
        advance,
    };
    bed.clock.advance(Duration::from_secs(25));
    bed.store.complete_run(driven(None, true)).await.expect("counted");
    let start = schedule(bed, "a").await.schedule_start_at.expect("a start");
    let stored = schedule(bed, "a").await;
    assert_eq!((stored.run_count, stored.next_run_at), (1, Some(start.after(TICK * 3))));
    assert_eq!(stored.last_run_at, Some(bed.clock.now()));
    assert_eq!(fire(bed).await.runs, [], "the slot is used up");
    bed.store.complete_run(driven(None, false)).await.expect("counted");
    assert_eq!(schedule(bed, "a").await.next_run_at, Some(start.after(TICK * 3)));
    bed.set_status("a", Status::InProgress).await.expect("taken over");
    bed.store.complete_run(driven(Some("it broke"), true)).await.expect("counted");
    let record = bed.record("a").await;
    assert_eq!(record.task.state.status(), Status::Failed);
    assert_eq!(record.error.as_deref(), Some("it broke"));
    bed.put("plain").await;
    let plain = DrivenRun { task: TaskId::new("plain"), failure: None, advance: true };
    bed.store.complete_run(plain).await.expect("a task without a schedule counts too");
    assert_eq!(schedule(bed, "plain").await.run_count, 1);
    let missing = DrivenRun { task: TaskId::new("x"), failure: None, advance: true };
    let missing = bed.store.complete_run(missing).await.expect_err("there is none");
    assert!(matches!(missing, StoreError::NoSuchTask(_)));
    let no_schedule = bed.store.init_schedule(&TaskId::new("plain"), None).await;
    assert!(matches!(no_schedule, Err(StoreError::NoSchedule(_))), "{no_schedule:?}");
}

/// A run by hand counts, and the slot that is to come stays.
pub async fn a_run_begun_by_hand_counts_as_a_run_of_the_schedule(bed: &Bed) {
    let twice = Schedule { max_runs: Some(2), ..every_ten(bed) };
    put(bed, "a; b <a", "a", twice).await;
    let by_hand = Start {
        task: TaskId::new("a"),
        scope: StartScope::Afresh,
        reexecute: false,
        callback: None,
    };
    let started = bed.store.start(by_hand.clone()).await.expect("it starts");
    assert_eq!(started.tasks, 2);
    let stored = schedule(bed, "a").await;
    assert_eq!((stored.run_count, stored.next_run_at), (1, stored.schedule_start_at));
    let refused = bed.store.start(by_hand.clone()).await.expect_err("it runs");
    assert!(matches!(refused, StoreError::AlreadyRunning { .. }));
    assert_eq!(schedule(bed, "a").await.run_count, 1);
    bed.run_all(&[]).await;
    bed.store.start(by_hand.clone()).await.expect("it starts");
    let stored = schedule(bed, "a").await;
    assert_eq!((stored.run_count, stored.schedule_enabled), (2, false));
    bed.run_all(&[]).await;
    bed.store.start(by_hand).await.expect("a schedule that is over forbids nothing");
    assert_eq!(schedule(bed, "a").await.run_count, 2, "and counts no further");
}

async fn backfill(bed: &Bed, from: i64, to: i64, limit: u32, dry_run: bool) -> Backfilled {
    let start = schedule(bed, "a").await.schedule_start_at.expect("a start");
    let at = |seconds: i64| Timestamp(start.0 + seconds * 1_000_000);
    let wish = Backfill { task: TaskId::new("a"), range: at(from)..at(to), limit, dry_run };
    bed.store.backfill(wish).await.expect("an answer")
}

/// Slots that never fired can be made up for, each once.
pub async fn a_backfill_starts_what_never_fired_each_once(bed: &Bed) {
    put(bed, "a", "a", every_ten(bed)).await;
    // Slot 0 fires; 10 to 40 are missed, and 50 fires for them.
    assert_eq!(after(bed, 1).await, ["a"]);
    bed.run_all(&[]).await;
    assert_eq!(after(bed, 55).await, ["a"]);
    bed.run_all(&[]).await;
    let slots = |answer: &Backfilled, start: Timestamp| -> Vec<i64> {
        answer.slots.iter().map(|slot| (slot.0 - start.0) / 1_000_000).collect()
    };
    let start = schedule(bed, "a").await.schedule_start_at.expect("a start");
    let dry = backfill(bed, 0, 1000, 3, true).await;
    assert_eq!((slots(&dry, start), dry.fired_before), (vec![10, 20, 30], 1));
    assert!(dry.cut_short);
    assert_eq!(fire(bed).await.runs, [], "a dry run starts nothing");
    let wet = backfill(bed, 5, 31, 100, false).await;
    assert_eq!((slots(&wet, start), wet.cut_short), (vec![10, 20, 30], false));
    let again = backfill(bed, 0, 1000, 100, false).await;
    assert_eq!((slots(&again, start), again.fired_before), (vec![40], 5));
    let mut ran = Vec::new();
    loop {
        let fired = fire(bed).await;
        ran.extend(fired.runs.iter().map(|run| (run.slot.0 - start.0) / 1_000_000));
        if bed.run_all(&[]).await.is_empty() {
            break;
        }
    }
    assert_eq!(ran, [10, 20, 30, 40], "one after another");
    assert_eq!(backfill(bed, 0, 1000, 100, false).await.slots, []);
    assert_eq!(schedule(bed, "a").await.run_count, 6);
    change(bed, "a", json!({ "max_runs": 7, "schedule_expression": "5" })).await.expect("changed");
    let few = backfill(bed, 0, 1000, 100, false).await;
    assert_eq!((slots(&few, start), few.cut_short), (vec![5], true), "max_runs holds here too");
}

/// What is remembered of fired slots is bounded, and what is forgotten never fires again.
pub async fn old_slots_are_forgotten_and_never_fire_again(bed: &Bed) {
    let cancels = Schedule { schedule_overlap: Some(Overlap::CancelRunning), ..every_ten(bed) };
    put(bed, "a", "a", cancels).await;
    for _ in 0..REMEMBERED + 280 {
        // Every other slot fires, so that what lies between never did.
        assert_eq!(after(bed, 20).await, ["a"]);
    }
    let answer = backfill(bed, 0, 1_000_000_000, 1000, true).await;
    assert!(answer.forgotten > 200, "{answer:?}");
    assert!(answer.fired_before >= REMEMBERED, "{}", answer.fired_before);
    let oldest = answer.slots.first().expect("some never fired").0;
    let start = schedule(bed, "a").await.schedule_start_at.expect("a start").0;
    let first_known = (oldest - start) / 10_000_000;
    assert_eq!(i64::from(answer.forgotten), first_known - 1, "all that is older is left alone");
}

/// A tree that is on a schedule is not old, however long ago it ran.
pub async fn what_is_on_a_schedule_is_not_pruned(bed: &Bed) {
    let twice = Schedule { max_runs: Some(2), ..every_ten(bed) };
    put(bed, "a; b ^a", "b", twice).await;
    assert_eq!(after(bed, 1).await, ["b"]);
    bed.run_all(&[]).await;
    let later = bed.clock.now().after(Duration::from_hours(9));
    assert_eq!(bed.store.prune(later, 100).await.expect("pruned"), 0);
    assert_eq!(after(bed, 10).await, ["b"]);
    bed.run_all(&[]).await;
    assert_eq!(bed.store.prune(later, 100).await.expect("pruned"), 2, "it is off");
    assert_eq!(listed(bed, &ScheduleFilter::default()).await, [""; 0]);
    put(bed, "a; b ^a", "b", every_ten(bed)).await;
    assert_eq!(bed.store.delete(&TaskId::new("a")).await.expect("deleted"), 2);
    assert_eq!(fire(bed).await.next, None, "the schedule goes with its task");
}

/// Two schedulers on one store share the work and fire nothing twice.
pub async fn schedulers_at_once_never_fire_a_slot_twice(bed: &Bed) {
    const SCHEDULES: usize = 40;
    for n in 0..SCHEDULES {
        let name = format!("s{n}");
        put(bed, &name, &name, every_ten(bed)).await;
    }
    for round in 0..3 {
        bed.clock.advance(TICK);
        let mut schedulers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let store = Arc::clone(&bed.store);
            schedulers.spawn(async move {
                let mut slots = Vec::new();
                // What another one has in hand is due until that one is done.
                for _ in 0..50 {
                    let wish = Fire { limit: 7, user_id: None };
                    let fired = store.fire(wish).await.expect("it looks");
                    let idle = fired.next.is_none_or(|at| at > fired.now);
                    slots.extend(fired.runs.into_iter().map(|run| (run.task, run.slot)));
                    if idle {
                        return slots;
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                panic!("what is due is not fired");
            });
        }
        let mut fired: Vec<_> = schedulers.join_all().await.into_iter().flatten().collect();
        assert_eq!(fired.len(), SCHEDULES, "round {round}");
        fired.sort();
        fired.dedup();
        assert_eq!(fired.len(), SCHEDULES, "round {round}: none twice");
        bed.run_all(&[]).await;
        assert_eq!(bed.run("s0").await.run, round + 1);
    }
}
