//! The `apflow` binary: it reads arguments and the environment, calls the library, and shows what came of it.

mod access;
mod args;
mod commands;
mod config;
mod door;
mod error;
mod follow;
mod log;
mod show;
mod watch;

use std::{process::ExitCode, sync::Arc};

use clap::{CommandFactory as _, Parser as _};

use crate::{
    args::{Args, Command, Global},
    commands::config::args::{ConfigArgs, ConfigCommand},
    config::{Flags, Overrides, Settings},
    error::{CliError, Exit},
};

fn main() -> ExitCode {
    on_panic();
    // The help is coloured before the arguments are read.
    colour_as_typed();
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
        Command::Validate(args) => commands::validate::validate(&args, &*settings(&global, &())?),
        Command::Graph(args) => thinking().and_then(|()| commands::graph::graph(&args)),
        Command::Schema(args) => commands::schema::schema(&args),
        Command::Explain(args) => commands::explain::explain(&args),
        Command::Run(args) => {
            let settings = settings(&global, &args)?;
            wait_for(commands::run::run(args, &settings))
        }
        Command::Serve(args) => {
            let overrides = Overrides::of(&global, &args);
            wait_for(commands::serve::serve(args, overrides))
        }
        Command::Resume(args) => {
            let settings = settings(&global, &args)?;
            wait_for(commands::resume::resume(args, &settings))
        }
        Command::Tasks(args) => {
            let settings = settings(&global, &args)?;
            wait_for(commands::tasks::tasks(args, &settings))
        }
        Command::Why(args) => {
            let settings = settings(&global, &(&args.connection, &args.allow))?;
            wait_for(commands::why::why(args, &settings))
        }
        Command::Executors(args) => {
            let settings = settings(&global, &(&args.connection, &args.allow))?;
            wait_for(commands::look::executors(args, &settings))
        }
        Command::Monitor(args) => {
            let settings = settings(&global, &args.connection)?;
            wait_for(commands::look::monitor(args, &settings))
        }
        Command::Limits(args) => {
            let settings = settings(&global, &args.connection)?;
            wait_for(commands::limits::limits(args, &settings))
        }
        Command::Breaker(args) => {
            let settings = settings(&global, &args.connection)?;
            wait_for(commands::limits::breaker(args, &settings))
        }
        Command::Dlq(args) => {
            let settings = settings(&global, &args.connection)?;
            wait_for(commands::dlq::dlq(args, &settings))
        }
        Command::Scheduler(args) => {
            let settings = settings(&global, &args)?;
            wait_for(commands::scheduler::scheduler(args, &settings))
        }
        Command::Token(args) => {
            let settings = settings(&global, &args)?;
            wait_for(commands::token::token(args, &settings))
        }
        Command::Daemon(args) => commands::daemon::daemon(args, &global),
        Command::Info(args) => commands::info::info(&args, &*settings(&global, &args)?),
        Command::Snapshot(args) => {
            let settings = settings(&global, &args.connection)?;
            wait_for(commands::snapshot::snapshot(args, &settings))
        }
        Command::Checkpoint(args) => {
            let settings = settings(&global, &args.connection)?;
            wait_for(commands::snapshot::checkpoint(args, &settings))
        }
        Command::Db(args) => {
            let settings = settings(&global, args.command.database())?;
            wait_for(commands::db::db(args, &settings))
        }
        Command::Config(ConfigArgs { command: ConfigCommand::GenToken(sign), .. }) => {
            commands::token::sign(&sign, &*settings(&global, &())?)
        }
        Command::Config(ConfigArgs { command: ConfigCommand::VerifyToken(check), .. }) => {
            let settings = settings(&global, &check.database)?;
            wait_for(commands::token::verify(check, &settings))
        }
        Command::Config(args) => commands::config::config(args, &Overrides::of(&global, &())),
        Command::Completions(args) => commands::shell::completions(&args),
        Command::Man(args) => commands::shell::man(&args),
        Command::Version => commands::shell::version(),
        Command::Reference => commands::shell::reference(),
        Command::Worker(_) => Err(commands::shell::reserved("worker")),
        Command::Mcp(_) => Err(commands::shell::reserved("mcp")),
        Command::Generate(_) => Err(commands::shell::reserved("generate")),
    }
}

/// What is configured for one command; what is doubtful in it is told, and logging begins.
pub(crate) fn settings(global: &Global, flags: &dyn Flags) -> Result<Arc<Settings>, CliError> {
    let settings = Settings::load(&Overrides::of(global, flags))?;
    for warning in settings.warnings() {
        show::warn(warning);
    }
    log::begin(settings.log_filter().as_deref())?;
    Ok(Arc::new(settings))
}

pub(crate) fn wait_for(
    work: impl Future<Output = Result<Exit, CliError>>,
) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::internal(format!("no threads can be had: {error}")))?;
    let done = runtime.block_on(work);
    // Whatever still runs was handed back or cancelled already; nobody waits for its last breath.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    done
}

/// Colours as `--color` says, which clap tells too late for its own help.
fn colour_as_typed() {
    let mut words = std::env::args().skip(1);
    let mut when = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--" => break,
            "--color" => when = words.next(),
            _ => when = word.strip_prefix("--color=").map(str::to_owned).or(when),
        }
    }
    match when.as_deref() {
        Some("always") => anstream::ColorChoice::Always.write_global(),
        Some("never") => anstream::ColorChoice::Never.write_global(),
        _ => {}
    }
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
