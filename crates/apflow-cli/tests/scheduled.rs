//! `apflow tasks scheduled` and `apflow scheduler` on a local database.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{PATIENCE, Place};

const NIGHTLY: &str = r#"{"id": "nightly", "name": "nightly\u001b[31m", "schedule_type": "daily",
  "schedule_expression": "03:00", "schedule_enabled": true,
  "schemas": {"method": "system_info_executor"}, "inputs": {"resource": "cpu"}}"#;

const OFTEN: &str = r#"{"id": "often", "name": "often", "schedule_type": "interval",
  "schedule_expression": "1", "schedule_enabled": true,
  "schemas": {"method": "system_info_executor"}, "inputs": {"resource": "cpu"}}"#;

#[test]
fn schedules_are_listed_moved_completed_and_made_up_for() {
    let place = Place::new();
    place.fed(&["tasks", "create"], NIGHTLY).exits(0);
    place.fed(&["tasks", "create"], r#"{"id": "plain", "name": "plain"}"#).exits(0);
    let list = place.apflow(&["tasks", "scheduled", "list"]).exits(0);
    assert!(
        list.out.contains("nightly\\u{1b}[31m") && list.out.contains("T03:00:00Z"),
        "{}",
        list.out
    );
    assert!(!list.out.contains("plain") && !list.out.contains('\u{1b}'), "{:?}", list.out);
    list.tells(&["Total: 1 scheduled task(s)"]);
    let json = place.apflow(&["tasks", "scheduled", "list", "-f", "json"]).exits(0).json();
    assert_eq!(json[0]["id"], "nightly");
    assert!(json[0]["next_run_at"].is_string(), "it is known without init");
    let due = place.apflow(&["tasks", "scheduled", "due", "-o", "json"]).exits(0).json();
    assert_eq!(due.as_array().map(Vec::len), Some(0));
    let later = ["tasks", "scheduled", "due", "-b", "2999-01-01T00:00:00Z", "-o", "id"];
    assert_eq!(place.apflow(&later).exits(0).out, "nightly\n");

    let from = ["tasks", "scheduled", "init", "nightly", "--from-time", "2030-05-05T12:00:00Z"];
    let said = place.apflow(&from).exits(0);
    said.tells(&["✓ Schedule initialized: next_run_at = 2030-05-06T03:00:00"]);
    place.apflow(&["tasks", "scheduled", "init", "plain"]).exits(2).tells(&["AF0038"]);
    let done = ["tasks", "scheduled", "complete", "nightly", "--failed", "-e", "no paper"];
    place.apflow(&done).exits(0).tells(&["✓ Run #1 completed. Next run: 2030-05-07T03:00:00"]);
    let range = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-04T00:00:00Z"];
    let dry = [&["tasks", "scheduled", "backfill", "nightly", "--dry-run"][..], &range].concat();
    let said = place.apflow(&dry).exits(0);
    assert_eq!(said.out.lines().count(), 3, "{}", said.out);
    said.tells(&["3 runs would begin"]);
    place.apflow(&["tasks", "scheduled", "complete", "nope"]).exits(4);

    let off = ["tasks", "update", "nightly", "--set", "schedule_enabled=false"];
    place.apflow(&off).exits(0);
    assert_eq!(place.apflow(&["scheduler", "list", "-o", "id"]).exits(0).out, "");
    assert_eq!(place.apflow(&["scheduler", "list", "--all", "-o", "id"]).exits(0).out, "nightly\n");
}

#[test]
fn a_calendar_is_written_to_standard_output_and_nowhere_else() {
    let place = Place::new();
    place.fed(&["tasks", "create"], NIGHTLY).exits(0);
    let said = place.apflow(&["scheduler", "export-ical", "-n", "Nights"]).exits(0);
    assert!(said.out.starts_with("BEGIN:VCALENDAR\r\n"), "{}", said.out);
    assert!(said.out.ends_with("END:VCALENDAR\r\n"), "{}", said.out);
    assert!(said.out.contains("RRULE:FREQ=DAILY"), "{}", said.out);
    assert_eq!(said.err, "");
    let file = ["scheduler", "export-ical", "--output", "x.ics"];
    place.apflow(&file).exits(2).tells(&["apflow scheduler export-ical > FILE"]);
}

#[test]
fn a_task_is_triggered_at_once_and_counted() {
    let place = Place::new();
    place.fed(&["tasks", "create"], NIGHTLY).exits(0);
    let said = place.apflow(&["scheduler", "trigger", "nightly", "--wait", "-o", "json"]).exits(0);
    let task = said.json();
    assert_eq!((&task["status"], &task["run_count"]), (&"completed".into(), &1.into()));
    // D02: what is triggered and not waited for is taken up, not stuck.
    place.apflow(&["scheduler", "trigger", "nightly"]).exits(0).tells(&["✓ triggered 1 task"]);
    place.apflow(&["scheduler", "trigger", "nightly"]).exits(5).tells(&["AF0008"]);
    place.apflow(&["resume"]).exits(0);
    place.apflow(&["scheduler", "trigger", "nope"]).exits(4);
    let status = place.apflow(&["scheduler", "status", "-o", "json"]).exits(0).json();
    assert_eq!((&status["enabled"], &status["overdue"]), (&1.into(), &0.into()));
    assert_eq!(status["next_task"], "nightly");
}

#[cfg(unix)]
#[test]
fn a_scheduler_that_is_killed_goes_on_where_it_was() {
    let place = Place::new();
    place.fed(&["tasks", "create"], OFTEN).exits(0);
    let runs = || -> u64 {
        let task = place.apflow(&["tasks", "get", "often", "-o", "json"]).exits(0).json();
        task["run_count"].as_u64().expect("a number")
    };
    let began = Instant::now();
    let mut before = 0;
    for _ in 0..2 {
        let mut scheduler = place
            .command(&["scheduler", "start"])
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        while runs() < before + 2 {
            assert!(began.elapsed() < PATIENCE * 2, "nothing fires");
            std::thread::sleep(Duration::from_millis(100));
        }
        scheduler.kill().expect("killed");
        scheduler.wait().expect("ended");
        before = runs();
    }
    let status = place.apflow(&["scheduler", "status", "-o", "json"]).exits(0).json();
    assert_eq!(status["schedules"], 1);
    place.apflow(&["scheduler", "start", "--background"]).exits(2).tells(&["foreground"]);
}
