//! The rules of the house that no compiler knows.
//!
//! A rule is a function from files to findings. A line that has to break one says so in a comment on
//! it or on the line above: `tidy: <rule> because <reason>`; an excuse that excuses nothing is
//! itself a finding.

use crate::{
    reference,
    rust_source::RustSource,
    workspace::{self, File},
};

mod arrows;
mod state;
mod storage;
mod test_files;
mod words;

/// Something to be put right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The file, from the root.
    pub path: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The rule, as an excuse would name it.
    pub rule: &'static str,
    /// What is wrong and what to do.
    pub say: String,
}

impl Finding {
    /// A finding of `rule`.
    pub(crate) fn new(rule: &'static str, path: &str, line: usize, say: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, say: say.into() }
    }
}

/// A rule that looks at one file at a time; the source is there if the file is Rust.
type Rule = fn(&File, Option<&RustSource>) -> Vec<Finding>;

/// Every rule about one file.
const RULES: &[Rule] = &[
    storage::only_storage_names_the_driver,
    storage::statements_live_in_sql_files,
    state::only_its_home_makes_a_state,
    words::modules_say_what_they_hold,
    words::no_path_of_a_developer_machine,
    words::exceptions_are_expected,
    words::no_test_is_ignored,
    words::nothing_is_left_to_do,
];

/// The names an excuse may use.
const EXCUSABLE: [&str; 8] =
    ["driver", "sql", "state", "module", "path", "allow", "todo", "ignore"];

/// The rules have to name what they look for.
const HERE: &str = "xtask/src/tidy/";
const NAMED_HERE: [&str; 3] = ["driver", "path", "sql"];

/// Checks the workspace and prints what is wrong.
pub(crate) fn run() -> Result<(), String> {
    let root = workspace::root()?;
    let files = workspace::files(&root)?;
    let mut findings = look_at(&files);
    findings.extend(arrows::between_crates(&workspace::metadata(&root)?, &files));
    findings.extend(arrows::core_reaches(&arrows::tree_of_core(&root)?));
    findings.extend(reference::stale(&root)?);
    findings.sort();
    for Finding { path, line, rule, say } in &findings {
        println!("{path}:{line}: {say} [{rule}]");
    }
    if findings.is_empty() {
        println!("tidy: {} files, nothing to put right", files.len());
        return Ok(());
    }
    Err(format!("tidy found {} to put right", counted(findings.len())))
}

fn counted(number: usize) -> String {
    if number == 1 { "one thing".to_owned() } else { format!("{number} things") }
}

/// All findings that need nothing but the files, excused ones left out.
fn look_at(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let source = file.is_rust().then(|| RustSource::read(&file.text));
        let mut found: Vec<_> = RULES.iter().flat_map(|rule| rule(file, source.as_ref())).collect();
        if file.path.starts_with(HERE) {
            found.retain(|finding| !NAMED_HERE.contains(&finding.rule));
        }
        findings.extend(excuse(found, &excuses(file, source.as_ref()), &file.path));
    }
    findings.extend(storage::both_databases_have_the_same_names(files));
    findings.extend(test_files::every_test_file_is_named(files));
    findings
}

/// Whether everything in the file is a test: nothing in it ships.
fn is_test_file(path: &str) -> bool {
    path.contains("/tests/")
        || path.contains("/benches/")
        || path.contains("/conformance/")
        || path.ends_with("/tests.rs")
        || path.ends_with("/conformance.rs")
        || path.starts_with("examples/")
}

struct Excuse {
    line: usize,
    rule: &'static str,
}

fn excuses(file: &File, source: Option<&RustSource>) -> Vec<Excuse> {
    let lines: Vec<(usize, &str)> = match source {
        Some(source) => source.comments.iter().map(|c| (c.line, c.text.as_str())).collect(),
        // Prose may talk about excuses; only what has comments can make one.
        None if has_comments(&file.path) => {
            file.text.lines().enumerate().map(|(at, text)| (at + 1, text)).collect()
        }
        None => Vec::new(),
    };
    let mut found = Vec::new();
    for (line, text) in lines {
        let Some((_, excuse)) = text.split_once("tidy: ") else { continue };
        for rule in EXCUSABLE {
            let reason = excuse.strip_prefix(rule).and_then(|rest| rest.strip_prefix(" because "));
            if reason.is_some_and(|reason| !reason.trim().is_empty()) {
                found.push(Excuse { line, rule });
            }
        }
    }
    found
}

fn has_comments(path: &str) -> bool {
    [".toml", ".sql", ".yml", ".yaml", ".sh", ".ci/run"].iter().any(|end| path.ends_with(end))
}

/// Drops what is excused, and adds the excuses that excuse nothing.
fn excuse(findings: Vec<Finding>, excuses: &[Excuse], path: &str) -> Vec<Finding> {
    let mut used = vec![false; excuses.len()];
    let mut left = Vec::new();
    for finding in findings {
        let by = excuses.iter().position(|excuse| {
            excuse.rule == finding.rule
                && (excuse.line == finding.line || excuse.line + 1 == finding.line)
        });
        match by {
            Some(at) => used[at] = true,
            None => left.push(finding),
        }
    }
    for (excuse, used) in excuses.iter().zip(used) {
        if !used {
            let say = format!("nothing here breaks the rule `{}`; drop the excuse", excuse.rule);
            left.push(Finding::new("excuse", path, excuse.line, say));
        }
    }
    left
}

/// Runs one rule over one file, as the tests of the rules do.
#[cfg(test)]
fn check(rule: Rule, path: &str, text: &str) -> Vec<usize> {
    let file = File { path: path.to_owned(), text: text.to_owned() };
    let source = file.is_rust().then(|| RustSource::read(text));
    rule(&file, source.as_ref()).into_iter().map(|finding| finding.line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        let files = [File { path: path.to_owned(), text: text.to_owned() }];
        look_at(&files).into_iter().map(|finding| (finding.line, finding.rule)).collect()
    }

    #[test]
    fn an_excuse_with_a_reason_covers_its_line_and_the_next() {
        let path = "crates/apflow/src/a.rs";
        assert_eq!(say(path, "#[allow(dead_code)]\nfn a() {}"), [(1, "allow")]);
        assert_eq!(say(path, "#[allow(a)] // tidy: allow because b makes it\nfn a() {}"), []);
        assert_eq!(say(path, "// tidy: allow because b makes it\n#[allow(a)]\nfn a() {}"), []);
        assert_eq!(say(path, "#[allow(a)] // tidy: allow because \nfn a() {}"), [(1, "allow")]);
    }

    #[test]
    fn an_excuse_for_nothing_is_a_finding() {
        let text = "// tidy: sql because it was once\nfn a() {}";
        assert_eq!(say("crates/apflow/src/a.rs", text), [(1, "excuse")]);
        assert_eq!(say("README.md", "write `// tidy: sql because …`"), []);
    }
}
