//! `kill -9` in the middle, and what the next process makes of it.

use crate::Place;

/// `slow` waits for a gate that only the second process finds open.
fn flow(place: &Place) -> String {
    let script = place.script(
        "note",
        "echo \"$1\" >> notes; while test \"$1\" = slow -a ! -e gate; do sleep 0.02; done",
    );
    place.write(
        "flow.yaml",
        &format!(
            "tasks:\n  first: {{executor: command_executor, inputs: {{argv: [{script}, first]}}}}\n  \
             slow: {{executor: command_executor, inputs: {{argv: [{script}, slow]}}, needs: first}}\n  \
             last: {{executor: command_executor, inputs: {{argv: [{script}, last]}}, needs: slow}}\n"
        ),
    );
    script
}

#[test]
fn a_killed_run_is_finished_by_resume_and_repeats_only_what_was_running() {
    let place = Place::new();
    let script = flow(&place);
    let run = place.start(&["run", "flow.yaml", "--allow-command", &script, "--run", "r"]);
    place.wait_for_lines("notes", 2);
    let pid = run.id();

    let second = place.apflow(&["run", "flow.yaml", "--allow-command", &script]).exits(7);
    second.tells(&["error[AF0020]", &format!("process {pid} has the database")]);
    let list = place.apflow(&["tasks", "list", "-o", "id"]).exits(0).out;
    assert_eq!(list, "r/last\nr/slow\nr/first\n", "reading works meanwhile");

    run.signal("KILL");
    assert_eq!(run.end().code, None, "it was killed");
    place.write("gate", "");
    let resume = ["resume", "r", "--allow-command", &script];
    place.apflow(&resume).exits(0).tells(&["✓ slow", "✓ last", "2 of 2 tasks completed"]);
    // `slow` was begun twice: at least once to start, exactly once to record.
    assert_eq!(place.lines("notes"), ["first", "slow", "slow", "last"]);
    let tasks = place.apflow(&["tasks", "list", "-o", "json"]).exits(0).json();
    for task in tasks.as_array().expect("tasks") {
        assert_eq!(task["status"], "completed", "{task}");
    }
    let attempts = |at: usize| tasks[at]["attempt_count"].clone();
    assert_eq!((attempts(0), attempts(1), attempts(2)), (1.into(), 2.into(), 1.into()));
}

#[test]
fn a_run_in_parallel_branches_survives_as_well() {
    let place = Place::new();
    let script = place.script("note", "echo \"$1\" >> notes; test -e gate || exec sleep 30");
    let branch =
        |n| format!("  b{n}: {{executor: command_executor, inputs: {{argv: [{script}, b{n}]}}}}\n");
    let branches = (0..5).map(branch).collect::<Vec<_>>().concat();
    let needs = "  end: {executor: aggregate_results_executor, needs: [b0, b1, b2, b3, b4]}\n";
    place.write("flow.yaml", &format!("tasks:\n{branches}{needs}"));
    let allow = ["--allow-command", script.as_str(), "--parallel", "3"];
    let run = place.start(&[&["run", "flow.yaml", "--run", "r"][..], &allow].concat());
    place.wait_for_lines("notes", 3);
    run.signal("KILL");
    run.end();
    place.write("gate", "");
    place.apflow(&[&["resume"][..], &allow].concat()).exits(0).tells(&["6 of 6 tasks completed"]);
    let notes = place.lines("notes");
    for branch in ["b0", "b1", "b2", "b3", "b4"] {
        let times = notes.iter().filter(|note| *note == branch).count();
        assert!((1..=2).contains(&times), "{branch} ran {times} times: {notes:?}");
    }
    assert_eq!(notes.len(), 8, "three were running and are repeated: {notes:?}");
}
