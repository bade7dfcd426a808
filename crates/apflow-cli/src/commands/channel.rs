//! `apflow channel`: reading and changing what the tasks of a run share.

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    args::{Connection, Format},
    config::Settings,
    door::Door,
    error::{CliError, Exit},
    show::sheet::{self, Column, Kind, Sheet},
};

/// What a channel holds, one key a line.
const ENTRIES: Sheet = Sheet::Rows(
    &[
        Column("key", "key", Kind::Text),
        Column("value", "value", Kind::Text),
        Column("version", "version", Kind::Text),
        Column("expires", "expires_at", Kind::Moment),
    ],
    &[],
);

#[derive(Debug, Args)]
pub(crate) struct Channel {
    #[command(subcommand)]
    command: ChannelCommand,
    /// A part of the run with keys of its own.
    #[arg(long, global = true, value_name = "NAME")]
    space: Option<String>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
enum ChannelCommand {
    /// Show one value.
    Get {
        /// Any task of the run.
        #[arg(value_name = "TASK")]
        task: String,
        /// The key.
        key: String,
    },
    /// List what the tasks of a run share.
    #[command(visible_alias = "ls")]
    Keys {
        /// Any task of the run.
        #[arg(value_name = "TASK")]
        task: String,
        /// Only keys that begin like this.
        prefix: Option<String>,
        /// Locks and their holders instead.
        #[arg(long)]
        locks: bool,
        /// Only keys behind this one.
        #[arg(long, value_name = "KEY")]
        after: Option<String>,
        /// At most so many.
        #[arg(short, long, default_value_t = 100)]
        limit: u32,
    },
    /// Write a value.
    Set {
        /// Any task of the run.
        #[arg(value_name = "TASK")]
        task: String,
        /// The key.
        key: String,
        /// JSON; what is none is taken as a text.
        value: String,
        /// How long it lives, in seconds.
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<f64>,
        /// Only if this version is there; 0: only if nothing is.
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
    },
    /// Add to a number.
    Add {
        /// Any task of the run.
        #[arg(value_name = "TASK")]
        task: String,
        /// The key.
        key: String,
        /// How much.
        #[arg(default_value = "1", allow_negative_numbers = true)]
        amount: String,
    },
    /// Put a value at the end of a list.
    Append {
        /// Any task of the run.
        #[arg(value_name = "TASK")]
        task: String,
        /// The key.
        key: String,
        /// JSON; what is none is taken as a text.
        value: String,
        /// At the beginning instead.
        #[arg(long)]
        front: bool,
    },
    /// Remove a value.
    #[command(visible_alias = "rm")]
    Delete {
        /// Any task of the run.
        #[arg(value_name = "TASK")]
        task: String,
        /// The key.
        key: String,
        /// Only if this version is there.
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
    },
}

impl ChannelCommand {
    /// The operation, the task as it was typed, and the other parameters.
    fn call(self) -> Result<(&'static str, String, Value), CliError> {
        Ok(match self {
            Self::Get { task, key } => ("channels.get", task, json!({ "key": key })),
            Self::Keys { task, prefix, locks, after, limit } => {
                let params =
                    json!({ "prefix": prefix, "locks": locks, "after": after, "limit": limit });
                ("channels.keys", task, params)
            }
            Self::Set { task, key, value, ttl, if_version } => {
                let params = json!({
                    "key": key, "value": typed(&value), "ttl_seconds": ttl,
                    "if_version": if_version,
                });
                ("channels.set", task, params)
            }
            Self::Add { task, key, amount } => {
                let amount: serde_json::Number = serde_json::from_str(&amount).map_err(|_| {
                    CliError::usage(format!("`{amount}` is no number")).help("write it like -0.5")
                })?;
                ("channels.add", task, json!({ "key": key, "amount": amount }))
            }
            Self::Append { task, key, value, front } => {
                let params = json!({ "key": key, "value": typed(&value), "front": front });
                ("channels.append", task, params)
            }
            Self::Delete { task, key, if_version } => {
                ("channels.delete", task, json!({ "key": key, "if_version": if_version }))
            }
        })
    }
}

/// What was typed as JSON, or as the text it is.
fn typed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

pub(crate) async fn channel(args: Channel, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let Channel { command, space, format, connection } = args;
    let (method, task, mut params) = command.call()?;
    let door = Door::open(&connection, settings)?;
    params["task_id"] = json!(door.id(&task).await?);
    if let Some(space) = space {
        params["space"] = json!(space);
    }
    let answer = door.call(method, params).await?;
    door.close().await;
    let nothing = answer.is_null() || answer["deleted"] == false;
    let sheet = if answer.is_array() { ENTRIES } else { Sheet::Fields };
    sheet::write(&answer, sheet, &format)?;
    Ok(if nothing { Exit::NotFound } else { Exit::Ok })
}
