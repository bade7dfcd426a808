//! Reading one file of the configuration, TOML or YAML, into keys, values and lines.

use std::{fmt, io::Read as _, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;
use toml_edit::{Document, Item, TableLike};

use super::{key::Key, place::Form};

/// More than this is no configuration.
const MOST_BYTES: u64 = 1 << 20;
/// As deep as a file may nest.
const MOST_LEVELS: usize = 16;

/// A value of a file.
#[derive(Clone, PartialEq)]
pub(crate) struct Entry {
    /// What it is called there, with dots.
    pub(crate) name: String,
    /// The value.
    pub(crate) value: Value,
    /// The line it begins in; 0 where that is not known.
    pub(crate) line: usize,
    /// The profile it belongs to.
    pub(crate) profile: Option<String>,
}

/// Why a file cannot be read, without a word of what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Where.
    pub(crate) line: usize,
    /// Why.
    pub(crate) why: String,
}

/// The text of the file; `None` if there is no such file.
pub(crate) fn text(path: &Path) -> Result<Option<String>, Unreadable> {
    let not_read = |why: String| Unreadable { line: 0, why };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(not_read(error.to_string())),
    };
    if !file.metadata().is_ok_and(|it| it.is_file()) {
        return Err(not_read("it is not a file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|it| not_read(it.to_string()))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(not_read("it is larger than 1 MiB".to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|_| not_read("it is not UTF-8".to_owned()))?;
    Ok(Some(text))
}

fn is_missing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The values of a text in this form.
pub(crate) fn entries(text: &str, form: Form) -> Result<Vec<Entry>, Unreadable> {
    match form {
        Form::Toml => toml(text),
        Form::Yaml => yaml(text),
    }
}

fn toml(text: &str) -> Result<Vec<Entry>, Unreadable> {
    // The reader shows the line that is wrong, and a secret may be in it; so only its sentence is kept.
    let document = Document::parse(text).map_err(|error| Unreadable {
        line: error.span().map_or(0, |span| line_of(text, span.start)),
        why: error.message().lines().next().unwrap_or("it is not TOML").to_owned(),
    })?;
    let mut entries = Vec::new();
    for (name, item) in document.as_table() {
        let line = document.as_table().key(name).and_then(toml_edit::Key::span);
        let line = line.map_or(0, |span| line_of(text, span.start));
        match item.as_table_like() {
            Some(profiles) if name == "profiles" => {
                for (profile, item) in profiles.iter() {
                    let before = entries.len();
                    if let Some(table) = item.as_table_like() {
                        flatten(text, "", table, &mut entries);
                    } else {
                        let name = format!("profiles.{profile}");
                        entries.push(Entry { name, value: plain(item), line, profile: None });
                    }
                    for entry in &mut entries[before..] {
                        entry.profile = Some(profile.to_owned());
                    }
                }
            }
            Some(table) => flatten(text, name, table, &mut entries),
            None => {
                let name = name.to_owned();
                entries.push(Entry { name, value: plain(item), line, profile: None });
            }
        }
    }
    Ok(entries)
}

/// Everything in a table, with the names of the tables before it.
fn flatten(text: &str, before: &str, table: &dyn TableLike, entries: &mut Vec<Entry>) {
    for (word, item) in table.iter() {
        let name = if before.is_empty() { word.to_owned() } else { format!("{before}.{word}") };
        match item.as_table_like() {
            Some(table) if Key::named(&name).is_none() => flatten(text, &name, table, entries),
            _ => {
                let span = table.key(word).and_then(toml_edit::Key::span).or_else(|| item.span());
                let line = span.map_or(0, |span| line_of(text, span.start));
                entries.push(Entry { name, value: plain(item), line, profile: None });
            }
        }
    }
}

fn plain(item: &Item) -> Value {
    match item {
        Item::None => Value::Null,
        Item::Value(value) => plain_value(value),
        Item::Table(table) => plain_table(table),
        Item::ArrayOfTables(tables) => tables.iter().map(|table| plain_table(table)).collect(),
    }
}

fn plain_table(table: &dyn TableLike) -> Value {
    let fields = table.iter().map(|(name, item)| (name.to_owned(), plain(item)));
    Value::Object(fields.collect())
}

fn plain_value(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => Value::String(text.value().clone()),
        toml_edit::Value::Integer(number) => Value::from(*number.value()),
        toml_edit::Value::Float(number) => {
            Number::from_f64(*number.value()).map_or(Value::Null, Value::Number)
        }
        toml_edit::Value::Boolean(flag) => Value::Bool(*flag.value()),
        toml_edit::Value::Datetime(moment) => Value::String(moment.value().to_string()),
        toml_edit::Value::Array(items) => items.iter().map(plain_value).collect(),
        toml_edit::Value::InlineTable(table) => plain_table(table),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn yaml(text: &str) -> Result<Vec<Entry>, Unreadable> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Vec::new());
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MOST_LEVELS,
            max_documents: 1,
            max_nodes: 10_000,
            max_events: 30_000,
        },
        with_snippet: false,
    };
    let node = serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| {
        let line = error.location().map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
        Unreadable { line, why: "it is not YAML, or not a map of keys".to_owned() }
    })?;
    let mut entries = Vec::new();
    let Tree::Map(fields) = node.tree else {
        let why = "a map of keys should stand here".to_owned();
        return Err(Unreadable { line: node.line, why });
    };
    lay_out("", fields, &mut entries);
    Ok(entries)
}

fn lay_out(before: &str, fields: Vec<(String, Node)>, entries: &mut Vec<Entry>) {
    for (word, node) in fields {
        let name = if before.is_empty() { word } else { format!("{before}.{word}") };
        match node.tree {
            Tree::Map(fields) if Key::named(&name).is_none() => lay_out(&name, fields, entries),
            Tree::Leaf(Value::Null) => {}
            tree => {
                let value = tree.into_value();
                entries.push(Entry { name, value, line: node.line, profile: None });
            }
        }
    }
}

/// A part of a YAML file with its line.
struct Node {
    line: usize,
    tree: Tree,
}

enum Tree {
    Leaf(Value),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Tree {
    fn into_value(self) -> Value {
        match self {
            Self::Leaf(value) => value,
            Self::List(items) => items.into_iter().map(|node| node.tree.into_value()).collect(),
            Self::Map(fields) => {
                let fields = fields.into_iter().map(|(name, node)| (name, node.tree.into_value()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Tree>::deserialize(from)?;
        let line = usize::try_from(spanned.referenced.line()).unwrap_or(0);
        Ok(Self { line, tree: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Parts)
    }
}

struct Parts;

impl<'de> Visitor<'de> for Parts {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true, false, null, a list or a map")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Tree, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(flag.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(number.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element::<Node>()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = from.next_entry::<String, Node>()? {
            fields.push(field);
        }
        Ok(Tree::Map(fields))
    }
}

/// The variables of a `.env` file with their lines; the first of two with one name counts.
pub(crate) fn dotenv(text: &str) -> Vec<(String, String, usize)> {
    let mut found: Vec<(String, String, usize)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let Some((name, value)) = line.split_once('=') else { continue };
        let name = name.trim();
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if line.starts_with('#') || name.is_empty() || !name.chars().all(plain) {
            continue;
        }
        if found.iter().all(|(known, ..)| known != name) {
            found.push((name.to_owned(), unquoted(value.trim()), number + 1));
        }
    }
    found
}

/// What a shell would make of it, without variables and commands.
fn unquoted(value: &str) -> String {
    for quote in ['\'', '"'] {
        if let Some(rest) = value.strip_prefix(quote)
            && let Some(end) = rest.find(quote)
        {
            return rest[..end].to_owned();
        }
    }
    value.split(" #").next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str, form: Form) -> Vec<(String, Value, usize, Option<String>)> {
        let entries = entries(text, form).expect("a good file");
        entries.into_iter().map(|it| (it.name, it.value, it.line, it.profile)).collect()
    }

    #[test]
    fn toml_is_read_with_lines_and_profiles() {
        let text = "[server]\nport = 9000\nhosts = [\n  \"a\",\n]\n\n[[hooks]]\non = \"pre\"\n\n\
                    [profiles.test]\nstorage.url = \"sqlite:t.db\"\n[profiles.test.log]\n\
                    level = \"debug\"\n";
        let profile = Some("test".to_owned());
        assert_eq!(
            read(text, Form::Toml),
            [
                ("server.port".to_owned(), json!(9000), 2, None),
                ("server.hosts".to_owned(), json!(["a"]), 3, None),
                ("hooks".to_owned(), json!([{"on": "pre"}]), 7, None),
                ("storage.url".to_owned(), json!("sqlite:t.db"), 11, profile.clone()),
                ("log.level".to_owned(), json!("debug"), 13, profile),
            ]
        );
    }

    #[test]
    fn yaml_of_both_python_versions_is_read_with_lines() {
        let text = "# mine\napi_server_url: http://localhost:8000\napi_timeout: 30.5\n\
                    use_local_db: true\njwt_secret: null\n";
        assert_eq!(
            read(text, Form::Yaml),
            [
                ("api_server_url".to_owned(), json!("http://localhost:8000"), 2, None),
                ("api_timeout".to_owned(), json!(30.5), 3, None),
                ("use_local_db".to_owned(), json!(true), 4, None),
            ]
        );
        let text = "api:\n  timeout: 5\n  server_url: http://x\nstorage:\n  dialect: sqlite\n";
        assert_eq!(
            read(text, Form::Yaml),
            [
                ("api.timeout".to_owned(), json!(5), 2, None),
                ("api.server_url".to_owned(), json!("http://x"), 3, None),
                ("storage.dialect".to_owned(), json!("sqlite"), 5, None),
            ]
        );
        assert_eq!(read("# nothing\n\n", Form::Yaml), []);
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_line_and_without_its_text() {
        let wrong = "[auth]\njwt_secret = \"CANARY\noops\n";
        let error = entries(wrong, Form::Toml).err().expect("no TOML");
        assert!(error.line >= 2, "{error:?}");
        assert!(!error.why.contains("CANARY"), "{error:?}");
        let wrong = "jwt_secret: \"CANARY\n  x: [\n";
        let error = entries(wrong, Form::Yaml).err().expect("no YAML");
        assert!(!error.why.contains("CANARY"), "{error:?}");
        assert!(entries("- a\n- b\n", Form::Yaml).is_err());
    }

    #[test]
    fn env_files_are_read_as_shells_read_them_and_nothing_is_carried_out() {
        let text = "# comment\nexport A=1\nB = 'two words' # why\nC=\"x#y\"\nD=a b # c\nA=2\n\
                    E=$(touch /x)\nno line\nF=\n";
        let found: Vec<(String, String)> =
            dotenv(text).into_iter().map(|(name, value, _)| (name, value)).collect();
        let want = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "x#y"),
            ("D", "a b"),
            ("E", "$(touch /x)"),
            ("F", ""),
        ];
        let want: Vec<_> =
            want.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(found, want);
    }
}
