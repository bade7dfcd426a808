//! The moments that schedules mean: the table of the Python server, and clocks that are moved.

use apflow_core::{
    code::Code,
    problem::Problems,
    schedule::{Plan, moment},
    submit::{Reading, read_tasks},
    task::Schedule,
    testing::Sweep,
    time::Timestamp,
};
use proptest::prelude::*;
use serde_json::json;

/// A Friday.
const NOW: &str = "2026-11-20T10:30:00Z";

fn at(text: &str) -> Timestamp {
    moment(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn schedule(kind: &str, expression: &str, zone: &str) -> Schedule {
    Schedule {
        schedule_type: Some(kind.to_owned()),
        schedule_expression: Some(expression.to_owned()),
        schedule_timezone: (!zone.is_empty()).then(|| zone.to_owned()),
        schedule_enabled: true,
        ..Schedule::default()
    }
}

fn read(schedule: &Schedule) -> Plan {
    Plan::read(schedule)
        .unwrap_or_else(|problems| panic!("{schedule:?}: {problems}"))
        .expect("a schedule")
}

fn plan(kind: &str, expression: &str, zone: &str) -> Plan {
    read(&schedule(kind, expression, zone))
}

fn refused(schedule: &Schedule) -> Vec<(String, String)> {
    let Err(Problems(told)) = Plan::read(schedule) else { panic!("{schedule:?} was accepted") };
    told.into_iter()
        .map(|one| {
            assert_eq!(one.code, Code::InvalidSchedule);
            assert!(one.expected.is_some() && one.actual.is_some(), "{one}");
            (one.field.unwrap_or_default(), one.reason)
        })
        .collect()
}

/// The slots after a moment.
fn next(plan: &Plan, from: &str, count: usize) -> Vec<Timestamp> {
    let mut slots = Vec::new();
    let mut last = at(from);
    while let Some(slot) = plan.after(last).filter(|_| slots.len() < count) {
        slots.push(slot);
        last = slot;
    }
    slots
}

#[track_caller]
fn follows(kind: &str, expression: &str, zone: &str, from: &str, expected: &[&str]) {
    let expected: Vec<Timestamp> = expected.iter().map(|text| at(text)).collect();
    let found = next(&plan(kind, expression, zone), from, expected.len());
    let told: Vec<String> = found.iter().map(Timestamp::to_string).collect();
    assert_eq!(found, expected, "{kind} `{expression}` in {zone}: {told:?}");
}

#[test]
fn every_row_of_the_python_table_has_its_next_run() {
    for (kind, expression, expected) in [
        ("once", "2027-01-01T00:00:00Z", Some("2027-01-01T00:00:00Z")),
        ("once", "2020-01-01T00:00:00Z", None),
        ("interval", "3600", Some("2026-11-20T11:30:00Z")),
        ("cron", "0 9 * * 1-5", Some("2026-11-23T09:00:00Z")),
        ("cron", "@daily", Some("2026-11-21T00:00:00Z")),
        ("cron", "0 0 29 2 *", Some("2028-02-29T00:00:00Z")),
        ("cron", "* * * * * 30", Some("2026-11-20T10:30:30Z")),
        ("cron", "0 0 * * 7", Some("2026-11-22T00:00:00Z")),
        ("daily", "10:30", Some("2026-11-21T10:30:00Z")),
        ("daily", "09:00", Some("2026-11-21T09:00:00Z")),
        ("daily", "9:05", Some("2026-11-21T09:05:00Z")),
        ("weekly", "1,3,5 09:00", Some("2026-11-23T09:00:00Z")),
        ("weekly", "5 10:30", Some("2026-11-27T10:30:00Z")),
        ("weekly", "5 10:31", Some("2026-11-20T10:31:00Z")),
        ("weekly", "7 00:00", Some("2026-11-22T00:00:00Z")),
        ("weekly", "mon,wed@09:30", Some("2026-11-23T09:30:00Z")),
        ("monthly", "1,15 09:00", Some("2026-12-01T09:00:00Z")),
        ("monthly", "1,15@09:30", Some("2026-12-01T09:30:00Z")),
        ("monthly", "31 09:00", Some("2026-12-31T09:00:00Z")),
    ] {
        let first = plan(kind, expression, "").first(at(NOW));
        assert_eq!(first, expected.map(at), "{kind} `{expression}`");
    }
    for (expression, from, expected) in [
        ("31 09:00", "2027-01-31T10:00:00Z", "2027-03-31T09:00:00Z"),
        ("30 09:00", "2027-01-30T10:00:00Z", "2027-03-30T09:00:00Z"),
        ("29 09:00", "2027-01-30T10:00:00Z", "2027-03-29T09:00:00Z"),
        ("15,31 09:00", "2027-01-16T10:00:00Z", "2027-01-31T09:00:00Z"),
    ] {
        let first = plan("monthly", expression, "").first(at(from));
        assert_eq!(first, Some(at(expected)), "{expression} from {from}");
    }
}

#[test]
fn every_row_of_the_python_table_that_was_an_error_is_one() {
    for (kind, expression) in [
        ("once", "garbage"),
        ("once", "2027-01-01T00:00:00"),
        ("interval", "0"),
        ("interval", "-5"),
        ("interval", "1.5"),
        ("interval", "abc"),
        ("cron", "61 * * * *"),
        ("daily", "9:5"),
        ("daily", "24:00"),
        ("weekly", "8 00:00"),
        ("weekly", "mon 09:00"),
        ("monthly", "32 09:00"),
    ] {
        let told = refused(&schedule(kind, expression, ""));
        assert_eq!(told.len(), 1, "{kind} `{expression}`: {told:?}");
        assert_eq!(told[0].0, "schedule_expression");
        // Switched off it is no better.
        let off = Schedule { schedule_enabled: false, ..schedule(kind, expression, "") };
        assert_eq!(refused(&off), told);
    }
    for kind in ["hourly", "", "Daily"] {
        assert_eq!(refused(&schedule(kind, "09:00", ""))[0].0, "schedule_type", "{kind}");
    }
    let nothing = Schedule { schedule_enabled: true, ..Schedule::default() };
    let fields: Vec<String> = refused(&nothing).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["schedule_type", "schedule_expression"]);
    assert!(Plan::read(&Schedule::default()).expect("nothing is wrong").is_none());
}

#[test]
fn a_time_in_a_gap_fires_once_at_its_end() {
    let new_york = "America/New_York";
    follows(
        "daily",
        "02:30",
        new_york,
        "2025-03-08T07:00:00Z",
        &["2025-03-08T02:30:00-05:00", "2025-03-09T03:00:00-04:00", "2025-03-10T02:30:00-04:00"],
    );
    follows(
        "daily",
        "02:15",
        "Australia/Lord_Howe",
        "2025-10-04T00:00:00Z",
        &["2025-10-05T02:30:00+11:00", "2025-10-06T02:15:00+11:00"],
    );
    follows(
        "daily",
        "00:00",
        "America/Santiago",
        "2025-09-06T12:00:00Z",
        &["2025-09-07T01:00:00-03:00", "2025-09-08T00:00:00-03:00"],
    );
    follows(
        "cron",
        "0 0 * * *",
        "Africa/Cairo",
        "2025-04-24T12:00:00Z",
        &["2025-04-25T01:00:00+03:00", "2025-04-26T00:00:00+03:00"],
    );
    follows(
        "weekly",
        "7 00:30",
        "Asia/Beirut",
        "2025-03-24T12:00:00Z",
        &["2025-03-30T01:00:00+03:00", "2025-04-06T00:30:00+03:00"],
    );
    follows(
        "daily",
        "02:30",
        "Africa/Casablanca",
        "2025-04-05T12:00:00Z",
        &["2025-04-06T03:00:00+01:00", "2025-04-07T02:30:00+01:00"],
    );
}

#[test]
fn a_list_of_times_keeps_every_run_and_times_in_one_gap_fire_together() {
    let new_york = "America/New_York";
    follows(
        "cron",
        "30 2,14 * * *",
        new_york,
        "2025-03-09T00:00:00Z",
        &["2025-03-09T03:00:00-04:00", "2025-03-09T14:30:00-04:00"],
    );
    follows(
        "cron",
        "0,30 2 * * *",
        new_york,
        "2025-03-09T00:00:00Z",
        &["2025-03-09T03:00:00-04:00", "2025-03-10T02:00:00-04:00", "2025-03-10T02:30:00-04:00"],
    );
    follows(
        "cron",
        "30 1,2 * * *",
        new_york,
        "2025-11-02T00:00:00Z",
        &["2025-11-02T01:30:00-04:00", "2025-11-02T02:30:00-05:00", "2025-11-03T01:30:00-05:00"],
    );
}

#[test]
fn a_time_that_comes_twice_fires_the_first_time() {
    follows(
        "daily",
        "01:30",
        "America/New_York",
        "2025-11-02T00:00:00Z",
        &["2025-11-02T01:30:00-04:00", "2025-11-03T01:30:00-05:00"],
    );
    follows(
        "daily",
        "01:45",
        "Australia/Lord_Howe",
        "2025-04-05T00:00:00Z",
        &["2025-04-06T01:45:00+11:00", "2025-04-07T01:45:00+10:30"],
    );
    follows(
        "daily",
        "23:30",
        "America/Santiago",
        "2025-04-05T12:00:00Z",
        &["2025-04-05T23:30:00-03:00", "2025-04-06T23:30:00-04:00"],
    );
    follows(
        "daily",
        "01:30",
        "Europe/Dublin",
        "2025-10-25T12:00:00Z",
        &["2025-10-26T01:30:00+01:00", "2025-10-27T01:30:00+00:00"],
    );
    follows(
        "daily",
        "02:30",
        "Africa/Casablanca",
        "2025-02-22T12:00:00Z",
        &["2025-02-23T02:30:00+01:00", "2025-02-24T02:30:00+00:00"],
    );
}

#[test]
fn a_start_in_the_second_pass_never_goes_back() {
    let second_pass = "2025-11-02T01:10:00-05:00";
    let new_york = "America/New_York";
    follows("daily", "01:30", new_york, second_pass, &["2025-11-03T01:30:00-05:00"]);
    follows(
        "cron",
        "*/15 * * * *",
        new_york,
        second_pass,
        &["2025-11-02T01:15:00-05:00", "2025-11-02T01:30:00-05:00"],
    );
    let first = plan("cron", "*/15 * * * *", new_york).first(at(second_pass));
    assert_eq!(first, Some(at("2025-11-02T01:15:00-05:00")));
}

#[test]
fn an_hourly_pattern_keeps_every_hour_across_both_changes() {
    let new_york = "America/New_York";
    follows(
        "cron",
        "0 * * * *",
        new_york,
        "2025-03-09T05:30:00Z",
        &["2025-03-09T06:00:00Z", "2025-03-09T07:00:00Z", "2025-03-09T08:00:00Z"],
    );
    follows(
        "cron",
        "0 * * * *",
        new_york,
        "2025-11-02T04:30:00Z",
        &["2025-11-02T05:00:00Z", "2025-11-02T06:00:00Z", "2025-11-02T07:00:00Z"],
    );
}

#[test]
fn a_day_that_a_zone_never_had_has_no_slots() {
    // Samoa went from the 29th to the 31st of December 2011.
    let apia = "Pacific/Apia";
    follows(
        "daily",
        "09:00",
        apia,
        "2011-12-29T12:00:00Z",
        &["2011-12-29T09:00:00-10:00", "2011-12-31T09:00:00+14:00", "2012-01-01T09:00:00+14:00"],
    );
    follows("daily", "00:00", apia, "2011-12-29T12:00:00Z", &["2011-12-31T00:00:00+14:00"]);
    follows("monthly", "30 09:00", apia, "2011-12-01T00:00:00Z", &["2012-01-30T09:00:00+14:00"]);
    follows(
        "cron",
        "0 * * * *",
        apia,
        "2011-12-30T08:30:00Z",
        &["2011-12-30T09:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T11:00:00Z"],
    );
}

#[test]
fn days_that_are_rare_are_found_and_days_that_never_come_are_refused() {
    follows(
        "cron",
        "0 0 29 2 *",
        "",
        "2095-01-01T00:00:00Z",
        &["2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"],
    );
    follows(
        "cron",
        "0 0 31 * *",
        "",
        "2027-01-31T00:00:00Z",
        &[
            "2027-03-31T00:00:00Z",
            "2027-05-31T00:00:00Z",
            "2027-07-31T00:00:00Z",
            "2027-08-31T00:00:00Z",
        ],
    );
    // Either field for days is enough: Fridays, and the 13th on a Sunday.
    follows(
        "cron",
        "0 0 13 * 5",
        "",
        "2026-12-05T00:00:00Z",
        &["2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z", "2026-12-18T00:00:00Z"],
    );
    follows(
        "cron",
        "0 12 LW * *",
        "",
        "2026-10-01T00:00:00Z",
        &["2026-10-30T12:00:00Z", "2026-11-30T12:00:00Z"],
    );
    follows("cron", "0 12 * * 5#3", "", "2026-11-01T00:00:00Z", &["2026-11-20T12:00:00Z"]);
    for expression in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *"] {
        let told = refused(&schedule("cron", expression, ""));
        assert!(told[0].1.contains("no day in the eight years"), "{told:?}");
    }
}

#[test]
fn the_bounds_hold_for_every_slot() {
    let mut bounded = schedule("daily", "09:00", "");
    bounded.schedule_start_at = Some(at("2026-12-01T09:00:00Z"));
    bounded.schedule_end_at = Some(at("2026-12-03T09:00:00Z"));
    let plan = read(&bounded);
    // The start is a slot if the clock says so, and so is the end.
    assert_eq!(plan.first(at(NOW)), bounded.schedule_start_at);
    let all = plan.slots(at(NOW), at("2030-01-01T00:00:00Z"), 100);
    assert_eq!(all.len(), 3);
    assert_eq!((all[0], all[2]), (at("2026-12-01T09:00:00Z"), at("2026-12-03T09:00:00Z")));
    assert_eq!(plan.after(all[2]), None);
    // From the first on, before the last, and not more than wanted.
    assert_eq!(plan.slots(all[0], all[2], 100), all[..2]);
    assert_eq!(plan.slots(all[0], all[2], 1), all[..1]);
    assert_eq!(plan.slots(all[2], all[0], 100), []);
    let mut once = schedule("once", "2026-12-05T00:00:00Z", "");
    assert_eq!(read(&once).first(at(NOW)), Some(at("2026-12-05T00:00:00Z")));
    assert_eq!(read(&once).after(at("2026-12-05T00:00:00Z")), None);
    once.schedule_end_at = bounded.schedule_end_at;
    assert_eq!(read(&once).first(at(NOW)), None);
}

#[test]
fn an_interval_is_counted_from_its_anchor_and_never_drifts() {
    let mut every = schedule("interval", "3600", "");
    every.schedule_start_at = Some(at("2026-11-20T00:10:00Z"));
    let anchored = read(&every);
    assert_eq!(anchored.first(at(NOW)), Some(at("2026-11-20T11:10:00Z")));
    assert_eq!(anchored.first(at("2026-11-01T00:00:00Z")), every.schedule_start_at);
    // A slot that is off the grid leads back to it.
    assert_eq!(anchored.after(at("2026-11-20T11:25:00Z")), Some(at("2026-11-20T12:10:00Z")));
    let free = plan("interval", "3600", "");
    let late = at("2026-11-20T10:30:00.75Z");
    assert_eq!(free.first(late), Some(at("2026-11-20T11:30:00Z")), "whole seconds");
    assert_eq!(free.after(at("2026-11-20T11:30:00Z")), Some(at("2026-11-20T12:30:00Z")));
    // Backfilling a stretch twice, from different ends, finds the same slots.
    let mut stored = schedule("interval", "3600", "");
    stored.next_run_at = Some(at("2026-11-20T11:30:00Z"));
    let slots = read(&stored).slots(at("2026-11-19T00:00:00Z"), at("2026-11-19T03:00:00Z"), 9);
    assert_eq!(slots, [0, 1, 2].map(|hour| at(&format!("2026-11-19T0{hour}:30:00Z"))));
    let slots = read(&stored).slots(at("2026-11-19T01:30:00Z"), at("2026-11-19T01:31:00Z"), 9);
    assert_eq!(slots, [at("2026-11-19T01:30:00Z")]);
}

#[test]
fn y1_schedules_without_measure_are_refused_with_the_limit() {
    let of = |kind: &str, expression: &str| schedule(kind, expression, "");
    let long = "1,".repeat(200) + "1 * * * *";
    for (field, wild) in [
        ("schedule_expression", of("interval", "1000000000000000000")),
        ("schedule_expression", of("interval", "315360001")),
        ("schedule_expression", of("interval", "-1")),
        ("schedule_expression", of("cron", "@every 0s")),
        ("schedule_expression", of("cron", &long)),
        ("schedule_expression", of("cron", "*/15\u{a0}* * * *")),
        ("max_runs", Schedule { max_runs: Some(0), ..of("daily", "09:00") }),
        ("max_runs", Schedule { max_runs: Some(-1), ..of("daily", "09:00") }),
        (
            "schedule_end_at",
            Schedule {
                schedule_start_at: Some(at(NOW)),
                schedule_end_at: Some(at("2026-11-20T10:29:59Z")),
                ..of("daily", "09:00")
            },
        ),
        (
            "schedule_start_at",
            Schedule { schedule_start_at: Some(Timestamp(i64::MAX)), ..of("daily", "09:00") },
        ),
        (
            "schedule_jitter_seconds",
            Schedule { schedule_jitter_seconds: Some(f64::NAN), ..of("daily", "09:00") },
        ),
        (
            "schedule_jitter_seconds",
            Schedule { schedule_jitter_seconds: Some(86_401.0), ..of("daily", "09:00") },
        ),
        (
            "schedule_misfire_window_seconds",
            Schedule {
                schedule_misfire_window_seconds: Some(f64::INFINITY),
                ..of("daily", "09:00")
            },
        ),
        ("schedule_catch_up", Schedule { schedule_catch_up: Some(0), ..of("daily", "09:00") }),
        (
            "schedule_catch_up",
            Schedule { schedule_catch_up: Some(1_000_000), ..of("daily", "09:00") },
        ),
    ] {
        let told = refused(&wild);
        assert_eq!(told[0].0, field, "{told:?}");
        assert!(told[0].1.len() < 300, "{told:?}");
    }
    // Every second is allowed; what was missed is not counted for ever.
    let seconds = plan("cron", "* * * * * *", "");
    let due = seconds.due(at("1990-01-01T00:00:00Z"), at(NOW));
    assert_eq!((due.fire, due.next), (vec![at(NOW)], Some(at("2026-11-20T10:30:01Z"))));
}

#[test]
fn y3_a_zone_that_is_not_in_the_list_is_refused() {
    for zone in [
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/Nowhere",
        "Etc/Unknown",
        "EST5EDT,M3.2.0,M11.1.0",
        "+02:00",
        "local",
        "Europe/Berlin\0",
        " UTC",
    ] {
        let told = refused(&schedule("daily", "09:00", zone));
        assert_eq!(told[0].0, "schedule_timezone", "{zone}: {told:?}");
    }
    let empty =
        Schedule { schedule_timezone: Some(String::new()), ..schedule("daily", "09:00", "") };
    assert_eq!(refused(&empty)[0].0, "schedule_timezone");
    // A name of the list, if an old one.
    follows("daily", "09:00", "EST5EDT", "2026-07-01T00:00:00Z", &["2026-07-01T09:00:00-04:00"]);
}

#[test]
fn slots_are_those_of_a_clock_read_minute_by_minute() {
    // A sample; all zones with `cargo xtask chaos calendar`.
    let always = [
        "America/New_York",
        "America/Santiago",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Africa/Casablanca",
        "America/Nuuk",
        "Antarctica/Troll",
    ];
    let sweep = Sweep::run(200, &always, 2024, 2025);
    assert_eq!(sweep.mismatches, 0, "{:#?}", sweep.told);
    assert!(sweep.zones >= 8 && sweep.gaps > 10 && sweep.overlaps > 10, "{sweep:?}");
}

#[test]
fn the_sweep_sees_a_whole_day_that_is_missing() {
    let sweep = Sweep::run(usize::MAX, &["Pacific/Apia"], 2011, 2011);
    assert_eq!((sweep.mismatches, &sweep.told), (0, &Vec::new()));
    assert!(sweep.changes >= 3, "{sweep:?}");
}

#[test]
fn a_new_task_is_refused_with_every_fault_of_its_schedule() {
    let task = json!({
        "name": "a", "schedule_type": "daily", "schedule_expression": "24:00",
        "schedule_timezone": "Berlin", "schedule_start_at": "2027-01-01T00:00:00",
        "schedule_overlap": "never", "schedule_catch_up": -1,
    });
    let Err(Problems(told)) = read_tasks(&task, &Reading::Lenient) else { panic!("accepted") };
    let field = |name: &str| {
        let found = told.iter().find(|one| one.field.as_deref() == Some(name));
        found.unwrap_or_else(|| panic!("{name} is missing in {told:?}"))
    };
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told.iter().all(|one| one.task.as_deref() == Some("a") && one.expected.is_some()));
    assert!(field("schedule_start_at").reason.contains("no offset"));
    assert_eq!(
        field("schedule_overlap").expected.as_deref(),
        Some("one of skip, queue, cancel_running, allow")
    );
    assert_eq!(field("schedule_timezone").hint.as_deref(), Some("did you mean `Europe/Berlin`?"));
    assert_eq!(field("schedule_catch_up").actual.as_deref(), Some("the number -1"));
    assert_eq!(field("schedule_expression").code, Code::InvalidSchedule);
}

#[test]
fn p31_what_the_scheduler_counts_is_ignored_in_a_new_task_with_a_warning() {
    let task = json!({
        "name": "a", "next_run_at": "2027-01-01T00:00:00Z", "last_run_at": "2026-01-01T00:00:00Z",
        "run_count": 7, "schedule_type": "daily", "schedule_expression": "09:00",
    });
    let (specs, warnings) = read_tasks(&task, &Reading::Strict).expect("a sound task");
    let schedule = &specs[0].schedule;
    assert_eq!((schedule.next_run_at, schedule.last_run_at, schedule.run_count), (None, None, 0));
    for field in ["next_run_at", "last_run_at", "run_count"] {
        assert!(warnings.iter().any(|one| one.contains(&format!("`{field}`"))), "{warnings:?}");
    }
}

/// Follows a schedule for a while; every slot is later than the one before and found again as a stretch.
fn followed(kind: &str, expression: &str, zone: &str, from: i64) -> Result<(), TestCaseError> {
    let plan = match Plan::read(&schedule(kind, expression, zone)) {
        Ok(plan) => plan,
        Err(Problems(told)) => {
            let said = told.iter().all(|one| one.field.is_some() && one.expected.is_some());
            prop_assert!(!told.is_empty() && said, "{told:?}");
            return Ok(());
        }
    };
    let Some(plan) = plan else { return Err(TestCaseError::fail("a schedule was said")) };
    let from = Timestamp(from);
    let mut slots = Vec::new();
    let mut last = from;
    while let Some(slot) = plan.after(last).filter(|_| slots.len() < 8) {
        prop_assert!(slot > last, "{kind} `{expression}` in {zone}: {slot} after {last}");
        slots.push(slot);
        last = slot;
    }
    if kind != "interval" {
        let stretch = plan.slots(Timestamp(from.0 + 1), Timestamp(last.0 + 1), 8);
        prop_assert_eq!(stretch, slots);
    }
    let due = plan.due(from, Timestamp(from.0 + 1_800_000_000));
    prop_assert!(due.fire.len() <= 1 && due.next.is_none_or(|next| next > from));
    Ok(())
}

/// One field of a cron expression with values from `low` to `high`, mostly sound.
fn field(low: u8, high: u8, words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let step = 1..=(high - low);
    prop_oneof![
        6 => Just("*".to_owned()),
        6 => (low..=high).prop_map(|value| value.to_string()),
        4 => step.clone().prop_map(|step| format!("*/{step}")),
        4 => (low..=high, low..=high).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        2 => (low..=high, step).prop_map(move |(value, step)| format!("{value}-{high}/{step},{value}")),
        2 => proptest::sample::select(words).prop_map(str::to_owned),
        1 => proptest::sample::select(vec!["", "99", "L-3", "1,,2", "5#9"]).prop_map(str::to_owned),
    ]
}

fn cron() -> impl Strategy<Value = String> {
    let five = (
        field(0, 59, &["5/20"]),
        field(0, 23, &["22/1"]),
        field(1, 31, &["L", "LW", "15W", "1W,L", "?"]),
        field(1, 12, &["jan", "feb-apr", "dec/1"]),
        field(0, 7, &["5#3", "5L", "mon-fri", "sat,sun", "?"]),
    );
    (five, proptest::option::weighted(0.3, field(0, 59, &["30"]))).prop_map(|(five, second)| {
        let (minute, hour, day, month, weekday) = five;
        let five = format!("{minute} {hour} {day} {month} {weekday}");
        second.map_or(five.clone(), |second| format!("{five} {second}"))
    })
}

fn zone() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(apflow_core::schedule::zones())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_expression_is_followed_upwards_or_refused_with_reasons(
        expression in cron(),
        zone in zone(),
        hour in 473_000..530_000_i64,
    ) {
        followed("cron", &expression, zone, hour * 3_600_000_000)?;
    }

    #[test]
    fn any_text_is_followed_upwards_or_refused_with_reasons(
        kind in proptest::sample::select(vec!["once", "interval", "cron", "daily", "weekly", "monthly"]),
        text in prop_oneof!["\\PC{0,40}", "[0-9*,/@: #LWa-z-]{0,20}", "[1-7](,[1-7]){0,3}[ @][0-9]{1,2}:[0-9]{2}"],
        zone in zone(),
        hour in 473_000..530_000_i64,
    ) {
        followed(kind, &text, zone, hour * 3_600_000_000)?;
    }
}
