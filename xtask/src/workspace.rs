//! What the other chores know of the workspace: its root, its files and its packages.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// A file of the repository, read once.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// The path from the root, with `/`.
    pub path: String,
    /// What is in it; files that are not text are left out of the list.
    pub text: String,
}

impl File {
    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }
}

/// The cargo that runs us, or the one on PATH.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command with our terminal; anything but success is an error that repeats the command.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let line = line_of(command);
    let status = command.status().map_err(|error| format!("`{line}` did not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` failed ({status})")) }
}

/// Runs a command and returns what it printed on stdout; stderr goes to the terminal.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let line = line_of(command);
    // What is read by us must not be coloured for people.
    let output = command
        .env("CARGO_TERM_COLOR", "never")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("`{line}` did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{line}` failed ({})", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{line}` printed something but text"))
}

fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut line = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

/// The directory of the workspace we are called in.
pub(crate) fn root() -> Result<PathBuf, String> {
    let manifest =
        output(cargo().args(["locate-project", "--workspace", "--message-format", "plain"]))?;
    match Path::new(manifest.trim()).parent() {
        Some(directory) => Ok(directory.to_owned()),
        None => Err(format!("cargo names no workspace but `{}`", manifest.trim())),
    }
}

/// The files git knows and those it would add, without what it ignores.
pub(crate) fn files(root: &Path) -> Result<Vec<File>, String> {
    let list = output(Command::new("git").current_dir(root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let mut paths: Vec<&str> = list.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let full = root.join(path);
        // A deleted file that is still in the index, a link to a directory, a submodule.
        if !full.is_file() {
            continue;
        }
        let bytes = std::fs::read(&full).map_err(|error| format!("{path}: {error}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

/// What cargo says of our own packages.
pub(crate) fn metadata(root: &Path) -> Result<Value, String> {
    let text =
        output(cargo().current_dir(root).args(["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str(&text).map_err(|error| format!("`cargo metadata`: {error}"))
}

/// The packages in an answer of [`metadata`].
pub(crate) fn packages(metadata: &Value) -> &[Value] {
    metadata["packages"].as_array().map_or(&[], Vec::as_slice)
}
