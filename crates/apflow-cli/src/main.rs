//! The `apflow` binary: it reads arguments and the environment, calls the library, and shows what came of it.

mod args;
mod commands;
mod config;
mod error;
mod follow;
mod log;
mod show;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::{
    args::{Args, Command, Global},
    config::{Flags, Overrides, Settings},
    error::{CliError, Exit},
};

fn main() -> ExitCode {
    on_panic();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refused(&suggesting(error)),
    };
    match dispatch(args) {
        Ok(exit) => exit.into(),
        Err(error) => {
            error.show();
            error.exit().into()
        }
    }
}

/// What clap says of arguments it cannot read, or the help that was asked for.
fn refused(error: &clap::Error) -> ExitCode {
    // A reader that closed the pipe early has seen enough.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() }
}

/// Names the command that was meant; clap itself finds none for short words like `rnu`,
/// and a worse one for `gte`.
fn suggesting(mut error: clap::Error) -> clap::Error {
    use clap::error::{ContextKind, ContextValue};
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let root = Args::command();
    // Words before the wrong one lead to the command it was given to.
    let at = std::env::args()
        .skip(1)
        .take_while(|typed| typed != word)
        .fold(&root, |at, typed| at.find_subcommand(&typed).unwrap_or(at));
    let names: Vec<&str> = at.get_subcommands().map(clap::Command::get_name).collect();
    if let Some(meant) = apflow::core::problem::nearest(word, names) {
        let meant = ContextValue::Strings(vec![meant.to_owned()]);
        error.insert(ContextKind::SuggestedSubcommand, meant);
    }
    error
}

/// Commands that only think run here; the others get a runtime.
fn dispatch(args: Args) -> Result<Exit, CliError> {
    let global = args.global;
    // What needs no configuration reads none.
    let thinking = || log::begin(config::Overrides::of(&global, &()).log_filter().as_deref());
    match args.command {
        Command::Validate(args) => commands::validate::validate(&args, &settings(&global, &())?),
        Command::Graph(args) => thinking().and_then(|()| commands::graph::graph(&args)),
        Command::Schema(args) => commands::schema::schema(&args),
        Command::Explain(args) => commands::explain::explain(&args),
        Command::Run(args) => {
            let settings = settings(&global, &args)?;
            wait_for(commands::run::run(args, settings))
        }
        Command::Serve(args) => {
            let overrides = Overrides::of(&global, &args);
            wait_for(commands::serve::serve(args, overrides))
        }
        Command::Resume(args) => {
            let settings = settings(&global, &args)?;
            wait_for(commands::resume::resume(args, settings))
        }
        Command::Tasks(args) => {
            let settings = settings(&global, &args)?;
            wait_for(commands::tasks::tasks(args, settings))
        }
        Command::Info(args) => commands::info::info(&args, &settings(&global, &args)?),
        Command::Db(args) => {
            let settings = settings(&global, args.command.database())?;
            wait_for(commands::db::db(args, settings))
        }
        Command::Config(args) => commands::config::config(args, &Overrides::of(&global, &())),
    }
}

/// What is configured for one command; what is doubtful in it is told, and logging begins.
fn settings(global: &Global, flags: &dyn Flags) -> Result<Settings, CliError> {
    let settings = Settings::load(&Overrides::of(global, flags))?;
    for warning in settings.warnings() {
        show::warn(warning);
    }
    log::begin(settings.log_filter().as_deref())?;
    Ok(settings)
}

fn wait_for(work: impl Future<Output = Result<Exit, CliError>>) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::internal(format!("no threads can be had: {error}")))?;
    let done = runtime.block_on(work);
    // Whatever still runs was handed back or cancelled already; nobody waits for its last breath.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    done
}

/// A panic is our fault; it says so, and where it wants to be told.
fn on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let what = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let mut text = error::heading("AF0019", &format!("apflow has a fault: {what}"));
        text.push_str(&error::line(
            "at",
            &format!("{place}, apflow {}", env!("CARGO_PKG_VERSION")),
        ));
        text.push_str(&error::line("help", "report it with the command you typed and this text"));
        text.push_str(&error::line("", "what was acknowledged is stored; `apflow resume` goes on"));
        show::say(&text);
    }));
}
