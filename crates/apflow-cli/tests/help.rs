//! The help, which is a promise too.

use crate::Place;

fn shown(args: &[&str]) -> String {
    let mut command = Place::new().command(args);
    command.env("COLUMNS", "100").current_dir("/");
    let output = command.output().expect("apflow starts");
    assert_eq!(output.status.code(), Some(0), "{args:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_help_lists_every_command() {
    insta::assert_snapshot!(shown(&["--help"]));
}

#[test]
fn the_help_of_run_names_every_flag() {
    insta::assert_snapshot!(shown(&["run", "-h"]));
}

#[test]
fn the_exit_codes_are_written_down() {
    insta::assert_snapshot!(shown(&["help", "exit-codes"]));
}

/// The commands of the reference: every heading is one.
fn commands() -> Vec<Vec<String>> {
    let page = include_str!("../../../docs/reference/cli.md");
    let headings =
        page.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(" apflow "));
    headings.map(|words| words.split(' ').map(str::to_owned).collect()).collect()
}

#[test]
fn every_command_explains_itself() {
    let commands = commands();
    assert!(commands.len() > 40, "{commands:?}");
    let place = Place::new();
    for words in commands {
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        words.push("--help");
        let said = place.apflow(&words).exits(0);
        assert!(said.out.contains("Usage: apflow"), "{words:?}: {}", said.out);
        assert!(!said.out.contains('\u{1b}') && said.err.is_empty(), "{words:?}");
    }
    assert!(!place.path(".apflow").exists(), "help makes no database");
}

#[test]
fn the_reference_is_what_the_program_prints() {
    let page = include_str!("../../../docs/reference/cli.md");
    let printed = Place::new().apflow(&["reference"]).exits(0).out;
    assert!(page == printed, "run `cargo xtask reference`");
}

#[test]
fn manual_pages_and_completions_name_every_command() {
    let place = Place::new();
    place.apflow(&["man", "pages"]).exits(0).tells(&["pages are in pages"]);
    for words in commands() {
        let page = place.path(&format!("pages/apflow-{}.1", words.join("-")));
        let text = std::fs::read_to_string(&page).expect("a page");
        assert!(text.contains(".SH SYNOPSIS") || text.contains(".SH NAME"), "{}", page.display());
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = place.apflow(&["completions", shell]).exits(0).out;
        for word in ["tasks", "clone", "monitor", "why", "daemon"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
    place.apflow(&["completions", "tcsh"]).exits(2);
    assert!(place.apflow(&["man"]).exits(0).out.contains(".TH apflow 1"));
}

#[test]
fn names_that_are_kept_for_later_say_what_does_it_today() {
    let place = Place::new();
    for args in [
        &["worker", "--db", "x"][..],
        &["mcp", "serve", "--transport", "stdio"],
        &["generate", "task-tree", "--help"],
    ] {
        let said = place.apflow(args).exits(2);
        assert!(said.out.is_empty());
        said.tells(&["is not there yet", "why", "help"]);
    }
    assert!(place.apflow(&["version"]).exits(0).out.starts_with("apflow version 0."));
}

#[test]
fn help_finds_commands_pages_and_codes() {
    assert!(shown(&["help", "serve"]).contains("--insecure"));
    assert!(shown(&["explain", "af0020"]).starts_with("# AF0020"));
    assert!(shown(&["--version"]).starts_with("apflow 0."));
    assert!(shown(&["schema", "workflow"]).contains("apflow workflow file"));
    assert!(shown(&["info"]).contains("report_executor"));
    assert!(shown(&["info", "command_executor"]).contains("ok_codes"));
}
