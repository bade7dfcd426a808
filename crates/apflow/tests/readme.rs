//! The documents: workflow files they show can be submitted, commands exist, links lead somewhere.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use apflow::{
    core::{
        submit::{Limits, compile},
        workflow::{Format, Workflow},
    },
    system::SystemIds,
};
use serde_json::Map;

/// The top of the repository.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Markdown file that people are meant to read, by its path from the top.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![top(), top().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() && folder != top() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The code blocks of one language, each with the line it begins at.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(word), None) => open = Some((number + 1, word == language, String::new())),
            (Some(_), Some(_)) => {
                if let Some((begin, true, body)) = open.take() {
                    blocks.push((begin, body));
                }
            }
            (None, Some((_, _, body))) => {
                body.push_str(line);
                body.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a code block does not end");
    blocks
}

/// The text without its code blocks and without code in a line.
fn prose(text: &str) -> String {
    let mut inside = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if !inside {
            let outside = line.split('`').step_by(2);
            prose.extend(outside);
            prose.push('\n');
        }
    }
    prose
}

/// Where the links of a document lead.
fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    let ends = text.match_indices("](").map(|(at, _)| &text[at + 2..]);
    ends.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign));
    kept.map(|sign| if sign == ' ' { '-' } else { sign }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut checked = 0;
    let mut broken = Vec::new();
    for document in documents() {
        let text = read(&document);
        for link in links(&text) {
            if link.starts_with("https://") {
                continue;
            }
            checked += 1;
            let (file, place) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => document.clone(),
                file => document.parent().expect("a file is in a folder").join(file),
            };
            let is_there = target.exists();
            let names_it = || place.is_empty() || anchors(&read(&target)).contains(place);
            if !is_there || !names_it() {
                broken.push(format!("{} -> {link}", document.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new(), "links that lead nowhere");
    assert!(checked > 50, "only {checked} links were found");
}

#[test]
fn every_workflow_that_is_shown_can_be_submitted() {
    let guides = top().join("docs/guides");
    let reference = top().join("docs/reference");
    let mut shown = 0;
    for document in documents() {
        let is_ours = document.parent() == Some(&guides)
            || document.parent() == Some(&reference)
            || document.ends_with("README.md");
        if !is_ours {
            continue;
        }
        for (line, text) in blocks(&read(&document), "yaml") {
            let place = format!("{}:{line}", document.display());
            let stored = Workflow::parse(&text, Format::Yaml).and_then(|workflow| {
                let order = workflow.order(Map::new(), "run")?;
                let submission = compile(order, &SystemIds, &Limits::default())?;
                Ok((workflow.keys().count(), submission.tasks.len()))
            });
            let (written, stored) = stored.unwrap_or_else(|problems| panic!("{place}: {problems}"));
            assert_eq!(written, stored, "{place}");
            shown += 1;
        }
    }
    assert!(shown >= 3, "only {shown} workflows are shown");
}

#[test]
fn the_files_that_shown_commands_name_are_there() {
    let mut named = 0;
    for document in documents() {
        for (line, text) in blocks(&read(&document), "sh") {
            for word in text.split_whitespace().filter(|word| word.starts_with("examples/")) {
                assert!(top().join(word).exists(), "{}:{line}: {word}", document.display());
                named += 1;
            }
        }
    }
    assert!(named > 0, "no command names an example");
}

#[test]
fn anchors_are_made_as_readers_make_them() {
    assert_eq!(anchor(" What is not promised"), "what-is-not-promised");
    assert_eq!(anchor(" `strict` and `relaxed`"), "strict-and-relaxed");
}

#[test]
fn blocks_are_found_with_the_line_they_begin_at() {
    let text = "a\n```yaml\nb: 1\n```\n```sh\nc\n```\n";
    assert_eq!(blocks(text, "yaml"), [(2, "b: 1\n".to_owned())]);
    assert_eq!(links("see [a](b.md) and `[c](d)`"), ["b.md"]);
}
