//! The arguments of commands about the program itself: daemon, completions, man pages, reserved names.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::Serve;

#[derive(Debug, ClapArgs)]
pub(crate) struct Daemon {
    #[command(subcommand)]
    pub(crate) command: DaemonCommand,
    /// The file that names the process [default: daemon.pid_file, or .apflow/apflow.pid here]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// The file it logs to [default: daemon.log_file, or .apflow/apflow.log here]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DaemonCommand {
    /// Start `apflow serve` in the background and wait until it answers.
    Start(StartDaemon),
    /// Stop it: politely, and after a while not.
    Stop,
    /// Say whether it runs, and where.
    Status,
    /// Stop it and start it again.
    Restart(StartDaemon),
    /// Show what it logged.
    Logs {
        /// Go on showing what comes.
        #[arg(short, long)]
        follow: bool,
        /// So many of the last lines.
        #[arg(short = 'n', long, default_value_t = 50)]
        lines: usize,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct StartDaemon {
    /// Stay in the foreground, as `apflow serve` does.
    #[arg(long, overrides_with = "background")]
    pub(crate) foreground: bool,
    /// Go to the background, which is the default.
    #[arg(long, overrides_with = "foreground")]
    pub(crate) background: bool,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

/// The shells that can be told what to complete.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Shell {
    /// Put it into ~/.local/share/bash-completion/completions/apflow
    Bash,
    /// Put it into a directory of $fpath as _apflow
    Zsh,
    /// Put it into ~/.config/fish/completions/apflow.fish
    Fish,
    /// Source it in rc.elv
    Elvish,
    /// Add it to $PROFILE
    Powershell,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Man {
    /// A directory for the pages of all commands; without it the page of apflow goes to standard output.
    pub(crate) dir: Option<PathBuf>,
}

/// Whatever is said to a command that is not there yet.
#[derive(Debug, ClapArgs)]
#[command(disable_help_flag = true)]
pub(crate) struct Reserved {
    /// Anything.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub(crate) rest: Vec<String>,
}
