//! The pages of `docs/` that are made from the program, and how each is made.

mod operations;

use std::{fmt::Write as _, path::Path};

use apflow_core::{
    code::Code,
    transition::{ARROWS, Arrow},
};

use crate::{tidy::Finding, workspace};

/// How the text of a page comes about.
enum Source {
    /// From a function here.
    Made(fn() -> String),
    /// From what `apflow`, called with these words, prints.
    Printed(&'static [&'static str]),
}

/// Every generated page; a new one is one line.
const PAGES: &[(&str, Source)] = &[
    ("docs/STATES.md", Source::Made(states)),
    ("docs/reference/errors.md", Source::Made(errors)),
    ("docs/reference/cli.md", Source::Printed(&["reference"])),
    ("docs/reference/operations.md", Source::Made(operations::page)),
    ("docs/reference/configuration.md", Source::Printed(&["config", "reference"])),
];

/// Writes every page anew.
pub(crate) fn write() -> Result<(), String> {
    let root = workspace::root()?;
    for (path, source) in PAGES {
        let full = root.join(path);
        let text = text_of(source, &root)?;
        if std::fs::read_to_string(&full).is_ok_and(|old| old == text) {
            continue;
        }
        if let Some(parent) = full.parent() {
            std::fs::create_dir_all(parent).map_err(|error| format!("{path}: {error}"))?;
        }
        std::fs::write(&full, text).map_err(|error| format!("{path}: {error}"))?;
        println!("{path} is new");
    }
    Ok(())
}

/// The pages that are not what [`write()`] would write.
pub(crate) fn stale(root: &Path) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for (path, source) in PAGES {
        let stored = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        if let Some(line) = first_difference(&stored, &text_of(source, root)?) {
            let say = "this page no longer matches the code; run `cargo xtask reference`";
            findings.push(Finding::new("reference", path, line, say));
        }
    }
    Ok(findings)
}

fn text_of(source: &Source, root: &Path) -> Result<String, String> {
    match source {
        Source::Made(make) => Ok(make()),
        Source::Printed(words) => {
            let mut command = workspace::cargo();
            command.current_dir(root).args(["run", "--quiet", "--package", "apflow-cli", "--"]);
            workspace::output(command.args(*words))
        }
    }
}

/// The first line, counted from 1, in which two texts differ.
fn first_difference(left: &str, right: &str) -> Option<usize> {
    let same = left.split('\n').zip(right.split('\n')).take_while(|(l, r)| l == r).count();
    (left != right).then_some(same + 1)
}

/// The diagram and the table of states.
fn states() -> String {
    let mut page = String::from(
        "# States\n\n\
         Every change of a task's state there is; anything else is refused and leaves the task as it was.\n\n\
         This page is made from `crates/apflow-core/src/transition.rs` by `cargo xtask reference`.\n\n\
         ```mermaid\nstateDiagram-v2\n    [*] --> created\n",
    );
    for (from, to, events) in edges() {
        let _ = writeln!(page, "    {from} --> {to}: {}", events.join(", "));
    }
    page.push_str("```\n\n| From | Event | To | Status the public sees |\n|---|---|---|---|\n");
    for Arrow { from, event, to } in ARROWS {
        let _ = writeln!(page, "| {from} | {event} | {to} | {} |", to.status());
    }
    page
}

/// The arrows of the diagram: events that lead the same way share one.
fn edges() -> Vec<(String, String, Vec<&'static str>)> {
    let mut edges: Vec<(String, String, Vec<&'static str>)> = Vec::new();
    for Arrow { from, event, to } in ARROWS {
        let (from, to) = (from.to_string(), to.to_string());
        match edges.iter_mut().find(|edge| edge.0 == from && edge.1 == to) {
            Some((_, _, events)) => events.push(event),
            None => edges.push((from, to, vec![event])),
        }
    }
    edges
}

/// The table of error codes.
fn errors() -> String {
    let mut page = String::from(
        "# Error codes\n\n\
         Every error apflow reports carries one of these codes; its page says why it happens and what to do.\n\n\
         This page is made from `crates/apflow-core/src/code.rs` by `cargo xtask reference`.\n\n\
         | Code | What happened | JSON-RPC | HTTP |\n|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let (title, rpc, http) = (code.title(), code.rpc(), code.http());
        let _ = writeln!(page, "| [{code}](../errors/{code}.md) | {title} | {rpc} | {http} |");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arrow_is_a_row_and_part_of_the_diagram() {
        let page = states();
        assert_eq!(page.lines().filter(|line| line.starts_with("| ")).count(), ARROWS.len() + 1);
        let events: usize = edges().iter().map(|(_, _, events)| events.len()).sum();
        assert_eq!(events, ARROWS.len());
        assert!(
            page.contains("    running --> failed: Stumbled, TimePassed, Abandoned, Reported\n")
        );
        assert!(page.contains("| ready | Claimed | running | in_progress |\n"));
    }

    #[test]
    fn every_code_is_a_row_with_its_page() {
        let page = errors();
        for code in Code::ALL {
            assert!(page.contains(&format!("| [{code}](../errors/{code}.md) | ")), "{code}");
        }
    }

    #[test]
    fn a_stale_page_is_known_by_the_line_that_differs() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("", "a\n"), Some(1));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
    }
}
