//! `report_executor`: turns the results of several tasks into one Markdown page.

use std::{cmp::Reverse, collections::BTreeMap, fmt::Write as _};

use apflow_core::executor::{Context, ExecuteError, Executor, Manifest};
use async_trait::async_trait;
use serde_json::{Map, Value, json};

/// The id tasks name it by.
pub const ID: &str = "report_executor";

/// Rows of a section that does not say how many it wants.
const ROWS: usize = 20;
/// The most rows a section can ask for.
const MOST_ROWS: usize = 1000;
/// The most sections of a report.
const MOST_SECTIONS: usize = 100;
/// Bytes of a text or JSON block; more is cut.
const MOST_TEXT: usize = 64 << 10;
/// The most levels of an object that become rows of a table.
const LEVELS: usize = 4;

/// Writes a heading and a section for each result; it reads nothing but its inputs.
pub struct Report {
    manifest: Manifest,
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Report {
    /// The executor.
    pub fn new() -> Self {
        let mut manifest =
            Manifest::new(ID, "Turns the results of its dependencies into a Markdown report.");
        "Report".clone_into(&mut manifest.name);
        manifest.tags = ["core", "report", "markdown"].map(str::to_owned).to_vec();
        "core".clone_into(&mut manifest.family);
        manifest.aggregates = true;
        manifest.input_schema = json!({
            "type": "object",
            "properties": {
                "title": {"type": "string", "description": "The title of the page."},
                "sections": {
                    "type": "array",
                    "maxItems": MOST_SECTIONS,
                    "description": "The sections, in order.",
                    "items": {
                        "type": "object",
                        "required": ["heading", "from"],
                        "properties": {
                            "heading": {"type": "string"},
                            "from": {
                                "type": "string",
                                "description": "The dependency: its id, or its key in the file.",
                            },
                            "style": {
                                "enum": ["text", "table", "top", "count", "json"],
                                "description": "text: as it is. table: fields of an object, or \
                                    lines split at tabs. top: lines with a number, the greatest \
                                    first. count: how many lines there are. json: as JSON.",
                            },
                            "by": {
                                "enum": ["extension"],
                                "description": "With top: how many lines end in which extension.",
                            },
                            "columns": {
                                "type": "array", "items": {"type": "string"},
                                "description": "Headings of a table.",
                            },
                            "limit": {"type": "integer", "minimum": 1, "maximum": MOST_ROWS},
                        },
                    },
                },
            },
            "required": ["title", "sections"],
            "additionalProperties": true,
        });
        manifest.output_schema = json!({
            "type": "object",
            "properties": {
                "markdown": {"type": "string", "description": "The page."},
                "sections": {"type": "integer", "minimum": 0},
                "missing": {
                    "type": "array", "items": {"type": "string"},
                    "description": "Dependencies that have no result.",
                },
            },
            "required": ["markdown", "sections", "missing"],
        });
        Self { manifest }
    }
}

#[async_trait]
impl Executor for Report {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn execute(
        &self,
        inputs: Map<String, Value>,
        _: &Context,
    ) -> Result<Value, ExecuteError> {
        let title = inputs
            .get("title")
            .and_then(Value::as_str)
            .ok_or_else(|| bad("title must be a text"))?;
        let sections = inputs
            .get("sections")
            .and_then(Value::as_array)
            .filter(|sections| sections.len() <= MOST_SECTIONS)
            .ok_or_else(|| bad(&format!("sections must be a list of at most {MOST_SECTIONS}")))?;
        let mut page = format!("# {}\n", inline(title));
        let mut missing = Vec::new();
        for (place, section) in sections.iter().enumerate() {
            let section = Section::read(section, place)?;
            let _ = write!(page, "\n## {}\n\n", inline(section.heading));
            if let Some(result) = result_of(&inputs, section.from) {
                section.write(result, &mut page);
                continue;
            }
            let _ = writeln!(page, "_Not available: `{}` has no result._", code(section.from));
            missing.push(section.from);
        }
        Ok(json!({ "markdown": page, "sections": sections.len(), "missing": missing }))
    }
}

fn bad(why: &str) -> ExecuteError {
    ExecuteError::invalid_input(format!("[{ID}] {why}"))
}

/// The result of the dependency with this id, or with this key in its run.
fn result_of<'a>(inputs: &'a Map<String, Value>, from: &str) -> Option<&'a Value> {
    let is_own = |id: &str| id == "title" || id == "sections";
    inputs.get(from).filter(|_| !is_own(from)).or_else(|| {
        let keyed = |id: &str| id.strip_suffix(from).is_some_and(|run| run.ends_with('/'));
        inputs.iter().find(|(id, _)| keyed(id)).map(|(_, result)| result)
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Text,
    Table,
    Top,
    Count,
    Json,
}

struct Section<'a> {
    heading: &'a str,
    from: &'a str,
    style: Style,
    by_extension: bool,
    columns: Vec<&'a str>,
    limit: usize,
}

impl<'a> Section<'a> {
    fn read(section: &'a Value, place: usize) -> Result<Self, ExecuteError> {
        let text = |name: &str| {
            section[name]
                .as_str()
                .ok_or_else(|| bad(&format!("sections[{place}].{name} must be a text")))
        };
        let style = match section["style"].as_str() {
            None if section["style"].is_null() => Style::Text,
            Some("text") => Style::Text,
            Some("table") => Style::Table,
            Some("top") => Style::Top,
            Some("count") => Style::Count,
            Some("json") => Style::Json,
            _ => {
                let why = "must be one of text, table, top, count, json";
                return Err(bad(&format!("sections[{place}].style {why}")));
            }
        };
        let by_extension = match section["by"].as_str() {
            None if section["by"].is_null() => false,
            Some("extension") => true,
            _ => return Err(bad(&format!("sections[{place}].by must be `extension`"))),
        };
        let limit = match &section["limit"] {
            Value::Null => ROWS,
            value => value
                .as_u64()
                .and_then(|limit| usize::try_from(limit).ok())
                .filter(|limit| (1..=MOST_ROWS).contains(limit))
                .ok_or_else(|| {
                    bad(&format!("sections[{place}].limit must be from 1 to {MOST_ROWS}"))
                })?,
        };
        let columns = section["columns"].as_array().into_iter().flatten();
        Ok(Self {
            heading: text("heading")?,
            from: text("from")?,
            style,
            by_extension,
            columns: columns.filter_map(Value::as_str).collect(),
            limit,
        })
    }

    fn write(&self, result: &Value, page: &mut String) {
        let text = text_of(result);
        match (self.style, text) {
            (Style::Text, Some(text)) => self.text(text, page),
            (Style::Count, Some(text)) => {
                let count = text.lines().filter(|line| !line.trim().is_empty()).count();
                let _ = writeln!(page, "{count}");
            }
            (Style::Table, Some(text)) => {
                let rows = text.lines().filter(|line| !line.trim().is_empty());
                let rows =
                    rows.map(|line| line.split('\t').map(|cell| cell.trim().to_owned()).collect());
                self.table(&rows.collect::<Vec<_>>(), page);
            }
            (Style::Top, Some(text)) => {
                let counted = if self.by_extension { extensions(text) } else { numbered(text) };
                let row = |(name, number): (String, u64)| vec![name, number.to_string()];
                self.table(&counted.into_iter().map(row).collect::<Vec<_>>(), page);
            }
            (Style::Table | Style::Top, None) => {
                let mut rows = Vec::new();
                flatten(result, String::new(), LEVELS, &mut rows);
                self.table(&rows, page);
            }
            (Style::Json, _) | (_, None) => {
                fenced("json", cut(&format!("{result:#}")), page);
            }
        }
    }

    fn text(&self, text: &str, page: &mut String) {
        let text = text.trim_end();
        let lines: Vec<&str> = text.lines().collect();
        match lines.as_slice() {
            [] => page.push_str("Nothing.\n"),
            [only] => {
                let _ = writeln!(page, "{}", inline(only));
            }
            many => {
                let shown = many[..many.len().min(self.limit)].join("\n");
                fenced("text", cut(&shown), page);
                self.more(many.len(), page);
            }
        }
    }

    fn table(&self, rows: &[Vec<String>], page: &mut String) {
        if rows.is_empty() {
            page.push_str("Nothing.\n");
            return;
        }
        let shown = &rows[..rows.len().min(self.limit)];
        let width = shown.iter().map(Vec::len).max().unwrap_or(0).max(self.columns.len());
        let heading = |at: usize| self.columns.get(at).copied().unwrap_or_default();
        let headings: Vec<String> = (0..width).map(|at| inline(heading(at))).collect();
        let _ = writeln!(page, "| {} |\n|{}", headings.join(" | "), "---|".repeat(width));
        for row in shown {
            let cells: Vec<String> = (0..width)
                .map(|at| row.get(at).map(|cell| inline(cell)).unwrap_or_default())
                .collect();
            let _ = writeln!(page, "| {} |", cells.join(" | "));
        }
        self.more(rows.len(), page);
    }

    fn more(&self, all: usize, page: &mut String) {
        let more = all.saturating_sub(self.limit);
        if more > 0 {
            let _ = writeln!(page, "\n… and {more} more.");
        }
    }
}

/// The text of a result: itself, or what a program wrote.
fn text_of(result: &Value) -> Option<&str> {
    result.as_str().or_else(|| result.get("stdout")?.as_str())
}

/// Lines that begin with a number (`12<tab>name`) or end with one (`name:12`), the greatest first.
fn numbered(text: &str) -> Vec<(String, u64)> {
    let mut lines: Vec<(String, u64)> = text
        .lines()
        .filter_map(|line| {
            let line = line.trim();
            let first = line.split_once(|letter: char| letter.is_whitespace());
            if let Some((number, name)) = first
                && let Ok(number) = number.parse()
            {
                return Some((name.trim().to_owned(), number));
            }
            let (name, number) = line.rsplit_once(':')?;
            Some((name.to_owned(), number.trim().parse().ok()?))
        })
        .collect();
    lines.sort_by(|(one, a), (other, b)| b.cmp(a).then_with(|| one.cmp(other)));
    lines
}

/// How many paths end in which extension, the most frequent first.
fn extensions(text: &str) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for path in text.lines().filter(|line| !line.trim().is_empty()) {
        let file = path.rsplit('/').next().unwrap_or(path).trim_end_matches('"');
        // A dot at the beginning hides a file; it begins no extension.
        let extension = match file.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() && !extension.is_empty() => {
                format!(".{extension}")
            }
            _ => "(none)".to_owned(),
        };
        *counts.entry(extension).or_default() += 1;
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts
}

/// The fields of an object as rows, those inside under `outer.inner`.
fn flatten(value: &Value, name: String, levels: usize, rows: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(fields) if levels > 0 => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(value, name, levels - 1, rows);
            }
        }
        Value::String(text) => rows.push(vec![name, text.clone()]),
        other => rows.push(vec![name, cut(&other.to_string()).to_owned()]),
    }
}

/// A text on one line of Markdown: no line breaks, control characters, cells or tags of its own.
fn inline(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' | '*' | '_' | '`' | '[' | ']' | '<' | '\\' => {
                safe.push('\\');
                safe.push(letter);
            }
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

/// A text inside backticks.
fn code(text: &str) -> String {
    text.chars().filter(|letter| *letter != '`' && !letter.is_control()).collect()
}

/// A block whose fence is longer than any in the text.
fn fenced(language: &str, text: &str, page: &mut String) {
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let kept: String = text
        .chars()
        .filter(|letter| matches!(letter, '\n' | '\t') || !letter.is_control())
        .collect();
    let _ = writeln!(page, "{fence}{language}\n{kept}\n{fence}");
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MOST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
