//! Commands about the program itself: completions, manual pages, version, the reference, reserved names.

use std::{fmt::Write as _, fs, path::Path};

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use clap_complete::Shell as Completer;

use crate::{
    args::{Args, Completions, Man, Shell},
    error::{CliError, Exit},
    show,
};

pub(crate) fn completions(args: &Completions) -> Result<Exit, CliError> {
    let shell = match args.shell {
        Shell::Bash => Completer::Bash,
        Shell::Zsh => Completer::Zsh,
        Shell::Fish => Completer::Fish,
        Shell::Elvish => Completer::Elvish,
        Shell::Powershell => Completer::PowerShell,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "apflow", &mut text);
    show::data(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Ok)
}

pub(crate) fn version() -> Result<Exit, CliError> {
    show::data(&format!("apflow version {}\n", env!("CARGO_PKG_VERSION")))?;
    Ok(Exit::Ok)
}

pub(crate) fn man(args: &Man) -> Result<Exit, CliError> {
    let mut command = Args::command();
    command.build();
    let Some(dir) = &args.dir else {
        show::data(&page(&command, "apflow")?)?;
        return Ok(Exit::Ok);
    };
    fs::create_dir_all(dir).map_err(|error| unwritable(dir, &error))?;
    let count = pages(&command, "apflow", dir)?;
    let dir = dir.display();
    show::say(&format!("{count} pages are in {dir}; man -l {dir}/apflow.1 shows the first"));
    Ok(Exit::Ok)
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::usage(format!("{} cannot be written", path.display())).because(error.to_string())
}

/// Writes the page of a command and of those below it; returns how many.
fn pages(command: &Command, name: &str, dir: &Path) -> Result<usize, CliError> {
    let path = dir.join(format!("{name}.1"));
    fs::write(&path, page(command, name)?).map_err(|error| unwritable(&path, &error))?;
    let mut count = 1;
    for below in shown(command) {
        count += pages(below, &format!("{name}-{}", below.get_name()), dir)?;
    }
    Ok(count)
}

/// The page of one command.
fn page(command: &Command, name: &str) -> Result<String, CliError> {
    let mut text = Vec::new();
    // The title of a page has no blanks; the usage in it keeps the whole name.
    clap_mangen::Man::new(command.clone())
        .title(name)
        .render(&mut text)
        .map_err(|error| CliError::internal("a page cannot be made").because(error.to_string()))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The commands below a command that are meant to be found.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help")
}

/// The reference of all commands as Markdown; it is made from the arguments themselves.
pub(crate) fn reference() -> Result<Exit, CliError> {
    show::data(&markdown())?;
    Ok(Exit::Ok)
}

fn markdown() -> String {
    let mut command = Args::command().term_width(100);
    command.build();
    let mut text = String::from(
        "# Commands\n\n\
         Every command of `apflow` with its arguments. The [guide](../guides/cli.md) says how they go \
         together.\n\n\
         This page is made from `crates/apflow-cli/src/args.rs` by `cargo xtask reference`.\n\n\
         These options go with every command:\n\n",
    );
    for arg in command.get_arguments().filter(|it| it.is_global_set() && it.get_id() != "help") {
        option(&mut text, arg);
    }
    text.push_str("- `-h, --help`: Print the help of that command.\n\n");
    for below in shown(&command) {
        describe(&mut text, below, &format!("apflow {}", below.get_name()), 2);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn describe(text: &mut String, command: &Command, name: &str, level: usize) {
    let _ = writeln!(text, "{} {name}\n", "#".repeat(level.min(4)));
    let about = command.get_long_about().or(command.get_about());
    let _ = writeln!(text, "{}\n", sentence(about.map(ToString::to_string)));
    let aliases: Vec<String> =
        command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        let _ = writeln!(text, "Also: {}.\n", aliases.join(", "));
    }
    let mut own = command.clone();
    let usage = own.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace("\n       ", "\n");
    let _ = writeln!(text, "```\n{usage}\n```\n");
    let everywhere = ["help", "version", "verbose", "color"];
    let args: Vec<&Arg> = command
        .get_arguments()
        .filter(|it| !it.is_hide_set() && !everywhere.contains(&it.get_id().as_str()))
        .collect();
    // What holds for all commands below is told once, with the command above them.
    let inherited = level > 2;
    for arg in args.iter().filter(|it| !(inherited && it.is_global_set())) {
        option(text, arg);
    }
    if !args.is_empty() {
        text.push('\n');
    }
    for below in shown(command) {
        describe(text, below, &format!("{name} {}", below.get_name()), level + 1);
    }
}

/// One argument as an item of a list.
fn option(text: &mut String, arg: &Arg) {
    let mut names: Vec<String> = Vec::new();
    names.extend(arg.get_short().map(|short| format!("-{short}")));
    names.extend(arg.get_long().map(|long| format!("--{long}")));
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let values = arg.get_value_names().unwrap_or_default();
    let value = values.iter().map(clap::builder::Str::as_str).collect::<Vec<_>>().join(" ");
    let mut shown = names.join(", ");
    if arg.is_positional() {
        shown = if value.is_empty() { arg.get_id().as_str().to_uppercase() } else { value };
    } else if takes && !value.is_empty() {
        let _ = write!(shown, " {value}");
    }
    let _ = write!(text, "- `{shown}`: {}", sentence(arg.get_help().map(ToString::to_string)));
    let known: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|it| takes && !it.is_hide_set())
        .map(|it| format!("`{}`", it.get_name()))
        .collect();
    if !known.is_empty() {
        let _ = write!(text, " One of {}.", known.join(", "));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|it| it.to_string_lossy().into_owned()).collect();
    if takes && !defaults.is_empty() {
        let _ = write!(text, " Default: `{}`.", defaults.join(" "));
    }
    text.push('\n');
}

/// The text with a full stop.
fn sentence(text: Option<String>) -> String {
    let text = text.unwrap_or_default().replace('\n', " ");
    let text = text.trim().trim_end_matches('.');
    // What clap takes for a default in words would be a link in Markdown.
    let text = text.replace('[', "(").replace(']', ")");
    if text.is_empty() { String::new() } else { format!("{text}.") }
}

/// Why a name that is known does nothing yet, and what does.
pub(crate) fn reserved(name: &str) -> CliError {
    let (what, instead): (&str, &[&str]) = match name {
        "worker" => (
            "a process that works on tasks and serves nobody comes with distributed mode",
            &[
                "start `apflow serve` on each machine with one PostgreSQL database: each works, too,",
                "or `apflow resume`, which works until nothing is left and then ends",
            ],
        ),
        "mcp" => (
            "tools for agents over MCP come in a later release; the name is kept for them",
            &[
                "start `apflow serve`: GET /tasks/methods lists every operation with its schemas,",
                "and POST /tasks carries them out",
            ],
        ),
        _ => (
            "task trees from a sentence need a language model, which this release does not call",
            &[
                "write a workflow file: `apflow schema workflow` is its schema, also for an assistant,",
                "and `apflow validate FILE` says everything that is wrong with it",
            ],
        ),
    };
    let told = CliError::usage(format!("`apflow {name}` is not there yet")).because(what);
    instead.iter().fold(told, |told, line| told.help(*line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_names_every_command_and_every_option_that_is_shown() {
        fn walk(text: &str, command: &Command, name: &str) {
            for below in shown(command) {
                let name = format!("{name} {}", below.get_name());
                assert!(text.contains(&format!("# {name}\n")), "{name}");
                let own = below.get_arguments().filter(|it| !it.is_hide_set());
                for long in own.filter_map(Arg::get_long).filter(|it| *it != "help") {
                    assert!(text.contains(&format!("--{long}")), "{name} --{long}");
                }
                walk(text, below, &name);
            }
        }
        let mut command = Args::command();
        command.build();
        let text = markdown();
        walk(&text, &command, "apflow");
        assert!(!text.contains("apflow worker\n"), "what is not there is not told");
    }

    #[test]
    fn a_reserved_name_says_what_does_it_today() {
        for name in ["worker", "mcp", "generate"] {
            let error = reserved(name);
            assert_eq!(error.exit(), Exit::Usage);
            let told = format!("{error:?}");
            assert!(told.contains("not there yet") && told.contains("help: [\""), "{told}");
        }
    }

    #[test]
    fn every_shell_is_told_of_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::Powershell] {
            let completer = match shell {
                Shell::Bash => Completer::Bash,
                Shell::Zsh => Completer::Zsh,
                Shell::Fish => Completer::Fish,
                Shell::Elvish => Completer::Elvish,
                Shell::Powershell => Completer::PowerShell,
            };
            let mut text = Vec::new();
            clap_complete::generate(completer, &mut Args::command(), "apflow", &mut text);
            let text = String::from_utf8_lossy(&text).into_owned();
            for word in ["tasks", "watch", "executors", "completions", "why"] {
                assert!(text.contains(word), "{shell:?}: {word}");
            }
        }
    }
}
