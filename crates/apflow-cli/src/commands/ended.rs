//! What is written when runs have ended: data, a summary of what went wrong, and an exit code.

use std::{fmt::Write as _, time::Duration};

use apflow::core::{
    api::wire,
    engine::Engine,
    id::TaskId,
    task::{Outcome, Record, State, StateName},
};
use serde_json::{Value, json};

use crate::{
    args::{Grants, RunOutput},
    config::Database,
    error::{CliError, Exit},
    follow::{Follow, Waited},
    show::{self, data, table, tree::mark},
};

/// Failures and blocked tasks that are listed one by one.
const LISTED: usize = 20;

/// How a run is told.
pub(crate) struct Telling<'a> {
    /// What to call it; none where there are several.
    pub(crate) run: Option<&'a str>,
    /// How its data is written.
    pub(crate) output: RunOutput,
    /// Only this field of the last result that has it.
    pub(crate) print: Option<&'a str>,
    /// Without the summary of a run in which all went well.
    pub(crate) quiet: bool,
    /// How long it took.
    pub(crate) took: Duration,
    /// Where it is stored.
    pub(crate) database: &'a Database,
    /// What its tasks may do.
    pub(crate) grants: &'a Grants,
}

/// Writes what came of the runs that were followed.
pub(crate) async fn tell(
    engine: &Engine,
    follow: &mut Follow,
    waited: Waited,
    telling: &Telling<'_>,
) -> Result<Exit, CliError> {
    let records = follow.records().await?;
    let outcome = follow.outcome();
    let over = matches!(waited, Waited::Over | Waited::Interrupted);
    let failed = outcome != Outcome::Completed || !over;
    if !telling.quiet || failed {
        show::say(&summary(engine, follow, &records, waited, telling).await?);
    }
    write(follow, &records, over.then_some(outcome), telling)?;
    Ok(match (waited, outcome) {
        (Waited::Left | Waited::Interrupted | Waited::AtOnce, _) => Exit::Interrupted,
        (Waited::TimedOut, _) => Exit::Timeout,
        (Waited::Over, Outcome::Completed) => Exit::Ok,
        (Waited::Over, Outcome::Failed) => Exit::Failed,
        (Waited::Over, Outcome::Cancelled) => Exit::Cancelled,
    })
}

fn write(
    follow: &Follow,
    records: &[Record],
    outcome: Option<Outcome>,
    telling: &Telling<'_>,
) -> Result<(), CliError> {
    if let Some(field) = telling.print {
        let found = records.iter().rev().find_map(|record| record.result.as_ref()?.get(field));
        return match found {
            Some(Value::String(text)) => show::data(text),
            Some(value) => show::data(&data::json(value)),
            None => {
                show::warn(&format!("no result has the field `{field}`"));
                Ok(())
            }
        };
    }
    match telling.output {
        RunOutput::Table => show::data(&table::table(
            &["", "task", "status", "time", "result"],
            records.iter().map(|record| row(follow, record)),
        )),
        RunOutput::Json => show::data(&data::json(&whole(records, outcome, telling))),
        RunOutput::Yaml => show::data(&data::yaml(&whole(records, outcome, telling))?),
    }
}

fn row(follow: &Follow, record: &Record) -> Vec<String> {
    let state = record.task.state.name();
    let result = match (&record.result, wire::error(record)) {
        (_, Some(error)) => error.to_owned(),
        (Some(result), None) => data::brief(result),
        (None, None) => String::new(),
    };
    vec![
        mark(state).0.to_owned(),
        follow.board().label(&record.id).to_owned(),
        state.status().to_string(),
        follow.board().took(&record.id).map(show::time).unwrap_or_default(),
        show::short(&result, 70),
    ]
}

fn whole(records: &[Record], outcome: Option<Outcome>, telling: &Telling<'_>) -> Value {
    let tasks: Vec<Value> = records.iter().map(wire::task).collect();
    json!({ "run": telling.run, "outcome": outcome, "tasks": tasks })
}

/// One line for a run in which all went well; else each failure with its cause, and what to type.
async fn summary(
    engine: &Engine,
    follow: &Follow,
    records: &[Record],
    waited: Waited,
    telling: &Telling<'_>,
) -> Result<String, CliError> {
    let word = match waited {
        Waited::TimedOut => "goes on".to_owned(),
        Waited::Left => "left as it is".to_owned(),
        Waited::AtOnce => "left at once".to_owned(),
        Waited::Over | Waited::Interrupted => follow.outcome().to_string(),
    };
    let named = telling.run.map_or_else(|| "all runs".to_owned(), |run| format!("run {run}"));
    let completed =
        records.iter().filter(|record| record.task.state.name() == StateName::Completed).count();
    let mut text = format!(
        "{}: {word}, {completed} of {} tasks completed, {}\n",
        show::plain(&named),
        records.len(),
        show::time(telling.took)
    );
    let failed = |record: &&Record| matches!(record.task.state, State::Failed { .. });
    for record in records.iter().filter(failed).take(LISTED) {
        let (sign, style) = mark(StateName::Failed);
        let why = wire::error(record).unwrap_or("it does not say why");
        let why = show::plain_lines(why).replace('\n', "\n      ");
        let label = follow.board().label(&record.id);
        let _ = writeln!(text, "  {style}{sign}{style:#} {label}: {why}");
    }
    let blocked =
        |record: &&Record| matches!(record.task.state, State::Blocked { failed: 1.., .. });
    for record in records.iter().filter(blocked).take(LISTED) {
        // Whom it waits for is read only where one task is read in detail.
        let detail = engine.store().record(&record.id).await?;
        let of: Vec<TaskId> = detail.map(|detail| detail.failed_needs).unwrap_or_default();
        let of: Vec<&str> = of.iter().map(|id| follow.board().label(id)).collect();
        let (sign, style) = mark(StateName::Blocked);
        let label = follow.board().label(&record.id);
        let _ = writeln!(
            text,
            "  {style}{sign}{style:#} {label}: blocked, needs {}",
            show::short(&of.join(", "), 200)
        );
    }
    let count = records.iter().filter(|record| failed(record) || blocked(record)).count();
    if count > LISTED * 2 {
        let _ = writeln!(text, "  … {count} tasks failed or are blocked in all");
    }
    let flag = telling.database.flag() + &telling.grants.flags();
    if matches!(waited, Waited::Left | Waited::TimedOut) {
        let run = telling.run.map(|run| format!(" {run}")).unwrap_or_default();
        text.push_str(&crate::error::line("go on", &format!("apflow resume{run}{flag}")));
    } else if let Some(first) = records.iter().find(failed) {
        text.push_str(&crate::error::line(
            "retry",
            &format!(
                "apflow tasks execute {}{flag}",
                show::quoted(root_of(records, first).as_str())
            ),
        ));
    }
    Ok(text)
}

/// The root over a task; running it again runs what failed and what needs it.
fn root_of<'a>(records: &'a [Record], of: &'a Record) -> &'a TaskId {
    let mut at = of;
    let above = |of: &Record| records.iter().find(|it| Some(&it.id) == of.parent_id.as_ref());
    // Parents come from the store, in which no task is its own ancestor; the bound is for the reader.
    for _ in 0..records.len() {
        match above(at) {
            Some(parent) => at = parent,
            None => break,
        }
    }
    &at.id
}
