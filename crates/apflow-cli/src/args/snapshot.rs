//! The arguments of `snapshot` and `checkpoint`: how submissions stood, and what attempts put aside.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::{Connection, Format};

#[derive(Debug, ClapArgs)]
pub(crate) struct Snapshot {
    #[command(subcommand)]
    pub(crate) command: SnapshotCommand,
    #[command(flatten)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// Remember how the submission of a task stands now; a snapshot of that name is replaced.
    Create {
        #[command(flatten)]
        one: One,
        /// What to remember with it; may be said several times.
        #[arg(long, value_name = "FIELD=VALUE")]
        note: Vec<String>,
    },
    /// List the snapshots of the submission of a task, newest first.
    #[command(visible_alias = "ls")]
    List {
        /// The task.
        #[arg(value_name = "TASK")]
        task: String,
    },
    /// Begin a new run in which every task stands where the snapshot has it.
    Restore {
        #[command(flatten)]
        one: One,
    },
    /// Forget a snapshot.
    #[command(visible_alias = "rm")]
    Delete {
        #[command(flatten)]
        one: One,
    },
    /// Write a snapshot into three files: NAME.context.json, NAME.state.json, NAME.meta.json.
    Export {
        #[command(flatten)]
        one: One,
        /// The directory to write into.
        #[arg(long, value_name = "DIRECTORY", default_value = ".")]
        to: PathBuf,
    },
    /// Read a snapshot from its three files, and store its submission if it is not here.
    Import {
        /// One of the three files, or what their names begin with.
        #[arg(value_name = "FILE")]
        from: PathBuf,
        /// What to call it here.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
}

/// One snapshot.
#[derive(Debug, ClapArgs)]
pub(crate) struct One {
    /// A task of the submission.
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
    /// What the snapshot is called.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Checkpoint {
    #[command(subcommand)]
    pub(crate) command: CheckpointCommand,
    #[command(flatten)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointCommand {
    /// Show what the newest attempt of a task put aside for the next one.
    Show {
        /// The task.
        #[arg(value_name = "TASK")]
        task: String,
    },
}
