//! What commands print: the forms of an answer, piped and coloured, and nothing that steers a terminal.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{Place, Said, calm};

/// A tree with names and errors that try to steer the terminal.
const TREE: &str = r#"[
  {"id": "top", "name": "top\u001b[31m\u001b]52;c;QUJD\u0007", "user_id": "ada",
   "schemas": {"method": "aggregate_results_executor"}},
  {"id": "low", "name": "low\nline", "parent_id": "top", "priority": 0,
   "schemas": {"method": "system_info_executor"}, "inputs": {"resource": "cpu"}},
  {"id": "last", "name": "last", "parent_id": "top", "dependencies": ["low"],
   "schemas": {"method": "command_executor"}, "inputs": {"argv": ["false"]}}
]"#;

fn place() -> Place {
    let place = Place::new();
    place.fed(&["tasks", "create", "-o", "id"], TREE).exits(0);
    place
}

/// What a script of commands prints, each with its exit code.
fn printed(place: &Place, script: &[&str]) -> String {
    let mut text = String::new();
    for line in script {
        let args: Vec<&str> = line.split(' ').collect();
        let Said { code, out, err } = place.apflow(&args);
        assert!(!out.contains(['\u{1b}', '\u{7}']), "{line}: {out:?}");
        assert!(!err.contains(['\u{1b}', '\u{7}']), "{line}: {err:?}");
        let code = code.expect("an exit code");
        let _ = write!(text, "$ apflow {line}\n{}", calm(&out));
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if !err.is_empty() {
            let _ = writeln!(text, "! {}", calm(err.trim_end()).replace('\n', "\n! "));
        }
        let _ = write!(text, "= {code}\n\n");
    }
    text
}

#[test]
fn every_form_of_a_list() {
    let place = place();
    insta::assert_snapshot!(printed(
        &place,
        &[
            "tasks list",
            "tasks list -a -o wide",
            "tasks list -a -o id",
            "tasks list -a -o jsonl --fields id,state.name",
            "tasks list -a -o yaml --fields id,priority",
            "tasks list -a --fields id,name,created_at --no-headers",
            "tasks list -a --fields nope",
            "tasks list -s failed",
            "tasks list -s weird",
            "tasks list -a --prefix lo -o id",
            "tasks list -a -l 1 --offset 1 -o id",
        ],
    ));
}

#[test]
fn every_command_about_single_tasks() {
    let place = place();
    insta::assert_snapshot!(printed(
        &place,
        &[
            "tasks get top --fields id,name,status",
            "tasks get top low -o jsonl --fields id,priority",
            "tasks get nope top -o jsonl --fields id",
            "tasks tree top",
            "tasks tree top low",
            "tasks tree top -o id",
            "tasks children top --fields id",
            "tasks children -p top -o id",
            "tasks count",
            "tasks count -s failed,pending -o json",
            "tasks status top nope",
            "tasks update low --priority 2 --inputs {} --dry-run -o json",
            "tasks update low --priority 7",
            "tasks update low",
            "tasks delete low last --dry-run",
            "tasks delete low last",
            "tasks cancel low --dry-run --fields id",
            "tasks cancel low -m enough",
            "tasks cancel low nope --yes",
            "tasks execute top --dry-run --fields id",
            "why top low last nope",
            "why low -o json --fields task_id,commands",
        ],
    ));
}

#[test]
fn every_command_that_looks_around() {
    let place = place();
    place.apflow(&["tasks", "execute", "top", "-q"]).exits(1);
    insta::assert_snapshot!(printed(
        &place,
        &[
            "why top last",
            "monitor status",
            "monitor status -a --fields id,status",
            "monitor status -t low --fields id,status",
            "monitor trace low --fields id,status",
            "monitor db --fields x",
            "monitor watch top",
            "tasks watch top",
            "tasks watch --all",
            "executors list -f ids",
            "executors list",
            "executors show system_info_executor",
            "executors show sytem_info_executor",
            "version",
            "mcp",
            "worker",
            "generate",
            "daemon status",
            "daemon stop",
        ],
    ));
}

#[test]
fn n1_names_and_errors_cannot_steer_the_terminal_in_any_form() {
    let place = place();
    for output in ["table", "wide", "json", "jsonl", "yaml", "id"] {
        for command in
            [&["tasks", "list", "-a"][..], &["tasks", "get", "top"], &["tasks", "tree", "top"]]
        {
            let said =
                place.apflow(&[command, &["-o", output, "--color", "never"]].concat()).exits(0);
            let steers = |letter: char| letter.is_control() && letter != '\n';
            assert!(!said.out.contains(steers), "{command:?} {output}: {:?}", said.out);
        }
    }
    // Colours are ours alone: forced ones appear, and those of a name do not.
    let said = place.apflow(&["tasks", "tree", "top", "--color", "always"]).exits(0);
    assert!(!said.out.contains("\u{1b}[31m\u{1b}]52"), "{:?}", said.out);
    assert!(said.out.contains("top\\u{1b}[31m"), "{:?}", said.out);
}

#[test]
fn colours_are_forced_and_forbidden_by_flag_and_variable() {
    let place = place();
    place.apflow(&["tasks", "execute", "top", "-q"]).exits(1);
    let list = ["tasks", "list", "-a", "--fields", "id,status"];
    let plain = place.apflow(&list).exits(0).out;
    assert!(!plain.contains('\u{1b}'));
    let forced = place.apflow(&[&list[..], &["--color", "always"]].concat()).exits(0).out;
    insta::assert_snapshot!(forced.replace('\u{1b}', "ESC"));
    let mut command = place.command(&list);
    let output =
        command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().expect("it starts");
    assert!(!output.stdout.contains(&0x1b), "NO_COLOR wins");
    let help = place.apflow(&["tasks", "--color=always", "--help"]).exits(0).out;
    assert!(help.contains('\u{1b}'), "help is coloured, too");
}

#[test]
fn json_has_the_shape_of_the_wire_and_times_stay_as_they_are() {
    let place = place();
    let args = ["tasks", "get", "low", "-o", "json", "--time-format", "relative"];
    let task = place.apflow(&args).exits(0).json();
    assert!(task["created_at"].as_str().is_some_and(|at| at.ends_with("+00:00")), "{task}");
    assert_eq!(task["name"], "low\nline");
    let lines = place.apflow(&["tasks", "list", "-a", "-o", "jsonl"]).exits(0).out;
    let read: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let list = place.apflow(&["tasks", "list", "-a", "-o", "json"]).exits(0).json();
    assert_eq!(Value::Array(read), list);
}

#[test]
fn ids_come_from_standard_input_and_each_is_meant_once() {
    let place = place();
    let said = place.fed(&["tasks", "get", "-", "-o", "id"], "low\n\n top \nlow\n").exits(0);
    assert_eq!(said.out, "low\ntop\n");
    place.fed(&["tasks", "get", "-"], "").exits(2).tells(&["names no task"]);
    place.fed(&["tasks", "get", "-", "-"], "low").exits(2).tells(&["stands twice"]);
    // A pipe of our own: whatever is listed is cancelled.
    let ids = place.apflow(&["tasks", "list", "-a", "-o", "id"]).exits(0).out;
    place.fed(&["tasks", "cancel", "-"], &ids).exits(2).tells(&["--yes"]);
    place.fed(&["tasks", "cancel", "-", "--yes"], &ids).exits(0);
}

#[test]
fn the_beginning_of_an_id_is_enough_as_long_as_only_one_fits() {
    let place = place();
    let get = |id: &str| place.apflow(&["tasks", "get", id, "--fields", "id", "-o", "id"]);
    assert_eq!(get("to").exits(0).out, "top\n");
    let said = get("l").exits(2).tells(&["AF0051", "low", "last"]);
    assert_eq!(said.out, "");
    place.fed(&["tasks", "create"], r#"{"id": "lo", "name": "lo"}"#).exits(0);
    assert_eq!(get("lo").exits(0).out, "lo\n", "a whole id is not the beginning of another");
    assert_eq!(get("low").exits(0).out, "low\n");
    get("x").exits(4).tells(&["Task x not found"]);
    get("%").exits(4);
    place.apflow(&["tasks", "delete", "to", "--dry-run", "-o", "id"]).exits(0);
    place.apflow(&["why", "to"]).exits(0);
}

#[test]
fn tasks_in_files_are_json_or_yaml_and_can_be_looked_at_first() {
    let place = Place::new();
    place.write("t.yaml", "- {id: a, name: a, schemas: {method: report_executor}}\n- {id: b, name: b, parent_id: a}\n");
    let said = place.apflow(&["tasks", "create", "-f", "t.yaml", "--dry-run", "-o", "id"]).exits(0);
    assert_eq!(said.out, "a\nb\n");
    said.tells(&["would create 2 tasks"]);
    assert!(!place.path(".apflow").exists(), "nothing was stored");
    place
        .apflow(&["tasks", "create", "-f", "t.yaml", "-o", "id"])
        .exits(0)
        .tells(&["created 2 tasks"]);
    place.fed(&["tasks", "create", "--stdin"], "[").exits(2).tells(&["AF0014", "standard input"]);
    let bad = r#"[{"name": "x", "priority": 9}]"#;
    place.fed(&["tasks", "create", "--dry-run"], bad).exits(2).tells(&["priority"]);
}

#[test]
fn a_run_can_be_looked_at_before_it_is_stored() {
    let place = Place::new();
    place.write("f.yaml", "tasks:\n  a: {executor: system_info_executor}\n  b: {executor: report_executor, needs: a}\n");
    let said = place.apflow(&["run", "f.yaml", "--dry-run", "--run", "r"]).exits(0);
    said.tells(&["run r would have 2 tasks"]);
    assert!(!place.path(".apflow").exists());
}

#[test]
fn the_forms_of_the_python_command_line_run() {
    let place = Place::new();
    let one = place
        .apflow(&["run", "flow", "system_info_executor", "-i", r#"{"resource":"cpu"}"#])
        .exits(0)
        .json();
    assert_eq!((&one["status"], &one["task_count"]), (&"completed".into(), &1.into()));
    assert!(one["result"]["cores"].is_number(), "{one}");
    let owner = place.apflow(&["tasks", "list", "-u", "cli_user", "-o", "id"]).exits(0).out;
    assert_eq!(owner.trim(), one["root_task_id"].as_str().expect("an id"));

    place.write("t.json", TREE);
    let said =
        place.apflow(&["run", "flow", "-f", "t.json", "-o", "out.json", "-u", "ada"]).exits(1);
    assert_eq!(said.out, "", "the result is in the file");
    let text = std::fs::read_to_string(place.path("out.json")).expect("a file");
    let result: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&result["root_task_id"], &result["task_count"]), (&"top".into(), &3.into()));
    let owner = place.apflow(&["tasks", "get", "low", "-o", "json"]).exits(0).json();
    assert_eq!(owner["user_id"], "ada");

    let later = r#"[{"id": "later", "name": "later", "schemas": {"method": "report_executor"}, "inputs": {"title": "t", "sections": []}}]"#;
    let begun = place.apflow(&["run", "flow", "-t", later, "-b"]).exits(0).json();
    assert_eq!((&begun["status"], &begun["root_task_id"]), (&"started".into(), &"later".into()));
    place.apflow(&["resume"]).exits(0).tells(&["✓ later"]);
    place.apflow(&["run", "flow"]).exits(2).tells(&["nothing to run"]);
    place.apflow(&["run", "flow", "-t", "{"]).exits(2).tells(&["--tasks"]);
    let demo = ["run", "flow", "system_info_executor", "--use-demo"];
    let shown = place.apflow(&demo).exits(0).json();
    assert_eq!(shown["result"]["demo_mode"], true, "{shown}");
}
