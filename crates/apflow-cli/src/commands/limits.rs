//! `apflow limits` and `apflow breaker`: what holds everybody's tasks back.

use std::sync::Arc;

use apflow::core::flow::Span;
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use crate::{
    args::{Connection, Format},
    config::Settings,
    door::Door,
    error::{CliError, Exit},
    show::{
        self,
        sheet::{self, Column, Kind, Sheet},
    },
};

/// Shared limits, one a line.
const LIMITS: Sheet = Sheet::Rows(
    &[
        Column("key", "key", Kind::Text),
        Column("at once", "max", Kind::Text),
        Column("running", "running", Kind::Text),
        Column("rate", "shown", Kind::Text),
    ],
    &[],
);

/// Breakers, one a line.
const BREAKERS: Sheet = Sheet::Rows(
    &[
        Column("breaker", "key", Kind::Text),
        Column("state", "state", Kind::Text),
        Column("failures", "failures", Kind::Text),
        Column("of", "threshold", Kind::Text),
        Column("until", "until", Kind::Moment),
    ],
    &[],
);

#[derive(Debug, ClapArgs)]
pub(crate) struct Limits {
    #[command(subcommand)]
    command: LimitsCommand,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LimitsCommand {
    /// Show the limits that hold for everybody.
    #[command(visible_alias = "list")]
    Ls,
    /// Set one; what it said before is replaced.
    Set {
        /// What tasks have in common: the key they name in `limits` or `rate`.
        key: String,
        /// At most so many tasks with it run at the same time.
        #[arg(long)]
        max: Option<u32>,
        /// How often they may begin, like 60/1m.
        #[arg(long, value_name = "COUNT/SPAN", value_parser = pace)]
        rate: Option<(u32, Span)>,
        /// So many may begin at once after a pause.
        #[arg(long, requires = "rate", default_value_t = 1)]
        burst: u32,
    },
    /// Remove one; tasks that wait for it go on.
    #[command(visible_alias = "rm")]
    Delete {
        /// The key.
        key: String,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Breaker {
    #[command(subcommand)]
    command: BreakerCommand,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BreakerCommand {
    /// Show breakers that are open, or have counted failures.
    #[command(visible_alias = "list")]
    Ls,
    /// Close one and let the tasks that wait for it go on.
    Reset {
        /// The breaker, like `host:api.example.org` or `executor:rest_executor`.
        key: String,
    },
}

/// Reads `60/1m`.
fn pace(text: &str) -> Result<(u32, Span), String> {
    let wrong = || format!("`{text}` is not a count and a span, like 60/1m");
    let (count, span) = text.split_once('/').ok_or_else(wrong)?;
    let count = count.trim().parse().map_err(|_| wrong())?;
    Ok((count, Span::parse(span).ok_or_else(wrong)?))
}

pub(crate) async fn limits(args: Limits, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let door = Door::open(&args.connection, settings)?;
    match args.command {
        LimitsCommand::Ls => {
            let mut list = door.call("limits.list", json!({})).await?;
            for limit in list.as_array_mut().into_iter().flatten() {
                limit["shown"] = shown(&limit["rate"]);
            }
            sheet::write(&list, LIMITS, &args.format)?;
        }
        LimitsCommand::Set { key, max, rate, burst } => {
            if max.is_none() && rate.is_none() {
                let error = CliError::usage("a limit says how many at once, how often, or both");
                return Err(error.help("add --max 4 or --rate 60/1m"));
            }
            let rate = rate.map(|(limit, per)| json!({"limit": limit, "per": per, "burst": burst}));
            let params = json!({ "key": key, "max": max, "rate": rate });
            let answer = door.call("limits.set", params).await?;
            sheet::write(&answer, Sheet::Fields, &args.format)?;
        }
        LimitsCommand::Delete { key } => {
            let answer = door.call("limits.delete", json!({ "key": key })).await?;
            sheet::write(&answer, Sheet::Fields, &args.format)?;
        }
    }
    door.close().await;
    Ok(Exit::Ok)
}

/// A pace in a few words.
fn shown(rate: &Value) -> Value {
    match (rate["limit"].as_u64(), rate["per"].as_str(), rate["burst"].as_u64()) {
        (Some(limit), Some(per), Some(burst)) if burst > 1 => {
            json!(format!("{limit}/{per}, {burst} at once"))
        }
        (Some(limit), Some(per), _) => json!(format!("{limit}/{per}")),
        _ => Value::Null,
    }
}

pub(crate) async fn breaker(args: Breaker, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let door = Door::open(&args.connection, settings)?;
    match args.command {
        BreakerCommand::Ls => {
            let list = door.call("breakers.list", json!({})).await?;
            sheet::write(&list, BREAKERS, &args.format)?;
        }
        BreakerCommand::Reset { key } => {
            let answer = door.call("breakers.reset", json!({ "key": key })).await?;
            sheet::write(&answer, Sheet::Fields, &args.format)?;
            show::say("tasks that waited for it go on");
        }
    }
    door.close().await;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_a_count_and_a_span() {
        let minute = Span(std::time::Duration::from_mins(1));
        assert_eq!(pace("60/1m"), Ok((60, minute)));
        for wrong in ["60", "x/1m", "60/1y", "/"] {
            assert!(pace(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pace_is_shown_as_it_is_written() {
        assert_eq!(shown(&json!({"limit": 60, "per": "1m", "burst": 1})), json!("60/1m"));
        assert_eq!(
            shown(&json!({"limit": 60, "per": "1m", "burst": 5})),
            json!("60/1m, 5 at once")
        );
        assert_eq!(shown(&Value::Null), Value::Null);
    }
}
