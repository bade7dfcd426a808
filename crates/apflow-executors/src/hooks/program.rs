//! A program as a hook: the question on standard input, the answer on standard output.

use std::{ffi::OsString, path::PathBuf, process::Stdio, time::Duration};

use apflow_core::executor::Context;

use super::{Command, MAX_ANSWER};
use crate::command::{
    CommandConfig, Limits,
    group::{self, Captured, End, Run},
    locate, search_path,
};

/// A program that was found.
pub(super) struct Program {
    file: PathBuf,
    args: Vec<String>,
    cwd: PathBuf,
    home: PathBuf,
    path: OsString,
    grace: Duration,
    limits: Limits,
}

impl Program {
    pub(super) fn new(command: &Command, config: &CommandConfig) -> Result<Self, String> {
        let file = locate(&command.program, &config.path).ok_or_else(|| {
            format!(
                "the program {:?} is not there or cannot be executed; write its absolute path",
                command.program
            )
        })?;
        if command.args.iter().any(|word| word.contains('\0')) {
            return Err("one of its arguments contains U+0000".to_owned());
        }
        Ok(Self {
            file,
            args: command.args.clone(),
            cwd: config.cwd.clone(),
            home: config.home.clone(),
            path: search_path(&config.path),
            grace: config.grace,
            limits: config.limits,
        })
    }

    pub(super) async fn ask(&self, about: &str, time: Duration) -> Result<String, String> {
        let mut command = tokio::process::Command::new(&self.file);
        command
            .args(&self.args)
            .current_dir(&self.cwd)
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", &self.home)
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What it says there may hold secrets, and nobody would read it.
            .stderr(Stdio::null());
        let (mut said, mut nothing) = (Captured::up_to(MAX_ANSWER), Captured::up_to(0));
        // Who is cancelled drops this future, and with it the process group.
        let context = Context::detached("hook");
        let run = Run { input: Some(about), time, grace: self.grace, context: &context };
        let limits = self.limits;
        let end = group::run(command, run, |id| limits.impose(id), &mut said, &mut nothing)
            .await
            .map_err(|error| format!("its program could not be run: {error}"))?;
        match end {
            End::Exited(status) if !status.success() => {
                Err(format!("its program ended with {status}"))
            }
            End::Exited(_) if said.truncated => {
                Err(format!("its program said more than {MAX_ANSWER} bytes"))
            }
            End::Exited(_) => Ok(said.text()),
            End::TimedOut | End::Cancelled => {
                Err(format!("its program took longer than {} s", time.as_secs_f64()))
            }
        }
    }
}
