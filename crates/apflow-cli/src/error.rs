//! Errors as people see them, and the exit codes that programs see.

use std::{fmt::Write as _, process::ExitCode};

use anstyle::{AnsiColor, Style};
use apflow::core::{
    api::ApiError,
    code::Code,
    engine::SubmitError,
    problem::{Problem, Problems},
    store::StoreError,
};

use crate::show;

/// How the process ends; the numbers are promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that was asked for is done.
    Ok,
    /// A run failed.
    Failed,
    /// The arguments or the file are wrong.
    Usage,
    /// No valid credential.
    Auth,
    /// What was named does not exist.
    NotFound,
    /// What is stored stands in the way.
    Conflict,
    /// The time to wait is over.
    Timeout,
    /// No database or server.
    Unreachable,
    /// A run failed because a budget is used up.
    Budget,
    /// A run was cancelled.
    Cancelled,
    /// Stopped by a signal.
    Interrupted,
}

impl Exit {
    /// The number.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Auth => 3,
            Self::NotFound => 4,
            Self::Conflict => 5,
            Self::Timeout => 6,
            Self::Unreachable => 7,
            Self::Budget => 8,
            Self::Cancelled => 9,
            Self::Interrupted => 130,
        }
    }

    /// The number that goes with an error code.
    pub(crate) const fn of(code: Code) -> Self {
        match code {
            Code::InvalidTask
            | Code::InvalidSchedule
            | Code::Cycle
            | Code::UnknownReference
            | Code::InvalidParent
            | Code::InvalidTree
            | Code::UnknownExecutor
            | Code::ExecutorNotAllowed
            | Code::InvalidParams
            | Code::UnknownMethod
            | Code::NotJson
            | Code::InvalidRequest
            | Code::TooLarge
            | Code::WorkflowFile
            | Code::DatabaseAddress
            | Code::Config
            | Code::InvalidInputs
            | Code::AmbiguousId
            | Code::HttpRequest
            | Code::SettingRefused
            | Code::NoSchedule
            | Code::OverlapUnavailable
            | Code::NoCallbacks
            | Code::NoGenerator
            | Code::NotOffered
            | Code::UnfitAnswer
            | Code::InvalidExpression
            | Code::UnreadableExport
            | Code::SnapshotTooLarge
            | Code::InvalidGroup
            | Code::InvalidPattern
            | Code::NoLlmKey
            | Code::InvalidFlow => Self::Usage,
            Code::NotFound
            | Code::NoSuchWait
            | Code::NoSnapshot
            | Code::NoLimit
            | Code::NoBreaker
            | Code::NoDeadLetter
            | Code::NoBudget => Self::NotFound,
            Code::IllegalTransition
            | Code::Unfinished
            | Code::Fixed
            | Code::WaitClosed
            | Code::AlreadyRunning
            | Code::CannotDelete
            | Code::KeyReused
            | Code::SnapshotMismatch
            | Code::ChannelType
            | Code::ChannelChanged
            | Code::ChannelLock
            | Code::ChannelFull
            | Code::ChannelGone
            | Code::NotAsking => Self::Conflict,
            Code::Internal | Code::EgressRefused | Code::CommandRefused => Self::Failed,
            Code::DatabaseLocked
            | Code::DatabaseFull
            | Code::DatabaseDamaged
            | Code::DatabaseTooNew
            | Code::DatabaseUnavailable
            | Code::ServerUnreachable
            | Code::Overloaded
            | Code::RateLimited
            | Code::TooManyStreams
            | Code::Draining => Self::Unreachable,
            Code::Timeout => Self::Timeout,
            Code::Unauthorized | Code::Forbidden | Code::WebhookRefused => Self::Auth,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// Why a command could not be done.
#[derive(Debug)]
pub(crate) enum CliError {
    /// One thing, in words.
    Said { code: Code, exit: Exit, what: String, why: Option<String>, help: Vec<String> },
    /// Everything that is wrong with a file or a request.
    Problems { of: Option<String>, problems: Vec<Problem> },
    /// Whoever read our output has gone; that is no error.
    NobodyReads,
}

impl CliError {
    /// An error of this sort; the exit code follows from it.
    pub(crate) fn new(code: Code, what: impl Into<String>) -> Self {
        Self::Said { code, exit: Exit::of(code), what: what.into(), why: None, help: Vec::new() }
    }

    /// What the API said; it has one code for trees that cannot be stored, and a taken id is a conflict.
    pub(crate) fn api(code: Code, what: impl Into<String>) -> Self {
        let what = what.into();
        let taken = code == Code::InvalidTree && what.contains("already exists");
        let told = Self::new(code, what);
        if taken { told.exiting(Exit::Conflict).help("choose another id") } else { told }
    }

    /// An argument, variable or file that cannot be used.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Code::Config, what)
    }

    /// A fault of ours.
    pub(crate) fn internal(what: impl Into<String>) -> Self {
        Self::new(Code::Internal, what)
    }

    /// Gives the reason.
    pub(crate) fn because(mut self, reason: impl Into<String>) -> Self {
        if let Self::Said { why, .. } = &mut self {
            *why = Some(reason.into());
        }
        self
    }

    /// Adds a line of advice.
    pub(crate) fn help(mut self, line: impl Into<String>) -> Self {
        if let Self::Said { help, .. } = &mut self {
            help.push(line.into());
        }
        self
    }

    /// Chooses another exit code.
    pub(crate) fn exiting(mut self, with: Exit) -> Self {
        if let Self::Said { exit, .. } = &mut self {
            *exit = with;
        }
        self
    }

    /// Problems of a file or a request, named by `of`.
    pub(crate) fn problems(of: impl Into<String>, Problems(problems): Problems) -> Self {
        Self::Problems { of: Some(of.into()), problems }
    }

    /// Problems of a request.
    pub(crate) fn of_problems(problems: Vec<Problem>) -> Self {
        Self::Problems { of: None, problems }
    }

    /// What sort of error it is, if it is of one sort.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Said { code, .. } => Some(*code),
            Self::Problems { problems, .. } => match problems.as_slice() {
                [only] => Some(only.code),
                _ => None,
            },
            Self::NobodyReads => None,
        }
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Said { exit, .. } => *exit,
            Self::Problems { problems, .. } => {
                // A file with several faults is an invalid file, whatever they are.
                match problems.as_slice() {
                    [only] => Exit::of(only.code),
                    _ => Exit::Usage,
                }
            }
            Self::NobodyReads => Exit::Ok,
        }
    }

    /// Prints it to standard error.
    pub(crate) fn show(&self) {
        let text = self.text();
        if !text.is_empty() {
            show::say(&text);
        }
    }

    /// The text, with colours that the stream takes out where there are none.
    fn text(&self) -> String {
        match self {
            Self::Said { code, what, why, help, .. } => {
                let mut text = heading(code.as_str(), what);
                if let Some(why) = why {
                    text.push_str(&line("why", why));
                }
                let explain = format!("apflow explain {code}");
                let lines = help.iter().chain(help.is_empty().then_some(&explain));
                for (place, advice) in lines.enumerate() {
                    text.push_str(&line(if place == 0 { "help" } else { "" }, advice));
                }
                text
            }
            Self::Problems { of, problems } => {
                let mut text = String::new();
                for one in problems {
                    text.push_str(&problem(one, of.as_deref()));
                    text.push('\n');
                }
                if problems.len() > 1 {
                    let of = of.as_deref().unwrap_or("the request");
                    let count = problems.len();
                    let _ = writeln!(text, "{RED}error{RED:#}: {of} has {count} problems");
                } else {
                    text.pop();
                }
                text
            }
            Self::NobodyReads => String::new(),
        }
    }
}

const RED: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = AnsiColor::Cyan.on_default();

/// The first line of an error.
pub(crate) fn heading(code: &str, what: &str) -> String {
    format!("{RED}error[{code}]{RED:#}: {}\n", show::plain_lines(what))
}

/// A line below it; `label` may be empty for a continuation.
pub(crate) fn line(label: &str, text: &str) -> String {
    let text = show::plain_lines(text).replace('\n', "\n            ");
    format!("  {DIM}{label:<8}{DIM:#}  {text}\n")
}

fn problem(one: &Problem, of: Option<&str>) -> String {
    let mut what = one.code.title().to_owned();
    if let Some(task) = &one.task {
        let _ = write!(what, ": {task}");
    }
    let mut text = heading(one.code.as_str(), &what);
    if let Some(of) = of {
        text.push_str(&line("in", of));
    }
    if let Some(field) = &one.field {
        text.push_str(&line("field", field));
    }
    if what != one.reason {
        text.push_str(&line("why", &one.reason));
    }
    if let Some(expected) = &one.expected {
        text.push_str(&line("expected", expected));
    }
    if let Some(actual) = &one.actual {
        text.push_str(&line("found", actual));
    }
    let explain = format!("apflow explain {}", one.code);
    text.push_str(&line("help", one.hint.as_ref().unwrap_or(&explain)));
    text
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<ApiError> for CliError {
    fn from(error: ApiError) -> Self {
        if !error.problems.is_empty() {
            return Self::of_problems(error.problems);
        }
        // At the keyboard what the database said may be shown; `detail` is only its sort then.
        let (what, why) = match &error.source {
            Some(source) => (error.detail, Some(source.to_string())),
            None => (error.detail, None),
        };
        let hint = error.hint.or_else(|| error.source.as_ref().and_then(|source| source.hint()));
        let mut told = Self::api(error.code, what);
        if let Some(why) = why {
            told = told.because(why);
        }
        if let Some(hint) = hint {
            told = told.help(hint);
        }
        told
    }
}

impl From<SubmitError> for CliError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Problems(Problems(problems)) => Self::Problems { of: None, problems },
            SubmitError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = include_str!("../../../docs/guides/cli.md");

    #[test]
    fn the_exit_codes_are_those_that_were_promised() {
        let all = [
            (Exit::Ok, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::Auth, 3),
            (Exit::NotFound, 4),
            (Exit::Conflict, 5),
            (Exit::Timeout, 6),
            (Exit::Unreachable, 7),
            (Exit::Budget, 8),
            (Exit::Cancelled, 9),
            (Exit::Interrupted, 130),
        ];
        for (exit, number) in all {
            assert_eq!(exit.number(), number);
            assert!(
                crate::args::EXIT_CODES.contains(&format!("\n{number:>5}  ")),
                "{number} is not in `apflow help exit-codes`"
            );
            assert!(GUIDE.contains(&format!("\n| {number} | ")), "{number} is not in the guide");
        }
    }

    #[test]
    fn an_error_says_what_why_and_what_next_and_cannot_steer_the_terminal() {
        let error = CliError::new(Code::DatabaseLocked, "another \u{1b}[2Jprocess")
            .because("process 7 has it")
            .help("stop it");
        let text = anstream::adapter::strip_str(&error.text()).to_string();
        assert_eq!(
            text,
            "error[AF0020]: another \\u{1b}[2Jprocess\n  why       process 7 has it\n  help      stop it\n"
        );
        assert_eq!(error.exit(), Exit::Unreachable);
    }
}
