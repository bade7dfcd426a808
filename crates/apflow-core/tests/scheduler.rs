//! The scheduler beside a worker: slots become runs at their time, and runs end as the schedule says.

use std::{sync::Arc, time::Duration};

use apflow_core::{
    api::{Call, Caller, Gateway, GatewayConfig, Reply},
    engine::{Engine, SchedulerConfig},
    id::TaskId,
    store::{EventKind, Page, ScheduleFilter, ScheduleStore as _, Submission, TreeStore as _},
    task::{Misfire, Overlap, Schedule, Status},
    testing::{RuntimeClock, Script},
    time::Timestamp,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stage::{Forest, START, Stage};

fn after(seconds: u64, then: Script) -> Script {
    Script::After(Duration::from_secs(seconds), Box::new(then))
}

fn takes(seconds: u64) -> Vec<Script> {
    vec![after(seconds, Script::Return(json!({})))]
}

/// Every so many seconds, counted from the beginning of the test.
fn every(seconds: u32) -> Schedule {
    Schedule {
        schedule_type: Some("interval".to_owned()),
        schedule_expression: Some(seconds.to_string()),
        schedule_enabled: true,
        schedule_start_at: Some(Timestamp(START.0)),
        ..Schedule::default()
    }
}

/// One task on a schedule.
fn task(name: &str, schedule: &Schedule) -> Submission {
    let forest = Forest::new().root(name, &[]);
    forest.define(name, |definition| definition.schedule = schedule.clone()).asleep()
}

async fn until(seconds: u64, since: tokio::time::Instant) {
    tokio::time::sleep_until(since + Duration::from_secs(seconds)).await;
}

fn of(stage: &Stage, kind: EventKind) -> Vec<i64> {
    let journal = stage.store.journal();
    let those = journal.iter().filter(|event| event.kind == kind);
    those.map(|event| (event.at.0 - START.0) / 1_000_000).collect()
}

fn slots(stage: &Stage) -> Vec<i64> {
    let journal = stage.store.journal();
    let those = journal.iter().filter(|event| event.kind == EventKind::SlotFired);
    those
        .map(|event| {
            let slot: Timestamp =
                event.detail["slot"].as_str().expect("a slot").parse().expect("a moment");
            (slot.0 - START.0) / 1_000_000
        })
        .collect()
}

fn config() -> SchedulerConfig {
    // So slow that only timers and signals can be what wakes it.
    SchedulerConfig { back_stop: Duration::from_hours(10), ..SchedulerConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn slots_fire_at_their_time_and_the_scheduler_does_not_poll() {
    let stage = Stage::new([]);
    let (worker, scheduler) = (stage.engine.work(), stage.engine.schedule(config()));
    sleep(Duration::from_secs(5)).await;
    let began = tokio::time::Instant::now() - Duration::from_secs(5);
    // It hears of a schedule that is stored while it sleeps.
    stage.insert(task("a", &every(10))).await;
    until(45, began).await;
    assert_eq!(of(&stage, EventKind::SlotFired), [10, 20, 30, 40]);
    assert_eq!(stage.executor.names(), ["a", "a", "a", "a"]);
    let stats = scheduler.stats();
    assert_eq!((stats.fired, stats.skipped, stats.failures), (4, 0, 0));
    assert!(stats.looks <= 12, "{} looks for 4 slots", stats.looks);
    let a = stage.record("a").await.definition.schedule;
    assert_eq!((a.run_count, a.next_run_at), (4, Some(START.after(Duration::from_secs(50)))));
    let last = scheduler.stop(Duration::from_secs(1)).await;
    until(100, began).await;
    assert_eq!(last.fired, 4, "nothing fires after the stop");
    assert_eq!(of(&stage, EventKind::SlotFired).len(), 4);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_skipped_queued_or_ends_the_run_before_it() {
    for (overlap, fired, ended) in [
        (Overlap::Skip, vec![10, 30, 50], 3),
        (Overlap::Queue, vec![10, 20, 30, 50], 3),
        (Overlap::CancelRunning, vec![10, 20, 30, 40, 50], 5),
    ] {
        let stage = Stage::new([("slow", takes(15))]);
        let schedule = Schedule { schedule_overlap: Some(overlap), ..every(10) };
        stage.insert(task("slow", &schedule)).await;
        let began = tokio::time::Instant::now();
        let (worker, scheduler) = (stage.engine.work(), stage.engine.schedule(config()));
        until(58, began).await;
        assert_eq!(slots(&stage), fired, "{overlap:?}");
        if overlap == Overlap::Queue {
            // The queued slot begins with the end of the run, not with the next slot.
            assert_eq!(of(&stage, EventKind::SlotFired), [10, 25, 40, 55]);
        }
        let over = of(&stage, EventKind::RunFinished).len();
        assert!(over + 1 >= ended, "{overlap:?}: {over} runs ended");
        drop(scheduler);
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn max_runs_and_an_end_switch_a_schedule_off() {
    let stage = Stage::new([]);
    stage.insert(task("twice", &Schedule { max_runs: Some(2), ..every(10) })).await;
    let end = Some(START.after(Duration::from_secs(35)));
    stage.insert(task("ends", &Schedule { schedule_end_at: end, ..every(10) })).await;
    let began = tokio::time::Instant::now();
    let (worker, scheduler) = (stage.engine.work(), stage.engine.schedule(config()));
    until(100, began).await;
    assert_eq!(of(&stage, EventKind::SlotFired), [10, 10, 20, 20, 30]);
    for task in ["twice", "ends"] {
        let schedule = stage.record(task).await.definition.schedule;
        assert_eq!((schedule.schedule_enabled, schedule.next_run_at), (false, None), "{task}");
    }
    assert_eq!(scheduler.stats().next_due, None);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_was_away_makes_up_as_the_author_said() {
    let stage = Stage::new([("all", takes(1))]);
    stage.insert(task("once", &every(10))).await;
    let all = Schedule {
        schedule_misfire: Some(Misfire::CatchUp),
        schedule_catch_up: Some(3),
        ..every(10)
    };
    stage.insert(task("all", &all)).await;
    let began = tokio::time::Instant::now();
    until(65, began).await;
    let (worker, scheduler) = (stage.engine.work(), stage.engine.schedule(config()));
    until(69, began).await;
    let mut fired = slots(&stage);
    fired.sort_unstable();
    assert_eq!(fired, [40, 50, 60, 60], "three for `all`, one after another, and one for `once`");
    assert_eq!(scheduler.stats().skipped, 5 + 3);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_does_not_stop_the_schedule() {
    let stage = Stage::new([("bad", vec![Script::Fail("it is broken".to_owned())])]);
    stage.insert(task("bad", &every(10))).await;
    let began = tokio::time::Instant::now();
    let (worker, _scheduler) = (stage.engine.work(), stage.engine.schedule(config()));
    until(35, began).await;
    assert_eq!(stage.executor.names(), ["bad", "bad", "bad"]);
    assert_eq!(stage.record("bad").await.task.state.status(), Status::Failed);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn several_schedulers_fire_each_slot_once() {
    let stage = Stage::new([]);
    for n in 0..20 {
        stage.insert(task(&format!("t{n}"), &every(10))).await;
    }
    let engines: Vec<Engine> = (0..4).map(|n| stage.another(&format!("n{n}"))).collect();
    let small = SchedulerConfig { batch: 3, ..config() };
    let began = tokio::time::Instant::now();
    let schedulers: Vec<_> = engines.iter().map(|it| it.schedule(small.clone())).collect();
    let worker = stage.engine.work();
    until(35, began).await;
    let fired: u64 = schedulers.iter().map(|it| it.stats().fired).sum();
    assert_eq!(fired, 60);
    assert_eq!(stage.executor.names().len(), 60);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_or_loses_every_signal_delays_a_slot_and_loses_none() {
    let stage = Stage::new([]);
    stage.insert(task("a", &every(10))).await;
    let began = tokio::time::Instant::now();
    let slow = SchedulerConfig { back_stop: Duration::from_secs(7), ..config() };
    let scheduler = stage.engine.schedule(slow);
    until(9, began).await;
    stage.store.fail_next(3);
    until(12, began).await;
    assert_eq!(scheduler.stats().failures, 3);
    assert_eq!(slots(&stage), [10]);
    stage.store.lose_signals(true);
    stage.insert(task("b", &every(1))).await;
    let worker = stage.engine.work();
    until(19, began).await;
    let b = stage.record("b").await.definition.schedule.run_count;
    assert!(b > 0, "the back-stop finds it");
    worker.stop().await;
}

fn gateway(stage: &Stage) -> Gateway {
    let clock = Arc::new(RuntimeClock::new(START));
    Gateway::new(Arc::new(stage.engine.clone()), clock, GatewayConfig::default())
}

async fn ask(
    gateway: &Gateway,
    who: &Caller,
    method: &str,
    params: Value,
) -> Result<Value, String> {
    let read = Call::read(method, params).map_err(|error| error.detail)?;
    let reply: Reply = gateway.call(who, read.call).await.map_err(|error| error.detail)?;
    Ok(reply.json())
}

fn ids(value: &Value) -> Vec<&str> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item["id"].as_str()).collect()
}

/// Two owners with one schedule each.
async fn two_owners(stage: &Stage) {
    for (name, owner) in [("mine", "me"), ("theirs", "them")] {
        let forest = Forest::new().root(name, &[]).define(name, |definition| {
            definition.schedule = every(10);
            definition.user_id = Some(owner.to_owned());
        });
        stage.insert(forest.asleep()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a04_schedules_of_others_are_neither_listed_nor_moved() {
    let stage = Stage::new([]);
    two_owners(&stage).await;
    let gateway = gateway(&stage);
    let me = Caller { user_id: Some("me".to_owned()), ..Caller::default() };
    sleep(Duration::from_secs(11)).await;
    for method in ["tasks.scheduled.list", "tasks.scheduled.due"] {
        let seen = ask(&gateway, &me, method, json!({})).await.expect("a list");
        assert_eq!(ids(&seen), ["mine"], "{method}");
        let all = ask(&gateway, &Caller::local(), method, json!({})).await.expect("a list");
        assert_eq!(ids(&all), ["mine", "theirs"], "{method}");
        let asked = ask(&gateway, &me, method, json!({"user_id": "them"})).await;
        assert!(asked.expect_err("not mine").contains("Permission denied"), "{method}");
    }
    let calendar = ask(&gateway, &me, "tasks.scheduled.export-ical", json!({})).await;
    let calendar = calendar.expect("a calendar");
    assert_eq!(calendar["task_count"], 1);
    let text = calendar["ical_content"].as_str().expect("a text");
    assert!(text.contains("mine") && !text.contains("theirs"), "{text}");
    let range =
        json!({"task_id": "theirs", "from": "2026-01-01T00:00:00Z", "to": "2028-01-01T00:00:00Z"});
    for (method, params) in [
        ("tasks.scheduled.init", json!({"task_id": "theirs"})),
        ("tasks.scheduled.complete", json!({"task_id": "theirs"})),
        ("tasks.scheduled.backfill", range),
    ] {
        let refused = ask(&gateway, &me, method, params).await.expect_err("not mine");
        assert_eq!(refused, "Task theirs not found", "{method}");
    }
    assert_eq!(stage.record("theirs").await.definition.schedule.run_count, 0);
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_outside_apflow_gets_along_with_the_v1_operations() {
    let stage = Stage::new([]);
    stage.insert(task("a", &every(3600))).await;
    stage.insert(Forest::new().root("plain", &[]).asleep()).await;
    let (gateway, who) = (gateway(&stage), Caller::local());
    let start = START.to_string();
    let init = json!({"task_id": "a", "from_time": start});
    let task = ask(&gateway, &who, "tasks.scheduled.init", init).await.expect("a task");
    let hour = Timestamp(START.0 + 3_600_000_000).to_string();
    assert_eq!(task["next_run_at"], hour.as_str());
    let due = ask(&gateway, &who, "tasks.scheduled.due", json!({})).await.expect("a list");
    assert_eq!(ids(&due), [""; 0]);
    let due = ask(&gateway, &who, "tasks.scheduled.due", json!({"before": hour})).await;
    assert_eq!(ids(&due.expect("a list")), ["a"]);
    sleep(Duration::from_secs(3601)).await;
    let task = ask(&gateway, &who, "tasks.scheduled.complete", json!({"task_id": "a"})).await;
    let task = task.expect("a task");
    assert_eq!((&task["run_count"], &task["schedule_enabled"]), (&json!(1), &json!(true)));
    let two_hours = Timestamp(START.0 + 7_200_000_000).to_string();
    assert_eq!(task["next_run_at"], two_hours.as_str());
    for (method, params, text) in [
        ("init", json!({"task_id": "x"}), "Task x not found"),
        ("init", json!({"task_id": "plain"}), "Failed to initialize schedule for task plain"),
        ("complete", json!({"task_id": "x"}), "Task x not found"),
    ] {
        let error = ask(&gateway, &who, &format!("tasks.scheduled.{method}"), params).await;
        assert_eq!(error.expect_err("refused"), text);
    }
    let off = json!({"task_id": "a", "schedule_enabled": false});
    ask(&gateway, &who, "tasks.update", off).await.expect("changed");
    let listed = ask(&gateway, &who, "tasks.scheduled.list", json!({})).await.expect("a list");
    assert_eq!(ids(&listed), [""; 0], "only those that are on");
    let all = json!({"enabled_only": false, "schedule_type": "interval"});
    let listed = ask(&gateway, &who, "tasks.scheduled.list", all).await.expect("a list");
    assert_eq!(ids(&listed), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_backfill_says_what_begins_and_begins_it() {
    let stage = Stage::new([]);
    stage.insert(task("a", &every(10))).await;
    let began = tokio::time::Instant::now();
    until(55, began).await;
    let (gateway, who) = (gateway(&stage), Caller::local());
    let worker = stage.engine.work();
    let scheduler = stage.engine.schedule(config());
    until(57, began).await;
    assert_eq!(slots(&stage), [50]);
    let at = |seconds: u64| START.after(Duration::from_secs(seconds)).to_string();
    let params = |dry: bool| json!({"task_id": "a", "from": at(10), "to": at(40), "dry_run": dry});
    let answer = ask(&gateway, &who, "tasks.scheduled.backfill", params(true)).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer["slots"], json!([at(10), at(20), at(30)]));
    assert_eq!((&answer["count"], &answer["dry_run"]), (&json!(3), &json!(true)));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(slots(&stage), [50]);
    ask(&gateway, &who, "tasks.scheduled.backfill", params(false)).await.expect("an answer");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(slots(&stage), [50, 10, 20, 30], "at once, one after another");
    let again = ask(&gateway, &who, "tasks.scheduled.backfill", params(false)).await;
    let again = again.expect("an answer");
    assert_eq!((&again["count"], &again["fired_before"]), (&json!(0), &json!(3)));
    drop(scheduler);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn y1_what_nobody_could_follow_is_refused_before_it_is_stored() {
    let stage = Stage::new([]);
    let (gateway, who) = (gateway(&stage), Caller::local());
    for fields in [
        json!({"schedule_type": "interval", "schedule_expression": "0"}),
        json!({"schedule_type": "interval", "schedule_expression": "-1"}),
        json!({"schedule_type": "interval", "schedule_expression": "1000000000000000000"}),
        json!({"schedule_type": "daily", "schedule_expression": "09:00", "max_runs": 0}),
        json!({"schedule_type": "daily", "schedule_expression": "09:00",
            "schedule_overlap": "allow"}),
        json!({"schedule_type": "daily", "schedule_expression": "09:00",
            "schedule_start_at": "2027-01-02T00:00:00Z", "schedule_end_at": "2027-01-01T00:00:00Z"}),
    ] {
        let mut task = json!({"name": "a", "schedule_enabled": true});
        for (name, value) in fields.as_object().expect("an object") {
            task[name] = value.clone();
        }
        let refused = ask(&gateway, &who, "tasks.create", task.clone()).await;
        assert!(refused.is_err(), "{task}");
    }
    let all = ScheduleFilter::default();
    let listed = stage.store.scheduled(&all, Page::default()).await.expect("a list");
    assert_eq!(listed.len(), 0);
    assert_eq!(stage.store.record(&TaskId::from("a")).await.expect("an answer"), None);
}

#[tokio::test(start_paused = true)]
async fn y1_ten_thousand_schedules_every_second_cost_bounded_looks() {
    // As many as the model of a store bears; ten thousand are measured on the real ones.
    const COUNT: usize = 200;
    let stage = Stage::new([]);
    for n in 0..COUNT {
        stage.insert(task(&format!("t{n}"), &every(1))).await;
    }
    let began = tokio::time::Instant::now();
    let scheduler = stage.engine.schedule(SchedulerConfig { batch: 50, ..config() });
    until(2, began).await;
    sleep(Duration::from_millis(500)).await;
    let stats = scheduler.stats();
    // Nobody works them off, so the second slot of each is skipped.
    assert_eq!((stats.fired, stats.skipped), (COUNT as u64, COUNT as u64));
    assert!(stats.looks <= 16, "{} looks for two seconds of {COUNT} schedules", stats.looks);
}
