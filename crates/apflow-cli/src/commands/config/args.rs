//! The arguments of `apflow config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::{
    args::RunOutput,
    commands::token::{Check, Sign},
};

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
    /// How to write the answer.
    #[arg(short, long, visible_short_alias = 'f', visible_alias = "format", global = true)]
    #[arg(value_enum, default_value_t)]
    pub(crate) output: RunOutput,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show the value of a key that counts.
    Get {
        /// The key, like `server.port`; names of the Python versions are known, too.
        key: String,
    },
    /// Write a value into a file; comments and order stay.
    Set {
        /// The key.
        key: String,
        /// Its value; `-` reads it from standard input, which is the way for secrets.
        value: String,
        #[command(flatten)]
        target: Target,
    },
    /// Take a key out of a file.
    Unset {
        /// The key.
        key: String,
        #[command(flatten)]
        target: Target,
        /// Do not ask; apflow does not, so this is for scripts of the Python version.
        #[arg(short, long)]
        yes: bool,
    },
    /// Put a file aside, so that what it says no longer counts.
    Reset {
        #[command(flatten)]
        target: Target,
        /// Do it; without this it only says what it would do.
        #[arg(short, long)]
        yes: bool,
    },
    /// Show every key, its value, and where that comes from.
    List {
        /// Only keys that somebody gave a value.
        #[arg(long)]
        set: bool,
    },
    /// Show which files are read, and which are there.
    #[command(visible_alias = "show-path")]
    Path,
    /// Say everything about a key: what it does, who sets it, and who wins.
    Explain {
        /// The key.
        key: String,
    },
    /// Read everything and tell what is wrong with it.
    Validate,
    /// Write a first file, in which everything is commented out.
    Init {
        #[command(flatten)]
        target: Target,
        /// Write over the file that is there.
        #[arg(long)]
        force: bool,
    },
    /// Say which server commands ask, in the user's file.
    InitServer {
        /// The address of the server.
        #[arg(short, long, default_value = "http://localhost:8000")]
        url: String,
        /// The role of the token; apflow makes none, so this is for scripts of the Python version.
        #[arg(short, long, default_value = "admin", hide = true)]
        role: String,
    },
    /// Sign a JWT, as `apflow token jwt` does.
    GenToken(Sign),
    /// Say whether a token is good, as `apflow token verify` does.
    VerifyToken(Check),
    /// Let the files of a project widen what tasks may do.
    Trust {
        /// The project; without it the one you are in.
        dir: Option<PathBuf>,
    },
    /// Take that back.
    Untrust {
        /// The project; without it the one you are in.
        dir: Option<PathBuf>,
    },
    /// Print the reference of all keys.
    #[command(hide = true)]
    Reference,
}

/// Which file is written.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub(crate) struct Target {
    /// The user's file; the default where there is no project file, and for secrets.
    #[arg(long)]
    pub(crate) user: bool,
    /// The project's file; the default where there is one.
    #[arg(long)]
    pub(crate) project: bool,
    /// The system's file.
    #[arg(long)]
    pub(crate) system: bool,
}
