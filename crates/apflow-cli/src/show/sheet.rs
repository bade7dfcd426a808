//! Answers of the API as the person wants them: tables, JSON, lines, YAML or bare ids.

use std::{fmt::Write as _, io::IsTerminal as _};

use anstyle::{AnsiColor, Style};
use apflow::{
    core::{
        task::StateName,
        time::{Clock as _, Timestamp},
    },
    system::SystemClock,
};
use serde_json::{Map, Value};

use super::{data, moment::moment, plain, table, tree};
use crate::{
    args::{Format, Output, TimeFormat},
    error::CliError,
    show,
};

/// How a value of a column is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As it is.
    Text,
    /// A moment.
    Moment,
    /// A fraction as percent.
    Share,
    /// One of the five public words.
    Status,
    /// A state with what goes with it.
    State,
}

/// A column: its heading, where its value is, and how it is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column(pub(crate) &'static str, pub(crate) &'static str, pub(crate) Kind);

/// What sort of answer it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sheet {
    /// Objects that are rows: the columns of a table, and those of a wide one besides.
    Rows(&'static [Column], &'static [Column]),
    /// A task with everything under it.
    Tree,
    /// One object, a line a field; several with a blank line between.
    Fields,
}

/// Tasks, one a line.
pub(crate) const TASKS: Sheet = Sheet::Rows(
    &[
        Column("id", "id", Kind::Text),
        Column("name", "name", Kind::Text),
        Column("status", "status", Kind::Status),
        Column("done", "progress", Kind::Share),
        Column("changed", "updated_at", Kind::Moment),
        Column("error", "error", Kind::Text),
    ],
    &[
        Column("id", "id", Kind::Text),
        Column("name", "name", Kind::Text),
        Column("status", "status", Kind::Status),
        Column("state", "state", Kind::State),
        Column("done", "progress", Kind::Share),
        Column("pri", "priority", Kind::Text),
        Column("executor", "params.executor_id|schemas.method", Kind::Text),
        Column("parent", "parent_id", Kind::Text),
        Column("owner", "user_id", Kind::Text),
        Column("tries", "attempt_count", Kind::Text),
        Column("created", "created_at", Kind::Moment),
        Column("started", "started_at", Kind::Moment),
        Column("ended", "completed_at", Kind::Moment),
        Column("error", "error", Kind::Text),
    ],
);

/// How tasks stand, one a line.
pub(crate) const STANDINGS: Sheet = Sheet::Rows(
    &[
        Column("task", "task_id", Kind::Text),
        Column("status", "status", Kind::Status),
        Column("done", "progress", Kind::Share),
        Column("runs", "is_running", Kind::Text),
        Column("changed", "updated_at", Kind::Moment),
        Column("error", "error", Kind::Text),
    ],
    &[],
);

/// What became of wishes to stop, one a line.
pub(crate) const CANCELLED: Sheet = Sheet::Rows(
    &[
        Column("task", "task_id", Kind::Text),
        Column("status", "status", Kind::Status),
        Column("others", "others_cancelled", Kind::Text),
        Column("message", "message", Kind::Text),
    ],
    &[],
);

/// Executors, one a line.
pub(crate) const EXECUTORS: Sheet = Sheet::Rows(
    &[
        Column("executor", "id", Kind::Text),
        Column("ready", "available", Kind::Text),
        Column("what it does", "description", Kind::Text),
    ],
    &[
        Column("executor", "id", Kind::Text),
        Column("ready", "available", Kind::Text),
        Column("tags", "tags", Kind::Text),
        Column("what it does", "description", Kind::Text),
        Column("why not", "unavailable_because", Kind::Text),
    ],
);

/// Writes an answer to standard output.
pub(crate) fn write(value: &Value, sheet: Sheet, format: &Format) -> Result<(), CliError> {
    show::data(&text(value, sheet, format, SystemClock.now())?)
}

fn text(value: &Value, sheet: Sheet, format: &Format, now: Timestamp) -> Result<String, CliError> {
    let picked;
    let value = if format.fields.is_empty() {
        value
    } else {
        picked = pick(value, &format.fields);
        &picked
    };
    Ok(match format.output {
        Output::Json => data::json(value),
        Output::Jsonl => lines(value),
        Output::Yaml => data::yaml(value)?,
        Output::Id => {
            let mut ids = String::new();
            gather_ids(value, &mut ids);
            ids
        }
        Output::Table | Output::Wide => for_people(value, sheet, format, now),
    })
}

fn for_people(value: &Value, sheet: Sheet, format: &Format, now: Timestamp) -> String {
    let relative = || std::io::stdout().is_terminal();
    let times = format.time_format.unwrap_or(if relative() {
        TimeFormat::Relative
    } else {
        TimeFormat::Iso
    });
    let most = show::width();
    if !format.fields.is_empty() {
        let headings: Vec<&str> = if format.no_headers {
            Vec::new()
        } else {
            format.fields.iter().map(String::as_str).collect()
        };
        let cell = |row: &Value, name: &String| {
            let kind = if name.ends_with("_at") { Kind::Moment } else { Kind::Text };
            shown(&row[name], if name == "status" { Kind::Status } else { kind }, times, now)
        };
        let rows = rows_of(value)
            .into_iter()
            .map(|row| format.fields.iter().map(|name| cell(row, name)).collect());
        return table::fitted(&headings, &rows.collect::<Vec<_>>(), most);
    }
    match sheet {
        Sheet::Rows(narrow, wide) => {
            let wanted = format.output == Output::Wide && !wide.is_empty();
            let columns = if wanted { wide } else { narrow };
            let headings: Vec<&str> = if format.no_headers {
                Vec::new()
            } else {
                columns.iter().map(|it| it.0).collect()
            };
            let rows = rows_of(value).into_iter().map(|row| {
                columns
                    .iter()
                    .map(|column| shown(at(row, column.1), column.2, times, now))
                    .collect()
            });
            // Wide tables are for wide screens and pagers.
            let most = if format.output == Output::Wide { None } else { most };
            table::fitted(&headings, &rows.collect::<Vec<_>>(), most)
        }
        Sheet::Tree => match value {
            Value::Array(trees) => trees.iter().map(drawn).collect(),
            one => drawn(one),
        },
        Sheet::Fields => match value {
            Value::Null => String::new(),
            Value::Array(items) => {
                let parts: Vec<String> =
                    items.iter().map(|it| table::fields(&timed(it, times, now))).collect();
                parts.join("\n")
            }
            one => table::fields(&timed(one, times, now)),
        },
    }
}

/// The same object with its moments told.
fn timed(object: &Value, times: TimeFormat, now: Timestamp) -> Value {
    let Value::Object(fields) = object else { return object.clone() };
    let told = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) if name.ends_with("_at") => moment(text, times, now).into(),
            other => other.clone(),
        };
        (name.clone(), value)
    };
    Value::Object(fields.iter().map(told).collect())
}

fn shown(value: &Value, kind: Kind, times: TimeFormat, now: Timestamp) -> table::Cell {
    let text = match (kind, value) {
        (Kind::Moment, Value::String(text)) => moment(text, times, now),
        (Kind::Share, value) => {
            value.as_f64().map_or_else(String::new, |done| format!("{:.0}%", done * 100.0))
        }
        (Kind::State, Value::Object(state)) => in_words(state),
        (_, Value::Array(items)) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        (_, value) => data::brief(value),
    };
    let cell = table::Cell::new(&text);
    if kind == Kind::Status { cell.styled(colour(&text)) } else { cell }
}

/// The name of a state, and what matters most of the rest.
fn in_words(state: &Map<String, Value>) -> String {
    let name = state.get("name").and_then(Value::as_str).unwrap_or_default();
    let number = |field: &str| state.get(field).and_then(Value::as_u64).unwrap_or(0);
    match name {
        "blocked" if number("failed") > 0 => format!("blocked by {} failed", number("failed")),
        "blocked" => format!("blocked by {}", number("waiting_for")),
        "retrying" => format!("retrying after attempt {}", number("attempt")),
        "waiting" => {
            let what = state.get("for").and_then(Value::as_str).unwrap_or("somebody");
            format!("waiting for {what}")
        }
        other => other.to_owned(),
    }
}

/// The colour of a status.
fn colour(status: &str) -> Style {
    let of = |colour: AnsiColor| colour.on_default();
    match status {
        "completed" => of(AnsiColor::Green),
        "failed" | "error" | "not_found" | "permission_denied" => of(AnsiColor::Red),
        "in_progress" => of(AnsiColor::Cyan),
        "cancelled" => of(AnsiColor::Yellow),
        _ => Style::new(),
    }
}

/// The rows of an answer: the items of a list or of a page, the tasks of a tree, or the answer itself.
pub(crate) fn rows_of(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().flat_map(rows_of).collect(),
        Value::Object(object) => {
            if let (Some(task), Some(children)) = (object.get("task"), object.get("children")) {
                let mut rows = vec![task];
                rows.extend(rows_of(children));
                return rows;
            }
            for part in ["tasks", "executors"] {
                if let Some(Value::Array(items)) = object.get(part) {
                    return items.iter().collect();
                }
            }
            vec![value]
        }
        other => vec![other],
    }
}

/// What a path leads to; `|` separates paths of which the first that leads somewhere counts.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    const NOWHERE: &Value = &Value::Null;
    let one = |path: &str| {
        path.split('.').try_fold(value, |at, step| match at {
            Value::Object(object) => object.get(step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    };
    path.split('|').filter_map(one).find(|found| !found.is_null()).unwrap_or(NOWHERE)
}

/// The same rows with these fields alone, each under the path that was asked for.
fn pick(value: &Value, fields: &[String]) -> Value {
    let some = |row: &Value| {
        let fields = fields.iter().map(|path| (path.clone(), at(row, path).clone()));
        Value::Object(fields.collect())
    };
    let rows = rows_of(value);
    if let Some(missing) =
        fields.iter().find(|path| !rows.is_empty() && rows.iter().all(|row| !knows(row, path)))
    {
        show::warn(&format!("nothing here has the field `{missing}`"));
    }
    match value {
        // One object stays one object.
        Value::Object(_) if rows.len() == 1 && std::ptr::eq(rows[0], value) => some(value),
        _ => rows.into_iter().map(some).collect(),
    }
}

/// Whether the first step of a path exists, null or not.
fn knows(row: &Value, path: &str) -> bool {
    let first = path.split('.').next().unwrap_or(path);
    row.as_object().is_some_and(|object| object.contains_key(first))
}

/// One object a line.
fn lines(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().fold(String::new(), |mut text, item| {
            let _ = writeln!(text, "{item}");
            text
        }),
        one => format!("{one}\n"),
    }
}

/// The ids of the tasks in an answer, one a line.
fn gather_ids(value: &Value, ids: &mut String) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather_ids(item, ids)),
        Value::Object(object) => {
            let names = ["id", "task_id", "root_task_id"];
            if let Some(id) = names.iter().find_map(|name| object.get(*name)?.as_str()) {
                ids.push_str(&plain(id));
                ids.push('\n');
            }
            // A tree holds its root and then what is below; a page its tasks.
            let parts = ["task", "tasks", "children", "executors"];
            parts.iter().filter_map(|part| object.get(*part)).for_each(|it| gather_ids(it, ids));
        }
        _ => {}
    }
}

/// A nested task with everything below it; as deep as the answer, which has a limit.
fn drawn(node: &Value) -> String {
    fn add(text: &mut String, node: &Value, depth: usize) {
        let task = &node["task"];
        let state = task["state"]["name"].as_str().and_then(StateName::parse);
        let (sign, style) = tree::mark(state.unwrap_or(StateName::Created));
        let name = show::short(&data::brief(&task["name"]), 80);
        let id = plain(&data::brief(&task["id"]));
        let _ = writeln!(text, "{}{style}{sign}{style:#} {name}  {id}", "  ".repeat(depth));
        for child in node["children"].as_array().into_iter().flatten() {
            add(text, child, depth + 1);
        }
    }
    let mut text = String::new();
    if !node.is_null() {
        add(&mut text, node, 0);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(value: &Value, sheet: Sheet, output: Output, fields: &[&str]) -> String {
        let fields = fields.iter().map(|it| (*it).to_owned()).collect();
        let format =
            Format { output, fields, time_format: Some(TimeFormat::Iso), no_headers: false };
        let text = text(value, sheet, &format, Timestamp(0)).expect("a text");
        anstream::adapter::strip_str(&text).to_string()
    }

    fn task() -> Value {
        json!({"id": "a", "name": "x\u{1b}[31m\ny", "status": "failed", "progress": 0.5,
            "updated_at": "2026-11-20T15:26:11.384408+00:00", "error": "e",
            "params": {"executor_id": "rest"}, "dependencies": [{"id": "b"}],
            "state": {"name": "blocked", "waiting_for": 2, "failed": 0}})
    }

    #[test]
    fn a_task_is_one_line_whatever_its_name_holds() {
        let text = said(&json!([task()]), TASKS, Output::Table, &[]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        for part in ["a ", "x\\u{1b}[31m\\ny", "failed", "50%", "2026-11-20T15:26:11Z"] {
            assert!(lines[1].contains(part), "{part} is not in {text}");
        }
        let wide = said(&json!([task()]), TASKS, Output::Wide, &[]);
        assert!(wide.contains("blocked by 2") && wide.contains("rest"), "{wide}");
    }

    #[test]
    fn fields_are_picked_by_their_paths_in_every_form() {
        let paths = ["id", "state.name", "dependencies.0.id"];
        let picked = json!([{"id": "a", "state.name": "blocked", "dependencies.0.id": "b"}]);
        let all = json!([task()]);
        let text = said(&all, TASKS, Output::Json, &paths);
        assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(picked));
        let text = said(&all, TASKS, Output::Table, &paths);
        assert_eq!(text, "ID  STATE.NAME  DEPENDENCIES.0.ID\na   blocked     b\n");
        let text = said(&task(), Sheet::Fields, Output::Jsonl, &["id"]);
        assert_eq!(text, "{\"id\":\"a\"}\n");
    }

    #[test]
    fn a_tree_is_drawn_or_flattened() {
        let tree = json!({"task": {"id": "r", "name": "r"}, "children": [
            {"task": {"id": "c", "name": "c"}, "children": []}]});
        assert_eq!(said(&tree, Sheet::Tree, Output::Table, &[]), "○ r  r\n  ○ c  c\n");
        assert_eq!(said(&tree, Sheet::Tree, Output::Id, &[]), "r\nc\n");
        let rows = said(&tree, Sheet::Tree, Output::Jsonl, &["id"]);
        assert_eq!(rows, "{\"id\":\"r\"}\n{\"id\":\"c\"}\n");
    }

    #[test]
    fn json_is_the_answer_itself() {
        let answer = json!({"total": 1, "tasks": [task()]});
        let text = said(&answer, TASKS, Output::Json, &[]);
        assert_eq!(serde_json::from_str::<Value>(&text).ok(), Some(answer));
    }
}
