//! Schedules as an iCalendar document (RFC 5545) that calendar programs read.
//!
//! A recurrence rule is written only where every program that follows the standard comes to our slots;
//! otherwise the next slots are written out one by one. Inputs of tasks are never written, and no text of
//! an author can end a line or begin a component.

mod rule;
mod text;
mod zone;

use std::collections::BTreeMap;

use text::{Lines, escaped, url_part};

use super::{Plan, zone::Zone};
use crate::{task::Record, time::Timestamp};

/// So many slots are written out where no rule says them.
const SLOTS_WRITTEN: usize = 50;

/// The events of all tasks that have a next slot, as one calendar of this name.
///
/// With `base_url` each event links to its task there. A task that is switched off is written as
/// cancelled; one without a next slot, or without a run left, is left out.
pub fn calendar(name: &str, base_url: Option<&str>, tasks: &[Record], now: Timestamp) -> String {
    let events: Vec<Event<'_>> = tasks.iter().filter_map(Event::of).collect();
    let mut lines = Lines::default();
    lines.add("BEGIN:VCALENDAR");
    lines.add("VERSION:2.0");
    lines.add("PRODID:-//APFlow//Task Scheduler//EN");
    lines.add("CALSCALE:GREGORIAN");
    lines.add("METHOD:PUBLISH");
    lines.add(format!("X-WR-CALNAME:{}", escaped(name)));
    let mut zones: BTreeMap<&str, (&Zone, Timestamp)> = BTreeMap::new();
    for event in &events {
        if let Some(zone) = event.zone() {
            let first = zones.entry(zone.name).or_insert((zone, event.slot));
            first.1 = first.1.min(event.slot);
        }
    }
    for (zone, from) in zones.into_values() {
        zone::write(&mut lines, zone, from);
    }
    for event in &events {
        event.write(&mut lines, base_url, now);
    }
    lines.add("END:VCALENDAR");
    lines.text()
}

/// One task with its next slot and what recurs.
struct Event<'a> {
    record: &'a Record,
    slot: Timestamp,
    plan: Option<Plan>,
    rule: Option<rule::Rule>,
}

impl<'a> Event<'a> {
    fn of(record: &'a Record) -> Option<Self> {
        let slot = record.definition.schedule.next_run_at?;
        // What an older version stored and nobody can follow still has its next slot.
        let plan = Plan::read(&record.definition.schedule).ok().flatten();
        if plan.as_ref().is_some_and(|plan| plan.runs_left() == Some(0)) {
            return None;
        }
        let rule = plan.as_ref().and_then(|plan| rule::of(plan, slot));
        Some(Self { record, slot, plan, rule })
    }

    /// The zone in which the event is written; UTC needs none.
    fn zone(&self) -> Option<&Zone> {
        let plan = self.plan.as_ref()?;
        self.rule.as_ref().filter(|rule| rule.zoned).map(|_| &plan.zone)
    }

    fn write(&self, lines: &mut Lines, base_url: Option<&str>, now: Timestamp) {
        let Record { id, definition, created_at, .. } = self.record;
        let schedule = &definition.schedule;
        lines.add("BEGIN:VEVENT");
        // The same in each export, so that a calendar changes the event instead of adding another.
        lines.add(format!("UID:apflow-{}-{}@apflow.local", escaped(id.as_str()), utc(*created_at)));
        lines.add(format!("DTSTAMP:{}", utc(now)));
        match self.zone() {
            Some(zone) => {
                let at = zone::reading(zone, self.slot);
                lines.add(format!("DTSTART;TZID={}:{at}", zone.name));
            }
            None => lines.add(format!("DTSTART:{}", utc(self.slot))),
        }
        // A duration, since an end on the clock could be before its start when the clock goes back.
        lines.add("DURATION:PT30M");
        lines.add(format!("SUMMARY:{}", escaped(&definition.name)));
        lines.add(format!("DESCRIPTION:{}", escaped(&self.description())));
        if let Some(base) = base_url.and_then(text::base) {
            lines.add(format!("URL:{base}/v1/tasks/{}", url_part(id.as_str())));
        }
        lines.add("CATEGORIES:APFlow,Task");
        let kind = schedule.schedule_type.as_deref().unwrap_or_default();
        lines.add(format!("CATEGORIES:{}", escaped(&kind.to_uppercase())));
        let status = if schedule.schedule_enabled { "CONFIRMED" } else { "CANCELLED" };
        lines.add(format!("STATUS:{status}"));
        match (&self.rule, &self.plan) {
            (Some(rule), _) => lines.add(format!("RRULE:{}", rule.text)),
            (None, Some(plan)) => {
                let others = later(plan, self.slot).map(utc).collect::<Vec<_>>().join(",");
                if !others.is_empty() {
                    lines.add(format!("RDATE:{others}"));
                }
            }
            (None, None) => {}
        }
        lines.add(format!("X-APFLOW-TASK-ID:{}", escaped(id.as_str())));
        lines.add(format!("X-APFLOW-SCHEDULE-TYPE:{}", escaped(kind)));
        lines.add("END:VEVENT");
    }

    fn description(&self) -> String {
        let schedule = &self.record.definition.schedule;
        let word = |text: &Option<String>| text.clone().unwrap_or_default();
        let zone = self.plan.as_ref().map_or("UTC", Plan::zone);
        format!(
            "Task: {}\nSchedule: {} {} ({zone})",
            self.record.id.as_str(),
            word(&schedule.schedule_type),
            word(&schedule.schedule_expression)
        )
    }
}

/// The slots after the one at which the event begins, as many as are written.
fn later(plan: &Plan, slot: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
    let runs = plan.runs_left().map_or(SLOTS_WRITTEN, |left| {
        usize::try_from(left).unwrap_or(SLOTS_WRITTEN).min(SLOTS_WRITTEN)
    });
    std::iter::successors(plan.after(slot), |slot| plan.after(*slot)).take(runs.saturating_sub(1))
}

/// A moment in UTC: `20270101T090000Z`.
fn utc(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_microsecond(at.0).unwrap_or_default();
    format!("{}Z", zone::civil(jiff::tz::Offset::UTC.to_datetime(at)))
}

#[cfg(test)]
mod tests;
