//! Pictures of a submission: Mermaid and DOT for documents, a tree for terminals, JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    problem::shortened,
    store::{NeedKind, NewTask, Submission},
};

/// The kinds of picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawing {
    /// A flowchart for Markdown.
    Mermaid,
    /// A digraph for Graphviz.
    Dot,
    /// The structure tree, each task with what it waits for.
    Ascii,
    /// Nodes and edges.
    Json,
}

impl Drawing {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Mermaid, Self::Dot, Self::Ascii, Self::Json];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mermaid => "mermaid",
            Self::Dot => "dot",
            Self::Ascii => "ascii",
            Self::Json => "json",
        }
    }

    /// The kind a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|drawing| drawing.as_str() == word)
    }
}

/// Draws a submission. Arrows point from what comes first to what waits for it.
pub fn draw(submission: &Submission, drawing: Drawing) -> String {
    match drawing {
        Drawing::Mermaid => mermaid(submission),
        Drawing::Dot => dot(submission),
        Drawing::Ascii => ascii(submission),
        Drawing::Json => json(submission),
    }
}

/// A name that can do nothing to a terminal: no control characters, no change of direction.
fn plain(text: &str) -> String {
    let steers = |letter: &char| {
        letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let kept: String = text.chars().filter(|letter| !steers(letter)).collect();
    shortened(&kept)
}

fn label(task: &NewTask) -> (String, Option<String>) {
    (plain(&task.definition.name), task.definition.executor().map(plain))
}

/// Edges as (first, then, kind).
fn edges(submission: &Submission) -> impl Iterator<Item = (usize, usize, NeedKind)> + '_ {
    submission
        .tasks
        .iter()
        .enumerate()
        .flat_map(|(task, new)| new.needs.iter().map(move |need| (need.on, task, need.kind)))
}

fn mermaid(submission: &Submission) -> String {
    // Mermaid reads `#34;` as a character reference and has no other escape inside quotes.
    let escaped = |text: &str| {
        let mut out = String::new();
        for letter in text.chars() {
            if matches!(letter, '"' | '#' | '&' | '<' | '>' | '`' | '\\') {
                let _written = write!(out, "#{};", u32::from(letter));
            } else {
                out.push(letter);
            }
        }
        out
    };
    let mut out = "flowchart TD\n".to_owned();
    for (index, task) in submission.tasks.iter().enumerate() {
        let (name, executor) = label(task);
        let executor = executor.map_or_else(String::new, |id| format!("<br/>{}", escaped(&id)));
        let _written = writeln!(out, "    t{index}[\"{}{executor}\"]", escaped(&name));
    }
    for (first, then, kind) in edges(submission) {
        let arrow = match kind {
            NeedKind::Required => "-->",
            NeedKind::Optional => "-. optional .->",
            NeedKind::Structure => "-.->",
        };
        let _written = writeln!(out, "    t{first} {arrow} t{then}");
    }
    out
}

fn dot(submission: &Submission) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut out = "digraph tasks {\n    rankdir=TB;\n    node [shape=box];\n".to_owned();
    for (index, task) in submission.tasks.iter().enumerate() {
        let (name, executor) = label(task);
        let executor = executor.map_or_else(String::new, |id| format!("\\n{}", escaped(&id)));
        let _written = writeln!(out, "    t{index} [label=\"{}{executor}\"];", escaped(&name));
    }
    for (first, then, kind) in edges(submission) {
        let style = match kind {
            NeedKind::Required => "",
            NeedKind::Optional => " [style=dashed, label=\"optional\"]",
            NeedKind::Structure => " [style=dotted]",
        };
        let _written = writeln!(out, "    t{first} -> t{then}{style};");
    }
    out.push_str("}\n");
    out
}

fn ascii(submission: &Submission) -> String {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); submission.tasks.len()];
    for (index, task) in submission.tasks.iter().enumerate() {
        if let Some(parent) = task.parent {
            children[parent].push(index);
        }
    }
    let mut out = String::new();
    // Each entry: a task, what stands before its line, and whether it is the last of its parent.
    let mut open: Vec<(usize, String, Option<bool>)> =
        submission.trees.iter().rev().map(|tree| (tree.root, String::new(), None)).collect();
    while let Some((task, before, last)) = open.pop() {
        let (branch, below) = match last {
            None => ("", ""),
            Some(false) => ("├─ ", "│  "),
            Some(true) => ("└─ ", "   "),
        };
        out.push_str(&before);
        out.push_str(branch);
        out.push_str(&line(submission, task));
        out.push('\n');
        let before = format!("{before}{below}");
        let count = children[task].len();
        for (place, child) in children[task].iter().enumerate().rev() {
            open.push((*child, before.clone(), Some(place + 1 == count)));
        }
    }
    out
}

fn line(submission: &Submission, task: usize) -> String {
    const MOST: usize = 8;
    let (mut line, executor) = label(&submission.tasks[task]);
    if let Some(executor) = executor {
        let _written = write!(line, " [{executor}]");
    }
    let said: Vec<String> = submission.tasks[task]
        .needs
        .iter()
        .filter(|need| need.kind != NeedKind::Structure)
        .map(|need| {
            let name = plain(&submission.tasks[need.on].definition.name);
            if need.kind == NeedKind::Optional { format!("{name}?") } else { name }
        })
        .collect();
    if !said.is_empty() {
        let _written = write!(line, " after {}", said[..said.len().min(MOST)].join(", "));
        if said.len() > MOST {
            let _written = write!(line, " and {} more", said.len() - MOST);
        }
    }
    line
}

fn json(submission: &Submission) -> String {
    let tasks: Vec<Value> = submission
        .tasks
        .iter()
        .map(|task| {
            json!({
                "id": task.id,
                "name": task.definition.name,
                "tree": submission.trees[task.tree].id,
                "parent": task.parent.map(|parent| &submission.tasks[parent].id),
                "executor": task.definition.executor(),
                "priority": task.definition.priority,
            })
        })
        .collect();
    let edges: Vec<Value> = edges(submission)
        .map(|(first, then, kind)| {
            let kind = match kind {
                NeedKind::Required => "required",
                NeedKind::Optional => "optional",
                NeedKind::Structure => "structure",
            };
            json!({
                "from": submission.tasks[first].id,
                "to": submission.tasks[then].id,
                "kind": kind,
            })
        })
        .collect();
    let mut text = format!("{:#}", json!({"tasks": tasks, "edges": edges}));
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::Ids,
        submit::{Limits, Order, Reference, TaskSpec, compile},
    };

    struct NoIds;

    impl Ids for NoIds {
        fn next(&self) -> String {
            unreachable!("every task here has an id")
        }
    }

    fn drawn(drawing: Drawing) -> String {
        let task =
            |id: &str, name: &str| TaskSpec { id: Some(id.to_owned()), ..TaskSpec::new(name) };
        let mut fetch = task("f", "fetch \"all\"\u{1b}[31m\u{202e}");
        fetch.params.insert("executor_id".into(), "rest_executor".into());
        let mut sum = task("s", "sum");
        sum.dependencies = vec![Reference::required("f"), Reference::optional("o")];
        let mut part = task("p", "part");
        part.parent = Some("s".to_owned());
        let order =
            Order { tasks: vec![fetch, task("o", "other\\"), sum, part], ..Order::default() };
        draw(&compile(order, &NoIds, &Limits::default()).expect("sound"), drawing)
    }

    #[test]
    fn a_name_cannot_break_out_of_its_label_or_steer_a_terminal() {
        for drawing in Drawing::ALL {
            let text = drawn(drawing);
            assert!(!text.contains('\u{1b}'), "{text}");
        }
        assert!(
            drawn(Drawing::Mermaid).contains("t0[\"fetch #34;all#34;[31m<br/>rest_executor\"]")
        );
        assert!(drawn(Drawing::Dot).contains(r#"label="fetch \"all\"[31m\nrest_executor""#));
        assert!(drawn(Drawing::Dot).contains(r#"label="other\\""#));
        assert!(!drawn(Drawing::Ascii).contains('\u{202e}'));
    }

    #[test]
    fn each_kind_of_edge_looks_different() {
        let mermaid = drawn(Drawing::Mermaid);
        assert!(mermaid.contains("t0 --> t2"), "{mermaid}");
        assert!(mermaid.contains("t1 -. optional .-> t2"), "{mermaid}");
        assert!(mermaid.contains("t3 -.-> t2"), "{mermaid}");
        let dot = drawn(Drawing::Dot);
        assert!(dot.contains("t3 -> t2 [style=dotted];"), "{dot}");
    }

    #[test]
    fn the_tree_shows_structure_and_what_comes_first() {
        let text = drawn(Drawing::Ascii);
        assert!(text.contains("\nsum after fetch \"all\"[31m, other\\?\n└─ part\n"), "{text}");
    }

    #[test]
    fn the_json_names_tasks_by_id() {
        let value: Value = serde_json::from_str(&drawn(Drawing::Json)).expect("JSON");
        assert_eq!(value["tasks"][3]["parent"], "s");
        assert_eq!(value["edges"][0], json!({"from": "f", "to": "s", "kind": "required"}));
        assert_eq!(value["edges"].as_array().map(Vec::len), Some(3));
    }
}
