//! Tables for people, no wider than the terminal.

use std::fmt::Write as _;

use anstyle::Style;
use serde_json::Value;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{data::brief, plain};

/// What stands between two columns.
const GAP: usize = 2;
/// No column is made narrower than this.
const NARROW: usize = 8;

/// A cell: its text, and how it is coloured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell with this text, on one line and unable to steer the terminal.
    pub(crate) fn new(text: &str) -> Self {
        Self { text: plain(text), style: Style::new() }
    }

    /// The same, coloured.
    pub(crate) fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }
}

/// A table under these headings, as wide as it needs.
pub(crate) fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let rows = rows.into_iter().map(|row| row.iter().map(|cell| Cell::new(cell)).collect());
    fitted(headings, &rows.collect::<Vec<_>>(), super::width())
}

/// A table under these headings, none if there are none, at most so wide.
///
/// Wide columns give way first; what does not fit ends in `…`.
pub(crate) fn fitted(headings: &[&str], rows: &[Vec<Cell>], most: Option<usize>) -> String {
    let headings: Vec<Cell> = headings.iter().map(|it| Cell::new(&it.to_uppercase())).collect();
    let columns = rows.iter().map(Vec::len).chain([headings.len()]).max().unwrap_or(0);
    let mut widths = vec![0; columns];
    for row in rows.iter().chain([&headings]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.width());
        }
    }
    if let Some(most) = most {
        narrow(&mut widths, most);
    }
    let mut text = String::new();
    if !headings.is_empty() {
        line(&mut text, &headings, &widths);
    }
    for row in rows {
        line(&mut text, row, &widths);
    }
    text
}

/// Takes from the widest columns until they fit side by side.
fn narrow(widths: &mut [usize], most: usize) {
    let gaps = GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > most {
        match widths.iter_mut().max() {
            Some(widest) if *widest > NARROW => *widest -= 1,
            _ => return,
        }
    }
}

fn line(text: &mut String, row: &[Cell], widths: &[usize]) {
    let mut blank = 0;
    for (cell, width) in row.iter().zip(widths) {
        let shown = cut(&cell.text, *width);
        if !shown.is_empty() {
            let style = cell.style;
            let _ = write!(text, "{}{style}{shown}{style:#}", " ".repeat(blank));
            blank = 0;
        }
        // Blanks are written only when something follows them.
        blank += width - shown.width().min(*width) + GAP;
    }
    text.push('\n');
}

/// As much of a text as fits, counted in cells of the terminal.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.width() <= most {
        return text.to_owned();
    }
    let mut room = most.saturating_sub(1);
    let fits = |letter: &char| {
        let width = letter.width().unwrap_or(0);
        let fits = width <= room;
        room = room.saturating_sub(width);
        fits
    };
    let mut short: String = text.chars().take_while(fits).collect();
    if most > 0 {
        short.push('…');
    }
    short
}

/// An object, one field a line.
pub(crate) fn fields(object: &Value) -> String {
    let Some(object) = object.as_object() else { return brief(object) + "\n" };
    let widest = object.keys().map(|key| plain(key).width()).max().unwrap_or(0);
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

    fn rows(rows: &[&[&str]]) -> Vec<Vec<Cell>> {
        rows.iter().map(|row| row.iter().map(|it| Cell::new(it)).collect()).collect()
    }

    #[test]
    fn columns_stand_under_their_headings_and_no_line_ends_in_blanks() {
        let text = fitted(&["id", "name"], &rows(&[&["a", "first"], &["long", ""]]), None);
        assert_eq!(text, "ID    NAME\na     first\nlong\n");
        assert_eq!(fitted(&[], &rows(&[&["a", "b"]]), None), "a  b\n");
    }

    #[test]
    fn a_table_is_no_wider_than_the_terminal_and_says_what_it_cut() {
        let long = "x".repeat(60);
        let text = fitted(&["id", "name", "error"], &rows(&[&["a", &long, &long]]), Some(40));
        assert!(text.lines().all(|line| line.width() <= 40), "{text}");
        assert!(text.contains('…') && text.contains("\na "), "{text}");
        let text = fitted(&["id"], &rows(&[&[&long]]), Some(3));
        assert_eq!(text.lines().nth(1), Some("xxxxxxx…"), "a column keeps {NARROW} cells");
    }

    #[test]
    fn wide_letters_count_twice_and_none_is_torn() {
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        let text = fitted(&["a", "b"], &rows(&[&["日本", "x"], &["ab", "y"]]), None);
        assert_eq!(text, "A     B\n日本  x\nab    y\n");
    }

    #[test]
    fn n1_a_cell_is_one_line_whatever_it_holds() {
        let text = fitted(&["name"], &rows(&[&["x\u{1b}]52;c;AAAA\u{7}\n\u{9b}2Jy"]]), None);
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{9b}']), "{text:?}");
        let named = fields(&serde_json::json!({"a\u{1b}[2J": "b\u{1b}[2J"}));
        assert!(!named.contains('\u{1b}'), "{named:?}");
    }
}
