//! The workspace's own chores, each a subcommand of `cargo xtask`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore reports to the terminal")]

use std::process::ExitCode;

mod features;
mod postgres;
mod python;
mod redis;
mod reference;
mod rust_source;
mod test;
mod tidy;
mod workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--quick] [-- ARGS]  run every test against a private PostgreSQL; ARGS go to `cargo test`
  tidy                      check the rules of the house that no compiler knows
  reference                 write the generated pages of docs/ anew
  features                  check every feature of every library alone
  bench [ARGS]              measure (profile release-fast); ARGS go to the benchmark
  chaos [ARGS]              the long kill tests; ARGS go to them
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = words.split_first() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let outcome = match command.as_str() {
        "test" => test::run(rest),
        "tidy" => no_arguments(rest).and_then(|()| tidy::run()),
        "reference" => no_arguments(rest).and_then(|()| reference::write()),
        "features" => no_arguments(rest).and_then(|()| features::run()),
        "bench" | "chaos" => measure(command, rest),
        postgres::KEEPER => postgres::keep(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(format!("there is no command `{other}`\n\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("xtask: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn no_arguments(rest: &[String]) -> Result<(), String> {
    match rest.first() {
        None => Ok(()),
        Some(word) => Err(format!("this command takes no arguments, and got `{word}`")),
    }
}

/// Runs a binary of the package `apflow-bench`, which starts its own servers if it needs any.
fn measure(binary: &str, arguments: &[String]) -> Result<(), String> {
    let mut command = workspace::cargo();
    command
        .args(["run", "--profile", "release-fast", "--package", "apflow-bench"])
        .args(["--bin", binary, "--"])
        .args(arguments);
    if let Some(found) = postgres::find() {
        found.export(&mut command);
    }
    workspace::run(&mut command)
}
