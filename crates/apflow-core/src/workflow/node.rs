//! The text of a workflow file as a tree in which every part knows its line.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use crate::problem::shortened;

/// Where something stands in the text; 0 where that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    line: u64,
    column: u64,
}

impl Place {
    pub(super) fn new(line: u64, column: u64) -> Self {
        Self { line, column }
    }

    /// `(line 4, column 7)` behind a sentence, or nothing.
    pub(super) fn after(self, sentence: &str) -> String {
        if self.line == 0 {
            return sentence.to_owned();
        }
        format!("{sentence} (line {}, column {})", self.line, self.column)
    }
}

/// A part of the file.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) tree: Tree,
}

/// What a part of the file is. Entries keep the author's order.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with what stands behind it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Place,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(self.tree, Tree::Null)
    }

    pub(super) fn to_value(&self) -> Value {
        match &self.tree {
            Tree::Null => Value::Null,
            Tree::Bool(truth) => Value::Bool(*truth),
            Tree::Number(number) => Value::Number(number.clone()),
            Tree::Text(text) => Value::String(text.clone()),
            Tree::List(items) => items.iter().map(Self::to_value).collect(),
            Tree::Map(entries) => Value::Object(to_map(entries)),
        }
    }
}

pub(super) fn to_map(entries: &[Entry]) -> Map<String, Value> {
    entries.iter().map(|entry| (entry.key.clone(), entry.node.to_value())).collect()
}

/// The most levels of lists and maps in a YAML file, aliases included.
const MAX_YAML_DEPTH: usize = 32;

/// Reads YAML, with bounds on aliases, depth and size.
pub(super) fn from_yaml(text: &str) -> Result<Node, (String, Place)> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            // Each level costs the reader some 40 KiB of stack in a build without optimisation.
            max_depth: MAX_YAML_DEPTH,
            max_documents: 1,
            max_nodes: 1_000_000,
            max_events: 3_000_000,
        },
        // `yes` and `on` are words here, as in YAML 1.2.
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<YamlNode>(text, options).map(|node| node.0).map_err(
        |error| {
            let at = error.location().map_or(Place::default(), place);
            (in_our_words(error.without_snippet()), at)
        },
    )
}

/// What the YAML reader says, without advice on how to program it.
fn in_our_words(error: &serde_saphyr::Error) -> String {
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error {
        return match key {
            Some(key) => format!("the key `{}` stands twice in this map", shortened(key)),
            None => "a key stands twice in this map".to_owned(),
        };
    }
    let said = error.to_string();
    if said.contains(NO_KEY) { "a key of the map should stand here".to_owned() } else { said }
}

/// What the YAML reader says of a line that begins between two levels.
const NO_KEY: &str = "did not find expected key";

/// What to do about an error of the YAML reader, where its sort is known.
pub(super) fn advice(what: &str) -> Option<&'static str> {
    let says = |part: &str| what.contains(part);
    if says("key of the map should stand") || says("mapping values are not allowed") {
        Some("keys of one map begin in the same column")
    } else if says("tabs disallowed") {
        Some("indent with spaces")
    } else {
        None
    }
}

/// Reads JSON.
pub(super) fn from_json(text: &str) -> Result<Node, (String, Place)> {
    serde_json::from_str::<JsonNode>(text).map(|node| node.0).map_err(|error| {
        let count = |at: usize| u64::try_from(at).unwrap_or(0);
        (error.to_string(), Place::new(count(error.line()), count(error.column())))
    })
}

fn place(at: serde_saphyr::Location) -> Place {
    Place::new(at.line(), at.column())
}

/// A part as one of the two readers gives it.
trait Part: for<'de> Deserialize<'de> {
    type Key: for<'de> Deserialize<'de>;
    fn node(self) -> Node;
    fn key(key: Self::Key) -> (String, Place);
}

struct YamlNode(Node);

impl<'de> Deserialize<'de> for YamlNode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Loose<Self>>::deserialize(from)?;
        Ok(Self(Node { at: place(spanned.referenced), tree: spanned.value.0 }))
    }
}

impl Part for YamlNode {
    type Key = Spanned<String>;

    fn node(self) -> Node {
        self.0
    }

    fn key(key: Self::Key) -> (String, Place) {
        (key.value, place(key.referenced))
    }
}

struct JsonNode(Node);

impl<'de> Deserialize<'de> for JsonNode {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let loose = Loose::<Self>::deserialize(from)?;
        Ok(Self(Node { at: Place::default(), tree: loose.0 }))
    }
}

impl Part for JsonNode {
    type Key = String;

    fn node(self) -> Node {
        self.0
    }

    fn key(key: String) -> (String, Place) {
        (key, Place::default())
    }
}

/// A tree whose parts are read as `P`.
struct Loose<P>(Tree, PhantomData<P>);

impl<'de, P: Part> Deserialize<'de> for Loose<P> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Parts(PhantomData::<P>)).map(|tree| Self(tree, PhantomData))
    }
}

struct Parts<P>(PhantomData<P>);

impl<'de, P: Part> Visitor<'de> for Parts<P> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true, false, null, a list or a map")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Tree, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Tree, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("a number is not finite"))?;
        Ok(Tree::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element::<P>()? {
            items.push(item.node());
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = from.next_key::<P::Key>()? {
            let (key, at) = P::key(key);
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("the key `{key}` occurs twice")));
            }
            let node = from.next_value::<P>()?.node();
            entries.push(Entry { key, at, node });
        }
        Ok(Tree::Map(entries))
    }
}
