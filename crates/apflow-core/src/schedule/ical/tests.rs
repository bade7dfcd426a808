use std::collections::BTreeMap;

use calcard::{
    Entry, Parser,
    common::timezone::Tz,
    icalendar::{ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarProperty},
};
use jiff::civil;
use proptest::prelude::*;

use super::*;
use crate::{
    id::Seq,
    schedule::moment,
    task::{Definition, Schedule, Task},
};

fn at(text: &str) -> Timestamp {
    moment(text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn record(id: &str, schedule: Schedule) -> Record {
    let definition = Definition { name: format!("Task {id}"), schedule, ..Definition::default() };
    Record {
        id: id.into(),
        tree_id: id.into(),
        parent_id: None,
        has_children: false,
        task: Task {
            priority: definition.priority,
            join: definition.join,
            ..Task::new(Seq(1), Seq(1), Seq(1))
        },
        definition,
        progress: 0.0,
        resolved_inputs: None,
        result: None,
        error: None,
        created_at: at("2026-11-20T10:30:00Z"),
        updated_at: at("2026-11-20T10:30:00Z"),
        worker: None,
        waiting_for: Vec::new(),
        failed_needs: Vec::new(),
    }
}

/// A schedule with its first slot after a moment.
fn stored(kind: &str, expression: &str, zone: &str, from: &str) -> Schedule {
    let mut schedule = Schedule {
        schedule_type: Some(kind.to_owned()),
        schedule_expression: Some(expression.to_owned()),
        schedule_timezone: Some(zone.to_owned()),
        schedule_enabled: true,
        ..Schedule::default()
    };
    let plan = Plan::read(&schedule).unwrap_or_else(|told| panic!("{told}")).expect("a schedule");
    schedule.next_run_at = plan.first(at(from));
    schedule
}

fn written(schedule: &Schedule) -> String {
    calendar("Plans", None, &[record("t", schedule.clone())], at("2026-11-20T10:30:00Z"))
}

/// The lines as they were before folding.
fn lines(text: &str) -> Vec<String> {
    text.replace("\r\n ", "").split("\r\n").map(str::to_owned).collect()
}

/// The value of a property of the event.
fn value(text: &str, name: &str) -> Option<String> {
    let (_, text) = text.split_once("BEGIN:VEVENT")?;
    let of = |line: &String| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned);
    lines(text).iter().find_map(of)
}

fn parsed(text: &str) -> ICalendar {
    match Parser::new(text).entry() {
        Entry::ICalendar(calendar) => calendar,
        other => panic!("no calendar: {other:?}\n{text}"),
    }
}

/// The first moments of all events, as another program works them out.
fn expanded(text: &str, count: usize) -> Vec<Timestamp> {
    let expanded = parsed(text).expand_dates(Tz::UTC, 200);
    assert_eq!(expanded.errors, [], "{text}");
    let mut starts: Vec<i64> =
        expanded.events.iter().map(|event| event.start.timestamp()).collect();
    starts.sort_unstable();
    starts.into_iter().take(count).map(|second| Timestamp(second * 1_000_000)).collect()
}

/// Writes, reads back, expands and compares with the plan; returns the rule.
fn agrees(schedule: &Schedule, count: usize) -> Option<String> {
    let plan = Plan::read(schedule).expect("sound").expect("a schedule");
    let slot = schedule.next_run_at.expect("a slot");
    let text = written(schedule);
    let expected = plan.slots(slot, Timestamp(i64::MAX), count);
    let told = |slots: &[Timestamp]| slots.iter().map(Timestamp::to_string).collect::<Vec<_>>();
    let found = expanded(&text, count);
    assert_eq!(told(&found), told(&expected), "{schedule:?}\n{text}");
    value(&text, "RRULE")
}

const FRIDAY: &str = "2026-11-20T10:30:00Z";

#[test]
fn a_rule_that_is_written_gives_the_slots_when_it_is_read_back() {
    for (kind, expression, zone, rule) in [
        ("interval", "3600", "UTC", "FREQ=HOURLY"),
        ("interval", "172800", "UTC", "FREQ=DAILY;INTERVAL=2"),
        ("interval", "5400", "UTC", "FREQ=MINUTELY;INTERVAL=90"),
        ("interval", "90", "Europe/Berlin", "FREQ=SECONDLY;INTERVAL=90"),
        ("daily", "09:00", "UTC", "FREQ=DAILY"),
        ("daily", "09:00", "Europe/Berlin", "FREQ=DAILY"),
        ("weekly", "1,3,5 09:00", "America/New_York", "FREQ=WEEKLY;BYDAY=MO,WE,FR"),
        ("weekly", "sun@00:00", "UTC", "FREQ=WEEKLY;BYDAY=SU"),
        ("monthly", "1,15 09:00", "Europe/Berlin", "FREQ=MONTHLY;BYMONTHDAY=1,15"),
        ("monthly", "31 09:00", "UTC", "FREQ=MONTHLY;BYMONTHDAY=31"),
        ("cron", "0 9 * * 1-5", "Europe/Berlin", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"),
        ("cron", "30 9,17 * * *", "Europe/Berlin", "FREQ=DAILY;BYHOUR=9,17"),
        ("cron", "*/15 * * * *", "UTC", "FREQ=HOURLY;BYMINUTE=0,15,30,45"),
        ("cron", "*/15 * * * *", "Asia/Kolkata", "FREQ=HOURLY;BYMINUTE=0,15,30,45"),
        ("cron", "* * * * *", "UTC", "FREQ=MINUTELY"),
        ("cron", "* * * * * *", "UTC", "FREQ=SECONDLY"),
        ("cron", "* * * * * */20", "UTC", "FREQ=MINUTELY;BYSECOND=0,20,40"),
        ("cron", "0 */6 * * *", "Asia/Tokyo", "FREQ=DAILY;BYHOUR=0,6,12,18"),
        ("cron", "0 6 L * *", "UTC", "FREQ=MONTHLY;BYMONTHDAY=-1"),
        ("cron", "0 6 1,L * *", "UTC", "FREQ=MONTHLY;BYMONTHDAY=1,-1"),
        ("cron", "0 6 * * 5#3", "UTC", "FREQ=MONTHLY;BYDAY=3FR"),
        ("cron", "0 6 * * 1#1,5L", "UTC", "FREQ=MONTHLY;BYDAY=1MO,-1FR"),
        ("cron", "0 0 29 2 *", "UTC", "FREQ=MONTHLY;BYMONTHDAY=29;BYMONTH=2"),
        ("cron", "0 12 * jan,jul mon", "UTC", "FREQ=WEEKLY;BYDAY=MO;BYMONTH=1,7"),
        ("cron", "@yearly", "UTC", "FREQ=MONTHLY;BYMONTHDAY=1;BYMONTH=1"),
        // At the end of the hour that comes twice, and before the one that is left out.
        ("daily", "02:00", "America/New_York", ""),
        ("daily", "03:00", "America/New_York", "FREQ=DAILY"),
        ("daily", "01:59", "America/New_York", "FREQ=DAILY"),
        ("monthly", "1 02:30", "America/New_York", "FREQ=MONTHLY;BYMONTHDAY=1"),
    ] {
        let found = agrees(&stored(kind, expression, zone, FRIDAY), 20);
        let rule = Some(rule.to_owned()).filter(|rule| !rule.is_empty());
        assert_eq!(found, rule, "{kind} `{expression}` in {zone}");
    }
}

#[test]
fn what_no_rule_says_is_written_out_slot_by_slot() {
    for (kind, expression, zone) in [
        ("cron", "0 0 13 * 5", "UTC"),
        ("cron", "0 9 15W * *", "UTC"),
        ("cron", "0 9 LW * *", "UTC"),
        ("cron", "*/15 * * * *", "Europe/Berlin"),
        ("cron", "0 * * * *", "America/New_York"),
        ("daily", "02:30", "Europe/Berlin"),
        ("cron", "15 2,14 * * *", "Europe/Berlin"),
        ("interval", "100001", "UTC"),
    ] {
        let schedule = stored(kind, expression, zone, FRIDAY);
        assert_eq!(agrees(&schedule, SLOTS_WRITTEN), None, "{kind} `{expression}`");
        assert!(!written(&schedule).contains("TZID"), "slots are written in UTC");
    }
    let once = stored("once", "2027-01-01T00:00:00Z", "UTC", FRIDAY);
    let text = written(&once);
    assert_eq!(expanded(&text, 5), [at("2027-01-01T00:00:00Z")]);
    assert!(!text.contains("RRULE") && !text.contains("RDATE"), "{text}");
}

#[test]
fn d03_a_cron_expression_is_not_exported_as_every_day() {
    let text = written(&stored("cron", "0 9 1 1,7 *", "UTC", FRIDAY));
    assert_eq!(value(&text, "RRULE").as_deref(), Some("FREQ=MONTHLY;BYMONTHDAY=1;BYMONTH=1,7"));
}

#[test]
fn a_rule_ends_with_the_schedule() {
    let daily = stored("daily", "09:00", "UTC", FRIDAY);
    let end = Some(at("2026-12-01T09:00:00Z"));
    let ends = Schedule { schedule_end_at: end, ..daily.clone() };
    assert_eq!(agrees(&ends, 20).as_deref(), Some("FREQ=DAILY;UNTIL=20261201T090000Z"));
    let runs = Schedule { max_runs: Some(10), run_count: 3, ..daily.clone() };
    assert_eq!(value(&written(&runs), "RRULE").as_deref(), Some("FREQ=DAILY;COUNT=7"));
    assert_eq!(expanded(&written(&runs), 20).len(), 7);
    // A rule cannot say both, so it says what comes first.
    let both = Schedule { schedule_end_at: end, ..runs.clone() };
    assert_eq!(value(&written(&both), "RRULE").as_deref(), Some("FREQ=DAILY;COUNT=7"));
    let both = Schedule { max_runs: Some(40), schedule_end_at: end, ..daily.clone() };
    assert_eq!(agrees(&both, 20).as_deref(), Some("FREQ=DAILY;UNTIL=20261201T090000Z"));
    let done = Schedule { max_runs: Some(3), run_count: 3, ..daily };
    assert!(!written(&done).contains("VEVENT"));
    let few = Schedule { max_runs: Some(4), ..stored("cron", "0 0 13 * 5", "UTC", FRIDAY) };
    assert_eq!(expanded(&written(&few), 20).len(), 4);
}

#[test]
fn a_slot_that_the_clock_moved_is_no_beginning_for_a_rule() {
    // 02:30 was left out; the event begins at 03:00, and from there no rule leads back to 02:30.
    let mut schedule = stored("daily", "02:30", "America/New_York", "2025-03-09T00:00:00Z");
    schedule.schedule_end_at = Some(at("2025-03-20T00:00:00Z"));
    assert_eq!(schedule.next_run_at, Some(at("2025-03-09T07:00:00Z")));
    assert_eq!(agrees(&schedule, 20), None);
}

#[test]
fn an_event_has_the_fields_of_the_python_server() {
    let mut task = record("run/a", stored("daily", "09:00", "UTC", FRIDAY));
    task.definition.name = "Report; daily, \\new".to_owned();
    task.definition.inputs.insert("password".to_owned(), "hunter2".into());
    let mut off = record("off", stored("daily", "09:00", "UTC", FRIDAY));
    off.definition.schedule.schedule_enabled = false;
    let none = record("none", Schedule { next_run_at: None, ..off.definition.schedule.clone() });
    let tasks = [task, off, none];
    let text = calendar("My; plans", Some("https://example.org/"), &tasks, at(FRIDAY));
    for line in [
        "VERSION:2.0",
        "PRODID:-//APFlow//Task Scheduler//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        "X-WR-CALNAME:My\\; plans",
        "UID:apflow-run/a-20261120T103000Z@apflow.local",
        "DTSTAMP:20261120T103000Z",
        "DTSTART:20261121T090000Z",
        "DURATION:PT30M",
        "SUMMARY:Report\\; daily\\, \\\\new",
        "DESCRIPTION:Task: run/a\\nSchedule: daily 09:00 (UTC)",
        "URL:https://example.org/v1/tasks/run%2Fa",
        "CATEGORIES:APFlow,Task",
        "CATEGORIES:DAILY",
        "STATUS:CONFIRMED",
        "STATUS:CANCELLED",
        "RRULE:FREQ=DAILY",
        "X-APFLOW-TASK-ID:run/a",
        "X-APFLOW-SCHEDULE-TYPE:daily",
    ] {
        assert!(lines(&text).iter().any(|one| one == line), "{line} is missing in {text}");
    }
    assert_eq!(text.matches("BEGIN:VEVENT").count(), 2);
    assert!(!text.contains("hunter2") && !text.contains("password"));
    assert!(text.ends_with("END:VCALENDAR\r\n"));
}

#[test]
fn each_zone_is_written_once_however_many_tasks_follow_it() {
    let berlin = |id: &str, time| record(id, stored("daily", time, "Europe/Berlin", FRIDAY));
    let tasks = [berlin("a", "09:00"), berlin("b", "10:00")];
    let text = calendar("c", None, &tasks, at(FRIDAY));
    assert_eq!(text.matches("BEGIN:VTIMEZONE").count(), 1);
    assert_eq!(text.matches("DTSTART;TZID=Europe/Berlin:").count(), 2);
    assert!(lines(&text).iter().any(|line| line == "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"));
}

/// The offset that the observances of a zone give a moment, by the words of the standard.
fn offset_at(observances: &[(civil::DateTime, i32, i32)], at: jiff::Timestamp) -> Option<i32> {
    let onset = |reading: civil::DateTime, from: i32| {
        jiff::tz::Offset::from_seconds(from).ok()?.to_timestamp(reading).ok()
    };
    observances
        .iter()
        .filter_map(|&(reading, from, to)| Some((onset(reading, from)?, to)))
        .filter(|(begins, _)| *begins <= at)
        .max_by_key(|(begins, _)| *begins)
        .map(|(_, to)| to)
}

fn read_civil(text: &str) -> civil::DateTime {
    civil::DateTime::strptime("%Y%m%dT%H%M%S", text).unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn read_offset(text: &str) -> i32 {
    let number = |part: &str| part.parse::<i32>().unwrap_or_else(|why| panic!("{text}: {why}"));
    let seconds = number(&text[1..3]) * 3600 + number(&text[3..5]) * 60;
    if text.starts_with('-') { -seconds } else { seconds }
}

/// All onsets of the one zone in the text, rules spelt out for twenty years.
fn observances(text: &str) -> Vec<(civil::DateTime, i32, i32)> {
    let mut all = Vec::new();
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for line in lines(text) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name == "BEGIN" {
            fields.clear();
        }
        fields.insert(name.to_owned(), value.to_owned());
        if name != "END" || !matches!(value, "STANDARD" | "DAYLIGHT") {
            continue;
        }
        let (from, to) = (read_offset(&fields["TZOFFSETFROM"]), read_offset(&fields["TZOFFSETTO"]));
        let first = read_civil(&fields["DTSTART"]);
        let mut onsets = vec![first];
        let dates = fields.get("RDATE").map_or("", String::as_str);
        onsets.extend(dates.split(',').filter(|date| !date.is_empty()).map(read_civil));
        if let Some(rule) = fields.get("RRULE") {
            let (_, place) = rule.split_once("BYDAY=").expect("a weekday");
            let nth = place[..place.len() - 2].parse::<i8>().expect("a place");
            for year in first.year() + 1..first.year() + 20 {
                let month = civil::date(year, first.month(), 1);
                let day = month.nth_weekday_of_month(nth, first.weekday()).expect("such a day");
                onsets.push(day.to_datetime(first.time()));
            }
        }
        all.extend(onsets.into_iter().map(|onset| (onset, from, to)));
    }
    all
}

#[test]
fn a_zone_as_it_is_written_gives_the_offsets_that_the_zone_has() {
    for name in crate::schedule::zones().into_iter().step_by(7).chain([
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Santiago",
        "Africa/Casablanca",
        "Asia/Jerusalem",
        "Asia/Tokyo",
        "Europe/Dublin",
    ]) {
        let zone = Zone::find(name).expect("a zone");
        let mut lines = Lines::default();
        super::zone::write(&mut lines, &zone, at(FRIDAY));
        let text = lines.text();
        let observances = observances(&text);
        let from = jiff::Timestamp::from_microsecond(at(FRIDAY).0).expect("a moment");
        for day in 0..3650 {
            let moment = from + jiff::SignedDuration::from_hours(24 * day + 5);
            let expected = zone.rules.to_offset(moment).seconds();
            assert_eq!(offset_at(&observances, moment), Some(expected), "{name} {moment}\n{text}");
        }
    }
}

#[test]
fn a_name_cannot_add_a_line_or_a_component() {
    let nasty = "x\r\nEND:VEVENT\r\nBEGIN:VALARM\r\nACTION:AUDIO\r\n \u{85}BEGIN:VEVENT";
    let mut task = record(nasty, stored("daily", "09:00", "UTC", FRIDAY));
    task.definition.name = nasty.to_owned();
    task.definition.schedule.schedule_expression = Some(nasty.to_owned());
    task.definition.schedule.schedule_type = Some(nasty.to_owned());
    let text = calendar(nasty, Some(nasty), &[task], at(FRIDAY));
    let calendar = parsed(&text);
    let kinds: Vec<_> = calendar.components.iter().map(|one| &one.component_type).collect();
    assert_eq!(kinds, [&ICalendarComponentType::VCalendar, &ICalendarComponentType::VEvent]);
    assert_eq!(text.matches("\r\nBEGIN:").count(), 1, "{text}");
}

fn text_of(event: &ICalendarComponent, property: &ICalendarProperty) -> Option<String> {
    let entry = event.entries.iter().find(|entry| entry.name == *property)?;
    entry.values.first()?.as_text().map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_name_comes_back_as_it_was_and_stays_one_event(name in "\\PC{0,200}") {
        let mut task = record("t", stored("daily", "09:00", "UTC", FRIDAY));
        task.definition.name.clone_from(&name);
        let text = calendar(&name, None, &[task], at(FRIDAY));
        prop_assert!(text.split("\r\n").all(|line| line.len() <= 75));
        let calendar = parsed(&text);
        prop_assert_eq!(calendar.components.len(), 2);
        let found = text_of(&calendar.components[1], &ICalendarProperty::Summary).unwrap_or_default();
        let expected = name.replace(['\u{2028}', '\u{2029}'], "\n");
        prop_assert_eq!(found.trim(), expected.trim());
    }
}
