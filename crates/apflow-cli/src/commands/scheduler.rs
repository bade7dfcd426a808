//! `apflow scheduler …`: fires schedules, and shows what they are about to do.

use std::time::Duration;

use apflow::core::{
    code::Code,
    engine::SchedulerConfig,
    id::TaskId,
    store::{Start, StartScope, StoreError},
    task::Outcome,
};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use super::{
    run::seconds,
    scheduled::{self, Filter},
    tasks::{ask, open, write_value},
};
use crate::{
    args::{DatabaseArgs, Durability, Grants, Output},
    config::{self, Database},
    error::{CliError, Exit},
    follow::Interrupts,
    show,
};

#[derive(Debug, ClapArgs)]
pub(crate) struct Scheduler {
    #[command(subcommand)]
    command: SchedulerCommand,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum SchedulerCommand {
    /// Fire schedules and run what they begin, here and until a signal; `apflow serve` does it too.
    Start(StartArgs),
    /// Show tasks with a schedule, by their next run.
    List {
        #[command(flatten)]
        filter: Filter,
        /// At most so many.
        #[arg(short, long, default_value_t = 100)]
        limit: u32,
        /// How to write the answer.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Say how many schedules are on, which is next, and whether any is overdue.
    Status {
        /// How to write the answer.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Run a task now as its schedule would: all of it anew, counted as a run.
    Trigger(TriggerArgs),
    /// Write schedules as an iCalendar file to standard output.
    ExportIcal {
        #[command(flatten)]
        filter: Filter,
        /// The name of the calendar.
        #[arg(short, long, value_name = "NAME", default_value = "APFlow Tasks")]
        name: String,
        /// What links to tasks begin with.
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
        /// A file is written by the shell: `apflow scheduler export-ical > FILE`.
        #[arg(short, long, value_name = "FILE", hide = true)]
        output: Option<String>,
    },
}

#[derive(Debug, ClapArgs)]
struct StartArgs {
    /// Look at least this often, in seconds, should every signal be lost; nothing is polled otherwise.
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60.0)]
    interval: f64,
    /// Run at most so many tasks at the same time.
    #[arg(short = 'c', long, value_name = "N")]
    max_concurrent: Option<u32>,
    /// Fire only schedules of this owner's tasks.
    #[arg(short, long)]
    user_id: Option<String>,
    /// Longest time one attempt may take where its task does not say, in seconds.
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// It stays in the foreground; leave the background to your service manager.
    #[arg(short, long, hide = true)]
    background: bool,
    /// How long running tasks may go on after SIGTERM, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    grace: f64,
    /// When a write counts as done.
    #[arg(long, value_enum, default_value_t)]
    durability: Durability,
    #[command(flatten)]
    allow: Grants,
}

#[derive(Debug, ClapArgs)]
struct TriggerArgs {
    /// The task.
    id: String,
    /// Run it here, and answer when it has ended; otherwise it is left to `apflow serve`.
    #[arg(short, long)]
    wait: bool,
    /// How to write the task when it has ended.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    allow: Grants,
}

pub(crate) async fn scheduler(args: Scheduler) -> Result<Exit, CliError> {
    let database = Database::find(&args.database);
    match args.command {
        SchedulerCommand::Start(start) => run(&database, start).await,
        SchedulerCommand::List { filter, limit, output } => {
            let mut params = filter.params();
            params["limit"] = json!(limit);
            scheduled::list(&database, "tasks.scheduled.list", params, output).await
        }
        SchedulerCommand::Status { output } => status(&database, output).await,
        SchedulerCommand::Trigger(args) => trigger(&database, args).await,
        SchedulerCommand::ExportIcal { filter, name, base_url, output } => {
            if output.is_some() {
                return Err(CliError::usage("the calendar is written to standard output")
                    .help("apflow scheduler export-ical > FILE"));
            }
            let mut params = filter.params();
            params["calendar_name"] = json!(name);
            params["base_url"] = json!(base_url);
            let app = open(&database, false).await?;
            let answer = ask(&app, "tasks.scheduled.export-ical", params).await?.json();
            show::data(answer["ical_content"].as_str().unwrap_or_default())?;
            Ok(Exit::Ok)
        }
    }
}

async fn run(database: &Database, args: StartArgs) -> Result<Exit, CliError> {
    if args.background {
        return Err(CliError::usage("the scheduler runs in the foreground")
            .because("a process that leaves its terminal is kept alive by nobody")
            .help("let systemd, launchd or a container run `apflow scheduler start`"));
    }
    let grace = seconds("--grace", Some(args.grace))?.unwrap_or_default();
    let back_stop = seconds("--interval", Some(args.interval))?.unwrap_or_default();
    let timeout = seconds("--timeout", args.timeout)?;
    let allow = Grants { parallel: args.max_concurrent.or(args.allow.parallel), ..args.allow };
    database.prepare()?;
    let mut interrupts = Interrupts::listen()?;
    config::warn_of_grants(&allow)?;
    let mut engine = config::engine(&allow)?;
    engine.attempt_timeout = timeout.or(engine.attempt_timeout);
    let config = SchedulerConfig { back_stop, user_id: args.user_id, ..SchedulerConfig::default() };
    let mut app = config::app(database, &allow)?
        .engine(engine)
        .scheduler(config)
        .durability(args.durability.into())
        .open()
        .await?;
    app.work();
    let mut stats = app.schedule().watch();
    show::say(&format!(
        "apflow {} fires the schedules of {}",
        env!("CARGO_PKG_VERSION"),
        show::plain(&database.shown())
    ));
    interrupts.next().await;
    show::say("stopping; again to stop at once");
    tokio::select! {
        drained = app.shutdown(grace) => {
            let fired = usize::try_from(stats.borrow_and_update().fired).unwrap_or(usize::MAX);
            show::say(&format!(
                "stopped: {} began; {} tasks finished meanwhile, {} were given back",
                show::count(fired, "run"),
                drained.finished,
                drained.handed_back + drained.left
            ));
            Ok(Exit::Ok)
        }
        () = interrupts.next() => Ok(Exit::Interrupted),
    }
}

async fn status(database: &Database, output: Output) -> Result<Exit, CliError> {
    let app = open(database, false).await?;
    let read = async |method: &str, params: Value| -> Result<Vec<Value>, CliError> {
        Ok(ask(&app, method, params).await?.json().as_array().cloned().unwrap_or_default())
    };
    let all = read("tasks.scheduled.list", json!({ "enabled_only": false, "limit": 1000 })).await?;
    let due = read("tasks.scheduled.due", json!({ "limit": 1000 })).await?;
    let on = |task: &&Value| task["schedule_enabled"].as_bool() == Some(true);
    let next = all.iter().filter(on).find(|task| task["next_run_at"].is_string());
    let answer = json!({
        "schedules": all.len(), "enabled": all.iter().filter(on).count(), "overdue": due.len(),
        "next_task": next.map(|task| &task["id"]), "next_run_at": next.map(|task| &task["next_run_at"]),
    });
    write_value(&answer, output)?;
    if all.len() == 1000 {
        show::warn("there are more than 1000 schedules; these are the first");
    }
    if !due.is_empty() {
        show::warn(&format!(
            "{} overdue: is `apflow serve` or `apflow scheduler start` running?",
            show::count(due.len(), "run")
        ));
    }
    Ok(Exit::Ok)
}

async fn trigger(database: &Database, args: TriggerArgs) -> Result<Exit, CliError> {
    config::warn_of_grants(&args.allow)?;
    database.prepare()?;
    let mut interrupts = Interrupts::listen()?;
    let mut app = config::app(database, &args.allow)?.open().await?;
    let task = TaskId::new(args.id);
    let wish = Start {
        task: task.clone(),
        scope: StartScope::Afresh,
        reexecute: true,
        callback: None,
        demo: false,
    };
    let started = app.engine().start(wish).await.map_err(|error| match error {
        StoreError::NoSuchTask(_) => {
            CliError::new(Code::NotFound, format!("Task {task} not found"))
                .help("`apflow tasks list --all-tasks` shows what there is")
        }
        other => other.into(),
    })?;
    let tasks = usize::try_from(started.tasks).unwrap_or(usize::MAX);
    if !args.wait {
        show::say(&format!("✓ triggered {}; `apflow serve` runs it", show::count(tasks, "task")));
        let _ = app.shutdown(Duration::ZERO).await;
        return Ok(Exit::Ok);
    }
    show::say(&format!("running {}", show::count(tasks, "task")));
    app.work();
    let ends = async {
        let mut worst = Outcome::Completed;
        for tree in &started.trees {
            match app.engine().wait(tree).await?.outcome {
                Some(Outcome::Failed) => worst = Outcome::Failed,
                Some(Outcome::Cancelled) if worst == Outcome::Completed => {
                    worst = Outcome::Cancelled;
                }
                _ => {}
            }
        }
        Ok::<_, StoreError>(worst)
    };
    let outcome = tokio::select! {
        outcome = ends => outcome?,
        () = interrupts.next() => {
            let _ = app.shutdown(Duration::ZERO).await;
            show::say("interrupted; `apflow resume` goes on with it");
            return Ok(Exit::Interrupted);
        }
    };
    let answer = ask(&app, "tasks.get", json!({ "task_id": task })).await?.json();
    write_value(&answer, args.output)?;
    let _ = app.shutdown(Duration::from_secs(1)).await;
    Ok(match outcome {
        Outcome::Completed => Exit::Ok,
        Outcome::Failed => Exit::Failed,
        Outcome::Cancelled => Exit::Cancelled,
    })
}
