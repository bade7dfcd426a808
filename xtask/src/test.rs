//! `cargo xtask test`: every test of the workspace, with a PostgreSQL of its own beside SQLite.

use std::{
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{postgres, python, redis, workspace};

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    quick: bool,
    /// What `cargo test` gets.
    arguments: Vec<String>,
}

/// What the test binaries reported, added up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    binaries: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// Runs the tests and reports.
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    let wish = read(words)?;
    let root = workspace::root()?;
    let begun = Instant::now();
    let found = postgres::make_sure_of_programs()?;
    let version = found.version();
    let server = postgres::Server::start(found)?;
    println!("xtask: {version} is up after {:.1} s", begun.elapsed().as_secs_f64());

    let mut command = test_command(&root, &wish);
    server.export(&mut command);
    if let Err(why) = python::export(&root, &mut command) {
        println!("xtask: no Python, the tests that need it will fail: {why}");
    }
    if let Err(why) = redis::export(&mut command) {
        println!("xtask: no Redis, the tests that need it will fail: {why}");
    }
    let ran = run_and_count(&mut command);
    let stopped = server.stop();
    let (succeeded, tally) = ran?;

    println!(
        "xtask: {} passed, {} failed, {} ignored in {} binaries and {:.0} s (SQLite and {version}{})",
        tally.passed,
        tally.failed,
        tally.ignored,
        tally.binaries,
        begun.elapsed().as_secs_f64(),
        if wish.quick { ", quick" } else { "" },
    );
    if !succeeded {
        return Err(if tally.failed == 0 {
            "the tests did not get to their end; the reason is above".to_owned()
        } else {
            format!("{} failed; each is named above", of_tests(tally.failed))
        });
    }
    if tally.passed == 0 {
        return Err("no test ran; is there one of that name?".to_owned());
    }
    stopped
}

fn of_tests(number: u64) -> String {
    if number == 1 { "1 test".to_owned() } else { format!("{number} tests") }
}

fn read(words: &[String]) -> Result<Wish, String> {
    let (ours, theirs) = match words.iter().position(|word| word == "--") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (words, &[][..]),
    };
    let mut quick = false;
    for word in ours {
        if word != "--quick" {
            return Err(format!(
                "`{word}` is not understood; write `cargo xtask test -- {word}` to hand it to `cargo test`"
            ));
        }
        quick = true;
    }
    Ok(Wish { quick, arguments: theirs.to_vec() })
}

/// Every crate with every feature, so that no test is compiled away unseen, unless some are named.
fn test_command(root: &Path, wish: &Wish) -> Command {
    let mut command = workspace::cargo();
    command.current_dir(root).args(["test", "--no-fail-fast"]);
    let for_cargo = wish.arguments.iter().take_while(|word| *word != "--");
    let named =
        for_cargo.into_iter().any(|word| word.starts_with("-p") || word.starts_with("--package"));
    command.args(if named { &["--all-features"][..] } else { &["--workspace", "--all-features"] });
    command.args(&wish.arguments);
    if wish.quick {
        command.env("APFLOW_TEST_QUICK", "1");
    }
    command
}

/// Runs the tests, passing on what they print as it comes, and counts what they report.
fn run_and_count(command: &mut Command) -> Result<(bool, Tally), String> {
    let broken = |error: std::io::Error| format!("`cargo test` cannot be followed: {error}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`cargo test` did not start: {error}"))?;
    let mut tally = Tally::default();
    if let Some(mut stdout) = child.stdout.take() {
        let (mut chunk, mut line) = ([0; 8192], Vec::new());
        loop {
            let length = stdout.read(&mut chunk).map_err(broken)?;
            if length == 0 {
                break;
            }
            let mut screen = std::io::stdout().lock();
            screen.write_all(&chunk[..length]).and_then(|()| screen.flush()).map_err(broken)?;
            for byte in &chunk[..length] {
                if *byte == b'\n' {
                    tally.add(&String::from_utf8_lossy(&line));
                    line.clear();
                } else {
                    line.push(*byte);
                }
            }
        }
    }
    Ok((child.wait().map_err(broken)?.success(), tally))
}

impl Tally {
    /// Adds the closing line of a test binary; other lines say nothing.
    fn add(&mut self, line: &str) {
        // The output of a test that prints without a line end may stand before it.
        let Some((_, numbers)) = line.split_once("test result: ") else { return };
        let Some((_, numbers)) = numbers.split_once(". ") else { return };
        self.binaries += 1;
        for part in numbers.split("; ") {
            let Some((number, word)) = part.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(line: &str) -> Result<Wish, String> {
        read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn arguments(line: &str) -> Vec<String> {
        let command = test_command(Path::new("/"), &wish(line).unwrap());
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn words_behind_the_dashes_go_to_cargo_test() {
        assert_eq!(
            arguments("--quick -- lease -- --nocapture"),
            [
                "test",
                "--no-fail-fast",
                "--workspace",
                "--all-features",
                "lease",
                "--",
                "--nocapture"
            ]
        );
        assert!(wish("--quick").unwrap().quick);
    }

    #[test]
    fn who_names_a_package_gets_that_package_only() {
        for line in ["-- -p apflow-core", "-- --package=apflow-core"] {
            assert!(!arguments(line).contains(&"--workspace".to_owned()), "{line}");
        }
        assert!(arguments("-- name -- -p").contains(&"--workspace".to_owned()));
    }

    #[test]
    fn a_word_that_is_not_understood_is_refused_with_the_way_to_say_it() {
        let refused = wish("lease").unwrap_err();
        assert!(refused.contains("cargo xtask test -- lease"), "{refused}");
    }

    #[test]
    fn results_of_all_binaries_are_added_up() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.00s",
            "half a line test result: \u{1b}[31mFAILED\u{1b}[m. 1 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "test a_result ... ok",
        ] {
            tally.add(line);
        }
        assert_eq!(tally, Tally { binaries: 2, passed: 4, failed: 2, ignored: 1 });
    }
}
