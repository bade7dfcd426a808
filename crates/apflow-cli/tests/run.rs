//! `apflow run`: inputs, results, failures, interruptions.

use crate::{Place, until};

const TWO: &str = "
tasks:
  first: {executor: command_executor, inputs: {argv: [sh, -c, 'echo oops >&2; exit 3']}}
  second: {executor: aggregate_results_executor, needs: first}
  third: {executor: system_info_executor, inputs: {resource: cpu}}
";

#[test]
fn a_failed_run_tells_the_cause_whom_it_blocks_and_what_to_type() {
    let place = Place::new();
    place.write("two.yaml", TWO);
    let args = ["run", "two.yaml", "--allow-command", "sh", "--run", "r", "-o", "json"];
    let said = place.apflow(&args).exits(1).tells(&[
        "run r: failed, 1 of 3 tasks completed",
        "✗ first: Command failed with return code 3: oops",
        "○ second: blocked, needs first",
        "apflow tasks execute r/first --allow-command sh",
    ]);
    let run = said.json();
    assert_eq!((&run["outcome"], &run["run"]), (&"failed".into(), &"r".into()));
    let again = ["tasks", "execute", "r/first", "--allow-command", "sh"];
    let said = place.apflow(&again).exits(1).tells(&["✗ first", "○ second: blocked"]);
    assert!(!said.err.contains("third"), "what completed is not run again: {}", said.err);
}

#[test]
fn a_workflow_cannot_allow_itself_a_program() {
    let place = Place::new();
    place.write("two.yaml", TWO);
    place.apflow(&["run", "two.yaml"]).exits(1).tells(&[
        "1 task will fail",
        "--allow-command",
        "✗ first",
    ]);
    place.apflow(&["run", "two.yaml", "--allow", "system_info_executor"]).exits(1).tells(&[
        "command_executor is not allowed here",
        "✗ first",
        "○ second: blocked",
    ]);
    let mut command = place.command(&["run", "two.yaml", "--run", "env"]);
    command.env("APFLOW_STDIO_ALLOW_COMMAND", "1").env("APFLOW_STDIO_COMMAND_WHITELIST", "sh");
    let output = command.output().expect("apflow starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("return code 3"), "the operator's variables allow it: {text}");
}

#[test]
fn equal_causes_are_one_line_and_one_command_retries_them_all() {
    let place = Place::new();
    let task = "{executor: command_executor, inputs: {argv: ['true']}}";
    place.write(
        "four.yaml",
        &format!("tasks:\n  a: {task}\n  b: {task}\n  c: {task}\n  d: {task}\n"),
    );
    let said = place.apflow(&["run", "four.yaml", "--run", "r", "--db", "sqlite:x.db"]).exits(1);
    let said = said.tells(&[
        "✗ a, b, +2: ",
        "apflow tasks execute r/a --db sqlite:x.db --allow-command true",
        "this runs all 4 again",
    ]);
    assert_eq!(said.err.matches("cannot run here").count(), 1, "{}", said.err);
    let only = ["run", "four.yaml", "--run", "s", "--db", "sqlite:x.db", "--allow", "x_executor"];
    place.apflow(&only).exits(1).tells(&[
        "✗ a, b, +2: Executor 'command_executor' is not allowed by APFLOW_EXTENSIONS",
        "--allow command_executor allows it",
        "execute s/a --db sqlite:x.db --allow x_executor --allow command_executor",
    ]);
    let retry =
        ["tasks", "execute", "r/a", "s/b", "--db", "sqlite:x.db", "--allow-command", "true"];
    place.apflow(&retry).exits(0).tells(&["8 of 8 tasks completed"]);
    let status = place.apflow(&["db", "status", "--db", "sqlite:x.db"]).exits(0).out;
    assert!(status.contains("completed 8\n"), "{status}");
}

#[test]
fn a_grant_without_effect_is_told_once() {
    let place = Place::new();
    place.write("two.yaml", TWO);
    let said = place.apflow(&["run", "two.yaml", "--allow-command", "no-such-program"]).exits(1);
    assert_eq!(said.err.matches("there is no such program").count(), 1, "{}", said.err);
}

#[test]
fn inputs_come_from_the_file_a_file_of_inputs_and_the_command_line_in_this_order() {
    let place = Place::new();
    let flow = "
inputs: {a: 1, b: 1, c: 1}
tasks:
  all:
    executor: report_executor
    inputs: {title: '${inputs.a} ${inputs.b} ${inputs.c}', sections: []}
";
    place.write("more.yaml", "{b: 2, c: 2}");
    let args =
        ["run", "-", "--inputs", "more.yaml", "-i", "c=[3]", "--print", "markdown", "--quiet"];
    let said = place.fed(&args, flow).exits(0);
    assert_eq!(said.out, "# 1 2 \\[3\\]\n");
    assert_eq!(said.err, "", "a quiet run that went well says nothing");
    place.fed(&["run", "-", "-i", "d=1"], flow).exits(2).tells(&["there is no input `d`"]);
    place.fed(&["run", "-", "-i", "d"], flow).exits(2).tells(&["KEY=VALUE"]);
}

#[test]
fn a_detached_run_waits_for_resume_and_keeps_its_name() {
    let place = Place::new();
    let script = place.script("note", "echo \"$1\" >> notes");
    let flow = format!(
        "tasks:\n  a: {{executor: command_executor, inputs: {{argv: [{script}, a]}}}}\n  \
         b: {{executor: command_executor, inputs: {{argv: [{script}, b]}}, needs: a}}\n"
    );
    place.write("flow.yaml", &flow);
    let said = place.apflow(&["run", "flow.yaml", "--detach", "--run", "later"]).exits(0);
    assert_eq!(said.out, "later\n");
    assert!(place.lines("notes").is_empty(), "nothing has run yet");
    let other = place.apflow(&["resume", "nobody"]).exits(4);
    assert!(other.err.contains("there is no run nobody"), "{}", other.err);
    let resume = ["resume", "later", "--allow-command", &script];
    place.apflow(&resume).exits(0).tells(&["going on with 2 tasks", "✓ a", "✓ b"]);
    assert_eq!(place.lines("notes"), ["a", "b"]);
    place.apflow(&resume).exits(0).tells(&["has ended"]);
    place.apflow(&["run", "flow.yaml", "--run", "later"]).exits(5).tells(&["--run"]);
}

#[test]
fn ctrl_c_cancels_what_runs_and_kills_its_programs() {
    let place = Place::new();
    let script = place.script("stay", "echo $$ >> pids; exec sleep 30");
    place.write(
        "flow.yaml",
        &format!(
            "tasks:\n  a: {{executor: command_executor, inputs: {{argv: [{script}]}}}}\n  \
             b: {{executor: aggregate_results_executor, needs: a}}\n"
        ),
    );
    let run = place.start(&["run", "flow.yaml", "--allow-command", &script, "--run", "r"]);
    place.wait_for_lines("pids", 1);
    run.signal("INT");
    run.end().exits(130).tells(&["cancelling", "⊘ a", "⊘ b", "cancelled, 0 of 2"]);
    let pid = place.lines("pids")[0].clone();
    until("the program is gone", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
    let task = place.apflow(&["tasks", "get", "r/a", "-o", "json"]).exits(0).json();
    assert_eq!((&task["status"], &task["error"]), (&"cancelled".into(), &"interrupted".into()));
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_a_program_that_will_not_end() {
    let place = Place::new();
    let script =
        place.script("stay", "trap '' TERM INT; echo $$ >> pids; while :; do sleep 0.1; done");
    place.write(
        "flow.yaml",
        &format!("tasks: {{a: {{executor: command_executor, inputs: {{argv: [{script}]}}}}}}\n"),
    );
    let run = place.start(&["run", "flow.yaml", "--allow-command", &script]);
    place.wait_for_lines("pids", 1);
    run.signal("INT");
    std::thread::sleep(std::time::Duration::from_millis(100));
    run.signal("INT");
    run.end().exits(130);
    let pid = place.lines("pids")[0].clone();
    until("the program is gone", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn resume_cancels_nothing_when_it_is_interrupted() {
    let place = Place::new();
    let script = place.script("note", "echo x >> notes; test -e gate || exec sleep 30");
    place.write(
        "flow.yaml",
        &format!("tasks: {{a: {{executor: command_executor, inputs: {{argv: [{script}]}}}}}}\n"),
    );
    place.apflow(&["run", "flow.yaml", "--detach", "--run", "r"]).exits(0);
    let allow = ["--allow-command", script.as_str()];
    let resume = place.start(&[&["resume"][..], &allow].concat());
    place.wait_for_lines("notes", 1);
    resume.signal("INT");
    resume.end().exits(130).tells(&["left as it is", "apflow resume"]);
    let task = place.apflow(&["tasks", "get", "r/a", "-o", "json"]).exits(0).json();
    assert_eq!(task["state"]["name"], "ready", "{task}");
    place.write("gate", "");
    place.apflow(&[&["resume", "r"][..], &allow].concat()).exits(0);
}

#[test]
fn a_timeout_leaves_the_run_to_be_resumed() {
    let place = Place::new();
    let script = place.script("once", "test -e gate || exec sleep 30");
    place.write(
        "flow.yaml",
        &format!("tasks: {{a: {{executor: command_executor, inputs: {{argv: [{script}]}}}}}}\n"),
    );
    let allow = ["--allow-command", script.as_str()];
    let args = [&["run", "flow.yaml", "--run", "r", "--timeout", "0.3"][..], &allow].concat();
    place.apflow(&args).exits(6).tells(&["goes on", "apflow resume r"]);
    place.write("gate", "");
    place.apflow(&[&["resume", "r"][..], &allow].concat()).exits(0);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::process::Stdio;
    let place = Place::new();
    let mut command = place.command(&["schema", "workflow"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("apflow starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("apflow ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn the_default_database_is_made_here_and_kept_out_of_git() {
    let place = Place::new();
    place.write("f.yaml", "tasks: {a: {executor: aggregate_results_executor}}");
    place.apflow(&["run", "f.yaml"]).exits(0);
    assert_eq!(place.lines(".apflow/.gitignore"), ["*", "!config.toml"]);
    assert!(place.path(".apflow/apflow.db").exists());
    let mut command = place.command(&["tasks", "list"]);
    command.env("APFLOW_DATABASE_URL", "sqlite:x.db").env("DATABASE_URL", "sqlite:y.db");
    let output = command.output().expect("apflow starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("differ") && text.contains("x.db"), "{text}");
}
