//! `apflow explain` and `apflow help`: error pages, exit codes, and the help of commands.

use apflow::core::{code::Code, problem::nearest};
use clap::CommandFactory as _;

use crate::{
    args::{Args, EXIT_CODES, Explain},
    error::{CliError, Exit},
    show,
};

pub(crate) fn explain(args: &Explain) -> Result<Exit, CliError> {
    let mut command = Args::command();
    let Some(subject) = args.subject.as_deref() else {
        show::data(&command.render_help().ansi().to_string())?;
        return Ok(Exit::Ok);
    };
    if subject == "exit-codes" {
        show::data(EXIT_CODES)?;
        return Ok(Exit::Ok);
    }
    if let Some(code) = Code::parse(subject) {
        show::data(code.page())?;
        return Ok(Exit::Ok);
    }
    command.build();
    if let Some(found) = command.find_subcommand_mut(subject) {
        show::data(&found.render_long_help().ansi().to_string())?;
        return Ok(Exit::Ok);
    }
    // AF0006 is about tasks; a page that is not there is a wrong argument.
    let none = |what: String| CliError::usage(what).exiting(Exit::NotFound);
    let last = Code::ALL.last().map_or("", |code| code.as_str());
    let range = format!("codes go from AF0001 to {last}; also: exit-codes");
    if let Some(number) = number_of(subject) {
        let told = none(format!("there is no code `{subject}`"));
        // Another code is no slip of the finger, but zeros are easily left out.
        return Err(match Code::parse(&format!("AF{number:04}")) {
            Some(meant) => told.help(format!("did you mean `{meant}`?")),
            None => told.help(range),
        });
    }
    let mut known: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    known.push("exit-codes");
    let told = none(format!("there is no page on `{subject}`"));
    Err(match nearest(subject, known) {
        Some(meant) => told.help(format!("did you mean `{meant}`?")),
        None => told.help(range),
    })
}

/// The number of what is written like a code: `AF27`, `af0027`, `27`.
fn number_of(subject: &str) -> Option<u32> {
    let lower = subject.to_ascii_lowercase();
    lower.strip_prefix("af").unwrap_or(&lower).trim_start_matches('-').parse().ok()
}
