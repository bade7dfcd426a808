//! Every workflow among the examples is valid, and those a newcomer starts with run.

use std::{fs, path::Path, process::Command};

use crate::{Place, example};

#[test]
fn every_example_is_valid_and_can_be_drawn() {
    let place = Place::new();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = 0;
    for entry in fs::read_dir(dir).expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|end| end != "yaml" && end != "json") {
            continue;
        }
        let path = path.to_str().expect("a plain path");
        place.apflow(&["validate", path]).exits(0);
        for picture in ["ascii", "mermaid", "dot", "json"] {
            let said = place.apflow(&["graph", path, "-o", picture]).exits(0);
            assert!(!said.out.is_empty(), "{picture} of {path}");
        }
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} examples were found");
    assert!(!place.path(".apflow").exists(), "looking at a file makes no database");
}

#[test]
fn hello_and_the_diamond_complete_with_data_on_stdout_and_talk_on_stderr() {
    let place = Place::new();
    let hello = place.apflow(&["run", &example("hello.yaml"), "-o", "json"]).exits(0);
    let run = hello.json();
    assert_eq!(run["outcome"], "completed");
    assert_eq!(run["tasks"][0]["result"]["system"], "Linux", "{run}");
    assert!(hello.err.contains("✓ machine"), "{}", hello.err);

    let said = place.apflow(&["run", &example("diamond.yaml"), "-o", "json"]).exits(0);
    let run = said.json();
    let tasks = run["tasks"].as_array().expect("tasks");
    assert_eq!(tasks.len(), 4);
    assert_eq!(tasks[3]["result"]["result_count"], 2, "{run}");
}

fn git(at: &Path, args: &[&str]) {
    let done = Command::new("git")
        .arg("-C")
        .arg(at)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
        .args(["-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"])
        .args(args)
        .output();
    let done = done.expect("git starts");
    assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn the_report_of_a_repository_holds_what_every_branch_found() {
    let place = Place::new();
    let repo = place.path("repo");
    fs::create_dir(&repo).expect("a directory");
    git(&repo, &["init", "-q"]);
    fs::write(repo.join("a.rs"), "// TODO: more\n").expect("a file");
    fs::write(repo.join("big.txt"), "x".repeat(5000)).expect("a file");
    git(&repo, &["add", "."]);
    git(&repo, &["commit", "-q", "-m", "first | of all"]);
    let report = example("repo-report.yaml");
    let args = ["run", &report, "--allow-command", "git", "--print", "markdown", "-i", "repo=repo"];
    let page = place.apflow(&args).exits(0).out;
    for part in [
        "# Repository report",
        "## Commits\n\n1\n",
        "| Ada | 1 |",
        "| first \\| of all |",
        "| .rs | 1 |",
        "| big.txt | 5000 |",
        "| a.rs | 1 |",
        "| cpu.cores |",
    ] {
        assert!(page.contains(part), "`{part}` is not in:\n{page}");
    }
}

#[test]
fn without_a_repository_those_tasks_fail_clearly_and_the_report_comes_all_the_same() {
    let place = Place::new();
    let report = example("repo-report.yaml");
    let args = ["run", &report, "--allow-command", "git", "--print", "markdown"];
    let said = place.apflow(&args).exits(1).tells(&["✗ commits", "not a git repository"]);
    assert!(said.out.contains("Not available: `commits` has no result"), "{}", said.out);
    assert!(said.out.contains("| cpu.cores |"), "{}", said.out);
}
