//! Tables for people.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use super::{data::brief, plain, short};

/// A table without lines, under these headings.
pub(crate) fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned())
        .collect();
    lines.join("\n") + "\n"
}

/// As much of a value as a cell shows.
const CELL: usize = 60;

/// Tasks in the shape of the API, one a line.
pub(crate) fn tasks(tasks: &[Value]) -> String {
    let cell = |task: &Value, field: &str| short(&brief(&task[field]), CELL);
    let rows = tasks.iter().map(|task| {
        vec![
            brief(&task["id"]),
            cell(task, "name"),
            cell(task, "status"),
            progress(&task["progress"]),
            moment(&task["updated_at"]),
            cell(task, "error"),
        ]
    });
    table(&["id", "name", "status", "done", "changed", "error"], rows)
}

fn progress(value: &Value) -> String {
    value.as_f64().map_or_else(String::new, |done| format!("{:.0}%", done * 100.0))
}

/// A moment without its microseconds.
fn moment(value: &Value) -> String {
    value.as_str().map_or_else(String::new, |text| {
        text.get(..19).map_or_else(|| text.to_owned(), |text| text.replace('T', " "))
    })
}

/// An object, one field a line.
pub(crate) fn fields(object: &Value) -> String {
    let Some(object) = object.as_object() else { return brief(object) + "\n" };
    let widest = object.keys().map(|key| key.chars().count()).max().unwrap_or(0);
    let lines = object.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| {
        let text = match value {
            Value::String(text) => plain(text),
            other => plain(&other.to_string()),
        };
        format!("{:<widest$}  {text}\n", plain(key))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_task_is_one_line_whatever_its_name_holds() {
        let text = tasks(&[json!({
            "id": "a", "name": "x\u{1b}[31m\ny", "status": "failed", "progress": 0.5,
            "updated_at": "2026-11-20T15:26:11.384408+00:00", "error": "e",
        })]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[1].starts_with("a "), "{text}");
        for part in ["x\\u{1b}[31m\\ny", "failed", "50%", "2026-11-20 15:26:11"] {
            assert!(lines[1].contains(part), "{part} is not in {text}");
        }
    }
}
