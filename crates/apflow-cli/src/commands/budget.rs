//! `apflow cost` and `apflow budget`: what was spent, and what may be.

use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use crate::{
    args::{Connection, Format, Output},
    config::Settings,
    door::Door,
    error::{CliError, Exit},
    show::{
        self,
        sheet::{self, Column, Kind, Sheet},
    },
};

/// What was spent, one a line.
const COSTS: Sheet = Sheet::Rows(
    &[
        Column("of", "key", Kind::Text),
        Column("input", "input_tokens", Kind::Text),
        Column("output", "output_tokens", Kind::Text),
        Column("tokens", "total_tokens", Kind::Text),
        Column("dollars", "cost_usd", Kind::Text),
        Column("calls", "calls", Kind::Text),
        Column("tasks", "tasks", Kind::Text),
        Column("last", "last_at", Kind::Moment),
    ],
    &[],
);

/// Budgets, one a line.
const BUDGETS: Sheet = Sheet::Rows(
    &[
        Column("scope", "scope", Kind::Text),
        Column("of", "scope_id", Kind::Text),
        Column("unit", "unit", Kind::Text),
        Column("period", "period", Kind::Text),
        Column("limit", "limit", Kind::Text),
        Column("used", "used", Kind::Text),
        Column("reserved", "reserved", Kind::Text),
        Column("left", "left", Kind::Text),
        Column("policy", "policy", Kind::Text),
    ],
    &[],
);

#[derive(Debug, ClapArgs)]
pub(crate) struct Cost {
    /// Sum up by: total, task, tree, user, model, executor, day, month.
    #[arg(long, default_value = "model")]
    by: String,
    /// Only this task.
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Only this tree.
    #[arg(long, value_name = "TREE")]
    tree: Option<String>,
    /// Only this owner.
    #[arg(short, long, value_name = "USER")]
    user_id: Option<String>,
    /// Only this model.
    #[arg(short, long)]
    model: Option<String>,
    /// From this moment on.
    #[arg(long, value_name = "MOMENT")]
    since: Option<String>,
    /// Before this moment.
    #[arg(long, value_name = "MOMENT")]
    until: Option<String>,
    /// At most so many lines.
    #[arg(short, long, default_value_t = 100)]
    limit: u32,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Budget {
    #[command(subcommand)]
    command: BudgetCommand,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Which budget.
#[derive(Debug, ClapArgs)]
struct Key {
    /// Whose spending: task, tree, user, global.
    scope: String,
    /// The task, the tree or the owner; nothing for `global`.
    #[arg(value_name = "OF")]
    scope_id: Option<String>,
    /// Of what: tokens, usd.
    #[arg(long, default_value = "tokens")]
    unit: String,
    /// For how long: total, day, month (UTC).
    #[arg(long, default_value = "total")]
    period: String,
}

impl Key {
    fn params(&self) -> Value {
        json!({
            "scope": self.scope, "scope_id": self.scope_id, "unit": self.unit,
            "period": self.period,
        })
    }
}

#[derive(Debug, Subcommand)]
enum BudgetCommand {
    /// Show budgets with what was spent and what is left.
    Ls {
        /// Only budgets of this scope: task, tree, user, global.
        #[arg(long)]
        scope: Option<String>,
        /// Only budgets of this task, tree or owner.
        #[arg(long, value_name = "OF")]
        scope_id: Option<String>,
        /// At most so many.
        #[arg(short, long, default_value_t = 100)]
        limit: u32,
    },
    /// Set the most that may be spent: tokens, or dollars with `--unit usd`.
    Set {
        #[command(flatten)]
        key: Key,
        /// The most.
        #[arg(long)]
        limit: f64,
        /// What happens near the limit: the name of a configured policy.
        #[arg(long)]
        policy: Option<String>,
    },
    /// Remove a budget; reports of what was spent stay.
    Rm {
        #[command(flatten)]
        key: Key,
    },
    /// Let a task that asks before it spends go on for the rest of its run.
    Approve {
        /// The task.
        id: String,
    },
    /// End a task that asks before it spends.
    Deny {
        /// The task.
        id: String,
    },
}

pub(crate) async fn cost(args: Cost, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let door = Door::open(&args.connection, settings)?;
    let params = json!({
        "by": args.by, "task_id": args.task, "tree_id": args.tree, "user_id": args.user_id,
        "model": args.model, "since": args.since, "until": args.until, "limit": args.limit,
    });
    let report = door.call("cost.report", params).await?;
    let is_table = args.format.output == Output::Table && args.format.fields.is_empty();
    let shown = if is_table { &report["lines"] } else { &report };
    sheet::write(shown, COSTS, &args.format)?;
    Ok(Exit::Ok)
}

pub(crate) async fn budget(args: Budget, settings: &Arc<Settings>) -> Result<Exit, CliError> {
    let Budget { command, format, connection } = args;
    let door = Door::open(&connection, settings)?;
    match command {
        BudgetCommand::Ls { scope, scope_id, limit } => {
            let params = json!({ "scope": scope, "scope_id": scope_id, "limit": limit });
            sheet::write(&door.call("budgets.list", params).await?, BUDGETS, &format)?;
        }
        BudgetCommand::Set { key, limit, policy } => {
            let mut params = key.params();
            params["limit"] = number(limit);
            params["policy"] = json!(policy);
            sheet::write(&door.call("budgets.set", params).await?, BUDGETS, &format)?;
        }
        BudgetCommand::Rm { key } => {
            door.call("budgets.delete", key.params()).await?;
            show::say("the budget is gone");
        }
        BudgetCommand::Approve { id } => decide(&door, &id, true, &format).await?,
        BudgetCommand::Deny { id } => decide(&door, &id, false, &format).await?,
    }
    Ok(Exit::Ok)
}

async fn decide(door: &Door, id: &str, approve: bool, format: &Format) -> Result<(), CliError> {
    let params = json!({ "task_id": door.id(id).await?, "approve": approve });
    let task = door.call("budgets.decide", params).await?;
    sheet::write(&task, sheet::TASKS, format)
}

/// A number that is whole is written as one, for tokens are.
fn number(limit: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole, and far below the largest")]
    if limit.fract() == 0.0 && limit.abs() < 1e15 {
        return json!(limit as i64);
    }
    json!(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_limit_is_a_whole_number() {
        assert_eq!(number(5000.0), json!(5000));
        assert_eq!(number(2.5), json!(2.5));
    }
}
