//! The binary as its users meet it: real processes, real files, real signals.

#![expect(clippy::expect_used, reason = "a helper of tests may panic")]

mod config;
mod crash;
mod daemon;
mod errors;
mod examples;
mod help;
mod output;
mod python_client;
mod reload;
mod remote;
mod run;
mod scheduled;
mod serve;
mod tasks;
mod token;
mod twin;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// Long enough for a busy machine; nothing that works comes near it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory of its own with what happens in it.
struct Place {
    dir: TempDir,
}

/// What a process said when it ended.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
        name.to_owned()
    }

    /// The lines of a file that programs append to; none if there is no file.
    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// A script that tasks may be allowed to run; its first argument says what to note down.
    fn script(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("an executable");
        path.to_str().expect("a plain path").to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apflow"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        // Nobody's own configuration counts here.
        command.env("HOME", self.dir.path()).env_remove("XDG_CONFIG_HOME");
        for (name, _) in std::env::vars() {
            if name.starts_with("APFLOW_")
                || ["DATABASE_URL", "RUST_LOG", "LOG_LEVEL"].contains(&name.as_str())
            {
                command.env_remove(name);
            }
        }
        command
    }

    fn apflow(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().expect("apflow starts"))
    }

    /// Runs it with this on its standard input.
    fn fed(&self, args: &[&str], text: &str) -> Said {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("apflow starts");
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
        Said::of(&child.wait_with_output().expect("apflow ends"))
    }

    /// Starts it and lets it go on.
    fn start(&self, args: &[&str]) -> Running {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running { child: Some(command.spawn().expect("apflow starts")) }
    }

    fn wait_for_lines(&self, name: &str, count: usize) {
        until(&format!("{count} lines in {name}"), || self.lines(name).len() >= count);
    }
}

impl Said {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// It must have ended like this; what it said is shown if not.
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// What it said to people holds these parts.
    #[track_caller]
    fn tells(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.err.contains(part), "`{part}` is not in:\n{}", self.err);
        }
        self
    }
}

/// A process that goes on; it does not outlive its test.
struct Running {
    child: Option<Child>,
}

impl Running {
    fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Sends it a signal by its id.
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(sent.expect("kill starts").success(), "{name} could not be sent");
    }

    fn end(mut self) -> Said {
        let mut child = self.child.take().expect("it runs");
        let since = Instant::now();
        while child.try_wait().expect("it can be asked").is_none() {
            if since.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("it does not end");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Said::of(&child.wait_with_output().expect("it has ended"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[track_caller]
fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let since = Instant::now();
    while !happened() {
        assert!(since.elapsed() < PATIENCE, "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The same text with what differs from run to run made equal: moments, times, made-up ids, blanks.
fn calm(text: &str) -> String {
    let moment = |word: &str| word.len() >= 20 && word.starts_with("20") && word.contains('T');
    let number = |word: &str| word.parse::<f64>().is_ok();
    let made_up = |word: &str| {
        let word = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        word.len() == 36 && word.split('-').count() == 5
    };
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = &without_ages(line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut calm: Vec<String> = Vec::new();
        let indent = &line[..line.len() - line.trim_start().len()];
        for (place, word) in words.iter().enumerate() {
            let bare = word.trim_matches(['"', ',']);
            let timed = words.get(place + 1).is_some_and(|next| ["ms", "s"].contains(next));
            calm.push(if moment(bare) {
                word.replace(bare, "MOMENT")
            } else if made_up(word) {
                "ID".to_owned()
            } else if timed && number(word) {
                "0".to_owned()
            } else if *word == "ms" && place > 0 && number(words[place - 1]) {
                "s".to_owned()
            } else {
                (*word).to_owned()
            });
        }
        lines.push(format!("{indent}{}", calm.join(" ")));
    }
    lines.join("\n")
}

/// A line without how long ago its moments were: `(now)`, `(3 s ago)`.
fn without_ages(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(" (") {
        text.push_str(before);
        match after.split_once(')') {
            Some((age, after)) if age == "now" || age.ends_with(" ago") => rest = after,
            _ => {
                text.push_str(" (");
                rest = after;
            }
        }
    }
    text + rest
}

/// The examples of the repository.
fn example(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    root.canonicalize().expect("an example").to_str().expect("a plain path").to_owned()
}
