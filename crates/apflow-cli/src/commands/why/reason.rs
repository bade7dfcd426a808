//! One sentence for each place a task can stand in, and the command that moves it; pure.

use apflow::core::{task::StateName, time::Timestamp};
use serde_json::Value;

use crate::{
    door::Worker,
    show::{self, data::brief, moment::relative, tree::state_of},
};

/// What the sentence is made of.
pub(super) struct Facts {
    /// The task in the shape of the API.
    pub(super) task: Value,
    /// Its newest attempts that ended without a result, oldest first.
    pub(super) attempts: Vec<Value>,
    /// Some of the tasks it still waits for.
    pub(super) waiting: Vec<Value>,
    /// Some of the required tasks that ended without completing.
    pub(super) failed: Vec<Value>,
    /// What is known of its executor where it would run.
    pub(super) executor: Executor,
    /// Who works there.
    pub(super) worker: Worker,
    /// Now.
    pub(super) now: Timestamp,
    /// What a command has to say again to get there.
    pub(super) flag: String,
}

/// What is known of an executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Executor {
    /// It can run.
    Ready,
    /// The task names none.
    Unnamed,
    /// There is none of that name.
    Unknown(String),
    /// It is not on the list of those that may run.
    NotAllowed(String),
    /// It cannot run there, for this reason.
    Unavailable(String, String),
}

/// Why, and what to type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    /// One sentence.
    pub(super) sentence: String,
    /// Commands, the most useful first; none where nothing has to be done.
    pub(super) commands: Vec<String>,
}

/// As much of a message as a sentence holds.
const LONG: usize = 300;

/// Why the task is where it is.
pub(super) fn reason(facts: &Facts) -> Reason {
    match state_of(&facts.task) {
        StateName::Created => created(facts),
        StateName::Blocked => blocked(facts),
        StateName::Ready => ready(facts),
        StateName::Retrying => retrying(facts),
        StateName::Running => running(facts),
        StateName::Waiting => waiting(facts),
        StateName::Completed => completed(facts),
        StateName::Failed => failed(facts),
        StateName::Skipped => skipped(facts),
        StateName::Cancelled => cancelled(facts),
    }
}

impl Facts {
    fn id(&self) -> String {
        brief(&self.task["id"])
    }

    fn named(&self) -> String {
        named(&self.task)
    }

    fn state(&self, field: &str) -> &Value {
        &self.task["state"][field]
    }

    /// A command with this task and what leads to its place.
    fn command(&self, words: &str, rest: &str) -> String {
        self.command_of(&self.id(), words, rest)
    }

    fn command_of(&self, id: &str, words: &str, rest: &str) -> String {
        format!("apflow {words} {}{rest}{}", show::quoted(id), self.flag)
    }

    /// A moment of the task in words: `at 2026-… (3 min ago)`.
    fn moment(&self, value: &Value) -> Option<String> {
        let text = value.as_str()?;
        let at = text.parse::<Timestamp>().ok()?;
        let short = text.get(..19).unwrap_or(text);
        Some(format!("{short}Z ({})", relative(at, self.now)))
    }

    fn passed(&self, value: &Value) -> bool {
        let at = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        at.is_some_and(|at| at < self.now)
    }
}

fn says(sentence: impl Into<String>, commands: Vec<String>) -> Reason {
    Reason { sentence: sentence.into(), commands }
}

fn named(task: &Value) -> String {
    let (id, name) = (brief(&task["id"]), brief(&task["name"]));
    let short = show::short(&name, 60);
    if name == id || name.is_empty() { format!("`{id}`") } else { format!("`{id}` ({short})") }
}

fn created(facts: &Facts) -> Reason {
    let task = &facts.task;
    let named = facts.named();
    if task["origin_type"] == "link" {
        let of = brief(&task["original_task_id"]);
        return says(
            format!(
                "{named} is a link to `{of}` and answers with its result; it never runs itself"
            ),
            vec![facts.command_of(&of, "why", "")],
        );
    }
    if task["schedule_type"].is_string() {
        if task["schedule_enabled"] != true {
            return says(
                format!("{named} has a schedule that is switched off, and nobody has started it"),
                vec![
                    facts.command("tasks update", " --schedule-enabled"),
                    facts.command("tasks execute", ""),
                ],
            );
        }
        if let Some(at) = facts.moment(&task["next_run_at"]) {
            return says(
                format!("{named} waits for its schedule, which starts it at {at}"),
                vec![facts.command("tasks execute", "")],
            );
        }
        return says(
            format!(
                "{named} has a schedule with no moment left to come, and nobody has started it"
            ),
            vec![facts.command("tasks execute", "")],
        );
    }
    says(
        format!("{named} is stored, and nobody has asked for it to run"),
        vec![facts.command("tasks execute", "")],
    )
}

fn blocked(facts: &Facts) -> Reason {
    let named = facts.named();
    let number = |field: &str| facts.state(field).as_u64().unwrap_or(0);
    let (waits, lost) = (number("waiting_for"), number("failed"));
    if lost > 0 {
        let mut parts: Vec<String> = facts.failed.iter().map(end_of).collect();
        let more = lost.saturating_sub(parts.len() as u64);
        if more > 0 {
            parts.push(format!("{more} more that did not complete"));
        }
        let commands = facts.failed.iter().flat_map(|it| way_back(facts, it)).collect();
        return says(
            format!("{named} cannot run, because it requires {}", listed(&parts)),
            commands,
        );
    }
    let mut parts: Vec<String> = facts.waiting.iter().map(|it| standing(facts, it)).collect();
    let more = waits.saturating_sub(parts.len() as u64);
    if more > 0 {
        parts.push(show::count(usize::try_from(more).unwrap_or(usize::MAX), "more task"));
    }
    if parts.is_empty() {
        return says(
            format!("{named} waits for other tasks that have just ended"),
            vec![facts.command("why", "")],
        );
    }
    let any = if facts.task["join"] == "any" { "any one of " } else { "" };
    // What stands still itself says what to do.
    let still = |it: &&Value| state_of(it) != StateName::Running;
    let next = facts.waiting.iter().find(still).or(facts.waiting.first());
    let commands = next.map(|it| facts.command_of(&brief(&it["id"]), "why", ""));
    says(format!("{named} waits for {any}{}", listed(&parts)), commands.into_iter().collect())
}

/// One attempt in a line.
pub(super) fn attempt(attempt: &Value) -> String {
    let text = |field: &str| attempt[field].as_str().unwrap_or("?");
    let ended = text("ended_at");
    let short = ended.get(..19).unwrap_or(ended);
    format!(
        "attempt {} {} at {short}Z on {}: {}",
        brief(&attempt["attempt"]),
        text("outcome"),
        show::short(text("worker"), 80),
        show::short(text("cause"), LONG),
    )
}

fn listed(parts: &[String]) -> String {
    match parts {
        [] => "other tasks".to_owned(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

/// A task that is waited for, and how it stands.
fn standing(facts: &Facts, task: &Value) -> String {
    let how = match state_of(task) {
        StateName::Created => "which nobody has started".to_owned(),
        StateName::Blocked if task["state"]["failed"].as_u64() > Some(0) => {
            "which a failure keeps from running".to_owned()
        }
        StateName::Blocked => "which waits itself".to_owned(),
        StateName::Ready => "which is ready and not taken yet".to_owned(),
        StateName::Retrying => "which is tried again soon".to_owned(),
        StateName::Running => match facts.moment(&task["started_at"]) {
            Some(at) => format!("which runs since {at}"),
            None => "which runs".to_owned(),
        },
        StateName::Waiting => "which waits for somebody".to_owned(),
        ended => format!("which is {}", ended.status()),
    };
    format!("{}, {how}", named(task))
}

/// A required task that did not complete, and why.
fn end_of(task: &Value) -> String {
    let text = |field: &str| task["state"][field].as_str().unwrap_or("nobody said why");
    let how = match state_of(task) {
        StateName::Failed => {
            format!(
                "which failed: {}",
                show::short(task["error"].as_str().unwrap_or("no message"), LONG)
            )
        }
        StateName::Cancelled => {
            format!("which was cancelled: {}", show::short(text("reason"), LONG))
        }
        StateName::Skipped => format!("which was skipped: {}", show::short(text("why"), LONG)),
        other => format!("which is {other}"),
    };
    format!("{}, {how}", named(task))
}

/// The commands after which a required task may complete.
fn way_back(facts: &Facts, task: &Value) -> Vec<String> {
    let id = brief(&task["id"]);
    let execute = facts.command_of(&id, "tasks execute", "");
    match state_of(task) {
        StateName::Failed => vec![execute],
        // What was cancelled is never run again unasked.
        _ => vec![facts.command_of(&id, "tasks update", " --status pending"), execute],
    }
}

/// Why a task that is ready is not taken all the same, if something holds it.
fn held(facts: &Facts) -> Option<Reason> {
    let held = facts.task["state"]["held"].as_object()?;
    let named = facts.named();
    let key = brief(&held["key"]);
    let at = facts.moment(&held["until"]).map(|at| format!(", until {at}")).unwrap_or_default();
    let flag = &facts.flag;
    let (sentence, command) = match held["by"].as_str()? {
        "concurrency" => (
            format!("{named} waits for a slot of `{key}`: as many tasks with that key run as may"),
            format!("apflow limits ls{flag}"),
        ),
        "rate" => (
            format!("{named} waits for its turn in the pace of `{key}`{at}"),
            format!("apflow limits ls{flag}"),
        ),
        "breaker" => (
            format!("{named} waits because the breaker `{key}` is open{at}"),
            format!("apflow breaker reset {key}{flag}"),
        ),
        "budget" => (
            format!(
                "{named} waits until an attempt gives back what it put aside of the budget `{key}`{at}"
            ),
            format!("apflow budget ls{flag}"),
        ),
        _ => return None,
    };
    Some(says(sentence, vec![command]))
}

fn ready(facts: &Facts) -> Reason {
    if let Some(held) = held(facts) {
        return held;
    }
    let named = facts.named();
    if let Some(reason) = paused(facts) {
        return reason;
    }
    if let Some(reason) = hindered(facts) {
        return reason;
    }
    match &facts.worker {
        Worker::Nobody => says(
            format!("{named} may run now, and no process works on this database"),
            vec![format!("apflow resume{}", facts.flag), format!("apflow serve{}", facts.flag)],
        ),
        Worker::Process(id) => says(
            format!(
                "{named} may run now and waits for a free place in process {id}, which works on this database"
            ),
            vec![facts.command("tasks watch", "")],
        ),
        Worker::Server => says(
            format!("{named} may run now and waits for a free place on the server"),
            vec![facts.command("tasks watch", "")],
        ),
        Worker::Unknown => says(
            format!(
                "{named} may run now, and no worker has taken it yet: none is free, or none runs"
            ),
            vec![format!("apflow serve{}", facts.flag)],
        ),
    }
}

/// Somebody holds it, or its tree, back by hand.
fn paused(facts: &Facts) -> Option<Reason> {
    let held = facts.state("held");
    if held["by"] != "pause" {
        return None;
    }
    let (what, flag) =
        if held["key"] == "tree" { ("its tree was", " --tree") } else { ("it was", "") };
    Some(says(
        format!("{} is ready and held back, because {what} paused", facts.named()),
        vec![facts.command("tasks resume", flag)],
    ))
}

/// Why it would fail as soon as somebody took it.
fn hindered(facts: &Facts) -> Option<Reason> {
    let named = facts.named();
    let update = |rest: &str| facts.command("tasks update", rest);
    Some(match &facts.executor {
        Executor::Ready => return None,
        Executor::Unnamed => says(
            format!("{named} may run now and would fail, because it names no executor"),
            vec![
                update(" --set 'schemas={\"method\": \"EXECUTOR\"}'"),
                format!("apflow executors list{}", facts.flag),
            ],
        ),
        Executor::Unknown(id) => says(
            format!(
                "{named} may run now and would fail, because there is no executor `{id}` there"
            ),
            vec![format!("apflow executors list{}", facts.flag)],
        ),
        Executor::NotAllowed(id) => says(
            format!(
                "{named} may run now and would fail, because the executor `{id}` is not allowed there"
            ),
            vec![format!("apflow resume --allow {}{}", show::quoted(id), facts.flag)],
        ),
        Executor::Unavailable(id, why) => says(
            format!(
                "{named} may run now and would fail, because the executor `{id}` is off: {}",
                show::short(why, LONG)
            ),
            vec![format!("apflow executors show {}{}", show::quoted(id), facts.flag)],
        ),
    })
}

fn retrying(facts: &Facts) -> Reason {
    let attempt = facts.state("attempt").as_u64().unwrap_or(0);
    let most = facts.task["max_attempts"].as_u64().unwrap_or(0);
    let of = if most > 0 { format!(" of {most}") } else { String::new() };
    let why = facts.task["error"].as_str().map(|it| format!(" ({})", show::short(it, LONG)));
    let why = why.unwrap_or_default();
    let named = facts.named();
    if facts.passed(facts.state("at")) && facts.worker == Worker::Nobody {
        return says(
            format!(
                "attempt {attempt}{of} of {named} failed{why}; the next one is due, and no process works on this database"
            ),
            vec![format!("apflow resume{}", facts.flag), format!("apflow serve{}", facts.flag)],
        );
    }
    let at = facts.moment(facts.state("at")).unwrap_or_else(|| "a later moment".to_owned());
    says(
        format!("attempt {attempt}{of} of {named} failed{why}; the next one begins at {at}"),
        vec![facts.command("tasks watch", "")],
    )
}

fn running(facts: &Facts) -> Reason {
    let named = facts.named();
    let worker = show::short(&brief(facts.state("worker")), 80);
    let attempt = facts.state("attempt").as_u64().unwrap_or(1);
    let until = facts.state("until");
    if facts.passed(until) || facts.worker == Worker::Nobody {
        let since = facts.moment(until).map(|at| format!(", whose lease ended at {at}"));
        let since = since.filter(|_| facts.passed(until)).unwrap_or_default();
        return says(
            format!(
                "{named} is held by worker {worker}{since}, which seems to be gone; whoever works next takes it up again"
            ),
            vec![format!("apflow resume{}", facts.flag), format!("apflow serve{}", facts.flag)],
        );
    }
    let since = facts.moment(&facts.task["started_at"]).map(|at| format!(" since {at}"));
    let done = facts.task["progress"].as_f64().filter(|done| *done > 0.0);
    let done = done.map(|done| format!(", {:.0}% done", done * 100.0)).unwrap_or_default();
    let lease = facts.moment(until).map(|at| format!(", whose lease ends at {at}"));
    says(
        format!(
            "{named} runs{}{done}: attempt {attempt}, held by worker {worker}{}",
            since.unwrap_or_default(),
            lease.unwrap_or_default()
        ),
        vec![facts.command("tasks watch", ""), facts.command("tasks cancel", "")],
    )
}

fn waiting(facts: &Facts) -> Reason {
    let until = facts.moment(facts.state("until"));
    let ends = until.as_ref().map(|at| format!(", until {at} at the longest")).unwrap_or_default();
    let detail = match facts.state("detail") {
        Value::Null => String::new(),
        detail => format!(" ({})", show::short(&brief(detail), LONG)),
    };
    let named = facts.named();
    let report = facts.command("tasks update", " --status completed --result JSON");
    let cancel = facts.command("tasks cancel", "");
    let wait = facts.state("id").as_str();
    let answer = |words: &str, rest: &str| {
        wait.map_or_else(|| report.clone(), |id| facts.command_of(id, words, rest))
    };
    let topic = facts.state("detail")["topic"].as_str();
    let (what, commands) = match facts.state("for").as_str() {
        Some("feedback") => {
            ("a person's answer", vec![answer("feedback answer", " ANSWER"), cancel])
        }
        Some("event") => {
            let publish = topic.map(|topic| facts.command_of(topic, "events publish", ""));
            ("an event from outside", vec![publish.unwrap_or(report), cancel])
        }
        Some("budget") => ("a decision about its budget", vec![report, cancel]),
        Some("child") => ("another run", vec![facts.command("tasks tree", ""), cancel]),
        Some("report") => ("a report from whoever set its status by hand", vec![report, cancel]),
        Some("timer") => {
            let at = until.unwrap_or_else(|| "a later moment".to_owned());
            return says(format!("{named} sleeps until {at}{detail}"), vec![cancel]);
        }
        _ => ("somebody", vec![report, cancel]),
    };
    says(format!("{named} waits for {what}{detail}{ends}"), commands)
}

fn completed(facts: &Facts) -> Reason {
    let at = facts.moment(&facts.task["completed_at"]).map(|at| format!(" at {at}"));
    says(
        format!("{} completed{}; nothing has to be done", facts.named(), at.unwrap_or_default()),
        vec![facts.command("tasks execute", " --reexecute")],
    )
}

fn failed(facts: &Facts) -> Reason {
    let why = show::short(facts.task["error"].as_str().unwrap_or("it does not say why"), LONG);
    let at = facts.moment(&facts.task["completed_at"]).map(|at| format!(" at {at}"));
    let execute = facts.command("tasks execute", "");
    let commands = match facts.state("kind").as_str() {
        Some("not_allowed") => {
            let given = crate::args::Grants::default();
            let missing = crate::commands::ended::missing_grants([&facts.task].into_iter(), &given);
            vec![facts.command("tasks execute", &missing)]
        }
        Some("invalid_input") => vec![facts.command("tasks update", " --inputs JSON"), execute],
        Some("unknown_executor") => vec![format!("apflow executors list{}", facts.flag), execute],
        Some("timeout") => {
            // The message names the field whose time was over; the time of one attempt needs no name.
            let fields = ["queue_timeout_seconds", "heartbeat_timeout_seconds", "deadline_seconds"];
            let says = facts.task["error"].as_str().unwrap_or_default();
            let field = fields.into_iter().find(|it| says.contains(it));
            let set = format!(" --set {}=SECONDS", field.unwrap_or("timeout_seconds"));
            vec![facts.command("tasks update", &set), execute]
        }
        _ => vec![execute],
    };
    says(format!("{} failed{}: {why}", facts.named(), at.unwrap_or_default()), commands)
}

fn skipped(facts: &Facts) -> Reason {
    let why = show::short(facts.state("why").as_str().unwrap_or("nobody said why"), LONG);
    if facts.state("cause") == "condition" {
        let sentence = format!("{} was skipped, and nothing failed: {why}", facts.named());
        return says(sentence, vec![facts.command("tasks update", " --set when=EXPRESSION")]);
    }
    says(
        format!("{} was skipped: {why}", facts.named()),
        vec![
            facts.command("tasks update", " --status pending"),
            facts.command("tasks execute", ""),
        ],
    )
}

fn cancelled(facts: &Facts) -> Reason {
    let why = show::short(facts.state("reason").as_str().unwrap_or("nobody said why"), LONG);
    let at = facts.moment(&facts.task["completed_at"]).map(|at| format!(" at {at}"));
    says(
        format!("{} was cancelled{}: {why}", facts.named(), at.unwrap_or_default()),
        vec![
            facts.command("tasks update", " --status pending"),
            facts.command("tasks execute", ""),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PAST: &str = "2026-11-20T12:00:00.000000+00:00";
    const NOW: &str = "2026-11-20T12:01:00.000000+00:00";
    const LATER: &str = "2026-11-20T12:03:00.000000+00:00";

    #[expect(clippy::needless_pass_by_value, reason = "a table of literals reads better")]
    fn facts(state: Value) -> Facts {
        Facts {
            attempts: Vec::new(),
            task: json!({"id": "a", "name": "a", "state": state, "started_at": PAST,
                "completed_at": PAST, "max_attempts": 3, "progress": 0.0, "error": null}),
            waiting: Vec::new(),
            failed: Vec::new(),
            executor: Executor::Ready,
            worker: Worker::Server,
            now: NOW.parse().expect("a moment"),
            flag: String::new(),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "a table of literals reads better")]
    fn other(id: &str, state: Value) -> Value {
        json!({"id": id, "name": id, "state": state, "started_at": PAST, "error": "no disk"})
    }

    fn with(state: Value, change: impl FnOnce(&mut Facts)) -> Facts {
        let mut facts = facts(state);
        change(&mut facts);
        facts
    }

    /// Every case: what is known, the sentence, and the commands.
    fn cases() -> Vec<(Facts, &'static str, &'static [&'static str])> {
        let link = json!({"name": "created"});
        vec![
            (
                facts(json!({"name": "created"})),
                "`a` is stored, and nobody has asked for it to run",
                &["apflow tasks execute a"],
            ),
            (
                with(link, |it| {
                    it.task["origin_type"] = json!("link");
                    it.task["original_task_id"] = json!("o");
                }),
                "`a` is a link to `o` and answers with its result; it never runs itself",
                &["apflow why o"],
            ),
            (
                with(json!({"name": "created"}), |it| {
                    it.task["schedule_type"] = json!("daily");
                    it.task["schedule_enabled"] = json!(false);
                }),
                "`a` has a schedule that is switched off, and nobody has started it",
                &["apflow tasks update a --schedule-enabled", "apflow tasks execute a"],
            ),
            (
                with(json!({"name": "created"}), |it| {
                    it.task["schedule_type"] = json!("daily");
                    it.task["schedule_enabled"] = json!(true);
                    it.task["next_run_at"] = json!(LATER);
                }),
                "`a` waits for its schedule, which starts it at 2026-11-20T12:03:00Z (in 2 min)",
                &["apflow tasks execute a"],
            ),
            (
                with(json!({"name": "created"}), |it| {
                    it.task["schedule_type"] = json!("once");
                    it.task["schedule_enabled"] = json!(true);
                }),
                "`a` has a schedule with no moment left to come, and nobody has started it",
                &["apflow tasks execute a"],
            ),
            (
                with(json!({"name": "blocked", "waiting_for": 3, "failed": 0}), |it| {
                    it.waiting = vec![
                        other("b", json!({"name": "running"})),
                        other("c", json!({"name": "ready"})),
                    ];
                }),
                "`a` waits for `b`, which runs since 2026-11-20T12:00:00Z (1 min ago), `c`, which is ready and not taken yet and 1 more task",
                &["apflow why c"],
            ),
            (
                with(json!({"name": "blocked", "waiting_for": 1, "failed": 0}), |it| {
                    it.task["join"] = json!("any");
                    it.waiting = vec![other("b", json!({"name": "blocked", "failed": 1}))];
                }),
                "`a` waits for any one of `b`, which a failure keeps from running",
                &["apflow why b"],
            ),
            (
                facts(json!({"name": "blocked", "waiting_for": 0, "failed": 0})),
                "`a` waits for other tasks that have just ended",
                &["apflow why a"],
            ),
            (
                with(json!({"name": "blocked", "waiting_for": 0, "failed": 1}), |it| {
                    it.failed = vec![other("b", json!({"name": "failed"}))];
                }),
                "`a` cannot run, because it requires `b`, which failed: no disk",
                &["apflow tasks execute b"],
            ),
            (
                with(json!({"name": "blocked", "waiting_for": 0, "failed": 2}), |it| {
                    it.failed = vec![other("b", json!({"name": "cancelled", "reason": "by ada"}))];
                }),
                "`a` cannot run, because it requires `b`, which was cancelled: by ada and 1 more that did not complete",
                &["apflow tasks update b --status pending", "apflow tasks execute b"],
            ),
            (
                facts(json!({
                    "name": "ready", "held": {"by": "budget", "key": "user:ada", "until": null},
                })),
                "`a` waits until an attempt gives back what it put aside of the budget `user:ada`",
                &["apflow budget ls"],
            ),
            (
                with(json!({"name": "ready"}), |it| it.worker = Worker::Nobody),
                "`a` may run now, and no process works on this database",
                &["apflow resume", "apflow serve"],
            ),
            (
                with(json!({"name": "ready"}), |it| it.worker = Worker::Process("7".to_owned())),
                "`a` may run now and waits for a free place in process 7, which works on this database",
                &["apflow tasks watch a"],
            ),
            (
                facts(json!({"name": "ready"})),
                "`a` may run now and waits for a free place on the server",
                &["apflow tasks watch a"],
            ),
            (
                with(json!({"name": "ready"}), |it| it.worker = Worker::Unknown),
                "`a` may run now, and no worker has taken it yet: none is free, or none runs",
                &["apflow serve"],
            ),
            (
                with(json!({"name": "ready"}), |it| it.executor = Executor::Unnamed),
                "`a` may run now and would fail, because it names no executor",
                &[
                    "apflow tasks update a --set 'schemas={\"method\": \"EXECUTOR\"}'",
                    "apflow executors list",
                ],
            ),
            (
                with(json!({"name": "ready"}), |it| {
                    it.executor = Executor::Unknown("x".to_owned());
                }),
                "`a` may run now and would fail, because there is no executor `x` there",
                &["apflow executors list"],
            ),
            (
                with(json!({"name": "ready"}), |it| {
                    it.executor = Executor::NotAllowed("x".to_owned());
                }),
                "`a` may run now and would fail, because the executor `x` is not allowed there",
                &["apflow resume --allow x"],
            ),
            (
                with(json!({"name": "ready"}), |it| {
                    it.executor = Executor::Unavailable("x".to_owned(), "no docker".to_owned());
                }),
                "`a` may run now and would fail, because the executor `x` is off: no docker",
                &["apflow executors show x"],
            ),
            (
                with(json!({"name": "retrying", "at": LATER, "attempt": 1}), |it| {
                    it.task["error"] = json!("refused");
                }),
                "attempt 1 of 3 of `a` failed (refused); the next one begins at 2026-11-20T12:03:00Z (in 2 min)",
                &["apflow tasks watch a"],
            ),
            (
                with(json!({"name": "retrying", "at": PAST, "attempt": 2}), |it| {
                    it.worker = Worker::Nobody;
                }),
                "attempt 2 of 3 of `a` failed; the next one is due, and no process works on this database",
                &["apflow resume", "apflow serve"],
            ),
            (
                with(
                    json!({"name": "running", "until": LATER, "attempt": 1, "worker": "n1"}),
                    |it| {
                        it.task["progress"] = json!(0.4);
                    },
                ),
                "`a` runs since 2026-11-20T12:00:00Z (1 min ago), 40% done: attempt 1, held by worker n1, whose lease ends at 2026-11-20T12:03:00Z (in 2 min)",
                &["apflow tasks watch a", "apflow tasks cancel a"],
            ),
            (
                facts(json!({"name": "running", "until": PAST, "attempt": 1, "worker": "n1"})),
                "`a` is held by worker n1, whose lease ended at 2026-11-20T12:00:00Z (1 min ago), which seems to be gone; whoever works next takes it up again",
                &["apflow resume", "apflow serve"],
            ),
            (
                with(json!({"name": "running", "until": LATER, "worker": "n1"}), |it| {
                    it.worker = Worker::Nobody;
                }),
                "`a` is held by worker n1, which seems to be gone; whoever works next takes it up again",
                &["apflow resume", "apflow serve"],
            ),
            (
                facts(
                    json!({"name": "waiting", "for": "feedback", "detail": "which one?", "until": LATER}),
                ),
                "`a` waits for a person's answer (which one?), until 2026-11-20T12:03:00Z (in 2 min) at the longest",
                &[
                    "apflow tasks update a --status completed --result JSON",
                    "apflow tasks cancel a",
                ],
            ),
            (
                facts(json!({"name": "waiting", "for": "event"})),
                "`a` waits for an event from outside",
                &[
                    "apflow tasks update a --status completed --result JSON",
                    "apflow tasks cancel a",
                ],
            ),
            (
                facts(json!({"name": "waiting", "for": "timer", "until": LATER})),
                "`a` sleeps until 2026-11-20T12:03:00Z (in 2 min)",
                &["apflow tasks cancel a"],
            ),
            (
                facts(json!({"name": "waiting", "for": "budget"})),
                "`a` waits for a decision about its budget",
                &[
                    "apflow tasks update a --status completed --result JSON",
                    "apflow tasks cancel a",
                ],
            ),
            (
                facts(json!({"name": "waiting", "for": "child"})),
                "`a` waits for another run",
                &["apflow tasks tree a", "apflow tasks cancel a"],
            ),
            (
                facts(json!({"name": "waiting", "for": "report"})),
                "`a` waits for a report from whoever set its status by hand",
                &[
                    "apflow tasks update a --status completed --result JSON",
                    "apflow tasks cancel a",
                ],
            ),
            (
                facts(json!({"name": "completed"})),
                "`a` completed at 2026-11-20T12:00:00Z (1 min ago); nothing has to be done",
                &["apflow tasks execute a --reexecute"],
            ),
            (
                with(json!({"name": "failed", "kind": "executor"}), |it| {
                    it.task["error"] = json!("no disk");
                }),
                "`a` failed at 2026-11-20T12:00:00Z (1 min ago): no disk",
                &["apflow tasks execute a"],
            ),
            (
                with(json!({"name": "failed", "kind": "timeout"}), |it| {
                    it.task["error"] = json!("too slow");
                }),
                "`a` failed at 2026-11-20T12:00:00Z (1 min ago): too slow",
                &["apflow tasks update a --set timeout_seconds=SECONDS", "apflow tasks execute a"],
            ),
            (
                with(json!({"name": "failed", "kind": "invalid_input"}), |it| {
                    it.task["error"] = json!("no url");
                }),
                "`a` failed at 2026-11-20T12:00:00Z (1 min ago): no url",
                &["apflow tasks update a --inputs JSON", "apflow tasks execute a"],
            ),
            (
                with(json!({"name": "failed", "kind": "unknown_executor"}), |it| {
                    it.task["error"] = json!("no such executor");
                }),
                "`a` failed at 2026-11-20T12:00:00Z (1 min ago): no such executor",
                &["apflow executors list", "apflow tasks execute a"],
            ),
            (
                with(json!({"name": "failed", "kind": "not_allowed"}), |it| {
                    it.task["error"] = json!("git may not run; --allow-command git");
                    it.task["inputs"] = json!({"argv": ["git", "log"]});
                }),
                "`a` failed at 2026-11-20T12:00:00Z (1 min ago): git may not run; --allow-command git",
                &["apflow tasks execute a --allow-command git"],
            ),
            (
                facts(json!({"name": "skipped", "why": "a need failed"})),
                "`a` was skipped: a need failed",
                &["apflow tasks update a --status pending", "apflow tasks execute a"],
            ),
            (
                facts(json!({
                    "name": "skipped", "cause": "condition",
                    "why": "its condition `false` does not hold",
                })),
                "`a` was skipped, and nothing failed: its condition `false` does not hold",
                &["apflow tasks update a --set when=EXPRESSION"],
            ),
            (
                facts(json!({"name": "cancelled", "reason": "interrupted"})),
                "`a` was cancelled at 2026-11-20T12:00:00Z (1 min ago): interrupted",
                &["apflow tasks update a --status pending", "apflow tasks execute a"],
            ),
        ]
    }

    #[test]
    fn every_state_has_its_sentence_and_its_command() {
        let mut seen = std::collections::BTreeSet::new();
        for (facts, sentence, commands) in cases() {
            let reason = reason(&facts);
            assert_eq!(reason.sentence, sentence);
            assert_eq!(reason.commands, commands, "{sentence}");
            seen.insert(state_of(&facts.task));
        }
        for state in StateName::ALL {
            assert!(seen.contains(&state), "no case for {state}");
        }
    }

    #[test]
    fn a_time_that_is_over_names_the_field_that_bounds_it() {
        let failed = |error: &str| {
            reason(&with(json!({"name": "failed", "kind": "timeout"}), |it| {
                it.task["error"] = json!(error);
            }))
        };
        for field in ["queue_timeout_seconds", "heartbeat_timeout_seconds", "deadline_seconds"] {
            let told = failed(&format!("it took too long ({field})"));
            assert_eq!(told.commands[0], format!("apflow tasks update a --set {field}=SECONDS"));
        }
    }

    #[test]
    fn an_attempt_is_told_in_one_line() {
        let one = json!({
            "attempt": 2, "outcome": "failed", "ended_at": "2026-11-20T12:00:00.5+00:00",
            "worker": "n1", "cause": "no disk",
        });
        assert_eq!(attempt(&one), "attempt 2 failed at 2026-11-20T12:00:00Z on n1: no disk");
    }

    #[test]
    fn commands_lead_to_the_same_place_and_ids_are_quoted() {
        let mut facts = with(json!({"name": "created"}), |it| it.task["id"] = json!("a b'; rm"));
        facts.flag = " --server http://h".to_owned();
        let told = reason(&facts);
        assert_eq!(told.commands, ["apflow tasks execute 'a b'\\''; rm' --server http://h"]);
    }

    #[test]
    fn every_command_is_one_that_the_program_understands() {
        use clap::CommandFactory as _;
        for (facts, ..) in cases() {
            for command in reason(&facts).commands {
                let words = command.replace("'schemas={\"method\": \"EXECUTOR\"}'", "schemas={}");
                let words = words.replace("SECONDS", "5");
                let read = crate::args::Args::command().try_get_matches_from(words.split(' '));
                assert!(read.is_ok(), "{command}: {:?}", read.err().map(|it| it.to_string()));
            }
        }
    }
}
