//! What is written when runs have ended: data, a summary of what went wrong, and an exit code.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    time::Duration,
};

use apflow::core::{
    id::TaskId,
    task::{Outcome, StateName},
};
use serde_json::{Value, json};

use crate::{
    args::{Grants, RunOutput},
    door::Door,
    error::{CliError, Exit},
    follow::Waited,
    show::{
        self, data,
        sheet::at,
        table,
        tree::{Board, mark, state_of, took},
    },
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
    /// What its tasks may do.
    pub(crate) grants: &'a Grants,
}

/// What came of it.
pub(crate) struct Ended<'a> {
    /// All its tasks in the shape of the API, in the order of the board.
    pub(crate) tasks: Vec<Value>,
    /// What they are called here.
    pub(crate) board: &'a Board,
    /// How the waiting ended.
    pub(crate) waited: Waited,
    /// How the run ended, if it did.
    pub(crate) outcome: Outcome,
    /// What was stored together, by task, as far as is known.
    pub(crate) submissions: HashMap<String, String>,
}

/// Writes what came of the runs that were followed.
pub(crate) async fn tell(
    door: &Door,
    ended: &Ended<'_>,
    telling: &Telling<'_>,
) -> Result<Exit, CliError> {
    let Ended { waited, outcome, .. } = *ended;
    let over = matches!(waited, Waited::Over | Waited::Interrupted);
    let failed = outcome != Outcome::Completed || !over;
    if !telling.quiet || failed {
        show::say(&summary(door, ended, telling).await?);
    }
    write(ended, over.then_some(outcome), telling)?;
    Ok(match (waited, outcome) {
        (Waited::Left | Waited::Interrupted | Waited::AtOnce, _) => Exit::Interrupted,
        (Waited::TimedOut, _) => Exit::Timeout,
        (Waited::Over, Outcome::Completed) => Exit::Ok,
        (Waited::Over, Outcome::Failed) if out_of_budget(&ended.tasks) => Exit::Budget,
        (Waited::Over, Outcome::Failed) => Exit::Failed,
        (Waited::Over, Outcome::Cancelled) => Exit::Cancelled,
    })
}

/// Whether whatever failed did so because a budget is used up.
fn out_of_budget(tasks: &[Value]) -> bool {
    let mut all = tasks.iter().filter(failed).peekable();
    all.peek().is_some() && all.all(|task| task["state"]["kind"] == "budget_exhausted")
}

fn write(
    ended: &Ended<'_>,
    outcome: Option<Outcome>,
    telling: &Telling<'_>,
) -> Result<(), CliError> {
    if let Some(field) = telling.print {
        let found = ended.tasks.iter().rev().find_map(|task| task["result"].get(field));
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
            ended.tasks.iter().map(|task| row(ended.board, task)),
        )),
        RunOutput::Json => show::data(&data::json(&whole(ended, outcome, telling))),
        RunOutput::Yaml => show::data(&data::yaml(&whole(ended, outcome, telling))?),
    }
}

fn row(board: &Board, task: &Value) -> Vec<String> {
    let state = state_of(task);
    let result = match (&task["result"], error(task)) {
        (_, Some(error)) => error.to_owned(),
        (result, None) => data::brief(result),
    };
    let id = id_of(task);
    vec![
        mark(state).0.to_owned(),
        board.label(&id).to_owned(),
        state.status().to_string(),
        took(task).map(show::time).unwrap_or_default(),
        show::short(&result, 70),
    ]
}

fn whole(ended: &Ended<'_>, outcome: Option<Outcome>, telling: &Telling<'_>) -> Value {
    json!({ "run": telling.run, "outcome": outcome, "tasks": ended.tasks })
}

fn id_of(task: &Value) -> TaskId {
    TaskId::new(task["id"].as_str().unwrap_or_default())
}

fn error(task: &Value) -> Option<&str> {
    task["error"].as_str()
}

fn failed(task: &&Value) -> bool {
    state_of(task) == StateName::Failed
}

fn blocked(task: &&Value) -> bool {
    state_of(task) == StateName::Blocked && task["state"]["failed"].as_u64() > Some(0)
}

/// One line for a run in which all went well; else each failure with its cause, and what to type.
async fn summary(
    door: &Door,
    ended: &Ended<'_>,
    telling: &Telling<'_>,
) -> Result<String, CliError> {
    let Ended { tasks, board, waited, .. } = ended;
    let word = match waited {
        Waited::TimedOut => "goes on".to_owned(),
        Waited::Left => "left as it is".to_owned(),
        Waited::AtOnce => "left at once".to_owned(),
        Waited::Over | Waited::Interrupted => ended.outcome.to_string(),
    };
    let named = telling.run.map_or_else(|| "all runs".to_owned(), |run| format!("run {run}"));
    let completed = tasks.iter().filter(|task| state_of(task) == StateName::Completed).count();
    let mut text = format!(
        "{}: {word}, {completed} of {} tasks completed, {}\n",
        show::plain(&named),
        tasks.len(),
        show::time(telling.took)
    );
    let causes = by_cause(tasks.iter().filter(failed));
    for (cause, of) in causes.iter().take(LISTED) {
        let (sign, style) = mark(StateName::Failed);
        let why = show::plain_lines(cause).replace('\n', "\n      ");
        let ids: Vec<TaskId> = of.iter().map(|it| id_of(it)).collect();
        let labels: Vec<&str> = ids.iter().map(|id| board.label(id)).collect();
        let _ = writeln!(text, "  {style}{sign}{style:#} {}: {why}", some_of(&labels));
    }
    if causes.len() > LISTED {
        let _ = writeln!(text, "  … {} causes in all", causes.len());
    }
    for task in tasks.iter().filter(blocked).take(LISTED) {
        // Whom it waits for is read only where one task is read in detail.
        let id = id_of(task);
        let detail = door.call("tasks.get", json!({ "task_id": id })).await?;
        let of = detail["state"]["failed_ids"].as_array().into_iter().flatten();
        let of: Vec<TaskId> = of.filter_map(|it| it.as_str().map(TaskId::from)).collect();
        let of: Vec<&str> = of.iter().map(|id| board.label(id)).collect();
        let (sign, style) = mark(StateName::Blocked);
        let _ = writeln!(
            text,
            "  {style}{sign}{style:#} {}: blocked, needs {}",
            board.label(&id),
            show::short(&of.join(", "), 200)
        );
    }
    let count = tasks.iter().filter(blocked).count();
    if count > LISTED {
        let _ = writeln!(text, "  … {count} tasks are blocked in all");
    }
    text.push_str(&go_on(door, ended, telling).await);
    Ok(text)
}

/// What to type next, if there is anything to do.
async fn go_on(door: &Door, ended: &Ended<'_>, telling: &Telling<'_>) -> String {
    let tasks = &ended.tasks;
    let of = || tasks.iter().filter(failed);
    if matches!(ended.waited, Waited::Left | Waited::TimedOut) {
        if door.is_remote() {
            let root = tasks.first().map(|task| one_more(id_of(task).as_str())).unwrap_or_default();
            let line = format!("apflow tasks watch{root}{}", door.flag().await);
            return crate::error::line("go on", &line);
        }
        let run = telling.run.map(|run| format!(" {run}")).unwrap_or_default();
        let flags = door.flag().await + &telling.grants.flags();
        return crate::error::line("go on", &format!("apflow resume{run}{flags}"));
    }
    let failures = of().count();
    if failures == 0 {
        return String::new();
    }
    let ids: String = to_execute(ended, of()).iter().map(|id| one_more(id.as_str())).collect();
    // What a server allows is not ours to say.
    let grants = if door.is_remote() {
        String::new()
    } else {
        telling.grants.flags() + &missing_grants(of(), telling.grants)
    };
    let line = format!("apflow tasks execute{ids}{}{grants}", door.flag().await);
    let mut text = crate::error::line("retry", &line);
    if failures > 1 {
        let all = format!("this runs all {failures} again and what needs them");
        text.push_str(&crate::error::line("", &all));
    }
    text
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
fn by_cause<'a>(failed: impl Iterator<Item = &'a Value>) -> Vec<(String, Vec<&'a Value>)> {
    let mut causes: Vec<(String, Vec<&Value>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for task in failed {
        let cause = cause(task);
        let place = *places.entry(cause.clone()).or_insert_with(|| {
            causes.push((cause, Vec::new()));
            causes.len() - 1
        });
        causes[place].1.push(task);
    }
    causes
}

/// The reason, without the task it is about, and with the flag that names an executor.
fn cause(task: &Value) -> String {
    let why = error(task).unwrap_or("it does not say why");
    let Some(executor) = refused_executor(task) else { return why.to_owned() };
    let why = why.strip_suffix(&format!(" for task {}", id_of(task))).unwrap_or(why);
    format!("{why}; --allow {executor} allows it")
}

fn not_allowed(task: &Value) -> bool {
    failed(&task) && task["state"]["kind"] == "not_allowed"
}

/// The executor, if it is not on the list of those that are allowed.
fn refused_executor(task: &Value) -> Option<&str> {
    // Only then does the result list what is allowed.
    let listed = task["result"].get("allowed_executors").is_some();
    let executor = at(task, "params.executor_id|schemas.method").as_str();
    executor.filter(|_| listed && not_allowed(task))
}

/// Flags that would have let these tasks run and were not given.
pub(crate) fn missing_grants<'a>(
    failed: impl Iterator<Item = &'a Value>,
    given: &Grants,
) -> String {
    let mut more = Grants::default();
    let add = |list: &mut Vec<String>, given: &[String], value: &str| {
        if !given.iter().chain(&*list).any(|it| it == value) {
            list.push(value.to_owned());
        }
    };
    for task in failed.filter(|task| not_allowed(task)) {
        if let Some(executor) = refused_executor(task) {
            add(&mut more.allow, &given.allow, executor);
            continue;
        }
        let why = error(task).unwrap_or_default();
        let inputs = &task["inputs"];
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
fn to_execute<'a>(ended: &'a Ended<'_>, failed: impl Iterator<Item = &'a Value>) -> Vec<TaskId> {
    let mut submissions = HashSet::new();
    let mut roots = Vec::new();
    for task in failed {
        let root = root_of(&ended.tasks, task);
        let submission = ended.submissions.get(id_of(task).as_str()).cloned();
        if submissions.insert(submission.unwrap_or_else(|| root.to_string())) {
            roots.push(root);
        }
    }
    roots
}

/// The root over a task; running it again runs what failed and what needs it.
fn root_of<'a>(tasks: &'a [Value], of: &'a Value) -> TaskId {
    let mut here = of;
    let above = |of: &Value| {
        let parent = of["parent_id"].as_str()?;
        tasks.iter().find(|it| it["id"] == parent)
    };
    // Parents come from the store, in which no task is its own ancestor; the bound is for the reader.
    for _ in 0..tasks.len() {
        match above(here) {
            Some(parent) => here = parent,
            None => break,
        }
    }
    id_of(here)
}
