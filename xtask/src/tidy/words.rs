//! Words that do not belong into the repository.

use super::Finding;
use crate::{
    rust_source::{RustSource, has_word},
    workspace::File,
};

/// Names that say nothing of what a module holds.
const NAMELESS: [&str; 10] = [
    "utils", "util", "common", "helpers", "helper", "types", "manager", "managers", "misc",
    "shared",
];

/// Directories that exist on the machine of whoever wrote the line, and on no other.
const MACHINE: [&str; 3] = ["/work/", "/home/", "/root/"];

/// Finds a module whose name is a drawer for anything.
pub(super) fn modules_say_what_they_hold(file: &File, source: Option<&RustSource>) -> Vec<Finding> {
    let Some(source) = source else { return Vec::new() };
    let path = file.path.as_str();
    let say = |name: &str| {
        format!(
            "a module named `{name}` collects anything; name what is in it, or move it to its only user"
        )
    };
    let own = path.trim_end_matches("/mod.rs").trim_end_matches(".rs").rsplit('/').next();
    let mut findings = Vec::new();
    if let Some(name) = own.filter(|name| NAMELESS.contains(name)) {
        findings.push(Finding::new("module", path, 1, say(name)));
    }
    let code: String = source.code.iter().collect();
    for (at, line) in code.lines().enumerate() {
        for name in NAMELESS {
            if line.contains('{') && has_word(line, &format!("mod {name}")) {
                findings.push(Finding::new("module", path, at + 1, say(name)));
            }
        }
    }
    findings
}

/// Finds a path that exists only where the line was written.
pub(super) fn no_path_of_a_developer_machine(
    file: &File,
    _source: Option<&RustSource>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let absolute = MACHINE.iter().find(|path| begins_a_path(line, path));
        if let Some(path) = absolute {
            let say = format!(
                "`{path}…` exists on one machine only; write a path from the root of the repository"
            );
            findings.push(Finding::new("path", &file.path, at + 1, say));
        }
    }
    findings
}

/// Whether `path` stands in `line` as the beginning of a path, not inside a longer one.
fn begins_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '}' | '~'))
    })
}

/// Finds `allow` where `expect` would tell when it is no longer needed.
pub(super) fn exceptions_are_expected(file: &File, source: Option<&RustSource>) -> Vec<Finding> {
    in_attributes(file, source, |words| {
        let allows = words.trim_start_matches('!').starts_with("allow(")
            || (words.contains("cfg_attr(") && words.contains(",allow("));
        allows.then_some((
            "allow",
            "write `#[expect(…, reason = \"…\")]`: it tells when it is no longer needed",
        ))
    })
}

/// Finds a test that is switched off.
pub(super) fn no_test_is_ignored(file: &File, source: Option<&RustSource>) -> Vec<Finding> {
    in_attributes(file, source, |words| {
        let ignored =
            words == "ignore" || words.starts_with("ignore=") || words.contains(",ignore");
        ignored.then_some((
            "ignore",
            "a test that is not run proves nothing; repair it, delete it, or move it to `cargo xtask chaos`",
        ))
    })
}

fn in_attributes(
    file: &File,
    source: Option<&RustSource>,
    rule: impl Fn(&str) -> Option<(&'static str, &'static str)>,
) -> Vec<Finding> {
    let Some(source) = source else { return Vec::new() };
    let broken = |(at, words): (usize, String)| {
        let (name, say) = rule(&words)?;
        Some(Finding::new(name, &file.path, source.line_at(at), say))
    };
    source.attributes().into_iter().filter_map(broken).collect()
}

/// Finds notes that promise work.
pub(super) fn nothing_is_left_to_do(file: &File, source: Option<&RustSource>) -> Vec<Finding> {
    let notes = ["TODO", "FIXME", "XXX"];
    let say = "do it now, or write down where it is tracked; a note in the code is read by nobody";
    let in_rust = source.map(|source| {
        let comments = source.comments.iter();
        let broken = comments.filter(|c| notes.iter().any(|note| has_word(&c.text, note)));
        broken.map(|c| c.line).collect::<Vec<_>>()
    });
    let lines = in_rust.unwrap_or_else(|| {
        if !super::has_comments(&file.path) {
            return Vec::new();
        }
        let lines = file.text.lines().enumerate();
        lines.filter(|(_, line)| begins_a_note(line, &notes)).map(|(at, _)| at + 1).collect()
    });
    lines.into_iter().map(|line| Finding::new("todo", &file.path, line, say)).collect()
}

/// Whether a comment in the line begins with a note; a script may well count them.
fn begins_a_note(line: &str, notes: &[&str]) -> bool {
    ["# ", "-- "].iter().any(|sign| {
        line.split_once(sign).is_some_and(|(_, comment)| {
            notes.iter().any(|note| comment.trim_start().starts_with(note))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check;

    #[test]
    fn a_drawer_for_anything_is_found_as_file_folder_and_module() {
        let check = |path, text| check(modules_say_what_they_hold, path, text);
        assert_eq!(check("crates/a/src/utils.rs", ""), [1]);
        assert_eq!(check("crates/a/tests/common/mod.rs", ""), [1]);
        assert_eq!(check("crates/a/src/lib.rs", "fn a() {}\nmod helpers {\n}"), [2]);
        assert_eq!(check("crates/a/src/lib.rs", "mod filter;\n// mod types {"), [0; 0]);
        assert_eq!(check("crates/a/src/commonmark.rs", ""), [0; 0]);
    }

    #[test]
    fn a_path_of_one_machine_is_found_in_any_file() {
        let check = |text: &str| check(no_path_of_a_developer_machine, "docs/a.md", text);
        let home = ["/ho", "me/"].concat();
        assert_eq!(check(&format!("a\ncd {home}anna/apflow")), [2]);
        assert_eq!(check(&format!("`{home}anna`")), [1]);
        assert_eq!(check(&format!("https://example.org{home}page")), [0; 0]);
        assert_eq!(check(&format!("./{}", &home[1..])), [0; 0]);
    }

    #[test]
    fn an_exception_is_expected_not_allowed() {
        let check = |text| check(exceptions_are_expected, "crates/a/src/lib.rs", text);
        assert_eq!(check("fn a() {}\n#[allow(dead_code)]\nfn b() {}"), [2]);
        assert_eq!(check("#![allow(dead_code)]"), [1]);
        assert_eq!(check("#[cfg_attr(test, allow(dead_code))]\nfn b() {}"), [1]);
        assert_eq!(check("#[expect(dead_code)]\nfn b() { allow(1) } // #[allow(a)]"), [0; 0]);
    }

    #[test]
    fn a_test_that_is_switched_off_is_found() {
        let check = |text| check(no_test_is_ignored, "crates/a/tests/main.rs", text);
        assert_eq!(check("#[test]\n#[ignore]\nfn a() {}"), [2]);
        assert_eq!(check("#[test]\n#[ignore = \"slow\"]\nfn a() {}"), [2]);
        assert_eq!(check("#[cfg_attr(windows, ignore)]\nfn a() {}"), [1]);
        assert_eq!(check("fn ignore() {}\n#[test]\nfn ignored() {}"), [0; 0]);
    }

    #[test]
    fn a_promise_is_found_and_a_count_of_promises_is_not() {
        let note = ["TO", "DO"].concat();
        let rust = |text: &str| check(nothing_is_left_to_do, "crates/a/src/lib.rs", text);
        assert_eq!(rust(&format!("fn a() {{}} // {note}: later")), [1]);
        assert_eq!(rust(&format!("fn a() {{ count(\"{note}\") }}")), [0; 0]);
        assert_eq!(rust(&format!("// counts {note}s")), [0; 0]);
        let yaml = |text: &str| check(nothing_is_left_to_do, "examples/a.yaml", text);
        assert_eq!(yaml(&format!("a: 1 # {note} later")), [1]);
        assert_eq!(yaml(&format!("argv: [grep, {note}]")), [0; 0]);
    }
}
