//! Puts the inputs of a run where a file refers to them: `${inputs.name}`, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{
    code::Code,
    problem::{Problem, nearest, shortened},
};

/// So many bytes are put into one order, all in all.
pub(super) const MAX_PUT: usize = 64 * 1024 * 1024;

/// One task being filled in.
pub(super) struct Fill<'a> {
    /// The inputs there are, each with the length of its text.
    pub(super) known: &'a BTreeMap<String, (Value, usize)>,
    /// Those that were referred to.
    pub(super) used: &'a mut BTreeSet<String>,
    /// The task, for messages.
    pub(super) task: &'a str,
    /// How many bytes may still be put in.
    pub(super) room: &'a mut usize,
    /// A workflow inside has inputs of its own: what stands under `workflow` is left as it is.
    pub(super) pattern: bool,
    /// What went wrong.
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Fill<'_> {
    /// Fills in every text of a map; keys stay as they are.
    pub(super) fn map(&mut self, field: &str, map: &mut Map<String, Value>) {
        for (key, value) in map {
            if self.pattern && key == "workflow" {
                continue;
            }
            self.value(&format!("{field}.{}", shortened(key)), value);
        }
    }

    fn value(&mut self, field: &str, value: &mut Value) {
        match value {
            Value::String(text) if text.contains("${") => *value = self.text(field, text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(field, item)),
            Value::Object(entries) => {
                for (key, entry) in entries {
                    if !(self.pattern && key == "workflow") {
                        self.value(field, entry);
                    }
                }
            }
            _ => {}
        }
    }

    /// A text that is one reference becomes the input itself; in a longer text it becomes text.
    fn text(&mut self, field: &str, text: &str) -> Value {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            if rest[..start].ends_with('$') {
                // `$${` stands for `${` itself.
                out.push_str(&rest[..start - 1]);
                out.push_str("${");
                rest = &rest[start + 2..];
                continue;
            }
            out.push_str(&rest[..start]);
            let inside = &rest[start + 2..];
            let Some(end) = inside.find('}') else {
                self.refuse(field, "a `${` has no `}`", text);
                return Value::Null;
            };
            let name = inside[..end].trim().strip_prefix("inputs.");
            let Some(name) = name.filter(|name| is_name(name)) else {
                let reason = format!("`${{{}}}` means nothing here", shortened(&inside[..end]));
                self.refuse(field, &reason, text);
                return Value::Null;
            };
            self.used.insert(name.to_owned());
            let Some((value, put)) = self.known.get(name) else {
                let problem = not_an_input(name, self.known.keys());
                self.problems.push(problem.of_task(self.task).in_field(field));
                return Value::Null;
            };
            let Some(room) = self.room.checked_sub(*put) else {
                // Told once; with no room left every further reference would say the same.
                if *self.room > 0 {
                    let reason = format!("the inputs, put in, come to more than {MAX_PUT} bytes");
                    self.problems.push(
                        Problem::new(Code::TooLarge, reason)
                            .of_task(self.task)
                            .in_field(field)
                            .hinting("pass large data by its path or address"),
                    );
                    *self.room = 0;
                }
                return Value::Null;
            };
            *self.room = room;
            let tail = &inside[end + 1..];
            if start == 0 && tail.is_empty() && out.is_empty() {
                return value.clone();
            }
            match value {
                Value::String(text) => out.push_str(text),
                other => out.push_str(&other.to_string()),
            }
            rest = tail;
        }
        out.push_str(rest);
        Value::String(out)
    }

    fn refuse(&mut self, field: &str, reason: &str, text: &str) {
        self.problems.push(
            Problem::new(Code::WorkflowFile, reason)
                .of_task(self.task)
                .in_field(field)
                .expecting("${inputs.NAME}, with a name of letters, digits, `_` and `-`")
                .found(text)
                .hinting("write $${ for a `${` that is meant as such"),
        );
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
}

/// The problem of an input that is not there.
pub(super) fn not_an_input<'a>(
    name: &str,
    known: impl Iterator<Item = &'a String> + Clone,
) -> Problem {
    const MOST: usize = 20;
    let mut listed: Vec<&str> = known.clone().take(MOST).map(String::as_str).collect();
    if known.clone().nth(MOST).is_some() {
        listed.push("…");
    }
    let expected = if listed.is_empty() {
        "the workflow has no inputs".to_owned()
    } else {
        format!("one of {}", listed.join(", "))
    };
    let problem =
        Problem::new(Code::WorkflowFile, format!("there is no input `{}`", shortened(name)))
            .in_field("inputs")
            .expecting(expected)
            .found(name);
    match nearest(name, known.map(String::as_str)) {
        Some(near) => problem.hinting(format!("did you mean `{}`?", shortened(near))),
        None => problem.hinting(format!(
            "declare it under `inputs:` of the file, or pass it: -i {}=VALUE",
            shortened(name)
        )),
    }
}
