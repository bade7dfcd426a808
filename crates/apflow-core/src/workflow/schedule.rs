//! The block `schedule` of a task in a workflow file: the fields of a schedule under short names.

use super::{
    node::{Node, Tree},
    read::Reader,
};
use crate::{
    code::Code,
    problem::{Problem, Problems},
    schedule::{Kind, MAX_CATCH_UP, MOMENT, Plan, moment},
    task::{Misfire, Overlap, Schedule},
    time::Timestamp,
};

/// The fields of the block, and what each is called in a task.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("type", "schedule_type"),
    ("expression", "schedule_expression"),
    ("timezone", "schedule_timezone"),
    ("overlap", "schedule_overlap"),
    ("misfire", "schedule_misfire"),
    ("misfire_window", "schedule_misfire_window_seconds"),
    ("catch_up", "schedule_catch_up"),
    ("jitter", "schedule_jitter_seconds"),
    ("start_at", "schedule_start_at"),
    ("end_at", "schedule_end_at"),
    ("max_runs", "max_runs"),
    ("enabled", "schedule_enabled"),
];

impl Reader {
    /// A block that is there is on, unless it says otherwise.
    pub(super) fn schedule(&mut self, node: &Node) -> Schedule {
        let mut schedule = Schedule { schedule_enabled: true, ..Schedule::default() };
        let Tree::Map(entries) = &node.tree else {
            self.refuse(node, "schedule", "a map with type and expression");
            return Schedule::default();
        };
        let before = self.problems.len();
        for entry in entries {
            let node = &entry.node;
            let name = entry.key.as_str();
            let field = format!("schedule.{name}");
            match name {
                _ if node.is_null() && FIELDS.iter().any(|(known, _)| *known == name) => {}
                "type" => {
                    let words = Kind::ALL.map(|kind| (kind.as_str(), kind));
                    let kind = self.word(node, &field, &words);
                    schedule.schedule_type = kind.map(|kind| kind.as_str().to_owned());
                }
                "expression" => {
                    // The seconds of an interval may stand there as the number they are.
                    schedule.schedule_expression = self.read(
                        node,
                        &field,
                        "a text, or a number of seconds",
                        |tree| match tree {
                            Tree::Text(text) => Some(text.clone()),
                            Tree::Number(number) => Some(number.to_string()),
                            _ => None,
                        },
                    );
                }
                "timezone" => schedule.schedule_timezone = self.text(node, &field),
                "overlap" => {
                    let words = Overlap::ALL.map(|policy| (policy.as_str(), policy));
                    schedule.schedule_overlap = self.word(node, &field, &words);
                }
                "misfire" => {
                    let words = Misfire::ALL.map(|policy| (policy.as_str(), policy));
                    schedule.schedule_misfire = self.word(node, &field, &words);
                }
                "misfire_window" => {
                    schedule.schedule_misfire_window_seconds = self.seconds(node, &field);
                }
                "catch_up" => {
                    let expected = format!("a whole number from 1 to {MAX_CATCH_UP}");
                    schedule.schedule_catch_up =
                        self.read(node, &field, &expected, |tree| match tree {
                            Tree::Number(number) => u32::try_from(number.as_u64()?).ok(),
                            _ => None,
                        });
                }
                "jitter" => schedule.schedule_jitter_seconds = self.seconds(node, &field),
                "start_at" => schedule.schedule_start_at = self.moment(node, &field),
                "end_at" => schedule.schedule_end_at = self.moment(node, &field),
                "max_runs" => schedule.max_runs = self.whole(node, &field),
                "enabled" => {
                    let on = self.read(node, &field, "true or false", |tree| match tree {
                        Tree::Bool(on) => Some(*on),
                        _ => None,
                    });
                    schedule.schedule_enabled = on.unwrap_or_default();
                }
                _ => {
                    let known: Vec<&str> = FIELDS.iter().map(|(known, _)| *known).collect();
                    self.unknown(entry, "schedule", &known);
                }
            }
        }
        if self.problems.len() == before
            && let Err(Problems(problems)) = Plan::read(&schedule)
        {
            for problem in problems {
                let short = problem.field.as_deref().and_then(short_name);
                let field = format!("schedule.{}", short.unwrap_or("expression"));
                let stands =
                    short.and_then(|short| entries.iter().find(|entry| entry.key == short));
                self.add(stands.map_or(node.at, |entry| entry.node.at), &field, problem);
            }
            // Told here with its line; the checks of the whole task need not tell it again.
            return Schedule::default();
        }
        schedule
    }

    fn moment(&mut self, node: &Node, field: &str) -> Option<Timestamp> {
        let Tree::Text(text) = &node.tree else {
            self.refuse(node, field, MOMENT);
            return None;
        };
        match moment(text) {
            Ok(at) => Some(at),
            Err(reason) => {
                let problem = Problem::new(Code::InvalidSchedule, reason);
                self.add(node.at, field, problem.expecting(MOMENT).found(text.clone()));
                None
            }
        }
    }
}

fn short_name(field: &str) -> Option<&'static str> {
    FIELDS.iter().find(|(_, long)| *long == field).map(|(short, _)| *short)
}
