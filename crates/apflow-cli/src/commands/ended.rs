//! What is written when runs have ended: data, a summary of what went wrong, and an exit code.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    time::Duration,
};

use apflow::core::{
    api::wire,
    engine::Engine,
    id::TaskId,
    task::{FailureKind, Outcome, Record, State, StateName},
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
    let causes = by_cause(records.iter().filter(failed));
    for (cause, of) in causes.iter().take(LISTED) {
        let (sign, style) = mark(StateName::Failed);
        let why = show::plain_lines(cause).replace('\n', "\n      ");
        let labels: Vec<&str> = of.iter().map(|it| follow.board().label(&it.id)).collect();
        let _ = writeln!(text, "  {style}{sign}{style:#} {}: {why}", some_of(&labels));
    }
    if causes.len() > LISTED {
        let _ = writeln!(text, "  … {} causes in all", causes.len());
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
    let count = records.iter().filter(blocked).count();
    if count > LISTED {
        let _ = writeln!(text, "  … {count} tasks are blocked in all");
    }
    let flag = telling.database.flag() + &telling.grants.flags();
    if matches!(waited, Waited::Left | Waited::TimedOut) {
        let run = telling.run.map(|run| format!(" {run}")).unwrap_or_default();
        text.push_str(&crate::error::line("go on", &format!("apflow resume{run}{flag}")));
    } else if records.iter().any(|record| failed(&record)) {
        let of = || records.iter().filter(failed);
        let ids: String =
            to_execute(records, of()).iter().map(|id| one_more(id.as_str())).collect();
        let grants = missing_grants(of(), telling.grants);
        text.push_str(&crate::error::line(
            "retry",
            &format!("apflow tasks execute{ids}{flag}{grants}"),
        ));
        let failures = of().count();
        if failures > 1 {
            let all = format!("this runs all {failures} again and what needs them");
            text.push_str(&crate::error::line("", &all));
        }
    }
    Ok(text)
}

fn one_more(text: &str) -> String {
    format!(" {}", show::quoted(text))
}

/// A few of the labels, and how many more there are.
fn some_of(labels: &[&str]) -> String {
    match labels {
        [first, second, _, _, ..] => format!("{first}, {second}, +{}", labels.len() - 2),
        _ => labels.join(", "),
    }
}

/// Failed tasks by the reason they give, in the order in which each was first seen.
fn by_cause<'a>(failed: impl Iterator<Item = &'a Record>) -> Vec<(String, Vec<&'a Record>)> {
    let mut causes: Vec<(String, Vec<&Record>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for record in failed {
        let cause = cause(record);
        let place = *places.entry(cause.clone()).or_insert_with(|| {
            causes.push((cause, Vec::new()));
            causes.len() - 1
        });
        causes[place].1.push(record);
    }
    causes
}

/// The reason, without the task it is about, and with the flag that names an executor.
fn cause(record: &Record) -> String {
    let why = wire::error(record).unwrap_or("it does not say why");
    let Some(executor) = refused_executor(record) else { return why.to_owned() };
    let why = why.strip_suffix(&format!(" for task {}", record.id)).unwrap_or(why);
    format!("{why}; --allow {executor} allows it")
}

fn not_allowed(record: &Record) -> bool {
    matches!(&record.task.state, State::Failed { failure } if failure.kind == FailureKind::NotAllowed)
}

/// The executor, if it is not on the list of those that are allowed.
fn refused_executor(record: &Record) -> Option<&str> {
    // Only then does the result list what is allowed.
    let listed = record.result.as_ref().is_some_and(|it| it.get("allowed_executors").is_some());
    record.definition.executor().filter(|_| listed && not_allowed(record))
}

/// Flags that would have let these tasks run and were not given.
fn missing_grants<'a>(failed: impl Iterator<Item = &'a Record>, given: &Grants) -> String {
    let mut more = Grants::default();
    let add = |list: &mut Vec<String>, given: &[String], value: &str| {
        if !given.iter().chain(&*list).any(|it| it == value) {
            list.push(value.to_owned());
        }
    };
    for record in failed.filter(|record| not_allowed(record)) {
        if let Some(executor) = refused_executor(record) {
            add(&mut more.allow, &given.allow, executor);
            continue;
        }
        let why = wire::error(record).unwrap_or_default();
        let inputs = record.resolved_inputs.as_ref().unwrap_or(&record.definition.inputs);
        if why.contains("--allow-command") {
            let line = inputs.get("command").and_then(|line| line.as_str()?.split(' ').next());
            let program = inputs.get("argv").and_then(|argv| argv.get(0)?.as_str()).or(line);
            // A quoted first word cannot be told here; whoever reads it knows the program.
            let program = program.filter(|it| !it.contains(['\'', '"', '\\']));
            add(&mut more.allow_command, &given.allow_command, program.unwrap_or("PROGRAM"));
        } else if let Some((_, rest)) = why.split_once("--allow-host ") {
            let host = rest.split(' ').next().filter(|host| !host.starts_with('('));
            add(&mut more.allow_host, &given.allow_host, host.unwrap_or("HOST"));
        }
    }
    more.flags()
}

/// What to execute so that all of these run again: one root a submission, which takes the others along.
fn to_execute<'a>(
    records: &'a [Record],
    failed: impl Iterator<Item = &'a Record>,
) -> Vec<&'a TaskId> {
    let mut submissions = HashSet::new();
    failed
        .filter(|record| submissions.insert(record.task.forest))
        .map(|record| root_of(records, record))
        .collect()
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
