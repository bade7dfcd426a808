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
    let mut known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    known.push("exit-codes");
    known.extend(command.get_subcommands().map(clap::Command::get_name));
    let told = CliError::new(Code::NotFound, format!("there is no page on `{subject}`"));
    let last = Code::ALL.last().map_or("", |code| code.as_str());
    Err(match nearest(subject, known) {
        Some(meant) => told.help(format!("did you mean `{meant}`?")),
        None => told.help(format!("codes go from AF0001 to {last}; also: exit-codes")),
    })
}
