//! Only `transition.rs` decides a `State`; only storage reads one back.

use super::{Finding, is_test_file};
use crate::{
    rust_source::{RustSource, closing, has_word, is_word, opening, skip_blanks},
    workspace::File,
};

/// Where a `State` may be made.
const HOMES: [&str; 2] =
    ["crates/apflow-core/src/transition.rs", "crates/apflow-storage/src/row/task.rs"];

/// Finds a `State` that is made, not matched, away from home.
pub(super) fn only_its_home_makes_a_state(
    file: &File,
    source: Option<&RustSource>,
) -> Vec<Finding> {
    let Some(source) = source else { return Vec::new() };
    let path = file.path.as_str();
    if HOMES.contains(&path) || is_test_file(path) || has_a_state_of_its_own(source) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for at in source.find("State::") {
        let code = &source.code;
        let line = source.line_at(at);
        if at > 0 && is_word(code[at - 1]) || source.in_test(line) {
            continue;
        }
        let variant = at + "State::".len();
        match code.get(variant) {
            Some('{' | '*') => findings.push(Finding::new(
                "state",
                path,
                line,
                "write `State::Variant` in full where it is used, so that one sees who makes a state",
            )),
            Some(c) if c.is_uppercase() => {
                let end = variant + code[variant..].iter().take_while(|c| is_word(**c)).count();
                if is_made(code, at, end) {
                    let name: String = code[variant..end].iter().collect();
                    let say = format!(
                        "`State::{name}` is made here; only `Task::on` decides a state: send the task an Event"
                    );
                    findings.push(Finding::new("state", path, line, say));
                }
            }
            _ => {}
        }
    }
    findings
}

/// Whether the file speaks of another `State`, not of a task's.
fn has_a_state_of_its_own(source: &RustSource) -> bool {
    let code: String = source.code.iter().collect();
    ["enum State", "struct State"].iter().any(|words| has_word(&code, words))
}

/// Whether the path at `at..end` is an expression; if not, it is part of a pattern or compared.
///
/// Looks at what stands before it, then at what follows it, from the innermost bracket outwards.
fn is_made(code: &[char], at: usize, end: usize) -> bool {
    let (mut start, mut after) = (at, skip_blanks(code, end));
    if code.get(after) == Some(&'{') {
        let close = closing(code, after);
        let inside: String = code[after + 1..close].iter().collect();
        if inside.trim_end().ends_with("..") {
            return false;
        }
        // `match State::Ready { … }` is no variant with fields, and is an expression either way.
        after = skip_blanks(code, close + 1);
    }
    loop {
        match before(code, start) {
            Before::Arrow | Before::Assigns => return true,
            Before::Compares | Before::Binds => return false,
            Before::Field | Before::Other => {}
        }
        while code.get(after) == Some(&'|') && code.get(after + 1) != Some(&'|') {
            after = end_of_alternative(code, after + 1);
        }
        let rest = &code[after.min(code.len())..];
        let next: String = rest.iter().take(3).collect();
        if next.starts_with('=') || next.starts_with("!=") || next == "if " || next == "in " {
            return false;
        }
        if !next.starts_with([',', ')', ']', '}']) {
            return true;
        }
        let Some(open) = opening(code, start) else { return true };
        let in_list = matches!(code[open], '(' | '[');
        if !in_list && before(code, start) != Before::Field && !is_shorthand(code, open) {
            return true;
        }
        if callee(code, open).ends_with("matches!") {
            return false;
        }
        let close = closing(code, open);
        let name = callee(code, open).chars().count();
        start = open - trailing_blanks(code, open) - name;
        after = skip_blanks(code, close + 1);
    }
}

#[derive(PartialEq)]
enum Before {
    /// `=>` or `return`.
    Arrow,
    /// `=`.
    Assigns,
    /// `==` or `!=`.
    Compares,
    /// `let`.
    Binds,
    /// `field:`.
    Field,
    Other,
}

/// What stands before the path that begins at `start`, references and parents left out.
fn before(code: &[char], start: usize) -> Before {
    let mut text: String = code[start.saturating_sub(200)..start].iter().collect();
    loop {
        let kept = text.trim_end().trim_end_matches(['&', '*']);
        let kept = match kept.strip_suffix("::") {
            Some(parent) => parent.trim_end_matches(is_word),
            None => kept,
        };
        if kept.len() == text.len() {
            break;
        }
        text.truncate(kept.len());
    }
    let word: String = text.chars().rev().take_while(|c| is_word(*c)).collect();
    if text.ends_with("==") || text.ends_with("!=") {
        Before::Compares
    } else if text.ends_with("=>") || word == "nruter" {
        Before::Arrow
    } else if text.ends_with('=') && !text.ends_with("<=") && !text.ends_with(">=") {
        Before::Assigns
    } else if word == "tel" {
        Before::Binds
    } else if text.ends_with(':') && !text.ends_with("::") {
        Before::Field
    } else {
        Before::Other
    }
}

/// Whether the brace opened at `open` belongs to a name, as in `Task { state, .. }`, not to a block.
fn is_shorthand(code: &[char], open: usize) -> bool {
    let inside: String = code[open + 1..closing(code, open)].iter().collect();
    inside.trim_end().ends_with("..") && !callee(code, open).is_empty()
}

/// The name before a bracket: `Ok`, `matches!`, `Some`.
fn callee(code: &[char], open: usize) -> String {
    let end = open - trailing_blanks(code, open);
    let length =
        code[..end].iter().rev().take_while(|c| is_word(**c) || matches!(c, '!' | ':')).count();
    code[end - length..end].iter().collect()
}

fn trailing_blanks(code: &[char], at: usize) -> usize {
    code[..at].iter().rev().take_while(|c| c.is_whitespace()).count()
}

/// Past one alternative of a pattern.
fn end_of_alternative(code: &[char], mut at: usize) -> usize {
    while let Some(c) = code.get(at) {
        let guard = code[at..].starts_with(&['i', 'f', ' ']) && code[at - 1].is_whitespace();
        match c {
            '|' | '=' | ',' | ';' | ')' | ']' | '}' => break,
            _ if guard => break,
            '(' | '[' | '{' => at = closing(code, at) + 1,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::check;

    fn lines(text: &str) -> Vec<usize> {
        check(only_its_home_makes_a_state, "crates/apflow-core/src/engine/mod.rs", text)
    }

    #[test]
    fn a_state_made_away_from_home_is_found() {
        for text in [
            "fn f() -> State { State::Ready }",
            "fn f() { task.state = State::Ready; }",
            "fn f() { let x = Task { state: State::Ready, a }; }",
            "fn f() { let x = Task { a, state: task::State::Ready }; }",
            "fn f() -> R { Ok(State::Blocked { waiting_for, failed }) }",
            "fn f() { send(State::Ready, 1); }",
            "fn f() { match x { A => State::Ready, B => return }; }",
            "fn f() { match x { A => Some(State::Failed { failure }), _ => None }; }",
            "fn f() { let x = if a { State::Ready } else { b }; }",
            "fn f() { let all = [State::Ready, State::Completed]; }",
            "fn f() { list.map(|x| State::Cancelled { reason: x }).collect() }",
            "fn f() { return State::Ready; }",
            "const FIRST: State = State::Created;",
        ] {
            assert!(!lines(text).is_empty(), "not found: {text}");
        }
    }

    #[test]
    fn a_state_that_is_matched_or_compared_is_not_made() {
        for text in [
            "fn f() { match s { State::Ready => 1, State::Running { lease, .. } => 2, _ => 3 } }",
            "fn f() { match s { State::Ready\n | State::Completed\n | State::Failed { .. } => 1, _ => 2 } }",
            "fn f() { match (&s, e) { (State::Ready, Event::Claimed { w }) if w => 1, _ => 2 } }",
            "fn f() { match (&s, e) { (State::Created | State::Ready, Event::A { why }) => 1, _ => 2 } }",
            "fn f() { match s { State::Ready if x => 1, State::Waiting { wait } => 2, _ => 3 } }",
            "fn f() { match s { State::Ready | State::Completed if x => 1, _ => 3 } }",
            "fn f() { if let State::Ready = task.state {} }",
            "fn f() { if let Some(State::Failed { failure }) = &task.state {} }",
            "fn f() { let State::Running { lease } = task.state else { return }; }",
            "fn f() -> bool { matches!(task.state, State::Ready | State::Completed) }",
            "fn f() -> bool { matches!(task.state, State::Running { lease: l, .. } if l == x) }",
            "fn f() -> bool { a && task.state == State::Ready && b }",
            "fn f() -> bool { State::Ready != task.state }",
            "fn f() -> bool { x == Some(State::Ready) }",
            "fn f() { match t { Task { state: State::Ready, .. } => 1, _ => 2 } }",
            "fn f() { match t { Task { id, state: State::Failed { failure } } => 1, _ => 2 } }",
            "fn f() { let name = StateName::Ready; let s = State::parse(x); }",
            "/// See [`State::Ready`].\nfn f() { say(\"State::Ready\") }",
        ] {
            assert_eq!(lines(text), [0; 0], "{text}");
        }
    }

    #[test]
    fn an_import_of_variants_would_hide_the_maker() {
        assert_eq!(lines("use crate::task::State::{Ready, Running};"), [1]);
        assert_eq!(lines("use crate::task::State::*;"), [1]);
    }

    #[test]
    fn homes_and_tests_may_make_states() {
        let text = "fn f() -> State { State::Ready }";
        for path in [HOMES[0], HOMES[1], "crates/apflow-storage/tests/races.rs"] {
            assert_eq!(check(only_its_home_makes_a_state, path, text), [0; 0], "{path}");
        }
        assert_eq!(lines(&format!("#[cfg(test)]\nmod tests {{\n{text}\n}}")), [0; 0]);
    }

    #[test]
    fn another_type_called_state_is_nobodys_business() {
        assert_eq!(lines("enum State { Open }\nfn f() -> State { State::Open }"), [0; 0]);
    }
}
