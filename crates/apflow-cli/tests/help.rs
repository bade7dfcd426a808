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

#[test]
fn help_finds_commands_pages_and_codes() {
    assert!(shown(&["help", "serve"]).contains("--insecure"));
    assert!(shown(&["explain", "af0020"]).starts_with("# AF0020"));
    assert!(shown(&["--version"]).starts_with("apflow 0."));
    assert!(shown(&["schema", "workflow"]).contains("apflow workflow file"));
    assert!(shown(&["info"]).contains("report_executor"));
    assert!(shown(&["info", "command_executor"]).contains("ok_codes"));
}
