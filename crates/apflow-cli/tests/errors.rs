//! Files and arguments that are wrong: every problem is told with its place and what to do.

use crate::{Place, Said};

const GOOD: &str = "\
name: report
tasks:
  facts:
    executor: system_info_executor
    inputs: {resource: cpu}
  report:
    executor: aggregate_results_executor
    needs: facts
    priority: normal
";

fn edited(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let place = Place::new();
    place.write("flow.yaml", &GOOD.replace(from, to));
    let Said { code, out, err } = place.apflow(&["run", "flow.yaml"]);
    assert_eq!(code, Some(2), "{err}");
    assert_eq!(out, "");
    assert!(!place.path(".apflow").exists(), "a file that is wrong makes no database");
    err
}

#[test]
fn an_unknown_field_names_the_nearest_one() {
    insta::assert_snapshot!(edited("inputs:", "inptus:"));
}

#[test]
fn a_wrong_type_says_what_was_expected() {
    insta::assert_snapshot!(edited("inputs: {resource: cpu}", "inputs: cpu"));
}

#[test]
fn a_cycle_is_shown_as_a_path() {
    insta::assert_snapshot!(edited("inputs: {resource: cpu}", "needs: report"));
}

#[test]
fn an_unknown_dependency_is_named() {
    insta::assert_snapshot!(edited("needs: facts", "needs: fact"));
}

#[test]
fn a_bad_priority_names_the_range() {
    insta::assert_snapshot!(edited("priority: normal", "priority: 9"));
}

#[test]
fn an_unknown_executor_names_the_nearest_one() {
    insta::assert_snapshot!(edited("executor: system_info_executor", "executor: system_info"));
}

#[test]
fn all_problems_are_told_at_once() {
    let place = Place::new();
    place
        .write("flow.yaml", "tasks:\n  a: {executor: x, needs: b}\n  b: {executor: x, needs: a}\n");
    let said = place.apflow(&["validate", "flow.yaml"]).exits(2);
    said.tells(&["error[AF0010]", "`a`", "`b`", "error[AF0002]", "flow.yaml has 3 problems"]);
}

#[test]
fn what_is_not_there_is_said_plainly() {
    let place = Place::new();
    place.apflow(&["run", "nope.yaml"]).exits(2).tells(&["nope.yaml cannot be read"]);
    place.apflow(&["tasks", "list"]).exits(2).tells(&["there is no database at", "--db"]);
    let hidden = "postgres://me:CANARY@127.0.0.1:1/x";
    let said = place.apflow(&["tasks", "list", "--db", hidden]);
    assert_ne!(said.code, Some(0));
    assert!(!said.err.contains("CANARY"), "{}", said.err);
    place.apflow(&["tasks", "list", "--db", "duckdb:x"]).exits(2).tells(&["AF0024", "DuckDB"]);
    place.apflow(&["tasks", "list", "--server", "x:1"]).exits(2).tells(&["AF0031", "http://"]);
    place.apflow(&["tasks", "list", "--server", "http://x", "--db", "x"]).exits(2);
    place.apflow(&["explain", "AF9999"]).exits(4).tells(&["no code `AF9999`", "AF0001 to"]);
    place.apflow(&["explain", "AF27"]).exits(4).tells(&["did you mean `AF0027`?"]);
    place.apflow(&["explain", "exit-code"]).exits(4).tells(&["did you mean `exit-codes`?"]);
    place.apflow(&["rnu"]).exits(2).tells(&["'run'"]);
    place.apflow(&["tasks", "gte"]).exits(2).tells(&["'get'"]);
    place.apflow(&["info", "comand_executor"]).exits(4).tells(&["`command_executor`"]);
    place.apflow(&["run"]).exits(2);
}

#[test]
fn colours_are_for_terminals_unless_they_are_forced() {
    let place = Place::new();
    let said = place.apflow(&["explain", "AF9999"]);
    assert!(!said.err.contains('\u{1b}'), "{:?}", said.err);
    let mut command = place.command(&["explain", "AF9999"]);
    let output = command.env("CLICOLOR_FORCE", "1").output().expect("apflow starts");
    assert!(output.stderr.contains(&0x1b), "{:?}", String::from_utf8_lossy(&output.stderr));
    let mut command = place.command(&["explain", "AF9999"]);
    let output = command.env("NO_COLOR", "1").output().expect("apflow starts");
    assert!(!output.stderr.contains(&0x1b));
}

#[test]
fn a_key_that_stands_twice_and_one_that_stands_askew_are_told_for_people() {
    let place = Place::new();
    place.write("twice.yaml", "tasks:\n  a: {executor: x}\n  a: {executor: x}\n");
    let twice = "the key `a` stands twice in this map (line 3, column 3)";
    place.apflow(&["validate", "twice.yaml"]).exits(2).tells(&[twice]);
    place.write("askew.yaml", "tasks:\n  a:\n    executor: x\n   needs: b\n");
    let said = place.apflow(&["validate", "askew.yaml"]).exits(2);
    said.tells(&["line 4, column 4", "keys of one map begin in the same column"]);
}
